"""What the command line prints: tables or JSON on standard output, progress and errors on standard error."""

import json
import sys
from datetime import date, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from warehouse.errors import WarehouseError
from warehouse.periods import JAKARTA

# A pipe has no width of its own: rich would fold tables at 80 columns.
WIDE = None if sys.stdout.isatty() else 240
out = Console(width=WIDE)
err = Console(stderr=True)


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
    table = Table(title=title or None, header_style="bold")
    for key in rows[0]:
        table.add_column(escape(key), overflow="fold")
    for row in rows:
        table.add_row(*(escape(_cell(value)) for value in row.values()))
    out.print(table)
