"""``warehouse sql``: a SELECT on the marts of a release, read-only and with nothing else in reach.

Marts of the release and ``ops_*`` of last night stand side by side under their bare names. Not here: the pseudonymised
facts (micro), output formats (cli).
"""

import re
from pathlib import Path

import duckdb

from warehouse.build.catalogue import literal
from warehouse.core import duck
from warehouse.core.errors import ReleaseError
from warehouse.core.settings import Settings
from warehouse.read.query import Answer, lock, select, unreadable

_MEASURE = re.compile(r"\bmeasure\s*(?:=|in\s*\()\s*((?:'[^']*'[\s,]*)+)", re.IGNORECASE)


def marts_file(s: Settings, release_id: str | None = None) -> Path:
    """The marts of a kept release, by default the current one; raises ReleaseError RELEASE_UNKNOWN or RELEASE_NONE."""
    if release_id is None:
        if not s.current.exists():
            raise ReleaseError(
                "RELEASE_NONE",
                "Belum ada rilis yang berlaku.",
                "No release is current yet.",
                "Jalankan `warehouse night` atau tanyakan teknisi data.",
                "Run `warehouse night`, or ask the data engineer.",
            )
        return s.current.resolve() / "marts.duckdb"
    folder = s.releases_dir / release_id
    if folder.parent != s.releases_dir or release_id.startswith(".") or not folder.is_dir():
        raise ReleaseError(
            "RELEASE_UNKNOWN",
            f"Rilis {release_id!r} tidak disimpan di sini.",
            f"Release {release_id!r} is not kept here.",
            "Lihat `warehouse releases list`.",
            "See `warehouse releases list`.",
        )
    return folder / "marts.duckdb"


def query(s: Settings, sql: str, release_id: str | None = None) -> Answer:
    """Column names and rows of one SELECT on a release; raises ReleaseError RELEASE_UNREADABLE for a damaged file."""
    files = {"marts": marts_file(s, release_id), "ops": s.ops_file}
    with duck.connect(s) as connection:
        there = [name for name, file in files.items() if name == "marts" or file.exists()]
        for name in there:
            _attach(connection, name, files[name])
        connection.execute(f"SET search_path = '{','.join(f'{name}.main' for name in there)}'")
        lock(connection, s)
        return select(connection, sql, s)


def _attach(connection: duckdb.DuckDBPyConnection, name: str, file: Path) -> None:
    try:
        connection.execute(f"ATTACH {literal(str(file))} AS {name} (READ_ONLY)")
    except duckdb.Error as error:
        raise unreadable([file], error) from None


def measures(s: Settings, release_id: str | None = None) -> set[str]:
    """Names of all measures that a release defines."""
    _columns, rows = query(s, "select distinct measure from dim_measure", release_id)
    return {measure for (measure,) in rows}


def measures_asked(sql: str) -> list[str]:
    """Measures that a statement names in a condition, as typed."""
    return [word for words in _MEASURE.findall(sql) for word in re.findall(r"'([^']*)'", words)]
