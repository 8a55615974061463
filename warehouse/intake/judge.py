"""Landed deliveries parsed and judged, what is admitted stored, the verdicts recorded.

Here: which deliveries are judged together, and that files come before the ledger's row. Not here: reading files
(parse), the verdict itself (gate), pseudonyms (vault).
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict

import duckdb

from warehouse.core.contract import Contract
from warehouse.core.errors import UnreadableDelivery
from warehouse.intake import erased, gate
from warehouse.intake.parse import Parsed, parse
from warehouse.ledger import deliveries, new_id
from warehouse.ledger.deliveries import Delivery, LakeFile, Verdict, VerdictKind
from warehouse.ledger.warehouse import Warehouse
from warehouse.storage import keys, lake, landing, vault

# Deliveries are judged together until their bytes reach this sum: one Great Expectations run costs about as much
# for forty small files as for one, and memory must stay bounded for the large ones.
GROUP_BYTES = 64 * 1024 * 1024


def confirm_keys(w: Warehouse, contract: Contract) -> None:
    """Refuse a missing or wrong key of those that judging a dataset takes; raises ConfigError KEYS_*."""
    keys.confirm(w.settings, w.ledger, *(keys.USES if contract.identity_columns else ("landing",)))
    keys.landing_identity(w.settings)


def judge(w: Warehouse, landed: Iterable[Delivery], *, overridden: frozenset[str] = frozenset()) -> list[Verdict]:
    """Parse and judge deliveries, store what is admitted, and record the verdicts, oldest period first.

    A delivery in ``overridden`` was admitted by a person: what would hold it is recorded and does not.
    """
    waiting = sorted(landed, key=lambda one: (one.dataset, one.period_start, one.part, one.received_at))
    verdicts: list[Verdict] = []
    for group in _groups(waiting):
        with keys.shared_lock(w.settings):
            verdicts += _judge_group(w, group, overridden)
        w.progress(f"{group[0].dataset}: {len(verdicts)}/{len(waiting)}")
    return verdicts


def _groups(waiting: list[Delivery]) -> Iterator[list[Delivery]]:
    """Groups of one dataset and one period, so that a period's profile is there before the next one is judged."""
    group: list[Delivery] = []
    for one in waiting:
        first = group[0] if group else one
        is_same = (one.dataset, one.period_start) == (first.dataset, first.period_start)
        if group and (not is_same or sum(other.bytes for other in group) + one.bytes > GROUP_BYTES):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _judge_group(w: Warehouse, group: list[Delivery], overridden: frozenset[str]) -> list[Verdict]:
    contract = w.contract(group[0].dataset)
    confirm_keys(w, contract)
    started = time.monotonic()
    parsed: dict[str, Parsed] = {}
    verdicts = []
    for delivery in group:
        try:
            read = parse(contract, landing.read(w.settings, delivery), delivery.media)
            parsed[delivery.delivery_id] = erased.filter_erased(w.settings, w.ledger, contract, delivery, read)
        except UnreadableDelivery as error:
            verdicts.append(_record_unreadable(w, contract, delivery, error))
    if not parsed:
        return verdicts
    readable = {delivery.delivery_id: delivery for delivery in group if delivery.delivery_id in parsed}
    context = {
        key: gate.DeliveryContext(period=delivery.period, part=delivery.part, received_at=delivery.received_at)
        for key, delivery in readable.items()
    }
    history = deliveries.profiles_before(w.ledger, contract.dataset, group[0].period_start)
    judgements = gate.judge(w.settings, contract, parsed, context, history, overridden)
    seconds = (time.monotonic() - started) / len(parsed)
    with vault.splitting(w.settings, contract) as connection:
        for key, judgement in judgements.items():
            version = contract.of_version(parsed[key].version)
            verdicts.append(_record_judgement(w, connection, version, readable[key], judgement, seconds))
    return verdicts


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
