/*
Rules of the newest verdict. A rule fails since the first delivery of the same part that failed it with no delivery in
between that passed.
*/
with judged as (
    select
        result.delivery_id,
        result.rule_code,
        delivery.dataset,
        delivery.part,
        delivery.received_at,
        result.severity,
        result.category,
        result.outcome,
        result.checked,
        result.failed
    from {{ source('ledger', 'rule_results') }} as result
    inner join {{ source('ledger', 'latest_verdicts') }} as verdict on verdict.verdict_id = result.verdict_id
    inner join {{ source('ledger', 'deliveries') }} as delivery on delivery.delivery_id = result.delivery_id
),

runs as (
    select
        *,
        sum(case when outcome = 'pass' then 1 else 0 end) over (
            partition by dataset, part, rule_code
            order by received_at, delivery_id
            rows between unbounded preceding and current row
        ) as passes_so_far
    from judged
)

select
    run.delivery_id,
    run.rule_code,
    run.severity,
    run.category,
    run.outcome,
    run.checked,
    run.failed,
    rule.message_id,
    rule.message_en,
    rule.owner,
    case when run.outcome = 'fail' then min(case when run.outcome = 'fail' then run.received_at end) over (
        partition by run.dataset, run.part, run.rule_code, run.passes_so_far
    ) end as failing_since
from runs as run
left join {{ source('ledger', 'contract_rules') }} as rule on rule.rule_code = run.rule_code
