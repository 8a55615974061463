-- One row per profile. The operator gives null where a part is missing: half a description describes nobody.
select
    id,
    case when not is_nik_of_another then nik_key end as nik_key,
    dataset || '|' || name_key || '|' || birth || '|' || sex || '|'
    || coalesce(nullif(concat_ws('/', father, mother), ''), kk_key) as description
from profiles
