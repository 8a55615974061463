"""Parsing: real inputs, every kind of bad input, and the same cells and places back from any allowed file."""

import contextlib
import csv
import io
import json
import re
import tarfile
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support import samples
from tests.support.samples import as_file, csv_bytes, good_rows, grid, pages_bytes, xlsx_bytes
from warehouse.core.contract import Contract, FileShape
from warehouse.core.errors import UnreadableDelivery
from warehouse.intake.parse import Parsed, RefusedRow, parse, workbook
from warehouse.storage.media import media_of

DATA = Path(__file__).parent.parent / "data"
CONTRACTS = samples.contracts()
EPPGBM = CONTRACTS["kemenkes/eppgbm"]
OUTREACH = CONTRACTS["polri/outreach"]
TARGETS = CONTRACTS["kemenkes/under_five_targets"]
FAMILIES = CONTRACTS["bps/social_registry_families"]


def refusal(contract: Contract, data: bytes, media: str = "csv") -> UnreadableDelivery:
    with pytest.raises(UnreadableDelivery) as error:
        parse(contract, data, media)
    return error.value


def eppgbm_table() -> list[list[str]]:
    return grid(EPPGBM, good_rows("kemenkes/eppgbm"))


def renamed(table: list[list], old: str, new: str) -> list[list]:
    return [[new if cell == old else cell for cell in table[0]], *table[1:]]


def places(parsed: Parsed) -> list[int]:
    return parsed.table["source_row"].to_pylist()


# --- every shape ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "shape"),
    [
        (name, shape.name)
        for name, one in CONTRACTS.items()
        for shape in one.extras.shapes
        if shape.media != "bps_export"
    ],
)
def test_every_shape_of_every_contract_gives_its_rows_back(dataset: str, shape: str, tmp_path: Path) -> None:
    contract, rows = CONTRACTS[dataset], good_rows(dataset)
    data, media = as_file(dataset, rows, shape)
    path = tmp_path / "spool"
    path.write_bytes(data)
    parsed = parse(contract, data, media)
    expected = [{column.name: row.get(column.name) for column in contract.file_columns} for row in rows]
    found = parsed.table.drop_columns(["source_part", "source_row"]).to_pylist()
    if dataset == "bps/indicators":
        expected = [row | {"cells_expected": str(len(rows))} for row in expected]
    assert media_of(path) == media
    assert (parsed.shape, parsed.rows_read, parsed.refused, parsed.unknown_headers) == (shape, len(rows), [], [])
    assert found == expected


# --- real inputs ------------------------------------------------------------------------------------------------------


def test_bps_website_export_knows_the_regency_from_the_city() -> None:
    data = (DATA / "bps_export/bps_export_p0_kabkota_SLICE_banten_bali.csv").read_bytes()
    parsed = parse(CONTRACTS["published/official_figures"], data, "csv")
    rows = {(row["nama_wilayah"], row["periode"]): row for row in parsed.table.to_pylist()}
    assert parsed.rows_read == 19 * 22 == len(rows)
    assert rows["Kabupaten Tangerang", "2024"]["nilai"] == "6.55"
    city = rows["Kota Tangerang", "2024"]
    assert (city["nilai"], city["provinsi"], city["source_row"]) == ("5.43", "BANTEN", 8)
    assert city["indikator"] == "Persentase Penduduk Miskin (P0) Menurut Kabupaten/Kota"
    assert (city["satuan"], city["sistem_sumber"]) == ("Persen", "BPS")
    assert rows["Kota Serang", "2004"]["nilai"] is None
    assert rows["Kota Denpasar", "2025"]["provinsi"] == "BALI"


@pytest.mark.parametrize(
    ("title", "indicator", "unit"),
    [
        ("Jumlah Penduduk Miskin (Ribu Jiwa) Menurut Wilayah", "Jumlah Penduduk Miskin Menurut Wilayah", "Ribu Jiwa"),
        ("Indeks Keparahan (P2) Menurut Wilayah", "Indeks Keparahan (P2) Menurut Wilayah", None),
        ("Garis Kemiskinan (Rupiah/Kapita/Bulan)", "Garis Kemiskinan", "Rupiah/Kapita/Bulan"),
        ("Garis Kemiskinan", "Garis Kemiskinan", None),
    ],
)
def test_bps_website_export_has_its_unit_anywhere_in_the_title(title: str, indicator: str, unit: str | None) -> None:
    text = f"Provinsi/Kabupaten/Kota,{title},\n,2024,2025\nBANTEN,1,2\n"
    rows = parse(CONTRACTS["published/official_figures"], text.encode(), "csv").table.to_pylist()
    assert [(row["nilai"], row["indikator"], row["satuan"]) for row in rows] == [
        (value, indicator, unit) for value in ("1", "2")
    ]


def test_bps_website_export_with_a_short_row_refuses_that_row_alone() -> None:
    lines = (DATA / "bps_export/bps_export_p0_kabkota_SLICE_banten_bali.csv").read_text(encoding="utf-8").splitlines()
    lines[7] = lines[7].rsplit(",", 1)[0]
    text = "\n".join([*lines, "", "Sumber: BPS"])
    parsed = parse(CONTRACTS["published/official_figures"], text.encode(), "csv")
    assert parsed.refused == [RefusedRow(None, 8, "PARSE_FIELD_COUNT")]
    assert parsed.rows_read == 18 * 22 + 1


def test_provincial_portal_keeps_the_year_field_as_wrong_as_it_is() -> None:
    data = (DATA / "bantenprov/bantenprov_ik-kabupaten-kota-010.json").read_bytes()
    parsed = parse(CONTRACTS["portal/poverty_indicators"], data, "json")
    rows = parsed.table.to_pylist()
    assert parsed.rows_read == 80
    assert {row["yyyy"] for row in rows} == {"2011"}
    assert {row["title"][-4:] for row in rows} == {"2014", "2015"}
    line = rows[4]
    assert (line["nama_wilayah"], line["value"], line["source_row"]) == ("Kota Tangerang", "421554", 5)


