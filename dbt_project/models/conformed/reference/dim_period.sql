-- From the first year of BPS's poverty series to the end of the year after the build's.
{% set end_year = var('as_of')[:4] | int + 2 %}
with months as (
    select
        cast(date_month as date) as period_start,
        cast(extract(year from date_month) as integer) as year_number,
        cast(extract(month from date_month) as integer) as month_number
    from (
        {{ dbt.date_spine('month', "cast('2004-01-01' as date)", "cast('" ~ end_year ~ "-01-01' as date)") }}
    ) as spine
),

kinds as (
    select 'month' as period_kind, 1 as months, '-' as mark
    union all
    select 'quarter', 3, '-Q'
    union all
    select 'half_year', 6, '-H'
    union all
    select 'year', 12, ''
),

periods as (
    select
        kinds.period_kind,
        months.period_start,
        {{ add_months('kinds.months', 'months.period_start') }} as next_start,
        months.year_number,
        kinds.mark,
        (months.month_number + kinds.months - 1) / kinds.months as number_in_year
    from months
    cross join kinds
    where mod(months.month_number - 1, kinds.months) = 0
)

select
    period_kind,
    period_start,
    cast({{ dbt.dateadd('day', -1, 'next_start') }} as date) as period_end,
    case period_kind
        when 'year' then cast(year_number as {{ dbt.type_string() }})
        when 'month' then substring(cast(period_start as {{ dbt.type_string() }}), 1, 7)
        else {{ dbt.concat([
            'cast(year_number as ' ~ dbt.type_string() ~ ')', 'mark',
            'cast(cast(number_in_year as integer) as ' ~ dbt.type_string() ~ ')',
        ]) }}
    end as label,
    year_number
from periods
