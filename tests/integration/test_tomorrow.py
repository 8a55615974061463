"""`warehouse sandbox tomorrow`: what it plants is judged as any file is, told by the story, and comes right again.

However often it is called. Which days follow a first run on any day of a year: tests/unit/test_sandbox_tomorrow.
Here one first day is played, the one on which reports came on the very day they were due; others in the long run.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from warehouse import night, report
from warehouse.core.console import Watch
from warehouse.core.contract import get_contract, load_contracts
from warehouse.core.errors import ConfigError
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.intake import timeliness
from warehouse.ledger import Ledger, deliveries
from warehouse.sandbox import commands, sent, tomorrow

# The first run's day, and the days that are played after it.
DUE_THAT_DAY = date(2026, 12, 11)
FIRST_DAYS = {
    # Reports came on the very day they were due: only next month's can be late.
    DUE_THAT_DAY: (date(2027, 1, 12), date(2027, 1, 13)),
    date(2026, 12, 1): (date(2026, 12, 12), date(2026, 12, 13)),
    date(2026, 12, 9): (date(2026, 12, 12), date(2026, 12, 13)),
    date(2026, 2, 28): (date(2026, 3, 12), date(2026, 3, 13)),
    date(2026, 12, 31): (date(2027, 1, 12), date(2027, 1, 13)),
}


def _at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 9, tzinfo=UTC)


@contextmanager
def _small() -> Iterator[None]:
    """A short past, and of all datasets those that the days are about. The last test builds marts of all that came."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "HISTORY_MONTHS", 1)
        patch.setattr(commands, "MONTHS_AHEAD", 6)
        patch.setattr(night, "datasets", lambda **_s: [tomorrow.REPORTS, tomorrow.LISTS])
        patch.setattr(night, "marts", lambda *_day, **_s: {"outcome": "unchanged", "stages": {}})
        yield


class Played:
    """A small home on its first evening, and the days played since."""

    def __init__(self, home: Path, first: date):
        self.first = Settings(home=home, now=_at(first))
        with _small(), Watch() as watch:
            commands.prepare(self.first, "0.01", watch)
            commands.play_night(self.first, False, watch)
        self.held = _holdings(self.first)
        self.days: list[Settings] = []

    @property
    def s(self) -> Settings:
        return self.days[-1] if self.days else self.first

    def next(self) -> Settings:
        with _small(), Watch() as watch:
            self.days.append(commands.play_tomorrow(self.s, False, watch)[0])
        return self.s


