"""Steps of gate.feature: real contract, real file shapes, rows counted as the sender counts them."""

from dataclasses import dataclass, field
from datetime import date

import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from tests.support import samples
from warehouse.core.contract import Contract
from warehouse.intake import gate
from warehouse.intake.gate import verdict
from warehouse.intake.parse import parse

scenarios("gate.feature")

DATASET = "kemenkes/eppgbm"
HEADER_ROWS = 1


@dataclass
class Case:
    """What a scenario has set up, and what the gate said."""

    contract: Contract
    rows: list[dict]
    second: list[dict] | None = None
    judged: dict[str, gate.Judgement] = field(default_factory=dict)

    def judge(self, settings, overridden: frozenset[str] = frozenset()) -> None:
        files = {"file": self.rows} | ({"second": self.second} if self.second else {})
        parsed = {
            key: parse(self.contract, *samples.as_file(DATASET, rows, "sigizi_csv")) for key, rows in files.items()
        }
        context = {key: gate.DeliveryContext(samples.period(DATASET), key, samples.RECEIVED_AT) for key in files}
        self.judged = gate.judge(settings, self.contract, parsed, context, [], overridden)

    @property
    def judgement(self) -> gate.Judgement:
        return self.judged["file"]

    def failed(self) -> dict[str, str]:
        return {one.rule_code: one.severity for one in self.judgement.results if one.outcome == "fail"}

    def column(self, header: str) -> str:
        return next(column.name for column in self.contract.file_columns if header in column.headers)


@pytest.fixture
def case() -> Case:
    return Case(samples.contracts()[DATASET], samples.good_rows(DATASET))


@given("an e-PPGBM file for October 2026 with 8 children that follows every rule")
def _(case):
    assert (len(case.rows), samples.period(DATASET).label) == (8, "2026-10")


@given(parsers.parse('row {row:d} of the file says "{value}" under "{header}"'))
@given(parsers.parse('row {row:d} of the file says "" under "{header}"'))
def _(case, row, header, value=None):
    case.rows[row - 1 - HEADER_ROWS][case.column(header)] = value


@given(parsers.parse("row {row:d} of the file repeats row {other:d}"))
def _(case, row, other):
    case.rows[row - 1 - HEADER_ROWS] = dict(case.rows[other - 1 - HEADER_ROWS])


@given(parsers.parse('every row of the file says "{value}" under "{header}"'))
def _(case, header, value):
    case.rows = samples.every(case.rows, **{case.column(header): value})


@given("a second puskesmas' file that follows every rule")
def _(case):
    case.second = samples.good_rows(DATASET)


@given(parsers.parse("the agreement ended on {end}"))
def _(case, end):
    extras = case.contract.extras.model_copy(update={"agreement_end": date.fromisoformat(end)})
    case.contract = case.contract.model_copy(update={"extras": extras})


@given("no rule can be run")
def _(monkeypatch):
    monkeypatch.setattr(verdict, "all_rules", lambda _contract: ())


@when("the gate judges the file")
@when("the gate judges both files")
def _(case, settings):
    case.judge(settings)


@when("a person has admitted the file and the gate judges it again")
def _(case, settings):
    case.judge(settings, frozenset({"file"}))


@then("the file is accepted")
def _(case):
    assert case.judgement.verdict == "accepted"


@then("the second file is accepted")
def _(case):
    assert case.judged["second"].verdict == "accepted"


@then("the file is accepted with rows set aside")
def _(case):
    assert case.judgement.verdict == "accepted_with_quarantine"


@then(parsers.parse("{count:d} rows count, {aside:d} are set aside and {refused:d} are refused"))
def _(case, count, aside, refused):
    found = case.judgement
    assert (found.rows_admitted, found.rows_quarantined, found.rows_refused) == (count, aside, refused)
    assert found.rows_read == len(case.rows)


@then(parsers.parse("row {row:d} is set aside by rule {rule}, because {_reason}"))
@then(parsers.parse("row {row:d} is set aside by rule {rule}"))
def _(case, row, rule):
    assert (rule, row) in {(pointer.rule_code, pointer.source_row) for pointer in case.judgement.quarantined}


@then(parsers.parse("rule {rule} warns"))
def _(case, rule):
    assert case.failed()[rule] == "warn"


@then(parsers.parse("rule {rule} is on record as failed"))
def _(case, rule):
    assert rule in case.failed()


@then(parsers.parse("the file is held because of {code}"))
def _(case, code):
    assert (case.judgement.verdict, case.judgement.reason_code) == ("held", code)


@then("the message says what to do")
def _(case):
    rule = next(rule for rule in case.contract.rules if rule.code == case.judgement.reason_code)
    assert rule.extras.action_id in case.judgement.message_id
    assert rule.extras.action_en in case.judgement.message_en
