"""The whole ledger in a file of its own, as it stands at one moment, and back from there: for backup and restore.

The file is SQLite's, whatever database the ledger stands in: one format, which needs no client of a database's own
version and can be asked like any ledger. Not here: what else a backup holds (recovery).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from warehouse.core.errors import ConfigError
from warehouse.ledger import tables
from warehouse.ledger.store import Ledger, alembic_config, upgrade

_ROWS_AT_A_TIME = 10_000
# Made by each upgrade for itself; every other table is copied.
_OWN = frozenset({tables.schema_views.name})


def write_copy(led: Ledger, file: Path) -> None:
    """Write the ledger as it stands to the new file ``file``; those who write to the ledger meanwhile go on."""
    if led.engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(file)) as target, led.engine.connect() as connection:
            cast(sqlite3.Connection, connection.connection.driver_connection).backup(target)
    else:
        upgrade(_url(file))
        with opened(file) as copy, led.frozen() as snapshot, snapshot.reading() as source, copy.write() as target:
            _copy_rows(source, target)
    _close(file)


@contextmanager
def opened(file: Path) -> Iterator[Ledger]:
    """A copy as a ledger to read, at the newest schema; afterwards one file again, without a journal beside it."""
    upgrade(_url(file))
    led = Ledger(_url(file))
    try:
        yield led
    finally:
        led.engine.dispose()
        _close(file)


def revision(file: Path) -> str:
    """The revision of a copy's schema. Raises ConfigError LEDGER_NEWER where this code does not know it."""
    with closing(sqlite3.connect(file)) as connection:
        ((number,),) = connection.execute("select version_num from alembic_version").fetchall()
    revisions = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if number not in revisions:
        raise ConfigError(
            "LEDGER_NEWER",
            f"Ledger berskema {number}, yang belum dikenal versi program ini.",
            f"The ledger's schema is {number}, which this version of the program does not know.",
            "Pakai versi program yang membuatnya atau yang lebih baru; tidak ada yang diubah.",
            "Use the version of the program that wrote it, or a newer one; nothing was changed.",
        )
    return str(number)


def is_empty(url: str) -> bool:
    """Whether nothing has ever been recorded in the ledger at ``url``, or there is none."""
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return True
    led = Ledger(url)
    there = set(sa.inspect(led.engine).get_table_names()) & (tables.metadata.tables.keys() - _OWN)
    any_rows = (led.rows(sa.select(sa.literal(1)).select_from(sa.table(name)).limit(1)) for name in there)
    try:
        return not any(any_rows)
    finally:
        # A file may take this one's place now.
        led.engine.dispose()


def load_copy(file: Path, url: str) -> None:
    """Fill the empty ledger of a database server at ``url`` with a copy's rows, in one transaction."""
    upgrade(url)
    with opened(file) as copy, copy.reading() as source, Ledger(url).write() as target:
        _copy_rows(source, target)
        for table in tables.metadata.sorted_tables:
            for column in table.primary_key.columns if table.name not in _OWN else ():
                if column.autoincrement is True:
                    target.execute(_next_number(table, column))


def _copy_rows(source: sa.Connection, target: sa.Connection) -> None:
    for table in tables.metadata.sorted_tables:
        if table.name in _OWN:
            continue
        # JSON as the text it is kept as: a null within it is not a cell without value.
        plain: dict[str, Any] = {c.name: sa.Text() if isinstance(c.type, sa.JSON) else c.type for c in table.columns}
        columns = [sa.cast(c, sa.Text).label(c.name) if isinstance(c.type, sa.JSON) else c for c in table.columns]
        into = sa.insert(sa.table(table.name, *(sa.column(name, kind) for name, kind in plain.items())))
        rows = source.execute(sa.select(*columns), execution_options={"yield_per": _ROWS_AT_A_TIME})
        for part in rows.mappings().partitions():
            target.execute(into, [dict(row) for row in part])


def _next_number(table: sa.Table, column: sa.Column[Any]) -> sa.TextClause:
    sequence = f"pg_get_serial_sequence('{table.name}', '{column.name}')"
    return sa.text(f"select setval({sequence}, max({column.name})) from {table.name} having max({column.name}) > 0")


def _url(file: Path) -> str:
    return f"sqlite:///{file}"


def _close(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
