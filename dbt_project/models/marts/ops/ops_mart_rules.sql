-- Rules of marts by the newest judgement. A rule fails since the first judgement with no pass after it.
with runs as (
    select
        *,
        max(judged_at) over () as newest_at,
        max(case when outcome = 'pass' then judged_at end) over (partition by mart, rule_code) as last_pass_at
    from {{ source('ledger', 'mart_rule_results') }}
),

failing as (
    select mart, rule_code, min(judged_at) as failing_since
    from runs
    where outcome = 'fail' and (last_pass_at is null or judged_at > last_pass_at)
    group by mart, rule_code
)

select
    run.mart,
    run.rule_code,
    run.build_id,
    run.judged_at,
    run.severity,
    run.category,
    run.outcome,
    run.checked,
    run.failed,
    rule.message_id,
    rule.message_en,
    rule.action_id,
    rule.action_en,
    rule.owner,
    case when run.outcome = 'fail' then failing.failing_since end as failing_since
from runs as run
left join {{ source('ledger', 'mart_rules') }} as rule on rule.mart = run.mart and rule.rule_code = run.rule_code
left join failing on failing.mart = run.mart and failing.rule_code = run.rule_code
where run.judged_at = run.newest_at
