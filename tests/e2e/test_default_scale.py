"""The README's first command on the city it makes by default, and what the analysts' guide answers there.

Here: that ``make run`` ends well and leaves nothing running, that the assets of its datasets started the marts, that no
identity is in what Airflow wrote, that every query of the guide runs at this size, and that each question's answer is
there, within bounds and of the right sign. Not here: exact numbers (dbt tests), the schedule (test_dags_scheduled), a
first night without a past (test_compose).
"""

import itertools
import json
import os
import re
import sqlite3
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.e2e.stage import check_outcomes
from tests.support.sandbox_home import NOW
from warehouse import scan
from warehouse.core.settings import PROJECT_DIR, Settings
from warehouse.read import marts
from warehouse.sandbox import local_airflow

pytestmark = pytest.mark.e2e

GUIDE = PROJECT_DIR / "docs" / "guides" / "analyst.md"
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home after ``make run``: about 240 thousand persons, 14 months, tonight through Airflow."""
    home = tmp_path_factory.mktemp("default scale") / "a home"
    warehouse = Path(sys.executable).with_name("warehouse")
    env = os.environ | {"WAREHOUSE_HOME": str(home), "WAREHOUSE_NOW": NOW.isoformat()}
    done = subprocess.run([warehouse, "sandbox", "run"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Settings(home=home, now=NOW)


def queries(question: int) -> list[str]:
    """SQL blocks under a numbered heading of the guide."""
    text = GUIDE.read_text(encoding="utf-8")
    section = re.search(rf"^### {question}\. .*?(?=^##)", text, re.DOTALL | re.MULTILINE)[0]
    return re.findall(r"^```sql\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def ask(s: Settings, sql: str) -> Rows:
    columns, rows = marts.query(s, sql)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def answer(s: Settings, question: int, nth: int = 0) -> Rows:
    return ask(s, queries(question)[nth])


def is_ordered(row: dict[str, Any], *names: str) -> bool:
    """Whether the row's numbers stand in this order, NULLs and the last digit aside."""
    values = [row[name] for name in names if row[name] is not None]
    return all(left <= right + 1e-9 for left, right in itertools.pairwise(values))


# --- the night under Airflow ------------------------------------------------------------------------------------------


def airflow_rows(s: Settings, sql: str) -> list[tuple]:
    with sqlite3.connect(f"file:{local_airflow.airflow_home(s) / 'airflow.db'}?mode=ro", uri=True) as connection:
        return connection.execute(sql).fetchall()


def test_the_assets_of_the_datasets_started_the_marts(city: Settings):
    runs = airflow_rows(city, "select run_type, state from dag_run where dag_id = 'marts'")
    assert runs == [("asset_triggered", "success")]
    told = airflow_rows(city, "select value from xcom where task_id = 'report' and key = 'return_value'")
    check_outcomes([json.loads(value) for (value,) in told])


def test_nothing_is_left_running(city: Settings):
    home = f"WAREHOUSE_HOME={city.home}".encode()
    left = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if home in path.read_bytes().split(b"\0"):
                left.append(path.parent.name)
        except OSError:
            # Ended meanwhile, or of somebody else.
            continue
    assert left == []


def test_nothing_airflow_wrote_tells_who_somebody_is(city: Settings):
    persons = city.home / "sandbox" / "city" / "persons.parquet"
    known = {nik.encode() for (nik,) in duckdb.sql(f"select nik from '{persons}' where nik is not null").fetchall()}
    assert known
    read = 0
    for folder in (local_airflow.airflow_home(city), city.logs_dir):
        for path in folder.rglob("*"):
            if path.is_file():
                read += 1
                found = set(re.findall(rb"(?<!\d)\d{16}(?!\d)", path.read_bytes()))
                assert not found & known, f"identity numbers in {path.relative_to(city.home)}"
    assert read > 20
    # The night looked before Airflow had written all it writes: with names too, at whatever has changed since.
    looked = scan.scan_home(city)
    assert looked.findings == ()
    assert looked.files_read > 20


# --- the guide's questions --------------------------------------------------------------------------------------------


