"""Runs SQL that stands in files: a stage's statements in their listed order, or one query.

Here: order, values, what is dropped when. Not here: what the statements say (``.sql`` files beside the room that owns
them), connections and their limits (duck).

A file is one SELECT; in a stage it becomes the temporary table of the file's name. Values reach it as variables,
``getvariable('name')``, never as text. A variable nobody set is NULL to DuckDB and an error here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

_VARIABLE = re.compile(r"getvariable\('(\w+)'\)")


@dataclass(frozen=True)
class Stage:
    """Files of one folder in the order they run.

    tables: the table each file makes, and the relations it reads: those of steps before, or what must stand already.
    keeps: what is left behind. Any other table is dropped once the last step that reads it has run.
    """

    folder: Path
    tables: Mapping[str, tuple[str, ...]]
    keeps: tuple[str, ...]

    @property
    def inputs(self) -> set[str]:
        """Relations that must stand before the stage runs."""
        return {name for reads in self.tables.values() for name in reads} - self.tables.keys()

    def dropped_after(self, table: str) -> list[str]:
        """Tables of the stage that nothing needs once ``table`` is made."""
        order = list(self.tables)
        later = {name for step in order[order.index(table) + 1 :] for name in self.tables[step]} | {*self.keeps}
        return [name for name in self.tables[table] if name in self.tables and name not in later]


def run(connection: duckdb.DuckDBPyConnection, stage: Stage, **values: Any) -> None:
    """Make the stage's tables on a connection that has its inputs; raises KeyError for a value missing or unasked."""
    texts = {table: _text(stage.folder / f"{table}.sql") for table in stage.tables}
    _set(connection, "\n".join(texts.values()), values)
    for table, text in texts.items():
        connection.execute(f"CREATE TEMP TABLE {table} AS {text}")
        for name in stage.dropped_after(table):
            connection.execute(f"DROP TABLE {name}")


def query(connection: duckdb.DuckDBPyConnection, file: Path, **values: Any) -> duckdb.DuckDBPyConnection:
    """Run one file's SELECT, its rows to be fetched; raises KeyError as ``run`` does."""
    _set(connection, _text(file), values)
    return connection.execute(_text(file))


def define(connection: duckdb.DuckDBPyConnection, folder: Path, files: Iterable[str]) -> None:
    """Create the macros of a folder's files, in this order: a macro may use those before it."""
    for file in files:
        connection.execute(_text(folder / f"{file}.sql"))


def _set(connection: duckdb.DuckDBPyConnection, text: str, values: Mapping[str, Any]) -> None:
    if differing := set(_VARIABLE.findall(text)) ^ values.keys():
        raise KeyError(f"values missing or not asked for: {', '.join(sorted(differing))}")
    for name, value in values.items():
        connection.execute(f"SET VARIABLE {name} = ?", [value])


@cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
