"""Whether a home is whole: what the ledger names is there, undamaged and opens; counts add up; readers see a release.

Each finding says what is wrong and what to do about it. Only looks: nothing is mended here, and nothing removed. Files
that nobody names are notes, for an older ledger may be the reason. Not here: settings (``check-config``), identities
where none may be (scan).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from warehouse.core import duck
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
Fault = Literal["missing", "damaged", "unopened"]
# What helps, in Indonesian and English.
Action = tuple[str, str]


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


_RESTORE: Action = (
    "Pulihkan cadangan ke folder lain (`warehouse restore`), lalu salin berkas ini ke tempatnya.",
    "Restore a backup into another folder (`warehouse restore`), then copy this file to its place.",
)
_BUILD: Action = ("Jalankan `warehouse build`.", "Run `warehouse build`.")
_NOTHING: Action = ("Tidak ada yang perlu dilakukan.", "There is nothing to do.")
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
_FAULTS: dict[Fault, tuple[str, str]] = {
    "missing": ("tidak ada", "is missing"),
    "damaged": ("rusak", "is damaged"),
    "unopened": ("tidak terbuka dengan kunci yang ada", "does not open with the keys at hand"),
}


def check(s: Settings, led: Ledger, progress: Progress = lambda _text: None) -> list[Finding]:
    """What is wrong in the home, damage first. Erasures, changes of keys and maintenance wait for the end."""
    with keys.shared_lock(s), led.frozen() as snapshot:
        files = named(s, snapshot)
        findings = [*_ledger(snapshot), *_keys(s), *_counts(snapshot), *_current(s, snapshot)]
        with _view(s, snapshot) as view:
            for count, file in enumerate(files, start=1):
                progress(f"files {count}/{len(files)}")
                if fault := _fault(view, file):
                    findings.append(_finding(view, file, fault))
        # What a night has recorded since is named as well.
        paths = {file.path for file in (*files, *named(s, led))}
        findings += [_unnamed(path) for path in unnamed(s, paths)]
    return sorted(findings, key=lambda finding: (finding.severity, finding.code, finding.path))


# --- ledger and keys -------------------------------------------------------------------------------------------------


def _ledger(led: Ledger) -> Iterator[Finding]:
    if led.engine.dialect.name != "sqlite":
        return
    with led.reading() as connection:
        faults = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check(3)")]
    if faults != ["ok"]:
        yield Finding(
            "LEDGER_DAMAGED",
            "damage",
            "ledger.db",
            f"Ledger rusak: {'; '.join(faults)}",
            f"The ledger is damaged: {'; '.join(faults)}",
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
    total = table.rows_admitted + table.rows_quarantined + table.rows_refused
    for row in led.rows(sa.select(tables.verdicts).where(table.rows_read != total)):
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
    in_effect = state.pin(led) or state.newest(led)
    if in_effect and state.current_id(s) != in_effect["release_id"]:
        yield Finding(
            "CURRENT_WRONG",
            "damage",
            "current",
            f"`current` tidak menunjuk ke rilis yang berlaku ({in_effect['release_id']}).",
            f"`current` does not lead to the release in effect ({in_effect['release_id']}).",
            *_BUILD,
        )


# --- files -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _View:
    """The ledger's rows that tell what a file holds, and a connection that opens the vault.

    deliveries: by id, those too whose bytes are gone. in_force: delivery by verdict, of those whose files a build
    reads. rows: of each file of lake and vault, by path. current: the release that readers see.
    """

    s: Settings
    deliveries: Mapping[str, Delivery]
    in_force: Mapping[str, str]
    rows: Mapping[str, int]
    current: str | None
    connection: duckdb.DuckDBPyConnection


@contextmanager
def _view(s: Settings, led: Ledger) -> Iterator[_View]:
    in_force = {
        one.verdict_id: one.delivery_id
        for contract in load_contracts(s.contracts_dir).values()
        for one in deliveries.in_force(led, contract.dataset, contract.extras.delivery_mode)
    }
    rows = {row["path"]: row["rows"] for row in led.rows(sa.select(tables.lake_files))}
    by_id = {delivery.delivery_id: delivery for delivery in deliveries.every(led)}
    with _vault(s) as connection:
        yield _View(s, by_id, in_force, rows, state.current_id(s), connection)


def _vault(s: Settings) -> duckdb.DuckDBPyConnection:
    """A connection that opens the vault; without its key one that opens nothing, which the check of keys has told."""
    try:
        return vault.connect(s)
    except ConfigError:
        return duck.connect(s, sees_identifiers=True)


def _fault(view: _View, file: Named) -> Fault | None:
    path = view.s.home / file.path
    if not path.is_file():
        return "missing"
    try:
        is_same = file.sha256 is None or hash_file(path)[0] == file.sha256
        return None if is_same and _is_sound(view, file, path) else "damaged"
    except ConfigError:
        return "unopened"
    except (WarehouseError, OSError, ValueError, pa.ArrowException, duckdb.Error):
        return "damaged"


def _is_sound(view: _View, file: Named, path: Path) -> bool:
    """Whether a file opens, and holds as many rows as the ledger says."""
    if file.kind == "landing":
        landing.read(view.s, view.deliveries[file.delivery_id or ""])
    elif file.kind == "vault":
        counts = view.connection.execute(f"SELECT count(*) FROM ({vault.relation_sql([path])})").fetchall()
        return counts == [(view.rows[file.path],)]
    elif file.kind == "lake":
        return bool(pq.read_metadata(path).num_rows == view.rows[file.path])
    elif file.kind == "register" and path.suffix == ".parquet":
        pq.read_table(path)
    elif path.name == state.MANIFEST_FILE:
        return bool(state.manifest(view.s, file.release_id or ""))
    elif path.name == state.MICRO_FILE:
        with duck.connect(view.s, sees_identifiers=True) as connection:
            pseudonymised.attach_micro(connection, view.s, path, file.release_id or "")
    return True


def _is_read(view: _View, file: Named) -> bool:
    """Whether anything may still be made of a file: not of a delivery in whose place another has come."""
    if file.verdict_id is not None:
        return file.verdict_id in view.in_force
    if file.delivery_id is None or file.delivery_id in view.in_force.values():
        return True
    delivery = view.deliveries[file.delivery_id]
    place = (delivery.dataset, delivery.part, delivery.period)
    others = (other for other in view.deliveries.values() if (other.dataset, other.part, other.period) == place)
    return all(other.received_at <= delivery.received_at for other in others)


def _finding(view: _View, file: Named, fault: Fault) -> Finding:
    kind_id, kind_en = _KINDS[file.kind]
    delivery = view.deliveries.get(file.delivery_id or "")
    of = f" ({delivery.dataset} {delivery.part} {delivery.period.label})" if delivery else ""
    fault_id, fault_en = _FAULTS[fault]
    is_read = _is_read(view, file)
    aside_id, aside_en = ("", "") if is_read else (" yang tidak berlaku", ", not in force,")
    action = _action(view, file, delivery) if is_read else _NOTHING
    return Finding(
        f"{file.kind}_{fault}".upper(),
        "damage" if is_read else "note",
        file.path,
        f"{kind_id.capitalize()}{aside_id}{of} {fault_id}.",
        f"The {kind_en}{aside_en}{of} {fault_en}.",
        *action,
    )


def _action(view: _View, file: Named, delivery: Delivery | None) -> Action:
    if file.kind in ("lake", "vault") and delivery and (view.s.home / delivery.stored_path).is_file():
        commands = f"`warehouse replay {delivery.dataset}`, `warehouse build`"
        return f"Jalankan {commands}.", f"Run {commands}."
    if file.kind == "landing":
        return (
            f"{_RESTORE[0]} Tanpa cadangan: minta pengirim mengirim ulang; barisnya tetap berlaku.",
            f"{_RESTORE[1]} Without one: ask the sender to send it again; its rows stay in force.",
        )
    return _BUILD if file.kind == "release" and file.release_id == view.current else _RESTORE


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


def is_damaged(findings: Iterable[Finding]) -> bool:
    """Whether any finding is more than a note."""
    return any(finding.severity == "damage" for finding in findings)
