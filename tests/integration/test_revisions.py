"""Two releases beside each other tell nothing that one alone does not."""

import json
from datetime import datetime, timedelta

import duckdb
import pytest

from tests.release_helpers import NOON, make_build, usual_counts
from warehouse import analyst, release
from warehouse.errors import ConfigError
from warehouse.settings import Settings

MART = "stunting_by_area_month"
SMALL = ("36.71.01.1001", "stunted")


def on(s: Settings, now: datetime) -> Settings:
    return s.model_copy(update={"now": now})


def rows(s: Settings, columns: str, where: str = "true") -> list[tuple]:
    return analyst.query(s, f"SELECT {columns} FROM {MART} WHERE {where} ORDER BY ALL")[1]


def stunted(s: Settings, code: str) -> tuple:
    where = f"measure = 'stunted' AND kemendagri_code = '{code}'"
    return rows(s, "numerator, denominator, revision_pending", where)[0]


def test_a_change_by_few_people_waits_for_the_revision_date(s, led):
    release.publish(s, led, make_build(s, led, usual_counts(61)))
    release.publish(s, led, make_build(s, led, usual_counts(63)))
    for code, numerator in (("36.71.01.1001", 61), ("36.71.01", 61 + 62 + 63)):
        assert stunted(s, code) == (numerator, 200 * (1 if code.count(".") == 3 else 3), True)
    before_revision = on(s, datetime.fromisoformat("2027-01-14T12:00:00+07:00"))
    release.publish(before_revision, led, make_build(before_revision, led, usual_counts(63)))
    assert stunted(s, "36.71.01.1001") == (61, 200, True)
    revision = on(s, datetime.fromisoformat("2027-01-15T12:00:00+07:00"))
    release.publish(revision, led, make_build(revision, led, usual_counts(63)))
    assert stunted(s, "36.71.01.1001") == (63, 200, False)


def test_a_period_changes_as_a_whole_or_not_at_all(s, led):
    counts = usual_counts(61)
    release.publish(s, led, make_build(s, led, counts))
    # One kelurahan moves by twenty, another by two: with the first alone the second could be read from the sums.
    counts |= {SMALL: (81, 200), ("36.71.02.1001", "stunted"): (63, 200)}
    release.publish(s, led, make_build(s, led, counts))
    assert stunted(s, "36.71.01.1001") == (61, 200, True)
    assert stunted(s, "36.71.02.1001") == (61, 200, True)


def test_a_large_change_is_published_at_once(s, led):
    release.publish(s, led, make_build(s, led, usual_counts(61)))
    release.publish(s, led, make_build(s, led, usual_counts(66)))
    assert stunted(s, "36.71.01.1001") == (66, 200, False)


def test_a_denominator_that_moves_by_few_waits_too(s, led):
    release.publish(s, led, make_build(s, led, usual_counts(61)))
    release.publish(s, led, make_build(s, led, usual_counts(61) | {SMALL: (71, 203)}))
    assert stunted(s, "36.71.01.1001") == (61, 200, True)


def test_an_open_period_has_rows_without_numbers_until_it_ends(s, led):
    october = on(s, datetime.fromisoformat("2026-10-31T23:00:00+07:00"))
    release.publish(october, led, make_build(october, led))
    assert rows(s, "DISTINCT numerator, denominator, percentage, suppression_reason") == [
        (None, None, None, "between_releases")
    ]
    november = on(s, datetime.fromisoformat("2026-11-01T01:00:00+07:00"))
    made = release.publish(november, led, make_build(november, led))
    assert made.outcome == "released", "the day a period ends is news without new data"
    assert stunted(s, "36.71.01.1001") == (60, 200, False)


