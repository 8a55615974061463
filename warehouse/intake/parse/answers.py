"""JSON answers, page by page: record lists (ArcGIS, Jamsostek, CKAN), BPS WebAPI tables, and one portal's chart files.

Numbers keep the digits they were sent with. A page that is JSON but not the data raises; nothing of a delivery is read
when a page is missing: the pages' own total (``total_path``) and ``exceededTransferLimit`` are compared with what came.
An archive of pages holds plain files alone, and a table of BPS at most ``_MOST_CELLS`` cells.
"""

import io
import json
import math
import tarfile
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pyarrow as pa

from warehouse.core.contract import Contract, FileShape
from warehouse.intake.parse import headers
from warehouse.intake.parse.model import NOT_A_RECORD, UNKNOWN_KEY, Content, Record, RefusedRow, unreadable

Found = Record | RefusedRow
# All indicators of all regencies for 50 years have a quarter of it; dimensions that multiply beyond are no table.
_MOST_CELLS = 2_000_000
# A cell that is itself a record reads as a spreadsheet's error does: its row is refused where the column is ours.
_NESTED = "#VALUE!"


def read(contract: Contract, shape: FileShape, data: bytes) -> Content:
    rows: list[Found] = []
    totals_stated = set()
    has_more = False
    for number, page in enumerate(_pages(data), start=1):
        rows.extend(_READERS[shape.media](shape, page, number, len(rows)))
        if shape.total_path and (total := _dig(page, shape.total_path)) is not None:
            totals_stated.add(str(total))
        has_more = isinstance(page, dict) and bool(page.get("exceededTransferLimit"))
    if has_more or not totals_stated <= {str(len(rows))}:
        totals = " / ".join(total for total in sorted(totals_stated) if total.isdigit())
        raise unreadable("PARSE_INCOMPLETE", f"{len(rows)} / {totals or '…'}")
    return from_records(contract, rows)


def from_records(contract: Contract, rows: list[Found]) -> Content:
    """Columns by header from records by field; a file's header is every field that any record has."""
    # A record without fields is a blank line of this form: it has a place and says nothing.
    records = [row for row in rows if isinstance(row, Record) and row.fields]
    # Hundreds of thousands of records share a few shapes.
    shapes = dict.fromkeys(tuple(record.fields) for record in records)
    header = list(dict.fromkeys(name for shape in shapes for name in shape))
    if not header:
        n_others = sum(isinstance(row, RefusedRow) for row in rows)
        raise unreadable("PARSE_NO_RECORDS", f"{n_others:,}") if n_others else unreadable("PARSE_EMPTY")
    header_match = headers.match(contract, header)
    return Content(
        cells={
            name: pa.array([record.fields.get(header[position]) for record in records], pa.string())
            for name, position in header_match.positions.items()
        },
        source_part=pa.nulls(len(records), pa.string()),
        source_row=pa.array([record.source_row for record in records], pa.int64()),
        unknown_headers=header_match.unknown,
        refused=[row for row in rows if isinstance(row, RefusedRow)],
    )


def _pages(data: bytes) -> Iterator[Any]:
    for number, body in enumerate(_bodies(data), start=1):
        try:
            # The text is kept: 16 digits are exact, 1.10 stays 1.10, and Infinity is not missing.
            page = json.loads(body, parse_float=str, parse_int=str, parse_constant=str)
        except (ValueError, RecursionError):
            raise unreadable("PARSE_NOT_JSON", str(number)) from None
        if page is None:
            raise unreadable("PARSE_NULL_ANSWER", str(number))
        yield page


def _bodies(data: bytes) -> Iterator[bytes]:
    """The answers' exact bytes: of a tar as the agencies room writes it, or one bare document."""
    if data[257:262] != b"ustar":
        yield data
        return
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for number, member in enumerate(archive, start=1):
                # A folder, link, device or sparse file is nothing that an agency answers, and may name terabytes.
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or not 0 <= member.size <= len(data):
                    raise unreadable("PARSE_NOT_DATA", str(number))
                if member.issparse() or (file := archive.extractfile(member)) is None:
                    raise unreadable("PARSE_NOT_DATA", str(number))
                yield file.read()
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError):
        raise unreadable("PARSE_TRUNCATED") from None


