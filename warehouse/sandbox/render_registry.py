"""What Dinas Sosial holds: DTSEN families and individuals by quarter, an old Regsosek extract, the monthly aid list.

Here: the layouts, what the registry knows late, its spellings. Not here: the layout since 2026 (registry_of_2026), who
people are (people), housing (housing).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.core.periods import Period
from warehouse.sandbox import files, registry_of_2026
from warehouse.sandbox.corruption import UNKNOWN_KELURAHAN, Persona, TruthLog, personas, scientific, slips, truth_log
from warehouse.sandbox.draw import City, Progress
from warehouse.sandbox.housing import ANIMALS, NULLABLE
from warehouse.sandbox.people import CHILD, HEAD, PARENT, SPOUSE, day_number, stream
from warehouse.sandbox.places import Spellings

_FAMILY_TAIL = ("desil_nasional", "cut_off_keluarga", "status_dtsen", "id_status_keberadaan_keluarga")
_DISABILITIES = (
    "id_penglihatan", "id_pendengaran", "id_berjalan_atau_naik_tangga", "id_menggunakan_tangan_jari",
    "id_belajar_kemampuan_intelektual", "id_pengendalian_perilaku", "id_berbicara_komunikasi", "id_mengurus_diri",
    "id_mengingat_berkonsentrasi",
)  # fmt: skip
_REGSOSEK = Period.parse("2022-Q4")
_REGSOSEK_INDIVIDUALS = (
    "no_kk", "nik", "nama", "tanggal_lahir", "id_jenis_kelamin", "id_hub_kepala_keluarga", "id_partisipasi_sekolah",
    "membantu_bekerja", "id_lapangan_usaha_dari_usaha_utama", "id_status_kedudukan_pekerjaan_utama",
)  # fmt: skip
# A death reaches the registry after weeks, a family's leaving after months; some movers keep their old address.
_DEATH_LAG, _LEAVING_KEPT, _ADDRESS_LAG, _ADDRESS_LAG_SHARE = 45, 200, 150, 0.4


class _Shape(TypedDict):
    """How the export is written in a quarter."""

    delimiter: str
    encoding: str
    dates: str
    families_xlsx: bool


_SHAPES: tuple[_Shape, ...] = (
    {"delimiter": ";", "encoding": "utf-8-sig", "dates": "%Y-%m-%d", "families_xlsx": False},
    {"delimiter": ",", "encoding": "latin-1", "dates": "%d-%m-%Y", "families_xlsx": False},
    {"delimiter": ";", "encoding": "utf-8", "dates": "%Y-%m-%d", "families_xlsx": True},
    {"delimiter": ",", "encoding": "utf-8", "dates": "%d/%m/%Y", "families_xlsx": False},
)


@dataclass(frozen=True)
class Listed:
    """Who the registry lists on a day: persons in family order, and their families with the first member as head."""

    persons: np.ndarray
    relation: np.ndarray
    families: np.ndarray
    heads: np.ndarray
    size: np.ndarray
    dwelling: np.ndarray
    is_stale: np.ndarray
    status: np.ndarray
    presence: np.ndarray


def render(city: City, home: Path, say: Progress) -> None:
    """Write ``holdings/sftp/dinsos`` and the truth of its rows."""
    folder = home / "holdings" / "sftp" / "dinsos"
    persona = personas(city.persons, "dinsos", city.seed)
    _dtsen(city, persona, folder / "dtsen", home / "city", say)
    with truth_log(home / "city", "kemensos/assistance") as log:
        for month, period in enumerate(city.calendar.months):
            _assistance(city, persona, folder / "assistance", log, month, period)
    say(f"aid lists of {len(city.calendar.months)} months")


def quarters(city: City) -> list[Period]:
    """Quarters that ended in the window."""
    return [Period.containing("quarter", m.start) for m in city.calendar.months if m.start.month % 3 == 0]


def listed_on(city: City, day: int) -> Listed:
    families, persons = city.families, city.persons
    everyone = np.arange(len(families.place))
    has_left = (families.move_kind == "out") & (families.moved_on <= day)
    listed = families.in_city(everyone, day) | (has_left & (day - families.moved_on <= _LEAVING_KEPT))
    (who,) = np.nonzero(persons.is_resident)
    born = (persons.born[who] <= day) & (persons.nik_issued[who] <= day)
    who = who[born & (persons.died[who] > day - _DEATH_LAG) & listed[persons.family[who]]]
    family, first = np.unique(persons.family[who], return_index=True)
    relation = persons.relation[who].copy()
    # When the head has died, the next member in the family's order is head.
    relation[first] = HEAD
    living = np.bincount(persons.family[who], weights=persons.died[who] > day, minlength=len(everyone))[family] > 0
    lag = np.where(family * 6151 % 100 < _ADDRESS_LAG_SHARE * 100, _ADDRESS_LAG, 0)
    dwelling = families.lived_at(family, day - lag)
    is_lost = family * 4093 % 997 < 6
    return Listed(
        persons=who,
        relation=relation,
        families=family,
        heads=who[first],
        size=np.diff(np.append(first, len(who))),
        dwelling=dwelling,
        is_stale=dwelling != families.lived_at(family, day),
        status=np.select(
            [has_left[family] | is_lost, ~living], ["DTSEN NONAKTIF", "DTSEN AKTIF - ASESMEN MENINGGAL"], "DTSEN AKTIF"
        ),
        presence=np.select([has_left[family], ~living, is_lost, family % 31 == 0], [2, 3, 4, 0], 1),
    )


def _dtsen(city: City, persona: Persona, folder: Path, truth: Path, say: Progress) -> None:
    attributes = _attributes(city)
    decile = city.decile.copy()
    with (
        truth_log(truth, "bps/social_registry_families") as families,
        truth_log(truth, "bps/social_registry_individuals") as individuals,
    ):
        for index, period in enumerate(quarters(city)):
            rng = stream(city.seed, "dtsen", period.label)
            decile = _drifted(rng, decile)
            listed = listed_on(city, day_number(period.end) - 1)
            shape, target = _SHAPES[index % len(_SHAPES)], folder / period.label
            tail = {"cut_off_keluarga": pa.array(np.full(len(listed.families), int(f"{period.end:%Y%m%d}")))}
            if period >= registry_of_2026.SINCE:
                _since_2026(city, persona, attributes, decile, listed, period, target, families, individuals)
                say(f"DTSEN {period.label}: {len(listed.families):,} families, {len(listed.persons):,} persons")
                continue
            texts, slips_made = _decile_texts(rng, "families", decile[listed.families])
            table = _families(city, persona, listed, {"desil_nasional": texts, **tail, **_status(listed)})
            _log_families(families, city, persona, period.label, listed, slips_made)
            path = target / ("families.xlsx" if shape["families_xlsx"] else "families.csv")
            if shape["families_xlsx"]:
                rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
                files.write_xlsx(path, "Sheet1", [], table.column_names, rows)
            else:
                files.write_csv(path, table, delimiter=shape["delimiter"], encoding=shape["encoding"])
            members = _individuals(city, persona, attributes, listed, decile, period, shape["dates"])
            members = _log_individuals(rng, individuals, city, persona, period.label, listed, members)
            files.write_csv(
                target / "individuals.csv", members, delimiter=shape["delimiter"], encoding=shape["encoding"]
            )
            say(f"DTSEN {period.label}: {len(listed.families):,} families, {len(listed.persons):,} persons")
        _regsosek(city, persona, attributes, folder / _REGSOSEK.label, families, individuals)


def _since_2026(
    city: City,
    persona: Persona,
    attributes: dict[str, pa.Array],
    decile: np.ndarray,
    everyone: Listed,
    period: Period,
    target: Path,
    families: TruthLog,
    individuals: TruthLog,
) -> None:
    """A quarter in the layout since 2026: it states no status, and holds who is active alone."""
    rng = stream(city.seed, "dtsen since 2026", period.label)
    listed = _active(city, everyone)
    place = city.dwellings.place[listed.dwelling]
    is_paid = _is_premium_paid(city, listed.families, period)
    rank = city.families.wealth[listed.families] + 0.35 * rng.standard_normal(len(listed.families))
    own = registry_of_2026.city_deciles(rank, decile[listed.families])
    texts, slips_made = _decile_texts(rng, "families", decile[listed.families])
    table = registry_of_2026.families(
        _families(city, persona, listed, {"desil_nasional": texts}),
        city.area,
        place,
        listed.families,
        own,
        registry_of_2026.premiums(is_paid, listed.families),
    )
    _log_families(families, city, persona, period.label, listed, slips_made)
    _write(rng, families, period, target / registry_of_2026.file_name("keluarga", period), table, "alamat")
    of_person = np.searchsorted(listed.families, city.persons.family[listed.persons])
    members = _individuals(city, persona, attributes, listed, decile, period, "%Y-%m-%d")
    members = _log_individuals(rng, individuals, city, persona, period.label, listed, members)
    # One in twelve has an identity card of another address than the one lived at.
    card = np.where(listed.persons * 5227 % 12 == 0, rng.permutation(place)[of_person], place[of_person])
    members = registry_of_2026.individuals(
        members,
        city.area,
        card,
        city.dwellings.address.take(pa.array(listed.dwelling[of_person])),
        registry_of_2026.premiums(is_paid[of_person], city.persons.family[listed.persons]),
    )
    _write(
        rng, individuals, period, target / registry_of_2026.file_name("anggota_keluarga", period), members, "alamat_ktp"
    )


def _write(rng: np.random.Generator, log: TruthLog, period: Period, path: Path, table: pa.Table, column: str) -> None:
    """Write a file of the layout since 2026, with a few lines of too many or too few fields, and bad bytes."""
    spoiled = slips(rng, "since_2026", table.num_rows)
    registry_of_2026.write(path, table, spoiled["ragged_line"].tolist(), spoiled["bad_byte"].tolist())
    for kind, name in (("ragged_line", table.column_names[-1]), ("bad_byte", column)):
        log.corrupted(period.label, "all", kind, name, source_row=spoiled[kind] + 2)


def _active(city: City, listed: Listed) -> Listed:
    """Who is listed and not struck off, moved away, dead or not found."""
    is_active = (listed.status == "DTSEN AKTIF") & np.isin(listed.presence, (0, 1))
    persons = np.isin(city.persons.family[listed.persons], listed.families[is_active])
    return Listed(
        persons=listed.persons[persons],
        relation=listed.relation[persons],
        **{name: getattr(listed, name)[is_active] for name in (
            "families", "heads", "size", "dwelling", "is_stale", "status", "presence",
        )},
    )  # fmt: skip


def _is_premium_paid(city: City, family: np.ndarray, period: Period) -> np.ndarray:
    month = next(i for i, m in enumerate(city.calendar.months) if m.end >= period.end)
    span = city.assistance["pbi_jk"][family]
    is_paid: np.ndarray = (span[:, 0] <= month) & (span[:, 1] > month)
    return is_paid


def _drifted(rng: np.random.Generator, decile: np.ndarray) -> np.ndarray:
    """A few families change by one decile each quarter; one not ranked stays so."""
    step = np.where(rng.random(len(decile)) < 0.03, rng.choice([-1, 1], len(decile)), 0)
    return np.where(decile == 0, 0, np.clip(decile + step, 1, 10)).astype(np.int8)


def _decile_texts(
    rng: np.random.Generator, feed: str, decile: np.ndarray
) -> tuple[pa.Array, list[tuple[str, np.ndarray]]]:
    text = np.where(decile == 0, "", decile.astype(str)).astype(object)
    unranked = np.nonzero(decile == 0)[0]
    text[unranked[::2]] = "Belum Ada Desl"
    spoiled = slips(rng, feed, len(decile))
    ranges = spoiled["desil_range"][decile[spoiled["desil_range"]] >= 6]
    none = spoiled["desil_none"][decile[spoiled["desil_none"]] > 0]
    text[ranges] = "6-10"
    text[none] = "Belum Ada Desl"
    return pa.array(text, pa.string()), [("desil_range", ranges), ("desil_none", none)]


def _status(listed: Listed) -> dict[str, pa.Array]:
    return {
        "status_dtsen": pa.array(listed.status),
        "id_status_keberadaan_keluarga": pa.array(listed.presence, mask=listed.presence == 0),
    }


def _families(city: City, persona: Persona, listed: Listed, tail: dict[str, pa.Array]) -> pa.Table:
    place = pa.array(city.dwellings.place[listed.dwelling])
    kelurahan = pa.array([code.replace(".", "") for code in city.area.codes]).take(place)
    n = len(listed.families)
    columns: dict[str, pa.Array] = {
        "no_kk": city.families.no_kk.take(pa.array(listed.families)),
        "nama_kepala_keluarga": pc.utf8_upper(persona.name.take(pa.array(listed.heads))),
        "alamat": city.dwellings.address.take(pa.array(listed.dwelling)),
        "kode_provinsi": pa.array(["36"] * n),
        "kode_kabupaten": pa.array(["3671"] * n),
        "kode_kecamatan": pc.utf8_slice_codeunits(kelurahan, 0, 6),
        "kode_kelurahan": kelurahan,
        "jumlah_anggota_keluarga": pa.array(listed.size),
    }
    for name, values in city.housing.items():
        here = values[listed.dwelling].astype(np.int32)
        columns[name] = pa.array(here, mask=here == 0) if name in NULLABLE else pa.array(here)
    return _ordered(pa.table(columns | tail))


def _ordered(table: pa.Table) -> pa.Table:
    """Housing and animals in the registry's order: water, lighting and area before cooking, animals last."""
    lead = ["luas_lantai_bangunan", "id_dayapenerangan"]
    names = [name for name in table.column_names if name not in lead and name not in ANIMALS]
    at = names.index("id_sumberpenerangan") + 1
    tail = [name for name in names if name in (*_FAMILY_TAIL, "desil_regsosek")]
    body = [name for name in names if name not in tail]
    return table.select([*body[:at], *lead, *body[at:], *ANIMALS, *tail])


