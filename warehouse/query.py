"""One person's SELECT on files already attached: locked first, one statement, nothing but reading.

Here: the lock and the statement. Not here: which files (analyst, micro).
"""

from typing import Any

import duckdb

from warehouse.errors import ConfigError

Answer = tuple[list[str], list[tuple[Any, ...]]]

_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """No file, network, extension or setting can be reached from here on."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def select(connection: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    """Column names and rows of one reading statement; raises ConfigError SQL_REFUSED or SQL_FAILED."""
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type not in _READING:
            raise ConfigError(
                "SQL_REFUSED",
                "Hanya satu perintah SELECT yang diterima.",
                "Only one SELECT statement is accepted.",
                "Tulis satu SELECT (atau DESCRIBE, SHOW TABLES, EXPLAIN).",
                "Write one SELECT (or DESCRIBE, SHOW TABLES, EXPLAIN).",
            )
        result = connection.execute(statements[0])
        return [column[0] for column in result.description], result.fetchall()
    except duckdb.Error as error:
        text = str(error).strip()
        raise ConfigError(
            "SQL_FAILED",
            f"Kueri tidak dapat dijalankan: {text}",
            f"The query cannot be run: {text}",
            "Lihat daftar tabel dengan SHOW TABLES dan kolomnya dengan DESCRIBE.",
            "List tables with SHOW TABLES and their columns with DESCRIBE.",
        ) from None
