"""Every rule of every contract has a delivery that trips it, through the file shape the agency would send."""

import pytest

from tests import samples
from warehouse.gate import DeliveryContext, all_rules, judge
from warehouse.parse import parse

DATASETS = sorted(samples.contracts())


def context(dataset: str, part: str) -> DeliveryContext:
    return DeliveryContext(samples.period(dataset), part, samples.RECEIVED_AT)


@pytest.fixture(scope="module", params=DATASETS)
def judged(request, tmp_path_factory):
    """Good rows and every break of a dataset, judged in one run; each delivery is a part of its own."""
    from warehouse.settings import Settings

    dataset, contract = request.param, samples.contracts()[request.param]
    deliveries = {"good": samples.Break(samples.good_rows(dataset)), **samples.breaking_rows(dataset)}
    parsed, contexts, history = {}, {}, []
    for code, sample in deliveries.items():
        data, media = samples.as_file(dataset, sample.rows, sample.shape)
        parsed[code] = parse(contract, data, media)
        part = "benda" if dataset == "polri/outreach" else code
        contexts[code] = context(dataset, part)
        if sample.before:
            before = {"part": part, "period_start": samples.period(dataset).shift(-1).start, "profile": sample.before}
            history.append(before)
    settings = Settings(home=tmp_path_factory.mktemp("rules"))
    return dataset, contract, judge(settings, contract, parsed, contexts, history, frozenset())


def test_good_rows_pass_every_rule(judged) -> None:
    dataset, _, judgements = judged
    good = judgements["good"]
    failed = [result.rule_code for result in good.results if result.outcome == "fail"]
    assert (failed, good.verdict, good.rows_admitted) == ([], "accepted", len(samples.good_rows(dataset)))


def test_every_rule_has_a_delivery_that_trips_it(judged) -> None:
    _, contract, judgements = judged
    codes = {rule.code for rule in all_rules(contract)} - samples.UNBREAKABLE.keys()
    assert codes == judgements.keys() - {"good"}
    silent = [
        code
        for code in sorted(codes)
        if not any(r.rule_code == code and r.outcome == "fail" for r in judgements[code].results)
    ]
    assert silent == []


def test_each_break_meets_its_rules_severity(judged) -> None:
    _, contract, judgements = judged
    rules = {rule.code: rule for rule in all_rules(contract)}
    for code, judgement in judgements.items():
        if code == "good":
            continue
        if rules[code].severity == "stop":
            assert judgement.verdict == "held", code
        if rules[code].severity == "quarantine":
            assert judgement.verdict == "held" or judgement.rows_quarantined, code
        assert judgement.rows_read == judgement.rows_admitted + judgement.rows_quarantined + judgement.rows_refused
