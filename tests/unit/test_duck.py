"""Connections that see identifiers spill apart and encrypted; a SELECT is told to read other tables, and only these."""

import multiprocessing
import os
import signal
from pathlib import Path

import duckdb
import pytest

from warehouse.core import duck
from warehouse.core.settings import Settings

_LARGE = (
    "CREATE OR REPLACE TABLE t AS"
    " SELECT range AS n, md5(range::VARCHAR) AS a, md5((range + 1)::VARCHAR) AS b FROM range(1_500_000)"
)


def small(settings: Settings) -> Settings:
    return settings.model_copy(update={"duckdb_memory": "60MB", "duckdb_threads": 1})


def spilled(settings: Settings) -> list[Path]:
    return [path for path in (settings.tmp_dir / "spill").rglob("*") if path.is_file()]


def spill_and_die(settings: Settings) -> None:
    connection = duck.connect(small(settings), sees_identifiers=True)
    connection.execute(_LARGE)
    assert spilled(settings)
    os.kill(os.getpid(), signal.SIGKILL)


def test_connections_open_beside_one_that_spills(settings):
    with duck.connect(small(settings), sees_identifiers=True) as first:
        first.execute(_LARGE)
        assert spilled(settings)
        with duck.connect(settings, sees_identifiers=True) as second:
            assert second.execute("SELECT 1").fetchone() == (1,)
    assert spilled(settings) == []


def test_what_a_killed_process_spilled_is_removed_and_hinders_nobody(settings):
    process = multiprocessing.get_context("spawn").Process(target=spill_and_die, args=(settings,))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert spilled(settings)
    with duck.connect(settings, sees_identifiers=True):
        assert spilled(settings) == []


def test_an_extension_that_nobody_signed_is_never_loaded(settings, tmp_path, monkeypatch):
    """Neither in place of the one that was checked before, nor by a connection that has loaded that one."""
    with duck.connect(settings, sees_identifiers=True):
        pass
    data = bytearray(duck.httpfs_extension().read_bytes())
    data[len(data) // 2] ^= 1
    for path in ((replaced := tmp_path / "httpfs.duckdb_extension"), (other := tmp_path / "other.duckdb_extension")):
        path.write_bytes(data)
    with duck.connect(settings, sees_identifiers=True) as connection:
        with pytest.raises(duckdb.Error, match="signature"):
            connection.load_extension(str(other))
        with pytest.raises(duckdb.Error, match="allow_unsigned_extensions"):
            connection.execute("SET allow_unsigned_extensions = true")
    monkeypatch.setattr(duck, "httpfs_extension", lambda: replaced)
    with pytest.raises(duckdb.Error, match="signature"):
        duck.connect(settings, sees_identifiers=True)


@pytest.fixture
def tables():
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA marts")
        for table, n in (("marts.cells", 3), ("marts.cells_more", 7), ("rounded", 5)):
            con.execute(f"CREATE TABLE {table} AS SELECT {n} AS n")
        yield con


CELLS, MORE = '"memory"."marts"."cells"', '"memory"."marts"."cells_more"'


@pytest.mark.parametrize(
    ("select", "rows"),
    [
        (f"SELECT n FROM {CELLS}", [(5,)]),
        (f"SELECT cells.n FROM {CELLS}", [(5,)]),
        (f"SELECT c.n, m.n FROM {CELLS} AS c CROSS JOIN {MORE} m", [(5, 7)]),
        (f"-- of {CELLS}, é\nSELECT 'é of {CELLS}' AS said, n /* {CELLS} */ FROM {CELLS}", [(f"é of {CELLS}", 5)]),
        (
            f"WITH a AS (FROM {CELLS}) SELECT (SELECT max(n) FROM {CELLS}) FROM a WHERE n IN (SELECT n FROM {CELLS})",
            [(5,)],
        ),
        (f"SELECT n FROM {CELLS} UNION ALL SELECT n FROM {MORE} ORDER BY n", [(5,), (7,)]),
        (f"WITH cells AS (SELECT n + 1 AS n FROM {CELLS}) SELECT n FROM cells", [(6,)]),
    ],
)
def test_a_select_reads_the_other_table_wherever_it_names_it_as_one(tables, select, rows):
    assert tables.execute(duck.reading_from(tables, select, {CELLS: "memory.main.rounded"})).fetchall() == rows


@pytest.mark.parametrize("select", ["SELECT n FROM memory.marts.cells", f"SELEC n FROM {CELLS}", f"DROP TABLE {CELLS}"])
def test_a_select_whose_tables_cannot_be_told_is_refused(tables, select):
    with pytest.raises(ValueError, match=r"another way|not a SELECT"):
        duck.reading_from(tables, select, {CELLS: "memory.main.rounded"})
