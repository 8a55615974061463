/*
Residence counts people the registry places here; branch counts cards where they are kept. The two never meet in one ratio:
every rate below has linked residents above and below the line. A published coverage stands beside, over a base nobody stated.
*/
{% set programmes = programmes() %}
{% set job_group_segments = {'any': "('all', 'BPU')", 'JKK+JKM': "('BPU')"} %}
with segments as (
    -- Which main jobs make up a segment's base. Status 5 mixes schemes: in the base or not, it gives the two bounds.
    select 'PU' as worker_segment, 'all' as segment, 'firm' as role
    union all
    select 'BPU', 'all', 'firm'
    union all
    select 'mixed', 'all', 'optional'
    union all
    select 'unknown', 'all', 'unknown'
    union all
    select 'PU', 'PU', 'firm'
    union all
    select 'mixed', 'PU', 'optional'
    union all
    select 'unknown', 'PU', 'unknown'
    union all
    select 'BPU', 'BPU', 'firm'
    union all
    select 'unknown', 'BPU', 'unknown'
),

workforce as (
    -- Workers, those of them covered, and those who may be while a link waits for a decision, on one grain.
    select
        period_start,
        kemendagri_code,
        worker_segment,
        worker_group,
        age_band = '15_64' as is_of_working_age,
        persons as workers
        {%- for suffix in programmes.values() %},
        0 as covered_{{ suffix }},
        0 as possible_{{ suffix }}
        {%- endfor %}
    from {{ ref('worker_counts') }}
    where is_working and age_band in ('15_64', 'unknown')
    union all
    select
        period_start,
        kemendagri_code,
        worker_segment,
        worker_group,
        true,
        0
        {%- for suffix in programmes.values() %},
        persons_{{ suffix }},
        0
        {%- endfor %}
    from {{ ref('participant_counts') }}
    where is_worker and segment = 'all'
    union all
    select
        period_start,
        kemendagri_code,
        worker_segment,
        worker_group,
        true,
        0
        {%- for suffix in programmes.values() %},
        0,
        persons_{{ suffix }}
        {%- endfor %}
    from {{ ref('possible_participant_counts') }}
    where is_worker and segment = 'all'
),

grouped as (
    select
        workforce.period_start,
        workforce.kemendagri_code,
        segments.segment,
        case when grouping(workforce.worker_group) = 1 then 'all' else workforce.worker_group end as worker_group,
        {%- for role, condition in {
            'firm': "segments.role = 'firm' and workforce.is_of_working_age",
            'optional': "segments.role = 'optional' and workforce.is_of_working_age",
        }.items() %}
        sum(case when {{ condition }} then workforce.workers else 0 end) as workers_{{ role }},
        {%- for suffix in programmes.values() %}
        sum(case when {{ condition }} then workforce.covered_{{ suffix }} else 0 end) as covered_{{ role }}_{{ suffix }},
        sum(case when {{ condition }} then workforce.possible_{{ suffix }} else 0 end) as possible_{{ role }}_{{ suffix }},
        {%- endfor %}
        {%- endfor %}
        sum(case
            when segments.role = 'unknown' and workforce.is_of_working_age or not workforce.is_of_working_age
            then workforce.workers else 0
        end) as workers_unknown
    from workforce
    inner join segments on segments.worker_segment = workforce.worker_segment
    group by grouping sets (
        (workforce.period_start, workforce.kemendagri_code, segments.segment, workforce.worker_group),
        (workforce.period_start, workforce.kemendagri_code, segments.segment)
    )
),

levels as (
    {{ at_each_area_level('grouped') }}
),

bases as (
    select
        period_start,
        area_code as kemendagri_code,
        segment,
        worker_group,
        sum(workers_firm) as workers_firm,
        sum(workers_optional) as workers_optional,
        sum(workers_unknown) as workers_unknown
        {%- for role in ['firm', 'optional'] %}
        {%- for suffix in programmes.values() %},
        sum(covered_{{ role }}_{{ suffix }}) as covered_{{ role }}_{{ suffix }},
        sum(possible_{{ role }}_{{ suffix }}) as possible_{{ role }}_{{ suffix }}
        {%- endfor %}
        {%- endfor %}
    from levels
    group by period_start, area_code, segment, worker_group
),

