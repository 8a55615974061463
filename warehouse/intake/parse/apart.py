"""Work on bytes of a stranger in a process of its own, which may end without taking ours along.

A reader written in another language can abort, and memory can run out where nothing was raised; then the file is told,
and the night goes on. Here: the process, its limits, how it ended. Not here: what is read.
"""

import faulthandler
import gc
import os
import pickle
import resource
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from warehouse.core.errors import UnreadableDelivery
from warehouse.core.redaction import described
from warehouse.intake.parse.model import unreadable

T = TypeVar("T")
# Half of this machine's memory: beyond, the system would choose which process ends. A whole registry takes minutes.
MEMORY_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
SECONDS = 1800.0
_PIECE = 1 << 20


def apart(work: Callable[[], T], memory: int | None = None, seconds: float | None = None) -> T:
    """The result of ``work``, done in a fork with ``memory`` bytes beyond ours and ``seconds`` on the clock.

    Raises UnreadableDelivery: the one that ``work`` raised, or PARSE_UNFORESEEN where it raised or ended otherwise. The
    fork may use no engine with threads of its own: they are not there.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(work, writing, memory or MEMORY_BYTES)
    os.close(writing)
    ends_at = time.monotonic() + (seconds or SECONDS)
    answer = bytearray()
    try:
        while True:
            if not select.select([reading], [], [], max(ends_at - time.monotonic(), 0))[0]:
                raise unreadable("PARSE_UNFORESEEN", f"time limit {seconds or SECONDS:.0f} s")
            piece = os.read(reading, _PIECE)
            if not piece:
                break
            answer += piece
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.close(reading)
        _, status = os.waitpid(child, 0)
    if not answer or status:
        raise unreadable("PARSE_UNFORESEEN", _ending(status))
    answer_value = pickle.loads(answer)  # noqa: S301 - written by our own fork
    if isinstance(answer_value, UnreadableDelivery):
        raise answer_value
    result: T = answer_value
    return result


def _work(work: Callable[[], Any], writing: int, memory: int) -> NoReturn:
    """In the fork: never returns, collects nothing of ours, and says nothing to our streams."""
    code = 1
    try:
        gc.disable()
        faulthandler.disable()
        silence = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(silence, stream)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit_memory(memory)
        result: Any
        try:
            result = work()
        except UnreadableDelivery as error:
            result = error
        except BaseException as error:
            # A panic of the workbook's reader is no Exception.
            result = unreadable("PARSE_UNFORESEEN", described(error))
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(result, pipe, protocol=pickle.HIGHEST_PROTOCOL)
        code = 0
    finally:
        os._exit(code)


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


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"process ended by signal {os.WTERMSIG(status)}"
    return f"process ended with {os.waitstatus_to_exitcode(status)}"
