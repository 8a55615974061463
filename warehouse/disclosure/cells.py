"""Cells: a mart's counts at the finest grain that is published, as the release reads, rounds and writes them.

What a count is (a root, a part of another, the same as one of another table) is declared in the YAML of its cells model
and read by ``mart``. The exact counts have to satisfy the declaration. Not here: the method (rounding), which periods
may change (release.revisions).
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter

import duckdb
import numpy as np
import pyarrow as pa

from warehouse.build.catalogue import CellColumn, Cells, literal
from warehouse.core.errors import ReleaseError
from warehouse.disclosure.rounding import Known, Sheet, Split, Sum, round_sheet

MARK = "__was_rounded"
_PLACE = "kemendagri_code"


@dataclass(frozen=True)
class Sources:
    """Relations of one table of cells: ``exact`` as built; ``last`` as the last release had it (counts exact, and
    rounded, as in ``saved_names``), or None; ``target`` is made here."""

    exact: str
    target: str
    last: str | None


def in_order(tables: Sequence[Cells]) -> list[Cells]:
    """Each after those it takes counts from; raises ReleaseError CELLS_CIRCLE where there is no such order."""
    by_name = {cells.name: cells for cells in sorted(tables, key=lambda cells: cells.name)}
    try:
        order = TopologicalSorter({name: sorted(cells.taken_from) for name, cells in by_name.items()}).static_order()
        return [by_name[name] for name in order]
    except CycleError as circle:
        names = ", ".join(sorted(set(circle.args[1])))
        raise ReleaseError(
            "CELLS_CIRCLE",
            f"Tabel sel saling mengambil cacah: {names}",
            f"Tables of cells take counts from each other in a circle: {names}",
            "Perbaiki same_as dalam dbt_project/models/cells.",
            "Mend same_as in dbt_project/models/cells.",
        ) from None


def round_table(
    con: duckdb.DuckDBPyConnection,
    cells: Cells,
    sources: Sources,
    rounded_of: Mapping[str, str],
    kept_select: str,
    key: bytes,
    base: int,
) -> None:
    """Make ``target``: every column of the cells, counts rounded, beside each count ``<count>__exact`` and its mark.

    ``rounded_of``: the targets made so far, by table. ``kept_select``: a relation of the (period_kind, period_start)
    that readers have: whether they stand as the last release had them (``stands``), else nothing of them may change by
    less than the base. Raises ReleaseError CELLS_PARTS or CELLS_SAME when the counts are not what is declared.
    """
    names = [column.name for column in cells.counts]
    sheet_table = _number(con, cells, sources, kept_select)
    counts = {name: n for n, name in enumerate(names)}
    arrays = con.execute(f"FROM {sheet_table} ORDER BY row__").fetchnumpy()
    exact = _matrix(arrays, names, "")
    splits = [Split(counts[parent], tuple(counts[name] for name in parts)) for parent, parts in cells.splits()]
    _demand_parts(cells, names, exact, splits)
    table_of_index = {
        counts[c.name]: _taken(
            con, cells, c, c.same_as, sheet_table, rounded_of, exact[:, counts[c.name]], arrays["keep__"]
        )
        for c in cells.counts
        if c.same_as
    }
    places = [str(place) for place in arrays["place__"]]
    sheet = Sheet(
        exact=exact,
        periods=_runs(arrays["period__"]),
        group=arrays["group__"].astype(np.int64),
        family=arrays["family__"].astype(np.int64),
        place=np.unique(places, return_inverse=True)[1].astype(np.int64),
        region=_regions(cells, places),
        before=arrays["before__"].astype(np.int64),
        last=Known(_matrix(arrays, names, "__exact"), _matrix(arrays, names, "__rounded")),
        given=table_of_index,
        sums=[Sum(counts.get(name), tuple(counts[n] for n in summands)) for name, summands in cells.sums.items()],
        tie=_ties(cells.name, names, places, key),
        keep=arrays["keep__"].astype(bool),
        keep_marks=_matrix(arrays, names, MARK).astype(bool),
        slow=arrays["slow__"].astype(bool),
    )
    roots = [counts[c.name] for c in cells.counts if not (c.part_of or c.same_as or c.name in cells.sums)]
    rounded, marks = round_sheet(sheet, roots, splits, base)
    # A number that stands is still of the count it was printed for: what is small today may be large in a week.
    stands = sheet.slow[:, None] & (rounded == sheet.last.rounded)
    stands_for = np.where(stands, sheet.last.exact, exact)
    con.register(
        "rounded__",
        pa.table(
            {"row__": np.arange(len(exact))}
            | {name: rounded[:, n] for n, name in enumerate(names)}
            | {f"{name}{MARK}": marks[:, n] for n, name in enumerate(names)}
            | {f"{name}__exact": stands_for[:, n] for n, name in enumerate(names)}
        ),
    )
    own = ", ".join(f't."{name}"' for name in cells.others)
    columns = ", ".join(f'r."{n}", r."{n}__exact", r."{n}{MARK}"' for n in names)
    con.execute(
        f"CREATE OR REPLACE TABLE {sources.target} AS SELECT {own}, {columns}, t.keep__ OR t.slow__ AS keep__"
        f" FROM {sheet_table} AS t INNER JOIN rounded__ AS r USING (row__) ORDER BY row__"
    )
    con.unregister("rounded__")


def _number(con: duckdb.DuckDBPyConnection, cells: Cells, sources: Sources, kept_select: str) -> str:
    """Temporary table of the rows to round, numbered, with what the last release had beside them."""
    counts = [column.name for column in cells.counts]
    others = ", ".join(f'n."{name}"' for name in cells.others)
    same = " AND ".join(f'n."{key}" = o."{key}"' for key in cells.keys)
    period = f"({cells.kind_of('n')}, n.period_start)"
    of_kept = f"{period} IN (SELECT (period_kind, period_start) FROM {kept_select} WHERE"
    is_kept, is_slow = f"{of_kept} stands)", f"{of_kept} NOT stands)"
    remembered = [f'"{c}{suffix}"' for c in counts for suffix in ("__exact", "__rounded", MARK)]
    if sources.last is None:
        nothing = ", ".join(f"NULL AS {name}" for name in remembered)
        now = f"{others}, {_named(counts, 'n')}"
        rows = f"SELECT {now}, {nothing}, false AS keep__, false AS slow__ FROM {sources.exact} AS n"
    else:
        beside = ", ".join(f"o.{name}" for name in remembered)
        stands = ", ".join(f'n."{c}__exact" AS "{c}"' for c in counts)
        rows = (
            f"SELECT {others}, {_named(counts, 'n')}, {beside}, false AS keep__, {is_slow} AS slow__"
            f" FROM {sources.exact} AS n LEFT JOIN {sources.last} AS o ON {same} WHERE NOT {is_kept}"
            f" UNION ALL SELECT {others}, {stands}, {', '.join(f'n.{name}' for name in remembered)}, true, false"
            f" FROM {sources.last} AS n WHERE {is_kept}"
        )
    own = ", ".join(f'"{name}"' for name in cells.keys if name not in {cells.place, "period_start"}) or "1"
    apart = ", ".join(f'"{name}"' for name in cells.apart) or "1"
    place = f'"{cells.place}"' if cells.place else "''"
    key_columns = ", ".join(f'"{name}"' for name in cells.keys)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE sheet__ AS
        WITH numbered AS (SELECT *, row_number() OVER (ORDER BY {key_columns}) - 1 AS row__ FROM ({rows}))
        SELECT *, {place} AS place__,
            dense_rank() OVER (ORDER BY {cells.kind_of()}, period_start) AS period__,
            dense_rank() OVER (ORDER BY {apart}) AS family__,
            dense_rank() OVER (ORDER BY {apart}, period_start, {own}) AS group__,
            coalesce(lag(row__) OVER (PARTITION BY {own}, {place} ORDER BY period_start), -1) AS before__
        FROM numbered
        """
    )
    return "sheet__"