def _attributes(city: City) -> dict[str, pa.Array]:
    """What the registry asked each person once; null where the question does not apply."""
    rng = stream(city.seed, "registry")
    persons, workers = city.persons, city.workers
    n = len(persons)
    age = persons.age_years(city.calendar.last_day)
    wealth = np.where(persons.is_resident, city.families.wealth[np.maximum(persons.family, 0)], 0)

    def coded(values: np.ndarray, is_asked: np.ndarray) -> pa.Array:
        return pa.array(np.asarray(values).astype(np.int16), mask=~is_asked)

    everyone, at_work = np.ones(n, bool), np.zeros(n, bool)
    at_work[workers.person] = True
    status, sector = np.zeros(n, np.int16), np.zeros(n, np.int16)
    status[workers.person], sector[workers.person] = workers.status, workers.sector
    has_business = at_work & (status <= 3)
    couple = np.zeros(len(city.families.place), bool)
    couple[persons.family[(persons.relation == SPOUSE) & persons.is_resident]] = True
    married = np.isin(persons.relation, (HEAD, SPOUSE)) & couple[np.maximum(persons.family, 0)]
    alone = np.where(rng.random(n) < 0.5, 3, 4)
    marital = np.select([married, persons.relation == PARENT, persons.relation == CHILD, age < 24], [2, 4, 1, 1], alone)
    school = np.select(
        [age < 5.5, age < 18.5, age < 23],
        [1, np.where(rng.random(n) < 0.95, 2, 3), np.where(rng.random(n) < 0.25, 2, 3)],
        3,
    )
    rank = wealth + rng.normal(0, 0.8, n)
    highest = np.array([3, 8, 13, 15, 18, 19, 21])[np.searchsorted([-1.1, -0.4, 0.2, 0.8, 1.2, 2.2], rank)]
    education = np.select([age < 13, age < 16, age < 19], [3, 8, 13], highest)
    young = age < 5
    columns = {
        "id_status_perkawinan": coded(marital, everyone),
        "id_partisipasi_sekolah": coded(school, age >= 5),
        "id_jenjang_pendidikan_dukcapil": coded(education, age >= 7),
        "membantu_bekerja": coded(np.where(at_work, 1, 2), age >= 10),
        "id_lapangan_usaha_dari_usaha_utama": coded(sector, at_work),
        "id_pekerjaan_utama": coded(sector * 10 + status, at_work),
        "id_status_kedudukan_pekerjaan_utama": coded(status, at_work),
        "id_kepemilikan_izin_usaha": coded(np.where(rng.random(n) < 0.18, 1, 2), has_business),
        "id_omset_usaha_utama": coded(
            np.clip(np.round(1.6 + 0.5 * wealth + rng.normal(0, 0.5, n)), 1, 6), has_business
        ),
        "jumlah_jenis_usaha": coded(np.where(rng.random(n) < 0.95, 1, 2), has_business),
        "jumlah_pekerja_dibayar": coded(np.where(status == 3, rng.integers(1, 8, n), 0), has_business),
        "jumlah_pekerja_tidak_dibayar": coded(np.where(status == 2, rng.integers(1, 3, n), 0), has_business),
        "id_kondisi_gizi": coded(rng.choice([1, 2, 3, 8], n, p=[0.03, 0.04, 0.83, 0.10]), young),
    }
    for name in _DISABILITIES:
        columns[name] = coded(np.where(rng.random(n) < 0.985, 4, rng.integers(1, 4, n)), age >= 2)
    columns["id_kesedihan_depresi"] = coded(rng.choice([1, 2, 3, 4], n, p=[0.005, 0.015, 0.08, 0.90]), age >= 10)
    columns["id_penyakit_menahun"] = coded(
        np.where(rng.random(n) < 0.9 - 0.002 * age, 1, rng.integers(2, 19, n)), everyone
    )
    columns["id_disabilitas"] = coded(np.zeros(n), rng.random(n) < 0.0)
    return columns


