"""What stands, what waits and what came, as rows for whoever looks: one page, lists of deliveries, settings checked.

Here: questions to the ledger, and pages that several rooms' answers make. Not here: printing (cli), the monitors' site
(report).
"""

from collections.abc import Callable, Iterator
from typing import Any

from warehouse import release
from warehouse.core.contract import load_contracts, place_of, published
from warehouse.core.errors import ConfigError, WarehouseError
from warehouse.core.settings import Settings
from warehouse.intake import agencies, gate, timeliness
from warehouse.ledger import Ledger, nights, open_ledger
from warehouse.ledger import deliveries as ledger_of
from warehouse.storage import keys

Rows = list[dict[str, Any]]

_DATASETS = """
select
    d.dataset,
    count(distinct d.part) as parts,
    max(d.period_start) as period_start,
    max(d.received_at) as received_at,
    sum(v.rows_admitted) as rows_admitted,
    sum(v.rows_quarantined) as rows_quarantined
from admissible_deliveries as d
inner join verdicts as v on v.verdict_id = d.verdict_id
group by d.dataset
order by d.dataset
"""

_HELD = """
select dataset, part, period_start, delivery_id, reason_code, message_id, message_en
from held_deliveries
order by received_at
"""

# Withdrawn, and nothing newer has taken its place.
_WITHDRAWN = """
select d.dataset, d.part, d.period_start, d.delivery_id, x.reason, x.decided_by, x.approver, x.decided_at
from latest_decisions as x
inner join deliveries as d on d.delivery_id = x.delivery_id
where
    x.kind = 'withdraw'
    and not exists (
        select 1 from admissible_deliveries as newer
        where
            newer.dataset = d.dataset and newer.part = d.part and newer.period_kind = d.period_kind
            and newer.period_start = d.period_start and newer.received_at > d.received_at
    )
order by x.decided_at
"""

_DELIVERIES = """
select
    d.delivery_id, d.dataset, d.part, d.period_start, d.received_at, d.origin,
    v.verdict, v.reason_code, v.rows_read, v.rows_admitted, v.rows_quarantined, v.rows_refused, x.kind as decision
from deliveries as d
left join latest_verdicts as v on v.delivery_id = d.delivery_id
left join latest_decisions as x on x.delivery_id = d.delivery_id
where :dataset is null or d.dataset = :dataset
order by d.received_at desc
limit :limit
"""

_QUARANTINED_ROWS = """
select q.rule_code, q.column_name, q.source_part, q.source_row
from quarantined_rows as q
inner join latest_verdicts as v on v.verdict_id = q.verdict_id
where q.delivery_id = :id
order by q.rule_code, q.source_row
"""

_QUARANTINED_BY_RULE = """
select d.dataset, d.part, d.period_start, q.delivery_id, q.rule_code, count(*) as quarantined
from quarantined_rows as q
inner join latest_verdicts as v on v.verdict_id = q.verdict_id
inner join deliveries as d on d.delivery_id = q.delivery_id
group by d.dataset, d.part, d.period_start, q.delivery_id, q.rule_code
order by d.period_start desc, d.dataset, d.part
"""


def page(s: Settings, led: Ledger) -> dict[str, Any]:
    """Last night, the release, what is held, withdrawn and awaited, and each dataset's newest delivery."""
    contracts = load_contracts(s.contracts_dir)
    held_rows = led.rows(_HELD)
    for row in held_rows:
        if row["dataset"] in contracts:
            row["part"] = contracts[row["dataset"]].part_label(row["part"])
    awaited = [
        {
            "dataset": dataset,
            "part": one.label,
            "period": one.awaited.label,
            "due_on": one.due_on,
            "state": " / ".join(timeliness.WORDS[one.state]),
            "days_late": one.days_late,
        }
        for dataset, contract in contracts.items()
        for one in timeliness.part_states(s, led, contract)
        if one.state != "received"
    ]
    return {
        "night": nights.last(s, led),
        "release": release.current_state(s, led),
        "held": held_rows,
        "withdrawn": led.rows(_WITHDRAWN),
        "awaited": awaited,
        "datasets": led.rows(_DATASETS),
    }


