"""From rows to verdicts: who is held, which rows go, that every row is accounted for, and that no value comes out."""

import logging
import subprocess
import sys
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.gate_helpers import column, context, contract, failures, judge_one, outcome, parsed, rule
from warehouse.core.errors import ConfigError
from warehouse.intake import gate
from warehouse.intake.gate import verdict
from warehouse.intake.gate.rules import all_rules
from warehouse.ledger.deliveries import Pointer

COLUMNS = [
    column("nik", classification="direct_identifier", use="linkage"),
    column("jk", codes={"L": (), "P": ()}, required=True),
    column("berat", "number"),
    column("is_light", "boolean", derivation="berat < 20", lake=False, use="gate"),
]
RULES = [
    rule("T-WEIGHT", "expect_column_values_to_be_between", column="berat", min_value=1, max_value=58),
    rule("T-TWICE", "expect_compound_columns_to_be_unique", column_list=["nik", "berat"]),
    rule("T-NIK", "expect_column_values_to_match_regex", "warn", column="nik", regex="^[0-9]{16}$"),
    rule("T-LIGHT", "expect_column_values_to_be_in_set", "stop", column="is_light", value_set=[True]),
    rule("T-ROWS", "expect_column_values_to_be_between", "warn", "profile", column="change_rows", min_value=0.5),
    rule("T-SHARE", "expect_column_values_to_be_between", "stop", "profile", column="share_l", max_value=0.9),
]
CONTRACT = contract(COLUMNS, RULES, profile={"share_l": "avg(CASE WHEN jk = 'L' THEN 1.0 ELSE 0.0 END)"})
GOOD = [{"nik": f"367101410220000{n}", "jk": "LP"[n % 2], "berat": f"{9 + n}.5"} for n in range(4)]


def changed(number: int, **cells) -> list[dict]:
    return [row | cells if n == number else row for n, row in enumerate(GOOD)]


def test_good_rows_are_accepted_whole(settings):
    judgement = judge_one(settings, CONTRACT, GOOD)
    assert (judgement.verdict, judgement.reason_code, judgement.rows_admitted) == ("accepted", None, 4)
    assert judgement.checks_run == len(all_rules(CONTRACT)) == len(judgement.results)
    assert judgement.admitted["berat"].to_pylist() == [9.5, 10.5, 11.5, 12.5]
    assert judgement.admitted["source_row"].to_pylist() == [2, 3, 4, 5]
    assert judgement.profile["rows"] == 4
    assert judgement.profile["share_l"] == 0.5


def test_a_row_that_breaks_a_quarantine_rule_goes_out_with_a_pointer(settings):
    judgement = judge_one(settings, CONTRACT, changed(2, berat="0.2"))
    assert (judgement.verdict, judgement.rows_admitted, judgement.rows_quarantined) == (
        "accepted_with_quarantine",
        3,
        1,
    )
    assert judgement.quarantined == [Pointer("T-WEIGHT", "berat", None, 4)]
    assert judgement.admitted["source_row"].to_pylist() == [2, 3, 5]


def test_a_row_that_breaks_several_rules_is_quarantined_once(settings):
    judgement = judge_one(settings, CONTRACT, changed(1, berat="abc", jk="X"))
    assert failures(judgement) == {"KEMENKES__EPPGBM-TYPE-berat": 1, "KEMENKES__EPPGBM-CODE-jk": 1}
    assert (judgement.rows_quarantined, len(judgement.quarantined)) == (1, 2)


def test_a_warning_is_counted_and_takes_no_row(settings):
    judgement = judge_one(settings, CONTRACT, changed(0, nik="3,67E+15"))
    assert failures(judgement) == {"T-NIK": 1}
    assert (judgement.verdict, judgement.quarantined) == ("accepted", [])
    assert outcome(judgement, "T-NIK").checked == 4


def test_missing_values_are_not_looked_at(settings):
    judgement = judge_one(settings, CONTRACT, changed(0, berat=None, nik=None))
    assert failures(judgement) == {}
    assert [outcome(judgement, code).checked for code in ("T-WEIGHT", "T-NIK", "KEMENKES__EPPGBM-REQUIRED-jk")] == [
        3,
        3,
        4,
    ]


