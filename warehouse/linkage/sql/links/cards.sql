-- One row per person on a family card: the card, where all records agree on one.
select person, case when min(kk_key) = max(kk_key) then min(kk_key) end as only_kk_key
from members
inner join persons using (cluster)
where kk_key is not null
group by person
