{#
What marts are made of, read from the project's own graph, for marts whose measures do not say it in dim_measure; and what
single records are made of.
#}

{# Datasets of the lake behind a model, through whatever stands between. #}
{% macro datasets_behind(model) -%}
{%- set waiting, seen, datasets = [model.unique_id], [], [] -%}
{%- for _ in range(graph.nodes | length + graph.sources | length) if waiting -%}
    {%- set source = waiting.pop() -%}
    {%- if source in graph.sources -%}
        {%- if graph.sources[source].source_name == 'lake' -%}
            {%- do datasets.append(graph.sources[source].name | replace('__', '/')) -%}
        {%- endif -%}
    {%- elif source in graph.nodes -%}
        {%- for parent in graph.nodes[source].depends_on.nodes if parent not in seen -%}
            {%- do seen.append(parent) -%}
            {%- do waiting.append(parent) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endfor -%}
{{ return(datasets | sort) }}
{%- endmacro %}

{# Rows (dataset, mart) for each mart of the welfare themes; wide views and operations are no marts of their own. #}
{% macro mart_lineage() -%}
select cast(null as {{ dbt.type_string() }}) as dataset, cast(null as {{ dbt.type_string() }}) as mart
where false
{%- if execute -%}
{%- for model in graph.nodes.values() | sort(attribute='name')
    if model.resource_type == 'model' and 'marts' in model.fqn and 'ops' not in model.fqn and not model.name.endswith('_wide') %}
{%- for dataset in datasets_behind(model) %}
union all
select '{{ dataset }}', '{{ model.name }}'
{%- endfor %}
{%- endfor %}
{%- endif %}
{%- endmacro %}

{# Which row of which delivery a record is, for every model that keeps single records. #}
{% macro lineage_columns(relation=none) -%}
{%- set of = relation ~ '.' if relation else '' -%}
{{ of }}delivery_id,
    {{ of }}source_part,
    {{ of }}source_row
{%- endmacro %}
