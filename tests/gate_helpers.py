"""Deliveries for tests of gate, vault, lake and linkage: small contracts, rows as text, ledger rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pyarrow as pa

from warehouse import gate, ledger
from warehouse.contract import (
    Column,
    ColumnExtras,
    Contract,
    ContractExtras,
    FileShape,
    Rule,
    RuleExtras,
    Server,
    ServerExtras,
)
from warehouse.periods import Period

OCTOBER = Period(date(2026, 10, 1), "month")
RECEIVED = datetime(2026, 11, 5, 3, tzinfo=UTC)


@dataclass
class ParsedRows:
    """The part of ``warehouse.parse.Parsed`` that the gate reads."""

    table: pa.Table
    refused: list = field(default_factory=list)
    unknown_headers: list[str] = field(default_factory=list)
    missing_headers: list[str] = field(default_factory=list)


@dataclass
class RefusedRow:
    source_part: str | None
    source_row: int
    rule_code: str


def column(name: str, logical_type: str = "string", **given) -> Column:
    extras = {"use": "mart"} | {key: given.pop(key) for key in list(given) if key in ColumnExtras.model_fields}
    defaults = {"header": name.upper(), "required": False, "classification": "public", "description": name}
    if "derivation" in extras:
        defaults["header"] = None
    return Column(name=name, logical_type=logical_type, extras=ColumnExtras(**extras), **(defaults | given))


def rule(code: str, expectation: str, severity: str = "quarantine", asset: str = "rows", **kwargs) -> Rule:
    words = {
        "message_id": f"{code} salah.",
        "message_en": f"{code} is wrong.",
        "action_id": "Perbaiki.",
        "action_en": "Mend it.",
    }
    return Rule(
        code=code,
        expectation=expectation,
        kwargs=kwargs,
        severity=severity,
        category="validity",
        extras=RuleExtras(asset=asset, owner="sender", reason="test", reason_date=date(2026, 11, 22), **words),
    )


def contract(
    columns: Iterable[Column], rules: Iterable[Rule] = (), dataset: str = "kemenkes/eppgbm", **extras
) -> Contract:
    settings = {
        "agency_name": "Dinas",
        "agreement_number": "PKS/1",
        "agreement_end": date(2027, 12, 31),
        "retention_days": 730,
        "delivery_mode": "snapshot",
        "period_kind": "month",
        "period_meaning": "month",
        "due_day": 10,
        "open_days": 30,
        "stale_after_days": 60,
        "shapes": (FileShape(name="csv", media="csv"),),
    }
    return Contract(
        dataset=dataset,
        title="Test",
        version="1.0.0",
        purpose="test",
        grain="One row per row.",
        server=Server(environment="test", location=None, extras=ServerExtras(protocol="by_hand")),
        columns=tuple(columns),
        rules=tuple(rules),
        extras=ContractExtras(**(settings | extras)),
    )


def parsed(contract: Contract, rows: Iterable[Mapping[str, str | None]], first_row: int = 2, **given) -> ParsedRows:
    rows = list(rows)
    names = [column.name for column in contract.file_columns]
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    columns["source_part"] = pa.nulls(len(rows), pa.string())
    columns["source_row"] = pa.array(range(first_row, first_row + len(rows)), pa.int64())
    return ParsedRows(pa.table(columns), **given)


def context(
    part: str = "batuceper", period: Period = OCTOBER, received_at: datetime = RECEIVED
) -> gate.DeliveryContext:
    return gate.DeliveryContext(period, part, received_at)


def judge_one(settings, contract: Contract, rows, history=(), overridden=frozenset(), **given) -> gate.Judgement:
    """Judge a single delivery named ``d``."""
    one = {"d": rows if isinstance(rows, ParsedRows) else parsed(contract, rows)}
    return gate.judge(settings, contract, one, {"d": context(**given)}, list(history), overridden)["d"]


def delivery_row(contract: Contract, content: str, part: str = "batuceper", period: Period = OCTOBER) -> dict:
    """A row of ``deliveries`` as landing would write it."""
    return {
        "delivery_id": ledger.delivery_id(contract.dataset, part, period, content),
        "dataset": contract.dataset,
        "part": part,
        "period_kind": period.kind,
        "period_start": period.start,
        "received_at": RECEIVED,
        "content_sha256": content,
        "bytes": 1,
        "media": "csv",
        "origin": "agency",
        "stored_path": "x",
        "stored_sha256": "x",
    }
