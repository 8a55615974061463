/*
How late each expected part is, as seen on the newest night. What is due next is the period after the last good one; a
part that never came owes the newest period that has ended.
*/
with seen_from as (
    select coalesce(max(logical_date), {{ as_of_date() }}) as today
    from {{ source('ledger', 'nights') }}
    where started_at = (select max(started_at) from {{ source('ledger', 'nights') }})
),

parts as (
    select
        contract.dataset,
        part.part,
        contract.due_day,
        contract.stale_after_days,
        -- A snapshot's period is a day; it is owed month by month.
        case contract.period_kind when 'quarter' then 3 when 'half_year' then 6 when 'year' then 12 else 1 end as months
    from {{ source('ledger', 'contracts') }} as contract
    inner join {{ source('ledger', 'contract_parts') }} as part on part.dataset = contract.dataset
),

ranked as (
    select
        dataset,
        part,
        delivery_id,
        period_start,
        row_number() over (partition by dataset, part order by period_start desc, received_at desc) as place
    from {{ source('ledger', 'deliveries_in_force') }}
),

held as (
    select
        dataset,
        part,
        delivery_id,
        row_number() over (partition by dataset, part order by period_start desc, received_at desc) as place
    from {{ source('ledger', 'held_deliveries') }}
),

owed as (
    select
        parts.*,
        seen_from.today,
        ranked.delivery_id as last_good_delivery_id,
        ranked.period_start as last_period_start,
        coalesce(
            {{ add_months('parts.months', month_start('ranked.period_start')) }},
            {{ add_months(
                '-parts.months - cast(mod(cast(extract(month from seen_from.today) as integer) - 1, parts.months) as integer)',
                month_start('seen_from.today')
            ) }}
        ) as owed_start
    from parts
    cross join seen_from
    left join ranked on ranked.dataset = parts.dataset and ranked.part = parts.part and ranked.place = 1
),

ends as (
    select
        *,
        {{ add_months('months', 'owed_start') }} as owed_end,
        cast({{ dbt.dateadd('day', -1, add_months('months', month_start('last_period_start'))) }} as date) as as_of
    from owed
),

lineage as (
    {{ mart_lineage() }}
),

affected as (
    -- A measure names its inputs; a mart without measures is made of whatever it reads.
    select dataset, {{ dbt.listagg('mart', "', '", 'order by mart') }} as affected_marts
    from (
        select distinct contract.dataset, measure.mart
        from {{ source('ledger', 'contracts') }} as contract
        inner join {{ ref('dim_measure') }} as measure
            on {{ dbt.concat(["' '", "measure.inputs", "' '"]) }} like {{ dbt.concat(["'% '", "contract.dataset", "' %'"]) }}
        union
        select lineage.dataset, lineage.mart
        from lineage
        where lineage.mart not in (select mart from {{ ref('dim_measure') }})
    ) as uses
    group by dataset
)

select
    ends.dataset,
    ends.part,
    ends.last_good_delivery_id,
    ends.last_period_start,
    ends.as_of,
    cast({{ dbt.dateadd('day', 'ends.due_day', 'ends.owed_end') }} as date) as due_on,
    cast(greatest(
        0, {{ days_between(dbt.dateadd('day', 'ends.due_day', 'ends.owed_end'), 'ends.today') }}
    ) as bigint) as days_late,
    ends.last_good_delivery_id is null or {{ days_between('ends.owed_end', 'ends.today') }} >= ends.stale_after_days
        as is_stale,
    case when {{ days_between('ends.owed_end', 'ends.today') }} >= ends.stale_after_days
        then cast({{ dbt.dateadd('day', 'ends.stale_after_days', 'ends.owed_end') }} as date) end as stale_since,
    held.delivery_id as held_delivery_id,
    affected.affected_marts
from ends
left join held on held.dataset = ends.dataset and held.part = ends.part and held.place = 1
left join affected on affected.dataset = ends.dataset
