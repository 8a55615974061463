/*
Families in scope by rank, with and without assistance, month by month against the registry quarter in effect. A family on a list
that the registry does not show at all may be one it does show under another card, and a row that the gate put aside may name any:
both stand in the upper bound. One that the registry shows out of scope stands in none. The premium that province or city pay is
no list: the registry itself says it, where its layout asks, and who is silent may receive it.
*/
{%- set smallest = var('disclosure_threshold') %}
with programmes as (
    -- What no list has ever named has no rows.
    select distinct programme from {{ ref('fct_assistance') }}
    union all
    select 'any'
),

{%- for relation, cells, keys in [
    ('registered', 'cells_assistance', ['desil', 'families']), ('unmatched', 'cells_assistance_unmatched', [])
] %}

{{ relation }} as (
    select spread.*
    from (
        {%- for programme in ['any'] + assistance_programmes() %}
        select
            period_start, ranking, kemendagri_code, '{{ programme }}' as programme,
            {%- for key in keys %} {{ key }},{% endfor %} receiving_{{ programme }} as receiving
            {%- if relation == 'unmatched' %}, nowhere_{{ programme }} as nowhere{% endif %}
        from {{ ref(cells) }}
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) as spread
    inner join programmes on programmes.programme = spread.programme
),
{%- endfor %}

by_rank as (
    select period_start, ranking, kemendagri_code, programme, desil, families, receiving from registered
    union all
    select period_start, ranking, kemendagri_code, programme, 'all', sum(families), sum(receiving)
    from registered
    group by period_start, ranking, kemendagri_code, programme
),

{%- for relation, source, keys, counts in [
    ('families_by_level', 'by_rank', ['ranking', 'programme', 'desil'], ['families', 'receiving']),
    ('nowhere_by_level', 'unmatched', ['ranking', 'programme'], ['nowhere']),
] %}

{{ relation }} as (
    select
        period_start, area_code as kemendagri_code
        {%- for name in keys %}, {{ name }}{% endfor %}
        {%- for name in counts %}, sum({{ name }}) as {{ name }}{% endfor %}
    from ({{ at_each_area_level(source) }}) as spread
    group by period_start, area_code{% for name in keys %}, {{ name }}{% endfor %}
),
{%- endfor %}

put_aside as (
    -- The family of a row put aside may live in any area: bounds do not add up over areas.
    select period_start, sum(rows_put_aside) as rows_put_aside
    from {{ ref('cells_rows_put_aside') }}
    where dataset = 'kemensos/assistance'
    group by period_start
),

possible as (
    select
        families.*,
        families.families - families.receiving as others,
        coalesce(nowhere.nowhere, 0) + coalesce(put_aside.rows_put_aside, 0) as possible
    from families_by_level as families
    left join nowhere_by_level as nowhere
        on nowhere.period_start = families.period_start
        and nowhere.ranking = families.ranking
        and nowhere.programme = families.programme
        and nowhere.kemendagri_code = families.kemendagri_code
    left join put_aside on put_aside.period_start = families.period_start
),

bounded as (
    -- Where all but a few of the others may receive, all may: what is left between bound and base is a count too.
    select
        *,
        case when possible >= {{ smallest }} and others - possible < {{ smallest }} then others else least(others, possible) end
            as possibly_receiving
    from possible
),

premium as (
    -- A layout that does not ask has no rows.
    select
        cells.period_start, cells.ranking, cells.kemendagri_code, cells.desil, cells.families,
        cells.receiving_pbi_pemda as receiving, cells.unanswered_pbi_pemda as possibly_receiving
    from {{ ref('cells_assistance') }} as cells
    inner join (
        select distinct period_start, ranking from {{ ref('fct_welfare') }} where receives_pbi_pemda is not null
    ) as asked
        on asked.period_start = cells.registry_period and asked.ranking = cells.ranking
),

premium_by_rank as (
    select period_start, ranking, kemendagri_code, desil, families, receiving, possibly_receiving from premium
    union all
    select period_start, ranking, kemendagri_code, 'all', sum(families), sum(receiving), sum(possibly_receiving)
    from premium
    group by period_start, ranking, kemendagri_code
),

told as (
    select period_start, ranking, kemendagri_code, programme, desil, families, receiving, possibly_receiving from bounded
    union all
    select
        period_start, ranking, area_code, 'pbi_pemda', desil,
        sum(families), sum(receiving), sum(possibly_receiving)
    from ({{ at_each_area_level('premium_by_rank') }}) as spread
    group by period_start, ranking, area_code, desil
),

measured as (
    select
        period_start, 'month' as period_kind, kemendagri_code, 'families_receiving' as measure, ranking, desil, programme,
        receiving as numerator, families as denominator,
        receiving as numerator_low, receiving + possibly_receiving as numerator_high
    from told
    union all
    select
        period_start, 'month', kemendagri_code, 'families_not_receiving', ranking, desil, programme,
        families - receiving, families, families - receiving - possibly_receiving, families - receiving
    from told
),

counted as (
    select
        period_start, 'month' as period_kind, kemendagri_code, 'families_receiving_not_in_scope' as measure, ranking,
        'all' as desil, programme, receiving as numerator, cast(null as bigint) as denominator
    from unmatched
    union all
    select
        put_aside.period_start, 'month', put_aside.kemendagri_code, 'rows_put_aside', in_effect.ranking, 'all', 'any',
        put_aside.rows_put_aside, null
    from {{ ref('cells_rows_put_aside') }} as put_aside
    inner join {{ ref('registry_in_effect') }} as in_effect
        on in_effect.month_start = put_aside.period_start and in_effect.is_main
    where put_aside.dataset = 'kemensos/assistance'
)

{% set keys = ['ranking', 'desil', 'programme'] -%}
{{ long_mart('assistance_by_area_period', 'measured', keys=keys,
    provides=['numerator_low', 'numerator_high'], rollup=false) }}
union all
{{ long_mart('assistance_by_area_period', 'counted', keys=keys) }}
