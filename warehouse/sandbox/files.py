"""Writes the files agencies send: XLSX, CSV in an agency's dialect. Equal rows give equal bytes.

Not here: what stands in them (the render modules).
"""

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.csv

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MEDIA = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_RELATIONS = (
    '<Relationships xmlns="{}/relationships"><Relationship Id="rId1" Type="{}/{}" Target="{}"/></Relationships>'
)
_BOOK = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_MEDIA}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_MEDIA}.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": _RELATIONS.format(_PACKAGE, _OFFICE, "officeDocument", "xl/workbook.xml"),
    "xl/_rels/workbook.xml.rels": _RELATIONS.format(_PACKAGE, _OFFICE, "worksheet", "worksheets/sheet1.xml"),
}
_ROWS_A_BLOCK = 2_000


def write_xlsx(
    path: Path, sheet: str, titles: Sequence[str], header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Title rows, one header row, then rows: text as text, numbers as numbers, None and empty text as an empty cell.

    By hand, because a library's million calls a sheet would be most of what holdings take. Parts bear the date
    of ZIP's epoch, so that equal rows give equal bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [_letters(column) for column in range(len(header))]
    book = (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets><sheet name="{escape(sheet)}" sheetId="1" r:id="rId1"/>'
        "</sheets></workbook>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, part in {**_BOOK, "xl/workbook.xml": book}.items():
            archive.writestr(_part(name), _DECLARATION + part)
        with archive.open(_part("xl/worksheets/sheet1.xml"), "w") as page:
            page.write(f'{_DECLARATION}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            block = [_row(line, columns, row) for line, row in enumerate([*((title,) for title in titles), header], 1)]
            for line, row in enumerate(rows, len(block) + 1):
                block.append(_row(line, columns, row))
                if len(block) >= _ROWS_A_BLOCK:
                    page.write("".join(block).encode())
                    block.clear()
            page.write(("".join(block) + "</sheetData></worksheet>").encode())


def _part(name: str) -> zipfile.ZipInfo:
    part = zipfile.ZipInfo(name)
    part.compress_type = zipfile.ZIP_DEFLATED
    return part


def _letters(column: int) -> str:
    return (_letters(column // 26 - 1) if column >= 26 else "") + chr(ord("A") + column % 26)


def _row(line: int, columns: Sequence[str], values: Sequence[Any]) -> str:
    cells = []
    for column, value in zip(columns, values, strict=False):
        if type(value) is str:
            if value:
                text = escape(value) if "&" in value or "<" in value or ">" in value else value
                cells.append(f'<c r="{column}{line}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>')
        elif value is not None:
            cells.append(f'<c r="{column}{line}"><v>{value}</v></c>')
    return f'<row r="{line}">{"".join(cells)}</row>'


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
