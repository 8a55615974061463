"""What each role cannot do, tried by real accounts on a home as a night leaves it; and what each can.

Accounts are bare numbers: the modes of files decide, not names.
"""

import multiprocessing
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.forked import forked
from warehouse import ledger, release, report
from warehouse.core import permissions
from warehouse.core.contract import load_contracts
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger
from warehouse.read import marts, record_views
from warehouse.release.state import MICRO_FILE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

READERS, REPORTS, MICRO = 41001, 41002, 41003
ROLES = {
    "analyst": (40001, [READERS]),
    "authorised analyst": (40002, [READERS, MICRO]),
    "monitor": (40003, [REPORTS]),
    "staff of a sending agency": (40004, []),
}


@pytest.fixture(scope="module")
def shared(good_night: Settings) -> Iterator[Settings]:
    """The good night's home where other accounts can reach it, with a group for each kind of reader."""
    folder = Path(tempfile.mkdtemp(prefix="roles-", dir="/tmp"))
    folder.chmod(0o755)
    home = folder / "home"
    shutil.copytree(good_night.home, home, symlinks=True, ignore=shutil.ignore_patterns("sandbox"))
    groups = {"readers_group": str(READERS), "reports_group": str(REPORTS), "micro_group": str(MICRO)}
    s = good_night.model_copy(update={"home": home, "keys_dir": None, "secrets_dir": home / "secrets"} | groups)
    led = ledger.open_ledger(s)
    # The copied release was made without groups: what a night would do now, without building anything.
    for path in (*s.releases_dir.rglob("*"), s.ops_file):
        if path.name != MICRO_FILE and not path.name.startswith("."):
            permissions.share(path, s.readers_group, 0o555 if path.is_dir() else 0o444)
    for path in s.releases_dir.rglob(MICRO_FILE):
        permissions.share(path, s.micro_group, 0o440)
    report.render(s, led)
    assert release.current_state(s, led)
    yield s
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
    shutil.rmtree(folder)


def as_role(role: str, act: Callable[[], Any]) -> Any:
    """What ``act`` gives in a process of that account, or the error it meets there."""
    uid, groups = ROLES[role]
    ours, theirs = multiprocessing.Pipe(duplex=False)

    def become() -> None:
        os.setgroups(groups)
        os.setgid(uid)
        os.setuid(uid)
        # A connection of ours would come along with the fork.
        ledger.engine.cache_clear()
        try:
            theirs.send(act())
        except Exception as error:
            theirs.send(error)

    # The interpreter may lie where that account cannot go: the process is a fork of this one.
    process = forked(become)
    try:
        assert ours.poll(60), "no answer"
        return ours.recv()
    finally:
        process.join(10)
        process.kill()


def can(role: str, act: Callable[[], Any]) -> bool:
    """Whether the account is let; any error but a refusal is one of the test."""
    answer = as_role(role, act)
    if isinstance(answer, Exception):
        told = re.search("permission denied|read-only", str(answer), re.IGNORECASE)
        assert isinstance(answer, PermissionError) or told, answer
        return False
    return True


def read(path: Path) -> Callable[[], int]:
    return lambda: len(path.open("rb").read(1))


def opened(path: Path, *, read_only: bool) -> Callable[[], int]:
    return lambda: len(duckdb.connect(str(path), read_only=read_only).sql("SHOW TABLES").fetchall())


