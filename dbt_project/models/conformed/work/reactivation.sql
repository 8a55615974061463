/*
People active in BPU again after at least one whole month of the feed without it: not new, and counted apart. In a month that a
branch did not send nobody can be told to have been away.
*/
with active as (
    select distinct person_key, period_start
    from {{ ref('fct_participation') }}
    where segment = 'BPU' and is_active and is_linked
),

spells as (
    select
        person_key,
        period_start,
        lag(period_start) over (partition by person_key order by period_start) as previous_active
    from active
),

returns as (
    select distinct spells.person_key, spells.period_start
    from spells
    inner join {{ ref('feed_month') }} as away
        on away.period_start > spells.previous_active and away.period_start < spells.period_start and away.is_whole
    where {{ add_months(1, 'spells.previous_active') }} < spells.period_start
)

select
    returns.person_key,
    returns.period_start,
    coalesce(person.kemendagri_code, {{ unplaced_code() }}) as kemendagri_code
from returns
left join {{ ref('dim_person') }} as person on person.person_key = returns.person_key and person.is_in_scope
