"""Files that are whole or not there, and locks that processes wait at.

Here: writing beside and renaming, so that a kill or a power cut leaves the old file or the new one; bringing files and
folders to disk; ``flock``. Not here: who may read a file (permissions), what killed processes leave (each room sweeps).

A draft lies beside its file as ``.<name>.<random>``: hidden, and never two processes' own.
"""

import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_OWNER_ONLY_FILE, _OWNER_ONLY_FOLDER = 0o600, 0o700
# Of whole_file, with what DuckDB puts beside a database.
_DRAFT = re.compile(r"[.][0-9a-f]{16}([.]wal|[.]tmp)?$")


# --- whole or not at all ---------------------------------------------------------------------------------------------


@contextmanager
def whole_file(
    path: Path, *, mode: int | None = _OWNER_ONLY_FILE, durable: bool = True, inside: Path | None = None
) -> Iterator[Path]:
    """Yield a draft to write; at the end it takes the place of ``path``. A failure leaves what was there.

    Folders that are missing are made, for the owner alone.
    ``mode``: the file's permission bits; None leaves those that the draft was given. ``durable=False`` is for what can
    be made again in no time: after a power cut it may be old, missing or empty. ``inside``: a folder of the owner's
    alone, on the same disk, for a draft whose maker gives it bits of its own where others reach the file's folder.
    """
    private_folder(path.parent)
    draft = (inside or path.parent) / f".{path.name}.{secrets.token_hex(8)}"
    try:
        yield draft
        if mode is not None:
            draft.chmod(mode)
        if durable:
            put_in_place((draft, path))
        else:
            os.replace(draft, path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def write_private(path: Path, text: str) -> None:
    """Replace a small text whole; readable to nobody but its owner, not even while it is written."""
    with whole_file(path) as draft, new_file(draft) as file:
        file.write(text.encode("utf-8"))


def sweep_drafts(folder: Path, of: str = "*", older_than: float = 0.0) -> int:
    """Remove drafts of ``whole_file`` that killed processes left beside the files named like ``of``; returns how many.

    ``older_than``: seconds since they were last written, where another process may be writing one.
    """
    before = time.time() - older_than
    drafts = [path for path in folder.glob(f".{of}.*") if _DRAFT.search(path.name) and path.stat().st_mtime < before]
    for path in drafts:
        path.unlink(missing_ok=True)
    return len(drafts)


def put_in_place(*moves: tuple[Path, Path]) -> None:
    """Rename drafts (files or folders) to their names, in this order, each whole on disk before it has its name."""
    for draft, _ in moves:
        sync(draft)
    for draft, path in moves:
        os.replace(draft, path)
    for folder in {path.parent: None for _, path in moves}:
        sync(folder)


def write_once(path: Path, content: bytes, mode: int = _OWNER_ONLY_FILE) -> bool:
    """Make ``path`` whole, or leave the one that is there and return False: of two processes the first one wins."""
    if path.exists():
        return False
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with new_file(draft, mode) as file:
        file.write(content)
    try:
        sync(draft)
        os.link(draft, path)
        sync(path.parent)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def point(link: Path, target: Path) -> None:
    """Make the symbolic link ``link`` lead to ``target`` in one step: readers follow the old one or the new one."""
    draft = link.with_name(f".{link.name}-{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    os.replace(draft, link)
    sync(link.parent)


def new_file(path: Path, mode: int = _OWNER_ONLY_FILE) -> BinaryIO:
    """Open a file that must not exist yet; nobody else may read it for a moment either."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")


def private_folder(folder: Path) -> Path:
    """Make ``folder`` and its missing parents, 0700; a file in it survives a power cut only if they do."""
    for new_folder in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        new_folder.mkdir(mode=_OWNER_ONLY_FOLDER, exist_ok=True)
        sync(new_folder.parent)
    return folder


def sync(path: Path) -> None:
    """Bring a file's content, or a folder's names, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- locks -----------------------------------------------------------------------------------------------------------


@contextmanager
def shared_lock(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold the lock of a file or folder beside others who share it; arguments and errors as ``exclusive_lock``."""
    yield from _held(path, fcntl.LOCK_SH, wait)


@contextmanager
def exclusive_lock(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold the lock of a file or folder alone; a file that is missing is made.

    Yields the lock's file descriptor: a process that inherits it holds the lock on. Raises BlockingIOError at once with
    ``wait=False`` where somebody else holds it.
    """
    yield from _held(path, fcntl.LOCK_EX, wait)


def lock_for_life(path: Path, *, wait: bool = True) -> int:
    """Take a folder's or file's exclusive lock; returns its file descriptor. Errors as ``exclusive_lock``.

    The system lets go of it when it is closed or when the process ends, however it ends.
    """
    return _lock(path, fcntl.LOCK_EX, wait)


def _held(path: Path, kind: int, wait: bool) -> Iterator[int]:
    handle = _lock(path, kind, wait)
    try:
        yield handle
    finally:
        os.close(handle)


def _lock(path: Path, kind: int, wait: bool) -> int:
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    handle = os.open(path, flags, _OWNER_ONLY_FILE)
    try:
        fcntl.flock(handle, kind if wait else kind | fcntl.LOCK_NB)
    except BaseException:
        os.close(handle)
        raise
    return handle
