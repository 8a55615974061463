-- Kelurahan and place in the family of the record that stands for a description.
select record_key, kelurahan, relation
from lake_facts
where record_key in (select record_key from cleaned)
