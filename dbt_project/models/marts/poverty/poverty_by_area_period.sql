/*
Counts per kelurahan are made once from families and once from members, then spread over measures: no row of a person or
family is multiplied. Indices that do not add up are computed at each level from the same sums.
*/
{% set indicators = living_standards_indicators() %}
with families as (
    select
        period_start,
        ranking,
        kemendagri_code,
        desil,
        exclusion_reason,
        count(*) as families,
        {%- for name in indicators %}
        sum(is_deprived_{{ name }}) as deprived_{{ name }},
        count(is_deprived_{{ name }}) as answered_{{ name }},
        {%- endfor %}
        sum(size_agrees) as sizes_agreeing,
        count(size_agrees) as sizes_compared,
        sum(person_count) as persons,
        sum(case when is_multiply_deprived is not null then person_count end) as persons_scored,
        sum(case when is_multiply_deprived = 1 then person_count end) as persons_deprived,
        sum(case when is_multiply_deprived = 1 then person_count * deprivation_score end) as deprivations,
        {%- for name in indicators %}
        sum(case when is_multiply_deprived = 1 and is_deprived_{{ name }} = 1 then person_count end)
            as persons_deprived_in_{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('fct_welfare') }}
    group by period_start, ranking, kemendagri_code, desil, exclusion_reason
),

in_scope as (
    select * from families where exclusion_reason is null
),

members as (
    select
        period_start,
        ranking,
        kemendagri_code,
        desil,
        exclusion_reason,
        count(*) as persons,
        sum(desil_agrees) as agreeing,
        count(desil_agrees) as compared,
        sum(case when age_years between 7 and 18 and school_code = '2' then 1 else 0 end) as attending,
        sum(case when age_years between 7 and 18 and school_code is not null then 1 else 0 end) as answered_school,
        sum(case when age_years between 7 and 18 then 1 else 0 end) as of_school_age
    from {{ ref('fct_registry_member') }}
    group by period_start, ranking, kemendagri_code, desil, exclusion_reason
),

ranked as (
    -- Families and persons alike: how many, and how many of them stand in a given span of ranks.
    {%- for unit, relation, counted in [('families', 'in_scope', 'families'), ('persons', 'members', 'persons')] %}
    {%- if not loop.first %}
    union all
    {%- endif %}
    select
        period_start,
        ranking,
        kemendagri_code,
        '{{ unit }}' as unit,
        sum({{ counted }}) as all_units,
        sum(case when desil = 'unknown' then {{ counted }} else 0 end) as unknown_units,
        sum(case when desil = '01' then {{ counted }} else 0 end) as desil_1,
        sum(case when desil in ('01', '02', '03', '04') then {{ counted }} else 0 end) as desil_1_to_4
    from {{ relation }}
    where exclusion_reason is null
    group by period_start, ranking, kemendagri_code
    {%- endfor %}
),

counted as (
    {%- for measure, column, relation in [('families', 'families', 'in_scope'), ('persons', 'persons', 'members')] %}
    {%- for desil in ['desil', "'all'"] %}
    select
        period_start, ranking, kemendagri_code, '{{ measure }}' as measure, {{ desil }} as desil,
        sum({{ column }}) as numerator,
        cast(null as bigint) as denominator,
        cast(null as bigint) as numerator_low,
        cast(null as bigint) as numerator_high,
        cast(null as bigint) as bounds_denominator,
        sum(case when desil = 'unknown' then {{ column }} else 0 end) as unknown_count
    from {{ relation }}
    where exclusion_reason is null
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
    from families
    where exclusion_reason is not null
    group by period_start, ranking, kemendagri_code
    union all
    select
        period_start, ranking, kemendagri_code,
        {{ dbt.concat(["'families_excluded_'", 'exclusion_reason']) }}, 'all',
        sum(families), null, null, null, null, null
    from families
    where exclusion_reason is not null
    group by period_start, ranking, kemendagri_code, exclusion_reason
    union all
    select
        period_start, ranking, kemendagri_code, 'persons_without_family', 'all', sum(persons), null, null, null, null, null
    from members
    where exclusion_reason = 'family_not_listed'
    group by period_start, ranking, kemendagri_code
    {%- for name in indicators %}
    union all
    select
        period_start, ranking, kemendagri_code, 'deprived_{{ name }}', 'all',
        sum(coalesce(deprived_{{ name }}, 0)), sum(answered_{{ name }}), sum(coalesce(deprived_{{ name }}, 0)),
        sum(coalesce(deprived_{{ name }}, 0) + families - answered_{{ name }}), sum(families),
        sum(families - answered_{{ name }})
    from in_scope
    group by period_start, ranking, kemendagri_code
    {%- endfor %}
    union all
    select
        period_start, ranking, kemendagri_code, 'living_standards_h', 'all',
        sum(coalesce(persons_deprived, 0)), sum(coalesce(persons_scored, 0)), sum(coalesce(persons_deprived, 0)),
        sum(coalesce(persons_deprived, 0) + coalesce(persons, 0) - coalesce(persons_scored, 0)), sum(coalesce(persons, 0)),
        sum(coalesce(persons, 0) - coalesce(persons_scored, 0))
    from in_scope
    group by period_start, ranking, kemendagri_code
    union all
    select
        period_start, ranking, kemendagri_code, 'school_attendance_7_18', 'all',
        sum(attending), sum(answered_school), sum(attending), sum(attending + of_school_age - answered_school),
        sum(of_school_age), sum(of_school_age - answered_school)
    from members
    where exclusion_reason is null
    group by period_start, ranking, kemendagri_code
    union all
    select
        put_aside.period_start,
        coalesce(main_ranking.ranking, 'dtsen'),
        put_aside.kemendagri_code,
        case put_aside.dataset when 'bps/social_registry_families' then 'families_put_aside' else 'persons_put_aside' end,
        'all', put_aside.rows_put_aside, null, null, null, null, null
    from {{ ref('part_put_aside') }} as put_aside
    left join (select period_start, min(ranking) as ranking from families group by period_start) as main_ranking
        on main_ranking.period_start = put_aside.period_start
    where put_aside.dataset in ('bps/social_registry_families', 'bps/social_registry_individuals')
    union all
    select
        period_start, ranking, kemendagri_code, 'family_size_agreement', 'all',
        sum(coalesce(sizes_agreeing, 0)), sum(sizes_compared), sum(coalesce(sizes_agreeing, 0)),
        sum(coalesce(sizes_agreeing, 0) + families - sizes_compared), sum(families), sum(families - sizes_compared)
    from in_scope
    group by period_start, ranking, kemendagri_code
    union all
    -- Members' own ranks are DTSEN's alone.
    select
        period_start, ranking, kemendagri_code, 'member_desil_agreement', 'all',
        sum(coalesce(agreeing, 0)), sum(compared), sum(coalesce(agreeing, 0)),
        sum(coalesce(agreeing, 0) + persons - compared), sum(persons), sum(persons - compared)
    from members
    where exclusion_reason is null and ranking = 'dtsen'
    group by period_start, ranking, kemendagri_code
),

