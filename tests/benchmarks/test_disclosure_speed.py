"""What rounding small counts costs: seconds, memory and error on the build of a home, written into docs.

``BENCHMARK_HOME`` names the home (default: ``var``, that is `make run`); each city measured has a section of its own.
"""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from tests.benchmarks.document import write_section
from warehouse.core.periods import JAKARTA
from warehouse.core.settings import PROJECT_DIR

pytestmark = pytest.mark.benchmark
DOCUMENT = PROJECT_DIR / "docs" / "disclosure-quality.md"
HEAD = """# What rounding small counts costs

Written by `pytest -m benchmark tests/benchmarks/test_disclosure_speed.py` on the home that `BENCHMARK_HOME` names.
Errors compare what is printed with the exact build: percentages in points, over rows that are reliable; deviations in
people, families or cards, over all rows of the level. Headlines are the rows of which every further key says `all`; of
convergence, where all three meet.
"""
# What hiding had cost, from the last run of that method (2026-11-30): the price of the numbers below.
HIDING = """
The method before, hiding, for comparison (last measured 2026-11-30, 240 thousand persons thinned over the city): 302
seconds a release, 1.6 GB and two further processes of 1 GB; of monthly stunting by kelurahan readers saw 29% of the
rows, of PKH by desil at the kota 37%. In the whole city: 50 seconds, 30% of stunting by kelurahan hidden, 61% of
convergence.
"""
_MEASURE = """
import json, resource, sys, time
from pathlib import Path
from warehouse.storage import keys
from warehouse.build.catalogue import manifest_path, read_catalogue
from warehouse.release import accuracy, content, revisions
from warehouse.core.settings import Settings

settings = Settings(home=Path(sys.argv[1]))
catalogue = read_catalogue(manifest_path(settings.home))
when = revisions.calendar(settings.today(), None, ())
with content.reading_build(settings) as con:
    before, wall = time.process_time(), time.monotonic()
    key, base = keys.pseudonym_key(settings), settings.disclosure_threshold
    content.round_marts(con, catalogue, when, None, key, base)
    found = {"processor": time.process_time() - before, "wall": time.monotonic() - wall}
    found["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    found["rows"] = [row for mart in catalogue.marts for row in accuracy.errors(con, mart, content.built(mart))]
print(json.dumps(found))
"""


def test_what_rounding_costs():
    home = Path(os.environ.get("BENCHMARK_HOME", PROJECT_DIR / "var"))
    if not (home / "build" / "warehouse.duckdb").is_file():
        pytest.skip(f"{home} has no build: make run first, or name another BENCHMARK_HOME")
    done = subprocess.run([sys.executable, "-c", _MEASURE, str(home)], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    city = json.loads((home / "sandbox" / "city.json").read_text(encoding="utf-8"))
    write_section(DOCUMENT, HEAD + HIDING, f"Scale {city['scale']}", _text(found, len(city["peopled_kelurahan"])))
    kota = [row["mean_error"] for row in found["rows"] if row["area_level"] == "kota" and row["mean_error"] is not None]
    assert kota, "the build has reliable percentages"


def _text(found: dict, kelurahan: int) -> str:
    table = "\n".join(
        f"| {row['mart']} | {row['area_level']} | {row['rows_published']:,} | {row['rows_rounded']:,} |"
        f" {_points(row['mean_error'])} | {_points(row['largest_error'])} | {row['largest_deviation'] or 0:,} |"
        f" {_points(row['headline_error'])} | {row['headline_deviation'] or 0:,} |"
        for row in found["rows"]
    )
    today = datetime.now(JAKARTA).date()
    return f"""
{kelurahan} kelurahan peopled; measured {today.isoformat()}: all tables of cells rounded, all marts made again.

| | |
|---|---:|
| seconds on the clock | {found["wall"]:.1f} |
| processor seconds | {found["processor"]:.1f} |
| peak memory, GB | {found["peak_gb"]:.2f} |

| mart | level | rows | rounded | mean error | largest error | largest deviation | headlines: mean | largest |
|---|---|---:|---:|---:|---:|---:|---:|---:|
{table}
"""


def _points(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
