/*
How late each expected part is by its own due day, as seen on the newest night. What is due next is the period after the
last good one; a part that never came owes the newest period that has ended (warehouse/intake/timeliness.py says the same).
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
        part.label_id,
        part.label_en,
        part.due_day,
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
        cast({{ dbt.dateadd('day', -1, add_months('months', month_start('last_period_start'))) }} as date) as as_of,
        max(last_period_start) over (partition by dataset) as newest_period_start
    from owed
),

due as (
    select
        *,
        cast({{ dbt.dateadd('day', 'due_day', 'owed_end') }} as date) as due_on,
        {{ days_between(dbt.dateadd('day', 'due_day', 'owed_end'), 'today') }} as days_past_due,
        {{ days_between('owed_end', 'today') }} >= stale_after_days as is_past_limit
    from ends
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
    due.dataset,
    due.part,
    due.label_id,
    due.label_en,
    due.last_good_delivery_id,
    due.last_period_start,
    due.as_of,
    due.due_on,
    cast(greatest(0, due.days_past_due) as bigint) as days_late,
    case
        when due.days_past_due > 0 then 'late'
        when due.last_period_start = due.newest_period_start then 'received'
        else 'not_yet_due'
    end as state,
    due.is_past_limit or (due.last_good_delivery_id is null and due.days_past_due > 0) as is_stale,
    case when due.is_past_limit then cast({{ dbt.dateadd('day', 'due.stale_after_days', 'due.owed_end') }} as date) end
        as stale_since,
    held.delivery_id as held_delivery_id,
    affected.affected_marts
from due
left join held on held.dataset = due.dataset and held.part = due.part and held.place = 1
left join affected on affected.dataset = due.dataset
