/*
Active participants of each month, counted: where they live and work by the registry, what covers them. A person counts once
per segment and once in 'all', so that one person's two cards never make two persons.
*/
with months as (
    select month_start, registry_period, ranking from {{ ref('registry_in_effect') }} where is_main
),

active as (
    select
        participation.period_start,
        participation.person_key,
        case when grouping(participation.segment) = 1 then 'all' else participation.segment end as segment,
        {%- for programme in ['jkk', 'jkm', 'jht', 'jp', 'jkp'] %}
        max(cast(participation.has_{{ programme }} as int)) as has_{{ programme }},
        sum(cast(participation.has_{{ programme }} as int)) as cards_{{ programme }},
        {%- endfor %}
        sum(case when participation.has_jkk and participation.has_jkm then 1 else 0 end) as cards_jkk_jkm,
        count(*) as cards
    from {{ ref('fct_participation') }} as participation
    where participation.is_active
    group by grouping sets (
        (participation.period_start, participation.person_key, participation.segment),
        (participation.period_start, participation.person_key)
    )
)

select
    active.period_start,
    active.segment,
    coalesce(resident.kemendagri_code, {{ unplaced_code() }}) as kemendagri_code,
    resident.person_key is not null as is_resident,
    coalesce(resident.is_working and resident.age_years between 15 and 64, false) as is_worker,
    resident.worker_segment,
    resident.worker_group,
    cast(count(*) as bigint) as persons_any,
    {%- for programme in ['jkk', 'jkm', 'jht', 'jp', 'jkp'] %}
    cast(sum(active.has_{{ programme }}) as bigint) as persons_{{ programme }},
    cast(sum(active.cards_{{ programme }}) as bigint) as cards_{{ programme }},
    {%- endfor %}
    cast(sum(case when active.has_jkk = 1 and active.has_jkm = 1 then 1 else 0 end) as bigint) as persons_jkk_jkm,
    cast(sum(active.cards_jkk_jkm) as bigint) as cards_jkk_jkm,
    cast(sum(active.cards) as bigint) as cards_any
from active
left join months on months.month_start = active.period_start
left join {{ ref('fct_registry_member') }} as resident
    on resident.person_key = active.person_key
    and resident.period_start = months.registry_period
    and resident.ranking = months.ranking
    and resident.is_in_scope
group by
    active.period_start,
    active.segment,
    coalesce(resident.kemendagri_code, {{ unplaced_code() }}),
    resident.person_key is not null,
    coalesce(resident.is_working and resident.age_years between 15 and 64, false),
    resident.worker_segment,
    resident.worker_group
