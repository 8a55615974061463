"""The first morning in a sandbox: nothing is red that is not wrong, and what is not yet due says so."""

import re
import shutil
from datetime import date, datetime

import pytest
from typer.testing import CliRunner

from tests.support.sandbox_home import TONIGHT, copied
from warehouse import ledger, night, report
from warehouse.cli import app
from warehouse.core.settings import Settings
from warehouse.ledger import deliveries
from warehouse.report import facts
from warehouse.sandbox import commands

BPS = "bps/indicators"
YEARLY = (BPS, "kemenkes/under_five_targets", "published/official_figures")
# The portals file by calendar year, and this city lives two months of one.
NO_WHOLE_YEAR = {"portal/digital_services", "portal/domestic_products", "portal/poverty_indicators"}
POVERTY = ("619", "621", "622", "623", "624")


@pytest.fixture(scope="module")
def morning(agencies_home, tmp_path_factory) -> Settings:
    """What was due in earlier years, then tonight's open periods of every dataset; marts are no matter of this."""
    source, _running = agencies_home
    s = copied(source, tmp_path_factory.mktemp("morning") / "home")
    # What the sandbox's command does for the hand that files published figures, and where it looks for the city.
    shutil.copytree(source.home / "sandbox" / "holdings" / "by_hand", s.home / "inbox", dirs_exist_ok=True)
    for dataset in YEARLY:
        commands.load_history(s, dataset)
    for dataset in night.datasets(s=s):
        night.ingest(dataset, TONIGHT, s=s)
    return s


@pytest.fixture(scope="module")
def found(morning: Settings) -> dict[str, facts.DatasetFacts]:
    return {fact.contract.dataset: fact for fact in facts.collect(morning, ledger.open_ledger(morning))}


def test_nothing_is_red(found):
    red = {name: fact.headline_en for name, fact in found.items() if fact.light == "red"}
    assert {name: red[name] for name in red.keys() - NO_WHOLE_YEAR} == {}


def test_poverty_of_the_running_year_is_not_yet_due_and_its_inflation_came(found):
    fact = found[BPS]
    assert {part: state.state for part, state in fact.parts.items()} == {
        "1": "received",
        **dict.fromkeys(POVERTY, "not_yet_due"),
    }
    assert (fact.newest.label, fact.due_on, fact.days_late) == ("2026", date(2027, 1, 31), 0)
    assert (fact.parts_received, fact.parts_expected, fact.parts_not_yet_due) == (1, 1, 5)
    assert {part: fact.grid[part][date(2026, 1, 1)] for part in fact.grid} == {
        "1": "good",
        **dict.fromkeys(POVERTY, "future"),
    }
    assert {fact.grid[part][date(2025, 1, 1)] for part in fact.grid} == {"good"}
    assert fact.problems == []
    assert fact.headline_id == "Lengkap dan diterima; 5 bagian belum jatuh tempo"


@pytest.mark.parametrize(("day", "state", "days_late"), [("2027-01-31", "not_yet_due", 0), ("2027-02-01", "late", 1)])
def test_it_is_late_the_day_after_its_own_due_day(morning, day, state, days_late):
    then = morning.model_copy(update={"now": datetime.fromisoformat(f"{day}T03:00:00+00:00")})
    fact = next(one for one in facts.collect(then, ledger.open_ledger(then)) if one.contract.dataset == BPS)
    assert {(fact.parts[part].state, fact.parts[part].days_late) for part in POVERTY} == {(state, days_late)}
    assert (fact.light == "red") == (state == "late")


def test_pages_and_status_call_a_part_by_number_and_name(morning, monkeypatch):
    site = report.render(morning, ledger.open_ledger(morning))
    page = re.sub(r"\s+", " ", (site / "dataset" / "bps__indicators.html").read_text(encoding="utf-8"))
    assert "621 · P0, persentase penduduk miskin / P0, share of poor persons" in page
    assert "2026: belum jatuh tempo / not yet due, 31 Jan 2027" in page
    assert "5 belum jatuh tempo" in (site / "index.html").read_text(encoding="utf-8")
    monkeypatch.setattr("warehouse.cli.looking.get_settings", lambda: morning)
    printed = CliRunner().invoke(app, ["status", "--json"])
    assert printed.exit_code == 0
    assert "621 · P0, persentase penduduk miskin / P0, share of poor persons" in printed.stdout
    assert "belum jatuh tempo / not yet due" in printed.stdout


def test_a_file_that_grows_with_its_year_is_as_old_as_the_day_it_came(morning):
    """History does not pretend that October's inflation came in February."""
    rows = deliveries.in_force(ledger.open_ledger(morning), BPS, "vintage")
    received = {(row.part, row.period_start.year): row.received_at.date() for row in rows}
    assert received["1", 2026] == TONIGHT
    assert received["1", 2025].year == 2026
    assert not any(year == 2026 for part, year in received if part in POVERTY)
