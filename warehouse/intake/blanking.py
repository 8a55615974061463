"""Takes single records out of a delivery's bytes, so that every other record keeps its place.

Here: blanking a record in delimited text, workbooks and JSON answers. Not here: which records (erasure), the shapes
themselves (the readers). What comes out parses as before without those records; the caller has to check that it does,
because a sender's file may hold the same values where no reader looks.
"""

import csv
import io
import json
import posixpath
import re
import tarfile
import zipfile
from collections.abc import Collection, Iterator
from functools import partial
from xml.etree import ElementTree

from warehouse.core.contract import Contract, FileShape
from warehouse.intake.parse import delimited

Place = tuple[str | None, int]

_BOM = b"\xef\xbb\xbf"
_ROW = re.compile(rb"<((?:\w+:)?row)\b([^>]*?)(?:/>|>(.*?)</\1>)", re.DOTALL)
_ROW_NUMBER = re.compile(rb'\br="(\d+)"')
_CELL = re.compile(rb"<((?:\w+:)?c)\b([^>]*?)(?:/>|>(.*?)</\1>)", re.DOTALL)
_IS_SHARED = re.compile(rb'\bt="s"')
_CELL_VALUE = re.compile(rb"<(?:\w+:)?v>\s*(\d+)\s*</")
_SHARED_STRING = re.compile(rb"<((?:\w+:)?)si\b[^>]*?(?:/>|>.*?</\1si>)", re.DOTALL)
_COMMENT = re.compile(
    rb'<((?:\w+:)?(?:comment|threadedComment))\b[^>]*?\bref="[A-Z]+(\d+)"[^>]*?(?:/>|>.*?</\1>)', re.DOTALL
)
_SHARED = "xl/sharedStrings.xml"
_DECODER = json.JSONDecoder()
_JSON_SPACE = re.compile(r"[ \t\r\n]*")


class CannotBlank(Exception):
    """The bytes are not of a form in which a record can be blanked with certainty."""


def blank(contract: Contract, shape: FileShape, data: bytes, media: str, places: Collection[Place]) -> bytes:
    """``data`` without the records at ``places`` (source part and row, as parsed); raises CannotBlank."""
    if shape.media == "csv":
        encoding = delimited.find_encoding(shape, data)
        delimiter = delimited.find_delimiter(contract, shape, data, encoding)
        return _blank_text(data, delimiter, {row for _, row in places})
    if shape.media == "xlsx":
        return _blank_workbook(data, places)
    if shape.media == "json_pages":
        return _blank_answers(data, media, shape, {row for _, row in places})
    raise CannotBlank(f"no record of a person is expected in {shape.media}")


def _blank_text(data: bytes, delimiter: str, rows: set[int]) -> bytes:
    """A blanked record is a line of delimiters. One byte is one character here: the rest stays as it was."""
    bom = _BOM if data.startswith(_BOM) else b""
    lines = list(io.StringIO(data[len(bom) :].decode("latin-1"), newline=""))
    reader = csv.reader(lines, delimiter=delimiter)
    starts_at = 0
    try:
        for number, record in enumerate(reader, start=1):
            ends_at = reader.line_num
            if number in rows:
                text = lines[ends_at - 1]
                lines[starts_at] = delimiter * max(0, len(record) - 1) + text[len(text.rstrip("\r\n")) :]
                lines[starts_at + 1 : ends_at] = [""] * (ends_at - starts_at - 1)
            starts_at = ends_at
    except csv.Error:
        raise CannotBlank("records cannot be told apart") from None
    return bom + "".join(lines).encode("latin-1")


# --- workbooks -------------------------------------------------------------------------------------------------------


def _comment_kept(rows: Collection[int], match: re.Match[bytes]) -> bytes:
    return b"" if int(match[2]) in rows else match[0]


