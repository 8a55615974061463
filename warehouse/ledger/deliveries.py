"""What becomes of a delivery, as the ledger has it: attempts to fetch it, its arrival, verdicts, decisions, its files.

Here: the records and every query about them that rooms share. Not here: how a verdict is reached (intake), what a
delivery's rows say.

A delivery *counts* when its newest verdict is not ``held`` and nobody rejected or withdrew it; it is *in force* when it
counts and, where a delivery replaces the last one (``snapshot``), is the newest of its part and period. Newest is what
was recorded last: a time is never before that of the row it follows, whatever the clock says.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

import sqlalchemy as sa

from warehouse.core.errors import WarehouseError
from warehouse.core.periods import Period, PeriodKind
from warehouse.ledger import tables
from warehouse.ledger.store import Ledger, new_id

Origin = Literal["agency", "hand"]


class FetchOutcome(StrEnum):
    """How an attempt to obtain one (dataset, part, period) ended."""

    LANDED = "landed"
    UNCHANGED = "unchanged"
    NOT_AVAILABLE = "not_available"
    FAILED = "failed"
    REFUSED = "refused"


class VerdictKind(StrEnum):
    ACCEPTED = "accepted"
    ACCEPTED_WITH_QUARANTINE = "accepted_with_quarantine"
    HELD = "held"


class DecisionKind(StrEnum):
    """``superseded``: a newer delivery was accepted, so that nobody need decide. ``reinstate`` undoes ``withdraw``."""

    ADMIT = "admit"
    REJECT = "reject"
    SUPERSEDED = "superseded"
    WITHDRAW = "withdraw"
    REINSTATE = "reinstate"


# After one of these a delivery counts no more, whatever its verdict.
PUTS_ASIDE = frozenset({DecisionKind.REJECT, DecisionKind.WITHDRAW})


@dataclass(frozen=True)
class Delivery:
    """One file or paged answer of one sender for one (dataset, part, period)."""

    delivery_id: str
    dataset: str
    part: str
    period_kind: PeriodKind
    period_start: date
    received_at: datetime
    content_sha256: str
    bytes: int
    media: str
    origin: Origin
    stored_path: str
    stored_sha256: str
    kept_sha256: str | None = None
    destroyed_at: datetime | None = None

    @property
    def period(self) -> Period:
        return Period(self.period_start, self.period_kind)


@dataclass(frozen=True)
class InForce:
    """A delivery that counts, with the verdict by which it does."""

    delivery_id: str
    dataset: str
    part: str
    period_kind: PeriodKind
    period_start: date
    received_at: datetime
    verdict_id: str


@dataclass(frozen=True)
class Attempt:
    """One attempt to obtain one (dataset, part, period); ``error`` says why it came to nothing, else is None."""

    dataset: str
    part: str
    period: Period
    origin: Origin
    started_at: datetime
    ended_at: datetime
    outcome: FetchOutcome
    attempts: int = 1
    bytes: int | None = None
    delivery_id: str | None = None
    error: WarehouseError | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it came to nothing for another reason than that nothing has been published yet."""
        return self.outcome in {FetchOutcome.FAILED, FetchOutcome.REFUSED}


@dataclass(frozen=True)
class RuleOutcome:
    """One rule on one delivery or mart; the fields are the ledger's ``rule_results``."""

    rule_code: str
    column_name: str | None
    severity: str
    category: str
    outcome: Literal["pass", "fail", "not_run"]
    checked: int | None
    failed: int | None
    observed: float | None = None


@dataclass(frozen=True)
class Pointer:
    """One row of the sender's file that a rule took out; the fields are the ledger's ``quarantined_rows``."""

    rule_code: str
    column_name: str | None
    source_part: str | None
    source_row: int


