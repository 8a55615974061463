-- The newest verdict counts. A delivery supersedes the one before it for the same dataset, part and period.
select
    delivery.delivery_id,
    delivery.dataset,
    delivery.period_kind,
    delivery.period_start,
    delivery.part,
    delivery.received_at,
    delivery.content_sha256,
    verdict.contract_version,
    verdict.verdict,
    verdict.rows_read,
    verdict.rows_admitted,
    verdict.rows_quarantined,
    verdict.rows_refused,
    in_force.delivery_id is not null as is_in_force,
    lag(delivery.delivery_id) over (
        partition by delivery.dataset, delivery.part, delivery.period_kind, delivery.period_start
        order by delivery.received_at, delivery.delivery_id
    ) as supersedes,
    decision.decided_by_role,
    coalesce(decision.reason_code, verdict.reason_code) as reason_code
from {{ source('ledger', 'deliveries') }} as delivery
left join {{ source('ledger', 'latest_verdicts') }} as verdict on verdict.delivery_id = delivery.delivery_id
left join {{ source('ledger', 'latest_decisions') }} as decision on decision.delivery_id = verdict.delivery_id
left join {{ source('ledger', 'deliveries_in_force') }} as in_force on in_force.delivery_id = delivery.delivery_id
