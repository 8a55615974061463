/*
Rows of each e-PPGBM file in force that its gate did not let in, by the category of the rule that stopped them. A row stopped
by two rules counts once in all, and once in each category.
*/
with in_force as (
    select delivery_id, verdict_id, part, period_start
    from {{ source('ledger', 'deliveries_in_force') }}
    where dataset = 'kemenkes/eppgbm'
),

stopped as (
    select distinct
        pointer.delivery_id,
        rule.category,
        coalesce(pointer.source_part, '') as source_part,
        pointer.source_row
    from {{ source('ledger', 'quarantined_rows') }} as pointer
    inner join in_force on in_force.delivery_id = pointer.delivery_id and in_force.verdict_id = pointer.verdict_id
    inner join {{ source('ledger', 'rule_results') }} as rule
        on rule.verdict_id = pointer.verdict_id and rule.rule_code = pointer.rule_code
),

by_category as (
    select
        delivery_id,
        {%- for category, column in [
            ('uniqueness', 'rows_repeated'), ('consistency', 'rows_inconsistent'), ('plausibility', 'rows_implausible'),
            ('validity', 'rows_invalid'), ('completeness', 'rows_incomplete'),
        ] %}
        sum(case when category = '{{ category }}' then 1 else 0 end) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from stopped
    group by delivery_id
)

select
    in_force.part as puskesmas,
    in_force.period_start as measured_month,
    cast(verdict.rows_read as bigint) as rows_read,
    cast(verdict.rows_read - verdict.rows_admitted as bigint) as rows_put_aside,
    cast(coalesce(by_category.rows_repeated, 0) as bigint) as rows_repeated,
    cast(coalesce(by_category.rows_inconsistent, 0) as bigint) as rows_inconsistent,
    cast(coalesce(by_category.rows_implausible, 0) as bigint) as rows_implausible,
    cast(coalesce(by_category.rows_invalid, 0) as bigint) as rows_invalid,
    cast(coalesce(by_category.rows_incomplete, 0) as bigint) as rows_incomplete
from in_force
inner join {{ source('ledger', 'verdicts') }} as verdict on verdict.verdict_id = in_force.verdict_id
left join by_category on by_category.delivery_id = in_force.delivery_id
