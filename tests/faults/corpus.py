"""Defective deliveries and what becomes of each: read and judged, nothing landed. Writes docs/defective-deliveries.md.

Each is a good delivery of samples with one thing wrong with it, as agencies and transfers have made them. Here: the
files. What becomes of them stands in the document, which a test compares. ``python -m tests.faults.corpus``.
"""

import io
import json
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import xlsxwriter

from tests.support import samples
from tests.support.samples import Row, as_file, csv_bytes, good_rows, grid, pages_bytes, xlsx_bytes
from warehouse.core.errors import UnreadableDelivery
from warehouse.core.periods import Period
from warehouse.core.settings import PROJECT_DIR, Settings
from warehouse.intake import gate
from warehouse.intake.judge import each_by_itself
from warehouse.intake.parse import Parsed, parse

FILE = PROJECT_DIR / "docs" / "defective-deliveries.md"
EPPGBM = "kemenkes/eppgbm"
# Whose children the sample rows are.
_PUSKESMAS = "kreo-selatan"
_HEAD = """# Defective deliveries

*Kiriman cacat dan nasibnya. Untuk teknisi data.*

What becomes of {count} deliveries with one thing wrong with each, read and judged by themselves: generated from the
tests (`.venv/bin/python -m tests.faults.corpus`), which compare it in every run. *Reason*: what holds the delivery.
*Rules*: those that failed, with the rows each found; a rule on the whole delivery has no number. Of the rows read some
count, some are set aside by a rule, some are refused because they cannot be read; no row is missing from that sum.

| no. | dataset | what is wrong | verdict | reason | rules | read | count | set aside | refused |
|--:|---|---|---|---|---|--:|--:|--:|--:|
"""


@dataclass(frozen=True)
class Defect:
    dataset: str
    wrong: str
    data: bytes
    media: str
    part: str = "all"
    period: Period | None = None


# --- files of text ----------------------------------------------------------------------------------------------------


def _shape(dataset: str, media: str) -> str:
    return next(one.name for one in samples.contracts()[dataset].extras.shapes if one.media == media)


def _text(dataset: str, rows: list[Row]) -> bytes:
    return as_file(dataset, rows, _shape(dataset, "csv"))[0]


def _delimiter(dataset: str) -> str:
    contract = samples.contracts()[dataset]
    return next(one for one in contract.extras.shapes if one.media == "csv").delimiters[0]


def _table(dataset: str) -> list[list[str]]:
    return grid(samples.contracts()[dataset], good_rows(dataset))


def _required(dataset: str) -> str:
    return next(column.name for column in samples.contracts()[dataset].file_columns if column.required)


def _without_column(dataset: str) -> bytes:
    table, contract = _table(dataset), samples.contracts()[dataset]
    at = table[0].index(contract.column(_required(dataset)).header)
    return csv_bytes([[cell for n, cell in enumerate(row) if n != at] for row in table], _delimiter(dataset))


def _with_column_twice(dataset: str) -> bytes:
    return csv_bytes([[*row, row[0]] for row in _table(dataset)], _delimiter(dataset))


def _stray_quote(dataset: str) -> bytes:
    lines = _text(dataset, good_rows(dataset)).splitlines(keepends=True)
    return b"".join([lines[0], b'"' + lines[1], *lines[2:]])


def _quotes_round_two(dataset: str) -> bytes:
    """A mark at the beginning of one record's last field and one at the end of the next record's."""
    mark = _delimiter(dataset).encode()
    lines = _text(dataset, good_rows(dataset)).splitlines()
    before, _, last = lines[1].rpartition(mark)
    lines[1], lines[2] = before + mark + b'"' + last, lines[2] + b'"'
    return b"\r\n".join(lines)


