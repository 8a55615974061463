"""What the machine refuses, told as such: no room, no writing, no memory, a ledger that is locked or away.

Here: which errors of system and engines say so, and the words for it. Not here: faults of a delivery or of ours.
"""

import errno
import os
import sqlite3

import duckdb

from warehouse.core.errors import WarehouseError


class MachineError(WarehouseError):
    """Nothing is wrong with what was asked or sent; the same again is right once the machine is."""


_CODES = {
    errno.ENOSPC: "DISK_FULL",
    errno.EDQUOT: "DISK_FULL",
    errno.EROFS: "DISK_READ_ONLY",
    errno.EIO: "DISK_FAILS",
    errno.ENOMEM: "MEMORY_SHORT",
}
_CODES_OF_SQLITE = {
    "SQLITE_FULL": "DISK_FULL",
    "SQLITE_READONLY": "DISK_READ_ONLY",
    "SQLITE_IOERR": "DISK_FAILS",
    "SQLITE_BUSY": "LEDGER_LOCKED",
    "SQLITE_LOCKED": "LEDGER_LOCKED",
    "SQLITE_CANTOPEN": "LEDGER_AWAY",
    "SQLITE_CORRUPT": "LEDGER_DAMAGED",
    "SQLITE_NOTADB": "LEDGER_DAMAGED",
}
# By name: the driver is loaded where the ledger is Postgres alone.
_LOST_POSTGRES = {"OperationalError", "InterfaceError"}
_TEXTS = {
    "DISK_FULL": (
        "Cakram penuh; tidak ada yang setengah jadi.",
        "The disk is full; nothing is left half done.",
        "Beri ruang di cakram itu, lalu ulangi langkah ini.",
        "Make room on that disk, then run the step again.",
    ),
    "DISK_READ_ONLY": (
        "Sistem berkas hanya dapat dibaca; tidak ada yang ditulis.",
        "The file system is read-only; nothing was written.",
        "Periksa cakram dan cara memasangnya, lalu ulangi langkah ini.",
        "Check the disk and how it is mounted, then run the step again.",
    ),
    "DISK_FAILS": (
        "Cakram gagal membaca atau menulis.",
        "The disk failed to read or write.",
        "Periksa kesehatan cakram; bila ada yang rusak, pulihkan dari cadangan.",
        "Check the disk's health; restore from backup what is damaged.",
    ),
    "MEMORY_SHORT": (
        "Memori tidak cukup untuk langkah ini.",
        "There is not enough memory for this step.",
        "Kurangi WAREHOUSE_DUCKDB_MEMORY atau pekerjaan lain di mesin itu, lalu ulangi.",
        "Lower WAREHOUSE_DUCKDB_MEMORY or what else runs on that machine, then repeat.",
    ),
    "LEDGER_LOCKED": (
        "Buku besar dikunci proses lain selama lebih dari satu menit.",
        "Another process has locked the ledger for more than a minute.",
        "Tunggu proses itu selesai, lalu ulangi; tidak ada yang hilang.",
        "Wait until that process has ended, then repeat; nothing is lost.",
    ),
    "LEDGER_AWAY": (
        "Buku besar tidak dapat dijangkau.",
        "The ledger cannot be reached.",
        "Periksa WAREHOUSE_LEDGER_URL dan apakah basis datanya berjalan, lalu ulangi; tidak ada yang hilang.",
        "Check WAREHOUSE_LEDGER_URL and that its database runs, then repeat; nothing is lost.",
    ),
    "LEDGER_DAMAGED": (
        "Berkas buku besar rusak.",
        "The ledger's file is damaged.",
        "Pulihkan buku besar dari cadangan; jangan menjalankan apa pun sebelum itu.",
        "Restore the ledger from backup; run nothing before that.",
    ),
}


def told(error: BaseException) -> MachineError | None:
    """The machine's refusal in words of ours; None for any other error. The error's own text is not shown."""
    code = _code(error)
    return MachineError(code, *_TEXTS[code]) if code else None


def disk_full() -> MachineError:
    """For what only says in its log that there is no more room."""
    return MachineError("DISK_FULL", *_TEXTS["DISK_FULL"])


def says_disk_full(text: str) -> bool:
    """Whether an engine's words hold the system's for a full disk."""
    return os.strerror(errno.ENOSPC) in text


def _code(error: BaseException) -> str | None:
    # SQLAlchemy keeps the driver's error.
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", None) or ""
        return next((code for start, code in _CODES_OF_SQLITE.items() if name.startswith(start)), None)
    if isinstance(cause, MemoryError | duckdb.OutOfMemoryException):
        return "MEMORY_SHORT"
    if isinstance(cause, OSError):
        return _CODES.get(cause.errno or 0)
    if isinstance(cause, duckdb.Error):
        return next((code for number, code in _CODES.items() if os.strerror(number) in str(cause)), None)
    is_of_postgres = type(cause).__module__.startswith("psycopg2")
    return "LEDGER_AWAY" if is_of_postgres and type(cause).__name__ in _LOST_POSTGRES else None
