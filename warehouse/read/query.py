"""One person's SELECT on files already attached: locked first, one statement, nothing but reading.

Here: the lock and the statement. Not here: which files (analyst, micro).
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from warehouse.core.errors import ConfigError, ReleaseError

Answer = tuple[list[str], list[tuple[Any, ...]]]

_EXPLAIN = re.compile(r"\A\s*explain(?:\s+analyze\b|\s*\([^()]*\))?", re.IGNORECASE)
# The engine's own words for the column or table that is most like the unknown one.
_NEAREST = re.compile(r'(?:Candidate bindings: |Did you mean )"([^"]+)"')


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """No file, network, extension or setting can be reached from here on."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _is_reading(connection: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> bool:
    """Whether it is a SELECT or the plan of one: EXPLAIN ANALYZE runs what it explains, be it COPY over a release."""
    if statement.type != duckdb.StatementType.EXPLAIN:
        return statement.type == duckdb.StatementType.SELECT
    explained, is_plain = _EXPLAIN.subn("", statement.query, count=1)
    statements = connection.extract_statements(explained) if is_plain else []
    return [one.type for one in statements] == [duckdb.StatementType.SELECT]


def unreadable(files: Iterable[Path], error: duckdb.Error) -> ReleaseError:
    """What to say where a release's files cannot be read: which, why, and what to do."""
    where = ", ".join(f"{file.parent.name}/{file.name}" for file in files)
    return ReleaseError(
        "RELEASE_UNREADABLE",
        f"Berkas {where} rusak atau tidak boleh dibaca ({type(error).__name__}).",
        f"The file {where} is damaged or may not be read ({type(error).__name__}).",
        "Baca rilis lain dengan --release, atau minta teknisi data merilis lagi.",
        "Read another release with --release, or ask the data engineer to release again.",
    )


def select(connection: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    """Column names and rows of one reading statement; raises ConfigError SQL_REFUSED or SQL_FAILED,
    ReleaseError RELEASE_UNREADABLE where a file is damaged further in."""
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or not _is_reading(connection, statements[0]):
            raise ConfigError(
                "SQL_REFUSED",
                "Hanya satu perintah SELECT yang diterima.",
                "Only one SELECT statement is accepted.",
                "Tulis satu SELECT (atau DESCRIBE, SHOW TABLES, EXPLAIN).",
                "Write one SELECT (or DESCRIBE, SHOW TABLES, EXPLAIN).",
            )
        result = connection.execute(statements[0])
        return [column[0] for column in result.description], result.fetchall()
    except duckdb.IOException as error:
        attached = connection.execute("SELECT path FROM duckdb_databases() WHERE path IS NOT NULL").fetchall()
        raise unreadable((Path(path) for (path,) in attached), error) from None
    except duckdb.Error as error:
        text = str(error).strip()
        near = _NEAREST.search(text)
        raise ConfigError(
            "SQL_FAILED",
            f"Kueri tidak dapat dijalankan: {text}",
            f"The query cannot be run: {text}",
            (f"Mungkin maksud Anda {near[1]!r}. " if near else "")
            + "Lihat daftar tabel dengan SHOW TABLES dan kolomnya dengan DESCRIBE.",
            (f"Did you mean {near[1]!r}? " if near else "")
            + "List tables with SHOW TABLES and their columns with DESCRIBE.",
        ) from None
