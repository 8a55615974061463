/*
What families in scope lack, all ranks together: housing is published without the desil. The persons who reach k are those of the
living-standards index, once for each indicator that carries weight; the others have no share of it to print.
*/
{%- set indicators = living_standards_indicators() %}
with weights as (
    {{ living_standards_weights() }}
)

select
    family.period_start,
    family.ranking,
    family.kemendagri_code,
    cast(count(*) as bigint) as families,
    cast(count(family.size_agrees) as bigint) as sizes_compared,
    cast(sum(coalesce(family.size_agrees, 0)) as bigint) as sizes_agreeing,
    {%- for name in indicators %}
    cast(count(family.is_deprived_{{ name }}) as bigint) as answered_{{ name }},
    cast(sum(coalesce(family.is_deprived_{{ name }}, 0)) as bigint) as deprived_{{ name }},
    {%- endfor %}
    cast(sum(coalesce(family.person_count, 0)) as bigint) as persons_stated,
    cast(sum(case when family.is_multiply_deprived is not null then coalesce(family.person_count, 0) else 0 end) as bigint)
        as persons_scored,
    cast(sum(case when family.is_multiply_deprived = 1 then coalesce(family.person_count, 0) else 0 end) as bigint)
        as persons_deprived
    {%- for name in indicators %},
    cast(sum(case
        when family.is_multiply_deprived = 1 and family.is_deprived_{{ name }} = 1 and weights.weight_{{ name }} > 0
            then coalesce(family.person_count, 0)
        else 0
    end) as bigint) as persons_deprived_in_{{ name }}
    {%- endfor %}
from {{ ref('fct_welfare') }} as family
cross join weights
where family.is_in_scope and {{ is_no_second_rank('family.ranking') }}
group by family.period_start, family.ranking, family.kemendagri_code
