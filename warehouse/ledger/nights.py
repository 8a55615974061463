"""One ledger row for each run of the marts step, also of one that was killed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from warehouse.core import files, machine
from warehouse.core.settings import Settings
from warehouse.ledger import deliveries, tables
from warehouse.ledger.store import Ledger, new_id
from warehouse.ledger.warehouse import Warehouse


@dataclass
class Night:
    """What a run of the marts step writes into its row when it ends."""

    outcome: str = "failed"
    detail: str = ""


@contextmanager
def recorded(w: Warehouse, logical_date: date) -> Iterator[Night]:
    """One row for a run of the marts step; yields what is written into it at the end.

    A night holds a lock on a file of its own while it runs: a row that says ``running`` and whose file nobody holds is
    of a night that was killed, and is closed as failed by the next.
    """
    folder = _folder(w.settings)
    folder.mkdir(parents=True, exist_ok=True)
    running = w.ledger.rows(sa.select(tables.nights.c.night_id).where(tables.nights.c.outcome == "running"))
    for row in running:
        file = folder / row["night_id"]
        with suppress(BlockingIOError), files.exclusive_lock(file, wait=False):
            _end(w, row["night_id"], Night("failed", "KILLED"))
            file.unlink()
    night_id, night = new_id(), Night()
    file = folder / night_id
    with files.exclusive_lock(file):
        (before,) = w.ledger.rows(sa.select(sa.func.max(tables.nights.c.started_at).label("last")))
        w.ledger.insert(
            tables.nights,
            {
                "night_id": night_id,
                "logical_date": logical_date,
                "started_at": deliveries.not_before(w.clock.stamp(), before["last"]),
                "outcome": "running",
            },
        )
        try:
            yield night
        except BaseException as error:
            night.detail = night.detail or getattr(machine.told(error) or error, "code", type(error).__name__)
            raise
        finally:
            _end(w, night_id, night)
            file.unlink()


def last(s: Settings, led: Ledger) -> dict[str, Any] | None:
    """The newest run of the marts step; ``killed`` where it is on record as running and its process is gone."""
    columns = tables.nights.c
    rows = led.rows(sa.select(tables.nights).order_by(columns.started_at.desc()).limit(1))
    if not rows:
        return None
    night = {key: value for key, value in rows[0].items() if key != "night_id"}
    if night["outcome"] == "running" and _is_gone(_folder(s) / rows[0]["night_id"]):
        night["outcome"] = "killed"
    return night


def _is_gone(file: Path) -> bool:
    """Whether nobody holds a night's lock; who may not look at it is told what the ledger says."""
    try:
        if not file.exists():
            return True
        with files.shared_lock(file, wait=False):
            return True
    except (BlockingIOError, PermissionError):
        return False


def _folder(s: Settings) -> Path:
    return s.tmp_dir / "nights"


def _end(w: Warehouse, night_id: str, night: Night) -> None:
    end = {"outcome": night.outcome, "detail": night.detail, "ended_at": w.clock.stamp()}
    with w.ledger.write() as connection:
        connection.execute(tables.nights.update().where(tables.nights.c.night_id == night_id), end)
