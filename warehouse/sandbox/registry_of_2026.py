"""DTSEN as BPS hands it out since 2026 (its v3): 52 columns of families, 48 of individuals, and how they are written.

Here: the layout, made of the one before it, merged answers, the quirks its readers report (ragged lines, bad bytes,
codes that went through a column of numbers). Not here: who is listed and what is known of them (render_registry).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from warehouse.core.periods import Period
from warehouse.sandbox.housing import ANIMALS
from warehouse.sandbox.margins import Kelurahan, read_seed

# Which quarter brought it nobody has written; its readers are of the newest one when they were found (30 Nov 2026).
SINCE = Period.parse("2026-Q3")
_REGENCY = "36.71"
# A double holds such a number of sixteen digits exactly.
_NUMBER = "^[0-8][0-9]{15}$"
# Answers that became one, by the number of the new one.
_MERGED = {
    "id_lantai_terluas": {1: 10, 2: 10, 4: 10},
    "id_atap_terluas": {3: 9, 4: 9},
    "id_sumber_airminum": {1: 12, 2: 12},
    "id_bb_utama": {1: 12, 2: 12, 3: 12, 4: 12, 5: 12},
}
_FAMILY = {
    "nomor_kartu_keluarga": "no_kk", "alamat": "alamat", "jumlah_anggota_keluarga": "jumlah_anggota_keluarga",
    "nama_kepala_keluarga": "nama_kepala_keluarga", "desil_nasional": "desil_nasional",
    "status_kepemilikan_rumah": "id_status_penguasaan_bangunan", "jenis_lantai_terluas": "id_lantai_terluas",
    "luas_lantai": "luas_lantai_bangunan", "jenis_dinding_terluas": "id_dinding_terluas",
    "jenis_atap_terluas": "id_atap_terluas", "sumber_air_minum_utama": "id_sumber_airminum",
    "sumber_penerangan_utama": "id_sumberpenerangan", "bahan_bakar_utama_memasak": "id_bb_utama",
    "fasilitas_bab": "id_fasilitas_bab", "jenis_kloset": "id_jenis_kloset",
    "pembuangan_akhir_tinja": "id_pembuangan_tinja", "aset_tidak_bergerak_lahan_lainnya": "lahan_tempat_lain",
    "aset_tidak_bergerak_rumah_lainnya": "rumah_tempat_lain",
    **{f"jumlah_ternak_{name.removeprefix('jml_')}": name for name in ANIMALS},
}  # fmt: skip
FAMILIES = (
    "nomor_kartu_keluarga", "kode_provinsi", "nama_provinsi", "kode_kabupaten_kota", "nama_kabupaten_kota",
    "kode_kecamatan", "nama_kecamatan", "kode_kelurahan_desa", "nama_kelurahan_desa", "alamat",
    "jumlah_anggota_keluarga", "nama_kepala_keluarga", "desil_nasional", "desil_provinsi", "desil_kabupaten_kota",
    "pbi_nas", "pbi_pemda", "id_pelanggan_pln", "status_kepemilikan_rumah", "jenis_lantai_terluas", "luas_lantai",
    "jenis_dinding_terluas", "jenis_atap_terluas", "sumber_air_minum_utama", "sumber_penerangan_utama",
    "daya_terpasang", "bahan_bakar_utama_memasak", "fasilitas_bab", "jenis_kloset", "pembuangan_akhir_tinja",
    "kepemilikan_aset", *(f"aset_bergerak_{name}" for name in (
        "tabung_gas", "lemari_es", "ac", "pemanas_air", "telepon_rumah", "tv_datar", "emas_perhiasan",
        "komputer_laptop_tablet", "sepeda_motor", "sepeda", "mobil", "perahu", "kapal_perahu_motor", "smartphone",
    )), "aset_tidak_bergerak_lahan_lainnya", "aset_tidak_bergerak_rumah_lainnya",
    *(f"jumlah_ternak_{name.removeprefix('jml_')}" for name in ANIMALS),
)  # fmt: skip
_SCALES = (
    "penglihatan", "pendengaran", "berjalan_atau_naik_tangga", "menggunakan_tangan_jari",
    "belajar_kemampuan_intelektual", "pengendalian_perilaku", "berbicara_komunikasi", "mengurus_diri",
    "mengingat_berkonsentrasi", "kesedihan_depresi",
)  # fmt: skip
_INDIVIDUAL = {
    "nomor_kartu_keluarga": "no_kk", "nomor_induk_kependudukan": "nik", "nama": "nama",
    "tanggal_lahir": "tanggal_lahir", "jenis_kelamin": "id_jenis_kelamin",
    "status_hubungan_keluarga": "id_hub_kepala_keluarga", "status_kawin": "id_status_perkawinan",
    "partisipasi_sekolah": "id_partisipasi_sekolah", "status_bekerja": "membantu_bekerja",
    "jenjang_tertinggi_yang_diduduki": "id_jenjang_pendidikan_dukcapil",
    "ijazah_tertinggi_yang_dimiliki": "id_jenjang_pendidikan_dukcapil",
    "pendidikan_akhir_ktp": "id_jenjang_pendidikan_dukcapil",
    "lapangan_usaha_dari_pekerjaan_utama": "id_lapangan_usaha_dari_usaha_utama",
    "status_dalam_pekerjaan_utama": "id_status_kedudukan_pekerjaan_utama",
    "kepemilikan_usaha": "id_kepemilikan_izin_usaha", "jumlah_usaha": "jumlah_jenis_usaha",
    "jumlah_pekerja_dibayar": "jumlah_pekerja_dibayar", "jumlah_pekerja_tidak_dibayar": "jumlah_pekerja_tidak_dibayar",
    "omzet_usaha_utama": "id_omset_usaha_utama", "kondisi_gizi": "id_kondisi_gizi",
    "penyakit_kronis": "id_penyakit_menahun", **{name: f"id_{name}" for name in _SCALES},
}  # fmt: skip
INDIVIDUALS = (
    "nomor_kartu_keluarga", "nomor_induk_kependudukan", "nama", "tanggal_lahir", "jenis_kelamin",
    "status_hubungan_keluarga", "pbi_nas", "pbi_pemda", "status_kawin", "partisipasi_sekolah",
    "jenjang_tertinggi_yang_diduduki", "kelas_tertinggi_yang_diduduki", "ijazah_tertinggi_yang_dimiliki",
    "status_bekerja", "lapangan_usaha_dari_pekerjaan_utama", "status_dalam_pekerjaan_utama", "kepemilikan_usaha",
    "jumlah_usaha", "lapangan_usaha_dari_usaha_utama", "jumlah_pekerja_dibayar", "jumlah_pekerja_tidak_dibayar",
    "omzet_usaha_utama", "kondisi_gizi", *_SCALES, "penyakit_kronis", "kode_provinsi_ktp", "nama_provinsi_ktp",
    "kode_kabupaten_kota_ktp", "nama_kabupaten_kota_ktp", "kode_kecamatan_ktp", "nama_kecamatan_ktp",
    "kode_kelurahan_desa_ktp", "nama_kelurahan_desa_ktp", "alamat_ktp", "rt", "rw", "dusun", "pekerjaan_ktp",
    "pendidikan_akhir_ktp",
)  # fmt: skip


@dataclass(frozen=True)
class Premiums:
    """Whose JKN premium the state budget pays (``national``), and whose the province's or the city's (``local``)."""

    national: np.ndarray
    local: np.ndarray


def file_name(kind: str, period: Period) -> str:
    """``keluarga`` or ``anggota_keluarga``, by year and regency."""
    return f"{kind}_dtsen_v3_{period.start.year}_{_REGENCY}.csv"


def premiums(is_paid: np.ndarray, family: np.ndarray) -> Premiums:
    """Two of three premiums that are paid for a family are the city's (PBI-APBD of December 2025)."""
    is_local = is_paid & (family * 7919 % 1000 < 675)
    return Premiums(is_paid & ~is_local, is_local)


