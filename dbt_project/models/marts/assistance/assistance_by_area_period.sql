/*
Families in scope by rank, with and without assistance, month by month against the registry quarter in effect. A family on a
list that the registry does not show in scope may be one it does show under another card: that is the upper bound. The premium
that province or city pay is no list: the registry itself says it, where its layout asks, and who is silent may receive it.
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

bounded as (
    -- Where all but a few of the others may be the unmatched, all may: what is left between bound and base is a count too.
    select
        by_rank.*,
        case
            when unmatched.receiving >= {{ smallest }} and by_rank.families - by_rank.receiving - unmatched.receiving < {{ smallest }}
                then by_rank.families - by_rank.receiving
            else least(by_rank.families - by_rank.receiving, coalesce(unmatched.receiving, 0))
        end as possibly_receiving
    from by_rank
    left join unmatched
        on unmatched.period_start = by_rank.period_start
        and unmatched.ranking = by_rank.ranking
        and unmatched.programme = by_rank.programme
        and unmatched.kemendagri_code = by_rank.kemendagri_code
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

told as (
    select period_start, ranking, kemendagri_code, programme, desil, families, receiving, possibly_receiving from bounded
    union all
    select
        period_start, ranking, kemendagri_code, 'pbi_pemda', desil, families, receiving, possibly_receiving
    from premium
    union all
    select
        period_start, ranking, kemendagri_code, 'pbi_pemda', 'all', sum(families), sum(receiving), sum(possibly_receiving)
    from premium
    group by period_start, ranking, kemendagri_code
),

measured as (
    select
        period_start, kemendagri_code, 'families_receiving' as measure, ranking, desil, programme,
        receiving as numerator, families as denominator,
        receiving as numerator_low, receiving + possibly_receiving as numerator_high
    from told
    union all
    select
        period_start, kemendagri_code, 'families_not_receiving', ranking, desil, programme,
        families - receiving, families, families - receiving - possibly_receiving, families - receiving
    from told
    union all
    select
        period_start, kemendagri_code, 'families_receiving_not_in_scope', ranking, 'all', programme,
        receiving, null, null, null
    from unmatched
    union all
    select
        put_aside.period_start, put_aside.kemendagri_code, 'rows_put_aside', in_effect.ranking, 'all', 'any',
        put_aside.rows_put_aside, null, null, null
    from {{ ref('cells_rows_put_aside') }} as put_aside
    inner join {{ ref('registry_in_effect') }} as in_effect
        on in_effect.month_start = put_aside.period_start and in_effect.is_main
    where put_aside.dataset = 'kemensos/assistance'
),

measured_by_month as (
    select measured.*, 'month' as period_kind from measured
)

{{ long_mart('assistance_by_area_period', 'measured_by_month', keys=['ranking', 'desil', 'programme'],
    provides=['numerator_low', 'numerator_high']) }}
