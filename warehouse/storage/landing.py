"""Landing: keeps every delivery's bytes exactly as sent, encrypted, until the contract's retention ends.

A delivery is two age files, ``<delivery>-<hash>.age`` (the bytes) and ``<delivery>-<hash>.manifest.age`` (its ledger
row and the file name as sent, which may name a person). They are whole and on disk before the ledger row commits. A
file that no ledger row names is swept: what the ledger has in another file goes, what it has never heard of (a backup
of it was restored, or a kill came before its row) is recorded again from the manifest, and what nobody can tell stays.
The clear bytes live only in a spool, a private folder that is shredded when its fetch ends or, after a kill, when the
next one starts.

Never here: repairing, unpacking or reading what was sent (parse), or judging it (gate).
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyrage
from pyrage.x25519 import Recipient
from sqlalchemy.exc import IntegrityError

from warehouse.core import files
from warehouse.core.contract import Contract
from warehouse.core.errors import ConfigError, UnreadableDelivery, WarehouseError
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, deliveries, tables
from warehouse.ledger.deliveries import Delivery, Origin
from warehouse.storage import keys
from warehouse.storage.sealing import seal

__all__ = [
    "Landed", "LostCopy", "Swept", "delete_superseded", "demand_folder", "destroy_expired", "land", "manifest_of",
    "read", "refuse_brotli", "shred", "spool", "store_replacement", "sweep",
]  # fmt: skip

_CHUNK = 1 << 20
_SPOOL_PREFIX = "spool-"
_INCOMING = ".incoming"
_MANIFEST = ".manifest.age"


class LostCopy(UnreadableDelivery):
    """Our own copy cannot be read, whatever was sent: it says nothing of the rows."""


@dataclass(frozen=True)
class Swept:
    """What became of files that no ledger row names: ``removed``, recorded again (``taken_in``, deliveries), or left
    where they are because nobody can tell what they hold (``unknown``)."""

    removed: int = 0
    taken_in: int = 0
    unknown: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Landed:
    """``is_new`` is False when these bytes only repeat what was said last for the same dataset, part and period."""

    delivery_id: str
    is_new: bool


def land(
    s: Settings, led: Ledger, contract: Contract, part: str, period: Period, path: Path, media: str, origin: Origin
) -> Landed:
    """Keep the file at ``path`` as a delivery; the file itself is left alone.

    Raises ConfigError when there is no landing key or a wrong one, LANDING_BROTLI for Parquet nobody here can read,
    LANDING_CHANGED when the file changes while it is being landed, and LANDING_NOT_WRITTEN when the disk takes no more.
    """
    keys.confirm(s, led, "landing")
    refuse_brotli(path)
    with keys.shared_lock(s):
        return _land(s, led, contract, part, period, path, media, origin)


def _land(
    s: Settings, led: Ledger, contract: Contract, part: str, period: Period, path: Path, media: str, origin: Origin
) -> Landed:
    recipient = keys.landing_recipient(s)
    content_sha256, size = hash_file(path)
    earlier = deliveries.landed_for(led, contract.dataset, part, period)
    same = [one for one in earlier if one.content_sha256 == content_sha256]
    if same and not _is_news(s, led, earlier, same[-1], origin):
        return Landed(same[-1].delivery_id, is_new=False)
    name = deliveries.delivery_id(contract.dataset, part, period, content_sha256, len(same) + 1)
    s.home.mkdir(parents=True, exist_ok=True)
    incoming = files.private_folder(s.landing_dir / _INCOMING)
    # Sweeping holds it alone: a file whose row is still to come is no orphan.
    with files.shared_lock(s.landing_dir):
        draft = incoming / f"{name}.{secrets.token_hex(10)}"
        try:
            stored_sha256 = _encrypt_file(path, draft, recipient, content_sha256)
            folder = files.private_folder(s.landing_dir / contract.agency / contract.name / period.label)
            # Never 16 digits of a hash in a name: they may look like a NIK to the leak scan.
            target = folder / f"{name}-{stored_sha256[:20]}.age"
            delivery = Delivery(
                delivery_id=name,
                dataset=contract.dataset,
                part=part,
                period_kind=period.kind,
                period_start=period.start,
                received_at=deliveries.not_before(s.utc_now(), earlier[-1].received_at if earlier else None),
                content_sha256=content_sha256,
                bytes=size,
                media=media,
                origin=origin,
                stored_path=str(target.relative_to(s.home)),
                stored_sha256=stored_sha256,
            )
            _encrypt_manifest(asdict(delivery) | {"original_name": path.name}, _draft_manifest(draft), recipient)
            _put_in_place(draft, target)
        except OSError as error:
            raise WarehouseError(
                "LANDING_NOT_WRITTEN",
                f"Kiriman tidak dapat disimpan di landing ({os.strerror(error.errno or 0)}).",
                f"The delivery cannot be written to landing ({os.strerror(error.errno or 0)}).",
                f"Periksa ruang dan izin di {s.landing_dir}, lalu ulangi.",
                f"Check space and permissions of {s.landing_dir}, then repeat.",
            ) from error
        finally:
            draft.unlink(missing_ok=True)
            _draft_manifest(draft).unlink(missing_ok=True)
        try:
            deliveries.record_delivery(led, delivery)
        except IntegrityError:
            # Another process landed the same bytes in the meantime: its row stands, our files are nobody's.
            _remove(target)
            return Landed(name, is_new=False)
    return Landed(name, is_new=True)


def _is_news(s: Settings, led: Ledger, earlier: list[Delivery], latest: Delivery, origin: Origin) -> bool:
    """Whether bytes that were landed before, last as ``latest``, say something that does not hold already.

    What is sent last counts: bytes that come back after others are news, and so are those whose copy here is lost. An
    agency is asked every night and shows what it showed before: that is no answer to a file that came by hand
    meanwhile, nor to a person who put its file aside. A file by hand is sent by somebody who means it.
    """
    if latest is not earlier[-1]:
        if origin == "hand" or earlier[-1].origin == "agency":
            return True
        last_id = deliveries.last_seen(led, latest.dataset, latest.part, latest.period)
        return latest.content_sha256 not in {one.content_sha256 for one in earlier if one.delivery_id == last_id}
    if latest.destroyed_at is None and _is_damaged(s, latest):
        return True
    if origin == "hand":
        decision = deliveries.last_decision(led, latest.delivery_id)
        return latest.destroyed_at is not None or decision in deliveries.PUTS_ASIDE
    return latest.destroyed_at is not None and deliveries.is_wanting(led, latest.delivery_id)


def _is_damaged(s: Settings, delivery: Delivery) -> bool:
    path = s.home / delivery.stored_path
    return not path.is_file() or hash_file(path)[0] != delivery.stored_sha256


def read(s: Settings, delivery: Delivery) -> bytes:
    """The bytes as sent, decrypted in memory and checked against the ledger's hash.

    Raises LostCopy LANDING_DESTROYED, LANDING_MISSING or LANDING_CORRUPT, and ConfigError
    KEYS_WRONG when the landing key is not the one the file was encrypted to.
    """
    identity = keys.landing_identity(s)
    name = delivery.delivery_id
    if delivery.destroyed_at is not None:
        raise LostCopy(
            "LANDING_DESTROYED",
            f"Berkas kiriman {name} tidak disimpan lagi: masa simpannya habis, atau tak dapat dipertahankan.",
            f"The bytes of delivery {name} are not kept any more: their retention ended, or they could not be kept.",
            "Minta pengirim mengirim ulang bila masih diperlukan dan diizinkan; masukkan dengan --file.",
            "Ask the sender to send it again if it is still needed and allowed, and take it with --file.",
        )
    try:
        data: bytes = pyrage.decrypt((s.home / delivery.stored_path).read_bytes(), [identity])
    except FileNotFoundError:
        raise LostCopy(
            "LANDING_MISSING",
            f"Berkas kiriman {name} tidak ada di landing.",
            f"The file of delivery {name} is not in landing.",
            "Pulihkan folder landing dari cadangan.",
            "Restore the landing folder from backup.",
        ) from None
    except pyrage.DecryptError as error:
        if "no matching keys" in str(error).lower():
            raise ConfigError(
                "KEYS_WRONG",
                f"Kunci landing.key bukan kunci yang menyandikan kiriman {name}.",
                f"landing.key is not the key that delivery {name} was encrypted to.",
                "Pasang landing.key yang sepasang dengan landing.pub saat kiriman itu diterima.",
                "Install the landing.key that belongs to the landing.pub of the day it was received.",
            ) from None
        raise _corrupt(name) from None
    if hashlib.sha256(data).hexdigest() != (delivery.kept_sha256 or delivery.content_sha256):
        raise _corrupt(name)
    return data


def demand_folder(s: Settings, led: Ledger) -> None:
    """Raise ConfigError LANDING_AWAY where not one landed file is to be found: one may be lost, all are elsewhere."""
    kept_deliveries = deliveries.kept(led)
    if kept_deliveries and not any((s.home / delivery.stored_path).is_file() for delivery in kept_deliveries):
        raise ConfigError(
            "LANDING_AWAY",
            f"Tidak satu pun berkas kiriman ada di {s.landing_dir}.",
            f"Not one landed file is to be found in {s.landing_dir}.",
            "Pasang atau pulihkan folder itu lebih dahulu; tidak ada yang diubah.",
            "Mount or restore that folder first; nothing was changed.",
        )


def store_replacement(
    s: Settings, delivery: Delivery, data: bytes, recipient: Recipient, tag: str, *, keeps_name: bool = True
) -> dict[str, str]:
    """Keep ``data`` as a delivery's bytes under a file of its own, beside the one in use; returns the ledger's columns.

    ``tag`` names what made it: the same one again finds the file whole and leaves it. The ledger decides which counts.
    """
    old = s.home / delivery.stored_path
    target = old.with_name(f"{delivery.delivery_id}-{tag}.age")
    if not target.exists():
        draft = files.private_folder(s.landing_dir / _INCOMING) / f"{delivery.delivery_id}.{secrets.token_hex(10)}"
        with files.new_file(draft) as file:
            file.write(pyrage.encrypt(data, [recipient]))
        manifest = json.loads(pyrage.decrypt(manifest_of(old).read_bytes(), [keys.landing_identity(s)]))
        manifest |= {"original_name": manifest["original_name"] if keeps_name else None}
        manifest |= {"stored_path": str(target.relative_to(s.home)), "stored_sha256": hash_file(draft)[0]}
        _encrypt_manifest(manifest, _draft_manifest(draft), recipient)
        _put_in_place(draft, target)
    return {"stored_path": str(target.relative_to(s.home)), "stored_sha256": hash_file(target)[0]}


def delete_superseded(s: Settings, stored_path: str) -> None:
    """Remove a delivery's former file, once the ledger names another."""
    _remove(s.home / stored_path)