def _named(names: Sequence[str], alias: str) -> str:
    return ", ".join(f'{alias}."{name}"' for name in names)


def _matrix(arrays: Mapping[str, np.ndarray], names: Sequence[str], suffix: str) -> np.ndarray:
    columns = [np.ma.filled(np.ma.asarray(arrays[f"{name}{suffix}"]).astype(np.int64), -1) for name in names]
    return np.column_stack(columns)


def _runs(period: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(period, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(period[order])) + 1) if len(order) else []


def _regions(cells: Cells, places: Sequence[str]) -> np.ndarray:
    """The kecamatan of each place, numbered; senders, whose names say nothing of it, are one region."""
    codes = [place[:8] if cells.place == _PLACE else "" for place in places]
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _ties(table: str, names: Sequence[str], places: Sequence[str], key: bytes) -> Callable[[int], np.ndarray]:
    """A keyed number of column and place, from 0 to 1: without the key nobody can tell what was drawn."""
    distinct, of = np.unique(places, return_inverse=True) if places else (np.zeros(0), np.zeros(0, dtype=int))

    @cache
    def tie(column: int) -> np.ndarray:
        texts = (f"rounding|{table}|{names[column]}|{place}".encode() for place in distinct)
        return np.array([int.from_bytes(hmac.digest(key, text, "sha256")[:6]) / 2**48 for text in texts])[of]

    return tie


