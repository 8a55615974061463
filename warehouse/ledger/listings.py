"""What people look up in the ledger, as rows for whoever looks: deliveries, quarantined rows, what was withdrawn.

Here: lists that are printed or shown. Not here: what a step asks before it goes on (deliveries), printing (cli).
"""

from typing import Any

from warehouse.ledger.store import Ledger

Rows = list[dict[str, Any]]

_DATASETS = """
select
    d.dataset,
    count(distinct d.part) as parts,
    max(d.period_start) as period_start,
    max(d.received_at) as received_at,
    sum(v.rows_admitted) as rows_admitted,
    sum(v.rows_quarantined) as rows_quarantined
from admissible_deliveries as d
inner join verdicts as v on v.verdict_id = d.verdict_id
group by d.dataset
order by d.dataset
"""

# Withdrawn, and nothing newer has taken its place.
_WITHDRAWN = """
select d.dataset, d.part, d.period_start, d.delivery_id, x.reason, x.decided_by, x.approver, x.decided_at
from latest_decisions as x
inner join deliveries as d on d.delivery_id = x.delivery_id
where
    x.kind = 'withdraw'
    and not exists (
        select 1 from admissible_deliveries as newer
        where
            newer.dataset = d.dataset and newer.part = d.part and newer.period_kind = d.period_kind
            and newer.period_start = d.period_start and newer.received_at > d.received_at
    )
order by x.decided_at
"""

_DELIVERIES = """
select
    d.delivery_id, d.dataset, d.part, d.period_start, d.received_at, d.origin,
    v.verdict, v.reason_code, v.rows_read, v.rows_admitted, v.rows_quarantined, v.rows_refused, x.kind as decision
from deliveries as d
left join latest_verdicts as v on v.delivery_id = d.delivery_id
left join latest_decisions as x on x.delivery_id = d.delivery_id
where :dataset is null or d.dataset = :dataset
order by d.received_at desc
limit :limit
"""

_QUARANTINED_ROWS = """
select q.rule_code, q.column_name, q.source_part, q.source_row
from quarantined_rows as q
inner join latest_verdicts as v on v.verdict_id = q.verdict_id
where q.delivery_id = :id
order by q.rule_code, q.source_row
"""

_QUARANTINED_BY_RULE = """
select d.dataset, d.part, d.period_start, q.delivery_id, q.rule_code, count(*) as quarantined
from quarantined_rows as q
inner join latest_verdicts as v on v.verdict_id = q.verdict_id
inner join deliveries as d on d.delivery_id = q.delivery_id
group by d.dataset, d.part, d.period_start, q.delivery_id, q.rule_code
order by d.period_start desc, d.dataset, d.part
"""


def datasets(led: Ledger) -> Rows:
    """Per dataset: parts, newest period, last receipt and rows of its admissible deliveries."""
    return led.rows(_DATASETS)


def withdrawn(led: Ledger) -> Rows:
    """Withdrawn deliveries that no newer one has replaced, with reason, person and approver; in order of decision."""
    return led.rows(_WITHDRAWN)


def deliveries(led: Ledger, dataset: str | None, limit: int) -> Rows:
    """Deliveries with their newest verdict and decision, newest first; of one dataset or of all."""
    return led.rows(_DELIVERIES, dataset=dataset, limit=limit)


def delivery_ids(led: Ledger) -> list[str]:
    """Ids of every delivery."""
    return [row["delivery_id"] for row in led.rows("select delivery_id from deliveries")]


def quarantined_rows(led: Ledger, delivery_id: str) -> Rows:
    """Rule, column and place of each quarantined row of a delivery; never a value."""
    return led.rows(_QUARANTINED_ROWS, id=delivery_id)


def quarantined_by_rule(led: Ledger) -> Rows:
    """How many rows each rule holds back, delivery by delivery, the newest period first."""
    return led.rows(_QUARANTINED_BY_RULE)
