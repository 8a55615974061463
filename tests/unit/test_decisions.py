"""What persons decide on deliveries: a rejection taken back, a withdrawal by two, and what counts after it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from warehouse.core.errors import ConfigError
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.intake import decisions
from warehouse.intake.judge import Judged
from warehouse.ledger import deliveries, listings, new_id
from warehouse.ledger.deliveries import Decision, DecisionKind, Delivery, Verdict, VerdictKind
from warehouse.ledger.warehouse import Warehouse, open_warehouse
from warehouse.report import status

EPPGBM, FIGURES = "kemenkes/eppgbm", "published/official_figures"
WHY = "the wrong month was sent"
TWO = ("Sari", "Budi", "engineer")


@pytest.fixture
def w(settings: Settings) -> Warehouse:
    return open_warehouse(settings)


@pytest.fixture
def came(w: Warehouse) -> Callable[..., str]:
    """A delivery of one slot that came last and was judged so; returns its id. The clock stands still."""

    def one(content: str, verdict: VerdictKind = VerdictKind.ACCEPTED, dataset: str = EPPGBM) -> str:
        kind = w.contract(dataset).extras.period_kind
        period = Period.parse("2026-10" if kind == "month" else "2026")
        earlier = deliveries.landed_for(w.ledger, dataset, "all", period)
        delivery = Delivery(
            delivery_id=deliveries.delivery_id(dataset, "all", period, content),
            dataset=dataset,
            part="all",
            period_kind=period.kind,
            period_start=period.start,
            received_at=deliveries.not_before(w.clock.now(), earlier[-1].received_at if earlier else None),
            content_sha256=content,
            bytes=1,
            media="csv",
            origin="agency",
            stored_path="x",
            stored_sha256="x",
        )
        deliveries.record_delivery(w.ledger, delivery)
        judged(w, delivery, verdict)
        return delivery.delivery_id

    return one


def judged(w: Warehouse, delivery: Delivery, kind: VerdictKind, decision: Decision | None = None) -> Verdict:
    why = ("EPPGBM-104", "x", "x") if kind == VerdictKind.HELD else (None, None, None)
    verdict = Verdict(new_id(), delivery.delivery_id, "1.0.0", w.clock.stamp(), kind, *why)
    replaces = w.contract(delivery.dataset).extras.delivery_mode == "snapshot"
    deliveries.record_verdict(w.ledger, delivery, verdict, replaces=replaces, decision=decision)
    return verdict


@pytest.fixture
def admits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that takes what a person admits."""

    def judge(w: Warehouse, landed: list[Delivery], overridden: dict[str, Decision]) -> Judged:
        return Judged([judged(w, one, VerdictKind.ACCEPTED, overridden[one.delivery_id]) for one in landed])

    monkeypatch.setattr(decisions, "judge", judge)


def in_force(w: Warehouse) -> list[str]:
    return [one.delivery_id for one in deliveries.in_force(w.ledger, EPPGBM, "snapshot")]


def decided(w: Warehouse, delivery: str, kind: DecisionKind) -> None:
    decisions.decide(w, delivery, kind, WHY, "OTHER", "Sari", "walidata")


def test_what_was_before_counts_again_after_a_withdrawal_until_it_is_undone(w, came):
    good, wrong = came("A"), came("B")
    made = decisions.withdraw(w, wrong, WHY, *TWO)
    assert (made.decided_by, made.approver, made.kind) == ("Sari", "Budi", "withdraw")
    assert in_force(w) == [good]
    assert [row["delivery_id"] for row in status.page(w.settings, w.ledger)["withdrawn"]] == [wrong]
    assert {row["delivery_id"]: row["decision"] for row in listings.deliveries(w.ledger, EPPGBM, 9)} == {
        good: None,
        wrong: "withdraw",
    }
    decisions.reinstate(w, wrong, WHY, *TWO)
    assert in_force(w) == [wrong]
    assert status.page(w.settings, w.ledger)["withdrawn"] == []


def test_a_replay_does_not_bring_back_what_was_withdrawn(w, came):
    only = came("A")
    decisions.withdraw(w, only, WHY, *TWO)
    judged(w, deliveries.one(w.ledger, only), VerdictKind.ACCEPTED)
    assert in_force(w) == []


