"""What Dukcapil, BPS and the open-data portals hold: aggregates only, no row about a person.

Dukcapil counts the synthetic people, in their kelurahan alone; all else is published and describes the whole city at
every scale. BPS figures come from ``data/bps_banten.csv``, those entered by hand from
``data/official_figures.csv`` (source by row); P1 and P2 of late years, inflation, procurement and service figures are
ours and say so. What lies in ``by_hand`` is for a person to put into the inbox.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from warehouse.core.periods import Period
from warehouse.sandbox.draw import City, Progress
from warehouse.sandbox.margins import Kelurahan
from warehouse.sandbox.people import stream

_DATA = Path(__file__).parent / "data"
_TITLES = {
    619: ("Jumlah Penduduk Miskin Menurut Kabupaten/Kota", "Tidak Ada Satuan"),
    621: ("Persentase Penduduk Miskin (P0) Menurut Kabupaten/Kota", "Persen"),
    622: ("Indeks Kedalaman Kemiskinan (P1) Menurut Kabupaten/Kota", "Tidak Ada Satuan"),
    623: ("Indeks Keparahan Kemiskinan (P2) Menurut Kabupaten/Kota", "Tidak Ada Satuan"),
    624: ("Garis Kemiskinan Menurut Kabupaten/Kota", "Rupiah/Kapita/Bulan"),
}
_CPI_CITIES = {
    3601: "KAB PANDEGLANG",
    3602: "KAB LEBAK",
    3671: "KOTA TANGERANG",
    3672: "KOTA CILEGON",
    3673: "KOTA SERANG",
}
_MONTHS = (
    "Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober", "November",
    "Desember",
)  # fmt: skip
# City area, BIG 12/2024; the split over kelurahan is ours.
_CITY_KM2 = 178.347
_AREA_EXPONENT = 0.6
_MADE_UP = "Angka buatan sandbox"


def render(city: City, home: Path, say: Progress) -> None:
    """Write ``holdings/http/{dukcapil,bps,portal}`` and ``holdings/by_hand``."""
    http = home / "holdings" / "http"
    _dukcapil(city, http / "dukcapil")
    rows = published_rows()
    _bps(city, rows, http / "bps")
    _portal(city, rows, http / "portal")
    _official_figures(rows, home / "holdings" / "by_hand" / "published" / "official_figures")


def published_rows() -> list[dict[str, str]]:
    """BPS figures of Banten and its regencies and cities: ``var_id, vervar, label, year, value, source``."""
    return _read("bps_banten.csv")


def _read(name: str) -> list[dict[str, str]]:
    with (_DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _indonesian(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}".translate(str.maketrans(",.", ".,"))


def _dukcapil(city: City, folder: Path) -> None:
    """The registry's last half-year in the peopled kelurahan: people who left are still counted for some months."""
    area, persons, families = city.area, city.persons, city.families
    day = int(
        city.calendar.ends[max(i for i, m in enumerate(city.calendar.months) if m.start.month in (6, 12) or i == 0)]
    )
    (who,) = np.nonzero(persons.is_resident & (persons.nik_issued <= day) & (persons.died > day - 30))
    family = persons.family[who]
    is_counted = families.in_city(family, day - np.where(families.move_kind[family] == "out", 120, 0))
    who, family = who[is_counted], family[is_counted]
    place = city.dwellings.place[families.lived_at(family, day - 30)]
    female = persons.is_female[who]
    band = np.clip((day - persons.born[who]) // 365.25 // 5, 0, 15).astype(int)
    counts = np.zeros((len(area.codes), 19), int)
    np.add.at(counts, (place, band), 1)
    np.add.at(counts, (place, 16 + female), 1)
    _, first = np.unique(family, return_index=True)
    np.add.at(counts, (place[first], np.full(len(first), 18)), 1)
    counts = _as_published(counts, area)
    weight = area.real_people**_AREA_EXPONENT
    km2 = _CITY_KM2 * weight / weight.sum()
    kelurahan = [
        _attributes(i + 1, code, name, area.kecamatan_names[i], counts[i], km2[i])
        for i, (code, name) in enumerate(zip(area.codes, area.names, strict=True))
        if area.is_peopled[i]
    ]
    parents = np.where(area.is_peopled, area.kecamatan_codes, "")
    kecamatan = []
    for line, code in enumerate(sorted(set(parents) - {""}), 1):
        inside = parents == code
        name = area.kecamatan_names[int(np.nonzero(inside)[0][0])]
        kecamatan.append(_attributes(line, code, None, name, counts[inside].sum(axis=0), km2[inside].sum()))
    _write_json(folder / "kel.json", kelurahan)
    _write_json(folder / "kec.json", kecamatan)


def _as_published(counts: np.ndarray, area: Kelurahan) -> np.ndarray:
    """Counts of kelurahan (16 bands of age, men, women, families) such that each has the people it is published with.

    Its own make-up is kept. Men and women, and the bands, each sum to the kelurahan's people; the whole city to the
    published population.
    """
    people = np.where(area.is_peopled, area.real_people, 0.0)
    whole = _whole(people, round(people.sum()))
    shares = counts / np.maximum(counts[:, :16].sum(axis=1, keepdims=True), 1)
    bands = np.array([_whole(total * row, total) for total, row in zip(whole, shares[:, :16], strict=True)])
    women = np.round(whole * shares[:, 17]).astype(int)
    families = np.round(whole * shares[:, 18]).astype(int)
    return np.column_stack([bands, whole - women, women, families])


def _whole(parts: np.ndarray, total: int) -> np.ndarray:
    """Parts rounded so that they sum to ``total``: the largest remainders are rounded up."""
    floors: np.ndarray = np.floor(parts).astype(int)
    remainder = int(total) - int(floors.sum())
    floors[np.argsort(floors - parts, kind="stable")[:remainder]] += 1
    return floors


def _attributes(
    line: int, code: str, kelurahan: str | None, kecamatan: str, counts: np.ndarray, km2: float
) -> dict[str, Any]:
    people = int(counts[:16].sum())
    numbers = [int(number) for number in code.split(".")]
    own = {"no_kel": numbers[3], "nama_kel": kelurahan.upper()} if kelurahan else {}
    return {
        "objectid": line,
        "no_prop": numbers[0],
        "nama_prop": "BANTEN",
        "no_kab": numbers[1],
        "nama_kab": "KOTA TANGERANG",
        "no_kec": numbers[2],
        "nama_kec": kecamatan.upper(),
        **own,
        "jumlah_penduduk": people,
        "jumlah_kk": int(counts[18]),
        "pria": int(counts[16]),
        "wanita": int(counts[17]),
        "luas_wilayah": _indonesian(km2, 2),
        "kepadatan_penduduk": _indonesian(people / km2, 0),
        **{f"u{5 * band}": int(counts[band]) for band in range(16)},
    }


def _bps(city: City, rows: list[dict[str, str]], folder: Path) -> None:
    rows = rows + _continued(rows)
    for variable, (title, unit) in _TITLES.items():
        table_rows = [row for row in rows if row["var_id"] == str(variable)]
        areas = {int(row["vervar"]): row["label"] for row in table_rows}
        values = [
            {
                "vervar": int(row["vervar"]),
                "turvar": 0,
                "th": int(row["year"]) - 1900,
                "turth": 0,
                "value": _number(row["value"]),
            }
            for row in table_rows
        ]
        _write_json(
            folder / f"{variable}.json",
            _variable(variable, title, unit, "Kabupaten/Kota", areas, {0: "Tahun"}, values, "", "2025-07-25 00:00:00"),
        )
    _write_json(folder / "1.json", _inflation(city))


def _continued(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """P1 and P2 after their last year we found, to the last of P0. Made up: P0 times the area's last known ratio.

    BPS publishes them together with P0; a sandbox without them would be short of years that no agency owes.
    """
    row_of = {(row["var_id"], row["vervar"], int(row["year"])): row for row in rows}
    new_rows = []
    for variable in ("622", "623"):
        newest = max(year for one, _area, year in row_of if one == variable)
        for area in sorted({row["vervar"] for row in rows if row["var_id"] == variable}):
            last = max(year for one, where, year in row_of if (one, where) == (variable, area))
            ratio = float(row_of[variable, area, last]["value"]) / float(row_of["621", area, last]["value"])
            new_rows += [
                {**row, "var_id": variable, "value": f"{ratio * float(row['value']):.2f}", "source": _MADE_UP}
                for (one, where, year), row in sorted(row_of.items())
                if (one, where) == ("621", area) and year > newest
            ]
    return new_rows


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() and value > 1000 else value


def _variable(
    variable: int,
    title: str,
    unit: str,
    vertical: str,
    areas: dict[int, str],
    derived: dict[int, str],
    values: list[dict[str, Any]],
    note: str,
    updated: str,
) -> dict[str, Any]:
    years = sorted({value["th"] for value in values})
    about = {
        "val": variable,
        "label": title,
        "unit": unit,
        "subj": "Kemiskinan dan Ketimpangan",
        "def": "",
        "decimal": 2,
        "note": note,
    }
    return {
        "last_update": updated,
        "subject": [{"val": 23, "label": "Kemiskinan dan Ketimpangan"}],
        "var": [about],
        "turvar": [{"val": "0", "label": "Tidak ada"}],
        "labelvervar": vertical,
        "vervar": [{"val": code, "label": areas[code]} for code in sorted(areas)],
        "tahun": [{"val": year, "label": str(year + 1900)} for year in years],
        "turtahun": [{"val": code, "label": label} for code, label in derived.items()],
        "values": values,
    }


def _inflation(city: City) -> dict[str, Any]:
    """Monthly inflation of the Banten cities in the price sample. Made up: no monthly series of the city was found."""
    rng = stream(2023, "inflation")
    last = city.calendar.months[-1]
    values = []
    for year in range(2022, last.start.year + 1):
        for month in range(1, 13):
            monthly = np.round(rng.normal(0.21, 0.22, len(_CPI_CITIES)), 2)
            if (year, month) <= (last.start.year, last.start.month):
                values += [
                    {"vervar": code, "turvar": 0, "th": year - 1900, "turth": month, "value": float(value)}
                    for code, value in zip(_CPI_CITIES, monthly, strict=True)
                ]
    derived = dict(enumerate(_MONTHS, 1))
    updated = f"{last.end.isoformat()} 00:00:00"
    return _variable(1, "Inflasi Bulanan", "Persen", "Kota", _CPI_CITIES, derived, values, _MADE_UP, updated)


def _portal(city: City, rows: list[dict[str, str]], folder: Path) -> None:
    quarters = sorted({Period.containing("quarter", month.start) for month in city.calendar.months})
    past_quarters = [quarter for quarter in quarters if quarter.end <= city.calendar.months[-1].end]
    years = sorted({month.start.year for month in city.calendar.months})
    rng = stream(2023, "portal")
    services: dict[str, list[tuple[str, str, str]]] = {"investment": [], "products": [], "services": [], "poverty": []}
    for quarter in past_quarters:
        # The city reports Rp12.58 trillion for the first half of 2025; two kinds, growing a little.
        total = 12.58e12 / 2 * rng.normal(1.04, 0.08)
        lines = [
            [
                quarter.start.year,
                (quarter.start.month + 2) // 3,
                kind,
                int(rng.integers(300, 900)),
                int(total * share),
                int(rng.integers(900, 6000)),
            ]
            for kind, share in (("PMA", 0.42), ("PMDN", 0.58))
        ]
        header = ["tahun", "triwulan", "jenis_penanaman_modal", "jumlah_proyek", "realisasi_investasi", "tenaga_kerja"]
        services["investment"].append(_csv(folder, "realisasi-investasi", quarter.label, header, lines, ";"))
    offices = (
        "Dinas Kesehatan",
        "Dinas Pendidikan",
        "Dinas Pekerjaan Umum",
        "Dinas Sosial",
        "Sekretariat Daerah",
        "RSUD",
    )
    aspects = ("Indeks SPBE", "Kebijakan Internal SPBE", "Tata Kelola SPBE", "Manajemen SPBE", "Layanan SPBE")
    for year in years:
        lines = []
        for office in offices:
            total = int(rng.uniform(8e10, 9e11))
            domestic = int(total * rng.uniform(0.85, 0.98))
            lines.append([year, office, total, domestic, int(domestic * rng.uniform(0.4, 0.7)), total - domestic])
        header = ["tahun", "perangkat_daerah", "belanja_total", "belanja_pdn", "belanja_umk", "belanja_impor"]
        services["products"].append(_csv(folder, "penggunaan-produk-dalam-negeri", str(year), header, lines, ","))
        lines = [[year, aspect, round(float(rng.uniform(3.4, 4.4)), 2), 4.2, "Sangat Baik"] for aspect in aspects]
        header = ["tahun", "indikator", "nilai", "target", "predikat"]
        services["services"].append(_csv(folder, "layanan-digital", str(year), header, lines, ","))
        if charts := _charts(rows, year):
            name = f"indikator-kemiskinan-kabupaten-kota-{year}.json"
            _write_json(folder / "files" / name, charts)
            services["poverty"].append((str(year), name, "JSON"))
    titles = {
        "investment": ("realisasi-investasi", "Realisasi Investasi PMA dan PMDN"),
        "products": ("penggunaan-produk-dalam-negeri", "Penggunaan Produk Dalam Negeri"),
        "services": ("layanan-digital", "Layanan Digital dan Indeks SPBE"),
        "poverty": ("indikator-kemiskinan-kabupaten-kota", "Indikator Kemiskinan Kabupaten/Kota"),
    }
    for key, (name, title) in titles.items():
        _write_json(folder / f"{name}.json", _package(name, title, services[key]))


def _csv(
    folder: Path, package: str, period: str, header: list[str], lines: list[list[Any]], delimiter: str
) -> tuple[str, str, str]:
    name = f"{package}-{period}.csv"
    path = folder / "files" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(lines)
    return period, name, "CSV"


def _charts(rows: list[dict[str, str]], year: int) -> list[dict[str, Any]]:
    """Charts as the province's portal stores them, with the year field right for once."""
    charts = []
    for variable, title in ((619, "Jumlah Penduduk Miskin"), (621, "Persentase Penduduk Miskin")):
        chart_rows = [
            row
            for row in rows
            if row["var_id"] == str(variable) and row["year"] == str(year) and row["vervar"] != "3600"
        ]
        if chart_rows:
            axis: dict[str, Any] = {
                "type": "category",
                "region": "Provinsi",
                "name": "Banten",
                "yyyy": str(year),
                "title": f"{title} Maret {year}",
            }
            axis["data"] = [row["label"] for row in chart_rows]
            charts.append({"xAxis": axis, "series": [{"data": [_number(row["value"]) for row in chart_rows]}]})
    return charts


def _package(name: str, title: str, resources: list[tuple[str, str, str]]) -> dict[str, Any]:
    return {
        "author": "",
        "id": f"sandbox-{name}",
        "license_id": "",
        "license_title": "",
        "name": name,
        "notes": f"{title}. {_MADE_UP} kecuali yang bersumber BPS.",
        "num_resources": len(resources),
        "num_tags": 0,
        "organization": {"name": "kota-tangerang", "title": "Kota Tangerang", "type": "organization"},
        "private": False,
        "state": "active",
        "title": title,
        "type": "dataset",
        "extras": [],
        "resources": [
            {
                "description": title,
                "format": media,
                "hash": "",
                "id": f"sandbox-{file}",
                "name": f"{title} {period}",
                "package_id": f"sandbox-{name}",
                "position": position,
                "state": "active",
                "url": f"{{base}}/files/{file}",
            }
            for position, (period, file, media) in enumerate(resources)
        ],
        "tags": [],
        "groups": [],
    }


def _official_figures(rows: list[dict[str, str]], folder: Path) -> None:
    """Figures a person would enter by hand, as published, in a file per year in which they were put together."""
    columns = ("filed", "indicator", "period", "value", "unit", "source_system", "source", "published")
    figures = [tuple(row[column] for column in columns) for row in _read("official_figures.csv")]
    figures += [
        (row["year"], {"619": "poor_persons_thousand", "621": "p0", "624": "poverty_line_idr"}[row["var_id"]],
         row["year"], row["value"], _TITLES[int(row["var_id"])][1], "BPS", row["source"], f"{row['year']}-07-25")
        for row in rows
        if row["vervar"] == "3671" and row["var_id"] in ("619", "621", "624") and int(row["year"]) >= 2024
    ]  # fmt: skip
    header = (
        "indikator", "nama_wilayah", "provinsi", "kode_bps", "periode", "nilai", "satuan", "sistem_sumber",
        "judul_sumber", "tanggal_terbit",
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for year in sorted({figure[0] for figure in figures}):
        with (folder / f"{year}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            for filed, name, period, *rest in figures:
                if filed == year:
                    writer.writerow([name, "Kota Tangerang", "Banten", "3671", period, *rest])
