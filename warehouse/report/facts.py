"""What the pages say, read from ledger and contracts: counts, codes, row numbers and dates, never a value of a row.

Here: queries and the judgement of a dataset's light. Not here: HTML (pages, templates).
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import takewhile
from typing import Any, Literal

from warehouse.core.contract import Contract, RuleExtras, load_contracts
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.intake import gate
from warehouse.intake.timeliness import WORDS, PartState, State, part_states
from warehouse.ledger import Ledger, deliveries

Light = Literal["red", "amber", "green", "grey"]
ROWS_SHOWN = 30
PERIODS_SHOWN = 13

# A part's state in one period, worst first; the page shows symbol and words, never colour alone.
STATES = {
    "held": ("■", "ditahan", "held"),
    "failed": ("✕", "gagal diambil", "not fetched"),
    "missing": ("○", "belum dikirim", "not sent"),
    "absent": ("○", "tidak pernah dikirim", "never sent"),
    "quarantine": ("◐", "diterima, sebagian baris dikarantina", "accepted, some rows quarantined"),
    "good": ("●", "diterima", "accepted"),
    "closed": ("–", "ditolak atau digantikan", "rejected or replaced"),
    "future": ("·", *WORDS["not_yet_due"]),
}
OWNERS = {
    "sender": ("pengirim data", "the sending agency"),
    "data_engineer": ("teknisi data", "the data engineer"),
    "walidata": ("walidata", "the data steward"),
}

RETIRED = RuleExtras(
    message_id="Aturan ini tidak ada lagi dalam kontrak.",
    message_en="This rule is no longer in the contract.",
    action_id="Nilai ulang kirimannya (warehouse replay).",
    action_en="Judge the delivery again (warehouse replay).",
    owner="data_engineer",
)


@dataclass
class FailedRule:
    """One rule that failed in the newest period, summed over the parts it failed in."""

    code: str
    severity: str
    category: str
    column: str | None
    message_id: str
    message_en: str
    action_id: str
    action_en: str
    owner: tuple[str, str]
    failed: int = 0
    checked: int = 0
    since: date | None = None
    deliveries: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class DatasetFacts:
    """Everything the page of one dataset shows; ``parts_expected`` leaves out what is not yet due."""

    contract: Contract
    light: Light
    headline_id: str
    headline_en: str
    newest: Period | None
    due_on: date | None
    days_late: int
    parts_expected: int
    parts_received: int
    parts_not_yet_due: int
    parts: dict[str, PartState]
    grid: dict[str, dict[date, str]]
    periods: list[Period]
    failed_rules: list[FailedRule]
    held: list[dict[str, Any]]
    problems: list[dict[str, Any]]
    history: list[dict[str, Any]]

    @property
    def in_force(self) -> list[dict[str, Any]]:
        return [row for row in self.history if row["is_in_force"]]

    @property
    def missing_parts(self) -> list[str]:
        if self.newest is None:
            return []
        start = self.newest.start
        return [part for part, states in self.grid.items() if states.get(start) in {"missing", "failed"}]

    @property
    def withdrawn(self) -> list[dict[str, Any]]:
        """Accepted deliveries that two persons took out of force, of the periods shown."""
        shown_starts = {period.start for period in self.periods}
        return [row for row in self.history if row["decision"] == "withdraw" and row["period_start"] in shown_starts]

    @property
    def rows(self) -> dict[str, int]:
        newest = [row for row in self.in_force if self.newest and row["period_start"] == self.newest.start]
        return {key: sum(row[key] or 0 for row in newest) for key in ("rows_read", "rows_admitted", "rows_quarantined")}


def collect(s: Settings, led: Ledger) -> list[DatasetFacts]:
    """Facts of every contract's dataset, the ones that need a person first."""
    facts = [_dataset(s, led, contract) for contract in load_contracts(s.contracts_dir).values()]
    order = {"red": 0, "amber": 1, "grey": 2, "green": 3}
    return sorted(facts, key=lambda fact: (order[fact.light], fact.contract.dataset))


