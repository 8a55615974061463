"""A small finished build to release: a build file, dbt's manifest of it and the ledger's rows, without running dbt."""

import json
from datetime import UTC, date, datetime
from typing import Any

import duckdb

from warehouse import ledger
from warehouse.build import BuildResult, content_hash
from warehouse.build.catalogue import manifest_path
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, tables
from warehouse.storage import keys

OCTOBER = date(2026, 10, 1)
NOON = datetime(2026, 11, 22, 5, tzinfo=UTC)
KECAMATAN = ("36.71.01", "36.71.02", "36.71.03")
AREA_MART = {
    "area_level": "string", "kemendagri_code": "string", "period_kind": "string", "period_start": "date",
    "measure": "string", "age_group": "string", "area_name": "string", "numerator": "bigint", "denominator": "bigint",
    "percentage": "double", "numerator_low": "bigint", "numerator_high": "bigint", "unknown_count": "bigint",
    "is_reliable": "boolean", "is_rounded": "boolean", "is_stale": "boolean", "revision_pending": "boolean",
    "release_id": "string",
}  # fmt: skip
STATE = {"is_rounded": "boolean", "revision_pending": "boolean"}
PERIOD = {"period_kind": "string", "period_start": "date"}
CHILDREN = ("registered", "haz_valid", "stunted", "severely_stunted", "whz_valid", "wasted")
AGES = ("0_23", "24_59")
Counts = dict[tuple[str, str], tuple[int, int]]


def usual_counts(small: int = 60) -> Counts:
    """(kelurahan, measure) -> numerator and denominator of the older children; ``small`` are stunted in one place."""
    counts = {(f"{k}.100{n}", m): (60 + n, 200) for k in KECAMATAN for n in (1, 2, 3) for m in ("stunted", "wasted")}
    return counts | {("36.71.01.1001", "stunted"): (small, 200)}


def model(name: str, columns: dict[str, str], *, schema: str = "marts", meta: dict | None = None, **more: Any) -> dict:
    """A model as dbt's manifest has it; ``meta`` is by column, or for the model under ''."""
    meta = meta or {}
    return {
        "resource_type": "model",
        "name": name,
        "schema": schema,
        "alias": name,
        "relation_name": f'"warehouse"."{schema}"."{name}"',
        "description": f"Satu baris per kunci {name}. One row per key.",
        "config": {"materialized": "table", "meta": meta.get("", {})},
        "compiled_code": "",
        "depends_on": {"nodes": []},
        "columns": {
            column: {
                "name": column,
                "data_type": kind,
                "description": f"Kolom {column}.",
                "config": {"meta": meta.get(column, {})},
            }
            for column, kind in columns.items()
        },
    } | more


