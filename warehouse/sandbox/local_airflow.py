"""Runs Airflow on this machine: for one night (`make run`), or until it is stopped (`make up`).

Here: Airflow's configuration for the embedded default (SQLite, LocalExecutor, simple auth manager), starting, watching
and stopping its processes, and following a night over Airflow's own API. Not here: what a night does (``dags/``,
``night``), nor production's configuration (``docker-compose.yml``).

All state lies in ``WAREHOUSE_HOME/airflow``, all logs in ``WAREHOUSE_HOME/logs``. Secrets are made once, kept 0600 in
files, and never stand in an environment variable or on a command line.
"""

import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from warehouse.core import files
from warehouse.core.errors import WarehouseError
from warehouse.core.settings import Settings, get_settings

HOST = "127.0.0.1"
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
# Nothing we run defers to a trigger; a single night spares the memory.
NIGHT_COMPONENTS = ("api-server", "scheduler", "dag-processor")
USERS = {"engineer": "admin", "monitor": "user"}
START_SECONDS = 240
STOP_SECONDS = 30
NIGHT_SECONDS = 3 * 3600
MARTS_START_SECONDS = 30
ENDED = ("success", "failed")

# Imported once in the process that tasks are forked from, instead of in every task: Great Expectations alone takes
# seconds of a core.
PRELOAD = (
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.providers.standard.operators.hitl",
    "great_expectations",
    "warehouse.night",
)

Progress = Callable[[str], None]


class ServeError(WarehouseError):
    """Airflow on this machine did not start, broke off, or is running already."""