def destroy_expired(s: Settings, led: Ledger, contracts: Mapping[str, Contract]) -> int:
    """Destroy raw bytes older than their contract's retention and record when; returns how many deliveries.

    The bytes go first: a kill in between leaves a row that the next run completes.
    """
    now = s.utc_now()
    destroyed = 0
    for delivery in deliveries.kept(led):
        contract = contracts.get(delivery.dataset)
        if contract and delivery.received_at + timedelta(days=contract.extras.retention_days) <= now:
            _remove(s.home / delivery.stored_path)
            deliveries.record_destruction(led, delivery.delivery_id, now)
            destroyed += 1
    return destroyed


def sweep(s: Settings, led: Ledger) -> Swept:
    """Put in order what killed processes and restored backups left: files no ledger row names, spools nobody holds."""
    shredded = 0
    if s.tmp_dir.is_dir():
        with files.exclusive_lock(s.tmp_dir):
            shredded = _shred_abandoned_spools(s)
    if not s.landing_dir.is_dir():
        return Swept(shredded)
    with files.exclusive_lock(s.landing_dir):
        ledger_paths = {s.home / delivery.stored_path for delivery in deliveries.kept(led)}
        ledger_paths |= {manifest_of(path) for path in ledger_paths}
        orphans = sorted(path for path in s.landing_dir.rglob("*.age") if path not in ledger_paths)
        drafts = [path for path in (s.landing_dir / _INCOMING).glob("*") if path.is_file() and path.suffix != ".age"]
        taken_in = [path for path in orphans if not _is_manifest(path) and _take_in(s, led, path)]
        orphan_files = set(orphans) - {file for path in taken_in for file in (path, manifest_of(path))}
        to_remove = {path for path in orphan_files if _is_nobodys(s, led, path)}
        for path in (*drafts, *to_remove):
            path.unlink()
    return Swept(shredded + len(drafts) + len(to_remove), len(taken_in), tuple(sorted(orphan_files - to_remove)))


