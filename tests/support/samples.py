"""Small deliveries of every dataset: rows that pass each rule of the contract, and for each rule rows that break it.

Rows are dicts of column name -> cell text; ``as_file`` writes them in one of the contract's file shapes. A name that is
no column of the contract becomes an unknown header. Everybody here is made up.
"""

import csv
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import xlsxwriter

from warehouse.core.contract import Contract, FileShape, load_contracts
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.intake.gate.rules import all_rules

Row = dict[str, str | None]
RECEIVED_AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
_PERIODS = {
    "month": Period(date(2026, 10, 1), "month"),
    "quarter": Period(date(2026, 7, 1), "quarter"),
    "half_year": Period(date(2026, 1, 1), "half_year"),
    "year": Period(date(2025, 1, 1), "year"),
}
# Rules that no file of any shape can break, and why.
UNBREAKABLE = {
    "BPS__INDICATORS-TYPE-cells_expected": "computed while parsing",
    "BPS__INDICATORS-HEADERS": "fields of a BPS answer are named while parsing",
}


@dataclass(frozen=True)
class Break:
    """Rows that trip one rule.

    ``replaced``: rows and share set aside of the delivery in force that it would replace.
    ``before`` has measures of the period before, ``shape`` is the one that can carry them, ``part`` whose they must be.
    """

    rows: list[Row]
    before: dict[str, float] = field(default_factory=dict)
    shape: str | None = None
    part: str | None = None
    replaced: tuple[int, float] | None = None
    is_repeated: bool = False


@lru_cache
def contracts() -> dict[str, Contract]:
    return load_contracts(Settings().contracts_dir)


@lru_cache
def versions() -> dict[str, Contract]:
    """All contracts that files may be of: by dataset, an earlier version as ``dataset@major``."""
    earlier = {f"{name}@{one.major}": one for name, contract in contracts().items() for one in contract.earlier}
    return contracts() | earlier


def period(dataset: str) -> Period:
    return _PERIODS[versions()[dataset].extras.period_kind]


def good_rows(dataset: str) -> list[Row]:
    """Rows that pass every rule of the dataset in ``period(dataset)``, received at ``RECEIVED_AT``."""
    return _GOOD[dataset]()


def breaking_rows(dataset: str) -> dict[str, Break]:
    """Rule code -> rows that trip it, for every rule of the dataset but those in ``UNBREAKABLE``."""
    good = good_rows(dataset)
    breaks = _derived_breaks(versions()[dataset], good)
    limit = next(rule.code for rule in versions()[dataset].rules if rule.column == "share_set_aside")
    required = next(column.name for column in versions()[dataset].file_columns if column.required)
    breaks[limit] = Break(every(good, **{required: None}))
    for code, made in _BREAKS[dataset](good).items():
        breaks[code] = made if isinstance(made, Break) else Break(made)
    return breaks


def changed(rows: list[Row], position: int = 0, **cells: str | None) -> list[Row]:
    """The rows with some cells of one row replaced."""
    return [row | cells if number == position else dict(row) for number, row in enumerate(rows)]


def every(rows: list[Row], **cells: str | None) -> list[Row]:
    return [row | cells for row in rows]


def _derived_breaks(contract: Contract, good: list[Row]) -> dict[str, Break]:
    """Breaks of the rules that follow from the columns: type, required, code, headers."""
    table, breaks = contract.table.upper(), {}
    for rule in all_rules(contract):
        kind, _, name = rule.code.removeprefix(f"{table}-").partition("-")
        if not rule.code.startswith(f"{table}-") or rule.code in UNBREAKABLE:
            continue
        if kind == "MISSING":
            # A blank, of which the writer of BPS tables can make a key.
            breaks[rule.code] = Break(every(good, **{name.partition("-")[2]: "-"}))
        elif kind == "RESENT":
            required = next(column.name for column in contract.file_columns if column.required)
            worse = every(good, **{required: None})
            breaks[rule.code] = Break(good if name == "ROWS" else worse, replaced=(10 * len(good), 0.0))
        elif kind == "REPEATED":
            breaks[rule.code] = Break(good, is_repeated=True)
        elif kind == "HEADERS":
            last = contract.extras.shapes[-1].name if contract.dataset == "portal/poverty_indicators" else None
            breaks[rule.code] = Break(every(good, **{"Kolom Baru": "x"}), shape=last)
        elif kind == "KEY":
            breaks[rule.code] = Break([*good, dict(good[0])])
        else:
            bad = {"REQUIRED": None, "RANGE": "1850-01-01"}.get(kind, "tidak sah")
            breaks[rule.code] = Break(changed(good, **{name: bad}))
    return breaks


# --- rows -------------------------------------------------------------------------------------------------------------


@lru_cache
def kelurahan() -> tuple[tuple[str, str, str], ...]:
    """(code, name, kecamatan name) of the 104."""
    with (Settings().seeds_dir / "regions.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kemendagri_code"].startswith("36.71")]
    names = {row["kemendagri_code"]: row["name"] for row in rows}
    return tuple(
        (row["kemendagri_code"], row["name"], names[row["parent_kemendagri_code"]])
        for row in rows
        if row["area_level"] == "kelurahan" and row["is_unplaced"] == "false"
    )


