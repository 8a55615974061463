-- What linkage compares of the records asked for.
select * from identities_in_force where record_key in (select unnest(cast(getvariable('record_keys') as varchar[])))