def _take_in(s: Settings, led: Ledger, path: Path) -> bool:
    """Record a whole landed file from its manifest, where the ledger has no other of that delivery."""
    delivery = deliveries.find(led, _delivery_of(path))
    if delivery is not None and _is_accounted_for(s, delivery):
        return False
    try:
        identity = keys.landing_identity(s)
        manifest = json.loads(pyrage.decrypt(manifest_of(path).read_bytes(), [identity]))
        data = pyrage.decrypt(path.read_bytes(), [identity])
    except (ConfigError, FileNotFoundError, pyrage.DecryptError):
        return False
    manifest.pop("original_name")
    from_manifest = Delivery(**{name: tables.typed(name, value) for name, value in manifest.items()})
    if (from_manifest.stored_path, from_manifest.delivery_id) != (str(path.relative_to(s.home)), _delivery_of(path)):
        return False
    digest = hashlib.sha256(data).hexdigest()
    from_manifest = replace(from_manifest, kept_sha256=None if digest == from_manifest.content_sha256 else digest)
    if delivery is None:
        deliveries.record_delivery(led, from_manifest)
    else:
        deliveries.record_file(led, from_manifest)
    return True


def _is_nobodys(s: Settings, led: Ledger, path: Path) -> bool:
    """Whether a file that no row names holds nothing that is not elsewhere: a copy, or a manifest without bytes."""
    delivery = deliveries.find(led, _delivery_of(path))
    if delivery is not None:
        return _is_accounted_for(s, delivery)
    return _is_manifest(path) and not path.with_name(path.name.removesuffix(_MANIFEST) + ".age").exists()


