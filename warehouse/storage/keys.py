"""The keys: where they stand, whether they are the right ones, their making and their change of generation.

Four texts: ``landing.pub`` and ``landing.key`` (age X25519; a host that only ingests needs only the public half),
``pseudonym.key`` and ``vault.key`` (a version line, then 32 random bytes in hex). They stand in files, in the
environment or in Airflow's secrets backend (setting ``keys_from``). A folder that holds a file ``SANDBOX`` belongs to
the sandbox; any other is production's and has to lie outside WAREHOUSE_HOME.

The ledger knows a check value of each key in use: another key is refused before a byte is read or written. While keys
are changed there are two generations, current and next; the ledger alone says which is in use, so that its one
transaction switches every process at once.

Whatever is wrong is a ConfigError. Not here: using the keys (landing, vault), writing data anew under other ones
(rotation).
"""

import hashlib
import hmac
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pyrage
import sqlalchemy as sa
from pydantic import SecretStr
from pyrage.x25519 import Identity, Recipient
from sqlalchemy.exc import DatabaseError, IntegrityError

from warehouse.core import files
from warehouse.core.errors import ConfigError
from warehouse.core.settings import SANDBOX_MARK, Settings
from warehouse.ledger import Ledger, tables

LANDING_PUBLIC = "landing.pub"
LANDING_SECRET = "landing.key"
PSEUDONYM = "pseudonym.key"
VAULT = "vault.key"
FILES = (LANDING_PUBLIC, LANDING_SECRET, PSEUDONYM, VAULT)
NEXT, PREVIOUS = "next", "previous"
Generation = Literal["current", "next"]
Use = Literal["landing", "pseudonym", "vault"]
USES: tuple[Use, ...] = ("landing", "pseudonym", "vault")
_HEX_KEY = re.compile(r"warehouse-key ([1-9][0-9]*)\s+([0-9a-f]{64})\s*")
_MARK_TEXT = "These keys were made for the sandbox. They may not protect the data of real people.\n"


# --- the keys in use -------------------------------------------------------------------------------------------------


def landing_recipient(s: Settings) -> Recipient:
    """The public key that landed files are encrypted to."""
    return _in_use(s, LANDING_PUBLIC)


def landing_identity(s: Settings) -> Identity:
    """The secret key that opens landed files."""
    return _in_use(s, LANDING_SECRET)


def pseudonym_key(s: Settings) -> bytes:
    """32 bytes that key the pseudonyms of NIK and KK numbers."""
    return _in_use(s, PSEUDONYM)


def vault_key(s: Settings) -> bytes:
    """32 bytes that encrypt the vault's files."""
    return _in_use(s, VAULT)


def of_generation(s: Settings, name: str, generation: Generation) -> Identity | Recipient | bytes:
    """A key of one generation, whether or not it is in use."""
    return _parsed(_text(s, name, generation), name)


def vault_keys(s: Settings) -> list[bytes]:
    """The vault key in use, then the other generation's: a file that a change of keys has yet to reach opens too."""
    current = vault_key(s)
    generations: tuple[Generation, ...] = ("next", "current")
    others = [other_key for generation in generations if (other_key := usable(s, VAULT, generation))]
    return [current, *(key for key in others if key != current)]


def confirm(s: Settings, led: Ledger, *uses: Use) -> None:
    """Refuse keys that are not those the data stand under, and remember the first of each; raises ConfigError."""
    for use in uses:
        key = _in_use(s, _file_of(use))
        if _registered(s, use) is None:
            row = {"key_name": use, "version": 1, "check_value": check_value(key), "since": s.utc_now()}
            try:
                led.insert(tables.key_checks, row)
            except IntegrityError:
                # Another process was first: its key is the one in use.
                _in_use(s, _file_of(use))


def version(led: Ledger, use: Use) -> int | None:
    """How often the key of a use (``pseudonym``, ``vault``, ``landing``) has been changed, from 1; None before any."""
    checks = tables.key_checks
    (row,) = led.rows(sa.select(sa.func.max(checks.c.version).label("version")).where(checks.c.key_name == use))
    number: int | None = row["version"]
    return number


def check_value(key: Identity | Recipient | bytes) -> str:
    """Tells a key from any other without telling it; the two halves of the landing key have one and the same."""
    if isinstance(key, bytes):
        return hmac.digest(key, b"warehouse key check", "sha256").hex()[:32]
    public = key.to_public() if isinstance(key, Identity) else key
    return hashlib.sha256(str(public).encode()).hexdigest()[:32]


