/*
Workers aged 15 to 64 whom an active card covers, or may cover while a link waits for a decision, counted by what is held of
each programme: held (a firm link says so), possible, none. A person known to hold one programme may still hold another.
*/
{%- set programmes = ['jkk', 'jkm', 'jht', 'jp', 'jkp'] %}
with months as (
    select month_start, registry_period, ranking from {{ ref('registry_in_effect') }} where is_main
),

cards as (
    select
        period_start, person_key, 1 as is_held
        {%- for programme in programmes %}, cast(has_{{ programme }} as int) as held_{{ programme }}{% endfor %}
        {%- for programme in programmes %}, 0 as possible_{{ programme }}{% endfor %}
    from {{ ref('fct_participation') }}
    where is_active
    union all
    select
        period_start, person_key, 0
        {%- for programme in programmes %}, 0{% endfor %}
        {%- for programme in programmes %}, has_{{ programme }}{% endfor %}
    from {{ ref('possible_participation') }}
    where segment = 'all'
),

persons as (
    select
        period_start,
        person_key,
        max(is_held) = 1 as is_covered
        {%- for programme in programmes %},
        case
            when max(held_{{ programme }}) = 1 then 'held'
            when max(possible_{{ programme }}) = 1 then 'possible'
            else 'none'
        end as {{ programme }}
        {%- endfor %}
    from cards
    group by period_start, person_key
)

select
    persons.period_start,
    resident.kemendagri_code,
    resident.worker_segment,
    resident.worker_group,
    persons.is_covered,
    {%- for programme in programmes %}
    persons.{{ programme }},
    {%- endfor %}
    cast(count(*) as bigint) as persons
from persons
inner join months on months.month_start = persons.period_start
inner join {{ ref('fct_registry_member') }} as resident
    on resident.person_key = persons.person_key
    and resident.period_start = months.registry_period
    and resident.ranking = months.ranking
    and resident.is_in_scope
where resident.is_working and resident.age_years between 15 and 64
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
