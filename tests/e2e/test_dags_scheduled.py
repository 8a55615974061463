"""The DAGs under a real scheduler, with nights played by the stage's double."""

from datetime import date, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.e2e import stage
from tests.e2e.stage import run_state, runs, task_states, trigger, until
from warehouse.core.periods import JAKARTA
from warehouse.sandbox import local_airflow

pytestmark = pytest.mark.e2e
NIGHT = date(2026, 11, 22)


def test_one_agency_down_leaves_the_others_night_whole_and_the_assets_start_the_marts(
    airflow: local_airflow.Running,
) -> None:
    s = airflow.s
    stage.script(s, kemenkes_eppgbm="down", polri_outreach="refused")
    asked, built = len(stage.calls(s, "extract")), len(stage.calls(s, "marts"))
    rows, marts = local_airflow.follow_night(airflow, stage.DATASETS, NIGHT)

    assert {row["dataset"]: row["outcome"] for row in rows} == {
        "bps/indicators": "admitted",
        "kemenkes/eppgbm": "failed",
        "polri/outreach": "failed",
    }
    assert marts["outcome"] == "released"
    assert NIGHT.isoformat() in [call["day"] for call in stage.calls(s, "marts")[built:]]
    asked_for = stage.calls(s, "extract")[asked:]
    tries = [call["is_last_try"] for call in asked_for if call["dataset"] == "kemenkes/eppgbm"]
    assert tries == [False, False, True], "an agency that is down is asked again, and then the night goes on"
    refused = [call for call in asked_for if call["dataset"] == "polri/outreach"]
    assert len(refused) == 1, "what was refused is not asked for again"
    judged = [call["dataset"] for call in stage.calls(s, "judge")]
    assert set(judged) == set(stage.DATASETS), "what was landed before a fetch failed is judged all the same"
    with local_airflow.sign_in(airflow) as client:
        assert max(runs(client, "marts"), key=lambda run: run["run_after"])["run_type"] == "asset_triggered"
        (down,) = runs(client, "ingest__kemenkes__eppgbm")
        assert down["state"] == "failed", "a night that got nothing must not look well"
        assert task_states(client, "ingest__kemenkes__eppgbm", down["dag_run_id"]) == {
            "extract": "failed",
            "judge": "failed",
            "report": "success",
        }
        events = client.get("/api/v2/assets/events").json()["asset_events"]
        outcomes = {event["source_dag_id"]: event["extra"]["outcome"] for event in events}
        assert outcomes["ingest__bps__indicators"] == "admitted"
        assert outcomes["ingest__polri__outreach"] == "failed"


def test_backfill_asks_for_each_day_as_a_backfill(airflow: local_airflow.Running) -> None:
    s = airflow.s
    stage.script(s)
    before = len(stage.calls(s, "extract"))
    days = ("--from-date", "2026-01-09", "--to-date", "2026-01-11", "--max-active-runs", "1")
    stage.airflow(s, "backfill", "create", "--dag-id", "ingest__bps__indicators", *days)
    with local_airflow.sign_in(airflow) as client:

        def backfilled() -> list[dict[str, Any]]:
            found = [run for run in runs(client, "ingest__bps__indicators") if run["run_type"] == "backfill"]
            return found if found and all(run["state"] == "success" for run in found) else []

        until(backfilled, "the end of the backfill")
    calls = stage.calls(s, "extract")[before:]
    # Midnight of the last day comes before that day's run.
    assert [(call["day"], call["backfill"]) for call in calls] == [("2026-01-09", True), ("2026-01-10", True)]


def test_a_crash_of_ours_is_not_retried_and_the_night_still_ends(airflow: local_airflow.Running) -> None:
    s = airflow.s
    stage.script(s, bps_indicators="crash")
    before = len(stage.calls(s, "extract"))
    with local_airflow.sign_in(airflow) as client:
        run_id = trigger(client, "ingest__bps__indicators", day=NIGHT.isoformat())
        until(lambda: run_state(client, "ingest__bps__indicators", run_id) == "failed", "the end of the run")
        assert task_states(client, "ingest__bps__indicators", run_id)["report"] == "success"
    assert len(stage.calls(s, "extract")) == before + 1
    stage.script(s)


def test_maintenance_cleans_airflow_s_own_rows_too(airflow: local_airflow.Running) -> None:
    with local_airflow.sign_in(airflow) as client:
        run_id = trigger(client, "maintenance")
        until(lambda: run_state(client, "maintenance", run_id) in local_airflow.ENDED, "the end of maintenance")
        assert set(task_states(client, "maintenance", run_id).values()) == {"success"}
    assert stage.calls(airflow.s, "maintenance")


def test_the_deadline_starts_the_marts_and_leaves_no_asset_for_tomorrow(
    airflow: local_airflow.Running,
) -> None:
    with local_airflow.sign_in(airflow) as client:
        # One dataset has ended, the others never do.
        run_id = trigger(client, "ingest__bps__indicators", day=NIGHT.isoformat())
        until(lambda: run_state(client, "ingest__bps__indicators", run_id) == "success", "the one dataset")
        before = {run["dag_run_id"] for run in runs(client, "marts")}
        deadline = (datetime.now(JAKARTA) + timedelta(minutes=2)).replace(second=0, microsecond=0)
        stage.set_deadline(airflow.s, deadline)

        def new(run_type: str) -> list[dict[str, Any]]:
            found = [run for run in runs(client, "marts") if run["dag_run_id"] not in before]
            return [run for run in found if run["run_type"] == run_type and run["state"] == "success"]

        (scheduled,) = until(lambda: new("scheduled"), "the run at the deadline")
        assert datetime.fromisoformat(scheduled["run_after"]) == deadline
        until(lambda: new("asset_triggered"), "the run that empties the queue")
        queued = client.get("/api/v2/dags/marts/assets/queuedEvents")
        assert queued.status_code == httpx.codes.NOT_FOUND or not queued.json()["queued_events"]
