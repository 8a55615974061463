"""The next day of a sandbox home: how far its clock moves, and what agencies do by then that somebody has to look at.

Here: which file comes late, spoiled or corrected, and the story that tells it; the servers hand files out by it (sent).
The pipeline knows nothing of it: it meets files, as from any agency. Not here: further months (render), the night
(night, serve).

Two kinds of day take turns. On the day after the puskesmas' reports of a month fell due two of them have sent nothing,
a third has sent the month before once more, and the social service corrects its last list. A day later one of the late
reports and the right file have come, another puskesmas replaces its good file by a wrong one, and a third corrects its
own. What has not come by then waits on the server, after the nights' asking has ended: a person asks for it.
"""

import json
import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from warehouse.core import files
from warehouse.core.contract import Contract, get_contract
from warehouse.core.periods import JAKARTA, Period
from warehouse.core.settings import Settings
from warehouse.intake import timeliness
from warehouse.ledger import Ledger, deliveries
from warehouse.ledger.tables import UtcDateTime
from warehouse.sandbox.corruption import UNKNOWN_KELURAHAN
from warehouse.sandbox.sent import corrected, story, story_file

REPORTS = "kemenkes/eppgbm"
LISTS = "kemensos/assistance"
WRONG_MONTH = "EPPGBM-104"
# Of the largest reports of each kind of file, so that what happens to them shows in the figures.
_CANDIDATES = 10
_IMPLAUSIBLE_KG = 200
_CORRECTED_HEIGHTS = 5


def next_day(s: Settings) -> date:
    """The day after ``s.today()`` to play: the one after a day of reports, else the next day of reports.

    A month of which a night has already had reports is past playing: none of them can be late any more.
    """
    today, days = s.today(), story(s)
    if days and days[-1]["day"] > today.isoformat():
        return date.fromisoformat(days[-1]["day"])
    if days and days[-1]["kind"] == "reports" and today < _last_day_after(s, Period.parse(days[-1]["month"])):
        return today + timedelta(days=1)
    return next(day for month, day in _reports_days(s) if day > today and not _came(s, month))


def _reports(s: Settings) -> Contract:
    return get_contract(s.contracts_dir, REPORTS)


def _reports_days(s: Settings) -> list[tuple[Period, date]]:
    """Months near today, and the first day on which a month's reports are overdue if they are not there."""
    due_day = _reports(s).extras.due_day
    months = [Period.containing("month", s.today()).shift(step) for step in range(-2, 3)]
    return [(month, month.due_on(due_day) + timedelta(days=1)) for month in months]


def _last_day_after(s: Settings, month: Period) -> date:
    """The last day on which nights still ask for a month's reports and the next month's are not yet due."""
    extras = _reports(s).extras
    asked_until = month.due_on(extras.due_day) + timedelta(days=extras.open_days)
    return min(asked_until, month.shift(1).due_on(extras.due_day) - timedelta(days=1))


def _came(s: Settings, month: Period) -> set[str]:
    """The puskesmas whose report of a month has come, whatever became of it."""
    query = "select distinct part from deliveries where dataset = :dataset and period_start = :start"
    return {row["part"] for row in Ledger(s.ledger).rows(query, dataset=REPORTS, start=month.start.isoformat())}


def _in_force(s: Settings, month: Period) -> set[str]:
    in_force = deliveries.in_force(Ledger(s.ledger), REPORTS, "snapshot")
    return {one.part for one in in_force if one.period_start == month.start}


def moved(s: Settings, day: date) -> Settings:
    """Move the home's clock to ``day`` and give the settings that see it."""
    _write(s.home / "sandbox" / "clock.json", {"days_ahead": s.ahead.days + (day - s.today()).days})
    return type(s)(**s.model_dump())


def play(s: Settings, day: date) -> dict[str, Any]:
    """Plan what agencies do by ``day``; returns the day as the story tells it. ``s`` is still before it.

    The files of the day must lie among the holdings. A day that was planned stays as it was.
    """
    days = story(s)
    if days and days[-1]["day"] == day.isoformat():
        return days[-1]
    month = next((month for month, reports_day in _reports_days(s) if reports_day == day), None)
    if month and not _came(s, month):
        line = {"kind": "reports", "month": month.label, "planted": _plant_reports_day(s, day, month)}
    else:
        line = {"kind": "after", "month": days[-1]["month"], "planted": _plant_day_after(s, day, days[-1])}
    line = {"day": day.isoformat(), **line}
    _write(story_file(s), [*days, line])
    return line


