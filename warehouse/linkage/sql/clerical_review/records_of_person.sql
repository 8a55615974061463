-- The records that are one person.
select record_key, dataset, method, weight, band
from identity_links
where person_key = getvariable('person_key')
order by dataset, record_key
