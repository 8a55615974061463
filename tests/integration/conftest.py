"""A home and a ledger for tests that make releases of builds of their own (tests/support/release_helpers)."""

from contextlib import nullcontext

import pytest

from tests.support.release_helpers import NOON
from warehouse import ledger, scan
from warehouse.core.settings import PROJECT_DIR, Settings


@pytest.fixture
def s(tmp_path, monkeypatch) -> Settings:
    """A home of its own, and a project with the real contracts but no rules on marts: the marts here are made up.

    No process looks ahead for the leak scan: to start it takes longer than the whole of such a small release.
    """
    monkeypatch.setattr(scan, "ahead", lambda _s: nullcontext(scan.Ahead()))
    expectations = tmp_path / "project" / "expectations"
    expectations.mkdir(parents=True)
    (expectations / "sources").symlink_to(PROJECT_DIR / "expectations" / "sources")
    (expectations / "rules.yaml").symlink_to(PROJECT_DIR / "expectations" / "rules.yaml")
    (tmp_path / "project" / "dbt_project").symlink_to(PROJECT_DIR / "dbt_project")
    return Settings(home=tmp_path / "home", project_dir=tmp_path / "project", now=NOON)


@pytest.fixture
def led(s) -> ledger.Ledger:
    ledger.upgrade(s.ledger)
    return ledger.Ledger(s.ledger)
