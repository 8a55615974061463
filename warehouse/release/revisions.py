"""What a release may change of what readers have: control between releases.

Two releases beside each other tell what came between them. So figures made of people are published for closed periods
only, and what was published of a period changes as a whole: when every number that readers have of it changes by
nothing or by the threshold at least, or on a declared revision date. Until then what was published stands, with
``revision_pending``. A cell hidden once to protect another stays hidden: what it protects was published with it hidden.

Not here: which cells are hidden for their own sake (disclosure), what was published (register).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from warehouse.mart import Mart, literal
from warehouse.release import register

PENDING = "revision_pending"
# Reasons that protect a cell; between_releases is what waits for its period or its revision.
_PROTECTING = "('primary', 'complement', 'secondary')"
_PERIOD = "period_kind, period_start"
_LASTS = {"month": "1 MONTH", "quarter": "3 MONTH", "half_year": "6 MONTH", "year": "1 YEAR"}


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
    return max((found for found in days if found <= day), default=None)


def is_controlled(mart: Mart) -> bool:
    """Whether a mart's figures are made of people: an area mart in the long shape that hides cells."""
    has_reason = any(column.role == "suppression" for column in mart.columns)
    return mart.is_long and has_reason and {"period_kind", "period_start"} <= set(mart.keys)


def source(mart: Mart) -> str:
    """What ``prepare`` makes of a mart: the rows that are to be judged, with what readers have of each.

    Those of closed periods; of a period that stands as it was published, only rows that say the same today. Columns
    beside the mart's: was_shown__ (readers have these numbers), was_hidden__ (and it stays so).
    """
    return f'memory.main."closed__{mart.name}"'


def prepare(
    con: duckdb.DuckDBPyConnection, mart: Mart, relation: str, when: Calendar, threshold: int, older: Path | None
) -> None:
    """Compare a mart with the register (temporary table ``register``) and with the last release's file ``older``."""
    lasts = " ".join(f"WHEN '{kind}' THEN period_start + INTERVAL {span}" for kind, span in _LASTS.items())
    con.execute(
        f"""
        CREATE OR REPLACE TABLE {_all(mart)} AS
        SELECT *, row_number() OVER () AS found_id__,
            coalesce(CASE period_kind {lasts} END > {literal(when.day.isoformat())}::DATE, false)
                AND (numerator IS NOT NULL OR denominator IS NOT NULL) AS is_open__
        FROM {relation}
        """
    )
    keys = ", ".join(register.KEY)
    published = f"FROM register WHERE mart = {literal(mart.name)} AND NOT is_withdrawn"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE said_last__ AS SELECT * {published}"
        f" QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY release_id DESC) = 1"
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE said_ever__ AS SELECT DISTINCT {keys}, numerator, denominator {published}"
        " AND suppression_reason IS NULL"
    )
    same = " AND ".join(f"cell.{key} IS NOT DISTINCT FROM said.{key}" for key in register.KEY)
    moves = [f"cell.{count} - said.{count}" for count in ("numerator", "denominator")]
    moves.append(f"({moves[1]}) - ({moves[0]})")
    is_small = " OR ".join(f"coalesce(abs({move}) BETWEEN 1 AND {threshold - 1}, false)" for move in moves)
    con.execute(f"CREATE OR REPLACE TEMP TABLE cell__ AS {register.select(mart, _all(mart), 'found_id__')}")
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE compared__ AS
        SELECT cell.found_id__, cell.period_kind, cell.period_start, said.suppression_reason IS NULL AS is_shown,
            said.suppression_reason IN {_PROTECTING} AS is_hidden,
            said.suppression_reason IS NULL AND ({is_small}) AS moved
        FROM cell__ AS cell INNER JOIN said_last__ AS said ON {same}
        """
    )
    con.execute(
        f"CREATE OR REPLACE TABLE {_pending(mart)} AS SELECT DISTINCT {_PERIOD} FROM compared__"
        f" WHERE moved AND NOT {when.is_revision}"
    )
    con.execute(
        f"""
        CREATE OR REPLACE TABLE {source(mart)} AS
        SELECT now.* EXCLUDE (found_id__, is_open__), said.mart IS NOT NULL AS was_shown__,
            pending.period_kind IS NULL AND coalesce(compared.is_hidden, false) AS was_hidden__
        FROM {_all(mart)} AS now
        INNER JOIN cell__ AS cell ON cell.found_id__ = now.found_id__
        LEFT JOIN compared__ AS compared ON compared.found_id__ = now.found_id__
        LEFT JOIN {_pending(mart)} AS pending
            ON pending.period_kind = now.period_kind AND pending.period_start = now.period_start
        LEFT JOIN said_ever__ AS said
            ON {same} AND said.numerator IS NOT DISTINCT FROM cell.numerator
            AND said.denominator IS NOT DISTINCT FROM cell.denominator
        WHERE NOT now.is_open__ AND (pending.period_kind IS NULL OR said.mart IS NOT NULL)
        """
    )
    con.execute(f"CREATE OR REPLACE TABLE {_before(mart)} AS FROM {relation} LIMIT 0")
    if older is not None and con.execute(f"SELECT 1 FROM {_pending(mart)} LIMIT 1").fetchone():
        _keep_before(con, mart, older)


def _keep_before(con: duckdb.DuckDBPyConnection, mart: Mart, older: Path) -> None:
    con.execute(f"ATTACH {literal(str(older))} AS older_release (READ_ONLY)")
    said = f'older_release.main."{mart.name}"'
    known = {name for name, *_ in con.execute(f"DESCRIBE {said}").fetchall()}
    shared = ", ".join(f'"{column.name}"' for column in mart.columns if column.name in known)
    con.execute(
        f"INSERT INTO {_before(mart)} BY NAME SELECT {shared} FROM {said} SEMI JOIN {_pending(mart)} USING ({_PERIOD})"
    )
    con.execute("DETACH older_release")


def finish(con: duckdb.DuckDBPyConnection, mart: Mart, target: str) -> None:
    """In the hidden table ``target``: put back what stands, and rows of open periods without a number.

    A period that must stand while the last release's file is gone keeps its rows, all of them hidden.
    """
    in_pending = f"({_PERIOD}) IN (SELECT ({_PERIOD}) FROM {_pending(mart)})"
    has_before = bool(con.execute(f"SELECT 1 FROM {_before(mart)} LIMIT 1").fetchone())
    withheld = "is_open__" if has_before else f"is_open__ OR {in_pending}"
    con.execute(
        f"""
        CREATE OR REPLACE TABLE {target} AS
        SELECT {_columns(mart, "false")} FROM {target} WHERE NOT {in_pending}
        UNION ALL
        SELECT {_columns(mart, "true")} FROM {_before(mart)}
        UNION ALL
        SELECT {_columns(mart, in_pending, is_withheld=True)} FROM {_all(mart)} WHERE {withheld}
        """
    )


def _columns(mart: Mart, pending: str, *, is_withheld: bool = False) -> str:
    expressions = []
    for column in mart.columns:
        name = f'"{column.name}"'
        if column.name == PENDING:
            name = f"{pending} AS {name}"
        elif is_withheld and column.role == "suppression":
            name = f"'between_releases' AS {name}"
        elif is_withheld and column.is_hidden_with_cell:
            name = f"NULL AS {name}"
        expressions.append(name)
    return ", ".join(expressions)


def _all(mart: Mart) -> str:
    return f'memory.main."found__{mart.name}"'


def _pending(mart: Mart) -> str:
    return f'memory.main."pending__{mart.name}"'


def _before(mart: Mart) -> str:
    return f'memory.main."before__{mart.name}"'