def _is_accounted_for(s: Settings, delivery: Delivery) -> bool:
    return delivery.destroyed_at is not None or (s.home / delivery.stored_path).is_file()


def _delivery_of(path: Path) -> str:
    return path.name.partition("-")[0]


def _is_manifest(path: Path) -> bool:
    return path.name.endswith(_MANIFEST)


@contextmanager
def spool(s: Settings) -> Iterator[Path]:
    """A private folder for what is being fetched: the one place where clear bytes may lie, shredded on the way out."""
    s.tmp_dir.mkdir(parents=True, exist_ok=True)
    folder = s.tmp_dir / f"{_SPOOL_PREFIX}{secrets.token_hex(10)}"
    with files.exclusive_lock(s.tmp_dir):
        _shred_abandoned_spools(s)
        folder.mkdir(mode=0o700)
        # Held until the folder is gone: a spool whose lock is free belongs to a process that was killed.
        lock = files.lock_for_life(folder)
    try:
        yield folder
    finally:
        _shred_folder(folder)
        os.close(lock)


def shred(path: Path) -> None:
    """Overwrite a clear file and remove it. Best effort: a copy-on-write or flash disk may keep old blocks."""
    with path.open("r+b") as file:
        n_bytes = path.stat().st_size
        while n_bytes > 0:
            n_bytes -= file.write(bytes(min(n_bytes, _CHUNK)))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


