"""A contract nobody wrote a server for: what lies in its agency's folder is served over its protocol."""

import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import stamina

from tests.support.agencies_helpers import a_contract, a_job, make_holdings, pages_of
from tests.support.sandbox_home import NOW
from warehouse.core.contract import Contract
from warehouse.core.errors import ConfigError, FetchError
from warehouse.core.settings import Settings
from warehouse.intake import agencies
from warehouse.sandbox import servers

SCHOOLS = a_contract(
    "dindik/dropouts",
    "sftp",
    path="/dropouts/{period}.csv",
    parameters={"username": "gudang"},
    secrets={"private_key": "dindik_sftp_key", "known_hosts": "dindik_known_hosts"},
    period_kind="year",
)
LAYERS = a_contract(
    "putr/flood_zones", "arcgis", path="/arcgis/rest/services",
    parameters={"services": ["GENANGAN"], "where": "1=1"}, period_kind="year",
)  # fmt: skip
CLINICS = a_contract(
    "jkn/members", "splp", path="/v1/members",
    parameters={"token_path": "/token", "query": {"period": "{period}"}},
    secrets={"client_id": "jkn_client_id", "client_secret": "jkn_client_secret"},
)  # fmt: skip
OPEN = a_contract(
    "opendata/markets", "ckan", path="/api/3/action",
    parameters={"package": "pasar", "resource": "{period}"}, period_kind="year",
)  # fmt: skip
NEW = (SCHOOLS, LAYERS, CLINICS, OPEN)


@pytest.fixture
def s(settings: Settings) -> Settings:
    make_holdings(settings)
    holdings = settings.home / "sandbox" / "holdings"
    (holdings / "sftp" / "dindik" / "dropouts").mkdir(parents=True)
    (holdings / "sftp" / "dindik" / "dropouts" / "2025.csv").write_bytes(b"Kelurahan;Siswa\nCibodas;10\n")
    (holdings / "http" / "putr").mkdir()
    (holdings / "http" / "putr" / "GENANGAN.json").write_text(json.dumps([{"id": 1}, {"id": 2}]))
    (holdings / "http" / "jkn" / "members" / "2026-10").mkdir(parents=True)
    members = holdings / "http" / "jkn" / "members" / "2026-10" / "all.parquet"
    pq.write_table(pa.table({"segmen": ["PBI", "PPU"]}), members)
    files = holdings / "http" / "opendata" / "files"
    files.mkdir(parents=True)
    (files / "pasar-2025.csv").write_bytes(b"Pasar\nAnyar\n")
    listed = {"name": "2025", "url": "{base}/files/pasar-2025.csv", "format": "CSV"}
    (files.parent / "pasar.json").write_text(json.dumps({"name": "pasar", "resources": [listed]}))
    return settings.model_copy(update={"now": NOW})


@pytest.fixture
def running(s: Settings) -> Iterator[servers.Agencies]:
    with servers.serve(s, NEW) as served, stamina.set_testing(True, attempts=1):
        yield served


def fetch(s: Settings, contract: Contract, period: str):
    job = a_job(s, contract, period)
    return agencies.fetch(s, contract, "all", job.period, job.spool)


@pytest.mark.usefixtures("running")
def test_a_file_in_a_new_agencys_folder_comes_over_sftp(s: Settings):
    assert fetch(s, SCHOOLS, "2025").path.read_bytes() == b"Kelurahan;Siswa\nCibodas;10\n"


@pytest.mark.usefixtures("running")
def test_what_it_has_not_sent_is_not_there_yet(s: Settings):
    with pytest.raises(FetchError, match="FETCH_NOT_AVAILABLE"):
        fetch(s, SCHOOLS, "2024")


@pytest.mark.usefixtures("running")
def test_http_protocols_serve_a_new_agency_too(s: Settings):
    (page,) = map(json.loads, pages_of(fetch(s, LAYERS, "2025").path))
    assert [feature["attributes"] for feature in page["features"]] == [{"id": 1}, {"id": 2}]
    (page,) = map(json.loads, pages_of(fetch(s, CLINICS, "2026-10").path))
    assert page["data"] == [{"segmen": "PBI"}, {"segmen": "PPU"}]
    assert fetch(s, OPEN, "2025").path.read_bytes() == b"Pasar\nAnyar\n"


def test_a_fault_planted_from_outside_is_met_and_removed_again(s: Settings, running: servers.Agencies):
    servers.planted(s).set(servers.Fault(agency="dindik", kind="refused"))
    with pytest.raises(FetchError, match="FETCH_REFUSED"):
        fetch(s, SCHOOLS, "2025")
    assert [fault.agency for fault in running.faults.all()] == ["dindik"]
    servers.planted(s).clear("dindik")
    assert fetch(s, SCHOOLS, "2025").bytes


@pytest.mark.usefixtures("running")
def test_a_fault_wears_off(s: Settings):
    servers.planted(s).set(servers.Fault(agency="putr", kind="error", times=1))
    with pytest.raises(FetchError):
        fetch(s, LAYERS, "2025")
    assert fetch(s, LAYERS, "2025").bytes
    assert servers.planted(s).all() == []


@pytest.mark.parametrize(
    ("agency", "kind", "code"), [("dinke", "down", "AGENCY_UNKNOWN"), ("dinkes", "html", "FAULT_UNKNOWN")]
)
def test_only_known_faults_of_known_agencies_are_planted(s: Settings, agency: str, kind: str, code: str):
    with pytest.raises(ConfigError, match=code):
        servers.plant(s, agency, kind)
