"""Runs rules as Great Expectations expectations on one DuckDB table and says, for each, how many rows failed.

Here: suite, run, counts, the query for failing rows. Not here: whose rows they are and what follows (verdict).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from warehouse.core.contract import Rule
from warehouse.intake.gate.rules import invalid_rule, translated

# Never COMPLETE, never a value: counts, and the query whose row_id column points at the failing rows.
_RESULT_FORMAT = {
    "result_format": "BASIC",
    "partial_unexpected_count": 0,
    "exclude_unexpected_values": True,
    "return_unexpected_index_query": True,
}


@dataclass(frozen=True)
class Finding:
    """What Great Expectations says of one rule; ``has_run`` is false where its expectation raised."""

    has_run: bool
    passed: bool = False
    failed: int | None = None
    checked: int | None = None
    observed: float | None = None
    rows_query: str | None = None


def run(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    rules: Sequence[Rule],
    *,
    schema: str = "main",
    pointers: bool,
) -> dict[str, Finding]:
    """Run all rules in one validation, which bundles their aggregates into few scans. Keys are rule codes."""
    from warehouse.intake.gate import gx

    if not rules:
        return {}
    queries = {}
    expectations = []
    for rule in rules:
        expectation = as_expectation(rule, pointers=pointers)
        queries[rule.code] = getattr(expectation, "unexpected_rows_query", "").format(batch=table) or None
        expectations.append(expectation)
    index: dict[str, Any] = (
        {"unexpected_index_column_names": ["row_id"]} if pointers else {"return_unexpected_index_query": False}
    )
    results = gx.validate(connection, table, schema, expectations, _RESULT_FORMAT | index)
    # A rule without a result has not run.
    findings = {rule.code: Finding(has_run=False) for rule in rules}
    for result in results:
        if ran := result.expectation_config:
            code = ran.meta["code"]
            findings[code] = _finding(result, queries[code])
    return findings


def confirm(rules: Sequence[Rule], *, pointers: bool) -> None:
    """Raise ConfigError RULE_INVALID for the first rule that could not be run; reads no data."""
    for rule in rules:
        as_expectation(rule, pointers=pointers)


def as_expectation(rule: Rule, *, pointers: bool) -> Any:
    """The rule as a Great Expectations expectation; raises ConfigError RULE_INVALID where there is none such."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    expectation, kwargs = translated(rule) if pointers else (rule.expectation, rule.kwargs)
    if pointers:
        _require_row_expectation(rule, expectation)
    try:
        return ExpectationConfiguration(type=expectation, kwargs=kwargs, meta={"code": rule.code}).to_domain_obj()
    except Exception as error:
        raise invalid_rule(rule.where, f"{expectation} refuses it ({type(error).__name__})") from None


def _require_row_expectation(rule: Rule, expectation: str) -> None:
    """Only expectations that judge each row by itself can tell the deliveries of one table apart."""
    from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )
    from great_expectations.expectations.registry import get_expectation_impl

    by_row = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation, UnexpectedRowsExpectation)
    among_rows = {
        "expect_column_values_to_be_decreasing",
        "expect_column_values_to_be_increasing",
        "expect_column_value_z_scores_to_be_less_than",
        "expect_column_values_to_not_be_outliers",
    }
    try:
        implementation = get_expectation_impl(expectation)
    except Exception:
        raise invalid_rule(rule.where, f"{expectation} does not exist") from None
    if expectation in among_rows or not issubclass(implementation, by_row):
        raise invalid_rule(rule.where, f"{expectation} does not judge single rows: put it on the profile")


def _finding(result: Any, rows_query: str | None) -> Finding:
    if _has_raised(result.exception_info):
        return Finding(has_run=False)
    details = result.result
    observed = details.get("observed_value")
    number = float(observed) if isinstance(observed, int | float) and not isinstance(observed, bool) else None
    n_failed = int(observed) if rows_query else details.get("unexpected_count")
    query = rows_query or (details.get("unexpected_index_query") or "").rstrip("; \n") or None
    n_checked = details.get("element_count")
    if n_checked is not None:
        n_checked -= details.get("missing_count") or 0
    return Finding(True, bool(result.success), n_failed, n_checked, number, query)


def _has_raised(info: dict[str, Any]) -> bool:
    """One flat dict, or one per metric."""
    return bool(info.get("raised_exception")) or any(
        isinstance(entry, dict) and entry.get("raised_exception") for entry in info.values()
    )
