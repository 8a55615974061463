"""What stands, what waits and what is late: one page of several rooms' answers; and whether the settings are sound.

Not here: lists out of the ledger (listings), printing (cli), the monitors' site (report).
"""

from collections.abc import Callable, Iterator
from typing import Any

from warehouse import release
from warehouse.core.contract import load_contracts, place_of, published
from warehouse.core.errors import ConfigError, WarehouseError
from warehouse.core.settings import Settings
from warehouse.intake import agencies, gate, timeliness
from warehouse.ledger import Ledger, deliveries, listings, nights, open_ledger
from warehouse.storage import keys

Rows = list[dict[str, Any]]

_OF_HELD = ("dataset", "part", "period_start", "delivery_id", "reason_code", "message_id", "message_en")


def page(s: Settings, led: Ledger) -> dict[str, Any]:
    """Last night, the release, what is held, withdrawn and awaited, and each dataset's newest delivery."""
    contracts = load_contracts(s.contracts_dir)
    held_rows = [{name: getattr(one, name) for name in _OF_HELD} for one in deliveries.held(led)]
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
        "withdrawn": listings.withdrawn(led),
        "awaited": awaited,
        "datasets": listings.datasets(led),
    }


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
        verdicts = deliveries.newest_verdicts(led, name)
        in_force = [verdicts[one.delivery_id] for one in deliveries.in_force(led, name, contract.extras.delivery_mode)]
        # What was judged before hashes were kept may have been judged by the same: nothing is said of it.
        if count := sum(row["contract_sha256"] is not None and row["contract_sha256"] not in now for row in in_force):
            stale.append(f"{name} {count}")
    stale_note = f"; judged under another text of their contract, see replay --try: {', '.join(stale)}" if stale else ""
    return led.engine.dialect.name + stale_note


def _mart_rules(s: Settings) -> str:
    marts = [gate.mart_rules(path) for path in sorted(s.mart_rules_dir.glob("*.yaml"))]
    gate.confirm([rule for rules in marts for rule in rules], pointers=False)
    return f"{len(marts)} marts, {sum(map(len, marts))} rules"
