"""What changed from one release to another, in words and numbers, read from the two published files.

Only published values are compared, so a difference tells nothing that the two releases do not.
"""

import json
from pathlib import Path
from typing import Any

import duckdb

from warehouse.build.catalogue import literal
from warehouse.core import duck
from warehouse.core.duck import one_row
from warehouse.core.errors import ReleaseError
from warehouse.core.settings import Settings
from warehouse.release.content import MARTS_FILE

CHANGES_FILE = "changes.json"
# Of each mart, the largest moves of a rate at the levels officials read first.
_NAMED_MOVES = 3


def diff(s: Settings, older: str, newer: str) -> dict[str, Any]:
    """Schema, counts and changed rows of each mart, and the same in Indonesian and English sentences.

    Keys: older, newer, schema, marts, words_id, words_en. Raises ReleaseError RELEASE_UNKNOWN.
    """
    folders = [s.releases_dir / release_id for release_id in (older, newer)]
    for folder in folders:
        if folder.parent != s.releases_dir or not (folder / MARTS_FILE).is_file():
            raise ReleaseError(
                "RELEASE_UNKNOWN",
                f"Rilis {folder.name!r} tidak disimpan di sini.",
                f"Release {folder.name!r} is not kept here.",
                "Lihat `warehouse releases list`.",
                "See `warehouse releases list`.",
            )
    changes_file = folders[1] / CHANGES_FILE
    if changes_file.exists():
        changes: dict[str, Any] = json.loads(changes_file.read_text(encoding="utf-8"))
        if changes["older"] == older:
            return changes
    return compare(s, older, folders[0] / MARTS_FILE, newer, folders[1] / MARTS_FILE)


def compare(s: Settings, older: str, older_file: Path, newer: str, newer_file: Path) -> dict[str, Any]:
    """``diff`` on two files of marts."""
    with duck.connect(s) as con:
        con.execute(f"ATTACH {literal(str(older_file))} AS older (READ_ONLY)")
        con.execute(f"ATTACH {literal(str(newer_file))} AS newer (READ_ONLY)")
        schema = _schema(con)
        marts = [_mart(con, mart) for mart in _names(con, "older", "newer")]
        before, after = set(_names(con, "older")), set(_names(con, "newer"))
    words = [(f"Mart baru: {mart}.", f"New mart: {mart}.") for mart in sorted(after - before)]
    words += [(f"Mart dihapus: {mart}.", f"Mart removed: {mart}.") for mart in sorted(before - after)]
    words += [_schema_words(change) for change in schema if change["mart"] in before & after]
    words += [line for mart in marts for line in _mart_words(mart)]
    return {
        "older": older,
        "newer": newer,
        "schema": schema,
        "marts": marts,
        "words_id": [line[0] for line in words],
        "words_en": [line[1] for line in words],
    }


def _names(con: duckdb.DuckDBPyConnection, *catalogues: str) -> list[str]:
    selects = " UNION ".join(f"SELECT mart FROM {catalogue}.mart_columns" for catalogue in catalogues)
    return [row[0] for row in con.execute(f"{selects} ORDER BY 1").fetchall()]


def _schema(con: duckdb.DuckDBPyConnection) -> list[dict[str, str]]:
    rows = con.execute(
        """
        SELECT coalesce(n.mart, o.mart) AS mart, coalesce(n."column", o."column") AS name,
            CASE WHEN o.mart IS NULL THEN 'added' WHEN n.mart IS NULL THEN 'removed' ELSE 'retyped' END AS change
        FROM older.mart_columns AS o
        FULL JOIN newer.mart_columns AS n ON n.mart = o.mart AND n."column" = o."column"
        WHERE o.mart IS NULL OR n.mart IS NULL OR o.type <> n.type
        ORDER BY ALL
        """
    ).fetchall()
    return [dict(zip(("mart", "column", "change"), row, strict=True)) for row in rows]


def _columns(con: duckdb.DuckDBPyConnection, catalogue: str, mart: str) -> dict[str, str]:
    return dict(con.execute(f'SELECT "column", role FROM {catalogue}.mart_columns WHERE mart = ?', [mart]).fetchall())