@dataclass(frozen=True)
class Verdict:
    """One judgement of a delivery by one version of its contract; the newest counts.

    ``seconds`` and ``profile`` are None for what cannot be read.
    """

    verdict_id: str
    delivery_id: str
    contract_version: str
    judged_at: datetime
    verdict: VerdictKind
    reason_code: str | None
    message_id: str | None
    message_en: str | None
    contract_sha256: str | None = None
    checks_run: int = 0
    rows_read: int = 0
    rows_admitted: int = 0
    rows_quarantined: int = 0
    rows_refused: int = 0
    seconds: float | None = None
    profile: dict[str, float | None] | None = None


@dataclass(frozen=True)
class LakeFile:
    """A Parquet file of admitted rows (``lake``) or of their identities (``vault``); ``path`` below WAREHOUSE_HOME."""

    kind: Literal["lake", "vault"]
    path: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class Held:
    """A delivery that waits for a person, and what holds it."""

    delivery_id: str
    dataset: str
    part: str
    period_kind: PeriodKind
    period_start: date
    received_at: datetime
    verdict_id: str
    reason_code: str
    message_id: str
    message_en: str


@dataclass(frozen=True)
class Decision:
    """What a person, or the rule that a newer delivery closes a held one, decided on a delivery; the newest counts."""

    decision_id: str
    kind: DecisionKind
    delivery_id: str
    verdict_id: str
    reason: str
    reason_code: str
    decided_by: str
    decided_by_role: str
    decided_at: datetime
    approver: str | None = None


# --- arrival


def delivery_id(dataset: str, part: str, period: Period, content_sha256: str, turn: int = 1) -> str:
    """32 hex digits that name a delivery: these bytes, the ``turn``-th time they were news of that part and period."""
    again = () if turn == 1 else (str(turn),)
    text = "\n".join((dataset, part, period.kind, period.start.isoformat(), content_sha256, *again))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def not_before(now: datetime, last: datetime | None) -> datetime:
    """``now``, or the next moment after ``last`` where the clock stands still or was set back."""
    return now if last is None else max(now, last + timedelta(microseconds=1))


def record_attempt(led: Ledger, attempt: Attempt) -> None:
    led.insert(
        tables.fetches,
        {
            "fetch_id": new_id(),
            "dataset": attempt.dataset,
            "part": attempt.part,
            "period_kind": attempt.period.kind,
            "period_start": attempt.period.start,
            "origin": attempt.origin,
            "started_at": attempt.started_at,
            "ended_at": attempt.ended_at,
            "outcome": attempt.outcome,
            "attempts": attempt.attempts,
            "bytes": attempt.bytes,
            "delivery_id": attempt.delivery_id,
            **(attempt.error.as_dict() if attempt.error else {}),
        },
    )


def is_attempted(led: Ledger, identifier: str) -> bool:
    """Whether an attempt is on record that brought this delivery."""
    columns = tables.fetches.c
    return bool(led.rows(sa.select(columns.fetch_id).where(columns.delivery_id == identifier).limit(1)))


def record_delivery(led: Ledger, delivery: Delivery) -> None:
    """Raises sqlalchemy.exc.IntegrityError when another process has recorded the same delivery."""
    led.insert(tables.deliveries, asdict(delivery))


def record_file(led: Ledger, delivery: Delivery) -> None:
    """Name another landed file for a known delivery."""
    table = tables.deliveries
    columns = {name: getattr(delivery, name) for name in ("stored_path", "stored_sha256", "kept_sha256")}
    with led.write() as connection:
        connection.execute(table.update().where(table.c.delivery_id == delivery.delivery_id), columns)


def landed_for(led: Ledger, dataset: str, part: str, period: Period) -> list[Delivery]:
    """All that ever came for one (dataset, part, period), in the order in which it came."""
    columns = tables.deliveries.c
    candidates = _chosen(
        led,
        columns.dataset == dataset,
        columns.part == part,
        columns.period_kind == period.kind,
        columns.period_start == period.start,
    )
    return sorted(candidates, key=lambda delivery: (delivery.received_at, delivery.delivery_id))


