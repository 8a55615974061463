"""Starts and stops the sandbox's agencies in a process of their own, and switches their faults."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import httpx

from warehouse.core import files
from warehouse.core.contract import load_contracts
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.sandbox.faults import Fault, Faults, Kind
from warehouse.sandbox.servers import planted

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


class Running:
    """The agencies' process. A context manager that stops it."""

    def __init__(
        self,
        process: subprocess.Popen[str],
        lock: int,
        url: str,
        endpoints: dict[str, dict[str, Any]],
        faults: Faults,
    ):
        self._faults = faults
        self._process = process
        self._lock = lock
        self.url = url
        self.endpoints = endpoints

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def fault(self, agency: str, kind: Kind, *, times: int | None = None, seconds: float = 1.0) -> None:
        """Give an agency a fault, for so many requests or until ``clear_faults``."""
        self._faults.set(Fault(agency=agency, kind=kind, times=times, seconds=seconds))

    def clear_faults(self) -> None:
        self._faults.clear()

    def stop(self) -> None:
        _end(self._process)
        os.close(self._lock)


def start(s: Settings) -> Running:
    """Start this home's agencies and wait until they answer.

    Raises ConfigError CONTRACT_INVALID, SANDBOX_RUNNING or SANDBOX_FAILED.
    """
    folder = s.home / "sandbox"
    if not (folder / "holdings").is_dir():
        raise _failed(s, "no holdings")
    # A contract that is not valid is told here, not in the servers' log.
    load_contracts(s.contracts_dir)
    try:
        lock = files.lock_for_life(folder / ".servers.lock", wait=False)
    except BlockingIOError:
        raise ConfigError(
            "SANDBOX_RUNNING",
            "Layanan sandbox untuk folder ini sudah berjalan.",
            "The agencies of this sandbox are running already.",
            "Hentikan yang sedang berjalan (Ctrl-C), atau pakai WAREHOUSE_HOME lain.",
            "Stop the ones that run (Ctrl-C), or use another WAREHOUSE_HOME.",
        ) from None
    with _log_file(s) as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "warehouse.sandbox.servers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=s.project_dir,
            # Ctrl-C is for whoever started us; the servers end when their standard input does.
            start_new_session=True,
        )
    try:
        said = _ask(process, s)
        httpx.get(f"{said['url']}/health", timeout=10).raise_for_status()
    except (OSError, ValueError, httpx.HTTPError):
        _end(process)
        os.close(lock)
        raise _failed(s, f"exit {process.returncode}") from None
    return Running(process, lock, said["url"], said["endpoints"], planted(s))


def _ask(process: subprocess.Popen[str], s: Settings) -> dict[str, Any]:
    """Hand over the settings and wait for the addresses; raises OSError or ValueError where none come in time."""
    if not process.stdin or not process.stdout:
        raise OSError("no pipes")
    process.stdin.write(s.model_dump_json() + "\n")
    process.stdin.flush()
    ready, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
    if not ready:
        raise TimeoutError
    said: dict[str, Any] = json.loads(process.stdout.readline())
    return said


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


@contextmanager
def _log_file(s: Settings) -> Iterator[IO[str]]:
    folder = s.home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "sandbox-agencies.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "a", encoding="utf-8") as file:
        yield file


def _failed(s: Settings, detail: str) -> ConfigError:
    return ConfigError(
        "SANDBOX_FAILED",
        f"Layanan sandbox tidak dapat dijalankan ({detail}).",
        f"The agencies of the sandbox cannot be started ({detail}).",
        f"Buat kota lebih dulu (`warehouse sandbox build`) dan baca {s.home / 'logs' / 'sandbox-agencies.log'}.",
        f"Make the city first (`warehouse sandbox build`) and read {s.home / 'logs' / 'sandbox-agencies.log'}.",
    )