def _mart(con: duckdb.DuckDBPyConnection, mart: str) -> dict[str, Any]:
    before, after = _columns(con, "older", mart), _columns(con, "newer", mart)
    counts = {
        side: one_row(con.execute(f'SELECT count(*) FROM {side}."{mart}"'))[0] if columns else 0
        for side, columns in (("older", before), ("newer", after))
    }
    mart_changes: dict[str, Any] = {"mart": mart, "rows_before": counts["older"], "rows_after": counts["newer"]}
    keys = [name for name, role in after.items() if role == "key" and before.get(name) == "key"]
    if not keys or keys != [name for name, role in before.items() if role == "key"]:
        row_changes = {"added": counts["newer"], "removed": counts["older"], "changed": 0}
        return mart_changes | row_changes | {"moves": []}
    values = [name for name in after if name in before and name not in {*keys, "release_id"}]
    same = " AND ".join(f'o."{key}" IS NOT DISTINCT FROM n."{key}"' for key in keys)
    select_list = ", ".join(f'"{name}"' for name in (*keys, *values))
    differs = " OR ".join(f'o."{name}" IS DISTINCT FROM n."{name}"' for name in values) or "false"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE compared AS
        SELECT {", ".join(f'n."{name}" AS "{name}"' for name in (*keys, *values))},
            {", ".join(f'o."{name}" AS "older_{name}"' for name in values)},
            o.is_there IS NULL AS is_added, n.is_there IS NULL AS is_removed,
            o.is_there AND n.is_there AND ({differs}) AS is_changed
        FROM (SELECT {select_list}, true AS is_there FROM older."{mart}") AS o
        FULL JOIN (SELECT {select_list}, true AS is_there FROM newer."{mart}") AS n ON {same}
        """
    )
    names = ("added", "removed", "changed")
    tally = ", ".join(f"count(*) FILTER (is_{name})" for name in names)
    sums = one_row(con.execute(f"SELECT {tally} FROM compared"))
    return {**mart_changes, **dict(zip(names, sums, strict=True)), "moves": _moves(con, {*keys, *values})}


def _moves(con: duckdb.DuckDBPyConnection, columns: set[str]) -> list[dict[str, Any]]:
    """The largest moves of a published rate between the releases, kecamatan and kota only."""
    required_columns = {"area_level", "area_name", "period_start", "measure", "percentage"}
    if not required_columns <= columns:
        return []
    marks = "older_is_rounded, is_rounded" if "is_rounded" in columns else "false, false"
    rows = con.execute(
        f"""
        SELECT area_name, CAST(period_start AS VARCHAR), measure, older_percentage, percentage, {marks} FROM compared
        WHERE is_changed AND area_level IN ('kecamatan', 'kota') AND round(percentage - older_percentage, 1) <> 0
        ORDER BY abs(percentage - older_percentage) DESC, ALL LIMIT {_NAMED_MOVES}
        """.replace(", ALL LIMIT", ", area_name, period_start, measure LIMIT")
    ).fetchall()
    names = ("area_name", "period_start", "measure", "before", "after", "was_rounded", "is_rounded")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _schema_words(change: dict[str, str]) -> tuple[str, str]:
    place = f"{change['mart']}.{change['column']}"
    return {
        "added": (f"Kolom baru: {place}.", f"New column: {place}."),
        "removed": (f"Kolom dihapus: {place}.", f"Column removed: {place}."),
        "retyped": (f"Tipe kolom berubah: {place}.", f"Column changed type: {place}."),
    }[change["change"]]


def _number(value: int) -> tuple[str, str]:
    return f"{value:,}".replace(",", "."), f"{value:,}"


def _rate(value: float, is_rounded: bool) -> tuple[str, str]:
    text = f"{'≈ ' if is_rounded else ''}{value:.1f}%"
    return text.replace(".", ","), text


def _mart_words(mart: dict[str, Any]) -> list[tuple[str, str]]:
    """One sentence of counts for a mart that changed, and one for each named move."""
    said = {
        "added": ("baris baru", "new rows"),
        "removed": ("baris hilang", "rows gone"),
        "changed": ("baris berubah", "rows changed"),
    }
    parts = [(_number(mart[key]), words) for key, words in said.items() if mart[key]]
    if not parts:
        return []
    lines = [
        (
            f"{mart['mart']}: {', '.join(f'{number[0]} {words[0]}' for number, words in parts)}.",
            f"{mart['mart']}: {', '.join(f'{number[1]} {words[1]}' for number, words in parts)}.",
        )
    ]
    for move in mart["moves"]:
        before, after = _rate(move["before"], move["was_rounded"]), _rate(move["after"], move["is_rounded"])
        place = f"{move['measure']}, {move['area_name']}, {move['period_start'][:7]}"
        lines.append((f"{place}: {before[0]} → {after[0]}.", f"{place}: {before[1]} → {after[1]}."))
    return lines
