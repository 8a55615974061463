-- One row per distinct description, numbered from 0, with what the lake and the registry add.
select
    numbered.id,
    cleaned.* exclude (father, mother, nik_key, nik),
    coalesce(placed.kelurahan, card_places.kelurahan) as kelurahan,
    case when stand_ins.nik_key is null then cleaned.nik_key end as nik_key,
    case when stand_ins.nik_key is null then cleaned.nik end as nik,
    coalesce(cleaned.father, case when placed.relation = '3' then couples.father end) as father,
    coalesce(cleaned.mother, case when placed.relation = '3' then couples.mother end) as mother,
    -- A hint, never a reason to reject: one NIK in some hundreds was given out with a wrong date.
    is_nik_of(cleaned.nik, cleaned.birth, cleaned.sex) as is_nik_own,
    coalesce(is_nik_of_another(cleaned.nik, cleaned.birth, cleaned.sex), false) as is_nik_of_another
from cleaned
inner join numbered using (profile)
left join placed using (record_key)
left join couples using (kk_key)
left join card_places using (kk_key)
left join stand_ins using (nik_key)
