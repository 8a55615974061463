"""Landed deliveries parsed and judged, what is admitted stored, the verdicts recorded.

Here: which deliveries are judged together, which in a process of its own, that files come before the ledger's row, and
the same without a trace. Not here: reading files (parse), the verdict itself (gate), pseudonyms (vault).
"""

import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import duckdb

from warehouse.core.contract import Contract
from warehouse.core.errors import UnreadableDelivery
from warehouse.core.redaction import described
from warehouse.core.settings import Settings, environment_without_keys
from warehouse.intake import begun, erased, gate
from warehouse.intake.parse import Parsed, one_process, parse
from warehouse.intake.parse.apart import MEMORY_BYTES, SECONDS, limit_memory
from warehouse.ledger import deliveries, new_id
from warehouse.ledger.deliveries import Decision, Delivery, LakeFile, Verdict, VerdictKind
from warehouse.ledger.warehouse import Warehouse, open_warehouse
from warehouse.storage import keys, lake, landing, vault

# Deliveries that a person admitted, with the decision that is still to be recorded; None where it is on record.
Overridden = Mapping[str, Decision | None]
NOBODYS: Overridden = {}
# A full disk, a missing key or list: faults of this machine, never of a delivery.
_OURS = (OSError, duckdb.IOException)
# Deliveries are judged together until their bytes reach this sum: one Great Expectations run costs about as much
# for forty small files as for one, and memory must stay bounded for the large ones.
GROUP_BYTES = 64 * 1024 * 1024


def confirm_keys(w: Warehouse, contract: Contract) -> None:
    """Refuse a missing or wrong key of those that judging a dataset takes; raises ConfigError KEYS_*."""
    keys.confirm(w.settings, w.ledger, *(keys.USES if contract.identity_columns else ("landing",)))
    keys.landing_identity(w.settings)


@dataclass
class Judged:
    """What judging came to. ``lost``: judged before, and our copy cannot be read now; the verdict it has stands."""

    verdicts: list[Verdict] = field(default_factory=list)
    lost: dict[str, landing.LostCopy] = field(default_factory=dict)


def judge(w: Warehouse, landed: Iterable[Delivery], *, overridden: Overridden = NOBODYS) -> Judged:
    """Parse and judge deliveries, store what is admitted, and record the verdicts, oldest period first.

    A delivery in ``overridden`` was admitted by a person: what would hold it is recorded and does not.
    """
    in_order = _in_order(landed)
    outcome = Judged()
    suspects = begun.left(w.settings) & {one.delivery_id for one in in_order}
    for group in _groups(in_order, suspects):
        with keys.shared_lock(w.settings), begun.marked(w.settings, [one.delivery_id for one in group]):
            if group[0].delivery_id in suspects:
                _judge_apart(w, group, overridden, outcome)
            else:
                _judge_group(w, group, overridden, outcome)
        w.progress(f"{group[0].dataset}: {len(outcome.verdicts) + len(outcome.lost)}/{len(in_order)}")
    begun.forget(w.settings, suspects)
    return outcome


def rehearse(
    w: Warehouse, landed: Iterable[Delivery], *, overridden: frozenset[str] = frozenset()
) -> Iterator[tuple[Delivery, gate.Judgement | UnreadableDelivery]]:
    """What judging deliveries would come to now, one after the other; nothing is stored or recorded.

    Each is compared with the profiles on record: a real run compares later periods with what it found of earlier ones.
    """
    for group in _groups(_in_order(landed)):
        contract = w.contract(group[0].dataset)
        confirm_keys(w, contract)
        with keys.shared_lock(w.settings):
            parsed: dict[str, Parsed] = {}
            for delivery in group:
                try:
                    parsed[delivery.delivery_id] = read_as_sent(
                        w, contract, landing.read(w.settings, delivery), delivery.media
                    )
                except UnreadableDelivery as error:
                    yield delivery, error
            judgements = assess(w, contract, group, parsed, overridden)
        for delivery in group:
            if delivery.delivery_id in judgements:
                yield delivery, judgements[delivery.delivery_id]


def read_as_sent(w: Warehouse, contract: Contract, data: bytes, media: str) -> Parsed:
    """The rows of a file that is only looked at, without those of erased persons; raises UnreadableDelivery."""
    return erased.without_erased(w.settings, contract, parse(contract, data, media))


