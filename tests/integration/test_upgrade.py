"""A home that the last tagged version made is taken up by this one: nothing is lost, all of it is judged and built on.

Before there is a tag, the version before the ledger's newest revision stands for it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import samples
from warehouse.core.settings import PROJECT_DIR

pytestmark = pytest.mark.long
EPPGBM = "kemenkes/eppgbm"
RUN = "from warehouse.cli import main; main()"
PERIOD = ("--period", samples.period(EPPGBM).label)


def git(*words: str) -> bytes:
    return subprocess.run(["git", "-C", PROJECT_DIR, *words], capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout of the version before."""
    if not (PROJECT_DIR / ".git").exists():
        pytest.skip("no history here to take an earlier version from")
    tags = git("tag", "--merged", "HEAD", "--sort=-creatordate").decode().split()
    newest = max((PROJECT_DIR / "warehouse" / "ledger" / "migrations" / "versions").glob("*.py"))
    added = git("log", "--diff-filter=A", "--format=%H", "--", str(newest.relative_to(PROJECT_DIR))).decode().split()
    version = tags[0] if tags else f"{added[-1]}^"
    folder = tmp_path_factory.mktemp("earlier")
    archive = subprocess.run(["tar", "-x", "-C", folder], input=git("archive", version), check=True)
    assert archive.returncode == 0
    return folder


def warehouse(project: Path, home: Path, *words: str, expected: tuple[int, ...] = (0,)) -> str:
    """Run a command of a version's own; gives what it printed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("WAREHOUSE_")} | {
        "PYTHONPATH": str(project),
        "WAREHOUSE_HOME": str(home),
        "WAREHOUSE_KEYS_DIR": str(home.with_name("keys")),
        "WAREHOUSE_NOW": "2026-11-22T03:00:00+00:00",
    }
    command = [sys.executable, "-c", RUN, *words]
    done = subprocess.run(command, env=env, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode in expected, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_a_home_of_the_version_before_goes_on_under_this_one(earlier: Path, tmp_path: Path):
    home = tmp_path / "home"
    warehouse(earlier, home, "keys", "new")
    for part in ("benda", "batuceper"):
        file = tmp_path / f"{part}.csv"
        file.write_bytes(samples.as_file(EPPGBM, samples.good_rows(EPPGBM), "sigizi_csv")[0])
        warehouse(earlier, home, "ingest", EPPGBM, *PERIOD, "--part", part, "--file", str(file))
    warehouse(earlier, home, "build")
    before = warehouse(earlier, home, "deliveries", "--json")

    assert warehouse(PROJECT_DIR, home, "check") == "Temuan / findings: kosong / none\n"
    assert warehouse(PROJECT_DIR, home, "deliveries", "--json") == before
    warehouse(PROJECT_DIR, home, "replay", EPPGBM, "--yes")
    warehouse(PROJECT_DIR, home, "build")
    warehouse(PROJECT_DIR, home, "backup", "--to", str(tmp_path / "backups"))
    warehouse(PROJECT_DIR, tmp_path / "again", "restore", "--from", str(tmp_path / "backups"), "--into",
              str(tmp_path / "again"))  # fmt: skip
    assert '"damage"' not in warehouse(PROJECT_DIR, home, "check", "--json")
    assert '"damage"' not in warehouse(PROJECT_DIR, tmp_path / "again", "check", "--json")