BPS_BODIES = {
    "data_0000_1804": None,
    "data_list_not_available": "PARSE_EMPTY",
    "data_null_too_large": "PARSE_NULL_ANSWER",
    "error_bad_key": "PARSE_NOT_DATA",
    "error_data_missing_th": "PARSE_NOT_DATA",
    "error_data_prov_max_2_th": "PARSE_NOT_DATA",
    "error_data_too_many_th": "PARSE_NOT_DATA",
    "error_waf_block_TRIMMED": "PARSE_HTML",
    "indicators_0000_p2": "PARSE_NOT_DATA",
    "th_0000_1804": "PARSE_NOT_DATA",
    "var_0000_p1_TRIMMED": "PARSE_NOT_DATA",
}


@pytest.mark.parametrize(("name", "code"), BPS_BODIES.items())
def test_recorded_bps_bodies_are_parsed_or_refused(name: str, code: str | None) -> None:
    """All come with HTTP 200 but the firewall's page; only one is a table."""
    recorded = json.loads((DATA / f"bps_webapi/{name}.json").read_text(encoding="utf-8"))["body"]
    body = recorded.encode() if isinstance(recorded, str) else json.dumps(recorded).encode()
    contract = CONTRACTS["bps/indicators"]
    if code:
        assert refusal(contract, body, "json").code == code
        return
    parsed = parse(contract, pages_bytes(body), "pages")
    figures = {(row["vervar_label"], row["tahun"]): row["value"] for row in parsed.table.to_pylist()}
    assert len(figures) == parsed.rows_read == 9
    assert figures["Meninggal dan Hilang", "2017"] == "440"
    assert set(parsed.table["cells_expected"].to_pylist()) == {"9"}


def test_recorded_bps_fixtures_are_all_here() -> None:
    assert {path.stem for path in (DATA / "bps_webapi").glob("*.json")} == BPS_BODIES.keys()


@pytest.mark.parametrize("path", sorted((DATA / "ckan").glob("*.json")), ids=lambda path: path.stem)
def test_recorded_portal_envelopes_are_not_taken_for_data(path: Path) -> None:
    assert refusal(CONTRACTS["portal/investment"], path.read_bytes(), "json").code == "PARSE_NOT_DATA"


# --- BPS tables -------------------------------------------------------------------------------------------------------


def bps_answer(regions: list[str], figures: dict[str, float], variable: str = "621") -> bytes:
    item = {"val": "0", "label": "Tahun"}
    body = {
        "status": "OK",
        "data-availability": "available",
        "last_update": "2026-01-01",
        "var": [{"val": int(variable), "label": "P0", "unit": "Persen"}],
        "turvar": [item],
        "vervar": [{"val": region, "label": region} for region in regions],
        "tahun": [{"val": 125, "label": "2025"}],
        "turtahun": [item],
        "datacontent": figures,
    }
    return pages_bytes(body)


def test_figure_of_a_region_that_no_list_names_is_refused_not_lost() -> None:
    data = bps_answer(["3671", "3672"], {"367162101250": 5.19, "949962101250": 30.1})
    parsed = parse(CONTRACTS["bps/indicators"], data, "pages")
    assert parsed.table["vervar"].to_pylist() == ["3671"]
    assert parsed.refused == [RefusedRow(None, 2, "PARSE_UNKNOWN_KEY")]
    assert parsed.table["cells_expected"].to_pylist() == ["2"]


def test_key_that_two_places_share_is_refused() -> None:
    """Region 36 with variable 621 and region 366 with variable 21 write the same key: nobody can tell them apart."""
    lists = {"turvar": [{"val": 0}], "tahun": [{"val": 125, "label": "2025"}], "turtahun": [{"val": 0}]}
    body = {
        "status": "OK",
        "data-availability": "available",
        "var": [{"val": 621}, {"val": 21}],
        "vervar": [{"val": 36}, {"val": 366}],
        **lists,
        "datacontent": {"3662101250": 1.0, "36662101250": 2.0},
    }
    parsed = parse(CONTRACTS["bps/indicators"], pages_bytes(body), "pages")
    assert parsed.refused == [RefusedRow(None, 1, "PARSE_UNKNOWN_KEY")]
    assert parsed.table["vervar"].to_pylist() == ["366"]


# --- bad input --------------------------------------------------------------------------------------------------------


def test_empty_files() -> None:
    header_only = csv_bytes(eppgbm_table()[:1], ";")
    for data in (b"", b" \r\n\t ", b"\xef\xbb\xbf\r\n", header_only, header_only.rstrip(), header_only + b"\r\n;;\r\n"):
        assert refusal(EPPGBM, data).code == "PARSE_EMPTY", data[:20]
    assert refusal(EPPGBM, xlsx_bytes([[]]), "xlsx").code == "PARSE_EMPTY"
    assert refusal(EPPGBM, xlsx_bytes(eppgbm_table()[:1]), "xlsx").code == "PARSE_EMPTY"
    assert refusal(CONTRACTS["dukcapil/population"], pages_bytes({"features": []}), "pages").code == "PARSE_EMPTY"


def test_nil_report_is_a_report_where_the_contract_allows_it() -> None:
    header = grid(OUTREACH, good_rows("polri/outreach"))[:1]
    for data, media in ((xlsx_bytes([["Laporan"], *header]), "xlsx"), (csv_bytes(header, ";"), "csv")):
        parsed = parse(OUTREACH, data, media)
        assert (parsed.rows_read, parsed.table.num_rows, parsed.unknown_headers) == (0, 0, [])


