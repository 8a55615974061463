"""The one place that opens DuckDB connections from Python, so that limits and hardening are the same everywhere."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import duckdb_extension_httpfs

from warehouse.core import files
from warehouse.core.settings import Settings

_NOTHING_FETCHED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


@cache
def httpfs_extension() -> Path:
    """Path of the signed httpfs extension in its wheel; it brings the OpenSSL that encryption needs."""
    (path,) = Path(duckdb_extension_httpfs.__path__[0]).rglob("httpfs.duckdb_extension")
    return path


@cache
def _confirm_signature(extension: Path, _mark: tuple[int, int, int]) -> None:
    """Have DuckDB check who signed the extension, once a process and file: hashing its 21 MB takes 80 ms each time.

    Raises duckdb.Error where it is not signed.
    """
    with duckdb.connect(config=_NOTHING_FETCHED) as connection:
        connection.load_extension(str(extension))


def _load_encryption(connection: duckdb.DuckDBPyConnection) -> None:
    """Load OpenSSL into a connection that admits the extension unseen, and have it admit no other."""
    extension = httpfs_extension()
    stat = extension.stat()
    _confirm_signature(extension, (stat.st_ino, stat.st_size, stat.st_mtime_ns))
    connection.load_extension(str(extension))
    connection.execute("SET allow_unsigned_extensions = false")
    connection.execute("SET temp_file_encryption = true")


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
        config=_NOTHING_FETCHED
        | {
            "allow_unsigned_extensions": str(sees_identifiers).lower(),
            "memory_limit": settings.duckdb_memory,
            "threads": str(settings.duckdb_threads),
            "temp_directory": _spill(settings),
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    if sees_identifiers:
        _load_encryption(connection)
    return connection


def _spill(settings: Settings) -> str:
    """Where a connection may spill: nowhere for a reader, to whom nothing in the home is writable.

    A folder of its own: DuckDB refuses to encrypt beside files that another connection, or a killed one, has spilled.
    """
    with suppress(PermissionError):
        settings.tmp_dir.mkdir(parents=True, exist_ok=True)
    if not os.access(settings.tmp_dir, os.W_OK):
        return ""
    return str(_own_spills(settings.tmp_dir / "spill", os.getpid()) / secrets.token_hex(8))


@cache
def _own_spills(folder: Path, _process: int) -> Path:
    """This process's folder of spills, held as long as it lives; what killed processes left is removed."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for spill in folder.glob("of-*"):
        with suppress(OSError), files.exclusive_lock(spill, wait=False):
            shutil.rmtree(spill)
    while True:
        own = folder / f"of-{secrets.token_hex(8)}"
        own.mkdir(mode=0o700)
        with suppress(FileNotFoundError):
            files.lock_for_life(own)
            if own.is_dir():
                return own


def reading_from(con: duckdb.DuckDBPyConnection, select: str, tables: Mapping[str, str]) -> str:
    """A SELECT that reads other tables instead of those it names.

    ``tables``: relation as dbt writes it, each part quoted -> relation to read. The engine's own parser says where a
    table stands, so that the same words in a text or a comment are left alone, and so is all else of the SQL. Columns
    that are qualified with a table's name still find it. Raises ValueError where the engine cannot tell the tables.
    """
    syntax_tree = json.loads(one_row(con.execute("SELECT json_serialize_sql(?)", [select]))[0])
    if syntax_tree["error"]:
        raise ValueError(f"not a SELECT that DuckDB reads: {syntax_tree['error_message']}")
    text, parts, end = select.encode(), [], 0
    for start, relation, name, has_alias in sorted(_tables_named(syntax_tree)):
        if relation not in tables:
            continue
        if not text.startswith(relation.encode(), start):
            raise ValueError(f"{relation} is written in another way at byte {start}")
        other = tables[relation] if has_alias else f'{tables[relation]} AS "{name}"'
        parts += [text[end:start], other.encode()]
        end = start + len(relation.encode())
    return b"".join([*parts, text[end:]]).decode()


def _tables_named(node: Any) -> Iterator[tuple[int, str, str, bool]]:
    """Of each table in a parsed SELECT: the byte where it stands, relation, name, whether it has an alias."""
    if isinstance(node, list):
        for inner in node:
            yield from _tables_named(inner)
    elif isinstance(node, dict):
        if node.get("type") == "BASE_TABLE":
            names = [node["catalog_name"], node["schema_name"], node["table_name"]]
            relation = ".".join(f'"{name}"' for name in names if name)
            yield node["query_location"], relation, names[-1], bool(node["alias"])
        for inner in node.values():
            yield from _tables_named(inner)


def one_row(result: duckdb.DuckDBPyConnection | duckdb.DuckDBPyRelation) -> tuple[Any, ...]:
    """The row of a query that gives one in any case, such as a count; raises ValueError where there is none."""
    row = result.fetchone()
    if row is None:
        raise ValueError("the query gave no row")
    return row


def sql_path(path: Path) -> str:
    """A path as it stands between the quotes of a string in SQL."""
    return str(path).replace("'", "''")