def _plant_reports_day(s: Settings, day: date, month: Period) -> list[dict[str, Any]]:
    # Who still owes the month before is late with that one, whatever becomes of this.
    settled = _in_force(s, month.shift(-1))
    first, second, wrong = _chosen(s, day, month, 3, lambda part: part in settled)
    soon, later = day + timedelta(days=1), _next_reports_day(s, month)
    _correct(s, _list_file(s, month.shift(-1)), _corrected_list)
    return [
        _event("late", REPORTS, month, first.stem, returns_on=soon),
        _event("late", REPORTS, month, second.stem, returns_on=later),
        _event("held", REPORTS, month, wrong.stem, rule=WRONG_MONTH, returns_on=soon),
        _event("corrected", LISTS, month.shift(-1), "all"),
    ]


def _plant_day_after(s: Settings, day: date, before: dict[str, Any]) -> list[dict[str, Any]]:
    month = Period.parse(before["month"])
    busy = {event["part"] for event in before["planted"]}
    arrived = _in_force(s, month)
    wrong, again = _chosen(s, day, month, 2, lambda part: part in arrived and part not in busy)
    _correct(s, again, _corrected_report)
    return [
        *(event for event in before["planted"] if event["kind"] == "late" and event["returns_on"] > day.isoformat()),
        _event("held", REPORTS, month, wrong.stem, rule=WRONG_MONTH, returns_on=_next_reports_day(s, month)),
        _event("corrected", REPORTS, month, again.stem),
    ]


def _next_reports_day(s: Settings, month: Period) -> date:
    return month.shift(1).due_on(_reports(s).extras.due_day) + timedelta(days=1)


def _event(kind: str, dataset: str, period: Period, part: str, **more: Any) -> dict[str, Any]:
    event = {"kind": kind, "dataset": dataset, "period": period.label, "part": part}
    return event | {name: value.isoformat() if isinstance(value, date) else value for name, value in more.items()}


def to_see(s: Settings) -> list[dict[str, Any]]:
    """What the ledger, not the story, holds ready for a monitor: held, late, and corrected since the night before."""
    led = Ledger(s.ledger)
    contract = _reports(s)
    held_rows = led.rows("select delivery_id, dataset, part, period_start, reason_code from held_deliveries")
    rows = [
        _seen(s, "ditahan / held", row) | {"what": f"{row['reason_code']} {row['delivery_id'][:8]}"}
        for row in held_rows
    ]
    held_reports = {(row["part"], row["period_start"]) for row in held_rows if row["dataset"] == REPORTS}
    rows += [
        {"see": "terlambat / late", "dataset": REPORTS, "part": one.part, "period": one.awaited.label,
         "what": f"{one.days_late} hari / days"}
        for one in timeliness.part_states(s, led, contract)
        if one.state == "late" and (one.part, one.awaited.start) not in held_reports
    ]  # fmt: skip
    midnight = datetime.combine(s.today(), datetime.min.time(), JAKARTA)
    came = led.rows(
        sa.text(
            "select n.delivery_id, n.dataset, n.part, n.period_start from admissible_deliveries n"
            " where n.received_at >= :since and exists (select 1 from admissible_deliveries o where"
            " o.dataset = n.dataset and o.part = n.part and o.period_kind = n.period_kind"
            " and o.period_start = n.period_start and o.received_at < :since)"
        ).bindparams(sa.bindparam("since", midnight, type_=UtcDateTime))
    )
    datasets = {row["dataset"] for row in came}
    snapshots = {name for name in datasets if get_contract(s.contracts_dir, name).extras.delivery_mode == "snapshot"}
    return rows + [
        _seen(s, "dikoreksi / corrected", row) | {"what": row["delivery_id"][:8]}
        for row in came
        if row["dataset"] in snapshots
    ]


def _seen(s: Settings, word: str, row: dict[str, Any]) -> dict[str, Any]:
    kind = get_contract(s.contracts_dir, row["dataset"]).extras.period_kind
    period = Period(row["period_start"], kind).label
    return {"see": word, "dataset": row["dataset"], "part": row["part"], "period": period}


