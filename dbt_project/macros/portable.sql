{#
Small dialect differences, dispatched. What dbt's own cross-database macros cover (dateadd, concat, safe_cast, bool_or)
is used directly and not repeated here.
#}

{# Half away from zero on both engines, as WHO's own code rounds. #}
{% macro round_half_away(expression, digits) -%}
    round(cast({{ expression }} as {{ type_double() }}), {{ digits }})
{%- endmacro %}

{% macro type_double() -%}{{ adapter.dispatch('type_double', 'tangerang_welfare')() }}{%- endmacro %}
{% macro default__type_double() -%}double{%- endmacro %}

{# First day of a date's month, as a DATE: date_trunc gives a timestamp, which time zones shift. #}
{% macro month_start(expression) -%}cast({{ dbt.date_trunc('month', expression) }} as date){%- endmacro %}

{# Whole calendar months added to a first of month. #}
{% macro add_months(months, expression) -%}cast({{ dbt.dateadd('month', months, expression) }} as date){%- endmacro %}

{# Days from one date to a later one; datediff by day has no boundary surprises, by month it has. #}
{% macro days_between(earlier, later) -%}{{ dbt.datediff(earlier, later, 'day') }}{%- endmacro %}

{# The day in Jakarta on which an instant falls: midnight there comes seven hours before that of UTC. #}
{% macro jakarta_day(instant) -%}{{ adapter.dispatch('jakarta_day', 'tangerang_welfare')(instant) }}{%- endmacro %}
{% macro duckdb__jakarta_day(instant) -%}cast({{ instant }} at time zone 'Asia/Jakarta' as date){%- endmacro %}

{% macro as_of_date() -%}cast('{{ var("as_of") }}' as date){%- endmacro %}

{# Every match of a pattern replaced; patterns keep to what RE2 and Java read alike, without groups in the replacement. #}
{% macro replace_all(expression, pattern, replacement) -%}
{{ adapter.dispatch('replace_all', 'tangerang_welfare')(expression, pattern, replacement) }}
{%- endmacro %}
{% macro default__replace_all(expression, pattern, replacement) -%}
regexp_replace({{ expression }}, '{{ pattern }}', '{{ replacement }}')
{%- endmacro %}
{# DuckDB replaces the first match only, unless told. #}
{% macro duckdb__replace_all(expression, pattern, replacement) -%}
regexp_replace({{ expression }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}
