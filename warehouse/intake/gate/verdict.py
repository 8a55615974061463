"""From parsed deliveries to verdicts: a group of deliveries of one dataset in one run of Great Expectations.

Here: whose rows failed which rule, and what follows for each delivery. Not here: recording it (intake.judge).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from warehouse.core import duck
from warehouse.core.contract import Contract, Rule
from warehouse.core.settings import Settings
from warehouse.intake.gate import expectations, regions, staging
from warehouse.intake.gate.expectations import Finding
from warehouse.intake.gate.model import DeliveryContext, Judgement
from warehouse.intake.gate.rules import UNCAST, UNCODED, all_rules, judged_column
from warehouse.intake.parse import Parsed
from warehouse.intake.parse.model import REFUSED, SEND_AGAIN
from warehouse.ledger.deliveries import Pointer, RuleOutcome, VerdictKind

# A stop rule refuses every row of its delivery anyway: enough pointers to find the fault, not one for each of millions.
_POINTERS_OF_A_STOP_RULE = 1000
_CAUSES_TOLD = 3
_LIMITED = "share_set_aside"
_NO_ROWS_LEFT = (
    "Tidak ada baris yang lolos. Perbaiki sebabnya, lalu kirim ulang.",
    "No row is left. Correct the causes, then send again.",
)
_JUDGES_MISSING = {"expect_column_values_to_not_be_null"}


def judge(
    s: Settings,
    contract: Contract,
    parsed: Mapping[str, Parsed],
    context: Mapping[str, DeliveryContext],
    history: Sequence[Mapping[str, Any]],
    overridden: frozenset[str] = frozenset(),
) -> dict[str, Judgement]:
    """Judge a group of deliveries of one dataset, by delivery id; none of them affects another's verdict.

    Each is judged by the version of the contract that it was read as.
    ``history`` holds the profiles of admissible deliveries of earlier periods (``part``, ``period_start``,
    ``profile``). A delivery in ``overridden`` was admitted by a person: what would hold it is recorded and does not.
    """
    judgements: dict[str, Judgement] = {}
    for version in contract.versions:
        if of_it := {key: one for key, one in parsed.items() if one.version == version.version}:
            judgements |= _judge_version(s, version, of_it, context, history, overridden)
    return judgements


def unforeseen(parsed: Parsed, reason: str) -> Judgement:
    """The verdict on a delivery whose values broke its judgement; ``reason``, for an engineer, holds none of them."""
    return Judgement(
        verdict=VerdictKind.HELD,
        reason_code="GATE_UNFORESEEN",
        message_id=f"Kiriman tidak dapat dinilai: sebuah isiannya menghentikan penilaian ({reason}). Minta berkas baru"
        " dari pengirim; teknisi mencari sebabnya lalu menilai ulang.",
        message_en=f"The delivery could not be judged: one of its values broke the judgement ({reason}). Ask the sender"
        " for a new file; an engineer looks for the cause and judges again.",
        checks_run=0,
        rows_read=parsed.rows_read,
        rows_admitted=0,
        rows_quarantined=0,
        rows_refused=parsed.rows_read,
    )


def _judge_version(
    s: Settings,
    contract: Contract,
    parsed: Mapping[str, Parsed],
    context: Mapping[str, DeliveryContext],
    history: Sequence[Mapping[str, Any]],
    overridden: frozenset[str],
) -> dict[str, Judgement]:
    rules = all_rules(contract)
    connection = duck.connect(s, sees_identifiers=True)
    try:
        regions.install(connection, s)
        staging.stage_rows(connection, contract, parsed, context)
        findings = _run(connection, "rows", rules)
        quarantined = _set_aside(connection, rules)
        profiles = staging.stage_profile(connection, contract, parsed, context, history, quarantined)
        findings |= _run(connection, "profile", rules)
        group = _count(connection, contract, rules, findings, quarantined)
        return {
            key: _judgement(group, key, parsed[key], context[key], profiles[key], is_overridden=key in overridden)
            for key in parsed
        }
    finally:
        connection.close()


def _run(connection: duckdb.DuckDBPyConnection, asset: str, rules: Sequence[Rule]) -> dict[str, Finding]:
    """Run the rules of an asset and keep the failing rows' numbers in ``failures``."""
    connection.execute("CREATE TABLE IF NOT EXISTS failures (asset VARCHAR, rule_code VARCHAR, row_id BIGINT)")
    of_asset = [rule for rule in rules if rule.extras.asset == asset]
    findings = expectations.run(connection, asset, of_asset, pointers=True)
    return {code: _with_pointers(connection, asset, code, finding) for code, finding in findings.items()}


