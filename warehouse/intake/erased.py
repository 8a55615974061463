"""Rows of erased persons, out of every copy of a delivery: landed bytes, vault and lake, also of one that comes later.

Here: finding marked rows in what was parsed, and taking them out. Not here: who is marked (tombstones), blanking bytes
(blanking), a request and its proof (privacy).
"""

import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from warehouse.core.contract import Contract, Identity, load_contracts
from warehouse.core.errors import UnreadableDelivery
from warehouse.core.settings import Settings
from warehouse.intake import tombstones
from warehouse.intake.blanking import CannotBlank, Place, blank
from warehouse.intake.parse import Parsed, parse
from warehouse.intake.tombstones import Tombstones
from warehouse.ledger import Ledger, deliveries, tables
from warehouse.ledger.deliveries import Delivery
from warehouse.storage import keys, lake, landing, vault

_PERSONS_NUMBERS: tuple[Identity, ...] = ("nik", "nisn", "membership_number")
_SHORTEST_NUMBER = 8
# A place in no sheet and row 0: the whole file.
WHOLE_FILE: Place = (None, 0)


def without_erased(s: Settings, contract: Contract, parsed: Parsed) -> Parsed:
    """A file that is only looked at, without erased persons; nothing is blanked and nothing recorded."""
    marks = tombstones.load(s)
    if not marks.chains or tombstones.texts_sql(contract, typed=False) is None:
        return parsed
    with searching(s, marks) as connection:
        places = marked_places(connection, contract.of_version(parsed.version), parsed.table)
    return replace(parsed, table=parsed.table.filter(pc.invert(_is_at(parsed.table, places)))) if places else parsed


def filter_erased(s: Settings, led: Ledger, contract: Contract, delivery: Delivery, parsed: Parsed) -> Parsed:
    """A delivery that is about to be judged, without erased persons: blanked in landing too, and on record."""
    marks = tombstones.load(s)
    if not marks.chains or tombstones.texts_sql(contract, typed=False) is None:
        return parsed
    version = contract.of_version(parsed.version)
    with searching(s, marks) as connection:
        places = marked_places(connection, version, parsed.table)
    if not places:
        return parsed
    # Whose erasure it was is asked of these few rows alone: a pass over all rows for each erasure would take hours.
    rows = parsed.table.filter(_is_at(parsed.table, places))
    places_of_kind: dict[str, set[Place]] = {}
    for erasure_id in marks.decisions or ():
        with searching(s, marks.only(erasure_id)) as connection:
            places_of_kind[erasure_id] = marked_places(connection, version, rows)
    erased_rows = [
        {
            "erasure_id": erasure_id,
            "delivery_id": delivery.delivery_id,
            "source_part": part,
            "source_row": number,
            "is_blanked": False,
        }
        for erasure_id, places in places_of_kind.items()
        for part, number in sorted(places, key=str)
    ]
    led.insert(tables.erased_rows, erased_rows)
    redact_rows(s, led, delivery.delivery_id, places)
    return parse(contract, landing.read(s, deliveries.one(led, delivery.delivery_id)), delivery.media)


