/*
Residence counts people the registry places here; branch counts cards where they are kept. The two never meet in one ratio:
every rate below has linked residents above and below the line. A published coverage stands beside, over a base nobody stated.
*/
{% set participant_segments = ['all'] + jamsostek_segments() %}
with jkn_figures as (
    -- Published participants and the civil registry's population of the same half-year, else of the last before it. A year's
    -- figure is of its end: it stands for the second half-year where that has none of its own. In a sample it comes first: it is
    -- published of the whole city, as the participants are.
    select
        {{ month_start('coalesce(period.period_end, figure.period_start)') }} as period_start,
        figure.kemendagri_code,
        cast(round(figure.value) as bigint) as participants,
        base.population,
        row_number() over (
            partition by figure.kemendagri_code, {{ month_start('coalesce(period.period_end, figure.period_start)') }}
            order by
                coalesce(period.period_end, figure.period_start) desc, figure.source_release_date desc, figure.delivery_id,
                base_period.period_end desc, base_period.period_start {{ 'asc' if is_sample() else 'desc' }}
        ) as nearest_first
    from {{ ref('fct_published_figure') }} as figure
    left join {{ ref('dim_period') }} as period
        on period.period_kind = figure.period_kind and period.period_start = figure.period_start
    inner join {{ ref('dim_period') }} as half_year
        on half_year.period_kind = 'half_year'
        and coalesce(period.period_end, figure.period_start) between half_year.period_start and half_year.period_end
    inner join {{ ref('denominators_by_area_period') }} as base
        on base.kemendagri_code = figure.kemendagri_code
        and base.denominator_source = 'dukcapil'
        and base.population_group = 'all'
    inner join {{ ref('dim_period') }} as base_period
        on base_period.period_kind = base.period_kind
        and base_period.period_start = base.period_start
        and base_period.period_end <= half_year.period_end
    where figure.indicator = 'jkn_participants'
        and figure.source_system = 'bpjs_kesehatan'
        and figure.is_latest
        and figure.kemendagri_code = '{{ var("city") }}'
),

jkn as (
    select
        period_start,
        kemendagri_code,
        'jkn_of_dukcapil' as measure,
        'all' as segment,
        'any' as programme,
        'all' as worker_group,
        participants as numerator,
        population as denominator,
        cast(null as bigint) as numerator_low,
        cast(null as bigint) as numerator_high,
        cast(null as {{ type_double() }}) as percentage_low,
        cast(null as {{ type_double() }}) as percentage_high,
        cast(null as bigint) as unknown_count
    from jkn_figures
    where nearest_first = 1
),

published_figures as (
    -- The agency's own coverage: which people over which base it does not say, so it is of neither residence nor branch.
    select
        {{ month_start('coalesce(period.period_end, figure.period_start)') }} as period_start,
        figure.kemendagri_code,
        figure.value,
        least(coalesce(period.period_end, figure.period_start), figure.source_release_date) as as_of,
        row_number() over (
            partition by figure.kemendagri_code, {{ month_start('coalesce(period.period_end, figure.period_start)') }}
            order by
                coalesce(period.period_end, figure.period_start) desc,
                figure.source_release_date desc,
                figure.delivery_id asc
        ) as newest_first
    from {{ ref('fct_published_figure') }} as figure
    left join {{ ref('dim_period') }} as period
        on period.period_kind = figure.period_kind and period.period_start = figure.period_start
    where figure.indicator = 'ucj' and figure.is_latest and figure.kemendagri_code = '{{ var("city") }}'
),

published as (
    select
        period_start,
        'month' as period_kind,
        kemendagri_code,
        'published_ucj' as measure,
        'jamsostek' as scheme,
        'not_stated' as area_basis,
        'all' as segment,
        'any' as programme,
        'all' as worker_group,
        cast(null as bigint) as numerator,
        cast(null as bigint) as denominator,
        value as percentage,
        as_of
    from published_figures
    where newest_first = 1
),

at_levels as (
    select
        *,
        'month' as period_kind,
        'jamsostek' as scheme,
        'residence' as area_basis,
        -- The bounds' percentages are of two bases.
        cast(null as bigint) as bounds_denominator
    from {{ ref('worker_coverage') }}
    union all
    select *, 'month', 'jkn', 'residence', null from jkn
),

lapsed as (
    {%- for segment in participant_segments %}
    select period_start, kemendagri_code, '{{ segment }}' as segment, sum(persons) as persons
    from {{ ref('cells_lapsed') }}
    {%- if segment != 'all' %}
    where was_{{ segment | lower }}
    {%- endif %}
    group by period_start, kemendagri_code
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

worker_margins as (
    -- People the base leaves out, each with a measure of its own so that nobody disappears.
    select
        period_start,
        kemendagri_code,
        sum(case when worker_segment = 'unpaid_family' and age_band = '15_64' then persons else 0 end)
            as unpaid_family_workers,
        sum(case when worker_segment = 'mixed' and age_band = '15_64' then persons else 0 end) as workers_public_sector,
        sum(case when worker_segment = 'unknown' and age_band = '15_64' then persons else 0 end) as workers_unknown_status,
        sum(case when age_band = 'unknown' then persons else 0 end) as workers_unknown_age
    from {{ ref('cells_workers') }}
    group by period_start, kemendagri_code
),

additive as (
    select
        period_start, 'month' as period_kind, kemendagri_code, 'participants_active' as measure, 'jamsostek' as scheme,
        area_basis, segment, programme, 'all' as worker_group,
        persons as numerator, cast(null as bigint) as denominator
    from {{ ref('participation_by_place') }}
    union all
    select
        period_start, 'month', kemendagri_code, 'participations_active', 'jamsostek', area_basis, segment, programme, 'all',
        cards, null
    from {{ ref('participation_by_place') }}
    union all
    select
        period_start, 'month', kemendagri_code, 'participants_lapsed', 'jamsostek', 'residence', segment, 'any', 'all',
        persons, null
    from lapsed
    {%- for margin in ['unpaid_family_workers', 'workers_public_sector', 'workers_unknown_status', 'workers_unknown_age'] %}
    union all
    select
        period_start, 'month', kemendagri_code, '{{ margin }}', 'jamsostek', 'residence', 'all', 'any', 'all', {{ margin }}, null
    from worker_margins
    {%- endfor %}
    union all
    select
        period_start, 'month', kemendagri_code, 'records_put_aside', 'jamsostek', 'branch', 'all', 'any', 'all',
        rows_put_aside, null
    from {{ ref('cells_rows_put_aside') }}
    where dataset = 'bpjstk/participants'
),

{% set keys = ['scheme', 'area_basis', 'segment', 'programme', 'worker_group'] %}
shaped as (
    select * from (
        {{ long_mart('coverage_by_area_month', 'additive', keys=keys) }}
    ) as counts
    union all
    select * from (
        {{ long_mart('coverage_by_area_month', 'at_levels', keys=keys,
            provides=[
                'numerator_low', 'numerator_high', 'bounds_denominator', 'percentage_low', 'percentage_high', 'unknown_count',
            ], rollup=false) }}
    ) as rates
    union all
    select * from (
        {{ long_mart('coverage_by_area_month', 'published', keys=keys, provides=['percentage', 'as_of'], rollup=false) }}
    ) as beside
)

select shaped.*, percentage > 100 as is_above_100
from shaped