@dataclass
class Running:
    """Airflow's processes, and the report site's. Leaving the ``with`` block stops them all."""

    s: Settings
    url: str
    report_url: str | None = None
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    lock: int = -1

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def addresses(self) -> list[str]:
        """Lines that say where everything is and how to sign in."""
        lines = [f"Airflow {self.url} (engineer, monitor; kata sandi / passwords: {passwords_file(self.s)})"]
        return lines + ([f"Laporan / report {self.report_url}"] if self.report_url else [])

    def check(self) -> None:
        """Raises ServeError when a process has ended by itself."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                log = self.s.logs_dir / f"{name}.log"
                raise ServeError(
                    "AIRFLOW_ENDED",
                    f"Proses {name} berhenti dengan kode {process.returncode}.",
                    f"Process {name} ended with code {process.returncode}.",
                    f"Baca {log}.",
                    f"Read {log}.",
                )

    def stop(self) -> None:
        """End all processes, politely first; safe to call twice."""
        groups = [process.pid for process in reversed(self.processes.values())]
        for group in groups:
            _signal(group, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        for group in groups:
            _signal(group, signal.SIGKILL)
        for process in self.processes.values():
            process.wait()
        self.processes.clear()
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def airflow_home(s: Settings) -> Path:
    return s.home / "airflow"


def passwords_file(s: Settings) -> Path:
    return airflow_home(s) / "passwords.json"


# --- configuration ---------------------------------------------------------------------------------------------------


def _kept(path: Path, make: Callable[[], dict[str, str]]) -> dict[str, str]:
    if not path.is_file():
        files.write_private(path, json.dumps(make()))
    values: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return values


def _configuration(s: Settings, url: str, parallelism: int, retry_seconds: int) -> dict[str, dict[str, str]]:
    home = airflow_home(s)
    secrets_kept = _kept(
        home / "secrets.json",
        lambda: {
            "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "jwt_secret": secrets.token_hex(64),
            "secret_key": secrets.token_hex(32),
        },
    )
    _kept(passwords_file(s), lambda: {user: secrets.token_urlsafe(18) for user in USERS})
    return {
        "core": {
            "dags_folder": str(s.project_dir / "dags"),
            "plugins_folder": str(home / "plugins"),
            "executor": "LocalExecutor",
            "parallelism": str(parallelism),
            "load_examples": "False",
            "dags_are_paused_at_creation": "False",
            "default_timezone": "Asia/Jakarta",
            "default_task_retry_delay": str(retry_seconds),
            "fernet_key": secrets_kept["fernet_key"],
            "auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "simple_auth_manager_users": ",".join(f"{user}:{role}" for user, role in USERS.items()),
            "simple_auth_manager_passwords_file": str(passwords_file(s)),
            "execution_api_server_url": f"{url}/execution/",
        },
        "database": {
            "sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}",
            "sql_alchemy_connect_args": "warehouse.sandbox.airflow_sqlite.CONNECT_ARGS",
            "sql_alchemy_connect_args_async": "warehouse.sandbox.airflow_sqlite.CONNECT_ARGS",
        },
        "logging": {
            "base_log_folder": str(s.logs_dir / "tasks"),
            "dag_processor_child_process_log_directory": str(s.logs_dir / "dag_processor"),
            "colored_console_log": "False",
        },
        "api": {
            "base_url": url,
            "host": HOST,
            "port": url.rpartition(":")[2],
            "workers": "1",
            "secret_key": secrets_kept["secret_key"],
            "expose_config": "False",
        },
        "api_auth": {"jwt_secret": secrets_kept["jwt_secret"]},
        "scheduler": {
            "scheduler_idle_sleep_time": "0.3",
            "mp_start_method": "forkserver",
            "mp_forkserver_preload": ",".join(PRELOAD),
        },
        # A worker that misses its task's end by a hair looks again only after this many seconds; by default five.
        "workers": {"min_heartbeat_interval": "1"},
        "dag_processor": {"min_file_process_interval": "300", "refresh_interval": "300"},
    }


def write_configuration(s: Settings, url: str, parallelism: int, retry_seconds: int) -> None:
    lines = []
    for section, options in _configuration(s, url, parallelism, retry_seconds).items():
        lines += [f"[{section}]", *(f"{key} = {value.replace('%', '%%')}" for key, value in options.items()), ""]
    files.write_private(airflow_home(s) / "airflow.cfg", "\n".join(lines))


def environment(s: Settings) -> dict[str, str]:
    """What Airflow's processes and their tasks see: our settings, and none of another Airflow's."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "WAREHOUSE_"))}
    ours = {
        f"WAREHOUSE_{name.upper()}": str(value) for name, value in s.model_dump(mode="json", exclude_none=True).items()
    }
    local = ",".join(filter(None, [os.environ.get("NO_PROXY"), HOST, "localhost"]))
    return variables | ours | {
        "AIRFLOW_HOME": str(airflow_home(s)),
        "AIRFLOW_CONFIG": str(airflow_home(s) / "airflow.cfg"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": str(s.project_dir),
        "NO_PROXY": local,
        "no_proxy": local,
    }  # fmt: skip


# --- start and stop --------------------------------------------------------------------------------------------------


def start(
    s: Settings,
    *,
    components: Iterable[str] = COMPONENTS,
    port: int | None = None,
    report: bool = False,
    parallelism: int = 2,
    retry_seconds: int = 300,
    progress: Progress | None = None,
) -> Running:
    """Start Airflow and wait until it is healthy and knows every DAG. Stops what it started if that fails.

    port: of Airflow's interface; default a free one. report: serve the report site beside it. parallelism: tasks at a
    time. retry_seconds: wait before a fetch is tried again.
    """
    say = progress or (lambda _text: None)
    for folder in (airflow_home(s) / "plugins", s.logs_dir):
        folder.mkdir(parents=True, exist_ok=True)
    airflow_home(s).chmod(0o700)
    running = Running(s, f"http://{HOST}:{_free_port(port or 0)}", lock=claim(s))
    try:
        write_configuration(s, running.url, parallelism, retry_seconds)
        _migrate(s, say)
        say("Airflow: starting")
        for name in components:
            # Tasks' logs are read from the same disk: no log servers.
            options = ["--skip-serve-logs"] if name in ("scheduler", "triggerer") else []
            _spawn(running, name, [sys.executable, "-m", "airflow", name, *options])
        if report:
            _serve_report(running)
        _wait_until_ready(running, set(components))
    except BaseException:
        running.stop()
        raise
    say(f"Airflow: up at {running.url}")
    return running


def _free_port(port: int = 0) -> int:
    """``wanted``, or any port that nothing listens on; another Airflow there would answer in ours' name."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServeError(
                "PORT_TAKEN",
                f"Port {port} sudah dipakai.",
                f"Port {port} is already in use.",
                "Hentikan program yang memakainya.",
                "Stop the program that uses it.",
            ) from error
        return int(probe.getsockname()[1])


def claim(s: Settings) -> int:
    """Held by us and inherited by all we start: a second scheduler on the same SQLite file would corrupt runs."""
    try:
        lock = files.lock_for_life(airflow_home(s) / "running.lock", wait=False)
    except BlockingIOError:
        raise ServeError(
            "AIRFLOW_RUNNING",
            f"Airflow sudah berjalan untuk {s.home}.",
            f"Airflow is already running on {s.home}.",
            "Hentikan `make up` atau `make run` yang lain, atau pakai WAREHOUSE_HOME lain.",
            "Stop the other `make up` or `make run`, or use another WAREHOUSE_HOME.",
        ) from None
    os.set_inheritable(lock, True)
    return lock


def _migrate(s: Settings, say: Progress) -> None:
    """Bring Airflow's database to the installed versions; takes seconds, so only when they have changed."""
    versions = f"{version('apache-airflow')} {version('apache-airflow-providers-fab')}"
    stamp = airflow_home(s) / "migrated"
    if stamp.is_file() and stamp.read_text() == versions and (airflow_home(s) / "airflow.db").is_file():
        return
    say("Airflow: preparing its database")
    log = s.logs_dir / "migrate.log"
    with log.open("ab") as out:
        process = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=environment(s), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    if process.returncode:
        raise ServeError(
            "AIRFLOW_NOT_MIGRATED",
            "Basis data Airflow tidak dapat disiapkan.",
            "Airflow's database could not be prepared.",
            f"Baca {log}.",
            f"Read {log}.",
        )
    for path in airflow_home(s).glob("airflow.db*"):
        path.chmod(0o600)
    stamp.write_text(versions)


def _spawn(running: Running, name: str, command: list[str]) -> None:
    with (running.s.logs_dir / f"{name}.log").open("ab") as out:
        running.processes[name] = subprocess.Popen(
            command,
            env=environment(running.s),
            cwd=airflow_home(running.s),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[running.lock],
            preexec_fn=_end_with_starter if sys.platform == "linux" else None,
        )


# Linux's name of the request, from <sys/prctl.h>.
_PR_SET_PDEATHSIG = 1


def _end_with_starter() -> None:
    """Ask the kernel to end this process when its starter dies, however that dies: nothing of ours is left running."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _serve_report(running: Running) -> None:
    port = _free_port()
    running.report_url = f"http://{HOST}:{port}"
    command = [sys.executable, "-m", "uvicorn", "--factory", "warehouse.sandbox.local_airflow:report_site"]
    _spawn(running, "report-site", [*command, "--host", HOST, "--port", str(port), "--no-access-log"])


# The pages are HTML and SVG with their own styles: nothing is loaded from elsewhere, run, sent or shown in a frame.
SITE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


async def _with_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers.update(SITE_HEADERS)
    return response


def report_site() -> Starlette:
    """The monitors' static site; follows ``current`` to each new report without a restart."""
    site = StaticFiles(
        directory=get_settings().reports_dir / "current", html=True, check_dir=False, follow_symlink=True
    )
    return Starlette(routes=[Mount("/", app=site)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=_with_headers)])