def test_truncated_workbook_at_any_length() -> None:
    data, _ = as_file("kemenkes/eppgbm", good_rows("kemenkes/eppgbm"), "sigizi_xlsx")
    for length in (4, 100, len(data) // 2, len(data) - 1):
        assert refusal(EPPGBM, data[:length], "xlsx").code == "PARSE_TRUNCATED", length


def test_damaged_workbook() -> None:
    data, _ = as_file("kemenkes/eppgbm", good_rows("kemenkes/eppgbm"), "sigizi_xlsx")
    damaged = bytearray(data)
    damaged[len(data) // 3] ^= 0xFF
    with pytest.raises(UnreadableDelivery, match=r"PARSE_(TRUNCATED|NOT_XLSX)"):
        parse(EPPGBM, bytes(damaged), "xlsx")


def test_archive_that_is_no_workbook() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("surat.txt", "x")
    assert refusal(EPPGBM, buffer.getvalue(), "xlsx").code == "PARSE_NOT_XLSX"


def test_old_or_locked_workbook_is_told_apart_from_text() -> None:
    assert refusal(EPPGBM, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600).code == "PARSE_NOT_XLSX"


def test_zip_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 5_000_000)
    monkeypatch.setattr(workbook, "LARGEST_UNPACKED", 1_000_000)
    assert len(buffer.getvalue()) < 10_000
    assert refusal(EPPGBM, buffer.getvalue(), "xlsx").code == "PARSE_TOO_LARGE"


def test_another_datasets_file_is_named() -> None:
    data, media = as_file("kemensos/assistance", good_rows("kemensos/assistance"))
    error = refusal(CONTRACTS["bps/social_registry_individuals"], data, media)
    assert error.code == "PARSE_WRONG_DATASET"
    assert "kemensos/assistance" in error.message_en


@pytest.mark.parametrize("media", ["csv", "xlsx"])
def test_missing_columns_are_named_by_header(media: str) -> None:
    table = renamed(renamed(eppgbm_table(), "Berat", "Bobot"), "Pukesmas", "Faskes")
    data = csv_bytes(table, ";") if media == "csv" else xlsx_bytes([["Laporan"], *table])
    error = refusal(EPPGBM, data, media)
    assert error.code == "PARSE_MISSING_COLUMNS"
    assert "Pukesmas, Berat" in error.message_en
    assert "Bobot" not in str(error)


def test_renamed_header_that_the_contract_knows_is_read() -> None:
    table = renamed(renamed(eppgbm_table(), "Pukesmas", "PUSKESMAS"), "Tgl Lahir", " tanggal_lahir ")
    parsed = parse(EPPGBM, csv_bytes(table, ";"), "csv")
    assert set(parsed.table["puskesmas"].to_pylist()) == {"Kreo Selatan"}
    assert parsed.table["tgl_lahir"].null_count == 0


def test_unknown_column_is_reported_and_not_kept() -> None:
    table = [[*row, cell] for row, cell in zip(eppgbm_table(), ["Gol  Darah 08123", *["O"] * 8], strict=True)]
    parsed = parse(EPPGBM, csv_bytes(table, ";"), "csv")
    assert parsed.unknown_headers == ["Gol Darah #####"]
    assert parsed.rows_read == 8
    assert "O" not in str(parsed.table.to_pydict())


def test_known_columns_without_a_use_are_dropped_in_silence() -> None:
    table = [
        [*row, *cells] for row, cells in zip(eppgbm_table(), [["LiLA", "Alamat"], *[["14", "Jl. X"]] * 8], strict=True)
    ]
    parsed = parse(EPPGBM, csv_bytes(table, ";"), "csv")
    assert parsed.unknown_headers == []
    assert "Jl. X" not in str(parsed.table.to_pydict())


def test_optional_columns_may_be_absent_and_are_listed() -> None:
    table = [
        [cell for cell, name in zip(row, eppgbm_table()[0], strict=True) if name != "Cara Ukur"]
        for row in eppgbm_table()
    ]
    parsed = parse(EPPGBM, csv_bytes(table, ";"), "csv")
    assert parsed.missing_headers == ["Cara Ukur"]
    assert parsed.table["cara_ukur"].null_count == 8


@pytest.mark.parametrize("header", ["Nama Peserta", "NO. HP", "tanda tangan", "nik"])
def test_personal_column_refuses_the_outreach_sheet(header: str) -> None:
    table = [
        [*row, cell]
        for row, cell in zip(grid(OUTREACH, good_rows("polri/outreach")), [header, *["x"] * 4], strict=True)
    ]
    assert refusal(OUTREACH, xlsx_bytes(table), "xlsx").code == "PARSE_REFUSED_COLUMN"
    assert refusal(OUTREACH, csv_bytes(table, ";")).code == "PARSE_REFUSED_COLUMN"
    clean = grid(OUTREACH, good_rows("polri/outreach"))
    assert refusal(OUTREACH, xlsx_bytes(clean, table), "xlsx").code == "PARSE_REFUSED_COLUMN"


def test_doubled_header_is_refused_and_named() -> None:
    table = [[*row, row[table_index]] for row in eppgbm_table() for table_index in [eppgbm_table()[0].index("Berat")]]
    error = refusal(EPPGBM, csv_bytes(table, ";"))
    assert error.code == "PARSE_DUPLICATE_COLUMN"
    assert "Berat" in error.message_en


def test_agencys_own_header_wins_over_an_alias_beside_it() -> None:
    table = [[*row, cell] for row, cell in zip(eppgbm_table(), ["BB", *["99"] * 8], strict=True)]
    parsed = parse(EPPGBM, csv_bytes(table, ";"), "csv")
    assert "99" not in parsed.table["berat"].to_pylist()
    assert parsed.unknown_headers == ["BB"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_wide_encodings_are_refused(encoding: str) -> None:
    assert refusal(EPPGBM, csv_bytes(eppgbm_table(), ";", encoding)).code == "PARSE_ENCODING"


def test_bytes_that_no_agreed_encoding_has() -> None:
    data = csv_bytes(eppgbm_table(), ";").replace(b"Anak A", b"An\x81k A")
    assert refusal(EPPGBM, data).code == "PARSE_ENCODING"
    nul = csv_bytes(eppgbm_table(), ";").replace(b"Anak A", b"An\x00k A")
    assert refusal(EPPGBM, nul).code == "PARSE_ENCODING"


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>502</p>", b"\xef\xbb\xbf \n<HTML><body>login</body>", b"<head>x"])
def test_web_page_instead_of_data(page: bytes) -> None:
    for contract, media in ((EPPGBM, "csv"), (CONTRACTS["bps/indicators"], "json")):
        assert refusal(contract, page, media).code == "PARSE_HTML"


def test_separator_that_was_not_agreed_is_named_as_the_cause() -> None:
    error = refusal(EPPGBM, csv_bytes(eppgbm_table(), "\t"))
    assert error.code == "PARSE_DELIMITER"


def test_kind_of_file_that_was_not_agreed() -> None:
    assert refusal(EPPGBM, b'[{"NIK": "1"}]', "json").code == "PARSE_WRONG_FORMAT"
    data, _ = as_file("kemenkes/eppgbm", good_rows("kemenkes/eppgbm"))
    assert refusal(CONTRACTS["dukcapil/population"], data, "xlsx").code == "PARSE_WRONG_FORMAT"


def test_records_that_cannot_be_split_are_refused_one_by_one_with_their_place() -> None:
    lines = csv_bytes(eppgbm_table(), ";").decode().splitlines()
    lines = ["Laporan e-PPGBM", "", *lines[:3], lines[3] + ";x", "", lines[4].rsplit(";", 1)[0], *lines[5:]]
    parsed = parse(EPPGBM, "\r\n".join(lines).encode(), "csv")
    assert parsed.refused == [RefusedRow(None, 6, "PARSE_FIELD_COUNT"), RefusedRow(None, 8, "PARSE_FIELD_COUNT")]
    assert places(parsed) == [4, 5, 9, 10, 11, 12]
    assert parsed.rows_read == 8


def test_quoted_line_breaks_count_as_one_record() -> None:
    table = eppgbm_table()
    table[2][table[0].index("Posyandu")] = 'Melati\n"dua"; baru'
    parsed = parse(EPPGBM, csv_bytes([["Laporan\nOktober"], *table], ";"), "csv")
    assert places(parsed) == list(range(3, 11))
    assert parsed.table["posyandu"][1].as_py() == 'Melati\n"dua"; baru'


@pytest.mark.parametrize("column", ["Posyandu", "ZS BB/TB"])
def test_quotation_mark_that_is_never_closed(column: str) -> None:
    """In a last column it would leave a record of the right length with the rest of the file in one cell."""
    table = eppgbm_table()
    table[3][table[0].index(column)] = "BUKA"
    error = refusal(EPPGBM, csv_bytes(table, ";").replace(b"BUKA", b'"x'))
    assert error.code == "PARSE_OPEN_QUOTE"
    assert "record 4" in error.message_en


@given(data=st.data())
@hypothesis_settings(deadline=None, max_examples=60)
def test_stray_quotation_marks_never_make_lines_disappear(data) -> None:
    """Whatever cells they stand before: the delivery cannot be read, or every line is a record, read or refused."""
    table = eppgbm_table()
    for _ in range(data.draw(st.sampled_from([1, 2, 3, 4]))):
        row = table[data.draw(st.integers(1, len(table) - 1))]
        column = data.draw(st.integers(0, len(row) - 1))
        row[column] = f"KUTIP{row[column]}"
    end = data.draw(st.sampled_from([b"", b"\r\n"]))
    broken = csv_bytes(table, ";").replace(b"KUTIP", b'"').rstrip() + end
    with contextlib.suppress(UnreadableDelivery):
        assert parse(EPPGBM, broken, "csv").rows_read == len(table) - 1


def test_two_stray_marks_in_one_column_are_found_though_the_record_has_the_right_length() -> None:
    table = eppgbm_table()
    for row in (2, 5):
        table[row][1] = f"KUTIP{table[row][1]}"
    error = refusal(EPPGBM, csv_bytes(table, ";").replace(b"KUTIP", b'"'))
    assert error.code == "PARSE_OPEN_QUOTE"
    assert "record 3" in error.message_en


def test_a_line_break_is_refused_where_the_contract_allows_none() -> None:
    contract = CONTRACTS["published/official_figures"]
    table = grid(contract, good_rows(contract.dataset))
    table[1][0] += "\nx"
    parsed = parse(contract, csv_bytes(table, contract.extras.shapes[0].delimiters[0]), "csv")
    assert parsed.refused == [RefusedRow(None, 2, "PARSE_LINE_BREAK")]
    assert parsed.rows_read == len(table) - 1


@pytest.mark.parametrize("cut", [1, 7, 30, 60])
def test_a_file_cut_off_within_its_last_record_is_not_taken_for_whole(cut: int) -> None:
    data = csv_bytes(eppgbm_table(), ";").rstrip()
    last = data.rsplit(b"\n", 1)[1]
    assert refusal(EPPGBM, data[: len(data) - len(last) + cut]).code == "PARSE_TRUNCATED"


def test_a_note_below_the_table_is_no_record_cut_off() -> None:
    parsed = parse(EPPGBM, csv_bytes(eppgbm_table(), ";").rstrip() + b"\nDicetak dari aplikasi", "csv")
    assert [row.rule_code for row in parsed.refused] == ["PARSE_FIELD_COUNT"]


def test_broken_answers() -> None:
    population = CONTRACTS["dukcapil/population"]
    good = {"features": [{"attributes": {"no_prop": 36}}]}
    assert refusal(population, pages_bytes(good, b'{"features": [{"attr'), "pages").code == "PARSE_NOT_JSON"
    assert refusal(population, b"[" * 100_000, "json").code == "PARSE_NOT_JSON"
    assert refusal(population, pages_bytes({"error": {"code": 400}}), "pages").code == "PARSE_NOT_DATA"
    assert (
        refusal(population, pages_bytes(good, {"error": {}, "features": []}, {"x": 1}), "pages").code
        == "PARSE_NOT_DATA"
    )
    assert refusal(population, pages_bytes(good, good)[:1000], "pages").code in {"PARSE_TRUNCATED", "PARSE_NOT_JSON"}


def test_records_of_an_answer_are_numbered_over_its_pages() -> None:
    rows = good_rows("dukcapil/population")
    records = [{"attributes": row} for row in rows]
    pages = [{"features": records[:50]}, {"features": [*records[50:], {"geometry": None}]}]
    parsed = parse(CONTRACTS["dukcapil/population"], pages_bytes(*pages), "pages")
    assert places(parsed) == list(range(1, 105))
    assert parsed.refused == [RefusedRow(None, 105, "PARSE_NOT_A_RECORD")]


def of_datastore(rows: int, total: Any) -> dict:
    row = good_rows("portal/domestic_products")[0]
    records = [row | {"_id": number, "perangkat_daerah": f"OPD {number}"} for number in range(rows)]
    return {"success": True, "result": {"records": records, "total": total}}


@pytest.mark.parametrize(
    ("pages", "is_whole"),
    [
        ([(100, 137)], False),
        ([(100, 137), (37, 137)], True),
        ([(100, 137), (37, 138)], False),
        ([(137, 100)], False),
        ([(3, None)], True),
        ([(3, [3])], False),
        ([(1, True)], False),
    ],
)
def test_an_answer_by_hand_is_compared_with_the_total_it_states(pages: list[tuple], is_whole: bool) -> None:
    products = CONTRACTS["portal/domestic_products"]
    answers = [json.dumps(of_datastore(rows, total)).encode() for rows, total in pages]
    data, media = (answers[0], "json") if len(answers) == 1 else (pages_bytes(*answers), "pages")
    if is_whole:
        assert parse(products, data, media).rows_read == sum(rows for rows, _ in pages)
    else:
        assert refusal(products, data, media).code == "PARSE_INCOMPLETE"


def test_an_answer_that_speaks_of_more_pages_is_not_whole() -> None:
    records = [{"attributes": row} for row in good_rows("dukcapil/population")]
    first, last = {"features": records[:50], "exceededTransferLimit": True}, {"features": records[50:]}
    population = CONTRACTS["dukcapil/population"]
    assert refusal(population, json.dumps(first).encode(), "json").code == "PARSE_INCOMPLETE"
    assert parse(population, pages_bytes(first, last), "pages").rows_read == len(records)


@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE,
                                  tarfile.GNUTYPE_SPARSE])  # fmt: skip