def deliveries(led: Ledger, dataset: str | None, limit: int) -> Rows:
    """Deliveries with their newest verdict and decision, newest first; of one dataset or of all."""
    return led.rows(_DELIVERIES, dataset=dataset, limit=limit)


def delivery_ids(led: Ledger) -> list[str]:
    """Ids of every delivery."""
    return [row["delivery_id"] for row in led.rows("select delivery_id from deliveries")]


def quarantined_rows(led: Ledger, delivery_id: str) -> Rows:
    """Rule, column and place of each quarantined row of a delivery; never a value."""
    return led.rows(_QUARANTINED_ROWS, id=delivery_id)


def quarantined_by_rule(led: Ledger) -> Rows:
    """How many rows each rule holds back, delivery by delivery, the newest period first."""
    return led.rows(_QUARANTINED_BY_RULE)


def checks(s: Settings) -> Rows:
    """Whether home, contracts, rules of marts, keys, ledger and endpoints are as a night needs them."""
    return [_checked(name, step) for name, step in _steps(s)]


def _steps(s: Settings) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "home", lambda: str(s.home)
    yield "contracts", lambda: confirm_contracts(s)
    yield "rules of marts", lambda: _mart_rules(s)
    yield "keys", lambda: keys.describe(s)
    yield "ledger", lambda: _ledger(s)
    yield "endpoints", lambda: "replaced by file" if s.endpoints.is_file() else "as in the contracts"


def _checked(name: str, step: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"check": name, "ok": True, "detail": step()}
    except WarehouseError as error:
        words = (error.code, error.message_id, error.action_id, error.message_en, error.action_en)
        return {"check": name, "ok": False, "detail": " ".join(filter(None, words))}


def confirm_contracts(s: Settings) -> str:
    """How many contracts there are and what they hold, all of it tried; raises ConfigError naming every fault."""
    loaded = load_contracts(s.contracts_dir).values()
    versions = [version for contract in loaded for version in contract.versions]
    messages = [
        f"{place_of(s.contracts_dir, version, fault.name, fault.stands_with)}: {fault}"
        for version, fault in gate.faults(s, versions)
    ]
    if messages:
        raise ConfigError(
            "CONTRACT_UNSOUND",
            f"Kontrak tidak dapat dijalankan. {'; '.join(messages)}",
            f"Contracts could not be run. {'; '.join(messages)}",
            "Perbaiki bagian itu di kontrak; belum ada kiriman yang dinilai.",
            "Correct that part of the contract; no delivery was judged.",
        )
    published.confirm(s.contracts_dir.parent / published.FILE, loaded)
    parts = sum(len(agencies.parts(s, contract)) for contract in loaded)
    rules = sum(len(gate.all_rules(version)) for version in versions)
    return f"{len(loaded)} datasets, {parts} parts, {rules} rules"


def _ledger(s: Settings) -> str:
    """What the ledger is, and how many verdicts in force another text of their contract has given, by dataset."""
    led = open_ledger(s)
    stale = []
    for name, contract in load_contracts(s.contracts_dir).items():
        now = {version.sha256 for version in contract.versions}
        verdicts = ledger_of.newest_verdicts(led, name)
        in_force = [verdicts[one.delivery_id] for one in ledger_of.in_force(led, name, contract.extras.delivery_mode)]
        # What was judged before hashes were kept may have been judged by the same: nothing is said of it.
        if count := sum(row["contract_sha256"] is not None and row["contract_sha256"] not in now for row in in_force):
            stale.append(f"{name} {count}")
    stale_note = f"; judged under another text of their contract, see replay --try: {', '.join(stale)}" if stale else ""
    return led.engine.dialect.name + stale_note


def _mart_rules(s: Settings) -> str:
    marts = [gate.mart_rules(path) for path in sorted(s.mart_rules_dir.glob("*.yaml"))]
    gate.confirm([rule for rules in marts for rule in rules], pointers=False)
    return f"{len(marts)} marts, {sum(map(len, marts))} rules"
