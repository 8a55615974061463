-- One bit per agency, so that a set of agencies is a number.
select agency, cast(1 << (row_number() over (order by agency) - 1) as bigint) as bit
from (select distinct split_part(dataset, '/', 1) as agency from profiles) as known