WIDE_SQL = """
select area_level, kemendagri_code, period_start, age_group,
    max(case when measure = 'stunted' then percentage end) as stunted_percentage,
    max(case when measure = 'stunted' then numerator end) as stunted_numerator,
    bool_or(case when measure = 'stunted' then is_rounded end) as stunted_is_rounded
from "warehouse"."marts"."stunting_by_area_month" group by all
"""
AREA_SQL = """
with counted as (
    select kemendagri_code, period_kind, period_start, age_group, registered, 'stunted' as measure,
        stunted as numerator, haz_valid as denominator from "warehouse"."cells"."cells_children"
    union all
    select kemendagri_code, period_kind, period_start, age_group, registered, 'severely_stunted',
        severely_stunted, haz_valid from "warehouse"."cells"."cells_children"
    union all
    select kemendagri_code, period_kind, period_start, age_group, registered, 'wasted', wasted, whz_valid
    from "warehouse"."cells"."cells_children"
), levels as (
    select unnest(['kelurahan', 'kecamatan', 'kota']) as area_level, unnest([13, 8, 5]) as digits
), summed as (
    select level.area_level, substring(kemendagri_code, 1, level.digits) as kemendagri_code, period_kind, period_start,
        measure, coalesce(age_group, 'all') as age_group, cast(sum(numerator) as bigint) as numerator,
        cast(sum(denominator) as bigint) as denominator,
        cast(sum(registered) - sum(denominator) as bigint) as unknown_count
    from counted cross join levels as level
    group by grouping sets (
        (level.area_level, substring(kemendagri_code, 1, level.digits), period_kind, period_start, measure, age_group),
        (level.area_level, substring(kemendagri_code, 1, level.digits), period_kind, period_start, measure)
    )
)
select area_level, kemendagri_code, period_kind, period_start, measure, age_group,
    'Area ' || kemendagri_code as area_name, numerator, denominator,
    100 * numerator / nullif(denominator, 0) as percentage, numerator as numerator_low,
    numerator + unknown_count as numerator_high, unknown_count, denominator >= 30 as is_reliable, false as is_rounded,
    false as is_stale, false as revision_pending, cast(null as varchar) as release_id
from summed
"""
PAIRS_SQL = """
select pair, period_kind, period_start, matched, false as is_rounded, false as revision_pending
from "warehouse"."cells"."cells_pairs"
"""
SCORECARD_SQL = """
select 'stunted' as indicator, period_kind, period_start, 100.0 * sum(stunted) / sum(haz_valid) as percentage,
    false as is_rounded, false as revision_pending
from "warehouse"."cells"."cells_children" group by period_kind, period_start
"""
QUALITY_SQL = """
select posyandu_key, period_kind, period_start, n, false as is_rounded, false as revision_pending
from "warehouse"."cells"."cells_quality"
"""
PUSKESMAS_SQL = """
select puskesmas, period_kind, period_start, cast(sum(n) as bigint) as n, sum(flagged) / nullif(sum(n), 0) as statistic,
    false as is_rounded, false as revision_pending
from "warehouse"."cells"."cells_quality" group by puskesmas, period_kind, period_start
"""


def root() -> dict:
    return {"role": "count"}


def part(parent: str, **more: Any) -> dict:
    return {"role": "count", "part_of": parent} | more


def cells(name: str, keys: dict[str, str], counts: dict[str, dict], meta: dict | None = None) -> dict:
    """A table of cells as dbt's manifest has it; ``counts`` says what each count is."""
    columns = keys | dict.fromkeys(counts, "bigint")
    return model(name, columns, schema="cells", meta=counts | {"": meta or {}})


def over(name: str, table: str, columns: dict[str, str], sql: str, keys: dict[str, dict]) -> dict:
    """A mart that stands on a table of cells."""
    made = model(name, columns, compiled_code=sql, meta=keys)
    made["depends_on"]["nodes"] = [f"model.{table}"]
    return made


