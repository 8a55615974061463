"""The DAG files as Airflow reads them: present, documented, bounded in time, light, retried only where it can help."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from warehouse.core.settings import PROJECT_DIR, Settings
from warehouse.sandbox.local_airflow import dag_ids

FACTS = Path(__file__).with_name("dag_facts.py")


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    env = os.environ | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        # Airflow puts the DAG folder on the path of its own processes.
        "PYTHONPATH": os.pathsep.join([str(PROJECT_DIR), str(PROJECT_DIR / "dags")]),
    }
    command = [sys.executable, str(FACTS), str(PROJECT_DIR / "dags")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def tasks(facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{dag_id}.{task['task']}": task for dag_id, dag in facts["dags"].items() for task in dag["tasks"]}


def test_every_dag_is_there_and_none_is_broken(facts: dict[str, Any], settings: Settings) -> None:
    assert facts["errors"] == {}
    assert set(facts["dags"]) == dag_ids(settings)
    assert sum(name.startswith("ingest__") for name in facts["dags"]) == len(
        list(settings.contracts_dir.glob("*/*.odcs.yaml"))
    )
    assert len(facts["dags"]) > 3, "an empty bag would pass everything else here"


def test_dag_files_are_light(facts: dict[str, Any]) -> None:
    assert facts["heavy"] == []
    assert max(facts["seconds"].values()) < 2, facts["seconds"]


def test_every_dag_says_what_it_is_for_and_ends(facts: dict[str, Any]) -> None:
    for dag_id, dag in facts["dags"].items():
        assert dag["tags"], dag_id
        assert "Bila gagal / on failure" in dag["doc"], dag_id
        assert "{" not in dag["doc"], dag_id
        assert dag["timeout"], dag_id
        assert dag["catchup"] is False, dag_id
        assert dag["timezone"] == ("None" if dag_id == "decide" else "Asia/Jakarta"), dag_id


def test_every_task_has_owner_words_and_a_limit(tasks: dict[str, dict[str, Any]]) -> None:
    for name, task in tasks.items():
        assert task["owner"] == "data_engineer", name
        assert task["doc"], name
        assert task["timeout"], name


def test_retries_only_where_a_retry_can_help(tasks: dict[str, dict[str, Any]]) -> None:
    assert {task["retries"] for name, task in tasks.items() if name.endswith(".extract")} == {2}
    for never in (".judge", "decide.record"):
        assert {task["retries"] for name, task in tasks.items() if name.endswith(never)} == {0}, never


def test_an_ingest_reports_however_it_went_and_before_the_deadline(
    facts: dict[str, Any], tasks: dict[str, dict[str, Any]]
) -> None:
    ingests = {dag_id: dag for dag_id, dag in facts["dags"].items() if dag_id.startswith("ingest__")}
    deadline_minute, deadline_hour = map(int, facts["dags"]["marts"]["cron"].split()[:2])
    starts = set()
    for dag_id, dag in ingests.items():
        minute, hour = map(int, dag["cron"].split()[:2])
        starts.add((hour, minute))
        report = tasks[f"{dag_id}.report"]
        assert report["is_teardown"], dag_id
        assert report["outlets"] == [dag_id.removeprefix("ingest__").replace("__", "/")]
        longest = 3 * tasks[f"{dag_id}.extract"]["timeout"] + tasks[f"{dag_id}.judge"]["timeout"] + report["timeout"]
        assert longest < dag["timeout"], dag_id
        assert (hour * 60 + minute) * 60 + dag["timeout"] <= (deadline_hour * 60 + deadline_minute) * 60, dag_id
    assert len(starts) == len(ingests), "two datasets start in the same minute"


def test_what_was_landed_is_judged_however_the_fetch_ended(tasks: dict[str, dict[str, Any]]) -> None:
    assert {task["trigger_rule"] for name, task in tasks.items() if name.endswith(".judge")} == {"TriggerRule.ALL_DONE"}
    assert {tuple(task["upstream"]) for name, task in tasks.items() if name.endswith(".judge")} == {("extract",)}


def test_waiting_decisions_never_use_up_the_runs(facts: dict[str, Any]) -> None:
    assert facts["dags"]["decide"]["max_active_runs"] >= 500
    assert facts["dags"]["marts"]["max_active_runs"] == 1
    assert facts["dags"]["marts"]["schedule"] == "AssetOrTimeSchedule"
