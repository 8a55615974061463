/*
Who may be an active participant without our knowing: people another record of the feed may be, and people whose own record in
the registry may be a participant, until somebody has looked at the pair. Nobody whom a firm link already shows active stands here
twice.
*/
with candidates as (
    select dataset, record_key, person_key, candidate_person_key
    from {{ source('linkage', 'identity_candidates') }}
    where dataset in ('bpjstk/participants', 'bps/social_registry_individuals')
),

possible as (
    select participation.*, candidates.candidate_person_key as possible_key
    from {{ ref('fct_participation') }} as participation
    inner join candidates
        on candidates.record_key = participation.record_key and candidates.dataset = 'bpjstk/participants'
    where participation.is_active
    union all
    select participation.*, candidates.person_key
    from {{ ref('fct_participation') }} as participation
    inner join candidates
        on candidates.candidate_person_key = participation.person_key
        and candidates.dataset = 'bps/social_registry_individuals'
    where participation.is_active and candidates.person_key is not null
)

select
    period_start,
    possible_key as person_key,
    case when grouping(segment) = 1 then 'all' else segment end as segment,
    {%- for programme in ['jkk', 'jkm', 'jht', 'jp', 'jkp'] %}
    max(cast(has_{{ programme }} as int)) as has_{{ programme }}{{ ',' if not loop.last }}
    {%- endfor %}
from possible
group by grouping sets ((period_start, possible_key, segment), (period_start, possible_key))
