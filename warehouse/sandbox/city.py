"""Builds the synthetic city and writes its truth to ``city/*.parquet``: the same arguments give the same bytes.

Here: building and drawing again. Not here: drawing itself (draw), the truth's columns (truth), what agencies make of it
(render). No real person's data enter.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from warehouse.sandbox import margins, truth
from warehouse.sandbox.draw import City, Progress, draw, silent

# Large enough to be told from chance with the nine kelurahan that the default city peoples where outreach went.
PLANTED_EFFECT = 30.0


@dataclass(frozen=True)
class CitySummary:
    """What was built; written beside the truth as ``summary.json``."""

    seed: int
    scale: str
    share: float
    months: tuple[str, ...]
    planted_effect: float
    planted_registrations: int
    residents: int
    families: int
    outsiders: int
    children_registered: int
    measurements: int
    workers: int
    pbpu_workers: int
    participations: int
    sessions: int
    peopled_kelurahan: tuple[str, ...]


def build_city(
    home_sandbox: Path,
    *,
    scale: str | float = "default",
    seed: int = 20230501,
    tonight: date,
    months: int = 14,
    planted_effect: float | None = PLANTED_EFFECT,
    progress: Progress | None = None,
) -> CitySummary:
    """Draw the city and write ``home_sandbox/city`` and ``city.json``, replacing what was there.

    ``scale``: see ``margins.kelurahan``; summary and ``city.json`` say which kelurahan are peopled and what share of
    the city that is. ``months`` end with the newest complete month before ``tonight``. ``planted_effect``: extra new
    BPU registrations per 1,000 PBPU residents within 183 days of the first outreach session in their kelurahan; None
    or 0 plants none.
    """
    say = progress or silent
    city = draw(
        area=margins.kelurahan(scale),
        seed=seed,
        tonight=tonight,
        months=months,
        planted_effect=planted_effect or 0.0,
        progress=say,
    )
    folder = home_sandbox / "city"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for name, table in truth.tables(city).items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    summary = _summary(city, str(scale), planted_effect or 0.0)
    arguments = {"scale": scale, "seed": seed, "tonight": tonight.isoformat(), "months": months}
    text = json.dumps({**asdict(summary), "arguments": {**arguments, "planted_effect": planted_effect}}, indent=1)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
    sample = {"peopled_kelurahan": summary.peopled_kelurahan, "share": summary.share}
    (home_sandbox / "city.json").write_text(json.dumps(sample), encoding="utf-8")
    say(f"city: {summary.residents:,} residents, {summary.families:,} families, {summary.measurements:,} measurements")
    return summary


def redraw(home_sandbox: Path) -> City:
    """The city whose truth lies in ``home_sandbox/city``, drawn again from the arguments recorded there."""
    arguments = json.loads((home_sandbox / "city" / "summary.json").read_text(encoding="utf-8"))["arguments"]
    return draw(
        area=margins.kelurahan(arguments["scale"]),
        seed=arguments["seed"],
        tonight=date.fromisoformat(arguments["tonight"]),
        months=arguments["months"],
        planted_effect=arguments["planted_effect"] or 0.0,
    )


def _summary(city: City, scale: str, effect: float) -> CitySummary:
    return CitySummary(
        seed=city.seed,
        scale=scale,
        share=city.area.share,
        months=tuple(month.label for month in city.calendar.months),
        planted_effect=effect,
        planted_registrations=int(city.participations.is_planted.sum()),
        residents=int(city.persons.is_resident.sum()),
        families=len(city.families.place),
        outsiders=int((~city.persons.is_resident).sum()),
        children_registered=int(city.children.is_registered.sum()),
        measurements=len(city.measured.child),
        workers=len(city.workers.person),
        pbpu_workers=int(city.workers.is_pbpu.sum()),
        participations=len(city.participations.person),
        sessions=int(city.sessions.session.max()) + 1,
        peopled_kelurahan=city.area.peopled_codes,
    )