def nik(number: int, birth: date, *, female: bool = False, prefix: str = "367101") -> str:
    """A NIK that fits birth date and sex; serials from 9001 are given to nobody."""
    return f"{prefix}{birth.day + 40 * female:02d}{birth:%m%y}{9001 + number:04d}"


def kk(number: int) -> str:
    return f"3671010101{10 + number // 9000:02d}{1000 + number % 9000:04d}"


def _eppgbm() -> list[Row]:
    rows = []
    for number in range(8):
        birth, measured = date(2023, 3, 14) + timedelta(days=61 * number), date(2026, 10, 5)
        months = int((measured - birth).days / 30.4375)
        rows.append(
            {
                "nik": nik(number, birth, female=number % 2 == 1),
                "nama": f"Anak {'ABCDEFGH'[number]}",
                "jk": "LP"[number % 2],
                "tgl_lahir": birth.isoformat(),
                "nama_ortu": "Bapak / Ibu",
                "kab_kota": "Kota Tangerang",
                "kec": kelurahan()[number][2],
                # None of them lives anywhere near it, so it says nothing: the rows are good for any part.
                "puskesmas": "Kreo Selatan",
                "desa_kel": kelurahan()[number][1],
                "posyandu": "Melati 1",
                "rt": "1",
                "rw": "2",
                "usia_saat_ukur": f"{months // 12} Tahun - {months % 12} Bulan - 3 Hari",
                "tanggal_pengukuran": measured.isoformat(),
                "berat": f"{11 + number / 10:.1f}",
                "tinggi": f"{88.1 + number * 1.2:.1f}",
                "cara_ukur": "Berdiri",
                "bb_u": "Berat Badan Normal",
                "zs_bb_u": "-0.91",
                "tb_u": "Normal",
                "zs_tb_u": "-1.20",
                "bb_tb": "Gizi Baik",
                "zs_bb_tb": "-0.30",
            }
        )
    return rows


def _eppgbm_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    other = nik(77, date(2022, 2, 2))
    many = [
        dict(good[0]) | {"nik": nik(n, date(2023, 3, 14)), "tinggi": f"{80 + n % 20}.{n % 2 * 5}"} for n in range(60)
    ]
    return {
        "EPPGBM-001": changed(good, nik="3.67101140323000E+15"),
        "EPPGBM-002": changed(good, nik="3671019913239001"),
        "EPPGBM-003": changed(good, nik="1111111111111111"),
        "EPPGBM-004": changed(good, nik=good[0]["nik"][:12] + "0000"),
        "EPPGBM-005": changed(good, nik=other),
        "EPPGBM-006": [*good, dict(good[0])],
        "EPPGBM-007": changed(good, tgl_lahir="2026-10-06"),
        "EPPGBM-008": changed(good, tanggal_pengukuran="2026-12-05"),
        "EPPGBM-009": changed(good, tgl_lahir="2021-10-04"),
        "EPPGBM-010": changed(good, berat="110"),
        "EPPGBM-011": changed(good, tinggi="881"),
        "EPPGBM-012": changed(good, berat="-", tinggi="-"),
        "EPPGBM-013": changed(good, desa_kel="Antah Berantah"),
        "EPPGBM-014": changed(good, usia_saat_ukur="0 Tahun - 1 Bulan - 0 Hari"),
        "EPPGBM-015": changed(good, tb_u="Entah"),
        "EPPGBM-020": changed(good, 1, nik=good[0]["nik"]),
        "EPPGBM-016": Break(changed(good, puskesmas="Puskesmas Tanah Tinggi"), part="cikokol"),
        "EPPGBM-108": Break(every(good, puskesmas="Sukasari"), part="cikokol"),
        "EPPGBM-101": changed(good, zs_tb_u="-7,1"),
        "EPPGBM-102": many,
        "EPPGBM-103": every(good, nik="02022**********"),
        "EPPGBM-104": every(good, tanggal_pengukuran="2026-09-29"),
        "EPPGBM-105": changed(good, tanggal_pengukuran="2026-09-29"),
        "EPPGBM-106": Break(good, {"rows": 100.0}),
        "EPPGBM-120": every(good, kab_kota="Kota Entah"),
        "EPPGBM-107": every(good, kab_kota="Kota Bogor"),
    }