def dag_ids(s: Settings) -> set[str]:
    names = (path.relative_to(s.contracts_dir) for path in s.contracts_dir.glob("*/*.odcs.yaml"))
    ingests = {f"ingest__{path.parent}__{path.name.removesuffix('.odcs.yaml')}" for path in names}
    return ingests | {"marts", "decide", "maintenance"}


def _wait_until_ready(running: Running, components: set[str]) -> None:
    components_awaited = {"metadatabase"} | {name.replace("-", "_") for name in components} - {"api_server"}
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(base_url=running.url, timeout=10, trust_env=False) as client:
        while True:
            running.check()
            with suppress(httpx.TransportError):
                health = client.get("/api/v2/monitor/health")
                if health.is_success and all(health.json()[name]["status"] == "healthy" for name in components_awaited):
                    break
            _pause(deadline)
    with sign_in(running) as client:
        while absent := dag_ids(running.s) - {dag["dag_id"] for dag in _get(client, "/dags", limit=1000)["dags"]}:
            running.check()
            if errors := _get(client, "/importErrors")["import_errors"]:
                raise ServeError(
                    "DAG_BROKEN",
                    f"Berkas DAG tidak dapat dibaca: {errors[0]['filename']}.",
                    f"A DAG file cannot be read: {errors[0]['filename']}.",
                    f"Baca {running.s.logs_dir / 'dag_processor'}.",
                    f"Read {running.s.logs_dir / 'dag_processor'}.",
                )
            _pause(deadline, f"DAGs missing: {', '.join(sorted(absent))}")


