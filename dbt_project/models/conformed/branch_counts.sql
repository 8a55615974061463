/*
Active participants by the branch that keeps their card. A person with cards in two branches stands once per segment, in the
branch of the newest card, so that branches add up to the city.
*/
with active as (
    select
        period_start,
        person_key,
        case when grouping(segment) = 1 then 'all' else segment end as segment,
        substring(max({{ dbt.concat([
            "coalesce(cast(registered_on as " ~ dbt.type_string() ~ "), '0001-01-01')", 'branch',
        ]) }}), 11) as branch,
        {%- for programme in ['jkk', 'jkm', 'jht', 'jp', 'jkp'] %}
        max(cast(has_{{ programme }} as int)) as has_{{ programme }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('fct_participation') }}
    where is_active
    group by grouping sets ((period_start, person_key, segment), (period_start, person_key))
),

persons as (
    select
        period_start,
        branch,
        segment,
        count(*) as persons_any,
        {%- for programme in ['jkk', 'jkm', 'jht', 'jp', 'jkp'] %}
        sum(has_{{ programme }}) as persons_{{ programme }},
        {%- endfor %}
        sum(case when has_jkk = 1 and has_jkm = 1 then 1 else 0 end) as persons_jkk_jkm
    from active
    group by period_start, branch, segment
),

cards as (
    select
        period_start,
        branch,
        case when grouping(segment) = 1 then 'all' else segment end as segment,
        count(*) as cards_any,
        {%- for programme in ['jkk', 'jkm', 'jht', 'jp', 'jkp'] %}
        sum(cast(has_{{ programme }} as int)) as cards_{{ programme }},
        {%- endfor %}
        sum(case when has_jkk and has_jkm then 1 else 0 end) as cards_jkk_jkm
    from {{ ref('fct_participation') }}
    where is_active
    group by grouping sets ((period_start, branch, segment), (period_start, branch))
)

select
    cards.period_start,
    cards.branch,
    cards.segment
    {%- for suffix in programmes().values() %},
    cast(coalesce(persons.persons_{{ suffix }}, 0) as bigint) as persons_{{ suffix }},
    cast(cards.cards_{{ suffix }} as bigint) as cards_{{ suffix }}
    {%- endfor %}
from cards
left join persons
    on persons.period_start = cards.period_start and persons.branch = cards.branch and persons.segment = cards.segment
