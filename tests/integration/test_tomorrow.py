"""`warehouse sandbox tomorrow`: what it plants is judged as any file is, told by the story, and comes right again."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from warehouse import night, timeliness
from warehouse.console import Watch
from warehouse.contract import get_contract
from warehouse.errors import ConfigError
from warehouse.ledger import Ledger
from warehouse.sandbox import commands, tomorrow
from warehouse.settings import Settings

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, dict[str, bytes], list[Settings]]:
    """A small home on its first evening, what its agencies held then, and the settings of the two days after."""
    patch = pytest.MonkeyPatch()
    patch.setattr(commands, "HISTORY_MONTHS", 1)
    patch.setattr(commands, "MONTHS_AHEAD", 2)
    # Whom the days are about. The marts are built by the last test, of all that came.
    patch.setattr(night, "datasets", lambda **_s: [tomorrow.REPORTS, tomorrow.LISTS])
    patch.setattr(night, "marts", lambda *_day, **_s: {"outcome": "unchanged", "stages": {}})
    s = Settings(home=tmp_path_factory.mktemp("tomorrow") / "home", now=NOW)
    days = []
    with Watch() as watch:
        commands.prepare(s, "0.01", watch)
        commands._play_night(s, False, watch)
        held = _holdings(s)
        for _ in range(2):
            days.append(commands.play_tomorrow(days[-1] if days else s, False, watch)[0])
    patch.undo()
    return s, held, days


def _holdings(s: Settings) -> dict[str, bytes]:
    folder = s.home / "sandbox" / "holdings"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _events(s: Settings, day: int, kind: str) -> list[dict]:
    return [event for event in tomorrow.story(s)[day]["planted"] if event["kind"] == kind]


def test_the_clock_of_the_home_moves_and_stays(played):
    s, _held, days = played
    assert [one.today() for one in days] == [date(2026, 12, 12), date(2026, 12, 13)]
    assert Settings(home=s.home, now=NOW).today() == date(2026, 12, 13)
    assert [day["kind"] for day in tomorrow.story(s)] == ["reports", "after"]


def test_only_a_sandbox_has_a_clock_to_move(played, tmp_path: Path):
    s, _held, _days = played
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox" / "clock.json").write_bytes((s.home / "sandbox" / "clock.json").read_bytes())
    assert Settings(home=tmp_path, now=NOW).today() == NOW.date()


def test_what_agencies_had_sent_is_not_drawn_anew(played):
    s, held, _days = played
    corrected = "sftp/dinsos/assistance/2026-10/assistance.csv"
    kept_by_services = {"http/bps/1.json"}
    now = _holdings(s)
    assert {name for name in held if now[name] != held[name]} - kept_by_services == {corrected}
    assert any("eppgbm/2026-11" in name for name in now.keys() - held.keys())


def test_each_defective_delivery_is_held_by_the_rule_the_story_names(played):
    s, _held, _days = played
    verdicts = Ledger(s.ledger).rows(
        "select d.part, d.period_start, v.reason_code from deliveries d"
        " join verdicts v on v.delivery_id = d.delivery_id"
        " where d.dataset = :dataset and v.verdict = 'held'",
        dataset=tomorrow.REPORTS,
    )
    told = [event for day in (0, 1) for event in _events(s, day, "held")]
    found = {(row["part"], f"{row['period_start']:%Y-%m}", row["reason_code"]) for row in verdicts}
    assert found == {(event["part"], event["period"], event["rule"]) for event in told}
    assert len(told) == 2


def test_the_right_file_closes_the_first_one_and_the_good_one_stands_under_the_second(played):
    s, _held, days = played
    (first,), (second,) = _events(s, 0, "held"), _events(s, 1, "held")
    assert [row["part"] for row in night.held(s=days[-1]) if row["dataset"] == tomorrow.REPORTS] == [second["part"]]
    contract = get_contract(s.contracts_dir, tomorrow.REPORTS)
    in_force = {
        (r["part"], f"{r['period_start']:%Y-%m}") for r in Ledger(s.ledger).in_force(contract.dataset, "snapshot")
    }
    assert {(first["part"], "2026-11"), (second["part"], "2026-11")} <= in_force


def test_a_late_puskesmas_is_late_until_it_comes(played):
    s, _held, days = played
    contract = get_contract(s.contracts_dir, tomorrow.REPORTS)
    states = timeliness.part_states(days[-1], Ledger(s.ledger), contract)
    late = {state.part for state in states if state.state == "late"}
    first, second = ({event["part"] for event in _events(s, day, "late")} for day in (0, 1))
    assert late == second
    assert second < first
    assert len(second) == 1


def test_a_corrected_file_supersedes_the_one_before(played):
    s, _held, _days = played
    led = Ledger(s.ledger)
    for event in (*_events(s, 0, "corrected"), *_events(s, 1, "corrected")):
        contract = get_contract(s.contracts_dir, event["dataset"])
        came = led.rows(
            "select delivery_id from deliveries where dataset = :dataset and part = :part and period_start = :start"
            " order by received_at",
            dataset=event["dataset"],
            part=event["part"],
            start=f"{event['period']}-01",
        )
        in_force = {row["delivery_id"] for row in led.in_force(event["dataset"], contract.extras.delivery_mode)}
        assert len(came) == 2
        assert [row["delivery_id"] in in_force for row in came] == [False, True]


def test_a_day_ends_with_what_to_look_at_and_what_to_type(played):
    _s, _held, days = played
    assert {row["see"] for row in tomorrow.to_see(days[-1])} == {
        "ditahan / held", "terlambat / late", "dikoreksi / corrected",
    }  # fmt: skip
    assert any("held reject" in line for line in tomorrow.to_do(days[-1]))


def test_the_pipeline_never_reads_the_story(played):
    """Of all that a home's `sandbox` folder tells, other rooms know the clock and who is peopled."""
    s, _held, _days = played
    package = Path(tomorrow.__file__).parents[1]
    others = [path for path in package.rglob("*.py") if path.parent.name != "sandbox"]
    assert not [path for path in others if "story" in path.read_text(encoding="utf-8").split('"')]
    assert "story.json" in {path.name for path in (s.home / "sandbox").iterdir()}


def test_before_the_first_evening_there_is_no_tomorrow(tmp_path: Path):
    with pytest.raises(ConfigError, match="SANDBOX_NOT_RUN"):
        commands.play_tomorrow(Settings(home=tmp_path, now=NOW), False, Watch())


def test_the_night_of_a_moved_clock_ends_with_a_release_and_a_report(played):
    _s, _held, days = played
    s = days[-1]
    made = night.marts(s.today(), s=s)
    assert made["outcome"] == "released"
    assert made["release_id"].startswith(f"{s.utc_now():%Y%m%d}")
    assert (s.reports_dir / "current" / "index.html").is_file()
    assert {"release round", "release scan"} < made["stages"].keys()
    assert night.doing(s) == ""