def _dataset(s: Settings, led: Ledger, contract: Contract) -> DatasetFacts:
    today = s.today()
    extras = contract.extras
    parts = {state.part: state for state in part_states(s, led, contract)}
    history = led.rows(
        "select d.delivery_id, d.part, d.period_kind, d.period_start, d.received_at, v.verdict_id, v.verdict,"
        " v.reason_code, v.message_id, v.message_en, v.rows_read, v.rows_admitted, v.rows_quarantined, v.rows_refused,"
        " x.kind as decision, x.reason, x.decided_at"
        " from deliveries d join latest_verdicts v on v.delivery_id = d.delivery_id"
        " left join latest_decisions x on x.delivery_id = v.delivery_id"
        " where d.dataset = :dataset order by d.period_start, d.part, d.received_at",
        dataset=contract.dataset,
    )
    in_force = {one.delivery_id for one in deliveries.in_force(led, contract.dataset, extras.delivery_mode)}
    for row in history:
        row["is_in_force"] = row["delivery_id"] in in_force
        row["is_waiting"] = row["verdict"] == "held" and row["decision"] in {None, "reinstate"}
    fetches = led.rows(
        "select part, period_start, outcome, error_code, message_id, message_en, action_id, action_en, ended_at"
        " from fetches"
        " where dataset = :dataset order by ended_at",
        dataset=contract.dataset,
    )
    starts = {row["period_start"] for row in history} | {
        row["period_start"] for row in fetches if _concerns(contract, parts, row, today)
    }
    newest = Period(max(starts), extras.period_kind) if starts else None
    periods = sorted(Period(start, extras.period_kind) for start in sorted(starts)[-PERIODS_SHOWN:])
    grid = grid_of(contract, list(parts), history, fetches, periods, today)
    held_rows = [row for row in history if row["is_waiting"]]
    not_fetched = sum(states.get(newest.start) == "failed" for states in grid.values()) if newest else 0
    last_tries = {(row["part"], row["period_start"]): row for row in fetches}
    late = {state.part: state.awaited.start for state in parts.values() if state.state == "late"}
    problems = [
        row
        for (part, start), row in last_tries.items()
        if row["outcome"] in {"failed", "refused", "not_available"}
        and (start == late.get(part)
             or (newest and start == newest.start and grid.get(part, {}).get(start) in {"failed", "missing"}))
    ]  # fmt: skip
    counted_rows = [row for row in history if row["is_in_force"] or row in held_rows]
    failed_rules = _failed_rules(
        led, contract, [row for row in counted_rows if newest and row["period_start"] == newest.start]
    )
    states = list(parts.values())
    light, headline_id, headline_en = _headline(newest, states, not_fetched, len(held_rows), failed_rules)
    return DatasetFacts(
        contract=contract,
        light=light,
        headline_id=headline_id,
        headline_en=headline_en,
        newest=newest,
        due_on=_due_on(contract, newest, states),
        days_late=max(state.days_late for state in states),
        parts_expected=len(states) - _count(states, "not_yet_due"),
        parts_received=_count(states, "received"),
        parts_not_yet_due=_count(states, "not_yet_due"),
        parts=parts,
        grid=grid,
        periods=periods,
        failed_rules=failed_rules,
        held=held_rows,
        problems=problems,
        history=history,
    )


def _concerns(contract: Contract, parts: dict[str, PartState], fetch: dict[str, Any], today: date) -> bool:
    """Whether an attempt makes its period one of those shown: what is not there before it is due does not."""
    first_due = Period(fetch["period_start"], contract.extras.period_kind).due_on(min(map(contract.due_day, parts)))
    return fetch["outcome"] != "not_available" or first_due < today


def _count(states: list[PartState], state: State) -> int:
    return sum(one.state == state for one in states)


def _due_on(contract: Contract, newest: Period | None, states: list[PartState]) -> date | None:
    """The first day on which something that has not come is due; of a newest period that is all there, its last."""
    if newest is None:
        return None
    waited_for = [state.due_on for state in states if state.state != "received"]
    return min(waited_for, default=max(newest.due_on(contract.due_day(state.part)) for state in states))


