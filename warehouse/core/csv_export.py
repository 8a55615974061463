"""CSV that people open in a spreadsheet: no cell of it runs. Not here: what an export holds."""

import csv
import re
from collections.abc import Iterable
from typing import IO, Any

# What spreadsheets take for the beginning of a formula, full-width forms too, after blanks they skip: at the beginning,
# and after whatever another country's spreadsheet takes for the end of a cell.
_RUNS = re.compile(r"(^|[,;|\t\r\n\"])(?=[\s\x00]*[=+\-@＝＋－＠])|^(?=[\t\r\n])")
_NUMBER = re.compile(r"^[+-]?[0-9]+(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]+)?$")


def harmless(cell: Any) -> Any:
    """The cell, with an apostrophe wherever a spreadsheet would run what follows; numbers stay numbers."""
    if isinstance(cell, str) and not _NUMBER.match(cell):
        return _RUNS.sub(r"\1'", cell)
    return cell


def write_csv(file: IO[str], rows: Iterable[Iterable[Any]]) -> None:
    csv.writer(file).writerows([harmless(cell) for cell in row] for row in rows)
