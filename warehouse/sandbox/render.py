"""Writes what each agency holds, as files under ``holdings/``, and the truth of who and what stands in every row.

Here: the order, two processes side by side, and how holdings grow by further months. Not here: layouts (``render_*``),
servers that hand the files out.
"""

import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import fields, replace
from multiprocessing import get_context
from pathlib import Path
from queue import Empty, Queue

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.core.periods import Period
from warehouse.sandbox import render_children, render_public, render_registry, render_work
from warehouse.sandbox.city import redraw
from warehouse.sandbox.draw import City, Progress, silent
from warehouse.sandbox.people import Calendar

_SMALL_CITY = 60_000
_MONTHLY = "holdings/sftp/dinkes/eppgbm"
# Longest first. Each writes files and truth of its own, so they may run side by side.
_AGENCIES: dict[str, Callable[[City, Path, Progress], None]] = {
    "dinkes": render_children.render,
    "dinsos": render_registry.render,
    "bpjstk and polres": render_work.render,
    "dukcapil, bps, portal": render_public.render,
}


def _render_one(
    home: Path, target: Path, until: Period | None, since: Period | None, agency: str, said: Queue[str]
) -> None:
    _AGENCIES[agency](_within(redraw(home), until, since), target, said.put)


def _within(city: City, until: Period | None, since: Period | None = None) -> City:
    """The city as its agencies know it at the end of ``until``; of what was measured before ``since``, the last only.

    From the last measurement follows whether a child has gained since.
    """
    months = [month for month in city.calendar.months if until is None or month <= until]
    measured = city.measured
    is_new = measured.month >= (months.index(since) if since else 0)
    earlier = np.nonzero(~is_new)[0][::-1]
    _, last = np.unique(measured.child[earlier], return_index=True)
    rows = np.sort(np.concatenate([np.nonzero(is_new)[0], earlier[last]]))
    columns = {field.name: getattr(city, field.name) for field in fields(city) if field.name.startswith("measured_")}
    return replace(
        city,
        calendar=Calendar(tuple(months)),
        measured=type(measured)(**{field.name: getattr(measured, field.name)[rows] for field in fields(measured)}),
        **{name: values.take(pa.array(rows)) if isinstance(values, pa.Array) else values[rows]
           for name, values in columns.items()},
    )  # fmt: skip


def render_holdings(
    home_sandbox: Path, *, until: Period | None = None, progress: Progress | None = None, processes: int = 2
) -> None:
    """Write ``holdings/`` and ``city/truth_*`` for the city in ``home_sandbox/city``, replacing what was there.

    ``until``: the newest month agencies have anything of; default the city's last. The city is drawn again from the
    arguments in ``summary.json``: drawing takes a second, reading it back would too.
    """
    for folder in ("holdings", "city/truth_links", "city/truth_corruptions"):
        if (home_sandbox / folder).exists():
            shutil.rmtree(home_sandbox / folder)
    _render(home_sandbox, home_sandbox, until, None, progress or silent, processes)


def extend_holdings(home_sandbox: Path, until: Period, *, progress: Progress | None = None, processes: int = 2) -> None:
    """Add to the holdings what agencies have by the end of ``until``; what they had before stays, byte for byte."""
    target = home_sandbox / ".extending"
    if target.exists():
        shutil.rmtree(target)
    newest = max(Period.parse(path.name) for path in (home_sandbox / _MONTHLY).iterdir())
    _render(home_sandbox, target, until, newest.shift(1), progress or silent, processes)
    for new in sorted((target / "holdings").rglob("*")):
        old = home_sandbox / new.relative_to(target)
        if new.is_file() and not (old.exists() and _is_sent_once(new.relative_to(target / "holdings"))):
            old.parent.mkdir(parents=True, exist_ok=True)
            new.replace(old)
    for new in sorted((target / "city").rglob("*.parquet")):
        _add_truth(home_sandbox / new.relative_to(target), new)
    shutil.rmtree(target)


def _is_sent_once(holding: Path) -> bool:
    """Files of a period are. Tables that a service keeps, and lists of what there is, go on under their names."""
    return not (holding.parts[0] == "http" and holding.suffix == ".json" and holding.parent.name != "files")


def _add_truth(old: Path, new: Path) -> None:
    """Append the truth of periods that the old file does not know yet."""
    old_rows, more = pq.read_table(old), pq.read_table(new)
    is_new = pc.invert(pc.is_in(more["period"].cast(pa.string()), pc.unique(old_rows["period"].cast(pa.string()))))
    pq.write_table(pa.concat_tables([old_rows, more.filter(is_new).cast(old_rows.schema)]), old, compression="zstd")


def _render(
    home: Path, target: Path, until: Period | None, since: Period | None, say: Progress, processes: int
) -> None:
    city = _within(redraw(home), until, since)
    if processes == 1 or len(city.persons) < _SMALL_CITY:
        for render in _AGENCIES.values():
            render(city, target, say)
        return
    del city
    # Threads of Arrow do not survive a fork.
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(processes, mp_context=context) as pool:
        said = manager.Queue()
        tasks = [pool.submit(_render_one, home, target, until, since, agency, said) for agency in _AGENCIES]
        while not all(task.done() for task in tasks) or not said.empty():
            with suppress(Empty):
                say(said.get(timeout=0.5))
        for task in tasks:
            task.result()
