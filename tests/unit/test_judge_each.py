"""One delivery whose values break the judgement is held by itself; the others of its group are judged."""

import duckdb
import pytest

from tests.support.gate_helpers import column, context, contract, parsed
from warehouse.core.errors import ConfigError
from warehouse.intake import gate
from warehouse.intake.judge import _each_by_itself

POISON = "99999999999"
CONTRACT = contract([column("age"), column("years", "integer", derivation="CAST(age AS INTEGER) * 12")])
SENT = {"good": ["3"], "poison": ["3", POISON], "other": ["4", "5"]}


def judged(settings, one, sent) -> dict[str, gate.Judgement]:
    deliveries = {key: parsed(one, [{"age": age} for age in ages]) for key, ages in sent.items()}
    contexts = {key: context() for key in sent}
    return _each_by_itself(deliveries, lambda some: gate.judge(settings, one, some, contexts, []))


def test_a_poisonous_delivery_ends_its_own_judgement_and_no_other(settings):
    found = judged(settings, CONTRACT, SENT)
    assert {key: (one.verdict, one.rows_admitted) for key, one in found.items()} == {
        "good": ("accepted", 1),
        "poison": ("held", 0),
        "other": ("accepted", 2),
    }
    poison = found["poison"]
    assert (poison.reason_code, poison.rows_read, poison.rows_refused) == ("GATE_UNFORESEEN", 2, 2)
    assert "ConfigError at staging.py" in poison.message_en
    assert POISON not in repr(poison)


def test_a_contract_that_no_delivery_could_pass_is_not_the_deliverys_fault(settings):
    wrong = contract([column("age"), column("years", "integer", derivation="no_such_function(age)")])
    with pytest.raises(ConfigError, match="CONTRACT_DERIVATION_FAILED"):
        judged(settings, wrong, SENT)


@pytest.mark.parametrize("ours", [OSError(28, "No space left on device"), duckdb.IOException("no space")])
def test_a_fault_of_the_machine_is_no_verdict(ours):
    def fails(_some):
        raise ours

    with pytest.raises(type(ours)):
        _each_by_itself({"one": parsed(CONTRACT, [{"age": "3"}])}, fails)
