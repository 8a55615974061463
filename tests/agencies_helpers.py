"""Contracts and endpoints made for tests of fetching and landing, independent of the real contracts' content."""

import json
import tarfile
from datetime import date
from pathlib import Path
from typing import Any

from warehouse.agencies.job import Job
from warehouse.contract import Contract, ContractExtras, FileShape, Server, ServerExtras
from warehouse.periods import Period
from warehouse.settings import Settings


def a_contract(
    dataset: str,
    protocol: str,
    *,
    path: str | None = None,
    parameters: dict[str, Any] | None = None,
    secrets: dict[str, str] | None = None,
    period_kind: str = "month",
    parts: str = "all",
    retention_days: int = 365,
    may_be_empty: bool = False,
) -> Contract:
    return Contract(
        dataset=dataset,
        title=dataset,
        version="1.0.0",
        purpose="tests",
        grain="one row per row",
        server=Server(
            environment="test",
            location=None,
            extras=ServerExtras(protocol=protocol, path=path, parameters=parameters or {}, secrets=secrets or {}),
        ),
        columns=(),
        rules=(),
        extras=ContractExtras(
            agency_name="Instansi Uji",
            agreement_number="1",
            agreement_end=date(2030, 1, 1),
            retention_days=retention_days,
            delivery_mode="snapshot",
            period_kind=period_kind,
            period_meaning="test",
            parts=parts,
            due_day=1,
            open_days=1,
            stale_after_days=1,
            may_be_empty=may_be_empty,
            shapes=(FileShape(name="any", media="csv"),),
        ),
    )


def write_endpoints(s: Settings, **locations: str) -> None:
    s.endpoints.parent.mkdir(parents=True, exist_ok=True)
    s.endpoints.write_text(json.dumps({agency: {"location": location} for agency, location in locations.items()}))


def write_secret(s: Settings, name: str, text: str) -> None:
    s.secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = s.secrets / name
    path.touch(mode=0o600)
    path.write_text(text)


def a_job(s: Settings, contract: Contract, period: str, part: str = "all", progress=None) -> Job:
    spool = s.home / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    return Job(s, contract, part, Period.parse(period), spool, progress)


def pages_of(path: Path) -> list[bytes]:
    with tarfile.open(path) as tar:
        return [tar.extractfile(member).read() for member in tar]


BPS = a_contract(
    "bps/indicators",
    "bps_webapi",
    path="/v1/api/list",
    parameters={"domain": "0000", "indicators": ["621"]},
    secrets={"key": "bps_webapi_key"},
    period_kind="year",
    parts="indicator",
)
DUKCAPIL = a_contract(
    "dukcapil/population",
    "arcgis",
    path="/arcgis/rest/services",
    parameters={
        "services": ["AGR_VISUAL_KEC_FIX", "AGR_VISUAL_KEL_FIX"],
        "where": "no_prop=36 AND no_kab=71",
        "page_size": 1000,
    },
    period_kind="half_year",
)
BPJSTK = a_contract(
    "bpjstk/participants",
    "splp",
    path="/v1/participants",
    parameters={"query": {"branch": "{part}", "period": "{period}"}, "page_size": 100},
    secrets={"client_id": "bpjstk_client_id", "client_secret": "bpjstk_client_secret"},
    parts="branch",
)
PORTAL = a_contract(
    "portal/investment",
    "ckan",
    path="/api/3/action",
    parameters={"package": "realisasi-investasi", "resource": "{period}"},
    period_kind="quarter",
)
EPPGBM = a_contract(
    "kemenkes/eppgbm",
    "sftp",
    path="/eppgbm/{period}/{part}.xlsx",
    parameters={"alternatives": ["/eppgbm/{period}/{part}.csv"], "username": "gudang"},
    secrets={"private_key": "dinkes_sftp_key", "known_hosts": "dinkes_known_hosts"},
    parts="puskesmas",
)
ALL = (BPS, DUKCAPIL, BPJSTK, PORTAL, EPPGBM)
