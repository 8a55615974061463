"""Which days `warehouse sandbox tomorrow` plays, whatever day the first run fell on; files and nights: integration."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.support.gate_helpers import delivered
from warehouse import ledger
from warehouse.core.contract import Contract, get_contract
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, deliveries, tables
from warehouse.sandbox import sent, tomorrow
from warehouse.storage import keys

# A month's reports are due on the 11th of the next, and overdue a day later.
DUE, OVERDUE = 11, 12


class Calendar:
    """A home whose first run fell on ``first``: reports came on the day they were due; only the ledger is kept."""

    def __init__(self, s: Settings, reports: Contract, first: date):
        self.reports, self.led = reports, Ledger(s.ledger)
        with self.led.write() as connection:
            connection.execute(tables.deliveries.delete())
        for file in (sent.story_file(s), s.home / "sandbox" / "clock.json"):
            file.unlink(missing_ok=True)
        self.s = Settings(home=s.home, now=datetime(first.year, first.month, first.day, 9, tzinfo=UTC))
        months = [Period.containing("month", first).shift(-step) for step in range(1, 5)]
        for month in months:
            if month.due_on(reports.extras.due_day) <= first:
                self.receive(month)

    def receive(self, month: Period) -> None:
        deliveries.record_delivery(self.led, delivered(self.reports, "x", "batuceper", month))

    def next(self) -> tuple[date, str]:
        """Play the next day: the clock moves, the story tells it, and a month's reports come on their day."""
        day, story = tomorrow.next_day(self.s), sent.story(self.s)
        kind = "after" if story and date.fromisoformat(story[-1]["day"]) == day - timedelta(days=1) else "reports"
        month = Period.containing("month", day).shift(-1)
        told = {"day": day.isoformat(), "kind": kind, "month": month.label, "planted": []}
        sent.story_file(self.s).write_text(json.dumps([*story, told]))
        self.s = tomorrow.moved(self.s, day)
        if kind == "reports":
            self.receive(month)
        return day, kind


@pytest.fixture(scope="module")
def s(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    s = Settings(home=tmp_path_factory.mktemp("calendar") / "home")
    keys.make_sandbox_keys(s)
    (s.home / "sandbox").mkdir(exist_ok=True)
    ledger.upgrade(s.ledger)
    return s


def overdue_after(day: date) -> date:
    """The first day on which reports are overdue of which none had come by ``day``."""
    month = Period.containing("month", day)
    return (month if day.day < DUE else month.shift(1)).start.replace(day=OVERDUE)


@pytest.mark.parametrize("month", [Period(date(2026, n, 1), "month") for n in (2, 6, 11, 12)], ids=lambda m: m.label)
def test_the_day_reports_are_overdue_and_the_day_after_take_turns(s: Settings, month: Period):
    """On every first day of a month, of the shortest and of a year's last one too."""
    reports = get_contract(s.contracts_dir, tomorrow.REPORTS)
    for first in (month.start + timedelta(days=n) for n in range((month.end - month.start).days)):
        calendar = Calendar(s, reports, first)
        played = [calendar.next() for _ in range(4)]
        overdue = overdue_after(first)
        second = Period.containing("month", overdue).shift(1).start.replace(day=OVERDUE)
        one = timedelta(days=1)
        assert played == [
            (overdue, "reports"), (overdue + one, "after"), (second, "reports"), (second + one, "after"),
        ], first  # fmt: skip
