"""`warehouse sql` reads a release and ops, and reaches nothing else."""

import duckdb
import pytest
from typer.testing import CliRunner

from warehouse import cli
from warehouse.cli import analysts
from warehouse.core.errors import ConfigError, ReleaseError
from warehouse.read import marts


@pytest.fixture
def s(settings, tmp_path):
    for release, value in [("20260101T000000Z-00000001", 1), ("20260102T000000Z-00000002", 2)]:
        folder = settings.releases_dir / release
        folder.mkdir(parents=True)
        with duckdb.connect(str(folder / "marts.duckdb")) as con:
            con.execute(f"CREATE TABLE cells AS SELECT {value}::BIGINT AS n, 'Benda' AS area_name")
    with duckdb.connect(str(settings.ops_file)) as con:
        con.execute("CREATE TABLE ops_releases AS SELECT 'x' AS release_id")
    settings.current.symlink_to(folder)
    (tmp_path / "outside.csv").write_text("a\n1\n")
    return settings


def test_marts_and_ops_are_read_by_their_bare_names(s):
    assert marts.query(s, "SELECT n, area_name FROM cells") == (["n", "area_name"], [(2, "Benda")])
    assert marts.query(s, "FROM ops_releases") == (["release_id"], [("x",)])
    assert marts.query(s, "SELECT n FROM marts.cells JOIN ops.ops_releases ON true")[1] == [(2,)]


def test_an_older_release_can_be_asked(s):
    assert marts.query(s, "SELECT n FROM cells", "20260101T000000Z-00000001")[1] == [(1,)]


@pytest.mark.parametrize(("query", "near"), [("SELECT aera_name FROM cells", "area_name"), ("FROM cell", "cells")])
def test_an_unknown_column_or_table_is_answered_with_the_nearest(s, query, near):
    with pytest.raises(ConfigError) as caught:
        marts.query(s, query)
    assert caught.value.action_id.startswith(f"Mungkin maksud Anda '{near}'.")
    assert caught.value.action_en.startswith(f"Did you mean '{near}'?")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("select * from m where measure = 'stuntd' and area = 'x'", ["stuntd"]),
        ("select * from m where m.measure IN ('stunted', 'wasted') and area in ('x')", ["stunted", "wasted"]),
        ("select measure from m", []),
    ],
)
def test_measures_that_a_condition_names_are_found(query, named):
    assert marts.measures_asked(query) == named


def test_a_slip_in_a_measure_is_answered_with_the_nearest(s, monkeypatch):
    with duckdb.connect(str(s.current.resolve() / "marts.duckdb")) as con:
        con.execute("CREATE TABLE dim_measure AS SELECT 'stunted' AS measure")
    monkeypatch.setattr(analysts, "get_settings", lambda: s)
    asked = CliRunner().invoke(cli.app, ["sql", "select measure from dim_measure where measure = 'stuntd'"])
    assert "'stunted'" in asked.stderr


@pytest.mark.parametrize("damage", [b"no database", b"", None])
@pytest.mark.parametrize("name", ["marts", "ops"])
def test_a_damaged_file_is_named_and_not_mended(s, name, damage):
    file = s.current.resolve() / "marts.duckdb" if name == "marts" else s.ops_file
    whole = file.read_bytes()
    damaged = whole[: len(whole) // 2] if damage is None else damage
    file.write_bytes(damaged)
    with pytest.raises(ReleaseError, match=rf"RELEASE_UNREADABLE.*{file.parent.name}/{file.name}.*--release"):
        marts.query(s, "SELECT n FROM cells")
    assert file.read_bytes() == damaged


def test_a_file_damaged_further_in_is_named_by_whoever_reads_that_far(s):
    file = s.current.resolve() / "marts.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute("CREATE TABLE many AS SELECT md5(i::VARCHAR) AS text FROM range(100000) t(i)")
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 1000] = bytes(1000)
    file.write_bytes(whole)
    assert marts.query(s, "SELECT n FROM cells")[1] == [(2,)]
    with pytest.raises(ReleaseError, match=f"RELEASE_UNREADABLE.*{file.parent.name}/{file.name}"):
        marts.query(s, "SELECT max(text) FROM many")


@pytest.mark.parametrize(
    "statement",
    [
        "SHOW TABLES",
        "DESCRIBE cells",
        "SUMMARIZE cells",
        "EXPLAIN SELECT * FROM cells",
        "explain analyze WITH c AS (FROM cells) SELECT count(*) FROM c",
        "EXPLAIN (FORMAT json) SELECT 1",
    ],
)
def test_looking_around_is_allowed(s, statement):
    assert marts.query(s, statement)[1]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM '{outside}'",
        "SELECT * FROM read_csv('{outside}')",
        "SELECT * FROM read_text('{outside}')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_parquet('http://127.0.0.1:1/x.parquet')",
        "SELECT * FROM duckdb_secrets()",
    ],
)
def test_no_file_or_network_can_be_read(s, tmp_path, statement):
    with pytest.raises(ConfigError, match="SQL_FAILED"):
        marts.query(s, statement.format(outside=tmp_path / "outside.csv"))


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH '{build}' AS b",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA threads = 8",
        "COPY cells TO '{build}'",
        "EXPORT DATABASE '{build}'",
        "CREATE TABLE mine AS SELECT 1",
        "INSERT INTO cells VALUES (3, 'x')",
        "UPDATE cells SET n = 5",
        "DROP TABLE cells",
        "CALL pragma_version()",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{marts}' (USE_TMP_FILE false)",
        "/* plan */ EXPLAIN ANALYZE COPY (SELECT 1) TO '{marts}' (USE_TMP_FILE false)",
        "EXPLAIN (ANALYZE) COPY cells TO '{marts}' (USE_TMP_FILE false)",
        "EXPLAIN ANALYZE CREATE TABLE memory.main.mine AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; ATTACH '{build}'",
        "",
    ],
)
def test_only_one_reading_statement_is_accepted(s, tmp_path, statement):
    file = marts.marts_file(s)
    before = file.read_bytes()
    with pytest.raises(ConfigError, match="SQL_REFUSED"):
        marts.query(s, statement.format(build=tmp_path / "x.duckdb", marts=file))
    assert file.read_bytes() == before
    assert not (tmp_path / "x.duckdb").exists()


def test_a_mistake_is_told_with_what_to_do(s):
    with pytest.raises(ConfigError) as caught:
        marts.query(s, "SELECT missing FROM cells")
    assert caught.value.code == "SQL_FAILED"
    assert "missing" in caught.value.message_id
    assert "DESCRIBE" in caught.value.action_en


@pytest.mark.parametrize("release_id", ["20260103T000000Z-00000003", "../vault", "..", ".lock", "/etc"])
def test_a_release_that_is_not_kept_is_refused(s, release_id):
    with pytest.raises(ReleaseError, match="RELEASE_UNKNOWN"):
        marts.query(s, "SELECT 1", release_id)


def test_without_ops_the_marts_are_still_there(s):
    s.ops_file.unlink()
    assert marts.query(s, "SELECT n FROM cells")[1] == [(2,)]
