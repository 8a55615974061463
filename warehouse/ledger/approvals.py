"""Acts that take two persons: asked for from one account, approved from another, done once.

Here: the request, its approval, its use. Not here: what is done then, and what is searched for identities before it is
written (the steps that ask). A name on a command line is a claim; what makes two persons of two names is the account
each acted from (``accounts``). The command that is asked for is run again once it is approved, word for word.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

import sqlalchemy as sa

from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.ledger import accounts, tables
from warehouse.ledger.store import Ledger, new_id

Act = Literal["identity", "withdraw", "reinstate", "erase", "rotate_keys"]
# How long a request waits for its approval, and an approval for its use.
HOURS = 24
_SHORTEST_REASON = 10
_TABLE = tables.approvals


@contextmanager
def approved(s: Settings, led: Ledger, act: Act, about: str, by: str, reason: str) -> Iterator[str]:
    """Who approved this very act, as ``name (account)``; used up when what is done under it has not failed.

    ``about`` is what it is done to, in words that identify nobody. Without an approval the request is put on record,
    once, and ConfigError APPROVAL_AWAITED raised. Raises APPROVAL_REFUSED without a name or a reason of ten letters.
    """
    by, reason = by.strip(), reason.strip()
    if not by or len(reason) < _SHORTEST_REASON:
        raise ConfigError(
            "APPROVAL_REFUSED",
            "Tindakan ini memerlukan nama dan alasan sekurangnya sepuluh huruf.",
            "This takes a name and a reason of at least ten letters.",
            "Lengkapi nama dan alasan atau tujuannya.",
            "Complete the name, and the reason or purpose.",
        )
    asked = {"act": act, "about": about, "asked_by": by, "asked_account": accounts.account(), "reason": reason}
    same = [_TABLE.c[name] == value for name, value in asked.items()]
    rows = led.rows(sa.select(_TABLE).where(*same, *_open(s)).order_by(_TABLE.c.asked_at.desc()).limit(1))
    if not rows:
        now = s.utc_now()
        row = asked | {"approval_id": new_id(), "asked_at": now, "expires_at": now + timedelta(hours=HOURS)}
        led.insert(_TABLE, row)
        rows = [row | {"approved_at": None}]
    (request,) = rows
    if not request["approved_at"]:
        raise ConfigError(
            "APPROVAL_AWAITED",
            f"Permintaan {request['approval_id'][:8]} menunggu persetujuan orang kedua dari akunnya sendiri.",
            f"Request {request['approval_id'][:8]} waits for a second person's approval, from an account of their own.",
            f"Di sana: `warehouse approve {request['approval_id'][:8]} --by NAMA`; sesudahnya ulangi perintah ini dalam"
            f" {HOURS} jam.",
            f"There: `warehouse approve {request['approval_id'][:8]} --by NAME`; then run this command again within"
            f" {HOURS} hours.",
        )
    yield f"{request['approved_by']} ({request['approved_account']})"
    with led.write() as connection:
        connection.execute(
            _TABLE.update().where(_TABLE.c.approval_id == request["approval_id"]), {"used_at": s.utc_now()}
        )


def waiting(s: Settings, led: Ledger) -> list[dict[str, Any]]:
    """Requests that nobody has approved yet and that are not too old, oldest first."""
    return led.rows(sa.select(_TABLE).where(_TABLE.c.approved_at.is_(None), *_open(s)).order_by(_TABLE.c.asked_at))


def approve(s: Settings, led: Ledger, request: str, by: str, account: str | None = None) -> dict[str, Any]:
    """Approve a waiting request, named by the beginning of its id, and return it.

    ``account``: who is signed in where that is no account of the host. Raises ConfigError APPROVAL_UNKNOWN, or
    APPROVAL_OWN where name or account are those of who asked.
    """
    by, account = by.strip(), account or accounts.account()
    requests = [row for row in waiting(s, led) if request and row["approval_id"].startswith(request)]
    if len(requests) != 1:
        raise ConfigError(
            "APPROVAL_UNKNOWN",
            f"Tidak ada satu permintaan yang menunggu dengan nomor {request!r}.",
            f"There is no one waiting request by the number {request!r}.",
            "Lihat `warehouse approve` tanpa nomor; permintaan berlaku sehari.",
            "See `warehouse approve` without a number; a request stands for a day.",
        )
    (row,) = requests
    asked_from = {row["asked_by"].casefold(), row["asked_account"].casefold()}
    if not by or by.casefold() in asked_from or {account.casefold(), _bare(account)} & asked_from:
        raise ConfigError(
            "APPROVAL_OWN",
            f"Permintaan ini dibuat dari akun {row['asked_account']}; akun atau nama yang sama tidak dapat"
            " menyetujuinya.",
            f"This was asked for from the account {row['asked_account']}; the same account or name cannot approve it.",
            "Orang kedua menyetujui dengan namanya, dari akunnya sendiri.",
            "The second person approves by their name, from their own account.",
        )
    decided = {"approved_by": by, "approved_account": account, "approved_at": s.utc_now()}
    with led.write() as connection:
        connection.execute(_TABLE.update().where(_TABLE.c.approval_id == row["approval_id"]), decided)
    return row | decided


def _open(s: Settings) -> list[sa.ColumnElement[bool]]:
    return [_TABLE.c.used_at.is_(None), _TABLE.c.expires_at > s.utc_now()]


def _bare(account: str) -> str:
    """An account without the place it is signed in to: airflow:rina is rina."""
    return account.rpartition(":")[2].casefold()
