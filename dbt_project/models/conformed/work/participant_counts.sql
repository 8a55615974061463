/*
Active participants of each month, counted: where the registry places them, which cards they hold, and which branch keeps the
newest card of each segment and of all. A person counts once, whatever the number of cards.
*/
with months as (
    select month_start, registry_period, ranking from {{ ref('registry_in_effect') }} where is_main
),

cards as (
    select
        *,
        {{ dbt.concat([
            "coalesce(cast(registered_on as " ~ dbt.type_string() ~ "), '0001-01-01')", 'branch',
        ]) }} as day_and_branch
    from {{ ref('fct_participation') }}
    where is_active
),

active as (
    select
        period_start,
        person_key,
        {%- for segment in jamsostek_segments() %}
        {%- for suffix, condition in card_conditions().items() %}
        cast(sum(case when segment = '{{ segment }}' and {{ condition }} then 1 else 0 end) as int)
            as {{ segment | lower }}_{{ suffix }},
        {%- endfor %}
        substring(max(case when segment = '{{ segment }}' then day_and_branch end), 11) as branch_{{ segment | lower }},
        {%- endfor %}
        substring(max(day_and_branch), 11) as branch_all
    from cards
    group by period_start, person_key
)

select
    active.period_start,
    coalesce(resident.kemendagri_code, {{ unplaced_code() }}) as kemendagri_code,
    resident.person_key is not null as is_resident,
    {%- for name in card_set() %}
    active.{{ name }},
    {%- endfor %}
    {%- for segment in ['all'] + jamsostek_segments() %}
    active.branch_{{ segment | lower }},
    {%- endfor %}
    cast(count(*) as bigint) as persons
from active
left join months on months.month_start = active.period_start
left join {{ ref('fct_registry_member') }} as resident
    on resident.person_key = active.person_key
    and resident.period_start = months.registry_period
    and resident.ranking = months.ranking
    and resident.is_in_scope
group by
    active.period_start,
    coalesce(resident.kemendagri_code, {{ unplaced_code() }}),
    resident.person_key is not null
    {%- for name in card_set() %},
    active.{{ name }}
    {%- endfor %}
    {%- for segment in ['all'] + jamsostek_segments() %},
    active.branch_{{ segment | lower }}
    {%- endfor %}
