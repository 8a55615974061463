"""Files that a person puts into the drop folder ``inbox/<agency>/<name>/``, as ``<period>[__<part>].<ext>``."""

import shutil

from warehouse.intake.agencies.job import Fetched, Job
from warehouse.storage.media import media_of


def fetch(job: Job) -> Fetched:
    folder = job.s.home / "inbox" / job.contract.agency / job.contract.name
    stems = {f"{job.period.label}__{job.part}"} | ({job.period.label} if job.part == "all" else set())
    found = [path for path in folder.glob("*") if path.stem in stems and path.is_file()]
    if not found:
        raise job.error("FETCH_NOT_AVAILABLE")
    newest = max(found, key=lambda path: path.stat().st_mtime)
    copy = job.spool / newest.name
    before = newest.stat()
    shutil.copyfile(newest, copy)
    after = newest.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise job.error("FETCH_INCOMPLETE")
    return Fetched(copy, media_of(copy), job.attempts, copy.stat().st_size)