def test_an_archive_with_anything_but_plain_files_is_no_answer(kind: bytes) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("page-00001.json")
        member.type, member.linkname = kind, "page-00001.json"
        archive.addfile(member)
    assert refusal(CONTRACTS["dukcapil/population"], file.getvalue(), "pages").code in {
        "PARSE_NOT_DATA",
        "PARSE_TRUNCATED",
    }


def test_dimensions_that_multiply_beyond_any_table_are_refused() -> None:
    many = [{"val": n} for n in range(3000)]
    table = {"vervar": many, "var": many, "turvar": many, "tahun": many, "turtahun": many, "datacontent": {}}
    body = json.dumps({"status": "OK", "data-availability": "available"} | table).encode()
    assert refusal(CONTRACTS["bps/indicators"], body, "json").code == "PARSE_TOO_LARGE"


def test_numbers_in_answers_keep_their_digits() -> None:
    row = good_rows("bpjstk/participants")[0]
    body = json.dumps({"data": [row | {"nik": 3671010906800001, "iuran": 16800.50}]})
    parsed = parse(CONTRACTS["bpjstk/participants"], pages_bytes(body.encode()), "pages")
    assert (parsed.table["nik"][0].as_py(), parsed.table["iuran"][0].as_py()) == ("3671010906800001", "16800.5")


