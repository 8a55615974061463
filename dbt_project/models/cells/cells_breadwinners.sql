/*
Families by whether the cards of a month cover their breadwinner. A quarter is told by the cards of its last month: both print
the same families.
*/
with spans as (
    select
        period_kind, period_start,
        row_number() over (partition by coverage_month, ranking order by period_kind, period_start) as choice
    from (
        select distinct period_kind, period_start, coverage_month, ranking from {{ ref('family_situation') }}
    ) as told
)

select
    situation.coverage_month as period_start,
    situation.registry_period,
    situation.ranking,
    {{ desil_class('situation.desil') }} as desil_class,
    situation.kemendagri_code,
    {{- count_families(['all'], ['not_applicable', 'any'] + answers()) }}
from {{ ref('family_situation') }} as situation
inner join spans
    on spans.period_kind = situation.period_kind and spans.period_start = situation.period_start and spans.choice = 1
group by 1, 2, 3, 4, 5