def _families_of_2025() -> list[Row]:
    codes = {
        "id_status_penguasaan_bangunan": "1",
        "id_lantai_terluas": "2",
        "id_dinding_terluas": "1",
        "id_atap_terluas": "4",
        "id_sumber_airminum": "4",
        "id_sumberpenerangan": "1",
        "id_bb_utama": "4",
        "id_fasilitas_bab": "1",
        "id_jenis_kloset": "1",
        "id_pembuangan_tinja": "1",
        "status_dtsen": "DTSEN AKTIF",
        "id_status_keberadaan_keluarga": "1",
    }
    assets = ("tabung_gas", "lemari_es", "tv_datar", "telepon_rumah", "smartphone", "komputer_laptop_tablet")
    return [
        {
            "no_kk": kk(number),
            "kode_kabupaten": "3671",
            "kode_kecamatan": code.replace(".", "")[:6],
            "kode_kelurahan": code.replace(".", ""),
            "kecamatan": kecamatan,
            "desa": name,
            "jumlah_anggota_keluarga": "4",
            "luas_lantai_bangunan": "42,5",
            **codes,
            **{f"aset_bergerak_{asset}": "1" for asset in (*assets, "sepeda", "sepeda_motor", "mobil")},
            "desil_nasional": str(number % 10 + 1),
            "desil_regsosek": None,
            "desil_p3ke": "6-10",
        }
        for number, (code, name, kecamatan) in enumerate(kelurahan())
    ]


def _families() -> list[Row]:
    left_out = {"status_dtsen", "id_status_keberadaan_keluarga", "desil_regsosek", "desil_p3ke"}
    with (Settings().seeds_dir / "regions.csv").open(encoding="utf-8", newline="") as file:
        bps = {row["kemendagri_code"].replace(".", ""): row["bps_code"] for row in csv.DictReader(file)}
    return [
        {name: cell for name, cell in row.items() if name not in left_out}
        | {
            "kabupaten": "KOTA TANGERANG",
            "kode_kecamatan": bps[row["kode_kelurahan"] or ""][:7],
            "kode_kelurahan": bps[row["kode_kelurahan"] or ""],
            "desil_kabupaten_kota": str((number + 3) % 10 + 1),
            "pbi_pemda": "10"[number % 2],
            "id_lantai_terluas": "10",
            "id_atap_terluas": "9",
            "id_sumber_airminum": "12",
            "id_bb_utama": "12",
        }
        for number, row in enumerate(_families_of_2025())
    ]


_KELURAHAN_NAMES = ("desa", "desa_kel", "kelurahan")


def _place_breaks(prefix: str, first: int, good: list[Row]) -> dict[str, list[Row]]:
    """Of ``every_kelurahan``, ``half_of_kelurahan`` and ``every_kecamatan``: rule ``first`` and the two after it."""
    kecamatan = "kec" if "kec" in good[0] else "kecamatan"
    place_of = [tuple(row.get(name) for name in (kecamatan, *_KELURAHAN_NAMES)) for row in good]
    places = list(dict.fromkeys(place_of))
    return {
        f"{prefix}-{first}": [row for row, place in zip(good, place_of, strict=True) if place != places[-1]],
        f"{prefix}-{first + 1}": [row for row, place in zip(good, place_of, strict=True) if place in places[:51]],
        f"{prefix}-{first + 2}": [row for row in good if row.get(kecamatan, "Benda") != "Benda"],
    }


_USUAL_ANSWERS = (
    "lantai_terluas_2", "dinding_terluas_1", "atap_terluas_2", "sumber_airminum_2", "sumberpenerangan_1", "bb_utama_4",
    "fasilitas_bab_1", "jenis_kloset_1", "pembuangan_tinja_1",
)  # fmt: skip


def _families_breaks_of_all(good: list[Row], answers: dict[int, str]) -> dict[str, list[Row] | Break]:
    """Breaks of the rules that both versions have; ``answers``: number of a rule -> the answer that it counts."""
    assets = [name for name in good[0] if name.startswith("aset_bergerak_")]
    columns = [column.name for column in contracts()["bps/social_registry_families"].file_columns]
    return {
        "DTSEN-FAM-001": changed(good, no_kk="3.67101E+15"),
        "DTSEN-FAM-002": [*good, dict(good[0])],
        "DTSEN-FAM-007": changed(good, kode_kabupaten="3603"),
        "DTSEN-FAM-009": changed(good, jumlah_anggota_keluarga="40"),
        "DTSEN-FAM-010": changed(good, luas_lantai_bangunan="0"),
        "DTSEN-FAM-012": changed(good, jumlah_anggota_keluarga="-4"),
        **{
            f"DTSEN-FAM-{20 + number:03d}": changed(good, **{name: "98"})
            for number, name in enumerate(name for name in columns if name in assets)
        },
        "DTSEN-FAM-101": [*good, good[0] | {"desil_nasional": "9"}],
        **_place_breaks("DTSEN-FAM", 102, good),
        "DTSEN-FAM-106": Break(good, {"rows": 80.0}),
        "DTSEN-FAM-107": Break(good, {"rows": 10.0}),
        # Before, few families had the answer that all of them give now.
        **{f"DTSEN-FAM-{number}": Break(good, {f"share_{answer}": 0.2}) for number, answer in answers.items()},
        "DTSEN-FAM-129": Break(good, {"share_desil_1_to_4": 0.9}),
    }