@pytest.fixture(scope="module")
def december(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The home that is played in every run, for half a year in the end."""
    return Played(tmp_path_factory.mktemp("tomorrow") / "home", DUE_THAT_DAY)


@pytest.fixture(
    scope="module",
    params=[pytest.param(day, marks=[] if day == DUE_THAT_DAY else pytest.mark.long) for day in FIRST_DAYS],
    ids=str,
)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A home whose first run fell on that day, before anything is played."""
    if request.param == DUE_THAT_DAY:
        return request.getfixturevalue("december")
    return Played(tmp_path_factory.mktemp("tomorrow") / "home", request.param)


def _holdings(s: Settings) -> dict[str, bytes]:
    folder = s.home / "sandbox" / "holdings"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _told(s: Settings, kind: str, day: int = -1) -> list[dict]:
    return [event for event in sent.story(s)[day]["planted"] if event["kind"] == kind]


def _contract(s: Settings, dataset: str = tomorrow.REPORTS):
    return get_contract(s.contracts_dir, dataset)


def _late(s: Settings) -> set[tuple[str, str]]:
    """Parts that are late, and the month they owe; not those whose file of that month is held."""
    held = {(part, period) for part, period, _rule in _held(s)}
    states = timeliness.part_states(s, Ledger(s.ledger), _contract(s))
    return {(one.part, one.awaited.label) for one in states if one.state == "late"} - held


def _held(s: Settings) -> set[tuple[str, str, str]]:
    return {(one.part, f"{one.period_start:%Y-%m}", one.reason_code) for one in night.held(s=s)}


def _versions(s: Settings, event: dict) -> list[bool]:
    """The deliveries of a told part and period, oldest first: is it in force?"""
    led = Ledger(s.ledger)
    came = led.rows(
        "select delivery_id from deliveries where dataset = :dataset and part = :part and period_start = :start"
        " order by received_at",
        dataset=event["dataset"],
        part=event["part"],
        start=f"{event['period']}-01",
    )
    mode = _contract(s, event["dataset"]).extras.delivery_mode
    in_force = {one.delivery_id for one in deliveries.in_force(led, event["dataset"], mode)}
    return [row["delivery_id"] in in_force for row in came]


def _check_day(s: Settings) -> None:
    """What the story tells of the day is what ledger, list and pages show, and there is one of each kind at least."""
    late = {(event["part"], event["period"]) for event in _told(s, "late")}
    assert late
    assert late == _late(s)
    held = {(event["part"], event["period"], event["rule"]) for event in _told(s, "held")}
    assert held
    assert held <= _held(s)
    corrected = _told(s, "corrected")
    assert corrected
    assert [_versions(s, event) for event in corrected] == [[False, True]] * len(corrected)

    seen = {(row["see"].split(" / ")[1], row["dataset"], row["part"], row["period"]) for row in tomorrow.to_see(s)}
    told = {(one["kind"], one["dataset"], one["part"], one["period"]) for one in sent.story(s)[-1]["planted"]}
    assert told <= seen
    assert any("held reject" in line for line in tomorrow.to_do(s))


def _page(s: Settings) -> str:
    folder = report.render(s, Ledger(s.ledger))
    text = (folder / "dataset" / "kemenkes__eppgbm.html").read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_on_its_first_evening_nothing_has_come_before_it_was_due(played: Played):
    s = played.first
    for contract in (_contract(s), _contract(s, tomorrow.LISTS)):
        came = deliveries.in_force(Ledger(s.ledger), contract.dataset, contract.extras.delivery_mode)
        assert came
        newest = max(Period(one.period_start, "month") for one in came)
        assert newest.due_on(contract.extras.due_day) <= s.today()
        assert newest.shift(1).due_on(contract.extras.due_day) > s.today()
    assert _late(s) == set()
    assert _held(s) == set()


def test_the_day_reports_are_overdue_and_the_day_after_show_what_the_story_tells(played: Played):
    expected = FIRST_DAYS[played.first.today()]
    for day, kind in zip(expected, ("reports", "after"), strict=True):
        s = played.next()
        assert s.today() == day
        assert (sent.story(s)[-1]["day"], sent.story(s)[-1]["kind"]) == (day.isoformat(), kind)
        _check_day(s)


def test_the_page_names_the_late_the_held_and_the_corrected(played: Played):
    s = played.s
    page = _page(s)
    assert tomorrow.WRONG_MONTH in page
    for kind in ("late", "held", "corrected"):
        assert all(event["part"] in page for event in _told(s, kind)), kind
    assert "Belum diterima" in page


def test_the_clock_of_the_home_moves_and_stays(played: Played):
    assert Settings(home=played.first.home, now=played.first.now).today() == played.s.today()
    assert [day["kind"] for day in sent.story(played.s)] == ["reports", "after"]


def test_what_agencies_hold_is_never_changed(played: Played):
    now = _holdings(played.s)
    services = {"http/bps/1.json", "http/dukcapil/kec.json", "http/dukcapil/kel.json"}
    assert {name for name in played.held if now[name] != played.held[name] and "portal/" not in name} <= services


def test_the_right_file_closes_the_first_held_one_and_the_good_one_stands_under_the_second(played: Played):
    s = played.s
    (first,), (second,) = _told(s, "held", 0), _told(s, "held", 1)
    assert _held(s) == {(second["part"], second["period"], second["rule"])}
    assert _versions(s, first) == [False, True]
    assert _versions(s, second) == [True, False]


def test_one_late_report_has_come_a_day_later(played: Played):
    first, second = ({event["part"] for event in _told(played.s, "late", day)} for day in (0, 1))
    assert second < first
    assert len(second) == 1


@pytest.fixture(scope="module")
def half_a_year(december: Played) -> Played:
    """Ten calls in a row, past a year's end and the shortest month; each day is what its story tells."""
    while len(december.days) < 10:
        _check_day(december.next())
    return december


def test_it_can_be_called_again_and_again(half_a_year: Played):
    days = [date.fromisoformat(day["day"]) for day in sent.story(half_a_year.s)]
    assert days == [date(2027, month, day) for month in range(1, 6) for day in (12, 13)]


def test_a_call_that_broke_off_before_the_clock_moved_plays_the_same_day(half_a_year: Played, tmp_path: Path):
    source = half_a_year.s
    shutil.copytree(source.home, tmp_path / "home", ignore=shutil.ignore_patterns("lake", "landing", "vault"))
    s = tomorrow.moved(Settings(home=tmp_path / "home", now=source.now), source.today() - timedelta(days=1))
    before = sent.story(s)
    assert tomorrow.next_day(s) == source.today()
    assert tomorrow.play(s, source.today()) == before[-1]
    assert sent.story(s) == before


def test_days_that_went_by_without_a_call_are_no_harm(half_a_year: Played, tmp_path: Path):
    """The home's clock goes on with the machine's: a night between calls may have had what would have been late."""
    source = half_a_year.s
    shutil.copytree(source.home, tmp_path / "home", ignore=shutil.ignore_patterns("lake", "landing", "vault"))
    s = Settings(home=tmp_path / "home", now=source.now)
    story = sent.story(s)
    sent.story_file(s).write_text(json.dumps(story[:-1]))
    for today, expected in [
        (date(2027, 5, 12), date(2027, 5, 13)),
        (date(2027, 5, 20), date(2027, 5, 21)),
        (date(2027, 6, 9), date(2027, 6, 10)),
        (date(2027, 6, 10), date(2027, 6, 12)),
        (date(2027, 6, 12), date(2027, 7, 12)),
    ]:
        s = tomorrow.moved(s, today)
        assert tomorrow.next_day(s) == expected, today


def test_senders_send_a_quarter_when_it_is_due(half_a_year: Played):
    s = half_a_year.s
    as_sent = sent.as_sent(s, load_contracts(s.contracts_dir).values())
    dtsen = (s.home / "sandbox" / "holdings" / "sftp" / "dinsos" / "dtsen").resolve()
    quarter = dtsen / "2027-Q1" / "anggota_keluarga_dtsen_v3_2027_36.71.csv"
    assert quarter.is_file()
    seen = {}
    for day in (date(2027, 4, 20), date(2027, 4, 21)):
        then = sent.as_sent(s.standing_at(_at(day)), load_contracts(s.contracts_dir).values())
        seen[day] = then(quarter)
    assert seen == {date(2027, 4, 20): None, date(2027, 4, 21): quarter}
    assert as_sent(dtsen / "2099-Q9") == dtsen / "2099-Q9"


def test_only_a_sandbox_has_a_clock_to_move(half_a_year: Played, tmp_path: Path):
    s = half_a_year.s
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox" / "clock.json").write_bytes((s.home / "sandbox" / "clock.json").read_bytes())
    assert Settings(home=tmp_path, now=s.now).today() == DUE_THAT_DAY


def test_the_pipeline_never_reads_the_story(half_a_year: Played):
    """Of all that a home's `sandbox` folder tells, other rooms know the clock and who is peopled."""
    package = Path(tomorrow.__file__).parents[1]
    others = [path for path in package.rglob("*.py") if path.parent.name != "sandbox"]
    assert not [path for path in others if re.search(r"\bstory\b|sandbox\.sent", path.read_text(encoding="utf-8"))]
    assert sent.story_file(half_a_year.s).is_file()


def test_before_the_first_evening_there_is_no_tomorrow(tmp_path: Path):
    with pytest.raises(ConfigError, match="SANDBOX_NOT_RUN"):
        commands.play_tomorrow(Settings(home=tmp_path, now=_at(DUE_THAT_DAY)), False, Watch())


def test_the_night_of_a_moved_clock_ends_with_a_release_and_a_report(half_a_year: Played):
    s = half_a_year.s
    made = night.marts(s.today(), s=s)
    assert made["outcome"] == "released"
    assert made["release_id"].startswith(f"{s.utc_now():%Y%m%d}")
    assert (s.reports_dir / "current" / "index.html").is_file()
    assert {"release round", "release scan"} < made["stages"].keys()
    assert night.doing(s) == ""