def test_what_is_no_value_in_an_answer_is_neither_missing_nor_a_value() -> None:
    rows = good_rows("dukcapil/population")[:5]
    records = [{"attributes": row | {"geometry": {"x": 1}}} for row in rows]
    records[1]["attributes"]["pria"] = {"jumlah": 9050}
    records[2]["attributes"]["pria"] = float("inf")
    records[3]["attributes"]["pria"] = None
    parsed = parse(CONTRACTS["dukcapil/population"], pages_bytes({"features": records}), "pages")
    assert parsed.refused == [RefusedRow(None, 2, "PARSE_ERROR_CELL")]
    assert parsed.table["pria"].to_pylist() == ["9050", "Infinity", None, "9050"]


# --- workbooks --------------------------------------------------------------------------------------------------------


def cells(rows: int = 1, **changes) -> list[list]:
    table = eppgbm_table()[: rows + 1]
    for header, value in changes.items():
        for row in table[1:]:
            row[table[0].index(header.replace("_", " "))] = value
    return table


def test_spreadsheet_numbers_and_dates_lose_nothing_in_silence() -> None:
    table = cells(NIK=3671010101230001, RT=1, Berat=10.2, Tinggi=85.0, Tgl_Lahir=date(2023, 3, 14), RW=15e14)
    row = parse(EPPGBM, xlsx_bytes(table), "xlsx").table.to_pylist()[0]
    # The sixteenth digit is gone: seen as what it is, and quarantined by the gate.
    assert row["nik"] == "3.67101010123000E+15"
    assert (row["rt"], row["berat"], row["tinggi"], row["tgl_lahir"]) == ("1", "10.2", "85", "2023-03-14")
    assert row["rw"] == "1.50000000000000E+15"


def test_fifteen_digits_are_exact() -> None:
    row = parse(EPPGBM, xlsx_bytes(cells(NIK=367101010123000)), "xlsx").table.to_pylist()[0]
    assert row["nik"] == "367101010123000"


def test_times_and_truth_as_text() -> None:
    assert workbook.cell_text(datetime(2026, 10, 5, 13, 30)) == "2026-10-05 13:30:00"
    assert (workbook.cell_text(True), workbook.cell_text(-0.5), workbook.cell_text(0.0)) == ("TRUE", "-0.5", "0")


def test_formula_gives_its_stored_result() -> None:
    row = parse(EPPGBM, xlsx_bytes(cells(Berat=samples.Formula("=5+5"))), "xlsx").table.to_pylist()[0]
    assert row["berat"] == "0"


