"""A small sandbox city with one good night behind it, made once a session; tests take copies to break.

Here: fixtures (plug in with ``pytest_plugins``). Not here: assertions.
"""

import fcntl
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from warehouse import night
from warehouse.core.contract import get_contract
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.sandbox import city, control, render
from warehouse.storage import keys

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
TONIGHT = date(2026, 11, 22)
SCALE = 0.01
NEWEST = Period(date(2026, 10, 1), "month")


def last_period(s: Settings, dataset: str) -> Period:
    """The newest period the sandbox's agencies have of a dataset."""
    kind = get_contract(s.contracts_dir, dataset).extras.period_kind
    period = Period.containing(kind, NEWEST.start)
    return period if period.end <= TONIGHT else period.shift(-1)


@pytest.fixture(scope="session")
def agencies_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, control.Running]]:
    """A home with keys, a city of two months and its agencies running; nothing is ingested."""
    s = Settings(home=tmp_path_factory.mktemp("sandbox") / "a home", now=NOW)
    keys.make_sandbox_keys(s)
    city.build_city(s.home / "sandbox", scale=SCALE, tonight=TONIGHT, months=2)
    render.render_holdings(s.home / "sandbox", processes=1)
    # Published figures come by hand and never came here.
    with control.start(s) as running:
        yield s, running


@pytest.fixture(scope="session")
def good_night(
    agencies_home: tuple[Settings, control.Running], tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Settings:
    """A home after a night in which each agency delivered its newest period: one for all workers, not to be changed."""
    source, _running = agencies_home
    root = tmp_path_factory.getbasetemp()
    root = root if worker_id == "master" else root.parent
    whole, home = root / "good night.whole", root / "good night" / "a home"
    s = source.model_copy(
        update={"home": home, "endpoints_file": source.endpoints, "secrets_dir": source.secrets, "keys_dir": None}
    )
    with (root / "good night.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(home, ignore_errors=True)
            shutil.copytree(source.home / "keys", home / "keys")
            shutil.copytree(source.home / "sandbox" / "city", home / "sandbox" / "city")
            shutil.copy(source.home / "sandbox" / "city.json", home / "sandbox")
            for dataset in night.datasets(s=s):
                night.ingest_periods(dataset, [last_period(s, dataset)], s=s)
            marts = night.marts(TONIGHT, s=s)
            assert marts["outcome"] == "released", marts
            whole.touch()
    return s


def copied(s: Settings, folder: Path) -> Settings:
    """A home of its own with the same past, asking the same agencies."""
    shutil.copytree(s.home, folder, symlinks=True, ignore=shutil.ignore_patterns("sandbox"))
    (folder / "sandbox").mkdir()
    shutil.copy(s.home / "sandbox" / "city.json", folder / "sandbox")
    return s.model_copy(
        update={"home": folder, "endpoints_file": s.endpoints, "secrets_dir": s.secrets, "keys_dir": None}
    )


def admit_resent(s: Settings) -> None:
    """A person lets in the files that are held because far more is in force of their part and month."""
    for held in night.held(s=s):
        if "-RESENT-" in (held.reason_code or ""):
            night.decide(
                held.delivery_id, "admit", "the sender confirmed it", "SENDER_CONFIRMED", "Rina", "walidata", s=s
            )


@pytest.fixture(scope="module")
def home(good_night: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """This module's copy of the good night."""
    return copied(good_night, tmp_path_factory.mktemp("copy") / "a home")
