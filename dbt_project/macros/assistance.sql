{# What more than one model says of the lists of social assistance. #}

{# Programmes that the contract of kemensos/assistance knows. #}
{% macro assistance_programmes() -%}
{{ return(['pkh', 'bpnt', 'pbi_jk']) }}
{%- endmacro %}

{# Months that have lists, with the registry quarter in effect of each ranking. #}
{% macro assistance_months() -%}
select in_effect.month_start, in_effect.ranking, in_effect.registry_period
    from {{ ref('registry_in_effect') }} as in_effect
    inner join (select distinct period_start from {{ ref('fct_assistance') }}) as feed
        on feed.period_start = in_effect.month_start
    where {{ is_no_second_rank('in_effect.ranking') }}
{%- endmacro %}

{# One row per listed family and month: which programmes name it, 1 or 0, and one place for all of them. #}
{% macro received_by_family() -%}
select
        period_start,
        family_key,
        min(kemendagri_code) as kemendagri_code
        {%- for programme in assistance_programmes() %},
        max(case when programme = '{{ programme }}' then 1 else 0 end) as receives_{{ programme }}
        {%- endfor %}
    from {{ ref('fct_assistance') }}
    group by period_start, family_key
{%- endmacro %}