def grid_of(
    contract: Contract,
    part_names: list[str],
    history: list[dict[str, Any]],
    fetches: list[dict[str, Any]],
    periods: list[Period],
    today: date,
) -> dict[str, dict[date, str]]:
    """State of each part in each shown period; what is in force wins over a later failure to fetch."""
    parts = list(part_names) + sorted({row["part"] for row in history} - set(part_names))
    grid: dict[str, dict[date, str]] = {
        part: {
            period.start: "missing" if period.due_on(contract.due_day(part)) < today else "future" for period in periods
        }
        for part in parts
    }
    shown_starts = {period.start for period in periods}
    for row in fetches:
        start = row["period_start"]
        if start in shown_starts and row["part"] in grid and row["outcome"] in {"failed", "refused"}:
            grid[row["part"]][start] = "failed"
    for row in history:
        start = row["period_start"]
        if start not in shown_starts:
            continue
        if row["is_in_force"]:
            state = "quarantine" if row["rows_quarantined"] else "good"
        else:
            state = "held" if row["is_waiting"] else "closed"
        if state == "closed" and grid[row["part"]][start] in {"good", "quarantine"}:
            continue
        grid[row["part"]][start] = state
    newest = {row["part"]: row["period_start"] for row in history if row["is_in_force"]}
    for part, last in newest.items():
        # What was left out before later data came waits for nobody: a series may begin late or have gaps.
        grid[part] |= {start: "absent" for start, state in grid[part].items() if state == "missing" and start < last}
    return grid


def _failed_rules(led: Ledger, contract: Contract, newest: list[dict[str, Any]]) -> list[FailedRule]:
    """Rules that failed in any of the given deliveries; ``checked`` counts over all of them."""
    rules: dict[str, FailedRule] = {}
    n_checked: dict[str, int] = defaultdict(int)
    for delivery in newest:
        verdict = {"verdict": delivery["verdict_id"]}
        pointers: dict[str, list[str]] = defaultdict(list)
        for row in led.rows(
            "select rule_code, source_part, source_row from quarantined_rows where verdict_id = :verdict"
            " order by source_part, source_row",
            **verdict,
        ):
            pointers[row["rule_code"]].append(_place(row["source_part"], row["source_row"]))
        for result in led.rows(
            "select rule_code, column_name, severity, category, outcome, checked, failed from rule_results"
            " where verdict_id = :verdict order by rule_code",
            **verdict,
        ):
            code = result["rule_code"]
            n_checked[code] += result["checked"] or 0
            if result["outcome"] == "pass":
                continue
            if code not in rules:
                rules[code] = _rule_facts(led, contract, result)
            rules[code].failed += result["failed"] or 0
            rules[code].deliveries.append(
                {
                    "part": delivery["part"],
                    "rows": pointers[code][:ROWS_SHOWN],
                    "more": max(0, len(pointers[code]) - ROWS_SHOWN),
                }
            )
    for code, rule in rules.items():
        rule.checked = n_checked[code]
    order = {"stop": 0, "quarantine": 1, "warn": 2}
    return sorted(rules.values(), key=lambda rule: (order[rule.severity], -rule.failed, rule.code))


def mart_findings(s: Settings, led: Ledger) -> list[tuple[str, str, RuleExtras]]:
    """Mart, severity and words of the rules that did not pass when marts were last judged, worst first."""
    words = {rule.code: rule.extras for path in s.mart_rules_dir.glob("*.yaml") for rule in gate.mart_rules(path)}
    rows = led.rows(
        "select mart, rule_code, severity from mart_rule_results where outcome <> 'pass'"
        " and judged_at = (select max(judged_at) from mart_rule_results) order by severity, mart, rule_code"
    )
    return [(row["mart"], row["severity"], words.get(row["rule_code"], RETIRED)) for row in rows]


def _place(source_part: str | None, source_row: int) -> str:
    """Where the sender finds a row; the first sheet of a workbook goes without saying."""
    sheet = (source_part or "").removeprefix("sheet ")
    return f"lembar {sheet} baris {source_row}" if sheet not in {"", "1"} else str(source_row)


