/*
Three things about a family in scope, for a month and for a quarter: its rank, whether a child under five is stunted, whether
its breadwinner is uncovered. Unmeasured is unknown, never "not stunted"; no child under five is not applicable, never healthy.
Nor does a missing age answer anything: who may be a child, or the breadwinner, leaves the question open.

Children under five are those whom the registry lists as such and those whom a posyandu saw in the period: the registry does not
know the newest yet, and of those who turn five before its day it no longer says so. Who is listed belongs to the family that lists
it, else to that of its card.

The breadwinner is the working head, else the oldest working member aged 15 to 64. One whom a card may belong to that waits for
a person's decision, or who works for the state (status 5, whose schemes lie outside Jamsostek), is unknown unless the feed
shows a card.
*/
with periods as (
    -- A quarter is told by its own months: any measurement in it, and the cards of its last month that the feed has.
    select
        month.month_start,
        month.ranking,
        month.registry_period,
        'month' as period_kind,
        month.month_start as period_start,
        {{ add_months(1, 'month.month_start') }} as next_start
    from {{ ref('registry_in_effect') }} as month
    where month.is_main
    union all
    select
        month.month_start,
        month.ranking,
        month.registry_period,
        'quarter',
        cast({{ dbt.date_trunc('quarter', 'month.month_start') }} as date),
        {{ add_months(3, dbt.date_trunc('quarter', 'month.month_start')) }}
    from {{ ref('registry_in_effect') }} as month
    where month.is_main
),

feed as (
    select distinct period_start from {{ ref('fct_participation') }}
),

spans as (
    select
        periods.period_kind,
        periods.period_start,
        periods.next_start,
        -- The registry that describes the span's last month describes the span.
        max(periods.registry_period) as registry_period,
        min(periods.ranking) as ranking,
        max(feed.period_start) as coverage_month
    from periods
    left join feed on feed.period_start = periods.month_start
    group by periods.period_kind, periods.period_start, periods.next_start
),

spanned as (
    select spans.*
    from spans
    inner join (
        select min(period_start) as first_month, max(period_start) as last_month from {{ ref('child_period') }}
    ) as measured
        on spans.period_start <= measured.last_month
        and spans.next_start > measured.first_month
    where spans.coverage_month is not null
),

seen_children as (
    select
        span.period_kind,
        span.period_start,
        span.registry_period,
        span.ranking,
        child.person_key,
        case when child.link_band <> 'review' then child.family_key end as family_key,
        child.period_start as measured_month,
        child.is_haz_valid,
        child.haz_category in ('stunted', 'severely_stunted') as is_stunted,
        row_number() over (
            partition by span.period_kind, span.period_start, child.person_key
            order by case when child.is_haz_valid then 0 else 1 end, child.period_start desc
        ) as best_first
    from {{ ref('child_period') }} as child
    inner join spanned as span
        on child.period_kind = 'month'
        and child.is_measured
        and child.period_start >= span.period_start
        and child.period_start < span.next_start
),

known_children as (
    select span.period_kind, span.period_start, member.family_key, member.person_key
    from spanned as span
    inner join {{ ref('fct_registry_member') }} as member
        on member.period_start = span.registry_period
        and member.ranking = span.ranking
        and member.is_in_scope
        and (
            member.age_years < 5
            or member.age_years is null and not coalesce(member.is_working, false) and coalesce(member.relation_code, '') not in ('1', '2')
        )
    union
    select seen.period_kind, seen.period_start, coalesce(member.family_key, seen.family_key), seen.person_key
    from seen_children as seen
    left join {{ ref('fct_registry_member') }} as member
        on member.person_key = seen.person_key
        and member.period_start = seen.registry_period
        and member.ranking = seen.ranking
        and member.is_in_scope
    where seen.best_first = 1 and coalesce(member.family_key, seen.family_key) is not null
),

children as (
    select
        known.period_kind,
        known.period_start,
        known.family_key,
        max(case when seen.is_haz_valid and seen.is_stunted then 1 else 0 end) as has_stunted,
        max(case when seen.is_haz_valid then 0 else 1 end) as has_unmeasured
    from known_children as known
    left join seen_children as seen
        on seen.period_kind = known.period_kind
        and seen.period_start = known.period_start
        and seen.person_key = known.person_key
        and seen.best_first = 1
    group by known.period_kind, known.period_start, known.family_key
),

measured_months as (
    select
        period_kind, period_start, min(measured_month) as first_measured_month, max(measured_month) as measured_month
    from seen_children
    where is_haz_valid
    group by period_kind, period_start
),

breadwinners as (
    select
        period_start, ranking, family_key, person_key, worker_segment,
        coalesce(relation_code, '') = '1' or age_years is not null as is_sure
    from (
        select
            member.*,
            row_number() over (
                partition by period_start, ranking, family_key
                -- The row's place before its pseudonym: a change of keys changes no figure.
                order by
                    case when relation_code = '1' then 0 else 1 end asc,
                    coalesce(age_years, -1) desc,
                    delivery_id asc,
                    source_row asc,
                    person_key asc
            ) as choice
        from {{ ref('fct_registry_member') }} as member
        where is_in_scope and is_working and (relation_code = '1' or coalesce(age_years, 15) between 15 and 64)
    ) as working
    where choice = 1
),

covered as (
    select distinct person_key, period_start
    from {{ ref('fct_participation') }}
    where is_active and is_linked
),

possibly_covered as (
    select person_key, period_start from {{ ref('possible_participation') }} where segment = 'all'
)

select
    span.period_kind,
    span.period_start,
    span.registry_period,
    span.ranking,
    span.coverage_month,
    measured_months.first_measured_month,
    measured_months.measured_month,
    family.family_key,
    family.kemendagri_code,
    family.desil,
    breadwinner.person_key as breadwinner_key,
    case
        when children.family_key is null then 'not_applicable'
        when children.has_stunted = 1 then 'yes'
        when children.has_unmeasured = 1 then 'unknown'
        else 'no'
    end as stunted_child,
    case
        when breadwinner.family_key is null then 'not_applicable'
        when covered.person_key is not null then 'no'
        when possibly_covered.person_key is not null or breadwinner.worker_segment = 'mixed' or not breadwinner.is_sure
            then 'unknown'
        else 'yes'
    end as uncovered_breadwinner
from spanned as span
inner join {{ ref('fct_welfare') }} as family
    on family.period_start = span.registry_period and family.ranking = span.ranking and family.is_in_scope
left join measured_months
    on measured_months.period_kind = span.period_kind and measured_months.period_start = span.period_start
left join children
    on children.period_kind = span.period_kind
    and children.period_start = span.period_start
    and children.family_key = family.family_key
left join breadwinners as breadwinner
    on breadwinner.period_start = span.registry_period
    and breadwinner.ranking = span.ranking
    and breadwinner.family_key = family.family_key
left join covered on covered.person_key = breadwinner.person_key and covered.period_start = span.coverage_month
left join possibly_covered
    on possibly_covered.person_key = breadwinner.person_key and possibly_covered.period_start = span.coverage_month