def _individuals(
    city: City,
    persona: Persona,
    attributes: dict[str, pa.Array],
    listed: Listed,
    decile: np.ndarray,
    period: Period,
    dates: str,
) -> pa.Table:
    who = pa.array(listed.persons)
    family = city.persons.family[listed.persons]
    columns = _identity(city, persona, listed, dates)
    columns |= {name: values.take(who) for name, values in attributes.items()}
    columns["pbi"] = pa.array(_is_premium_paid(city, family, period).astype(np.int8))
    columns["desil_nasional_anggota"] = pa.array(decile[family], mask=decile[family] == 0)
    return pa.table(columns)


def _identity(city: City, persona: Persona, listed: Listed, dates: str) -> dict[str, pa.Array]:
    persons, who = city.persons, pa.array(listed.persons)
    born = pa.array(persona.born[listed.persons].astype(np.int32)).cast(pa.date32())
    return {
        "no_kk": city.families.no_kk.take(pa.array(persons.family[listed.persons])),
        "nik": persona.nik.take(who),
        "nama": pc.utf8_upper(persona.name.take(who)),
        "tempat_lahir": persons.birth_place.take(who),
        "tanggal_lahir": pc.strftime(born, dates),
        "id_jenis_kelamin": pa.array(np.where(persons.is_female[listed.persons], 2, 1)),
        "id_hub_kepala_keluarga": pa.array(listed.relation),
    }