def test_sheets_are_told_apart_by_number_and_never_by_title() -> None:
    table = eppgbm_table()
    data = xlsx_bytes([["Petunjuk pengisian"]], [["Laporan"], *table[:4]], [table[0], *table[4:]])
    parsed = parse(EPPGBM, data, "xlsx")
    assert parsed.table["source_part"].to_pylist() == ["sheet 2"] * 3 + ["sheet 3"] * 5
    assert places(parsed) == [3, 4, 5, 2, 3, 4, 5, 6]


def test_blank_rows_are_no_records_and_totals_are_not_either() -> None:
    table = grid(TARGETS, good_rows("kemenkes/under_five_targets"))[:4]
    width = len(table[0])
    data = [["Sasaran"], [], *table[:2], [""] * width, *table[2:], ["", " JUMLAH", *["9"] * (width - 2)]]
    for content, media in ((xlsx_bytes(data), "xlsx"), (csv_bytes(data, ";"), "csv")):
        parsed = parse(TARGETS, content, media)
        assert places(parsed) == [4, 6, 7], media
        assert parsed.rows_read == 3


def test_note_below_a_table_is_a_record_for_the_gate_to_judge() -> None:
    table = [["No", *row] for row in eppgbm_table()]
    table.append(["Dicetak oleh sistem", *[""] * (len(table[0]) - 1)])
    parsed = parse(EPPGBM, csv_bytes(table, ";"), "csv")
    assert parsed.rows_read == 9
    assert set(parsed.table.to_pylist()[8].values()) == {None, 10}


# --- what missing means -----------------------------------------------------------------------------------------------


def test_null_tokens_are_missing_in_any_case_and_nothing_else_is() -> None:
    rows = good_rows("bps/social_registry_families")[:5]
    for row, token in zip(rows, ["Belum Ada Desl", " BELUM ADA DESIL ", "-", "", "6-10"], strict=True):
        row["desil_nasional"] = token
    data, media = as_file("bps/social_registry_families", rows)
    assert parse(FAMILIES, data, media).table["desil_nasional"].to_pylist() == [None, None, None, None, "6-10"]


def test_byte_order_mark_and_latin_1() -> None:
    rows = good_rows("bps/social_registry_families")[:1]
    rows[0]["desa"] = "Café"
    for encoding, expected in (("utf-8-sig", "utf-8-sig"), ("utf-8", "utf-8-sig"), ("latin-1", "latin-1")):
        parsed = parse(FAMILIES, csv_bytes(grid(FAMILIES, rows), ",", encoding), "csv")
        assert (parsed.encoding, parsed.table["desa"].to_pylist()) == (expected, ["Café"])


# --- properties -------------------------------------------------------------------------------------------------------

# Numbers among texts and lines in two encodings have tests of their own.
CELL = st.text(
    st.characters(codec="cp1252", exclude_categories=("Cc", "Zl", "Zp"), exclude_characters="ÃÂ"), max_size=12
).filter(lambda text: not re.fullmatch(r"['’‘`´]*[0-9][0-9.,]*", text.strip()))
MULTILINE = st.builds("{}\n{}".format, CELL, CELL)
TITLES = st.lists(st.sampled_from([["Laporan e-PPGBM"], [""], ["Puskesmas: Cikokol", "Oktober"]]), max_size=5)
ORDER = st.permutations([column.header for column in EPPGBM.file_columns])


def expected_text(cell: str) -> str | None:
    stripped = cell.strip()
    return None if stripped in {"", "-"} else stripped


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(st.lists(CELL | MULTILINE, min_size=5, max_size=5), min_size=1, max_size=6),
    titles=TITLES,
    order=ORDER,
    delimiter=st.sampled_from([";", ","]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
    is_workbook=st.booleans(),
)
def test_any_allowed_file_gives_the_same_cells_and_places(
    rows, titles, order, delimiter, encoding, quoting, end, is_workbook
) -> None:
    texts = ["nama", "posyandu", "puskesmas", "desa_kel", "kec"]
    names = {EPPGBM.column(name).header: index for index, name in enumerate(texts)}
    body = [[row[names[header]] if header in names else "7" for header in order] for row in rows]
    table = [*titles, order, *body]
    if is_workbook:
        data, media = xlsx_bytes(table), "xlsx"
    else:
        data, media = csv_bytes(table, delimiter, encoding, quoting=quoting, lineterminator=end), "csv"
    parsed = parse(EPPGBM, data, media)
    expected = [[expected_text(cell.replace("\r\n", "\n")) for cell in row] for row in rows]
    found = [[row[name] for name in texts] for row in parsed.table.to_pylist()]
    assert found == expected
    assert places(parsed) == list(range(len(titles) + 2, len(titles) + 2 + len(rows)))
    assert (parsed.refused, parsed.unknown_headers) == ([], [])


@hypothesis_settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=400), media=st.sampled_from(["csv", "xlsx", "json", "pages"]))
def test_no_bytes_make_parsing_fail_in_another_way(data: bytes, media: str) -> None:
    contract = EPPGBM if media in ("csv", "xlsx") else CONTRACTS["bps/indicators"]
    assert refusal(contract, data, media).code != "PARSE_UNFORESEEN"


@hypothesis_settings(max_examples=60, deadline=None)
@given(cut=st.integers(min_value=1, max_value=3000), noise=st.binary(max_size=3), at=st.integers(min_value=0))
def test_damaged_text_is_read_in_part_or_refused_and_every_record_counted(cut: int, noise: bytes, at: int) -> None:
    data = csv_bytes(eppgbm_table(), ";")
    place = at % len(data)
    damaged = (data[:place] + noise + data[place:])[: -(cut % len(data)) or None]
    with contextlib.suppress(UnreadableDelivery):
        parsed = parse(EPPGBM, damaged, "csv")
        assert parsed.rows_read == parsed.table.num_rows + len(parsed.refused)


@hypothesis_settings(max_examples=40, deadline=None)
@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_as_text_is_that_number_or_shows_that_digits_were_lost(number: float) -> None:
    text = workbook.cell_text(number)
    assert float(text) == number or "E+" in text