def _set_aside(connection: duckdb.DuckDBPyConnection, rules: Sequence[Rule]) -> dict[str, int]:
    """Create ``quarantined``, the rows that a quarantine rule takes out; returns how many of each delivery."""
    codes = [rule.code for rule in rules if rule.severity == "quarantine"]
    connection.execute(
        "CREATE TABLE quarantined AS SELECT DISTINCT row_id FROM failures"
        " WHERE asset = 'rows' AND list_contains(?, rule_code)",
        [codes],
    )
    return dict(
        connection.execute(
            "SELECT delivery_id, count(*) FROM quarantined JOIN rows USING (row_id) GROUP BY delivery_id"
        ).fetchall()
    )


def _with_pointers(connection: duckdb.DuckDBPyConnection, asset: str, code: str, finding: Finding) -> Finding:
    """Store the failing rows of a rule. A rule that cannot tell exactly the rows it counted has not run."""
    if not finding.failed:
        return finding
    try:
        row_ids = connection.execute(f"SELECT DISTINCT row_id FROM ({finding.rows_query})").to_arrow_table()
    except duckdb.Error:
        return Finding(has_run=False)
    if row_ids.num_rows != finding.failed:
        return Finding(has_run=False)
    connection.execute("INSERT INTO failures SELECT ?, ?, row_id FROM row_ids", [asset, code])
    return finding


@dataclass(frozen=True)
class _Group:
    """A judged group, before its verdicts: findings by rule, and counts by delivery."""

    connection: duckdb.DuckDBPyConnection
    contract: Contract
    rules: Sequence[Rule]
    findings: Mapping[str, Finding]
    rows: Mapping[str, int]
    present: Mapping[tuple[str, str], int]
    failed: Mapping[tuple[str, str], int]
    quarantined: Mapping[str, int]

    def checked(self, rule: Rule, key: str) -> int:
        """Rows that a rule looked at: expectations on a column's values skip its missing ones."""
        if rule.extras.asset == "profile":
            return 1
        rows, name = self.rows.get(key, 0), judged_column(rule)
        if name is None or rule.expectation in _JUDGES_MISSING:
            return rows
        present = self.present.get((key, name), rows)
        is_mark = (rule.column or "").startswith((UNCAST, UNCODED))
        return present + self.failed.get((key, rule.code), 0) if is_mark else present


def _count(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    rules: Sequence[Rule],
    findings: Mapping[str, Finding],
    quarantined: Mapping[str, int],
) -> _Group:
    names = [column.name for column in contract.columns]
    counts = "".join(f", count({staging.quoted(name)})" for name in names)
    rows: dict[str, int] = {}
    present: dict[tuple[str, str], int] = {}
    query = f"SELECT delivery_id, count(*){counts} FROM rows GROUP BY delivery_id"
    for key, total, *values in connection.execute(query).fetchall():
        rows[key] = total
        present |= {(key, name): value for name, value in zip(names, values, strict=True)}
    failed_rows: dict[tuple[str, str], int] = {}
    for asset in ("rows", "profile"):
        query = (
            f"SELECT delivery_id, rule_code, count(*) FROM failures JOIN {asset} USING (row_id)"
            " WHERE asset = ? GROUP BY ALL"
        )
        failed_rows |= {(key, code): count for key, code, count in connection.execute(query, [asset]).fetchall()}
    return _Group(connection, contract, rules, findings, rows, present, failed_rows, quarantined)


def _verdict(*, is_held: bool, is_whole: bool) -> VerdictKind:
    if is_held:
        return VerdictKind.HELD
    return VerdictKind.ACCEPTED if is_whole else VerdictKind.ACCEPTED_WITH_QUARANTINE


def _outcome(group: _Group, rule: Rule, key: str, profile: Mapping[str, float | None]) -> RuleOutcome:
    has_run = group.findings[rule.code].has_run
    n_checked = group.checked(rule, key)
    n_failed = group.failed.get((key, rule.code), 0)
    tolerated = (1 - rule.kwargs.get("mostly", 1)) * n_checked
    return RuleOutcome(
        rule_code=rule.code,
        column_name=judged_column(rule),
        severity=rule.severity,
        category=rule.category,
        outcome="not_run" if not has_run else "pass" if n_failed <= tolerated else "fail",
        checked=n_checked if has_run else None,
        failed=n_failed if has_run else None,
        observed=profile.get(rule.column) if rule.column and rule.extras.asset == "profile" else None,
    )


