"""The leak scan finds identities in whatever form and file they lie, names the place, and never tells the value."""

import base64
import bz2
import gzip
import io
import lzma
import random
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import zipfile
import zlib
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import scan
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.scan import NOTHING, Values, files
from warehouse.scan.search import search, search_numbers, search_words_of_memory
from warehouse.scan.shapes import shape_of
from warehouse.storage import landing

# Made up: region, day, month, year and serial are of the right shape, and nobody's.
NIK = "3671011708900001"
WOMANS = "3671015708900001"
KK = "3671020502150007"
KNOWN = Values.of(
    nik=[NIK],
    kk=[KK],
    numbers={"kpj": ["12345678901"]},
    people=[
        ("Siti Nur Ainî", "1990-08-17"),
        ("Melati", "2001-05-09"),
        ("M. Rizki Pratama", None),
        ("Benda Baru", None),
    ],
    public_names=["Benda Baru"],
    version="vault",
)


def kinds(text: str | bytes, values: Values = NOTHING) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    return sorted(hit.kind for hit in search(data, values))


# --- shapes, without a vault -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [NIK, WOMANS, f"NIK {NIK}.", f'"{NIK}"', f"nik={NIK};", f"x{NIK}y", f"[{NIK}]"])
def test_the_shape_of_a_number_is_found(text):
    assert kinds(text) == ["number_shape"]


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
        "3605011708900001",  # no such kabupaten in this province
        "3671001708900001",  # no kecamatan
        "3671011708900000",  # a serial no office gives out
        "36.71.01.1001",
        f"a3f{NIK}bb01c4d5e6f7089a",  # within a hash
        NIK[:15],
        "9999999999999999",
        "2026-11-22 01:02:03.123456",
        "0812-34",
        "0.0812900054171234",
        "nama@example.com",
        "Tangerang, 5 Mei 2001",
        "as_of 1990-08-17",
        "12345678901",
    ],
)
def test_what_only_resembles_an_identifier_is_none(text):
    assert kinds(text) == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("HP 081290005417", "phone"),
        ("hubungi +62 812-9000-5417 segera", "phone"),
        ("a,081290005417,b", "phone"),
        ("ibu.sari77@gmail.com", "email"),
        ("tgl_lahir: 1990-08-17", "birth_date"),
        ('"birth_date":"1990-08-17"', "birth_date"),
        ("Tanggal Lahir;17/08/1990", "birth_date"),
        ("no_kpj=12345678901", "kpj"),
    ],
)
def test_other_identifiers_by_their_shape(text, kind):
    assert kinds(text) == [kind]


def test_clock_readings_are_known_by_their_company():
    start = 1_771_010_000_000_000
    readings = [str(start + i * 1_234_567_891) for i in range(5000)]
    assert kinds("\n".join(readings)) == []
    numbers = np.array([int(reading) for reading in readings])
    assert search_numbers(numbers, NOTHING) == []


# --- values ----------------------------------------------------------------------------------------------------------

FORMS = {
    "plain": NIK.encode(),
    "hyphens": b"3671-0117-0890-0001",
    "blanks": b"3671 0117 0890 0001",
    "dots": b"36.71.01.170890.0001",
    "parts": b"367101-170890-0001",
    "scientific": b"3.671011708900001E+15",
    "decimal": f"{NIK}.0".encode(),
    "within more digits": f"99{NIK}99".encode(),
    "utf-16": f"nik {NIK}".encode("utf-16"),
    "utf-16-be": f"nik {NIK}".encode("utf-16-be"),
    "url": b"3671%200117%200890%200001",
    "json escape": rb"\u0033671011708900001",
    "entity": b"&#51;671011708900001",
    "hex": NIK.encode().hex().encode(),
    **{f"base64 at {i}": base64.b64encode(("x" * i + f"{NIK};").encode()) for i in range(3)},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_number_is_found_in_every_form(form):
    assert kinds(b"before " + form + b" after" if b"\0" not in form else form, KNOWN) == ["nik"]


@pytest.mark.parametrize(
    "text",
    ["siti nur aini", "SITI NUR AINI", "Siti+Nur+Aini", "siti%20nur%20aini", "Siti_Nur_Ain\\u00ee", "SITI  NUR AINÎ",
     "M Rizki Pratama", "melati, 2001-05-09", "09-05-2001 | Melati"],
)  # fmt: skip
def test_a_name_is_found_in_context(text):
    assert kinds(f"baris: {text}.", KNOWN) == ["name"]


@pytest.mark.parametrize(
    "text",
    ["Siti Nur", "Nur Aini", "Siti, Nur, Aini", "posyandu Melati", "Melati 2001-05-10", "Kelurahan Benda Baru", "rizki",
     "Melati\n2001-05-09"],
)  # fmt: skip
def test_a_word_that_is_also_a_name_says_nothing(text):
    assert kinds(text, KNOWN) == []


def test_a_day_of_birth_counts_where_few_were_born():
    many = Values.of(people=[(None, "1990-08-17")] * 5, version="vault")
    assert kinds("tgl_lahir 1990-08-17, tgl_lahir 1990-08-18", many) == ["birth_date"]


def test_values_end_to_end_in_a_page_are_found():
    numbers = [NIK, KK] * 50
    assert kinds("".join(numbers), KNOWN).count("nik") == 50


def test_numbers_in_binary_are_found():
    words = np.array([7, int(NIK), 9], dtype="<i8").tobytes() + np.array([float(KK)]).tobytes()
    assert [hit.kind for hit in search_words_of_memory(words, KNOWN)] == ["nik", "kk"]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3 * 8192))
