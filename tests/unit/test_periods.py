"""Periods: labels, spans, and which periods are open on a day."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.core.errors import ConfigError
from warehouse.core.periods import Period, open_periods, owed

KINDS = ["month", "quarter", "half_year", "year", "snapshot"]
days = st.dates(date(2000, 1, 1), date(2090, 12, 31))


@given(st.sampled_from(KINDS), days)
def test_label_reads_back_and_the_day_lies_inside(kind, day):
    period = Period.containing(kind, day)
    assert Period.parse(period.label) == period
    assert period.start <= day < period.end


@given(st.sampled_from(KINDS), days, st.integers(-30, 30))
def test_shifting_there_and_back_is_identity_and_spans_touch(kind, day, steps):
    period = Period.containing(kind, day)
    assert period.shift(steps).shift(-steps) == period
    assert period.shift(1).start == period.end


@pytest.mark.parametrize("label", ["2026-13", "2026-Q5", "26-10", "2026-10-32", "", "Oktober"])
def test_unknown_labels_are_refused_with_the_accepted_forms(label):
    with pytest.raises(ConfigError, match="2026-Q3"):
        Period.parse(label)


def test_a_period_must_start_where_its_kind_starts():
    with pytest.raises(ValueError, match="does not start"):
        Period(date(2026, 2, 1), "quarter")


@given(st.sampled_from(KINDS[:4]), days, st.integers(0, 60), st.integers(0, 90))
def test_open_periods_have_ended_and_are_not_past_their_window(kind, day, due_day, open_days):
    for period in open_periods(kind, due_day, open_days, day):
        assert period.end <= day <= period.due_on(due_day) + timedelta(days=open_days)


@given(st.sampled_from(KINDS[:4]), days, st.integers(0, 60), st.integers(0, 90))
def test_a_backfill_asks_for_each_period_exactly_once(kind, day, due_day, open_days):
    period = Period.containing(kind, day)
    due = period.due_on(due_day)
    asking = [d for d in (due + timedelta(days=n) for n in range(-40, 41))
              if period in open_periods(kind, due_day, open_days, d, backfill=True)]  # fmt: skip
    assert asking == [due]


def test_a_year_that_is_due_before_it_ends_is_asked_for_from_its_due_day():
    year = Period(date(2026, 1, 1), "year")
    assert year.due_on(-334) == date(2026, 2, 1)
    assert year not in open_periods("year", -334, 60, date(2026, 1, 31))
    assert year in open_periods("year", -334, 60, date(2026, 2, 1))
    assert year in open_periods("year", -334, 60, date(2026, 4, 2))
    assert year not in open_periods("year", -334, 60, date(2026, 4, 3))


def test_parts_due_later_are_asked_for_as_soon_as_the_first_is_due_each_to_its_own_end():
    year = Period(date(2026, 1, 1), "year")
    late_part = {"first_due_day": -330}
    assert year not in open_periods("year", 30, 60, date(2026, 2, 4), **late_part)
    assert year in open_periods("year", 30, 60, date(2026, 2, 5), **late_part)
    assert year in open_periods("year", 30, 60, date(2027, 4, 1), **late_part)
    assert year not in open_periods("year", 30, 60, date(2027, 4, 2), **late_part)
    assert open_periods("year", 30, 60, date(2027, 1, 31), backfill=True, **late_part) == [year]
    assert open_periods("year", 30, 60, date(2026, 2, 5), backfill=True, **late_part) == []


@pytest.mark.parametrize(
    ("kind", "last", "expected"),
    [
        ("year", date(2025, 1, 1), "2026"),
        ("year", None, "2025"),
        ("month", date(2026, 10, 1), "2026-11"),
        ("quarter", None, "2026-Q3"),
        ("snapshot", date(2026, 9, 30), "2026-10"),
        ("snapshot", None, "2026-10"),
    ],
)
def test_what_is_owed_follows_what_came_or_is_the_newest_that_ended(kind, last, expected):
    assert owed(kind, last, date(2026, 11, 22)).label == expected
