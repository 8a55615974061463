"""Contracts and endpoints made for tests of fetching and landing, independent of the real contracts' content."""

import json
from datetime import date
from typing import Any

from warehouse.contract import Contract, ContractExtras, FileShape, Server, ServerExtras
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