def _blank_workbook(data: bytes, places: Collection[Place]) -> bytes:
    """Rows keep their number and lose their cells; strings that no cell names any more, and comments, go too."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: (info, archive.read(info)) for info in archive.infolist()}
    texts = {name: text for name, (_, text) in members.items()}
    sheets = {f"sheet {number}": path for number, path in enumerate(_sheet_paths(texts), start=1)}
    strings_of_rows: set[int] = set()
    strings_elsewhere: set[int] = set()
    for name, path in sheets.items():
        rows = {row for part, row in places if part == name}
        texts[path], blanked_strings, other_strings = _blank_rows(texts[path], rows)
        strings_of_rows |= blanked_strings
        strings_elsewhere |= other_strings
        for comments in _comment_paths(texts, path):
            texts[comments] = _COMMENT.sub(partial(_comment_kept, rows), texts[comments])
    if strings_of_rows and _SHARED in texts:
        texts[_SHARED] = _blank_strings(texts[_SHARED], strings_of_rows - strings_elsewhere)
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        for name, (info, _) in members.items():
            archive.writestr(info, texts[name], compress_type=info.compress_type)
    return output.getvalue()


def _blank_rows(sheet: bytes, rows: set[int]) -> tuple[bytes, set[int], set[int]]:
    """The sheet without the cells of ``rows``; shared strings those cells named, and those the others name."""
    blanked_strings: set[int] = set()
    other_strings: set[int] = set()
    number = 0

    def one(match: re.Match[bytes]) -> bytes:
        nonlocal number
        row_number = _ROW_NUMBER.search(match[2])
        number = int(row_number[1]) if row_number else number + 1
        string_indices = set(_shared_strings(match[3] or b""))
        (blanked_strings if number in rows else other_strings).update(string_indices)
        return b"<" + match[1] + match[2] + b"/>" if number in rows else match[0]

    return _ROW.sub(one, sheet), blanked_strings, other_strings


def _shared_strings(row: bytes) -> Iterator[int]:
    for cell in _CELL.finditer(row):
        if _IS_SHARED.search(cell[2]) and (value := _CELL_VALUE.search(cell[3] or b"")):
            yield int(value[1])


def _blank_strings(strings: bytes, positions: set[int]) -> bytes:
    count = -1

    def one(match: re.Match[bytes]) -> bytes:
        nonlocal count
        count += 1
        return b"<" + match[1] + b"si><" + match[1] + b"t/></" + match[1] + b"si>" if count in positions else match[0]

    return _SHARED_STRING.sub(one, strings)


def _sheet_paths(texts: dict[str, bytes]) -> list[str]:
    """Members of the workbook's sheets, in the workbook's order, whatever kind of sheet they are."""
    targets = {key: target for key, _, target in _relations(texts, "xl/workbook.xml")}
    book = ElementTree.fromstring(texts["xl/workbook.xml"])
    sheets = [element for element in book.iter() if element.tag.rpartition("}")[2] == "sheet"]
    keys = [next(value for name, value in sheet.attrib.items() if name.endswith("}id")) for sheet in sheets]
    return [targets[key] for key in keys]


def _comment_paths(texts: dict[str, bytes], sheet: str) -> list[str]:
    return [target for _, kind, target in _relations(texts, sheet) if "comment" in kind.lower()]


def _relations(texts: dict[str, bytes], member: str) -> Iterator[tuple[str, str, str]]:
    """Id, type and member name of what a member of the archive refers to."""
    folder, name = posixpath.split(member)
    about = texts.get(f"{folder}/_rels/{name}.rels")
    for element in ElementTree.fromstring(about) if about else ():
        if element.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/" + folder, element.get("Target", ""))).lstrip("/")
            yield element.get("Id", ""), element.get("Type", ""), target


# --- answers ---------------------------------------------------------------------------------------------------------


def _blank_answers(data: bytes, media: str, shape: FileShape, rows: set[int]) -> bytes:
    """A blanked record is an empty object; every other byte stays, so that numbers keep their digits."""
    if media == "json":
        return _blank_page(data, shape, rows, 0)[0]
    output = io.BytesIO()
    position = 0
    with (
        tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive,
        tarfile.open(fileobj=output, mode="w:", format=tarfile.USTAR_FORMAT) as target,
    ):
        for member in archive:
            if not (file := archive.extractfile(member)):
                continue
            page, position = _blank_page(file.read(), shape, rows, position)
            member.size = len(page)
            target.addfile(member, io.BytesIO(page))
    return output.getvalue()


def _blank_page(page: bytes, shape: FileShape, rows: set[int], before: int) -> tuple[bytes, int]:
    """The page without the records at ``rows``, and how many records there were up to its end."""
    text = page.decode("utf-8")
    start = _skip(text, 1 if text.startswith("\ufeff") else 0)
    for step in (shape.records_path or "").split("."):
        if step:
            start = _value_of(text, start, step)
    pieces, end, number = [], 0, before
    for number, (first, last) in enumerate(_items(text, start), start=before + 1):
        if number in rows:
            pieces += [text[end:first], "{}"]
            end = last
    return ("".join(pieces) + text[end:]).encode("utf-8"), number


def _skip(text: str, position: int) -> int:
    space = _JSON_SPACE.match(text, position)
    return space.end() if space else position


def _after(text: str, end: int) -> int:
    """Where the next member starts, or the closing bracket stands."""
    position = _skip(text, end)
    return _skip(text, position + 1) if text[position] == "," else position


def _items(text: str, position: int) -> Iterator[tuple[int, int]]:
    """Start and end of each item of the array at ``position``."""
    if text[position] != "[":
        raise CannotBlank("the answer has another shape")
    position = _skip(text, position + 1)
    while text[position] != "]":
        end = _DECODER.raw_decode(text, position)[1]
        yield position, end
        position = _after(text, end)


def _value_of(text: str, position: int, wanted_key: str) -> int:
    """Where the value of a key of the object at ``position`` starts; the last of equal keys, as readers take it."""
    start = None
    position = _skip(text, position + 1) if text[position] == "{" else position
    while text[position] == '"':
        key, end = _DECODER.raw_decode(text, position)
        value = _skip(text, _skip(text, end) + 1)
        start = value if key == wanted_key else start
        position = _after(text, _DECODER.raw_decode(text, value)[1])
    if start is None:
        raise CannotBlank("the answer has another shape")
    return start