def _log_families(
    log: TruthLog, city: City, persona: Persona, period: str, listed: Listed, slips_made: list[tuple[str, np.ndarray]]
) -> None:
    source_row = 2 + np.arange(len(listed.families))
    log.links(period, "all", listed.heads, listed.families, source_row=source_row)
    log.personas(period, "all", persona, listed.heads, {"name": "nama_kepala_keluarga"}, source_row=source_row)
    log.corrupted(period, "all", "stale_address", "kode_kelurahan", source_row=source_row[listed.is_stale])
    for kind, rows in slips_made:
        log.corrupted(period, "all", kind, "desil_nasional", source_row=source_row[rows])


def _log_individuals(
    rng: np.random.Generator,
    log: TruthLog,
    city: City,
    persona: Persona,
    period: str,
    listed: Listed,
    table: pa.Table,
) -> pa.Table:
    """Record the rows, after turning a few NIKs into scientific notation."""
    source_row = 2 + np.arange(len(listed.persons))
    log.links(period, "all", listed.persons, city.persons.family[listed.persons], source_row=source_row)
    columns = {"name": "nama", "nik": "nik", "birth_date": "tanggal_lahir"}
    log.personas(period, "all", persona, listed.persons, columns, source_row=source_row)
    nik = table["nik"].combine_chunks()
    (rows_hit,) = slips(rng, "individuals", len(source_row)).values()
    rows_hit = rows_hit[nik.take(pa.array(rows_hit)).is_valid().to_numpy(zero_copy_only=False)]
    mask = np.zeros(len(source_row), bool)
    mask[rows_hit] = True
    spoiled = pa.array([scientific(value) for value in nik.take(pa.array(rows_hit)).to_pylist()], pa.string())
    log.corrupted(period, "all", "nik_scientific", "nik", source_row=source_row[rows_hit])
    at = table.column_names.index("nik")
    return table.set_column(at, "nik", pc.replace_with_mask(nik, pa.array(mask), spoiled))


