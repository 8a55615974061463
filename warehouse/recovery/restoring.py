"""A backup back into an empty home: all of it opened and compared first, then put in place, the ledger last.

Killed anywhere, it goes on when run again: what is being restored lies in ``.restoring`` of the home, which goes when
all is in place. Tombstones come from the newest backup in the folder, whichever is restored: whoever was erased since
is erased again by the next night. Not here: links, build and report, which the next build makes.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyrage
from pyrage.x25519 import Identity

from warehouse.core import files, permissions
from warehouse.core.errors import ConfigError, RecoveryError
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, copying
from warehouse.ledger.warehouse import Progress
from warehouse.recovery import disk, store
from warehouse.recovery.inventory import FOLDERS
from warehouse.recovery.store import Entry, Manifest
from warehouse.release import state
from warehouse.storage import keys

STAGING = ".restoring"
_TOMBSTONES = "vault/tombstones-"
# What a home may hold before anything is restored into it: nothing that a night has made.
_MAY_BE_THERE = {STAGING, "keys", "logs", "tmp", "airflow", "sandbox"}


def restore(
    s: Settings,
    source: Path,
    *,
    backup_id: str | None = None,
    identity_file: Path | None = None,
    keys_file: Path | None = None,
    progress: Progress = lambda _text: None,
) -> dict[str, Any]:
    """Put a backup, else the newest of the folder ``source``, into the home of ``s``; returns what was restored.

    identity_file: age secret keys, one a line; without it the landing keys at hand. keys_file: the keys as a backup
    wrote them apart, to be put into the key folder. Raises ConfigError RESTORE_NOTHING, RESTORE_UNKNOWN,
    RESTORE_NOT_EMPTY, RESTORE_IDENTITY, LEDGER_NEWER, KEYS_THERE; RecoveryError RESTORE_DAMAGED,
    RESTORE_RUNNING, RECOVERY_NO_SPACE, RECOVERY_NOT_WRITTEN: the home holds no more than before, or is gone on with.
    """
    backup_id = _chosen(source, backup_id)
    identities = _identities(identity_file) if identity_file else _landing_identities(s)
    one = store.manifest(source, backup_id, identities)
    marks = _newest_tombstones(source, one, identities)
    entries = {entry.path: (one, entry) for entry in one.files} | marks
    key_texts = _keys_in(keys_file, identities) if keys_file else {}
    with disk.told(s.home), _alone(s) as staging:
        _begin(s, staging, backup_id)
        # A run that was killed after the ledger had its place has nothing left to bring.
        if copying.is_empty(s.ledger):
            disk.demand_space(staging, sum(entry.bytes for _, entry in entries.values()) + one.ledger.bytes)
            ledger = _stage(source, entries, one, staging, identities, progress)
            copying.revision(ledger)
            with copying.opened(ledger):
                progress("put in place")
            keys.install(s, key_texts)
            _put_in_place(s, staging, list(entries))
            _put_ledger(s, ledger)
        _finish(s)
        shutil.rmtree(staging)
    return {
        "backup_id": one.backup_id,
        "made_at": one.made_at,
        "files": len(entries),
        "bytes": sum(entry.bytes for _, entry in entries.values()) + one.ledger.bytes,
        "ledger_revision": one.ledger_revision,
        "release_id": state.current_id(s),
        "content_hash": one.content_hash,
        "missing": list(one.missing),
    }


# --- which backup, and what opens it ---------------------------------------------------------------------------------


def _chosen(source: Path, backup_id: str | None) -> str:
    backup_ids = store.ids(source) if store.is_ours(source) else []
    if not backup_ids:
        raise ConfigError(
            "RESTORE_NOTHING",
            f"Di {source} tidak ada cadangan.",
            f"There is no backup in {source}.",
            f"Sebut folder yang berisi {store.MARK} dan backups/.",
            f"Name the folder that holds {store.MARK} and backups/.",
        )
    if backup_id is not None and backup_id not in backup_ids:
        raise ConfigError(
            "RESTORE_UNKNOWN",
            f"Cadangan {backup_id!r} tidak ada di sana.",
            f"There is no backup {backup_id!r}.",
            f"Pilih salah satu: {', '.join(backup_ids[-5:])}.",
            f"Choose one of: {', '.join(backup_ids[-5:])}.",
        )
    return backup_id or backup_ids[-1]


def _newest_tombstones(
    source: Path, one: Manifest, identities: Sequence[Identity]
) -> dict[str, tuple[Manifest, Entry]]:
    """The tombstones of the newest backup that can be read, by path: it knows of every erasure since the chosen one."""
    for backup_id in reversed(store.ids(source)):
        try:
            newest = one if backup_id == one.backup_id else store.manifest(source, backup_id, identities)
        except RecoveryError:
            continue
        return {entry.path: (newest, entry) for entry in newest.files if entry.path.startswith(_TOMBSTONES)}
    return {}


def _identities(file: Path) -> list[Identity]:
    try:
        lines = [line.strip() for line in file.read_text(encoding="ascii").splitlines()]
        identities = [Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (OSError, ValueError, UnicodeDecodeError, pyrage.IdentityError):
        identities = []
    if not identities:
        raise ConfigError(
            "RESTORE_IDENTITY",
            f"Berkas {file} tidak memuat identitas age (AGE-SECRET-KEY-1...).",
            f"File {file} holds no age identity (AGE-SECRET-KEY-1...).",
            "Sebut berkas yang dibuat `age-keygen` untuk penerima cadangan itu.",
            "Name the file that `age-keygen` made for the backup's recipient.",
        )
    return identities


def _landing_identities(s: Settings) -> list[Identity]:
    """The landing keys at hand, former ones too: what is encrypted where no recipient was named opens with them."""
    generations: tuple[keys.Generation, ...] = ("current", "next")
    identities = [key for generation in generations if (key := keys.usable(s, keys.LANDING_SECRET, generation))]
    return [*identities, *keys.former_landing_identities(s)]


def _keys_in(file: Path, identities: Sequence[Identity]) -> dict[str, str]:
    try:
        key_texts: dict[str, str] = json.loads(pyrage.decrypt(file.read_bytes(), list(identities)))
        return key_texts
    except (OSError, pyrage.DecryptError, ValueError):
        raise ConfigError(
            "RESTORE_IDENTITY",
            f"Berkas kunci {file} tidak ada atau tidak terbuka dengan --identity.",
            f"The file of keys {file} does not exist or does not open with --identity.",
            "Sebut berkas yang ditulis dengan --keys-to, dan identitas age penerimanya.",
            "Name the file that --keys-to wrote, and its recipient's age identity.",
        ) from None


# --- the home --------------------------------------------------------------------------------------------------------


@contextmanager
def _alone(s: Settings) -> Iterator[Path]:
    """The folder of what is being restored, in a home that nobody else restores into."""
    s.home.mkdir(parents=True, exist_ok=True)
    try:
        with files.exclusive_lock(s.home, wait=False):
            yield s.home / STAGING
    except BlockingIOError:
        raise RecoveryError(
            "RESTORE_RUNNING",
            f"Pemulihan lain sedang berjalan di {s.home}.",
            f"Another restore is running in {s.home}.",
            "Tunggu sampai selesai.",
            "Wait until it has ended.",
        ) from None


def _begin(s: Settings, staging: Path, backup_id: str) -> None:
    """Claim an empty home for this backup, or take up what a killed run of the same had begun."""
    target = staging / "backup"
    if not (target.is_file() and target.read_text(encoding="ascii") == backup_id):
        _demand_empty(s)
        shutil.rmtree(staging, ignore_errors=True)
        with files.whole_file(target) as draft:
            draft.write_text(backup_id, encoding="ascii")


def _demand_empty(s: Settings) -> None:
    there = [path for path in s.home.rglob("*") if path.is_symlink() or path.is_file()]
    names = {path.relative_to(s.home) for path in there}
    names = {name for name in names if name.parts[0] not in _MAY_BE_THERE and not name.name.startswith(".")}
    if copying.is_empty(s.ledger):
        names = {name for name in names if not (s.home / name).name.startswith("ledger.db")}
    else:
        names.add(Path("ledger"))
    if names:
        raise ConfigError(
            "RESTORE_NOT_EMPTY",
            f"{s.home} atau ledger-nya tidak kosong ({min(names)}); tidak ada yang dipasang.",
            f"{s.home} or its ledger is not empty ({min(names)}); nothing was put in place.",
            "Sebut folder lain dengan --into, atau pindahkan isi folder itu lebih dahulu.",
            "Name another folder with --into, or move away what is there.",
        )


def _stage(
    source: Path,
    entries: dict[str, tuple[Manifest, Entry]],
    one: Manifest,
    staging: Path,
    identities: Sequence[Identity],
    progress: Progress,
) -> Path:
    """Bring every file of the backup into the home's staging folder, compared with its hash; gives the ledger's."""
    shutil.rmtree(staging / "files", ignore_errors=True)
    wrong = []
    for count, (path, (holder, entry)) in enumerate(entries.items(), start=1):
        progress(f"files {count}/{len(entries)}")
        target = staging / "files" / path
        files.private_folder(target.parent)
        if not store.take(source, holder, entry, target, identities):
            wrong.append(path)
    ledger = staging / store.LEDGER
    ledger.unlink(missing_ok=True)
    if not store.take(source, one, one.ledger, ledger, identities):
        wrong.append(store.LEDGER)
    if wrong:
        shutil.rmtree(staging)
        raise store.damaged(wrong)
    return ledger


def _put_in_place(s: Settings, staging: Path, paths: Sequence[str]) -> None:
    for name in FOLDERS:
        files.private_folder(s.home / name)
    for path in paths:
        target = s.home / path
        files.private_folder(target.parent)
        os.replace(staging / "files" / path, target)
    for folder in {(s.home / path).parent for path in paths}:
        files.sync(folder)


def _put_ledger(s: Settings, copy: Path) -> None:
    """From here on the home is one that holds deliveries."""
    if s.ledger.startswith("sqlite:///"):
        target = Path(s.ledger.removeprefix("sqlite:///"))
        for journal in (f"{target}-wal", f"{target}-shm"):
            Path(journal).unlink(missing_ok=True)
        files.private_folder(target.parent)
        shutil.copyfile(copy, staged := target.with_name(f".{target.name}.restored"))
        files.put_in_place((staged, target))
    else:
        copying.load_copy(copy, s.ledger)


def _finish(s: Settings) -> None:
    """Modes and groups, and ``current``, as the ledger has it."""
    permissions.prepare(s)
    led = Ledger(s.ledger)
    for row in state.kept(led):
        if (folder := s.releases_dir / row["release_id"]).is_dir():
            state.close_folder(s, folder)
    state.point_current(s, led)