def one_file(folder: Path) -> Path:
    return next(path for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("role", ROLES)
def test_nobody_but_engineers_reads_what_engineers_work_on(shared: Settings, role: str):
    s = shared
    inside = [one_file(folder) for folder in (s.landing_dir, s.vault_dir, s.lake_dir, s.keys, s.home / "dbt")]
    inside += [s.build_file, one_file(s.register_dir), s.home / "ledger.db"]
    assert [path for path in inside if can(role, read(path))] == []
    assert not can(role, opened(s.build_file, read_only=True))


@pytest.mark.parametrize(
    ("role", "marts", "ops", "micro", "reports"),
    [
        ("analyst", True, True, False, False),
        ("authorised analyst", True, True, True, False),
        ("monitor", False, False, False, True),
        ("staff of a sending agency", False, False, False, False),
    ],
)
def test_each_role_reads_its_own(shared: Settings, role: str, marts: bool, ops: bool, micro: bool, reports: bool):
    s = shared
    found = {
        "marts": can(role, opened(s.current / "marts.duckdb", read_only=True)),
        "ops": can(role, opened(s.ops_file, read_only=True)),
        "micro": can(role, read(s.current / MICRO_FILE)),
        "reports": can(role, read(s.reports_dir / "current" / "index.html")),
    }
    assert found == {"marts": marts, "ops": ops, "micro": micro, "reports": reports}


def test_what_is_for_one_agency_lies_under_its_name(shared: Settings):
    """So that the site's proxy can let each agency's staff into its own prefix only."""
    tables = tuple(contract.table for contract in load_contracts(shared.contracts_dir).values())
    names = [path.name for path in (shared.reports_dir / "current" / "dataset").iterdir()]
    assert len(names) >= len(tables)
    assert [name for name in names if not name.startswith(tables)] == []


@pytest.mark.parametrize("role", ROLES)
def test_nobody_opens_micro_data_past_the_log_and_the_key(shared: Settings, role: str):
    answer = as_role(role, opened(shared.current / MICRO_FILE, read_only=True))
    assert isinstance(answer, duckdb.Error)
    answer = as_role(
        role,
        lambda: record_views.query(shared, Ledger(shared.ledger), "Sari", "tinjauan balita pindah", 4, "SELECT 1"),
    )
    assert isinstance(answer, Exception)
    assert Ledger(shared.ledger).rows("select * from openings") == []


@pytest.mark.parametrize("role", ["analyst", "authorised analyst"])
def test_a_release_cannot_be_opened_for_writing(shared: Settings, role: str):
    for path in (shared.current / "marts.duckdb", shared.ops_file):
        # DuckDB's default is to read and write.
        assert not can(role, lambda path=path: duckdb.connect(str(path)).close())
        assert not can(role, lambda path=path: path.open("ab").close())
    for folder in (shared.current.resolve(), shared.releases_dir, shared.reports_dir):
        assert not can(role, lambda folder=folder: (folder / "mine").touch())


def test_an_analyst_asks_the_marts(shared: Settings):
    columns, rows = as_role("analyst", lambda: marts.query(shared, "SELECT count(*) AS n FROM stunting_by_area_month"))
    assert columns == ["n"]
    assert rows[0][0] > 0


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{own}')",
        "SELECT * FROM '{own}'",
        "SELECT * FROM glob('/etc/*')",
        "ATTACH '{build}' AS b",
        "ATTACH '{own}.duckdb' AS b",
        "LOAD httpfs",
        "INSTALL httpfs",
        "COPY (SELECT 1) TO '{own}'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{own}'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{marts}' (USE_TMP_FILE false)",
        "SET enable_external_access = true",
    ],
)
def test_sql_reaches_nothing_but_the_marts(shared: Settings, statement: str):
    own = shared.home.parent / "own.csv"
    own.write_text("a\n1\n")
    own.chmod(0o666)
    ask = statement.format(own=own, build=shared.build_file, marts=marts.marts_file(shared))
    answer = as_role("analyst", lambda: marts.query(shared, ask))
    assert isinstance(answer, ConfigError)
    assert answer.code in {"SQL_REFUSED", "SQL_FAILED"}
    assert own.read_text() == "a\n1\n"


def test_a_group_that_does_not_exist_is_refused(shared: Settings):
    with pytest.raises(ConfigError, match="GROUP_UNKNOWN"):
        permissions.prepare(shared.model_copy(update={"readers_group": "no such group"}))
