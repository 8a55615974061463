"""Whether a home is whole: what the ledger names is there, undamaged and opens; counts add up; readers see a release.

Each finding says what is wrong and what to do about it. Only looks: nothing is mended here, and nothing removed. Files
that nobody names are notes, for an older ledger may be the reason. Not here: settings (``check-config``), identities
where none may be (scan).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from warehouse.core.contract import load_contracts
from warehouse.core.errors import ConfigError, WarehouseError
from warehouse.core.settings import Settings
from warehouse.intake import tombstones
from warehouse.ledger import Ledger, deliveries, tables
from warehouse.ledger.deliveries import Delivery
from warehouse.ledger.warehouse import Progress
from warehouse.recovery.inventory import Named, named, unnamed
from warehouse.release import pseudonymised, state
from warehouse.storage import keys, landing, vault
from warehouse.storage.landing import hash_file

Severity = Literal["damage", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be; ``note``: nothing is lost by it. ``path`` below WAREHOUSE_HOME."""

    code: str
    severity: Severity
    path: str
    message_id: str
    message_en: str
    action_id: str
    action_en: str


@dataclass(frozen=True)
class _Help:
    """What helps where a file is lost or damaged."""

    action_id: str
    action_en: str


_RESTORE = _Help(
    "Pulihkan cadangan ke folder lain (`warehouse restore`), lalu salin berkas ini ke tempatnya.",
    "Restore a backup into another folder (`warehouse restore`), then copy this file to its place.",
)
_BUILD = _Help("Jalankan `warehouse build`.", "Run `warehouse build`.")
_NOTHING = _Help("Tidak ada yang perlu dilakukan.", "There is nothing to do.")
_KINDS = {
    "landing": ("kiriman asli", "landed file"),
    "manifest": ("manifes kiriman", "delivery's manifest"),
    "lake": ("baris lake", "lake file"),
    "vault": ("identitas vault", "vault file"),
    "links": ("berkas vault", "file of the vault"),
    "register": ("register sel", "register of cells"),
    "release": ("berkas rilis", "file of a release"),
    "sandbox": ("kota contoh", "sandbox city"),
}


def check(s: Settings, led: Ledger, progress: Progress = lambda _text: None) -> list[Finding]:
    """What is wrong in the home, damage first. Erasures, changes of keys and maintenance wait for the end."""
    with keys.shared_lock(s), led.frozen() as seen:
        wanted = named(s, seen)
        found = [*_ledger(s, seen), *_keys(s), *_counts(seen), *_current(s, seen)]
        found += _files(s, seen, wanted, progress)
        # What a night has recorded since is named as well.
        known = {one.path for one in wanted} | {one.path for one in named(s, led)}
        found += [_unnamed(path) for path in unnamed(s, known)]
    return sorted(found, key=lambda one: (one.severity, one.code, one.path))


# --- ledger and keys -------------------------------------------------------------------------------------------------


def _ledger(s: Settings, led: Ledger) -> Iterator[Finding]:
    if led.engine.dialect.name != "sqlite":
        return
    with led.reading() as connection:
        told = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check(3)")]
    if told != ["ok"]:
        yield Finding(
            "LEDGER_DAMAGED",
            "damage",
            "ledger.db",
            f"Ledger rusak: {'; '.join(told)}",
            f"The ledger is damaged: {'; '.join(told)}",
            "Hentikan semua malam dan pulihkan cadangan ke folder lain (`warehouse restore`).",
            "Stop all nights and restore a backup into another folder (`warehouse restore`).",
        )


def _keys(s: Settings) -> Iterator[Finding]:
    looks: tuple[Callable[[Settings], object], ...] = (keys.describe, tombstones.load)
    for look in looks:
        try:
            look(s)
        except WarehouseError as error:
            words = (error.message_id, error.message_en, error.action_id, error.action_en)
            yield Finding(error.code, "damage", s.keys.name, *words)


# --- counts ----------------------------------------------------------------------------------------------------------


