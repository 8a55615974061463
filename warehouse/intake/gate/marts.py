"""Rules on marts: read from ``expectations/marts/<mart>.yaml``, run read-only on a build file.

Queries in rules name other marts by their bare names, other tables with their schema, and what readers had until now as
``last_release.<mart>``: the same columns, small counts rounded, empty where nothing was released. ``sample.kelurahan``
has the ``kemendagri_code`` of each kelurahan that a sandbox peoples; it is empty where agencies report on all the city.

Here: the rules' file and their outcomes. Not here: what a failed stop rule leads to (release).
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import yaml

from warehouse.core import duck
from warehouse.core.contract import Rule, documents
from warehouse.core.contract.kinds import OF_A_MART, Kinds, load_kinds, resolve
from warehouse.core.duck import sql_path
from warehouse.core.settings import Settings
from warehouse.intake.gate import expectations
from warehouse.intake.gate.rules import invalid_rule
from warehouse.ledger.deliveries import RuleOutcome
from warehouse.storage import sample


@lru_cache
def mart_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of one file: a list under ``rules``, each with ``code``, the ``kind`` it is of in ``rules.yaml`` beside
    the folder with that kind's arguments, and what it says itself; raises ConfigError RULE_INVALID with the line."""
    lines: dict[str, int] = {}
    code = None
    try:
        document, lines = documents.read(path)
        rules = []
        for entry in (document or {}).get("rules") or ():
            code = entry.get("code")
            kinds = load_kinds(path.parent.parent / "rules.yaml")
            rules.append(_mart_rule(kinds, entry, documents.place(path, lines, code)))
    except (ValueError, yaml.YAMLError) as error:
        raise invalid_rule(f"{code} ({documents.place(path, lines, code)})", documents.explained(error)) from None
    return tuple(rules)


def _mart_rule(kinds: Kinds, entry: Mapping[str, Any], place: str) -> Rule:
    fields = resolve(kinds, {key: value for key, value in entry.items() if key != "code"}, OF_A_MART)
    if fields.pop("measures"):
        raise ValueError("a mart has no profile to measure")
    # A mart is judged whole, as a profile is: its rows have no row_id to point at.
    rule = Rule.of(entry["code"], {"asset": "profile", "place": place} | fields)
    if rule.severity == "quarantine":
        raise ValueError("a mart is released whole or not at all: severity is stop or warn")
    return rule


def judge_mart(
    s: Settings, build_file: Path, mart: str, schema: str = "marts", last_release: Path | None = None
) -> list[RuleOutcome]:
    """Run ``expectations/marts/<mart>.yaml`` on a mart of a build file; a mart without a file has no rules.

    ``last_release`` is the file of marts that this build is compared with.
    """
    path = s.mart_rules_dir / f"{mart}.yaml"
    rules = mart_rules(path) if path.is_file() else ()
    # A connection opened read-only could not make the views.
    with duck.connect(s) as connection:
        connection.execute(f"ATTACH '{sql_path(build_file)}' AS build (READ_ONLY)")
        _attach_last_release(connection, schema, last_release)
        _attach_sample(connection, s)
        findings = expectations.run(connection, mart, rules, schema=f"build.{schema}", pointers=False)
    return [_outcome(rule, findings[rule.code]) for rule in rules]


def _attach_last_release(connection: duckdb.DuckDBPyConnection, schema: str, release_file: Path | None) -> None:
    """Make ``last_release.<mart>`` of every mart, with at least the columns it has now."""
    connection.execute("ATTACH ':memory:' AS last_release")
    if release_file:
        connection.execute(f"ATTACH '{sql_path(release_file)}' AS released (READ_ONLY)")
    marts = connection.execute(
        "SELECT table_name, bool_or(database_name = 'released') FROM duckdb_tables()"
        " WHERE (database_name, schema_name) IN (('build', ?), ('released', 'main')) GROUP BY table_name"
        " HAVING bool_or(database_name = 'build')",
        [schema],
    ).fetchall()
    for mart, was_released in marts:
        then = f'UNION ALL BY NAME FROM released.main."{mart}"' if was_released else ""
        connection.execute(
            f'CREATE VIEW last_release.main."{mart}" AS FROM (FROM build."{schema}"."{mart}" LIMIT 0) {then}'
        )


def _attach_sample(connection: duckdb.DuckDBPyConnection, s: Settings) -> None:
    part = sample.declared(s)
    connection.execute("ATTACH ':memory:' AS sample")
    connection.execute(
        "CREATE TABLE sample.main.kelurahan AS SELECT unnest(CAST(? AS VARCHAR[])) AS kemendagri_code",
        [sorted(part.kelurahan) if part else []],
    )


def _outcome(rule: Rule, finding: expectations.Finding) -> RuleOutcome:
    return RuleOutcome(
        rule_code=rule.code,
        column_name=rule.column,
        severity=rule.severity,
        category=rule.category,
        outcome="not_run" if not finding.has_run else "pass" if finding.passed else "fail",
        checked=finding.checked,
        failed=finding.failed,
        observed=finding.observed,
    )