def _families_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    answers = {130: "lantai_terluas_10", 121: "dinding_terluas_1", 132: "atap_terluas_9", 133: "sumber_airminum_12"}
    answers |= {
        122: "atap_terluas_2",
        124: "sumberpenerangan_1",
        135: "bb_utama_12",
        126: "fasilitas_bab_1",
        127: "jenis_kloset_1",
    }
    return _families_breaks_of_all(good, answers | {128: "pembuangan_tinja_1"}) | {
        "DTSEN-FAM-006": changed(good, desa="Antah Berantah"),
        # Karang Anyar for BPS, Cipondoh for Kemendagri; the name is neither.
        "DTSEN-FAM-008": changed(good, kode_kecamatan=None, kode_kelurahan="3671051001"),
        "DTSEN-FAM-105": every(good[:30], desa="Antah Berantah") + good[30:],
        "DTSEN-FAM-108": every(good, desil_nasional="Belum Ada Desl"),
        "DTSEN-FAM-111": every(good[:4], desa=None) + good[4:],
        # What reads as a place, of the other system.
        "DTSEN-FAM-112": [
            row | {"kode_kecamatan": None, "kode_kelurahan": code.replace(".", "")}
            for row, (code, _, _) in zip(good[:60], kelurahan(), strict=False)
        ]
        + good[60:],
        "DTSEN-FAM-113": every(good, desil_kabupaten_kota=None),
        "DTSEN-FAM-114": every(good, desil_kabupaten_kota="9"),
        "DTSEN-FAM-115": every(good, pbi_pemda=None),
    }


def _families_breaks_of_2025(good: list[Row]) -> dict[str, list[Row] | Break]:
    answers = dict(enumerate(_USUAL_ANSWERS, start=120))
    return _families_breaks_of_all(good, answers) | {
        "DTSEN-FAM-003": changed(good, desil_nasional="11"),
        "DTSEN-FAM-004": changed(good, desil_regsosek="12"),
        "DTSEN-FAM-005": changed(good, desil_p3ke="rendah"),
        # Valid in the BPS system alone.
        "DTSEN-FAM-006": changed(good, kode_kelurahan="3671030018", desa=None),
        # Valid in both systems: Cipondoh for Kemendagri, Karang Anyar for BPS.
        "DTSEN-FAM-008": changed(
            good, kode_kecamatan=None, kode_kelurahan="3671051001", kecamatan=None, desa="Karang Anyar"
        ),
        "DTSEN-FAM-011": changed(good, desil_nasional="1-4"),
        "DTSEN-FAM-109": every(good, status_dtsen=None),
        "DTSEN-FAM-105": [row | {"kode_kelurahan": "3671030018", "desa": None} for row in good[:30]] + good[30:],
        "DTSEN-FAM-108": every(good, desil_nasional="Belum Ada Desl", desil_p3ke=None),
    }


def _individuals() -> list[Row]:
    return [{name: cell for name, cell in row.items() if name != "desil_nasional_anggota"}
            for row in _individuals_of_2025()]  # fmt: skip


