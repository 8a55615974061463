"""Two releases beside each other tell nothing that one alone does not."""

import json
import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from tests.support.release_helpers import NOON, OCTOBER, Counts, make_build, usual_counts
from warehouse import release
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.read import marts

MART = "stunting_by_area_month"
MARTS = (MART, "pairs", "scorecard", "quality_by_puskesmas")
SMALL = ("36.71.01.1001", "stunted")
SEPTEMBER = date(2026, 9, 1)


def on(s: Settings, now: datetime) -> Settings:
    return s.model_copy(update={"now": now})


def rows(s: Settings, columns: str, where: str = "true", mart: str = MART) -> list[tuple]:
    return marts.query(s, f"SELECT {columns} FROM {mart} WHERE {where} ORDER BY ALL")[1]


def stunted(s: Settings, code: str, month: date = OCTOBER) -> tuple:
    where = f"measure = 'stunted' AND age_group = '24_59' AND kemendagri_code = '{code}' AND period_start = '{month}'"
    return rows(s, "numerator, denominator, revision_pending", where)[0]


def everything(s: Settings, where: str = "true", *, state: bool = False) -> dict[str, list[tuple]]:
    """Every value of every mart for readers, but for the release's name and (unless asked) what waits."""
    without = "" if state else " AND name NOT IN ('revision_pending')"
    chosen = f"COLUMNS(name -> name NOT IN ('release_id'){without})"
    return {mart: rows(s, chosen, where, mart) for mart in MARTS}


def manifest(s: Settings) -> dict:
    return json.loads((s.current / "manifest.json").read_text(encoding="utf-8"))


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


def test_what_waits_waits_in_every_mart_also_where_a_mart_is_not_long(s, led):
    """One child more, one pair more, one measurement more: scorecard, pairs and quality of the month all stand."""
    release.publish(s, led, make_build(s, led, usual_counts(61), months={SEPTEMBER: usual_counts(50)}))
    before, october = everything(s), f"period_start = '{OCTOBER}'"
    ((measured,),) = rows(s, "n", october, "quality_by_puskesmas")

    def build(more: int):
        sql = f"UPDATE cells.cells_pairs SET matched = matched + {more} WHERE {october}; "
        sql += f"UPDATE cells.cells_quality SET n = n + {more} WHERE {october}"
        return make_build(s, led, usual_counts(61 + more), months={SEPTEMBER: usual_counts(50)}, cells_sql=sql)

    release.publish(s, led, build(1))
    assert everything(s) == before
    for mart in MARTS:
        assert rows(s, "DISTINCT revision_pending", october, mart) == [(True,)], mart
        assert rows(s, "DISTINCT revision_pending", f"NOT {october}", mart) == [(False,)], mart
    revision = on(s, datetime.fromisoformat("2027-01-15T12:00:00+07:00"))
    release.publish(revision, led, build(40))
    after = everything(s)
    for mart in MARTS:
        assert after[mart] != before[mart], mart
        assert rows(s, "DISTINCT revision_pending", "true", mart) == [(False,)], mart
    assert rows(s, "n", october, "quality_by_puskesmas") == [(measured + 80,)]


def test_who_moves_by_many_is_published_and_who_moves_by_few_stands_also_in_the_sums(s, led):
    counts = usual_counts(61)
    release.publish(s, led, make_build(s, led, counts))
    kota = stunted(s, "36.71")[0]
    counts |= {SMALL: (81, 200), ("36.71.02.1001", "stunted"): (63, 200)}
    release.publish(s, led, make_build(s, led, counts))
    assert stunted(s, "36.71.01.1001") == (81, 200, True)
    assert stunted(s, "36.71.02.1001") == (61, 200, True)
    assert stunted(s, "36.71")[0] == kota + 20, "the two cannot be read from the sum: it is of what is printed"


def test_a_late_delivery_shows_at_once_though_some_cells_of_it_are_small(s, led):
    """Two puskesmas' kelurahan come a day later, with few severely stunted children in each."""
    late = {key: (n, d) for key, (n, d) in few_everywhere(2).items() if key[0].startswith("36.71.03")}
    early = {key: counts for key, counts in few_everywhere(2).items() if key not in late}
    release.publish(s, led, make_build(s, led, early))
    before = stunted(s, "36.71")[1]
    release.publish(on(s, NOON + timedelta(days=1)), led, make_build(s, led, few_everywhere(2)))
    assert stunted(s, "36.71")[1] == before + sum(d for (_, measure), (_, d) in late.items() if measure == "stunted")


