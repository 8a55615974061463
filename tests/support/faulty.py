"""Lets a step run in a process in which one call that changes something ends in a kill or a refusal of the machine.

What counts as such a call: opening a file of the home to write, renaming, removing, linking, making and removing
folders, changing permission bits, bringing to disk, and a commit of the ledger. The n-th of them does not happen. Here:
the process, its counting and its end. Not here: which steps (tests/faults).
"""

import errno
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import Any

import sqlalchemy as sa

from tests.support.forked import forked
from warehouse.core import machine
from warehouse.core.errors import WarehouseError
from warehouse.core.settings import Settings
from warehouse.intake.parse.apart import limit_memory
from warehouse.ledger import store

KILL = "kill"
# No more memory than this beside what the process has.
MEMORY, MEMORY_BYTES = "memory short", 30_000_000
# What the machine refuses from the n-th call on, by the name of the fault.
REFUSALS = {"disk full": errno.ENOSPC, "read-only": errno.EROFS, "disk fails": errno.EIO}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit events of calls that change something, and which of their arguments names the file.
_CHANGES = {
    "os.rename": 0, "os.remove": 0, "os.link": 0, "os.symlink": 1, "os.mkdir": 0, "os.rmdir": 0, "os.chmod": 0,
    "os.truncate": 0,
}  # fmt: skip
SECONDS = 300


@dataclass(frozen=True)
class Ended:
    """How a step ended: ``killed``, ``done``, a coded error by its code, or another one by ``!`` and its kind."""

    how: str
    calls: int = 0


def run(s: Settings, step: Callable[[], Any], fault: str = KILL, at: int | None = None) -> Ended:
    """Run ``step`` in a process of its own; the ``at``-th changing call meets the fault, without ``at`` none does."""
    return begin(s, step, fault, at)()


def begin(s: Settings, step: Callable[[], Any], fault: str = KILL, at: int | None = None) -> Callable[[], Ended]:
    """The same, without waiting: what is returned waits, and tells how it ended."""
    reading, writing = multiprocessing.Pipe(duplex=False)
    process = forked(_within, writing, s, step, fault, at)
    writing.close()
    return lambda: _ending(process, reading)


def _ending(process: ForkProcess, answer: Connection) -> Ended:
    said: Ended | None = None
    try:
        if answer.poll(SECONDS):
            said = answer.recv()
    except EOFError:
        pass
    process.join(SECONDS)
    if process.exitcode == -signal.SIGKILL:
        return Ended("killed")
    assert said is not None, f"the step neither ended nor was killed ({process.exitcode})"
    return said


def _within(answer: Connection, s: Settings, step: Callable[[], Any], fault: str, at: int | None) -> None:
    os.setsid()
    # A connection of the parent's is not this process's to use.
    store.engine.cache_clear()
    calls = _Calls(str(s.home), fault, at)
    calls.watch()
    if fault == MEMORY:
        limit_memory(MEMORY_BYTES)
    try:
        step()
        how = "done"
    except WarehouseError as error:
        how = error.code
    except Exception as error:
        # As the command line tells it.
        refusal = machine.told(error)
        how = refusal.code if refusal else f"!{type(error).__name__}"
    calls.at = None
    answer.send(Ended(how, calls.count))
    answer.close()
    os._exit(0)


class _Calls:
    def __init__(self, home: str, fault: str, at: int | None) -> None:
        self.home, self.fault, self.at, self.count = home, fault, at, 0

    def watch(self) -> None:
        sys.addaudithook(self._hear)
        fsync = os.fsync

        def counted(handle: int) -> None:
            self._meet()
            fsync(handle)

        os.fsync = counted
        sa.event.listen(sa.Engine, "commit", lambda _connection: self._meet())

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _mode, flags = arguments
            is_change = isinstance(flags, int) and bool(flags & _WRITES) and self._is_ours(path)
        else:
            is_change = event in _CHANGES and self._is_ours(arguments[_CHANGES[event]])
        if is_change:
            self._meet()

    def _is_ours(self, path: object) -> bool:
        return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(self.home)

    def _meet(self) -> None:
        self.count += 1
        if self.at is None or self.count < self.at:
            return
        if self.fault == KILL:
            os.killpg(0, signal.SIGKILL)
        elif self.fault in REFUSALS:
            number = REFUSALS[self.fault]
            raise OSError(number, os.strerror(number))
