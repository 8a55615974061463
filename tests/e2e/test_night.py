"""One real night under a real scheduler: sandbox agencies, every room, the marts started by the datasets' assets."""

import re
import shutil
from pathlib import Path

import duckdb
import pytest
from stage import check_outcomes, runs

from tests.sandbox_home import NOW, TONIGHT
from warehouse import night, scan
from warehouse.core.settings import Settings
from warehouse.sandbox import control, local_airflow

pytestmark = pytest.mark.e2e


@pytest.fixture
def new_home(agencies_home: tuple[Settings, control.Running], tmp_path: Path) -> Settings:
    """A home without a past that asks the sandbox's agencies; its path has a space in it."""
    sandbox, _running = agencies_home
    s = Settings(home=tmp_path / "a home", now=NOW, endpoints_file=sandbox.endpoints, secrets_dir=sandbox.secrets)
    shutil.copytree(sandbox.keys, s.keys)
    (s.home / "sandbox").mkdir()
    shutil.copy(sandbox.home / "sandbox" / "city.json", s.home / "sandbox")
    return s


def identity_numbers(sandbox: Settings) -> set[bytes]:
    persons = sandbox.home / "sandbox" / "city" / "persons.parquet"
    return {row[0].encode() for row in duckdb.sql(f"select nik from '{persons}' where nik is not null").fetchall()}


def test_a_night_under_a_real_scheduler(new_home: Settings, agencies_home: tuple[Settings, control.Running]) -> None:
    s = new_home
    with local_airflow.start(s, components=local_airflow.NIGHT_COMPONENTS, retry_seconds=1) as running:
        rows, marts = local_airflow.follow_night(running, night.datasets(s=s), TONIGHT)
        with local_airflow.sign_in(running) as client:
            assert [run["run_type"] for run in runs(client, "marts")] == ["asset_triggered"]
    assert not running.processes

    check_outcomes(rows)
    assert marts["outcome"] == "released"
    with duckdb.connect(s.current / "marts.duckdb", read_only=True) as release:
        assert release.sql("select count(*) from stunting_by_area_month where numerator > 0").fetchone() > (0,)

    known = identity_numbers(agencies_home[0])
    assert known
    for folder in (local_airflow.airflow_home(s), s.logs_dir):
        for path in folder.rglob("*"):
            if path.is_file():
                found = set(re.findall(rb"(?<!\d)\d{16}(?!\d)", path.read_bytes()))
                assert not found & known, f"identity numbers in {path.relative_to(s.home)}"
    # The night looked before Airflow had written all it writes: database, XComs and logs once more, with names.
    assert [str(finding) for finding in scan.scan_home(s, again=True).findings] == []
