-- The dataset of each of the records asked for.
select record_key, dataset from identity_links where record_key in (select unnest(cast(getvariable('record_keys') as varchar[])))
