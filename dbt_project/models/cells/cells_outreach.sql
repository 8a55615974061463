-- Whom sessions reached and who registered, as the police report it, by segment and kind of worker.
select
    held_month as period_start,
    kemendagri_code,
    segment,
    coalesce(worker_kind, 'not_stated') as worker_kind,
    -- A sheet that is silent about registrations does not say that there were none.
    {{ dbt.bool_or('registrations_reported is not null') }} as is_registration_reported,
    cast(sum(people_reached) as bigint) as people_reached,
    cast(sum(coalesce(registrations_reported, 0)) as bigint) as registrations_reported
from {{ ref('fct_outreach_session') }}
group by held_month, kemendagri_code, segment, coalesce(worker_kind, 'not_stated')
