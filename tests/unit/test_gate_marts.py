"""Rules on marts: read from their file, run read-only on a build file, with outcomes and never a value."""

from pathlib import Path

import duckdb
import pytest

from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.intake import gate
from warehouse.ledger.deliveries import RuleOutcome

WORDS = "message_id: a, message_en: b, action_id: c, action_en: d, owner: walidata, reason: t, reason_date: 2026-11-22"


def _rule(code: str, expectation: str, kwargs: str, severity: str = "stop") -> str:
    head = f"code: {code}, expectation: {expectation}, kwargs: {kwargs}, severity: {severity}, category: validity"
    return f"  - {{{head}, {WORDS}}}\n"


@pytest.fixture
def s(tmp_path) -> Settings:
    s = Settings(home=tmp_path / "home", project_dir=tmp_path)
    s.mart_rules_dir.mkdir(parents=True)
    s.build_file.parent.mkdir(parents=True)
    with duckdb.connect(str(s.build_file)) as connection:
        connection.execute("CREATE SCHEMA marts")
        connection.execute("CREATE TABLE marts.m AS SELECT range AS numerator, 10 AS denominator FROM range(12)")
        connection.execute("CREATE TABLE marts.other AS SELECT 66 AS total")
    return s


def judge(s: Settings, *rules: str, last_release: Path | None = None) -> dict[str, RuleOutcome]:
    (s.mart_rules_dir / "m.yaml").write_text("rules:\n" + "".join(rules))
    return {outcome.rule_code: outcome for outcome in gate.judge_mart(s, s.build_file, "m", last_release=last_release)}


def test_rules_of_rows_of_totals_and_across_marts(s):
    total = "SELECT 1 FROM (SELECT sum(numerator) AS n FROM {batch}) JOIN other ON n <> total"
    found = judge(
        s,
        _rule("M-1", "expect_column_values_to_be_between", "{column: numerator, min_value: 0}"),
        _rule("M-2", "expect_column_values_to_be_between", "{column: numerator, max_value: 10}", "warn"),
        _rule("M-3", "expect_column_sum_to_be_between", "{column: numerator, min_value: 66, max_value: 66}"),
        _rule("M-4", "unexpected_rows_expectation", f'{{unexpected_rows_query: "{total}"}}'),
        _rule(
            "M-5", "expect_column_pair_values_a_to_be_greater_than_b", "{column_A: denominator, column_B: numerator}"
        ),
        _rule("M-6", "expect_column_values_to_be_in_set", "{column: denominator, value_set: [ten]}"),
    )
    assert {code: one.outcome for code, one in found.items()} == {
        "M-1": "pass", "M-2": "fail", "M-3": "pass", "M-4": "pass", "M-5": "fail", "M-6": "not_run"
    }  # fmt: skip
    assert (found["M-2"].checked, found["M-2"].failed, found["M-2"].severity) == (12, 1, "warn")
    assert found["M-3"].observed == 66.0
    assert found["M-5"].failed == 2


def test_what_readers_have_stands_beside_the_mart(s, tmp_path):
    moved = "SELECT now.numerator FROM {batch} AS now JOIN last_release.m AS old USING (numerator) WHERE {change}"
    changed = _rule("M-1", "unexpected_rows_expectation", f'{{unexpected_rows_query: "{moved}"}}', "warn")
    changed = changed.replace("{change}", "now.denominator <> old.denominator OR old.numerator_low IS NOT NULL")
    with duckdb.connect(str(s.build_file)) as connection:
        connection.execute("ALTER TABLE marts.m ADD COLUMN numerator_low BIGINT")
    assert judge(s, changed)["M-1"].outcome == "pass", "nothing was released yet"
    released = tmp_path / "it's released.duckdb"
    with duckdb.connect(str(released)) as connection:
        connection.execute("CREATE TABLE m AS SELECT 3::BIGINT AS numerator, 11 AS denominator, 'gone' AS gone")
    assert judge(s, changed, last_release=released)["M-1"].failed == 1


def test_a_mart_without_rules_has_no_outcomes(s):
    assert gate.judge_mart(s, s.build_file, "other") == []


@pytest.mark.parametrize("fault", ["severity: quarantine", "owner: nobody", "colour: red"])
def test_a_faulty_rule_is_refused_by_name(s, fault):
    line = _rule("M-1", "expect_column_values_to_not_be_null", "{column: numerator}")
    key = fault.partition(":")[0]
    given = {"severity": "severity: stop", "owner": "owner: walidata"}.get(key)
    line = line.replace(given, fault) if given else line.replace("owner:", f"{fault}, owner:")
    with pytest.raises(ConfigError, match=r"RULE_INVALID.*M-1"):
        judge(s, line)
