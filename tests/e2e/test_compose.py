"""The compose file is valid, refuses to start half configured, and its services run a night on a real Postgres."""

import json
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import yaml

from tests.e2e import compose_stage
from tests.e2e.compose_stage import Composed, Postgres
from tests.e2e.stage import check_outcomes, runs, trigger, until
from tests.support.sandbox_home import TONIGHT
from warehouse import night
from warehouse.core.settings import PROJECT_DIR, Settings
from warehouse.sandbox import control, local_airflow

pytestmark = pytest.mark.e2e
AIRFLOW_PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("compose")
    compose_stage.make_secrets(folder)
    done = compose_stage.config(compose_stage.host_environment(folder))
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


@pytest.mark.parametrize("missing", ["WAREHOUSE_UID", "WAREHOUSE_HOME", "WAREHOUSE_DATABASE", "WAREHOUSE_CONFIG"])
def test_a_missing_variable_is_named(tmp_path: Path, missing: str) -> None:
    env = compose_stage.host_environment(tmp_path)
    del env[missing]
    done = compose_stage.config(env)
    assert done.returncode != 0
    assert f"set {missing}" in done.stderr


def test_services_are_hardened_and_checked(valid: dict[str, Any]) -> None:
    assert set(valid["services"]) == {"postgres", "init", *AIRFLOW_PARTS, "report", "sandbox"}
    for name, service in valid["services"].items():
        assert service["user"] == "1000:1000", name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") or name == "postgres", name
        assert "healthcheck" in service or name in ("init", "sandbox"), name
    assert [volume.split(":")[-1] for volume in valid["services"]["report"]["volumes"]] == ["ro"]
    assert not valid["services"]["report"].get("secrets")
    assert valid["services"]["sandbox"]["profiles"] == ["sandbox"]
    for name in ("database", "airflow"):
        assert valid["networks"][name]["internal"]
    published = [port for service in valid["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(str(port).startswith("127.0.0.1:") for port in published)


def test_no_secret_stands_in_the_file(valid: dict[str, Any]) -> None:
    words = ("password", "secret", "fernet")
    for name, service in valid["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            if any(word in variable.lower() for word in words):
                assert str(value).startswith(("cat /run/secrets/", "/run/secrets/", "/etc/warehouse/")), (
                    name,
                    variable,
                )
            assert (
                "://" not in str(value) or "@" not in str(value) or ":" not in str(value).split("@")[0].split("//")[1]
            )
    for secret in valid["secrets"].values():
        assert stat.S_IMODE(Path(secret["file"]).stat().st_mode) == 0o600


def test_every_path_that_the_image_must_hold_exists(valid: dict[str, Any]) -> None:
    copied = {
        line.split()[1] for line in (PROJECT_DIR / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")
    }
    text = yaml.safe_dump(valid)
    for path in {word.strip("'\",]") for word in text.split() if word.startswith("/opt/warehouse/")}:
        inside = Path(path).relative_to("/opt/warehouse")
        assert (PROJECT_DIR / inside).exists(), path
        assert inside.parts[0] in copied, path


@pytest.fixture(scope="module")
def composed(
    tmp_path_factory: pytest.TempPathFactory, agencies_home: tuple[Settings, control.Running]
) -> Iterator[Composed]:
    """All services up on a Postgres of their own, with the sandbox's agencies to fetch from."""
    sandbox, _agencies = agencies_home
    folder = tmp_path_factory.mktemp("composed")
    secrets = compose_stage.make_secrets(folder)
    postgres = Postgres(folder / "postgres")
    postgres.start()
    try:
        postgres.make_databases(secrets)
        up = Composed(folder, postgres)
        shutil.copytree(sandbox.keys, up.home / "keys")
        shutil.copytree(sandbox.secrets, up.home / "sandbox" / "secrets")
        shutil.copy(sandbox.endpoints, up.home / "sandbox" / "endpoints.json")
        shutil.copy(sandbox.home / "sandbox" / "city.json", up.home / "sandbox")
        done = up.run("init")
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        try:
            up.start(*AIRFLOW_PARTS, "report")
            up.wait_until_healthy(*AIRFLOW_PARTS, "report")
            yield up
        finally:
            up.stop()
    finally:
        postgres.stop()


@contextmanager
def client_of(up: Composed, user: str) -> Iterator[httpx.Client]:
    password = (up.folder / "config" / "secrets" / f"{user}_password").read_text().strip()
    with httpx.Client(base_url=f"http://127.0.0.1:{up.api_port}", timeout=120, trust_env=False) as client:
        token = client.post("/auth/token", json={"username": user, "password": password}).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield client


def test_init_may_run_again_and_refuses_a_weak_password(composed: Composed) -> None:
    assert composed.run("init").returncode == 0
    file = composed.folder / "config" / "secrets" / "monitor_password"
    kept = file.read_text()
    try:
        file.write_text("admin")
        done = composed.run("init")
    finally:
        file.write_text(kept)
    assert done.returncode != 0
    assert "monitor_password" in done.stderr
    assert "admin" not in done.stderr


def test_roles_may_do_no_more_than_their_work(composed: Composed) -> None:
    with client_of(composed, "monitor") as monitor, client_of(composed, "engineer") as engineer:
        until(lambda: "marts" in {dag["dag_id"] for dag in engineer.get("/api/v2/dags").json()["dags"]}, "the DAGs")
        run_id = trigger(engineer, "maintenance")
        maintenance = f"/api/v2/dags/maintenance/dagRuns/{run_id}"

        def status(client: httpx.Client, method: str, path: str, **kwargs: Any) -> int:
            return client.request(method, path, **kwargs).status_code

        start = {"json": {"logical_date": None}}
        for path in ("/api/v2/dags", maintenance, "/api/v2/dags/~/dagRuns/~/hitlDetails"):
            assert status(monitor, "GET", path) == httpx.codes.OK, path
        for method, path, kwargs in [
            ("POST", "/api/v2/dags/marts/dagRuns", start),
            ("POST", "/api/v2/dags/decide/dagRuns", start),
            ("PATCH", "/api/v2/dags/marts", {"json": {"is_paused": True}}),
            ("DELETE", maintenance, {}),
            ("GET", f"{maintenance}/taskInstances/retention/logs/1", {}),
            ("GET", f"{maintenance}/taskInstances/retention/xcomEntries", {}),
            ("GET", "/api/v2/dagSources/marts", {}),
        ]:
            assert status(monitor, method, path, **kwargs) == httpx.codes.FORBIDDEN, (method, path)
        for path in ("/api/v2/connections", "/api/v2/variables", "/api/v2/config", "/auth/fab/v1/users"):
            assert status(monitor, "GET", path) == httpx.codes.FORBIDDEN, path
            assert status(engineer, "GET", path) == httpx.codes.FORBIDDEN, path
        assert status(engineer, "GET", f"{maintenance}/taskInstances/retention/logs/1") != httpx.codes.FORBIDDEN
    with httpx.Client(base_url=f"http://127.0.0.1:{composed.api_port}", timeout=120, trust_env=False) as nobody:
        assert nobody.get("/api/v2/dags").status_code == httpx.codes.UNAUTHORIZED
        for user in ("admin", "airflow", "engineer"):
            refused = nobody.post("/auth/token", json={"username": user, "password": user})
            assert refused.status_code == httpx.codes.UNAUTHORIZED


def test_a_night_on_postgres(composed: Composed) -> None:
    s = Settings(home=composed.home, ledger_url=composed.environment("scheduler")["WAREHOUSE_LEDGER_URL"])
    local_airflow.airflow_home(s).mkdir(parents=True, exist_ok=True)
    engineer = (composed.folder / "config" / "secrets" / "engineer_password").read_text()
    local_airflow.passwords_file(s).write_text(json.dumps({"engineer": engineer}))
    running = local_airflow.Running(s, f"http://127.0.0.1:{composed.api_port}", processes=composed.processes)
    rows, marts = local_airflow.follow_night(running, night.datasets(s=s), TONIGHT)

    check_outcomes(rows)
    assert marts["outcome"] == "released"
    with client_of(composed, "engineer") as client:
        assert "asset_triggered" in {run["run_type"] for run in runs(client, "marts")}
    page = httpx.get(f"http://127.0.0.1:{composed.report_port}/", trust_env=False, timeout=30)
    assert page.status_code == httpx.codes.OK
    assert "html" in page.headers["content-type"]


def test_each_database_opens_to_its_own_role_only(composed: Composed) -> None:
    pgpass = (composed.folder / "config" / "secrets" / "pgpass").read_text().split()
    passwords = {line.split(":")[3]: line.split(":")[4] for line in pgpass}

    def can_open(role: str, database: str, password: str) -> bool:
        url = sa.URL.create("postgresql+psycopg2", role, password, "127.0.0.1", composed.postgres.port, database)
        try:
            sa.create_engine(url).connect().close()
        except sa.exc.OperationalError:
            return False
        return True

    assert can_open("ledger", "ledger", passwords["ledger"])
    assert not can_open("ledger", "ledger", "wrong")
    assert not can_open("ledger", "airflow", passwords["ledger"])
    assert not can_open("airflow", "ledger", passwords["airflow"])
