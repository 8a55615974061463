-- One row per person and cluster: what the person's key can be made of.
select
    person,
    cluster,
    min(nik_key) filter (where keeps_nik and is_registry) as registered_nik,
    min(nik_key) filter (where keeps_nik) as any_nik,
    min(concat_ws('|', dataset, name_key, birth, sex, father, mother, kk_key, card, nik_key)) as description,
    bool_or(is_registry) as is_registry,
    bit_or(bit) as agencies
from members
inner join persons using (cluster)
group by person, cluster