def last_seen(led: Ledger, dataset: str, part: str, period: Period) -> str | None:
    """The delivery that the agency itself showed when it was last asked with success; None before that."""
    columns = tables.fetches.c
    rows = led.rows(
        sa.select(columns.delivery_id)
        .where(
            columns.dataset == dataset,
            columns.part == part,
            columns.period_kind == period.kind,
            columns.period_start == period.start,
            columns.origin == "agency",
            columns.delivery_id.is_not(None),
        )
        .order_by(columns.ended_at.desc())
        .limit(1)
    )
    return rows[0]["delivery_id"] if rows else None


def one(led: Ledger, identifier: str) -> Delivery:
    """A delivery by id; raises ValueError when the ledger has none of that name."""
    (delivery,) = _chosen(led, tables.deliveries.c.delivery_id == identifier)
    return delivery


def find(led: Ledger, identifier: str) -> Delivery | None:
    """A delivery by id; None when the ledger has none of that name."""
    matches = _chosen(led, tables.deliveries.c.delivery_id == identifier)
    return matches[0] if matches else None


def every(led: Ledger) -> list[Delivery]:
    """All deliveries there ever were."""
    return _chosen(led)


def kept(led: Ledger) -> list[Delivery]:
    """Deliveries whose bytes have not been destroyed."""
    return _chosen(led, tables.deliveries.c.destroyed_at.is_(None))


def kept_of(led: Ledger, dataset: str, period: Period | None = None) -> list[Delivery]:
    """A dataset's deliveries whose bytes have not been destroyed; ``period``: only its own."""
    columns = tables.deliveries.c
    of_period = [columns.period_kind == period.kind, columns.period_start == period.start] if period else []
    return _chosen(led, columns.dataset == dataset, columns.destroyed_at.is_(None), *of_period)


def unjudged(led: Ledger, dataset: str) -> list[Delivery]:
    """A dataset's deliveries that have no verdict yet, oldest first."""
    columns = tables.deliveries.c
    verdict = sa.select(tables.verdicts.c.verdict_id).where(tables.verdicts.c.delivery_id == columns.delivery_id)
    matches = _chosen(led, columns.dataset == dataset, ~verdict.exists())
    return sorted(matches, key=lambda delivery: delivery.received_at)


def is_judged(led: Ledger, identifier: str) -> bool:
    columns = tables.verdicts.c
    return bool(led.rows(sa.select(columns.verdict_id).where(columns.delivery_id == identifier).limit(1)))


def newest_verdicts(led: Ledger, dataset: str) -> dict[str, dict[str, Any]]:
    """``verdict``, ``rows_admitted`` and ``contract_sha256`` of a dataset's judged deliveries, by id."""
    rows = led.rows(
        "select v.delivery_id, v.verdict, v.rows_admitted, v.contract_sha256 from latest_verdicts v"
        " join deliveries d on d.delivery_id = v.delivery_id where d.dataset = :dataset",
        dataset=dataset,
    )
    return {row["delivery_id"]: row for row in rows}


def _chosen(led: Ledger, *conditions: sa.ColumnElement[bool]) -> list[Delivery]:
    return [Delivery(**row) for row in led.rows(sa.select(tables.deliveries).where(*conditions))]


def record_destruction(led: Ledger, identifier: str, at: datetime) -> None:
    table = tables.deliveries
    with led.write() as connection:
        connection.execute(table.update().where(table.c.delivery_id == identifier).values(destroyed_at=at))


# --- verdicts


