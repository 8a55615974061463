/*
Counts come from cells and are spread over measures: no row of a person or family is multiplied. Indices that do not add up are
computed at each level from the same sums.
*/
{% set indicators = living_standards_indicators() %}
{%- set below = "case when spending.persons_below >= " ~ var('statistic_minimum') %}
{%- set housing = [] %}
{%- for name in indicators %}
{%- do housing.append(
    ('deprived_' ~ name, 'cells_family_conditions', 'deprived_' ~ name, 'answered_' ~ name, 'families', 'true')
) %}
{%- endfor %}
with
{%- for unit in ['families', 'persons'] %}
{{ unit }} as (
    select period_start, ranking, desil, kemendagri_code, {{ unit }} from {{ ref('cells_' ~ unit) }}
    {%- for desil in second_ranks() %}
    union all
    select period_start, second_ranking, '{{ desil }}', kemendagri_code, {{ unit }}_{{ desil | replace('-', '_') }}
    from {{ ref('cells_second_ranks') }}
    {%- endfor %}
    union all
    select
        period_start, second_ranking, 'unknown', kemendagri_code,
        {{ unit }}{% for desil in second_ranks() %} - {{ unit }}_{{ desil | replace('-', '_') }}{% endfor %}
    from {{ ref('cells_second_ranks') }}
),
{% endfor %}
ranked as (
    -- Families and persons alike: how many, and how many of them stand in a given span of ranks.
    {%- for unit in ['families', 'persons'] %}
    {%- if not loop.first %}
    union all
    {%- endif %}
    select
        period_start,
        ranking,
        kemendagri_code,
        '{{ unit }}' as unit,
        sum({{ unit }}) as all_units,
        sum(case when desil = 'unknown' then {{ unit }} else 0 end) as unknown_units,
        sum(case when desil = '01' then {{ unit }} else 0 end) as desil_1,
        sum(case when desil in ('01', '02', '03', '04') then {{ unit }} else 0 end) as desil_1_to_4
    from {{ unit }}
    group by period_start, ranking, kemendagri_code
    {%- endfor %}
),

main_rankings as (
    select period_start, min(ranking) as ranking from {{ ref('fct_welfare') }}
    where {{ is_no_second_rank('ranking') }} group by period_start
),

counted as (
    {%- for unit in ['families', 'persons'] %}
    {%- for desil in ['desil', "'all'"] %}
    select
        period_start, ranking, kemendagri_code, '{{ unit }}' as measure, {{ desil }} as desil,
        sum({{ unit }}) as numerator,
        cast(null as bigint) as denominator,
        cast(null as bigint) as numerator_low,
        cast(null as bigint) as numerator_high,
        cast(null as bigint) as bounds_denominator,
        sum(case when desil = 'unknown' then {{ unit }} else 0 end) as unknown_count
    from {{ unit }}
    group by period_start, ranking, kemendagri_code{{ ', desil' if desil == 'desil' }}
    union all
    {%- endfor %}
    {%- endfor %}
    {%- for unit in ['families', 'persons'] %}
    {%- for span in ['desil_1', 'desil_1_to_4'] %}
    select
        period_start, ranking, kemendagri_code, '{{ unit }}_{{ span }}', 'all',
        {{ span }}, all_units - unknown_units, {{ span }}, {{ span }} + unknown_units, all_units, unknown_units
    from ranked
    where unit = '{{ unit }}'
    union all
    {%- endfor %}
    {%- endfor %}
    select
        period_start, ranking, kemendagri_code, 'families_excluded', 'all',
        sum(families), null, null, null, null, null
    from {{ ref('cells_families_excluded') }}
    group by period_start, ranking, kemendagri_code
    union all
    select
        period_start, ranking, kemendagri_code,
        {{ dbt.concat(["'families_excluded_'", 'exclusion_reason']) }}, 'all',
        families, null, null, null, null, null
    from {{ ref('cells_families_excluded') }}
    union all
    select
        period_start, ranking, kemendagri_code, 'persons_without_family', 'all', persons, null, null, null, null, null
    from {{ ref('cells_persons_without_family') }}
    {%- for measure, cells, agreeing, answered, asked, condition in [
        ('living_standards_h', 'cells_family_conditions', 'persons_deprived', 'persons_scored', 'persons_stated', 'true'),
        ('school_attendance_7_18', 'cells_person_conditions', 'attending', 'answered', 'of_school_age', 'true'),
        ('family_size_agreement', 'cells_family_conditions', 'sizes_agreeing', 'sizes_compared', 'families', 'true'),
        ('member_desil_agreement', 'cells_person_conditions', 'agreeing', 'compared', 'persons', "ranking = 'dtsen'"),
    ] + housing %}
    union all
    select
        period_start, ranking, kemendagri_code, '{{ measure }}', 'all',
        {{ agreeing }}, {{ answered }}, {{ agreeing }}, {{ agreeing }} + {{ asked }} - {{ answered }}, {{ asked }},
        {{ asked }} - {{ answered }}
    from {{ ref(cells) }}
    where {{ condition }}
    {%- endfor %}
    union all
    select
        put_aside.period_start,
        coalesce(main_rankings.ranking, 'dtsen'),
        put_aside.kemendagri_code,
        case put_aside.dataset when 'bps/social_registry_families' then 'families_put_aside' else 'persons_put_aside' end,
        'all', put_aside.rows_put_aside, null, null, null, null, null
    from {{ ref('cells_rows_put_aside') }} as put_aside
    left join main_rankings on main_rankings.period_start = put_aside.period_start
    where put_aside.dataset in ('bps/social_registry_families', 'bps/social_registry_individuals')
),

