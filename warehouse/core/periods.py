"""Reporting periods and the one function that maps a logical date to the periods open on it.

Periods are calendar spans in Asia/Jakarta. A period's label is what a person types: ``2026-10`` (month), ``2026-Q3``,
``2026-H2``, ``2026`` (year), ``2026-11-22`` (snapshot of a day).
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from warehouse.core.errors import ConfigError

PeriodKind = Literal["month", "quarter", "half_year", "year", "snapshot"]
JAKARTA = ZoneInfo("Asia/Jakarta")
_MONTHS: dict[PeriodKind, int] = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}
LONGEST_DAYS: dict[PeriodKind, int] = {"snapshot": 1, "month": 31, "quarter": 92, "half_year": 184, "year": 366}
_LABELS: dict[PeriodKind, re.Pattern[str]] = {
    "snapshot": re.compile(r"(\d{4})-(\d{2})-(\d{2})"),
    "month": re.compile(r"(\d{4})-(\d{2})"),
    "quarter": re.compile(r"(\d{4})-Q([1-4])"),
    "half_year": re.compile(r"(\d{4})-H([12])"),
    "year": re.compile(r"(\d{4})"),
}


@dataclass(frozen=True, order=True)
class Period:
    """A calendar span: ``start`` inclusive, ``end`` exclusive."""

    start: date
    kind: PeriodKind

    def __post_init__(self) -> None:
        if self.kind != "snapshot" and Period.containing(self.kind, self.start).start != self.start:
            raise ValueError(f"{self.start} does not start a {self.kind}")

    @classmethod
    def containing(cls, kind: PeriodKind, day: date) -> "Period":
        if kind == "snapshot":
            return cls(day, kind)
        step = _MONTHS[kind]
        first = date(day.year, (day.month - 1) // step * step + 1, 1)
        period = object.__new__(cls)
        object.__setattr__(period, "start", first)
        object.__setattr__(period, "kind", kind)
        return period

    @classmethod
    def parse(cls, label: str) -> "Period":
        """Read a label such as ``2026-10`` or ``2026-Q3``; raises ConfigError naming the accepted forms."""
        for kind, pattern in _LABELS.items():
            if match := pattern.fullmatch(label.strip()):
                numbers = [int(group) for group in match.groups()]
                try:
                    if kind == "snapshot":
                        return cls(date(*numbers), kind)
                    month = 1 if kind == "year" else (numbers[1] - 1) * _MONTHS[kind] + 1
                    return cls(date(numbers[0], month, 1), kind)
                except ValueError:
                    break
        raise ConfigError(
            "PERIOD_INVALID",
            f"Periode {label!r} tidak dikenal.",
            f"Period {label!r} is not understood.",
            "Tulis 2026-10, 2026-Q3, 2026-H2, 2026 atau 2026-11-22.",
            "Write 2026-10, 2026-Q3, 2026-H2, 2026 or 2026-11-22.",
        )

    @property
    def end(self) -> date:
        return self.shift(1).start if self.kind != "snapshot" else self.start + timedelta(days=1)

    @property
    def label(self) -> str:
        year, month = self.start.year, self.start.month
        return {
            "month": f"{year}-{month:02d}",
            "quarter": f"{year}-Q{(month + 2) // 3}",
            "half_year": f"{year}-H{(month + 5) // 6}",
            "year": f"{year}",
            "snapshot": self.start.isoformat(),
        }[self.kind]

    def shift(self, steps: int) -> "Period":
        """The period ``steps`` later (earlier when negative)."""
        if self.kind == "snapshot":
            return Period(self.start + timedelta(days=steps), self.kind)
        months = self.start.year * 12 + self.start.month - 1 + steps * _MONTHS[self.kind]
        return Period(date(months // 12, months % 12 + 1, 1), self.kind)

    def due_on(self, due_day: int) -> date:
        """The day its data are promised: ``due_day`` days after the period ended; negative = before its end."""
        return self.end + timedelta(days=due_day)


def owed(kind: PeriodKind, last: date | None, day: date) -> Period:
    """The period now waited for: the one after ``last`` (start of the newest that came), else the newest that ended.

    A snapshot's period is a day; it is owed month by month.
    """
    step = "month" if kind == "snapshot" else kind
    if last is None:
        return Period.containing(step, day).shift(-1)
    return Period.containing(step, last).shift(1)


def open_periods(
    kind: PeriodKind,
    due_day: int,
    open_days: int,
    day: date,
    *,
    first_due_day: int | None = None,
    backfill: bool = False,
) -> list[Period]:
    """Periods an ingest run of logical date ``day`` (Asia/Jakarta) asks the agency for, oldest first.

    A nightly run asks from the day after a period ended (or from its due day, where that comes before the end: targets
    of a year are due in January) until ``open_days`` after it was due, so that late and corrected files are found.
    ``first_due_day`` is the earliest due day among the dataset's parts: all are asked for from then on, as a publisher
    may be early. A backfill run asks only on the due day: each period once, other days end at once.
    """
    opening = due_day if first_due_day is None else min(due_day, first_due_day)
    newest = Period.containing(kind, day)
    periods = []
    for back in range(400):
        period = newest.shift(-back)
        due = period.due_on(due_day)
        if due + timedelta(days=open_days) < day:
            break
        if due == day if backfill else min(period.end, period.due_on(opening)) <= day:
            periods.append(period)
    return sorted(periods)