def _counts(led: Ledger) -> Iterator[Finding]:
    """Verdicts whose rows do not add up, and files that hold other rows than their verdict admitted."""
    table = tables.verdicts.c
    told = table.rows_admitted + table.rows_quarantined + table.rows_refused
    for row in led.rows(sa.select(tables.verdicts).where(table.rows_read != told)):
        yield _miscounted(row["delivery_id"], row["rows_read"], "rows_read")
    erased = {row["delivery_id"] for row in led.rows(sa.select(tables.erased_rows.c.delivery_id).distinct())}
    files = sa.select(tables.lake_files, table.rows_admitted).join(
        tables.verdicts, table.verdict_id == tables.lake_files.c.verdict_id
    )
    for row in led.rows(files.where(tables.lake_files.c.rows != table.rows_admitted)):
        # Erased rows left the files, and the verdict tells what was admitted once.
        if row["delivery_id"] not in erased or row["rows"] > row["rows_admitted"]:
            yield _miscounted(row["path"], row["rows"], "rows_admitted")


def _miscounted(where: str, count: int, against: str) -> Finding:
    return Finding(
        "COUNTS_DIFFER",
        "damage",
        where,
        f"Jumlah baris tidak cocok dengan verdiknya ({count}, {against}).",
        f"The count of rows does not fit its verdict ({count}, {against}).",
        "Jalankan `warehouse replay` untuk dataset itu, lalu `warehouse build`; laporkan kepada pengelola program.",
        "Run `warehouse replay` for that dataset, then `warehouse build`; tell who maintains the program.",
    )


# --- what readers see ------------------------------------------------------------------------------------------------


def _current(s: Settings, led: Ledger) -> Iterator[Finding]:
    wanted = state.pin(led) or state.newest(led)
    if wanted and state.current_id(s) != wanted["release_id"]:
        yield Finding(
            "CURRENT_WRONG",
            "damage",
            "current",
            f"`current` tidak menunjuk ke rilis yang berlaku ({wanted['release_id']}).",
            f"`current` does not lead to the release in effect ({wanted['release_id']}).",
            _BUILD.action_id,
            _BUILD.action_en,
        )


# --- files -----------------------------------------------------------------------------------------------------------


def _files(s: Settings, led: Ledger, wanted: list[Named], progress: Progress) -> Iterator[Finding]:
    landed = {one.delivery_id: one for one in deliveries.kept(led)}
    about = {row["delivery_id"]: row for row in led.rows(sa.select(tables.deliveries))}
    in_force = _in_force(s, led)
    rows = {row["path"]: row["rows"] for row in led.rows(sa.select(tables.lake_files))}
    current = state.current_id(s)
    with _connection(s) as connection:
        for count, one in enumerate(wanted, start=1):
            progress(f"files {count}/{len(wanted)}")
            if fault := _fault(s, one, landed, rows, connection):
                is_read = _is_read(one, in_force, landed)
                yield _finding(one, fault, about, is_read=is_read, current=current)


def _in_force(s: Settings, led: Ledger) -> dict[str, str]:
    """Delivery by verdict, of those whose files a build reads."""
    contracts = load_contracts(s.contracts_dir).values()
    return {
        one.verdict_id: one.delivery_id
        for contract in contracts
        for one in deliveries.in_force(led, contract.dataset, contract.extras.delivery_mode)
    }


def _is_read(one: Named, in_force: Mapping[str, str], landed: Mapping[str, Delivery]) -> bool:
    """Whether anything may still be made of a file: not of a delivery in whose place another has come."""
    if one.verdict_id is not None:
        return one.verdict_id in in_force
    if one.delivery_id is None or one.delivery_id in in_force.values():
        return True
    told = landed[one.delivery_id]
    place = (told.dataset, told.part, told.period)
    later = (other for other in landed.values() if (other.dataset, other.part, other.period) == place)
    return all(other.received_at <= told.received_at for other in later)


def _connection(s: Settings) -> duckdb.DuckDBPyConnection:
    """One that opens the vault; without its key one that opens nothing, which the check of keys has told."""
    try:
        return vault.connect(s)
    except ConfigError:
        return duckdb.connect()


