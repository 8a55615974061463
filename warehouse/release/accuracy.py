"""How far rounding moved what a release prints, measured against the exact build. Not here: rounding (disclosure)."""

import math
from typing import Any

import duckdb

from warehouse.build.catalogue import Mart
from warehouse.core.duck import one_row
from warehouse.disclosure import published

_AREA = ("area_level", "kemendagri_code", "period_kind", "period_start", "measure")
_FEWEST_ROWS = 20
# What is asked of a mart first, where that is not its rows of which every further key says "all".
_HEADLINES = {
    "convergence_by_area_period": "r.low_desil = 'yes' AND r.stunted_child = 'yes' AND r.uncovered_breadwinner = 'yes'"
}


def errors(con: duckdb.DuckDBPyConnection, mart: Mart, built_table: str) -> list[dict[str, Any]]:
    """By level: rows rounded, mean and largest difference of percentages from the exact ones, largest of any count.

    Percentages in points, of rows that both have one and that are reliable; ``headline_*`` of the rows that are asked
    for first, every further key ``all``. For a mart without areas nothing.
    """
    if not (mart.is_long and "area_level" in mart.keys):
        return []
    same = " AND ".join(f'r."{key}" IS NOT DISTINCT FROM b."{key}"' for key in mart.keys)
    own = [key for key in mart.keys if key not in _AREA]
    knows_all = [f"count(*) FILTER (\"{key}\" = 'all') > 0" for key in own]
    has_all = one_row(con.execute(f"SELECT [{', '.join(knows_all)}] FROM {built_table}"))[0]
    of_all = " AND ".join(f"r.\"{key}\" = 'all'" for key, knows in zip(own, has_all, strict=True) if knows)
    headline = _HEADLINES.get(mart.name, of_all or "true")
    change = "greatest(abs(r.numerator - b.numerator), abs(r.denominator - b.denominator))"
    reliable = "b.is_reliable AND r.percentage IS NOT NULL AND b.percentage IS NOT NULL"
    rows = con.execute(
        f"""
        SELECT r.area_level, count(*) AS rows_published, count(*) FILTER (r.is_rounded) AS rows_rounded,
            avg(abs(r.percentage - b.percentage)) FILTER ({reliable}) AS mean_error,
            max(abs(r.percentage - b.percentage)) FILTER ({reliable}) AS largest_error,
            max({change}) AS largest_deviation,
            avg(abs(r.percentage - b.percentage)) FILTER ({reliable} AND {headline}) AS headline_error,
            max({change}) FILTER ({headline}) AS headline_deviation
        FROM {published(mart.name)} AS r INNER JOIN {built_table} AS b ON {same} GROUP BY 1 ORDER BY 1
        """
    )
    names = [column[0] for column in rows.description]
    return [{"mart": mart.name} | dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def as_published(error: dict[str, Any], base: int) -> dict[str, Any]:
    """What a release prints of ``errors``: too coarse, and of too many rows, to lead back to one exact number."""
    of_few = error["rows_rounded"] < _FEWEST_ROWS
    mean, largest = (None if of_few or error[name] is None else error[name] for name in ("mean_error", "largest_error"))
    deviation = None if of_few else base * math.ceil((error["largest_deviation"] or 0) / base)
    return {name: error[name] for name in ("mart", "area_level", "rows_published", "rows_rounded")} | {
        "mean_error": None if mean is None else round(mean, 2),
        "largest_error": None if largest is None else round(largest, 1),
        "largest_deviation": deviation,
    }