def city_deciles(rank: np.ndarray, national: np.ndarray) -> np.ndarray:
    """Desil within the city of families in the order of ``rank``, a tenth in each; 0 for one that is not ranked."""
    is_ranked = national > 0
    limits = np.quantile(rank[is_ranked], np.arange(1, 10) / 10) if is_ranked.any() else np.zeros(9)
    return np.where(is_ranked, np.searchsorted(limits, rank, side="right") + 1, 0)


def families(
    before: pa.Table, area: Kelurahan, place: np.ndarray, family: np.ndarray, decile: np.ndarray, paid: Premiums
) -> pa.Table:
    """The file of families, of the same rows in the layout before it."""
    codes_of = {name: _merged(before[name].to_numpy(zero_copy_only=False), codes) for name, codes in _MERGED.items()}
    columns = {new: codes_of.get(old, before[old]) for new, old in _FAMILY.items()}
    columns |= {name: before[name] for name in FAMILIES if name in before.column_names}
    decile_column = pa.array(decile, mask=decile == 0)
    columns |= _places(area, place, "")
    columns |= {
        "desil_provinsi": decile_column, "desil_kabupaten_kota": decile_column, "pbi_nas": _answers(paid.national),
        "pbi_pemda": _answers(paid.local), "daya_terpasang": before["id_dayapenerangan"],
        "id_pelanggan_pln": pa.array([f"548{number:09d}" for number in family]),
    }  # fmt: skip
    return _ordered(columns, FAMILIES, before.num_rows)


