"""The next day of a sandbox home: how far its clock moves, and what agencies do by then that somebody has to look at.

Here: which file comes late, spoiled or corrected, and the story that tells it. The pipeline knows nothing of it: it
meets files, as from any agency. Not here: further months (render), the night (night, serve).

Two kinds of day take turns. On the day after the puskesmas' reports of a month fell due two of them have sent nothing,
a third has sent the month before once more, and the social service corrects its last list. A day later one of the late
reports and the right file have come, another puskesmas replaces its good file by a wrong one, and a third corrects its
own. What has not come by then waits on the server, after the nights' asking has ended: a person asks for it.
"""

import json
import random
import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from warehouse import timeliness
from warehouse.contract import get_contract
from warehouse.ledger import Ledger, UtcDateTime
from warehouse.periods import JAKARTA, Period
from warehouse.sandbox.corruption import UNKNOWN_KELURAHAN
from warehouse.settings import Settings

REPORTS = "kemenkes/eppgbm"
LISTS = "kemensos/assistance"
WRONG_MONTH = "EPPGBM-104"
# Of the largest reports, so that what happens to them shows in the figures.
_CANDIDATES = 10
_IMPLAUSIBLE_KG = 200
_CORRECTED_HEIGHTS = 5


def next_day(s: Settings) -> date:
    """The day after ``s.today()`` to play: the one after a day of reports, else the next day of reports."""
    today, days = s.today(), story(s)
    if days and days[-1]["day"] == today.isoformat() and days[-1]["kind"] == "reports":
        return today + timedelta(days=1)
    return _reports_day(s, today)


def _reports_day(s: Settings, after: date) -> date:
    """The first day after ``after`` on which a month's reports are overdue if they are not there."""
    due_day = get_contract(s.contracts_dir, REPORTS).extras.due_day
    newest = Period.containing("month", after)
    days = (newest.shift(back).due_on(due_day) + timedelta(days=1) for back in range(-2, 2))
    return min(day for day in days if day > after)


def moved(s: Settings, day: date) -> Settings:
    """Move the home's clock to ``day`` and give the settings that see it."""
    _write(s.home / "sandbox" / "clock.json", {"days_ahead": s.ahead.days + (day - s.today()).days})
    return type(s)(**s.model_dump())


def story(s: Settings) -> list[dict[str, Any]]:
    """The days played so far, and on each what was planted."""
    file = _story_file(s)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []


def play(s: Settings, day: date) -> dict[str, Any]:
    """Let agencies do what they do by ``day``; returns the day as the story tells it. ``s`` is still before it."""
    kind = "reports" if day == _reports_day(s, day - timedelta(days=1)) else "after"
    month = Period.containing("month", day).shift(-1)
    days = story(s)
    told = {"day": day.isoformat(), "kind": kind, "month": month.label, "planted": []}
    _put_back(s, day)
    plant = _plant_reports_day if kind == "reports" else _plant_day_after
    told["planted"] = plant(s, day, month, days[-1]["planted"] if days else [])
    _write(_story_file(s), [*days, told])
    return told


