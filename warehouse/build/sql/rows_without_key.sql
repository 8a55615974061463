-- Rows of a model now, and those that one side has more often than the other: nothing says which rows are the same.
with sides as (
    select content, 1 as side from after
    union all
    select content, -1 as side from before
),

surpluses as (
    select content, sum(side) as surplus from sides group by content
)

select
    (select count(*) from after) as row_count,
    cast(coalesce(sum(greatest(surplus, 0)), 0) as bigint) as added,
    cast(coalesce(sum(greatest(-surplus, 0)), 0) as bigint) as removed,
    cast(null as bigint) as changed
from surpluses
