"""DTSEN comes in two layouts: which one a file is of, and of which code system its places are, the file tells."""

import csv
from pathlib import Path

import duckdb
import pytest

from tests.support import samples
from warehouse import night
from warehouse.core.errors import UnreadableDelivery
from warehouse.core.settings import Settings
from warehouse.intake import decisions, gate
from warehouse.intake.parse import parse
from warehouse.ledger.warehouse import open_warehouse
from warehouse.storage import keys, lake

DATA = Path(__file__).parent.parent / "data"
FAMILIES, INDIVIDUALS = "bps/social_registry_families", "bps/social_registry_individuals"
# The header of the file as its public readers list it: 52 and 48 columns (tests/data/dtsen/v3_*.txt).
V3 = {FAMILIES: ("v3_families.txt", 52), INDIVIDUALS: ("v3_individuals.txt", 48)}


def file_of(dataset: str, rows: list[samples.Row] | None = None) -> tuple[bytes, str]:
    return samples.as_file(dataset, samples.good_rows(dataset) if rows is None else rows)


def judged(settings: Settings, dataset: str, *files: tuple[bytes, str], is_overridden: bool = False) -> list:
    """Files of one dataset, each judged in the same run; held ones too where they are overridden."""
    contract = samples.contracts()[dataset]
    parsed = {str(number): parse(contract, *one) for number, one in enumerate(files)}
    contexts = {key: gate.DeliveryContext(samples.period(dataset), "all", samples.RECEIVED_AT) for key in parsed}
    overridden = frozenset(parsed) if is_overridden else frozenset()
    found = gate.judge(settings, contract, parsed, contexts, [], overridden)
    return [found[key] for key in parsed]


def columns_of(name: str) -> list[str]:
    return (DATA / "dtsen" / name).read_text(encoding="utf-8").split()


@pytest.mark.parametrize("dataset", V3)
def test_a_file_is_of_the_version_whose_header_it_has(dataset: str) -> None:
    contract = samples.contracts()[dataset]
    assert [one.major for one in contract.versions] == [2, 1]
    for name, version in zip((dataset, f"{dataset}@1"), (one.version for one in contract.versions), strict=True):
        parsed = parse(contract, *file_of(name))
        assert parsed.version == version
        assert set(parsed.table.column_names) >= {one.name for one in samples.versions()[name].file_columns}


@pytest.mark.parametrize("dataset", V3)
def test_every_column_of_the_layout_is_read_or_dropped_with_a_reason(dataset: str) -> None:
    name, count = V3[dataset]
    listed = columns_of(name)
    assert len(listed) == count
    rows = samples.good_rows(dataset)
    read = samples.headers(samples.contracts()[dataset], rows).values()
    others = {header: "1" for header in listed if header not in read}
    parsed = parse(samples.contracts()[dataset], *file_of(dataset, samples.every(rows, **others)))
    assert (parsed.version, parsed.unknown_headers) == ("2.0.0", [])


def test_household_meters_and_identity_card_addresses_are_dropped_while_reading() -> None:
    marked = {"id_pelanggan_pln": "548000000001", "alamat": "Jl. Kartu"}
    parsed = parse(
        samples.contracts()[FAMILIES], *file_of(FAMILIES, samples.every(samples.good_rows(FAMILIES), **marked))
    )
    assert not {*marked.values()} & set(str(parsed.table.to_pydict()).split("'"))
    ktp = {
        "alamat_ktp": "Jl. Kartu",
        "nama_kelurahan_desa_ktp": "Kelurahan Kartu",
        "kode_kelurahan_desa_ktp": "3671030001",
    }
    rows = samples.every(samples.good_rows(INDIVIDUALS), **ktp)
    parsed = parse(samples.contracts()[INDIVIDUALS], *file_of(INDIVIDUALS, rows))
    assert not {*ktp.values()} & set(str(parsed.table.to_pydict()).split("'"))


def test_a_file_of_no_version_is_told_what_each_of_them_lacks() -> None:
    header, *rest = file_of(FAMILIES)[0].decode().splitlines()
    lacking = "\n".join([header.replace("desil_kabupaten_kota", "desil_kota_baru"), *rest]).encode()
    with pytest.raises(UnreadableDelivery) as error:
        parse(samples.contracts()[FAMILIES], lacking, "csv")
    assert error.value.code == "PARSE_UNKNOWN_LAYOUT"
    assert "2.0.0: desil_kabupaten_kota; 1.0.0: id_lantai_terluas, id_dinding_terluas" in error.value.message_en
    assert "2.0.0: desil_kabupaten_kota; 1.0.0: id_lantai_terluas" in error.value.message_id