def assess(
    w: Warehouse,
    contract: Contract,
    group: Sequence[Delivery],
    parsed: Mapping[str, Parsed],
    overridden: frozenset[str] = frozenset(),
) -> dict[str, gate.Judgement]:
    """The gate's word on what could be read of a group of one period, compared with what is on record before it."""
    if not parsed:
        return {}
    context = {key: one for key, one in _contexts(w, contract, group).items() if key in parsed}
    history = deliveries.profiles_before(w.ledger, contract.dataset, group[0].period_start)
    return each_by_itself(parsed, lambda some: gate.judge(w.settings, contract, some, context, history, overridden))


def _contexts(w: Warehouse, contract: Contract, group: Sequence[Delivery]) -> dict[str, gate.DeliveryContext]:
    """What is known of each delivery of one period besides its bytes."""
    is_replacing = contract.extras.delivery_mode == "snapshot"
    counting = deliveries.counting(w.ledger, group[0]) if is_replacing else []
    repeated = deliveries.sent_for_another_period(w.ledger, group)
    contexts = {}
    for one in group:
        older = [
            row
            for row in counting
            if row["part"] == one.part
            and row["delivery_id"] != one.delivery_id
            and row["received_at"] < one.received_at
        ]
        replaced = None
        if older:
            profile = older[-1]["profile"] or {}
            replaced = gate.Replaced(older[-1]["rows_admitted"], profile.get("share_set_aside"))
        contexts[one.delivery_id] = gate.DeliveryContext(
            one.period, one.part, one.received_at, replaced, is_repeated=one.delivery_id in repeated
        )
    return contexts


def each_by_itself(
    parsed: Mapping[str, Parsed], judge_some: Callable[[Mapping[str, Parsed]], dict[str, gate.Judgement]]
) -> dict[str, gate.Judgement]:
    """Judge together; where that fails, each alone, so that one delivery's values end no other's judgement.

    A fault that the contract shows without any row is not the delivery's, and is raised.
    """
    try:
        return judge_some(parsed)
    except _OURS:
        raise
    except Exception as error:
        if len(parsed) > 1:
            return {
                key: one for name in parsed for key, one in each_by_itself({name: parsed[name]}, judge_some).items()
            }
        ((key, one),) = parsed.items()
        judge_some({key: replace(one, table=one.table.slice(0, 0), refused=[], rows_read=0)})
        return {key: gate.unforeseen(one, described(error))}


def _in_order(landed: Iterable[Delivery]) -> list[Delivery]:
    return sorted(landed, key=lambda one: (one.dataset, one.period_start, one.part, one.received_at))


def _groups(in_order: list[Delivery], suspects: Collection[str] = ()) -> Iterator[list[Delivery]]:
    """Groups of one dataset and one period, so that a period's profile is there before the next one is judged.

    None of ``suspects`` is in a group with others.
    """
    group: list[Delivery] = []
    for one in in_order:
        first = group[0] if group else one
        is_same = (one.dataset, one.period_start) == (first.dataset, first.period_start)
        is_same &= (one.delivery_id in suspects) == (first.delivery_id in suspects)
        if group and (not is_same or sum(other.bytes for other in group) + one.bytes > GROUP_BYTES):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _judge_group(w: Warehouse, group: list[Delivery], overridden: Overridden, outcome: Judged) -> None:
    contract = w.contract(group[0].dataset)
    confirm_keys(w, contract)
    start = time.monotonic()
    parsed: dict[str, Parsed] = {}
    with one_process():
        for delivery in group:
            try:
                content = parse(contract, landing.read(w.settings, delivery), delivery.media)
                parsed[delivery.delivery_id] = erased.filter_erased(w.settings, w.ledger, contract, delivery, content)
            except landing.LostCopy as error:
                if deliveries.is_judged(w.ledger, delivery.delivery_id):
                    outcome.lost[delivery.delivery_id] = error
                else:
                    outcome.verdicts.append(_record_unreadable(w, contract, delivery, error))
            except UnreadableDelivery as error:
                outcome.verdicts.append(_record_unreadable(w, contract, delivery, error))
    judgements = assess(w, contract, group, parsed, frozenset(overridden))
    if not judgements:
        return
    by_id = {delivery.delivery_id: delivery for delivery in group}
    seconds = (time.monotonic() - start) / len(parsed)
    with vault.splitting(w.settings, contract) as connection:
        for key, judgement in judgements.items():
            version = contract.of_version(parsed[key].version)
            version, decision = contract.of_version(parsed[key].version), overridden.get(key)
            verdict = _record_judgement(w, connection, version, by_id[key], judgement, seconds, decision)
            outcome.verdicts.append(verdict)


