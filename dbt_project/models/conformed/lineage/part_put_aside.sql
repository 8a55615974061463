/*
Rows of the files in force of a part and period that their gate did not let in, where the sending unit stands: the row's own
kelurahan may be what was wrong with it. A unit of the whole city, or one that no register knows, stands in the city's unplaced
row. Published figures keep every vintage: a part and period of theirs may have several files.
*/
with files as (
    select
        in_force.dataset,
        in_force.part,
        in_force.period_start,
        coalesce({{ dbt.concat(['unit.kemendagri_code', "'.0000'"]) }}, {{ unplaced_code() }}) as kemendagri_code,
        verdict.rows_read,
        verdict.rows_read - verdict.rows_admitted as rows_put_aside
    from {{ source('ledger', 'deliveries_in_force') }} as in_force
    inner join {{ source('ledger', 'verdicts') }} as verdict on verdict.verdict_id = in_force.verdict_id
    left join {{ source('ledger', 'contract_parts') }} as part
        on part.dataset = in_force.dataset and part.part = in_force.part
    left join {{ ref('service_units') }} as unit
        on unit.kind = part.kind
        and unit.part = in_force.part
        and (unit.valid_from is null or unit.valid_from <= in_force.period_start)
        and (unit.valid_to is null or unit.valid_to > in_force.period_start)
)

select
    dataset,
    part,
    period_start,
    kemendagri_code,
    cast(sum(rows_read) as bigint) as rows_read,
    cast(sum(rows_put_aside) as bigint) as rows_put_aside
from files
group by dataset, part, period_start, kemendagri_code
