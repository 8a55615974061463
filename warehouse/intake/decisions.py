"""A person's decision on a delivery that is held or in force, and judging again what was judged before.

Not here: asking the person (dags), judging (judge).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from warehouse import scan
from warehouse.core.errors import ConfigError, UnreadableDelivery
from warehouse.core.periods import Period
from warehouse.intake import judge as judge_room
from warehouse.intake.gate import Judgement
from warehouse.intake.judge import Judged, judge
from warehouse.ledger import access_log, deliveries, new_id
from warehouse.ledger.deliveries import Decision, DecisionKind, Delivery, VerdictKind
from warehouse.ledger.warehouse import Warehouse
from warehouse.storage import landing

_SHORTEST_REASON = 10
# What closed a question and can be taken back by admitting.
_CLOSED = frozenset({DecisionKind.REJECT, DecisionKind.SUPERSEDED})


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
    stay out. It takes back a rejection, too, while nothing newer is in force. Raises ConfigError REASON_MISSING,
    DELIVERY_UNKNOWN, NOT_HELD, DELIVERY_SUPERSEDED, or CANNOT_ADMIT for a delivery that cannot be read.
    """
    _demand_reason(reason)
    delivery = known(w, delivery_id)
    held_by_id = {one.delivery_id: one for one in deliveries.held(w.ledger)}
    is_admitted = kind == DecisionKind.ADMIT
    is_taken_back = is_admitted and deliveries.last_decision(w.ledger, delivery_id) in _CLOSED
    if delivery_id not in held_by_id and not is_taken_back:
        names = ", ".join(sorted(held_by_id)[:5]) or "-"
        raise ConfigError(
            "NOT_HELD",
            f"Kiriman {delivery_id} tidak sedang ditahan. Yang ditahan: {names}.",
            f"Delivery {delivery_id} is not held. Held are: {names}.",
            "Lihat `warehouse held`; yang sudah diterima ditarik dengan `warehouse deliveries withdraw`.",
            "See `warehouse held`; one that was accepted is taken out with `warehouse deliveries withdraw`.",
        )
    if is_taken_back:
        _refuse_superseded(w, delivery)
    if is_admitted:
        return _admit(w, delivery, _decision(w, delivery_id, kind, "", reason, reason_code, decided_by, role))
    verdict_id = held_by_id[delivery_id].verdict_id
    return _recorded(w, _decision(w, delivery_id, kind, verdict_id, reason, reason_code, decided_by, role))


def withdraw(w: Warehouse, delivery_id: str, reason: str, decided_by: str, approver: str, role: str) -> Decision:
    """Take an accepted delivery out of force, on the word of two persons; the one before it counts again.

    The marts follow with the next build. Raises ConfigError REASON_MISSING, OPENING_UNAPPROVED, DELIVERY_UNKNOWN,
    ALREADY_WITHDRAWN, DELIVERY_SUPERSEDED, or NOT_IN_FORCE for one that never came into force.
    """
    _demand_reason(reason)
    access_log.demand_two_people(decided_by, approver)
    delivery = known(w, delivery_id)
    if deliveries.last_decision(w.ledger, delivery_id) == DecisionKind.WITHDRAW:
        raise ConfigError(
            "ALREADY_WITHDRAWN",
            f"Kiriman {delivery_id} sudah ditarik.",
            f"Delivery {delivery_id} has been withdrawn already.",
            "Bila penarikan itu keliru: `warehouse deliveries reinstate`.",
            "If that was wrong: `warehouse deliveries reinstate`.",
        )
    mode = w.contract(delivery.dataset).extras.delivery_mode
    in_force = {one.delivery_id: one for one in deliveries.in_force(w.ledger, delivery.dataset, mode)}
    if delivery_id not in in_force:
        _refuse_superseded(w, delivery)
        raise ConfigError(
            "NOT_IN_FORCE",
            f"Kiriman {delivery_id} tidak berlaku: ditahan, ditolak atau belum dinilai.",
            f"Delivery {delivery_id} is not in force: it is held, rejected or not judged yet.",
            "Lihat `warehouse deliveries`; yang ditahan diputuskan dengan `warehouse held`.",
            "See `warehouse deliveries`; one that is held is decided with `warehouse held`.",
        )
    verdict_id = in_force[delivery_id].verdict_id
    return _recorded(
        w, _decision(w, delivery_id, DecisionKind.WITHDRAW, verdict_id, reason, "WITHDRAWN", decided_by, role, approver)
    )


