"""Asking the agencies, or taking a file that came by hand, and landing what comes: one recorded attempt each.

The unit of failure is the part: whatever goes wrong with one, foreseen or not, is its own row with the attempts really
made, and the others are asked. What all parts of a dataset may take together is bounded by ``LONGEST_SECONDS``.

Here: what is asked for and in which order, and when to stop asking. Not here: wire protocols (agencies), keeping bytes
(landing), judging (judge).
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from warehouse.core.contract import Contract
from warehouse.core.errors import ConfigError, FetchError, WarehouseError
from warehouse.core.periods import Period, open_periods
from warehouse.intake import agencies
from warehouse.intake.agencies.job import where_raised
from warehouse.ledger import deliveries
from warehouse.ledger.deliveries import Attempt, FetchOutcome, Origin
from warehouse.ledger.warehouse import Warehouse
from warehouse.storage import keys, landing

# A period and the parts asked for; None: all of them.
Asked = tuple[Period, Sequence[str] | None]

# After so many parts in a row that got no answer, the rest of the parts are not waited for.
UNREACHABLE_IN_A_ROW = 2
_SILENT = {"FETCH_UNREACHABLE", "FETCH_TIMEOUT"}
# A scheduler ends the task at forty minutes, and what has been landed is then not judged.
LONGEST_SECONDS = 1800.0

_OUTCOMES = {
    "FETCH_NOT_AVAILABLE": FetchOutcome.NOT_AVAILABLE,
    "FETCH_REFUSED": FetchOutcome.REFUSED,
}


def open_parts(w: Warehouse, contract: Contract, logical_date: date, *, backfill: bool) -> list[Asked]:
    """What a night asks for, oldest period first: each part by its own due day."""
    extras = contract.extras
    parts = agencies.parts(w.settings, contract)
    parts_of: dict[Period, list[str]] = {}
    for part in parts:
        for period in open_periods(
            extras.period_kind,
            contract.due_day(part),
            extras.open_days,
            logical_date,
            first_due_day=min(map(contract.due_day, parts)),
            backfill=backfill,
        ):
            parts_of.setdefault(period, []).append(part)
    return sorted(parts_of.items())


@dataclass(frozen=True)
class _Asking:
    """One dataset being asked for. ``unreachable``: errors in a row of a host that did not answer; ``until``: end."""

    w: Warehouse
    contract: Contract
    lines: agencies.Lines
    until: float
    unreachable: list[FetchError] = field(default_factory=list)


def extract(w: Warehouse, contract: Contract, questions: Iterable[Asked]) -> list[Attempt]:
    """Ask the agency for parts of periods, in the order given, and land what it sends; one recorded attempt each."""
    with agencies.open_lines() as lines:
        asking = _Asking(w, contract, lines, time.monotonic() + LONGEST_SECONDS)
        return [one for period, parts in questions for one in _extract_period(asking, period, parts)]


def _extract_period(asking: _Asking, period: Period, parts: Sequence[str] | None) -> list[Attempt]:
    w, contract, unreachable = asking.w, asking.contract, asking.unreachable
    keys.confirm(w.settings, w.ledger, "landing")
    attempts: list[Attempt] = []
    with landing.spool(w.settings) as spool:
        for part in parts or agencies.parts(w.settings, contract):
            first_attempt = _begin(w, contract, period, part, "agency")
            if len(unreachable) == UNREACHABLE_IN_A_ROW or time.monotonic() >= asking.until:
                attempts.append(
                    _end(w, first_attempt, error=unreachable[-1] if unreachable else _no_time(contract), attempts=0)
                )
                continue
            attempt = _ask(asking, first_attempt, spool)
            if isinstance(attempt.error, FetchError) and attempt.error.code in _SILENT:
                unreachable.append(attempt.error)
            else:
                unreachable.clear()
            attempts.append(attempt)
    return attempts


def _ask(asking: _Asking, attempt: Attempt, spool: Path) -> Attempt:
    """What came of asking for one part; only what ends the process is raised."""
    w, contract = asking.w, asking.contract
    try:
        return _fetch(asking, attempt, spool)
    except FetchError as error:
        outcome = _OUTCOMES.get(error.code, FetchOutcome.FAILED)
        return _end(w, attempt, outcome=outcome, error=error, attempts=error.attempts)
    except WarehouseError as error:
        return _end(w, attempt, outcome=FetchOutcome.REFUSED, error=error)
    except Exception as error:
        return _end(w, attempt, error=_unforeseen(contract, error))


def _fetch(asking: _Asking, attempt: Attempt, spool: Path) -> Attempt:
    w, contract = asking.w, asking.contract
    seconds = min(asking.until - time.monotonic(), agencies.LONGEST_SECONDS)
    file = agencies.fetch(
        w.settings, contract, attempt.part, attempt.period, spool, w.progress, seconds, lines=asking.lines
    )
    landed = _land(w, contract, attempt, file.path, file.media)
    landing.shred(file.path)
    return _end(
        w,
        attempt,
        outcome=_outcome(w, landed),
        attempts=file.attempts,
        bytes=file.bytes,
        delivery_id=landed.delivery_id,
    )


def _no_time(contract: Contract) -> FetchError:
    minutes = f"{LONGEST_SECONDS / 60:.0f}"
    return FetchError(
        "FETCH_TIMEOUT",
        f"{contract.extras.agency_name} tidak ditanya lagi: dataset ini sudah memakan {minutes} menit.",
        f"{contract.extras.agency_name} is not asked any more: this dataset has taken {minutes} minutes.",
        "Malam berikutnya mencoba lagi; bila berulang, hubungi pengelola layanan itu.",
        "The next night tries again; if it persists, call the service's operator.",
    )


def _unforeseen(contract: Contract, error: Exception) -> WarehouseError:
    return WarehouseError(
        "EXTRACT_UNFORESEEN",
        f"Kiriman {contract.dataset} tidak dapat disimpan karena sebab yang tidak diduga ({where_raised(error)}).",
        f"The delivery of {contract.dataset} could not be kept for an unforeseen reason ({where_raised(error)}).",
        "Laporkan kepada teknisi data; bagian dan dataset lain tetap berjalan.",
        "Tell the data engineer; other parts and datasets go on.",
    )


def take_file(w: Warehouse, contract: Contract, period: Period, part: str, path: Path, media: str) -> Attempt:
    """Land a file that came by hand, with the same recorded attempt."""
    attempt = _begin(w, contract, period, part, "hand")
    try:
        landed = _land(w, contract, attempt, path, media)
    except WarehouseError as error:
        return _end(w, attempt, outcome=FetchOutcome.REFUSED, error=error)
    return _end(w, attempt, outcome=_outcome(w, landed), bytes=path.stat().st_size, delivery_id=landed.delivery_id)


def _begin(w: Warehouse, contract: Contract, period: Period, part: str, origin: Origin) -> Attempt:
    """An attempt that has come to nothing yet."""
    now = w.clock.stamp()
    return Attempt(contract.dataset, part, period, origin, now, now, FetchOutcome.FAILED)


def _end(w: Warehouse, open_attempt: Attempt, **how: Any) -> Attempt:
    attempt = replace(open_attempt, ended_at=w.clock.stamp(), **how)
    deliveries.record_attempt(w.ledger, attempt)
    return attempt


def _land(w: Warehouse, contract: Contract, attempt: Attempt, path: Path, media: str) -> landing.Landed:
    return landing.land(w.settings, w.ledger, contract, attempt.part, attempt.period, path, media, attempt.origin)


def _outcome(w: Warehouse, landed: landing.Landed) -> FetchOutcome:
    """A delivery whose own attempt was killed before its row has not been on record as landed yet."""
    is_told = not landed.is_new and deliveries.is_attempted(w.ledger, landed.delivery_id)
    return FetchOutcome.UNCHANGED if is_told else FetchOutcome.LANDED


def confirm_asked(w: Warehouse, contract: Contract, period: Period, part: str) -> None:
    """Refuse what a dataset has not; raises ConfigError PART_UNKNOWN or PERIOD_KIND_WRONG."""
    if (names := agencies.parts(w.settings, contract)) and part not in names:
        raise ConfigError(
            "PART_UNKNOWN",
            f"Bagian {part!r} tidak dikenal untuk {contract.dataset}.",
            f"Part {part!r} is not known for {contract.dataset}.",
            f"Pilih salah satu: {', '.join(names)}.",
            f"Choose one of: {', '.join(names)}.",
        )
    if period.kind != contract.extras.period_kind:
        raise ConfigError(
            "PERIOD_KIND_WRONG",
            f"{contract.dataset} memakai periode {contract.extras.period_kind}, bukan {period.kind}.",
            f"{contract.dataset} comes by {contract.extras.period_kind}, not by {period.kind}.",
            "Ubah --period.",
            "Change --period.",
        )
