"""Writes the files agencies send: XLSX in constant memory, CSV in an agency's dialect. Equal rows give equal bytes.

Not here: what stands in them (the render modules).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import xlsxwriter

# Workbooks carry a date of creation; the sandbox's are all of one moment, so that the same city gives the same bytes.
_CREATED = datetime(2023, 5, 1)


def write_xlsx(
    path: Path,
    sheet: str,
    titles: Sequence[str],
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    is_large: bool = False,
) -> None:
    """Title rows, one header row, then rows: text as text, numbers as numbers, None as an empty cell.

    A large sheet is streamed through a temporary file; for hundreds of small ones that is all they would wait for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True} if is_large else {"in_memory": True})
    book.set_properties({"created": _CREATED})
    page = book.add_worksheet(sheet)
    text, number = page.write_string, page.write_number
    for line, title in enumerate(titles):
        text(line, 0, title)
    top = len(titles)
    for column, name in enumerate(header):
        text(top, column, name)
    for line, row in enumerate(rows, top + 1):
        for column, value in enumerate(row):
            if type(value) is str:
                text(line, column, value)
            elif value is not None:
                number(line, column, value)
    book.close()


def write_csv(path: Path, table: pa.Table, *, delimiter: str = ",", encoding: str = "utf-8") -> None:
    """A table with a header row, nothing quoted, nulls empty; raises ArrowInvalid where a value holds the delimiter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sink = pa.BufferOutputStream()
    options = pyarrow.csv.WriteOptions(
        delimiter=delimiter, quoting_style="none", quoting_header="none", batch_size=16_384
    )
    pyarrow.csv.write_csv(table, sink, options)
    data = sink.getvalue()
    if encoding == "utf-8":
        path.write_bytes(data)
    else:
        path.write_bytes(data.to_pybytes().decode("utf-8").encode(encoding))