def _plant_reports_day(s: Settings, day: date, month: Period, _before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    first, second, wrong = _chosen(s, day, month, 3)
    soon, later = day + timedelta(days=1), _reports_day(s, day)
    for file, returns in ((first, soon), (second, later), (wrong, soon)):
        _set_aside(s, file, returns)
    first.unlink()
    second.unlink()
    shutil.copyfile(_reports(s, month.shift(-1)) / wrong.name, wrong)
    corrected = _lists(s, month.shift(-1))
    _rewrite(corrected, _corrected_list)
    return [
        _event("late", REPORTS, month, first.stem, returns_on=soon),
        _event("late", REPORTS, month, second.stem, returns_on=later),
        _event("held", REPORTS, month, wrong.stem, rule=WRONG_MONTH, returns_on=soon),
        _event("corrected", LISTS, month.shift(-1), "all"),
    ]


def _plant_day_after(s: Settings, day: date, month: Period, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    busy = {event["part"] for event in before}
    later = _reports_day(s, day)
    wrong, corrected = _chosen(s, day, month, 2, busy)
    _set_aside(s, wrong, later)
    shutil.copyfile(_reports(s, month.shift(-1)) / wrong.name, wrong)
    _rewrite(corrected, _corrected_report)
    return [
        *(event for event in before if event["kind"] == "late" and event["returns_on"] > day.isoformat()),
        _event("held", REPORTS, month, wrong.stem, rule=WRONG_MONTH, returns_on=later),
        _event("corrected", REPORTS, month, corrected.stem),
    ]


def _event(kind: str, dataset: str, period: Period, part: str, **more: Any) -> dict[str, Any]:
    told = {"kind": kind, "dataset": dataset, "period": period.label, "part": part}
    return told | {name: value.isoformat() if isinstance(value, date) else value for name, value in more.items()}


def to_see(s: Settings) -> list[dict[str, Any]]:
    """What the ledger, not the story, holds ready for a monitor: held, late, and corrected since the night before."""
    led = Ledger(s.ledger)
    contract = get_contract(s.contracts_dir, REPORTS)
    held = led.rows("select delivery_id, dataset, part, period_start, reason_code from held_deliveries")
    rows = [
        _seen(s, "ditahan / held", row) | {"what": f"{row['reason_code']} {row['delivery_id'][:8]}"} for row in held
    ]
    rows += [
        {"see": "terlambat / late", "dataset": REPORTS, "part": one.part, "period": one.awaited.label,
         "what": f"{one.days_late} hari / days"}
        for one in timeliness.part_states(s, led, contract)
        if one.state == "late"
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
    seen = to_see(s)
    lines = ["Selanjutnya / next:"]
    for row in [row for row in seen if row["see"].startswith("ditahan")][:1]:
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


def _reports(s: Settings, month: Period) -> Path:
    return s.home / "sandbox" / "holdings" / "sftp" / "dinkes" / "eppgbm" / month.label


def _lists(s: Settings, month: Period) -> Path:
    return s.home / "sandbox" / "holdings" / "sftp" / "dinsos" / "assistance" / month.label / "assistance.csv"


def _chosen(s: Settings, day: date, month: Period, count: int, busy: set[str] = frozenset()) -> list[Path]:
    """Reports of a month to play with, the same ones for the same day; the last is a CSV, which can be corrected."""
    earlier = _reports(s, month.shift(-1))
    files = [path for path in _reports(s, month).iterdir() if path.stem not in busy and (earlier / path.name).exists()]
    files = sorted(files, key=lambda path: (-path.stat().st_size, path.name))[:_CANDIDATES]
    texts = [path for path in files if path.suffix == ".csv"]
    draw = random.Random(f"tomorrow {day}")
    last = draw.choice(texts)
    return [*draw.sample([path for path in files if path != last], count - 1), last]


def _aside(s: Settings) -> Path:
    return s.home / "sandbox" / "set_aside"


def _set_aside(s: Settings, file: Path, returns_on: date) -> None:
    """Keep the right file until its day; a repetition after a kill keeps the first copy."""
    kept = _aside(s) / returns_on.isoformat() / file.relative_to(s.home / "sandbox")
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, kept.with_name(f".{kept.name}"))
        kept.with_name(f".{kept.name}").replace(kept)


def _put_back(s: Settings, day: date) -> None:
    for folder in sorted(_aside(s).glob("*")):
        if date.fromisoformat(folder.name) <= day:
            for kept in sorted(path for path in folder.rglob("*") if path.is_file()):
                kept.replace(s.home / "sandbox" / kept.relative_to(folder))
            shutil.rmtree(folder)


def _rewrite(file: Path, correct: Callable[[list[list[str]]], None]) -> None:
    """Correct the cells of a CSV and leave all its other bytes: Latin-1 gives every byte back."""
    text = file.read_bytes().decode("latin-1")
    head = text.partition("\n")[0]
    delimiter = ";" if head.count(";") > head.count(",") else ","
    rows = [line.split(delimiter) for line in text.split("\n")]
    correct(rows)
    file.write_bytes("\n".join(delimiter.join(row) for row in rows).encode("latin-1"))


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
    known = {row[kecamatan]: row[village] for row in rows[1:] if len(row) > village and row[village] not in _UNKNOWN}
    for row in rows[1:]:
        if len(row) > village and row[village] in _UNKNOWN:
            row[village] = known.get(row[kecamatan], row[village])
    del rows[1]


_UNKNOWN = frozenset(UNKNOWN_KELURAHAN)


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def _text(value: float) -> str:
    return f"{value:.1f}".replace(".", ",")


def _story_file(s: Settings) -> Path:
    return s.home / "sandbox" / "story.json"


def _write(file: Path, value: Any) -> None:
    draft = file.with_name(f".{file.name}")
    draft.write_text(json.dumps(value, indent=1), encoding="utf-8")
    draft.replace(file)
