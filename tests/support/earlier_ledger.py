"""A ledger as an earlier revision of its schema would hold what a present one holds.

Here: making the file. Not here: assertions.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from warehouse.ledger import Ledger, alembic_config, tables


def revisions() -> list[str]:
    """Every revision, oldest first."""
    return [one.revision for one in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]


def make(file: Path, revision: str, present: Ledger) -> dict[str, list[str]]:
    """Write the rows of a present ledger at an earlier revision; returns the columns each of its tables had."""
    engine = sa.create_engine(f"sqlite:///{file}")
    config = alembic_config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
        had = {
            name: [column["name"] for column in sa.inspect(connection).get_columns(name)]
            for name in sa.inspect(connection).get_table_names()
            if name in tables.metadata.tables and name != tables.schema_views.name
        }
        for table in tables.metadata.sorted_tables:
            if table.name in had:
                columns = [column for column in table.columns if column.name in had[table.name]]
                # As it is kept: what SQLAlchemy would make of a value is of no interest here.
                plain = [sa.type_coerce(column, sa.types.NullType()).label(column.name) for column in columns]
                rows = present.rows(sa.select(*plain))
                if rows:
                    kept = sa.table(table.name, *(sa.column(name) for name in rows[0]))
                    connection.execute(sa.insert(kept), rows)
        connection.commit()
    engine.dispose()
    return had


def stamp(file: Path, revision: str) -> None:
    """Let a ledger say that it is at a revision, whatever it holds."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("update alembic_version set version_num = ?", [revision])
        connection.commit()
