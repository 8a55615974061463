"""Kinds of rules: what becomes of one with a rule's arguments, what is refused, and that each text is said once."""

import json
import re
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft201909Validator

from warehouse.core.contract.kinds import OF_A_CONTRACT, KindFault, Kinds, load_kinds, resolve
from warehouse.core.contract.model import Words
from warehouse.core.errors import ConfigError
from warehouse.core.settings import PROJECT_DIR, Settings

SOURCES, MARTS = Settings().contracts_dir, Settings().mart_rules_dir
CONTRACTS = sorted(SOURCES.rglob("*.odcs.yaml"))
TEXTS = ("message_id", "message_en", "action_id", "action_en")

KINDS = Kinds.model_validate(
    {
        "actions": {"weigh": {"id": "Timbang ulang.", "en": "Weigh again."}},
        "kinds": {
            "between": {
                "expectation": "expect_column_values_to_be_between",
                "kwargs": {"column": "{column}", "min_value": "{min}", "max_value": "{max}"},
                "severity": "warn",
                "category": "plausibility",
                "owner": "sender",
                "defaults": {"unit": ""},
                "message_id": "{label} di luar {min} sampai {max}{unit}.",
                "message_en": "{label} is outside {min} to {max}{unit}.",
            },
            "strict": {"like": "between", "severity": "quarantine", "action": "weigh"},
            "most": {
                "like": "strict",
                "asset": "profile",
                "kwargs": {"column": "share_{column}"},
                "measures": {"share_{column}": "avg({column})"},
                "message_id": "Lebih dari {max:%} {rows} baris tanpa isi.",
                "message_en": "More than {max:%} of {rows} rows are empty.",
            },
        },
    }
)
LABELS = {"berat": Words(id="berat badan", en="weight")}


def made(**given) -> dict:
    return resolve(KINDS, given, OF_A_CONTRACT, LABELS, {"rows"})


def test_a_rule_has_what_its_kind_says_and_what_that_kind_is_like() -> None:
    rule = made(kind="strict", column="berat", min=0.9, max=2000, unit=" kg")
    assert rule["kwargs"] == {"column": "berat", "min_value": 0.9, "max_value": 2000}
    assert (rule["severity"], rule["owner"], rule["action_id"]) == ("quarantine", "sender", "Timbang ulang.")


def test_numbers_are_written_as_the_language_writes_them_and_labels_begin_with_a_capital() -> None:
    rule = made(kind="strict", column="berat", min=0.9, max=2000, unit=" kg")
    assert rule["message_id"] == "Berat badan di luar 0,9 sampai 2.000 kg."
    assert rule["message_en"] == "Weight is outside 0.9 to 2,000 kg."


def test_a_column_without_a_label_goes_by_its_name() -> None:
    rule = made(kind="strict", column="lila_cm", min=0, max=20)
    assert (rule["message_id"], rule["message_en"]) == (
        "Isi lila_cm di luar 0 sampai 20.",
        "lila_cm is outside 0 to 20.",
    )


@pytest.mark.parametrize("label", ["berat", {"id": "berat badan", "en": "weight"}])
def test_a_label_may_be_that_of_another_column_or_given_in_both_languages(label) -> None:
    assert made(kind="strict", column="is_heavy", min=0, max=20, label=label)["message_en"].startswith("Weight is")


def test_a_profile_rule_brings_its_measure_and_leaves_measures_to_the_judgement() -> None:
    rule = made(kind="most", column="berat", min=0, max=0.075)
    assert rule["measures"] == {"share_berat": "avg(berat)"}
    assert rule["kwargs"]["column"] == "share_berat"
    assert rule["message_id"] == "Lebih dari 7,5% {rows} baris tanpa isi."


def test_a_rule_may_bring_the_measure_it_judges() -> None:
    rule = made(kind="strict", column="change_total", min=0.5, max=2, measure="sum(berat)")
    assert rule["measures"] == {"total": "sum(berat)"}


