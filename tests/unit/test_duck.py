"""Connections that see identifiers: each spills into a folder of its own, encrypted, whatever others do beside it."""

import multiprocessing
import os
import signal
from pathlib import Path

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
