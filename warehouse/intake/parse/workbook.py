"""XLSX workbooks: the sheets that hold the contract's columns, cell by cell as text.

A number comes out as its digits while a spreadsheet still knows them all (15); longer ones stay in scientific notation,
so that a NIK that lost its last digits is seen by the gate and not repaired here. Formulas give their stored result; a
record with an error or a formula without a result in a column of ours is refused, as an empty cell would be a lie.
What a person does not see is no part of a delivery: hidden sheets are passed over and named, records in hidden or
filtered rows hold the workbook. A sheet is named by its place in the workbook, never by its title: people write names
there.
"""

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import pyarrow as pa
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from warehouse.core.contract import Contract, FileShape
from warehouse.core.errors import UnreadableDelivery
from warehouse.intake.parse import headers, sheet_marks
from warehouse.intake.parse.apart import apart
from warehouse.intake.parse.model import ERROR_CELL, NO_RESULT, Content, RefusedRow, unreadable
from warehouse.intake.parse.sheet_marks import SheetMarks

# A year of the city's registry is 60 MB unpacked; more than this is a bomb or a sheet formatted to its last row.
LARGEST_UNPACKED = 2_000_000_000
_LARGEST_CELLS = 200_000_000
_EXACT_DIGITS = 10**15
# What zipfile raises where bytes are missing or changed.
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError)


def read(contract: Contract, shape: FileShape, data: bytes) -> Content:
    _check_archive(data)
    sheets, hidden_sheets = apart(_sheets, contract, shape, data)
    return _join(sheets, hidden_sheets)


def _sheets(contract: Contract, shape: FileShape, data: bytes) -> tuple[list["_Sheet"], list[str]]:
    """The visible sheets, and words for the hidden ones."""
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as book:
            sheets: list[_Sheet] = []
            hidden_sheets: list[str] = []
            for number, about in enumerate(book.sheets_metadata, start=1):
                if about.typ != SheetTypeEnum.WorkSheet or shape.sheet not in (None, about.name):
                    continue
                if about.visible != SheetVisibleEnum.Visible:
                    hidden_sheets.append(f"lembar {number} tersembunyi / hidden sheet {number}")
                    continue
                marks = sheet_marks.of_sheet(data, number)
                if marks.rows * marks.columns > _LARGEST_CELLS:
                    raise unreadable("PARSE_TOO_LARGE", f"{_LARGEST_CELLS:,} sel / cells")
                sheets.append(_Sheet(contract, shape, f"sheet {number}", book.get_sheet_by_index(number - 1), marks))
            return sheets, hidden_sheets
    except PasswordError:
        raise unreadable("PARSE_NOT_XLSX") from None
    except CalamineError:
        raise unreadable("PARSE_TRUNCATED") from None
    except BaseException as error:
        # A date beyond the calendar makes the reader panic, which is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise unreadable("PARSE_IMPOSSIBLE_CELL") from None


def _check_archive(data: bytes) -> None:
    """Refuse what is no whole zip archive of bearable size, before any of it is unpacked into memory."""
    if not data.startswith(b"PK"):
        raise unreadable("PARSE_NOT_XLSX")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST_UNPACKED:
                raise unreadable("PARSE_TOO_LARGE", f"{LARGEST_UNPACKED / 1e9:.0f} GB")
            if "xl/workbook.xml" not in archive.namelist():
                raise unreadable("PARSE_NOT_XLSX")
            # Reads every member to its end: sizes that lie, and members cut short, show here.
            if archive.testzip() is not None:
                raise unreadable("PARSE_TRUNCATED")
    except _DAMAGED:
        raise unreadable("PARSE_TRUNCATED") from None


