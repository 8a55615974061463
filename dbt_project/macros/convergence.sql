{#
Families by rank, stunted child and uncovered breadwinner. Columns that count them are named <child>_<breadwinner>: `all` is every
answer, `any` every one but not_applicable, which of a breadwinner the registry alone decides.
#}
{% macro answers() -%}
{{ return(['yes', 'no', 'unknown']) }}
{%- endmacro %}


{# The classes that the thresholds 01 and 04 tell apart; the range 06-10 lies above both. #}
{% macro desil_class(desil) -%}
case
    when {{ desil }} in ('01', 'unknown') then {{ desil }}
    when {{ desil }} in ('02', '03', '04') then '02_04'
    else '05_10'
end
{%- endmacro %}


{# Counts of families of conformed.family_situation, one column for each child and breadwinner. #}
{% macro count_families(children, breadwinners) -%}
{%- for child in children -%}
{%- for breadwinner in breadwinners %}
    cast(sum(case when 1 = 1
        {%- for column, wanted in [('stunted_child', child), ('uncovered_breadwinner', breadwinner)] if wanted != 'all' %} and {{ column }}
        {%- if wanted == 'any' %} <> 'not_applicable'{% else %} = '{{ wanted }}'{% endif %}
        {%- endfor %} then 1 else 0 end) as bigint) as {{ child }}_{{ breadwinner }}
    {{- ',' if not loop.last }}
{%- endfor -%}
{{ ',' if not loop.last }}
{%- endfor -%}
{%- endmacro %}
