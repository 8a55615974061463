{# Words of outreach and its windows that the cells and the mart share. #}

{# The months the participants' feed speaks for: once every branch has sent one. #}
{% macro feed_months() -%}
select min(newest) as newest_month, min(oldest) as oldest_month
    from (
        select branch, max(period_start) as newest, min(period_start) as oldest
        from {{ ref('fct_participation') }}
        group by branch
    ) as by_branch
{%- endmacro %}

{# Last day of a window: the last session may fall on the month's last day, so that of a January session ends in March. #}
{% macro window_end(held_month, days) -%}
{{ dbt.dateadd('day', days - 1, add_months(1, held_month)) }}
{%- endmacro %}
