"""A stage for DAG tests: a project of three datasets whose nights are played by ``night_double.py``.

Airflow, the DAG files and ``warehouse/sandbox/local_airflow.py`` are the real ones; only the steps of a night are not,
so that a test can choose how each dataset's night goes.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import httpx

from warehouse.core.settings import PROJECT_DIR, Settings
from warehouse.sandbox import local_airflow

# Datasets of which every month brings something.
MONTHLY = {"kemenkes/eppgbm", "kemensos/assistance", "bpjstk/participants", "polri/outreach"}
DATASETS = ("bps/indicators", "kemenkes/eppgbm", "polri/outreach")

# Python runs this at start-up in every process of the stage.
PLAY_THE_DOUBLE = """
import sys
from importlib.util import spec_from_file_location


class Double:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return spec_from_file_location(name, {double!r}) if name == "warehouse.night" else None


sys.meta_path.insert(0, Double)
"""


def build(folder: Path) -> Settings:
    """A project under ``folder``."""
    project = folder / "project"
    shutil.copytree(PROJECT_DIR / "dags", project / "dags")
    (project / "warehouse").symlink_to(PROJECT_DIR / "warehouse")
    for name in DATASETS:
        target = project / "expectations" / "sources" / f"{name}.odcs.yaml"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT_DIR / "expectations" / "sources" / f"{name}.odcs.yaml", target)
    double = Path(__file__).with_name("night_double.py")
    (project / "sitecustomize.py").write_text(PLAY_THE_DOUBLE.format(double=str(double)))
    return Settings(home=folder / "home", project_dir=project)


def set_deadline(s: Settings, at: datetime) -> None:
    """Move the marts' deadline, and have Airflow read its file again at once."""
    marts = s.project_dir / "dags" / "marts.py"
    text = marts.read_text()
    assert text.count("DEADLINE = nightly(5, 30)") == 1
    marts.write_text(text.replace("DEADLINE = nightly(5, 30)", f"DEADLINE = nightly({at.hour}, {at.minute})"))
    airflow(s, "dags", "reserialize")


def airflow(s: Settings, *arguments: str) -> str:
    """Run an ``airflow`` command on the stage; returns what it printed."""
    command = [sys.executable, "-m", "airflow", *arguments]
    done = subprocess.run(
        command, env=local_airflow.environment(s), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return done.stdout


def script(s: Settings, **nights: str) -> None:
    """How each dataset's fetch goes from now on: ``ok``, ``down``, ``refused`` or ``crash``."""
    s.home.mkdir(parents=True, exist_ok=True)
    (s.home / "script.json").write_text(json.dumps(nights))


def hold(s: Settings, *delivery_ids: str, decided: tuple[str, ...] = ()) -> None:
    """Deliveries that are held, and those lately decided."""
    s.home.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "delivery_id": delivery_id,
            "dataset": "kemenkes/eppgbm",
            "part": "batuceper",
            "period_kind": "month",
            "period_start": date(2026, 10, 1).isoformat(),
            "received_at": "2026-11-10T00:30:00+07:00",
            "verdict_id": "v1",
            "reason_code": "EPPGBM-ROWS-HALVED",
            "message_id": "Baris tinggal separuh bulan lalu.",
            "message_en": "Half of last month's rows are missing.",
        }
        for delivery_id in delivery_ids
    ]
    (s.home / "held.json").write_text(json.dumps(rows))
    (s.home / "decided.json").write_text(json.dumps(decided))


def calls(s: Settings, step: str) -> list[dict[str, Any]]:
    """What the DAGs asked of one step, oldest first."""
    log = s.home / "calls.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [row for row in rows if row["step"] == step]


# --- what the tests of the scheduler ask and wait for

# Seconds; a busy machine needs many times what a free one does.
PATIENCE = 300


def until(check: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := check()):
        assert time.monotonic() < end, f"{what} not seen within {PATIENCE} s"
        time.sleep(0.5)
    return found


def run_state(client: httpx.Client, dag_id: str, run_id: str) -> str:
    return client.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}").raise_for_status().json()["state"]


def task_states(client: httpx.Client, dag_id: str, run_id: str) -> dict[str, str]:
    found = client.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances").raise_for_status().json()
    return {row["task_id"]: row["state"] for row in found["task_instances"]}


def runs(client: httpx.Client, dag_id: str) -> list[dict[str, Any]]:
    return client.get(f"/api/v2/dags/{dag_id}/dagRuns", params={"limit": 100}).raise_for_status().json()["dag_runs"]


def trigger(client: httpx.Client, dag_id: str, **conf: Any) -> str:
    answer = client.post(f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})
    return answer.raise_for_status().json()["dag_run_id"]


def check_outcomes(rows: list[dict[str, Any]]) -> None:
    """Whoever had something new was admitted; nobody failed."""
    outcomes = {row["dataset"]: row["outcome"] for row in rows}
    assert set(outcomes.values()) == {"admitted", "unchanged"}, outcomes
    assert {dataset for dataset, outcome in outcomes.items() if outcome == "admitted"} >= MONTHLY
    assert sum(row.get("rows_admitted", 0) for row in rows) > 10_000
