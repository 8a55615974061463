/*
What became of quarantined rows: open (the delivery counts or waits for a decision), waived (the delivery was rejected or
replaced: nobody has to act), readmitted (a later verdict on the same delivery let the row in).
*/
with pointers as (
    select
        pointer.delivery_id,
        pointer.rule_code,
        coalesce(pointer.column_name, '') as column_name,
        coalesce(pointer.source_part, '') as source_part,
        pointer.source_row,
        pointer.verdict_id,
        verdict.judged_at
    from {{ source('ledger', 'quarantined_rows') }} as pointer
    inner join {{ source('ledger', 'verdicts') }} as verdict on verdict.verdict_id = pointer.verdict_id
),

found as (
    select
        pointer.delivery_id,
        pointer.rule_code,
        pointer.column_name,
        pointer.source_part,
        pointer.source_row,
        min(pointer.judged_at) as first_at,
        max(case when pointer.verdict_id = newest.verdict_id then 1 else 0 end) as is_in_newest
    from pointers as pointer
    inner join {{ source('ledger', 'latest_verdicts') }} as newest on newest.delivery_id = pointer.delivery_id
    group by
        pointer.delivery_id, pointer.rule_code, pointer.column_name, pointer.source_part, pointer.source_row
),

still_out as (
    select delivery_id, source_part, source_row, max(is_in_newest) as is_out
    from found
    group by delivery_id, source_part, source_row
),

waiting as (
    select delivery_id from {{ source('ledger', 'deliveries_in_force') }}
    union
    select delivery_id from {{ source('ledger', 'held_deliveries') }}
)

select
    found.delivery_id,
    found.rule_code,
    found.column_name,
    cast(sum(case when found.is_in_newest = 1 and waiting.delivery_id is not null then 1 else 0 end) as bigint)
        as rows_open,
    cast(sum(case when found.is_in_newest = 1 and waiting.delivery_id is null then 1 else 0 end) as bigint)
        as rows_waived,
    cast(sum(case when still_out.is_out = 0 then 1 else 0 end) as bigint) as rows_readmitted,
    min(case when found.is_in_newest = 1 and waiting.delivery_id is not null then found.first_at end) as oldest_at
from found
inner join still_out
    on still_out.delivery_id = found.delivery_id
    and still_out.source_part = found.source_part
    and still_out.source_row = found.source_row
left join waiting on waiting.delivery_id = found.delivery_id
group by found.delivery_id, found.rule_code, found.column_name
