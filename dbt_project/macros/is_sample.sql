{#- Whether agencies report on a part of the city only, as a sandbox's do: what is published still speaks of all of it. -#}
{% macro is_sample() -%}
    {{ return(env_var('WAREHOUSE_IS_SAMPLE', '0') == '1') }}
{%- endmacro %}
