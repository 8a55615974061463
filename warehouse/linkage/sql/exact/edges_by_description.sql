-- One whole description within a dataset: to the only NIK that it goes by, else among those without a number.
select distinct least(anchor, id) as a, greatest(anchor, id) as b, 'description' as method
from (
    select
        id,
        case
            when count(distinct nik_key) over same <= 1 then min(id) over same
            when nik_key is null then min(id) filter (where nik_key is null) over same
        end as anchor
    from descriptions
    where description is not null
    window same as (partition by description)
) as anchored
where anchor <> id