_TEXT_FOR_ALL: dict[str, Callable[[str], bytes]] = {
    "a required column is missing": _without_column,
    "a required column has not one value": lambda d: _text(d, samples.every(good_rows(d), **{_required(d): None})),
    "every record stands twice": lambda d: _text(d, good_rows(d) * 2),
    "cut off within the field before the last": lambda d: _text(d, good_rows(d)).rpartition(_delimiter(d).encode())[0][
        :-1
    ],
    "one quotation mark too many": _stray_quote,
    "the file of another dataset": lambda d: _text(
        "kemensos/assistance" if d != "kemensos/assistance" else EPPGBM,
        good_rows("kemensos/assistance" if d != "kemensos/assistance" else EPPGBM),
    ),
}
_TEXT_FOR_ONE: dict[str, Callable[[str], bytes]] = {
    "no byte": lambda _d: b"",
    "blanks and line ends alone": lambda _d: b" \r\n \r\n\r\n",
    "the header alone": lambda d: csv_bytes(_table(d)[:1], _delimiter(d)),
    "a login page": lambda _d: b"<!DOCTYPE html><html><body>Silakan masuk</body></html>",
    "an XML document": lambda _d: b"<?xml version='1.0'?><rows><row/></rows>",
    "a table of HTML": lambda _d: b"<table><tr><td>NIK</td></tr></table>",
    "UTF-16": lambda d: _text(d, good_rows(d)).decode("utf-8-sig").encode("utf-16"),
    "UTF-32": lambda d: _text(d, good_rows(d)).decode("utf-8-sig").encode("utf-32"),
    "NUL bytes between records": lambda d: _text(d, good_rows(d)).replace(b"\n", b"\n\0"),
    "divided by |": lambda d: csv_bytes(_table(d), "|"),
    "divided by blanks": lambda d: csv_bytes(_table(d), " "),
    "a column twice": _with_column_twice,
    "two marks that fuse two records": _quotes_round_two,
    "bytes of a picture": lambda _d: b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8,
    "a zip under the name of a text": lambda d: _zip({"data.csv": _text(d, good_rows(d))}),
    "a gzip under the name of a text": lambda _d: b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"x" * 400,
    "lines in two encodings": lambda d: _two_encodings(d),
    "a record with a field too many": lambda d: _lines(d, 1, lambda line: line + _delimiter(d).encode() + b"x"),
    "a record with a field too few": lambda d: _lines(d, 1, lambda line: line.rpartition(_delimiter(d).encode())[0]),
    "forty lines before the header": lambda d: b"Laporan\r\n" * 40 + _text(d, good_rows(d)),
    "the header again after each record": lambda d: csv_bytes(
        [line for row in _table(d)[1:] for line in (_table(d)[0], row)], _delimiter(d)
    ),
    "a line of totals": lambda d: _text(d, good_rows(d)) + b"TOTAL" + _delimiter(d).encode() * 5 + b"8\r\n",
    "cut off within its last field": lambda d: _text(d, good_rows(d)).rstrip()[:-1],
    "no header": lambda d: csv_bytes(_table(d)[1:], _delimiter(d)),
    "a header over two lines": lambda d: csv_bytes(
        [_table(d)[0][:6] + [""] * (len(_table(d)[0]) - 6), [""] * 6 + _table(d)[0][6:], *_table(d)[1:]], _delimiter(d)
    ),
    "headers with blanks nobody sees": lambda d: csv_bytes(
        [["\u200b".join(cell) for cell in _table(d)[0]], *_table(d)[1:]], _delimiter(d)
    ),
}  # fmt: skip


def _two_encodings(dataset: str) -> bytes:
    rows = [row | {"nama": "André"} for row in good_rows(dataset)]
    lines = _text(dataset, rows).decode("utf-8-sig").splitlines(keepends=True)
    return b"".join(line.encode(("utf-8", "cp1252")[n % 2]) for n, line in enumerate(lines))


def _lines(dataset: str, at: int, change: Callable[[bytes], bytes]) -> bytes:
    lines = _text(dataset, good_rows(dataset)).splitlines()
    lines[at] = change(lines[at])
    return b"\r\n".join(lines) + b"\r\n"


# --- values -----------------------------------------------------------------------------------------------------------

