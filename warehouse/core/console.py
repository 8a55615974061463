"""What the command line prints: tables or JSON on standard output, progress and errors on standard error."""

import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from warehouse.core.errors import WarehouseError
from warehouse.core.periods import JAKARTA

# A pipe has no width of its own: rich would fold tables at 80 columns.
WIDE = None if sys.stdout.isatty() else 240
out = Console(width=WIDE)
err = Console(stderr=True)

SILENT_SECONDS = 10.0
_OF_ALL = re.compile(r"\b([\d,]+)/([\d,]+)\b")
# Whoever prints holds it, and so does whoever forks: a child must not inherit a console in the middle of a line.
_printing = threading.RLock()
os.register_at_fork(before=_printing.acquire, after_in_parent=_printing.release, after_in_child=_printing.release)


class Watch:
    """Follows long work: hand it down as ``progress``. A terminal sees a bar, a log a line at least every ten seconds.

    A text that counts, such as ``12/67``, moves the bar. ``steps`` keeps the seconds of each step.
    """

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self._step = self._text = ""
        self._begun = self._said_at = time.monotonic()
        self._ended = threading.Event()
        self._bar = _bar() if err.is_terminal else None
        self._thread = threading.Thread(target=self._tick, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        if self._bar:
            self._bar.start()
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._bar:
            self._bar.stop()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step under its name; the same name again adds up."""
        start = time.monotonic()
        with _printing:
            self._step, self._text, self._begun, self._said_at = name, "", start, start
            if self._bar:
                self._bar.reset(self._bar.task_ids[0], description=name, total=None)
        try:
            yield
        finally:
            self.steps[name] = self.steps.get(name, 0.0) + time.monotonic() - start

    def __call__(self, text: str) -> None:
        with _printing:
            self._text, self._said_at = text, time.monotonic()
            if not self._bar:
                say(f"{self._step}: {text}" if self._step else text)
                return
            share = _OF_ALL.search(text)
            completed, total = (int(number.replace(",", "")) for number in share.groups()) if share else (None, None)
            description = f"{self._step}: {escape(text)}"[:70]
            self._bar.update(self._bar.task_ids[0], description=description, completed=completed, total=total)

    def _tick(self) -> None:
        while not self._ended.wait(0.25 if self._bar else 1.0):
            with _printing:
                if self._bar:
                    self._bar.refresh()
                elif self._step and time.monotonic() - self._said_at >= SILENT_SECONDS:
                    self._said_at = time.monotonic()
                    seconds = f"({self._said_at - self._begun:.0f} s)"
                    say(" ".join(filter(None, [f"{self._step}:", self._text, seconds])))


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=err, transient=True, auto_refresh=False)
    bar.add_task("", total=None)
    return bar


def say(text: str) -> None:
    """One line of progress with the time in Jakarta."""
    _line(f"[dim]{datetime.now(JAKARTA):%H:%M:%S}[/dim] {escape(text)}")


def complain(error: WarehouseError) -> None:
    """What is wrong and what to do about it, in both languages."""
    _line(f"[bold red]{error.code}[/bold red] {escape(error.message_id)}")
    _line(f"  {escape(error.message_en)}")
    if error.action_id:
        _line(f"→ {escape(error.action_id)} / {escape(error.action_en)}")


def _line(markup: str) -> None:
    with _printing:
        err.print(markup, highlight=False, soft_wrap=True)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.2f}"
        case datetime():
            return f"{value.astimezone(JAKARTA):%Y-%m-%d %H:%M}"
        case dict():
            return ", ".join(f"{key} {_cell(item)}" for key, item in value.items())
        case list():
            return ", ".join(_cell(item) for item in value)
        case _:
            return str(value)


def show(rows: list[dict[str, Any]] | dict[str, Any], as_json: bool, title: str = "") -> None:
    """Print rows as a table, or as JSON: same keys, ISO dates."""
    if as_json:
        print(json.dumps(rows, default=_plain, ensure_ascii=False, indent=2))
        return
    rows = [rows] if isinstance(rows, dict) else rows
    if not rows:
        out.print(f"{title}: kosong / none" if title else "Kosong / none")
        return
    table = Table(title=title or None, header_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for key in rows[0]:
        is_number = all(isinstance(row.get(key), int | float | None) for row in rows)
        table.add_column(escape(key), overflow="fold", justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*(escape(_cell(value)) for value in row.values()))
    out.print(table)
