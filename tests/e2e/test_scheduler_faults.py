"""A real scheduler on a real home while things go wrong: a fetch that never ends, a build by hand, a machine that dies.

The steps of a night are the real ones; what the agencies send, and where a step is held up, a test chooses.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import httpx
import pytest

from tests.e2e import stage
from tests.e2e.stage import run_state, runs, task_states, trigger, until
from tests.support import samples
from tests.support.sandbox_home import NEWEST, TONIGHT, copied
from warehouse import night
from warehouse.core.periods import JAKARTA
from warehouse.core.settings import PROJECT_DIR, Settings
from warehouse.ledger import Ledger
from warehouse.sandbox import local_airflow

pytestmark = [pytest.mark.e2e, pytest.mark.long]
EPPGBM = "kemenkes/eppgbm"
INGEST = "ingest__kemenkes__eppgbm"
DAY = TONIGHT.isoformat()
FETCH_SECONDS = 40


@pytest.fixture(scope="module")
def airflow(good_night: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_airflow.Running]:
    """Airflow on a copy of the good night on which a fetch may last 40 seconds."""
    folder = tmp_path_factory.mktemp("faults")
    project = folder / "project"
    project.mkdir()
    for name in ("warehouse", "expectations", "dbt_project"):
        (project / name).symlink_to(PROJECT_DIR / name)
    shutil.copytree(PROJECT_DIR / "dags", project / "dags")
    ingest = project / "dags" / "ingest.py"
    text = ingest.read_text()
    assert text.count("execution_timeout=timedelta(minutes=40)") == 1
    ingest.write_text(text.replace("timedelta(minutes=40)", f"timedelta(seconds={FETCH_SECONDS})"))
    faulty = Path(__file__).with_name("faulty_night.py")
    (project / "sitecustomize.py").write_text(stage.PLAY_THE_DOUBLE.format(double=str(faulty)))
    s = copied(good_night, folder / "a home").model_copy(update={"project_dir": project})
    with local_airflow.start(s, retry_seconds=1) as running:
        yield running


@pytest.fixture(scope="module")
def parts(airflow: local_airflow.Running) -> Iterator[str]:
    """Puskesmas one after the other, those with the fewest children first: eight rows are no loss to them."""
    found = Ledger(airflow.s.ledger).rows(
        "select part from admissible_deliveries a join verdicts v on v.verdict_id = a.verdict_id"
        " where dataset = :dataset order by rows_admitted",
        dataset=EPPGBM,
    )
    return iter([row["part"] for row in found])


def send(s: Settings, part: str, step: str = "") -> Path:
    """What the agency sends next, and the step that is then held up; gives the file that lets it go on."""
    # Beside the home: in it the leak scan would find its numbers.
    file, go_on = s.home.with_name(f"{part}.csv"), s.home / f"go on with {part}"
    file.write_bytes(samples.as_file(EPPGBM, samples.good_rows(EPPGBM), "sigizi_csv")[0])
    _held_up(s).unlink(missing_ok=True)
    plan = {"file": str(file), "part": part, "period": NEWEST.label, "step": step, "until": go_on.name}
    (s.home / "faults.json").write_text(json.dumps({EPPGBM: plan}))
    return go_on


def _held_up(s: Settings) -> Path:
    return s.home / "held up"


def taken(s: Settings, part: str) -> list[dict]:
    """The files of a puskesmas that a test has sent, and what was said of them; None before one is judged."""
    return Ledger(s.ledger).rows(
        "select d.delivery_id, v.verdict from deliveries d left join latest_verdicts v on v.delivery_id = d.delivery_id"
        " where d.dataset = :dataset and d.part = :part and d.origin = 'hand'",
        dataset=EPPGBM,
        part=part,
    )


def verdict(s: Settings, part: str) -> str | None:
    (one,) = taken(s, part)
    return one["verdict"]


def is_built(s: Settings, part: str) -> bool:
    """Whether the build at hand was made of the file that a test has sent."""
    (one,) = taken(s, part)
    with duckdb.connect(str(s.build_file), read_only=True) as con:
        query = "SELECT count(*) = 1 FROM ledger.deliveries_in_force WHERE delivery_id = ?"
        return con.execute(query, [one["delivery_id"]]).fetchone() == (True,)


def ended(client: httpx.Client, dag_id: str, run_id: str) -> str:
    return until(
        lambda: (state := run_state(client, dag_id, run_id)) in local_airflow.ENDED and state, f"the end of {dag_id}"
    )


def test_what_was_landed_before_a_fetch_is_ended_is_judged_the_same_night(
    airflow: local_airflow.Running, parts: Iterator[str]
) -> None:
    part = next(parts)
    send(airflow.s, part, step="extract")
    with local_airflow.sign_in(airflow) as client:
        run_id = trigger(client, INGEST, day=DAY)
        assert ended(client, INGEST, run_id) == "failed"
        assert task_states(client, INGEST, run_id) == {"extract": "failed", "judge": "failed", "report": "success"}
    assert verdict(airflow.s, part) == "accepted"


def test_the_marts_wait_for_a_build_by_hand(airflow: local_airflow.Running, parts: Iterator[str]) -> None:
    s = airflow.s
    part = next(parts)
    send(s, part)
    with local_airflow.sign_in(airflow) as client:
        assert ended(client, INGEST, trigger(client, INGEST, day=DAY)) == "success"
        command = [Path(sys.executable).with_name("warehouse"), "build", "--date", DAY]
        log = (s.home / "logs" / "by hand.log").open("wb")
        with subprocess.Popen(command, env=local_airflow.environment(s), stdout=log, stderr=log) as by_hand:
            until(lambda: night.doing(s) or by_hand.poll() is not None, "the build by hand")
            run_id = trigger(client, "marts", day=DAY)
            until(lambda: task_states(client, "marts", run_id)["build"] == "running", "the marts beside it")
            assert by_hand.poll() is None, "it ended before the marts could meet it"
            assert by_hand.wait() == 0
        assert ended(client, "marts", run_id) == "success"
    assert is_built(s, part)
    outcomes = [row["outcome"] for row in Ledger(s.ledger).rows("select outcome from nights order by started_at")]
    assert outcomes[-2:] == ["released", "unchanged"], outcomes


def test_the_deadline_takes_what_is_there_and_the_next_run_what_is_late(
    airflow: local_airflow.Running, parts: Iterator[str]
) -> None:
    s = airflow.s
    part = next(parts)
    go_on = send(s, part, step="judge")
    with local_airflow.sign_in(airflow) as client:
        run_id = trigger(client, INGEST, day=DAY)
        until(_held_up(s).exists, "a judgement that takes long")
        before = {run["dag_run_id"] for run in runs(client, "marts")}
        deadline = (datetime.now(JAKARTA) + timedelta(minutes=2)).replace(second=0, microsecond=0)
        stage.set_deadline(s, deadline)

        def new(run_type: str) -> list[dict]:
            found = [run for run in runs(client, "marts") if run["dag_run_id"] not in before]
            return [run for run in found if run["run_type"] == run_type and run["state"] in local_airflow.ENDED]

        (scheduled,) = until(lambda: new("scheduled"), "the marts of the deadline")
        assert scheduled["state"] == "success"
        assert not is_built(s, part)
        go_on.touch()
        assert ended(client, INGEST, run_id) == "success"
        assert verdict(s, part) == "accepted"
        # Those that empty the queue may have been on their way.
        until(lambda: all(run["state"] in local_airflow.ENDED for run in runs(client, "marts")), "an end of all marts")
        assert ended(client, "marts", trigger(client, "marts", day=scheduled["run_after"][:10])) == "success"
    assert is_built(s, part)


def test_a_machine_that_dies_in_a_night_goes_on_where_it_was(
    airflow: local_airflow.Running, parts: Iterator[str]
) -> None:
    s = airflow.s
    part = next(parts)
    go_on = send(s, part, step="judge")
    with local_airflow.sign_in(airflow) as client:
        run_id = trigger(client, INGEST, day=DAY)
        until(_held_up(s).exists, "a judgement that takes long")
        # With all that it has started: tasks die with their scheduler.
        os.killpg(airflow.processes["scheduler"].pid, signal.SIGKILL)
        airflow.processes.pop("scheduler").wait()
        assert verdict(s, part) is None
        go_on.touch()
        # Asked about the dead more often than by default, each five minutes.
        often = {"AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10"}
        with (s.logs_dir / "scheduler.log").open("ab") as log:
            again = subprocess.Popen(
                [sys.executable, "-m", "airflow", "scheduler", "--skip-serve-logs"],
                env=local_airflow.environment(s) | often, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        airflow.processes["scheduler"] = again
        assert ended(client, INGEST, run_id) == "success"
        assert set(task_states(client, INGEST, run_id).values()) == {"success"}
    assert verdict(s, part) == "accepted"
    assert len(taken(s, part)) == 1, "nothing is fetched or landed twice"
