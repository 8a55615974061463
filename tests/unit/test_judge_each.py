"""One delivery whose values break the judgement is held by itself; the others of its group are judged."""

import os
import pickle
import subprocess
from dataclasses import replace

import duckdb
import pytest

from tests.support import build_files
from tests.support.forked import forked
from tests.support.gate_helpers import column, context, contract, parsed
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.intake import begun, gate
from warehouse.intake import judge as judge_room
from warehouse.intake.judge import Judged, each_by_itself
from warehouse.ledger import deliveries
from warehouse.ledger.warehouse import Warehouse, open_warehouse
from warehouse.storage import keys

POISON = "99999999999"
CONTRACT = contract([column("age"), column("years", "integer", derivation="CAST(age AS INTEGER) * 12")])
SENT = {"good": ["3"], "poison": ["3", POISON], "other": ["4", "5"]}


def judged(settings, one, sent) -> dict[str, gate.Judgement]:
    deliveries = {key: parsed(one, [{"age": age} for age in ages]) for key, ages in sent.items()}
    contexts = {key: context() for key in sent}
    return each_by_itself(deliveries, lambda some: gate.judge(settings, one, some, contexts, []))


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
        each_by_itself({"one": parsed(CONTRACT, [{"age": "3"}])}, fails)


# --- what ended a process


@pytest.fixture
def landed(settings: Settings) -> tuple[Warehouse, list[deliveries.Delivery]]:
    keys.make_sandbox_keys(settings)
    w = open_warehouse(settings)
    made = [build_files.admit(w.ledger, build_files.Given("dukcapil/population", period)) for period in PERIODS]
    return w, [deliveries.one(w.ledger, name) for name in made]


PERIODS = ("2025-H1", "2025-H2", "2026-H1")


def _die_judging(s: Settings, names: list[str]) -> None:
    with begun.marked(s, names):
        os._exit(9)


def test_marks_outlive_their_process_alone(settings: Settings):
    with begun.marked(settings, ["running"]):
        forked(_die_judging, settings, ["one", "other"]).join()
        assert begun.left(settings) == {"one", "other"}
        with pytest.raises(ValueError, match="ours"), begun.marked(settings, ["failed"]):
            raise ValueError("ours")
        begun.forget(settings, {"one"})
        assert begun.left(settings) == {"other"}
    begun.forget(settings, {"other"})
    assert begun.left(settings) == set()


@pytest.mark.parametrize(
    ("ending", "verdicts", "is_judged_here"),
    [
        (subprocess.CompletedProcess([], -9), [("held", "JUDGE_ENDED_PROCESS")], False),
        (subprocess.CompletedProcess([], 137), [("held", "JUDGE_ENDED_PROCESS")], False),
        (subprocess.TimeoutExpired([], 9), [("held", "JUDGE_ENDED_PROCESS")], False),
        (subprocess.CompletedProcess([], 0, pickle.dumps(Judged())), [], False),
        (subprocess.CompletedProcess([], 1), [], True),
    ],
)
def test_what_a_process_died_with_is_judged_by_itself_in_another(
    landed, monkeypatch, ending: object, verdicts: list, is_judged_here: bool
):
    w, waiting = landed
    here: list[list[str]] = []
    monkeypatch.setattr(judge_room, "_judge_group", lambda _w, group, *_: here.append([one.part for one in group]))

    def run(*_command: object, **_how: object) -> object:
        if isinstance(ending, Exception):
            raise ending
        return ending

    monkeypatch.setattr(subprocess, "run", run)
    suspect = waiting[1]
    forked(_die_judging, w.settings, [suspect.delivery_id]).join()
    outcome = judge_room.judge(w, waiting)
    assert [(one.verdict, one.reason_code) for one in outcome.verdicts] == verdicts
    assert len(here) == 2 + is_judged_here
    assert begun.left(w.settings) == set()


def test_who_judges_apart_can_be_called_and_says_what_came_of_it(landed):
    """The landed copies of these deliveries are not there: a fault of ours, which no process ends for."""
    w, waiting = landed
    forked(_die_judging, w.settings, [one.delivery_id for one in waiting[:1]]).join()
    outcome = judge_room.judge(w, waiting[:1])
    assert {name: error.code for name, error in outcome.lost.items()} == {waiting[0].delivery_id: "LANDING_MISSING"}


def test_the_others_of_its_group_are_judged_where_one_ends_the_process_again(landed, monkeypatch):
    w, (one, *_) = landed
    other = replace(one, delivery_id="other")
    tried: list[list[str]] = []

    def run(*_command: object, **how: bytes) -> subprocess.CompletedProcess:
        _s, group, _overridden = pickle.loads(how["input"])
        tried.append([delivery.delivery_id for delivery in group])
        return subprocess.CompletedProcess([], 0 if tried[-1] == ["other"] else -9, pickle.dumps(Judged()))

    monkeypatch.setattr(subprocess, "run", run)
    forked(_die_judging, w.settings, [one.delivery_id, "other"]).join()
    outcome = judge_room.judge(w, [one, other])
    assert sorted(tried, key=len) == [[one.delivery_id], ["other"], [one.delivery_id, "other"]]
    assert [(found.delivery_id, found.reason_code) for found in outcome.verdicts] == [
        (one.delivery_id, "JUDGE_ENDED_PROCESS")
    ]
