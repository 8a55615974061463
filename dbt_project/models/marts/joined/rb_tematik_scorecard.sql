/*
The city's RB Tematik indicators, each as its source states it: nothing is computed here that another mart does not hold. An
indicator without a figure has one row that says so.
*/
with city_marts as (
    select
        'assistance' as feed,
        'families_receiving' as feed_measure,
        period_kind,
        period_start,
        case when not ({{ says_all('sum(numerator)', 'sum(denominator)') }})
            then 100.0 * sum(numerator) / nullif(sum(denominator), 0) end as value,
        min(as_of) as as_of,
        {{ dbt.bool_or('is_stale') }} as is_stale
    from {{ ref('assistance_by_area_period') }}
    where kemendagri_code = '{{ var("city") }}' and measure = 'families_receiving' and ranking = 'dtsen'
        and programme = 'any' and desil in ('01', '02', '03', '04')
    group by period_kind, period_start
    union all
    select 'coverage', measure, period_kind, period_start, percentage, as_of, is_stale
    from {{ ref('coverage_by_area_month') }}
    where kemendagri_code = '{{ var("city") }}'
        and (
            measure = 'pbpu_coverage_06_02_021'
            or measure = 'covered_of_workers' and segment = 'BPU' and programme = 'JKK+JKM' and worker_group = 'all'
        )
    union all
    select 'stunting', measure, period_kind, period_start, percentage, as_of, is_stale
    from {{ ref('stunting_by_area_month') }}
    where kemendagri_code = '{{ var("city") }}' and measure = 'stunted' and period_kind = 'month'
        and source_system = 'eppgbm' and area_basis = 'residence' and age_group = 'all'
    union all
    -- A handful of matches are mistaken numbers, such as a child entered under a parent's: no system is reused for them.
    select
        'reuse', 'pairs', 'month', period_start,
        sum(case when matched_low >= 0.01 * least(records_left, records_right) then 1 else 0 end),
        {{ dbt.last_day('period_start', 'month') }}, false
    from {{ ref('data_reuse_by_dataset_pair') }}
    group by period_start
),

published as (
    -- A figure of a period still running is as old as its publication.
    select
        figure.indicator as feed_measure, figure.source_system, figure.period_kind, figure.period_start, figure.value,
        figure.source_title,
        least(coalesce(period.period_end, figure.period_start), figure.source_release_date) as as_of,
        row_number() over (
            partition by figure.indicator, figure.source_system, figure.period_kind, figure.period_start
            order by figure.source_release_date desc, figure.source_title asc
        ) as newest_first
    from {{ ref('published_by_area_period') }} as figure
    left join {{ ref('dim_period') }} as period
        on period.period_kind = figure.period_kind and period.period_start = figure.period_start
    where figure.kemendagri_code = '{{ var("city") }}' and figure.is_latest
),

valued as (
    select
        given.theme, given.indicator, mart.period_kind, mart.period_start, mart.value, given.unit, given.target,
        given.target_year, given.target_source, given.better_when, {{ dbt.concat(["'mart '", 'given.feed']) }} as source,
        cast(mart.as_of as date) as as_of, mart.is_stale, given.basis
    from {{ ref('rb_tematik_indicators') }} as given
    inner join city_marts as mart on mart.feed = given.feed and mart.feed_measure = given.feed_measure
    where mart.value is not null
    union all
    select
        given.theme, given.indicator, figure.period_kind, figure.period_start, figure.value, given.unit, given.target,
        given.target_year, given.target_source, given.better_when, figure.source_title,
        figure.as_of,
        {{ days_between('figure.as_of', as_of_date()) }} > given.stale_after_days,
        given.basis
    from {{ ref('rb_tematik_indicators') }} as given
    inner join published as figure
        on given.feed = 'published'
        and figure.feed_measure = given.feed_measure
        and (given.feed_source_system is null or figure.source_system = given.feed_source_system)
        and figure.newest_first = 1
),

single as (
    -- An indicator open to any source takes the newest publication of a period.
    select valued.*, row_number() over (
        partition by theme, indicator, period_kind, period_start order by as_of desc, source asc
    ) as first_source
    from valued
),

stated as (
    select
        theme, indicator, period_kind, period_start, value, unit, target, target_year, target_source, better_when, source,
        as_of, is_stale, basis as status
    from single
    where first_source = 1
    union all
    select
        given.theme, given.indicator, 'year', cast({{ dbt.date_trunc('year', as_of_date()) }} as date), null, given.unit,
        given.target, given.target_year, given.target_source, given.better_when, cast(null as {{ dbt.type_string() }}),
        cast(null as date), true, 'no_data'
    from {{ ref('rb_tematik_indicators') }} as given
    where not exists (select 1 from valued where valued.theme = given.theme and valued.indicator = given.indicator)
)

-- A target set for one year says nothing of the others.
{% set is_targeted = 'target_year is null or target_year = extract(year from period_start)' -%}
select
    theme,
    indicator,
    period_kind,
    period_start,
    cast(value as {{ type_double() }}) as value,
    unit,
    case when {{ is_targeted }} then target end as target,
    case when {{ is_targeted }} then target_source end as target_source,
    better_when,
    source,
    as_of,
    is_stale,
    status,
    cast(null as {{ dbt.type_string() }}) as release_id
from stated
