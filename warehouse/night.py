"""The stages in order: intake, link, build, publish, ops, report. DAG tasks and commands call only this module.

Here: which stage follows which; each task or command opens the warehouse once and hands it on. Not here: any stage
(each has its room), nor schedules (``dags/``).

Every step may be killed anywhere and run again: files come first under content-addressed names, the ledger commits
last, and a step starts by asking the ledger what is still missing.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from warehouse import build, linkage, release, report, scan
from warehouse.core import files, stages
from warehouse.core.contract import load_contracts
from warehouse.core.errors import BuildError, ReleaseError, WarehouseError
from warehouse.core.redaction import redacted
from warehouse.core.settings import Settings, get_settings
from warehouse.core.stages import Stages
from warehouse.intake import decisions
from warehouse.intake.ingest import extract_open as extract_open
from warehouse.intake.ingest import ingest as ingest
from warehouse.intake.ingest import ingest_asked as ingest_asked
from warehouse.intake.ingest import ingest_file as ingest_file
from warehouse.intake.ingest import ingest_periods as ingest_periods
from warehouse.intake.ingest import judge_landed as judge_landed
from warehouse.intake.ingest import rehearse as rehearse
from warehouse.intake.ingest import replay as replay
from warehouse.intake.ingest import try_file as try_file
from warehouse.intake.outcome import IngestOutcome as IngestOutcome
from warehouse.ledger import approvals, deliveries, nights, open_ledger
from warehouse.ledger.deliveries import Decision, DecisionKind, Held
from warehouse.ledger.warehouse import Progress, Warehouse, open_warehouse
from warehouse.privacy import erasure, rotation
from warehouse.privacy.subject_lookup import Person
from warehouse.storage import keys, lake, landing

_DAY_SECONDS = 86_400.0

# --- intake: every dataset's night


def ingest_all(logical_date: date, pool: Executor, *, s: Settings | None = None) -> Iterator[IngestOutcome]:
    """The night of every dataset, each in a process of ``pool``; outcomes come as they end.

    One that ends in an error, or whose process dies, is the outcome of that dataset: the others' nights, and the marts,
    come all the same.
    """
    s = s or get_settings()
    tasks = {pool.submit(ingest, dataset, logical_date, s=s): dataset for dataset in datasets(s=s)}
    failures = []
    for task in as_completed(tasks):
        try:
            yield _outcome_of(task, tasks[task])
        except BrokenExecutor:
            failures.append(tasks[task])
    # A process that dies takes those of all the others along: they are done again, each in a process of its own.
    for dataset in sorted(failures):
        with ProcessPoolExecutor(1) as alone:
            try:
                yield _outcome_of(alone.submit(ingest, dataset, logical_date, s=s), dataset)
            except BrokenExecutor:
                yield IngestOutcome(dataset, "failed", errors=["PROCESS_DIED: its process was killed or has crashed."])


def _outcome_of(task: Future[IngestOutcome], dataset: str) -> IngestOutcome:
    try:
        return task.result()
    except WarehouseError as error:
        return IngestOutcome(dataset, "failed", errors=[f"{error.code}: {error.message_en}"])


# --- intake: decisions


def held(*, s: Settings | None = None) -> list[Held]:
    """Held deliveries that wait for a person, oldest first."""
    return deliveries.held(open_ledger(s or get_settings()))


def lately_decided(days: int = 30, *, s: Settings | None = None) -> list[str]:
    """Deliveries on which a person or a newer delivery has decided within ``days``."""
    s = s or get_settings()
    return deliveries.decided_since(open_ledger(s), s.clock.stamp() - timedelta(days=days))


@redacted
def decide(
    delivery_id: str,
    kind: str,
    reason: str,
    reason_code: str,
    decided_by: str,
    role: str,
    *,
    s: Settings | None = None,
) -> Decision:
    """Record a person's decision (``admit`` or ``reject``) on a held delivery and carry it out."""
    w = open_warehouse(s)
    return decisions.decide(w, delivery_id, DecisionKind(kind), reason, reason_code, decided_by, role)


