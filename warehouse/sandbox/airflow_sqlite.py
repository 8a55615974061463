"""How Airflow connects to SQLite on this machine: whoever wants to write waits for the others.

Here: the arguments of those connections, named in the configuration that ``serve`` writes. Not here: the ledger's
connections (ledger), production's Postgres.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 60


class _Cursor(sqlite3.Cursor):
    """Takes the write lock where a transaction begins with a savepoint.

    Airflow reads and then writes inside such transactions (a backfill's runs, the runs an asset starts). SQLite refuses
    the write at once, without waiting, if another process has written since the read.
    """

    def execute(self, sql: str, parameters: Any = (), /) -> "_Cursor":
        if sql.startswith("SAVEPOINT") and not self.connection.in_transaction:
            super().execute("BEGIN IMMEDIATE")
        super().execute(sql, parameters)
        return self


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Callable[[sqlite3.Connection], Any] | None = None) -> Any:
        return super().cursor(factory or _Cursor)


CONNECT_ARGS = {"timeout": PATIENCE_SECONDS, "factory": _Connection}
