"""Writes what each agency holds, as files under ``holdings/``, and the truth of who and what stands in every row.

Here: the order, and two processes side by side. Not here: layouts (``render_*``), servers that hand the files out.
"""

import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from queue import Empty, Queue

from warehouse.sandbox import render_children, render_public, render_registry, render_work
from warehouse.sandbox.city import redraw
from warehouse.sandbox.draw import City, Progress, silent

_SMALL_CITY = 60_000
# Longest first. Each writes files and truth of its own, so they may run side by side.
_AGENCIES: dict[str, Callable[[City, Path, Progress], None]] = {
    "dinkes": render_children.render,
    "dinsos": render_registry.render,
    "bpjstk and polres": render_work.render,
    "dukcapil, bps, portal": render_public.render,
}


def _render_one(home: Path, agency: str, said: Queue) -> None:
    _AGENCIES[agency](redraw(home), home, said.put)


def render_holdings(home_sandbox: Path, *, progress: Progress | None = None, processes: int = 2) -> None:
    """Write ``holdings/`` and ``city/truth_*`` for the city in ``home_sandbox/city``, replacing what was there.

    The city is drawn again from the arguments in ``summary.json``: drawing takes a second, reading it back would too.
    """
    say = progress or silent
    for folder in ("holdings", "city/truth_links", "city/truth_corruptions"):
        if (home_sandbox / folder).exists():
            shutil.rmtree(home_sandbox / folder)
    city = redraw(home_sandbox)
    if processes == 1 or len(city.persons) < _SMALL_CITY:
        for render in _AGENCIES.values():
            render(city, home_sandbox, say)
        return
    del city
    # Threads of Arrow do not survive a fork.
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(processes, mp_context=context) as pool:
        said = manager.Queue()
        tasks = [pool.submit(_render_one, home_sandbox, agency, said) for agency in _AGENCIES]
        while not all(task.done() for task in tasks) or not said.empty():
            with suppress(Empty):
                say(said.get(timeout=0.5))
        for task in tasks:
            task.result()
