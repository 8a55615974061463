{# What Spark (4 or newer) says otherwise than DuckDB, where dbt's own macros differ from it or fall short. #}

{# An instant: Spark's timestamp is what DuckDB and our contracts call timestamptz. #}
{% macro spark__cast(field, type) -%}
cast({{ field }} as {{ 'timestamp' if type == 'timestamptz' else type }})
{%- endmacro %}

{# dbt's own leaves the order out. #}
{% macro spark__listagg(measure, delimiter_text, order_by_clause, limit_num) -%}
listagg({{ measure }}, {{ delimiter_text }}) within group ({{ order_by_clause }})
{%- endmacro %}

{# An instant is told by the session's clock, which need not be UTC's. #}
{% macro spark__jakarta_day(instant) -%}
cast(from_utc_timestamp(to_utc_timestamp({{ instant }}, current_timezone()), 'Asia/Jakarta') as date)
{%- endmacro %}
