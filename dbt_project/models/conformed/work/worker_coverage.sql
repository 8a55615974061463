-- Workers and how many of them Jamsostek covers, by area: each share has linked residents above and below the line.
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
)

select * from of_workers
union all
select * from pbpu_coverage
