-- Clusters of a scored pair: the agencies that know them, and whether they have a number.
select cluster, agencies, nik is null as is_without_nik
from cluster_records
where cluster in (
    select a from scored
    union all
    select b from scored
)