@pytest.mark.parametrize("name", [FAMILIES, f"{FAMILIES}@1"])
def test_what_else_is_wrong_with_a_file_is_told_of_the_version_it_is_of(name: str) -> None:
    data, media = file_of(name)
    with pytest.raises(UnreadableDelivery, match="PARSE_TRUNCATED"):
        parse(samples.contracts()[FAMILIES], data[: data.rindex(b"\n", 0, -2) + 30], media)


@pytest.mark.parametrize("dataset", V3)
def test_one_run_judges_each_file_by_its_own_version(settings: Settings, dataset: str) -> None:
    new, old = judged(settings, dataset, file_of(dataset), file_of(f"{dataset}@1"))
    assert (new.verdict, old.verdict) == ("accepted", "accepted")
    for judgement, name in ((new, dataset), (old, f"{dataset}@1")):
        codes = {rule.code for rule in gate.all_rules(samples.versions()[name])}
        assert {result.rule_code for result in judgement.results} == codes


def test_both_layouts_fill_the_same_columns(settings: Settings) -> None:
    judgements = judged(settings, FAMILIES, file_of(FAMILIES), file_of(f"{FAMILIES}@1"))
    new, old = ({row["no_kk"]: row for row in one.admitted.to_pylist()} for one in judgements)
    same = (
        "kemendagri_code",
        "kecamatan_kemendagri_code",
        "ranking",
        "desil",
        "jumlah_anggota_keluarga",
        "id_fasilitas_bab",
    )
    assert [[row[name] for name in same] for row in new.values()] == [
        [row[name] for name in same] for row in old.values()
    ]
    first = next(iter(new.values()))
    assert (first["desil"], first["desil_kota"], first["pbi_pemda"], first["has_status"]) == ("01", "04", True, False)
    assert {row["status_dtsen"] for row in new.values()} == {None}
    kept = {column.name for column in samples.contracts()[FAMILIES].lake_columns}
    assert {column.name for column in samples.versions()[f"{FAMILIES}@1"].lake_columns} <= kept