def _individuals_of_2025() -> list[Row]:
    rows = []
    for number in range(24):
        birth, female = date(1980, 1, 5) + timedelta(days=400 * number), number % 2 == 1
        rows.append(
            {
                "no_kk": kk(number // 2),
                "nik": nik(number, birth, female=female),
                "nama": f"Orang {number}",
                "tanggal_lahir": birth.isoformat(),
                "id_jenis_kelamin": "12"[female],
                "id_hub_kepala_keluarga": "12"[female],
                "id_partisipasi_sekolah": "3",
                "membantu_bekerja": "1",
                "id_lapangan_usaha_dari_usaha_utama": "12",
                "id_status_kedudukan_pekerjaan_utama": "1",
                "desil_nasional_anggota": "3",
            }
        )
    return rows


def _nik_breaks(prefix: str, good: list[Row], *, like: bool = True) -> dict[str, list[Row]]:
    breaks = {
        f"{prefix}-001": changed(good, nik="3.67101E+15"),
        f"{prefix}-002": changed(good, nik=good[0]["nik"][:8] + "13" + good[0]["nik"][10:]),
        f"{prefix}-003": changed(good, nik="1234567890123456"),
        f"{prefix}-004": changed(good, nik=good[0]["nik"][:12] + "0000"),
    }
    return breaks | ({f"{prefix}-005": changed(good, nik=nik(5, date(1999, 9, 9)))} if like else {})


def _individuals_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    return {
        **_nik_breaks("DTSEN-IND", good),
        "DTSEN-IND-006": changed(good, no_kk="367101"),
        "DTSEN-IND-007": [*good, dict(good[0])],
        "DTSEN-IND-008": changed(good, tanggal_lahir="2027-01-01"),
        "DTSEN-IND-009": changed(good, tanggal_lahir="1890-01-01"),
        "DTSEN-IND-020": changed(good, 1, nik=good[0]["nik"]),
        "DTSEN-IND-101": changed(good, id_hub_kepala_keluarga="3"),
        "DTSEN-IND-102": changed(good, 1, id_hub_kepala_keluarga="1"),
        "DTSEN-IND-103": [row | {"nik": None} for row in good[:6]] + good[6:],
        "DTSEN-IND-106": every(good, membantu_bekerja=None, id_status_kedudukan_pekerjaan_utama=None),
        "DTSEN-IND-104": Break(good, {"rows": 20.0}),
        "DTSEN-IND-105": Break(good, {"rows": 2.0}),
        **{
            f"DTSEN-IND-{120 + number}": Break(good, {f"share_{answer}": 0.3})
            for number, answer in enumerate(("status_4", "status_5", "status_8", "school_2"))
        },
    }


def _individuals_breaks_of_2025(good: list[Row]) -> dict[str, list[Row] | Break]:
    return _individuals_breaks(good) | {"DTSEN-IND-010": changed(good, desil_nasional_anggota="11")}


def _assistance() -> list[Row]:
    return [
        {
            "no_kk": kk(number),
            "nik": nik(number, date(1985, 5, 5)),
            "nama": f"Penerima {number}",
            "kecamatan": kecamatan,
            "desa": name,
            "pkh": "1",
            "bpnt": "0",
            "pbi_jk": "Ya",
        }
        for number, (_, name, kecamatan) in enumerate(kelurahan())
    ]


def _assistance_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    return {
        **_nik_breaks("ASSIST", good, like=False),
        "ASSIST-006": changed(good, no_kk="12"),
        "ASSIST-007": [*good, dict(good[0])],
        "ASSIST-008": changed(good, desa="Antah Berantah"),
        **_place_breaks("ASSIST", 101, good),
        "ASSIST-104": every(good[:30], desa="Antah Berantah") + good[30:],
        "ASSIST-105": Break(good, {"rows": 150.0}),
        "ASSIST-106": Break(good, {"rows": 1000.0}),
        "ASSIST-107": every(good, pkh="0", bpnt="0", pbi_jk="Tidak"),
    }


def _targets() -> list[Row]:
    return [
        {"tahun": "2025", "kec": kecamatan, "puskesmas": "Cikokol", "desa_kel": name, "sasaran_balita": "740"}
        for _, name, kecamatan in kelurahan()
    ]


def _targets_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    return {
        "TARGET-001": changed(good, desa_kel="Antah Berantah"),
        "TARGET-002": [*good, dict(good[0])],
        "TARGET-003": changed(good, sasaran_balita="-3"),
        "TARGET-004": changed(good, tahun="2024"),
        **_place_breaks("TARGET", 101, good),
        "TARGET-104": Break(good, {"target": 10_000.0}),
    }


def _participants() -> list[Row]:
    rows = []
    for number in range(12):
        birth, female = date(1980, 6, 9) + timedelta(days=500 * number), number % 2 == 1
        rows.append(
            {
                "no_kpj": f"26{number:09d}",
                "nik": nik(number, birth, female=female),
                "nama": f"Pekerja {number}",
                "tgl_lahir": birth.isoformat(),
                "jk": "LP"[female],
                "segmen": ("PU", "BPU")[female],
                "program": "JKK,JKM,JHT",
                "status_aktif": "AKTIF",
                "tgl_kpj": "2024-03-01",
                "blth_iuran": "2026-10",
                "iuran": "36800",
                "pembayar": ("PEMBERI KERJA", "SENDIRI")[female],
            }
        )
    return rows


def _participants_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    return {
        **_nik_breaks("JAMSOSTEK", good),
        "JAMSOSTEK-006": changed(good, segmen="MAGANG"),
        "JAMSOSTEK-007": [*good, dict(good[0])],
        "JAMSOSTEK-008": changed(good, tgl_kpj="2026-11-15"),
        "JAMSOSTEK-009": changed(good, blth_iuran=None),
        "JAMSOSTEK-010": changed(good, 1, iuran="8400", pembayar="APBD"),
        "JAMSOSTEK-011": changed(good, tgl_lahir="2020-01-01"),
        "JAMSOSTEK-012": changed(good, program="JKK,ASURANSI"),
        "JAMSOSTEK-020": changed(good, 1, nik=good[0]["nik"]),
        "JAMSOSTEK-021": changed(good, 1, no_kpj=good[0]["no_kpj"]),
        "JAMSOSTEK-013": Break(changed(good, kantor_cabang="Batuceper"), part="cikokol"),
        "JAMSOSTEK-105": Break(every(good, kantor_cabang="KANTOR CABANG CIMONE"), part="cikokol"),
        "JAMSOSTEK-101": Break(good, {"rows": 10.0}),
        "JAMSOSTEK-102": Break(good, {"rows": 100.0}),
        "JAMSOSTEK-103": every(good[:3], nik=None) + good[3:],
        "JAMSOSTEK-104": every(good, segmen="PU"),
    }


_AGES = tuple(f"u{age}" for age in range(15, 65, 5))


def _population() -> list[Row]:
    return [
        {
            "no_prop": "36",
            "no_kab": "71",
            "no_kec": str(int(code[6:8])),
            "no_kel": code[9:],
            "nama_kel": name.upper(),
            "jumlah_penduduk": "18000",
            "pria": "9050",
            "wanita": "8950",
            "jumlah_kk": "5300",
            "u0": "1300",
            **dict.fromkeys(_AGES, "1250"),
        }
        for code, name, _ in kelurahan()
    ]


def _population_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    return {
        "DUKCAPIL-001": changed(good, no_kel="1999"),
        "DUKCAPIL-002": [*good, dict(good[0])],
        "DUKCAPIL-003": changed(good, jumlah_penduduk="0"),
        "DUKCAPIL-004": changed(good, pria="1"),
        "DUKCAPIL-005": changed(good, nama_kel="BENDA"),
        "DUKCAPIL-006": changed(good, u0="-1"),
        "DUKCAPIL-101": good[:-1],
        "DUKCAPIL-102": good[:51],
        "DUKCAPIL-103": [row for row in good if row["no_kec"] != "4"],
        "DUKCAPIL-104": Break(good, {"population": 2_000_000.0}),
        "DUKCAPIL-105": Break(good, {"population": 200_000.0}),
        "DUKCAPIL-106": Break(good, {"population": 18_000.0 * 104}),
    }


def _outreach() -> list[Row]:
    return [
        {
            "tanggal": f"2026-10-{5 + number:02d}",
            "sesi": "1",
            "kecamatan": "Benda",
            "kelurahan": "Pajang",
            "segmen": "BPU",
            "jenis_pekerja": "Pedagang",
            "jumlah_hadir": "30",
            "jumlah_mendaftar": "4",
        }
        for number in range(4)
    ]


def _outreach_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    return {
        "OUTREACH-001": changed(good, kelurahan="Antah Berantah"),
        "OUTREACH-002": [*good, dict(good[0])],
        "OUTREACH-003": changed(good, tanggal="2026-12-24"),
        "OUTREACH-004": changed(good, jumlah_hadir="-1"),
        "OUTREACH-005": changed(good, jumlah_mendaftar="-2"),
        "OUTREACH-006": changed(good, jumlah_mendaftar="31"),
        "OUTREACH-007": changed(good, kecamatan="Ciledug", kelurahan="Parung Serab"),
        "OUTREACH-008": changed(good, tanggal="2026-09-30"),
        "OUTREACH-102": every(good, kecamatan="Ciledug", kelurahan="Parung Serab"),
        "OUTREACH-101": every(good, tanggal="2026-09-30"),
    }


_BANTEN = {"3600": "777.49", "3601": "109.21", "3602": "101.52", "3603": "271.28", "3604": "73.24", "3671": "128.91",
           "3672": "17.48", "3673": "41.95", "3674": "43.90"}  # fmt: skip


def _indicators() -> list[Row]:
    parts = sum(float(value) for code, value in _BANTEN.items() if code != "3600")
    return [
        {
            "var_id": "619",
            "unit": "Tidak Ada Satuan",
            "vervar": code,
            "vervar_label": f"Wilayah {code}",
            "turvar": "0",
            "turvar_label": "Tidak ada",
            "tahun": "2025",
            "turth": "0",
            "turth_label": "Tahun",
            "value": f"{parts:.2f}" if code == "3600" else value,
            "last_update": "2026-01-01 00:00:00",
        }
        for code, value in _BANTEN.items()
    ]


def _indicators_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    return {
        "BPS-001": changed(good, 1, value="-5"),
        "BPS-002": every(good, tahun="2024"),
        "BPS-003": [*good, dict(good[0])],
        "BPS-101": [*good, good[0] | {"turth": "1", "turth_label": "Januari"}],
        "BPS-102": Break(good, {"median_value": 73_000.0}),
        "BPS-103": changed(good, 5, value="28.91"),
        "BPS-104": [row for row in good if row["vervar"] != "3671"],
        "BPS-105": Break(good, {"kota_tangerang_level": 0.12891}),
    }


def _official() -> list[Row]:
    return [
        {
            "indikator": "stunting",
            "nama_wilayah": "Kota Tangerang",
            "provinsi": "Banten",
            "kode_bps": "3671",
            "periode": str(year),
            "nilai": value,
            "satuan": "persen",
            "ci95_bawah": "9,0",
            "ci95_atas": "20",
            "sistem_sumber": "SSGI",
            "judul_sumber": f"SSGI {year}",
            "tanggal_terbit": f"{year + 1}-05-20",
        }
        for year, value in ((2021, "15,3"), (2022, "11.8"), (2024, "11.2"))
    ]


def _official_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    return {
        "OFFICIAL-001": changed(good, periode="tahun lalu"),
        "OFFICIAL-002": changed(good, nilai="153"),
        "OFFICIAL-003": changed(good, nilai="25"),
        "OFFICIAL-004": [*good, dict(good[0])],
        "OFFICIAL-005": changed(good, tanggal_terbit=None),
        "OFFICIAL-006": changed(good, nilai="-"),
        "OFFICIAL-007": changed(good, periode="2002"),
        "OFFICIAL-008": changed(good, nama_wilayah="Kota Tngerang", kode_bps=None),
        "OFFICIAL-009": changed(good, satuan="orang"),
        "OFFICIAL-010": changed(good, indikator="active_workers", nilai="736,5", ci95_bawah=None, ci95_atas=None),
    }


def _investment() -> list[Row]:
    return [
        {"tahun": "2026", "triwulan": "3", "jenis": kind, "realisasi_rp": value}
        for kind, value in (("PMA", "3100000000000"), ("PMDN", "2900000000000"))
    ]


def _investment_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    return {
        "INVEST-001": every(good, triwulan="2"),
        "INVEST-002": changed(good, realisasi_rp="-1"),
        "INVEST-003": [*good, dict(good[0])],
        "INVEST-101": Break(good, {"total_idr": 1e12}),
        "INVEST-102": Break(good, {"total_idr": 6e6}),
    }


def _domestic() -> list[Row]:
    return [
        {
            "tahun": "2025",
            "perangkat_daerah": office,
            "belanja_total_rp": "1000000000",
            "belanja_pdn_rp": "900000000",
            "belanja_umk_rp": "400000000",
        }
        for office in ("Dinas Kesehatan", "Dinas Sosial")
    ]


def _domestic_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    return {
        "PDN-001": every(good, tahun="2024"),
        "PDN-002": changed(good, belanja_total_rp="-1"),
        "PDN-003": changed(good, belanja_pdn_rp="1100000000"),
        "PDN-004": [*good, dict(good[0])],
    }


def _digital() -> list[Row]:
    return [
        {"tahun": "2025", "indikator": name, "nilai": "4.1", "target": "4.2"}
        for name in ("Indeks SPBE", "Domain Layanan")
    ]


def _digital_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    return {
        "SPBE-001": every(good, tahun="2024"),
        "SPBE-002": changed(good, nilai="41"),
        "SPBE-003": changed(good, target="42"),
        "SPBE-004": [*good, dict(good[0])],
    }


def _portal_poverty() -> list[Row]:
    title = "Persentase Penduduk Miskin Maret 2025"
    return [
        {"yyyy": "2025", "title": title, "provinsi": "Banten", "nama_wilayah": name, "value": value}
        for name, value in (("Kota Tangerang", "5.19"), ("Kota Serang", "5.51"), ("Kabupaten Lebak", "8.03"))
    ]


def _portal_poverty_breaks(good: list[Row]) -> dict[str, list[Row] | Break]:
    return {
        "PORTALPOV-101": every(good, yyyy="2011"),
        # Of Kabupaten Serang, 2015, in two files of the provincial portal.
        "PORTALPOV-102": [
            row | {"nama_wilayah": "Kabupaten Serang"} | own
            for row in good[:1]
            for own in ({"value": "5.09"}, {"title": "Persentase Penduduk Tidak Miskin Maret 2025", "value": "94.31"})
        ],
        "PORTALPOV-103": every(good, title="Persentase Penduduk Miskin Maret 2024", yyyy="2024"),
        "PORTALPOV-002": changed(good, nama_wilayah="Kota Tngerang"),
        "PORTALPOV-003": every(good, title="Laju 2025"),
        "PORTALPOV-004": changed(good, value="519"),
        "PORTALPOV-005": [*good, dict(good[0])],
        "PORTALPOV-006": changed(good, value=None),
        "PORTALPOV-007": changed(good, title="Garis Kemiskinan Maret 2025", value="838535.5"),
    }


_GOOD: dict[str, Callable[[], list[Row]]] = {
    "bpjstk/participants": _participants,
    "bps/indicators": _indicators,
    "bps/social_registry_families": _families,
    "bps/social_registry_families@1": _families_of_2025,
    "bps/social_registry_individuals": _individuals,
    "bps/social_registry_individuals@1": _individuals_of_2025,
    "dukcapil/population": _population,
    "kemenkes/eppgbm": _eppgbm,
    "kemenkes/under_five_targets": _targets,
    "kemensos/assistance": _assistance,
    "polri/outreach": _outreach,
    "portal/digital_services": _digital,
    "portal/domestic_products": _domestic,
    "portal/investment": _investment,
    "portal/poverty_indicators": _portal_poverty,
    "published/official_figures": _official,
}
_BREAKS: dict[str, Callable[[list[Row]], dict[str, list[Row] | Break]]] = {
    "bpjstk/participants": _participants_breaks,
    "bps/indicators": _indicators_breaks,
    "bps/social_registry_families": _families_breaks,
    "bps/social_registry_families@1": _families_breaks_of_2025,
    "bps/social_registry_individuals": _individuals_breaks,
    "bps/social_registry_individuals@1": _individuals_breaks_of_2025,
    "dukcapil/population": _population_breaks,
    "kemenkes/eppgbm": _eppgbm_breaks,
    "kemenkes/under_five_targets": _targets_breaks,
    "kemensos/assistance": _assistance_breaks,
    "polri/outreach": _outreach_breaks,
    "portal/digital_services": _digital_breaks,
    "portal/domestic_products": _domestic_breaks,
    "portal/investment": _investment_breaks,
    "portal/poverty_indicators": _portal_poverty_breaks,
    "published/official_figures": _official_breaks,
}


# --- files ------------------------------------------------------------------------------------------------------------


def as_file(dataset: str, rows: list[Row], shape: str | None = None) -> tuple[bytes, str]:
    """The rows in the named shape, by default the contract's first: bytes and media (csv, xlsx, json, pages)."""
    contract = versions()[dataset]
    chosen = next(one for one in contract.extras.shapes if shape in (None, one.name))
    return _WRITERS[chosen.media](contract, chosen, rows)


def headers(contract: Contract, rows: list[Row]) -> dict[str, str]:
    """Column name -> header, of the columns that any row has."""
    known = {column.name: column.header for column in contract.file_columns}
    return {name: known.get(name, name) for name in dict.fromkeys(name for row in rows for name in row)}


def grid(contract: Contract, rows: list[Row]) -> list[list[str]]:
    names = headers(contract, rows)
    return [list(names.values()), *([row.get(name) or "" for name in names] for row in rows)]


def csv_bytes(table: list[list[str]], delimiter: str = ",", encoding: str = "utf-8", **options) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, **options).writerows(table)
    return text.getvalue().encode(encoding)


