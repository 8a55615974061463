"""The scan of a whole home before a release becomes current.

Here: which files are looked at, and which were looked at before. Not here: looking (files), the vault's values
(identities), holding a release (release).

A file needs no second look while its size, times, inode, the values and the scanner's own code are what they were.
"""

import hashlib
import json
import logging
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import duckdb

from warehouse import ledger
from warehouse.core.errors import ConfigError
from warehouse.core.files import shared_lock, whole_file
from warehouse.core.settings import Settings, environment_without_keys
from warehouse.ledger import Ledger, tables
from warehouse.scan.accepted import load_accepted
from warehouse.scan.files import scan_file
from warehouse.scan.identities import vault_values
from warehouse.scan.model import Finding
from warehouse.scan.tables import scan_catalogue, scan_database
from warehouse.scan.values import NOTHING

# Where identities may lie; all the rest of a home is searched.
ALLOWED = ("landing", "vault", "keys", "sandbox")
# What is whole when a release begins to be made.
AHEAD = ("lake", "build")
_STATE = "scanned.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scan:
    """What a scan of a home did and found."""

    findings: tuple[Finding, ...]
    files: int
    files_read: int
    bytes_read: int
    seconds: float


def scan_home(
    s: Settings,
    attached: Iterable[tuple[duckdb.DuckDBPyConnection, str]] = (),
    *,
    again: bool = False,
    shapes_only: bool = False,
) -> Scan:
    """Search everything in the home outside landing, vault, keys and sandbox, and the ledger where it is elsewhere.

    attached: databases that only their connection can read, as the encrypted pseudonymised file of a release.
    again: look at unchanged files too.
    """
    began = time.monotonic()
    exceptions = load_accepted(s.project_dir / "expectations" / "leak_scan.yaml")
    values = NOTHING if shapes_only else vault_values(s)
    version = f"{_code_version()}-{values.version}"
    clean = {} if again or shapes_only else _read_state(s, version)
    findings: list[Finding] = []
    sizes: dict[str, list[int]] = {}
    total = n_read = size = 0
    for path in files(s):
        total += 1
        name = str(path.relative_to(s.home))
        try:
            mark = _mark(path)
            if clean.get(name) == mark:
                sizes[name] = mark
                continue
            all_findings = [
                Finding(finding.file.removeprefix(f"{s.home}/"), finding.place, finding.kind, finding.count)
                for finding in scan_file(path, values)
            ]
        except FileNotFoundError:
            continue
        n_read, size = n_read + 1, size + mark[0]
        findings += all_findings
        if not all_findings:
            sizes[name] = mark
    for connection, catalogue in attached:
        counts = scan_catalogue(connection, catalogue, values)
        findings += [Finding(f"{catalogue}.duckdb", place, kind, count) for (place, kind), count in counts.items()]
    if not s.ledger.startswith("sqlite"):
        counts = scan_database(s.ledger, values)
        findings += [Finding("ledger", place, kind, count) for (place, kind), count in counts.items()]
    findings = [finding for finding in findings if not any(one.covers(finding) for one in exceptions)]
    if not shapes_only:
        _write_state(s, version, sizes)
    return Scan(tuple(sorted(findings)), total, n_read, size, time.monotonic() - began)


@dataclass
class Ahead:
    """Files that were looked at ahead and are clean, and their bytes."""

    files: int = 0
    bytes: int = 0


