-- Rows of a model now, and how they differ from those before, row by row of the same key.
select
    count(after.key) as row_count,
    count_if(before.key is null) as added,
    count_if(after.key is null) as removed,
    count_if(before.content <> after.content) as changed
from before
full join after on before.key = after.key
