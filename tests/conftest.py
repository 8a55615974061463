"""Fixtures every test may use: settings in a folder of their own, and no network for unit tests."""

import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from warehouse.core.settings import Settings, get_settings

# Two cores shared with a browser and a scheduler: time says nothing about a property.
hypothesis_settings.register_profile("default", deadline=None)
hypothesis_settings.register_profile("long", deadline=None, max_examples=1000)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

pytest_plugins = ["tests.support.sandbox_home"]

for name in [name for name in os.environ if name.startswith("WAREHOUSE_")]:
    del os.environ[name]

TESTS = Path(__file__).parent
UNIT = TESTS / "unit"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files are handed to workers the longest first: one that takes minutes must not be the last, alone on its core."""
    seconds = json.loads((TESTS / "seconds.json").read_text(encoding="utf-8"))
    items.sort(key=lambda item: -seconds.get(Path(item.path).relative_to(TESTS).as_posix(), 0))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose home is this test's own folder."""
    return Settings(home=tmp_path / "home")


@pytest.fixture(autouse=True)
def _fresh_settings():
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture(autouse=True)
def _no_network_in_unit_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if UNIT not in Path(request.node.path).parents:
        return

    def refuse(_self, address):
        raise RuntimeError(f"unit tests may not open connections ({address!r})")

    monkeypatch.setattr(socket.socket, "connect", refuse)