def test_a_stop_rule_holds_the_delivery_and_says_how_many_rows(settings):
    judgement = judge_one(settings, CONTRACT, changed(3, berat="25"))
    assert (judgement.verdict, judgement.reason_code, judgement.admitted) == ("held", "T-LIGHT", None)
    assert "(1 of 4 rows)" in judgement.message_en
    assert "(1 dari 4 baris)" in judgement.message_id
    assert (judgement.rows_admitted, judgement.rows_refused) == (0, 4)
    assert judgement.quarantined == [Pointer("T-LIGHT", "is_light", None, 5)]


def test_a_person_may_admit_what_a_stop_rule_held(settings):
    judgement = judge_one(settings, CONTRACT, changed(3, berat="25"), overridden=True)
    assert (judgement.verdict, judgement.rows_admitted, judgement.reason_code) == ("accepted", 4, None)
    assert failures(judgement) == {"T-LIGHT": 1}


def test_quarantine_still_applies_to_what_a_person_admits(settings):
    judgement = judge_one(settings, CONTRACT, changed(3, berat="60"), overridden=True)
    assert (judgement.verdict, judgement.rows_admitted) == ("accepted_with_quarantine", 3)


def test_a_measure_of_the_delivery_holds_it_and_may_be_named(settings):
    words = {"message_en": "Share of L is {share_l} of {rows}."}
    told = rule("T-SHARE", "expect_column_values_to_be_between", "stop", "profile", column="share_l", max_value=0.9)
    told = told.model_copy(update={"extras": told.extras.model_copy(update=words)})
    one = contract(COLUMNS, [told], profile=CONTRACT.extras.profile)
    judgement = judge_one(settings, one, [row | {"jk": "L"} for row in GOOD])
    assert (judgement.verdict, judgement.reason_code) == ("held", "T-SHARE")
    assert judgement.message_en == "Share of L is 1 of 4. Mend it."
    assert outcome(judgement, "T-SHARE").observed == 1.0


def test_change_is_against_the_preceding_period_of_the_same_part(settings):
    history = [
        {"part": "batuceper", "period_start": date(2026, 9, 1), "profile": {"rows": 10}},
        {"part": "batuceper", "period_start": date(2026, 8, 1), "profile": {"rows": 4}},
        {"part": "benda", "period_start": date(2026, 9, 1), "profile": {"rows": 4}},
    ]
    assert failures(judge_one(settings, CONTRACT, GOOD, history)) == {"T-ROWS": 1}
    assert failures(judge_one(settings, CONTRACT, GOOD, history, part="benda")) == {}
    assert failures(judge_one(settings, CONTRACT, GOOD, history, part="new")) == {}


def test_only_the_delivery_s_own_measures_go_to_the_ledger(settings):
    assert set(judge_one(settings, CONTRACT, GOOD).profile) == {
        "rows",
        "missing_required_columns",
        "unknown_columns",
        "rows_set_aside",
        "share_set_aside",
        "rows_to_replaced",
        "set_aside_beyond_replaced",
        "same_as_another_period",
        "missing_jk",
        "missing_berat",
        "share_l",
    }


LIMIT = rule(
    "T-ASIDE", "expect_column_values_to_be_between", "stop", "profile", column="share_set_aside", max_value=0.1
)


@pytest.mark.parametrize(
    ("rows", "aside", "reason"),
    [(100, 10, None), (100, 11, "T-ASIDE"), (12, 4, None), (12, 5, "T-ASIDE"), (3, 2, "T-ASIDE"), (2, 1, None)],
)
def test_a_delivery_that_lost_much_of_its_rows_is_held_and_a_few_slips_are_not(settings, rows, aside, reason):
    sent = [GOOD[n % 4] | {"nik": str(n), "berat": "0.2" if n < aside else "9.5"} for n in range(rows)]
    judgement = judge_one(settings, contract(COLUMNS, [RULES[0], LIMIT]), sent)
    assert (judgement.reason_code, judgement.profile["rows_set_aside"]) == (reason, aside)


