"""Small counts become 0 or 5 where they stand, and every sum of what is printed holds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.disclosure.rounding import Known, Sheet, Split, round_sheet, settle

BASE = 5
# Columns: registered; measured of registered; stunted and wasted, disjoint parts of measured; agreed, of measured.
ROOTS = [0]
SPLITS = [Split(0, (1,)), Split(1, (2, 3)), Split(1, (4,))]


def sheet(
    exact: np.ndarray, *, places: int, periods: int = 1, last: Known | None = None, keep: np.ndarray | None = None
) -> Sheet:
    """Rows in the order period, group, place; three places make a kecamatan."""
    rows = len(exact)
    each = rows // periods
    unknown = np.full(exact.shape, -1)
    return Sheet(
        exact=exact,
        periods=np.split(np.arange(rows), periods),
        group=np.arange(rows) // places,
        family=np.zeros(rows, dtype=np.int64),
        region=np.arange(rows) % places // 3,
        before=np.where(np.arange(rows) < each, -1, np.arange(rows) - each),
        last=last or Known(unknown, unknown),
        given={},
        tie=lambda column: (np.arange(rows) % places * 7919 + column * 104729) % 10007,
        keep=np.zeros(rows, dtype=bool) if keep is None else keep,
        keep_marks=np.zeros(exact.shape, dtype=bool),
    )


def is_safe(counts: np.ndarray) -> bool:
    return bool(((counts == 0) | (counts >= BASE)).all())


def town(draw, places: int, periods: int) -> np.ndarray:
    rows = []
    for _ in range(places * periods):
        registered = draw(st.integers(0, 40))
        measured = draw(st.integers(0, registered))
        stunted = draw(st.integers(0, measured))
        wasted = draw(st.integers(0, measured - stunted))
        rows.append((registered, measured, stunted, wasted, draw(st.integers(0, measured))))
    return np.array(rows, dtype=np.int64)


@st.composite
def towns(draw) -> tuple[np.ndarray, int, int]:
    places, periods = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    return town(draw, places, periods), places, periods


@given(towns())
@settings(deadline=None)
def test_every_count_and_what_is_left_of_it_is_nothing_or_at_least_the_base(drawn):
    exact, places, periods = drawn
    found, marks = round_sheet(sheet(exact, places=places, periods=periods), ROOTS, SPLITS, BASE)
    registered, measured, stunted, wasted, agreed = found.T
    for count in (registered, measured, stunted, wasted, agreed):
        assert is_safe(count)
    for rest in (registered - measured, measured - stunted - wasted, measured - agreed):
        assert is_safe(rest)
    assert (marks | (found == exact)).all(), "whatever changed is marked"
    assert (marks | (exact == 0) | (exact >= BASE)).all(), "whatever was small is marked"


@given(towns())
@settings(deadline=None)
def test_a_large_root_stands_and_no_root_moves_by_more_than_four(drawn):
    exact, places, periods = drawn
    found, _ = round_sheet(sheet(exact, places=places, periods=periods), ROOTS, SPLITS, BASE)
    assert (found[exact[:, 0] >= BASE, 0] == exact[exact[:, 0] >= BASE, 0]).all()
    assert np.abs(found[:, 0] - exact[:, 0]).max() <= BASE - 1


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
@settings(deadline=None)
def test_the_city_is_as_near_as_whole_steps_allow(counts):
    exact = np.array(counts, dtype=np.int64)[:, None]
    found, _ = round_sheet(sheet(exact, places=len(counts)), [0], [], BASE)
    assert abs(found.sum() - exact.sum()) <= BASE / 2
    for region in range((len(counts) + 2) // 3):
        inside = slice(3 * region, 3 * region + 3)
        assert abs(found[inside].sum() - exact[inside].sum()) < 2 * BASE


@given(towns())
@settings(deadline=None)
def test_equal_counts_of_many_months_are_told_as_one(drawn):
    exact, places, _ = drawn
    month = exact[:places]
    found, _ = round_sheet(sheet(np.tile(month, (14, 1)), places=places, periods=14), ROOTS, SPLITS, BASE)
    assert (found.reshape(14, places, -1) == found[:places]).all()


@given(towns())
@settings(deadline=None)
def test_the_same_counts_are_rounded_as_in_the_last_release(drawn):
    exact, places, periods = drawn
    first = round_sheet(sheet(exact, places=places, periods=periods), ROOTS, SPLITS, BASE)[0]
    again, _ = round_sheet(sheet(exact, places=places, periods=periods, last=Known(exact, first)), ROOTS, SPLITS, BASE)
    assert (again == first).all()
    kept = sheet(exact + 1, places=places, periods=periods, last=Known(exact, first), keep=np.ones(len(exact), bool))
    assert (round_sheet(kept, ROOTS, SPLITS, BASE)[0] == first).all()


@given(
    st.lists(st.integers(0, 30), min_size=2, max_size=17).filter(any),
    st.integers(0, 40).map(lambda n: n if n >= BASE else 0),
)
def test_parts_can_always_be_made_to_fit_their_whole(counts, total):
    found = settle(np.array(counts), total, BASE)
    assert found.sum() == total
    assert is_safe(found)


def test_a_table_of_three_by_three_rounded_by_hand():
    # Small in all: 3 + 1 | 2 + 4 | 1 = 11, two steps of five. Kecamatan have 4, 6 and 1: a step each for the first two,
    # to the largest of each, 3 and 4.
    counts = np.array([3, 1, 20, 2, 4, 30, 1, 40, 50], dtype=np.int64)[:, None]
    found, marks = round_sheet(sheet(counts, places=9), [0], [], BASE)
    assert found[:, 0].tolist() == [5, 0, 20, 0, 5, 30, 0, 40, 50]
    assert marks[:, 0].tolist() == [True, True, False, True, True, False, True, False, False]


def test_a_small_part_is_dealt_and_the_largest_part_makes_up_for_it():
    exact = np.array([[60, 50, 3, 20, 48]])
    found, marks = round_sheet(sheet(exact, places=1), ROOTS, SPLITS, BASE)
    # 3 stunted become 5, and the 27 neither stunted nor wasted 25; of 50 measured 2 disagree: nobody.
    assert found.tolist() == [[60, 50, 5, 20, 50]]
    assert marks.tolist() == [[False, False, True, False, True]]


def test_a_count_of_less_than_two_steps_goes_to_its_largest_part_whole():
    found, _ = round_sheet(sheet(np.array([[8, 6, 4, 1, 2]]), places=1), ROOTS, SPLITS, BASE)
    assert found.tolist() == [[8, 8, 8, 0, 0]]
