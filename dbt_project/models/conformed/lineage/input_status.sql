/*
How complete and how old each dataset stands for an area and a period, as the build sees it.

A period asks for every period of the dataset's own that ended within it: a quarter for three months of a monthly feed. Where none
did, for the newest that ended before: a month for last quarter's registry. What ends later and began before the period is over
will describe it once it is there, so nothing is final until it is, or is no longer asked for.
*/
with delivered as (
    -- A file of a period still running knows no more than the day it came.
    select
        in_force.dataset, in_force.part, period.period_start,
        least(period.period_end, {{ jakarta_day('in_force.received_at') }}) as known_until
    from {{ source('ledger', 'deliveries_in_force') }} as in_force
    inner join {{ ref('dim_period') }} as period
        on period.period_kind = in_force.period_kind and period.period_start = in_force.period_start
),

targets as (
    -- As far back as any file in force reaches: a figure keeps its status for as long as it is published.
    select period_kind, period_start, period_end
    from {{ ref('dim_period') }}
    where period_start <= {{ as_of_date() }}
        and period_end >= (select min(period_start) from delivered)
),

expected as (
    select
        contract.dataset,
        contract.open_days,
        contract.stale_after_days,
        target.period_kind,
        target.period_start,
        target.period_end,
        max(case when own.period_end <= target.period_end then own.period_start end) as expected_start,
        max(case when own.period_end <= target.period_end then own.period_end end) as expected_end,
        sum(case when own.period_start >= target.period_start and own.period_end <= target.period_end then 1 else 0 end)
            as periods_within,
        max(own.period_start) as awaited_start,
        max(own.period_end) as awaited_end
    from {{ source('ledger', 'contracts') }} as contract
    cross join targets as target
    inner join {{ ref('dim_period') }} as own
        on own.period_kind = contract.period_kind and own.period_start <= target.period_end
    group by
        contract.dataset, contract.open_days, contract.stale_after_days,
        target.period_kind, target.period_start, target.period_end
),

part_areas as (
    -- A part sent for the whole city stands for every area, and so does a branch: its members live anywhere. Another service unit
    -- stands for its kecamatan, its kelurahan and the city.
    select part.dataset, part.part, area.kemendagri_code, unit.valid_from, unit.valid_to
    from {{ source('ledger', 'contract_parts') }} as part
    left join {{ ref('service_units') }} as unit on unit.kind = part.kind and unit.part = part.part
    inner join {{ ref('dim_region') }} as area
        on area.is_in_city
        and (
            unit.part is null
            or part.kind = 'branch'
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
        expected.awaited_end,
        part.kind,
        part.due_day,
        expected.open_days,
        expected.stale_after_days,
        max(case when delivered.period_start <= expected.period_end then delivered.known_until end) as known_until,
        coalesce(max(delivered.period_start) >= expected.expected_start, false) as is_newest_received,
        coalesce(max(delivered.period_start) >= expected.awaited_start, false) as is_awaited_received,
        count(distinct case
            when delivered.period_start >= expected.period_start and delivered.period_start <= expected.expected_start
                then delivered.period_start
        end) >= expected.periods_within as is_each_received
    from expected
    inner join {{ source('ledger', 'contract_parts') }} as part on part.dataset = expected.dataset
    left join delivered
        on delivered.dataset = part.dataset
        and delivered.part = part.part
        and delivered.period_start <= expected.period_end
    group by
        expected.dataset, part.part, expected.period_kind, expected.period_start, expected.period_end,
        expected.expected_start, expected.expected_end, expected.periods_within, expected.awaited_start,
        expected.awaited_end, part.kind, part.due_day, expected.open_days, expected.stale_after_days
),

judged as (
    select
        *,
        is_newest_received and is_each_received as is_received,
        {{ days_between('expected_end', as_of_date()) }} as days_since,
        is_awaited_received
        or {{ days_between('awaited_end', as_of_date()) }} > due_day + open_days + 1 as is_nothing_awaited
    from by_part
)

select
    judged.dataset,
    judged.period_kind,
    judged.period_start,
    part_areas.kemendagri_code,
    sum(cast(judged.is_received as int)) as parts_received,
    sum(cast(
        judged.is_received or judged.kind <> 'indicator' or judged.days_since > judged.due_day + 1
    as int)) as parts_expected,
    min(case when judged.known_until <= judged.period_end then judged.known_until
        when judged.known_until is not null then judged.period_end end) as as_of,
    max(cast(not judged.is_newest_received and judged.days_since > judged.stale_after_days as int)) = 1 as is_stale,
    min(cast(
        judged.is_received and judged.days_since > judged.due_day + judged.open_days + 1 and judged.is_nothing_awaited
    as int)) = 1 as is_final
from judged
inner join part_areas
    on part_areas.dataset = judged.dataset
    and part_areas.part = judged.part
    and (part_areas.valid_from is null or part_areas.valid_from <= judged.expected_end)
    and (part_areas.valid_to is null or part_areas.valid_to >= judged.expected_start)
group by judged.dataset, judged.period_kind, judged.period_start, part_areas.kemendagri_code