def test_one_that_was_reinstated_and_is_held_by_a_replay_waits_for_a_person_again(w, came):
    only = came("A")
    decisions.withdraw(w, only, WHY, *TWO)
    decisions.reinstate(w, only, WHY, *TWO)
    judged(w, deliveries.one(w.ledger, only), VerdictKind.HELD)
    assert [one.delivery_id for one in deliveries.held(w.ledger)] == [only]


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("unknown", "DELIVERY_UNKNOWN"),
        ("withdrawn", "ALREADY_WITHDRAWN"),
        ("superseded", "DELIVERY_SUPERSEDED"),
        ("held", "NOT_IN_FORCE"),
        ("one person", "OPENING_UNAPPROVED"),
        ("no reason", "REASON_MISSING"),
    ],
)
def test_a_withdrawal_that_cannot_be_says_why_and_changes_nothing(w, came, state, code):
    delivery = came("A", VerdictKind.HELD if state == "held" else VerdictKind.ACCEPTED)
    people, why = TWO, "" if state == "no reason" else WHY
    if state == "withdrawn":
        decisions.withdraw(w, delivery, WHY, *TWO)
    if state == "superseded":
        came("B")
    if state == "unknown":
        delivery = "f" * 32
    if state == "one person":
        people = ("Sari", " sari", "engineer")
    before = in_force(w)
    with pytest.raises(ConfigError, match=code):
        decisions.withdraw(w, delivery, why, *people)
    assert in_force(w) == before


def test_only_a_withdrawal_can_be_undone_and_only_while_nothing_newer_is_in_force(w, came):
    first = came("A")
    with pytest.raises(ConfigError, match="NOT_WITHDRAWN"):
        decisions.reinstate(w, first, WHY, *TWO)
    decisions.withdraw(w, first, WHY, *TWO)
    came("B")
    with pytest.raises(ConfigError, match="DELIVERY_SUPERSEDED"):
        decisions.reinstate(w, first, WHY, *TWO)


@pytest.mark.usefixtures("admits")
def test_a_rejection_by_mistake_is_taken_back_by_admitting(w, came):
    came("A")
    held = came("B", VerdictKind.HELD)
    decided(w, held, DecisionKind.REJECT)
    decided(w, held, DecisionKind.ADMIT)
    assert in_force(w) == [held]


def test_an_admission_and_its_verdict_are_recorded_together_or_not_at_all(w, came):
    """A kill in between would leave rows in force that nobody has admitted."""
    delivery = deliveries.one(w.ledger, came("A", VerdictKind.HELD))
    about = ("d", DecisionKind.ADMIT, delivery.delivery_id, "", WHY, "OTHER", "Sari", "walidata")
    decision = Decision(*about, w.clock.stamp())
    judged(w, delivery, VerdictKind.HELD, decision)
    assert deliveries.last_decision(w.ledger, delivery.delivery_id) is None
    verdict = judged(w, delivery, VerdictKind.ACCEPTED, decision)
    (row,) = w.ledger.rows("select kind, verdict_id from decisions")
    assert row == {"kind": "admit", "verdict_id": verdict.verdict_id}
    with pytest.raises(IntegrityError):
        judged(w, delivery, VerdictKind.ACCEPTED, decision)
    assert deliveries.newest_verdict(w.ledger, delivery.delivery_id) == verdict.verdict_id


@pytest.mark.usefixtures("admits")
def test_what_a_newer_delivery_has_replaced_is_not_admitted(w, came):
    held = came("A", VerdictKind.HELD)
    newer = came("B")
    with pytest.raises(ConfigError, match=f"DELIVERY_SUPERSEDED.*{newer}"):
        decided(w, held, DecisionKind.ADMIT)
    decisions.withdraw(w, newer, WHY, *TWO)
    decided(w, held, DecisionKind.ADMIT)
    assert in_force(w) == [held]


def test_accepted_is_neither_admitted_nor_rejected(w, came):
    accepted = came("A")
    for kind in (DecisionKind.ADMIT, DecisionKind.REJECT):
        with pytest.raises(ConfigError, match="NOT_HELD"):
            decided(w, accepted, kind)


def test_a_held_file_of_a_vintage_dataset_is_not_closed_by_another(w, came):
    held = came("A", VerdictKind.HELD, FIGURES)
    came("B", dataset=FIGURES)
    assert [one.delivery_id for one in deliveries.held(w.ledger)] == [held]


def test_a_decision_counts_whatever_the_clock_says(w, came):
    """The clock was set back after the verdict: the decision is still the newest, and so is the next verdict."""
    delivery = came("A")
    decisions.withdraw(w, delivery, WHY, *TWO)
    behind = replace(w, clock=replace(w.clock, ahead=-timedelta(days=1)))
    decisions.reinstate(behind, delivery, WHY, *TWO)
    assert in_force(w) == [delivery]
    judged(behind, deliveries.one(w.ledger, delivery), VerdictKind.HELD)
    assert in_force(w) == []
