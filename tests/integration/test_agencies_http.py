"""Fetching over HTTP from real servers on loopback: everything arrives, or the reason why not is named."""

import json
import logging
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
import stamina

from tests.support.agencies_helpers import (
    ALL,
    BPJSTK,
    BPS,
    DUKCAPIL,
    PORTAL,
    a_contract,
    a_job,
    make_holdings,
    pages_of,
    write_secret,
)
from tests.support.sandbox_home import NOW
from warehouse.core.contract import Contract
from warehouse.core.errors import FetchError
from warehouse.core.settings import Settings
from warehouse.intake import agencies
from warehouse.intake.agencies import job as job_module
from warehouse.intake.agencies import web
from warehouse.sandbox.faults import Fault
from warehouse.sandbox.http_agencies import Habits
from warehouse.sandbox.servers import Agencies, serve

ASKED = {BPS: ("2024", "621"), DUKCAPIL: ("2026-H1", "all"), BPJSTK: ("2026-10", "cikokol"), PORTAL: ("2026-Q3", "all")}
BY_AGENCY = pytest.mark.parametrize("contract", ASKED, ids=lambda contract: contract.agency)


@pytest.fixture
def s(settings: Settings) -> Settings:
    make_holdings(settings)
    return settings.model_copy(update={"now": NOW})


@pytest.fixture
def habits() -> Habits:
    return Habits(throttle_every=10_000)


@pytest.fixture
def running(s: Settings, habits: Habits) -> Iterator[Agencies]:
    with serve(s, ALL, habits) as agencies:
        yield agencies


@pytest.fixture
def at_once() -> Iterator[None]:
    """Retries without waiting, three attempts at most."""
    with stamina.set_testing(True, attempts=3):
        yield


def fetch(s: Settings, contract: Contract, period: str | None = None, part: str | None = None, progress=None):
    asked = ASKED.get(contract, ("2026-10", "all"))
    job = a_job(s, contract, period or asked[0], part or asked[1], progress)
    return agencies.fetch(s, contract, job.part, job.period, job.spool, progress)


# --- everything arrives -----------------------------------------------------------------------------------------------


def test_bps_table_of_one_year(s, running):
    (page,) = map(json.loads, pages_of(fetch(s, BPS).path))
    assert page["datacontent"] == {"367162101240": 6.2, "360062101240": 6.2}
    assert page["tahun"] == [{"val": 124, "label": "2024"}]


def test_bps_years_that_are_too_large_together_come_one_by_one(s, running, habits):
    habits.bps_largest_table = 3
    contract = a_contract(
        "bps/indicators", "bps_webapi", path=BPS.server.extras.path, parameters={"years": 3},
        secrets=BPS.server.extras.secrets, period_kind="year",
    )  # fmt: skip
    pages = [json.loads(page) for page in pages_of(fetch(s, contract, "2024", "621").path)]
    assert [page["tahun"][0]["label"] for page in pages] == ["2022", "2023", "2024"]


@pytest.mark.parametrize("address", ["/bps/v1/api/list?model=data&domain=0000&var=621&th=124&key={key}",
                                     "/bps/v1/api/list/model/data/domain/0000/var/621/th/124/key/{key}/"])  # fmt: skip
def test_bps_server_turns_scripts_away_and_takes_both_address_styles(s, running, address):
    url = running.url + address.format(key=(s.secrets / "bps_webapi_key").read_text())
    assert httpx.get(url).status_code == 403
    assert "datacontent" in httpx.get(url, headers={"User-Agent": web.USER_AGENT}).json()


def test_dukcapil_brings_both_levels_of_the_city_page_by_page(s, running):
    pages = [json.loads(page) for page in pages_of(fetch(s, DUKCAPIL).path)]
    assert [len(page["features"]) for page in pages] == [13, 50, 50, 4]
    assert [page.get("exceededTransferLimit", False) for page in pages] == [False, True, True, False]


def test_participants_arrive_whole_and_in_order_though_every_token_dies_early(s, running, habits):
    habits.token_uses = 3
    pages = [json.loads(page) for page in pages_of(fetch(s, BPJSTK).path)]
    assert [row["no_kpj"] for page in pages for row in page["data"]] == [f"K{n:05d}" for n in range(1050)]
    assert len(pages) == 11


def test_participants_are_asked_for_again_when_the_bus_says_so(s, running, habits):
    habits.throttle_every = 7
    started = time.monotonic()
    fetched = fetch(s, BPJSTK)
    assert sum(len(json.loads(page)["data"]) for page in pages_of(fetched.path)) == 1050
    assert fetched.attempts == 2
    assert time.monotonic() - started >= 1


def test_a_portal_file_arrives_as_it_lies_there(s, running):
    fetched = fetch(s, PORTAL)
    assert fetched.path.read_bytes() == b"triwulan,nilai\n3,1\n" * 50
    assert (fetched.media, fetched.path.name) == ("csv", "investasi-2026-Q3.csv")


@BY_AGENCY
def test_asking_twice_gives_the_same_bytes(s, running, contract):
    first = fetch(s, contract).path.read_bytes()
    assert fetch(s, contract).path.read_bytes() == first


def test_long_transfers_say_how_far_they_are_and_name_no_one(s, running, monkeypatch):
    monkeypatch.setattr(job_module, "SAY_EVERY_SECONDS", 0)
    said = []
    fetch(s, BPJSTK, progress=said.append)
    assert said[0] == "bpjstk/participants 2026-10 cikokol: 100 / 1050"
    assert said[-1] == "bpjstk/participants 2026-10 cikokol: 1050 / 1050"


# --- or the reason is named -------------------------------------------------------------------------------------------


