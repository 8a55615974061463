"""Small cells: which rows of the marts are hidden, why, and the attack that must find nothing.

Here: hiding by the rules of ``hiding`` over the sums of ``cells``, writing the hidden tables, and the attack of
``attacker`` on what was written. Not here: which columns exist (mart), writing files (release).

A hidden row has NULL in every number. A row may stand while its bounds and unknowns are withheld, where they would show
a small count.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa

from warehouse.disclosure.attacker import Found, attack
from warehouse.disclosure.cells import System, Term, is_area_mart, read
from warehouse.disclosure.pattern import Pattern, Policy, shown_cells
from warehouse.disclosure.shares import protect_and_attack
from warehouse.mart import Mart, MartColumn

__all__ = ["Hidden", "Loss", "Policy", "Rules", "Table", "Term", "attack_released", "drop_row_ids", "suppress"]

_SIDES = {"unknown_count", "numerator_low", "numerator_high", "percentage_low", "percentage_high"}
_REASONS = ("primary", "complement", "secondary", "between_releases")


@dataclass(frozen=True)
class Table:
    """A mart, the relation it is read from, and the table to make. A source may mark rows that readers have already
    (``was_shown__``: with the same numbers as now) and rows hidden from them so far (``was_hidden__``)."""

    mart: Mart
    source: str
    target: str


@dataclass(frozen=True)
class Rules:
    """What the data cannot tell: measures hidden together, by (mart, measure), and sums between measures."""

    families: Mapping[tuple[str, str], str] = field(default_factory=dict)
    sums: Sequence[Term] = ()


@dataclass(frozen=True)
class Loss:
    """How many rows of one level of a mart are shown, and hidden for each reason."""

    mart: str
    area_level: str
    shown: int
    primary: int
    complement: int
    secondary: int
    between_releases: int
    bounds_withheld: int


@dataclass(frozen=True)
class Hidden:
    """What suppression did to one mart."""

    shown: int
    primary: int
    complement: int
    secondary: int
    between_releases: int = 0

    @property
    def hidden(self) -> int:
        return self.primary + self.complement + self.secondary + self.between_releases


@dataclass(frozen=True)
class Suppressed:
    """What was hidden, and the system it was hidden in; ``shown`` and ``found``: the attack with these cells shown."""

    marts: Mapping[str, Hidden]
    losses: Sequence[Loss]
    system: System | None
    pattern: Pattern | None
    shown: np.ndarray
    found: Found

    @property
    def waived(self) -> int:
        return self.pattern.waived if self.pattern else 0


def suppress(
    con: duckdb.DuckDBPyConnection, tables: Sequence[Table], policy: Policy, rules: Rules, programs: int
) -> Suppressed:
    """Create each target with the columns of its source and ``row_id__``, small cells hidden.

    ``row_id__`` is for ``attack_released``; ``drop_row_ids`` takes it away.
    """
    for table in tables:
        _number_rows(con, table)
    areal = [table for table in tables if is_area_mart(table.mart) and _has_counts(table.mart)]
    system, pattern, shown, found = None, None, np.zeros(0, dtype=bool), Found(np.zeros(0, dtype=bool), 0, 0)
    if areal:
        system = read(con, [(t.mart, _numbered(t)) for t in areal], rules.families, rules.sums)
        hidden, public = _stand(con, areal, system)
        pattern, found = protect_and_attack(system, policy, hidden, public, programs)
        shown = pattern.shown()
    marts, losses = {}, []
    for table in tables:
        if system is not None and pattern is not None and table in areal:
            _judge_by_pattern(con, table, system, pattern)
        else:
            _judge_by_itself(con, table, policy)
        _publish(con, table)
        lost = _losses(con, table)
        losses += lost
        marts[table.mart.name] = Hidden(*(sum(getattr(loss, name) for loss in lost) for name in ("shown", *_REASONS)))
    return Suppressed(marts, losses, system, pattern, shown, found)


def attack_released(
    con: duckdb.DuckDBPyConnection, tables: Sequence[Table], made: Suppressed, programs: int
) -> tuple[dict[str, int], int]:
    """(narrow cells by mart, cells left unproven): the attack on the numbers that stand in the targets.

    What is shown is read from the targets, not remembered: a number that was left standing counts. Where they show what
    was attacked already, that proof holds.
    """
    if made.system is None or made.pattern is None:
        return {}, 0
    s = made.system
    visible = np.zeros((len(s.term_series), len(s.areas.codes)), dtype=bool)
    for table in tables:
        if is_area_mart(table.mart) and _has_counts(table.mart):
            main, side = _standing(con, table)
            own = np.array([key[""] == table.mart.name for key in s.keys], dtype=bool)[s.term_series]
            rows = s.row[s.term_series[own]]
            visible[own] = np.where(s.term_is_side[own, None], side[rows], main[rows])
    shown = shown_cells(s, visible) | made.pattern.public
    found = made.found
    if (shown & ~made.shown).any():
        found = attack(s, shown, made.pattern.room, made.pattern.tables, programs)
    narrow: dict[str, int] = {}
    owner = {int(c): s.keys[i][""] for c, i in zip(s.term_class[::-1], s.term_series[::-1], strict=True)}
    for c in np.nonzero(found.narrow)[0]:
        narrow[owner[int(c)]] = narrow.get(owner[int(c)], 0) + 1
    return narrow, found.unproven


def drop_row_ids(con: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> None:
    for table in tables:
        con.execute(f"ALTER TABLE {table.target} DROP COLUMN row_id__")


def _numbered(table: Table) -> str:
    return f'temp.main."judged__{table.mart.name}"'


def _has_counts(mart: Mart) -> bool:
    return any(column.role == "count" and not column.name.startswith("parts_") for column in mart.columns)


def _number_rows(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    keys = ", ".join(f'"{key}"' for key in table.mart.keys) or "1"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_numbered(table).removeprefix('temp.main.')} AS"
        f" SELECT *, row_number() OVER (ORDER BY {keys}) - 1 AS row_id__ FROM {table.source}"
    )


def _marks(con: duckdb.DuckDBPyConnection, table: Table, name: str, rows: int) -> np.ndarray:
    """A boolean column of the source by row number; nothing where the source has none."""
    marks = np.zeros(rows + 1, dtype=bool)
    columns = {row[0] for row in con.execute(f"DESCRIBE {_numbered(table)}").fetchall()}
    if name in columns:
        found = con.execute(f'SELECT row_id__ FROM {_numbered(table)} WHERE "{name}"').fetchnumpy()["row_id__"]
        marks[found] = True
    return marks


def _stand(con: duckdb.DuckDBPyConnection, tables: Sequence[Table], s: System) -> tuple[np.ndarray, np.ndarray]:
    """Rows that were hidden from readers and stay so [series, area], and cells that they have [class, area]."""
    hidden = np.zeros(s.row.shape, dtype=bool)
    visible = np.zeros((len(s.term_series), s.row.shape[1]), dtype=bool)
    for table in tables:
        own = np.array([key[""] == table.mart.name for key in s.keys], dtype=bool)
        rows = con.execute(f"SELECT count(*) FROM {_numbered(table)}").fetchone()[0]
        hidden[own] |= _marks(con, table, "was_hidden__", rows)[s.row[own]]
        was_shown = np.zeros_like(hidden)
        was_shown[own] = _marks(con, table, "was_shown__", rows)[s.row[own]]
        visible |= was_shown[s.term_series] & ~s.term_is_side[:, None]
    return hidden, shown_cells(s, visible) & s.is_there


def _judge_by_pattern(con: duckdb.DuckDBPyConnection, table: Table, s: System, pattern: Pattern) -> None:
    """Table ``reasons__`` (row_id__, reason__, is_bare__) of the rows that are hidden or lose their bounds."""
    own = np.array([key[""] == table.mart.name for key in s.keys], dtype=bool)
    beside = pattern.told.any(axis=1)[:, None]
    reason = np.where(pattern.told, "primary", np.where(beside, "complement", "secondary"))
    chosen = own[:, None] & s.has_row & (pattern.row | pattern.side)
    rows = s.row[chosen]
    con.register(
        "reasons_given__",
        pa.table(
            {
                "row_id__": rows,
                "reason__": pa.array(np.where(pattern.row[chosen], reason[chosen], ""), pa.string()),
            }
        ),
    )
    # A mart that is not long has a series for each of its columns: one hidden number hides the row.
    con.execute(
        "CREATE OR REPLACE TEMP TABLE reasons__ AS SELECT row_id__, true AS is_bare__, coalesce("
        "max(reason__) FILTER (reason__ = 'primary'), min(reason__) FILTER (reason__ <> '')) AS reason__"
        " FROM reasons_given__ GROUP BY row_id__"
    )
    con.unregister("reasons_given__")


def _judge_by_itself(con: duckdb.DuckDBPyConnection, table: Table, policy: Policy) -> None:
    """``reasons__`` of a mart without areas: each row by its own numbers."""
    few = f"BETWEEN 1 AND {policy.threshold - 1}"
    if table.mart.is_long:
        small_base = policy.small_base - 1
        tests = [
            f"numerator {few}",
            f"denominator - numerator {few}",
            f"denominator BETWEEN 1 AND {small_base} AND numerator IN (0, denominator)",
            f"numerator IS NULL AND denominator {few}",
        ]
    else:
        counts = (column.name for column in table.mart.columns if column.role == "count")
        tests = [f'"{name}" {few}' for name in counts if not name.startswith("parts_")]
    is_small = " OR ".join(f"coalesce({test}, false)" for test in tests) or "false"
    con.execute(
        "CREATE OR REPLACE TEMP TABLE reasons__ AS SELECT row_id__, 'primary' AS reason__, true AS is_bare__"
        f" FROM {_numbered(table)} WHERE {is_small}"
    )


def _publish(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    columns = ", ".join(_published(column) for column in table.mart.columns)
    con.execute(
        f"CREATE OR REPLACE TABLE {table.target} AS SELECT {columns}, row_id__"
        f" FROM {_numbered(table)} LEFT JOIN reasons__ USING (row_id__)"
    )


def _published(column: MartColumn) -> str:
    name = f'"{column.name}"'
    if column.role == "suppression":
        return f"reason__ AS {name}"
    if column.name in _SIDES:
        return f"CASE WHEN is_bare__ IS NULL THEN {name} END AS {name}"
    return f"CASE WHEN reason__ IS NULL THEN {name} END AS {name}" if column.is_hidden_with_cell else name


def _losses(con: duckdb.DuckDBPyConnection, table: Table) -> list[Loss]:
    level = "area_level" if is_area_mart(table.mart) else "'-'"
    counted = ", ".join(f"count(*) FILTER (reason__ = '{reason}')" for reason in _REASONS)
    rows = con.execute(
        f"SELECT {level}, count(*) FILTER (reason__ IS NULL), {counted},"
        " count(*) FILTER (is_bare__ AND reason__ IS NULL)"
        f" FROM {_numbered(table)} LEFT JOIN reasons__ USING (row_id__) GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return [Loss(table.mart.name, *row) for row in rows]


def _standing(con: duckdb.DuckDBPyConnection, table: Table) -> tuple[np.ndarray, np.ndarray]:
    """By row number: whether any number of the row stands in the target, and any of its bounds or unknowns."""
    numbers = [c.name for c in table.mart.columns if c.is_hidden_with_cell and not c.name.startswith("parts_")]
    main = [f'"{name}" IS NOT NULL' for name in numbers if name not in _SIDES]
    side = [f'"{name}" IS NOT NULL' for name in numbers if name in _SIDES]
    found = con.execute(
        f"SELECT row_id__, {' OR '.join(main) or 'false'} AS main, {' OR '.join(side) or 'false'} AS side"
        f" FROM {table.target}"
    ).fetchnumpy()
    stands = np.zeros((2, len(found["row_id__"]) + 1), dtype=bool)
    stands[0, found["row_id__"]], stands[1, found["row_id__"]] = found["main"], found["side"]
    return stands[0], stands[1]