def test_what_a_rule_says_itself_counts() -> None:
    rule = made(kind="between", column="berat", min=0, max=9, severity="stop", owner="walidata", action="weigh")
    assert (rule["severity"], rule["owner"], rule["action_en"]) == ("stop", "walidata", "Weigh again.")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"kind": "strickt"}, "kind 'strickt' is not known; the nearest is 'strict'"),
        (
            {"kind": "strict", "column": "berat", "min": 0},
            "kind 'strict' needs 'max'; it takes column, label, max, min",
        ),
        ({"kind": "strict", "column": "berat", "min": 0, "max": 1, "mx": 1}, "kind 'strict' takes no 'mx'"),
        ({"kind": "strict", "column": "berat", "min": 0, "max": 1, "action": "wiegh"}, "action 'wiegh' is not known"),
        ({"kind": "between", "column": "berat", "min": 0, "max": 1}, "it has no action_id"),
    ],
)
def test_a_rule_that_its_kind_cannot_be_made_of_is_refused(given: dict, expected: str) -> None:
    with pytest.raises(KindFault, match=re.escape(expected)):
        made(**given)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("{message_id: 'Di atas {max}.', message_en: Too high.}", "its message has {max} in one language only"),
        ("{message_id: Salah.}", "its message is in one language only"),
        ("{like: other}", "it is like 'other', which is itself or does not exist"),
        ("{like: odd}", "it is like 'odd', which is itself or does not exist"),
        ("{action: none}", "action 'none' is not known"),
        ("{severity: halt}", "severity"),
        ("{mesage_id: x}", "mesage_id"),
    ],
)
def test_a_faulty_kind_is_refused_with_its_line(tmp_path: Path, kind: str, expected: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(f"kinds:\n  good: {{owner: sender}}\n  odd: {kind}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_kinds(path)
    assert error.value.code == "RULE_KINDS_INVALID"
    assert "line 3: kind odd" in error.value.message_en
    assert expected in error.value.message_en


def written_rules() -> list[dict]:
    contracts = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in CONTRACTS]
    marts = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in MARTS.glob("*.yaml")]
    own = [rule["implementation"] for contract in contracts for rule in contract["schema"][0]["quality"]]
    return own + [rule for mart in marts for rule in mart["rules"]]


def test_each_text_of_rules_is_said_once() -> None:
    kinds = yaml.safe_load((SOURCES.parent / "rules.yaml").read_text(encoding="utf-8"))
    said = [*kinds["kinds"].values(), *written_rules()]
    texts = [entry[text] for entry in said for text in TEXTS if text in entry]
    texts += [text for action in kinds["actions"].values() for text in action.values()]
    assert [text for text, count in Counter(texts).items() if count > 1] == []


def test_each_kind_and_action_is_used() -> None:
    kinds = load_kinds(SOURCES.parent / "rules.yaml")
    rules = written_rules()
    named = {rule.get("kind") for rule in rules} | {kind.like for kind in kinds.kinds.values()}
    asked = {rule.get("action") for rule in rules} | {kind.action for kind in kinds.kinds.values()}
    assert (kinds.kinds.keys() - named, kinds.actions.keys() - asked) == (set(), set())


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.stem)
class TestEveryFile:
    def test_a_rule_reads_in_five_lines(self, path: Path) -> None:
        _, _, rules = path.read_text(encoding="utf-8").partition("\n    quality:\n")
        lengths = [len(rule.splitlines()) for rule in re.split(r"(?m)^ +- (?=\{?name:)", rules)[1:]]
        assert lengths
        assert max(lengths) <= 5

    def test_the_contract_is_valid_odcs(self, path: Path) -> None:
        """By the schema of the version it names, and by the one of the library that reads it."""
        own = (PROJECT_DIR / "tests" / "data" / "odcs" / "odcs-3.0.2.schema.json").read_text(encoding="utf-8")
        newest = resources.files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")
        contract = json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str))
        assert contract["apiVersion"] == "v3.0.2"
        for schema in (own, newest):
            validator = Draft201909Validator(json.loads(schema))
            assert [(fault.json_path, fault.message) for fault in validator.iter_errors(contract)] == []
