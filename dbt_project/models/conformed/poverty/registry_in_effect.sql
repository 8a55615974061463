/*
Which quarter of the registry describes a month: the newest that began with the month or before, of those whose families and
persons have both come. Older than 15 months (five quarters missed in a row) it no longer describes anyone's present address, and
the month has none.
*/
with quarters as (
    select distinct family.ranking, family.period_start
    from {{ ref('fct_welfare') }} as family
    inner join (select distinct period_start from {{ ref('stg_bps__social_registry_individuals') }}) as person
        on person.period_start = family.period_start
),

candidates as (
    select
        month.period_start as month_start,
        quarters.ranking,
        max(quarters.period_start) as registry_period
    from {{ ref('dim_period') }} as month
    inner join quarters
        on quarters.period_start <= month.period_start
        and {{ add_months(15, 'quarters.period_start') }} >= month.period_start
    where month.period_kind = 'month' and month.period_start <= {{ as_of_date() }}
    group by month.period_start, quarters.ranking
)

select
    month_start,
    ranking,
    registry_period,
    row_number() over (
        partition by month_start
        order by registry_period desc, case when {{ is_no_second_rank('ranking') }} then 0 else 1 end asc, ranking asc
    ) = 1 as is_main
from candidates
