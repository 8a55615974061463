"""The sandbox's agencies as a process: started once, found by the warehouse, and gone with whoever started them."""

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest
import stamina

from tests.support.agencies_helpers import make_holdings
from tests.support.sandbox_home import NOW
from warehouse.core.contract import load_contracts
from warehouse.core.errors import ConfigError, FetchError
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.intake import agencies
from warehouse.sandbox import control
from warehouse.storage import landing


@pytest.fixture
def s(settings: Settings) -> Settings:
    make_holdings(settings)
    return settings.model_copy(update={"now": NOW})


def fetch(s: Settings, dataset: str, part: str, period: str) -> int:
    with landing.spool(s) as spool:
        contract = load_contracts(s.contracts_dir)[dataset]
        return agencies.fetch(s, contract, part, Period.parse(period), spool).bytes


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=1).is_success
    except httpx.TransportError:
        return False


def test_the_real_contracts_find_the_agencies_and_their_faults_can_be_switched(s):
    with control.start(s) as running:
        for dataset, part, period in [
            ("bps/indicators", "621", "2024"),
            ("dukcapil/population", "all", "2026-H1"),
            ("bpjstk/participants", "cikokol", "2026-10"),
            ("portal/investment", "all", "2026-Q3"),
            ("kemenkes/eppgbm", "cibodas", "2026-10"),
        ]:
            assert fetch(s, dataset, part, period) > 0
        running.fault("dinkes", "host_key")
        with pytest.raises(FetchError, match="FETCH_HOST_KEY"):
            fetch(s, "kemenkes/eppgbm", "cibodas", "2026-10")
        running.clear_faults()
        assert fetch(s, "kemenkes/eppgbm", "cibodas", "2026-10") > 0
        with pytest.raises(ConfigError, match="SANDBOX_RUNNING"):
            control.start(s)
    assert not is_up(running.url)
    with stamina.set_testing(True, attempts=1), pytest.raises(FetchError, match="FETCH_UNREACHABLE"):
        fetch(s, "bps/indicators", "621", "2024")


def test_a_second_start_makes_new_secrets_that_only_their_owner_can_read(s):
    with control.start(s):
        first = {path.name: path.read_text() for path in s.secrets.iterdir()}
    with control.start(s):
        second = {path.name: path.read_text() for path in s.secrets.iterdir()}
    assert {name for name in first if first[name] == second[name]} == {"bpjstk_client_id"}
    named = [c.server.extras.secrets.values() for c in load_contracts(s.contracts_dir).values()]
    assert first.keys() == {name for names in named for name in names}
    assert s.secrets.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in [*s.secrets.iterdir(), s.endpoints]} == {0o600}


def test_without_a_city_nothing_is_started(settings):
    with pytest.raises(ConfigError, match="SANDBOX_FAILED"):
        control.start(settings)


def test_the_agencies_end_when_whoever_started_them_is_killed(s):
    script = (
        "import sys, time; from warehouse.sandbox import control; from warehouse.core.settings import Settings;"
        "print(control.start(Settings.model_validate_json(sys.argv[1])).url, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, s.model_dump_json()], stdout=subprocess.PIPE, text=True, cwd=s.project_dir
    )
    url = parent.stdout.readline().strip()
    assert is_up(url)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while is_up(url) and time.monotonic() < until:
        time.sleep(0.1)
    assert not is_up(url)
