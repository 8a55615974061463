"""A home and a ledger for tests that make releases of builds of their own (tests/release_helpers)."""

import pytest

from tests.release_helpers import NOON
from warehouse import ledger
from warehouse.core.settings import PROJECT_DIR, Settings


@pytest.fixture
def s(tmp_path) -> Settings:
    """A home of its own, and a project with the real contracts but no rules on marts: the marts here are made up."""
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
