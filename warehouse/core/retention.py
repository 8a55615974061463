"""What a home keeps only for a while: log files, and what killed tasks left in its temporary folder.

Not here: what is kept for a reason, raw bytes (landing), releases (release), Airflow's own rows (its own command).
"""

import time
from contextlib import suppress
from pathlib import Path

from warehouse.core.settings import Settings

_SECONDS_A_DAY = 86_400


def prune(s: Settings, keep_days: int, keep_spool_days: int = 7) -> dict[str, int]:
    """Delete log files older than ``keep_days`` and leftovers of killed tasks; returns how many of each."""
    return {
        "logs": _delete_older(s.logs_dir, keep_days),
        "spool": _delete_older(s.tmp_dir, keep_spool_days),
    }


def _delete_older(folder: Path, days: int) -> int:
    oldest = time.time() - days * _SECONDS_A_DAY
    old = [path for path in folder.rglob("*") if path.is_file() and path.lstat().st_mtime < oldest]
    for path in old:
        path.unlink(missing_ok=True)
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        # One that is new may be a task's that has not written anything yet.
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.rmdir()
    return len(old)
