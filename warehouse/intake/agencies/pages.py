"""A paged answer as one spool file: an uncompressed tar of the answers' exact bytes, the same for the same answers."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEDIA = "pages"


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
