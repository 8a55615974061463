/*
Who may be an active participant without our knowing: people another record of the feed may be, until somebody has looked at
the pair. Nobody whom a firm link already shows active stands here twice.
*/
with candidates as (
    select record_key, candidate_person_key
    from {{ source('linkage', 'identity_candidates') }}
    where dataset = 'bpjstk/participants'
)

select
    participation.period_start,
    candidates.candidate_person_key as person_key,
    case when grouping(participation.segment) = 1 then 'all' else participation.segment end as segment,
    {%- for programme in ['jkk', 'jkm', 'jht', 'jp', 'jkp'] %}
    max(cast(participation.has_{{ programme }} as int)) as has_{{ programme }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ ref('fct_participation') }} as participation
inner join candidates on candidates.record_key = participation.record_key
where participation.is_active
group by grouping sets (
    (participation.period_start, candidates.candidate_person_key, participation.segment),
    (participation.period_start, candidates.candidate_person_key)
)