def test_a_number_across_two_pieces_of_a_file_is_found_once(tmp_path_factory, offset):
    path = tmp_path_factory.mktemp("scan") / "file"
    path.write_bytes(b"." * offset + b" " + NIK.encode() + b" " + b"." * 9000)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(files, "CHUNK", 8192)
        assert [finding.count for finding in scan.scan_file(path, KNOWN)] == [1]


# --- files -----------------------------------------------------------------------------------------------------------


def found(path: Path, values: Values = KNOWN) -> dict[tuple[str, str], int]:
    findings = scan.scan_paths([path], values)
    for value in (NIK, WOMANS, KK, "Aini", "AINI"):
        assert value not in repr(findings)
    return {(finding.place, finding.kind): finding.count for finding in findings}


def test_text_names_its_line(tmp_path):
    path = tmp_path / "a.log"
    path.write_text(f"ok\nok\nnik {NIK}\nand {NIK} again\n")
    assert found(path) == {("line 3", "nik"): 2}


def test_columns_of_parquet_and_duckdb_nested_ones_too(tmp_path):
    rows = (
        f"SELECT 'keluarga {NIK}' AS note, {NIK}::BIGINT AS whole, {NIK}::DOUBLE AS floating, {NIK}::HUGEINT AS huge,"
        f" [{{'a': {{'b': '{KK}'}}}}] AS nested, MAP {{'k': '{NIK}'}} AS mapped, '{NIK}'::BLOB AS packed, 'x' AS other,"
        " DATE '1990-08-17' AS tgl_lahir, i FROM range(60) t(i)"
    )
    parquet, database = tmp_path / "a.parquet", tmp_path / "b.duckdb"
    duckdb.execute(f"COPY ({rows}) TO '{parquet}' (FORMAT parquet, COMPRESSION zstd)")
    with duckdb.connect(str(database)) as con:
        con.execute(f"CREATE TABLE t AS {rows}")
        con.execute(f"COMMENT ON COLUMN t.other IS 'lihat {NIK}'")
    expected = {"note": "nik", "whole": "nik", "floating": "nik", "mapped.value": "nik", "packed": "nik",
                "tgl_lahir": "birth_date", "nested.a.b": "kk"}  # fmt: skip
    inside = found(parquet)
    assert {(f"{column}", kind): 60 for column, kind in expected.items()}.items() <= inside.items()
    inside = found(database)
    assert {
        (f"t.{column}", kind): 60 for column, kind in (expected | {"huge": "nik"}).items()
    }.items() <= inside.items()
    assert inside[("(columns)", "nik")] == 1


@pytest.mark.parametrize(("values", "kind"), [(KNOWN, "nik"), (NOTHING, "number_shape")])
def test_bytes_of_a_dropped_table_are_found(tmp_path, values, kind):
    path = tmp_path / "b.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(f"CREATE TABLE t AS SELECT '{NIK}' AS v FROM range(5000)")
        con.execute("CHECKPOINT")
        con.execute("CREATE TABLE u AS SELECT md5(i::VARCHAR) AS v FROM range(20000) t(i)")
        con.execute("CHECKPOINT")
        con.execute("DROP TABLE t")
    (found_at,) = found(path, values)
    assert found_at[0].startswith("byte ")
    assert found_at[1] == kind