# What stands in the first child's row, by what is wrong with it; all rows with "every".
_VALUES: dict[str, dict[str, str | None]] = {
    "a NIK that a spreadsheet made 3,67101E+15": {"nik": "3,67101E+15"},
    "a NIK of fifteen digits": {"nik": "367101410220999"},
    "a NIK of seventeen digits": {"nik": "36710141022099991"},
    "a masked NIK": {"nik": "367101**********"},
    "a NIK of letters": {"nik": "TIDAK ADA"},
    "an age of 99999999999 years": {"usia_saat_ukur": "99999999999 Tahun - 9 Bulan - 9 Hari"},
    "a height of 8,8E+29": {"tinggi": "8,8E+29"},
    "a weight in grams": {"berat": "9500"},
    "a weight of minus nine": {"berat": "-9"},
    "a weight of 1E400": {"berat": "1E400"},
    "a weight of NaN": {"berat": "NaN"},
    "a weight in words": {"berat": "sembilan"},
    "31 February": {"tgl_lahir": "31/02/2024"},
    "a birth in the year 1": {"tgl_lahir": "0001-01-01"},
    "a birth after the measurement": {"tgl_lahir": "2026-12-31"},
    "a sex nobody knows": {"jk": "X"},
    "no name": {"nama": None},
    "a kelurahan the city has not": {"desa_kel": "Kampung Maya"},
    "a day in the future": {"tanggal_pengukuran": "2027-01-24"},
    "a formula as name": {"nama": "=HYPERLINK(1)"},
    "SQL as name": {"nama": "x'); DROP TABLE rows; --"},
    "a name of a million letters": {"nama": "A" * 1_000_000},
    "a name that runs from right to left": {"nama": "\u202egnorts"},
    "a spreadsheet's error as name": {"nama": "#REF!"},
}
_EVERY: dict[str, dict[str, str | None]] = {
    "every measurement of August": {"tanggal_pengukuran": "2026-08-05"},
    "every date with a month's name": {"tanggal_pengukuran": "5 Oktober 2026"},
    "every date a spreadsheet's number": {"tanggal_pengukuran": "46300"},
    "every date with two digits for the year": {"tanggal_pengukuran": "05/10/26"},
    "every date with the month first": {"tanggal_pengukuran": "10/25/2026"},
    "no measurement has a date": {"tanggal_pengukuran": None},
    "every sex unknown": {"jk": "X"},
    "every weight missing": {"berat": None},
    "every NIK the same": {"nik": "3671014102209901"},
    "every NIK masked": {"nik": "02022**********"},
    "every kelurahan of another city": {"desa_kel": "Menteng", "kec": "Menteng"},
    "every row names a puskesmas that nothing bears out": {"puskesmas": "BENDA"},
}


# --- workbooks --------------------------------------------------------------------------------------------------------


def _book(write: Callable[[Any, Any, list[list[str]]], None]) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        sheet, table = book.add_worksheet(), _table(EPPGBM)
        for number, row in enumerate(table):
            sheet.write_row(number, 0, row)
        write(book, sheet, table)
    return buffer.getvalue()


