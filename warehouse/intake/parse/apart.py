"""Work on bytes of a stranger in a process of its own, which may end without taking ours along.

A reader written in another language can abort, and memory can run out where nothing was raised; then the file is told,
and the night goes on. Here: the process, its limits, how it ended. Not here: what is read.
"""

import faulthandler
import gc
import multiprocessing
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from warehouse.core.errors import UnreadableDelivery
from warehouse.core.redaction import described
from warehouse.core.settings import KEY_VARIABLES
from warehouse.intake.parse.model import unreadable

T = TypeVar("T")
# Half of this machine's memory: beyond, the system would choose which process ends. A whole registry takes minutes.
MEMORY_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
SECONDS = 1800.0
_LAST_WORDS_SECONDS = 10.0
_FORK = multiprocessing.get_context("fork")


class _Process:
    """A fork that does one piece of work after the other, within ``memory`` bytes beyond ours, until it is ended."""

    def __init__(self, memory: int) -> None:
        self._ours, theirs = _FORK.Pipe()
        self._process = _FORK.Process(target=_serve, args=(theirs, self._ours, memory), daemon=True)
        self._process.start()
        theirs.close()

    def do(self, work: Callable[..., Any], arguments: tuple[Any, ...], seconds: float) -> Any:
        """What ``work`` came to; raises EOFError when the process ended instead, and TimeoutError."""
        try:
            self._ours.send((work, arguments))
            if not self._ours.poll(seconds):
                raise TimeoutError
            return self._ours.recv()
        except TimeoutError:
            raise
        except OSError:
            raise EOFError from None

    def ending(self) -> str:
        """How it ended by itself."""
        self._process.join(_LAST_WORDS_SECONDS)
        code = self._process.exitcode or 0
        return f"process ended by signal {-code}" if code < 0 else f"process ended with {code}"

    def end(self) -> None:
        self._ours.close()
        self._process.kill()
        self._process.join()


_processes: ContextVar[list[_Process] | None] = ContextVar("processes", default=None)


@contextmanager
def one_process() -> Iterator[None]:
    """Inside, all work goes to one process as long as it lives: a fork costs more than most workbooks."""
    processes: list[_Process] = []
    token = _processes.set(processes)
    try:
        yield
    finally:
        _processes.reset(token)
        for process in processes:
            process.end()


def apart(work: Callable[..., T], *arguments: Any, memory: int = MEMORY_BYTES, seconds: float = SECONDS) -> T:
    """The result of ``work``, a function of a module, done in another process within ``seconds`` on the clock.

    Raises UnreadableDelivery: the one that ``work`` raised, or PARSE_UNFORESEEN where it raised or ended otherwise. The
    fork may use no engine with threads of its own: they are not there.
    """
    shared = _processes.get()
    process = shared.pop() if shared else _Process(memory)
    has_ended = True
    try:
        answer = process.do(work, arguments, seconds)
        # What nobody foresaw may have left its memory in disorder: the next file gets a new one.
        has_ended = isinstance(answer, UnreadableDelivery) and answer.code == "PARSE_UNFORESEEN"
    except TimeoutError:
        raise unreadable("PARSE_UNFORESEEN", f"time limit {seconds:.0f} s") from None
    except EOFError:
        raise unreadable("PARSE_UNFORESEEN", process.ending()) from None
    finally:
        if shared is None or has_ended:
            process.end()
        else:
            shared.append(process)
    if isinstance(answer, UnreadableDelivery):
        raise answer
    result: T = answer
    return result


def _serve(pipe: Connection, ours: Connection, memory: int) -> None:
    """In the fork, until the pipe ends: collects nothing of ours, and says nothing to our streams."""
    ours.close()
    gc.freeze()
    faulthandler.disable()
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    for name in KEY_VARIABLES:
        os.environ.pop(name, None)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_memory(memory)
    while True:
        try:
            work, arguments = pipe.recv()
        except EOFError:
            os._exit(0)
        result: Any
        try:
            result = work(*arguments)
        except UnreadableDelivery as error:
            result = error
        except BaseException as error:
            # A panic of the workbook's reader is no Exception.
            result = unreadable("PARSE_UNFORESEEN", described(error))
        pipe.send(result)


def limit_memory(bytes_more: int) -> None:
    """Let this process take no more memory than that beside what it has."""
    if (ours := _address_space()) is not None:
        resource.setrlimit(resource.RLIMIT_AS, (ours + bytes_more, ours + bytes_more))


def _address_space() -> int | None:
    """Bytes of address space of this process; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return None
    return pages * resource.getpagesize()