def _fault(
    s: Settings,
    one: Named,
    landed: Mapping[str, Delivery],
    rows: Mapping[str, int],
    connection: duckdb.DuckDBPyConnection,
) -> Literal["missing", "damaged", "unopened"] | None:
    path = s.home / one.path
    if not path.is_file():
        return "missing"
    try:
        is_same = one.sha256 is None or hash_file(path)[0] == one.sha256
        return None if is_same and _holds(s, one, path, landed, rows, connection) else "damaged"
    except ConfigError:
        return "unopened"
    except (WarehouseError, OSError, ValueError, pa.ArrowException, duckdb.Error):
        return "damaged"


def _holds(
    s: Settings,
    one: Named,
    path: Path,
    landed: Mapping[str, Delivery],
    rows: Mapping[str, int],
    connection: duckdb.DuckDBPyConnection,
) -> bool:
    """Whether a file opens, and holds as many rows as the ledger says."""
    if one.kind == "landing":
        landing.read(s, landed[one.delivery_id or ""])
    elif one.kind == "vault":
        counted = connection.execute(f"SELECT count(*) FROM ({vault.relation_sql([path])})").fetchall()
        return counted == [(rows[one.path],)]
    elif one.kind == "lake":
        return bool(pq.read_metadata(path).num_rows == rows[one.path])
    elif one.kind == "register" and path.suffix == ".parquet":
        pq.read_table(path)
    elif path.name == state.MANIFEST_FILE:
        return bool(state.manifest(s, one.release_id or ""))
    elif path.name == state.MICRO_FILE:
        with duckdb.connect() as own:
            pseudonymised.attach_micro(own, s, path, one.release_id or "")
    return True


def _finding(
    one: Named,
    fault: Literal["missing", "damaged", "unopened"],
    about: Mapping[str, Mapping[str, Any]],
    *,
    is_read: bool,
    current: str | None,
) -> Finding:
    kind_id, kind_en = _KINDS[one.kind]
    place = about.get(one.delivery_id or "")
    of = f" ({place['dataset']} {place['part']} {place['period_start']})" if place else ""
    words = {
        "missing": ("tidak ada", "is missing"),
        "damaged": ("rusak", "is damaged"),
        "unopened": ("tidak terbuka dengan kunci yang ada", "does not open with the keys at hand"),
    }[fault]
    help_ = _help(one, place, current) if is_read else _NOTHING
    aside = ("", "") if is_read else (" yang tidak berlaku", ", not in force,")
    return Finding(
        f"{one.kind}_{fault}".upper(),
        "damage" if is_read else "note",
        one.path,
        f"{kind_id.capitalize()}{aside[0]}{of} {words[0]}.",
        f"The {kind_en}{aside[1]}{of} {words[1]}.",
        help_.action_id,
        help_.action_en,
    )


def _help(one: Named, place: Mapping[str, Any] | None, current: str | None) -> _Help:
    if one.kind in ("lake", "vault") and place and place["destroyed_at"] is None:
        command = f"`warehouse replay {place['dataset']}`, `warehouse build`"
        return _Help(f"Jalankan {command}.", f"Run {command}.")
    if one.kind == "landing":
        return _Help(
            f"{_RESTORE.action_id} Tanpa cadangan: minta pengirim mengirim ulang; barisnya tetap berlaku.",
            f"{_RESTORE.action_en} Without one: ask the sender to send it again; its rows stay in force.",
        )
    if one.kind == "release" and one.release_id == current:
        return _BUILD
    return _RESTORE


def _unnamed(path: str) -> Finding:
    return Finding(
        "UNNAMED_FILE",
        "note",
        path,
        "Ledger tidak menyebut berkas ini: sisa proses yang mati, atau ledger ini lebih tua daripada berkasnya.",
        "The ledger does not name this file: a killed process left it, or this ledger is older than the file.",
        "Jalankan DAG `maintenance`: kiriman dan rilis dicatat lagi dari manifesnya, sisa disapu.",
        "Run the DAG `maintenance`: deliveries and releases are recorded again from their manifests, leftovers swept.",
    )


def is_damaged(found: Iterable[Finding]) -> bool:
    """Whether anything was found that is more than a note."""
    return any(one.severity == "damage" for one in found)