additive as (
    select counted.*, 'quarter' as period_kind from counted
),

levels as (
    select * from ({{ at_each_area_level(ref('cells_family_conditions')) }}) as conditions
),

sums as (
    select
        period_start,
        ranking,
        area_code as kemendagri_code,
        sum(persons_scored) as persons_scored,
        sum(persons_stated - persons_scored) as persons_unknown,
        sum(persons_deprived) as persons_deprived,
        {%- for name in indicators %}
        sum(persons_deprived_in_{{ name }}) as persons_deprived_in_{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from levels
    group by period_start, ranking, area_code
),

weighted as (
    -- Deprivations: persons x score of those who reach k, a score being the sum of the weights of what is lacked.
    select
        sums.*,
        weights.*,
        {% for name in indicators %}weights.weight_{{ name }} * sums.persons_deprived_in_{{ name }}
        {{- ' + ' if not loop.last }}{% endfor %} as deprivations
    from sums
    cross join ({{ living_standards_weights() }}) as weights
),

spending as (
    select period_start, ranking, area_code, sum(persons) as persons, sum(persons_stated) as persons_stated,
        sum(persons_below) as persons_below
    from {{ ref('cells_spending') }}
    group by period_start, ranking, area_code
),

gaps as (
    -- A mean of distances is no count: it comes from the families, and stands on those below the line.
    select
        period_start, ranking, area_code,
        {{ fgt('expenditure_per_head_idr', 'poverty_line_idr', 1, 'person_count') }} as gap,
        {{ fgt('expenditure_per_head_idr', 'poverty_line_idr', 2, 'person_count') }} as severity
    from {{ ref('family_spending') }}
    group by period_start, ranking, area_code
),

indices as (
    -- A: mean share of deprivations among the deprived. M0 = H x A. The denominator is the group each is a mean over.
    select
        'quarter' as period_kind, period_start, ranking, kemendagri_code, 'living_standards_a' as measure, 'all' as desil,
        cast(null as bigint) as numerator,
        persons_deprived as denominator,
        deprivations / nullif(persons_deprived, 0) as statistic,
        persons_unknown as unknown_count
    from weighted
    union all
    select
        'quarter', period_start, ranking, kemendagri_code, 'living_standards_m0', 'all', null,
        persons_scored, deprivations / nullif(persons_scored, 0), persons_unknown
    from weighted
    {%- for name in indicators %}
    union all
    select
        'quarter', period_start, ranking, kemendagri_code, 'm0_share_{{ name }}', 'all', null,
        persons_deprived, 100.0 * weight_{{ name }} * persons_deprived_in_{{ name }} / nullif(deprivations, 0), persons_unknown
    from weighted
    where weight_{{ name }} > 0
    {%- endfor %}
    {%- for measure, statistic in [
        ('fgt_p0', '1.0 * spending.persons_below / nullif(spending.persons_stated, 0)'),
        ('fgt_p1', below ~ ' then gaps.gap end'),
        ('fgt_p2', below ~ ' then gaps.severity end'),
    ] %}
    union all
    select
        'quarter', spending.period_start, spending.ranking, spending.area_code, '{{ measure }}', 'all', null,
        spending.persons_stated, 100.0 * {{ statistic }}, spending.persons - spending.persons_stated
    from spending
    inner join gaps
        on gaps.period_start = spending.period_start
        and gaps.ranking = spending.ranking
        and gaps.area_code = spending.area_code
    {%- endfor %}
)

{{ long_mart('poverty_by_area_period', 'additive', keys=['ranking', 'desil'],
    provides=['numerator_low', 'numerator_high', 'bounds_denominator', 'unknown_count']) }}
union all
{{ long_mart('poverty_by_area_period', 'indices', keys=['ranking', 'desil'],
    provides=['statistic', 'unknown_count'], rollup=false) }}
