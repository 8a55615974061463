"""What Dinas Kesehatan holds: the e-PPGBM export of each puskesmas and month, and the under-five targets of each year.

Here: the layouts, and what e-PPGBM gets wrong. Not here: how children grow (growth).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.sandbox import files
from warehouse.sandbox.corruption import UNKNOWN_KELURAHAN, Persona, TruthLog, personas, scientific, slips, truth_log
from warehouse.sandbox.draw import City, Progress, puskesmas_of
from warehouse.sandbox.growth import LENGTH_DAYS, Who, labels
from warehouse.sandbox.margins import POSYANDU, TARGET_CHILDREN_SHARE
from warehouse.sandbox.people import stream
from warehouse.sandbox.places import Spellings

_COMMON = (
    "No", "NIK", "Nama", "JK", "Tgl Lahir", "BB Lahir", "TB Lahir", "Nama Ortu", "Prov", "Kab/Kota", "Kec", "Pukesmas",
    "Desa/Kel", "Posyandu", "RT", "RW", "Alamat", "Usia Saat Ukur", "Tanggal Pengukuran", "Berat", "Tinggi",
    "Cara Ukur",
    "LiLA", "BB/U", "ZS BB/U", "TB/U", "ZS TB/U", "BB/TB", "ZS BB/TB", "Naik Berat Badan", "PMT Diterima (kg)",
    "Jml Vit A", "KPSP", "KIA", "Kelas Ibu Balita", "MBG", "Detail",
)  # fmt: skip
_WITHOUT = {
    "old": {"Cara Ukur", "Kelas Ibu Balita", "MBG"},
    "new": {"PMT Diterima (kg)", "MBG"},
    "newest": {"PMT Diterima (kg)"},
}
_LOCAL = ("Bulan Pengukuran", "Status Bulan", "status tahun")
_DECIMALS = ("BB Lahir", "TB Lahir", "Berat", "Tinggi", "LiLA", "ZS BB/U", "ZS TB/U", "ZS BB/TB", "PMT Diterima (kg)")
# Children from elsewhere: a kecamatan and a kelurahan of each regency they come from.
_ELSEWHERE = {
    "KAB. TANGERANG": ("PASAR KEMIS", "KUTABUMI"),
    "KOTA TANGERANG SELATAN": ("PONDOK AREN", "PONDOK KARYA"),
    "KOTA JAKARTA BARAT": ("KALIDERES", "SEMANAN"),
}
_STALE_SHARE, _STALE_DAYS = 0.3, 90


def layout_of(puskesmas: int, month: int) -> dict[str, Any]:
    """How the ``puskesmas``-th unit of the register exports in the ``month``-th month of the window."""
    if month < 3 + puskesmas % 4 and puskesmas % 3 == 0:
        version = "old"
    else:
        version = "new" if month < 8 + puskesmas % 5 else "newest"
    return {
        "version": version,
        "is_xlsx": puskesmas % 2 == 0,
        "is_day_first": puskesmas // 2 % 2 == 1,
        "encoding": {1: "utf-8-sig", 3: "cp1252"}.get(puskesmas % 8, "utf-8"),
        "style": puskesmas % 3,
        "has_local_columns": puskesmas % 13 == 5,
    }


def header_of(layout: dict[str, Any]) -> list[str]:
    names = [name for name in _COMMON if name not in _WITHOUT[layout["version"]]]
    return names[:-1] + list(_LOCAL) + names[-1:] if layout["has_local_columns"] else names


def render(city: City, home: Path, say: Progress) -> None:
    """Write ``holdings/sftp/dinkes`` and the truth of its rows."""
    folder = home / "holdings" / "sftp" / "dinkes"
    with truth_log(home / "city", "kemenkes/eppgbm") as log:
        _eppgbm(city, folder / "eppgbm", log, say)
    _targets(city, folder / "under_five_targets")


def _eppgbm(city: City, folder: Path, log: TruthLog, say: Progress) -> None:
    units, _nearest = puskesmas_of(city.area)
    persona = personas(city.persons, "dinkes", city.seed)
    spell, who = Spellings(city.area), Who.load()
    gains = _gains(city)
    at = city.measured_puskesmas
    for month, period in enumerate(city.calendar.months):
        in_month = np.nonzero(city.measured.month == month)[0]
        for index, unit in enumerate(units):
            layout = layout_of(index, month)
            rows = in_month[at[in_month] == index]
            rng = stream(city.seed, "eppgbm", period.label, unit["part"])
            columns, stale = _columns(city, persona, spell, who, gains, rows, unit, layout)
            order, spoiled = _spoil(rng, columns, layout, city, rows)
            base = 3 if layout["is_xlsx"] else 2
            _log(log, city, persona, period.label, unit["part"], rows, order, base, spoiled, stale)
            _write(folder / period.label, unit, layout, columns, order, period.label)
        say(f"e-PPGBM {period.label}: {len(in_month):,} measurements of {len(units)} puskesmas")


def _gains(city: City) -> np.ndarray:
    """N (gained), T (not), O (not weighed last month), B (first time) for each measurement."""
    measured = city.measured
    order = np.lexsort((measured.day, measured.child))
    child, month, weight = measured.child[order], measured.month[order], measured.weight_kg[order]
    same = np.concatenate([[False], child[1:] == child[:-1]])
    last_month, last_weight = np.roll(month, 1), np.roll(weight, 1)
    code = np.select([~same, month - last_month > 1, weight > last_weight], ["B", "O", "N"], "T")
    back = np.empty(len(order), code.dtype)
    back[order] = code
    return back


def _columns(
    city: City,
    persona: Persona,
    spell: Spellings,
    who: Who,
    gains: np.ndarray,
    rows: np.ndarray,
    unit: dict[str, str],
    layout: dict[str, Any],
) -> tuple[dict[str, list[Any]], np.ndarray]:
    """Header -> values of one puskesmas and month, decimals as numbers; and which rows show an address already left."""
    measured, persons, style = city.measured, city.persons, layout["style"]
    child = measured.child[rows]
    person = city.children.person[child]
    sex = persons.is_female[person].astype(int) + 1
    day, age = measured.day[rows], measured.age_days[rows]
    weight, height = measured.weight_kg[rows], measured.height_cm[rows]
    # An export without Cara Ukur judged by age: lying below two years.
    lying = measured.is_lying[rows] if layout["version"] != "old" else age < LENGTH_DAYS
    haz, waz, whz = who.z_scores(sex, age, weight, height, lying)
    words = labels(haz, waz, whz)
    dwelling, is_stale = _address(city, person, day)
    place = city.dwellings.place[dwelling]
    # A NIK that does not exist yet cannot be entered.
    nik = pc.if_else(pa.array(persons.nik_issued[person] <= day), persona.nik.take(pa.array(person)), None)
    born = persona.born[person]
    outside = persons.home.take(pa.array(person))
    is_outside = outside.is_valid()
    n = len(rows)
    grams = layout["version"] == "old"
    birth_weight = city.children.birth_weight_kg[child]
    columns: dict[str, list[Any]] = {
        "No": list(range(1, n + 1)),
        "NIK": _text(nik),
        "Nama": _text(pc.utf8_upper(persona.name.take(pa.array(person)))),
        "JK": np.where(sex == 1, "L", "P").tolist(),
        "Tgl Lahir": _dates(born, layout),
        "BB Lahir": np.where(grams & (person % 17 == 0), birth_weight * 1000, birth_weight).tolist(),
        "TB Lahir": city.children.birth_length_cm[child].tolist(),
        "Nama Ortu": _parents(city, persona, person),
        "Prov": ["BANTEN"] * n,
        "Kab/Kota": _text(pc.coalesce(outside, "KOTA TANGERANG" if style != 1 else "Kota Tangerang")),
        "Kec": _text(_or_elsewhere(spell.kecamatan(place, style), outside, is_outside, 0)),
        "Pukesmas": [unit["name"].removeprefix("Puskesmas ").upper()] * n,
        "Desa/Kel": _text(_or_elsewhere(spell.kelurahan(place, style), outside, is_outside, 1)),
        "Posyandu": _text(pc.utf8_upper(city.measured_posyandu.take(pa.array(rows)))),
        "RT": city.dwellings.rt[dwelling].astype(str).tolist(),
        "RW": city.dwellings.rw[dwelling].astype(str).tolist(),
        "Alamat": _text(city.dwellings.address.take(pa.array(dwelling))),
        "Usia Saat Ukur": _ages(born, day),
        "Tanggal Pengukuran": _dates(day, layout),
        "Berat": _decimal(weight),
        "Tinggi": _decimal(height),
        "Cara Ukur": np.where(lying, "Terlentang" if style != 2 else "Telentang", "Berdiri").tolist(),
        "LiLA": np.where(age > 180, np.round(12.5 + 1.1 * np.nan_to_num(whz) + age / 900, 1), 0).tolist(),
        "BB/U": words[1].tolist(),
        "ZS BB/U": _decimal(waz),
        "TB/U": words[0].tolist(),
        "ZS TB/U": _decimal(haz),
        "BB/TB": words[2].tolist(),
        "ZS BB/TB": _decimal(whz),
        "Naik Berat Badan": gains[rows].tolist(),
        "PMT Diterima (kg)": np.where(np.nan_to_num(whz) < -2, 1.5, 0).tolist(),
        "Jml Vit A": np.where(age > 180, 1, 0).tolist(),
        "KPSP": np.where(person % 9 == 0, "Meragukan", "Sesuai").tolist(),
        "KIA": np.where(person % 20 == 0, "-", "Ada").tolist(),
        "Kelas Ibu Balita": np.where(person % 3 == 0, "Ya", "Tidak").tolist(),
        "MBG": np.where(person % 4 == 0, "Ya", "Tidak").tolist(),
        "Detail": ["Lihat"] * n,
        "Bulan Pengukuran": (day.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12 + 1).tolist(),
        "Status Bulan": ["Aktif"] * n,
        "status tahun": ["Aktif"] * n,
    }
    return {name: columns[name] for name in header_of(layout)}, is_stale


def _address(city: City, person: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dwelling the posyandu has on file: for some movers the one they left. People from elsewhere get any dwelling."""
    family = city.persons.family[person]
    lag = np.where(family * 7919 % 100 < _STALE_SHARE * 100, _STALE_DAYS, 0)
    resident = family >= 0
    known_family = np.maximum(family, 0)
    on_file = city.families.lived_at(known_family, day - lag)
    is_stale = resident & (on_file != city.families.lived_at(known_family, day))
    return np.where(resident, on_file, person % len(city.dwellings.place)), is_stale


