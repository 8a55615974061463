"""What a worksheet's XML says of its cells and the reader of values does not: how far they reach, what is hidden.

Here: places of cells without a value of their own (errors, formulas whose result was never stored), hidden and filtered
rows, the sheet's extent. Not here: values (workbook). Told from the XML's text alone, before anything is allocated.
"""

import io
import re
import zipfile
from dataclasses import dataclass
from xml.etree import ElementTree

from warehouse.intake.parse.model import unreadable

# A row's opening tag, or a whole cell.
_ROW_OR_CELL = re.compile(
    rb"<(?:\w+:)?(?:row\b(?P<row>[^>]*)>|c\b(?P<cell>[^>]*?)(?:/>|>(?P<inside>.*?)</(?:\w+:)?c>))", re.DOTALL
)
_ATTRIBUTE = rb"\b%s\s*=\s*[\"'](?:%s)[\"']"
_REFERENCE = re.compile(_ATTRIBUTE % (rb"r", rb"([A-Z]{1,3})([0-9]{1,7})"))
_NUMBER = re.compile(_ATTRIBUTE % (rb"r", rb"([0-9]{1,7})"))
_HIDDEN = re.compile(_ATTRIBUTE % (rb"hidden", rb"1|true") + rb"|" + _ATTRIBUTE % (rb"ht", rb"0(?:\.0+)?"))
_HEIGHT, _FLAT = re.compile(rb"\bht\s*="), re.compile(_ATTRIBUTE % (rb"zeroHeight", rb"1|true"))
_ERROR = re.compile(_ATTRIBUTE % (rb"t", rb"e"))
_FORMULA, _VALUE = re.compile(rb"<(?:\w+:)?f\b"), re.compile(rb"<(?:\w+:)?(?:v\b[^>]*>[^<]|is\b)")
_WIDE = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class SheetMarks:
    """Rows and columns are numbered from 1, as a spreadsheet shows them.

    ``rows``, ``columns``: the extent of the cells. ``hidden``: rows that are hidden or filtered out. ``errors`` and
    ``without_result``: (row, column) of cells that show an error, and of formulas without a stored result.
    """

    rows: int
    columns: int
    hidden: frozenset[int]
    errors: frozenset[tuple[int, int]]
    without_result: frozenset[tuple[int, int]]


def of_sheet(workbook: bytes, number: int) -> SheetMarks:
    """Marks of the sheet at a place in the workbook, from 1; raises UnreadableDelivery PARSE_TRUNCATED."""
    try:
        with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
            xml = archive.read(_member(archive, number))
    except (KeyError, IndexError, StopIteration, ElementTree.ParseError):
        raise unreadable("PARSE_TRUNCATED") from None
    if xml.startswith(_WIDE):
        raise unreadable("PARSE_TRUNCATED")
    references = _REFERENCE.findall(xml)
    is_flat = bool(_FLAT.search(xml))
    hidden_rows, errors, without_result = set(), set(), set()
    if is_flat or any(pattern.search(xml) for pattern in (_HIDDEN, _ERROR, _FORMULA)):
        row = column = 0
        for tag in _ROW_OR_CELL.finditer(xml):
            if (attributes := tag["row"]) is not None:
                # Rows and cells without a reference follow the one before.
                row, column = int(match[1]) if (match := _NUMBER.search(attributes)) else row + 1, 0
                if _HIDDEN.search(attributes) or (is_flat and not _HEIGHT.search(attributes)):
                    hidden_rows.add(row)
                continue
            place = _REFERENCE.search(tag["cell"])
            column = column_number(place[1]) if place else column + 1
            inside = tag["inside"] or b""
            if _ERROR.search(tag["cell"]):
                errors.add((row, column))
            elif _FORMULA.search(inside) and not _VALUE.search(inside):
                without_result.add((row, column))
    return SheetMarks(
        rows=max(map(int, {row for _, row in references}), default=0),
        columns=max(map(column_number, {letters for letters, _ in references}), default=0),
        hidden=frozenset(hidden_rows),
        errors=frozenset(errors),
        without_result=frozenset(without_result),
    )


def _member(archive: zipfile.ZipFile, number: int) -> str:
    """The file of a sheet: workbook.xml lists sheets in order, its relationships say where each lies."""
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    sheets = [element for element in book.iter() if element.tag.endswith("}sheet")]
    links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    key = next(value for name, value in sheets[number - 1].attrib.items() if name.endswith("}id"))
    target = targets[key]
    return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"


def column_number(letters: bytes) -> int:
    """1 for A, 27 for AA."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number
