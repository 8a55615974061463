"""Which version of its contract a delivery is of, in which shape, and the steps all shapes share.

Here: trimming, null tokens, absent columns. Not here: the shapes' own readers.
"""

import codecs
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.core.contract import Column, Contract, FileShape
from warehouse.core.errors import UnreadableDelivery
from warehouse.intake.parse import answers, bps_export, delimited, workbook
from warehouse.intake.parse.headers import missing_headers
from warehouse.intake.parse.model import Content, Parsed, unreadable
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
_UNDERSTOOD = ("PARSE_REFUSED_COLUMN", "PARSE_DUPLICATE_COLUMN", "PARSE_WRONG_DATASET", _MISSING, "PARSE_INCOMPLETE")
# Says that a file is not of a version; anything else was found out after its header had been recognised.
_NOT_OF_IT = ("PARSE_WRONG_FORMAT", "PARSE_DELIMITER", _MISSING)


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
    return Parsed(
        table=pa.table({**columns, "source_part": content.source_part, "source_row": content.source_row}),
        rows_read=rows + len(content.refused),
        refused=content.refused,
        unknown_headers=content.unknown_headers,
        missing_headers=missing_headers(contract, set(content.cells)),
        shape=shape.name,
        encoding=content.encoding,
        version=contract.version,
    )


def _clean(column: Column, cells: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Cells without surrounding blanks; empty ones and the column's null tokens (in any case) become NULL."""
    trimmed = pc.utf8_trim_whitespace(cells)
    tokens = {form for token in ("", *column.extras.null_tokens) for form in (token, token.upper(), token.lower())}
    is_null = pc.is_in(trimmed, pa.array(sorted(tokens), pa.string()))
    return pc.if_else(is_null, None, trimmed) if pc.any(is_null).as_py() else trimmed
