"""What makes two rows one: a number is not a person, and a natural key sets doubles aside in every contract."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support import samples
from tests.support.gate_helpers import column, contract, failures, judge_one, parsed, rule
from warehouse.core.settings import Settings
from warehouse.intake.gate import DeliveryContext, all_rules, judge

KEYED = ("perangkat", "tahun")
COLUMNS = [column("perangkat"), column("tahun")]


def judged(settings: Settings, dataset: str, *files: list[samples.Row]):
    """Judgements of several files of one dataset, in one run."""
    one = samples.contracts()[dataset]
    rows = {str(number): parsed(one, file) for number, file in enumerate(files)}
    contexts = {key: DeliveryContext(samples.period(dataset), key, samples.RECEIVED_AT) for key in rows}
    return list(judge(settings, one, rows, contexts, []).values())


def pair(dataset: str, **second: str | None) -> list[samples.Row]:
    """The first two good rows, the second as the first but for ``second``."""
    good = samples.good_rows(dataset)
    return [good[0], good[0] | second, *good[2:]]


EPPGBM, MEMBERS, PARTICIPANTS = "kemenkes/eppgbm", "bps/social_registry_individuals", "bpjstk/participants"


@pytest.mark.parametrize(
    ("dataset", "second", "birth"),
    [
        (EPPGBM, {"nama": "Anak Adik", "jk": "P"}, {"tgl_lahir": "2024-11-20"}),
        (MEMBERS, {"nama": "Anak Adik"}, {"tanggal_lahir": "2024-11-20"}),
        (PARTICIPANTS, {"nama": "Orang Lain"}, {"tgl_lahir": "1990-11-20"}),
    ],
)
def test_two_people_under_one_number_stay_two(settings, dataset, second, birth) -> None:
    files = [pair(dataset, **second, **birth), pair(dataset, **second), pair(dataset, **birth), pair(dataset)]
    *two, one = judged(settings, dataset, *files)
    number = {EPPGBM: "EPPGBM-020", MEMBERS: "DTSEN-IND-020", PARTICIPANTS: "JAMSOSTEK-020"}[dataset]
    for judgement in two:
        assert (judgement.rows_quarantined, judgement.rows_admitted) == (0, len(files[0]))
        assert failures(judgement)[number] == 2
    assert one.rows_quarantined == 2


@pytest.mark.parametrize("nik", ["as given", None])
@pytest.mark.parametrize(
    ("names", "stay"),
    [
        (("BY NY SITI 1", "BY NY SITI 2"), True),
        (("BY NY SITI 1/2", "BY NY SITI 2/2"), True),
        (("BY NY SITI", "BY NY SITI 2"), True),
        (("By. Ny. Siti (1)", "BY NY SITI 1"), False),
        (("BY NY SITI", "BY NY SITI"), False),
    ],
)
def test_unnamed_twins_on_one_day_are_two_where_a_number_tells_them_apart(settings, names, stay, nik) -> None:
    good = samples.good_rows(EPPGBM)
    given_nik = good[0]["nik"] if nik else None
    twins = [good[0] | {"nama": name, "nik": given_nik} for name in names]
    (judgement,) = judged(settings, EPPGBM, [*twins, *good[2:]])
    assert judgement.rows_quarantined == (0 if stay else 2)


def test_a_member_without_nik_is_one_by_name_birth_sex_and_card(settings) -> None:
    same, other = (
        [row | {"nik": None} for row in pair(MEMBERS, **card)[:2]] for card in ({}, {"no_kk": samples.kk(99)})
    )
    rest = samples.good_rows(MEMBERS)[2:]
    twice, apart = judged(settings, MEMBERS, same + rest, other + rest)
    assert (twice.rows_quarantined, apart.rows_quarantined) == (2, 0)


def test_every_natural_key_sets_its_doubles_aside() -> None:
    for one in samples.contracts().values():
        key = set(one.extras.natural_key)
        columns = [set(rule.kwargs["column_list"]) for rule in all_rules(one) if "column_list" in rule.kwargs]
        assert any(of_rule <= key for of_rule in columns), one.dataset


ROWS = st.lists(
    st.fixed_dictionaries({"perangkat": st.sampled_from([None, "A", "B"]), "tahun": st.sampled_from([None, "1", "2"])}),
    max_size=8,
)


@given(rows=ROWS)
@hypothesis_settings(max_examples=15, deadline=None)
def test_rows_of_one_natural_key_are_set_aside_and_no_others(tmp_path_factory, rows) -> None:
    one = contract(COLUMNS, natural_key=KEYED, may_be_empty=True)
    judgement = judge_one(Settings(home=tmp_path_factory.getbasetemp()), one, rows)
    keys = [tuple(row[name] for name in KEYED) for row in rows]
    assert judgement.rows_quarantined == sum(keys.count(key) > 1 and any(key) for key in keys)


def test_a_rule_of_its_own_on_the_key_takes_the_derived_ones_place_and_a_warning_does_not() -> None:
    def codes(*rules) -> set[str]:
        return {found.code for found in all_rules(contract(COLUMNS, rules, natural_key=KEYED))}

    unique = ("expect_compound_columns_to_be_unique",)
    derived = "KEMENKES__EPPGBM-KEY"
    assert derived in codes()
    assert derived not in codes(rule("T-1", *unique, column_list=["tahun"]))
    assert derived in codes(rule("T-1", *unique, severity="warn", column_list=list(KEYED)))
    assert derived in codes(rule("T-1", *unique, column_list=[*KEYED, "source_row"]))


def test_siblings_keep_what_was_sent_of_them(settings) -> None:
    """Nothing is repaired: both rows go on with the number they came with, and the warning names them."""
    mothers = samples.nik(7, date(1994, 9, 17), female=True)
    rows = [row | {"nik": mothers} for row in samples.good_rows(EPPGBM)[:2]] + samples.good_rows(EPPGBM)[2:]
    (judgement,) = judged(settings, EPPGBM, rows)
    assert judgement.admitted["nik"].to_pylist()[:2] == [mothers, mothers]
    assert failures(judgement) == {"EPPGBM-005": 2, "EPPGBM-020": 2}