def reinstate(w: Warehouse, delivery_id: str, reason: str, decided_by: str, approver: str, role: str) -> Decision:
    """Undo a withdrawal, on the word of two persons: the delivery's newest verdict counts again.

    Raises ConfigError REASON_MISSING, OPENING_UNAPPROVED, DELIVERY_UNKNOWN, NOT_WITHDRAWN or DELIVERY_SUPERSEDED.
    """
    _demand_reason(reason)
    access_log.demand_two_people(decided_by, approver)
    delivery = known(w, delivery_id)
    if deliveries.last_decision(w.ledger, delivery_id) != DecisionKind.WITHDRAW:
        raise ConfigError(
            "NOT_WITHDRAWN",
            f"Kiriman {delivery_id} tidak ditarik.",
            f"Delivery {delivery_id} is not withdrawn.",
            "Lihat kolom keputusan pada `warehouse deliveries`.",
            "See the decisions in `warehouse deliveries`.",
        )
    _refuse_superseded(w, delivery)
    verdict_id = deliveries.newest_verdict(w.ledger, delivery_id)
    return _recorded(
        w,
        _decision(w, delivery_id, DecisionKind.REINSTATE, verdict_id, reason, "REINSTATED", decided_by, role, approver),
    )


def _demand_reason(reason: str) -> None:
    if len(reason.strip()) < _SHORTEST_REASON:
        raise ConfigError(
            "REASON_MISSING",
            "Keputusan tanpa alasan tidak diterima.",
            "A decision without a reason is not accepted.",
            "Tulis alasan sekurangnya sepuluh huruf.",
            "Write a reason of at least ten letters.",
        )
    scan.refuse_identities(reason)


def known(w: Warehouse, delivery_id: str) -> Delivery:
    delivery = deliveries.find(w.ledger, delivery_id)
    if delivery is None:
        raise ConfigError(
            "DELIVERY_UNKNOWN",
            f"Kiriman {delivery_id!r} tidak dikenal.",
            f"Delivery {delivery_id!r} is not known.",
            "Lihat `warehouse deliveries`.",
            "See `warehouse deliveries`.",
        )
    return delivery


def _refuse_superseded(w: Warehouse, delivery: Delivery) -> None:
    """Where a delivery replaces the last one, nothing follows from deciding on one before that in force."""
    if w.contract(delivery.dataset).extras.delivery_mode != "snapshot":
        return
    later = [
        one
        for one in deliveries.in_force(w.ledger, delivery.dataset, "snapshot")
        if (one.part, one.period_start) == (delivery.part, delivery.period_start)
        and (one.received_at, one.delivery_id) > (delivery.received_at, delivery.delivery_id)
    ]
    if later:
        newer = later[0].delivery_id
        raise ConfigError(
            "DELIVERY_SUPERSEDED",
            f"Kiriman {delivery.delivery_id} sudah digantikan oleh {newer}, yang berlaku.",
            f"Delivery {delivery.delivery_id} has been replaced by {newer}, which is in force.",
            f"Bila {newer} yang keliru, tarik itu; bila berkas lama yang benar, masukkan lagi dengan `--file`.",
            f"If {newer} is the wrong one, withdraw that; if the old file is right, take it again with `--file`.",
        )


def _decision(
    w: Warehouse,
    delivery_id: str,
    kind: DecisionKind,
    verdict_id: str,
    reason: str,
    reason_code: str,
    decided_by: str,
    role: str,
    approver: str | None = None,
) -> Decision:
    return Decision(
        decision_id=new_id(),
        kind=kind,
        delivery_id=delivery_id,
        verdict_id=verdict_id,
        reason=reason.strip(),
        reason_code=reason_code,
        decided_by=decided_by,
        decided_by_role=role,
        decided_at=w.clock.stamp(),
        approver=approver.strip() if approver else None,
    )


