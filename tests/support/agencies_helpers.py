"""Contracts and endpoints made for tests of fetching and landing, independent of the real contracts' content."""

import json
import tarfile
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.core.contract import Contract, ContractExtras, FileShape, Server, ServerExtras
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.intake.agencies.job import Job


def a_contract(
    dataset: str,
    protocol: str,
    *,
    path: str | None = None,
    parameters: dict[str, Any] | None = None,
    secrets: dict[str, str] | None = None,
    hosts: tuple[str, ...] = (),
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
            extras=ServerExtras(
                protocol=protocol, path=path, parameters=parameters or {}, secrets=secrets or {}, hosts=hosts
            ),
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
        "key": ["no_prop", "no_kab", "no_kec", "no_kel"],
        "page_size": 1000,
    },
    period_kind="half_year",
)
BPJSTK = a_contract(
    "bpjstk/participants",
    "splp",
    path="/v1/participants",
    parameters={"query": {"branch": "{part}", "period": "{period}"}, "key": ["no_kpj"], "page_size": 100},
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


def make_holdings(s: Settings) -> Path:
    """Small holdings of every agency, in the layout of warehouse/sandbox/HOLDINGS.md; without a person in them."""
    root = s.home / "sandbox" / "holdings"
    for sender in ("dinkes", "dinsos", "polres"):
        (root / "sftp" / sender).mkdir(parents=True)
    eppgbm = root / "sftp" / "dinkes" / "eppgbm" / "2026-10"
    eppgbm.mkdir(parents=True)
    (eppgbm / "cibodas.csv").write_bytes(b"No;NIK\n" + b"1;x\n" * 200_000)
    (eppgbm / "benda.xlsx").write_bytes(b"PK\x03\x04" + bytes(range(256)) * 100)

    for name in ("bps", "dukcapil", "portal/files", "bpjstk/participants/2026-10"):
        (root / "http" / name).mkdir(parents=True)
    years = range(104, 126)
    table = {
        "last_update": "2026-01-01 00:00:00",
        "subject": [{"val": 23, "label": "Kemiskinan"}],
        "var": [{"val": 621, "label": "P0", "unit": "Persen"}],
        "turvar": [{"val": 0, "label": "Tidak ada"}],
        "labelvervar": "Kabupaten/Kota",
        "vervar": [{"val": 3671, "label": "Kota Tangerang"}, {"val": 3600, "label": "BANTEN"}],
        "turtahun": [{"val": 0, "label": "Tahun"}],
        "tahun": [{"val": year, "label": str(1900 + year)} for year in years],
        "values": [
            {"vervar": area, "turvar": 0, "th": year, "turth": 0, "value": year / 20}
            for year in years
            for area in (3671, 3600)
        ],
    }
    _write_json(root / "http" / "bps" / "621.json", table)
    kec = [{"no_prop": 36, "no_kab": 71, "no_kec": number} for number in range(1, 14)]
    kel = [{"no_prop": 36, "no_kab": 71, "no_kec": 1 + number % 13, "no_kel": 1001 + number} for number in range(104)]
    _write_json(root / "http" / "dukcapil" / "kec.json", [*kec, {"no_prop": 36, "no_kab": 3, "no_kec": 1}])
    _write_json(root / "http" / "dukcapil" / "kel.json", kel)
    rows = pa.table({"no_kpj": [f"K{n:05d}" for n in range(1050)], "iuran": list(range(1050))})
    pq.write_table(rows, root / "http" / "bpjstk" / "participants" / "2026-10" / "cikokol.parquet")
    file = {"name": "Realisasi investasi 2026-Q3", "format": "CSV", "url": "{base}/files/investasi-2026-Q3.csv"}
    _write_json(root / "http" / "portal" / "realisasi-investasi.json", {"name": "x", "resources": [file]})
    (root / "http" / "portal" / "files" / "investasi-2026-Q3.csv").write_bytes(b"triwulan,nilai\n3,1\n" * 50)
    return root


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
