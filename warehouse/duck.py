"""The one place that opens DuckDB connections from Python, so that limits and hardening are the same everywhere."""

import os
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import duckdb

from warehouse.settings import Settings


@cache
def httpfs_extension() -> Path:
    """Path of the signed httpfs extension in its wheel; it brings the OpenSSL that encryption needs."""
    folder = Path(find_spec("duckdb_extension_httpfs").submodule_search_locations[0])
    (path,) = folder.rglob("httpfs.duckdb_extension")
    return path


def connect(
    settings: Settings,
    database: str | Path = ":memory:",
    *,
    read_only: bool = False,
    sees_identifiers: bool = False,
) -> duckdb.DuckDBPyConnection:
    """Open DuckDB with our limits; extensions are never fetched.

    A connection that sees identifiers must be in memory, and spills encrypted: a plain spill writes NIKs in clear.
    """
    if sees_identifiers and not str(database).startswith(":memory:"):
        raise ValueError("identifiers may be seen by in-memory connections only")
    connection = duckdb.connect(
        str(database),
        read_only=read_only,
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": settings.duckdb_memory,
            "threads": str(settings.duckdb_threads),
            "temp_directory": _spill(settings),
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    if sees_identifiers:
        connection.load_extension(str(httpfs_extension()))
        connection.execute("SET temp_file_encryption = true")
    return connection


def _spill(settings: Settings) -> str:
    """Where a connection may spill: nowhere for a reader, to whom nothing in the home is writable."""
    with suppress(PermissionError):
        settings.tmp_dir.mkdir(parents=True, exist_ok=True)
    return str(settings.tmp_dir / "spill") if os.access(settings.tmp_dir, os.W_OK) else ""


def sql_path(path: Path) -> str:
    """A path as it stands between the quotes of a string in SQL."""
    return str(path).replace("'", "''")