def test_a_large_change_is_published_at_once(s, led):
    release.publish(s, led, make_build(s, led, usual_counts(61)))
    release.publish(s, led, make_build(s, led, usual_counts(66)))
    assert stunted(s, "36.71.01.1001") == (66, 200, False)


def test_a_denominator_that_moves_by_few_waits_too(s, led):
    release.publish(s, led, make_build(s, led, usual_counts(61)))
    release.publish(s, led, make_build(s, led, usual_counts(61) | {SMALL: (71, 203)}))
    assert stunted(s, "36.71.01.1001") == (71, 200, True)


def test_what_lies_between_nested_counts_waits_too(s, led):
    """Stunted by ten and severely stunted by eight more: two more are stunted and not severely so, and not told."""
    severely = ("36.71.01.1001", "severely_stunted")
    release.publish(s, led, make_build(s, led, usual_counts(61) | {severely: (15, 0)}))
    release.publish(s, led, make_build(s, led, usual_counts(71) | {severely: (23, 0)}))
    where = f"kemendagri_code = '{SMALL[0]}' AND age_group = '24_59' AND period_start = '{OCTOBER}' AND measure = "
    (all_stunted,), (severe,) = (
        rows(s, "DISTINCT numerator", f"{where} '{measure}'")[0] for measure in ("stunted", "severely_stunted")
    )
    assert all_stunted == 71
    for move in (severe - 15, (all_stunted - severe) - (61 - 15)):
        assert move == 0 or abs(move) >= 5


def test_an_open_period_has_no_rows_until_it_ends(s, led):
    october = on(s, datetime.fromisoformat("2026-10-31T23:00:00+07:00"))
    months = {SEPTEMBER: usual_counts(50)}
    release.publish(october, led, make_build(october, led, months=months))
    for mart in MARTS:
        assert rows(s, "DISTINCT period_start", "true", mart) == [(SEPTEMBER,)], mart
    november = on(s, datetime.fromisoformat("2026-11-01T01:00:00+07:00"))
    made = release.publish(november, led, make_build(november, led, months=months))
    assert made.outcome == "released", "the day a period ends is news without new data"
    assert stunted(s, "36.71.01.1001") == (60, 200, False)
    for mart in MARTS:
        assert rows(s, "DISTINCT period_start", "true", mart) == [(SEPTEMBER,), (OCTOBER,)], mart


def few_everywhere(shift: int) -> Counts:
    """A month of small counts: 1 to 4 stunted and wasted of some forty children in every kelurahan."""
    places = sorted({code for code, _ in usual_counts()})
    stunted = {(code, "stunted"): (1 + (n + shift) % 4, 40 + n) for n, code in enumerate(places)}
    return stunted | {(code, "wasted"): (1 + (n * n + shift) % 4, 42 + n) for n, code in enumerate(places)}


def test_an_unchanged_period_is_unchanged_to_the_digit_though_its_neighbours_were_rounded_anew(s, led):
    months = {date(2026, month, 1): few_everywhere(month) for month in (7, 8, 9)}
    release.publish(s, led, make_build(s, led, few_everywhere(10), months=months))
    unchanged = f"period_start <> '{SEPTEMBER}'"
    before, september = everything(s, unchanged, state=True), everything(s, f"NOT {unchanged}")
    revision = on(s, datetime.fromisoformat("2027-01-15T12:00:00+07:00"))
    anew = {code: (n + 1 if n < 4 else 1, d + 1) for code, (n, d) in few_everywhere(9).items()}
    release.publish(revision, led, make_build(s, led, few_everywhere(10), months=months | {SEPTEMBER: anew}))
    assert everything(s, unchanged, state=True) == before
    assert everything(s, f"NOT {unchanged}")[MART] != september[MART]


