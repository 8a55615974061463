"""Files that a person puts into the drop folder ``inbox/<agency>/<name>/``, as ``<period>[__<part>].<ext>``.

Only endings of finished files are taken: a copy under way goes by ``.part`` or ``~``. One that changed a moment ago, or
changes while it is copied, is left.
"""

import shutil
import time

from warehouse.intake.agencies.job import LARGEST_BYTES, Fetched, Job
from warehouse.storage.media import media_of

_ENDINGS = frozenset({".csv", ".txt", ".tsv", ".xlsx", ".json", ".tar"})
QUIET_SECONDS = 2.0


def fetch(job: Job) -> Fetched:
    folder = job.s.home / "inbox" / job.contract.agency / job.contract.name
    stems = {f"{job.period.label}__{job.part}"} | ({job.period.label} if job.part == "all" else set())
    candidates = [
        path for path in folder.glob("*") if path.stem in stems and path.suffix.lower() in _ENDINGS and path.is_file()
    ]
    if not candidates:
        raise job.error("FETCH_NOT_AVAILABLE")
    newest = max(candidates, key=lambda path: path.stat().st_mtime)
    before = newest.stat()
    if before.st_size > LARGEST_BYTES:
        raise job.error("FETCH_TOO_LARGE", f"> {LARGEST_BYTES / 1e9:.1f} GB")
    if 0 <= time.time() - before.st_mtime < QUIET_SECONDS:
        time.sleep(QUIET_SECONDS)
    copy = job.spool / newest.name
    shutil.copyfile(newest, copy)
    after = newest.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise job.error("FETCH_INCOMPLETE")
    return Fetched(copy, media_of(copy), job.attempts, copy.stat().st_size)