def test_the_causes_are_told_before_what_follows_from_them(settings):
    sent = [GOOD[n % 4] | {"berat": "0.2", "jk": "X" if n < 6 else "L"} for n in range(20)]
    sent += [GOOD[0] | {"berat": "9.5", "jk": "L"}]
    judgement = judge_one(
        settings,
        contract(COLUMNS, [RULES[0], RULES[5], LIMIT], profile=CONTRACT.extras.profile),
        parsed(CONTRACT, sent, refused=[40]),
    )
    told = judgement.message_en
    order = [told.index(code) for code in ("T-ASIDE", "T-WEIGHT, 20 of 22", "CODE-jk, 6 of 22", "PARSE_FIELD_COUNT, 1")]
    assert (judgement.reason_code, order) == ("T-ASIDE", sorted(order))


def test_no_row_left_names_what_took_the_rows(settings):
    judgement = judge_one(settings, CONTRACT, [row | {"berat": "0.2"} for row in GOOD])
    assert judgement.reason_code == "GATE_NO_ROWS_LEFT"
    assert "T-WEIGHT, 4 of 4 rows: T-WEIGHT is wrong. Mend it." in judgement.message_en
    assert "T-WEIGHT, 4 dari 4 baris" in judgement.message_id
    nothing = contract(COLUMNS, [RULES[0]], may_be_empty=True)
    assert judge_one(settings, nothing, [row | {"berat": "0.2"} for row in GOOD]).reason_code == "GATE_NO_ROWS_LEFT"


def test_a_column_without_one_value_holds_and_one_with_half_of_them_is_told(settings):
    one = contract(COLUMNS, [])
    empty = judge_one(settings, one, [row | {"berat": None} for row in GOOD])
    assert empty.reason_code == "KEMENKES__EPPGBM-MISSING-STOP-berat"
    assert "BERAT has not one value" in empty.message_en
    few = judge_one(settings, one, [row | {"berat": row["berat"] if n == 0 else None} for n, row in enumerate(GOOD)])
    assert (few.verdict, failures(few)) == ("accepted", {"KEMENKES__EPPGBM-MISSING-WARN-berat": 1})
    assert few.profile["missing_berat"] == 0.75


def test_what_cannot_be_read_is_not_missing(settings):
    judgement = judge_one(settings, contract(COLUMNS, []), changed(0, berat="abc", jk="X"))
    assert (judgement.profile["missing_berat"], judgement.profile["missing_jk"]) == (0, 0)


def test_a_period_that_has_not_begun_holds(settings):
    early = datetime(2026, 9, 30, 16, 59, tzinfo=UTC)
    assert judge_one(settings, CONTRACT, GOOD, received_at=early).reason_code == "PERIOD_NOT_BEGUN"
    assert judge_one(settings, CONTRACT, GOOD, received_at=datetime(2026, 9, 30, 17, tzinfo=UTC)).verdict == "accepted"


@pytest.mark.parametrize(
    ("sent", "faulty", "before", "reason"),
    [
        (40, 0, gate.Replaced(40, 0.0), None),
        (32, 0, gate.Replaced(40, 0.0), None),
        (23, 0, gate.Replaced(40, 0.0), "KEMENKES__EPPGBM-RESENT-ROWS"),
        (40, 9, gate.Replaced(40, 0.0), "KEMENKES__EPPGBM-RESENT-ROWS"),
        (40, 8, gate.Replaced(40, 0.0), "KEMENKES__EPPGBM-RESENT-ASIDE"),
        (40, 8, gate.Replaced(32, 0.2), None),
        # Four rows less are slips, even of six.
        (2, 0, gate.Replaced(6, None), None),
    ],
)
def test_a_delivery_that_is_far_worse_than_what_it_would_replace_is_held(settings, sent, faulty, before, reason):
    rows = [GOOD[n % 4] | {"nik": str(n), "berat": "0.2" if n < faulty else "9.5"} for n in range(sent)]
    assert judge_one(settings, contract(COLUMNS, [RULES[0]]), rows, replaced=before).reason_code == reason


def test_an_unknown_header_is_reported(settings):
    judgement = judge_one(settings, CONTRACT, parsed(CONTRACT, GOOD, unknown_headers=["Kolom Baru"]))
    assert (judgement.verdict, failures(judgement)) == ("accepted", {"KEMENKES__EPPGBM-HEADERS": 1})