def nodes() -> dict[str, dict]:
    key = {"role": "key"}
    periods = {"period_kind": key, "period_start": key}
    wide = model("stunting_by_area_month_wide", {}, compiled_code=WIDE_SQL)
    wide["config"]["materialized"] = "view"
    wide["depends_on"]["nodes"] = ["model.stunting_by_area_month"]
    releases = model(
        "ops_releases",
        {"release_id": "string", "is_kept": "boolean"},
        compiled_code='select release_id, removed_at is null as is_kept from "warehouse"."ledger"."releases"',
    )
    releases["depends_on"]["nodes"] = ["source.releases"]
    models = [
        cells(
            "cells_children",
            {"kemendagri_code": "string"} | PERIOD | {"age_group": "string"},
            {
                "registered": root(),
                "haz_valid": part("registered"),
                "stunted": part("haz_valid"),
                "severely_stunted": part("stunted"),
                "whz_valid": part("registered"),
                "wasted": part("whz_valid"),
            },
        ),
        cells("cells_pairs", {"pair": "string"} | PERIOD, {"matched": root()}),
        cells(
            "cells_quality",
            {"posyandu_key": "string", "puskesmas": "string"} | PERIOD,
            {"n": root(), "flagged": part("n")},
        ),
        over("stunting_by_area_month", "cells_children", AREA_MART, AREA_SQL, {"age_group": key}),
        over(
            "scorecard", "cells_children", {"indicator": "string"} | PERIOD | {"percentage": "double"} | STATE,
            SCORECARD_SQL, {"indicator": key} | periods,
        ),
        over(
            "pairs", "cells_pairs", {"pair": "string"} | PERIOD | {"matched": "bigint"} | STATE, PAIRS_SQL,
            {"pair": key},
        ),
        over(
            "quality", "cells_quality", {"posyandu_key": "string"} | PERIOD | {"n": "bigint"} | STATE, QUALITY_SQL,
            {"posyandu_key": key},
        ),
        over(
            "quality_by_puskesmas", "cells_quality",
            {"puskesmas": "string"} | PERIOD | {"n": "bigint", "statistic": "double"} | STATE, PUSKESMAS_SQL,
            {"puskesmas": key},
        ),
        wide,
        releases,
        model(
            "fct_child_measurement",
            {
                "person_key": "string",
                "measured_month": "date",
                "age_months": "bigint",
                "haz": "double",
                "weight_kg": "double",
            },
            schema="conformed",
            meta={name: {"micro": True} for name in ("person_key", "measured_month")}
            | {
                "haz": {"micro": True, "class_width": 0.5},
                "age_months": {"micro": True, "quasi_identifier": "age_months"},
            },
        ),
        model("dim_measure", {}, schema="conformed"),
        model("dim_region", {}, schema="conformed"),
        model("dim_period", {}, schema="conformed"),
    ]  # fmt: skip
    return {f"model.{node['name']}": node for node in models}


def write_manifest(s: Settings, models: dict[str, dict]) -> None:
    path = manifest_path(s.home)
    path.parent.mkdir(parents=True, exist_ok=True)
    source = {"name": "releases", "relation_name": '"warehouse"."ledger"."releases"'}
    path.write_text(json.dumps({"nodes": models, "sources": {"source.releases": source}}), encoding="utf-8")


def child_rows(month: date, counts: Counts) -> list[tuple]:
    """Rows of ``cells_children``: the older children as told, and twenty stunted of a hundred younger ones."""
    rows = []
    for code in sorted({code for code, _ in counts}):
        stunted, haz_valid = counts.get((code, "stunted"), (60, 200))
        wasted, whz_valid = counts.get((code, "wasted"), (60, 200))
        severely, _ = counts.get((code, "severely_stunted"), (min(stunted, 15), 0))
        registered, _ = counts.get((code, "registered"), (max(haz_valid, whz_valid, 240), 0))
        older = (registered, haz_valid, stunted, severely, whz_valid, wasted)
        for age, numbers in zip(AGES, ((120, 100, 20, 10, 100, 20), older), strict=True):
            rows.append((code, "month", month, age, *numbers))
    return rows


MATCHED = {"a-b": 3, "a-c": 90}


