"""Which version of its contract a delivery is of, in which shape, and the steps all shapes share.

Here: trimming, null tokens, absent columns. Not here: the shapes' own readers.
"""

import codecs
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.core.contract import Column, Contract, FileShape
from warehouse.core.errors import UnreadableDelivery, WarehouseError
from warehouse.core.redaction import described
from warehouse.intake.parse import answers, bps_export, day_order, delimited, workbook
from warehouse.intake.parse.headers import missing_headers
from warehouse.intake.parse.model import ERROR_CELL, Content, Parsed, RefusedRow, unreadable
from warehouse.intake.parse.restoring import restored
from warehouse.storage.media import looks_like_html

_READERS: dict[str, Callable[[Contract, FileShape, bytes], Content]] = {
    "csv": delimited.read,
    "bps_export": bps_export.read,
    "xlsx": workbook.read,
    "json_pages": answers.read,
    "bps_webapi": answers.read,
    "bantenprov": answers.read,
}
# What the bytes are -> the shapes that can be read from them.
_MEDIA = {
    "csv": ("csv", "bps_export"),
    "xlsx": ("xlsx",),
    "json": ("json_pages", "bps_webapi", "bantenprov"),
    "pages": ("json_pages", "bps_webapi", "bantenprov"),
}
# First bytes of XLS, and of any workbook with a password.
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEAD = 512
# The file was read and is not the agreed one: says more than "another kind of file".
_MISSING = "PARSE_MISSING_COLUMNS"
_UNDERSTOOD = (
    "PARSE_REFUSED_COLUMN",
    "PARSE_DUPLICATE_COLUMN",
    "PARSE_WRONG_DATASET",
    _MISSING,
    "PARSE_NO_HEADER",
    "PARSE_INCOMPLETE",
)
# Says that a file is not of a version; anything else was found out after its header had been recognised.
_NOT_OF_IT = ("PARSE_WRONG_FORMAT", "PARSE_DELIMITER", "PARSE_NO_HEADER", _MISSING)
# What a spreadsheet shows where a formula failed; saved as text it would pass for a name.
_ERROR_TEXT = r"^#(N/A|DIV/0!|REF!|VALUE!|NAME\?|NUM!|NULL!|SPILL!|CALC!|N/D|NILAI!)$"


def parse(contract: Contract, data: bytes, media: str) -> Parsed:
    """Read ``data`` as the newest version of the contract whose header it has, in the first shape that fits.

    ``media`` is csv, xlsx, json or pages (a tar of JSON answers). Raises UnreadableDelivery with a PARSE_ code.
    """
    if not data[:_HEAD].removeprefix(codecs.BOM_UTF8).strip() and not data.removeprefix(codecs.BOM_UTF8).strip():
        raise unreadable("PARSE_EMPTY")
    if data.startswith(_OLE):
        raise unreadable("PARSE_NOT_XLSX")
    if looks_like_html(data[:_HEAD]):
        raise unreadable("PARSE_HTML")
    errors = {}
    for version in contract.versions:
        try:
            return _parse_as(version, data, media)
        except UnreadableDelivery as error:
            errors[version.version] = error
        except (WarehouseError, OSError):
            raise
        except Exception as error:
            # What nobody foresaw is the end of this delivery's reading, not of the dataset's night.
            raise unreadable("PARSE_UNFORESEEN", described(error)) from None
    raise _told(errors)


def _told(errors: dict[str, UnreadableDelivery]) -> UnreadableDelivery:
    """What to tell of a file that no version could be read from: what the one it is of says, else what each lacks."""
    if of_it := [error for error in errors.values() if error.code not in _NOT_OF_IT]:
        return next((error for error in of_it if error.code in _UNDERSTOOD), of_it[0])
    lacking = {version: error for version, error in errors.items() if error.code == _MISSING}
    if len(lacking) > 1:
        detail = "; ".join(f"{version}: {error.detail}" for version, error in lacking.items())
        return unreadable("PARSE_UNKNOWN_LAYOUT", detail)
    return next(iter((lacking or errors).values()))


def _parse_as(contract: Contract, data: bytes, media: str) -> Parsed:
    shapes = [shape for shape in contract.extras.shapes if shape.media in _MEDIA[media]]
    if not shapes:
        raise unreadable("PARSE_WRONG_FORMAT", ", ".join(shape.name for shape in contract.extras.shapes))
    errors = []
    for shape in shapes:
        try:
            return _finish(contract, shape, _READERS[shape.media](contract, shape, data))
        except UnreadableDelivery as error:
            errors.append(error)
    raise next((error for error in errors if error.code in _UNDERSTOOD), errors[0])


def _finish(contract: Contract, shape: FileShape, content: Content) -> Parsed:
    rows = len(content.source_row)
    if not rows and not content.refused and not contract.extras.may_be_empty:
        raise unreadable("PARSE_EMPTY")
    absent = pa.nulls(rows, pa.string())
    columns = {
        column.name: _clean(column, content.cells[column.name]) if column.name in content.cells else absent
        for column in contract.file_columns
    }
    table = pa.table({**columns, "source_part": content.source_part, "source_row": content.source_row})
    table, refused_rows = _without_errors(table)
    day_order.demand_days_before_months(contract, table)
    return Parsed(
        table=table,
        rows_read=rows + len(content.refused),
        refused=sorted([*content.refused, *refused_rows], key=lambda row: (row.source_part or "", row.source_row)),
        unknown_headers=content.unknown_headers,
        missing_headers=missing_headers(contract, set(content.cells)),
        shape=shape.name,
        encoding=content.encoding,
        version=contract.version,
    )


def _without_errors(table: pa.Table) -> tuple[pa.Table, list[RefusedRow]]:
    """The rows without an error's text in any column, and the others as refused: an error is no value and no blank."""
    has_error = pa.array(np.zeros(table.num_rows, dtype=bool))
    for name in table.column_names:
        is_text = pa.types.is_string(table.schema.field(name).type)
        if is_text and pc.any(pc.starts_with(table[name], "#")).as_py():
            matches = pc.match_substring_regex(pc.utf8_upper(table[name]), _ERROR_TEXT)
            has_error = pc.or_(has_error, pc.fill_null(matches, fill_value=False))
    if not pc.any(has_error).as_py():
        return table, []
    bad_rows = table.filter(has_error)
    places = zip(bad_rows["source_part"].to_pylist(), bad_rows["source_row"].to_pylist(), strict=True)
    return table.filter(pc.invert(has_error)), [RefusedRow(part, row, ERROR_CELL) for part, row in places]


def _clean(column: Column, cells: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Cells without surrounding blanks; empty ones and the column's null tokens (in any case) become NULL."""
    text = restored(column, pc.utf8_trim_whitespace(cells))
    tokens = {form for token in ("", *column.extras.null_tokens) for form in (token, token.upper(), token.lower())}
    is_null = pc.is_in(text, pa.array(sorted(tokens), pa.string()))
    return pc.if_else(is_null, None, text) if pc.any(is_null).as_py() else text