def texts(s: Settings) -> dict[str, str]:
    """Every key at hand as it is kept, by the name of its file below the key folder; raises ConfigError."""
    texts_now = {name: _text(s, name, "current") for name in FILES}
    mark = {SANDBOX_MARK: _MARK_TEXT} if s.keys_from == "files" and is_sandbox(s) else {}
    next_texts = {f"{NEXT}/{name}": _text(s, name, "next") for name in FILES if usable(s, name, "next")}
    return mark | texts_now | next_texts


def install(s: Settings, texts: Mapping[str, str]) -> None:
    """Put keys that ``texts`` gave into the key folder; may be repeated. Raises ConfigError KEYS_THERE for others."""
    same = {name for name, text in texts.items() if _is_text(s.keys / name, text)}
    _refuse_to_overwrite(s.keys, texts.keys() - same)
    if SANDBOX_MARK not in texts:
        _refuse_home(s, s.keys)
    for folder in {(s.keys / name).parent for name in texts}:
        _private(folder)
    # The mark first, as where a sandbox makes its own.
    for name in sorted(texts, key=lambda name: name != SANDBOX_MARK):
        files.write_once(s.keys / name, texts[name].encode("ascii"))


def describe(s: Settings) -> str:
    """Whose keys are in use, once all four have been read; raises ConfigError when one is missing or unusable."""
    for name in FILES:
        _in_use(s, name)
    owner = "sandbox" if s.keys_from == "files" and is_sandbox(s) else "production"
    return f"{owner}, from {s.keys_from}"


def is_sandbox(s: Settings) -> bool:
    return (s.keys / SANDBOX_MARK).is_file()


@contextmanager
def shared_lock(s: Settings) -> Iterator[None]:
    """Hold the keys as they are: no change of keys and no erasure begins while data are written under them."""
    with files.shared_lock(_lock_file(s)):
        yield


@contextmanager
def exclusive_lock(s: Settings) -> Iterator[None]:
    """Wait until nobody writes under the keys, and keep others waiting."""
    with files.exclusive_lock(_lock_file(s)):
        yield


def _lock_file(s: Settings) -> Path:
    s.home.mkdir(parents=True, exist_ok=True)
    return s.home / ".keys.lock"


def _file_of(use: Use) -> str:
    return {"landing": LANDING_PUBLIC, "pseudonym": PSEUDONYM, "vault": VAULT}[use]


def _use_of(name: str) -> Use:
    uses: dict[str, Use] = {
        LANDING_PUBLIC: "landing",
        LANDING_SECRET: "landing",
        PSEUDONYM: "pseudonym",
        VAULT: "vault",
    }
    return uses[name]


def _in_use(s: Settings, name: str) -> Identity | Recipient | bytes:
    """The generation of a key that the ledger names; before the ledger names one, the current."""
    check = _registered(s, _use_of(name))
    # The next first: should it become the current one between two looks, it is found in the second.
    successor = usable(s, name, "next") if check else None
    if successor is not None and check_value(successor) == check:
        return successor
    key = of_generation(s, name, "current")
    if check is None or check_value(key) == check:
        return key
    raise ConfigError(
        "KEYS_WRONG",
        f"Kunci {name} bukan kunci yang dipakai untuk data di sini.",
        f"Key {name} is not the one the data here stand under.",
        "Pasang kunci yang benar dari cadangan; tidak ada yang dibaca atau ditulis.",
        "Install the right key from backup; nothing was read or written.",
    )


def usable(s: Settings, name: str, generation: Generation) -> Identity | Recipient | bytes | None:
    try:
        return of_generation(s, name, generation)
    except ConfigError:
        return None


def former_landing_identities(s: Settings) -> list[Identity]:
    """Landing keys that changes of keys have put aside in the key folder."""
    return [
        _parsed(path.read_text("ascii"), LANDING_SECRET) for path in (s.keys / PREVIOUS).glob(f"{LANDING_SECRET}.*")
    ]


def checks_in_use(s: Settings) -> set[str]:
    """Check values of the keys that the ledger names; empty before the first write."""
    return {check for use in USES if (check := _registered(s, use))}


def _registered(s: Settings, use: Use) -> str | None:
    """Check value of the key in use, as the ledger has it; None before the first write."""
    if s.ledger.startswith("sqlite:///") and not Path(s.ledger.removeprefix("sqlite:///")).exists():
        return None
    checks = tables.key_checks
    newest = sa.select(checks.c.check_value).where(checks.c.key_name == use).order_by(checks.c.version.desc()).limit(1)
    led = Ledger(s.ledger)
    try:
        rows = led.rows(newest)
    except DatabaseError:
        if sa.inspect(led.engine).has_table(checks.name):
            raise
        return None
    return rows[0]["check_value"] if rows else None