def _rewritten(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(name, change(text) if name == "xl/worksheets/sheet1.xml" else text)
    return buffer.getvalue()


def _number(value: bytes) -> bytes:
    table = _table(EPPGBM)
    row = [date(2023, 4, 5) if header == "Tgl Lahir" else cell for header, cell in zip(*table[:2], strict=True)]
    made = xlsx_bytes([table[0], row, *table[2:]])
    return _rewritten(made, lambda xml: re.sub(rb"<v>45021</v>", b"<v>" + value + b"</v>", xml))


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _good_book() -> bytes:
    return _book(lambda *_: None)


def _height(table: list[list[str]]) -> int:
    return table[0].index("Tinggi")


def _hidden_alone(book: Any, sheet: Any, table: list[list[str]]) -> None:
    other = book.add_worksheet()
    other.activate()
    other.set_first_sheet()
    sheet.hide()


def _more_hidden(book: Any, _sheet: Any, table: list[list[str]]) -> None:
    other = book.add_worksheet()
    for number, row in enumerate(table):
        other.write_row(number, 0, row)
    other.hide()


_BOOKS: dict[str, Callable[[], bytes]] = {
    "a workbook with a password": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096),
    "an OpenDocument sheet": lambda: _zip(
        {"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b"<a/>"}
    ),
    "a zip that is no workbook": lambda: _zip({"readme.txt": b"data"}),
    "a workbook cut in the middle": lambda: _good_book()[: len(_good_book()) // 2],
    "a workbook that lost a block": lambda: _good_book()[:2000] + _good_book()[2512:],
    "a workbook after a transfer as text": lambda: _good_book().replace(b"\n", b"\r\n"),
    "a workbook without its last kilobyte": lambda: _good_book()[:-1024],
    "one stray cell in the sheet's last row and column": lambda: _book(
        lambda _book, sheet, _table: sheet.write_string(1_048_575, 16_383, "x")
    ),
    "hidden rows": lambda: _book(lambda _book, sheet, _table: sheet.set_row(3, options={"hidden": True})),
    "the data on a hidden sheet alone": lambda: _book(_hidden_alone),
    "more children on a hidden sheet": lambda: _book(_more_hidden),
    "a formula without its result": lambda: _book(
        lambda _book, sheet, table: sheet.write_formula(2, _height(table), "=A1*8", None, "")
    ),
    "a division by zero": lambda: _book(
        lambda _book, sheet, table: sheet.write_formula(2, _height(table), "=1/0", None, "#DIV/0!")
    ),
    "a date of minus infinity": lambda: _number(b"-INF"),
    "a date that is no number": lambda: _number(b"NaN"),
    "a date of the year 270 million": lambda: _number(b"99999999999"),
    "a workbook without a sheet's content": lambda: _rewritten(_good_book(), lambda _xml: b"<worksheet/>"),
    "a sheet of broken XML": lambda: _rewritten(_good_book(), lambda xml: xml[: len(xml) // 2]),
    "text under the name of a workbook": lambda: _text(EPPGBM, good_rows(EPPGBM)),
}


# --- answers ----------------------------------------------------------------------------------------------------------


def _pages(dataset: str) -> list[Any]:
    data, media = as_file(dataset, good_rows(dataset))
    if media == "json":
        return [json.loads(data)]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [json.loads(archive.extractfile(member).read()) for member in archive]


def _records(dataset: str, change: Callable[[list[Any]], list[Any]]) -> bytes:
    """The answers with their records changed, wherever they stand."""
    path = next(one for one in samples.contracts()[dataset].extras.shapes).records_path
    return pages_bytes(*(_at(page, path, change) for page in _pages(dataset)))


def _at(body: Any, path: Any, change: Callable[[list[Any]], list[Any]]) -> Any:
    keys = path.split(".") if isinstance(path, str) and path else list(path or ())
    if not keys:
        return change(body)
    return body | {keys[0]: _at(body[keys[0]], keys[1:], change)}


def _linked(dataset: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("page-00001.json")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return buffer.getvalue()


_ANSWERS: dict[str, Callable[[str], bytes]] = {
    "cut off within an answer": lambda d: pages_bytes(*(json.dumps(page).encode()[:-30] for page in _pages(d))),
    "an answer that is null": lambda _d: pages_bytes(None),
    "an answer that is a list of numbers": lambda _d: pages_bytes([1, 2, 3]),
    "an error in place of an answer": lambda _d: pages_bytes({"error": {"code": 500, "message": "internal"}}),
    "a login page in place of an answer": lambda _d: pages_bytes(b"<!DOCTYPE html><html></html>"),
    "nesting without end": lambda _d: pages_bytes(b"[" * 200_000),
    "an archive with a link": _linked,
    "an archive without answers": lambda _d: pages_bytes(),
    "bytes that are no archive": lambda _d: b"\x00\x01" * 700,
}
_ANSWERS_WITH_RECORDS: dict[str, Callable[[str], bytes]] = {
    "no record": lambda d: _records(d, lambda _records: []),
    "every record null": lambda d: _records(d, lambda found: [None for _ in found]),
    "every record a list": lambda d: _records(d, lambda found: [[1] for _ in found]),
    "every record twice": lambda d: _records(d, lambda found: found * 2),
}


# --- all of them ------------------------------------------------------------------------------------------------------


def _media(dataset: str) -> set[str]:
    return {shape.media for shape in samples.contracts()[dataset].extras.shapes}


@cache
def defects() -> tuple[Defect, ...]:
    return tuple(_all())


def _all() -> Iterator[Defect]:
    # The tables of the portal are alike.
    for dataset in sorted(samples.contracts().keys() - {"portal/digital_services", "portal/domestic_products"}):
        part = {"bps/indicators": "poverty", "polri/outreach": "benda", EPPGBM: _PUSKESMAS}.get(dataset, "all")
        if "csv" in _media(dataset):
            for wrong, made in _TEXT_FOR_ALL.items():
                yield Defect(dataset, wrong, made(dataset), "csv", part)
        first = samples.contracts()[dataset].extras.shapes[0].media
        if first in {"json_pages", "bps_webapi", "bantenprov"}:
            for wrong, made in _ANSWERS.items():
                yield Defect(dataset, wrong, made(dataset), "pages", part)
        if first == "json_pages":
            for wrong, made in _ANSWERS_WITH_RECORDS.items():
                yield Defect(dataset, wrong, made(dataset), "pages", part)
    for wrong, made in _TEXT_FOR_ONE.items():
        yield Defect(EPPGBM, wrong, made(EPPGBM), "csv", _PUSKESMAS)
    for wrong, cells in _VALUES.items():
        yield Defect(EPPGBM, wrong, _text(EPPGBM, samples.changed(good_rows(EPPGBM), 0, **cells)), "csv", _PUSKESMAS)
    for wrong, cells in _EVERY.items():
        yield Defect(EPPGBM, wrong, _text(EPPGBM, samples.every(good_rows(EPPGBM), **cells)), "csv", _PUSKESMAS)
    for wrong, made in _BOOKS.items():
        yield Defect(EPPGBM, wrong, made(), "xlsx", _PUSKESMAS)
    other = samples.every(good_rows(EPPGBM), puskesmas="Sukasari")
    yield Defect(EPPGBM, "the file of another puskesmas", _text(EPPGBM, other), "csv", "cikokol")
    good, ahead = _text(EPPGBM, good_rows(EPPGBM)), Period.parse("2027-10")
    yield Defect(EPPGBM, "of a month that has not begun", good, "csv", _PUSKESMAS, ahead)


def judged(home: Path) -> list[UnreadableDelivery | gate.Judgement]:
    """What becomes of each, in the order of ``defects``; those of a dataset are judged together."""
    s = Settings(home=home)
    found: dict[str, UnreadableDelivery | gate.Judgement] = {}
    parsed: dict[str, dict[str, Parsed]] = {}
    contexts: dict[str, gate.DeliveryContext] = {}
    for number, defect in enumerate(defects()):
        key = f"{number:03d}"
        period = defect.period or samples.period(defect.dataset)
        contexts[key] = gate.DeliveryContext(period, defect.part, samples.RECEIVED_AT)
        try:
            content = parse(samples.contracts()[defect.dataset], defect.data, defect.media)
            parsed.setdefault(defect.dataset, {})[key] = content
        except UnreadableDelivery as error:
            found[key] = error
    for dataset, some in parsed.items():
        contract = samples.contracts()[dataset]

        def judge(them: dict[str, Parsed], contract: Any = contract) -> dict[str, gate.Judgement]:
            return gate.judge(s, contract, them, {key: contexts[key] for key in them}, [], frozenset())

        found |= each_by_itself(some, judge)
    return [found[key] for key in sorted(found)]


def document(outcomes: list[UnreadableDelivery | gate.Judgement]) -> str:
    lines = [_line(number, *pair) for number, pair in enumerate(zip(defects(), outcomes, strict=True), start=1)]
    return _HEAD.format(count=len(lines)) + "".join(lines)


def _line(number: int, defect: Defect, outcome: UnreadableDelivery | gate.Judgement) -> str:
    if isinstance(outcome, UnreadableDelivery):
        cells = ["held", outcome.code, "", "", "", "", ""]
    else:
        failed = sorted({(one.rule_code, one.failed) for one in outcome.results if one.outcome == "fail"}, key=str)
        rules = ", ".join(f"{code} {rows}" if rows else code for code, rows in failed)
        rows = (outcome.rows_read, outcome.rows_admitted, outcome.rows_quarantined, outcome.rows_refused)
        cells = [outcome.verdict.value, outcome.reason_code or "", rules, *map(str, rows)]
    return f"| {' | '.join([str(number), defect.dataset, defect.wrong.replace('|', '&#124;'), *cells])} |\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        FILE.write_text(document(judged(Path(folder))), encoding="utf-8")
