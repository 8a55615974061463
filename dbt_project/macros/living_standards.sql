{#
Alkire-Foster on family rows and the Foster-Greer-Thorbecke indices. Weights, cut-offs and k stand in the seed
living_standards and nowhere else; here is arithmetic only.
#}

{# Indicators of the seed, in the order of the columns that carry them. Water has weight 0: shown beside the index. #}
{% macro living_standards_indicators() -%}
{{ return(['water', 'sanitation', 'floor', 'wall', 'roof', 'crowding', 'lighting', 'fuel', 'assets']) }}
{%- endmacro %}

{#
Logical OR of answers that are 1 (deprived), 0 or NULL (unanswered, or a code that says nothing either way): one
deprivation settles it, and only a full set of zeros clears it.
#}
{% macro any_deprived(flags) -%}
case
    when {% for flag in flags %}coalesce({{ flag }}, 0) = 1{{ ' or ' if not loop.last }}{% endfor %} then 1
    when {% for flag in flags %}{{ flag }} = 0{{ ' and ' if not loop.last }}{% endfor %} then 0
end
{%- endmacro %}

{#
Weighted share of deprivations of a row (0..1), NULL while an indicator that carries weight is unknown.
`prefix` stands before each indicator's flag, `weight_prefix` before its weight.
#}
{% macro deprivation_score(prefix, weight_prefix) -%}
{%- set indicators = living_standards_indicators() -%}
case when {% for name in indicators -%}
    ({{ weight_prefix }}{{ name }} = 0 or {{ prefix }}{{ name }} is not null){{ ' and ' if not loop.last }}
{%- endfor %} then
    {% for name in indicators %}{{ weight_prefix }}{{ name }} * coalesce({{ prefix }}{{ name }}, 0){{ ' + ' if not loop.last }}{% endfor %}
end
{%- endmacro %}

{# 1 when a score reaches k. Weights are decimal fractions whose sums may miss k by a rounding: nine digits decide. #}
{% macro reaches_cutoff(score, cutoff) -%}
case when {{ score }} is not null then case when {{ score }} >= {{ cutoff }} - 0.000000001 then 1 else 0 end end
{%- endmacro %}

{#
Foster-Greer-Thorbecke index of order `alpha` (0 headcount, 1 gap, 2 severity) as an aggregate in 0..1: the mean over
`weight` of ((line - expenditure) / line) ^ alpha among those below the line. NULL without a known expenditure and line.
Source: Foster, Greer and Thorbecke, Econometrica 52 (1984). A person exactly on the line is not poor, as BPS counts.
#}
{% macro fgt(expenditure, line, alpha, weight='1') -%}
sum(case when {{ expenditure }} is not null and {{ line }} > 0 then {{ weight }} *
    case when {{ expenditure }} < {{ line }}
        then power(({{ line }} - {{ expenditure }}) / cast({{ line }} as {{ type_double() }}), {{ alpha }}) else 0.0 end
end) / nullif(sum(case when {{ expenditure }} is not null and {{ line }} > 0 then {{ weight }} end), 0)
{%- endmacro %}


{# One row with the weight of each indicator, 0 where it has none. #}
{% macro living_standards_weights() -%}
select
        {%- for name in living_standards_indicators() %}
        coalesce(max(case when indicator = '{{ name }}' then cast(value as {{ type_double() }}) end), 0) as weight_{{ name }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('living_standards') }}
    where parameter = 'weight'
{%- endmacro %}