@contextmanager
def ahead(s: Settings) -> Iterator[Ahead]:
    """While the block runs, a process of its own looks at lake and build, so that ``scan_home`` need not.

    It notes what it found clean and nothing else: without it the scan takes longer and finds the same.
    """
    result = Ahead()
    process = subprocess.Popen(
        [sys.executable, "-m", "warehouse.scan"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment_without_keys(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        # Settings may hold keys: not for a command line or the environment.
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(pickle.dumps(s))
        yield result
        output = process.stdout.read()
        if process.wait():
            _log.warning("The scan ahead ended with %s; the scan of the home looks at everything.", process.returncode)
        else:
            result.files, result.bytes = json.loads(output)
    finally:
        process.stdout.close()
        process.kill()
        process.wait()


def note_clean(s: Settings, folders: Iterable[str] = AHEAD) -> tuple[int, int]:
    """Look at files of these folders that have changed, and note which are clean; returns these and their bytes."""
    values = vault_values(s)
    version = f"{_code_version()}-{values.version}"
    clean = _read_state(s, version)
    count = size = 0
    for path in files(s):
        name = path.relative_to(s.home)
        if name.parts[0] in folders:
            with suppress(FileNotFoundError):
                mark = _mark(path)
                if clean.get(str(name)) != mark and not scan_file(path, values):
                    clean[str(name)] = mark
                    count, size = count + 1, size + mark[0]
    _write_state(s, version, clean)
    return count, size


def look(s: Settings, targets: Sequence[str], *, shapes_only: bool = False) -> Scan:
    """Search files, folders and databases by URL; without any, or for the home's own folder, the home as a night does.

    Raises ConfigError when a path is not there.
    """
    if not targets or [Path(target).absolute() for target in targets] == [s.home]:
        return scan_home(s, again=True, shapes_only=shapes_only)
    began = time.monotonic()
    values = NOTHING if shapes_only else vault_values(s)
    findings: list[Finding] = []
    paths = [Path(target) for target in targets if "://" not in target]
    for path in paths:
        if not path.exists():
            raise ConfigError(
                "FILE_MISSING",
                f"{path} tidak ada.",
                f"{path} does not exist.",
                "Periksa letak dan namanya.",
                "Check its place and name.",
            )
    count = size = 0
    for path in walk(paths):
        findings += scan_file(path, values)
        count, size = count + 1, size + path.stat().st_size
    for url in (target for target in targets if "://" in target):
        counts = scan_database(url, values)
        # A URL may hold a password: only its kind is named.
        findings += [Finding(url.partition(":")[0], place, kind, count) for (place, kind), count in counts.items()]
        count += 1
    return Scan(tuple(sorted(findings)), count, count, size, time.monotonic() - began)


def walk(paths: Iterable[Path]) -> Iterator[Path]:
    """Files below the paths; links are not followed."""
    for path in paths:
        if path.is_dir():
            yield from (inner for inner in sorted(path.rglob("*")) if inner.is_file() and not inner.is_symlink())
        else:
            yield path


def record(led: Ledger, scan: Scan, release_id: str | None, ended_at: datetime) -> None:
    """Keep a scan and where it found what."""
    scan_id = ledger.new_id()
    row = {
        "scan_id": scan_id,
        "release_id": release_id,
        "ended_at": ended_at,
        "verdict": "found" if scan.findings else "clean",
        "files": scan.files,
        "files_read": scan.files_read,
        "bytes_read": scan.bytes_read,
        "seconds": scan.seconds,
    }
    with led.write() as connection:
        connection.execute(tables.scans.insert(), row)
        if scan.findings:
            connection.execute(
                tables.scan_findings.insert(),
                [
                    {"scan_id": scan_id, "file": f.file, "place": f.place, "kind": f.kind, "found": f.count}
                    for f in scan.findings
                ],
            )


def files(s: Settings) -> Iterator[Path]:
    """The home's files that must hold no identity. A folder somebody is fetching or building in is passed over."""
    for folder, names, inner in os.walk(s.home):
        here = Path(folder)
        if here == s.home:
            names[:] = [name for name in names if name not in ALLOWED]
        names[:] = sorted(name for name in names if not (here / name).is_symlink() and not _is_in_use(here / name))
        for name in sorted(inner):
            if (path := here / name).is_file() and not path.is_symlink() and path != s.home / _STATE:
                yield path


def _is_in_use(folder: Path) -> bool:
    """Whether a process has locked the folder (a spool of clear bytes) or is building in it."""
    if folder.name.startswith(".building-"):
        return True
    try:
        with shared_lock(folder, wait=False):
            return False
    except BlockingIOError:
        return True


def _mark(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


@cache
def _code_version() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


def _read_state(s: Settings, version: str) -> dict[str, list[int]]:
    try:
        state = json.loads((s.home / _STATE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return state["clean"] if state.get("version") == version else {}


def _write_state(s: Settings, version: str, clean: dict[str, list[int]]) -> None:
    # Not durable: without it, or with one cut short, everything is read once more.
    with whole_file(s.home / _STATE, durable=False) as draft:
        draft.write_text(json.dumps({"version": version, "clean": clean}), encoding="utf-8")
