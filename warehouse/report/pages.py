"""Renders the facts as HTML: one folder per rendering, `reports/current` swapped atomically.

Charts are inline SVG; nothing is loaded from elsewhere.
"""

import re
import shutil
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from warehouse import release
from warehouse.core import files, permissions
from warehouse.core.contract import Contract
from warehouse.core.csv_export import write_csv
from warehouse.core.periods import JAKARTA
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger
from warehouse.report import facts as facts_room
from warehouse.report import figures as figures_room
from warehouse.report import numbers
from warehouse.report.facts import STATES, DatasetFacts
from warehouse.storage import sample

KEPT = 3
MONTHS_ID = ("", "Jan", "Feb", "Mar", "Apr", "Mei", "Jun", "Jul", "Agu", "Sep", "Okt", "Nov", "Des")
ADMITTED, QUARANTINED = "diterima / admitted", "dikarantina / quarantined"
COLOURS = {ADMITTED: "#1b6e53", QUARANTINED: "#d98e04"}


def _date_id(value: Any) -> str:
    return f"{value.day} {MONTHS_ID[value.month]} {value.year}" if value else "–"


def _time_id(value: datetime | None) -> str:
    if value is None:
        return "–"
    local = value.astimezone(JAKARTA)
    return f"{_date_id(local)} {local:%H.%M} WIB"


def _part_label(contract: Contract, part: str) -> str:
    """The part as people read it; a dataset that comes in one piece has no name for it."""
    return "seluruhnya / all" if part == "all" else contract.part_label(part)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("warehouse.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"tanggal": _date_id, "waktu": _time_id, "angka": numbers.count,
                            "persen": numbers.percent, "poin": numbers.points}  # fmt: skip
    environment.globals |= {"STATES": STATES, "part_label": _part_label}
    return environment


def _rows_chart(fact: DatasetFacts) -> str:
    """Rows admitted and quarantined by period, of what is in force, as inline SVG; '' without any."""
    # A second to import, and every command imports this module: only a rendering waits for it.
    import altair as alt
    import vl_convert

    points = [
        {
            "period": period.label,
            "outcome": label,
            "rows": sum(
                row[key] or 0 for row in fact.in_force if row["period_start"] == period.start
            ),
        }
        for period in fact.periods
        for key, label in (("rows_admitted", ADMITTED), ("rows_quarantined", QUARANTINED))
    ]  # fmt: skip
    if not any(point["rows"] for point in points):
        return ""
    chart = (
        alt.Chart(alt.Data(values=points))
        .mark_bar()
        .encode(
            x=alt.X("period:O", title=None, axis=alt.Axis(labelAngle=-45)),
            y=alt.Y("rows:Q", title="baris / rows", axis=alt.Axis(format="~s", tickCount=4)),
            color=alt.Color(
                "outcome:N",
                title=None,
                scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())),
                legend=alt.Legend(orient="top"),
            ),
        )
        .properties(width=290, height=150, background="transparent")
        .configure_view(strokeWidth=0)
        .configure_axis(labelFontSize=11, titleFontSize=11, grid=True, gridColor="#e7e3da")
    )
    svg = vl_convert.vegalite_to_svg(chart.to_dict())
    return re.sub(r"<svg ", '<svg role="img" aria-label="Baris per periode / rows by period" ', svg, count=1)


def _write_pointers(folder: Path, fact: DatasetFacts, led: Ledger) -> list[dict[str, Any]]:
    """One CSV of row pointers for each delivery of the newest period with findings: what the sender must look at."""
    rows = []
    for row in fact.in_force:
        if not fact.newest or row["period_start"] != fact.newest.start or not row["rows_quarantined"]:
            continue
        pointers = led.rows(
            "select rule_code, column_name, source_part, source_row from quarantined_rows where verdict_id = :verdict"
            " order by source_row, rule_code",
            verdict=row["verdict_id"],
        )
        messages = {rule.code: (rule.message_id, rule.action_id) for rule in fact.failed_rules}
        name = f"{fact.contract.table}-{row['part']}-{fact.newest.label}.csv"
        with (folder / name).open("w", encoding="utf-8-sig", newline="") as file:
            write_csv(file, [
                ("baris", "lembar", "kolom", "aturan", "masalah", "yang harus dilakukan"),
                *(
                    (pointer["source_row"], pointer["source_part"] or "", pointer["column_name"] or "",
                     pointer["rule_code"], *messages.get(pointer["rule_code"], ("", "")))
                    for pointer in pointers
                ),
            ])  # fmt: skip
        rows.append({"part": row["part"], "file": name, "rows": row["rows_quarantined"]})
    return rows


def render(s: Settings, led: Ledger) -> Path:
    """Write the whole site anew and make it current; returns the folder. Older renderings are removed."""
    environment = _environment()
    datasets = facts_room.collect(s, led)
    releases = release.listing(s, led)
    common = {
        "made_at": s.utc_now(),
        "datasets": datasets,
        "releases": releases,
        "internal": release.kept_internal(led),
        "current": release.current_state(s, led),
        "region": "Kota Tangerang",
    }
    # The machine's clock, not the night's: that one may stand still, and renderings must not meet.
    folder = s.reports_dir / f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    (folder / "dataset").mkdir(parents=True)
    (folder / "rilis").mkdir()

    def page(template: str, target: str, depth: int, **context: Any) -> None:
        text = environment.get_template(template).render(common | context | {"root": "../" * depth})
        (folder / target).write_text(text, encoding="utf-8")

    nights = led.rows(
        "select logical_date, started_at, ended_at, outcome, detail from nights order by started_at desc limit 14"
    )
    findings = facts_room.mart_findings(s, led)
    page("index.html", "index.html", 0, nights=nights, findings=findings, owners=facts_room.OWNERS)
    page(
        "angka.html",
        "angka.html",
        0,
        figures=figures_room.collect(s, {fact.contract.dataset: fact.contract for fact in datasets}),
        definitions=figures_room.definitions(),
        boundaries=figures_room.boundaries_source(),
        sample=sample.declared(s),
    )
    for fact in datasets:
        pointers = _write_pointers(folder / "dataset", fact, led)
        page(
            "dataset.html",
            f"dataset/{fact.contract.table}.html",
            1,
            fact=fact,
            chart=_rows_chart(fact),
            pointers=pointers,
            stale_after=facts_room.stale_after(fact),
        )
    for newer, older in zip_longest(releases, releases[1:]):
        changes = release.diff(s, older["release_id"], newer["release_id"]) if older else None
        rounding = facts_room.rounding(release.manifest(s, newer["release_id"]))
        target = f"rilis/{newer['release_id']}.html"
        page("release.html", target, 1, item=newer, older=older, changes=changes, rounding=rounding)
    permissions.share_tree(folder, s.reports_group)
    _make_current(s.reports_dir, folder)
    return folder


def _make_current(reports: Path, folder: Path) -> None:
    files.point(reports / "current", Path(folder.name))
    for old in sorted(path for path in reports.iterdir() if path.is_dir() and not path.is_symlink())[:-KEPT]:
        shutil.rmtree(old)
