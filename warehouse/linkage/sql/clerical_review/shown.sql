-- What a reviewer sees of a record.
select record_key, dataset, nik, name, birth_date, sex, parent_name, rt, rw from identities
