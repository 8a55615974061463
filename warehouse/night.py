"""The steps of a night in order. DAG tasks and commands call only this module.

Here: which step follows which, and one ledger row for each outcome. Not here: how to fetch, parse, judge, store,
build or release (each has its room), nor schedules (``dags/``).

Every step may be killed anywhere and run again: files come first under content-addressed names, the ledger commits
last, and a step starts by asking the ledger what is still missing.
"""

import fcntl
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
import sqlalchemy as sa

from warehouse import build, ledger, linkage, release, report, scan
from warehouse.core.contract import Contract, get_contract, load_contracts
from warehouse.core.errors import BuildError, ConfigError, FetchError, ReleaseError, UnreadableDelivery, WarehouseError
from warehouse.core.periods import Period, open_periods
from warehouse.core.redaction import discreet
from warehouse.core.settings import Settings, get_settings
from warehouse.intake import agencies, gate
from warehouse.intake.parse import Parsed, parse
from warehouse.ledger import Ledger, deliveries, tables
from warehouse.ledger.deliveries import Delivery, LakeFile, Verdict, VerdictKind
from warehouse.privacy import erasure, rotation
from warehouse.privacy.subject_lookup import Person
from warehouse.storage import keys, lake, landing, vault
from warehouse.storage.media import media_of

log = logging.getLogger(__name__)

Outcome = Literal["admitted", "unchanged", "held", "failed"]
Progress = Callable[[str], None]
# A period and the parts asked for; None: all of them.
Asked = tuple[Period, Sequence[str] | None]

# Deliveries are judged together until their bytes reach this sum: one Great Expectations run costs about as much
# for forty small files as for one, and memory must stay bounded for the large ones.
GROUP_BYTES = 64 * 1024 * 1024

# After so many parts in a row that found nobody at home, the rest of the parts are not waited for.
SILENT_PARTS = 2


@dataclass
class IngestOutcome:
    """What one ingest did: counts and codes only, safe for logs and XCom."""

    dataset: str
    outcome: Outcome = "unchanged"
    periods: list[str] = field(default_factory=list)
    landed: int = 0
    unchanged: int = 0
    missing: int = 0
    failed: int = 0
    accepted: int = 0
    held: int = 0
    rows_admitted: int = 0
    rows_quarantined: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


# --- extract


