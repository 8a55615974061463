-- input_status for each combination of datasets that some measure is made of: the oldest input speaks for all.
with combinations as (
    select inputs from {{ ref('dim_measure') }}
    union
    select dataset from {{ source('ledger', 'contracts') }}
),

members as (
    select combinations.inputs, contract.dataset
    from combinations
    inner join {{ source('ledger', 'contracts') }} as contract
        on {{ dbt.concat(["' '", "combinations.inputs", "' '"]) }} like {{ dbt.concat(["'% '", "contract.dataset", "' %'"]) }}
)

select
    members.inputs,
    status.period_kind,
    status.period_start,
    status.kemendagri_code,
    cast(sum(status.parts_received) as bigint) as parts_received,
    cast(sum(status.parts_expected) as bigint) as parts_expected,
    min(status.as_of) as as_of,
    max(cast(status.is_stale as int)) = 1 as is_stale,
    min(cast(status.is_final as int)) = 1 as is_final
from members
inner join {{ ref('input_status') }} as status on status.dataset = members.dataset
group by members.inputs, status.period_kind, status.period_start, status.kemendagri_code
