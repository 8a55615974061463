"""Small counts: rounded in the cells that marts are summed from, so that no printed number tells of one to four.

A cells model holds a mart's counts at the finest grain that is published. There every count, what is left of the count
it is part of, and what lies between counts that hold one another, becomes 0 or at least the base (``rounding``). Then
the marts' own SQL is run again over the rounded cells: percentages, bounds, intervals, ranks and totals all follow from
them, and every sum holds. What was written is read back and judged (``audit``).

Not here: which columns exist (mart), which periods may change between releases (release.revisions), files (release).
"""

from collections.abc import Iterable, Mapping, Sequence

import duckdb

from warehouse.build.catalogue import Catalogue, Mart, literal
from warehouse.core import duck
from warehouse.core.errors import ReleaseError
from warehouse.disclosure.cells import MARK, Sources, in_order, round_table

__all__ = [
    "MARK",
    "Sources",
    "demand_cells",
    "in_order",
    "mark_rounded",
    "published",
    "round_table",
    "rounded",
    "run_again",
]


def rounded(cells: str) -> str:
    """The table of the working connection that holds a table of cells with its counts rounded."""
    return f'memory.main."rounded__{cells}"'


def published(name: str) -> str:
    """The table of the working connection that holds a mart as it will be published."""
    return f'memory.main."{name}"'


def _again(name: str) -> str:
    return f'memory.main."again__{name}"'


def _marks(name: str) -> str:
    return f'memory.main."marks__{name}"'


def run_again(con: duckdb.DuckDBPyConnection, catalogue: Catalogue, is_over: Mapping[str, str]) -> None:
    """Run the SQL of every model that stands on cells, once over the rounded counts and once over marks.

    A mark is 0 for a count that was not rounded, else a large number of its own: where marks add up to anything, a
    number has rounded counts in it. ``is_over``: for each table of cells the condition on rows of periods that are
    published.
    """
    for cells in catalogue.cells:
        columns = ", ".join(f'"{name}"' for name in cells.others)
        counts = ", ".join(f'"{column.name}"' for column in cells.counts)
        row = ", ".join(f'"{name}"' for name in cells.keys)
        marks = ", ".join(
            f'CASE WHEN "{c.name}{MARK}" THEN (hash({row}, {literal(c.name)}) % 1000000007)::BIGINT + 1'
            f' ELSE 0 END AS "{c.name}"'
            for c in cells.counts
        )
        source = f"FROM {rounded(cells.name)} WHERE {is_over[cells.name]}"
        con.execute(f"CREATE OR REPLACE VIEW {_again(cells.name)} AS SELECT {columns}, {counts} {source}")
        con.execute(f"CREATE OR REPLACE VIEW {_marks(cells.name)} AS SELECT {columns}, {marks} {source}")
    query_names = {cells.name for cells in catalogue.cells} | {query.name for query in catalogue.downstream}
    for query in catalogue.downstream:
        for table in (_again, _marks):
            again = {relation: table(name) for relation, name in query.relations.items() if name in query_names}
            select = duck.reading_from(con, query.sql, again)
            con.execute(f"CREATE OR REPLACE TABLE {table(query.name)} AS {select}")


def mark_rounded(
    con: duckdb.DuckDBPyConnection, mart: Mart, built_table: str, release: Mapping[str, str], *, is_downstream: bool
) -> None:
    """Make ``published(mart)``: the mart as run again, with ``is_rounded``, else as it was built.

    ``release``: columns of the mart that the release fills, as SQL over the row.
    """
    columns = {column.name: column for column in mart.columns}
    expressions = {name: sql for name, sql in release.items() if name in columns}
    source = f"{built_table} AS r"
    if is_downstream:
        source = f"{_again(mart.name)} AS r"
        if "is_rounded" in columns:
            for table, alias in ((_marks(mart.name), "m"), (built_table, "b")):
                same = " AND ".join(f'r."{key}" IS NOT DISTINCT FROM {alias}."{key}"' for key in mart.keys)
                source += f" LEFT JOIN {table} AS {alias} ON {same}"
            expressions["is_rounded"] = " OR ".join(_is_touched(mart)) or "false"
    select_list = ", ".join(
        f'{expressions[name]} AS "{name}"' if name in expressions else f'r."{name}"' for name in columns
    )
    con.execute(f"CREATE OR REPLACE TABLE {published(mart.name)} AS SELECT {select_list} FROM {source}")


def _is_touched(mart: Mart) -> Iterable[str]:
    """Marks in the numerator or denominator (of a mart that is not long: in any count), or another statistic."""
    for name in ("numerator", "denominator") if mart.is_long else _counts(mart):
        yield f'coalesce(m."{name}", 0) <> 0'
    if any(column.name == "statistic" for column in mart.columns):
        yield 'r."statistic" IS DISTINCT FROM b."statistic"'


def demand_cells(catalogue: Catalogue) -> None:
    """Raise ReleaseError MART_WITHOUT_CELLS for a mart with counts that stands on no table of cells."""
    query_names = {query.name for query in catalogue.downstream}
    bare = [
        mart.name
        for mart in (*catalogue.marts, *catalogue.restricted)
        if _counts(mart) and mart.name not in query_names
    ]
    if bare:
        raise ReleaseError(
            "MART_WITHOUT_CELLS",
            f"Mart memuat cacah tanpa tabel sel: {', '.join(bare)}",
            f"Marts hold counts that come from no table of cells: {', '.join(bare)}",
            "Hitung dari model di dbt_project/models/cells (docs/guides/engineer.md). Rilis terakhir tetap berlaku.",
            "Count from a model in dbt_project/models/cells (docs/guides/engineer.md). The last release stays current.",
        )


def _counts(mart: Mart) -> Sequence[str]:
    return [c.name for c in mart.columns if c.role == "count" and not c.name.startswith("parts_")]