def _or_elsewhere(here: pa.Array, outside: pa.Array, is_outside: pa.Array, level: int) -> pa.Array:
    homes = list(_ELSEWHERE)
    there = pa.array([_ELSEWHERE[home][level] for home in homes]).take(pc.index_in(outside, pa.array(homes)))
    return pc.if_else(is_outside, there, here)


def _parents(city: City, persona: Persona, person: np.ndarray) -> list[str]:
    sides = []
    for parent in (city.persons.father[person], city.persons.mother[person]):
        name = persona.name.take(pa.array(np.maximum(parent, 0)))
        sides.append(pc.coalesce(pc.if_else(pa.array(parent >= 0), name, None), "-"))
    return _text(pc.utf8_upper(pc.binary_join_element_wise(*sides, " / ")))


def _text(values: pa.Array) -> list[str]:
    """Text cells; a missing value is the export's ``-``."""
    cells: list[str] = pc.coalesce(values, "-").to_pylist()
    return cells


def _decimal(values: np.ndarray) -> list[float | str]:
    return ["-" if value != value else value for value in values.tolist()]


def _dates(days: np.ndarray, layout: dict[str, Any]) -> list[str]:
    form = "%d/%m/%Y" if layout["is_day_first"] else "%Y-%m-%d"
    cells: list[str] = pc.strftime(pa.array(days.astype(np.int32)).cast(pa.date32()), form).to_pylist()
    return cells


