-- Rows of the registry's files, the assistance lists and the participants' files that the gate did not let in, where the sender stands.
select
    dataset,
    period_start,
    kemendagri_code,
    cast(sum(rows_put_aside) as bigint) as rows_put_aside
from {{ ref('part_put_aside') }}
where dataset in (
    'bps/social_registry_families', 'bps/social_registry_individuals', 'kemensos/assistance', 'bpjstk/participants'
)
group by dataset, period_start, kemendagri_code