def _judge_apart(w: Warehouse, group: list[Delivery], overridden: Overridden, outcome: Judged) -> None:
    """Judge what a process has died with in another than ours: together, then each alone; held where that dies too."""
    try:
        # Settings may hold keys: not for a command line or the environment.
        process = subprocess.run(
            [sys.executable, "-m", "warehouse.intake"],
            input=pickle.dumps((w.settings, group, overridden)),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
            env=environment_without_keys(),
        )
        code: int | None = process.returncode
    except subprocess.TimeoutExpired:
        code = None
    if code == 0:
        result: Judged = pickle.loads(process.stdout)  # noqa: S301 - written by our own process
        outcome.verdicts += result.verdicts
        outcome.lost |= result.lost
    elif code == 1:
        # It raised an error, as it will here.
        _judge_group(w, group, overridden, outcome)
    elif len(group) > 1:
        for delivery in group:
            _judge_apart(w, [delivery], overridden, outcome)
    else:
        outcome.verdicts.append(_record_unreadable(w, w.contract(group[0].dataset), group[0], _ended_twice(code)))


def judge_here(s: Settings, group: list[Delivery], overridden: Overridden) -> Judged:
    """Judge a group with no more memory than its reader may take; what its end means is told by whoever waits."""
    limit_memory(MEMORY_BYTES)
    outcome = Judged()
    _judge_group(open_warehouse(s), group, overridden, outcome)
    return outcome


def _ended_twice(code: int | None) -> UnreadableDelivery:
    ending = f"time limit {SECONDS:.0f} s" if code is None else f"signal {-code}" if code < 0 else f"code {code}"
    return UnreadableDelivery(
        "JUDGE_ENDED_PROCESS",
        f"Kiriman tidak dapat dinilai: dua kali proses yang menilainya berakhir ({ending}).",
        f"The delivery could not be judged: the process that judged it has ended twice ({ending}).",
        "Minta berkas baru dari pengirim; teknisi mencari sebabnya lalu menilai ulang.",
        "Ask the sender for a new file; an engineer looks for the cause and judges again.",
    )


def _record_unreadable(w: Warehouse, contract: Contract, delivery: Delivery, error: UnreadableDelivery) -> Verdict:
    verdict = Verdict(
        verdict_id=new_id(),
        delivery_id=delivery.delivery_id,
        contract_version=contract.version,
        contract_sha256=contract.sha256,
        judged_at=w.clock.stamp(),
        verdict=VerdictKind.HELD,
        reason_code=error.code,
        message_id=f"{error.message_id} {error.action_id}".strip(),
        message_en=f"{error.message_en} {error.action_en}".strip(),
    )
    deliveries.record_verdict(w.ledger, delivery, verdict)
    return verdict


def _record_judgement(
    w: Warehouse,
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    delivery: Delivery,
    judgement: gate.Judgement,
    seconds: float,
    decision: Decision | None,
) -> Verdict:
    verdict_id = new_id()
    files = _stored(w, connection, contract, delivery, verdict_id, judgement)
    verdict = Verdict(
        verdict_id=verdict_id,
        delivery_id=delivery.delivery_id,
        contract_version=contract.version,
        contract_sha256=contract.sha256,
        judged_at=w.clock.stamp(),
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
    deliveries.record_verdict(
        w.ledger,
        delivery,
        verdict,
        judgement.results,
        judgement.quarantined,
        files,
        replaces=contract.extras.delivery_mode == "snapshot",
        decision=decision,
    )
    return verdict


def _stored(
    w: Warehouse,
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    delivery: Delivery,
    verdict_id: str,
    judgement: gate.Judgement,
) -> list[LakeFile]:
    """The admitted rows' files in lake and vault, before the ledger names them; none of a held delivery."""
    if judgement.verdict == VerdictKind.HELD or judgement.admitted is None:
        return []
    files = []
    rows, identities = vault.pseudonymise(connection, contract, delivery, judgement.admitted)
    if identities is not None:
        file = vault.store(w.settings, connection, contract, delivery.delivery_id, verdict_id, identities)
        files.append(LakeFile("vault", **asdict(file)))
    file = lake.write(w.settings, contract, delivery.delivery_id, verdict_id, rows)
    files.append(LakeFile("lake", **asdict(file)))
    return files