def test_an_expired_agreement_holds_from_the_day_after_its_end(settings):
    one = contract(COLUMNS, RULES, agreement_end=date(2026, 11, 5), profile=CONTRACT.extras.profile)
    last_minute = datetime(2026, 11, 5, 16, 59, tzinfo=UTC)
    midnight_in_jakarta = datetime(2026, 11, 5, 17, 0, tzinfo=UTC)
    assert judge_one(settings, one, GOOD, received_at=last_minute).verdict == "accepted"
    assert judge_one(settings, one, GOOD, received_at=midnight_in_jakarta).reason_code == "AGREEMENT_EXPIRED"


def test_no_row_left_holds_unless_empty_deliveries_are_agreed(settings):
    assert judge_one(settings, CONTRACT, []).reason_code == "GATE_NO_ROWS_LEFT"
    assert judge_one(settings, CONTRACT, [GOOD[0] | {"jk": "X"}]).reason_code == "GATE_NO_ROWS_LEFT"
    outreach = contract(COLUMNS, [], may_be_empty=True)
    assert judge_one(settings, outreach, []).verdict == "accepted"


def test_zero_checks_hold(settings, monkeypatch):
    monkeypatch.setattr(verdict, "all_rules", lambda _contract: ())
    judgement = judge_one(settings, CONTRACT, GOOD)
    assert (judgement.verdict, judgement.reason_code, judgement.checks_run) == ("held", "GATE_NO_CHECKS", 0)


@pytest.mark.parametrize(
    ("severity", "reason"), [("stop", "GATE_RULE_NOT_RUN"), ("quarantine", "GATE_RULE_NOT_RUN"), ("warn", None)]
)
def test_a_rule_that_could_not_run_holds_unless_it_only_warns(settings, severity, reason):
    broken = rule("T-BROKEN", "expect_column_values_to_be_in_set", severity, column="berat", value_set=["heavy"])
    judgement = judge_one(settings, contract(COLUMNS, [broken, RULES[0]]), changed(0, berat="99"))
    assert judgement.reason_code == reason
    assert outcome(judgement, "T-BROKEN").outcome == "not_run"
    assert outcome(judgement, "T-WEIGHT").failed == 1
    assert judgement.checks_run == len(judgement.results) - 1


def test_deliveries_of_one_group_do_not_affect_each_other(settings):
    deliveries = {
        "good": parsed(CONTRACT, GOOD),
        "same": parsed(CONTRACT, GOOD),
        "twice": parsed(CONTRACT, [*GOOD, GOOD[0]]),
        "held": parsed(CONTRACT, changed(0, berat="25")),
        "empty": parsed(CONTRACT, []),
    }
    together = gate.judge(settings, CONTRACT, deliveries, {key: context(key) for key in deliveries}, [])
    assert {key: (one.verdict, one.rows_admitted) for key, one in together.items()} == {
        "good": ("accepted", 4),
        "same": ("accepted", 4),
        "twice": ("accepted_with_quarantine", 3),
        "held": ("held", 0),
        "empty": ("held", 0),
    }
    assert [pointer.source_row for pointer in together["twice"].quarantined] == [2, 6]
    for key, one in deliveries.items():
        alone = gate.judge(settings, CONTRACT, {key: one}, {key: context(key)}, [])[key]
        assert (alone.results, alone.quarantined, alone.profile) == (
            together[key].results,
            together[key].quarantined,
            together[key].profile,
        )


def test_a_share_is_judged_for_each_delivery(settings):
    mostly = rule("T-MOSTLY", "expect_column_values_to_be_between", "stop", column="berat", max_value=10, mostly=0.5)
    one = contract(COLUMNS, [mostly])
    heavy = [row | {"berat": "11"} for row in GOOD]
    deliveries = {"half": [*GOOD[:2], *heavy[:2]], "few": [GOOD[0], *heavy[:2]], "light": [GOOD[0]] * 5}
    judged = gate.judge(
        settings,
        one,
        {key: parsed(one, rows) for key, rows in deliveries.items()},
        {key: context() for key in deliveries},
        [],
    )
    assert {key: judgement.verdict for key, judgement in judged.items()} == {
        "half": "held",
        "few": "held",
        "light": "accepted",
    }


def test_queries_written_in_a_contract_point_at_rows(settings):
    query = "SELECT * FROM {batch} WHERE jk = 'L' AND berat > 10"
    one = contract(COLUMNS, [rule("T-QUERY", "unexpected_rows_expectation", unexpected_rows_query=query)])
    judgement = judge_one(settings, one, GOOD)
    assert [pointer.source_row for pointer in judgement.quarantined] == [4]