def _recorded(w: Warehouse, decision: Decision) -> Decision:
    deliveries.record_decision(w.ledger, decision)
    return decision


def _admit(w: Warehouse, delivery: Delivery, decision: Decision) -> Decision:
    """Judge anew; the verdict and the decision it carries out are recorded together or not at all."""
    judged = judge(w, [delivery], overridden={delivery.delivery_id: decision})
    verdict = judged.verdicts[0] if judged.verdicts else None
    if verdict is None or verdict.verdict == VerdictKind.HELD:
        why = verdict or judged.lost[delivery.delivery_id]
        raise ConfigError(
            "CANNOT_ADMIT",
            f"Kiriman {delivery.delivery_id} tidak dapat diterima: {why.message_id}",
            f"Delivery {delivery.delivery_id} cannot be admitted: {why.message_en}",
            "Minta pengirim mengirim ulang berkasnya.",
            "Ask the sender to send the file again.",
        )
    return replace(decision, verdict_id=verdict.verdict_id)


# --- judging again


@dataclass(frozen=True)
class Change:
    """What a replay would make of one delivery. ``becomes`` is None where our copy is lost: its verdict stands."""

    delivery_id: str
    dataset: str
    part: str
    period: str
    was: VerdictKind | None
    becomes: VerdictKind | None
    reason_code: str | None
    rows_admitted_before: int
    rows_admitted: int
    leaves_force: bool

    @property
    def is_one(self) -> bool:
        """Whether anything would be other than it is."""
        return (self.was, self.rows_admitted_before) != (self.becomes, self.rows_admitted)


def rehearse(w: Warehouse, dataset: str, period: Period | None = None) -> list[Change]:
    """What ``replay`` would change, without a trace of having asked."""
    mode = w.contract(dataset).extras.delivery_mode
    in_force = {one.delivery_id for one in deliveries.in_force(w.ledger, dataset, mode)}
    before = deliveries.newest_verdicts(w.ledger, dataset)
    kept_deliveries = deliveries.kept_of(w.ledger, dataset, period)
    verdicts = judge_room.rehearse(w, kept_deliveries, overridden=deliveries.admitted_by_hand(w.ledger))
    return [_change(one, before.get(one.delivery_id), word, in_force) for one, word in verdicts]


def _change(
    delivery: Delivery,
    before: Mapping[str, Any] | None,
    word: Judgement | UnreadableDelivery,
    in_force: Collection[str],
) -> Change:
    is_lost = isinstance(word, landing.LostCopy) and before is not None
    was = VerdictKind(before["verdict"]) if before else None
    rows_before = before["rows_admitted"] if before else 0
    reason: str | None
    if isinstance(word, UnreadableDelivery):
        becomes, reason, rows = (None if is_lost else VerdictKind.HELD), word.code, rows_before if is_lost else 0
    else:
        becomes, reason, rows = word.verdict, word.reason_code, word.rows_admitted
    return Change(
        delivery_id=delivery.delivery_id,
        dataset=delivery.dataset,
        part=delivery.part,
        period=delivery.period.label,
        was=was,
        becomes=becomes,
        reason_code=reason,
        rows_admitted_before=rows_before,
        rows_admitted=rows,
        leaves_force=becomes == VerdictKind.HELD and delivery.delivery_id in in_force,
    )


def replay(w: Warehouse, dataset: str, period: Period | None = None) -> Judged:
    """Judge landed deliveries again under the contract of today; the newest verdict counts.

    One whose landed copy is lost keeps the verdict it has: damage of ours says nothing of its rows.
    """
    w.contract(dataset)
    kept_deliveries = deliveries.kept_of(w.ledger, dataset, period)
    return judge(w, kept_deliveries, overridden=dict.fromkeys(deliveries.admitted_by_hand(w.ledger)))
