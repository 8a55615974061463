"""Macros of poverty measurement against tables computed by hand and against the axioms they must meet.

Macros are rendered as dbt would and run on DuckDB in memory; what a model makes of them is tested on dbt itself.
"""

import csv
import math
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment

MACROS = Path(__file__).parents[2] / "dbt_project" / "macros" / "living_standards.sql"
LINE = 100.0
# Expenditure a head below and above a line of 100; the third is exactly on it.
HAND = [40.0, 80.0, 100.0, 150.0]


@pytest.fixture(scope="module")
def macros():
    """The macro file as a Jinja module, with the one global it asks dbt for."""
    environment = Environment(extensions=["jinja2.ext.do"])
    environment.globals |= {"return": lambda value: value, "type_double": lambda: "double"}
    return environment.from_string(MACROS.read_text(encoding="utf-8")).module


# Other work on the machine must not decide a property test.
unhurried = settings(deadline=None, max_examples=50)
CONNECTION = duckdb.connect()


def fgt(macros, people: list[tuple[float | None, float]], alpha: int, line: float = LINE) -> float | None:
    """FGT of (expenditure, weight) pairs through the macro."""
    expenditures, weights = zip(*people, strict=True)
    given_people = "(select unnest(?::double[]) as y, unnest(?::double[]) as w)"
    query = f"select {macros.fgt('y', str(line), str(alpha), 'w')} from {given_people}"
    return CONNECTION.execute(query, [list(expenditures), list(weights)]).fetchone()[0]


def equally(people: list[float]) -> list[tuple[float, float]]:
    return [(y, 1.0) for y in people]


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (0, 2 / 4),
        (1, (0.6 + 0.2) / 4),
        (2, (0.36 + 0.04) / 4),
    ],
)
def test_fgt_equals_the_hand_table(macros, alpha, expected):
    assert fgt(macros, equally(HAND), alpha) == pytest.approx(expected)


def test_fgt_weights_by_persons(macros):
    assert fgt(macros, [(50.0, 3.0), (200.0, 1.0)], 1) == pytest.approx(0.5 * 3 / 4)


def test_fgt_leaves_out_who_has_no_expenditure_and_knows_nothing_of_nobody(macros):
    assert fgt(macros, [(50.0, 1.0), (None, 5.0)], 0) == pytest.approx(1.0)
    assert fgt(macros, [(None, 1.0)], 0) is None
    assert fgt(macros, [(50.0, 1.0)], 0, line=0) is None


incomes = st.lists(st.floats(1, 1000, allow_nan=False), min_size=1, max_size=12)


@unhurried
@given(incomes, st.integers(0, 2), st.floats(0.01, 100))
def test_fgt_does_not_depend_on_the_currency(macros, people, alpha, factor):
    """Scale invariance; on the line itself a rounding may decide, so nobody stands there."""
    people = [y for y in people if abs(y - LINE) > 1e-6] or [1.0]
    scaled = fgt(macros, equally([y * factor for y in people]), alpha, LINE * factor)
    assert scaled == pytest.approx(fgt(macros, equally(people), alpha), abs=1e-9)


@unhurried
@given(incomes, st.integers(0, 2), st.integers(2, 4))
def test_fgt_does_not_depend_on_population_size(macros, people, alpha, times):
    """Replication invariance."""
    assert fgt(macros, equally(people * times), alpha) == pytest.approx(fgt(macros, equally(people), alpha))


@unhurried
@given(incomes, incomes, st.integers(0, 2))
def test_fgt_of_a_whole_is_the_weighted_mean_of_its_groups(macros, left, right, alpha):
    """Subgroup decomposability."""
    whole = fgt(macros, equally(left + right), alpha)
    parts = (len(left) * fgt(macros, equally(left), alpha) + len(right) * fgt(macros, equally(right), alpha)) / (
        len(left) + len(right)
    )
    assert whole == pytest.approx(parts)


@unhurried
@given(incomes)
def test_severity_never_exceeds_gap_nor_gap_headcount(macros, people):
    headcount, gap, severity = (fgt(macros, equally(people), alpha) for alpha in (0, 1, 2))
    assert severity <= gap + 1e-12
    assert gap <= headcount + 1e-12


FLAGS = [None, 0, 1]


@pytest.mark.parametrize("first", FLAGS)
@pytest.mark.parametrize("second", FLAGS)
def test_one_deprivation_settles_it_and_only_zeros_clear_it(macros, first, second):
    (value,) = CONNECTION.execute(f"select {macros.any_deprived(['?1::int', '?2::int'])}", [first, second]).fetchone()
    expected = 1 if 1 in (first, second) else 0 if (first, second) == (0, 0) else None
    assert value == expected


@pytest.mark.parametrize(
    ("score", "reached"),
    [(0.375, 1), (0.25, 0), (1 / 3, 1), (0.1 + 0.2, 0), (math.nextafter(1 / 3, 0), 1), (None, None)],
)
def test_the_cutoff_is_met_at_the_cutoff(macros, score, reached):
    (value,) = CONNECTION.execute(
        f"select {macros.reaches_cutoff('?1::double', '?2::double')}", [score, 1 / 3]
    ).fetchone()
    assert value == reached


SEEDS = MACROS.parents[1] / "seeds"


def seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_index_weighs_to_one_and_reads_every_code_of_the_codebook():
    """A code of which the seed says nothing would drop its families from the index without a word."""
    rows = seed("living_standards")
    weights = [float(row["value"]) for row in rows if row["parameter"] == "weight"]
    assert sum(weights) == pytest.approx(1)
    (cutoff,) = [float(row["value"]) for row in rows if row["parameter"] == "poverty_cutoff"]
    assert 0.25 < cutoff <= 0.375
    read = {(row["variable"], row["code"]) for row in rows if row["parameter"] == "code"}
    variables = {variable for variable, _ in read}
    assert read == {(r["variable"], r["code"]) for r in seed("dtsen_codebook") if r["variable"] in variables}


@pytest.fixture(scope="module")
def registry():
    environment = Environment(extensions=["jinja2.ext.do"])
    environment.globals |= {
        "return": lambda value: value, "dbt": SimpleNamespace(concat=lambda parts: " || ".join(parts)),
    }  # fmt: skip
    return environment.from_string((MACROS.parent / "registry.sql").read_text(encoding="utf-8")).module


@pytest.mark.parametrize(
    ("sent", "label"),
    [
        ("1", "01"), ("01", "01"), ("10", "10"), ("6-10", "06-10"), ("6 - 10", "06-10"), ("06-10", "06-10"),
        ("01-04", "unknown"), ("9-2", "unknown"), (None, "unknown"),
    ],
)  # fmt: skip
def test_a_rank_keeps_its_place_and_a_missing_one_is_never_the_poorest(registry, sent, label):
    query = f"select {registry.desil_label('?1::varchar')}"
    assert CONNECTION.execute(query, [sent]).fetchone() == (label,)


@pytest.mark.parametrize(
    ("member", "family", "agrees"),
    [
        ("4", "04", 1), ("10", "10", 1), ("4", "05", 0), (None, "04", None), ("4", "unknown", None),
        ("7", "06-10", None), ("6-10", "07", None), ("6-10", "06-10", None),
    ],
)  # fmt: skip
def test_a_members_desil_agrees_only_with_a_known_single_one(registry, member, family, agrees):
    query = f"select {registry.desil_agrees('?1::varchar', '?2::varchar')}"
    assert CONNECTION.execute(query, [member, family]).fetchone() == (agrees,)
