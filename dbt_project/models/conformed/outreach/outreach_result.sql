/*
What followed each session: people registered for the first time in the kelurahan of the session, each counted once, at the
latest session before the registration. Only a registration day can be set against a session's day.
*/
with sessions as (
    select distinct kemendagri_code, held_on, held_month
    from {{ ref('fct_outreach_session') }}
    where kemendagri_code not like '%.0000'
),

attributed as (
    select
        first.person_key,
        first.segment,
        first.kemendagri_code,
        first.registered_on,
        max(sessions.held_on) as held_on
    from {{ ref('first_participation') }} as first
    inner join sessions
        on sessions.kemendagri_code = first.kemendagri_code
        and sessions.held_on <= first.registered_on
        and {{ dbt.dateadd('day', 90, 'sessions.held_on') }} >= first.registered_on
    where first.segment in ('BPU', 'PU')
    group by first.person_key, first.segment, first.kemendagri_code, first.registered_on
),

kept as (
    -- Still active in BPU in the sixth month after the month of registration.
    select distinct attributed.person_key
    from attributed
    inner join {{ ref('fct_participation') }} as later
        on later.person_key = attributed.person_key
        and later.segment = 'BPU'
        and later.is_active
        and later.period_start = {{ add_months(6, month_start('attributed.registered_on')) }}
    where attributed.segment = 'BPU'
)

select
    attributed.person_key,
    attributed.segment,
    attributed.kemendagri_code,
    {{ month_start('attributed.held_on') }} as held_month,
    {{ days_between('attributed.held_on', 'attributed.registered_on') }} as days_after_session,
    kept.person_key is not null as is_retained
from attributed
left join kept on kept.person_key = attributed.person_key and attributed.segment = 'BPU'