def test_what_protects_a_small_cell_stays_hidden_with_it(s, led):
    def hidden() -> set:
        return {code for (code,) in rows(s, "kemendagri_code", "measure = 'stunted' AND suppression_reason <> ''")}

    release.publish(s, led, make_build(s, led, usual_counts(3)))
    first = hidden()
    assert len(first) == 2
    # The partner becomes the dearest to hide, and another month's correction arrives: the pattern must not move.
    (partner,) = first - {SMALL[0]}
    counts = usual_counts(3)
    numerator, denominator = counts[partner, "stunted"]
    counts[partner, "stunted"] = (numerator + 80, denominator + 90)
    release.publish(s, led, make_build(s, led, counts))
    assert first <= hidden()


def test_a_cell_shown_before_is_no_partner_for_one_that_became_small(s, led):
    release.publish(s, led, make_build(s, led, usual_counts(61)))
    release.publish(s, led, make_build(s, led, usual_counts(3)))
    where = "measure = 'stunted' AND suppression_reason IS NOT NULL"
    hidden = {code for (code,) in rows(s, "kemendagri_code", where)}
    neighbours = {"36.71.01.1002", "36.71.01.1003"}
    assert SMALL[0] in hidden
    assert not hidden & neighbours, "everybody has their numbers: hiding them hides nothing"
    assert "36.71.01" in hidden, "so the sum that would give the small one away is hidden instead"


def test_what_must_stand_is_hidden_where_the_last_release_is_gone(s, led):
    first = release.publish(s, led, make_build(s, led, usual_counts(61))).release_id
    folder = s.releases_dir / first
    folder.chmod(0o700)
    (folder / "marts.duckdb").unlink()
    release.publish(s, led, make_build(s, led, usual_counts(63)))
    assert rows(s, "DISTINCT numerator, suppression_reason, revision_pending") == [(None, "between_releases", True)]


def test_an_internal_release_says_so_everywhere_and_is_nobodys_but_the_owners(s, led):
    release.publish(s, led, make_build(s, led, usual_counts(3)))
    current = s.current.readlink()
    with pytest.raises(ConfigError, match="REASON_MISSING"):
        release.make_internal(s, led, "because", "kepala walidata")
    file = release.make_internal(s, led, "Audit inspektorat atas sel kecil", "kepala walidata")
    assert file.name == "marts-undisclosed.duckdb"
    assert file.parent.name.endswith("-undisclosed")
    assert (file.stat().st_mode & 0o777, s.internal_dir.stat().st_mode & 0o777) == (0o400, 0o700)
    with duckdb.connect(str(file), read_only=True) as con:
        assert con.execute(f"SELECT count(*) FROM {MART} WHERE numerator = 3").fetchone() == (1,)
    about = json.loads((file.parent / "manifest.json").read_text(encoding="utf-8"))
    assert (about["disclosure"], about["reason"]) == ("off", "Audit inspektorat atas sel kecil")
    assert s.current.readlink() == current
    assert all(row["disclosure"] == "on" for row in release.listing(s, led))
    assert [row["disclosure"] for row in release.kept_internal(led)] == ["off"]
    # The next release is compared with the last one for readers, and the register knows nothing of the internal one.
    following = release.publish(s, led, make_build(s, led, usual_counts(30)))
    assert following.outcome == "released"
    said = "SELECT count(*) FROM released_cells WHERE numerator = 3"
    assert analyst.query(s, said)[1] == [(0,)]
    over = on(s, NOON + timedelta(days=31))
    assert release.retain_internal(over, led) == 1
    assert not file.parent.exists()


def test_a_day_without_a_period_is_no_revision_date():
    with pytest.raises(ValueError, match="disclosure_revision_dates"):
        Settings(disclosure_revision_dates="02-30")


def test_the_last_declared_day_may_lie_in_the_year_before():
    from warehouse.release import revisions

    day = datetime.fromisoformat("2027-01-03").date()
    assert revisions.last_declared(day, ("01-15", "10-15")) == day.replace(year=2026, month=10, day=15)
    assert revisions.last_declared(day, ()) is None
    assert not revisions.calendar(day, None, ("01-01",)).is_revision, "the first release revises nothing"
    assert revisions.calendar(day, day - timedelta(days=4), ("01-01",)).is_revision
