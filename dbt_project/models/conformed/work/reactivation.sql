-- People active in BPU again after at least one month of the feed without it: not new, and counted apart.
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
)

select
    spells.person_key,
    spells.period_start,
    coalesce(person.kemendagri_code, {{ unplaced_code() }}) as kemendagri_code
from spells
left join {{ ref('dim_person') }} as person on person.person_key = spells.person_key and person.is_in_scope
where {{ add_months(1, 'spells.previous_active') }} < spells.period_start