@pytest.mark.parametrize(("values", "kind"), [(KNOWN, "nik"), (NOTHING, "number_shape")])
def test_what_an_engine_spilled_is_found(tmp_path, values, kind):
    with duckdb.connect(
        config={"memory_limit": "60MB", "threads": "1", "temp_directory": str(tmp_path / "spill")}
    ) as con:
        con.execute("SET preserve_insertion_order = false")
        rows = con.execute(
            f"SELECT i, 'nomor {NIK} ' || repeat('z', 60) AS v FROM range(1000000) t(i) ORDER BY hash(i)"
        )
        rows.fetchmany(10)
        # The engine removes what it spilled when it ends.
        copies = [
            shutil.copy(path, tmp_path / f"duckdb_temp_copy_{path.name}") for path in (tmp_path / "spill").iterdir()
        ]
    assert copies
    before = _address_space()
    kinds_found = {found_kind for copy in copies for _place, found_kind in found(Path(copy), values)}
    assert kinds_found == {kind}
    assert _address_space() - before < 4 * 2**30, "what was set aside for frames is given back: else no fork succeeds"


def _address_space() -> int:
    (size,) = re.findall(r"^VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    return int(size) * 1024


def test_numbers_of_an_unknown_person_are_found_in_columns(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"v": [f"nik {WOMANS}"] * 3, "n": [int(WOMANS)] * 3}), path)
    assert found(path) == {("v", "number_shape"): 3, ("n", "number_shape"): 3}


def test_a_birth_date_beside_the_persons_pseudonym_is_found_whatever_its_column_is_called(tmp_path):
    values = Values.of(birth_of={f"k{i}": f"1990-03-{i + 1:02}" for i in range(28)}, version="vault")
    keys = [f"k{i}" for i in range(28)]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"nik_key": keys, "d": [date(1990, 3, i + 1) for i in range(28)]}), path)
    assert found(path, values) == {("d", "birth_date"): 28}
    pq.write_table(pa.table({"nik_key": keys, "d": [date(2020, 3, i + 1) for i in range(28)]}), path)
    assert found(path, values) == {}


def test_a_short_name_in_the_hexadecimal_of_a_hash_is_nobodys(tmp_path):
    values = Values.of(people=[("DEDE", "2023-01-01"), ("ADE", "2023-01-01")], version="vault")
    path = tmp_path / "a.csv"
    for digest in ("4db314db4f83dede85ac8ac3", "dede85ac", "85acade"):
        path.write_text(f"623,2023-01-01,{digest}\n")
        assert found(path, values) == {}
    for line in ("Dede,2023-01-01,4db3", "2023-01-01 ade", "x;DEDE;2023-01-01"):
        path.write_text(line + "\n")
        assert sum(found(path, values).values()) == 1


def workbook(path: Path) -> None:
    with xlsxwriter.Workbook(path) as book:
        book.set_properties({"author": "Siti Nur Aini"})
        sheet = book.add_worksheet("Daftar")
        sheet.write_row(0, 0, ["NIK", "Nama", "KK"])
        sheet.write_row(1, 0, [NIK, "siti nur aini", int(KK)])
        sheet.write_comment(1, 1, f"cek {KK}")
        book.add_worksheet(f"anak {NIK}").write(0, 0, "x")


def test_a_workbook_names_sheet_and_cell(tmp_path):
    path = tmp_path / "a.xlsx"
    workbook(path)
    inside = found(path)
    assert inside.items() >= {
        ("Daftar!A2", "nik"): 1, ("Daftar!B2", "name"): 1, ("Daftar!C2", "kk"): 1, ("name of sheet 2", "nik"): 1,
    }.items()  # fmt: skip
    assert any(place.startswith("docProps/core.xml") for place, kind in inside if kind == "name")
    assert any(place.startswith("xl/comments") for place, kind in inside if kind == "kk")


def picture(text: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"zTXt", b"Title\0\0" + zlib.compress(text)) + chunk(b"IEND", b"")