def _judgement(
    group: _Group,
    key: str,
    parsed: Parsed,
    context: DeliveryContext,
    profile: dict[str, float | None],
    *,
    is_overridden: bool,
) -> Judgement:
    measured = {name: value for name, value in profile.items() if not name.startswith(staging.COMPARED)}
    results = [_outcome(group, rule, key, profile) for rule in group.rules]
    n_refused = len(parsed.refused)
    n_read = group.rows.get(key, 0) + n_refused
    quarantined = group.quarantined.get(key, 0)
    n_left = n_read - n_refused - quarantined
    reason = None if is_overridden else _reason_to_hold(group, results, parsed, n_left, context, profile)
    return Judgement(
        verdict=_verdict(is_held=reason is not None, is_whole=not (quarantined or n_refused)),
        reason_code=reason.code if reason else None,
        message_id=reason.message_id if reason else None,
        message_en=reason.message_en if reason else None,
        checks_run=_checks_run(results),
        rows_read=n_read,
        rows_admitted=0 if reason else n_left,
        rows_quarantined=quarantined,
        rows_refused=n_read - quarantined if reason else n_refused,
        results=results,
        quarantined=_pointers(group, key, parsed),
        profile=measured,
        admitted=None if reason else _admitted(group, key),
    )


@dataclass(frozen=True)
class _Reason:
    code: str
    message_id: str
    message_en: str


def _checks_run(results: Sequence[RuleOutcome]) -> int:
    return sum(result.outcome != "not_run" for result in results)


def _reason_to_hold(
    group: _Group,
    results: Sequence[RuleOutcome],
    parsed: Parsed,
    n_left: int,
    context: DeliveryContext,
    profile: Mapping[str, float | None],
) -> _Reason | None:
    """Why a delivery may not come into force, the gravest reason first."""
    before_rules = _before_rules(group, results, context)
    return before_rules or _by_rules(group, results, parsed, n_left, profile)


def _before_rules(group: _Group, results: Sequence[RuleOutcome], context: DeliveryContext) -> _Reason | None:
    """Why the rules do not matter: no agreement, no period, or no rule that could say anything."""
    extras = group.contract.extras
    if context.received_on > extras.agreement_end:
        return _Reason(
            "AGREEMENT_EXPIRED",
            f"Perjanjian {extras.agreement_number} berakhir {extras.agreement_end}. Perbarui, lalu nilai ulang.",
            f"Agreement {extras.agreement_number} ended on {extras.agreement_end}. Renew it, then judge again.",
        )
    if not _checks_run(results):
        return _Reason(
            "GATE_NO_CHECKS",
            "Tidak satu pun aturan dijalankan. Periksa kontraknya.",
            "Not one rule was run. Check the contract.",
        )
    not_run = [result for result in results if result.outcome == "not_run" and result.severity != "warn"]
    if not_run:
        code = not_run[0].rule_code
        return _Reason(
            "GATE_RULE_NOT_RUN",
            f"Aturan {code} tidak dapat dijalankan. Periksa aturan itu di kontrak, lalu nilai ulang.",
            f"Rule {code} could not be run. Check it in the contract, then judge again.",
        )
    if context.received_on < context.period.start:
        return _Reason(
            "PERIOD_NOT_BEGUN",
            f"Periode {context.period.label} belum dimulai ketika kiriman diterima. Kirim untuk periode yang benar.",
            f"The period {context.period.label} had not begun when it was received. Send it for the right period.",
        )
    return None


def _by_rules(
    group: _Group,
    results: Sequence[RuleOutcome],
    parsed: Parsed,
    n_left: int,
    profile: Mapping[str, float | None],
) -> _Reason | None:
    """What the rules hold a delivery for, and what set its rows aside where they are too many.

    A rule that the contract states about the whole comes first: it says what all those rows have in common.
    """
    stop_results = [result for result in results if result.outcome == "fail" and result.severity == "stop"]
    reasons = {result.rule_code: _stopped(group, result, profile) for result in stop_results}
    limits = [reasons.pop(rule.code) for rule in group.rules if rule.column == _LIMITED and rule.code in reasons]
    if n_left == 0 and (parsed.rows_read or not group.contract.extras.may_be_empty):
        limits = [_Reason("GATE_NO_ROWS_LEFT", *_NO_ROWS_LEFT)]
    of_the_whole = next(iter(reasons.values()), None)
    if not limits:
        return of_the_whole
    return _because(of_the_whole or limits[0], _causes(group, results, parsed))