# --- making and changing ---------------------------------------------------------------------------------------------


def make_sandbox_keys(s: Settings) -> None:
    """Make the sandbox's keys where they are missing; keys that exist stay. Refuses a folder that is not the sandbox's.

    Two processes may call it at once: the first to finish a file wins and the other uses it.
    """
    folder = s.keys
    # Listed before the mark is looked for: the mark is the first file another process makes.
    names = [path.name for path in folder.glob("*") if not path.name.startswith(".")]
    if names and not is_sandbox(s):
        raise ConfigError(
            "KEYS_NOT_SANDBOX",
            f"Folder kunci {folder} berisi berkas tetapi tidak bertanda SANDBOX.",
            f"The key folder {folder} holds files but no SANDBOX mark.",
            "Arahkan WAREHOUSE_KEYS_DIR ke folder lain, atau biarkan kosong untuk sandbox.",
            "Point WAREHOUSE_KEYS_DIR elsewhere, or leave it unset for the sandbox.",
        )
    _private(folder)
    files.write_once(folder / SANDBOX_MARK, _MARK_TEXT.encode())
    _make_set(folder, version=1)


def make_new(s: Settings, to: Path | None = None) -> Path:
    """Make a whole new set and return its folder: the first one, or the successors of those there are.

    Without ``to`` the set goes where ``keys_from=files`` looks for it. Raises ConfigError KEYS_THERE rather than touch
    a key that exists, KEYS_LOST where data stand under keys that are not there, KEYS_NEED_FOLDER where keys do not
    stand in files, and KEYS_IN_HOME.
    """
    if to is None and s.keys_from != "files":
        raise ConfigError(
            "KEYS_NEED_FOLDER",
            f"Kunci diambil dari {s.keys_from}; kunci baru harus ditulis ke folder lebih dahulu.",
            f"Keys come from {s.keys_from}; new ones have to be written to a folder first.",
            "Sebut folder sementara dengan --to, pindahkan isinya ke sana, lalu musnahkan folder itu.",
            "Name a temporary folder with --to, move its content there, then destroy the folder.",
        )
    has_current = to is None and any((s.keys / name).exists() for name in FILES)
    folder = to or (s.keys / NEXT if has_current else s.keys)
    _refuse_home(s, folder / LANDING_SECRET)
    _refuse_to_overwrite(folder, FILES)
    if has_current:
        describe(s)
    elif to is None and checks_in_use(s):
        raise ConfigError(
            "KEYS_LOST",
            "Data di sini berada di bawah kunci yang tidak ada di folder kunci; kunci baru tidak membukanya.",
            "The data here stand under keys that are not in the key folder; new ones would not open them.",
            "Pulihkan kunci itu dari cadangan.",
            "Restore those keys from backup.",
        )
    _private(folder)
    _make_set(folder, version=_version(_text(s, VAULT, "current")) + 1 if has_current else 1)
    return folder


def promote(s: Settings) -> bool:
    """Make the next generation of files the current one and keep the old apart; may be repeated after a kill.

    False where keys do not stand in files we may write: a person then puts the successors in place.
    """
    if s.keys_from != "files" or not os.access(s.keys, os.W_OK):
        return False
    folder = s.keys / NEXT
    for name in FILES:
        current, successor = s.keys / name, folder / name
        if not successor.exists():
            continue
        _private(s.keys / PREVIOUS)
        target = s.keys / PREVIOUS / f"{name}.{check_value(_parsed(current.read_text('ascii'), name))[:8]}"
        if not target.exists():
            os.link(current, target)
            files.sync(target.parent)
        files.put_in_place((successor, current))
    if folder.is_dir():
        shutil.rmtree(folder)
    return True


def _make_set(folder: Path, version: int) -> None:
    files.write_once(folder / LANDING_SECRET, f"{Identity.generate()}\n".encode())
    secret: Identity = _parsed((folder / LANDING_SECRET).read_text("ascii"), LANDING_SECRET)
    files.write_once(folder / LANDING_PUBLIC, f"{secret.to_public()}\n".encode())
    for name in (PSEUDONYM, VAULT):
        files.write_once(folder / name, f"warehouse-key {version}\n{secrets.token_bytes(32).hex()}\n".encode())


