"""The folder backups lie in: encrypted files named by their content, and one manifest a backup.

    WAREHOUSE-BACKUP                     marks the folder as ours
    objects/<recipients>/<2>/<hash>.age  a file of a home, once, whichever backups hold it
    backups/<id>.age                     manifest of one backup: a backup is whole when it has this name
    backups/<id>.sha256                  what that backup consists of, encrypted as it lies there, for ``sha256sum -c``

Nothing here is ever changed; other recipients make other objects, so that each backup opens with one identity. Who
holds no identity can write backups and see that they lie there unharmed, and read none.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyrage
from pyrage.x25519 import Identity, Recipient

from warehouse.core import files
from warehouse.core.errors import ConfigError, RecoveryError
from warehouse.storage.landing import hash_file
from warehouse.storage.sealing import seal, unseal

MARK = "WAREHOUSE-BACKUP"
FORMAT = 1
LEDGER = "ledger.db"
_MARK_TEXT = f"warehouse backup {FORMAT}\n"


@dataclass(frozen=True)
class Entry:
    """A file of a home as it lies in a backup: path below the home, hash and size of its clear bytes."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What one backup holds. The ledger was copied first: every file that it names is in ``files`` or ``missing``.

    recipients: names the folder of objects. ledger_revision: of the ledger's schema. keys: check values of the keys
    that the data stand under, by use. current: the release that readers saw.
    """

    backup_id: str
    made_at: str
    region: str
    recipients: str
    ledger_revision: str
    keys: dict[str, str]
    current: str | None
    content_hash: str | None
    ledger: Entry
    files: tuple[Entry, ...]
    missing: tuple[str, ...] = ()
    format: int = FORMAT

    @staticmethod
    def read(text: bytes) -> "Manifest":
        """Raises ValueError, TypeError or KeyError for what is none."""
        document: dict[str, Any] = json.loads(text)
        entries = tuple(Entry(**one) for one in document.pop("files"))
        absent = tuple(document.pop("missing"))
        return Manifest(ledger=Entry(**document.pop("ledger")), files=entries, missing=absent, **document)


# --- the folder ------------------------------------------------------------------------------------------------------


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make the folder or take the one that is ours, alone; what a killed run has left is swept.

    Raises ConfigError BACKUP_NOT_OURS and RecoveryError BACKUP_RUNNING.
    """
    files.private_folder(folder)
    if not is_ours(folder):
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            raise ConfigError(
                "BACKUP_NOT_OURS",
                f"Folder {folder} berisi hal lain dan tidak bertanda {MARK}.",
                f"Folder {folder} holds other things and no mark {MARK}.",
                "Sebut folder kosong, atau folder cadangan yang sudah ada.",
                "Name an empty folder, or one that holds backups already.",
            )
        files.write_once(folder / MARK, _MARK_TEXT.encode())
    try:
        with files.exclusive_lock(folder / ".lock", wait=False):
            unfinished = (path for path in folder.glob("backups/*.sha256") if not path.with_suffix(".age").exists())
            for left in (*folder.glob("objects/*/*/.*"), *folder.glob("backups/.*"), *unfinished):
                left.unlink()
            yield
    except BlockingIOError:
        raise RecoveryError(
            "BACKUP_RUNNING",
            f"Cadangan lain sedang ditulis ke {folder}.",
            f"Another backup is being written to {folder}.",
            "Tunggu sampai selesai, lalu ulangi.",
            "Wait until it has ended, then repeat.",
        ) from None


def is_ours(folder: Path) -> bool:
    with suppress(OSError, UnicodeDecodeError):
        return (folder / MARK).read_text(encoding="ascii") == _MARK_TEXT
    return False


def ids(folder: Path) -> list[str]:
    """Backups that are whole, oldest first: an id begins with when it was made, in UTC."""
    return sorted(path.stem for path in (folder / "backups").glob("[!.]*.age"))


def next_id(folder: Path, now: datetime) -> str:
    """Names a backup made now, behind all that are there, whatever the clock says."""
    last = ids(folder)[-1:] or [""]
    first_id = f"{now:%Y%m%dT%H%M%SZ}"
    stem, _, turn = last[0].partition("-")
    return first_id if first_id > last[0] else f"{stem}-{int(turn or 0) + 1:03d}"


