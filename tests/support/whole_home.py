"""A small whole home without dbt: two deliveries judged and kept, a made-up build released. Made once, then copied.

Here: the home and copies of it. Not here: assertions.
"""

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

from tests.support import samples
from tests.support.release_helpers import NOON, Counts, make_build
from warehouse import night, release, scan
from warehouse.core.settings import PROJECT_DIR, Settings
from warehouse.ledger import open_ledger
from warehouse.storage import keys

EPPGBM = "kemenkes/eppgbm"
PARTS = ("batuceper", "benda")


def make(folder: Path, parts: Sequence[str] = PARTS) -> Settings:
    """A home of its own beside a project with the real contracts and no rules on marts: the marts here are made up."""
    expectations = folder / "project" / "expectations"
    expectations.mkdir(parents=True)
    for name in ("sources", "rules.yaml"):
        (expectations / name).symlink_to(PROJECT_DIR / "expectations" / name)
    (folder / "project" / "dbt_project").symlink_to(PROJECT_DIR / "dbt_project")
    s = Settings(home=folder / "home", project_dir=folder / "project", now=NOON)
    keys.make_sandbox_keys(s)
    for part in parts:
        deliver(s, folder, part)
    publish(s)
    return s


def deliver(s: Settings, folder: Path, part: str) -> None:
    """Take a file of a puskesmas by hand."""
    file = folder / f"{part}.csv"
    file.write_bytes(samples.as_file(EPPGBM, samples.good_rows(EPPGBM), "sigizi_csv")[0])
    outcome = night.ingest_file(EPPGBM, samples.period(EPPGBM), part, file, s=s)
    assert outcome.outcome == "admitted", outcome


def publish(s: Settings, counts: Counts | None = None) -> None:
    """Make a made-up build current; no process looks ahead for the leak scan, which would take longer than the rest."""
    with patch.object(scan, "ahead", lambda _s: nullcontext(scan.Ahead())):
        led = open_ledger(s)
        assert release.publish(s, led, make_build(s, led, counts)).outcome == "released"


def copied(s: Settings, folder: Path) -> Settings:
    """The same home in another place."""
    shutil.copytree(s.home, folder, symlinks=True)
    return s.model_copy(update={"home": folder})
