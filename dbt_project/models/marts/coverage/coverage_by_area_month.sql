/*
Residence counts people the registry places here; branch counts cards where they are kept. The two never meet in one ratio:
every rate below has linked residents above and below the line. A published coverage stands beside, over a base nobody stated.
*/
{% set programmes = programmes() %}
{%- set job_group_segments = {'any': "('all', 'BPU')", 'JKK+JKM': "('BPU')"} %}
{#- Covered, and possibly covered while a link waits for a decision, out of the disjoint counts of the cells. #}
{%- set covers = {
    'any': ('covered_any', 'possible_any'),
    'JKK': ('covered_both + completing_with_jkk + covered_jkk_only',
        'completing_both - completing_with_jkk + completing_jkk_only + possible_both + possible_jkk_only'),
    'JKM': ('covered_both + completing_with_jkm + covered_jkm_only',
        'completing_both - completing_with_jkm + completing_jkm_only + possible_both + possible_jkm_only'),
    'JHT': ('covered_jht', 'completing_jht + possible_jht'),
    'JP': ('covered_jp', 'completing_jp + possible_jp'),
    'JKP': ('covered_jkp', 'completing_jkp + possible_jkp'),
    'JKK+JKM': ('covered_both', 'completing_both + possible_both'),
} %}
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

workers as (
    select
        cells.period_start,
        cells.kemendagri_code,
        segments.segment,
        case when grouping(cells.worker_group) = 1 then 'all' else cells.worker_group end as worker_group,
        sum(case when segments.role = 'firm' and cells.age_band = '15_64' then cells.persons else 0 end) as firm,
        sum(case when segments.role = 'optional' and cells.age_band = '15_64' then cells.persons else 0 end) as optional,
        sum(case when segments.role = 'unknown' or cells.age_band <> '15_64' then cells.persons else 0 end) as unknown
    from {{ ref('cells_workers') }} as cells
    inner join segments on segments.worker_segment = cells.worker_segment
    group by grouping sets (
        (cells.period_start, cells.kemendagri_code, segments.segment, cells.worker_group),
        (cells.period_start, cells.kemendagri_code, segments.segment)
    )
),

workers_levels as (
    {{ at_each_area_level('workers') }}
),

bases as (
    select
        period_start,
        area_code as kemendagri_code,
        segment,
        worker_group,
        sum(firm) as workers_firm,
        sum(optional) as workers_optional,
        sum(unknown) as workers_unknown
    from workers_levels
    group by period_start, area_code, segment, worker_group
),

covers as (
    -- Job groups tell PBPU apart; the other combinations would be many small cells that nobody asked for.
    {%- for programme, (covered, possible) in covers.items() %}
    select
        period_start, kemendagri_code, worker_segment, 'all' as worker_group, '{{ programme }}' as programme,
        {{ covered }} as covered,
        {{ possible }} as possible
    from {{ ref('cells_covered_programmes') }}
    union all
    {%- endfor %}
    {%- for programme in job_group_segments %}
    select
        period_start, kemendagri_code, worker_segment, worker_group, '{{ programme }}',
        {{ covers[programme][0] }},
        {{ covers[programme][1] }}
    from {{ ref('cells_covered') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

covers_levels as (
    {{ at_each_area_level('covers') }}
),

covered as (
    select
        cover.period_start,
        cover.area_code as kemendagri_code,
        segments.segment,
        cover.worker_group,
        cover.programme
        {%- for role in ['firm', 'optional'] %},
        sum(case when segments.role = '{{ role }}' then cover.covered else 0 end) as covered_{{ role }},
        sum(case when segments.role = '{{ role }}' then cover.possible else 0 end) as possible_{{ role }}
        {%- endfor %}
    from covers_levels as cover
    inner join segments on segments.worker_segment = cover.worker_segment
    group by cover.period_start, cover.area_code, segments.segment, cover.worker_group, cover.programme
),

asked as (
    {%- for programme in programmes %}
    select *, '{{ programme }}' as programme
    from bases
    where worker_group = 'all'
        {%- if programme in job_group_segments %} or segment in {{ job_group_segments[programme] }}{% endif %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

by_programme as (
    select
        asked.period_start,
        asked.kemendagri_code,
        asked.segment,
        asked.worker_group,
        asked.programme,
        asked.workers_firm,
        asked.workers_firm + asked.workers_optional as workers_wide,
        asked.workers_unknown,
        coalesce(covered.covered_firm, 0) as covered_firm,
        coalesce(covered.covered_firm + covered.covered_optional, 0) as covered_wide,
        coalesce(covered.possible_firm, 0) as possible_firm,
        coalesce(covered.possible_firm + covered.possible_optional, 0) as possible_wide
    from asked
    left join covered
        on covered.period_start = asked.period_start
        and covered.kemendagri_code = asked.kemendagri_code
        and covered.segment = asked.segment
        and covered.worker_group = asked.worker_group
        and covered.programme = asked.programme
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
        case when not ({{ says_all('covered_firm', 'workers_firm') }}) then least(
            100.0 * covered_firm / nullif(workers_firm, 0), 100.0 * covered_wide / nullif(workers_wide, 0)
        ) end,
        case when not ({{ says_all('covered_firm + possible_firm', 'workers_firm') }}) then greatest(
            100.0 * (covered_firm + possible_firm) / nullif(workers_firm, 0),
            100.0 * (covered_wide + possible_wide) / nullif(workers_wide, 0)
        ) end,
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
        case when is_resident and {{ holds('BPU', 'jkk_jkm') }} then persons else 0 end as covered,
        0 as pbpu,
        0 as pbpu_unknown,
        0 as possible
    from {{ ref('cells_participants') }}
    union all
    select period_start, kemendagri_code, 0, 0, 0, persons
    from {{ ref('cells_possible_bpu') }}
    union all
    select
        period_start,
        kemendagri_code,
        0,
        case when age_band = '15_64' and worker_segment = 'BPU' then persons else 0 end,
        case when age_band = 'unknown' or worker_segment = 'unknown' then persons else 0 end,
        0
    from {{ ref('cells_workers') }}
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
        sum(area.covered + area.possible) as numerator_high,
        case when not ({{ says_all('sum(area.covered)', 'sum(area.pbpu)') }})
            then 100.0 * sum(area.covered) / nullif(sum(area.pbpu), 0) end as percentage_low,
        case when not ({{ says_all('sum(area.covered + area.possible)', 'sum(area.pbpu)') }})
            then 100.0 * sum(area.covered + area.possible) / nullif(sum(area.pbpu), 0) end as percentage_high,
        sum(area.pbpu_unknown) as unknown_count
    from residents_bpu_levels as area
    group by area.period_start, area.area_code
),

jkn_figures as (
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
    from of_workers
    union all
    select *, 'month', 'jamsostek', 'residence', null from pbpu_coverage
    union all
    select *, 'month', 'jkn', 'residence', null from jkn
),

{% set participant_segments = ['all'] + jamsostek_segments() -%}
branch_people as (
    -- A column of the cells for each branch, and what is left: branches that no register knows.
    {%- for branch in branches() + [none] %}
    select
        cells.*,
        coalesce({{ dbt.concat(['unit.kemendagri_code', "'.0000'"]) }}, {{ unplaced_code() }}) as kemendagri_code,
        {{ 'at_' ~ branch if branch else 'persons - at_' ~ branches() | join(' - at_') }} as persons_here
    from {{ ref('cells_branch_participants') }} as cells
    left join {{ ref('service_units') }} as unit
        on unit.kind = 'branch' and {{ "unit.part = '" ~ branch ~ "'" if branch else 'false' }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

branch_counts as (
    {%- for segment in participant_segments %}
    {%- for programme, suffix in programmes.items() %}
    select
        period_start, kemendagri_code, '{{ segment }}' as segment, '{{ programme }}' as programme,
        case when {{ holds(segment, suffix) }} then persons_here else 0 end as persons,
        {%- if segment == 'all' %}
        0 as cards,
        {%- else %}
        case when {{ segment | lower }}_any = 1 and {{ segment | lower }}_{{ suffix }} = 1 then persons_here else 0 end as cards,
        {%- endif %}
        persons_here as anybody
    from branch_people
    where segment = '{{ segment }}'
    union all
    {%- endfor %}
    {%- endfor %}
    {%- for programme, suffix in programmes.items() %}
    select period_start, kemendagri_code, segment, '{{ programme }}', 0, cards_{{ suffix }}, cards_any
    from {{ ref('cells_branch_cards') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

at_branches as (
    select period_start, kemendagri_code, segment, programme, sum(persons) as persons, sum(cards) as cards
    from (
        select * from branch_counts
        union all
        -- Cards of all segments together are those of each.
        select period_start, kemendagri_code, 'all', programme, 0, cards, anybody from branch_counts where segment <> 'all'
    ) as every_segment
    group by period_start, kemendagri_code, segment, programme
    -- A known branch has its row, also where nobody is left of a few.
    having sum(anybody) <> 0 or kemendagri_code <> {{ unplaced_code() }}
),

participants as (
    {%- for segment in participant_segments %}
    {%- for programme, suffix in programmes.items() %}
    select
        period_start, kemendagri_code, 'residence' as area_basis, '{{ segment }}' as segment, '{{ programme }}' as programme,
        sum(case when {{ holds(segment, suffix) }} then persons else 0 end) as persons,
        sum(persons * ({% for name in (jamsostek_segments() if segment == 'all' else [segment]) -%}
            {{ name | lower }}_{{ suffix }}{{ ' + ' if not loop.last }}
        {%- endfor %})) as cards
    from {{ ref('cells_participants') }}
    where {{ holds(segment, 'any') }}
    group by period_start, kemendagri_code
    union all
    {%- endfor %}
    {%- endfor %}
    select period_start, kemendagri_code, 'branch', segment, programme, persons, cards
    from at_branches
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
