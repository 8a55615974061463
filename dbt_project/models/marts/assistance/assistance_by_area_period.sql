/*
Families in scope by rank, with and without assistance, month by month against the registry quarter in effect. A family on a
list that the registry does not show in scope may be one it does show under another card: that is the upper bound.
*/
with months as (
    select in_effect.month_start, in_effect.ranking, in_effect.registry_period
    from {{ ref('registry_in_effect') }} as in_effect
    inner join (select distinct period_start from {{ ref('fct_assistance') }}) as feed
        on feed.period_start = in_effect.month_start
),

received as (
    select period_start, family_key, programme, kemendagri_code from {{ ref('fct_assistance') }}
    union all
    select period_start, family_key, 'any', min(kemendagri_code)
    from {{ ref('fct_assistance') }}
    group by period_start, family_key
),

programmes as (
    select distinct programme from received
),

matched as (
    select
        months.month_start,
        months.ranking,
        received.programme,
        coalesce(family.kemendagri_code, received.kemendagri_code) as kemendagri_code,
        family.desil,
        count(*) as families
    from received
    inner join months on months.month_start = received.period_start
    left join {{ ref('fct_welfare') }} as family
        on family.family_key = received.family_key
        and family.period_start = months.registry_period
        and family.ranking = months.ranking
        and family.is_in_scope
    group by
        months.month_start,
        months.ranking,
        received.programme,
        coalesce(family.kemendagri_code, received.kemendagri_code),
        family.desil
),

registered as (
    select period_start, ranking, kemendagri_code, desil, count(*) as families
    from {{ ref('fct_welfare') }}
    where is_in_scope
    group by period_start, ranking, kemendagri_code, desil
),

by_desil as (
    select
        months.month_start,
        months.ranking,
        registered.kemendagri_code,
        programmes.programme,
        registered.desil,
        registered.families,
        coalesce(matched.families, 0) as receiving
    from months
    inner join registered on registered.period_start = months.registry_period and registered.ranking = months.ranking
    cross join programmes
    left join matched
        on matched.month_start = months.month_start
        and matched.ranking = months.ranking
        and matched.programme = programmes.programme
        and matched.kemendagri_code = registered.kemendagri_code
        and matched.desil = registered.desil
),

by_rank as (
    select * from by_desil
    union all
    select month_start, ranking, kemendagri_code, programme, 'all', sum(families), sum(receiving)
    from by_desil
    group by month_start, ranking, kemendagri_code, programme
),

bounded as (
    select
        by_rank.*,
        least(by_rank.families - by_rank.receiving, coalesce(unmatched.families, 0)) as possibly_receiving
    from by_rank
    left join matched as unmatched
        on unmatched.month_start = by_rank.month_start
        and unmatched.ranking = by_rank.ranking
        and unmatched.programme = by_rank.programme
        and unmatched.kemendagri_code = by_rank.kemendagri_code
        and unmatched.desil is null
),

measured as (
    select
        month_start as period_start, kemendagri_code, 'families_receiving' as measure, ranking, desil, programme,
        receiving as numerator, families as denominator,
        receiving as numerator_low, receiving + possibly_receiving as numerator_high
    from bounded
    union all
    select
        month_start, kemendagri_code, 'families_not_receiving', ranking, desil, programme,
        families - receiving, families, families - receiving - possibly_receiving, families - receiving
    from bounded
    union all
    select
        month_start, kemendagri_code, 'families_receiving_not_in_scope', ranking, 'all', programme,
        families, null, null, null
    from matched
    where desil is null
    union all
    select
        put_aside.period_start, put_aside.kemendagri_code, 'rows_put_aside', in_effect.ranking, 'all', 'any',
        put_aside.rows_put_aside, null, null, null
    from {{ ref('part_put_aside') }} as put_aside
    inner join {{ ref('registry_in_effect') }} as in_effect
        on in_effect.month_start = put_aside.period_start and in_effect.is_main
    where put_aside.dataset = 'kemensos/assistance'
),

measured_by_month as (
    select measured.*, 'month' as period_kind from measured
)

{{ long_mart('assistance_by_area_period', 'measured_by_month', keys=['ranking', 'desil', 'programme'],
    provides=['numerator_low', 'numerator_high']) }}
