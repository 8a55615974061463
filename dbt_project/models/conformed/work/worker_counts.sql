-- Residents in scope who work, as the registry quarter in effect describes them, for each month of the participants' feed.
with feed as (
    select distinct period_start from {{ ref('fct_participation') }}
),

residents as (
    select
        period_start as registry_period,
        ranking,
        kemendagri_code,
        case
            when age_years is null then 'unknown'
            when age_years < 15 then 'under_15'
            when age_years <= 64 then '15_64'
            else '65_over'
        end as age_band,
        is_working,
        worker_segment,
        worker_group,
        count(*) as persons
    from {{ ref('fct_registry_member') }}
    where is_in_scope
    group by 1, 2, 3, 4, 5, 6, 7
)

select
    feed.period_start,
    residents.kemendagri_code,
    residents.age_band,
    residents.is_working,
    residents.worker_segment,
    residents.worker_group,
    cast(residents.persons as bigint) as persons
from feed
inner join {{ ref('registry_in_effect') }} as month on month.month_start = feed.period_start and month.is_main
inner join residents on residents.registry_period = month.registry_period and residents.ranking = month.ranking