def _demand_parts(cells: Cells, names: Sequence[str], exact: np.ndarray, splits: Sequence[Split]) -> None:
    wrong = [names[n] for n in range(len(names)) if (exact[:, n] < 0).any()]
    wrong += [
        f"{' + '.join(names[n] for n in split.parts)} > {names[split.parent]}"
        for split in splits
        if (exact[:, split.parts].sum(axis=1) > exact[:, split.parent]).any()
    ]
    for name, summands in cells.sums.items():
        if (
            name in names
            and (exact[:, [names.index(n) for n in summands]].sum(axis=1) != exact[:, names.index(name)]).any()
        ):
            wrong.append(f"{' + '.join(summands)} <> {name}")
    if wrong:
        raise ReleaseError(
            "CELLS_PARTS",
            f"Bagian dalam {cells.name} tak sesuai pernyataannya: {'; '.join(wrong)}",
            f"Parts in {cells.name} are not what is declared: {'; '.join(wrong)}",
            f"Periksa part_of dan split dalam models/cells/_{cells.name}.yml. Rilis terakhir tetap berlaku.",
            f"Check part_of and split in models/cells/_{cells.name}.yml. The last release stays current.",
        )


def _taken(
    con: duckdb.DuckDBPyConnection,
    cells: Cells,
    column: CellColumn,
    source: tuple[str, str],
    sheet: str,
    rounded_of: Mapping[str, str],
    exact: np.ndarray,
    keep: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(rounded values, marks) of a count that another table holds, summed over that table's further keys."""
    table, name = source
    conditions = []
    for key, own in column.shared.items():
        theirs = f'o."{key}"'
        if key in column.same_as_map:
            whens = " ".join(
                f"WHEN {theirs} IN ({', '.join(map(literal, values))}) THEN {literal(value)}"
                for value, values in column.same_as_map[key].items()
            )
            theirs = f"CASE {whens} END"
        if key == _PLACE:
            conditions.append(f'({theirs} = t."{own}" OR starts_with({theirs}, t."{own}" || \'.\'))')
        else:
            conditions.append(f'{theirs} = t."{own}"')
    conditions += [f'o."{key}" IN ({", ".join(map(literal, values))})' for key, values in column.same_as_where.items()]
    columns = con.execute(
        f'SELECT t.row__, coalesce(sum(o."{name}"), 0)::BIGINT AS rounded,'
        f' coalesce(sum(o."{name}__exact"), 0)::BIGINT AS exact,'
        f' coalesce(bool_or(o."{name}{MARK}"), false) AS mark,'
        f" coalesce(bool_or(o.keep__), false) AS stands FROM {sheet} AS t"
        f" LEFT JOIN {rounded_of[table]} AS o ON {' AND '.join(conditions)} GROUP BY t.row__ ORDER BY t.row__"
    ).fetchnumpy()
    # What stands as it was published may differ from today's count.
    differs = (columns["exact"] != exact) & ~keep.astype(bool) & ~columns["stands"].astype(bool)
    if differs.any():
        raise ReleaseError(
            "CELLS_SAME",
            f"{cells.name}.{column.name} tidak sama dengan {table}.{name} pada {int(differs.sum())} baris.",
            f"{cells.name}.{column.name} is not what {table}.{name} holds in {int(differs.sum())} rows.",
            f"Periksa same_as dalam models/cells/_{cells.name}.yml. Rilis terakhir tetap berlaku.",
            f"Check same_as in models/cells/_{cells.name}.yml. The last release stays current.",
        )
    return columns["rounded"].astype(np.int64), columns["mark"].astype(bool)
