"""Which releases there are, which one readers see, which are kept; rollback and unpin.

Here: folders, the ``current`` link and the ledger's rows on them. Not here: what a release holds (content).
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from warehouse import ledger
from warehouse.core import files, permissions
from warehouse.core.errors import ConfigError, ReleaseError
from warehouse.core.periods import JAKARTA
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, tables
from warehouse.scan import refuse_identities

KEPT = 14
MICRO_FILE = "micro.duckdb"
MANIFEST_FILE = "manifest.json"
_REASON_LENGTH = 10


@contextmanager
def only_releaser(s: Settings) -> Iterator[None]:
    """Hold the lock under which releases are made, switched and removed; waits for another holder."""
    s.releases_dir.mkdir(parents=True, exist_ok=True)
    with files.exclusive_lock(s.releases_dir / ".lock"):
        yield


def kept(led: Ledger) -> list[dict[str, Any]]:
    """Ledger rows of the releases for readers that are kept, newest first."""
    table = tables.releases
    condition = sa.and_(table.c.removed_at.is_(None), table.c.disclosure == "on")
    return led.rows(sa.select(table).where(condition).order_by(table.c.created_at.desc()))


def manifest(s: Settings, release_id: str) -> dict[str, Any]:
    """What a release says of itself; empty where it is not kept here, or damaged."""
    try:
        document: dict[str, Any] = json.loads((s.releases_dir / release_id / MANIFEST_FILE).read_text(encoding="utf-8"))
        return document
    except (FileNotFoundError, ValueError):
        return {}


def newest(led: Ledger) -> dict[str, Any] | None:
    return next(iter(kept(led)), None)


def _last_decision(led: Ledger) -> dict[str, Any] | None:
    rows = led.rows(sa.select(tables.pins).order_by(tables.pins.c.decided_at.desc()).limit(1))
    return rows[0] if rows else None


def pin(led: Ledger) -> dict[str, Any] | None:
    """The pin in effect, or None."""
    last = _last_decision(led)
    return last if last and last["release_id"] else None


def current_id(s: Settings) -> str | None:
    """The release readers see."""
    return s.current.readlink().name if s.current.is_symlink() else None


def point_current(s: Settings, led: Ledger) -> None:
    """Make the pinned release current, else the newest. One rename: readers see the old or the new, never neither."""
    pinned, last = pin(led), newest(led)
    release_id = pinned or last
    if release_id is None or release_id["release_id"] == current_id(s):
        return
    files.point(s.current, Path(s.releases_dir.name) / release_id["release_id"])


def remove_folder(folder: Path) -> None:
    """Remove a release's folder, which is read-only."""
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        path.chmod(0o700)
    shutil.rmtree(folder)


def folders(s: Settings) -> list[Path]:
    """Folders under the name of a release, whether or not the ledger knows it."""
    return [path for path in s.releases_dir.glob("*") if path.is_dir() and not path.name.startswith(".")]


def is_whole(s: Settings, release_id: str) -> bool:
    """Whether a release's files are what its manifest says; the pseudonymised one, kept for less long, may be gone."""
    folder = s.releases_dir / release_id
    about = manifest(s, release_id)
    if about.get("release_id") != release_id:
        return False
    for entry in about["files"]:
        path = folder / entry["path"]
        if not path.is_file():
            if entry["path"] == MICRO_FILE:
                continue
            return False
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                return False
    return True


def sweep(s: Settings, led: Ledger) -> int:
    """Remove what no kept release owns: drafts with their register files, folders that are no whole release.

    A whole one that the ledger does not know stays, to be taken in; so does a register file whose release nobody was
    about to make: what it says was published.
    """
    removals = {row["release_id"]: row["removed_at"] for row in led.rows(sa.select(tables.releases))}
    drafts = list(s.releases_dir.glob(".draft-*"))
    orphans = [
        path
        for path in folders(s)
        if (removals[path.name] is not None if path.name in removals else not is_whole(s, path.name))
    ]
    # A removed release's cells were published all the same: its register file stays.
    unborn = ({"", *(path.name.removeprefix(".draft-") for path in (*drafts, *orphans))}) - set(removals)
    registers = {path for path in s.register_dir.glob("*.*") if path.name.partition(".")[0] in unborn}
    # Only the next release needs the cells of the last.
    last = newest(led)
    registers |= {path for path in s.register_dir.glob("*.cells") if not last or path.stem != last["release_id"]}
    # Before the draft that tells whose they are.
    for path in registers:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (*drafts, *orphans):
        remove_folder(path) if path.is_dir() else path.unlink()
    return len(drafts) + len(orphans) + len(registers)


def retain(s: Settings, led: Ledger) -> int:
    """Keep the last releases, each month's last and whatever is current or pinned; returns how many were removed.

    The pseudonymised file stays with the current and the newest release only.
    """
    with only_releaser(s):
        rows = kept(led)
        months: dict[str, str] = {}
        for row in rows:
            months.setdefault(f"{row['created_at'].astimezone(JAKARTA):%Y-%m}", row["release_id"])
        pinned = pin(led)
        held_on_to = {row["release_id"] for row in rows[:KEPT]} | set(months.values()) | {current_id(s)}
        held_on_to |= {pinned["release_id"]} if pinned else set()
        expired = [row["release_id"] for row in rows if row["release_id"] not in held_on_to]
        if expired:
            with led.write() as connection:
                connection.execute(
                    tables.releases.update().where(tables.releases.c.release_id.in_(expired)),
                    {"removed_at": s.utc_now()},
                )
        sweep(s, led)
        in_use = {current_id(s), rows[0]["release_id"] if rows else None}
        for row in rows:
            micro = s.releases_dir / row["release_id"] / MICRO_FILE
            if row["release_id"] not in in_use and micro.exists():
                with open_folder(micro.parent):
                    micro.unlink()
        return len(expired)