class _Sheet:
    """One sheet: its header found, its records below. ``error`` says why it does not hold the contract's columns."""

    def __init__(self, contract: Contract, shape: FileShape, name: str, sheet: CalamineSheet, marks: SheetMarks):
        rows = sheet.to_python(skip_empty_area=False)
        self.name = name
        self.is_empty = not any(any(cell != "" for cell in row) for row in rows)
        self.found: headers.Match | None = None
        self.positions: Mapping[str, int] = {}
        self.cells: Mapping[str, list[str]] = {}
        self.rows: list[int] = []
        self.error: UnreadableDelivery | None = None
        self.score = 0
        if self.is_empty:
            return
        above = [[cell_text(cell) for cell in row] for row in rows[: shape.title_rows + 1]]
        position = headers.header_row(contract, above)
        self.score = headers.score(contract, above[position])
        try:
            self.found = headers.match(contract, above[position])
        except UnreadableDelivery as error:
            self.error = error
            return
        self.positions = self.found.positions
        totals = {word.casefold() for word in shape.total_words}
        refused_rows = self._valueless(marks)
        records = [
            (number, row)
            for number, row in enumerate(rows[position + 1 :], start=position + 2)
            if number in refused_rows or ((first := _first_filled(row)) and first.casefold() not in totals)
        ]
        if unseen := sum(number in marks.hidden for number, _ in records):
            raise unreadable("PARSE_HIDDEN_ROWS", f"{name}: {unseen}")
        self.cells = {
            name: [cell_text(row[place]) for number, row in records if number not in refused_rows]
            for name, place in self.positions.items()
        }
        self.rows = [number for number, _ in records if number not in refused_rows]
        self.refused = [RefusedRow(name, number, code) for number, code in sorted(refused_rows.items())]

    def _valueless(self, marks: SheetMarks) -> dict[int, str]:
        """Rows with a cell of ours that has no value of its own, and why."""
        ours = {position + 1 for position in self.positions.values()}
        return {row: ERROR_CELL for row, column in marks.errors if column in ours} | {
            row: NO_RESULT for row, column in marks.without_result if column in ours
        }

    def column(self, name: str) -> list[str | None]:
        cells: Sequence[str] | None = self.cells.get(name)
        return [None] * len(self.rows) if cells is None else list(cells)


def _first_filled(row: Sequence[Any]) -> str:
    return next((text for cell in row if (text := cell_text(cell).strip())), "")


def _join(sheets: list[_Sheet], hidden_sheets: list[str]) -> Content:
    """All sheets that hold the contract's columns, as one. A refused column on any sheet refuses the workbook."""
    for sheet in sheets:
        if sheet.error and sheet.error.code == "PARSE_REFUSED_COLUMN":
            raise sheet.error
    data_sheets = [sheet for sheet in sheets if sheet.found]
    if not data_sheets:
        if hidden_sheets and all(sheet.is_empty for sheet in sheets):
            raise unreadable("PARSE_ONLY_HIDDEN", "; ".join(hidden_sheets))
        faulty = max((sheet for sheet in sheets if sheet.error), key=lambda sheet: sheet.score, default=None)
        raise (faulty.error if faulty else None) or unreadable("PARSE_EMPTY")
    matches = [sheet.found for sheet in data_sheets if sheet.found]
    names = list(dict.fromkeys(name for header_match in matches for name in header_match.positions))
    return Content(
        cells={
            name: pa.array([cell for sheet in data_sheets for cell in sheet.column(name)], pa.string())
            for name in names
        },
        source_part=pa.array([sheet.name for sheet in data_sheets for _ in sheet.rows], pa.string()),
        source_row=pa.array([number for sheet in data_sheets for number in sheet.rows], pa.int64()),
        unknown_headers=[
            *dict.fromkeys(header for header_match in matches for header in header_match.unknown),
            *hidden_sheets,
        ],
        refused=[row for sheet in data_sheets for row in sheet.refused],
    )


def cell_text(cell: Any) -> str:
    """A cell as text, losing nothing: 3 not 3.0, 2026-10-31 not a serial number, 3.67101234567890E+15 as such."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int | float):
        return _number_text(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time(0) else cell.isoformat(sep=" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return ""


def _number_text(number: float) -> str:
    if not math.isfinite(number):
        return repr(number)
    if abs(number) >= _EXACT_DIGITS:
        return f"{number:.14E}"
    return str(int(number)) if number == int(number) else repr(number)