def recipients_name(recipients: Iterable[Recipient]) -> str:
    text = "\n".join(sorted(map(str, recipients)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


# --- writing ---------------------------------------------------------------------------------------------------------


class Writer:
    """Puts files into a folder under ``writing``, each once; ``sealed`` grows to all that the backup consists of.

    written: how many were new, and their bytes.
    """

    def __init__(self, folder: Path, recipients: Sequence[Recipient]) -> None:
        self._folder, self._recipients = folder, recipients
        self.name = recipients_name(recipients)
        self.sealed: dict[str, str] = {}
        self.written, self.bytes = 0, 0
        self._known = dict(pair for one in ids(folder) for pair in sums(folder, one))

    def has(self, sha256: str) -> bool:
        return object_file(self._folder, self.name, sha256).is_file()

    def keep(self, source: Path, path: str, sha256: str | None) -> Entry | None:
        """Keep the file at ``source``; with ``sha256``, None for one that is another's or damaged. Raises OSError."""
        size = source.stat().st_size
        if sha256 is None or not self.has(sha256):
            content_hash, size = hash_file(source)
            if sha256 not in (None, content_hash):
                return None
            sha256 = content_hash
        target = object_file(self._folder, self.name, sha256)
        if not target.is_file():
            self._write(source, target, sha256)
        self._note(target)
        return Entry(path, sha256, size)

    def _write(self, source: Path, target: Path, sha256: str) -> None:
        files.private_folder(target.parent)
        draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            sealed_file = seal(source, draft, self._recipients)
            if sealed_file.clear_sha256 != sha256:
                raise OSError(f"{source.name} changed while it was read")
            files.put_in_place((draft, target))
        finally:
            draft.unlink(missing_ok=True)
        self._known[_below(self._folder, target)] = sealed_file.sealed_sha256
        self.written, self.bytes = self.written + 1, self.bytes + sealed_file.bytes

    def _note(self, target: Path) -> None:
        name = _below(self._folder, target)
        # One of a run that was killed before it told.
        self.sealed[name] = self._known.get(name) or hash_file(target)[0]

    def finish(self, manifest: Manifest) -> None:
        """Make the backup: its list first, then in one rename its manifest."""
        text = json.dumps(asdict(manifest), sort_keys=True).encode()
        target = self._folder / "backups" / f"{manifest.backup_id}.age"
        manifest_bytes = pyrage.encrypt(text, self._recipients)
        lines = self.sealed | {_below(self._folder, target): hashlib.sha256(manifest_bytes).hexdigest()}
        with files.whole_file(target.with_suffix(".sha256")) as draft:
            draft.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(lines.items())), encoding="ascii")
        with files.whole_file(target) as draft:
            draft.write_bytes(manifest_bytes)


def sums(folder: Path, backup_id: str) -> list[tuple[str, str]]:
    """(file below the folder, hash of it as it lies there) of all that a backup consists of; none without its list."""
    try:
        lines = (folder / "backups" / f"{backup_id}.sha256").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return []
    return [(name, digest) for digest, _, name in (line.partition("  ") for line in lines)]


def forget(folder: Path, keep: int) -> int:
    """Remove all but the newest ``keep`` backups, and the objects that no other holds; returns how many backups.

    Objects are removed only while each backup that stays tells what it consists of.
    """
    backup_ids = ids(folder)
    expired = backup_ids[:-keep]
    for backup_id in expired:
        # The manifest first: without it the backup is none, whatever of it is still there.
        for suffix in (".age", ".sha256"):
            (folder / "backups" / f"{backup_id}{suffix}").unlink(missing_ok=True)
    stay = [sums(folder, backup_id) for backup_id in backup_ids[-keep:]]
    if expired and all(stay):
        names_used = {name for pairs in stay for name, _ in pairs}
        for path in folder.glob("objects/*/*/*.age"):
            if _below(folder, path) not in names_used:
                path.unlink()
    return len(expired)


# --- reading ---------------------------------------------------------------------------------------------------------


def manifest(folder: Path, backup_id: str, identities: Sequence[Identity]) -> Manifest:
    """A backup's manifest. Raises ConfigError RESTORE_IDENTITY, RecoveryError RESTORE_DAMAGED."""
    try:
        return Manifest.read(pyrage.decrypt((folder / "backups" / f"{backup_id}.age").read_bytes(), list(identities)))
    except pyrage.DecryptError as error:
        if "no matching keys" in str(error).lower():
            raise ConfigError(
                "RESTORE_IDENTITY",
                f"Cadangan {backup_id} tidak terbuka dengan kunci yang diberikan.",
                f"Backup {backup_id} does not open with the identity that was given.",
                "Sebut berkas identitas age penerimanya dengan --identity; tanpa penerima sendiri itu landing.key.",
                "Name the file with the recipient's age identity with --identity; where none was named it is"
                " landing.key.",
            ) from None
        raise damaged([f"backups/{backup_id}.age"]) from None
    except (OSError, ValueError, TypeError, KeyError):
        raise damaged([f"backups/{backup_id}.age"]) from None


def take(folder: Path, one: Manifest, entry: Entry, target: Path, identities: Sequence[Identity]) -> bool:
    """Bring a file of a backup to the new file ``target``; False, and no file, where it is missing or damaged.

    Raises OSError where it cannot be written.
    """
    source = object_file(folder, one.recipients, entry.sha256)
    if not source.is_file():
        return False
    try:
        if unseal(source, target, identities).clear_sha256 == entry.sha256:
            return True
    except pyrage.DecryptError:
        pass
    target.unlink(missing_ok=True)
    return False


def damaged(names: Sequence[str]) -> RecoveryError:
    few = ", ".join(names[:3]) + (f", … +{len(names) - 3}" if len(names) > 3 else "")
    return RecoveryError(
        "RESTORE_DAMAGED",
        f"Cadangan ini rusak atau tidak lengkap: {few}. Tidak ada yang dipasang.",
        f"This backup is damaged or incomplete: {few}. Nothing was put in place.",
        "Pakai salinan lain dari folder cadangan itu, atau cadangan yang lebih lama dengan --backup.",
        "Use another copy of the backup folder, or an older backup with --backup.",
    )


def object_file(folder: Path, recipients: str, sha256: str) -> Path:
    # In base 32: among sixteen of a hexadecimal hash's digits the leak scan sees a NIK now and then.
    name = base64.b32encode(bytes.fromhex(sha256)).decode().strip("=").lower()
    return folder / "objects" / recipients / name[:2] / f"{name}.age"


def _below(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()
