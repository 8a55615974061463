"""`warehouse sql` reads a release and ops, and reaches nothing else."""

import os
import re
import signal
import threading

import duckdb
import pytest
from typer.testing import CliRunner

from warehouse import cli
from warehouse.cli import analysts
from warehouse.core.errors import ConfigError, ReleaseError
from warehouse.read import marts, query


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
    with pytest.raises(ConfigError, match=r"SQL_FAILED|SQL_REFUSED"):
        marts.query(s, statement.format(outside=tmp_path / "outside.csv"))


EFFECTS = [
    "FROM enable_logging(storage='file')",
    "SELECT * FROM ENABLE_LOGGING(level='debug', storage='file', storage_config={'path': '/tmp/x'})",
    "SELECT 1 WHERE EXISTS (FROM system.main.enable_logging(storage='file'))",
    "FROM enable_profiling()",
    "FROM force_checkpoint()",
    "FROM truncate_duckdb_logs()",
    "SELECT write_log('x')",
    "WITH c AS (SELECT 1 AS n ORDER BY sleep_ms(1)) FROM c",
    "SELECT list_transform([1], x -> setseed(x))",
    "FROM query('SELECT * FROM enable_logging()')",
    "FROM query_table('cells')",
    "FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "EXPLAIN ANALYZE FROM enable_logging(storage='file')",
    "SELECT * FROM cells, LATERAL (FROM checkpoint())",
    "FROM a_function_of_the_next_version()",
]


@pytest.mark.parametrize("statement", EFFECTS)
def test_a_select_that_does_something_is_refused(s, statement):
    with pytest.raises(ConfigError, match="SQL_REFUSED"):
        marts.query(s, statement)


def test_the_table_functions_that_are_admitted_only_tell_or_work_out():
    """What a table function does, no catalogue says: by name, none reads, writes, runs text or tells a setting."""
    with duckdb.connect() as con:
        names = {
            name
            for (name,) in con.execute(
                "SELECT function_name FROM duckdb_functions() WHERE function_type LIKE 'table%'"
            ).fetchall()
        }
    assert names >= query.TABLE_FUNCTIONS, "a name that the engine does not know is a slip"
    effects = re.compile("read|scan|_log|profil|checkpoint|glob|sniff|secret|query|execute|variable|setting|database")
    assert [name for name in query.TABLE_FUNCTIONS if effects.search(name)] == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT n, random() < 2, uuid() IS NOT NULL, now() IS NOT NULL FROM cells",
        "FROM range(3)",
        "SELECT unnest([1, 2]) AS n",
        "FROM (PIVOT cells ON n IN (1, 2) USING count(*))",
        "SELECT table_name FROM information_schema.tables",
        "FROM duckdb_columns()",
        "SELECT list_transform([1], x -> x + 1), regexp_replace('a', 'a', 'b'), median(n) FROM cells GROUP BY n",
    ],
)
def test_what_an_analyst_writes_is_answered(s, statement):
    assert marts.query(s, statement)[1]


ENDLESS = "SELECT count(*) FROM range(100000000000) AS a(i), range(1000) AS b(j) WHERE hash(i, j) = 0"


@pytest.mark.parametrize("statement", [ENDLESS, f"EXPLAIN ANALYZE {ENDLESS}"])
def test_a_query_without_end_is_ended(s, statement):
    with pytest.raises(ConfigError, match="SQL_TOO_LONG"):
        marts.query(s.model_copy(update={"sql_seconds": 0.3}), statement)


def test_an_answer_is_whole_or_none(s):
    few = s.model_copy(update={"sql_rows": 10})
    assert len(marts.query(few, "FROM range(10)")[1]) == 10
    with pytest.raises(ConfigError, match=r"SQL_TOO_MANY_ROWS.*10"):
        marts.query(few, "FROM range(30000000)")


def test_a_query_takes_no_more_disk_than_is_set(s):
    tight = s.model_copy(update={"sql_spill": "1MB", "duckdb_memory": "60MB"})
    with pytest.raises(ConfigError, match="SQL_FAILED"):
        marts.query(tight, "SELECT count(*) FROM (SELECT DISTINCT md5(i::VARCHAR) FROM range(5000000) AS t(i))")


def test_ctrl_c_ends_a_query(s):
    # Whoever is started in the background has Ctrl-C ignored; one pressed before the query runs may be lost on it.
    before, has_ended = signal.signal(signal.SIGINT, signal.default_int_handler), threading.Event()

    def press() -> None:
        while not has_ended.wait(1):
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            marts.query(s, ENDLESS)
    finally:
        has_ended.set()
        signal.signal(signal.SIGINT, before)


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