def _regsosek(
    city: City,
    persona: Persona,
    attributes: dict[str, pa.Array],
    folder: Path,
    families: TruthLog,
    individuals: TruthLog,
) -> None:
    """The extract of 2022: fewer columns, and a ranking of its own that resembles the later one."""
    rng = stream(city.seed, "regsosek")
    listed = listed_on(city, day_number(_REGSOSEK.start) + 44)
    wealth = city.families.wealth[listed.families]
    rank = wealth + 0.6 * rng.standard_normal(len(wealth))
    decile = np.searchsorted(np.quantile(rank, np.arange(1, 10) / 10), rank, side="right") + 1
    texts, slips_made = _decile_texts(rng, "families", decile)
    presence = pa.array(np.ones(len(wealth), np.int8))
    table = _families(city, persona, listed, {"desil_regsosek": texts, "id_status_keberadaan_keluarga": presence})
    _log_families(families, city, persona, _REGSOSEK.label, listed, slips_made)
    files.write_csv(folder / "families.csv", table)
    columns = _identity(city, persona, listed, "%Y-%m-%d")
    columns |= {name: values.take(pa.array(listed.persons)) for name, values in attributes.items()}
    members = pa.table(columns).select(list(_REGSOSEK_INDIVIDUALS))
    members = _log_individuals(rng, individuals, city, persona, _REGSOSEK.label, listed, members)
    files.write_csv(folder / "individuals.csv", members)


