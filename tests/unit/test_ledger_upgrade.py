"""A ledger of every earlier revision, with data, comes up to the present one and has lost nothing."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support import build_files, earlier_ledger
from warehouse import ledger
from warehouse.core.errors import FetchError
from warehouse.core.periods import Period
from warehouse.ledger import Ledger, deliveries, tables

FULL = {
    "night_id": "n", "outcome": "released", "release_id": "r", "build_id": "b", "disclosure": "on",
}  # fmt: skip


@pytest.fixture(scope="module")
def present(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """A present ledger with a row in every table."""
    url = f"sqlite:///{tmp_path_factory.mktemp('present') / 'ledger.db'}"
    ledger.upgrade(url)
    led = Ledger(url)
    for table in tables.metadata.sorted_tables:
        if table.name != "schema_views":
            led.insert(table, {column.name: _value(column) for column in table.columns})
    build_files.admit(led, build_files.Given("kemenkes/eppgbm", "2026-10"))
    error = FetchError("FETCH_REFUSED", "Ditolak.", "Refused.")
    at = build_files.RECEIVED
    attempt = deliveries.Attempt(
        "a/b", "all", Period.parse("2026-10"), "agency", at, at, deliveries.FetchOutcome.REFUSED, error=error
    )
    deliveries.record_attempt(led, attempt)
    return led


def _value(column: sa.Column) -> object:
    if isinstance(column.type, tables.UtcDateTime):
        return build_files.RECEIVED
    if isinstance(column.type, sa.Date):
        return build_files.RECEIVED.date()
    if isinstance(column.type, sa.JSON):
        return {"a": [1, None]}
    if isinstance(column.type, sa.Boolean):
        return True
    if isinstance(column.type, sa.Integer | sa.Float):
        return 7
    return FULL.get(column.name, "x")


FIRST, *BETWEEN, LAST = earlier_ledger.revisions()


@pytest.mark.parametrize("revision", [FIRST, *(pytest.param(one, marks=pytest.mark.long) for one in BETWEEN), LAST])
def test_each_revision_comes_up_with_all_its_rows(present: Ledger, tmp_path: Path, revision: str):
    had = earlier_ledger.make(tmp_path / "ledger.db", revision, present)
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger.upgrade(url)
    upgraded = Ledger(url)
    assert set(had) <= {table.name for table in tables.metadata.sorted_tables}
    for name, columns in had.items():
        table = tables.metadata.tables[name]
        kept = [column for column in table.columns if column.name in columns]
        assert kept
        assert upgraded.rows(sa.select(*kept)) == present.rows(sa.select(*kept)), name
    # The views answer over what came along.
    assert upgraded.rows(sa.select(tables.admissible_deliveries)) == present.rows(
        sa.select(tables.admissible_deliveries)
    )
    assert deliveries.held(upgraded) == deliveries.held(present)


def test_every_table_of_the_first_revision_is_still_there_under_its_name_or_another(present: Ledger, tmp_path: Path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    earlier_ledger.make(tmp_path / "ledger.db", "0001", present)
    then = set(sa.inspect(engine).get_table_names()) - {"alembic_version"}
    ledger.upgrade(f"sqlite:///{tmp_path / 'ledger.db'}")
    now = set(sa.inspect(engine).get_table_names())
    assert then - now == {"micro_openings"}
