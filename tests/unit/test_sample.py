"""Whom agencies report on: all of the city, but for a sandbox that peoples a part of it."""

import json
from pathlib import Path

import duckdb
import pytest

from warehouse.core.console import Watch
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.intake.gate import regions
from warehouse.sandbox import commands
from warehouse.storage import keys, sample

PEOPLED = ["36.71.03.1001", "36.71.07.1003", "36.71.07.1004"]


def _declare(s: Settings, content: dict) -> None:
    (s.home / "sandbox").mkdir(parents=True, exist_ok=True)
    (s.home / "sandbox" / "city.json").write_text(json.dumps(content))


@pytest.fixture
def sandbox(tmp_path: Path) -> Settings:
    s = Settings(home=tmp_path / "home")
    keys.make_sandbox_keys(s)
    return s


def _expected(s: Settings) -> tuple[int, int]:
    with duckdb.connect() as con:
        regions.install(con, s)
        return con.execute("SELECT expected_kelurahan(), expected_kecamatan()").fetchone()


def test_a_sandbox_expects_the_kelurahan_it_peoples(sandbox: Settings):
    _declare(sandbox, {"peopled_kelurahan": PEOPLED, "share": 0.015})
    assert sample.declared(sandbox) == sample.Sample(frozenset(PEOPLED), 0.015)
    assert _expected(sandbox) == (3, 2)


def test_a_sandbox_of_the_whole_city_is_no_sample(sandbox: Settings):
    _declare(sandbox, {"peopled_kelurahan": PEOPLED, "share": 0.9999995})
    assert sample.declared(sandbox) is None
    assert _expected(sandbox) == (104, 13)


def test_with_other_keys_a_home_expects_the_whole_city_whatever_lies_in_it(tmp_path: Path):
    s = Settings(home=tmp_path / "home")
    _declare(s, {"peopled_kelurahan": PEOPLED, "share": 0.015})
    assert sample.declared(s) is None
    assert _expected(s) == (104, 13)


@pytest.mark.parametrize("text", ['{"scale": "default", "newest_month": "2026-10"}', "{", "[]"])
def test_a_city_of_the_former_kind_is_refused_with_what_to_do_and_nothing_is_lost(sandbox: Settings, text: str):
    _declare(sandbox, {})
    file = sandbox.home / "sandbox" / "city.json"
    file.write_text(text)
    kept = sandbox.home / "landing" / "delivery"
    kept.parent.mkdir()
    kept.write_text("bytes")
    with pytest.raises(ConfigError) as refused, Watch() as watch:
        commands.prepare(sandbox, "default", watch)
    assert refused.value.code == "SANDBOX_CITY_UNREADABLE"
    for action in (refused.value.action_id, refused.value.action_en):
        assert "make clean" in action
        assert "WAREHOUSE_HOME" in action
    assert (file.read_text(), kept.read_text()) == (text, "bytes")