# --- files -----------------------------------------------------------------------------------------------------------


def hash_file(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size


def _encrypt_file(source: Path, target: Path, recipient: Recipient, expected_sha256: str) -> str:
    """Encrypt ``source`` to ``target``; gives the hash of the encrypted bytes."""
    result = seal(source, target, [recipient])
    if result.clear_sha256 != expected_sha256:
        raise WarehouseError(
            "LANDING_CHANGED",
            "Berkas berubah ketika sedang disimpan; tidak ada yang disimpan.",
            "The file changed while it was being landed; nothing was kept.",
            "Tunggu sampai berkas selesai ditulis, lalu ulangi.",
            "Wait until the file is completely written, then repeat.",
        )
    return result.sealed_sha256


def _encrypt_manifest(manifest: Mapping[str, Any], target: Path, recipient: Recipient) -> None:
    text = json.dumps(manifest, default=str, ensure_ascii=False, sort_keys=True)
    with files.new_file(target) as file:
        file.write(pyrage.encrypt(text.encode(), [recipient]))


def _put_in_place(draft: Path, target: Path) -> None:
    """The manifest first: a delivery's bytes never lie there without it."""
    files.put_in_place((_draft_manifest(draft), manifest_of(target)), (draft, target))


def _draft_manifest(draft: Path) -> Path:
    """Beside the draft under its whole name: one that a killed process left is in nobody's way."""
    return draft.with_name(f"{draft.name}.manifest")


def manifest_of(path: Path) -> Path:
    """The manifest that lies beside a delivery's file."""
    return path.with_suffix(_MANIFEST)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    manifest_of(path).unlink(missing_ok=True)
    if path.parent.is_dir():
        files.sync(path.parent)


def _shred_abandoned_spools(s: Settings) -> int:
    shredded = 0
    for folder in s.tmp_dir.glob(f"{_SPOOL_PREFIX}*"):
        with suppress(BlockingIOError, FileNotFoundError), files.exclusive_lock(folder, wait=False):
            _shred_folder(folder)
            shredded += 1
    return shredded


def _shred_folder(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            shred(path)
    shutil.rmtree(folder, ignore_errors=True)


def refuse_brotli(path: Path) -> None:
    """Parquet with Brotli is unreadable to DuckDB as we ship it; say so at the door, not in the night."""
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            return
    try:
        with pq.ParquetFile(path) as parquet:
            groups = [parquet.metadata.row_group(i) for i in range(parquet.metadata.num_row_groups)]
    except (pa.ArrowException, OSError):
        return
    if any(group.column(i).compression == "BROTLI" for group in groups for i in range(group.num_columns)):
        raise WarehouseError(
            "LANDING_BROTLI",
            "Berkas Parquet ini memakai kompresi Brotli, yang tidak dapat dibaca di sini.",
            "This Parquet file uses Brotli compression, which cannot be read here.",
            "Minta pengirim memakai kompresi Zstandard atau Snappy.",
            "Ask the sender to use Zstandard or Snappy compression.",
        )


def _corrupt(name: str) -> LostCopy:
    return LostCopy(
        "LANDING_CORRUPT",
        f"Berkas kiriman {name} rusak: isinya tidak sama dengan yang diterima.",
        f"The file of delivery {name} is damaged: its content is not what was received.",
        "Pulihkan berkas itu dari cadangan landing, atau minta pengirim mengirim ulang.",
        "Restore the file from the landing backup, or ask the sender to send it again.",
    )
