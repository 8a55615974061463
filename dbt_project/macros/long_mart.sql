{#
The one shape of an area mart (K + V), written once.

    with ..., measured as (select ... one row per area, period, measure and key ...)
    {{ long_mart('stunting_by_area_month', 'measured', keys=['source_system', 'area_basis', 'age_group'],
                 provides=['numerator_low', 'numerator_high', 'bounds_denominator', 'unknown_count']) }}

    long_mart(mart, relation, keys=[], provides=[], rollup=true, unknown_share=var('reliable_unknown_share'))

mart       name of the mart; each of its measures has a row in dim_measure, which gives unit, denominator_source, kind
           (count | rate | statistic), interval_method (wilson | none) and inputs (datasets, separated by a blank).
relation   a CTE or ref with: kemendagri_code, period_kind, period_start, measure, <keys>, numerator, denominator
           (denominator NULL in a pure count). Never area_level: it follows from the code.
keys       the mart's own keys, TEXT or DATE, in the order of marts.md.
provides   which further columns `relation` has; the rest become NULL:
             statistic            DOUBLE, what is no ratio; demands rollup=false
             numerator_low/high   BIGINT, what links and unknowns allow
             bounds_denominator   BIGINT, divides the two bounds where it is not `denominator`
             percentage_low/high  DOUBLE, ready-made bounds; demands rollup=false
             ci95_low/high        DOUBLE, a published or computed interval; demands rollup=false
             percentage           DOUBLE, published without its counts; demands rollup=false
             denominator_source,  TEXT, where a row's differ from its measure's in dim_measure (a survey figure beside ours);
             unit                 demand rollup=false
             as_of                DATE of a published figure, for which no delivery is awaited: never stale, always final;
                                  demands rollup=false
             unknown_count        BIGINT, people or families whose answer is unknown
             answered_count       BIGINT, those beside whom the unknown are few or many, where they are not `denominator`
             is_window_complete   BOOLEAN, false keeps is_final and is_reliable false; combined over the rows below by AND
rollup     true: rows are per kelurahan (or unplaced: 36.71.KK.0000, 36.71.00.0000) and are summed to kecamatan and kota.
           false: rows are given at every level they exist for (see at_each_area_level below).
unknown_share  a figure with a larger share unknown is not is_reliable.

A measure's months_back and months_ahead in dim_measure are the months around the period that its figures stand on as well: they
are final when each of those is. What the period itself asks for decides is_reliable.

Columns come out in the order K, keys, V. as_of, is_stale, is_final, parts_received and parts_expected come from
conformed.input_status for the measure's inputs. is_window_complete is not part of V: a mart that shows it adds it itself.

    at_each_area_level(relation)   the rows of `relation` once per level, with area_code: group by it to compute what
                                   does not add up (medians, indices) for kelurahan, kecamatan and kota alike.
    wide_view(mart, keys)          the wide form: one row per area, period and key; a column per measure (see below).
#}

{% macro long_mart(mart, relation, keys=[], provides=[], rollup=true, unknown_share=none) %}
{%- set unknown_share = var('reliable_unknown_share') if unknown_share is none else unknown_share -%}
{%- set sums = ['numerator', 'denominator', 'numerator_low', 'numerator_high', 'bounds_denominator', 'unknown_count',
    'answered_count'] -%}
{%- set overrides = ['denominator_source', 'unit', 'as_of'] -%}
{%- set is_awaited = 'as_of' not in provides -%}
{%- set asis = ['statistic', 'percentage', 'percentage_low', 'percentage_high', 'ci95_low', 'ci95_high'] -%}
{%- set known = ['numerator', 'denominator'] + provides -%}
{%- for column in provides if column not in sums + asis + overrides + ['is_window_complete'] -%}
    {{ exceptions.raise_compiler_error("long_mart: " ~ column ~ " is not a column it knows") }}
{%- endfor -%}
{%- if rollup -%}
    {%- for column in provides if column in asis + overrides -%}
        {{ exceptions.raise_compiler_error("long_mart: " ~ column ~ " does not add up; use rollup=false") }}
    {%- endfor -%}
{%- endif -%}
{%- set keyed = ['period_kind', 'period_start', 'measure'] + keys -%}
select
    region.area_level,
    given.kemendagri_code,
    given.period_kind,
    given.period_start,
    given.measure,
    {%- for key in keys %}
    given.{{ key }},
    {%- endfor %}
    region.bps_code,
    region.name as area_name,
    given.numerator,
    given.denominator,
    {{ 'coalesce(given.denominator_source, measure.denominator_source)' if 'denominator_source' in known
        else 'measure.denominator_source' }} as denominator_source,
    coalesce(given.percentage, cast(case when measure.kind = 'rate' and not ({{ says_all('given.numerator', 'given.denominator') }})
        then 100.0 * given.numerator / nullif(given.denominator, 0) end as {{ type_double() }})) as percentage,
    case when given.denominator is null or given.denominator >= {{ var('statistic_minimum') }} then given.statistic end
        as statistic,
    {{ 'coalesce(given.unit, measure.unit)' if 'unit' in known else 'measure.unit' }} as unit,
    given.numerator_low,
    given.numerator_high,
    {%- for side in ['low', 'high'] %}
    coalesce(given.percentage_{{ side }}, cast(case
        when not ({{ says_all('given.numerator_' ~ side, 'given.bounds_denominator') }})
            then 100.0 * given.numerator_{{ side }} / nullif(given.bounds_denominator, 0)
    end as {{ type_double() }})) as percentage_{{ side }},
    {%- endfor %}
    {%- for side, sign in [('low', '-'), ('high', '+')] %}
    coalesce(given.ci95_{{ side }}, cast(case
        when measure.interval_method = 'wilson' and not ({{ says_all('given.numerator', 'given.denominator') }})
            then {{ wilson('given.numerator', 'given.denominator', sign) }}
    end as {{ type_double() }})) as ci95_{{ side }},
    {%- endfor %}
    given.unknown_count,
    false as is_rounded,
    {{ 'coalesce(status.parts_received >= status.parts_expected, false)' if is_awaited else 'true' }}
        and (measure.kind = 'count' or coalesce(given.denominator, 0) >= {{ var('reliable_denominator') }}
            or (given.denominator is null and (measure.kind = 'statistic' or given.percentage is not null)))
        and coalesce(given.unknown_count, 0)
            <= {{ unknown_share }} * (
                coalesce(given.answered_count, given.denominator, given.numerator, 0) + coalesce(given.unknown_count, 0)
            )
        and coalesce(given.is_window_complete, true)
        as is_reliable,
    {%- if is_awaited %}
    status.as_of,
    coalesce(status.is_stale, true) as is_stale,
    coalesce(status.is_final, false) and coalesce(given.is_window_complete, true) as is_final,
    coalesce(status.parts_received, 0) as parts_received,
    coalesce(status.parts_expected, 0) as parts_expected,
    {%- else %}
    given.as_of,
    false as is_stale,
    true as is_final,
    cast(1 as bigint) as parts_received,
    cast(1 as bigint) as parts_expected,
    {%- endif %}
    false as revision_pending,
    cast(null as {{ dbt.type_string() }}) as release_id
from (
    select
        {{ 'ancestor.area_code' if rollup else 'base.kemendagri_code' }} as kemendagri_code,
        {%- for key in keyed %}
        base.{{ key }},
        {%- endfor %}
        {%- for column in sums %}
        cast({{ ('sum(base.' ~ column ~ ')' if rollup else 'base.' ~ column) if column in known
            else ('sum(base.denominator)' if rollup else 'base.denominator') if column == 'bounds_denominator'
            else 'null' }} as bigint) as {{ column }},
        {%- endfor %}
        {%- for column in asis %}
        cast({{ 'base.' ~ column if column in known else 'null' }} as {{ type_double() }}) as {{ column }},
        {%- endfor %}
        {%- for column in overrides if column in known %}
        base.{{ column }},
        {%- endfor %}
        {% if 'is_window_complete' not in known -%} cast(null as boolean)
        {%- elif rollup -%} min(cast(base.is_window_complete as int)) = 1
        {%- else -%} base.is_window_complete {%- endif %} as is_window_complete
    from {{ relation }} as base
    {%- if rollup %}
    inner join {{ ref('dim_region_ancestry') }} as ancestor on ancestor.kemendagri_code = base.kemendagri_code
    group by ancestor.area_code{% for key in keyed %}, base.{{ key }}{% endfor %}
    {%- endif %}
) as given
inner join {{ ref('dim_region') }} as region on region.kemendagri_code = given.kemendagri_code
inner join {{ ref('dim_measure') }} as measure on measure.mart = '{{ mart }}' and measure.measure = given.measure
{%- if is_awaited %}
left join {{ ref('measure_input_status') }} as status
    on status.inputs = measure.inputs
    and status.months_back = measure.months_back
    and status.months_ahead = measure.months_ahead
    and status.kemendagri_code = given.kemendagri_code
    and status.period_kind = given.period_kind
    and status.period_start = given.period_start
{%- endif %}
{% endmacro %}


{# Whether a share would say of a few people that nobody or each of them counts. #}
{% macro says_all(numerator, denominator) -%}
{{ denominator }} < {{ var('small_base') }} and ({{ numerator }} <= 0 or {{ numerator }} >= {{ denominator }})
{%- endmacro %}


{# Rows of a kelurahan-level relation once per level; `area_code` is the area to group by. #}
{% macro at_each_area_level(relation) -%}
select ancestor.area_level, ancestor.area_code, base.*
from {{ relation }} as base
inner join {{ ref('dim_region_ancestry') }} as ancestor on ancestor.kemendagri_code = base.kemendagri_code
{%- endmacro %}


{# One limit of Wilson's 95% score interval in per cent; NULL without a denominator or outside 0..1. #}
{% macro wilson(numerator, denominator, sign) -%}
{%- set z = 'cast(' ~ var('z95') ~ ' as ' ~ type_double() ~ ')' -%}
case when {{ denominator }} > 0 and {{ numerator }} between 0 and {{ denominator }} then
    {{ 'greatest(0.0, ' if sign == '-' else 'least(100.0, ' }}100.0 * (
        ({{ numerator }} + {{ z }} * {{ z }} / 2) {{ sign }} {{ z }} * sqrt(
            cast({{ numerator }} as {{ type_double() }}) * ({{ denominator }} - {{ numerator }}) / {{ denominator }}
            + {{ z }} * {{ z }} / 4
        )
    ) / ({{ denominator }} + {{ z }} * {{ z }})) end
{%- endmacro %}


{#
The wide form of an area mart. Per measure of dim_measure: a count or statistic gives `<measure>`; a rate gives
`<measure>_percentage`, `<measure>_numerator`, `<measure>_denominator`. `<measure>_is_rounded` tells a rounded figure from an
exact one. The list is read from dim_measure when the view is made: nothing is written twice.
#}
{% macro wide_view(mart, keys) %}
-- depends_on: {{ ref('dim_measure') }}
{%- set measures = [] -%}
{%- if execute -%}
    {%- set measures = run_query(
        "select measure, kind from " ~ ref('dim_measure') ~ " where mart = '" ~ mart ~ "' order by measure"
    ).rows -%}
{%- endif %}
select
    area_level, kemendagri_code, bps_code, area_name, period_kind, period_start
    {%- for key in keys %}, {{ key }}{% endfor %}
    {%- for measure, kind in measures %}
        {%- for suffix, column in (
            [('_percentage', 'percentage'), ('_numerator', 'numerator'), ('_denominator', 'denominator')] if kind == 'rate'
            else [('', 'numerator' if kind == 'count' else 'statistic')]
        ) %}
    , max(case when measure = '{{ measure }}' then {{ column }} end) as {{ measure }}{{ suffix }}
        {%- endfor %}
    , {{ dbt.bool_or("measure = '" ~ measure ~ "' and is_rounded") }} as {{ measure }}_is_rounded
    {%- endfor %}
    , min(as_of) as as_of
    , {{ dbt.bool_or('is_stale') }} as is_stale
    , min(cast(is_final as int)) = 1 as is_final
    , {{ dbt.bool_or('revision_pending') }} as revision_pending
    , max(release_id) as release_id
from {{ ref(mart) }}
group by area_level, kemendagri_code, bps_code, area_name, period_kind, period_start
    {%- for key in keys %}, {{ key }}{% endfor %}
{% endmacro %}
