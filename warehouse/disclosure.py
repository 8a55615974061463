"""Small cells: which rows of a mart are hidden, and why.

Here: primary suppression, and the secondary suppression without which a hidden number could be subtracted out of those
shown. Not here: which columns exist (mart), writing the result (release), what was published earlier.

A *cell* is an area with one value of each category key; rows that count nearly the same people (``together`` keys,
measures of one family) share a cell. A *table* is all cells of one period, measure and the remaining
keys.

1. primary: the numerator or denominator - numerator is 1 to threshold - 1, or a share of exactly 0% or 100% stands on
   a denominator below the small base. A mart without numerators is judged by its counts.
2. areas: one small kelurahan withholds all kelurahan of its kecamatan. A small kecamatan withholds its kelurahan, which
   would add up to it, and one further kecamatan with its own, or the city's total would give it away. People who could
   not be placed (code ending in .0000 or .00) are no place: when only they are small, one partner is withheld, not all.
3. categories: what is hidden in one area of a group is hidden for the same categories in all its hidden areas; where
   only one category would be, all of them are but the total.
4. lines: an area's parts and their total, or categories and theirs, with exactly one hidden cell give it away; the
   parts are hidden too. Repeated until nothing changes.

A hidden row has NULL in every number. Exact subtraction is what this prevents; how narrow the bounds on a hidden cell
may be is another question.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from warehouse.mart import Mart, MartColumn, literal

_AREA_KEYS = ("area_level", "kemendagri_code")


@dataclass(frozen=True)
class Policy:
    """From which count on a cell is shown, and from which denominator on a share of 0% or 100% is."""

    threshold: int
    small_base: int


@dataclass(frozen=True)
class Hidden:
    """What suppression did to one mart."""

    shown: int
    primary: int
    complement: int
    secondary: int

    @property
    def hidden(self) -> int:
        return self.primary + self.complement + self.secondary


def suppress(
    con: duckdb.DuckDBPyConnection,
    mart: Mart,
    source: str,
    target: str,
    policy: Policy,
    families: Mapping[str, str] | None = None,
) -> Hidden:
    """Create ``target`` with the columns of ``source`` and its small cells hidden.

    ``families`` maps a measure to the name of those it is hidden with; a measure left out stands for itself.
    Hiding what is hidden already changes nothing.
    """
    reasons = [column.name for column in mart.columns if column.role == "suppression"]
    earlier = f'"{reasons[0]}"' if reasons else "NULL::VARCHAR"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE judged AS SELECT *, row_number() OVER () AS row_id__, {earlier} AS earlier__,"
        f" {_is_small(mart, policy)} OR coalesce({earlier} = 'primary', false) AS is_small__ FROM {source}"
    )
    cells = _Cells(con, mart, policy, families or {})
    cells.close()
    cells.give_reasons()
    columns = ", ".join(_published(column) for column in mart.columns)
    con.execute(f"CREATE OR REPLACE TABLE {target} AS SELECT {columns} FROM judged LEFT JOIN reasons USING (row_id__)")
    counts = dict(
        con.execute("SELECT reason__, count(*) FROM judged LEFT JOIN reasons USING (row_id__) GROUP BY 1").fetchall()
    )
    return Hidden(
        shown=counts.get(None, 0),
        primary=counts.get("primary", 0),
        complement=counts.get("complement", 0),
        secondary=counts.get("secondary", 0),
    )


def _published(column: MartColumn) -> str:
    if column.role == "suppression":
        return f'reason__ AS "{column.name}"'
    if column.is_hidden_with_cell:
        return f'CASE WHEN reason__ IS NULL THEN "{column.name}" END AS "{column.name}"'
    return f'"{column.name}"'


def _is_small(mart: Mart, policy: Policy) -> str:
    """Whether a row has to be hidden for its own numbers, as SQL over the mart's columns."""
    few = f"BETWEEN 1 AND {policy.threshold - 1}"
    if mart.is_long:
        tests = [
            f"numerator {few}",
            f"denominator - numerator {few}",
            f"denominator BETWEEN 1 AND {policy.small_base - 1} AND numerator IN (0, denominator)",
            f"numerator IS NULL AND denominator {few}",
        ]
    else:
        counts = (column.name for column in mart.columns if column.role == "count")
        tests = [f'"{name}" {few}' for name in counts if not name.startswith("parts_")]
    return " OR ".join(f"coalesce({test}, false)" for test in tests) or "false"