def test_archives_and_compressed_files_are_opened(tmp_path):
    text = f"baris\nnik {NIK}\n".encode() * 3
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/a.csv.gz", gzip.compress(text))
    packed = {
        "a.gz": gzip.compress(text), "a.bz2": bz2.compress(text), "a.xz": lzma.compress(text),
        "a.zip": inner.getvalue(),
        "a.png": picture(text), "a.zst": pa.compress(text, "zstd", asbytes=True),
    }  # fmt: skip
    for name, data in packed.items():
        (tmp_path / name).write_bytes(data)
        inside = found(tmp_path / name)
        assert set(inside.values()) == {3}, name
        assert {kind for _place, kind in inside} == {"nik"}, name
    assert list(found(tmp_path / "a.zip")) == [("in/a.csv.gz line 2", "nik")]


def test_a_database_of_sql_is_read_by_table_and_column(tmp_path):
    path = tmp_path / "airflow.db"
    with sqlite3.connect(path) as con:
        con.execute("CREATE TABLE xcom (key TEXT, value TEXT, packed BLOB, number INTEGER)")
        con.execute("INSERT INTO xcom VALUES ('a', ?, ?, ?)", (f'"{NIK}"', zlib.compress(KK.encode()), int(NIK)))
    inside = found(path)
    assert inside == {("xcom.value", "nik"): 1, ("xcom.packed", "kk"): 1, ("xcom.number", "nik"): 1}


def test_a_file_that_cannot_be_opened_is_not_clean(tmp_path):
    whole = tmp_path / "a.parquet"
    pq.write_table(pa.table({"v": list(range(1000))}), whole)
    (tmp_path / "cut.parquet").write_bytes(whole.read_bytes()[:-9])
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    for name in ("cut.parquet", "cut.gz"):
        assert {kind for _place, kind in found(tmp_path / name)} == {"unreadable"}


def test_a_name_of_a_file_is_searched_and_shown_by_its_shape(tmp_path):
    path = tmp_path / f"anak {NIK}.txt"
    path.write_text("ok")
    (finding,) = scan.scan_paths([path], KNOWN)
    assert (finding.place, finding.kind) == ("file name", "nik")
    assert finding.file.endswith("aaaa 9999999999999999.aaa")


def test_a_column_called_by_a_number_is_shown_by_its_shape(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({NIK: [NIK]}), path)
    assert ("9999999999999999", "nik") in found(path)