class Formula(str):
    """A cell that a workbook holds as a formula; any other text is text, even when it begins with ``=``."""


def xlsx_bytes(*sheets: list[list]) -> bytes:
    """A workbook with these sheets; text stays text, numbers and dates are what a spreadsheet makes of them."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True, "default_date_format": "dd/mm/yyyy"}) as book:
        for table in sheets:
            sheet = book.add_worksheet()
            for row, cells in enumerate(table):
                for column, cell in enumerate(cells):
                    write = sheet.write_string if type(cell) is str else sheet.write
                    write(row, column, cell)
    return buffer.getvalue()


def pages_bytes(*bodies: object) -> bytes:
    """Answers in a tar, as fetching keeps them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number, body in enumerate(bodies, start=1):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            member = tarfile.TarInfo(f"page-{number:05d}.json")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _csv(contract: Contract, shape: FileShape, rows: list[Row]) -> tuple[bytes, str]:
    return csv_bytes(grid(contract, rows), shape.delimiters[0], shape.encodings[0]), "csv"


def _xlsx(contract: Contract, shape: FileShape, rows: list[Row]) -> tuple[bytes, str]:
    titles = [["Laporan"]] * min(shape.title_rows, 1)
    return xlsx_bytes(titles + grid(contract, rows)), "xlsx"


