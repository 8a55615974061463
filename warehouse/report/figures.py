"""Figures of the current release as pictures: maps, trends and a table for each, as inline SVG.

Here: which figures the page shows, reading them, drawing them. Not here: what a measure means (dim_measure says it),
what is rounded (the release says it, row by row) and how that is printed (numbers).
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from math import cos, radians
from types import MappingProxyType
from typing import Any

import duckdb

from warehouse import release
from warehouse.build.catalogue import literal
from warehouse.core import duck
from warehouse.core.contract import Contract
from warehouse.core.settings import Settings
from warehouse.report.numbers import percent
from warehouse.storage import sample
from warehouse.storage.sample import Sample

Row = dict[str, Any]
WIDTH = 330
RAMP = ("#e3efec", "#b5d5cd", "#7fb5a8", "#438f7e", "#12604f")
NO_DATA = "#a5a19a"
NOT_IN_SAMPLE = "#cdcac4"
_OUTSIDE_ID, _OUTSIDE_EN = "tidak ada di kota contoh", "not in the sample city"
LINE = "#cfc8ba"
MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "Mei", "Jun", "Jul", "Agu", "Sep", "Okt", "Nov", "Des")


@dataclass(frozen=True)
class Shown:
    """A share the page shows: a measure of a mart with all further keys fixed."""

    mart: str
    measure: str
    period_kind: str
    keys: Mapping[str, str]


_CHILDREN = {"source_system": "eppgbm", "area_basis": "residence", "age_group": "all"}
_WORKERS = {"scheme": "jamsostek", "area_basis": "residence", "worker_group": "all"}
SHOWN = (
    Shown("stunting_by_area_month", "stunted", "month", _CHILDREN),
    Shown("stunting_by_area_month", "height_measured", "month", _CHILDREN),
    Shown("poverty_by_area_period", "families_desil_1_to_4", "quarter", {"ranking": "dtsen", "desil": "all"}),
    Shown("poverty_by_area_period", "living_standards_h", "quarter", {"ranking": "dtsen", "desil": "all"}),
    Shown("coverage_by_area_month", "covered_of_workers", "month", _WORKERS | {"segment": "all", "programme": "any"}),
    Shown(
        "coverage_by_area_month",
        "pbpu_coverage_06_02_021",
        "month",
        _WORKERS | {"segment": "BPU", "programme": "JKK+JKM"},
    ),
)


@dataclass(frozen=True)
class Figure:
    """One figure with its words, the city's newest row, the areas of that period and its pictures.

    ``base``: what its small counts were rounded to; None in a release made before they were.
    """

    words: Row
    city: Row
    period: str
    sources: list[str]
    kecamatan: list[Row]
    kelurahan: list[Row]
    kecamatan_map: str
    kelurahan_map: str
    trend: str
    published: list[Row]
    base: int | None

    @property
    def band(self) -> str | None:
        """What the trend's band means: chance, what is unknown, or nothing where there is none."""
        if self.city["ci95_low"] is not None:
            return "chance"
        return "unknown" if self.city["percentage_low"] is not None else None

    @property
    def widest(self) -> float:
        """The largest share of a kecamatan: bars are as long as their part of it."""
        return max((row["percentage"] or 0 for row in self.kecamatan), default=0) or 1

    @property
    def rounded(self) -> int:
        return sum(row["is_rounded"] for row in (*self.kecamatan, *self.kelurahan))


def collect(s: Settings, contracts: Mapping[str, Contract]) -> list[Figure]:
    """The figures of the current release that have a value for the city; none without a release."""
    file = s.current / "marts.duckdb"
    if not file.exists():
        return []
    part, base = sample.declared(s), rounding_base(s)
    with duck.connect(s) as con:
        con.execute(f"ATTACH {literal(str(file))} AS marts (READ_ONLY)")
        con.execute("USE marts")
        outside = _outside(con, part) if part else {}
        figures = (_figure(con, s.region, spec, contracts, outside, base) for spec in SHOWN)
        return [figure for figure in figures if figure is not None]


