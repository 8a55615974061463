{#
What every mart column is, read from the marts' own YAML when dbt runs: nothing is written twice.
#}
{%- set rows = [] -%}
{%- if execute -%}
    {%- for node in graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
            | selectattr('schema', 'equalto', 'marts') | sort(attribute='name') -%}
        {%- for column in node.columns.values() -%}
            {%- do rows.append((node.name, loop.index, column.name, column.data_type, column_role(column))) -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endif -%}
select mart, position, column_name, data_type, role
from (
    {%- for mart, position, name, kind, role in rows %}
    select
        '{{ mart }}' as mart, {{ position }} as position, '{{ name }}' as column_name, '{{ kind }}' as data_type,
        '{{ role }}' as role
    {{ 'union all' if not loop.last }}
    {%- else %}
    select
        cast(null as {{ dbt.type_string() }}) as mart, 0 as position, cast(null as {{ dbt.type_string() }}) as column_name,
        cast(null as {{ dbt.type_string() }}) as data_type, cast(null as {{ dbt.type_string() }}) as role
    where 1 = 0
    {%- endfor %}
) as columns
