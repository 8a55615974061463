/*
How complete and how old each dataset stands for an area and a period, as the build sees it.

A dataset's expected period is its newest one that ended with the target period or before: a monthly mart expects last
month's file of a monthly feed and last quarter's of a quarterly one.
*/
with delivered as (
    -- A file of a period still running knows no more than the day it came.
    select
        in_force.dataset, in_force.part, period.period_start,
        least(period.period_end, cast(in_force.received_at as date)) as known_until
    from {{ source('ledger', 'deliveries_in_force') }} as in_force
    inner join {{ ref('dim_period') }} as period
        on period.period_kind = in_force.period_kind and period.period_start = in_force.period_start
),

targets as (
    select period_kind, period_start, period_end
    from {{ ref('dim_period') }}
    where period_start <= {{ as_of_date() }}
        and period_end >= {{ add_months(-var('status_months'), month_start(as_of_date())) }}
),

expected as (
    select
        contract.dataset,
        contract.open_days,
        contract.stale_after_days,
        target.period_kind,
        target.period_start,
        target.period_end,
        max(own.period_start) as expected_start,
        max(own.period_end) as expected_end
    from {{ source('ledger', 'contracts') }} as contract
    cross join targets as target
    inner join {{ ref('dim_period') }} as own
        on own.period_kind = contract.period_kind and own.period_end <= target.period_end
    group by
        contract.dataset, contract.open_days, contract.stale_after_days,
        target.period_kind, target.period_start, target.period_end
),

part_areas as (
    -- A part sent for the whole city stands for every area; a service unit for its kecamatan, its kelurahan and the city.
    select part.dataset, part.part, area.kemendagri_code, unit.valid_from, unit.valid_to
    from {{ source('ledger', 'contract_parts') }} as part
    left join {{ ref('service_units') }} as unit on unit.kind = part.kind and unit.part = part.part
    inner join {{ ref('dim_region') }} as area
        on area.is_in_city
        and (
            unit.part is null
            or area.kemendagri_code = '{{ var("city") }}'
            or area.kemendagri_code = unit.kemendagri_code
            or area.parent_kemendagri_code = unit.kemendagri_code
        )
),

by_part as (
    select
        expected.dataset,
        part.part,
        expected.period_kind,
        expected.period_start,
        expected.period_end,
        expected.expected_start,
        expected.expected_end,
        part.kind,
        part.due_day,
        expected.open_days,
        expected.stale_after_days,
        max(delivered.known_until) as known_until,
        coalesce(max(delivered.period_start) >= expected.expected_start, false) as is_received
    from expected
    inner join {{ source('ledger', 'contract_parts') }} as part on part.dataset = expected.dataset
    left join delivered
        on delivered.dataset = part.dataset
        and delivered.part = part.part
        and delivered.period_start <= expected.period_end
    group by
        expected.dataset, part.part, expected.period_kind, expected.period_start, expected.period_end,
        expected.expected_start, expected.expected_end, part.kind, part.due_day, expected.open_days,
        expected.stale_after_days
)

select
    by_part.dataset,
    by_part.period_kind,
    by_part.period_start,
    part_areas.kemendagri_code,
    sum(cast(by_part.is_received as int)) as parts_received,
    sum(cast(
        by_part.is_received
        or by_part.kind <> 'indicator'
        or {{ days_between('by_part.expected_end', as_of_date()) }} > by_part.due_day + 1
    as int)) as parts_expected,
    min(case when by_part.known_until <= by_part.period_end then by_part.known_until
        when by_part.known_until is not null then by_part.period_end end) as as_of,
    max(cast(
        not by_part.is_received
        and {{ days_between('by_part.expected_end', as_of_date()) }} > by_part.stale_after_days
    as int)) = 1 as is_stale,
    min(cast(
        by_part.is_received
        and {{ days_between('by_part.expected_end', as_of_date()) }} > by_part.due_day + by_part.open_days + 1
    as int)) = 1 as is_final
from by_part
inner join part_areas
    on part_areas.dataset = by_part.dataset
    and part_areas.part = by_part.part
    and (part_areas.valid_from is null or part_areas.valid_from <= by_part.expected_end)
    and (part_areas.valid_to is null or part_areas.valid_to >= by_part.expected_start)
group by by_part.dataset, by_part.period_kind, by_part.period_start, part_areas.kemendagri_code
