"""The lake: admitted rows without direct identifiers, one Parquet file per verdict, read as one relation per dataset.

Here: writing files, the relation over those in force, which of them are lost, sweeping what no ledger row names. Not
here: which delivery is in force (ledger), identities (vault).
"""

import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from warehouse.core import files
from warehouse.core.contract import Contract
from warehouse.core.duck import sql_path
from warehouse.core.errors import BuildError
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, deliveries
from warehouse.ledger.tables import lake_files
from warehouse.storage.landing import Swept, hash_file
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
    """The lake's or the vault's files of the deliveries in force, oldest period first.

    Raises BuildError LAKE_FILE_LOST where one is missing.
    """
    files = _in_force(led, contract, kind)
    if absent := {row["delivery_id"] for row in files if not (s.home / row["path"]).is_file()}:
        raise _lost({contract.dataset: absent})
    return [s.home / row["path"] for row in files]


def _in_force(led: Ledger, contract: Contract, kind: str) -> list[dict[str, Any]]:
    """Ledger rows of those files."""
    in_force = deliveries.in_force(led, contract.dataset, contract.extras.delivery_mode)
    by_verdict = {row["verdict_id"]: row for row in led.rows(sa.select(lake_files).where(lake_files.c.kind == kind))}
    return [by_verdict[one.verdict_id] for one in in_force if one.verdict_id in by_verdict]


def demand_whole(s: Settings, led: Ledger, contracts: Mapping[str, Contract]) -> None:
    """Raise BuildError LAKE_FILE_LOST for files in force that are missing or no more what was written."""
    absent: dict[str, set[str]] = {}
    for contract in contracts.values():
        files = [row for kind in ("lake", "vault") for row in _in_force(led, contract, kind) if not _is_whole(s, row)]
        if files:
            absent[contract.dataset] = {row["delivery_id"] for row in files}
    if absent:
        raise _lost(absent)


def set_right(s: Settings, led: Ledger, contracts: Mapping[str, Contract]) -> None:
    """Before all files are searched or written anew: damaged ones that no build reads go, with the other of their pair.

    What cannot be read can neither be searched nor brought under other keys; ``replay`` makes it again should it ever
    count. Raises BuildError LAKE_FILE_LOST for one that counts now.
    """
    demand_whole(s, led, contracts)
    for row in led.rows(sa.select(lake_files)):
        if not _is_whole(s, row):
            pair = sa.select(lake_files.c.path).where(lake_files.c.verdict_id == row["verdict_id"])
            for other in led.rows(pair):
                (s.home / other["path"]).unlink(missing_ok=True)


def _is_whole(s: Settings, row: Mapping[str, Any]) -> bool:
    path = s.home / row["path"]
    return path.is_file() and hash_file(path)[0] == str(row["sha256"])


def _lost(absent: Mapping[str, Collection[str]]) -> BuildError:
    places = "; ".join(f"{dataset} ({', '.join(sorted(names)[:3])})" for dataset, names in sorted(absent.items()))
    commands = ", ".join(f"`warehouse replay {dataset}`" for dataset in sorted(absent))
    return BuildError(
        "LAKE_FILE_LOST",
        f"Berkas lake atau vault yang berlaku hilang atau rusak: {places}.",
        f"Files of lake or vault that are in force are missing or damaged: {places}.",
        f"Jalankan {commands}, atau pulihkan lake/ dan vault/ dari cadangan; rilis terakhir tetap berlaku.",
        f"Run {commands}, or restore lake/ and vault/ from backup; the last release stays current.",
    )


def sweep(s: Settings, led: Ledger, older_than: float = _SWEPT_AFTER_SECONDS) -> Swept:
    """Put in order files of lake and vault that no ledger row names and no running step may yet name.

    One of a verdict the ledger has in another file, or of a delivery whose landed copy is there, can be had again and
    goes; another may be the only copy of rows that the ledger has lost, and stays.
    """
    ledger_paths = {s.home / row["path"] for row in led.rows(sa.select(lake_files.c.path))}
    before = time.time() - older_than
    paths = {path for folder in (s.lake_dir, s.vault_dir) for path in folder.glob("*/*") if ".parquet" in path.name}
    orphans = {path for path in paths - ledger_paths if path.stat().st_mtime < before}
    unknown = {path for path in orphans if not path.name.startswith(".") and not _can_be_had_again(s, led, path)}
    for path in orphans - unknown:
        path.unlink(missing_ok=True)
    return Swept(len(orphans - unknown), unknown=tuple(sorted(unknown)))


def _can_be_had_again(s: Settings, led: Ledger, path: Path) -> bool:
    delivery_id, _, verdict_id = path.stem.partition("~")[0].partition("-")
    kind = "lake" if path.is_relative_to(s.lake_dir) else "vault"
    select = sa.select(lake_files.c.path).where(lake_files.c.verdict_id == verdict_id, lake_files.c.kind == kind)
    if any((s.home / row["path"]).is_file() for row in led.rows(select)):
        return True
    delivery = deliveries.find(led, delivery_id)
    return delivery is not None and delivery.destroyed_at is None and (s.home / delivery.stored_path).is_file()