def test_every_query_of_the_guide_answers(city: Settings):
    text = GUIDE.read_text(encoding="utf-8")
    blocks = re.findall(r"^(<!-- may be empty -->\n)?```sql\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) > 15
    assert not [sql for may_be_empty, sql in blocks if not may_be_empty and not ask(city, sql)]


def test_worst_kelurahan(city: Settings):
    rows = answer(city, 1)
    levels = [row["area_level"] for row in rows]
    assert (levels.count("kelurahan"), levels.count("kecamatan"), levels.count("kota")) == (104, 13, 1)
    # Nineteen kelurahan are peopled, and all of them answer; a kecamatan of the sample is what is peopled of it.
    answered = [row for row in rows if row["percentage"] is not None]
    assert [sum(row["area_level"] == level for row in answered) for level in ("kelurahan", "kecamatan", "kota")] == [
        19,
        13,
        1,
    ]
    for row in answered:
        assert is_ordered(row, "ci95_low", "percentage", "ci95_high"), row
        assert is_ordered(row, "percentage_low", "percentage", "percentage_high"), row
        assert 0 < row["stunted"] < row["measured"], row
        assert row["height_measured_percentage"] > 40
    assert len({row["verdict"].split(" ")[0] for row in answered}) >= 2
    (kota,) = [row for row in rows if row["area_level"] == "kota"]
    assert 5 < kota["percentage"] < 6.5


def test_ours_beside_the_survey(city: Settings):
    rows = answer(city, 2)
    survey = {row["period_start"].year: row["percentage"] for row in rows if row["source_system"] in {"ssgi", "ski"}}
    assert survey[2024] == 11.2
    own = [row for row in rows if row["source_system"] == "eppgbm"]
    assert len(own) >= 12
    newest = max((row for row in own if row["period_kind"] == "month"), key=lambda row: row["period_start"])
    # The guide's explanation: what the unmeasured could hide reaches beyond the survey.
    assert newest["percentage"] < survey[2024] < newest["percentage_high"]
    quality = answer(city, 2, 1)
    assert {row["is_outside"] for row in quality} >= {True, False}
    assert {"sd_haz", "digit0_5_height", "age_heaping"} <= {row["measure"] for row in quality}


def test_low_desil_in_neglasari(city: Settings):
    rows = answer(city, 3)
    assert len(rows) >= 4
    for row in rows:
        assert is_ordered(row, "percentage_low", "percentage", "percentage_high")
        assert 0 < row["families"] < row["families_of_known_desil"]
        assert row["unknown_count"] > 0


def test_poverty_in_a_kelurahan_cannot_be_answered(city: Settings):
    rows = answer(city, 4)
    assert {"p0", "poor_persons_thousand", "poverty_line_idr"} <= {row["indicator"] for row in rows}
    below = "select count(*) as n from published_by_area_period where area_level in ('kecamatan', 'kelurahan')"
    assert ask(city, below + " and indicator in ('p0', 'p1', 'p2', 'poor_persons_thousand', 'poverty_line_idr')") == [
        {"n": 0}
    ]
    housing = answer(city, 4, 1)
    assert {"deprived_sanitation", "living_standards_h"} <= {row["measure"] for row in housing}
    assert all(is_ordered(row, "percentage_low", "percentage", "percentage_high") for row in housing)


def test_uncovered_workers_by_job(city: Settings):
    rows = answer(city, 5)
    assert {"trade_own_account", "transport_own_account", "casual"} <= {row["worker_group"] for row in rows}
    assert all(is_ordered(row, "numerator_low", "uncovered", "numerator_high") for row in rows)
    assert sum(row["uncovered"] or 0 for row in rows) > 1000


def test_universal_coverage_beside_the_published(city: Settings):
    rows = answer(city, 6)
    published = [row for row in rows if row["measure"] == "published_ucj"]
    assert [(row["percentage"], row["denominator_source"]) for row in published] == [(47.76, "not_stated")]
    own = [row for row in rows if row["measure"] == "covered_of_workers"]
    assert len(own) >= 12
    assert all(is_ordered(row, "percentage_low", "percentage_high") and 20 < row["percentage"] < 100 for row in own)


def test_whether_the_outreach_helped(city: Settings):
    (difference,) = [row for row in answer(city, 7) if row["measure"].startswith("did_")]
    # The sandbox plants more new members in the three sectors, and nothing before the first session.
    assert 0 < difference["ci95_low"] < difference["per_1000_pbpu"] < difference["ci95_high"]
    assert 0 < difference["p_permutation"] <= 0.05
    assert abs(difference["pretrend_gap"]) < difference["per_1000_pbpu"]
    assert difference["verdict"].startswith("berbeda")
    by_month = answer(city, 7, 1)
    assert {row["sector"] for row in by_month if row["sector"]} == {"Batuceper", "Neglasari", "Benda"}


def test_low_desil_without_assistance(city: Settings):
    rows = answer(city, 8)
    assert len(rows) == 14
    for row in rows:
        assert 0 < row["families_without"] < row["families"], row
        assert is_ordered(row, "families_without_low", "families_without", "families_without_high"), row
    (kota,) = [row for row in rows if row["area_name"] == "Kota Tangerang"]
    assert kota["families_without"] == sum(row["families_without"] for row in rows if row is not kota)


def test_what_a_cell_said_is_what_the_mart_says_now(city: Settings):
    history = answer(city, 9, 1)
    now = ask(
        city,
        "select period_start, numerator, denominator from stunting_by_area_month where measure = 'stunted'"
        " and kemendagri_code = '36.71' and period_kind = 'month' and source_system = 'eppgbm'"
        " and area_basis = 'residence' and age_group = 'all'",
    )
    assert len(now) >= 12
    last = {row["period_start"]: row for row in history}
    for row in now:
        said = last[row["period_start"]]
        assert (said["numerator"], said["denominator"]) == (row["numerator"], row["denominator"])
    causes = answer(city, 9, 2)
    assert sum(row["deliveries_since"] for row in causes) > 0


def test_why_it_differs_from_bps(city: Settings):
    rows = answer(city, 10)
    own = [row for row in rows if row["denominator_source"] == "dukcapil"]
    assert own
    assert all(row["gap_to_dukcapil"] == 0 for row in own)
    assert {"registry_dtsen", "bps_implied"} <= {row["denominator_source"] for row in rows}
    assert all(row["derivation"] for row in rows if row["is_derived"])


def test_where_the_three_meet(city: Settings):
    rows = answer(city, 11)
    newest = max(row["period_start"] for row in rows)
    assert newest == date(2026, 10, 1)
    keys = ("low_desil", "stunted_child", "uncovered_breadwinner")
    cells = {tuple(row[key] for key in keys): row for row in rows if row["period_start"] == newest}
    assert len(cells) == 8
    everyone = cells["all", "all", "all"]["numerator"]
    assert everyone > 70_000
    for cell, row in cells.items():
        assert is_ordered(row, "numerator_low", "numerator", "numerator_high"), cell
        assert 0 < row["numerator"] <= everyone
    nested = [cells[cell]["numerator"] for cell in (("yes",) * 3, ("yes", "yes", "all"), ("yes", "all", "all"))]
    assert nested == sorted(nested)


def test_whether_everything_came(city: Settings):
    rows = answer(city, 12)
    puskesmas = [row for row in rows if row["dataset"] == "kemenkes/eppgbm"]
    assert rows[: len(puskesmas)] == puskesmas
    assert len({row["part"] for row in puskesmas}) == len(puskesmas) == 39
    came = [row for row in puskesmas if row["state"].startswith("datang")]
    assert len(came) > 30
    for row in came:
        assert row["last_period_start"] == date(2026, 10, 1)
        assert row["rows_read"] == row["rows_admitted"] + row["rows_quarantined"] + row["rows_refused"] > 0
    assert all(row["days_late"] == 0 for row in rows if row["state"].startswith("datang"))


def test_what_is_red_and_whose_it_is(city: Settings):
    rows = answer(city, 13)
    assert {row["owner"] for row in rows} >= {"sender"}
    assert all(row["failed"] > 0 and row["message_id"] and row["message_en"] and row["failing_since"] for row in rows)
    puskesmas = [row for row in rows if row["dataset"] == "kemenkes/eppgbm" and row["severity"] == "quarantine"]
    assert puskesmas
    # What is sent to the sender: as many row numbers as the rule put aside, and no value.
    pointers = ask(
        city,
        "select sum(rows_open) as n from ops_quarantine"
        f" where delivery_id = '{puskesmas[0]['delivery_id']}' and rule_code = '{puskesmas[0]['rule_code']}'",
    )
    assert pointers == [{"n": puskesmas[0]["failed"]}]
    on_marts = answer(city, 13, 1)
    # JKN stands above 100% in truth, and says so every night without holding anything.
    assert "COVERAGE-010" in {row["rule_code"] for row in on_marts}
    assert "stop" not in {row["severity"] for row in on_marts}


def test_what_is_old_on_the_mayors_page(city: Settings):
    rows = answer(city, 14)
    assert len({(row["theme"], row["indicator"]) for row in rows}) == len(rows)
    assert all((row["status"] == "no_data") == (row["as_of"] is None) for row in rows)
    fresh = {"pbpu_coverage_06_02_021", "stunting_measured", "desil_1_to_4_assisted", "systems_reused"}
    assert not fresh & {row["indicator"] for row in rows}


def test_which_number_jumped(city: Settings):
    months = answer(city, 15, 1)
    assert len(months) == 30
    jumps = [abs(row["points"]) for row in months]
    assert jumps == sorted(jumps, reverse=True)
    assert all(row["month_before"] < row["period_start"] and row["denominator"] >= 100 for row in months)
    for row in answer(city, 15):
        assert row["numerator"] != row["numerator_before"] or row["percentage"] != row["percentage_before"]


def test_what_waits_for_a_decision(city: Settings):
    waiting = ask(city, "select count(held_delivery_id) as n from ops_freshness")
    rows = answer(city, 16)
    assert [{"n": len(rows)}] == waiting
    assert all(row["held_by"] for row in rows)
