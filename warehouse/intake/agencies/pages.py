"""A paged answer: whether it is whole, and its pages as one spool file, the same for the same answers.

Row counts do not tell that an answer is whole: rows that move between two pages leave the count right, one row lost and
one twice. So records are told apart by their key. What is not seen here: a record taken away while another was added,
between two questions, behind the page that had it. The next night asks again.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

from warehouse.intake.agencies.job import Job

MEDIA = "pages"

# Made once: json.dumps makes one for every record.
_JSON = json.JSONEncoder(sort_keys=True)


class PageWriter:
    """Appends answers as ``page-00001.json``, ``page-00002.json``, …"""

    def __init__(self, tar: tarfile.TarFile):
        self._tar = tar
        self.count = 0

    def add(self, body: bytes) -> None:
        self.count += 1
        member = tarfile.TarInfo(f"page-{self.count:05d}.json")
        member.size = len(body)
        member.mode = 0o600
        self._tar.addfile(member, io.BytesIO(body))


@contextmanager
def page_writer(path: Path) -> Iterator[PageWriter]:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        yield PageWriter(tar)


class Tally:
    """What has come of a paged answer, by distinct records.

    key: the fields that tell records apart (dotted paths); without one, or where a record lacks one, it is told apart
    by all it says.
    once: no two records of the answer are the same. Else those of one page may be: nothing moves within a page, so they
    are the sender's own, and the gate's matter.
    """

    def __init__(self, job: Job, key: Sequence[str] = (), *, once: bool):
        self._job = job
        self._key = key
        self._once = once
        self._seen: set[bytes] = set()
        self.received = 0
        self.total: int | None = None

    def add(self, records: Sequence[Any], total: int | None) -> None:
        """Count a page and the total it states. Raises FETCH_INCOMPLETE for a record from an earlier page, for more
        records than the total, and for a total that is no longer what it was."""
        identities = [_identity(record, self._key) for record in records]
        distinct = set(identities)
        n_repeats = len(distinct & self._seen) + (len(identities) - len(distinct) if self._once else 0)
        if n_repeats:
            raise self._job.error("FETCH_INCOMPLETE", f"{n_repeats} dua kali / twice")
        self._seen |= distinct
        self.received += len(records)
        if self.total is None:
            self.total = total
        if total != self.total or (total is not None and self.received > total):
            raise self._job.error("FETCH_INCOMPLETE", f"{self.received} / {total}")

    @property
    def is_whole(self) -> bool:
        """Whether as many records have come as the answer states."""
        return self.received == self.total

    def demand_whole(self) -> None:
        if not self.is_whole:
            raise self._job.error("FETCH_INCOMPLETE", f"{self.received} / {self.total}")


def dig(value: Any, path: str) -> Any:
    """What stands under a dotted path of a JSON value; None where nothing does."""
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def is_count(value: Any) -> TypeGuard[int]:
    """Whether a JSON value is a number of records; ``true`` is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _identity(record: Any, key: Sequence[str]) -> bytes:
    fields = [dig(record, path) for path in key]
    identity = fields if fields and None not in fields else record
    return hashlib.blake2b(_JSON.encode(identity).encode(), digest_size=16).digest()
