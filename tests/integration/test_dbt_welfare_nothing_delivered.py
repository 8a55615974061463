"""The whole dbt project where no agency has delivered: it builds, its unit tests hold, no mart rule stops it."""

import duckdb
import pytest

from tests.support import build_files
from warehouse.core.settings import Settings
from warehouse.intake import gate


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    """Every seed, model, data test and unit test of the project, in one run."""
    made = Settings(home=tmp_path_factory.mktemp("nothing"))
    build_files.make(made, [])
    build_files.dbt(made, "build")
    return made


def test_marts_exist_and_claim_nothing(settings):
    with duckdb.connect(str(settings.build_file), read_only=True) as con:
        marts = [
            name
            for (name,) in con.execute(
                "select table_name from duckdb_tables() where schema_name = 'marts' and table_name like '%_by_area_%'"
            ).fetchall()
        ]
        assert {"poverty_by_area_period", "coverage_by_area_month", "outreach_by_area_month"} <= set(marts)
        assert {
            name: con.execute(f"select count(*) from marts.{name}").fetchone()[0] for name in marts
        } == dict.fromkeys(marts, 0)
        (states,) = con.execute("select list(distinct status) from marts.rb_tematik_scorecard").fetchone()
        assert states == ["no_data"]


def test_no_rule_stops_a_warehouse_that_waits_for_data(settings):
    stopped = [
        outcome.rule_code
        for path in sorted(settings.mart_rules_dir.glob("*.yaml"))
        for outcome in gate.judge_mart(settings, settings.build_file, path.stem)
        if outcome.severity == "stop" and outcome.outcome != "pass"
    ]
    assert stopped == []
