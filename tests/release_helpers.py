"""A small finished build to release: a build file, dbt's manifest of it and the ledger's rows, without running dbt."""

import json
from datetime import UTC, date, datetime
from typing import Any

import duckdb

from warehouse import keys, ledger
from warehouse.build import BuildResult, content_hash
from warehouse.ledger import Ledger
from warehouse.mart import manifest_path
from warehouse.settings import Settings

OCTOBER = date(2026, 10, 1)
NOON = datetime(2026, 11, 22, 5, tzinfo=UTC)
KECAMATAN = ("36.71.01", "36.71.02", "36.71.03")
AREA_MART = {
    "area_level": "string", "kemendagri_code": "string", "period_kind": "string", "period_start": "date",
    "measure": "string", "age_group": "string", "area_name": "string", "numerator": "bigint", "denominator": "bigint",
    "percentage": "double", "suppression_reason": "string", "is_stale": "boolean", "revision_pending": "boolean",
    "release_id": "string",
}  # fmt: skip
FACT = {
    "person_key": "string", "measured_month": "date", "age_months": "bigint", "haz": "double", "weight_kg": "double",
}  # fmt: skip
Counts = dict[tuple[str, str], tuple[int, int]]


def usual_counts(small: int = 60) -> Counts:
    """(kelurahan, measure) -> numerator and denominator; ``small`` goes to one kelurahan's stunted children."""
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
    max(case when measure = 'stunted' then suppression_reason end) as stunted_suppression_reason
from "warehouse"."marts"."stunting_by_area_month" group by all
"""


def nodes() -> dict[str, dict]:
    stunting = model("stunting_by_area_month", AREA_MART, meta={"age_group": {"role": "key"}})
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
        stunting,
        wide,
        releases,
        model("pairs", {"pair": "string", "matched": "bigint"}, meta={"pair": {"role": "key"}}),
        model("quality", {"posyandu_key": "string", "n": "bigint"}, meta={"posyandu_key": {"role": "key"}}),
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
            meta={name: {"micro": True} for name in ("person_key", "measured_month", "haz")}
            | {"age_months": {"micro": True, "quasi_identifier": "age_months"}},
        ),
        model("disclosure_families", {}, schema="reference", resource_type="seed"),
        model("dim_measure", {}, schema="conformed"),
        model("dim_region", {}, schema="conformed"),
        model("dim_period", {}, schema="conformed"),
    ]
    return {f"model.{node['name']}": node for node in models}


def write_manifest(s: Settings, models: dict[str, dict]) -> None:
    path = manifest_path(s.home)
    path.parent.mkdir(parents=True, exist_ok=True)
    source = {"name": "releases", "relation_name": '"warehouse"."ledger"."releases"'}
    path.write_text(json.dumps({"nodes": models, "sources": {"source.releases": source}}), encoding="utf-8")


def area_rows(counts: Counts) -> list[tuple]:
    """Rows of all levels that add up."""
    sums: dict[tuple[str, str], list[int]] = {}
    for (code, measure), (numerator, denominator) in counts.items():
        for area in (code, code[:8], code[:5]):
            cell = sums.setdefault((area, measure), [0, 0])
            cell[0] += numerator
            cell[1] += denominator
    levels = {5: "kota", 8: "kecamatan", 13: "kelurahan"}
    return [
        (
            levels[len(area)],
            area,
            "month",
            OCTOBER,
            measure,
            "all",
            f"Area {area}",
            n,
            d,
            100 * n / d,
            None,
            False,
            False,
            None,
        )
        for (area, measure), (n, d) in sums.items()
    ]


def make_build(s: Settings, led: Ledger, counts: Counts | None = None, *, extra_sql: str = "") -> BuildResult:
    """Write the build file and its ledger row; the manifest is there unless a test wrote its own."""
    keys.make_sandbox_keys(s)
    if not manifest_path(s.home).exists():
        write_manifest(s, nodes())
    s.build_file.parent.mkdir(parents=True, exist_ok=True)
    s.build_file.unlink(missing_ok=True)
    build_id = ledger.new_id()
    with duckdb.connect(str(s.build_file)) as con:
        con.execute("CREATE SCHEMA marts; CREATE SCHEMA conformed; CREATE SCHEMA ledger; CREATE SCHEMA vault")
        columns = ", ".join(f'"{name}" {kind}' for name, kind in AREA_MART.items())
        con.execute(f"CREATE TABLE marts.stunting_by_area_month ({columns})")
        marks = ", ".join("?" * len(AREA_MART))
        con.executemany(
            f"INSERT INTO marts.stunting_by_area_month VALUES ({marks})", area_rows(counts or usual_counts())
        )
        con.execute("CREATE TABLE marts.pairs AS SELECT 'a-b' AS pair, 3::BIGINT AS matched UNION ALL SELECT 'a-c', 90")
        con.execute("CREATE TABLE marts.quality AS SELECT '36.71.01.1001 melati 1' AS posyandu_key, 40::BIGINT AS n")
        con.execute(
            "CREATE TABLE conformed.fct_child_measurement AS"
            " SELECT 'p1' AS person_key, DATE '2026-10-17' AS measured_month, 14::BIGINT AS age_months,"
            " -2.3456::DOUBLE AS haz, 9.1::DOUBLE AS weight_kg"
        )
        con.execute(
            "CREATE TABLE conformed.dim_measure AS SELECT 'stunting_by_area_month' AS mart, 'stunted' AS measure,"
            " 'Pendek' AS label_id, 'Stunted' AS label_en, 'Anak pendek.' AS definition_id,"
            " 'Stunted children.' AS definition_en, 'a / b' AS formula, 'children' AS unit"
        )
        con.execute(
            "CREATE SCHEMA reference; CREATE TABLE reference.disclosure_families"
            " (mart VARCHAR, measure VARCHAR, family VARCHAR)"
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
        ledger.builds,
        {
            "build_id": build_id, "started_at": s.utc_now(), "ended_at": s.utc_now(), "outcome": "built",
            "as_of": date(2026, 11, 22), "inputs_hash": "x", "content_hash": digest, "code_version": "c1",
        },
    )  # fmt: skip
    return BuildResult(build_id, "built", digest, 0.1)
