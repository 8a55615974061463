"""Deliveries for tests of gate, vault, lake and linkage: small contracts, rows as text, ledger rows."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime

import pyarrow as pa

from warehouse.core.contract import (
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
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.intake import gate
from warehouse.intake.parse import Parsed, RefusedRow
from warehouse.ledger import deliveries
from warehouse.ledger.deliveries import Delivery, RuleOutcome

OCTOBER = Period(date(2026, 10, 1), "month")
RECEIVED = datetime(2026, 11, 5, 3, tzinfo=UTC)


# Which identity a column of a test's contract is, where the test does not say.
IDENTITIES = {
    "nik": "nik", "no_kk": "kk", "nama": "person_name", "nama_ortu": "parent_name", "tgl_lahir": "birth_date",
    "tanggal_lahir": "birth_date", "jk": "sex", "id_jenis_kelamin": "sex", "child_key": "row_key",
}  # fmt: skip


def column(name: str, logical_type: str = "string", **given) -> Column:
    says = given.get("classification") == "direct_identifier" or IDENTITIES.get(name) == "sex"
    extras = {"use": "mart", "identity": IDENTITIES.get(name) if says else None}
    extras |= {"unit": "kg"} if logical_type == "number" else {}
    extras |= {key: given.pop(key) for key in list(given) if key in ColumnExtras.model_fields}
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
        "legal_basis": "test",
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


def parsed(
    contract: Contract,
    rows: Iterable[Mapping[str, str | None]],
    refused: Iterable[int] = (),
    unknown_headers: Iterable[str] = (),
) -> Parsed:
    """Rows from line 2 on, as text; ``refused`` are the lines that could not be split."""
    rows, refused = list(rows), [RefusedRow(None, row, "PARSE_FIELD_COUNT") for row in refused]
    columns = {c.name: pa.array([row.get(c.name) for row in rows], pa.string()) for c in contract.file_columns}
    columns["source_part"] = pa.nulls(len(rows), pa.string())
    columns["source_row"] = pa.array(range(2, 2 + len(rows)), pa.int64())
    unknown = list(unknown_headers)
    return Parsed(pa.table(columns), len(rows) + len(refused), refused, unknown, [], "csv", "utf-8", contract.version)


def context(
    part: str = "batuceper",
    period: Period = OCTOBER,
    received_at: datetime = RECEIVED,
    replaced: gate.Replaced | None = None,
) -> gate.DeliveryContext:
    return gate.DeliveryContext(period, part, received_at, replaced)


def judge_one(
    s: Settings,
    contract: Contract,
    rows: Parsed | Iterable[Mapping[str, str | None]],
    history: Iterable[Mapping] = (),
    *,
    overridden: bool = False,
    **given,
) -> gate.Judgement:
    """Judge a single delivery; further arguments go to its context."""
    one = rows if isinstance(rows, Parsed) else parsed(contract, rows)
    by_person = frozenset({"d"}) if overridden else frozenset()
    return gate.judge(s, contract, {"d": one}, {"d": context(**given)}, list(history), by_person)["d"]


def failures(judgement: gate.Judgement) -> dict[str, int]:
    return {result.rule_code: result.failed for result in judgement.results if result.outcome == "fail"}


def outcome(judgement: gate.Judgement, code: str) -> RuleOutcome:
    return next(result for result in judgement.results if result.rule_code == code)


def delivered(contract: Contract, content: str, part: str = "batuceper", period: Period = OCTOBER) -> Delivery:
    """A delivery as landing would record it."""
    return Delivery(
        delivery_id=deliveries.delivery_id(contract.dataset, part, period, content),
        dataset=contract.dataset,
        part=part,
        period_kind=period.kind,
        period_start=period.start,
        received_at=RECEIVED,
        content_sha256=content,
        bytes=1,
        media="csv",
        origin="agency",
        stored_path="x",
        stored_sha256="x",
    )