def _ages(born: np.ndarray, day: np.ndarray) -> list[str]:
    """``3 Tahun - 2 Bulan - 15 Hari``, in whole calendar months."""
    start, end = born.astype("datetime64[D]"), day.astype("datetime64[D]")
    start_month, end_month = start.astype("datetime64[M]"), end.astype("datetime64[M]")
    start_day, end_day = (start - start_month).astype(int), (end - end_month).astype(int)
    months = (end_month - start_month).astype(int) - (end_day < start_day)
    days = (end - ((start_month + months).astype("datetime64[D]") + start_day)).astype(int)
    texts = zip((months // 12).tolist(), (months % 12).tolist(), np.maximum(days, 0).tolist(), strict=True)
    return [f"{years} Tahun - {full_months} Bulan - {rest} Hari" for years, full_months, rest in texts]


def _spoil(
    rng: np.random.Generator, columns: dict[str, list[Any]], layout: dict[str, Any], city: City, rows: np.ndarray
) -> tuple[np.ndarray, list[tuple[str, str, np.ndarray]]]:
    """Spoil cells in place; returns the order in which rows stand in the file (doubled rows twice) and what was
    done."""
    slips_made: list[tuple[str, str, np.ndarray]] = []
    order = np.arange(len(rows))
    for kind, rows_hit in slips(rng, "eppgbm", len(rows)).items():
        if kind == "nik_scientific":
            rows_hit = np.array([row for row in rows_hit if columns["NIK"][row].isdigit()], int)
            for row in rows_hit:
                columns["NIK"][row] = scientific(columns["NIK"][row])
            slips_made.append((kind, "NIK", rows_hit))
        elif kind == "measured_before_birth":
            person = city.children.person[city.measured.child[rows[rows_hit]]]
            before = _dates(city.persons.born[person] - rng.integers(5, 200, len(rows_hit)), layout)
            for row, text in zip(rows_hit, before, strict=True):
                columns["Tanggal Pengukuran"][row] = text
            slips_made.append((kind, "Tanggal Pengukuran", rows_hit))
        elif kind == "implausible_weight":
            rows_hit = np.array([row for row in rows_hit if columns["Berat"][row] != "-"], int)
            for row in rows_hit:
                columns["Berat"][row] = round(columns["Berat"][row] * 1000)
            slips_made.append((kind, "Berat", rows_hit))
        elif kind == "unknown_kelurahan":
            rows_hit = np.array([row for row in rows_hit if columns["Kab/Kota"][row].upper() == "KOTA TANGERANG"], int)
            for row in rows_hit:
                columns["Desa/Kel"][row] = UNKNOWN_KELURAHAN[int(rng.integers(len(UNKNOWN_KELURAHAN)))]
            slips_made.append((kind, "Desa/Kel", rows_hit))
        elif len(rows_hit):
            order = np.concatenate([order, rows_hit])
    return order, slips_made


def _log(
    log: TruthLog,
    city: City,
    persona: Persona,
    period: str,
    part: str,
    rows: np.ndarray,
    order: np.ndarray,
    base: int,
    spoiled: list[tuple[str, str, np.ndarray]],
    stale: np.ndarray,
) -> None:
    measured = city.measured
    person = city.children.person[measured.child[rows]]
    has_nik = city.persons.nik_issued[person] <= measured.day[rows]
    source_row = base + np.arange(len(order))
    log.links(period, part, person[order], city.persons.family[person[order]], source_row=source_row)
    names = {"name": "Nama", "nik": "NIK", "birth_date": "Tgl Lahir"}
    log.personas(period, part, persona, person[order], names, source_row=source_row, has_nik=has_nik[order])
    for kind, column, rows_hit in spoiled:
        log.corrupted(period, part, kind, column, source_row=source_row[np.isin(order, rows_hit)])
    log.corrupted(period, part, "stale_address", "Desa/Kel", source_row=source_row[stale[order]])
    twice = order[len(rows) :]
    log.corrupted(period, part, "duplicate_row", "Tanggal Pengukuran", source_row=source_row[np.isin(order, twice)])


def _write(
    folder: Path,
    unit: dict[str, str],
    layout: dict[str, Any],
    columns: dict[str, list[Any]],
    order: np.ndarray,
    period: str,
) -> None:
    columns = {name: [values[row] for row in order] for name, values in columns.items()}
    if layout["is_xlsx"]:
        title = f"DAFTAR BALITA DIUKUR {unit['name'].upper()} BULAN {period}"
        path = folder / f"{unit['part']}.xlsx"
        files.write_xlsx(path, "Balita", [title], list(columns), zip(*columns.values(), strict=True))
        return
    for name in _DECIMALS:
        if name in columns:
            columns[name] = [value if value == "-" else f"{value:g}".replace(".", ",") for value in columns[name]]
    table = pa.table({name: pa.array(values).cast(pa.string()) for name, values in columns.items()})
    files.write_csv(folder / f"{unit['part']}.csv", table, delimiter=";", encoding=layout["encoding"])


def _targets(city: City, folder: Path) -> None:
    """One workbook a year, a row for each peopled kelurahan: official projections, near the truth, not equal to it."""
    units, nearest = puskesmas_of(city.area)
    persons, area = city.persons, city.area
    resident = np.nonzero(persons.is_resident)[0]
    place = city.families.place[persons.family[resident]]
    spell = Spellings(area)
    everywhere = np.nonzero(area.is_peopled)[0]
    posyandu = np.maximum(np.round(area.real_people / area.real_people.sum() * POSYANDU), 3).astype(int)
    for year in sorted({month.start.year for month in city.calendar.months}):
        rng = stream(city.seed, "targets", str(year))
        end = min(city.calendar.last_day, int(np.datetime64(f"{year}-12-31").astype(int)))
        age = (end - persons.born[resident]) / 365.25
        true = np.bincount(place[(age >= 0) & (age < 5)], minlength=len(area.codes)).astype(float)
        share = np.where(area.is_peopled, true * rng.normal(1, 0.02, len(true)) + 0.5, 0)
        total = TARGET_CHILDREN_SHARE * len(resident) * (1 + 0.004 * (year - 2025))
        children = np.round(total * share / share.sum()).astype(int)
        kecamatan, kelurahan = spell.kecamatan(everywhere, 1).to_pylist(), spell.kelurahan(everywhere, 1).to_pylist()
        rows = [
            (line + 1, year, kecamatan[line], kelurahan[line], units[nearest[i]]["name"], int(posyandu[i]),
             int(children[i] * 0.19), int(children[i] * 0.39), int(children[i]))
            for line, i in enumerate(everywhere)
        ]  # fmt: skip
        sums = [sum(row[column] for row in rows) for column in (5, 6, 7, 8)]
        header = (
            "No", "Tahun", "Kecamatan", "Kelurahan", "Puskesmas", "Jumlah Posyandu", "Sasaran Bayi", "Sasaran Baduta",
            "Sasaran Balita",
        )  # fmt: skip
        titles = [f"SASARAN BALITA KOTA TANGERANG TAHUN {year}", "Dinas Kesehatan Kota Tangerang"]
        files.write_xlsx(
            folder / f"{year}.xlsx", "Sasaran", titles, header, [*rows, (None, None, "JUMLAH", None, None, *sums)]
        )
