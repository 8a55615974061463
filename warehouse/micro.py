"""``warehouse micro``: the pseudonymised facts of the current release, opened by name, for a purpose, for a while.

Here: the locked connection. Not here: what the file holds (release), the log of openings (purpose).
"""

from pathlib import Path

import duckdb

from warehouse import duck, keys
from warehouse import purpose as purposes
from warehouse.errors import ReleaseError
from warehouse.ledger import Ledger
from warehouse.query import Answer, lock, select, unreadable
from warehouse.release.pseudonymised import attach_micro
from warehouse.release.state import MICRO_FILE, current_id
from warehouse.scan import refuse_identities
from warehouse.settings import Settings


def open_for(s: Settings, led: Ledger, person: str, purpose: str, hours: int) -> duckdb.DuckDBPyConnection:
    """A locked, read-only, in-memory connection on the current release's pseudonymised file.

    The opening is on record before a byte is decrypted. Raises ConfigError OPENING_REFUSED or KEYS_*, ReleaseError
    MICRO_NONE; nothing is on record then. Raises ReleaseError RELEASE_UNREADABLE for a damaged file.
    """
    release_id = current_id(s)
    path = _micro_file(s, release_id)
    refuse_identities(purpose)
    keys.vault_key(s)
    purposes.open_for(s, led, "micro", person, purpose, hours, release_id=release_id)
    connection = duck.connect(s, sees_identifiers=True)
    try:
        attach_micro(connection, s, path, path.parent.name)
    except duckdb.Error as error:
        raise unreadable([path], error) from None
    connection.execute("USE micro")
    lock(connection)
    return connection


def query(s: Settings, led: Ledger, person: str, purpose: str, hours: int, sql: str) -> Answer:
    """Column names and rows of one SELECT on the pseudonymised facts; the opening is logged."""
    with open_for(s, led, person, purpose, hours) as connection:
        return select(connection, sql)


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
