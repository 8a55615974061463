"""Whole nights that meet a reader and a kill: an open release goes on answering, a killed night leaves no mark.

Processes of their own, as in production. Kills inside the releasing step: test_release.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import samples
from tests.support.sandbox_home import NEWEST, TONIGHT, admit_resent, copied
from warehouse import night, release
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger
from warehouse.release.state import current_id

EPPGBM = "kemenkes/eppgbm"
READER = """
import sys
from pathlib import Path
import duckdb
connection = duckdb.connect(str(Path(sys.argv[1]) / "marts.duckdb"), read_only=True)
for _ in sys.stdin:
    rows, releases = connection.sql("select count(*), min(release_id) from stunting_by_area_month").fetchone()
    print(rows, releases, flush=True)
"""


def with_news(s: Settings, folder: Path) -> Settings:
    """The home once one puskesmas has sent its month again, with fewer children."""
    (path := folder / "again.csv").write_bytes(samples.as_file(EPPGBM, samples.good_rows(EPPGBM), "sigizi_csv")[0])
    night.ingest_file(EPPGBM, NEWEST, "cikokol", path, s=s)
    admit_resent(s)
    assert not night.held(s=s)
    return s


def build_process(s: Settings) -> subprocess.Popen:
    environment = os.environ | {
        "WAREHOUSE_HOME": str(s.home),
        "WAREHOUSE_NOW": s.utc_now().isoformat(),
        "WAREHOUSE_ENDPOINTS_FILE": str(s.endpoints),
        "WAREHOUSE_SECRETS_DIR": str(s.secrets),
    }
    command = [Path(sys.executable).with_name("warehouse"), "build", "--date", TONIGHT.isoformat()]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def content_hashes(s: Settings) -> list[str]:
    """Of finished builds, oldest first."""
    query = "select content_hash from builds where outcome = 'built' order by started_at"
    return [row["content_hash"] for row in Ledger(s.ledger).rows(query)]


def models_made(s: Settings) -> int:
    """By all runs of dbt in this home, as its log tells."""
    return (s.home / "dbt" / "logs" / "dbt.log").read_bytes().count(b"OK created sql")


@pytest.fixture(scope="module")
def killed(good_night: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home whose build was killed while dbt ran; dbt itself was not."""
    folder = tmp_path_factory.mktemp("killed")
    s = with_news(copied(good_night, folder / "a home"), folder)
    before = models_made(s)
    process = build_process(s)
    try:
        deadline = time.monotonic() + 120
        while models_made(s) < before + 5:
            assert process.poll() is None, "the build ended before it could be killed"
            assert time.monotonic() < deadline, "dbt did not begin"
            time.sleep(0.2)
    finally:
        process.kill()
        process.wait()
    return s


@pytest.fixture(scope="module")
def undisturbed(good_night: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, list[str], str]:
    """A home that released news while a reader had the old release open; what the reader was told; the old release."""
    folder = tmp_path_factory.mktemp("undisturbed")
    s = with_news(copied(good_night, folder / "a home"), folder)
    before = current_id(s)
    with subprocess.Popen(
        [sys.executable, "-c", READER, s.current], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as reader:

        def ask() -> str:
            reader.stdin.write("\n")
            return reader.stdout.readline().strip()

        answers = [ask()]
        building = build_process(s)
        while building.poll() is None:
            answers.append(ask())
            time.sleep(0.2)
        assert building.returncode == 0
        answers.append(ask())
        reader.stdin.close()
    return s, answers, before


def test_a_reader_is_answered_from_its_release_all_through_a_night(undisturbed):
    s, answers, before = undisturbed
    assert current_id(s) != before
    assert len(answers) > 10
    assert set(answers) == {answers[0]}
    assert answers[0].endswith(before)


def test_a_killed_build_leaves_the_release_and_the_marts_as_they_were(killed: Settings, good_night: Settings):
    assert current_id(killed) == current_id(good_night)
    assert killed.build_file.read_bytes() == good_night.build_file.read_bytes()
    assert len(release.listing(killed, Ledger(killed.ledger))) == 1


def test_run_again_it_makes_the_release_of_an_undisturbed_night(killed: Settings, undisturbed, good_night: Settings):
    # Refused for as long as the dbt that was left behind is at work.
    deadline = time.monotonic() + 300
    while (code := build_process(killed).wait()) == 5 and time.monotonic() < deadline:
        time.sleep(1)
    assert code == 0
    whole, _answers, _before = undisturbed
    assert content_hashes(killed)[-1] == content_hashes(whole)[-1] != content_hashes(good_night)[-1]
    assert current_id(killed) != current_id(good_night)
    assert not list(killed.build_file.parent.glob(".building-*"))
    led = Ledger(killed.ledger)
    for table in ("nights", "builds"):
        ended = led.rows(f"select outcome, detail from {table} order by started_at")
        assert {"outcome": "failed", "detail": "KILLED"} in ended
        assert "running" not in {row["outcome"] for row in ended}