def _nested(path: str | None, value: object) -> object:
    for step in reversed((path or "").split(".")):
        value = {step: value} if step else value
    return value


def _json(contract: Contract, shape: FileShape, rows: list[Row]) -> tuple[bytes, str]:
    names = headers(contract, rows)
    records = [_nested(shape.fields_path, {names[name]: value for name, value in row.items()}) for row in rows]
    middle = max(len(records) // 2, 1)
    halves = [half for half in (records[:middle], records[middle:]) if half]
    return pages_bytes(*(_nested(shape.records_path, half) for half in halves)), "pages"


def _bps_table(contract: Contract, shape: FileShape, rows: list[Row]) -> tuple[bytes, str]:
    """As many answers as it takes for no figure to be in one answer twice."""
    answers: list[dict[str, Row]] = []
    for row in rows:
        key = "|".join(row[name] or "" for name in ("vervar", "var_id", "turvar", "tahun", "turth"))
        place = next((answer for answer in answers if key not in answer), None)
        if place is None:
            answers.append(place := {})
        place[key] = row
    return pages_bytes(*(_bps_answer(list(answer.values())) for answer in answers)), "pages"


def _bps_answer(rows: list[Row]) -> dict:
    def items(value: str, **labels: str) -> list[dict]:
        found = {row[value] or "": {label: row.get(name) for label, name in labels.items()} for row in rows}
        return [{"val": val, **about} for val, about in found.items()]

    years = [
        {"val": int(year) - 1900 if (year or "").isdigit() else year or "", "label": year}
        for year in dict.fromkeys(row["tahun"] for row in rows)
    ]
    ids = {year["label"]: str(year["val"]) for year in years}
    return {
        "status": "OK",
        "data-availability": "available",
        "last_update": rows[0]["last_update"],
        "var": items("var_id", unit="unit"),
        "turvar": items("turvar", label="turvar_label"),
        "vervar": items("vervar", label="vervar_label"),
        "tahun": years,
        "turtahun": items("turth", label="turth_label"),
        "datacontent": {
            "".join((row["vervar"] or "", row["var_id"] or "", row["turvar"], ids[row["tahun"]], row["turth"])): row[
                "value"
            ]
            for row in rows
        },
    }


def _charts(contract: Contract, shape: FileShape, rows: list[Row]) -> tuple[bytes, str]:
    charts: dict[tuple, list[Row]] = {}
    for row in rows:
        charts.setdefault((row["yyyy"], row["title"], row["provinsi"]), []).append(row)
    body = [
        {
            "xAxis": {"yyyy": yyyy, "title": title, "name": name, "data": [row["nama_wilayah"] for row in chart]},
            "series": [{"data": [row["value"] for row in chart]}],
        }
        for (yyyy, title, name), chart in charts.items()
    ]
    return json.dumps(body).encode(), "json"


_WRITERS: dict[str, Callable[[Contract, FileShape, list[Row]], tuple[bytes, str]]] = {
    "csv": _csv,
    "xlsx": _xlsx,
    "json_pages": _json,
    "bps_webapi": _bps_table,
    "bantenprov": _charts,
}