def _pause(deadline: float, waiting_for: str = "health") -> None:
    if time.monotonic() > deadline:
        raise ServeError(
            "AIRFLOW_SLOW",
            f"Airflow tidak siap dalam {START_SECONDS} detik ({waiting_for}).",
            f"Airflow was not ready within {START_SECONDS} seconds ({waiting_for}).",
            "Baca log di folder logs.",
            "Read the files in the logs folder.",
        )
    time.sleep(0.5)


# --- a night over the API --------------------------------------------------------------------------------------------


@contextmanager
def sign_in(running: Running, user: str = "engineer") -> Iterator[httpx.Client]:
    """A client of Airflow's API with the rights of ``user``."""
    password = json.loads(passwords_file(running.s).read_text(encoding="utf-8"))[user]
    with httpx.Client(base_url=running.url, timeout=60, trust_env=False) as client:
        answer = client.post("/auth/token", json={"username": user, "password": password})
        answer.raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def _get(client: httpx.Client, path: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/api/v2{path}", params=query)
    answer.raise_for_status()
    said: dict[str, Any] = answer.json()
    return said


def run_night(
    s: Settings,
    datasets: Iterable[str],
    day: date,
    progress: Progress | None = None,
    doing: Callable[[], str] = lambda: "",
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Start Airflow, run the night of ``day`` for ``datasets`` through the real DAGs, stop Airflow.

    ``doing``: tells what the marts do meanwhile. Returns one outcome per dataset (``night.IngestOutcome``'s fields) and
    the outcome of the marts.
    """
    with _interrupt_on_sigterm(), start(s, components=NIGHT_COMPONENTS, retry_seconds=10, progress=progress) as running:
        return follow_night(running, datasets, day, progress, doing)


@contextmanager
def _interrupt_on_sigterm() -> Iterator[None]:
    """SIGTERM ends a night as Ctrl-C does: by the ``with`` blocks, which stop what was started."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def follow_night(
    running: Running,
    datasets: Iterable[str],
    day: date,
    progress: Progress | None = None,
    doing: Callable[[], str] = lambda: "",
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Trigger each dataset's ingest, wait for the marts that their assets start, and collect the outcomes."""
    say = progress or (lambda _text: None)
    deadline = time.monotonic() + NIGHT_SECONDS
    with sign_in(running) as client:
        # Assets left over from a night that was broken off would start the marts too early.
        client.delete("/api/v2/dags/marts/assets/queuedEvents")
        earlier = {run["dag_run_id"] for run in _runs(client, ["marts"])}
        rows = _follow_ingests(running, client, datasets, day, deadline, say)
        say("marts")
        run = _follow_marts(running, client, earlier, day, deadline, _whenever_new(doing, say))
        marts = _xcom(client, run, "build", "night") or {"outcome": "failed"}
        say(f"marts: {marts['outcome']}")
    return rows, marts


def _follow_ingests(
    running: Running, client: httpx.Client, datasets: Iterable[str], day: date, deadline: float, say: Progress
) -> list[dict[str, Any]]:
    by_dag = {f"ingest__{name.replace('/', '__')}": name for name in datasets}
    run_ids = {dag_id: _trigger(client, dag_id, day) for dag_id in by_dag}
    finished_runs: dict[str, dict[str, Any]] = {}
    while len(finished_runs) < len(run_ids):
        _watch(running, deadline)
        for run in _runs(client, list(by_dag)):
            dag_id = run["dag_id"]
            if dag_id not in finished_runs and run["dag_run_id"] == run_ids[dag_id] and run["state"] in ENDED:
                outcome = _xcom(client, run, "report", "return_value") or {"outcome": "failed"}
                finished_runs[dag_id] = {"dataset": by_dag[dag_id]} | outcome
                say(f"{len(finished_runs)}/{len(run_ids)} {by_dag[dag_id]}: {finished_runs[dag_id]['outcome']}")
    return [finished_runs[dag_id] for dag_id in by_dag]


def _whenever_new(doing: Callable[[], str], say: Progress) -> Callable[[], None]:
    """Says what is being done each time that it is something else."""
    last = ""

    def tell() -> None:
        nonlocal last
        text = doing()
        if text not in ("", last):
            last = text
            say(f"marts {text}")

    return tell


def _follow_marts(
    running: Running, client: httpx.Client, earlier: set[str], day: date, deadline: float, tell: Callable[[], None]
) -> dict[str, Any]:
    """The newest run of the marts once all have ended.

    Assets start it only when every dataset has ended; a night of some datasets, or one in which a decision has used up
    the assets, is given its run here.
    """
    patience = time.monotonic() + MARTS_START_SECONDS
    while True:
        new = [run for run in _runs(client, ["marts"]) if run["dag_run_id"] not in earlier]
        if new and all(run["state"] in ENDED for run in new):
            return new[0]
        if not new and time.monotonic() > patience:
            _trigger(client, "marts", day)
        tell()
        _watch(running, deadline)


def _watch(running: Running, deadline: float) -> None:
    running.check()
    if time.monotonic() > deadline:
        raise ServeError(
            "NIGHT_TOO_LONG",
            f"Malam ini belum selesai setelah {NIGHT_SECONDS // 3600} jam.",
            f"The night has not ended after {NIGHT_SECONDS // 3600} hours.",
            f"Baca log di {running.s.logs_dir}.",
            f"Read the logs in {running.s.logs_dir}.",
        )
    time.sleep(1)


def _trigger(client: httpx.Client, dag_id: str, day: date) -> str:
    client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
    # Without a logical date a night may be run as often as one likes.
    answer = client.post(
        f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": {"day": day.isoformat()}}
    )
    answer.raise_for_status()
    return str(answer.json()["dag_run_id"])


def _runs(client: httpx.Client, dags: list[str]) -> list[dict[str, Any]]:
    """The newest runs of some DAGs."""
    query = {"dag_ids": dags, "order_by": "-run_after", "page_limit": 100}
    answer = client.post("/api/v2/dags/~/dagRuns/list", json=query)
    answer.raise_for_status()
    runs: list[dict[str, Any]] = answer.json()["dag_runs"]
    return runs


def _xcom(client: httpx.Client, run: dict[str, Any], task_id: str, key: str) -> dict[str, Any] | None:
    path = f"/api/v2/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances/{task_id}/xcomEntries/{key}"
    answer = client.get(path)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    answer.raise_for_status()
    value: dict[str, Any] | None = answer.json()["value"]
    return value