additive as (
    select counted.*, 'quarter' as period_kind from counted
),

levels as (
    {{ at_each_area_level('in_scope') }}
),

sums as (
    select
        period_start,
        ranking,
        area_code as kemendagri_code,
        sum(persons_scored) as persons_scored,
        sum(persons) - sum(coalesce(persons_scored, 0)) as persons_unknown,
        sum(persons_deprived) as persons_deprived,
        sum(deprivations) as deprivations,
        {%- for name in indicators %}
        sum(persons_deprived_in_{{ name }}) as persons_deprived_in_{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from levels
    group by period_start, ranking, area_code
),

weights as (
    select indicator, cast(value as {{ type_double() }}) as weight
    from {{ ref('living_standards') }}
    where parameter = 'weight'
),

spending as (
    -- Families of a delivery whose contract has expenditure; those that do not state it stay, as unknown.
    select family.*
    from {{ ref('fct_welfare') }} as family
    inner join (
        select distinct delivery_id from {{ ref('fct_welfare') }} where expenditure_per_head_idr is not null
    ) as stated on stated.delivery_id = family.delivery_id
    where family.is_in_scope
),

lines as (
    -- Of an area and year. BPS publishes none below the kota, so no index comes out below it.
    select line.kemendagri_code, line.value, line_year.period_start, line_year.period_end
    from {{ ref('fct_published_figure') }} as line
    inner join {{ ref('dim_period') }} as line_year
        on line_year.period_kind = 'year' and line_year.period_start = line.period_start
    where line.indicator = 'poverty_line_idr' and line.source_system = 'bps' and line.period_kind = 'year' and line.is_latest
),

spending_and_line as (
    select spread.*, lines.value as poverty_line_idr
    from ({{ at_each_area_level('spending') }}) as spread
    inner join lines
        on lines.kemendagri_code = spread.area_code
        and spread.period_start between lines.period_start and lines.period_end
),

indices as (
    -- A: mean share of deprivations among the deprived. M0 = H x A. The denominator is the group each is a mean over.
    select
        'quarter' as period_kind, period_start, ranking, kemendagri_code, 'living_standards_a' as measure, 'all' as desil,
        cast(null as bigint) as numerator,
        coalesce(persons_deprived, 0) as denominator,
        deprivations / nullif(persons_deprived, 0) as statistic,
        persons_unknown as unknown_count
    from sums
    union all
    select
        'quarter', period_start, ranking, kemendagri_code, 'living_standards_m0', 'all', null,
        coalesce(persons_scored, 0), coalesce(deprivations, 0) / nullif(persons_scored, 0), persons_unknown
    from sums
    {%- for name in indicators %}
    union all
    select
        'quarter', sums.period_start, sums.ranking, sums.kemendagri_code, 'm0_share_{{ name }}', 'all', null,
        coalesce(sums.persons_deprived, 0),
        100.0 * weights.weight * coalesce(sums.persons_deprived_in_{{ name }}, 0) / nullif(sums.deprivations, 0),
        sums.persons_unknown
    from sums
    inner join weights on weights.indicator = '{{ name }}' and weights.weight > 0
    {%- endfor %}
    {%- for alpha in [0, 1, 2] %}
    union all
    select
        'quarter', period_start, ranking, area_code, 'fgt_p{{ alpha }}', 'all', null,
        sum(case when expenditure_per_head_idr is not null then person_count end),
        100.0 * {{ fgt('expenditure_per_head_idr', 'poverty_line_idr', alpha, 'person_count') }},
        sum(case when expenditure_per_head_idr is null then coalesce(person_count, 0) else 0 end)
    from spending_and_line
    group by period_start, ranking, area_code
    {%- endfor %}
)

{{ long_mart('poverty_by_area_period', 'additive', keys=['ranking', 'desil'],
    provides=['numerator_low', 'numerator_high', 'bounds_denominator', 'unknown_count']) }}
union all
{{ long_mart('poverty_by_area_period', 'indices', keys=['ranking', 'desil'],
    provides=['statistic', 'unknown_count'], rollup=false) }}