class _Cells:
    """The cells of one mart, in temporary tables of the connection, and the rules that hide more of them.

    Only tables with a hidden cell are looked at. Columns: table_id, area_level, area, parent (the area above),
    is_placed, one ``axis_<n>`` per category key, weight (its size), room (the smaller of those counted and the others),
    is_small, is_hidden.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, mart: Mart, policy: Policy, families: Mapping[str, str]):
        self.con = con
        self.policy = policy
        self.has_areas = set(_AREA_KEYS) <= set(mart.keys)
        self.totals = self._totals(mart)
        self.axes = [f"axis_{n}" for n in range(len(self.totals))]
        together = {column.name for column in mart.columns if column.is_together}
        grouped = set(_AREA_KEYS) | set(self.totals) | together | {"measure"}
        apart = [f'"{key}"' for key in mart.keys if key not in grouped]
        if "measure" in mart.keys:
            apart.append(_family(families))
        table = f"dense_rank() OVER (ORDER BY {', '.join(apart)})" if apart else "1"
        area = "kemendagri_code" if self.has_areas else "'-'"
        level = "area_level" if self.has_areas else "'-'"
        # Both stay the same when those counted and the others change places: a share and its complement are hidden in
        # the same areas.
        weight, room = ("NULL", "NULL")
        if mart.is_long:
            weight = "coalesce(denominator, numerator)"
            room = "least(numerator, coalesce(denominator - numerator, numerator))"
        axes = "".join(f', "{key}" AS {axis}' for key, axis in zip(self.totals, self.axes, strict=True))
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE placed AS
            SELECT row_id__, is_small__, is_small__ OR earlier__ IS NOT NULL AS is_hidden__, {table} AS table_id,
                {level} AS area_level, {area} AS area{axes}, {weight} AS weight, {room} AS room
            FROM judged
            """
        )
        # The area above is the code without its last part.
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE cells AS
            SELECT table_id, area_level, area, NOT regexp_matches(area, '\\.0+$') AS is_placed,
                CASE WHEN area_level IN ('kelurahan', 'kecamatan') THEN regexp_replace(area, '\\.[^.]*$', '')
                    ELSE area END AS parent,
                {"".join(axis + ", " for axis in self.axes)} coalesce(sum(weight), 0) AS weight,
                coalesce(sum(room), 0) AS room, bool_or(is_small__) AS is_small, bool_or(is_hidden__) AS is_hidden
            FROM placed
            WHERE table_id IN (SELECT table_id FROM placed WHERE is_hidden__)
            GROUP BY ALL
            """
        )

    def _totals(self, mart: Mart) -> dict[str, str]:
        """Category keys and the value that is the sum of their others: as declared, else ``all`` where it occurs."""
        totals = {}
        for column in mart.columns:
            is_category = column.role == "key" and column.kind in {"varchar", "text"} and not column.is_together
            if not is_category or column.name in {*_AREA_KEYS, "measure"}:
                continue
            total = column.total or "all"
            if self.con.execute(f'SELECT 1 FROM judged WHERE "{column.name}" = {literal(total)} LIMIT 1').fetchone():
                totals[column.name] = total
        return totals

    def close(self) -> None:
        """Hide cells until no rule hides another."""
        rules = [self._blocks, self._lines_of_categories]
        if self.has_areas:
            rules += [self._kelurahan_of_hidden_kecamatan, self._lines_of_areas]
        while sum([rule() for rule in rules]):
            pass

    def _hide(self, query: str) -> int:
        """Hide the cells whose rowid the query gives; returns how many were not hidden before."""
        return self.con.execute(
            f"UPDATE cells SET is_hidden = true WHERE NOT is_hidden AND rowid IN ({query})"
        ).fetchone()[0]

    def _same(self, left: str, right: str, names: list[str]) -> str:
        return " AND ".join(f"{left}.{name} = {right}.{name}" for name in names)

    def _blocks(self) -> int:
        """In each group of areas: its hidden areas and those they draw in, times its hidden categories and theirs."""
        group = ["table_id", "area_level", "parent"]
        grouped = ", ".join(group)
        self.con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE hidden_areas AS
            WITH areas AS (
                SELECT {grouped}, area, is_placed, bool_or(is_hidden) AS is_hit, bool_or(is_small) AS is_small,
                    sum(weight) AS weight, sum(room) AS room
                FROM cells GROUP BY ALL
            ),
            groups AS (
                SELECT {grouped}, count(*) FILTER (is_hit) AS hits, bool_or(is_small AND is_placed) AS is_place_small
                FROM areas GROUP BY ALL HAVING hits > 0
            ),
            drawn AS (
                SELECT areas.*, is_hit OR (area_level = 'kelurahan' AND is_place_small) AS is_in, hits,
                    -- The least loss that still protects: real places first, counts that could not be small ones.
                    row_number() OVER (
                        PARTITION BY {grouped}, is_hit
                        ORDER BY NOT is_placed, room < {self.policy.small_base}, weight, area
                    ) AS rank
                FROM areas INNER JOIN groups USING ({grouped})
            )
            SELECT {grouped}, area FROM drawn WHERE is_in OR (hits = 1 AND rank = 1)
            """
        )
        joins = [f"INNER JOIN hidden_areas AS a ON {self._same('c', 'a', [*group, 'area'])}"]
        for axis, total in zip(self.axes, self.totals.values(), strict=True):
            self.con.execute(
                f"""
                CREATE OR REPLACE TEMP TABLE hidden_{axis} AS
                WITH entries AS (
                    SELECT {grouped}, {axis}, bool_or(is_hidden) AS is_hit FROM cells GROUP BY ALL
                ),
                groups AS (SELECT {grouped}, count(*) FILTER (is_hit) AS hits FROM entries GROUP BY ALL HAVING hits > 0)
                SELECT {grouped}, {axis} FROM entries INNER JOIN groups USING ({grouped})
                WHERE is_hit OR (hits = 1 AND {axis} <> {literal(total)})
                """
            )
            joins.append(f"INNER JOIN hidden_{axis} ON {self._same('c', f'hidden_{axis}', [*group, axis])}")
        return self._hide(f"SELECT c.rowid FROM cells AS c {' '.join(joins)} WHERE NOT c.is_hidden")

    def _kelurahan_of_hidden_kecamatan(self) -> int:
        return self._hide(
            "SELECT c.rowid FROM cells AS c INNER JOIN cells AS above ON above.is_hidden AND above.area = c.parent"
            f" AND above.area <> c.area AND {self._same('c', 'above', ['table_id', *self.axes])}"
        )

    def _lines_of_areas(self) -> int:
        """An area and its parts, exactly one of them hidden: the other parts, and where there are none the area."""
        same = ["table_id", *self.axes]
        self.con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE lines AS
            WITH members AS (
                SELECT {", ".join(same)}, parent AS head, area, is_hidden FROM cells
                WHERE area_level IN ('kelurahan', 'kecamatan')
                UNION ALL
                SELECT {", ".join(same)}, area, area, is_hidden FROM cells AS c
                WHERE EXISTS (
                    FROM cells AS part
                    WHERE part.parent = c.area AND part.area <> c.area AND {self._same("part", "c", same)}
                )
            )
            SELECT {", ".join(same)}, head, count(*) FILTER (area <> head AND NOT is_hidden) AS parts_shown FROM members
            GROUP BY ALL HAVING count(*) FILTER (is_hidden) = 1 AND count(*) > 1 AND bool_or(area = head)
            """
        )
        return self._hide(
            f"SELECT c.rowid FROM cells AS c INNER JOIN lines ON {self._same('c', 'lines', same)}"
            " WHERE (c.parent = head AND c.area <> head AND parts_shown > 0) OR (c.area = head AND parts_shown = 0)"
        )

    def _lines_of_categories(self) -> int:
        """A category key's values for one area, exactly one hidden: the others, and where there are none the total."""
        hidden = 0
        for axis, total in zip(self.axes, self.totals.values(), strict=True):
            same = ["table_id", "area_level", "area", *(name for name in self.axes if name != axis)]
            is_total = f"{axis} = {literal(total)}"
            self.con.execute(
                f"""
                CREATE OR REPLACE TEMP TABLE lines AS
                SELECT {", ".join(same)}, count(*) FILTER (NOT is_hidden AND NOT {is_total}) AS parts_shown
                FROM cells GROUP BY ALL
                HAVING count(*) FILTER (is_hidden) = 1 AND count(*) > 1 AND bool_or({is_total})
                """
            )
            hidden += self._hide(
                f"SELECT c.rowid FROM cells AS c INNER JOIN lines ON {self._same('c', 'lines', same)}"
                f" WHERE (NOT c.{is_total} AND parts_shown > 0) OR (c.{is_total} AND parts_shown = 0)"
            )
        return hidden

    def give_reasons(self) -> None:
        """Make table ``reasons`` (row_id__, reason__) of all hidden rows."""
        axes = ["table_id", *self.axes]
        self.con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE reasons AS
            WITH small AS (SELECT DISTINCT {", ".join(axes)} FROM cells WHERE is_small)
            SELECT placed.row_id__,
                CASE WHEN placed.is_small__ THEN 'primary' WHEN small.table_id IS NOT NULL THEN 'complement'
                    ELSE 'secondary' END AS reason__
            FROM cells
            INNER JOIN placed ON {self._same("placed", "cells", [*axes, "area_level", "area"])}
            LEFT JOIN small ON {self._same("small", "cells", axes)}
            WHERE cells.is_hidden
            """
        )


def _family(families: Mapping[str, str]) -> str:
    cases = " ".join(f"WHEN {literal(measure)} THEN {literal(family)}" for measure, family in families.items())
    return f"CASE measure {cases} ELSE measure END" if cases else "measure"
