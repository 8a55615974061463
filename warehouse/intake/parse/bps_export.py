"""Tables as BPS's website exports them: two header rows, the title once above the years, no codes.

The unit stands in parentheses, at the title's end or within it: "Jumlah Penduduk Miskin (Ribu Jiwa) Menurut ...". The
symbol of an index does, too, and belongs to its name: "Persentase Penduduk Miskin (P0) Menurut ... (Persen)".

An upper-case row is a province and opens its block; below it a name without prefix is a regency ("Tangerang") and one
that begins with "Kota" a city ("Kota Tangerang").
"""

import csv
import io
import re

from warehouse.core.contract import Contract, FileShape
from warehouse.intake.parse.answers import Found, from_records
from warehouse.intake.parse.delimited import decode
from warehouse.intake.parse.model import FIELD_COUNT, Content, Record, RefusedRow, unreadable

_YEAR = re.compile(r"(19|20)\d\d")
_PARENTHESES = re.compile(r"\s*\(([^()]*)\)")
_SYMBOL = re.compile(r"[A-Z]{1,3}[0-9]?")
_CITY = re.compile(r"(kota|kab\.?|kabupaten)\s", re.IGNORECASE)


def read(contract: Contract, shape: FileShape, data: bytes) -> Content:
    content, encoding = decode(shape, data)
    records = list(csv.reader(io.StringIO(content, newline="")))
    if len(records) < 2 or not _is_export(records[0], records[1]):
        raise unreadable("PARSE_WRONG_FORMAT", shape.name)
    figures = from_records(contract, _figures(records))
    figures.encoding = encoding
    return figures


def _is_export(title_row: list[str], year_row: list[str]) -> bool:
    titles = [cell for cell in title_row if cell.strip()]
    years = [cell.strip() for cell in year_row[1:]]
    return len(titles) == 2 and bool(years) and all(_YEAR.fullmatch(year) for year in years)


def _told_apart(title: str) -> tuple[str, str | None]:
    """(indicator, unit or None) of a title."""
    units = [match for match in _PARENTHESES.finditer(title) if not _SYMBOL.fullmatch(match[1].strip())]
    if not units:
        return title, None
    last = units[-1]
    return (title[: last.start()] + title[last.end() :]).strip(), last[1].strip()


def _figures(records: list[list[str]]) -> list[Found]:
    title = next(cell.strip() for cell in records[0][1:] if cell.strip())
    indicator, unit = _told_apart(title)
    years = [cell.strip() for cell in records[1]]
    province: str | None = None
    rows: list[Record | RefusedRow] = []
    for number, record in enumerate(records[2:], start=3):
        name = record[0].strip() if record else ""
        if not any(cell.strip() for cell in record[1:]):
            # A blank line, or a note below the table: no figure stands in it.
            continue
        if len(record) != len(years):
            rows.append(RefusedRow(None, number, FIELD_COUNT))
            continue
        is_province = name == name.upper()
        province = name if is_province else province
        for year, value in zip(years[1:], record[1:], strict=True):
            rows.append(
                Record(
                    number,
                    {
                        "indikator": indicator,
                        "satuan": unit,
                        "nama_wilayah": name if is_province or _CITY.match(name) else f"Kabupaten {name}",
                        "provinsi": province,
                        "periode": year,
                        "nilai": value,
                        "sistem_sumber": "BPS",
                        "judul_sumber": title,
                    },
                )
            )
    return rows
