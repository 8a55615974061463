-- The record that nothing ties to a person, by the key under which it leaves the build.
select record_key, dataset, null as method, null as weight, null as band
from records
where pseudonym('record', record_key) = getvariable('person_key')
order by dataset, record_key
