"""The build's own promises: one writer, all or nothing, and hashes that say whether anything is new."""

import stat
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from tests.support import build_files
from warehouse import build, ledger
from warehouse.core import duck
from warehouse.core.contract import load_contracts
from warehouse.core.errors import BuildError
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, tables

AS_OF = date(2026, 11, 22)
SOME = build_files.Given("dukcapil/population", "2026-H1")


@pytest.fixture
def led(settings: Settings) -> Ledger:
    ledger.upgrade(settings.ledger)
    return Ledger(settings.ledger)


@pytest.fixture
def dbt(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for the dbt process: makes one mart and reports the failures put into the list."""
    failures: list[str] = []

    def run(s: Settings, file: Path, _as_of: date, _progress: build.Progress, _lock: int) -> list[str]:
        with duck.connect(s, file) as con:
            con.execute("CREATE SCHEMA marts")
            con.execute("CREATE TABLE marts.some_mart AS SELECT 1 AS n")
        return failures

    monkeypatch.setattr(build, "run_dbt", run)
    return failures


def build_rows(led: Ledger) -> list[dict]:
    return led.rows(tables.builds.select().order_by(tables.builds.c.started_at))


def hash_of(*rows: str, mart: str = "some_mart") -> str:
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA marts")
        con.execute("CREATE TABLE marts.other_mart AS SELECT 1 AS n")
        con.execute(f"CREATE TABLE marts.{mart} AS {' UNION ALL '.join(rows)}")
        return build.content_hash(con)


def test_dbts_sources_file_is_what_the_contracts_say():
    s = Settings()
    made = build.sources_yaml(load_contracts(s.contracts_dir))
    assert build.sources_file(s).read_text(encoding="utf-8") == made, "stale: run python -m warehouse.build sources"


def test_content_hash_sees_values_and_not_the_order_of_rows():
    one, other = "SELECT 1 AS n, 'a' AS t", "SELECT 2 AS n, 'b' AS t"
    assert hash_of(one, other) == hash_of(other, one)
    assert len({hash_of(*rows) for rows in ([one], [one, one], [one, other], [other, other])}) == 4


def test_content_hash_does_not_see_the_order_in_which_doubles_were_added():
    assert hash_of("SELECT 0.1e0 + 0.2e0 + 0.3e0 AS n") == hash_of("SELECT 0.3e0 + 0.2e0 + 0.1e0 AS n")


def test_content_hash_leaves_out_what_tells_of_the_build_itself():
    assert hash_of("SELECT 1 AS n", mart="ops_deliveries") == hash_of("SELECT 2 AS n", mart="ops_deliveries")


def test_inputs_hash_follows_what_is_in_force_and_the_day(settings: Settings, led: Ledger):
    before = build.inputs_hash(settings, led, AS_OF)
    assert before == build.inputs_hash(settings, led, AS_OF)
    assert before != build.inputs_hash(settings, led, date(2026, 11, 23))
    build_files.admit(led, SOME)
    assert before != build.inputs_hash(settings, led, AS_OF)


def test_code_version_follows_models_seeds_and_contracts(tmp_path: Path):
    def version_with(text: str, name: str) -> str:
        model = tmp_path / name / "dbt_project" / "models" / "m.sql"
        model.parent.mkdir(parents=True)
        model.write_text(text)
        return build.code_version(tmp_path / name)

    assert version_with("select 1", "a") == version_with("select 1", "b") != version_with("select 2", "c")


def test_a_build_replaces_the_file_and_keeps_it_to_engineers(settings: Settings, led: Ledger, dbt: list[str]):
    build_files.admit(led, SOME)
    result = build.run(settings, led, AS_OF)
    assert stat.S_IMODE(settings.build_file.stat().st_mode) == 0o600
    assert list(settings.build_file.parent.glob(".building-*")) == []
    (row,) = build_rows(led)
    assert (row["outcome"], row["content_hash"]) == ("built", result.content_hash)
    assert build.is_up_to_date(settings, led, AS_OF)
    assert not build.is_up_to_date(settings, led, date(2026, 11, 23))
    with duckdb.connect(str(settings.build_file), read_only=True) as con:
        assert con.execute("SELECT dataset FROM ledger.deliveries_in_force").fetchall() == [("dukcapil/population",)]
        assert con.execute("SELECT count(*) FROM lake.dukcapil__population").fetchone() == (0,)


def test_equal_inputs_give_an_equal_content_hash(settings: Settings, led: Ledger, dbt: list[str]):
    assert build.run(settings, led, AS_OF).content_hash == build.run(settings, led, AS_OF).content_hash


def test_a_failed_build_names_what_failed_and_leaves_the_last_file(settings: Settings, led: Ledger, dbt: list[str]):
    build.run(settings, led, AS_OF)
    before = settings.build_file.read_bytes()
    dbt.append("model.tangerang_welfare.some_mart")
    with pytest.raises(BuildError, match="some_mart") as raised:
        build.run(settings, led, AS_OF)
    assert raised.value.code == "BUILD_FAILED"
    assert settings.build_file.read_bytes() == before
    assert list(settings.build_file.parent.glob(".building-*")) == []
    assert [row["outcome"] for row in build_rows(led)] == ["built", "failed"]
    assert build_rows(led)[1]["detail"] == "model.tangerang_welfare.some_mart"


def test_a_crash_in_a_build_is_recorded(settings: Settings, led: Ledger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "run_dbt", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build.run(settings, led, AS_OF)
    assert [row["outcome"] for row in build_rows(led)] == ["failed"]


def test_two_builds_at_once_are_refused(settings: Settings, led: Ledger):
    with build.only_writer(settings), pytest.raises(BuildError) as raised:
        build.run(settings, led, AS_OF)
    assert raised.value.code == "BUILD_RUNNING"
    assert build_rows(led) == []


def test_what_dbt_writes_stays_under_the_warehouses_home(settings: Settings):
    environment = build.dbt_environment(settings, settings.build_file)
    for name in ("DBT_TARGET_PATH", "DBT_LOG_PATH", "WAREHOUSE_SPILL_DIR"):
        assert Path(environment[name]).is_relative_to(settings.home)
    assert environment["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"


def test_the_ledger_reaches_the_models_typed(settings: Settings):
    file = build_files.make(settings, [SOME])
    with duckdb.connect(str(file)) as con:
        con.execute("SET TimeZone = 'UTC'")
        (received, start) = con.execute("SELECT received_at, period_start FROM ledger.admissible_deliveries").fetchone()
    assert received.astimezone(UTC) == datetime(2026, 11, 10, 3, tzinfo=UTC)
    assert start == date(2026, 1, 1)
