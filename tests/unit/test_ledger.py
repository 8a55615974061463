"""The ledger's schema: revisions equal the tables, upgrades are safe together, views pick one row each."""

import multiprocessing
import subprocess
import sys
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from warehouse import ledger
from warehouse.core.errors import ConfigError
from warehouse.core.periods import Period
from warehouse.ledger import deliveries, tables

NOON = datetime(2026, 11, 22, 5, tzinfo=UTC)
OCTOBER = Period(date(2026, 10, 1), "month")


@pytest.fixture
def led(tmp_path) -> ledger.Ledger:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger.upgrade(url)
    return ledger.Ledger(url)


def deliver(led: ledger.Ledger, content: str, received_at: datetime = NOON, part: str = "benda") -> str:
    identifier = deliveries.delivery_id("kemenkes/eppgbm", part, OCTOBER, content)
    led.insert(
        tables.deliveries,
        {
            "delivery_id": identifier,
            "dataset": "kemenkes/eppgbm",
            "part": part,
            "period_kind": "month",
            "period_start": OCTOBER.start,
            "received_at": received_at,
            "content_sha256": content,
            "bytes": 1,
            "media": "csv",
            "origin": "agency",
            "stored_path": "x",
            "stored_sha256": "x",
        },
    )
    return identifier


def judge(led: ledger.Ledger, delivery: str, verdict: str, judged_at: datetime = NOON) -> str:
    identifier = ledger.new_id()
    led.insert(
        tables.verdicts,
        {
            "verdict_id": identifier,
            "delivery_id": delivery,
            "contract_version": "1",
            "judged_at": judged_at,
            "verdict": verdict,
            "checks_run": 1,
            "rows_read": 1,
            "rows_admitted": 1,
            "rows_quarantined": 0,
            "rows_refused": 0,
        },
    )
    return identifier


def decide(led: ledger.Ledger, delivery: str, verdict: str, kind: str, decided_at: datetime = NOON) -> None:
    led.insert(
        tables.decisions,
        {
            "decision_id": ledger.new_id(),
            "kind": kind,
            "delivery_id": delivery,
            "verdict_id": verdict,
            "reason": "checked with the sender",
            "reason_code": "confirmed",
            "decided_by": "x",
            "decided_by_role": "monitor",
            "decided_at": decided_at,
        },
    )


def in_force(led: ledger.Ledger) -> list[str]:
    return [one.delivery_id for one in deliveries.in_force(led, "kemenkes/eppgbm", "snapshot")]


def test_revisions_make_exactly_the_tables_of_the_code(led):
    with led.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_upgrade_of_a_current_ledger_changes_nothing(led, tmp_path):
    delivery = deliver(led, "a")
    ledger.upgrade(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert deliveries.one(led, delivery).part == "benda"


def test_a_changed_view_is_recreated(led, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    monkeypatch.setitem(tables.VIEWS, "held_deliveries", "select 1 as changed")
    ledger.upgrade(url)
    assert led.rows("select * from held_deliveries") == [{"changed": 1}]


def test_a_ledger_of_newer_code_is_refused_as_it_is(led, tmp_path):
    with led.write() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    with pytest.raises(ConfigError, match=r"LEDGER_NEWER.*9999"):
        ledger.upgrade(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert led.rows("select version_num from alembic_version") == [{"version_num": "9999"}]


def test_processes_that_start_together_all_find_a_ledger(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    code = "import sys; from warehouse import ledger; ledger.upgrade(sys.argv[1])"
    started = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(6)]
    assert [process.wait(60) for process in started] == [0] * 6
    assert ledger.Ledger(url).rows(sa.select(tables.deliveries)) == []


def _open_together(folder: str, barrier: threading.Barrier) -> None:
    for number in range(50):
        barrier.wait(30)
        with ledger.engine(f"sqlite:///{folder}/{number}.db").connect():
            pass


def test_processes_that_open_a_new_ledger_in_the_same_moment_do_not_refuse_each_other(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2)
    started = [spawn.Process(target=_open_together, args=(str(tmp_path), barrier)) for _ in range(2)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    assert [process.exitcode for process in started] == [0, 0]


def test_a_held_delivery_leaves_the_last_good_one_in_force(led):
    good, held = deliver(led, "a"), deliver(led, "b", NOON + timedelta(hours=1))
    judge(led, good, "accepted")
    judge(led, held, "held")
    assert in_force(led) == [good]
    assert [row["delivery_id"] for row in led.rows("select * from held_deliveries")] == [held]


def test_a_delivery_that_a_person_admits_comes_into_force(led):
    good, held = deliver(led, "a"), deliver(led, "b", NOON + timedelta(hours=1))
    judge(led, good, "accepted")
    judge(led, held, "held")
    overridden = judge(led, held, "accepted_with_quarantine", NOON + timedelta(seconds=1))
    decide(led, held, overridden, "admit", NOON + timedelta(seconds=2))
    assert in_force(led) == [held]
    assert led.rows("select * from held_deliveries") == []


def test_an_accepted_delivery_that_a_person_rejects_goes_out_of_force(led):
    delivery = deliver(led, "a")
    decide(led, delivery, judge(led, delivery, "accepted"), "reject")
    assert in_force(led) == []


def test_a_rejected_delivery_stays_out_when_it_is_judged_again(led):
    delivery = deliver(led, "a")
    decide(led, delivery, judge(led, delivery, "held"), "reject")
    judge(led, delivery, "accepted", NOON + timedelta(hours=1))
    assert in_force(led) == []
    judge(led, delivery, "held", NOON + timedelta(hours=2))
    assert led.rows("select * from held_deliveries") == []


def test_the_newest_verdict_counts_and_two_of_one_instant_are_one(led):
    delivery = deliver(led, "a")
    judge(led, delivery, "held")
    judge(led, delivery, "accepted", NOON + timedelta(seconds=1))
    judge(led, delivery, "accepted", NOON + timedelta(seconds=1))
    assert in_force(led) == [delivery]
    assert len(led.rows("select * from latest_verdicts")) == 1


def test_naive_times_are_refused_and_times_come_back_in_utc(led):
    with pytest.raises(sa.exc.StatementError, match="naive"):
        deliver(led, "a", datetime(2026, 11, 22))
    assert deliveries.one(led, deliver(led, "a")).received_at == NOON