def test_error_texts_hold_no_value_of_the_file() -> None:
    secret = "3671010101230001"
    table = eppgbm_table()
    for broken in (
        csv_bytes(renamed(table, "NIK", secret), ";"),
        csv_bytes([[secret] * len(table[0]), *table[1:]], ";"),
        csv_bytes(table, ";").replace(b"Melati", b'"' + secret.encode(), 1),
    ):
        error = refusal(EPPGBM, broken)
        assert secret not in " ".join((str(error), error.message_id, error.action_id))


def test_shapes_read_only_what_they_say() -> None:
    """A contract without title rows does not search below the first row."""
    shape = FileShape(name="strict", media="csv", delimiters=(";",), encodings=("utf-8",))
    strict = EPPGBM.model_copy(update={"extras": EPPGBM.extras.model_copy(update={"shapes": (shape,)})})
    assert refusal(strict, csv_bytes([["Laporan"], *eppgbm_table()], ";")).code == "PARSE_NO_HEADER"


def book_bytes(write) -> bytes:
    """A workbook whose first sheet holds the good table; ``write(book, sheet)`` adds to it."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(eppgbm_table()):
            for column, cell in enumerate(row):
                sheet.write_string(number, column, cell)
        write(book, sheet)
    return buffer.getvalue()


@pytest.mark.parametrize("hide", ["hide", "very_hidden"])
def test_a_hidden_sheet_is_passed_over_and_named(hide: str) -> None:
    def write(book, sheet):
        other = book.add_worksheet("lama")
        for number, row in enumerate(eppgbm_table()):
            other.write_row(number, 0, row)
        getattr(other, hide)()

    parsed = parse(EPPGBM, book_bytes(write), "xlsx")
    assert parsed.rows_read == len(eppgbm_table()) - 1
    assert parsed.unknown_headers == ["lembar 2 tersembunyi / hidden sheet 2"]


def test_records_in_hidden_rows_hold_the_workbook_and_blank_ones_do_not() -> None:
    with pytest.raises(UnreadableDelivery, match=r"PARSE_HIDDEN_ROWS.*sheet 1: 1"):
        parse(EPPGBM, book_bytes(lambda _book, sheet: sheet.set_row(3, options={"hidden": True})), "xlsx")
    parsed = parse(EPPGBM, book_bytes(lambda _book, sheet: sheet.set_row(30, options={"hidden": True})), "xlsx")
    assert parsed.rows_read == len(eppgbm_table()) - 1


@pytest.mark.parametrize(
    ("formula", "stored", "code"),
    [("=A1*8", "", "PARSE_NO_RESULT"), ("=1/0", "#DIV/0!", "PARSE_ERROR_CELL"), ("=NA()", "#N/A", "PARSE_ERROR_CELL")],
)
def test_a_cell_without_a_value_of_its_own_refuses_its_record_and_is_never_empty(formula, stored, code) -> None:
    column = eppgbm_table()[0].index("Tinggi")
    parsed = parse(
        EPPGBM, book_bytes(lambda _book, sheet: sheet.write_formula(2, column, formula, None, stored)), "xlsx"
    )
    assert parsed.refused == [RefusedRow("sheet 1", 3, code)]
    assert parsed.rows_read == len(eppgbm_table()) - 1
    whole = parse(EPPGBM, book_bytes(lambda _book, sheet: sheet.write_formula(2, column, "=80+8", None, 88)), "xlsx")
    assert (whole.refused, whole.table["tinggi"][1].as_py()) == ([], "88")


def test_a_stray_cell_at_the_end_of_the_sheet_is_seen_before_anything_is_allocated() -> None:
    with pytest.raises(UnreadableDelivery, match="PARSE_TOO_LARGE"):
        parse(EPPGBM, book_bytes(lambda _book, sheet: sheet.write(1_048_575, 16_383, "x")), "xlsx")


def test_days_and_months_exchanged_by_a_spreadsheet_hold_the_workbook() -> None:
    table = eppgbm_table()
    place = table[0].index("Tgl Lahir")
    exchanged, right = [row.copy() for row in table], [row.copy() for row in table]
    for number in range(1, len(table)):
        day, month = 2 * number + 5, 4
        true = date(2023, day, month) if day <= 12 else f"{day}/{month:02}/2023"
        exchanged[number][place] = true
        right[number][place] = date(2023, month, day)
    assert refusal(EPPGBM, xlsx_bytes(exchanged), "xlsx").code == "PARSE_DATES_EXCHANGED"
    right[1][place] = "17/04/2023"
    assert parse(EPPGBM, xlsx_bytes(right), "xlsx").rows_read == len(table) - 1


def test_months_before_days_hold_a_file_and_one_slip_does_not() -> None:
    table = eppgbm_table()
    place = table[0].index("Tgl Lahir")
    for number, row in enumerate(table[1:]):
        row[place] = f"04/{5 + 3 * number:02}/2023"
    error = refusal(EPPGBM, csv_bytes(table, ";"))
    assert (error.code, "Tgl Lahir" in error.message_en) == ("PARSE_MONTH_FIRST", True)
    for row in table[1:]:
        row[place] = "05/04/2023"
    table[1][place] = "04/25/2023"
    assert parse(EPPGBM, csv_bytes(table, ";"), "csv").rows_read == len(table) - 1


def test_exchanged_dates_are_seen_in_a_workbook_saved_as_text_too() -> None:
    table = eppgbm_table()
    place = table[0].index("Tgl Lahir")
    for number, row in enumerate(table[1:]):
        row[place] = f"2023-{number + 1:02}-05" if number < 4 else f"{13 + number}/05/2023"
    assert refusal(EPPGBM, csv_bytes(table, ";")).code == "PARSE_DATES_EXCHANGED"


# --- what a spreadsheet did to a text ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "column", "sent", "read"),
    [
        ("bps/social_registry_families", "desil_nasional", "3.0", "3"),
        ("bps/social_registry_families", "desil_nasional", "0.0", None),
        ("bps/social_registry_families", "id_lantai_terluas", "2,0", "2"),
        ("bps/social_registry_families", "kode_kelurahan", "3671051001.000000", "3671051001"),
        ("bps/social_registry_families", "no_kk", "3671010101101000.0", "3671010101101000"),
        ("bps/social_registry_families", "desil_nasional", "3.000", "3.000"),
        ("bps/social_registry_families", "desil_p3ke", "6-10", "6-10"),
        ("published/official_figures", "periode", "2025.0", "2025"),
        ("kemenkes/eppgbm", "nik", "'3671010101230001", "3671010101230001"),
        ("kemenkes/eppgbm", "nik", "3671 0101 0123 0001", "3671010101230001"),
        ("kemenkes/eppgbm", "nik", "36.71.01.010123.0001", "3671010101230001"),
        ("kemenkes/eppgbm", "nik", "3.67101010123000E+15", "3.67101010123000E+15"),
        ("kemenkes/eppgbm", "nik", "367101010123000.1", "367101010123000.1"),
        ("kemenkes/eppgbm", "nama", "Nur'aini", "Nur'aini"),
        ("kemenkes/eppgbm", "berat", "11.0", "11.0"),
    ],
)
def test_what_lost_nothing_is_read_and_what_lost_something_is_left(dataset, column, sent, read) -> None:
    rows = good_rows(dataset)
    rows[0][column] = sent
    parsed = parse(CONTRACTS[dataset], *as_file(dataset, rows))
    assert parsed.table[column][0].as_py() == read


@pytest.mark.parametrize("error", ["#N/A", "#div/0!", "#REF!", "#NAME?"])
def test_an_error_saved_as_text_is_no_name_and_no_blank(error: str) -> None:
    table = eppgbm_table()
    table[3][table[0].index("Nama")] = error
    for data, media in ((csv_bytes(table, ";"), "csv"), (xlsx_bytes(table), "xlsx")):
        parsed = parse(EPPGBM, data, media)
        assert [(row.source_row, row.rule_code) for row in parsed.refused] == [(4, "PARSE_ERROR_CELL")]
        assert parsed.rows_read == len(table) - 1


def test_two_encodings_in_one_file_are_told() -> None:
    table = eppgbm_table()
    lines = [csv_bytes([row], ";", ("utf-8", "cp1252")[number % 2]) for number, row in enumerate(table)]
    assert parse(EPPGBM, b"".join(lines), "csv").encoding == "utf-8-sig"
    for row in table[1:3]:
        row[1] = "André"
    lines = [csv_bytes([row], ";", ("utf-8", "cp1252")[number % 2]) for number, row in enumerate(table)]
    assert refusal(EPPGBM, b"".join(lines)).code == "PARSE_MIXED_ENCODINGS"


# --- what a sheet's XML says ------------------------------------------------------------------------------------------


def rewritten(data: bytes, change) -> bytes:
    """The workbook with its first sheet's XML changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(name, change(text) if name == "xl/worksheets/sheet1.xml" else text)
    return buffer.getvalue()


