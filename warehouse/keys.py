"""The keys: where they are, whether they may be used, and the sandbox's own set.

Four files in one folder: ``landing.pub`` and ``landing.key`` (age X25519; a host that only ingests needs only the
public half), ``pseudonym.key`` and ``vault.key`` (a version line, then 32 random bytes in hex). A folder that holds a
file ``SANDBOX`` belongs to the sandbox; any other folder is production's, has to lie outside WAREHOUSE_HOME, and
nothing here ever writes to it. Whatever is wrong is a ConfigError raised before a byte of data is read or written.

Not here: using the keys (landing, vault), changing them (rotation).
"""

import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pyrage
from pyrage.x25519 import Identity, Recipient

from warehouse.errors import ConfigError
from warehouse.settings import Settings

LANDING_PUBLIC = "landing.pub"
LANDING_SECRET = "landing.key"
PSEUDONYM = "pseudonym.key"
VAULT = "vault.key"
SANDBOX_MARK = "SANDBOX"
_HEX_KEY = re.compile(r"warehouse-key ([1-9][0-9]*)\n([0-9a-f]{64})\n")
_MARK_TEXT = "These keys were made for the sandbox. They may not protect the data of real people.\n"

T = TypeVar("T")


def landing_recipient(s: Settings) -> Recipient:
    """The public key that landed files are encrypted to."""
    return _parsed(_read(s, LANDING_PUBLIC, secret=False), LANDING_PUBLIC, Recipient.from_str)


def landing_identity(s: Settings) -> Identity:
    """The secret key that opens landed files."""
    return _parsed(_read(s, LANDING_SECRET), LANDING_SECRET, Identity.from_str)


def pseudonym_key(s: Settings) -> bytes:
    """32 bytes that key the pseudonyms of NIK and KK numbers."""
    return _parsed(_read(s, PSEUDONYM), PSEUDONYM, _secret_bytes)


def vault_key(s: Settings) -> bytes:
    """32 bytes that encrypt the vault's files."""
    return _parsed(_read(s, VAULT), VAULT, _secret_bytes)


def describe(s: Settings) -> str:
    """Whose keys are in use, once all four have been read; raises ConfigError when one is missing or unusable."""
    for use in (landing_recipient, landing_identity, pseudonym_key, vault_key):
        use(s)
    return "sandbox" if is_sandbox(s) else "production"


def is_sandbox(s: Settings) -> bool:
    return (s.keys / SANDBOX_MARK).is_file()


def make_sandbox_keys(s: Settings) -> None:
    """Make the sandbox's keys where they are missing; keys that exist stay. Refuses a folder that is not the sandbox's.

    Two processes may call it at once: the first to finish a file wins and the other uses it.
    """
    folder = s.keys
    # Listed before the mark is looked for: the mark is the first file another process makes.
    finished = [path.name for path in folder.glob("*") if not path.name.startswith(".")]
    if finished and not is_sandbox(s):
        raise ConfigError(
            "KEYS_NOT_SANDBOX",
            f"Folder kunci {folder} berisi berkas tetapi tidak bertanda SANDBOX.",
            f"The key folder {folder} holds files but no SANDBOX mark.",
            "Arahkan WAREHOUSE_KEYS_DIR ke folder lain, atau biarkan kosong untuk sandbox.",
            "Point WAREHOUSE_KEYS_DIR elsewhere, or leave it unset for the sandbox.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _create(folder / SANDBOX_MARK, _MARK_TEXT)
    _create(folder / LANDING_SECRET, f"{Identity.generate()}\n")
    _create(folder / LANDING_PUBLIC, f"{landing_identity(s).to_public()}\n")
    for name in (PSEUDONYM, VAULT):
        _create(folder / name, f"warehouse-key 1\n{secrets.token_bytes(32).hex()}\n")


def _create(path: Path, text: str) -> None:
    """Write ``path`` whole and 0600, or leave the one that is there."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()


def _read(s: Settings, name: str, *, secret: bool = True) -> str:
    path = s.keys / name
    if path.exists() and not is_sandbox(s) and s.keys.resolve().is_relative_to(s.home.resolve()):
        raise ConfigError(
            "KEYS_IN_HOME",
            f"Kunci {name} berada di bawah WAREHOUSE_HOME tanpa tanda SANDBOX.",
            f"Key {name} lies under WAREHOUSE_HOME without a SANDBOX mark.",
            "Pindahkan kunci ke folder di luar WAREHOUSE_HOME dan arahkan WAREHOUSE_KEYS_DIR ke sana.",
            "Move the keys to a folder outside WAREHOUSE_HOME and point WAREHOUSE_KEYS_DIR at it.",
        )
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if secret and mode & 0o077:
            raise ConfigError(
                "KEYS_READABLE",
                f"Kunci {name} dapat dibaca pengguna lain (mode {mode:o}).",
                f"Key {name} can be read by other users (mode {mode:o}).",
                f"Jalankan chmod 600 pada {path}, lalu pertimbangkan untuk mengganti kunci itu.",
                f"Run chmod 600 on {path}, and consider replacing the key.",
            )
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        raise ConfigError(
            "KEYS_MISSING",
            f"Kunci {name} tidak ada di {s.keys}.",
            f"Key {name} is not in {s.keys}.",
            "Pasang kunci produksi dan arahkan WAREHOUSE_KEYS_DIR ke foldernya, atau jalankan sandbox.",
            "Install the production keys and point WAREHOUSE_KEYS_DIR at their folder, or run the sandbox.",
        ) from None
    except (OSError, UnicodeDecodeError):
        raise _unusable(name) from None


def _parsed(text: str, name: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text.strip() if name.startswith("landing") else text)
    except (ValueError, pyrage.RecipientError, pyrage.IdentityError):
        raise _unusable(name) from None


def _secret_bytes(text: str) -> bytes:
    match = _HEX_KEY.fullmatch(text)
    if not match:
        raise ValueError("not a version line and 64 hex digits")
    return bytes.fromhex(match[2])


def _unusable(name: str) -> ConfigError:
    return ConfigError(
        "KEYS_INVALID",
        f"Kunci {name} tidak dapat dibaca atau rusak.",
        f"Key {name} cannot be read or is damaged.",
        "Pulihkan berkas kunci itu dari cadangan; jangan membuat yang baru.",
        "Restore that key file from backup; do not make a new one.",
    )
