"""One person's SELECT on files already attached: locked first, one statement, nothing but reading, within bounds.

Here: the lock, what a statement may call, and its bounds. Not here: which files (marts, record_views).

A SELECT can do more than read: the engine has table functions that write logs, change how it profiles, run text as SQL.
Which these are changes with each version, so that functions are admitted by name, not refused.
"""

import json
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import duckdb

from warehouse.core.duck import one_row
from warehouse.core.errors import ConfigError, ReleaseError
from warehouse.core.settings import Settings

Answer = tuple[list[str], list[tuple[Any, ...]]]

# Tables that are worked out, and what the engine tells of tables, columns and functions.
TABLE_FUNCTIONS = frozenset({
    "range", "generate_series", "unnest", "repeat", "repeat_row", "summary", "json_each", "json_tree", "histogram",
    "histogram_values", "duckdb_columns", "duckdb_constraints", "duckdb_functions", "duckdb_keywords",
    "duckdb_schemas", "duckdb_tables", "duckdb_types", "duckdb_views", "icu_calendar_names", "pg_timezone_names",
    "pragma_show", "pragma_table_info", "pragma_version",
})  # fmt: skip
# Of functions whose value is not their arguments' alone, those that only give one.
_GIVING_ONLY = frozenset({"error", "gen_random_uuid", "random", "uuid", "uuidv4", "uuidv7"})
_EXPLAIN = re.compile(r"\A\s*explain(?:\s+analyze\b|\s*\([^()]*\))?", re.IGNORECASE)
# The engine's own words for the column or table that is most like the unknown one.
_NEAREST = re.compile(r'(?:Candidate bindings: |Did you mean )"([^"]+)"')


def lock(connection: duckdb.DuckDBPyConnection, s: Settings) -> None:
    """No file, network, extension or setting can be reached from here on, and no more disk than is set."""
    connection.execute("SET max_temp_directory_size = ?", [s.sql_spill])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _refuse_what_is_no_reading(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """The one statement of a text, a SELECT or the plan of one, that calls nothing with effects; raises SQL_REFUSED."""
    statements = connection.extract_statements(sql)
    text = sql
    if [one.type for one in statements] == [duckdb.StatementType.EXPLAIN]:
        # EXPLAIN ANALYZE runs what it explains, be it COPY over a release.
        text, is_plain = _EXPLAIN.subn("", statements[0].query, count=1)
        explained = connection.extract_statements(text) if is_plain else []
    else:
        explained = statements
    if [one.type for one in explained] != [duckdb.StatementType.SELECT]:
        raise ConfigError(
            "SQL_REFUSED",
            "Hanya satu perintah SELECT yang diterima.",
            "Only one SELECT statement is accepted.",
            "Tulis satu SELECT (atau DESCRIBE, SHOW TABLES, EXPLAIN).",
            "Write one SELECT (or DESCRIBE, SHOW TABLES, EXPLAIN).",
        )
    parsed = json.loads(one_row(connection.execute("SELECT json_serialize_sql(?)", [text]))[0])
    volatile = {
        name
        for (name,) in connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE' OR has_side_effects"
        ).fetchall()
    }
    refused = sorted({
        name
        for kind, name in _functions_called(parsed)
        if (name not in TABLE_FUNCTIONS if kind == "table" else name in volatile - _GIVING_ONLY)
    })  # fmt: skip
    if parsed["error"] or refused:
        names = ", ".join(refused) or parsed["error_message"]
        raise ConfigError(
            "SQL_REFUSED",
            f"Kueri ini memanggil yang tidak diizinkan di sini: {names}.",
            f"The query calls what is not admitted here: {names}.",
            "Baca tabel rilis saja; berkas Parquet di folder rilis dapat diolah dengan alat sendiri.",
            "Read the release's tables alone; the Parquet files of a release can be worked on with tools of your own.",
        )
    return statements[0]


def _functions_called(node: Any) -> Iterator[tuple[Literal["table", "other"], str]]:
    """Every function that a parsed SELECT calls: as a table, or elsewhere."""
    if isinstance(node, list):
        for inner in node:
            yield from _functions_called(inner)
    elif isinstance(node, dict):
        called = node.get("function") if node.get("type") == "TABLE_FUNCTION" else None
        if called:
            yield "table", called["function_name"].lower()
        elif node.get("class") == "FUNCTION":
            yield "other", node["function_name"].lower()
        for key, inner in node.items():
            yield from _functions_called(inner["children"] if called and key == "function" else inner)


@contextmanager
def _ended_after(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupt a query that takes longer; raises ConfigError SQL_TOO_LONG then."""
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        connection.interrupt()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (duckdb.InterruptException, RuntimeError):
        if not is_over.is_set():
            # The engine has heard Ctrl-C and says so in words of its own.
            raise KeyboardInterrupt from None
        raise ConfigError(
            "SQL_TOO_LONG",
            f"Kueri dihentikan setelah {seconds:g} detik.",
            f"The query was stopped after {seconds:g} seconds.",
            "Persempit dengan WHERE, atau olah berkas Parquet rilis itu dengan alat sendiri.",
            "Narrow it with WHERE, or work on the release's Parquet files with tools of your own.",
        ) from None
    finally:
        timer.cancel()


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


def select(connection: duckdb.DuckDBPyConnection, sql: str, s: Settings) -> Answer:
    """Column names and all rows of one reading statement, never a part of them.

    Raises ConfigError SQL_REFUSED, SQL_FAILED, SQL_TOO_LONG or SQL_TOO_MANY_ROWS, ReleaseError RELEASE_UNREADABLE where
    a file is damaged further in.
    """
    try:
        statement = _refuse_what_is_no_reading(connection, sql)
        with _ended_after(connection, s.sql_seconds):
            answer = connection.execute(statement)
            columns, rows = [column[0] for column in answer.description], answer.fetchmany(s.sql_rows + 1)
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
    if len(rows) > s.sql_rows:
        raise ConfigError(
            "SQL_TOO_MANY_ROWS",
            f"Jawabannya lebih dari {s.sql_rows:,} baris.",
            f"The answer has more than {s.sql_rows:,} rows.",
            "Hitung di dalam kueri, beri LIMIT, atau ambil berkas Parquet rilis itu.",
            "Sum up within the query, give it a LIMIT, or take the release's Parquet file.",
        )
    return columns, rows
