-- The exact method that ties a profile to another.
select id, arg_min(method, exact_rank(method)) as method
from (
    select a as id, method from edges
    union all
    select b, method from edges
) as tied
group by id
