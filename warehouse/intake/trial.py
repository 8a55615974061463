"""A trial: what the gate would say of a file, while nothing is landed, stored or recorded.

Here: the verdict with its rules, and the rows that failed by their place and the shape of what stands there. Not here:
taking a file (extract), any value of it.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warehouse.core.contract import Contract
from warehouse.core.errors import UnreadableDelivery
from warehouse.core.periods import Period
from warehouse.intake.judge import assess, read_as_sent
from warehouse.intake.parse import Parsed
from warehouse.ledger import deliveries
from warehouse.ledger.deliveries import Delivery, Pointer, VerdictKind
from warehouse.ledger.warehouse import Warehouse
from warehouse.storage import landing

# Enough rows of a rule to find the fault.
_ROWS_OF_A_RULE = 10
_LONGEST_SHAPE = 40


@dataclass(frozen=True)
class Trial:
    """What the gate would say. ``rules``: those that failed or could not run; ``rows``: where, and in what shape."""

    verdict: VerdictKind
    reason_code: str | None
    message_id: str | None
    message_en: str | None
    contract_version: str
    rows_read: int = 0
    rows_admitted: int = 0
    rows_quarantined: int = 0
    rows_refused: int = 0
    checks_run: int = 0
    rules: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    unknown_headers: list[str] = field(default_factory=list)


def try_file(w: Warehouse, contract: Contract, period: Period, part: str, path: Path, media: str) -> Trial:
    """Judge the file at ``path`` as if it came today; raises WarehouseError LANDING_BROTLI."""
    landing.refuse_brotli(path)
    data = path.read_bytes()
    delivery = Delivery(
        delivery_id="0" * 32,
        dataset=contract.dataset,
        part=part,
        period_kind=period.kind,
        period_start=period.start,
        received_at=w.clock.now(),
        content_sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        media=media,
        origin="hand",
        stored_path="",
        stored_sha256="",
    )
    try:
        parsed = read_as_sent(w, contract, data, media)
    except UnreadableDelivery as error:
        words = (f"{error.message_id} {error.action_id}".strip(), f"{error.message_en} {error.action_en}".strip())
        return Trial(VerdictKind.HELD, error.code, *words, contract.version)
    judgement = assess(w, contract, [delivery], {delivery.delivery_id: parsed})[delivery.delivery_id]
    return Trial(
        verdict=judgement.verdict,
        reason_code=judgement.reason_code,
        message_id=judgement.message_id,
        message_en=judgement.message_en,
        contract_version=parsed.version,
        rows_read=judgement.rows_read,
        rows_admitted=judgement.rows_admitted,
        rows_quarantined=judgement.rows_quarantined,
        rows_refused=judgement.rows_refused,
        checks_run=judgement.checks_run,
        rules=[_rule(one) for one in judgement.results if one.outcome != "pass"],
        rows=list(_rows(judgement.quarantined, parsed)),
        unknown_headers=parsed.unknown_headers,
    )


def _rule(result: deliveries.RuleOutcome) -> dict[str, Any]:
    return {
        "rule_code": result.rule_code,
        "column": result.column_name,
        "severity": result.severity,
        "outcome": result.outcome,
        "checked": result.checked,
        "failed": result.failed,
    }


def _rows(pointers: list[Pointer], parsed: Parsed) -> Iterator[dict[str, Any]]:
    """The first rows of each rule, where a value stands with the shape of it."""
    places = zip(parsed.table["source_part"].to_pylist(), parsed.table["source_row"].to_pylist(), strict=True)
    index = {place: number for number, place in enumerate(places)}
    rows_of_rule: dict[str, int] = {}
    for pointer in pointers:
        rows_of_rule[pointer.rule_code] = rows_of_rule.get(pointer.rule_code, 0) + 1
        if rows_of_rule[pointer.rule_code] > _ROWS_OF_A_RULE:
            continue
        row = index.get((pointer.source_part, pointer.source_row))
        has_text = row is not None and pointer.column_name in parsed.table.column_names
        yield {
            "rule_code": pointer.rule_code,
            "column": pointer.column_name,
            "source_part": pointer.source_part,
            "source_row": pointer.source_row,
            "shape": shape(parsed.table[pointer.column_name][row].as_py()) if has_text else None,
        }


def shape(text: str | None) -> str | None:
    """What a value looks like and not what it says: ``3671012345678901`` is 9×16, ``Tn. Budi`` is A. A."""
    if text is None:
        return None
    digits = re.sub(r"[0-9]+", lambda run: f"\0{len(run[0])}\1", text)
    letters = "".join("A" if character.isalpha() else character for character in digits)
    whole = re.sub("A+", "A", letters).replace("\0", "9×").replace("\1", "")
    return whole if len(whole) <= _LONGEST_SHAPE else whole[:_LONGEST_SHAPE] + "…"