def test_only_these_values(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text(f"{NIK} {WOMANS} 081290005417 081290005418 a.b@c.id")
    values = Values.of(nik=[NIK], phones=["+62 812-9000-5417"], emails=["A.B@c.id"])
    findings = scan.values_in([tmp_path / "a"], values)
    assert sorted((finding.kind, finding.count) for finding in findings) == [("email", 1), ("nik", 1), ("phone", 1)]


def test_clean_files_give_no_finding(tmp_path):
    path = tmp_path / "clean.parquet"
    duckdb.execute(
        "COPY (SELECT i, i / 3.0 AS share, sha256(i::VARCHAR) AS hash, uuid()::VARCHAR AS id,"
        " printf('3671%06d', i) AS code, 1.5e15 + i * 1e9 AS epoch, (1.7e15 + i * 1e10)::BIGINT AS clock,"
        " ((1.7e15 + i * 1e10)::BIGINT)::VARCHAR AS clock_text, (i / 7.0)::VARCHAR AS share_text"
        f" FROM range(20000) t(i)) TO '{path}' (COMPRESSION uncompressed)"
    )
    with duckdb.connect(str(tmp_path / "clean.duckdb")) as con:
        con.execute(f"CREATE TABLE t AS FROM '{path}'")
    for values in (KNOWN, NOTHING):
        assert found(path, values) == {}
        assert found(tmp_path / "clean.duckdb", values) == {}


def test_random_bytes_give_no_finding(tmp_path):
    path = tmp_path / "noise"
    path.write_bytes(random.Random(7).randbytes(4_000_000))
    assert found(path) == {}


def test_a_shape_tells_no_value():
    assert shape_of("3671-0117 Ani é") == "9999-9999 Aaa a"


# --- a home ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def rules(tmp_path) -> Path:
    """A project folder of our own, with a file of accepted places."""
    path = tmp_path / "project" / "expectations" / "leak_scan.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "accepted:\n- {file: lake/*, place: helpdesk, kind: phone, reason: A public help desk, "
        "reason_date: 2026-11-22, decided_by: Walidata}\n"
    )
    return path


def a_home(settings, rules: Path):
    (settings.home / "lake").mkdir(parents=True)
    (settings.home / "landing").mkdir()
    (settings.home / "landing" / "a.txt").write_text(NIK)
    return settings.model_copy(update={"project_dir": rules.parent.parent})


def test_a_home_is_searched_outside_landing_and_vault_and_unchanged_files_once(settings, rules, monkeypatch):
    s = a_home(settings, rules)
    monkeypatch.setattr(scan.home, "vault_values", lambda _s: KNOWN)
    clean, dirty = s.home / "lake" / "clean.txt", s.home / "lake" / "dirty.txt"
    clean.write_text("ok")
    dirty.write_text(f"nik {NIK}")
    first = scan.scan_home(s)
    assert [str(finding) for finding in first.findings] == ["lake/dirty.txt line 1: nik (1)"]
    assert (first.files, first.files_read) == (2, 2)
    dirty.write_text("ok")
    second = scan.scan_home(s)
    assert (second.findings, second.files_read) == ((), 1)
    assert scan.scan_home(s).files_read == 0
    # Other values, or a change within the same second: looked at again.
    clean.write_text("no")
    assert scan.scan_home(s).files_read == 1
    monkeypatch.setattr(scan.home, "vault_values", lambda _s: Values.of(nik=[WOMANS], version="grown"))
    assert scan.scan_home(s).files_read == 2


def test_what_was_looked_at_ahead_is_not_looked_at_again_and_what_was_not_clean_is_found(settings, rules):
    s = a_home(settings, rules)
    for folder in ("lake", "releases"):
        (s.home / folder).mkdir(exist_ok=True)
        (s.home / folder / "clean.txt").write_text("ok")
        (s.home / folder / "dirty.txt").write_text("081290005417 a@b.id")
    with scan.ahead(s):
        pass
    found = scan.scan_home(s)
    assert found.files_read == found.files - 1
    assert {finding.file for finding in found.findings} == {"lake/dirty.txt", "releases/dirty.txt"}


def test_without_the_look_ahead_everything_is_looked_at(settings, rules, monkeypatch, caplog):
    s = a_home(settings, rules)
    (s.home / "lake" / "clean.txt").write_text("ok")
    monkeypatch.setattr(scan.home.sys, "executable", "/bin/false")
    with scan.ahead(s):
        pass
    assert "ended with 1" in caplog.text
    assert scan.scan_home(s).files_read == 1


def test_a_spool_in_use_is_passed_over_and_an_abandoned_one_is_not(settings, rules, monkeypatch):
    s = a_home(settings, rules)
    with landing.spool(s) as spool:
        (spool / "a").write_text(NIK)
        assert scan.scan_home(s).findings == ()
    left = s.tmp_dir / "spool-left"
    left.mkdir()
    (left / "a").write_text(NIK)
    assert [finding.file for finding in scan.scan_home(s).findings] == ["tmp/spool-left/a"]


def test_an_accepted_place_is_no_finding_for_its_kind_alone(settings, rules):
    s = a_home(settings, rules)
    pq.write_table(pa.table({"helpdesk": ["081290005417"], "other": ["081290005417"]}), s.home / "lake" / "a.parquet")
    assert [finding.place for finding in scan.scan_home(s).findings] == ["other"]
    rules.write_text("accepted:\n- {file: '*', place: '*', kind: nik}\n")
    scan.accepted.load_accepted.cache_clear()
    with pytest.raises(ConfigError, match="SCAN_RULES"):
        scan.scan_home(s)
    scan.accepted.load_accepted.cache_clear()


def test_the_projects_own_texts_and_seeds_hold_nobody():
    project = Settings().project_dir
    folders = [
        project / name for name in ("docs", "dbt_project/models", "dbt_project/seeds", "expectations", "README.md")
    ]
    assert scan.scan_paths(folders) == []


def test_a_database_in_use_is_searched_without_losing_the_locks_of_its_writer(tmp_path: Path):
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE t (x)")
        writer.execute("INSERT INTO t VALUES (?)", [f"NIK {NIK}"])
        writer.execute("BEGIN IMMEDIATE")
        assert files.scan_file(path, NOTHING)
        second = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        done = subprocess.run([sys.executable, "-c", second, path], capture_output=True, text=True, check=False)
        assert "database is locked" in done.stderr
