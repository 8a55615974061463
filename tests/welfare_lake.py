"""A build file holding a small, hand-made lake, for tests of models without agencies, gate or vault.

Tables have the columns and types the contracts promise; a row names only what its test cares about.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from warehouse import agencies
from warehouse.contract import Contract, load_contracts
from warehouse.periods import Period
from warehouse.settings import Settings

_ARROW = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "date": pa.date32(), "boolean": pa.bool_()}
_LINEAGE = {
    "record_key": pa.string(),
    "nik_key": pa.string(),
    "kk_key": pa.string(),
    "delivery_id": pa.string(),
    "source_part": pa.string(),
    "source_row": pa.int64(),
    "part": pa.string(),
    "period_start": pa.date32(),
    "received_at": pa.timestamp("us", tz="UTC"),
}


class Lake:
    """Rows by dataset. ``person`` and ``family`` of a row become its identity link, and its keys unless given."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.links: list[dict[str, Any]] = []

    def add(
        self, dataset: str, period_start: date, *, part: str = "all", person: str | None = None, family: str | None = None,
        **values: Any,
    ) -> None:
        rows = self.rows.setdefault(dataset, [])
        delivery = f"{dataset}|{part}|{period_start}"
        row = {
            "record_key": f"{delivery}|{len(rows)}",
            "nik_key": person,
            "kk_key": family,
            "delivery_id": delivery,
            "source_row": len(rows) + 1,
            "part": part,
            "period_start": period_start,
            "received_at": datetime(period_start.year + 1, 1, 1, tzinfo=UTC),
        } | values
        rows.append(row)
        if person or family:
            self.links.append(
                {"record_key": row["record_key"], "dataset": dataset, "person_key": person, "family_key": family,
                 "method": "nik", "weight": 1.0, "model_version": "test"}
            )


def _schema(contract: Contract) -> pa.Schema:
    columns = [(column.name, _ARROW[column.logical_type]) for column in contract.lake_columns]
    return pa.schema(columns + list(_LINEAGE.items()))


def _deliveries(contract: Contract, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found = {row["delivery_id"]: row for row in rows}
    return [
        {
            "delivery_id": name,
            "dataset": contract.dataset,
            "part": row["part"],
            "period_kind": contract.extras.period_kind,
            "period_start": Period.containing(contract.extras.period_kind, row["period_start"]).start,
            "received_at": row["received_at"],
            "verdict_id": "verdict",
        }
        for name, row in found.items()
    ]


def write(s: Settings, lake: Lake, file: Path) -> None:
    """Create ``file`` with schemas lake, ledger and linkage as a build makes them, filled from ``lake``."""
    contracts = load_contracts(s.contracts_dir)
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(file)) as con:
        con.execute("SET TimeZone = 'UTC'")
        for schema in ("lake", "ledger", "linkage"):
            con.execute(f"CREATE SCHEMA {schema}")

        def create(name: str, table: pa.Table) -> None:
            con.register("incoming", table)
            con.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
            con.unregister("incoming")

        deliveries: list[dict[str, Any]] = []
        for contract in contracts.values():
            rows = lake.rows.get(contract.dataset, [])
            schema = _schema(contract)
            if unknown := {key for row in rows for key in row} - set(schema.names):
                raise ValueError(f"{contract.dataset} has no columns {sorted(unknown)}")
            create(f"lake.{contract.table}", pa.Table.from_pylist(rows, schema=schema))
            deliveries += _deliveries(contract, rows)
        create("linkage.identity_links", pa.Table.from_pylist(lake.links, schema=pa.schema([
            ("record_key", pa.string()), ("dataset", pa.string()), ("person_key", pa.string()),
            ("family_key", pa.string()), ("method", pa.string()), ("weight", pa.float64()), ("model_version", pa.string()),
        ])))
        in_force = pa.schema([
            ("delivery_id", pa.string()), ("dataset", pa.string()), ("part", pa.string()), ("period_kind", pa.string()),
            ("period_start", pa.date32()), ("received_at", pa.timestamp("us", tz="UTC")), ("verdict_id", pa.string()),
        ])
        create("ledger.deliveries_in_force", pa.Table.from_pylist(deliveries, schema=in_force))
        create("ledger.contracts", pa.Table.from_pylist([
            {"dataset": c.dataset, "title": c.title, "agency_name": c.extras.agency_name, "version": c.version}
            | {name: getattr(c.extras, name) for name in
               ("delivery_mode", "period_kind", "due_day", "open_days", "stale_after_days")}
            for c in contracts.values()
        ]))
        create("ledger.contract_parts", pa.Table.from_pylist([
            {"dataset": c.dataset, "kind": c.extras.parts, "part": part}
            for c in contracts.values() for part in agencies.parts(s, c)
        ]))

