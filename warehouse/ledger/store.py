"""A handle on the ledger: its engine, its schema brought up to date, one transaction a write.

Here: connections and upgrades. Not here: what a row holds (tables), what is asked of deliveries (deliveries).
"""

import hashlib
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from warehouse.core import permissions
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.ledger.tables import VIEWS, schema_views, typed

if TYPE_CHECKING:
    from alembic.config import Config

# How long a process waits for another that writes.
_PATIENCE_SECONDS = 60


def new_id() -> str:
    return str(uuid.uuid4())


@lru_cache
def engine(url: str) -> sa.Engine:
    """The engine for a ledger URL; SQLite runs in WAL mode and waits for other writers."""
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        new_engine = sa.create_engine(url, connect_args={"timeout": _PATIENCE_SECONDS})

        @sa.event.listens_for(new_engine, "connect")
        def _configure(connection: sqlite3.Connection, _record: object) -> None:
            _turn_to_wal(connection)
            for pragma in ("synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")

        return new_engine
    return sa.create_engine(url, pool_pre_ping=True)


def _turn_to_wal(connection: sqlite3.Connection) -> None:
    """Set WAL mode. SQLite refuses one of two that turn a new file at once, without waiting: ask again."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def alembic_config() -> "Config":
    """Alembic's configuration of our revisions, without an ini file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config


def _is_current(connection: sa.Connection, head: str | None, views: dict[str, str]) -> bool:
    if not {"alembic_version", "schema_views"} <= set(sa.inspect(connection).get_table_names()):
        return False
    at: list[str] = list(connection.exec_driver_sql("select version_num from alembic_version").scalars())
    hashes = {row.name: row.sha256 for row in connection.execute(sa.select(schema_views))}
    return at == [head] and hashes == views


def _refuse_newer(connection: sa.Connection, ours: set[str]) -> None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return
    at: set[str] = set(connection.exec_driver_sql("select version_num from alembic_version").scalars())
    connection.rollback()
    if not at <= ours:
        raise ConfigError(
            "LEDGER_NEWER",
            f"Buku besar ini ditulis oleh perangkat lunak yang lebih baru (revisi {', '.join(sorted(at - ours))}).",
            f"This ledger was written by newer software (revision {', '.join(sorted(at - ours))}).",
            "Pasang lagi versi yang baru itu; buku besar tidak pernah diturunkan.",
            "Install that newer version again; a ledger is never taken back.",
        )


def upgrade(url: str) -> None:
    """Create the ledger's schema at ``url`` or bring it up to date. Safe when many processes start at once.

    Raises ConfigError LEDGER_NEWER for one that this code does not know.
    """
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config()
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head()
    views = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in VIEWS.items()}
    ledger = engine(url)
    with ledger.connect() as connection:
        if _is_current(connection, head, views):
            return
        connection.rollback()
        _refuse_newer(connection, {revision.revision for revision in script.walk_revisions()})
        lock = "BEGIN IMMEDIATE" if ledger.dialect.name == "sqlite" else "SELECT pg_advisory_xact_lock(3671)"
        connection.exec_driver_sql(lock)
        if _is_current(connection, head, views):
            return
        for name in reversed(VIEWS):
            connection.exec_driver_sql(f"drop view if exists {name}")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        for name, text in VIEWS.items():
            connection.exec_driver_sql(f"create view {name} as {text}")
        connection.execute(schema_views.delete())
        connection.execute(schema_views.insert(), [{"name": name, "sha256": sha} for name, sha in views.items()])
        connection.commit()


class Ledger:
    """A handle on the ledger at ``url``. Every write is one transaction."""

    def __init__(self, url: str) -> None:
        self.engine = engine(url)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def frozen(self) -> Iterator["Ledger"]:
        """The ledger as it stands now, for steps that must all see the same: what others record meanwhile is not there.

        What is written through it goes to the ledger itself, and is not seen through it either.
        """
        is_sqlite = self.engine.dialect.name == "sqlite"
        with self.engine.connect() as connection:
            if is_sqlite:
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            # Both take what they show at the first question, not at the beginning.
            connection.execute(sa.select(schema_views)).all()
            try:
                yield _Frozen(self.engine, connection)
            finally:
                connection.rollback()

    def insert(self, table: sa.Table, rows: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> None:
        rows = [rows] if isinstance(rows, Mapping) else list(rows)
        if rows:
            with self.write() as connection:
                connection.execute(table.insert(), rows)

    def rows(self, statement: sa.Select[Any] | sa.TextClause | str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows as dictionaries; dates and times are typed by column name also where SQLite's raw SQL gives text."""
        query = sa.text(statement) if isinstance(statement, str) else statement
        with self.reading() as connection:
            return [
                {name: typed(name, value) for name, value in row.items()}
                for row in connection.execute(query, parameters).mappings()
            ]

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A connection to read on; of a frozen ledger the one that sees its moment."""
        return self.engine.connect()


class _Frozen(Ledger):
    """Reads over one connection, whose transaction is of one moment."""

    def __init__(self, engine: sa.Engine, connection: sa.Connection) -> None:
        self.engine = engine
        self._connection = connection

    def reading(self) -> AbstractContextManager[sa.Connection]:
        return nullcontext(self._connection)


def open_ledger(s: Settings) -> Ledger:
    """The ledger at its newest schema, in a home whose folders are closed to whom they are not for."""
    permissions.prepare(s)
    upgrade(s.ledger)
    return Ledger(s.ledger)