def test_rows_of_no_height_are_hidden_rows() -> None:
    flat = book_bytes(lambda _book, sheet: sheet.set_row(3, 0.001))
    flat = rewritten(flat, lambda xml: re.sub(rb'ht="0.001"', b'ht="0"', xml))
    assert refusal(EPPGBM, flat, "xlsx").code == "PARSE_HIDDEN_ROWS"
    every = book_bytes(lambda _book, _sheet: None)
    every = rewritten(every, lambda xml: xml.replace(b"<sheetFormatPr ", b'<sheetFormatPr zeroHeight="1" '))
    assert refusal(EPPGBM, every, "xlsx").code == "PARSE_HIDDEN_ROWS"


def test_marks_are_found_where_rows_and_cells_name_no_place() -> None:
    column = eppgbm_table()[0].index("Tinggi")
    data = book_bytes(lambda _book, sheet: sheet.write_formula(2, column, "=A1*8", None, ""))
    bare = rewritten(data, lambda xml: re.sub(rb' r="[A-Z]*[0-9]+"', b"", xml))
    assert parse(EPPGBM, bare, "xlsx").refused == [RefusedRow("sheet 1", 3, "PARSE_NO_RESULT")]


def test_data_on_a_hidden_sheet_alone_are_told() -> None:
    def write(book):
        hidden = book.add_worksheet()
        for number, row in enumerate(eppgbm_table()):
            hidden.write_row(number, 0, row)
        hidden.hide()

    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        book.add_worksheet()
        write(book)
    error = refusal(EPPGBM, buffer.getvalue(), "xlsx")
    assert (error.code, "sheet 2" in error.message_en) == ("PARSE_ONLY_HIDDEN", True)


@pytest.mark.parametrize("value", [b"NaN", b"INF", b"-INF", b"1E+400", b"-1E+300", b"99999999999"])
def test_an_impossible_number_in_a_date_or_a_weight_ends_in_a_row_or_in_a_reason(value: bytes) -> None:
    table = eppgbm_table()
    for header in ("Berat", "Tgl Lahir"):
        row = list(table[1])
        row[table[0].index(header)] = date(2023, 4, 5) if header == "Tgl Lahir" else 9.125
        data = xlsx_bytes([table[0], row, *table[2:]])
        poisoned = rewritten(data, lambda xml: re.sub(rb"<v>(45021|9\.125)</v>", b"<v>" + value + b"</v>", xml))
        assert poisoned != data
        with contextlib.suppress(UnreadableDelivery):
            assert parse(EPPGBM, poisoned, "xlsx").rows_read == len(table) - 1


@pytest.mark.parametrize("cut", [0.3, 0.5, 0.7])
def test_a_workbook_that_lost_a_block_is_damaged(cut: float) -> None:
    data = book_bytes(lambda _book, _sheet: None)
    at = int(len(data) * cut)
    assert refusal(EPPGBM, data[:at] + data[at + 512 :], "xlsx").code == "PARSE_TRUNCATED"