@redacted
def withdraw(delivery_id: str, reason: str, decided_by: str, role: str, *, s: Settings | None = None) -> Decision:
    """Take an accepted delivery out of force on the word of two persons; the marts follow with the next build.

    Raises ConfigError APPROVAL_AWAITED until a second person has approved it.
    """
    w = open_warehouse(s)
    scan.refuse_identities(reason)
    decisions.known(w, delivery_id)
    with approvals.approved(w.settings, w.ledger, "withdraw", delivery_id, decided_by, reason) as approver:
        return decisions.withdraw(w, delivery_id, reason, decided_by, approver, role)


@redacted
def reinstate(delivery_id: str, reason: str, decided_by: str, role: str, *, s: Settings | None = None) -> Decision:
    """Undo a withdrawal on the word of two persons; the marts follow with the next build.

    Raises ConfigError APPROVAL_AWAITED until a second person has approved it.
    """
    w = open_warehouse(s)
    scan.refuse_identities(reason)
    decisions.known(w, delivery_id)
    with approvals.approved(w.settings, w.ledger, "reinstate", delivery_id, decided_by, reason) as approver:
        return decisions.reinstate(w, delivery_id, reason, decided_by, approver, role)


# --- link, build, publish, ops, report


@redacted
def marts(
    logical_date: date, *, waits: bool = False, s: Settings | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Link, build, gate, release and report. After a stop the last release stays current; ops and report go on.

    ``waits``: for a run of this step by somebody else, instead of being refused with BUILD_RUNNING.
    """
    return _marts(open_warehouse(s, progress), logical_date, waits=waits)


def _marts(w: Warehouse, logical_date: date, *, waits: bool = False) -> dict[str, Any]:
    s, led = w.settings, w.ledger
    start = time.monotonic()
    keys.confirm(s, led, *keys.USES)
    # A second run of this step would link anew under the feet of the first, and tear its report.
    with build.only_writer(s, waits=waits) as lock, Stages(_doing_file(s), w.progress) as steps:
        detail: dict[str, Any] = {"stages": steps.seconds}
        failures: list[Exception] = []
        night = nights.Night()
        try:
            with nights.recorded(w, logical_date) as night:
                try:
                    if erasure.is_pending(s, led):
                        steps.run("erase", lambda say: erasure.complete(s, led, say))
                    with keys.shared_lock(s):
                        detail |= _link_build_release(w, logical_date, steps, night, lock)
                except (BuildError, ReleaseError) as error:
                    detail |= error.as_dict()
                    night.outcome, night.detail = "held", error.code
        except Exception as error:
            failures.append(error)
        steps_shown: dict[str, Callable[[stages.Say], object]] = {
            "ops": lambda _say: release.refresh_ops(s, led),
            "report": lambda _say: report.render(s, led),
        }
        for name, step in steps_shown.items():
            try:
                steps.run(name, step)
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]
    return {"outcome": night.outcome, "seconds": round(time.monotonic() - start, 2), **detail}


def _link_build_release(
    w: Warehouse, logical_date: date, steps: Stages, night: nights.Night, lock: int
) -> dict[str, Any]:
    """Link, build and release what the ledger holds when this begins; what arrives meanwhile is the next night's."""
    s, led = w.settings, w.ledger
    with led.frozen() as snapshot:
        if linkage.is_there(s) and build.is_up_to_date(s, snapshot, logical_date) and release.is_published(s, led):
            night.outcome = "unchanged"
            return {}
        try:
            steps.run("link", lambda _say: linkage.refresh(s, snapshot))
            new_build = steps.run("build", lambda say: build.run(s, snapshot, logical_date, progress=say, lock=lock))
        except Exception:
            # A damaged file ends an engine in words of its own.
            lake.demand_whole(s, snapshot, w.contracts)
            raise
    release_outcome = steps.run_steps("release", lambda say: release.publish(s, led, new_build, say))
    night.outcome = release_outcome.outcome
    return {"release_id": release_outcome.release_id}


def _doing_file(s: Settings) -> Path:
    return s.tmp_dir / "marts-doing"


def doing(s: Settings) -> str:
    """What the marts step that runs on this home, in whatever process, said last; empty when none runs."""
    return stages.doing(_doing_file(s))


# --- persons and keys: what makes a release of its own


@redacted
def erase(
    person: Person,
    by: str,
    ground: str,
    reason: str,
    *,
    s: Settings | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Erase a person on a decided request, make a release without them, and prove it; see ``privacy.erasure``.

    Raises ConfigError APPROVAL_AWAITED until a second person has approved it: for this person, ground and reason.
    """
    w = open_warehouse(s, progress)
    keys.confirm(w.settings, w.ledger, *keys.USES)
    keys.landing_identity(w.settings)
    erasure.demand_ground(ground, reason)
    about, why = erasure.told_apart(w.settings, person), f"{ground.strip()}: {reason.strip()}"
    with approvals.approved(w.settings, w.ledger, "erase", about, by, why) as approver:
        values = erasure.request(w.settings, w.ledger, person, by, approver, ground, reason, w.progress)
    return _release_and_prove(w, values)


@redacted
def resume_erasures(*, s: Settings | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Complete erasures that a kill or a restored backup left open, release, and prove all of them."""
    return _release_and_prove(open_warehouse(s, progress), scan.NOTHING)


def _release_and_prove(w: Warehouse, numbers: scan.Values) -> dict[str, Any]:
    marts_outcome = _marts(w, w.clock.today())
    proof = erasure.prove(w.settings, w.ledger, numbers)
    return {"outcome": marts_outcome["outcome"], "release_id": marts_outcome.get("release_id"), "searched": proof}


@redacted
def rotate_keys(by: str, reason: str, *, s: Settings | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Change the keys under all data, then link, build and release under the new pseudonyms.

    Raises ConfigError APPROVAL_AWAITED until a second person has approved it.
    """
    w = open_warehouse(s, progress)
    keys.confirm(w.settings, w.ledger, *keys.USES)
    keys.landing_identity(w.settings)
    scan.refuse_identities(reason)
    with approvals.approved(w.settings, w.ledger, "rotate_keys", "", by, reason) as approver:
        rotation_outcome = rotation.rotate(w.settings, w.ledger, by, approver, reason, w.progress)
    marts_outcome = _marts(w, w.clock.today())
    return rotation_outcome | {"outcome": marts_outcome["outcome"], "release_id": marts_outcome.get("release_id")}


# --- keeping


def datasets(*, s: Settings | None = None) -> list[str]:
    """Names of all datasets with a contract."""
    return list(load_contracts((s or get_settings()).contracts_dir))


@redacted
def maintenance(*, s: Settings | None = None) -> dict[str, int]:
    """Destroy raw bytes past retention, sweep files no ledger row names, drop old releases.

    ``taken_in``: deliveries and releases of which the ledger had lost the rows. ``unknown``: files that it does not
    name and that nobody can tell; they stay where they are.
    """
    w = open_warehouse(s)
    s, led = w.settings, w.ledger
    # Alone: a file made again for an erasure or under new keys has no name in the ledger for a moment.
    with keys.exclusive_lock(s):
        destroyed = landing.destroy_expired(s, led, w.contracts)
        landed, n_stored = landing.sweep(s, led), lake.sweep(s, led)
        drafts = sum(files.sweep_drafts(folder, older_than=_DAY_SECONDS) for folder in (s.home, s.vault_dir))
        return {
            "destroyed": destroyed,
            "swept": landed.removed + n_stored.removed + drafts,
            "taken_in": landed.taken_in + release.take_in(s, led),
            "unknown": len(landed.unknown) + len(n_stored.unknown),
            "releases_removed": release.retain(s, led) + release.retain_internal(s, led),
        }
