"""The access log: who opened pseudonymised facts or clear identities, for what, with whose approval, until when.

Here: recording an opening and asking whether one is in force. Not here: what is opened (micro, review), telling people
of a breach (breach).

An opening is on record before anything is decrypted, so that the log is never behind what was seen. Clear identities
take two people (``approvals``), and the log has each record that was looked at.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.ledger import accounts, tables
from warehouse.ledger.store import Ledger, new_id

Subject = Literal["micro", "identity"]
MOST_HOURS = 72
_PURPOSE_LENGTH = 10
_TWO_PEOPLE: tuple[Subject, ...] = ("identity",)


def open_for(
    s: Settings,
    led: Ledger,
    subject: Subject,
    person: str,
    purpose: str,
    hours: int,
    *,
    approver: str | None = None,
    release_id: str | None = None,
    query: str | None = None,
    exact_because: str | None = None,
) -> dict[str, Any]:
    """Record an opening and return its row; raises ConfigError OPENING_REFUSED or OPENING_UNAPPROVED.

    ``exact_because``: why counts below the release's base are to be printed as they are.
    """
    person, purpose, approver = person.strip(), purpose.strip(), (approver or "").strip() or None
    if not person or len(purpose) < _PURPOSE_LENGTH or not 1 <= hours <= MOST_HOURS:
        raise ConfigError(
            "OPENING_REFUSED",
            f"Data pribadi dibuka dengan nama, tujuan (sekurangnya sepuluh huruf) dan waktu 1–{MOST_HOURS} jam.",
            f"Personal data open with a name, a purpose (at least ten letters) and 1–{MOST_HOURS} hours.",
            "Lengkapi --person, --purpose dan --hours.",
            "Complete --person, --purpose and --hours.",
        )
    if exact_because is not None and len(exact_because.strip()) < _PURPOSE_LENGTH:
        raise ConfigError(
            "OPENING_EXACT_UNEXPLAINED",
            "Cacah kecil hanya dicetak apa adanya dengan alasan (sekurangnya sepuluh huruf).",
            "Small counts are printed as they are only with a reason (at least ten letters).",
            "Lengkapi --exact-because, atau hilangkan.",
            "Complete --exact-because, or leave it out.",
        )
    if subject in _TWO_PEOPLE:
        demand_two_people(person, approver)
    now = s.utc_now()
    row = {
        "opening_id": new_id(),
        "subject": subject,
        "release_id": release_id,
        "person": person,
        "account": accounts.account(),
        "purpose": purpose,
        "approver": approver,
        "opened_at": now,
        "expires_at": now + timedelta(hours=hours),
        "query": query,
        "exact_because": exact_because,
    }
    led.insert(tables.openings, row)
    return row


def record_rows(led: Ledger, opening: Mapping[str, Any], rows: int) -> None:
    """Record how many rows an opening's query gave."""
    table = tables.openings
    with led.write() as connection:
        connection.execute(table.update().where(table.c.opening_id == opening["opening_id"]), {"rows_shown": rows})


def demand_open(s: Settings, led: Ledger, subject: Subject, person: str) -> dict[str, Any]:
    """The person's newest opening that has not expired; raises ConfigError OPENING_NONE without one."""
    rows = led.rows(
        sa.select(tables.openings)
        .where(
            tables.openings.c.subject == subject,
            tables.openings.c.person == person.strip(),
            tables.openings.c.account == accounts.account(),
            tables.openings.c.expires_at > s.utc_now(),
        )
        .order_by(tables.openings.c.opened_at.desc())
        .limit(1)
    )
    if not rows:
        raise ConfigError(
            "OPENING_NONE",
            "Tidak ada pembukaan data pribadi yang masih berlaku atas nama ini.",
            "No opening of personal data is in force under this name.",
            "Buka dahulu dengan nama, tujuan, waktu dan, untuk identitas, persetujuan orang kedua.",
            "Open them first with name, purpose, hours and, for identities, a second person's approval.",
        )
    return rows[0]


def record_look(s: Settings, led: Ledger, opening: Mapping[str, Any], record_keys: Iterable[str]) -> None:
    """Record whose identities are about to be shown under an opening, by record key."""
    look = {"opening_id": opening["opening_id"], "looked_at": s.utc_now()}
    with led.write() as connection:
        connection.execute(tables.looks.insert(), [look | {"record_key": key} for key in record_keys])


def looks(led: Ledger) -> dict[str, int]:
    """How many different records were looked at, by opening."""
    counts = sa.select(tables.looks.c.opening_id, sa.func.count(sa.distinct(tables.looks.c.record_key)).label("n"))
    return {row["opening_id"]: row["n"] for row in led.rows(counts.group_by(tables.looks.c.opening_id))}


def since(led: Ledger, moment: datetime, until: datetime | None = None) -> list[dict[str, Any]]:
    """Openings in force at any time from ``moment`` on (and up to ``until``), oldest first."""
    select = sa.select(tables.openings).where(tables.openings.c.expires_at >= moment)
    if until is not None:
        select = select.where(tables.openings.c.opened_at <= until)
    return led.rows(select.order_by(tables.openings.c.opened_at))


def demand_two_people(person: str, approver: str | None) -> None:
    """Raise ConfigError OPENING_UNAPPROVED unless somebody else than ``person`` approves."""
    if not approver or approver.strip().casefold() == person.strip().casefold():
        raise ConfigError(
            "OPENING_UNAPPROVED",
            "Tindakan ini memerlukan persetujuan orang kedua.",
            "This takes the approval of a second person.",
            "Orang kedua menyetujui dari akunnya sendiri: `warehouse approve`.",
            "A second person approves from their own account: `warehouse approve`.",
        )
