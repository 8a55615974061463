"""The lake: what is in force is one typed relation, files are whole or absent, and what nobody names is swept."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.support.gate_helpers import RECEIVED, column, contract, delivered
from warehouse import ledger
from warehouse.core import files
from warehouse.core.errors import BuildError
from warehouse.ledger import deliveries, tables
from warehouse.storage import lake, vault
from warehouse.storage.landing import Swept

CONTRACT = contract([column("jk"), column("berat", "number"), column("tanggal", "date")])


@pytest.fixture
def led(settings) -> ledger.Ledger:
    ledger.upgrade(settings.ledger)
    return ledger.Ledger(settings.ledger)


def deliver(s, led, content: str, part: str = "batuceper", received_at=RECEIVED, **values) -> vault.StoredFile:
    delivery = replace(delivered(CONTRACT, content, part), received_at=received_at)
    table = pa.table(
        {name: pa.array([value]) for name, value in values.items()}
        | {"source_part": pa.nulls(1, pa.string()), "source_row": pa.array([2], pa.int64())}
    )
    for name, kind in {"jk": pa.string(), "berat": pa.float64(), "tanggal": pa.date32()}.items():
        if name not in values:
            table = table.append_column(name, pa.nulls(1, kind))
    with vault.splitting(s, CONTRACT) as connection:
        rows, _ = vault.pseudonymise(connection, CONTRACT, delivery, table)
    verdict_id = ledger.new_id()
    stored = lake.write(s, CONTRACT, delivery.delivery_id, verdict_id, rows)
    deliveries.record_delivery(led, delivery)
    led.insert(
        tables.verdicts,
        {
            "verdict_id": verdict_id,
            "delivery_id": delivery.delivery_id,
            "contract_version": "1",
            "judged_at": received_at,
            "verdict": "accepted",
            "checks_run": 1,
            "rows_read": 1,
            "rows_admitted": 1,
            "rows_quarantined": 0,
            "rows_refused": 0,
        },
    )
    led.insert(
        tables.lake_files,
        {
            "path": stored.path,
            "verdict_id": verdict_id,
            "delivery_id": delivery.delivery_id,
            "kind": "lake",
            "rows": stored.rows,
            "sha256": stored.sha256,
            "written_at": received_at,
        },
    )
    return stored


def relation(s, led, one=CONTRACT) -> list[dict]:
    with duckdb.connect() as connection:
        return connection.execute(lake.relation_sql(s, led, one)).to_arrow_table().to_pylist()


def test_a_dataset_without_files_is_an_empty_typed_relation(settings, led):
    with duckdb.connect() as connection:
        found = connection.execute(lake.relation_sql(settings, led, CONTRACT)).to_arrow_table()
    assert found.num_rows == 0
    assert found.column_names == ["jk", "berat", "tanggal", *vault.LINEAGE]
    assert (found.schema.field("berat").type, found.schema.field("tanggal").type) == (pa.float64(), pa.date32())


def test_only_the_newest_accepted_delivery_of_a_part_is_read(settings, led):
    deliver(settings, led, "a", berat=9.0)
    deliver(settings, led, "b", berat=10.0, received_at=datetime(2026, 11, 6, tzinfo=UTC))
    deliver(settings, led, "c", part="benda", berat=11.0)
    assert sorted((row["part"], row["berat"]) for row in relation(settings, led)) == [
        ("batuceper", 10.0),
        ("benda", 11.0),
    ]


def test_a_column_that_older_files_lack_is_null_there(settings, led):
    deliver(settings, led, "a", berat=9.0)
    grown = contract([*CONTRACT.columns, column("lila", "number")])
    assert [row["lila"] for row in relation(settings, led, grown)] == [None]


def test_lineage_names_delivered_part_and_period(settings, led):
    deliver(settings, led, "a", berat=9.0)
    (row,) = relation(settings, led)
    delivery = delivered(CONTRACT, "a")
    assert (row["delivery_id"], row["source_row"], row["part"]) == (delivery.delivery_id, 2, "batuceper")
    assert (row["period_start"], row["received_at"]) == (delivery.period_start, RECEIVED)


def test_the_same_rows_give_the_same_bytes(settings, led):
    table = pa.table({"berat": [1.0, 2.0]})
    first = lake.write(settings, CONTRACT, "d", "v1", table)
    second = lake.write(settings, CONTRACT, "d", "v2", table)
    assert first.sha256 == second.sha256
    assert first.path != second.path


def test_a_failed_write_leaves_no_file(settings):
    path = settings.lake_dir / "t" / "x.parquet"

    def fail():
        with files.whole_file(path) as draft:
            draft.write_bytes(b"half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail()
    assert list(path.parent.iterdir()) == []


def test_a_home_with_a_quote_and_a_space_works(tmp_path):
    from warehouse.core.settings import Settings

    s = Settings(home=tmp_path / "it's here")
    ledger.upgrade(s.ledger)
    led = ledger.Ledger(s.ledger)
    deliver(s, led, "a", berat=9.0)
    assert [row["berat"] for row in relation(s, led)] == [9.0]


def test_sweeping_removes_only_old_files_that_no_ledger_row_names(settings, led):
    stored = deliver(settings, led, "a", berat=9.0)
    old, new, links = (
        settings.vault_dir / name for name in ("t/old.parquet", "t/.new.parquet.f00", "identity_links.parquet")
    )
    old.parent.mkdir(parents=True)
    for path in (old, new, links):
        path.write_bytes(b"x")
    for path in (old, links, settings.home / stored.path):
        os.utime(path, (0, 0))
    assert lake.sweep(settings, led) == Swept(unknown=(old,))
    assert [path.exists() for path in (old, new, links, settings.home / stored.path)] == [True, True, True, True]


def again(stored: vault.StoredFile, settings, tag: str) -> Path:
    """Another file of the same verdict, as an erasure makes one; long ago."""
    path = settings.home / stored.path
    path = path.with_name(f"{path.stem}~{tag}.parquet")
    path.write_bytes(b"x")
    os.utime(path, (0, 0))
    return path


def test_a_file_that_can_be_had_again_is_swept(settings, led):
    stored = deliver(settings, led, "a", berat=9.0)
    copy = again(stored, settings, "1")
    assert lake.sweep(settings, led) == Swept(removed=1)
    # The ledger's own file is gone: the copy stays unless it can be made again of what was landed.
    (settings.home / stored.path).unlink()
    copy = again(stored, settings, "2")
    assert lake.sweep(settings, led) == Swept(unknown=(copy,))
    (row,) = led.rows(sa.select(tables.deliveries))
    landed = settings.home / row["stored_path"]
    landed.parent.mkdir(parents=True, exist_ok=True)
    landed.touch()
    assert lake.sweep(settings, led) == Swept(removed=1)


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"x")])
def test_a_lost_file_in_force_names_dataset_and_what_to_do(settings, led, harm):
    stored = deliver(settings, led, "a", berat=9.0)
    lake.demand_whole(settings, led, {CONTRACT.dataset: CONTRACT})
    harm(settings.home / stored.path)
    for look in (lake.demand_whole, lake.set_right):
        with pytest.raises(BuildError, match=f"LAKE_FILE_LOST.*warehouse replay {CONTRACT.dataset}"):
            look(settings, led, {CONTRACT.dataset: CONTRACT})
    if harm is Path.unlink:
        with pytest.raises(BuildError, match="LAKE_FILE_LOST"):
            relation(settings, led)


def test_a_damaged_file_that_nothing_reads_goes_before_all_are_written_anew(settings, led):
    old = deliver(settings, led, "a", berat=9.0)
    new = deliver(settings, led, "b", received_at=RECEIVED + timedelta(hours=1), berat=8.0)
    (settings.home / old.path).write_bytes(b"x")
    lake.set_right(settings, led, {CONTRACT.dataset: CONTRACT})
    assert [(settings.home / one.path).exists() for one in (old, new)] == [False, True]
    assert [row["berat"] for row in relation(settings, led)] == [8.0]