def _rule_texts(contract: Contract) -> dict[str, RuleExtras]:
    """Words of every rule of a contract's versions; any other code says only that it is gone."""
    texts_of = {rule.code: rule.extras for rule in gate.rules_of_versions(contract)}
    return defaultdict(lambda: RETIRED, texts_of)


def _rule_facts(led: Ledger, contract: Contract, result: dict[str, Any]) -> FailedRule:
    text = _rule_texts(contract)[result["rule_code"]]
    return FailedRule(
        code=result["rule_code"],
        severity=result["severity"],
        category=result["category"],
        column=result["column_name"],
        message_id=text.message_id,
        message_en=text.message_en,
        action_id=text.action_id,
        action_en=text.action_en,
        owner=OWNERS[text.owner],
        since=_failing_since(led, contract, result["rule_code"]),
    )


def _failing_since(led: Ledger, contract: Contract, code: str) -> date | None:
    """Start of the run of periods, newest backwards, in which the rule failed somewhere."""
    rows = led.rows(
        "select d.period_start, max(case when r.outcome = 'pass' then 0 else 1 end) as failed from rule_results r"
        " join deliveries d on d.delivery_id = r.delivery_id join latest_verdicts v on v.verdict_id = r.verdict_id"
        " where d.dataset = :dataset and r.rule_code = :code group by d.period_start order by d.period_start desc",
        dataset=contract.dataset,
        code=code,
    )
    failing = list(takewhile(lambda row: row["failed"], rows))
    return failing[-1]["period_start"] if failing else None


def _headline(
    newest: Period | None, states: list[PartState], not_fetched: int, n_held: int, failed_rules: list[FailedRule]
) -> tuple[Light, str, str]:
    n_received, early = _count(states, "received"), _count(states, "not_yet_due")
    due = len(states) - early
    also_id, also_en = (f"; {early} bagian belum jatuh tempo", f"; {early} parts not yet due") if early else ("", "")
    if newest is None:
        return "grey", "Belum pernah dikirim", "Never delivered"
    if n_held:
        return "red", f"{n_held} kiriman ditahan, menunggu keputusan", f"{n_held} held, waiting for a decision"
    if not_fetched:
        return "red", f"{not_fetched} bagian gagal diambil", f"{not_fetched} parts could not be fetched"
    if late := max(state.days_late for state in states):
        return (
            "red",
            f"Terlambat {late} hari: {n_received} dari {due} bagian diterima{also_id}",
            f"{late} days late: {n_received} of {due} parts received{also_en}",
        )
    if not n_received:
        return "grey", "Belum jatuh tempo", "Not yet due"
    if quarantined := sum(rule.failed for rule in failed_rules if rule.severity == "quarantine"):
        return (
            "amber",
            f"Lengkap; {quarantined} temuan baris dikarantina{also_id}",
            f"Complete; {quarantined} findings quarantined{also_en}",
        )
    return "green", f"Lengkap dan diterima{also_id}", f"Complete and accepted{also_en}"


@dataclass(frozen=True)
class Rounding:
    """What a release says of its small counts: what they were rounded to, and how far that moved percentages.

    ``marts``: by mart and level of area, with ``mean_error`` and ``largest_error`` in percentage points and
    ``largest_deviation`` in persons.
    """

    base: int
    marts: dict[str, dict[str, dict[str, Any]]]

    def average(self, level: str) -> float | None:
        """Mean error of a level over all marts that have percentages, each mart the same."""
        errors = [levels[level]["mean_error"] for levels in self.marts.values() if level in levels]
        known_errors = [error for error in errors if error is not None]
        return sum(known_errors) / len(known_errors) if known_errors else None


def rounding(manifest: dict[str, Any]) -> Rounding | None:
    """From a release's manifest; None for a release made before small counts were rounded."""
    if "rounding" not in manifest:
        return None
    marts: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in manifest["rounding"]:
        marts[row["mart"]][row["area_level"]] = row
    return Rounding(manifest["policy"]["rounding_base"], dict(sorted(marts.items())))


def stale_after(fact: DatasetFacts) -> date | None:
    """The day after which the newest period counts as stale."""
    return fact.newest.end + timedelta(days=fact.contract.extras.stale_after_days) if fact.newest else None
