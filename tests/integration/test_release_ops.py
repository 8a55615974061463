"""The ops models say of a night what the ledger holds; their compiled SQL gives the same from a fresh export."""

import shutil
import subprocess
from datetime import date, datetime, timedelta

import duckdb
import pytest

from tests.support.release_helpers import NOON
from warehouse import build, ledger, release
from warehouse.build.catalogue import manifest_path
from warehouse.core import duck
from warehouse.core.contract import load_contracts
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.intake import gate, timeliness
from warehouse.ledger import deliveries, tables
from warehouse.storage import keys

DATASET = "kemenkes/eppgbm"
BPS = "bps/indicators"
RULE = "KEMENKES__EPPGBM-REQUIRED-nama"
SEPTEMBER, OCTOBER = Period(date(2026, 9, 1), "month"), Period(date(2026, 10, 1), "month")
TODAY = date(2026, 11, 22)


class Record:
    """Writes the ledger's rows of deliveries and their judgements."""

    def __init__(self, led: ledger.Ledger):
        self.led = led

    def deliver(
        self,
        content: str,
        period: Period = OCTOBER,
        part: str = "benda",
        at: datetime = NOON,
        dataset: str = DATASET,
    ) -> str:
        identifier = deliveries.delivery_id(dataset, part, period, content)
        self.led.insert(
            tables.deliveries,
            {
                "delivery_id": identifier, "dataset": dataset, "part": part, "period_kind": period.kind,
                "period_start": period.start, "received_at": at, "content_sha256": content, "bytes": 1, "media": "csv",
                "origin": "agency", "stored_path": "x", "stored_sha256": "x",
            },
        )  # fmt: skip
        return identifier

    def judge(
        self, delivery: str, outcome: str = "pass", rows: tuple[int, ...] = (), at: datetime = NOON, **more
    ) -> str:
        """A verdict with one rule's outcome and the rows it quarantined."""
        verdict = ledger.new_id()
        self.led.insert(
            tables.verdicts,
            {
                "verdict_id": verdict, "delivery_id": delivery, "contract_version": "1.0.0", "judged_at": at,
                "verdict": "accepted_with_quarantine" if rows else "accepted", "checks_run": 1, "rows_read": 10,
                "rows_admitted": 10 - len(rows), "rows_quarantined": len(rows), "rows_refused": 0,
            } | more,
        )  # fmt: skip
        common = {"verdict_id": verdict, "delivery_id": delivery, "rule_code": RULE, "column_name": "nama"}
        self.led.insert(
            tables.rule_results,
            common | {"severity": "quarantine", "category": "completeness", "outcome": outcome, "checked": 10,
                      "failed": len(rows)},
        )  # fmt: skip
        self.led.insert(tables.quarantined_rows, [common | {"source_row": row} for row in rows])
        return verdict


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A night's ledger, and its ops marts as dbt built them and as refreshed; ids by name."""
    s = Settings(home=tmp_path_factory.mktemp("ops"), now=NOON)
    ledger.upgrade(s.ledger)
    led = ledger.Ledger(s.ledger)
    record, day = Record(led), timedelta(days=1)
    ids = {
        "september": record.deliver("s", SEPTEMBER, at=NOON - 30 * day),
        "first": record.deliver("a", at=NOON - 3 * day),
    }
    ids["second"] = record.deliver("b", at=NOON - 2 * day)
    ids["held"] = record.deliver("c", at=NOON - day)
    ids["replayed"] = record.deliver("d", part="jatake", at=NOON)
    ids["waiting"] = record.deliver("e", part="cikokol")
    record.judge(ids["september"], "pass")
    record.judge(ids["first"], "fail", (3, 4), at=NOON - 3 * day)
    record.judge(ids["second"], "fail", (3, 9), at=NOON - 2 * day)
    record.judge(ids["held"], "fail", verdict="held", rows_admitted=0, rows_refused=10, reason_code=RULE)
    record.judge(ids["replayed"], "fail", (5, 6), at=NOON)
    record.judge(ids["replayed"], "fail", (6,), at=NOON + timedelta(hours=1))
    for part, year in (("1", 2026), ("621", 2025)):
        record.judge(record.deliver(part, Period(date(year, 1, 1), "year"), part, dataset=BPS))
    for hours, outcomes in enumerate([("fail", "fail"), ("pass", "fail"), ("fail", "fail")]):
        at = NOON + timedelta(hours=hours)
        for code, outcome in zip(("STUNTING-005", "STUNTING-006"), outcomes, strict=True):
            about = {
                "mart": "stunting_by_area_month",
                "rule_code": code,
                "severity": "warn",
                "category": "plausibility",
            }
            judged = {"build_id": f"build-{hours}", "judged_at": at, "outcome": outcome, "failed": hours}
            led.insert(tables.mart_rule_results, about | judged)
    led.insert(tables.nights, {"night_id": "n", "logical_date": TODAY, "started_at": NOON, "outcome": "running"})
    s.build_file.parent.mkdir(parents=True)
    keys.make_sandbox_keys(s)
    with duck.connect(s, s.build_file) as con:
        build.export_ledger(s, led, load_contracts(s.contracts_dir), con)
    subprocess.run(
        build.dbt_command(TODAY, "build", "--select", "+path:models/marts/ops", "--indirect-selection", "cautious",
                          "--exclude-resource-type", "unit_test"),
        cwd=s.dbt_dir, env=build.dbt_environment(s, s.build_file), check=True, capture_output=True,
    )  # fmt: skip
    shutil.copy(build.dbt_target(s) / "manifest.json", manifest_path(s.home))
    release.refresh_ops(s, led)
    con = duckdb.connect(str(s.ops_file), read_only=True)
    con.execute("SET TimeZone = 'UTC'")
    yield s, con, ids
    con.close()


