"""What befalls the disk during a backup or a restore, as errors that say what to do."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.core.errors import RecoveryError

_SPARE_BYTES = 16 << 20
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


def demand_space(folder: Path, n_bytes_needed: int) -> None:
    """Raise RecoveryError RECOVERY_NO_SPACE at once where ``needed`` bytes cannot fit."""
    free = shutil.disk_usage(folder).free
    if n_bytes_needed + _SPARE_BYTES > free:
        raise _no_space(folder, f"{n_bytes_needed / 1e9:.1f} GB > {free / 1e9:.1f} GB")


@contextmanager
def told(place: Path) -> Iterator[None]:
    """Turn OSError into RecoveryError RECOVERY_NO_SPACE or RECOVERY_NOT_WRITTEN; ``place`` where it names none."""
    try:
        yield
    except OSError as error:
        where, why = Path(error.filename or place), os.strerror(error.errno) if error.errno else str(error)
        if error.errno in _NO_SPACE:
            raise _no_space(where, why) from error
        raise RecoveryError(
            "RECOVERY_NOT_WRITTEN",
            f"Berkas tidak dapat dibaca atau ditulis: {where} ({why}).",
            f"A file could not be read or written: {where} ({why}).",
            "Periksa cakram dan izin, lalu jalankan lagi; cadangan yang sudah ada tetap utuh.",
            "Check the disk and its permissions, then run it again; backups that are there stay whole.",
        ) from error


def _no_space(place: Path, why: str) -> RecoveryError:
    return RecoveryError(
        "RECOVERY_NO_SPACE",
        f"Ruang di {place} tidak cukup ({why}).",
        f"There is not enough space in {place} ({why}).",
        "Sediakan ruang, atau simpan lebih sedikit cadangan dengan --keep, lalu jalankan lagi; cadangan yang sudah ada"
        " tetap utuh.",
        "Make room, or keep fewer backups with --keep, then run it again; backups that are there stay whole.",
    )
