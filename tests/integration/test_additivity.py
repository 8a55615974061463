"""Every additive measure of every area mart: kelurahan and unplaced rows sum to kecamatan, and these to the kota.

On the marts as built, before anything is hidden. Here: a check per mart and measure, without the macros of the models.
"""

import csv
from collections.abc import Iterator

import duckdb
import pytest

from warehouse.core.settings import Settings

# What a city of two months and two thousand families may lack: people who lapsed within a year or came back, the target
# file of a year that is over.
RARE = {
    "participants_lapsed",
    "reactivated_bpu",
    "persons_without_family",
    "children_target",
}


def additive() -> list[tuple[str, str]]:
    found = []
    for name in ("dim_measure_stunting", "dim_measure_welfare"):
        with (Settings().seeds_dir / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            found += [(row["mart"], row["measure"]) for row in csv.DictReader(file) if row["is_additive"] == "true"]
    # The registry's layout since 2026 holds who is active alone: those excluded are added up in test_dbt_poverty.
    return [(mart, measure) for mart, measure in found if not measure.startswith("families_excluded")]


@pytest.fixture(scope="module")
def con(good_night: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The build in memory, so that a test may break it."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{good_night.build_file}' AS build (READ_ONLY)")
        yield connection


def differences(con: duckdb.DuckDBPyConnection, relation: str, measure: str) -> dict[str, tuple[int, int]]:
    """Level below -> (sums compared, sums that differ, have nothing above them or lack what is below them)."""
    columns = [name for (name,) in con.execute(f"SELECT column_name FROM (DESCRIBE {relation})").fetchall()]
    keys = ", ".join(columns[columns.index("period_kind") : columns.index("bps_code")])
    rows = con.execute(
        f"""
        WITH rows AS (
            SELECT mart.*, parent_kemendagri_code AS parent
            FROM {relation} AS mart JOIN build.conformed.dim_region USING (kemendagri_code) WHERE measure = $measure
        ),
        below AS (
            SELECT parent AS kemendagri_code, area_level AS level_below, {keys},
                sum(coalesce(numerator, 0)) AS numerator, sum(coalesce(denominator, 0)) AS denominator
            FROM rows WHERE area_level <> 'kota' GROUP BY ALL
        ),
        above AS (
            SELECT kemendagri_code, level_below, {keys}, numerator, denominator, true AS is_there
            FROM rows JOIN (SELECT DISTINCT level_below, {keys} FROM below) USING ({keys})
            WHERE (area_level, level_below) IN (('kecamatan', 'kelurahan'), ('kota', 'kecamatan'))
        )
        SELECT level_below, count(*), count(*) FILTER (
            is_there IS NULL OR coalesce(above.numerator, 0) <> coalesce(below.numerator, 0)
            OR coalesce(above.denominator, 0) <> coalesce(below.denominator, 0))
        FROM below FULL JOIN above USING (kemendagri_code, level_below, {keys})
        GROUP BY level_below
        """,
        {"measure": measure},
    ).fetchall()
    return {level: (compared, wrong) for level, compared, wrong in rows}


@pytest.mark.parametrize(("mart", "measure"), additive())
def test_areas_sum_to_the_area_above(con, mart, measure):
    found = differences(con, f"build.marts.{mart}", measure)
    if not found and measure in RARE:
        pytest.skip("nobody in this city")
    assert set(found) == {"kelurahan", "kecamatan"}
    assert [wrong for _compared, wrong in found.values()] == [0, 0]


@pytest.mark.parametrize(
    ("fault", "level"),
    [
        ("DELETE FROM bent WHERE kemendagri_code = '36.71.00.0000'", "kelurahan"),
        ("UPDATE bent SET numerator = numerator + 1 WHERE kemendagri_code = '36.71.03'", "kecamatan"),
        ("DELETE FROM bent WHERE kemendagri_code = '36.71.03'", "kelurahan"),
    ],
)
def test_a_row_lost_or_changed_is_seen(con, fault, level):
    con.execute("CREATE OR REPLACE TEMP TABLE bent AS FROM build.marts.coverage_by_area_month")
    assert differences(con, "bent", "participants_active")[level][1] == 0
    con.execute(fault)
    assert differences(con, "bent", "participants_active")[level][1] > 0