def record_verdict(
    led: Ledger,
    delivery: Delivery,
    verdict: Verdict,
    results: Sequence[RuleOutcome] = (),
    pointers: Sequence[Pointer] = (),
    files: Sequence[LakeFile] = (),
    *,
    replaces: bool = True,
    decision: Decision | None = None,
) -> None:
    """Record a verdict with all that follows from it, in one transaction; it is the delivery's newest from then on.

    Where a delivery ``replaces`` the last one (``snapshot``), one that is not held closes those of the same (dataset,
    part, period) that came before it and still are; elsewhere a held one's rows are in no other delivery. ``decision``:
    of the person whose admission this verdict carries out; a verdict that holds carries none out.
    """
    about = {"verdict_id": verdict.verdict_id, "delivery_id": delivery.delivery_id}
    with led.write() as connection:
        verdict = replace(verdict, judged_at=_after_the_last(connection, tables.verdicts.c.judged_at, verdict))
        # Without the fields that are None: a JSON column would keep one as the text null.
        connection.execute(tables.verdicts.insert(), {k: v for k, v in asdict(verdict).items() if v is not None})
        if results:
            connection.execute(tables.rule_results.insert(), [about | asdict(result) for result in results])
        if pointers:
            connection.execute(tables.quarantined_rows.insert(), [about | asdict(pointer) for pointer in pointers])
        for file in files:
            connection.execute(tables.lake_files.insert(), about | asdict(file) | {"written_at": verdict.judged_at})
        if replaces and verdict.verdict != VerdictKind.HELD:
            _close_superseded(connection, delivery, verdict.judged_at)
        if decision and verdict.verdict != VerdictKind.HELD:
            _insert_decision(connection, replace(decision, verdict_id=verdict.verdict_id))


def _close_superseded(connection: sa.Connection, newer: Delivery, now: datetime) -> None:
    held_rows = connection.execute(
        sa.text(
            "select delivery_id, verdict_id from held_deliveries where dataset = :dataset and part = :part"
            " and period_kind = :kind and period_start = :start and delivery_id <> :id and received_at <= :received"
        ).bindparams(sa.bindparam("start", type_=sa.Date), sa.bindparam("received", type_=tables.UtcDateTime)),
        {
            "dataset": newer.dataset,
            "part": newer.part,
            "kind": newer.period_kind,
            "start": newer.period_start,
            "id": newer.delivery_id,
            "received": newer.received_at,
        },
    ).all()
    for held_row in held_rows:
        decision = Decision(
            decision_id=new_id(),
            kind=DecisionKind.SUPERSEDED,
            delivery_id=held_row.delivery_id,
            verdict_id=held_row.verdict_id,
            reason=f"Kiriman yang lebih baru diterima / a newer delivery was accepted: {newer.delivery_id}",
            reason_code="NEWER_DELIVERY",
            decided_by="warehouse",
            decided_by_role="rule",
            decided_at=now,
        )
        connection.execute(tables.decisions.insert(), asdict(decision))


def _after_the_last(connection: sa.Connection, column: sa.Column[datetime], record: Verdict | Decision) -> datetime:
    """When ``made`` is recorded: later than the delivery's rows of that table, whatever the clock says."""
    of_delivery = sa.select(sa.func.max(column)).where(column.table.c.delivery_id == record.delivery_id)
    return not_before(getattr(record, column.name), connection.scalar(of_delivery))


def profiles_before(led: Ledger, dataset: str, start: date) -> list[dict[str, Any]]:
    """``part``, ``period_start`` and ``profile`` of deliveries of earlier periods that count, oldest first."""
    rows = led.rows(
        sa.select(tables.deliveries.c.part, tables.deliveries.c.period_start, tables.verdicts.c.profile)
        .join_from(tables.deliveries, tables.verdicts)
        .where(
            tables.deliveries.c.dataset == dataset,
            tables.deliveries.c.period_start < start,
            tables.verdicts.c.verdict_id.in_(sa.select(tables.admissible_deliveries.c.verdict_id)),
        )
        .order_by(tables.deliveries.c.period_start, tables.verdicts.c.judged_at)
    )
    return [row for row in rows if row["profile"]]


def counting(led: Ledger, delivery: Delivery) -> list[dict[str, Any]]:
    """Deliveries of a delivery's dataset and period that count, oldest first.

    ``delivery_id``, ``part``, ``received_at``, and of the verdict ``rows_admitted`` and ``profile``.
    """
    columns, verdict = tables.deliveries.c, tables.verdicts.c
    return led.rows(
        sa.select(columns.delivery_id, columns.part, columns.received_at, verdict.rows_admitted, verdict.profile)
        .join_from(tables.verdicts, tables.deliveries)
        .where(
            columns.dataset == delivery.dataset,
            columns.period_kind == delivery.period_kind,
            columns.period_start == delivery.period_start,
            verdict.verdict_id.in_(sa.select(tables.admissible_deliveries.c.verdict_id)),
        )
        .order_by(columns.received_at)
    )


