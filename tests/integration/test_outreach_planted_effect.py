"""The outreach difference on cities of the sandbox's own making, whose true effect is known: planted, or none.

Each city's truth fills the conformed inputs; from there the models' own SQL runs, as dbt compiled it.

Here: what twenty cities of each kind say. Not here: how files, gate and linkage bring the truth there (good_night), the
permutation against brute force (test_dbt_welfare_outreach).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import duckdb
import pytest

from tests.support import build_files
from warehouse.core.settings import Settings
from warehouse.sandbox import truth
from warehouse.sandbox.draw import draw
from warehouse.sandbox.margins import OUTREACH_KECAMATAN, Kelurahan, kelurahan

SEEDS = range(20)
TONIGHT = date(2026, 11, 22)
# From the registry and the feed on, in the order in which they read each other.
MODELS = (
    "dim_region", "dim_period", "registry_in_effect", "worker_counts", "first_participation", "outreach_window",
    "cells_outreach_change", "outreach_change", "outreach_difference",
)  # fmt: skip
INPUTS = """
ATTACH ':memory:' AS warehouse;
CREATE SCHEMA warehouse.reference;
CREATE SCHEMA warehouse.conformed;
CREATE SCHEMA warehouse.cells;

CREATE TABLE warehouse.reference.regions AS
SELECT * REPLACE (CAST(is_unplaced AS BOOLEAN) AS is_unplaced)
FROM read_csv('{seeds}/regions.csv', all_varchar = true);

CREATE TABLE warehouse.reference.region_neighbours AS
FROM read_csv('{seeds}/region_neighbours.csv', all_varchar = true);

CREATE TABLE warehouse.reference.outreach_sectors AS
SELECT * REPLACE (CAST(valid_from AS DATE) AS valid_from)
FROM read_csv('{seeds}/outreach_sectors.csv', all_varchar = true);

CREATE TABLE warehouse.conformed.fct_registry_member AS
SELECT CAST(person_id AS VARCHAR) AS person_key, DATE '2025-07-01' AS period_start, 'dtsen' AS ranking,
       true AS is_in_scope, kemendagri_code, datesub('year', birth_date, DATE '2025-09-30') AS age_years,
       status IS NOT NULL AS is_working, CASE WHEN is_pbpu THEN 'BPU' ELSE 'PU' END AS worker_segment,
       'other' AS worker_group, true AS has_usable_nik
FROM persons INNER JOIN families USING (family_id) LEFT JOIN workers USING (person_id);

CREATE TABLE warehouse.conformed.fct_welfare AS
SELECT DISTINCT ranking, period_start FROM warehouse.conformed.fct_registry_member;

CREATE SCHEMA warehouse.staging;
CREATE TABLE warehouse.staging.stg_bps__social_registry_individuals AS
SELECT DISTINCT period_start FROM warehouse.conformed.fct_registry_member;

CREATE TABLE warehouse.conformed.dim_person AS
SELECT person_key, kemendagri_code, is_in_scope FROM warehouse.conformed.fct_registry_member;

CREATE TABLE warehouse.conformed.fct_participation AS
SELECT CAST(person_id AS VARCHAR) AS person_key, true AS is_linked, month AS period_start, segment, is_active,
       registered_on
FROM participation_months INNER JOIN participations USING (no_kpj, person_id, segment);

CREATE TABLE warehouse.conformed.fct_outreach_session AS
SELECT kemendagri_code, held_on, session_id AS session_number, segment, worker_kind FROM outreach_sessions;
"""


@dataclass(frozen=True)
class Finding:
    """What the models say of one city."""

    seed: int
    planted: float
    difference: float
    low: float
    high: float
    sectors: frozenset[str]

    def covers(self, effect: float) -> bool:
        return self.low <= effect <= self.high


@pytest.fixture(scope="module")
def find(tmp_path_factory) -> Callable[..., Finding]:
    """The models run on a city drawn for a seed, kelurahan and a planted effect."""
    made = Settings(home=tmp_path_factory.mktemp("planted"))
    build_files.make(made, [])
    build_files.dbt(made, "compile", "--select", *MODELS)
    folder = made.home / "dbt" / "target" / "compiled"
    sql = {name: next(folder.rglob(f"{name}.sql")).read_text(encoding="utf-8") for name in MODELS}

    def run(seed: int, planted: float, area: Kelurahan) -> Finding:
        city = draw(area=area, seed=seed, tonight=TONIGHT, months=14, planted_effect=planted)
        with duckdb.connect() as con:
            for name, table in truth.tables(city).items():
                con.register(name, table)
            con.execute(INPUTS.format(seeds=made.dbt_dir / "seeds"))
            for name in MODELS:
                schema = "cells" if name.startswith("cells_") else "conformed"
                con.execute(f"CREATE TABLE warehouse.{schema}.{name} AS {sql[name]}")
            row = con.execute(
                "SELECT difference, ci95_low, ci95_high FROM warehouse.conformed.outreach_difference"
            ).fetchone()
            sectors = con.execute(
                "SELECT DISTINCT kecamatan_code FROM warehouse.conformed.outreach_change WHERE is_treated"
            ).fetchall()
        return Finding(seed, planted, *row, frozenset(code for (code,) in sectors))

    return run


@pytest.fixture(
    scope="module",
    params=[
        # The fewer people, the larger the effect that their few thousand PBPU can show. All 13 kecamatan have some.
        pytest.param((6, 60.0), id="small"),
        pytest.param((1, 20.0), id="default", marks=pytest.mark.long),
    ],
)
def cities(request, find) -> dict[float, list[Finding]]:
    """What the models say of twenty cities without an effect and of twenty with one, by the effect planted."""
    thinner, planted = request.param
    default = kelurahan("default")
    area = replace(default, people=default.people // thinner)
    return {effect: [find(seed, effect, area) for seed in SEEDS] for effect in (0.0, planted)}


def test_the_three_sectors_come_out(cities):
    assert {finding.sectors for found in cities.values() for finding in found} == {frozenset(OUTREACH_KECAMATAN)}


def test_the_interval_covers_what_was_planted_and_zero_where_nothing_was(cities):
    """A 95% interval misses one city in twenty: by chance three in one run of thirteen, four in one of sixty."""
    missed = {effect: [finding for finding in found if not finding.covers(effect)] for effect, found in cities.items()}
    assert all(len(findings) <= 3 for findings in missed.values()), missed


def test_a_planted_effect_is_seen_and_its_mean_is_what_was_planted(cities):
    for effect, found in cities.items():
        mean = sum(finding.difference for finding in found) / len(found)
        half_width = sum(finding.high - finding.low for finding in found) / len(found) / 2
        # Half an interval is two standard errors of one city; the mean of twenty has less than a quarter of them.
        assert abs(mean - effect) < half_width / 2
        if effect:
            assert sum(not finding.covers(0.0) for finding in found) >= 15
