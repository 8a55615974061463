"""The audit of a draft release, from its written files alone: no small count, every sum holds.

A count of people is what ``dim_measure`` declares: ``count_of`` for a numerator, ``part_of`` for a denominator it is a
part of. Judged are these, what is left of the denominator, unknowns and the distances of bounds; in a mart without
measures every count. Not here: rounding (rounding).
"""

from collections.abc import Iterator

import duckdb

from warehouse.build.catalogue import Catalogue, Mart
from warehouse.core.duck import one_row
from warehouse.core.errors import ReleaseError

_SUMMED = ("numerator", "denominator", "unknown_count")


def audit(con: duckdb.DuckDBPyConnection, catalogue: Catalogue, file: str, base: int) -> dict[str, int]:
    """Rows judged by mart; raises ReleaseError DISCLOSURE_AUDIT naming marts and measures, never a number.

    ``file`` is the attached draft; ``catalogue`` says which of its marts stand on cells.
    """
    query_names = {query.name for query in catalogue.downstream}
    rows_of_mart, wrong = {}, []
    for mart in catalogue.marts:
        if mart.name not in query_names:
            continue
        table = f'{file}.main."{mart.name}"'
        rows_of_mart[mart.name] = one_row(con.execute(f"SELECT count(*) FROM {table}"))[0]
        for what, sql in _tests(mart, table, f"{file}.main.dim_measure", base):
            wrong += [f"{mart.name} {what} {name} ({rows})" for name, rows in con.execute(sql).fetchall()]
    if wrong:
        raise ReleaseError(
            "DISCLOSURE_AUDIT",
            f"Audit pembulatan menemukan cacah kecil atau jumlah yang tak cocok: {'; '.join(wrong[:8])}",
            f"The audit of rounding found small counts or sums that do not hold: {'; '.join(wrong[:8])}",
            "Rilis terakhir tetap berlaku. Nyatakan cacah itu dalam models/cells; lihat docs/guides/engineer.md.",
            "The last release stays current. Declare that count in models/cells; see docs/guides/engineer.md.",
        )
    return rows_of_mart


def _tests(mart: Mart, table: str, measures: str, base: int) -> Iterator[tuple[str, str]]:
    """(what it finds, SELECT of (measure or column, rows))."""
    few = f"BETWEEN 1 AND {base - 1}"
    if not mart.is_long:
        for column in mart.columns:
            if column.role == "count" and not column.name.startswith("parts_"):
                select = f"SELECT '{column.name}', count(*) FROM {table}"
                yield "cacah kecil / small", f'{select} WHERE abs("{column.name}") {few} HAVING count(*) > 0'
        return
    small = [
        f"(d.count_of IS NOT NULL AND numerator {few})",
        f"(d.part_of IS NOT NULL AND (denominator {few} OR denominator - numerator {few}))",
        f"unknown_count {few}",
        f"(d.count_of IS NOT NULL AND (numerator - numerator_low {few} OR numerator_high - numerator {few}))",
    ]
    with_measures = f"{table} AS r INNER JOIN {measures} AS d ON d.mart = '{mart.name}' AND d.measure = r.measure"
    is_small = " OR ".join(f"coalesce({test}, false)" for test in small)
    yield (
        "cacah kecil / small",
        f"SELECT r.measure, count(*) FROM {with_measures} WHERE {is_small} GROUP BY 1 ORDER BY 1",
    )
    keys = ", ".join(f'r."{key}"' for key in mart.keys if key not in {"area_level", "kemendagri_code"})
    for level, upper, above in (("kelurahan", "kecamatan", 8), ("kecamatan", "kota", 5)):
        for name in _SUMMED:
            yield (
                f"jumlah / sum {upper} {name}",
                f"""
                SELECT measure, count(*) FROM (
                    SELECT r.measure, {keys}, substring(r.kemendagri_code, 1, {above}) AS area,
                        sum(r.{name}) FILTER (r.area_level = '{level}') AS parts,
                        count(*) FILTER (r.area_level = '{level}') AS rows_below,
                        any_value(r.{name}) FILTER (r.area_level = '{upper}') AS whole
                    FROM {with_measures} WHERE d.is_additive AND r.area_level IN ('{level}', '{upper}')
                    GROUP BY ALL
                ) WHERE rows_below > 0 AND coalesce(parts, 0) <> coalesce(whole, 0) GROUP BY 1 ORDER BY 1
                """,
            )