def test_one_child_added_to_a_closed_period_is_told_by_no_byte_of_a_release(s, led):
    """Twice the same home, once with a child more in October: what readers get is the same but for what waits."""
    months = {SEPTEMBER: few_everywhere(1)}
    release.publish(s, led, make_build(s, led, few_everywhere(2), months=months))
    before = everything(s)
    first = {path.name: path.read_bytes() for path in values(s)}
    child = (
        "UPDATE cells.cells_children SET {0} WHERE kemendagri_code = '36.71.02.1002' AND age_group = '24_59'"
        f" AND period_start = '{OCTOBER}'; "
        "UPDATE cells.cells_pairs SET matched = matched + 1 WHERE pair = 'a-c'"
        f" AND period_start = '{OCTOBER}'; "
        "UPDATE cells.cells_quality SET n = n + 1, flagged = flagged + 1 WHERE posyandu_key LIKE '%melati 2'"
        f" AND period_start = '{OCTOBER}'"
    )
    more = ", ".join(f"{name} = {name} + 1" for name in ("registered", "haz_valid", "stunted"))
    tomorrow = on(s, NOON + timedelta(days=1))
    made = release.publish(
        tomorrow, led, make_build(s, led, few_everywhere(2), months=months, cells_sql=child.format(more))
    )
    assert made.outcome == "released"
    assert everything(s) == before
    assert {path.name: path.read_bytes() for path in values(s)} == first
    assert rows(s, "DISTINCT period_start", "revision_pending") == [(OCTOBER,)]
    said = f"SELECT count(*) FROM released_cells WHERE release_id = '{made.release_id}'"
    assert marts.query(s, said)[1] == [(0,)], "the register has nothing new to tell"
    # Withdrawn again, nothing waits any more, and still nothing changed.
    after = on(s, NOON + timedelta(days=2))
    release.publish(after, led, make_build(s, led, few_everywhere(2), months=months))
    assert everything(s) == before
    assert rows(s, "DISTINCT period_start", "revision_pending") == []


def values(s: Settings) -> list[Path]:
    """A file for each mart of the current release, without its release's name and what waits."""
    folder = s.home / "values"
    folder.mkdir(exist_ok=True)
    for mart in MARTS:
        chosen = "COLUMNS(name -> name NOT IN ('release_id', 'revision_pending'))"
        source = f"(SELECT {chosen} FROM '{s.current}/parquet/{mart}.parquet')"
        duckdb.execute(f"COPY {source} TO '{folder / mart}.parquet' (FORMAT parquet)")
    return sorted(folder.iterdir())


def test_fourteen_months_of_equal_counts_say_one_and_the_same(s, led):
    counts = few_everywhere(3)
    months = {date(2025 + (8 + n) // 12, 1 + (8 + n) % 12, 1): counts for n in range(13)}
    release.publish(s, led, make_build(s, led, counts, months=months))
    chosen = "COLUMNS(name -> name NOT IN ('release_id', 'period_start'))"
    for mart in MARTS:
        by_month: dict[date, list[tuple]] = {}
        for month, *row in rows(s, f"period_start, {chosen}", "true", mart):
            by_month.setdefault(month, []).append(tuple(row))
        assert len(by_month) == 14, mart
        assert len({tuple(sorted(said, key=repr)) for said in by_month.values()}) == 1, mart


def test_where_the_last_release_s_cells_are_gone_the_manifest_says_so(s, led):
    release.publish(s, led, make_build(s, led, usual_counts(61)))
    assert manifest(s)["last_cells"] is None, "there is no last release"
    second = release.publish(s, led, make_build(s, led, usual_counts(66))).release_id
    assert manifest(s)["last_cells"] == "whole"
    shutil.rmtree(s.register_dir / f"{second}.cells")
    third = release.publish(s, led, make_build(s, led, usual_counts(68))).release_id
    assert manifest(s)["last_cells"] == "absent"
    assert stunted(s, "36.71.01.1001") == (68, 200, False), "nothing is known that could wait"
    (s.register_dir / f"{third}.cells" / "cells_pairs.parquet").unlink()
    release.publish(s, led, make_build(s, led, usual_counts(69)))
    assert manifest(s)["last_cells"] == "part"
    assert stunted(s, "36.71.01.1001") == (68, 200, True)


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
        exact = f"SELECT count(*) FROM {MART} WHERE numerator = 3 AND measure = 'stunted'"
        assert con.execute(exact).fetchone() == (1,)
    about = json.loads((file.parent / "manifest.json").read_text(encoding="utf-8"))
    assert (about["disclosure"], about["reason"]) == ("off", "Audit inspektorat atas sel kecil")
    assert s.current.readlink() == current
    assert all(row["disclosure"] == "on" for row in release.listing(s, led))
    assert [row["disclosure"] for row in release.kept_internal(led)] == ["off"]
    # The next release is compared with the last one for readers, and the register knows nothing of the internal one.
    following = release.publish(s, led, make_build(s, led, usual_counts(30)))
    assert following.outcome == "released"
    said = "SELECT count(*) FROM released_cells WHERE numerator = 3"
    assert marts.query(s, said)[1] == [(0,)]
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