def to_do(s: Settings) -> list[str]:
    """What a person would type next."""
    situation = to_see(s)
    lines = ["Selanjutnya / next:"]
    for row in [row for row in situation if row["see"].startswith("ditahan")][:1]:
        name = row["what"].split()[1]
        lines += [
            "  .venv/bin/warehouse held",
            f"  .venv/bin/warehouse held reject {name} --reason 'Berkas bulan lain / another month' --by monitor",
            f"  .venv/bin/warehouse quarantine {name}",
        ]
    further = ("status", "releases list", "sandbox story")
    lines += [*(f"  .venv/bin/warehouse {command}" for command in further), "  make tomorrow"]
    return lines


# --- files ------------------------------------------------------------------------------------------------------------


def _reports_folder(s: Settings, month: Period) -> Path:
    return s.home / "sandbox" / "holdings" / "sftp" / "dinkes" / "eppgbm" / month.label


def _list_file(s: Settings, month: Period) -> Path:
    return s.home / "sandbox" / "holdings" / "sftp" / "dinsos" / "assistance" / month.label / "assistance.csv"


def _chosen(s: Settings, day: date, month: Period, count: int, may: Callable[[str], bool]) -> list[Path]:
    """Reports of a month to play with, the same ones for the same day; the last is a CSV, which can be corrected."""
    earlier = _reports_folder(s, month.shift(-1))
    files = [path for path in _reports_folder(s, month).iterdir() if may(path.stem) and (earlier / path.name).exists()]
    files.sort(key=lambda path: (-path.stat().st_size, path.name))
    # A workbook is packed: sizes say something among files of one kind only.
    texts, books = ([path for path in files if path.suffix == kind][:_CANDIDATES] for kind in (".csv", ".xlsx"))
    draw = random.Random(f"tomorrow {day}")
    last = draw.choice(texts)
    return [*draw.sample([path for path in texts + books if path != last], count - 1), last]


def _correct(s: Settings, holding: Path, correct: Callable[[list[list[str]]], None]) -> None:
    """Make the corrected version of a CSV: other cells, and all other bytes as they were (Latin-1 gives them back)."""
    text = holding.read_bytes().decode("latin-1")
    head = text.partition("\n")[0]
    delimiter = ";" if head.count(";") > head.count(",") else ","
    rows = [line.split(delimiter) for line in text.split("\n")]
    correct(rows)
    target = corrected(s, holding)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes("\n".join(delimiter.join(row) for row in rows).encode("latin-1"))


def _corrected_report(rows: list[list[str]]) -> None:
    """Weights entered in grams become kilograms, and a few children were measured again."""
    header = [name.strip('"') for name in rows[0]]
    weight, height = header.index("Berat"), header.index("Tinggi")
    again = 0
    for row in rows[1:]:
        if len(row) <= max(weight, height):
            continue
        kilograms = _number(row[weight])
        if kilograms is not None and kilograms > _IMPLAUSIBLE_KG:
            row[weight] = _text(kilograms / 1000)
        centimetres = _number(row[height])
        if centimetres is not None and again < _CORRECTED_HEIGHTS:
            row[height], again = _text(centimetres + 0.4), again + 1


def _corrected_list(rows: list[list[str]]) -> None:
    """Unknown names of kelurahan are set right, and a family that was on the list by mistake is taken off."""
    kecamatan, village = rows[0].index("kecamatan"), rows[0].index("desa")
    village_of = {
        row[kecamatan]: row[village] for row in rows[1:] if len(row) > village and row[village] not in _UNKNOWN
    }
    for row in rows[1:]:
        if len(row) > village and row[village] in _UNKNOWN:
            row[village] = village_of.get(row[kecamatan], row[village])
    del rows[1]


_UNKNOWN = frozenset(UNKNOWN_KELURAHAN)


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def _text(value: float) -> str:
    return f"{value:.1f}".replace(".", ",")


def _write(file: Path, value: Any) -> None:
    with files.whole_file(file, mode=None, durable=False) as draft:
        draft.write_text(json.dumps(value, indent=1), encoding="utf-8")
