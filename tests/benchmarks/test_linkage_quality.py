"""How well and how fast people are linked: exact methods alone, then with Splink, side by side on one drawn city.

The quality by kind of corruption is written to ``docs/linkage-quality.md``. Speed and memory of a whole linking are
taken at the size of the city (about two million people) in a process of its own, on two cores and with three gigabytes.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.benchmarks.document import write_section
from tests.support import linkage_city
from warehouse.core.settings import Settings
from warehouse.linkage import profiles
from warehouse.storage import keys, vault

pytestmark = pytest.mark.benchmark
DOCUMENT = Path(__file__).parents[2] / "docs" / "linkage-quality.md"
_HEAD = "# How well people are linked\n\nWritten by `pytest -m benchmark tests/benchmarks/test_linkage_quality.py`.\n"

_QUALITY = """
Pairs of distinct descriptions of one person, on a synthetic city of {residents:,} residents with the sandbox's default
corruption. A pair counts under every kind that befell either side. `exact` is NIK, family card and description alone;
`all` adds Splink. Model: `{version}`.

| kind | true pairs | recall exact | recall all |
|---|---:|---:|---:|
{rows}

Precision: exact {exact:.5f}, all {precision:.5f}. What is missed stays within the bounds of the marts
(`tests/integration/test_linkage_bounds.py`).
"""

_SPEED = """
{rows:,} descriptions of a drawn city of its real size, after training, on 2 cores; {to_compare:,} of them go to Splink.

| | seconds on the clock | processor seconds |
|---|---:|---:|
| by number, family card and description | {exact[wall]:.0f} | {exact[processor]:.0f} |
| by Splink | {splink[wall]:.0f} | {splink[processor]:.0f} |
| choosing and writing | {written[wall]:.0f} | {written[processor]:.0f} |
| of 60 seconds asked for | {wall:.0f} | |

Peak memory {peak_gb:.1f} of 3 GB asked for.
"""


def connected(settings: Settings):
    keys.make_sandbox_keys(settings)
    connection = vault.connect(settings)
    profiles.define_macros(connection)
    return connection


def test_quality_by_kind_of_corruption(settings):
    with connected(settings) as connection:
        city = linkage_city.draw(scale=0.12)
        linkage_city.tell(connection, city)
        linkage_city.link_exactly(connection)
        linkage_city.link_the_rest(connection)
        rows, exact, precision = linkage_city.quality(connection)
    shown = "\n".join(f"| {kind} | {pairs:,} | {before:.4f} | {after:.4f} |" for kind, pairs, before, after in rows)
    version = linkage_city.model.load(linkage_city.model.BUNDLED)[0]
    residents = int(city.persons.is_resident.sum())
    text = _QUALITY.format(residents=residents, version=version, rows=shown, exact=exact, precision=precision)
    write_section(DOCUMENT, _HEAD, "Quality by kind of corruption", text)
    recall = {kind: after for kind, _pairs, _before, after in rows}
    assert precision >= 0.995
    assert recall["all true pairs"] >= 0.97
    assert recall["without a usable NIK"] >= 0.90


_CITY = """
import json, resource, sys, time
from pathlib import Path
from tests.support import linkage_city
from tests.benchmarks.test_linkage_quality import connected
from warehouse.storage import vault
from warehouse.linkage import clusters
from warehouse.core.settings import Settings

settings = Settings(home=Path(sys.argv[1]), duckdb_memory="2GB", duckdb_threads=2)
if sys.argv[2] == "draw":
    with connected(settings) as connection:
        city = linkage_city.draw(scale=1.0)
        linkage_city.tell(connection, city)
        for name in ("identities", "truth", "lake_facts", "card_places", "kinds"):
            connection.execute(f"COPY {name} TO '{settings.home}/{name}.parquet'")
    sys.exit()
with connected(settings) as connection:
    for name in ("identities", "truth", "lake_facts", "card_places"):
        connection.execute(f"CREATE TEMP VIEW {name} AS FROM read_parquet('{settings.home}/{name}.parquet')")
    def took(step):
        wall, processor = time.monotonic(), time.process_time()
        step(connection)
        return {"wall": time.monotonic() - wall, "processor": time.process_time() - processor}
    (rows,) = connection.execute("SELECT count(*) FROM identities").fetchone()
    exactly = took(linkage_city.link_exactly)
    rest = took(linkage_city.link_the_rest)
    vault.define_pseudonym(connection, b"benchmark" * 3)
    def write(connection):
        clusters.write_links(connection, "x")
        for name in ("identity_links", "identity_candidates"):
            connection.execute(f"COPY {name} TO '{settings.home}/{name}.parquet'")
    found = {"rows": rows, "exact": exactly, "splink": rest, "written": took(write)}
    for name in ("to_compare", "scored", "chosen"):
        (found[name],) = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
found["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps(found))
"""


def test_the_whole_city_in_a_minute_and_three_gigabytes(tmp_path):
    """Processor time, which a busy machine does not stretch: two cores for sixty seconds."""
    for step in ("draw", "link"):
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", _CITY, str(tmp_path / "home"), step],
            capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        print(f"\n{step}: {time.monotonic() - began:.0f} s")
    found = json.loads(done.stdout.splitlines()[-1])
    wall = sum(found[step]["wall"] for step in ("exact", "splink", "written"))
    text = _SPEED.format(wall=wall, **found)
    print(text)
    write_section(DOCUMENT, _HEAD, "The whole city", text)
    assert sum(found[step]["processor"] for step in ("exact", "splink", "written")) < 2 * 60
    assert found["peak_gb"] < 3
