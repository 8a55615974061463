"""A dataset's night: ask for its open periods, land, judge, store; or judge again. Each is a task or a command.

Not here: how any of it is done (extract, judge, trial), the other stages (night).
"""

import time
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from warehouse.core.errors import FetchError, WarehouseError
from warehouse.core.periods import Period
from warehouse.core.redaction import redacted
from warehouse.core.settings import Settings
from warehouse.intake import decisions, trial
from warehouse.intake.decisions import Change
from warehouse.intake.extract import Asked, confirm_asked, extract, open_parts, take_file
from warehouse.intake.judge import Judged, confirm_keys, judge
from warehouse.intake.outcome import IngestOutcome
from warehouse.intake.trial import Trial
from warehouse.ledger import deliveries
from warehouse.ledger.warehouse import Progress, Warehouse, open_for_a_look, open_warehouse
from warehouse.storage.media import media_of


@redacted
def ingest(
    dataset: str,
    logical_date: date,
    *,
    backfill: bool = False,
    s: Settings | None = None,
    progress: Progress | None = None,
) -> IngestOutcome:
    """Everything one dataset does in one night: ask for its open periods, land, judge, store."""
    w = open_warehouse(s, progress)
    return _ingest(w, dataset, open_parts(w, w.contract(dataset), logical_date, backfill=backfill))


@redacted
def ingest_periods(
    dataset: str,
    periods: Sequence[Period],
    parts: Sequence[str] | None = None,
    *,
    s: Settings | None = None,
    progress: Progress | None = None,
) -> IngestOutcome:
    """Extract and judge the given periods, oldest first; ``parts``: only those of each period.

    Raises ConfigError PART_UNKNOWN, before anything is asked.
    """
    w = open_warehouse(s, progress)
    for period in periods:
        for part in parts or ():
            confirm_asked(w, w.contract(dataset), period, part)
    return _ingest(w, dataset, [(period, parts) for period in periods])


@redacted
def ingest_asked(
    dataset: str, questions: Iterable[Asked], *, s: Settings | None = None, progress: Progress | None = None
) -> IngestOutcome:
    """Extract and judge parts of periods, in the order given."""
    return _ingest(open_warehouse(s, progress), dataset, questions)


@redacted
def ingest_file(
    dataset: str, period: Period, part: str, path: Path, media: str | None = None, *, s: Settings | None = None
) -> IngestOutcome:
    """Take a file that came by hand down the same way: land, judge, store, with the same ledger rows."""
    w = open_warehouse(s)
    contract = w.contract(dataset)
    confirm_asked(w, contract, period, part)
    confirm_keys(w, contract)
    start = time.monotonic()
    outcome = IngestOutcome(dataset, periods=[period.label])
    outcome.count_attempts([take_file(w, contract, period, part, path, media or media_of(path))])
    return _judge_landed(w, outcome, start)


@redacted
def try_file(dataset: str, period: Period, part: str, path: Path, *, s: Settings | None = None) -> Trial:
    """What the gate would say of a file; nothing is landed, stored or recorded."""
    w = open_for_a_look(s)
    contract = w.contract(dataset)
    confirm_asked(w, contract, period, part)
    return trial.try_file(w, contract, period, part, path, media_of(path))


@redacted
def extract_open(
    dataset: str,
    logical_date: date,
    *,
    backfill: bool = False,
    is_last_try: bool = True,
    s: Settings | None = None,
) -> IngestOutcome:
    """First half of ``ingest``, for a scheduler that can wait and try again: ask for the open periods and land.

    Raises the error of a part that failed in a way that may pass when this is not the last try, or of the first part
    when nothing could be had at all. A part that has not been published yet is no failure.
    """
    start = time.monotonic()
    w = open_warehouse(s)
    questions = open_parts(w, w.contract(dataset), logical_date, backfill=backfill)
    outcome, errors = _extract(w, dataset, questions)
    passing = [error for error in errors if isinstance(error, FetchError) and error.may_retry]
    if passing and not is_last_try:
        raise passing[0]
    if errors and not (outcome.landed or outcome.unchanged or outcome.missing):
        raise errors[0]
    outcome.seconds = round(time.monotonic() - start, 2)
    return outcome


@redacted
def judge_landed(
    outcome: IngestOutcome, *, s: Settings | None = None, progress: Progress | None = None
) -> IngestOutcome:
    """Second half of ``ingest``: judge whatever of the dataset is landed and not yet judged."""
    return _judge_landed(open_warehouse(s, progress), outcome, time.monotonic() - outcome.seconds)


@redacted
def replay(
    dataset: str, period: Period | None = None, *, s: Settings | None = None, progress: Progress | None = None
) -> Judged:
    """Judge landed deliveries again under the contract of today; the newest verdict counts."""
    return decisions.replay(open_warehouse(s, progress), dataset, period)


@redacted
def rehearse(
    dataset: str, period: Period | None = None, *, s: Settings | None = None, progress: Progress | None = None
) -> list[Change]:
    """What ``replay`` would change; nothing is written."""
    return decisions.rehearse(open_warehouse(s, progress), dataset, period)


def _ingest(w: Warehouse, dataset: str, questions: Iterable[Asked]) -> IngestOutcome:
    start = time.monotonic()
    confirm_keys(w, w.contract(dataset))
    outcome, _errors = _extract(w, dataset, list(questions))
    return _judge_landed(w, outcome, start)


def _extract(w: Warehouse, dataset: str, questions: Sequence[Asked]) -> tuple[IngestOutcome, list[WarehouseError]]:
    """What was had, and why each part failed that was not."""
    outcome = IngestOutcome(dataset, periods=[period.label for period, _parts in questions])
    attempts = extract(w, w.contract(dataset), questions)
    outcome.count_attempts(attempts)
    return outcome, [attempt.error for attempt in attempts if attempt.error and attempt.has_failed]


def _judge_landed(w: Warehouse, outcome: IngestOutcome, start: float) -> IngestOutcome:
    outcome.count_verdicts(judge(w, deliveries.unjudged(w.ledger, outcome.dataset)).verdicts)
    outcome.seconds = round(time.monotonic() - start, 2)
    return outcome
