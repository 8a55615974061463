"""CSV that people open in a spreadsheet: no cell of it runs. Not here: what an export holds."""

import csv
import re
from collections.abc import Iterable
from typing import IO, Any

# What spreadsheets take for the beginning of a formula, full-width forms too, after blanks they skip.
_RUNS = re.compile(r"^[\s\x00]*[=+\-@＝＋－＠]|^[\t\r\n]")
_NUMBER = re.compile(r"^[+-]?[0-9]+(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]+)?$")


def harmless(cell: Any) -> Any:
    """The cell, or with an apostrophe before it where a spreadsheet would run it; numbers stay numbers."""
    if isinstance(cell, str) and _RUNS.search(cell) and not _NUMBER.match(cell):
        return f"'{cell}"
    return cell


def write_csv(file: IO[str], rows: Iterable[Iterable[Any]]) -> None:
    csv.writer(file).writerows([harmless(cell) for cell in row] for row in rows)
