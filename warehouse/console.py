"""What the command line prints: tables or JSON on standard output, progress and errors on standard error."""

import json
from datetime import date, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from warehouse.periods import JAKARTA

out = Console()
err = Console(stderr=True)


def say(text: str) -> None:
    """One line of progress with the time in Jakarta."""
    err.print(f"[dim]{datetime.now(JAKARTA):%H:%M:%S}[/dim] {text}", highlight=False)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


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
        table.add_column(key, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    out.print(table)