@discreet
def extract(
    dataset: str,
    period: Period,
    parts: Sequence[str] | None = None,
    *,
    s: Settings | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Ask the agency for each part of a period and land what it sends; one ledger row per attempt."""
    s = s or get_settings()
    led = ledger.open_ledger(s)
    contract = get_contract(s.contracts_dir, dataset)
    keys.confirm(s, led, "landing")
    attempts = []
    silent: list[FetchError] = []
    with landing.spool(s) as spool:
        for part in parts or agencies.parts(s, contract):
            started = s.wall_clock()
            try:
                if len(silent) == SILENT_PARTS:
                    raise silent[-1]
                fetched = agencies.fetch(s, contract, part, period, spool, progress)
                landed = landing.land(s, led, contract, part, period, fetched.path, fetched.media, "agency")
                landing.shred(fetched.path)
                outcome = {
                    "outcome": "landed" if landed.is_new else "unchanged",
                    "attempts": fetched.attempts,
                    "bytes": fetched.bytes,
                    "delivery_id": landed.delivery_id,
                }
                silent.clear()
            except WarehouseError as error:
                outcome = {"outcome": _failed_fetch(error), **_error_fields(error)}
                if error.code != "FETCH_UNREACHABLE":
                    silent.clear()
                elif len(silent) < SILENT_PARTS:
                    silent.append(error)
            attempts.append(_record_fetch(s, led, contract, part, period, "agency", started, outcome))
    return attempts


def _failed_fetch(error: WarehouseError) -> str:
    if isinstance(error, FetchError):
        return {"FETCH_NOT_AVAILABLE": "not_available", "FETCH_REFUSED": "refused"}.get(error.code, "failed")
    return "refused"


def _error_fields(error: WarehouseError) -> dict[str, str]:
    return {
        "error_code": error.code,
        "message_id": error.message_id,
        "message_en": error.message_en,
        "action_id": error.action_id,
        "action_en": error.action_en,
    }


def _record_fetch(
    s: Settings,
    led: Ledger,
    contract: Contract,
    part: str,
    period: Period,
    origin: str,
    started: datetime,
    outcome: dict[str, Any],
) -> dict[str, Any]:
    row = {
        "fetch_id": ledger.new_id(),
        "dataset": contract.dataset,
        "part": part,
        "period_kind": period.kind,
        "period_start": period.start,
        "origin": origin,
        "started_at": started,
        "ended_at": s.wall_clock(),
        "attempts": 1,
        **outcome,
    }
    led.insert(tables.fetches, row)
    return row


# --- judge


@discreet
def judge(
    delivery_ids: Iterable[str],
    *,
    overridden: frozenset[str] = frozenset(),
    s: Settings | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Parse and judge landed deliveries, store what is admitted, and record the verdicts. Returns the verdict rows."""
    s = s or get_settings()
    led = ledger.open_ledger(s)
    rows = [deliveries.one(led, identifier) for identifier in delivery_ids]
    verdicts = []
    for group in _groups(rows):
        with keys.held(s):
            verdicts += _judge_group(s, led, group, overridden)
        if progress:
            progress(f"{group[0].dataset}: {len(verdicts)}/{len(rows)}")
    return verdicts


def _confirm_keys(s: Settings, led: Ledger, contract: Contract) -> None:
    """Refuse a missing or wrong key of those that judging a dataset takes; raises ConfigError KEYS_*."""
    keys.confirm(s, led, *(keys.USES if contract.identity_columns else ("landing",)))
    keys.landing_identity(s)


def _groups(rows: list[Delivery]) -> Iterable[list[Delivery]]:
    """Groups of one dataset and one period, so that a period's profile is there before the next one is judged."""
    rows = sorted(rows, key=lambda row: (row.dataset, row.period_start, row.part, row.received_at))
    group: list[Delivery] = []
    for row in rows:
        first = group[0] if group else row
        same = (row.dataset, row.period_start) == (first.dataset, first.period_start)
        if group and (not same or sum(r.bytes for r in group) + row.bytes > GROUP_BYTES):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _judge_group(s: Settings, led: Ledger, group: list[Delivery], overridden: frozenset[str]) -> list[dict[str, Any]]:
    contract = get_contract(s.contracts_dir, group[0].dataset)
    _confirm_keys(s, led, contract)
    started = time.monotonic()
    parsed: dict[str, Parsed] = {}
    verdicts = []
    for row in group:
        try:
            read = parse(contract, landing.read(s, row), row.media)
            parsed[row.delivery_id] = erasure.keep_out(s, led, contract, row, read)
        except UnreadableDelivery as error:
            verdicts.append(_record_unreadable(s, led, contract, row, error))
    context = {
        row.delivery_id: gate.DeliveryContext(period=row.period, part=row.part, received_at=row.received_at)
        for row in group
        if row.delivery_id in parsed
    }
    if not parsed:
        return verdicts
    history = deliveries.profiles_before(led, contract.dataset, group[0].period_start)
    judgements = gate.judge(s, contract, parsed, context, history, overridden)
    seconds = (time.monotonic() - started) / len(parsed)
    by_id = {row.delivery_id: row for row in group}
    with vault.splitting(s, contract) as connection:
        for delivery_id, judgement in judgements.items():
            verdicts.append(_record_judgement(s, led, connection, contract, by_id[delivery_id], judgement, seconds))
    return verdicts


def _record_unreadable(
    s: Settings, led: Ledger, contract: Contract, delivery: Delivery, error: WarehouseError
) -> dict[str, Any]:
    verdict = Verdict(
        verdict_id=ledger.new_id(),
        delivery_id=delivery.delivery_id,
        contract_version=contract.version,
        judged_at=s.wall_clock(),
        verdict=VerdictKind.HELD,
        reason_code=error.code,
        message_id=f"{error.message_id} {error.action_id}".strip(),
        message_en=f"{error.message_en} {error.action_en}".strip(),
    )
    deliveries.record_verdict(led, delivery, verdict)
    return asdict(verdict)


def _record_judgement(
    s: Settings,
    led: Ledger,
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    delivery: Delivery,
    judgement: gate.Judgement,
    seconds: float,
) -> dict[str, Any]:
    verdict_id = ledger.new_id()
    delivery_id = delivery.delivery_id
    stored = []
    if judgement.verdict != "held" and judgement.admitted is not None:
        rows, identities = vault.pseudonymise(connection, contract, delivery, judgement.admitted)
        if identities is not None:
            file = vault.store(s, connection, contract, delivery_id, verdict_id, identities)
            stored.append(LakeFile("vault", **asdict(file)))
        stored.append(LakeFile("lake", **asdict(lake.write(s, contract, delivery_id, verdict_id, rows))))
    verdict = Verdict(
        verdict_id=verdict_id,
        delivery_id=delivery_id,
        contract_version=contract.version,
        judged_at=s.wall_clock(),
        verdict=judgement.verdict,
        reason_code=judgement.reason_code,
        message_id=judgement.message_id,
        message_en=judgement.message_en,
        checks_run=judgement.checks_run,
        rows_read=judgement.rows_read,
        rows_admitted=judgement.rows_admitted,
        rows_quarantined=judgement.rows_quarantined,
        rows_refused=judgement.rows_refused,
        seconds=seconds,
        profile=judgement.profile,
    )
    deliveries.record_verdict(led, delivery, verdict, judgement.results, judgement.quarantined, stored)
    return asdict(verdict)


# --- a dataset's night


@discreet
def ingest(
    dataset: str,
    logical_date: date,
    *,
    backfill: bool = False,
    s: Settings | None = None,
    progress: Progress | None = None,
) -> IngestOutcome:
    """Everything one dataset does in one night: ask for its open periods, land, judge, store."""
    s = s or get_settings()
    return ingest_asked(dataset, _open_parts(s, dataset, logical_date, backfill), s=s, progress=progress)


@discreet
def ingest_periods(
    dataset: str,
    periods: Sequence[Period],
    parts: Sequence[str] | None = None,
    *,
    s: Settings | None = None,
    progress: Progress | None = None,
) -> IngestOutcome:
    """Extract and judge the given periods, oldest first; ``parts``: only those of each period."""
    return ingest_asked(dataset, [(period, parts) for period in periods], s=s, progress=progress)


@discreet
def ingest_asked(
    dataset: str, asked: Iterable[Asked], *, s: Settings | None = None, progress: Progress | None = None
) -> IngestOutcome:
    """Extract and judge parts of periods, in the order given."""
    s = s or get_settings()
    started = time.monotonic()
    _confirm_keys(s, ledger.open_ledger(s), get_contract(s.contracts_dir, dataset))
    result, _errors = _extract_asked(dataset, asked, s=s, progress=progress)
    judge_landed(result, s=s, progress=progress)
    result.seconds = round(time.monotonic() - started, 2)
    return result


@discreet
def extract_open(
    dataset: str,
    logical_date: date,
    *,
    backfill: bool = False,
    is_last_try: bool = True,
    s: Settings | None = None,
) -> IngestOutcome:
    """First half of ``ingest``, for a scheduler that can wait and try again: ask for the open periods and land.

    Raises FetchError when a part failed in a way that may pass and this is not the last try, or when nothing could be
    had at all. A part that has not been published yet is no failure.
    """
    s = s or get_settings()
    started = time.monotonic()
    result, errors = _extract_asked(dataset, _open_parts(s, dataset, logical_date, backfill), s=s)
    passing = [error for error in errors if error.may_retry]
    if passing and not is_last_try:
        raise passing[0]
    if errors and not (result.landed or result.unchanged or result.missing):
        raise errors[0]
    result.seconds = round(time.monotonic() - started, 2)
    return result


@discreet
def judge_landed(
    result: IngestOutcome, *, s: Settings | None = None, progress: Progress | None = None
) -> IngestOutcome:
    """Second half of ``ingest``: judge whatever of the dataset is landed and not yet judged."""
    s = s or get_settings()
    started = time.monotonic()
    waiting = [one.delivery_id for one in deliveries.unjudged(ledger.open_ledger(s), result.dataset)]
    for verdict in judge(waiting, s=s, progress=progress):
        _count_verdict(result, verdict)
    result.outcome = _overall(result)
    result.seconds = round(result.seconds + time.monotonic() - started, 2)
    return result


def _open_parts(s: Settings, dataset: str, logical_date: date, backfill: bool) -> list[Asked]:
    """What a night asks for, oldest period first: each part by its own due day."""
    contract = get_contract(s.contracts_dir, dataset)
    extras = contract.extras
    parts = agencies.parts(s, contract)
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


def _extract_asked(
    dataset: str, asked: Iterable[Asked], *, s: Settings | None = None, progress: Progress | None = None
) -> tuple[IngestOutcome, list[FetchError]]:
    asked = list(asked)
    result = IngestOutcome(dataset, periods=[period.label for period, _parts in asked])
    errors = []
    for attempt in (a for period, parts in asked for a in extract(dataset, period, parts, s=s, progress=progress)):
        _count_attempt(result, attempt)
        if attempt["outcome"] in ("failed", "refused"):
            fields = ("error_code", "message_id", "message_en", "action_id", "action_en")
            errors.append(FetchError(*(attempt[name] for name in fields)))
    return result, errors


@discreet
def ingest_file(
    dataset: str, period: Period, part: str, path, media: str | None = None, *, s: Settings | None = None
) -> IngestOutcome:
    """Take a file that came by hand down the same way: land, judge, store, with the same ledger rows."""
    s = s or get_settings()
    led = ledger.open_ledger(s)
    contract = get_contract(s.contracts_dir, dataset)
    if (known := agencies.parts(s, contract)) and part not in known:
        raise ConfigError(
            "PART_UNKNOWN",
            f"Bagian {part!r} tidak dikenal untuk {dataset}.",
            f"Part {part!r} is not known for {dataset}.",
            f"Pilih salah satu: {', '.join(known)}.",
            f"Choose one of: {', '.join(known)}.",
        )
    _confirm_keys(s, led, contract)
    if period.kind != contract.extras.period_kind:
        raise ConfigError(
            "PERIOD_KIND_WRONG",
            f"{dataset} memakai periode {contract.extras.period_kind}, bukan {period.kind}.",
            f"{dataset} comes by {contract.extras.period_kind}, not by {period.kind}.",
            "Ubah --period.",
            "Change --period.",
        )
    started_at, started = s.wall_clock(), time.monotonic()
    result = IngestOutcome(dataset, periods=[period.label])
    try:
        landed = landing.land(s, led, contract, part, period, path, media or media_of(path), "hand")
    except WarehouseError as error:
        attempt = {"outcome": "refused", **_error_fields(error)}
    else:
        attempt = {
            "outcome": "landed" if landed.is_new else "unchanged",
            "bytes": path.stat().st_size,
            "delivery_id": landed.delivery_id,
        }
    _count_attempt(result, _record_fetch(s, led, contract, part, period, "hand", started_at, attempt))
    judge_landed(result, s=s)
    result.seconds = round(time.monotonic() - started, 2)
    return result


def _count_attempt(result: IngestOutcome, attempt: dict[str, Any]) -> None:
    counter = {"landed": "landed", "unchanged": "unchanged", "not_available": "missing"}.get(
        attempt["outcome"], "failed"
    )
    setattr(result, counter, getattr(result, counter) + 1)
    if counter == "failed":
        result.errors.append(f"{attempt['part']}: {attempt['error_code']}: {attempt['message_en']}")


def _count_verdict(result: IngestOutcome, verdict: dict[str, Any]) -> None:
    if verdict["verdict"] == "held":
        result.held += 1
        result.errors.append(f"{verdict['delivery_id'][:8]}: {verdict['reason_code']}: {verdict['message_en']}")
    else:
        result.accepted += 1
    result.rows_admitted += verdict["rows_admitted"]
    result.rows_quarantined += verdict["rows_quarantined"]


def _overall(result: IngestOutcome) -> Outcome:
    if result.failed:
        return "failed"
    if result.held:
        return "held"
    return "admitted" if result.accepted else "unchanged"


# --- decisions


def held(*, s: Settings | None = None) -> list[dict[str, Any]]:
    """Held deliveries that wait for a person, oldest first."""
    s = s or get_settings()
    return ledger.open_ledger(s).rows("select * from held_deliveries order by received_at")


def lately_decided(days: int = 30, *, s: Settings | None = None) -> list[str]:
    """Deliveries on which a person or a newer delivery has decided within ``days``."""
    s = s or get_settings()
    recent = sa.select(tables.decisions.c.delivery_id).where(
        tables.decisions.c.decided_at > s.wall_clock() - timedelta(days=days)
    )
    return sorted({row["delivery_id"] for row in ledger.open_ledger(s).rows(recent)})


@discreet
def decide(
    delivery_id: str,
    kind: Literal["admit", "reject"],
    reason: str,
    reason_code: str,
    decided_by: str,
    role: str,
    *,
    s: Settings | None = None,
) -> dict[str, Any]:
    """Record a person's decision on a held delivery and carry it out.

    Admitting judges the delivery again with its stop rules recorded but overridden: rows that a quarantine rule rejects
    stay out. An empty reason is refused. A delivery that cannot be read cannot be admitted.
    """
    s = s or get_settings()
    led = ledger.open_ledger(s)
    waiting = {row["delivery_id"]: row for row in led.rows("select * from held_deliveries")}
    if len(reason.strip()) < 10:
        raise ConfigError(
            "REASON_MISSING",
            "Keputusan tanpa alasan tidak diterima.",
            "A decision without a reason is not accepted.",
            "Tulis alasan sekurangnya sepuluh huruf.",
            "Write a reason of at least ten letters.",
        )
    scan.refuse_identities(reason)
    if delivery_id not in waiting:
        names = ", ".join(sorted(waiting)[:5]) or "-"
        raise ConfigError(
            "NOT_HELD",
            f"Kiriman {delivery_id} tidak sedang ditahan. Yang ditahan: {names}.",
            f"Delivery {delivery_id} is not held. Held are: {names}.",
            "Lihat `warehouse held`.",
            "See `warehouse held`.",
        )
    verdict = {"verdict_id": waiting[delivery_id]["verdict_id"]}
    if kind == "admit":
        (verdict,) = judge([delivery_id], overridden=frozenset({delivery_id}), s=s)
        if verdict["verdict"] == "held":
            raise ConfigError(
                "CANNOT_ADMIT",
                f"Kiriman {delivery_id} tidak dapat diterima: {verdict['message_id']}",
                f"Delivery {delivery_id} cannot be admitted: {verdict['message_en']}",
                "Minta pengirim mengirim ulang berkasnya.",
                "Ask the sender to send the file again.",
            )
    decision = {
        "decision_id": ledger.new_id(),
        "kind": kind,
        "delivery_id": delivery_id,
        "verdict_id": verdict["verdict_id"],
        "reason": reason.strip(),
        "reason_code": reason_code,
        "decided_by": decided_by,
        "decided_by_role": role,
        "decided_at": s.wall_clock(),
    }
    led.insert(tables.decisions, decision)
    return decision


@discreet
def replay(
    dataset: str, period: Period | None = None, *, s: Settings | None = None, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Judge landed deliveries again under the contract of today; the newest verdict counts."""
    s = s or get_settings()
    led = ledger.open_ledger(s)
    get_contract(s.contracts_dir, dataset)
    statement = sa.select(tables.deliveries.c.delivery_id).where(
        tables.deliveries.c.dataset == dataset, tables.deliveries.c.destroyed_at.is_(None)
    )
    if period:
        statement = statement.where(
            tables.deliveries.c.period_kind == period.kind, tables.deliveries.c.period_start == period.start
        )
    admitted_by_hand = {
        row["delivery_id"] for row in led.rows("select delivery_id from decisions where kind = 'admit'")
    }
    return judge(
        [row["delivery_id"] for row in led.rows(statement)],
        overridden=frozenset(admitted_by_hand),
        s=s,
        progress=progress,
    )


def _ingest_one(dataset: str, logical_date: date, s: Settings) -> IngestOutcome:
    return ingest(dataset, logical_date, s=s)


def ingest_all(logical_date: date, pool: Executor, *, s: Settings | None = None) -> Iterator[IngestOutcome]:
    """The night of every dataset, each in a process of ``pool``; outcomes come as they end."""
    s = s or get_settings()
    tasks = [pool.submit(_ingest_one, dataset, logical_date, s) for dataset in datasets(s=s)]
    return (task.result() for task in as_completed(tasks))


# --- marts


@discreet
def marts(logical_date: date, *, s: Settings | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Link, build, gate, release and report. After a stop the last release stays current; ops and report go on."""
    s = s or get_settings()
    led = ledger.open_ledger(s)
    started = time.monotonic()
    with _Stages(s, progress) as stages:
        detail: dict[str, Any] = {"stages": stages.seconds}
        keys.confirm(s, led, *keys.USES)
        if erasure.is_pending(s, led):
            stages.run("erase", lambda say: erasure.complete(s, led, say))
        with keys.held(s), _recorded_night(s, led, logical_date) as record:
            try:
                if linkage.is_there(s) and build.is_up_to_date(s, led, logical_date) and release.is_published(s, led):
                    record["outcome"] = "unchanged"
                else:
                    stages.run("link", lambda _say: linkage.refresh(s, led))
                    built = stages.run("build", lambda say: build.run(s, led, logical_date, progress=say))
                    released = stages.run_steps("release", lambda say: release.publish(s, led, built, say))
                    record["outcome"] = released.outcome
                    detail["release_id"] = released.release_id
            except (BuildError, ReleaseError) as error:
                detail |= _error_fields(error)
                record |= {"outcome": "held", "detail": error.code}
        stages.run("ops", lambda _say: release.refresh_ops(s, led))
        stages.run("report", lambda _say: report.render(s, led))
    return {"outcome": record["outcome"], "seconds": round(time.monotonic() - started, 2), **detail}


class _Stages:
    """Runs the stages of the marts, times them, and says what is being done: to ``progress``, and to ``doing``."""

    def __init__(self, s: Settings, progress: Progress | None):
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._file = _doing_file(s)
        self._file.parent.mkdir(parents=True, exist_ok=True)

    def run(self, name: str, step: Callable[[Progress], Any]) -> Any:
        self._say(name)
        begun = time.monotonic()
        try:
            return step(lambda text: self._say(f"{name} {text}"))
        finally:
            self.seconds[name] = round(time.monotonic() - begun, 2)

    def run_steps(self, name: str, step: Callable[[Progress], Any]) -> Any:
        """Run a stage that says the name of each of its steps as it begins: they are timed too."""
        begun: list[tuple[str, float]] = []
        try:
            return self.run(name, lambda say: step(lambda text: (begun.append((text, time.monotonic())), say(text))))
        finally:
            ends = [at for _text, at in begun[1:]] + [time.monotonic()]
            for (text, at), end in zip(begun, ends, strict=False):
                self.seconds[f"{name} {text}"] = round(end - at, 2)

    def __enter__(self) -> "_Stages":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.unlink(missing_ok=True)

    def _say(self, text: str) -> None:
        self._file.write_text(text, encoding="utf-8")
        if self._progress:
            self._progress(text)


def _doing_file(s: Settings) -> Path:
    return s.tmp_dir / "marts-doing"


def doing(s: Settings) -> str:
    """What the marts step that runs on this home, in whatever process, said last; empty when none runs."""
    try:
        return _doing_file(s).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


@contextmanager
def _recorded_night(s: Settings, led: Ledger, logical_date: date) -> Iterator[dict[str, Any]]:
    """One ledger row for a run of the marts step; yields what is written into it at the end.

    A night holds a lock on a file of its own while it runs: a row that says ``running`` and whose file nobody holds is
    of a night that was killed, and is closed as failed by the next.
    """
    folder = s.tmp_dir / "nights"
    folder.mkdir(parents=True, exist_ok=True)
    running = led.rows(sa.select(tables.nights.c.night_id).where(tables.nights.c.outcome == "running"))
    for row in running:
        with (folder / row["night_id"]).open("w") as handle, suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _end_night(s, led, row["night_id"], {"outcome": "failed", "detail": "KILLED"})
            Path(handle.name).unlink()
    night_id, record = ledger.new_id(), {"outcome": "failed", "detail": ""}
    with (folder / night_id).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        led.insert(
            tables.nights,
            {"night_id": night_id, "logical_date": logical_date, "started_at": s.wall_clock(), "outcome": "running"},
        )
        try:
            yield record
        finally:
            _end_night(s, led, night_id, record)
            Path(handle.name).unlink()


def _end_night(s: Settings, led: Ledger, night_id: str, record: dict[str, Any]) -> None:
    with led.write() as connection:
        connection.execute(
            tables.nights.update().where(tables.nights.c.night_id == night_id), record | {"ended_at": s.wall_clock()}
        )


# --- persons and keys


@discreet
def erase(
    person: Person,
    by: str,
    approver: str,
    ground: str,
    reason: str,
    *,
    s: Settings | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Erase a person on a decided request, make a release without them, and prove it; see ``privacy.erasure``."""
    s = s or get_settings()
    say = progress or (lambda _text: None)
    led = ledger.open_ledger(s)
    numbers = erasure.request(s, led, person, by, approver, ground, reason, say)
    return _release_and_prove(s, led, progress, numbers)


@discreet
def resume_erasures(*, s: Settings | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Complete erasures that a kill or a restored backup left open, release, and prove all of them."""
    s = s or get_settings()
    return _release_and_prove(s, ledger.open_ledger(s), progress, scan.NOTHING)


def _release_and_prove(s: Settings, led: Ledger, progress: Progress | None, numbers: scan.Values) -> dict[str, Any]:
    made = marts(s.today(), s=s, progress=progress)
    searched = erasure.prove(s, led, numbers)
    return {"outcome": made["outcome"], "release_id": made.get("release_id"), "searched": searched}


@discreet
def rotate_keys(
    by: str, approver: str, reason: str, *, s: Settings | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Change the keys under all data, then link, build and release under the new pseudonyms."""
    s = s or get_settings()
    done = rotation.rotate(s, ledger.open_ledger(s), by, approver, reason, progress or (lambda _text: None))
    made = marts(s.today(), s=s, progress=progress)
    return done | {"outcome": made["outcome"], "release_id": made.get("release_id")}


def datasets(*, s: Settings | None = None) -> list[str]:
    """Names of all datasets with a contract."""
    return list(load_contracts((s or get_settings()).contracts_dir))


@discreet
def maintenance(*, s: Settings | None = None) -> dict[str, int]:
    """Destroy raw bytes past retention, sweep files no ledger row names, drop old releases."""
    s = s or get_settings()
    led = ledger.open_ledger(s)
    # Alone: a file made again for an erasure or under new keys has no name in the ledger for a moment.
    with keys.alone(s):
        return {
            "destroyed": landing.destroy_expired(s, led, load_contracts(s.contracts_dir)),
            "swept": landing.sweep(s, led) + lake.sweep(s, led),
            "releases_removed": release.retain(s, led) + release.retain_internal(s, led),
        }
