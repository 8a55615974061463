/*
Residents who are not firmly known to be covered and may be: what the upper bounds of coverage add, in participant_counts'
terms. A person known to hold one programme may still hold another.
*/
with months as (
    select month_start, registry_period, ranking from {{ ref('registry_in_effect') }} where is_main
),

firm as (
    select
        period_start,
        person_key,
        case when grouping(segment) = 1 then 'all' else segment end as segment,
        {%- for programme in ['jkk', 'jkm', 'jht', 'jp', 'jkp'] %}
        max(cast(has_{{ programme }} as int)) as has_{{ programme }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('fct_participation') }}
    where is_active
    group by grouping sets ((period_start, person_key, segment), (period_start, person_key))
)

select
    possible.period_start,
    possible.segment,
    resident.kemendagri_code,
    coalesce(resident.is_working and resident.age_years between 15 and 64, false) as is_worker,
    resident.worker_segment,
    resident.worker_group,
    cast(sum(case when firm.person_key is null then 1 else 0 end) as bigint) as persons_any,
    {%- for programme in ['jkk', 'jkm', 'jht', 'jp', 'jkp'] %}
    cast(sum(case when possible.has_{{ programme }} > coalesce(firm.has_{{ programme }}, 0) then 1 else 0 end) as bigint)
        as persons_{{ programme }},
    {%- endfor %}
    cast(sum(case
        when possible.has_jkk + possible.has_jkm > 0
            and greatest(possible.has_jkk, coalesce(firm.has_jkk, 0)) = 1
            and greatest(possible.has_jkm, coalesce(firm.has_jkm, 0)) = 1
            and coalesce(firm.has_jkk, 0) + coalesce(firm.has_jkm, 0) < 2
        then 1 else 0
    end) as bigint) as persons_jkk_jkm
from {{ ref('possible_participation') }} as possible
inner join months on months.month_start = possible.period_start
inner join {{ ref('fct_registry_member') }} as resident
    on resident.person_key = possible.person_key
    and resident.period_start = months.registry_period
    and resident.ranking = months.ranking
    and resident.is_in_scope
left join firm
    on firm.person_key = possible.person_key
    and firm.period_start = possible.period_start
    and firm.segment = possible.segment
group by 1, 2, 3, 4, 5, 6