def rounding_base(s: Settings) -> int | None:
    """What the current release rounded small counts to; None where it was made before they were."""
    base: int | None = release.manifest(s, s.current.resolve().name).get("policy", {}).get("rounding_base")
    return base


def boundaries_source() -> str:
    return str(_geojson()["source"])


def _outside(con: duckdb.DuckDBPyConnection, part: Sample) -> dict[str, str]:
    """Names of the kelurahan, by code, that a sample does not people."""
    regions = con.execute("SELECT kemendagri_code, name FROM dim_region WHERE area_level = 'kelurahan'").fetchall()
    return {code: name for code, name in regions if code in outlines()[0] and code not in part.kelurahan}


# --- reading ------------------------------------------------------------------------------------------------


def _rows(con: duckdb.DuckDBPyConnection, query: str, *parameters: Any) -> list[Row]:
    result = con.execute(query, parameters)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _figure(
    con: duckdb.DuckDBPyConnection,
    city: str,
    spec: Shown,
    contracts: Mapping[str, Contract],
    outside: Mapping[str, str],
    base: int | None,
) -> Figure | None:
    words = _rows(con, "SELECT * FROM dim_measure WHERE mart = ? AND measure = ?", spec.mart, spec.measure)
    if not words:
        return None
    fixed = "".join(f' AND "{key}" = {literal(value)}' for key, value in spec.keys.items())
    select = f'{_columns(base)} FROM "{spec.mart}" WHERE measure = ? AND period_kind = ?{fixed}'
    trend = _rows(
        con, f"SELECT {select} AND kemendagri_code = ? ORDER BY period_start", spec.measure, spec.period_kind, city
    )
    known_rows = [row for row in trend if row["percentage"] is not None]
    if not known_rows:
        return None
    newest = known_rows[-1]
    areas = _rows(
        con, f"SELECT {select} AND period_start = ? AND kemendagri_code NOT LIKE '%.00%' ORDER BY area_name",
        spec.measure, spec.period_kind, newest["period_start"],
    )  # fmt: skip
    published_rows = _rows(
        con,
        "SELECT period_start, value, source_system, source_title, source_release_date FROM published_by_area_period"
        " WHERE indicator = ? AND kemendagri_code = ? AND is_latest AND unit = 'percent' ORDER BY period_start",
        words[0]["published_counterpart"], city,
    )  # fmt: skip
    inside = outlines()[0].keys() - outside.keys()
    areas = [row for row in areas if any(f"{code}.".startswith(f"{row['kemendagri_code']}.") for code in inside)]
    levels = {
        level: [row for row in areas if row["area_level"] == level and not row["kemendagri_code"].endswith(".0000")]
        for level in ("kecamatan", "kelurahan")
    }
    return Figure(
        words=words[0],
        city=newest,
        period=_period(spec.period_kind, newest["period_start"]),
        sources=[contracts[name].title for name in words[0]["inputs"].split() if name in contracts],
        kecamatan=levels["kecamatan"],
        kelurahan=levels["kelurahan"],
        kecamatan_map=map_of(levels["kecamatan"], words[0]["label_id"], outside),
        kelurahan_map=map_of(levels["kelurahan"], words[0]["label_id"], outside),
        trend=trend_of(known_rows, published_rows, words[0]),
        published=published_rows,
        base=base,
    )


def _columns(base: int | None) -> str:
    """All columns of a mart; a release that rounded nothing has no ``is_rounded``."""
    return "*, false AS is_rounded" if base is None else "*"


def _source(row: Row) -> str:
    return str(row["source_title"] or row["source_system"])


def _period(kind: str, start: Any) -> str:
    if kind == "quarter":
        return f"triwulan {(start.month + 2) // 3} {start.year}"
    return f"{MONTHS[start.month]} {start.year}"