@BY_AGENCY
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("down", "FETCH_UNREACHABLE"),
        ("error", "FETCH_SERVER_ERROR"),
        ("html", "FETCH_NOT_DATA"),
        ("refused", "FETCH_REFUSED"),
        ("throttled", "FETCH_THROTTLED"),
        ("truncated", "FETCH_NOT_DATA"),
    ],
)
def test_a_faulty_agency_is_named_for_what_it_does(s, running, at_once, contract, kind, code):
    running.faults.set(Fault(agency=contract.agency, kind=kind))
    with pytest.raises(FetchError) as caught:
        fetch(s, contract)
    assert caught.value.code == code
    assert "Instansi Uji" in caught.value.message_id
    assert caught.value.action_en


@BY_AGENCY
@pytest.mark.parametrize("kind", ["down", "error", "throttled"])
def test_a_fault_that_passes_is_waited_out(s, running, at_once, contract, kind):
    whole = fetch(s, contract).path.read_bytes()
    running.faults.set(Fault(agency=contract.agency, kind=kind, times=2))
    fetched = fetch(s, contract)
    assert fetched.attempts == 3
    assert fetched.path.read_bytes() == whole


@BY_AGENCY
@pytest.mark.parametrize("kind", ["html", "refused"])
def test_a_failure_that_will_not_pass_is_not_repeated(s, running, at_once, contract, kind):
    running.faults.set(Fault(agency=contract.agency, kind=kind, times=2))
    with pytest.raises(FetchError):
        fetch(s, contract)
    assert running.faults.take(contract.agency, kind)


@BY_AGENCY
def test_a_slow_agency_runs_into_the_time_limit(s, running, at_once, contract, monkeypatch):
    monkeypatch.setattr(web, "TIMEOUT", httpx.Timeout(0.2))
    running.faults.set(Fault(agency=contract.agency, kind="slow", seconds=1))
    with pytest.raises(FetchError, match="FETCH_TIMEOUT"):
        fetch(s, contract)


def test_an_answer_larger_than_memory_allows_is_left(s, running, at_once, monkeypatch):
    monkeypatch.setattr(web, "LARGEST_PAGE", 100)
    with pytest.raises(FetchError, match="FETCH_TOO_LARGE"):
        fetch(s, BPJSTK)


@BY_AGENCY
def test_an_agency_that_is_gone_is_unreachable(s, running, at_once, contract):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        s.endpoints.write_text(json.dumps({contract.agency: {"location": f"http://127.0.0.1:{free.getsockname()[1]}"}}))
        with pytest.raises(FetchError, match="FETCH_UNREACHABLE"):
            fetch(s, contract)


@pytest.mark.parametrize(
    ("contract", "period", "part"),
    [
        (BPS, "1999", "621"),
        (BPS, "2024", "9999"),
        (BPJSTK, "2026-11", "cikokol"),
        (PORTAL, "2026-Q4", "all"),
        (PORTAL, "2026-Q1", "all"),
    ],
)
def test_a_period_that_is_not_there_yet_is_no_failure_of_the_agency(s, running, contract, period, part):
    with pytest.raises(FetchError, match="FETCH_NOT_AVAILABLE"):
        fetch(s, contract, period, part)


def test_fewer_participants_than_stated_are_no_delivery(s, running, at_once):
    running.faults.set(Fault(agency="bpjstk", kind="short", times=1))
    assert fetch(s, BPJSTK).attempts == 2
    running.faults.set(Fault(agency="bpjstk", kind="short"))
    with pytest.raises(FetchError, match="FETCH_INCOMPLETE"):
        fetch(s, BPJSTK)


@pytest.mark.parametrize("parameters", [{"services": ["AGR_VISUAL_RT_FIX"], "where": "no_prop=36"},
                                        {"services": ["AGR_VISUAL_KEL_FIX"], "where": "no_prop>36"}])  # fmt: skip
def test_an_error_inside_a_good_answer_is_seen(s, running, parameters):
    contract = a_contract("dukcapil/population", "arcgis", path=DUKCAPIL.server.extras.path, parameters=parameters)
    with pytest.raises(FetchError, match="FETCH_NOT_DATA"):
        fetch(s, contract)


def test_an_area_without_rows_is_not_there_yet(s, running):
    parameters = {"services": ["AGR_VISUAL_KEL_FIX"], "where": "no_prop=99"}
    contract = a_contract("dukcapil/population", "arcgis", path=DUKCAPIL.server.extras.path, parameters=parameters)
    with pytest.raises(FetchError, match="FETCH_NOT_AVAILABLE"):
        fetch(s, contract)


@pytest.mark.parametrize(
    ("contract", "secret"), [(BPS, "bps_webapi_key"), (BPJSTK, "bpjstk_client_id"), (BPJSTK, "bpjstk_client_secret")]
)
def test_wrong_credentials_are_refused(s, running, at_once, contract, secret):
    write_secret(s, secret, "wrong")
    with pytest.raises(FetchError, match="FETCH_REFUSED"):
        fetch(s, contract)


@BY_AGENCY
def test_no_secret_is_in_any_log_of_a_whole_run(s, running, caplog, contract, at_once):
    caplog.set_level(logging.DEBUG)
    fetch(s, contract)
    running.faults.set(Fault(agency=contract.agency, kind="error"))
    with pytest.raises(FetchError) as caught:
        fetch(s, contract)
    shown = caplog.text + repr(vars(caught.value)) + "".join(str(vars(record)) for record in caplog.records)
    for path in s.secrets.iterdir():
        if path.name.endswith(("_key", "_secret")):
            assert path.read_text() not in shown
    assert "access_token" not in shown
