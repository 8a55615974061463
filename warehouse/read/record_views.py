"""``warehouse micro``: the pseudonymised facts of the current release, opened by name, for a purpose, for a while.

Here: the locked connection, and small counts written as "<5" unless the opening says why not: one who counts by the way
shall not carry a small count away by accident. Whoever opens the file can read its rows all the same; the log has what
was asked. Not here: what the file holds (release), the log of openings (purpose).
"""

from pathlib import Path
from typing import Any

import duckdb

from warehouse.core import duck
from warehouse.core.errors import ReleaseError
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, access_log
from warehouse.read.query import Answer, lock, select, unreadable
from warehouse.release.pseudonymised import attach_micro
from warehouse.release.state import MICRO_FILE, current_id
from warehouse.scan import refuse_identities
from warehouse.storage import keys


def query(
    s: Settings,
    led: Ledger,
    person: str,
    purpose: str,
    hours: int,
    sql: str,
    exact_because: str | None = None,
) -> Answer:
    """Column names and rows of one SELECT on the current release's pseudonymised file, over a locked connection.

    The opening, with the query, is on record before a byte is decrypted, the number of rows after. Whole numbers from 1
    to one below the release's base come as ``"<5"``, but for columns of the file itself and under ``exact_because``.
    Raises ConfigError OPENING_* or KEYS_*, ReleaseError MICRO_NONE; nothing is on record then. Raises ReleaseError
    RELEASE_UNREADABLE for a damaged file.
    """
    release_id = current_id(s)
    path = _micro_file(s, release_id)
    for text in (purpose, sql, exact_because or ""):
        refuse_identities(text)
    keys.vault_key(s)
    opening = access_log.open_for(
        s, led, "micro", person, purpose, hours, release_id=release_id, query=sql, exact_because=exact_because
    )
    with duck.connect(s, sees_identifiers=True) as connection:
        try:
            attach_micro(connection, s, path, path.parent.name)
        except duckdb.Error as error:
            raise unreadable([path], error) from None
        connection.execute("USE micro")
        lock(connection, s)
        names, rows = select(connection, sql, s)
        stored_files = {
            name
            for (name,) in connection.execute(
                "SELECT DISTINCT column_name FROM duckdb_columns() WHERE database_name = 'micro'"
            ).fetchall()
        }
    access_log.record_rows(led, opening, len(rows))
    if exact_because:
        return names, rows
    counts = [name not in stored_files for name in names]
    return names, [
        tuple(
            _veiled(value, s.disclosure_threshold) if is_count else value
            for value, is_count in zip(row, counts, strict=True)
        )
        for row in rows
    ]


def _veiled(value: Any, base: int) -> Any:
    return f"<{base}" if isinstance(value, int) and not isinstance(value, bool) and 0 < value < base else value


def _micro_file(s: Settings, release_id: str | None) -> Path:
    path = s.releases_dir / release_id / MICRO_FILE if release_id else None
    if path is None or not path.is_file():
        raise ReleaseError(
            "MICRO_NONE",
            "Rilis yang berlaku tidak mempunyai berkas mikro.",
            "The current release has no micro file.",
            "Berkas itu hanya ada pada rilis terbaru: jalankan `warehouse releases unpin` atau satu malam.",
            "Only the newest release has one: run `warehouse releases unpin`, or a night.",
        )
    return path