def test_history_stands_under_the_version_it_came_in(settings: Settings, tmp_path: Path) -> None:
    keys.make_sandbox_keys(settings)
    newest = samples.period(FAMILIES)
    for name, period in ((f"{FAMILIES}@1", newest.shift(-1)), (FAMILIES, newest)):
        path = tmp_path / f"{period.label}.csv"
        path.write_bytes(file_of(name)[0])
        night.ingest_file(FAMILIES, period, "all", path, s=settings)
    w = open_warehouse(settings)
    contract = w.contract(FAMILIES)
    judged_by = [(one.version, one.sha256, "accepted") for one in reversed(contract.versions)]

    def verdicts() -> list[tuple[str, str, str]]:
        found = w.ledger.rows(
            "select v.contract_version, v.contract_sha256, v.verdict from latest_verdicts v"
            " join deliveries d on d.delivery_id = v.delivery_id order by d.period_start"
        )
        return [(row["contract_version"], row["contract_sha256"], row["verdict"]) for row in found]

    assert verdicts() == judged_by
    decisions.replay(w, FAMILIES)
    assert verdicts() == judged_by
    relation = lake.relation_sql(settings, w.ledger, contract)
    kept = duckdb.execute(
        "SELECT period_start, count(*), count(desil), count(desil_kota), count(status_dtsen), count(has_status)"
        f" FROM ({relation}) GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert kept == [(newest.shift(-1).start, 104, 104, 0, 104, 0), (newest.start, 104, 104, 104, 0, 104)]


# --- code systems -----------------------------------------------------------------------------------------------------


def collisions() -> list[dict[str, str]]:
    with (Settings().seeds_dir / "code_collisions.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["same_place"] == "false"]


def colliding(named_by: str) -> list[samples.Row]:
    """A family in each place whose digits are a code in both systems, named as one of the systems reads them."""
    width = {"bps": 7, "kemendagri": 6}[named_by]
    return [
        row | {
            "kode_kecamatan": one["digits"][:width], "kode_kelurahan": one["digits"],
            "kecamatan": one[f"kecamatan_if_{named_by}"], "desa": one[f"place_if_read_as_{named_by}"],
        }
        for row, one in zip(samples.good_rows(FAMILIES), collisions(), strict=False)
    ]  # fmt: skip


@pytest.mark.parametrize("named_by", ["bps", "kemendagri"])
def test_names_decide_of_which_system_a_files_codes_are(settings: Settings, named_by: str) -> None:
    rows = colliding(named_by)
    assert len(rows) == 33
    (judgement,) = judged(settings, FAMILIES, file_of(FAMILIES, rows), is_overridden=True)
    assert judgement.rows_admitted == 33
    codes = {name: code for code, name, _ in samples.kelurahan()}
    assert [row["kemendagri_code"] for row in judgement.admitted.to_pylist()] == [codes[row["desa"]] for row in rows]


def held(settings: Settings, rows: list[samples.Row]) -> str | None:
    (judgement,) = judged(settings, FAMILIES, file_of(FAMILIES, rows))
    assert judgement.admitted is None or judgement.verdict != "held"
    return judgement.reason_code


def test_a_file_whose_codes_and_names_disagree_is_held(settings: Settings) -> None:
    good = samples.good_rows(FAMILIES)
    shifted = [row | {"kode_kelurahan": other["kode_kelurahan"], "kode_kecamatan": None}
               for row, other in zip(good, good[1:] + good[:1], strict=True)]  # fmt: skip
    kemendagri = [row | {"kode_kelurahan": code.replace(".", ""), "kode_kecamatan": code.replace(".", "")[:6]}
                  for row, (code, _, _) in zip(good, samples.kelurahan(), strict=True)]  # fmt: skip
    assert held(settings, good) is None
    assert held(settings, kemendagri) is None
    assert held(settings, shifted) == "DTSEN-FAM-112"
    assert held(settings, kemendagri[:52] + good[52:]) == "DTSEN-FAM-112"


def test_a_file_without_names_is_held(settings: Settings) -> None:
    good = samples.good_rows(FAMILIES)
    assert held(settings, samples.every(good, desa=None)) == "DTSEN-FAM-111"
    data, media = file_of(FAMILIES, [{name: cell for name, cell in row.items() if name != "desa"} for row in good])
    with pytest.raises(UnreadableDelivery, match=r"PARSE_UNKNOWN_LAYOUT.*nama_kelurahan_desa"):
        parse(samples.contracts()[FAMILIES], data, media)


def test_one_wrong_code_is_set_aside_and_the_others_count(settings: Settings) -> None:
    rows = samples.changed(samples.good_rows(FAMILIES), kode_kelurahan="3671030099", kode_kecamatan=None)
    (judgement,) = judged(settings, FAMILIES, file_of(FAMILIES, rows))
    assert (judgement.verdict, judgement.rows_quarantined) == ("accepted_with_quarantine", 1)
    assert {pointer.rule_code for pointer in judgement.quarantined} == {"DTSEN-FAM-008"}


# --- how the file is written ------------------------------------------------------------------------------------------


def floats(rows: list[samples.Row], *names: str) -> list[samples.Row]:
    return [row | {name: f"{row[name]}.0" for name in names} for row in rows]


def test_codes_and_numbers_that_went_through_a_float_are_read(settings: Settings) -> None:
    names = ("no_kk", "kode_kabupaten", "kode_kecamatan", "kode_kelurahan", "desil_nasional", "desil_kabupaten_kota")
    names += ("id_lantai_terluas", "jumlah_anggota_keluarga", "pbi_pemda", "aset_bergerak_mobil")
    rows = samples.good_rows(FAMILIES)
    written, plain = judged(settings, FAMILIES, file_of(FAMILIES, floats(rows, *names)), file_of(FAMILIES))
    assert (written.verdict, written.admitted.to_pylist()) == ("accepted", plain.admitted.to_pylist())
    rows = samples.good_rows(INDIVIDUALS)
    names = ("no_kk", "nik", "id_jenis_kelamin", "id_hub_kepala_keluarga", "id_status_kedudukan_pekerjaan_utama")
    written, plain = judged(settings, INDIVIDUALS, file_of(INDIVIDUALS, floats(rows, *names)), file_of(INDIVIDUALS))
    assert (written.verdict, written.admitted.to_pylist()) == ("accepted", plain.admitted.to_pylist())


def test_a_number_beyond_what_a_float_holds_is_not_repaired(settings: Settings) -> None:
    rows = samples.changed(samples.good_rows(INDIVIDUALS), nik="9171014102200007.0")
    (judgement,) = judged(settings, INDIVIDUALS, file_of(INDIVIDUALS, rows))
    assert {pointer.rule_code for pointer in judgement.quarantined} == {"DTSEN-IND-001"}


def test_ragged_lines_are_refused_one_by_one_and_a_bad_byte_costs_no_row() -> None:
    data, media = file_of(FAMILIES)
    lines = data.split(b"\r\n")
    lines[3] = lines[3].rpartition(b"|")[0]
    lines[5] += b"|x"
    lines[7] = lines[7].replace(b"KOTA", b"KOTA\x8f")
    parsed = parse(samples.contracts()[FAMILIES], b"\r\n".join(lines), media)
    assert [(row.source_row, row.rule_code) for row in parsed.refused] == [
        (4, "PARSE_FIELD_COUNT"), (6, "PARSE_FIELD_COUNT"),
    ]  # fmt: skip
    assert (parsed.rows_read, parsed.encoding) == (104, "latin-1")