def _is_text(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode("ascii")


def _refuse_to_overwrite(folder: Path, names: Iterable[str]) -> None:
    there = sorted(name for name in names if (folder / name).exists())
    if there:
        raise ConfigError(
            "KEYS_THERE",
            f"Folder {folder} sudah berisi {there[0]}.",
            f"Folder {folder} already holds {there[0]}.",
            "Jalankan `warehouse keys rotate`, atau pilih folder lain; kunci tidak pernah ditimpa.",
            "Run `warehouse keys rotate`, or choose another folder; keys are never overwritten.",
        )


def _private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


# --- where they stand ------------------------------------------------------------------------------------------------


def _text(s: Settings, name: str, generation: Generation) -> str:
    text = {"files": _from_file, "environment": _from_environment, "airflow": _from_airflow}[s.keys_from](
        s, name, generation
    )
    if text is None:
        raise ConfigError(
            "KEYS_MISSING",
            f"Kunci {name} tidak ada ({_place(s)}).",
            f"Key {name} is missing ({_place(s)}).",
            "Pasang kunci produksi di tempat yang disebut WAREHOUSE_KEYS_FROM, atau jalankan sandbox.",
            "Install the production keys where WAREHOUSE_KEYS_FROM says, or run the sandbox.",
        )
    return text


def _place(s: Settings) -> str:
    return str(s.keys) if s.keys_from == "files" else s.keys_from


def _variable(name: str, generation: Generation) -> str:
    """``landing.key`` -> ``landing_key`` or ``next_landing_key``: the setting, and with a prefix Airflow's variable."""
    return ("next_" if generation == "next" else "") + name.replace(".", "_")


def _from_environment(s: Settings, name: str, generation: Generation) -> str | None:
    value: SecretStr | None = getattr(s, _variable(name, generation))
    return value.get_secret_value() if value else None


def _from_airflow(_s: Settings, name: str, generation: Generation) -> str | None:
    # Seconds to import, and only where Airflow is asked at all.
    from airflow.sdk import Variable
    from airflow.sdk.log import mask_secret

    value: str | None = Variable.get(f"warehouse_{_variable(name, generation)}", default=None)
    if value and name != LANDING_PUBLIC:
        mask_secret(value)
    return value


def _from_file(s: Settings, name: str, generation: Generation) -> str | None:
    path = (s.keys if generation == "current" else s.keys / NEXT) / name
    if path.exists():
        _refuse_home(s, path)
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if name != LANDING_PUBLIC and mode & 0o077:
            raise ConfigError(
                "KEYS_READABLE",
                f"Kunci {name} dapat dibaca pengguna lain (mode {mode:o}).",
                f"Key {name} can be read by other users (mode {mode:o}).",
                f"Jalankan chmod 600 pada {path}, lalu pertimbangkan untuk mengganti kunci itu.",
                f"Run chmod 600 on {path}, and consider replacing the key.",
            )
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise _unusable(name) from None


def _refuse_home(s: Settings, path: Path) -> None:
    if not is_sandbox(s) and path.resolve().is_relative_to(s.home.resolve()):
        raise ConfigError(
            "KEYS_IN_HOME",
            f"Kunci {path.name} berada di bawah WAREHOUSE_HOME tanpa tanda SANDBOX.",
            f"Key {path.name} lies under WAREHOUSE_HOME without a SANDBOX mark.",
            "Pindahkan kunci ke folder di luar WAREHOUSE_HOME dan arahkan WAREHOUSE_KEYS_DIR ke sana.",
            "Move the keys to a folder outside WAREHOUSE_HOME and point WAREHOUSE_KEYS_DIR at it.",
        )


def _parsed(text: str, name: str) -> Identity | Recipient | bytes:
    parse: dict[str, Callable[[str], Identity | Recipient | bytes]] = {
        LANDING_PUBLIC: Recipient.from_str,
        LANDING_SECRET: Identity.from_str,
        PSEUDONYM: _secret_bytes,
        VAULT: _secret_bytes,
    }
    try:
        return parse[name](text.strip() if name.startswith("landing") else text)
    except (ValueError, pyrage.RecipientError, pyrage.IdentityError):
        raise _unusable(name) from None


def _secret_bytes(text: str) -> bytes:
    match = _HEX_KEY.fullmatch(text)
    if not match:
        raise ValueError("not a version line and 64 hex digits")
    return bytes.fromhex(match[2])


def _version(text: str) -> int:
    match = _HEX_KEY.fullmatch(text)
    return int(match[1]) if match else 1


def _unusable(name: str) -> ConfigError:
    return ConfigError(
        "KEYS_INVALID",
        f"Kunci {name} tidak dapat dibaca atau rusak.",
        f"Key {name} cannot be read or is damaged.",
        "Pulihkan berkas kunci itu dari cadangan; jangan membuat yang baru.",
        "Restore that key file from backup; do not make a new one.",
    )