def _assistance(city: City, persona: Persona, folder: Path, log: TruthLog, month: int, period: Period) -> None:
    rng = stream(city.seed, "assistance", period.label)
    listed = listed_on(city, int(city.calendar.ends[month]))
    on = {name: (span[:, 0] <= month) & (span[:, 1] > month) for name, span in city.assistance.items()}
    rows = np.nonzero(np.any([flags[listed.families] for flags in on.values()], axis=0))[0]
    family, head, dwelling = listed.families[rows], listed.heads[rows], listed.dwelling[rows]
    place, spell, style = city.dwellings.place[dwelling], Spellings(city.area), month % 3
    texts, slips_made = _decile_texts(rng, "assistance", city.decile[family])
    unknown = slips(rng, "assistance", len(rows))["unknown_kelurahan"]
    desa = np.array(spell.kelurahan(place, style).to_pylist(), dtype=object)
    desa[unknown] = [UNKNOWN_KELURAHAN[i] for i in rng.integers(0, len(UNKNOWN_KELURAHAN), len(unknown))]
    source_row = 2 + np.arange(len(rows))
    log.links(period.label, "all", head, family, source_row=source_row)
    log.personas(period.label, "all", persona, head, {"name": "nama", "nik": "nik"}, source_row=source_row)
    log.corrupted(period.label, "all", "stale_address", "desa", source_row=source_row[listed.is_stale[rows]])
    log.corrupted(period.label, "all", "unknown_kelurahan", "desa", source_row=source_row[unknown])
    for kind, spoiled in slips_made:
        log.corrupted(period.label, "all", kind, "desil", source_row=source_row[spoiled])
    table = pa.table(
        {
            "nik": persona.nik.take(pa.array(head)),
            "nama": pc.utf8_upper(persona.name.take(pa.array(head))),
            "no_kk": city.families.no_kk.take(pa.array(family)),
            "kecamatan": spell.kecamatan(place, style),
            "desa": pa.array(desa, pa.string()),
            "desil": texts,
            **{name: pa.array(flags[family].astype(np.int8)) for name, flags in on.items()},
        }
    )
    encoding = "latin-1" if month % 4 == 1 else "utf-8"
    files.write_csv(
        folder / period.label / "assistance.csv", table, delimiter=";" if month % 5 == 2 else ",", encoding=encoding
    )
