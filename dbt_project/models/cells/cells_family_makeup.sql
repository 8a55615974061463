-- Families of a registry by whether a breadwinner is among them: no other file has a say in it.
with spans as (
    select
        period_kind, period_start, registry_period, ranking,
        row_number() over (partition by registry_period, ranking order by period_kind, period_start) as choice
    from (select distinct period_kind, period_start, registry_period, ranking from {{ ref('family_situation') }}) as told
)

select
    situation.registry_period as period_start,
    situation.ranking,
    {{ desil_class('situation.desil') }} as desil_class,
    situation.kemendagri_code,
    cast(count(*) as bigint) as families,
    {{- count_families(['all'], ['not_applicable', 'any']) }}
from {{ ref('family_situation') }} as situation
inner join spans
    on spans.period_kind = situation.period_kind and spans.period_start = situation.period_start and spans.choice = 1
group by 1, 2, 3, 4
