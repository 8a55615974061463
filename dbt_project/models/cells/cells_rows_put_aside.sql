/*
Rows of the registry's files, the assistance lists and the participants' files that the gate did not let in, where the sender
stands.
*/
select
    put_aside.dataset,
    contract.period_kind,
    put_aside.period_start,
    put_aside.kemendagri_code,
    cast(sum(put_aside.rows_put_aside) as bigint) as rows_put_aside
from {{ ref('part_put_aside') }} as put_aside
inner join {{ source('ledger', 'contracts') }} as contract on contract.dataset = put_aside.dataset
where put_aside.dataset in (
    'bps/social_registry_families', 'bps/social_registry_individuals', 'kemensos/assistance', 'bpjstk/participants'
)
group by put_aside.dataset, contract.period_kind, put_aside.period_start, put_aside.kemendagri_code