def rows(con, query: str) -> list[dict]:
    relation = con.sql(query)
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def test_the_refreshed_marts_equal_those_dbt_built(told):
    s, con, _ = told
    con.execute(f"ATTACH '{s.build_file}' AS built (READ_ONLY)")
    for mart in (
        "ops_deliveries",
        "ops_gate_results",
        "ops_quarantine",
        "ops_freshness",
        "ops_releases",
        "ops_mart_rules",
    ):
        assert con.execute(f"FROM {mart} EXCEPT FROM built.marts.{mart}").fetchall() == []
        assert con.execute(f"FROM built.marts.{mart} EXCEPT FROM {mart}").fetchall() == []


def test_a_delivery_says_whether_it_counts_and_what_it_supersedes(told):
    _, con, ids = told
    found = {row["delivery_id"]: row for row in rows(con, "FROM ops_deliveries")}
    assert {name for name, i in ids.items() if found[i]["is_in_force"]} == {"september", "second", "replayed"}
    assert found[ids["second"]]["supersedes"] == ids["first"]
    assert found[ids["september"]]["supersedes"] is None
    assert found[ids["waiting"]]["verdict"] is None
    assert (found[ids["held"]]["verdict"], found[ids["held"]]["reason_code"]) == ("held", RULE)


def test_marts_rules_stand_as_last_judged_with_their_words_and_since_when(told):
    _, con, _ = told
    found = {row["rule_code"]: row for row in rows(con, "FROM ops_mart_rules")}
    assert {row["build_id"] for row in found.values()} == {"build-2"}
    assert {row["failed"] for row in found.values()} == {2}
    assert found["STUNTING-005"]["failing_since"] == NOON + timedelta(hours=2)
    assert found["STUNTING-006"]["failing_since"] == NOON
    assert found["STUNTING-006"]["message_id"]
    assert found["STUNTING-006"]["owner"] == "walidata"


def test_a_rule_fails_since_the_first_of_an_unbroken_run(told):
    _, con, ids = told
    found = {row["delivery_id"]: row for row in rows(con, "FROM ops_gate_results")}
    assert found[ids["held"]]["failing_since"] == NOON - timedelta(days=3)
    assert found[ids["september"]]["failing_since"] is None
    assert found[ids["first"]]["message_id"]
    assert found[ids["first"]]["owner"] == "sender"


def test_quarantined_rows_are_open_waived_or_readmitted(told):
    _, con, ids = told
    found = {row["delivery_id"]: row for row in rows(con, "FROM ops_quarantine")}
    counts = {
        name: tuple(found[i][key] for key in ("rows_open", "rows_waived", "rows_readmitted"))
        for name, i in ids.items()
        if i in found
    }
    assert counts == {"first": (0, 2, 0), "second": (2, 0, 0), "replayed": (1, 0, 1)}
    assert found[ids["second"]]["oldest_at"] == NOON - timedelta(days=2)
    assert found[ids["replayed"]]["oldest_at"] == NOON


def test_every_expected_part_is_there_and_says_how_late_it_is(told):
    _, con, ids = told
    found = {row["part"]: row for row in rows(con, f"FROM ops_freshness WHERE dataset = '{DATASET}'")}
    assert len(found) == 39
    benda = found["benda"]
    assert (benda["last_good_delivery_id"], benda["as_of"]) == (ids["second"], date(2026, 10, 31))
    assert (benda["due_on"], benda["days_late"], benda["is_stale"]) == (date(2026, 12, 11), 0, False)
    assert benda["held_delivery_id"] == ids["held"]
    assert "stunting_by_area_month" in benda["affected_marts"]
    never = found["cikokol"]
    assert (never["last_good_delivery_id"], never["is_stale"]) == (None, True)
    assert (never["due_on"], never["days_late"]) == (date(2026, 11, 11), 11)
    datasets = {row["dataset"] for row in rows(con, "FROM ops_freshness")}
    assert datasets == set(load_contracts(Settings().contracts_dir))