# --- drawing ------------------------------------------------------------------------------------------------


@cache
def _geojson() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(files("warehouse.report").joinpath("kelurahan.geojson").read_text("utf-8"))
    return document


@cache
def outlines() -> tuple[dict[str, str], int]:
    """SVG path of each kelurahan on a plane WIDTH wide, and the plane's height; a metre is one length both ways."""
    rings = {
        feature["properties"]["kemendagri_code"]: feature["geometry"]["coordinates"]
        for feature in _geojson()["features"]
    }
    points = [point for polygon in rings.values() for ring in polygon for point in ring]
    west, east = min(x for x, _ in points), max(x for x, _ in points)
    south, north = min(y for _, y in points), max(y for _, y in points)
    shrink = cos(radians((south + north) / 2))
    scale = (WIDTH - 4) / ((east - west) * shrink)

    def line(ring: list[list[float]]) -> str:
        placed = [f"{2 + (x - west) * shrink * scale:.1f} {2 + (north - y) * scale:.1f}" for x, y in ring]
        points = [point for point, before in zip(placed, [None, *placed[:-1]], strict=True) if point != before]
        return f"M{'L'.join(points)}Z"

    paths = {code: "".join(line(ring) for ring in polygon) for code, polygon in rings.items()}
    return paths, round((north - south) * scale) + 4


def definitions() -> str:
    """What every map of a page refers to: the outlines, once."""
    paths, _height = outlines()
    shapes = "".join(f'<path id="w-{code}" d="{path}"/>' for code, path in paths.items())
    return f'<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs>{shapes}</defs></svg>'


def _classes(values: Iterable[float]) -> list[tuple[float, float]]:
    """Five steps of equal width from the least to the largest value, or one where all are equal."""
    in_order = sorted(values)
    low, high = in_order[0], in_order[-1]
    if high - low < 0.05:
        return [(low, high)]
    step = (high - low) / len(RAMP)
    return [(low + step * number, low + step * (number + 1)) for number in range(len(RAMP))]


def _span(low: float, high: float) -> str:
    return percent(low) if percent(low) == percent(high) else f"{percent(low)}–{percent(high)}"


def _colour(value: float, classes: list[tuple[float, float]]) -> str:
    number = next((n for n, (_, high) in enumerate(classes) if value <= high + 1e-9), len(classes) - 1)
    return RAMP[number] if len(classes) > 1 else RAMP[2]


def _said(row: Row) -> str:
    """What a tooltip says: the name with its share, or that there is none."""
    if row["percentage"] is None:
        return f"{row['area_name']}: tak ada data / no data"
    doubt = "" if row["is_reliable"] else ", belum andal / not reliable"
    return f"{row['area_name']}: {percent(row['percentage'], row['is_rounded'])}{doubt}"


def map_of(rows: list[Row], label: str, outside: Mapping[str, str] = MappingProxyType({})) -> str:
    """A map of one level; '' where no area of it has a value. Kelurahan ``outside`` a sample are grey."""
    percentages = [row["percentage"] for row in rows if row["percentage"] is not None]
    if not percentages:
        return ""
    paths, height = outlines()
    classes = _classes(percentages)
    parts = [_not_in_sample(outside)] if outside else []
    inside = [code for code in paths if code not in outside]
    for row in rows:
        code = row["kemendagri_code"]
        fill = NO_DATA if row["percentage"] is None else _colour(row["percentage"], classes)
        uses = "".join(f'<use href="#w-{name}"/>' for name in inside if f"{name}.".startswith(f"{code}."))
        # The border lies below the fills, so that an area made of several outlines has none within.
        parts.append(
            f'<g><title>{escape(_said(row))}</title><g stroke="#fff" stroke-width="2.4">{uses}</g>'
            f'<g fill="{fill}" stroke="{fill if fill in RAMP else LINE}" stroke-width=".5">{uses}</g></g>'
        )
    legend = "".join(
        f'<span><i style="background:{_colour((low + high) / 2, classes)}"></i>{_span(low, high)}</span>'
        for low, high in classes
    )
    if any(row["percentage"] is None for row in rows):
        legend += f'<span><i style="background:{NO_DATA}"></i>tak ada data <em class="en">no data</em></span>'
    if outside:
        legend += (
            f'<span><i style="background:{NOT_IN_SAMPLE}"></i>{_OUTSIDE_ID} <em class="en">{_OUTSIDE_EN}</em></span>'
        )
    return (
        f'<svg class="map" role="img" aria-label="{escape(label)}, peta / map" viewBox="0 0 {WIDTH} {height}">'
        f'{"".join(parts)}</svg><div class="legend">{legend}</div>'
    )