_cell = {
    "nik": st.sampled_from([None, "3671014102200007", "3,67E+15"]),
    "jk": st.sampled_from([None, "L", "P", "?"]),
    "berat": st.sampled_from([None, "9.5", "0", "abc", "25"]),
}


@hypothesis_settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    groups=st.dictionaries(
        st.sampled_from("abc"),
        st.tuples(st.lists(st.fixed_dictionaries(_cell), max_size=6), st.integers(0, 3)),
        min_size=1,
    ),
    overridden=st.booleans(),
)
def test_every_row_is_accounted_for(settings, groups, overridden):
    deliveries = {
        key: parsed(CONTRACT, rows, refused=range(100, 100 + refused)) for key, (rows, refused) in groups.items()
    }
    by_person = frozenset(deliveries) if overridden else frozenset()
    judged = gate.judge(settings, CONTRACT, deliveries, {key: context() for key in deliveries}, [], by_person)
    for key, one in judged.items():
        rows, refused = groups[key]
        assert one.rows_read == len(rows) + refused == one.rows_admitted + one.rows_quarantined + one.rows_refused
        assert one.rows_admitted == (0 if one.admitted is None else one.admitted.num_rows)
        quarantine_rules = {r.code for r in all_rules(CONTRACT) if r.severity == "quarantine"}
        pointed = {pointer.source_row for pointer in one.quarantined if pointer.rule_code in quarantine_rules}
        assert len(pointed) == one.rows_quarantined
        assert sum(pointer.rule_code == "PARSE_FIELD_COUNT" for pointer in one.quarantined) == refused
        if one.admitted is not None:
            assert pointed.isdisjoint(one.admitted["source_row"].to_pylist())
            assert one.rows_refused == refused


def test_no_value_of_a_delivery_is_in_a_judgement_a_log_or_an_error(settings, caplog, capfd):
    canary, weight = "3671014102209999", "9.98765"
    broken = rule("T-BROKEN", "expect_column_values_to_be_between", "stop", column="nik", min_value=1, max_value=2)
    crashing = rule(
        "T-CRASH",
        "unexpected_rows_expectation",
        unexpected_rows_query="SELECT * FROM {batch} WHERE CAST(nik AS INTEGER) > 0",
    )
    told = rule("T-TOLD", "expect_column_values_to_not_be_in_set", column="nik", value_set=["x"])
    pattern = rule("T-PATTERN", "expect_column_values_to_match_regex", column="nik", regex="^K$")
    one = contract(COLUMNS, [*RULES[:4], broken, crashing, told, pattern])
    rows = [row | {"nik": canary, "berat": weight} for row in GOOD]
    with caplog.at_level(logging.DEBUG):
        judgement = judge_one(settings, one, rows)
    assert outcome(judgement, "T-CRASH").outcome == "not_run"
    assert failures(judgement)["T-PATTERN"] == 4
    seen = repr(judgement) + caplog.text + "".join(capfd.readouterr())
    assert canary not in seen
    assert weight not in seen


@pytest.mark.parametrize(
    ("faulty", "detail"),
    [
        (
            rule("X", "expect_column_values_to_not_be_null", column="berat", row_condition='col("jk")=="L"'),
            "row_condition",
        ),
        (rule("X", "expect_column_values_to_match_regex", column="nik", regex="[0-9]{16}"), "must start with"),
        (rule("X", "expect_column_values_to_be_between", column="berat", min_value=1, mostly=0.9), "mostly"),
        (rule("X", "expect_column_mean_to_be_between", column="berat", min_value=1), "put it on the profile"),
        (rule("X", "expect_column_values_to_be_increasing", column="berat"), "put it on the profile"),
        (rule("X", "expect_column_values_to_glow", column="berat"), "does not exist"),
        (rule("X", "expect_column_values_to_be_between", column="berat", colour="red"), "refuses it"),
    ],
)
def test_a_rule_that_would_be_judged_wrongly_is_refused(settings, faulty, detail):
    with pytest.raises(ConfigError, match="RULE_INVALID") as error:
        judge_one(settings, contract(COLUMNS, [RULES[0], faulty]), GOOD)
    assert detail in str(error.value)


def test_importing_the_gate_does_not_import_great_expectations():
    code = "import sys, warehouse.intake.gate; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