def close_folder(s: Settings, folder: Path) -> None:
    """Make a release's folder read-only, each file for whom it is meant."""
    for path in (*folder.rglob("*"), folder):
        if path.name == MICRO_FILE:
            permissions.share(path, s.micro_group, 0o440 if s.micro_group else 0o400)
        else:
            permissions.share(path, s.readers_group, 0o555 if path.is_dir() else 0o444)


@contextmanager
def open_folder(folder: Path) -> Iterator[None]:
    """Let us write into a release's folder; closed afterwards, also where a killed process had left it open."""
    mode = folder.stat().st_mode & 0o7555
    folder.chmod(mode | 0o200)
    try:
        yield
    finally:
        folder.chmod(mode)


def listing(s: Settings, led: Ledger) -> list[dict[str, Any]]:
    """Kept releases, newest first, with what they hold and which is current."""
    pinned, current = pin(led), current_id(s)
    sums = {
        row["release_id"]: row
        for row in led.rows(
            "select release_id, sum(row_count) as row_count, sum(cells_published) as cells_published,"
            " sum(cells_rounded) as cells_rounded from release_marts group by release_id"
        )
    }
    return [
        {
            "release_id": row["release_id"],
            "created_at": row["created_at"],
            "is_current": row["release_id"] == current,
            "is_pinned": pinned is not None and pinned["release_id"] == row["release_id"],
            "previous_release_id": row["previous_release_id"],
            "row_count": int(sums.get(row["release_id"], {}).get("row_count") or 0),
            "cells_published": int(sums.get(row["release_id"], {}).get("cells_published") or 0),
            "cells_rounded": int(sums.get(row["release_id"], {}).get("cells_rounded") or 0),
            "disclosure": row["disclosure"],
            "scan_verdict": row["scan_verdict"],
            "code_version": row["code_version"],
        }
        for row in kept(led)
    ]


def current_state(s: Settings, led: Ledger) -> dict[str, Any] | None:
    """The release readers see; whether it is pinned, since when and why; and the newest one there is."""
    current = current_id(s)
    rows = {row["release_id"]: row for row in kept(led)}
    if current not in rows:
        return None
    pinned = pin(led)
    return {
        "release_id": current,
        "created_at": rows[current]["created_at"],
        "is_pinned": pinned is not None,
        "pinned_since": pinned["decided_at"] if pinned else None,
        "pinned_by": pinned["decided_by"] if pinned else None,
        "pinned_reason": pinned["reason"] if pinned else None,
        "newest_release_id": next(iter(rows)),
    }


def rollback(s: Settings, led: Ledger, release_id: str, reason: str, by: str) -> None:
    """Make a kept release current and pin it there, until ``unpin``. Raises ReleaseError RELEASE_UNKNOWN."""
    demand_reason(reason)
    with only_releaser(s):
        kept_ids = {row["release_id"] for row in kept(led)}
        if release_id not in kept_ids or not (s.releases_dir / release_id).is_dir():
            raise ReleaseError(
                "RELEASE_UNKNOWN",
                f"Rilis {release_id!r} tidak disimpan di sini.",
                f"Release {release_id!r} is not kept here.",
                "Lihat `warehouse releases list`.",
                "See `warehouse releases list`.",
            )
        _record_pin(s, led, release_id, reason, by)
        point_current(s, led)


def unpin(s: Settings, led: Ledger, reason: str, by: str) -> None:
    """Let the newest release be current again. Raises ReleaseError NOT_PINNED."""
    demand_reason(reason)
    with only_releaser(s):
        if pin(led) is None:
            raise ReleaseError(
                "NOT_PINNED",
                "Tidak ada rilis yang disematkan.",
                "No release is pinned.",
                "Tidak ada yang perlu dilakukan.",
                "There is nothing to do.",
            )
        _record_pin(s, led, None, reason, by)
        point_current(s, led)


def _record_pin(s: Settings, led: Ledger, release_id: str | None, reason: str, by: str) -> None:
    last = _last_decision(led)
    # Decisions are told apart by their time, also under a clock that stands still.
    earliest = last["decided_at"] + timedelta(milliseconds=1) if last else s.utc_now()
    led.insert(
        tables.pins,
        {
            "pin_id": ledger.new_id(),
            "release_id": release_id,
            "reason": reason.strip(),
            "decided_by": by,
            "decided_at": max(earliest, s.utc_now()),
        },
    )


def demand_reason(reason: str) -> None:
    """Raise ConfigError REASON_MISSING where a decision has none; refuse a reason that holds an identifier."""
    if len(reason.strip()) < _REASON_LENGTH:
        raise ConfigError(
            "REASON_MISSING",
            "Keputusan tanpa alasan tidak diterima.",
            "A decision without a reason is not accepted.",
            "Tulis alasan sekurangnya sepuluh huruf.",
            "Write a reason of at least ten letters.",
        )
    refuse_identities(reason)
