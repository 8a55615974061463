/*
Cards of people who hold several in one segment, by the branch that keeps the card: such a person stands in one branch only.
Everybody else's cards are where cells_branch_participants has the people.
*/
with cards as (
    select
        *,
        count(*) over (partition by period_start, person_key, segment) as cards_of_segment
    from {{ ref('fct_participation') }}
    where is_active
)

select
    cards.period_start,
    coalesce({{ dbt.concat(['unit.kemendagri_code', "'.0000'"]) }}, {{ unplaced_code() }}) as kemendagri_code,
    cards.segment
    {%- for suffix, condition in card_conditions().items() %},
    cast(sum(case when {{ condition }} then 1 else 0 end) as bigint) as cards_{{ suffix }}
    {%- endfor %}
from cards
left join {{ ref('service_units') }} as unit on unit.kind = 'branch' and unit.part = cards.branch
where cards.cards_of_segment > 1
group by 1, 2, 3