def individuals(before: pa.Table, area: Kelurahan, place: np.ndarray, address: pa.Array, paid: Premiums) -> pa.Table:
    """The file of individuals; ``place`` and ``address`` are those of the identity card."""
    columns = {new: before[old] for new, old in _INDIVIDUAL.items()}
    has_business = pc.is_valid(before["id_kepemilikan_izin_usaha"])
    sector = before["id_lapangan_usaha_dari_usaha_utama"]
    columns |= _places(area, place, "_ktp")
    columns |= {
        "pbi_nas": _answers(paid.national), "pbi_pemda": _answers(paid.local), "alamat_ktp": address,
        "lapangan_usaha_dari_usaha_utama": pc.if_else(has_business, sector, None),
    }  # fmt: skip
    return _ordered(columns, INDIVIDUALS, before.num_rows)


def write(path: Path, table: pa.Table, ragged: Sequence[int], bad: Sequence[int]) -> None:
    """``|``, everything quoted. Numbers of a column with gaps end in ``.0``; ``ragged`` rows lose or gain a field,
    ``bad`` ones have a byte that is no letter of UTF-8.
    """  # fmt: skip
    sink = pa.BufferOutputStream()
    options = pyarrow.csv.WriteOptions(delimiter="|", quoting_style="all_valid", batch_size=16_384)
    pyarrow.csv.write_csv(pa.table({name: _as_read(table[name]) for name in table.column_names}), sink, options)
    lines = sink.getvalue().to_pybytes().split(b"\n")
    for number, row in enumerate(ragged):
        lines[row + 1] = lines[row + 1] + b'|""' if number % 2 else lines[row + 1].rpartition(b"|")[0]
    for row in bad:
        lines[row + 1] = lines[row + 1].replace(b'"Jl', b'"Jl\x8f', 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\n".join(lines))


def _as_read(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of numbers with gaps was read into doubles, and numbers of sixteen digits were among them."""
    if not column.null_count or column.null_count == len(column):
        return column
    text = column.cast(pa.string())
    is_number = pc.match_substring_regex(text, _NUMBER if column.type == pa.string() else "^[0-9]+$")
    return pc.if_else(is_number, pc.binary_join_element_wise(text, ".0", ""), text)


def _merged(codes: np.ndarray, into: dict[int, int]) -> pa.Array:
    result = codes.copy()
    for old, new in into.items():
        result[codes == old] = new
    return pa.array(result)


def _answers(is_yes: np.ndarray) -> pa.Array:
    return pa.array(is_yes.astype(np.int8))


def _places(area: Kelurahan, place: np.ndarray, suffix: str) -> dict[str, pa.Array]:
    """BPS codes and names of kelurahan and all above them."""
    bps = {row["kemendagri_code"]: row["bps_code"] for row in read_seed("regions")}
    kelurahan = pa.array([bps[code] for code in area.codes]).take(pa.array(place))
    words = {
        "nama_kelurahan_desa": area.names, "nama_kecamatan": area.kecamatan_names,
        "nama_kabupaten_kota": ["Kota Tangerang"] * len(area.codes), "nama_provinsi": ["Banten"] * len(area.codes),
    }  # fmt: skip
    names = {name: pa.array([word.upper() for word in each]).take(pa.array(place)) for name, each in words.items()}
    widths = {"kode_provinsi": 2, "kode_kabupaten_kota": 4, "kode_kecamatan": 7, "kode_kelurahan_desa": 10}
    codes = {name: pc.utf8_slice_codeunits(kelurahan, 0, width) for name, width in widths.items()}
    return {f"{name}{suffix}": values for name, values in (names | codes).items()}


def _ordered(columns: dict[str, pa.Array], names: Sequence[str], rows: int) -> pa.Table:
    return pa.table({name: columns.get(name, pa.nulls(rows, pa.string())) for name in names})
