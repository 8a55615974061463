-- One row per person and agency, labelled by NIK; the same rows at every run.
select
    * exclude (cluster, source, nik_key),
    nik_key as label,
    row_number() over (order by first_id) as cluster
from cluster_records
qualify
    dense_rank() over (order by hash(coalesce(nik_key, cast(first_id as varchar)))) <= getvariable('most_people')
