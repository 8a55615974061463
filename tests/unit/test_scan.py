"""The leak scan finds numbers shaped like a NIK wherever they lie, and only those."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import scan

# Made up: region, day, month, year and serial are of the right shape, and nobody's.
NIK = "3671011708900001"
WOMANS = "3671015708900001"


@pytest.mark.parametrize("text", [NIK, WOMANS, f"NIK {NIK}.", f'"{NIK}"', f"nik={NIK};", f"x{NIK}y", f"\x00{NIK}\xff"])
def test_the_shape_is_found(text):
    assert scan.scan_bytes(text.encode("latin-1")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "1764000000000000",  # an epoch in microseconds
        f"0.{NIK}",
        f"1{NIK}",
        f"{NIK}2",
        "3671013208900001",  # day 32
        "3671017208900001",  # day 72
        "3671011713900001",  # month 13
        "0071011708900001",  # no such province
        "3600011708900001",  # no such kabupaten
        "3671001708900001",  # no kecamatan
        "36.71.01.1001",
        f"a3f{NIK}bb01c4d5e6f7089a",  # within a hash
        NIK[:15],
    ],
)
def test_what_only_resembles_it_is_not(text):
    assert scan.scan_bytes(text.encode()) == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3 * 4096))
def test_a_number_across_two_pieces_of_a_file_is_found_once(tmp_path_factory, offset):
    path = tmp_path_factory.mktemp("scan") / "file"
    path.write_bytes(b"." * offset + b" " + NIK.encode() + b" " + b"." * 5000)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scan, "_CHUNK", 4096)
        assert scan.scan_file(path) == 1


def test_compressed_columns_of_parquet_and_duckdb_are_read(tmp_path):
    rows = f"SELECT 'keluarga {NIK}' AS note, {WOMANS}::BIGINT AS number, 'x' AS other FROM range(50)"
    parquet, database = tmp_path / "a.parquet", tmp_path / "b.duckdb"
    duckdb.execute(f"COPY ({rows}) TO '{parquet}' (FORMAT parquet, COMPRESSION zstd)")
    with duckdb.connect(str(database)) as con:
        con.execute(f"CREATE TABLE t AS {rows}")
    found = {(finding.file, finding.column, finding.count) for finding in scan.scan([parquet, database])}
    assert {
        ("a.parquet", "note", 50), ("a.parquet", "number", 50), ("b.duckdb", "note", 50), ("b.duckdb", "number", 50),
    } <= found  # fmt: skip
    assert "other" not in {column for _, column, _ in found}
    assert NIK not in repr(found)


def test_a_clean_file_gives_no_finding(tmp_path):
    path = tmp_path / "clean.parquet"
    duckdb.execute(f"COPY (SELECT i, i / 3.0 AS share, sha256(i::VARCHAR) AS hash FROM range(20000) t(i)) TO '{path}'")
    assert scan.scan([path]) == []