def text(value: Any) -> str | None:
    """A JSON value as a cell. A list of plain values is joined; a nested thing is an error, and no blank."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return ",".join(text(item) or "" for item in value)
    return _NESTED


def _dig(value: Any, path: str | None) -> Any:
    for step in (path or "").split("."):
        if step:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def _record_list(shape: FileShape, page: Any, number: int, before: int) -> Iterator[Found]:
    """Records under ``records_path``, each one's fields under ``fields_path``."""
    records = _dig(page, shape.records_path)
    if not isinstance(records, list) or (isinstance(page, dict) and page.get("error")):
        raise unreadable("PARSE_NOT_DATA", str(number))
    for ordinal, item in enumerate(records, start=before + 1):
        fields = _dig(item, shape.fields_path) if item != {} else {}
        if isinstance(fields, dict):
            # Most values are text already; a call for each of them took as long as reading the JSON.
            yield Record(ordinal, {n: value if type(value) is str else text(value) for n, value in fields.items()})
        else:
            yield RefusedRow(None, ordinal, NOT_A_RECORD)


def _bps_table(shape: FileShape, page: Any, number: int, before: int) -> Iterator[Found]:
    """A record per figure of a BPS table.

    ``datacontent`` keys are vervar + var + turvar + th + turth written together, so they are built from the dimension
    lists and looked up. A figure whose key no dimension builds, or two build, is refused: it has no known region.
    """
    if not isinstance(page, dict) or page.get("status") != "OK":
        raise unreadable("PARSE_NOT_DATA", str(number))
    if page.get("data-availability") != "available":
        raise unreadable("PARSE_EMPTY")
    try:
        dimensions = [page["vervar"], page["var"], page["turvar"], page["tahun"], page["turtahun"]]
        figures = dict(page["datacontent"])
        if math.prod(map(len, dimensions)) > _MOST_CELLS:
            raise unreadable("PARSE_TOO_LARGE", f"{_MOST_CELLS:,}")
        cells = list(product(*dimensions))
        keys = ["".join(str(item["val"]) for item in cell) for cell in cells]
    except (KeyError, TypeError, ValueError):
        raise unreadable("PARSE_NOT_DATA", str(number)) from None
    places: dict[str, list[tuple[dict[str, Any], ...]]] = {}
    for key, cell in zip(keys, cells, strict=True):
        places.setdefault(key, []).append(cell)
    for ordinal, (key, value) in enumerate(figures.items(), start=before + 1):
        if len(places.get(key, ())) != 1:
            yield RefusedRow(None, ordinal, UNKNOWN_KEY)
            continue
        region, variable, part, year, month = places[key][0]
        fields = {
            "var_id": variable["val"],
            "unit": variable.get("unit"),
            "vervar": region["val"],
            "vervar_label": region.get("label"),
            "turvar": part["val"],
            "turvar_label": part.get("label"),
            "year": year.get("label"),
            "turth": month["val"],
            "turth_label": month.get("label"),
            "value": value,
            "last_update": page.get("last_update"),
            "cells_expected": str(len(cells)),
        }
        yield Record(ordinal, {name: text(item) for name, item in fields.items()})


def _chart_series(shape: FileShape, page: Any, number: int, before: int) -> Iterator[Found]:
    """A record per region of each chart: the axis names the regions, the series the figures in their order."""
    if not isinstance(page, list):
        raise unreadable("PARSE_NOT_DATA", str(number))
    ordinal = before
    for chart in page:
        axis, series = _dig(chart, "xAxis"), _dig(chart, "series")
        regions = _dig(axis, "data")
        if not isinstance(regions, list) or not isinstance(series, list):
            raise unreadable("PARSE_NOT_DATA", str(number))
        about = {name: text(axis.get(name)) for name in ("yyyy", "title", "name")}
        for one in series:
            values = _dig(one, "data")
            values = values if isinstance(values, list) else []
            for position in range(max(len(regions), len(values))):
                ordinal += 1
                if position < len(regions) and position < len(values):
                    place = {"nama_wilayah": text(regions[position]), "value": text(values[position])}
                    yield Record(ordinal, about | place)
                else:
                    yield RefusedRow(None, ordinal, NOT_A_RECORD)


_READERS: dict[str, Callable[[FileShape, Any, int, int], Iterator[Found]]] = {
    "json_pages": _record_list,
    "bps_webapi": _bps_table,
    "bantenprov": _chart_series,
}
