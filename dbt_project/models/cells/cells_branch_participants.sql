/*
The same people by the branch that keeps their newest card, of a segment and of all: a column for each branch, so that branches
add up to what is printed by residence. Branches that no register knows are the rest.
*/
{%- for segment in ['all'] + jamsostek_segments() %}
select
    period_start,
    '{{ segment }}' as segment
    {%- for name in card_set() %},
    {{ name }}
    {%- endfor %},
    cast(sum(persons) as bigint) as persons
    {%- for branch in branches() %},
    cast(sum(case when branch_{{ segment | lower }} = '{{ branch }}' then persons else 0 end) as bigint) as at_{{ branch }}
    {%- endfor %}
from {{ ref('participant_counts') }}
where {{ holds(segment, 'any') }}
group by
    period_start
    {%- for name in card_set() %},
    {{ name }}
    {%- endfor %}
{{ 'union all' if not loop.last }}
{%- endfor %}
