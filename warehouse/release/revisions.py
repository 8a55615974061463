"""What a release may change of what readers have: control between releases.

Two releases beside each other tell what came between them. So figures made of people are published for periods that are
over, and of a published period nothing changes by less than the base outside declared revision dates: a cell that would
stands as it was published, in every mart, and the period has ``revision_pending``. A late delivery thus shows at once
where it counts many, and a single child never. A period of which nothing changed stands to the digit.

For that the exact and the rounded cells of the last release are kept beside the register, readable by the owner alone.
Not here: rounding (disclosure), what was published (register).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow.parquet as pq

from warehouse import disclosure
from warehouse.build.catalogue import Cells, literal
from warehouse.core import files
from warehouse.disclosure import MARK

PENDING = "revision_pending"
KEPT = "memory.main.kept_periods"
_LASTS = {"month": "1 MONTH", "quarter": "3 MONTH", "half_year": "6 MONTH", "year": "1 YEAR"}
# How much is left of the last release's cells; what is not remembered can change before its revision date.
Memory = Literal["whole", "part", "absent"]


@dataclass(frozen=True)
class Calendar:
    """The day of a release, and whether a declared revision date has come since the one before."""

    day: date
    is_revision: bool


def calendar(day: date, before: date | None, declared: Sequence[str]) -> Calendar:
    """``declared`` are the days of each year (MM-DD) on which published figures may change as they must."""
    last = last_declared(day, declared)
    return Calendar(day, before is not None and last is not None and before < last)


def last_declared(day: date, declared: Sequence[str]) -> date | None:
    """The last declared revision date up to a day."""
    days = [date(year, *map(int, text.split("-"))) for text in declared for year in (day.year - 1, day.year)]
    return max((one for one in days if one <= day), default=None)


def is_over(cells: Cells, day: date) -> str:
    """SQL: whether a row's period ended before a day."""
    spans = " ".join(f"WHEN '{kind}' THEN period_start + INTERVAL {span}" for kind, span in _LASTS.items())
    return f"coalesce(CASE {cells.kind_of()} {spans} END <= {literal(day.isoformat())}::DATE, true)"


def find_kept(
    con: duckdb.DuckDBPyConnection,
    tables: Iterable[Cells],
    built_tables: Mapping[str, str],
    last: Mapping[str, str],
    when: Calendar,
    base: int,
) -> None:
    """Make ``KEPT``: (period_kind, period_start, stands, is_pending) of the periods that readers have.

    They stand where nothing changed, else change by the base at least; on a revision date those that changed are new.
    """
    kept_cells = [
        changes(cells, f"(FROM {built_tables[cells.name]} WHERE {is_over(cells, when.day)})", last[cells.name], base)
        for cells in tables
        if cells.name in last
    ]
    common = [
        f"SELECT DISTINCT {cells.kind_of()} AS period_kind, period_start FROM {last[cells.name]}"
        for cells in tables
        if cells.name in last
    ]
    nothing = "SELECT NULL::VARCHAR AS period_kind, NULL::DATE AS period_start"
    con.execute(
        f"""
        CREATE OR REPLACE TABLE {KEPT} AS
        SELECT period_kind, period_start, NOT bool_or(moved) AS stands, bool_or(moved_little) AS is_pending
        FROM ({" UNION ALL ".join(kept_cells) or f"{nothing}, false AS moved, false AS moved_little WHERE false"})
        SEMI JOIN ({" UNION ".join(common) or f"{nothing} WHERE false"}) USING (period_kind, period_start)
        GROUP BY ALL
        HAVING NOT bool_or(moved) OR NOT {when.is_revision}
        """
    )


def columns() -> dict[str, str]:
    """What a mart's row says of its period, over the row ``r``."""
    pending_periods = f"(SELECT (period_kind, period_start) FROM {KEPT} WHERE is_pending)"
    return {PENDING: f"(r.period_kind, r.period_start) IN {pending_periods}"}


def last_cells(folder: Path | None, tables: Iterable[Cells]) -> dict[str, str]:
    """Relations of the last release's cells; a table whose columns have changed since then has none."""
    if folder is None:
        return {}
    relations = {}
    for cells in tables:
        file = folder / f"{cells.name}.parquet"
        if file.is_file() and set(pq.read_schema(file).names) == set(saved_names(cells)):
            relations[cells.name] = f"read_parquet({literal(str(file))})"
    return relations


def memory(last: Mapping[str, str], tables: Sequence[Cells]) -> Memory:
    """How many of the tables the last release's cells were found of."""
    if len(last) == len(tables):
        return "whole"
    return "part" if last else "absent"


def write_cells(con: duckdb.DuckDBPyConnection, tables: Iterable[Cells], folder: Path, day: date) -> None:
    """Keep the cells of periods that are published, exact and rounded, for the next release."""
    for cells in tables:
        with files.whole_file(folder / f"{cells.name}.parquet") as draft:
            con.execute(
                f"COPY (SELECT {saved_columns(cells)} FROM {disclosure.rounded(cells.name)}"
                f" WHERE {is_over(cells, day)}) TO {literal(str(draft))} (FORMAT parquet, COMPRESSION zstd)"
            )


def saved_columns(cells: Cells) -> str:
    """The columns of a target that the next release needs, under the names of ``saved_names``."""
    source = [*cells.others]
    for column in cells.counts:
        source += [f"{column.name}__exact", column.name, f"{column.name}{MARK}"]
    return ", ".join(f'"{old}" AS "{new}"' for old, new in zip(source, saved_names(cells), strict=True))


def saved_names(cells: Cells) -> list[str]:
    """The columns of the relations that ``Sources.last`` names."""
    counts = [f"{c.name}{suffix}" for c in cells.counts for suffix in ("__exact", "__rounded", MARK)]
    return [*cells.others, *counts]


def changes(cells: Cells, exact: str, last: str, base: int) -> str:
    """SELECT of (period_kind, period_start, moved, moved_little): whether counts of a period differ from the last
    release's, and whether any differs by 1 … base-1 people, rests included."""
    same = " AND ".join(f'n."{key}" = o."{key}"' for key in cells.keys)
    moves = {c.name: f'coalesce(n."{c.name}", 0) - coalesce(o."{c.name}__exact", 0)' for c in cells.counts}
    moves |= {
        f"rest {parent} {parts}": f"({moves[parent]}) - ({' + '.join(f'({moves[p]})' for p in parts)})"
        for parent, parts in cells.splits()
    }
    condition = " OR ".join(f"({move}) <> 0" for move in moves.values())
    little = " OR ".join(f"abs({move}) BETWEEN 1 AND {base - 1}" for move in moves.values())
    return (
        f"SELECT coalesce({cells.kind_of('n')}, {cells.kind_of('o')}) AS period_kind,"
        f" coalesce(n.period_start, o.period_start) AS period_start,"
        f" bool_or({condition}) AS moved, bool_or({little}) AS moved_little"
        f" FROM {exact} AS n FULL JOIN {last} AS o ON {same} GROUP BY ALL"
    )
