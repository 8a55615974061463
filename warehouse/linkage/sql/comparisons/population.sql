-- How many people the agency with the most knows: one row.
select coalesce(max(persons), 0) as people
from (
    select count(*) as persons
    from cluster_records
    inner join agencies on agencies.bit & cluster_records.agencies > 0
    group by agencies.bit
) as by_agency
