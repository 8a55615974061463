"""Asking the agencies, or taking a file that came by hand, and landing what comes: one recorded attempt each.

Here: what is asked for and in which order, and when to stop asking. Not here: wire protocols (agencies), keeping bytes
(landing), judging (judge).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from warehouse.core.contract import Contract
from warehouse.core.errors import ConfigError, FetchError, WarehouseError
from warehouse.core.periods import Period, open_periods
from warehouse.intake import agencies
from warehouse.ledger import deliveries
from warehouse.ledger.deliveries import Attempt, FetchOutcome, Origin
from warehouse.ledger.warehouse import Warehouse
from warehouse.storage import keys, landing

# A period and the parts asked for; None: all of them.
Asked = tuple[Period, Sequence[str] | None]

# After so many parts in a row that found nobody at home, the rest of the parts are not waited for.
UNREACHABLE_IN_A_ROW = 2

_OUTCOMES = {
    "FETCH_NOT_AVAILABLE": FetchOutcome.NOT_AVAILABLE,
    "FETCH_REFUSED": FetchOutcome.REFUSED,
}


def open_parts(w: Warehouse, contract: Contract, logical_date: date, *, backfill: bool) -> list[Asked]:
    """What a night asks for, oldest period first: each part by its own due day."""
    extras = contract.extras
    parts = agencies.parts(w.settings, contract)
    asked: dict[Period, list[str]] = {}
    for part in parts:
        for period in open_periods(
            extras.period_kind,
            contract.due_day(part),
            extras.open_days,
            logical_date,
            first_due_day=min(map(contract.due_day, parts)),
            backfill=backfill,
        ):
            asked.setdefault(period, []).append(part)
    return sorted(asked.items())


def extract(w: Warehouse, contract: Contract, asked: Iterable[Asked]) -> list[Attempt]:
    """Ask the agency for parts of periods, in the order given, and land what it sends; one recorded attempt each."""
    return [attempt for period, parts in asked for attempt in _extract_period(w, contract, period, parts)]


def _extract_period(w: Warehouse, contract: Contract, period: Period, parts: Sequence[str] | None) -> list[Attempt]:
    keys.confirm(w.settings, w.ledger, "landing")
    attempts = []
    unreachable: list[FetchError] = []
    with landing.spool(w.settings) as spool:
        for part in parts or agencies.parts(w.settings, contract):
            begun = _begin(w, contract, period, part, "agency")
            try:
                if len(unreachable) == UNREACHABLE_IN_A_ROW:
                    raise unreachable[-1]
                attempt = _fetch(w, contract, begun, spool)
                unreachable.clear()
            except FetchError as error:
                attempt = _end(w, begun, outcome=_OUTCOMES.get(error.code, FetchOutcome.FAILED), error=error)
                if error.code != "FETCH_UNREACHABLE":
                    unreachable.clear()
                elif len(unreachable) < UNREACHABLE_IN_A_ROW:
                    unreachable.append(error)
            except WarehouseError as error:
                attempt = _end(w, begun, outcome=FetchOutcome.REFUSED, error=error)
                unreachable.clear()
            attempts.append(attempt)
    return attempts


def _fetch(w: Warehouse, contract: Contract, begun: Attempt, spool: Path) -> Attempt:
    fetched = agencies.fetch(w.settings, contract, begun.part, begun.period, spool, w.progress)
    landed = _land(w, contract, begun, fetched.path, fetched.media)
    landing.shred(fetched.path)
    return _end(
        w,
        begun,
        outcome=_outcome(landed),
        attempts=fetched.attempts,
        bytes=fetched.bytes,
        delivery_id=landed.delivery_id,
    )


def take_file(w: Warehouse, contract: Contract, period: Period, part: str, path: Path, media: str) -> Attempt:
    """Land a file that came by hand, with the same recorded attempt."""
    begun = _begin(w, contract, period, part, "hand")
    try:
        landed = _land(w, contract, begun, path, media)
    except WarehouseError as error:
        return _end(w, begun, outcome=FetchOutcome.REFUSED, error=error)
    return _end(w, begun, outcome=_outcome(landed), bytes=path.stat().st_size, delivery_id=landed.delivery_id)


def _begin(w: Warehouse, contract: Contract, period: Period, part: str, origin: Origin) -> Attempt:
    """An attempt that has come to nothing yet."""
    now = w.clock.stamp()
    return Attempt(contract.dataset, part, period, origin, now, now, FetchOutcome.FAILED)


def _end(w: Warehouse, begun: Attempt, **how: Any) -> Attempt:
    attempt = replace(begun, ended_at=w.clock.stamp(), **how)
    deliveries.record_attempt(w.ledger, attempt)
    return attempt


def _land(w: Warehouse, contract: Contract, begun: Attempt, path: Path, media: str) -> landing.Landed:
    return landing.land(w.settings, w.ledger, contract, begun.part, begun.period, path, media, begun.origin)


def _outcome(landed: landing.Landed) -> FetchOutcome:
    return FetchOutcome.LANDED if landed.is_new else FetchOutcome.UNCHANGED


def confirm_asked(w: Warehouse, contract: Contract, period: Period, part: str) -> None:
    """Refuse what a dataset has not; raises ConfigError PART_UNKNOWN or PERIOD_KIND_WRONG."""
    if (known := agencies.parts(w.settings, contract)) and part not in known:
        raise ConfigError(
            "PART_UNKNOWN",
            f"Bagian {part!r} tidak dikenal untuk {contract.dataset}.",
            f"Part {part!r} is not known for {contract.dataset}.",
            f"Pilih salah satu: {', '.join(known)}.",
            f"Choose one of: {', '.join(known)}.",
        )
    if period.kind != contract.extras.period_kind:
        raise ConfigError(
            "PERIOD_KIND_WRONG",
            f"{contract.dataset} memakai periode {contract.extras.period_kind}, bukan {period.kind}.",
            f"{contract.dataset} comes by {contract.extras.period_kind}, not by {period.kind}.",
            "Ubah --period.",
            "Change --period.",
        )