def _not_in_sample(outside: Mapping[str, str]) -> str:
    uses = "".join(
        f'<g><title>{escape(name)}: {_OUTSIDE_ID} / {_OUTSIDE_EN}</title><use href="#w-{code}"/></g>'
        for code, name in outside.items()
    )
    return f'<g fill="{NOT_IN_SAMPLE}" stroke="#fff" stroke-width=".5">{uses}</g>'


def trend_of(rows: list[Row], published_rows: list[Row], words: Row) -> str:
    """The city over time with what chance or unknowns leave open, published figures beside it; '' for one point."""
    if len(rows) < 2:
        return ""
    # A second to import, and every command imports this module: only a rendering waits for it.
    import altair as alt
    import vl_convert

    sides = ("ci95_low", "ci95_high") if rows[-1]["ci95_low"] is not None else ("percentage_low", "percentage_high")
    points = [
        {
            "when": row["period_start"].isoformat(),
            "value": round(row["percentage"], 3),
            "low": row[sides[0]],
            "high": row[sides[1]],
            "said": f"{_period(row['period_kind'], row['period_start'])}: "
            + percent(row["percentage"], row["is_rounded"]),
        }
        for row in rows
    ]
    first = rows[0]["period_start"]
    beside = [
        {
            "when": row["period_start"].isoformat(),
            "value": row["value"],
            "said": f"{_source(row)} {row['period_start'].year}: {percent(row['value'])}",
        }
        for row in published_rows
        if row["period_start"].toordinal() > first.toordinal() - 800
    ]
    when = alt.X("when:T", title=None, axis=alt.Axis(format="%m/%y", labelAngle=0, tickCount=6))
    value = alt.Y("value:Q", title="persen / per cent", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=4))
    base = alt.Chart(alt.Data(values=points)).encode(x=when)
    layers = [
        base.mark_area(color=RAMP[1], opacity=0.7, aria=False).encode(
            y=alt.Y("low:Q", title="persen / per cent"), y2="high:Q"
        ),
        base.mark_line(color=RAMP[4], aria=False).encode(y=value),
        base.mark_point(color=RAMP[4], filled=True, opacity=1, size=28).encode(y=value, description="said:N"),
    ]
    if beside:
        layers.append(
            alt.Chart(alt.Data(values=beside))
            .mark_point(shape="diamond", filled=True, size=90, color="#a86800")
            .encode(x=when, y=value, description="said:N")
        )
    chart = (
        alt.layer(*layers)
        .properties(width=300, height=150, background="transparent")
        .configure_view(strokeWidth=0)
        .configure_axis(labelFontSize=11, titleFontSize=11, gridColor="#e7e3da")
    )
    svg = vl_convert.vegalite_to_svg(chart.to_dict())
    # A mark's words become its tooltip: a picture without scripts has no other.
    svg = re.sub(r'(<path aria-label="([^"]*)" role="graphics-symbol"[^>]*)/>', r"\1><title>\2</title></path>", svg)
    label = escape(f"{words['label_id']}, kota / city")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