def make_build(
    s: Settings,
    led: Ledger,
    counts: Counts | None = None,
    *,
    months: dict[date, Counts] | None = None,
    cells_sql: str = "",
    extra_sql: str = "",
) -> BuildResult:
    """Write the build file and its ledger row; the manifest is there unless a test wrote its own.

    ``months`` besides October, whose counts ``counts`` are. ``cells_sql`` runs before marts are made of cells,
    ``extra_sql`` after.
    """
    keys.make_sandbox_keys(s)
    if not manifest_path(s.home).exists():
        write_manifest(s, nodes())
    s.build_file.parent.mkdir(parents=True, exist_ok=True)
    s.build_file.unlink(missing_ok=True)
    build_id = ledger.new_id()
    with duckdb.connect(str(s.build_file)) as con:
        for schema in ("cells", "marts", "conformed", "ledger", "vault"):
            con.execute(f"CREATE SCHEMA {schema}")
        _make_cells(con, (months or {}) | {OCTOBER: counts or usual_counts()})
        con.execute(cells_sql)
        for name, sql in (
            ("stunting_by_area_month", AREA_SQL), ("scorecard", SCORECARD_SQL), ("pairs", PAIRS_SQL),
            ("quality", QUALITY_SQL), ("quality_by_puskesmas", PUSKESMAS_SQL),
        ):  # fmt: skip
            con.execute(f"CREATE TABLE marts.{name} AS {sql}")
        con.execute(
            "CREATE TABLE conformed.fct_child_measurement AS"
            " SELECT 'p1' AS person_key, DATE '2026-10-17' AS measured_month, 14::BIGINT AS age_months,"
            " -2.3456::DOUBLE AS haz, 9.1::DOUBLE AS weight_kg"
        )
        con.execute(
            "CREATE TABLE conformed.dim_measure AS SELECT 'stunting_by_area_month' AS mart, measure,"
            " 'Pendek' AS label_id, 'Stunted' AS label_en, 'Anak pendek.' AS definition_id,"
            " 'Stunted children.' AS definition_en, 'a / b' AS formula, 'children' AS unit, true AS is_additive,"
            " 'cells_children.' || measure AS count_of, 'cells_children.' || whole AS part_of"
            " FROM (VALUES ('stunted', 'haz_valid'), ('severely_stunted', 'haz_valid'), ('wasted', 'whz_valid'))"
            " AS t (measure, whole)"
        )
        con.execute("CREATE TABLE conformed.dim_region AS SELECT '36.71' AS kemendagri_code, 'Kota Tangerang' AS name")
        con.execute(
            "CREATE TABLE conformed.dim_period AS SELECT 'month' AS period_kind, DATE '2026-10-01' AS period_start"
        )
        con.execute(
            "CREATE TABLE ledger.deliveries_in_force AS SELECT 'kemenkes/eppgbm' AS dataset, 'benda' AS part,"
            " DATE '2026-10-01' AS period_start, 'd1' AS delivery_id, 'v1' AS verdict_id"
        )
        con.execute("CREATE TABLE ledger.verdicts AS SELECT 'v1' AS verdict_id, 'accepted' AS verdict")
        con.execute(extra_sql)
        digest = content_hash(con)
    led.insert(
        tables.builds,
        {
            "build_id": build_id, "started_at": s.utc_now(), "ended_at": s.utc_now(), "outcome": "built",
            "as_of": date(2026, 11, 22), "inputs_hash": "x", "content_hash": digest, "code_version": "c1",
        },
    )  # fmt: skip
    return BuildResult(build_id, "built", digest, 0.1)


def _make_cells(con: duckdb.DuckDBPyConnection, months: dict[date, Counts]) -> None:
    counts = ", ".join(f"{name} BIGINT" for name in CHILDREN)
    con.execute(
        "CREATE TABLE cells.cells_children"
        f" (kemendagri_code VARCHAR, period_kind VARCHAR, period_start DATE, age_group VARCHAR, {counts})"
    )
    con.execute("CREATE TABLE cells.cells_pairs (pair VARCHAR, period_kind VARCHAR, period_start DATE, matched BIGINT)")
    con.execute(
        "CREATE TABLE cells.cells_quality (posyandu_key VARCHAR, puskesmas VARCHAR, period_kind VARCHAR,"
        " period_start DATE, n BIGINT, flagged BIGINT)"
    )
    for month, counted in months.items():
        marks = ", ".join("?" * (4 + len(CHILDREN)))
        con.executemany(f"INSERT INTO cells.cells_children VALUES ({marks})", child_rows(month, counted))
        con.executemany(
            "INSERT INTO cells.cells_pairs VALUES (?, 'month', ?, ?)",
            [(pair, month, matched) for pair, matched in MATCHED.items()],
        )
        con.execute(
            "INSERT INTO cells.cells_quality VALUES ('36.71.01.1001 melati 1', 'cipondoh', 'month', $1, 40, 9),"
            " ('36.71.01.1001 melati 2', 'cipondoh', 'month', $1, 30, 3)",
            [month],
        )
