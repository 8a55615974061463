-- Rows of the registry's files and of the assistance lists that the gate did not let in, where the sending unit stands.
select
    dataset,
    period_start,
    kemendagri_code,
    cast(sum(rows_put_aside) as bigint) as rows_put_aside
from {{ ref('part_put_aside') }}
where dataset in ('bps/social_registry_families', 'bps/social_registry_individuals', 'kemensos/assistance')
group by dataset, period_start, kemendagri_code