def test_the_mart_and_the_pages_judge_lateness_alike(told):
    """``ops_freshness`` in SQL, ``intake.timeliness`` in Python: the same due day, days late and state a part."""
    s, con, _ = told
    led = ledger.Ledger(s.ledger)
    pages = {
        (dataset, one.part): (one.due_on, one.days_late, one.state, one.last and one.last.start)
        for dataset, contract in load_contracts(s.contracts_dir).items()
        for one in timeliness.part_states(s, led, contract)
    }
    mart = {
        (row["dataset"], row["part"]): (row["due_on"], row["days_late"], row["state"], row["last_period_start"])
        for row in rows(con, "FROM ops_freshness")
    }
    assert mart == pages
    assert {"late", "not_yet_due", "received"} == {state for _, _, state, _ in mart.values()}


def test_a_part_is_judged_by_its_own_due_day_and_named(told):
    """This year's inflation came; P0 is not due before the year is over; P1 never came and is late for last year."""
    _, con, _ = told
    found = {row["part"]: row for row in rows(con, f"FROM ops_freshness WHERE dataset = '{BPS}'")}
    judged = {part: (row["state"], row["due_on"], row["days_late"], row["is_stale"]) for part, row in found.items()}
    assert judged["1"] == ("received", date(2027, 2, 5), 0, False)
    assert judged["621"] == ("not_yet_due", date(2027, 1, 31), 0, False)
    assert judged["622"] == ("late", date(2026, 1, 31), 295, True)
    assert (found["621"]["label_id"], found["621"]["label_en"]) == (
        "P0, persentase penduduk miskin", "P0, share of poor persons",
    )  # fmt: skip
    assert {row["label_id"] for row in rows(con, f"FROM ops_freshness WHERE dataset = '{DATASET}'")} == {None}


# What would break each rule on the marts of operations; each is tried alone on a copy.
FAULTS = {
    "OPS-DELIVERIES-001": "update {t} set rows_admitted = rows_admitted + 1",
    "OPS-DELIVERIES-002": "update {t} set is_in_force = true, verdict = 'held', decided_by_role = null",
    "OPS-FRESHNESS-001": "delete from {t}",
    "OPS-FRESHNESS-002": "update {t} set due_on = null",
    "OPS-GATE-RESULTS-001": "update {t} set message_id = null, message_en = null",
    "OPS-QUARANTINE-001": "update {t} set oldest_at = null",
    "OPS-RELEASES-001": "insert into {t} by name select unnest(['one', 'two']) as release_id, true as is_current",
    "OPS-RELEASES-002": "insert into {t} by name select 'one' as release_id, -1 as cells_rounded",
    "OPS-RELEASES-003": "insert into {t} by name select true as is_current, 'off' as disclosure",
}


@pytest.mark.parametrize(
    "mart", ["ops_deliveries", "ops_gate_results", "ops_quarantine", "ops_freshness", "ops_releases"]
)
def test_sound_marts_pass_and_each_rule_is_tripped_by_what_it_is_for(told, tmp_path, mart):
    s, _, _ = told
    sound = {found.rule_code: found.outcome for found in gate.judge_mart(s, s.build_file, mart)}
    assert sound
    assert set(sound.values()) == {"pass"}
    for code in sound:
        file = tmp_path / f"{code}.duckdb"
        with duckdb.connect(str(file)) as copied:
            copied.execute(f"attach '{s.build_file}' as build (read_only); create schema marts")
            # Types and rows, without the contract's own constraints.
            copied.execute(f"create table marts.{mart} as from build.marts.{mart}")
            copied.execute(FAULTS[code].format(t=f"marts.{mart}"))
        tripped = {found.rule_code: found.outcome for found in gate.judge_mart(s, file, mart)}
        assert tripped[code] == "fail", code


def test_every_feed_says_which_marts_it_would_make_old(told):
    """Those whose measures are made of it, and those without measures that read it through whatever stands between."""
    _, con, _ = told
    affected = dict(con.execute("SELECT DISTINCT dataset, affected_marts FROM ops_freshness").fetchall())
    assert affected["bps/indicators"] == "denominators_by_area_period, published_by_area_period, rb_tematik_scorecard"
    assert affected["polri/outreach"] == "outreach_by_area_month"
    # The registry's denominators stand for the months that the participants' feed has.
    assert affected["bpjstk/participants"] == (
        "convergence_by_area_period, coverage_by_area_month, data_reuse_by_dataset_pair, denominators_by_area_period,"
        " outreach_by_area_month, rb_tematik_scorecard"
    )
