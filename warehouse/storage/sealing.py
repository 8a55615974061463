"""Files to and from age encryption in one pass each, hashed on both sides as they go.

Here: one file to one file. Not here: whose keys (keys), which files and where they lie (landing, recovery).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyrage
from pyrage.x25519 import Identity, Recipient

from warehouse.core import files


@dataclass(frozen=True)
class Sealed:
    """SHA-256 of the clear and of the encrypted bytes, and how many clear bytes there were."""

    clear_sha256: str
    sealed_sha256: str
    bytes: int


class _Hashing:
    """A binary stream that hashes and counts what passes through it, in the shape pyrage reads and writes."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._hash = hashlib.sha256()
        self.bytes = 0
        self.failed: OSError | None = None

    def read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except OSError as error:
            self.failed = error
            raise
        self._hash.update(data)
        self.bytes += len(data)
        return data

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.bytes += len(data)
        try:
            return self._stream.write(data)
        except OSError as error:
            self.failed = error
            raise

    def flush(self) -> None:
        self._stream.flush()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def seal(source: Path, target: Path, recipients: Sequence[Recipient]) -> Sealed:
    """Encrypt ``source`` to the new file ``target``; raises OSError, such as of a disk that takes no more."""
    with source.open("rb") as clear, files.new_file(target) as output:
        reader, writer = _Hashing(clear), _Hashing(output)
        try:
            pyrage.encrypt_io(reader, writer, recipients)
        except pyrage.EncryptError as error:
            # It says so too when the disk takes no more, and keeps the reason as words.
            raise writer.failed or reader.failed or error from error
    return Sealed(reader.hexdigest(), writer.hexdigest(), reader.bytes)


def unseal(source: Path, target: Path, identities: Sequence[Identity]) -> Sealed:
    """Decrypt ``source`` to the new file ``target``; raises OSError, and pyrage.DecryptError for what does not open."""
    with source.open("rb") as source_file, files.new_file(target) as clear:
        reader, writer = _Hashing(source_file), _Hashing(clear)
        try:
            pyrage.decrypt_io(reader, writer, identities)
        except (pyrage.DecryptError, OSError) as error:
            # What was tampered with comes as an OSError of no number.
            raise writer.failed or reader.failed or pyrage.DecryptError(str(error)) from error
    return Sealed(writer.hexdigest(), reader.hexdigest(), writer.bytes)
