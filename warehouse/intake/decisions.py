"""A person's decision on a held delivery, and judging again what was judged before.

Not here: asking the person (dags), judging (judge).
"""

from warehouse import scan
from warehouse.core.errors import ConfigError
from warehouse.core.periods import Period
from warehouse.intake.judge import judge
from warehouse.ledger import deliveries, new_id
from warehouse.ledger.deliveries import Decision, DecisionKind, Verdict, VerdictKind
from warehouse.ledger.warehouse import Warehouse

_SHORTEST_REASON = 10


def decide(
    w: Warehouse,
    delivery_id: str,
    kind: DecisionKind,
    reason: str,
    reason_code: str,
    decided_by: str,
    role: str,
) -> Decision:
    """Record a person's decision on a held delivery and carry it out.

    Admitting judges the delivery again with its stop rules recorded but overridden: rows that a quarantine rule rejects
    stay out. Raises ConfigError REASON_MISSING, NOT_HELD, or CANNOT_ADMIT for a delivery that cannot be read.
    """
    waiting = {one.delivery_id: one for one in deliveries.held(w.ledger)}
    if len(reason.strip()) < _SHORTEST_REASON:
        raise ConfigError(
            "REASON_MISSING",
            "Keputusan tanpa alasan tidak diterima.",
            "A decision without a reason is not accepted.",
            "Tulis alasan sekurangnya sepuluh huruf.",
            "Write a reason of at least ten letters.",
        )
    scan.refuse_identities(reason)
    if delivery_id not in waiting:
        names = ", ".join(sorted(waiting)[:5]) or "-"
        raise ConfigError(
            "NOT_HELD",
            f"Kiriman {delivery_id} tidak sedang ditahan. Yang ditahan: {names}.",
            f"Delivery {delivery_id} is not held. Held are: {names}.",
            "Lihat `warehouse held`.",
            "See `warehouse held`.",
        )
    is_admitted = kind == DecisionKind.ADMIT
    decision = Decision(
        decision_id=new_id(),
        kind=kind,
        delivery_id=delivery_id,
        verdict_id=_admit(w, delivery_id).verdict_id if is_admitted else waiting[delivery_id].verdict_id,
        reason=reason.strip(),
        reason_code=reason_code,
        decided_by=decided_by,
        decided_by_role=role,
        decided_at=w.clock.stamp(),
    )
    deliveries.record_decision(w.ledger, decision)
    return decision


def _admit(w: Warehouse, delivery_id: str) -> Verdict:
    (verdict,) = judge(w, [deliveries.one(w.ledger, delivery_id)], overridden=frozenset({delivery_id}))
    if verdict.verdict == VerdictKind.HELD:
        raise ConfigError(
            "CANNOT_ADMIT",
            f"Kiriman {delivery_id} tidak dapat diterima: {verdict.message_id}",
            f"Delivery {delivery_id} cannot be admitted: {verdict.message_en}",
            "Minta pengirim mengirim ulang berkasnya.",
            "Ask the sender to send the file again.",
        )
    return verdict


def replay(w: Warehouse, dataset: str, period: Period | None = None) -> list[Verdict]:
    """Judge landed deliveries again under the contract of today; the newest verdict counts."""
    w.contract(dataset)
    landed = deliveries.kept_of(w.ledger, dataset, period)
    return judge(w, landed, overridden=deliveries.admitted_by_hand(w.ledger))