@contextmanager
def searching(s: Settings, marks: Tombstones) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that knows the marks."""
    with vault.connect(s) as connection:
        tombstones.define(connection, marks)
        yield connection


def marked_places(connection: duckdb.DuckDBPyConnection, contract: Contract, rows: pa.Table) -> set[Place]:
    """Source part and row of the parsed rows that carry a mark."""
    connection.register("parsed", rows)
    condition = tombstones.is_marked_sql(contract, typed=False)
    places = connection.execute(f"SELECT source_part, source_row FROM parsed WHERE {condition}").fetchall()
    connection.unregister("parsed")
    return set(places)


# --- taking out


def redact_rows(s: Settings, led: Ledger, delivery_id: str, places: set[Place]) -> None:
    """Take rows out of all copies of a delivery: files beside the old ones first, then the ledger, then the old go."""
    delivery = deliveries.one(led, delivery_id)
    contract = load_contracts(s.contracts_dir)[delivery.dataset]
    new_files = {
        old: new for old in _files_of(s, led, delivery_id) if (new := _without(s, old, delivery_id, places)) is not None
    }
    landed = _blanked_landing(s, contract, delivery, places) if delivery.destroyed_at is None else {}
    with led.write() as connection:
        for old, new in new_files.items():
            connection.execute(
                tables.lake_files.update().where(tables.lake_files.c.path == old),
                {"path": new.path, "rows": new.rows, "sha256": new.sha256},
            )
        if landed:
            connection.execute(tables.deliveries.update().where(tables.deliveries.c.delivery_id == delivery_id), landed)
        connection.execute(
            tables.erased_rows.update().where(tables.erased_rows.c.delivery_id == delivery_id), {"is_blanked": True}
        )
    for old in new_files:
        (s.home / old).unlink(missing_ok=True)
    if landed:
        landing.delete_superseded(s, delivery.stored_path)


def _files_of(s: Settings, led: Ledger, delivery_id: str) -> list[str]:
    select = sa.select(tables.lake_files.c.path).where(tables.lake_files.c.delivery_id == delivery_id)
    return [row["path"] for row in led.rows(select) if (s.home / row["path"]).is_file()]


def _without(s: Settings, path: str, delivery_id: str, places: set[Place]) -> vault.StoredFile | None:
    """A file of lake or vault again without rows; None when it has none of them."""
    old = s.home / path
    record_keys = pa.array([vault.record_key(delivery_id, part, row) for part, row in places])
    new = old.with_name(f"{old.stem.split('~')[0]}~{vault.tag(path, *sorted(record_keys.to_pylist()))}.parquet")
    if old.is_relative_to(s.lake_dir):
        table = pq.read_table(old)
        remainder = table.filter(pc.invert(pc.is_in(table["record_key"], record_keys)))
        return lake.put(s, new, remainder) if remainder.num_rows < table.num_rows else None
    with vault.connect(s) as connection:
        table = connection.execute(vault.relation_sql([old])).to_arrow_table()
        remainder = table.filter(pc.invert(pc.is_in(table["record_key"], record_keys)))
        if remainder.num_rows == table.num_rows:
            return None
        connection.register("identities", remainder)
        return vault.put(s, connection, "identities", new)


def _blanked_landing(s: Settings, contract: Contract, delivery: Delivery, places: set[Place]) -> dict[str, Any]:
    """The landed copy's new columns in the ledger. A copy that cannot be blanked for certain is destroyed whole."""
    try:
        data = landing.read(s, delivery)
        blanked_bytes = _blanked(contract, data, delivery.media, places)
    except (CannotBlank, UnreadableDelivery):
        return {"destroyed_at": s.utc_now()}
    tag = vault.tag(delivery.stored_sha256, *sorted(map(str, places)))
    new_landing = landing.store_replacement(
        s, delivery, blanked_bytes, keys.landing_recipient(s), tag, keeps_name=False
    )
    return new_landing | {"kept_sha256": hashlib.sha256(blanked_bytes).hexdigest()}


def _blanked(contract: Contract, data: bytes, media: str, places: set[Place]) -> bytes:
    """The bytes without the rows at ``places``, read again to see that all others and nothing else is there."""
    if WHOLE_FILE in places:
        raise CannotBlank("the file cannot be read")
    before = parse(contract, data, media)
    version = contract.of_version(before.version)
    shape = next(shape for shape in version.extras.shapes if shape.name == before.shape)
    blanked_bytes = blank(version, shape, data, media, places)
    is_person = _is_at(before.table, places)
    others = before.table.filter(pc.invert(is_person))
    try:
        after = parse(contract, blanked_bytes, media).table
    except UnreadableDelivery:
        # Nobody else was in it.
        after = others
        if others.num_rows:
            raise CannotBlank("what is left cannot be read") from None
    if not after.combine_chunks().equals(others.combine_chunks()):
        raise CannotBlank("other rows would change")
    # A number that others stand beside too, such as a mother's, is not the person's own.
    numbers = _numbers(version, before.table.filter(is_person)) - _numbers(version, others)
    unpacked = b"\n".join(_unpacked(blanked_bytes))
    if any(re.search(rf"(?<![0-9]){number}(?![0-9])".encode(), unpacked) for number in numbers):
        raise CannotBlank("the number stands elsewhere in the file too")
    return blanked_bytes


def _is_at(rows: pa.Table, places: set[Place]) -> pa.Array:
    row_places = zip(rows["source_part"].to_pylist(), rows["source_row"].to_pylist(), strict=True)
    return pa.array([place in places for place in row_places], pa.bool_())


def _numbers(contract: Contract, rows: pa.Table) -> set[str]:
    """The whole numbers in rows as sent that one person alone goes by."""
    names = [column.name for kind in _PERSONS_NUMBERS for column in contract.identities(kind)]
    texts = (re.sub(r"[.]0+$", "", text or "") for name in names for text in rows[name].to_pylist())
    digits = (re.sub(r"\D", "", text) for text in texts)
    return {number for number in digits if len(number) >= _SHORTEST_NUMBER}


def _unpacked(data: bytes) -> Iterator[bytes]:
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            yield from (file.read() for member in archive if (file := archive.extractfile(member)))
    else:
        yield data