def _causes(group: _Group, results: Sequence[RuleOutcome], parsed: Parsed) -> list[_Reason]:
    """What set rows aside, the most rows first: the rule, its rows of all, and what to do about it."""
    n_read, words = parsed.rows_read, {rule.code: rule.extras for rule in group.rules}
    causes: list[tuple[int, _Reason]] = []
    for code, n_refused in Counter(row.rule_code for row in parsed.refused).items():
        about_id, about_en = REFUSED[code]
        causes.append((n_refused, _counted(code, n_refused, n_read, about_id, about_en, *SEND_AGAIN)))
    for result in results:
        if result.outcome == "fail" and result.severity == "quarantine":
            own = words[result.rule_code]
            texts = (own.message_id, own.message_en, own.action_id, own.action_en)
            causes.append((result.failed or 0, _counted(result.rule_code, result.failed or 0, n_read, *texts)))
    return [reason for _, reason in sorted(causes, key=lambda one: (-one[0], one[1].code))]


def _counted(
    code: str, rows: int, n_read: int, about_id: str, about_en: str, action_id: str, action_en: str
) -> _Reason:
    return _Reason(
        code,
        f"{code}, {rows} dari {n_read} baris: {about_id} {action_id}",
        f"{code}, {rows} of {n_read} rows: {about_en} {action_en}",
    )


def _because(reason: _Reason, causes: Sequence[_Reason]) -> _Reason:
    texts = [reason, *causes[:_CAUSES_TOLD]]
    return _Reason(reason.code, " ".join(one.message_id for one in texts), " ".join(one.message_en for one in texts))


def _stopped(group: _Group, result: RuleOutcome, profile: Mapping[str, float | None]) -> _Reason:
    rule = next(rule for rule in group.rules if rule.code == result.rule_code)
    words = rule.extras
    if rule.extras.asset == "profile":
        return _Reason(
            rule.code,
            f"{_filled(words.message_id, profile)} {words.action_id}",
            f"{_filled(words.message_en, profile)} {words.action_en}",
        )
    return _Reason(
        rule.code,
        f"{words.message_id} ({result.failed} dari {result.checked} baris) {words.action_id}",
        f"{words.message_en} ({result.failed} of {result.checked} rows) {words.action_en}",
    )


def _filled(message: str, profile: Mapping[str, float | None]) -> str:
    """A profile rule's message names the delivery's measures in braces; whole numbers are written without decimals."""
    for name, value in profile.items():
        text = "-" if value is None else f"{value:.0f}" if value == int(value) else f"{value:.3g}"
        message = message.replace(f"{{{name}}}", text)
    return message


def _pointers(group: _Group, key: str, parsed: Parsed) -> list[Pointer]:
    """The rows that parsing refused, those that a quarantine rule took out, and where a stop rule failed."""
    limits = {
        rule.code: _POINTERS_OF_A_STOP_RULE if rule.severity == "stop" else group.rows.get(key, 0)
        for rule in group.rules
        if rule.severity != "warn" and group.failed.get((key, rule.code))
    }
    columns = {rule.code: judged_column(rule) for rule in group.rules}
    pointers = [Pointer(row.rule_code, None, row.source_part, row.source_row) for row in parsed.refused]
    for code, limit in limits.items():
        rows = group.connection.execute(
            "SELECT source_part, source_row FROM failures JOIN rows USING (row_id)"
            " WHERE asset = 'rows' AND rule_code = ? AND delivery_id = ? ORDER BY row_id LIMIT ?",
            [code, key, limit],
        ).fetchall()
        pointers += [Pointer(code, columns[code], source_part, source_row) for source_part, source_row in rows]
    return pointers


def _admitted(group: _Group, key: str) -> pa.Table:
    """The admitted rows in the sender's order: every column of the contract, and where each row stood."""
    names = ", ".join(staging.quoted(column.name) for column in group.contract.columns)
    # The engine sets aside room for a batch in every column, by default for a million rows however few there are.
    batch = max(group.rows.get(key, 0), 1)
    return group.connection.execute(
        f"SELECT {names}, source_part, source_row FROM rows"
        " WHERE delivery_id = ? AND row_id NOT IN (SELECT row_id FROM quarantined) ORDER BY row_id",
        [key],
    ).to_arrow_table(batch)