by_programme as (
    {%- for programme, suffix in programmes.items() %}
    select
        bases.period_start,
        bases.kemendagri_code,
        bases.segment,
        bases.worker_group,
        '{{ programme }}' as programme,
        bases.workers_firm,
        bases.workers_firm + bases.workers_optional as workers_wide,
        bases.workers_unknown,
        bases.covered_firm_{{ suffix }} as covered_firm,
        bases.covered_firm_{{ suffix }} + bases.covered_optional_{{ suffix }} as covered_wide,
        bases.possible_firm_{{ suffix }} as possible_firm,
        bases.possible_firm_{{ suffix }} + bases.possible_optional_{{ suffix }} as possible_wide
    from bases
    -- Job groups tell PBPU apart; the other combinations would be many small cells that nobody asked for.
    where bases.worker_group = 'all'
        {%- if programme in job_group_segments %} or bases.segment in {{ job_group_segments[programme] }}{% endif %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

of_workers as (
    select
        period_start, kemendagri_code, 'workers' as measure, segment, programme, worker_group,
        workers_firm as numerator,
        cast(null as bigint) as denominator,
        workers_firm as numerator_low,
        workers_wide as numerator_high,
        cast(null as {{ type_double() }}) as percentage_low,
        cast(null as {{ type_double() }}) as percentage_high,
        workers_unknown as unknown_count
    from by_programme
    where programme = 'any'
    union all
    select
        period_start, kemendagri_code, 'covered_of_workers', segment, programme, worker_group,
        covered_firm, workers_firm, covered_firm, covered_wide + possible_wide,
        least(
            100.0 * covered_firm / nullif(workers_firm, 0), 100.0 * covered_wide / nullif(workers_wide, 0)
        ),
        greatest(
            100.0 * (covered_firm + possible_firm) / nullif(workers_firm, 0),
            100.0 * (covered_wide + possible_wide) / nullif(workers_wide, 0)
        ),
        workers_unknown
    from by_programme
    union all
    select
        period_start, kemendagri_code, 'uncovered_workers', segment, programme, worker_group,
        workers_firm - covered_firm, null,
        workers_firm - covered_firm - possible_firm, workers_wide - covered_wide, null, null, workers_unknown
    from by_programme
),

residents_bpu as (
    select
        period_start,
        kemendagri_code,
        sum(case when segment = 'BPU' and is_resident then persons_jkk_jkm else 0 end) as covered,
        0 as pbpu,
        0 as pbpu_unknown,
        0 as possible
    from {{ ref('participant_counts') }}
    group by period_start, kemendagri_code
    union all
    select period_start, kemendagri_code, 0, 0, 0, persons_jkk_jkm
    from {{ ref('possible_participant_counts') }}
    where segment = 'BPU'
    union all
    select
        period_start,
        kemendagri_code,
        0,
        sum(case when is_working and age_band = '15_64' and worker_segment = 'BPU' then persons else 0 end),
        sum(case
            when is_working and (age_band = 'unknown' or age_band = '15_64' and worker_segment = 'unknown') then persons
            else 0
        end),
        0
    from {{ ref('worker_counts') }}
    group by period_start, kemendagri_code
),

residents_bpu_levels as (
    {{ at_each_area_level('residents_bpu') }}
),

pbpu_coverage as (
    -- Code 06.02.021: participants of BPU who hold JKK and JKM over all PBPU. May exceed 100: a salaried resident may hold BPU.
    select
        area.period_start,
        area.area_code as kemendagri_code,
        'pbpu_coverage_06_02_021' as measure,
        'BPU' as segment,
        'JKK+JKM' as programme,
        'all' as worker_group,
        sum(area.covered) as numerator,
        sum(area.pbpu) as denominator,
        sum(area.covered) as numerator_low,
        sum(area.covered) + sum(area.possible) as numerator_high,
        100.0 * sum(area.covered) / nullif(sum(area.pbpu), 0) as percentage_low,
        100.0 * (sum(area.covered) + sum(area.possible)) / nullif(sum(area.pbpu), 0) as percentage_high,
        sum(area.pbpu_unknown) as unknown_count
    from residents_bpu_levels as area
    group by area.period_start, area.area_code
),

jkn_figures as (
    -- Published participants and the civil registry's population of the same half-year, else of the last before it. A year's
    -- figure is of its end: it stands for the second half-year where that has none of its own.
    select
        {{ month_start('coalesce(period.period_end, figure.period_start)') }} as period_start,
        figure.kemendagri_code,
        cast(round(figure.value) as bigint) as participants,
        base.population,
        row_number() over (
            partition by figure.kemendagri_code, {{ month_start('coalesce(period.period_end, figure.period_start)') }}
            order by
                coalesce(period.period_end, figure.period_start) desc, figure.source_release_date desc, figure.delivery_id,
                base_period.period_end desc, base_period.period_start desc
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
            order by coalesce(period.period_end, figure.period_start) desc, figure.source_release_date desc, figure.delivery_id
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
    select *, 'month' as period_kind, 'jamsostek' as scheme, 'residence' as area_basis from of_workers
    union all
    select *, 'month', 'jamsostek', 'residence' from pbpu_coverage
    union all
    select *, 'month', 'jkn', 'residence' from jkn
),

participants as (
    {%- for programme, suffix in programmes.items() %}
    select
        period_start, kemendagri_code, 'residence' as area_basis, segment, '{{ programme }}' as programme,
        sum(persons_{{ suffix }}) as persons,
        sum(cards_{{ suffix }}) as cards
    from {{ ref('participant_counts') }}
    group by period_start, kemendagri_code, segment
    union all
    {%- endfor %}
    {%- for programme, suffix in programmes.items() %}
    select
        branch.period_start, coalesce({{ dbt.concat(['unit.kemendagri_code', "'.0000'"]) }}, {{ unplaced_code() }}), 'branch',
        branch.segment, '{{ programme }}',
        sum(branch.persons_{{ suffix }}),
        sum(branch.cards_{{ suffix }})
    from {{ ref('branch_counts') }} as branch
    left join {{ ref('service_units') }} as unit on unit.kind = 'branch' and unit.part = branch.branch
    group by 1, 2, 3, 4, 5
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

lapsed as (
    select period_start, kemendagri_code, segment, sum(persons) as persons
    from {{ ref('lapsed_counts') }}
    group by period_start, kemendagri_code, segment
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
    from {{ ref('worker_counts') }}
    where is_working
    group by period_start, kemendagri_code
),

additive as (
    select
        period_start, 'month' as period_kind, kemendagri_code, 'participants_active' as measure, 'jamsostek' as scheme,
        area_basis, segment, programme, 'all' as worker_group,
        persons as numerator, cast(null as bigint) as denominator
    from participants
    union all
    select
        period_start, 'month', kemendagri_code, 'participations_active', 'jamsostek', area_basis, segment, programme, 'all',
        cards, null
    from participants
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
        sum(rows_put_aside), null
    from {{ ref('part_put_aside') }}
    where dataset = 'bpjstk/participants'
    group by period_start, kemendagri_code
),

{% set keys = ['scheme', 'area_basis', 'segment', 'programme', 'worker_group'] %}
shaped as (
    select * from (
        {{ long_mart('coverage_by_area_month', 'additive', keys=keys) }}
    ) as counts
    union all
    select * from (
        {{ long_mart('coverage_by_area_month', 'at_levels', keys=keys,
            provides=['numerator_low', 'numerator_high', 'percentage_low', 'percentage_high', 'unknown_count'], rollup=false) }}
    ) as rates
    union all
    select * from (
        {{ long_mart('coverage_by_area_month', 'published', keys=keys, provides=['percentage', 'as_of'], rollup=false) }}
    ) as beside
)

select shaped.*, percentage > 100 as is_above_100
from shaped
