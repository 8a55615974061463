/*
People active within the twelve months before a month and not active in it, by the segments of their last active month. A
month has figures only when the feed reaches back twelve months; before that nobody can be told to have lapsed.
*/
with feed as (
    select distinct period_start from {{ ref('fct_participation') }}
),

months as (
    select feed.period_start
    from feed
    cross join (select min(period_start) as first_month from feed) as origin
    where feed.period_start >= {{ add_months(12, 'origin.first_month') }}
),

active as (
    -- A record that nothing names cannot be followed from month to month: it would lapse every month.
    select distinct period_start, person_key, segment
    from {{ ref('fct_participation') }}
    where is_active and is_linked
),

spells as (
    select
        person_key,
        period_start,
        lead(period_start) over (partition by person_key order by period_start) as next_active
    from (select distinct period_start, person_key from active) as person_month
),

lapsed as (
    select spells.person_key, spells.period_start as last_active, months.period_start
    from spells
    inner join months
        on months.period_start > spells.period_start
        and months.period_start <= {{ add_months(12, 'spells.period_start') }}
        and (spells.next_active is null or months.period_start < spells.next_active)
),

by_person as (
    select
        lapsed.person_key,
        lapsed.period_start
        {%- for segment in jamsostek_segments() %},
        max(case when active.segment = '{{ segment }}' then 1 else 0 end) = 1 as was_{{ segment | lower }}
        {%- endfor %}
    from lapsed
    inner join active on active.person_key = lapsed.person_key and active.period_start = lapsed.last_active
    group by lapsed.person_key, lapsed.period_start
)

select
    by_person.period_start,
    coalesce(resident.kemendagri_code, {{ unplaced_code() }}) as kemendagri_code
    {%- for segment in jamsostek_segments() %},
    by_person.was_{{ segment | lower }}
    {%- endfor %},
    cast(count(*) as bigint) as persons
from by_person
left join {{ ref('registry_in_effect') }} as month on month.month_start = by_person.period_start and month.is_main
left join {{ ref('fct_registry_member') }} as resident
    on resident.person_key = by_person.person_key
    and resident.period_start = month.registry_period
    and resident.ranking = month.ranking
    and resident.is_in_scope
group by 1, 2, 3, 4, 5, 6
