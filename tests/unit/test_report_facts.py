"""What a dataset's page says of parts and periods: red waits for somebody, and nothing is shown before its time."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from warehouse import ledger
from warehouse.core.contract import get_contract
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.ledger import tables
from warehouse.report import facts

EPPGBM = "kemenkes/eppgbm"
OCTOBER, NOVEMBER = Period.parse("2026-10"), Period.parse("2026-11")
TODAY = date(2026, 12, 12)


def delivery(part: str, period: Period) -> dict[str, Any]:
    return {"part": part, "period_start": period.start, "is_in_force": True, "rows_quarantined": 0, "decision": None}


def test_a_gap_before_later_data_waits_for_nobody_and_a_report_that_is_awaited_does(settings: Settings):
    contract = get_contract(settings.contracts_dir, EPPGBM)
    history = [delivery("benda", OCTOBER), delivery("cipondoh", NOVEMBER)]
    grid = facts.grid_of(contract, ["benda", "cipondoh"], history, [], [OCTOBER, NOVEMBER], TODAY)
    assert grid == {
        "benda": {OCTOBER.start: "good", NOVEMBER.start: "missing"},
        "cipondoh": {OCTOBER.start: "absent", NOVEMBER.start: "good"},
    }


@pytest.mark.parametrize(
    ("day", "outcome", "newest"),
    [
        (date(2026, 12, 11), "not_available", None),
        (date(2026, 12, 12), "not_available", NOVEMBER),
        (date(2026, 12, 3), "failed", NOVEMBER),
    ],
)
def test_a_period_that_is_not_there_yet_is_shown_once_it_is_overdue(settings: Settings, day, outcome, newest):
    s = settings.model_copy(update={"now": datetime(day.year, day.month, day.day, 5, tzinfo=UTC)})
    ledger.upgrade(s.ledger)
    led = ledger.Ledger(s.ledger)
    led.insert(
        tables.fetches,
        {
            "fetch_id": ledger.new_id(),
            "dataset": EPPGBM,
            "part": "benda",
            "period_kind": "month",
            "period_start": NOVEMBER.start,
            "origin": "agency",
            "started_at": s.utc_now(),
            "ended_at": s.utc_now(),
            "attempts": 1,
            "outcome": outcome,
        },
    )
    (found,) = [fact for fact in facts.collect(s, led) if fact.contract.dataset == EPPGBM]
    assert found.newest == newest
