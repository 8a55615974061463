"""One backup of a home: the ledger as it stands, then every file that it names; whole, or not there.

Safe at any hour. The ledger is copied first and files are never changed afterwards, so that whatever a night adds
meanwhile is the next backup's; erasures, changes of keys and maintenance, which remove files, wait for its end. What
lies in the backup folder already is not copied again. Not here: the folder's form (store), which files (inventory).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage
import sqlalchemy as sa
from pyrage.x25519 import Recipient

from warehouse.core import files
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, copying, tables
from warehouse.ledger.warehouse import Progress
from warehouse.recovery import disk, store
from warehouse.recovery.inventory import Named, named
from warehouse.release import state
from warehouse.storage import keys, landing

# A release that comes into force meanwhile takes the last one's cells away: then all is looked at again.
_TURNS = 3


@dataclass(frozen=True)
class _Moment:
    """The home at the moment the ledger was copied."""

    ledger: store.Entry
    revision: str
    keys: dict[str, str]
    current: str | None
    content_hash: str | None
    named: list[Named]


def back_up(
    s: Settings,
    led: Ledger,
    to: Path,
    recipients: Sequence[str] = (),
    *,
    keep: int | None = None,
    keys_to: Path | None = None,
    progress: Progress = lambda _text: None,
) -> dict[str, Any]:
    """Back the home up into the folder ``to``; returns what was done, with the files that were not there to be copied.

    recipients: age public keys; without one, the landing key, which a restored home needs anyway. keep: how many
    backups stay in the folder, this one among them; all without it. keys_to: a file for the keys, encrypted to
    ``recipients``, which must then be named. Raises ConfigError BACKUP_IN_HOME, BACKUP_RECIPIENT, BACKUP_KEYS_APART,
    BACKUP_NOT_OURS, and RecoveryError BACKUP_RUNNING, RECOVERY_NO_SPACE, RECOVERY_NOT_WRITTEN: no backup was made.
    """
    parsed = _recipients(s, recipients)
    _confirm_places(s, to, keys_to, recipients)
    with keys.shared_lock(s), disk.told(to), store.writing(to):
        writer = store.Writer(to, parsed)
        for _turn in range(_TURNS):
            writer.sealed.clear()
            moment = _copy_ledger(s, led, writer, progress)
            disk.demand_space(to, _new_bytes(s, writer, moment.named))
            entries, absent = _copy_files(s, writer, moment.named, progress)
            if not absent or absent <= {one.path for one in named(s, led)}:
                break
        manifest = store.Manifest(
            backup_id=store.next_id(to, s.utc_now()),
            made_at=s.utc_now().isoformat(),
            region=s.region,
            recipients=writer.name,
            ledger_revision=moment.revision,
            keys=moment.keys,
            current=moment.current,
            content_hash=moment.content_hash,
            ledger=moment.ledger,
            files=tuple(entries),
            missing=tuple(sorted(absent)),
        )
        writer.finish(manifest)
        n_removed = store.forget(to, keep) if keep else 0
    if keys_to:
        with disk.told(keys_to):
            _write_keys(s, keys_to, parsed)
    return {
        "backup_id": manifest.backup_id,
        "files": len(entries),
        "new_files": writer.written,
        "new_bytes": writer.bytes,
        "removed_backups": n_removed,
        "missing": list(manifest.missing),
    }


def _copy_ledger(s: Settings, led: Ledger, writer: store.Writer, progress: Progress) -> _Moment:
    progress("ledger")
    with landing.spool(s) as folder:
        file = folder / store.LEDGER
        copying.write_copy(led, file)
        with copying.opened(file) as copy:
            builds = sa.select(tables.builds.c.content_hash).where(tables.builds.c.outcome == "built")
            newest = copy.rows(builds.order_by(tables.builds.c.started_at.desc()).limit(1))
            checks = copy.rows(sa.select(tables.key_checks).order_by(tables.key_checks.c.version))
            release_row = state.pin(copy) or state.newest(copy)
            files = named(s, copy)
        entry = writer.keep(file, store.LEDGER, None)
        if entry is None:
            raise OSError("the copy of the ledger is gone")
        return _Moment(
            entry,
            copying.revision(file),
            {row["key_name"]: row["check_value"] for row in checks},
            release_row["release_id"] if release_row else None,
            newest[0]["content_hash"] if newest else None,
            files,
        )


def _copy_files(
    s: Settings, writer: store.Writer, files: Sequence[Named], progress: Progress
) -> tuple[list[store.Entry], set[str]]:
    """Entries of what is there and whole, and the paths of what is not."""
    entries: list[store.Entry] = []
    absent: set[str] = set()
    for count, one in enumerate(files, start=1):
        progress(f"files {count}/{len(files)}")
        try:
            entry = writer.keep(s.home / one.path, one.path, one.sha256)
        except FileNotFoundError:
            entry = None
        if entry:
            entries.append(entry)
        else:
            absent.add(one.path)
    return entries, absent


# --- what it is encrypted to -----------------------------------------------------------------------------------------


def _recipients(s: Settings, texts: Sequence[str]) -> list[Recipient]:
    if not texts:
        return [keys.landing_recipient(s)]
    try:
        return [Recipient.from_str(text.strip()) for text in texts]
    except (ValueError, pyrage.RecipientError):
        raise ConfigError(
            "BACKUP_RECIPIENT",
            "Penerima cadangan bukan kunci umum age (age1...).",
            "A recipient of the backup is no age public key (age1...).",
            "Salin baris age1... dari `age-keygen -y`; kunci rahasianya tidak boleh berada di server ini.",
            "Copy the line age1... of `age-keygen -y`; its secret key must not be on this server.",
        ) from None


def _write_keys(s: Settings, target: Path, recipients: Sequence[Recipient]) -> None:
    text = json.dumps(keys.texts(s), sort_keys=True)
    with files.whole_file(target) as draft:
        draft.write_bytes(pyrage.encrypt(text.encode(), recipients))


# --- where it goes ---------------------------------------------------------------------------------------------------


def _confirm_places(s: Settings, to: Path, keys_to: Path | None, recipients: Sequence[str]) -> None:
    if to.resolve().is_relative_to(s.home.resolve()):
        raise ConfigError(
            "BACKUP_IN_HOME",
            f"Cadangan di {to} berada di dalam WAREHOUSE_HOME dan hilang bersamanya.",
            f"A backup at {to} lies within WAREHOUSE_HOME and is lost together with it.",
            "Sebut folder di cakram atau mesin lain.",
            "Name a folder on another disk or machine.",
        )
    if keys_to and (not recipients or any(keys_to.resolve().is_relative_to(one.resolve()) for one in (to, s.home))):
        raise ConfigError(
            "BACKUP_KEYS_APART",
            "Kunci tidak disimpan bersama data: sebut --recipient, dan berkas di luar cadangan dan WAREHOUSE_HOME.",
            "Keys are not kept with the data: name --recipient, and a file outside the backup and WAREHOUSE_HOME.",
            "Pakai misalnya --keys-to pada media lain; kunci rahasia penerima disimpan luring.",
            "Use --keys-to on another medium; the recipient's secret key is kept offline.",
        )


def _new_bytes(s: Settings, writer: store.Writer, files: Iterable[Named]) -> int:
    """How much is new, as far as its hash is known before it is read."""
    return sum(_size(s.home / one.path) for one in files if one.sha256 and not writer.has(one.sha256))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