def sent_for_another_period(led: Ledger, group: Sequence[Delivery]) -> set[str]:
    """Deliveries of one dataset and period that are, byte for byte, what counts for another period of their part."""
    columns = tables.deliveries.c
    rows = led.rows(
        sa.select(columns.part, columns.content_sha256).where(
            columns.dataset == group[0].dataset,
            columns.period_start != group[0].period_start,
            columns.content_sha256.in_([one.content_sha256 for one in group]),
            columns.delivery_id.in_(sa.select(tables.admissible_deliveries.c.delivery_id)),
        )
    )
    known = {(row["part"], row["content_sha256"]) for row in rows}
    return {one.delivery_id for one in group if (one.part, one.content_sha256) in known}


def in_force(led: Ledger, dataset: str, delivery_mode: str) -> list[InForce]:
    """Deliveries that count for a dataset, oldest period first: the only door to the lake.

    snapshot: the newest of each (part, period) that counts; events and vintage: all that count (which row wins is
    decided by natural key in staging).
    """
    view = tables.admissible_deliveries
    order = (view.c.period_start, view.c.part, view.c.received_at, view.c.delivery_id)
    rows = led.rows(sa.select(view).where(view.c.dataset == dataset).order_by(*order))
    counting = [InForce(**row) for row in rows]
    if delivery_mode != "snapshot":
        return counting
    newest = {(one.part, one.period_kind, one.period_start): one for one in counting}
    return list(newest.values())


# --- decisions


def held(led: Ledger) -> list[Held]:
    """Deliveries that wait for a person, oldest first."""
    return [Held(**row) for row in led.rows("select * from held_deliveries order by received_at")]


def record_decision(led: Ledger, decision: Decision) -> None:
    """Record a decision; it is the delivery's newest from then on."""
    with led.write() as connection:
        _insert_decision(connection, decision)


def _insert_decision(connection: sa.Connection, decision: Decision) -> None:
    decided_at = _after_the_last(connection, tables.decisions.c.decided_at, decision)
    connection.execute(tables.decisions.insert(), asdict(replace(decision, decided_at=decided_at)))


def last_decision(led: Ledger, identifier: str) -> DecisionKind | None:
    """The newest decision on a delivery; None where nobody has decided."""
    rows = led.rows("select kind from latest_decisions where delivery_id = :id", id=identifier)
    return DecisionKind(rows[0]["kind"]) if rows else None


def newest_verdict(led: Ledger, identifier: str) -> str:
    """Id of the newest verdict on a delivery that has been judged."""
    (row,) = led.rows("select verdict_id from latest_verdicts where delivery_id = :id", id=identifier)
    return str(row["verdict_id"])


def is_wanting(led: Ledger, identifier: str) -> bool:
    """Whether a delivery's rows are nowhere: it does not count, and no erased person is the reason."""
    counts = sa.select(tables.admissible_deliveries).where(tables.admissible_deliveries.c.delivery_id == identifier)
    erased_rows = sa.select(tables.erased_rows.c.row_id).where(tables.erased_rows.c.delivery_id == identifier)
    return not led.rows(counts) and not led.rows(erased_rows)


def decided_since(led: Ledger, moment: datetime) -> list[str]:
    """Ids of deliveries on which a person or a newer delivery has decided after ``moment``."""
    recent = sa.select(tables.decisions.c.delivery_id).where(tables.decisions.c.decided_at > moment)
    return sorted({row["delivery_id"] for row in led.rows(recent)})


def admitted_by_hand(led: Ledger) -> frozenset[str]:
    """Ids of deliveries that a person has ever admitted."""
    admissions = sa.select(tables.decisions.c.delivery_id).where(tables.decisions.c.kind == DecisionKind.ADMIT)
    return frozenset(row["delivery_id"] for row in led.rows(admissions))
