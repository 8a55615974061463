-- Cluster records: one row per cluster (per cluster and dataset where a model is trained), with what is known of it, the
-- registry's word first.
select
    *,
    nik_birth(nik) as nik_birth,
    year(birth) * 10000 + least(month(birth), day(birth)) * 100 + greatest(month(birth), day(birth)) as birth_key,
    year(birth) * 100 + month(birth) as birth_month,
    year(birth) * 100 + day(birth) as birth_year_day,
    month(birth) * 100 + day(birth) as birth_day,
    regexp_extract(name_key, '[A-Z]') as first_letter,
    split_part(name_key, ' ', -1)[1] as last_letter
from (
    select
        cluster,
        case when getvariable('by_dataset') then dataset end as source,
        arg_min(name_key, (not is_registry, id)) as name_key,
        arg_min(name_line, (not is_registry, id)) as name_line,
        arg_min(birth, (not is_registry, id)) as birth,
        arg_min(sex, (not is_registry, id)) as sex,
        arg_min(father, (not is_registry, id)) as father,
        arg_min(mother, (not is_registry, id)) as mother,
        arg_min(kelurahan, (not is_registry, id)) as kelurahan,
        arg_min(rt, (not is_registry, id)) as rt,
        arg_min(rw, (not is_registry, id)) as rw,
        arg_min(case when keeps_nik then nik end, (not is_nik_own, id)) as nik,
        cast(bit_or(bit) as bigint) as agencies,
        bool_or(is_registry) as is_registry,
        min(id) as first_id,
        min(case when keeps_nik then nik_key end) as nik_key
    from members
    group by cluster, source
) as best
where name_key is not null
