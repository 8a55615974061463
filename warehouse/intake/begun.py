"""Marks of what is being judged: one that outlives its process tells what the process died of, or with.

A reader's process may end without ours (parse.apart); the judgement itself runs in ours. What was being judged when a
process died is judged next in a process of its own. Here: the marks. Not here: judging.
"""

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from warehouse.core import files
from warehouse.core.settings import Settings


@contextmanager
def marked(s: Settings, delivery_ids: Collection[str]) -> Iterator[None]:
    """Mark deliveries while they are judged. An error takes the mark away, what ends process or task does not."""
    folder = _folder(s)
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / secrets.token_hex(10)
    with files.exclusive_lock(mark):
        mark.write_text("\n".join(delivery_ids), encoding="ascii")
        try:
            yield
        except (Exception, KeyboardInterrupt):
            mark.unlink()
            raise
        mark.unlink()


def left(s: Settings) -> set[str]:
    """Deliveries that were being judged when a process died, and have not been judged since."""
    return {name for mark in _abandoned(s) for name in mark.read_text(encoding="ascii").split()}


def forget(s: Settings, delivery_ids: Collection[str]) -> None:
    """Take the marks of deliveries away that have a verdict now."""
    for mark in _abandoned(s):
        names = [name for name in mark.read_text(encoding="ascii").split() if name not in delivery_ids]
        if names:
            mark.write_text("\n".join(names), encoding="ascii")
        else:
            mark.unlink()


def _abandoned(s: Settings) -> Iterator[Path]:
    """Marks that nobody holds."""
    for mark in sorted(_folder(s).glob("*")):
        with suppress(BlockingIOError, FileNotFoundError), files.exclusive_lock(mark, wait=False):
            yield mark


def _folder(s: Settings) -> Path:
    return s.tmp_dir / "judging"
