"""The lake: admitted rows without direct identifiers, one Parquet file per verdict, read as one relation per dataset.

Here: writing files, the relation over those in force, sweeping what no ledger row names. Not here: which delivery is in
force (ledger), identities (vault).
"""

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from warehouse.core import files
from warehouse.core.contract import Contract
from warehouse.core.duck import sql_path
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, deliveries
from warehouse.ledger.tables import lake_files
from warehouse.storage.vault import LINEAGE, StoredFile, stored_file

_SQL_TYPES = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "date": "DATE", "boolean": "BOOLEAN"}
_LINEAGE_TYPES = {"source_row": "BIGINT", "period_start": "DATE", "received_at": "TIMESTAMPTZ"}
# A file is written before its ledger row commits; a night is over long before this.
_SWEPT_AFTER_SECONDS = 24 * 3600


def write(s: Settings, contract: Contract, delivery_id: str, verdict_id: str, table: pa.Table) -> StoredFile:
    """Write a delivery's admitted rows; the same rows give the same bytes."""
    return put(s, s.lake_dir / contract.table / f"{delivery_id}-{verdict_id}.parquet", table)


def put(s: Settings, path: Path, table: pa.Table) -> StoredFile:
    """Write a table as one of the lake's files, whole and on disk before its name exists."""
    with files.whole_file(path) as draft:
        pq.write_table(table.replace_schema_metadata(None), draft, compression="zstd")
    return stored_file(s, path, table.num_rows)


def relation_sql(s: Settings, led: Ledger, contract: Contract) -> str:
    """SELECT over the rows in force of a dataset: its contract's columns and lineage, typed, also where no file is."""
    types = {column.name: _SQL_TYPES[column.logical_type] for column in contract.lake_columns}
    types |= {name: _LINEAGE_TYPES.get(name, "VARCHAR") for name in LINEAGE}
    empty = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in types.items())
    parts = [f"SELECT {empty} WHERE false"]
    paths = files_in_force(s, led, contract, "lake")
    if paths:
        files = ", ".join(f"'{sql_path(path)}'" for path in paths)
        parts.append(f"SELECT * FROM read_parquet([{files}], union_by_name = true)")
    columns = ", ".join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind in types.items())
    return f"SELECT {columns} FROM ({' UNION ALL BY NAME '.join(parts)})"


def files_in_force(s: Settings, led: Ledger, contract: Contract, kind: str) -> list[Path]:
    """The lake's or the vault's files of the deliveries in force, oldest period first."""
    in_force = deliveries.in_force(led, contract.dataset, contract.extras.delivery_mode)
    named = led.rows(sa.select(lake_files.c.verdict_id, lake_files.c.path).where(lake_files.c.kind == kind))
    paths = {row["verdict_id"]: s.home / row["path"] for row in named}
    return [paths[one.verdict_id] for one in in_force if one.verdict_id in paths]


def sweep(s: Settings, led: Ledger, older_than: float = _SWEPT_AFTER_SECONDS) -> int:
    """Remove files of lake and vault that no ledger row names and no running step may yet name; returns how many."""
    named = {s.home / row["path"] for row in led.rows(sa.select(lake_files.c.path))}
    before = time.time() - older_than
    found = {path for folder in (s.lake_dir, s.vault_dir) for path in folder.glob("*/*") if ".parquet" in path.name}
    orphans = [path for path in found - named if path.stat().st_mtime < before]
    for path in orphans:
        path.unlink(missing_ok=True)
    return len(orphans)
