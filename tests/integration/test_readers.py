"""Twenty readers, each a process, while releases are made, rolled back and removed: an answer is of one whole release.

Five seconds in ``make test``, a minute in ``make test-long``; ``READERS_SECONDS=3600 make test-long`` takes an hour.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from tests.support import whole_home
from tests.support.release_helpers import usual_counts
from warehouse import release
from warehouse.core.settings import Settings
from warehouse.ledger import open_ledger
from warehouse.release import state

READERS = 20
ASKED = (
    "SELECT min(release_id), max(release_id), count(*), CAST(sum(numerator) AS BIGINT),"
    " CAST(sum(denominator) AS BIGINT) FROM stunting_by_area_month"
)
# Each reader opens what is current as an analyst does, asks, and closes; in the end it writes down what it was told and
# how often. They are forked from one that has DuckDB at hand: twenty times to import it would be most of the work.
READ = """
import json, os, sys, time
from collections import Counter
from pathlib import Path
import duckdb
marts, asked, folder, readers, pause = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
number = next((n for n in range(1, readers) if os.fork() == 0), 0)
told = Counter()
while not (folder / "enough").exists():
    try:
        with duckdb.connect(marts, read_only=True, config={"threads": 1}) as connection:
            told[connection.execute(asked).fetchone()] += 1
    except Exception as error:
        told[f"{type(error).__name__}: {error}"] += 1
    time.sleep(pause)
(folder / f"{number}.json").write_text(json.dumps(list(told.items())))
if number == 0:
    for _ in range(1, readers):
        os.wait()
"""


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return whole_home.make(tmp_path, parts=())


@pytest.mark.parametrize(
    ("seconds", "pause"),
    [(5, 0.5), pytest.param(int(os.environ.get("READERS_SECONDS", "60")), 0.1, marks=pytest.mark.long)],
)
def test_no_reader_ever_sees_half_a_release(home: Settings, tmp_path: Path, seconds: int, pause: float):
    (told_in := tmp_path / "told").mkdir()
    marts = home.current / "marts.duckdb"
    command = [sys.executable, "-c", READ, str(marts), ASKED, str(told_in), str(READERS), str(pause)]
    with subprocess.Popen(command) as readers:
        try:
            truths = _change_releases(home, time.monotonic() + seconds)
        finally:
            (told_in / "enough").touch()
        assert readers.wait(300) == 0
    told: Counter[str] = Counter()
    for file in told_in.glob("*.json"):
        told.update({json.dumps(answer): times for answer, times in json.loads(file.read_text())})
    assert len([*told_in.glob("*.json")]) == READERS
    assert {answer: times for answer, times in told.items() if json.loads(answer) not in truths} == {}
    assert len(told) > 1, "nothing has changed while they read"
    assert sum(told.values()) >= READERS


def _change_releases(s: Settings, until: float) -> list[list]:
    """Make releases, roll back and let go until then; returns what each of them says, the first one's too."""
    led = open_ledger(s)
    truths = [_said(s, state.current_id(s))]
    counts = itertools.cycle(range(40, 100, 5))
    while time.monotonic() < until:
        whole_home.publish(s, usual_counts(small=next(counts)))
        truths.append(_said(s, state.newest(led)["release_id"]))
        for older in [row["release_id"] for row in state.kept(led)][1:4]:
            release.rollback(s, led, older, "dibandingkan dengan bulan lalu", "Sari")
            time.sleep(0.05)
        release.unpin(s, led, "perbandingan sudah selesai", "Sari")
        release.retain(s, led)
    return truths


def _said(s: Settings, release_id: str) -> list:
    with duckdb.connect(str(s.releases_dir / release_id / "marts.duckdb"), read_only=True) as connection:
        return list(connection.execute(ASKED).fetchone())
