"""Delimited text: title rows, header, delimiter and encoding found out; then one pass by Arrow.

Arrow reads on one thread, because only then does it number the records that it could not split.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from warehouse.core.contract import Contract, FileShape
from warehouse.intake.parse import headers
from warehouse.intake.parse.model import FIELD_COUNT, LINE_BREAK, Content, RefusedRow, names, unreadable

_DELIMITERS = (",", ";", "\t", "|")
_CHUNK = 1 << 24
# Enough to hold title rows and a wide header, however long its cells.
_HEAD = 1 << 18
_BLOCK = 1 << 24
# A letter outside ASCII as UTF-8 writes it; in a single-byte encoding it would be two odd characters.
_UTF_8_LETTER = re.compile(rb"\xc3[\x80-\xbf]")
_LINE_END = re.compile(r"[\r\n]")


def read(contract: Contract, shape: FileShape, data: bytes) -> Content:
    encoding = find_encoding(shape, data)
    delimiter, header, records_above, lines_above = _find_header(contract, shape, data, encoding)
    header_match = headers.match(contract, header)
    return _records(shape, data, encoding, delimiter, header, header_match, records_above, lines_above)


def find_encoding(shape: FileShape, data: bytes) -> str:
    """The first agreed encoding the bytes are valid in, UTF-8 before the single-byte ones.

    Raises PARSE_ENCODING, or PARSE_MIXED_ENCODINGS where lines of both kinds were put into one file.
    """
    if b"\x00" not in data:
        for encoding in sorted(shape.encodings, key=lambda name: not name.startswith("utf")):
            if _is_valid(data, encoding):
                if not encoding.startswith("utf") and _UTF_8_LETTER.search(data):
                    raise unreadable("PARSE_MIXED_ENCODINGS")
                return encoding
    raise unreadable("PARSE_ENCODING", names(list(shape.encodings)))


def find_delimiter(contract: Contract, shape: FileShape, data: bytes, encoding: str) -> str:
    """The agreed delimiter under which the contract's header is found; raises PARSE_DELIMITER."""
    return _find_header(contract, shape, data, encoding)[0]


def decode(shape: FileShape, data: bytes) -> tuple[str, str]:
    encoding = find_encoding(shape, data)
    return data.decode(encoding), encoding


def _is_valid(data: bytes, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    view = memoryview(data)
    try:
        for start in range(0, len(view), _CHUNK):
            decoder.decode(view[start : start + _CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _first_records(text: str, delimiter: str, count: int) -> Iterator[tuple[list[str], int]]:
    """The first records and the physical line each ends on. Blank lines are records: a person counts them too."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for record in reader:
            if count == 0:
                return
            count -= 1
            yield record, reader.line_num
    except csv.Error:
        return


def _find_header(contract: Contract, shape: FileShape, data: bytes, encoding: str) -> tuple[str, list[str], int, int]:
    """Delimiter, header, and how many records and lines end with it.

    A delimiter that was not agreed but fits better raises PARSE_DELIMITER, or what is wrong with the header under it.
    """
    # One bad byte makes a file that says it is UTF-8 one of single bytes: its mark is no part of the first header.
    text = data[:_HEAD].removeprefix(codecs.BOM_UTF8).decode(encoding, errors="ignore")
    best: tuple[int, bool] = (-1, False)
    header_at: tuple[str, list[str], int, int] | None = None
    for delimiter in (*shape.delimiters, *(other for other in _DELIMITERS if other not in shape.delimiters)):
        first = list(_first_records(text, delimiter, shape.title_rows + 1))
        if not first:
            continue
        position = headers.header_row(contract, [record for record, _ in first])
        header, line = first[position]
        rank = (headers.score(contract, header), delimiter in shape.delimiters)
        if rank > best:
            best, header_at = rank, (delimiter, header, position + 1, line)
    if header_at is None:
        raise unreadable("PARSE_OPEN_QUOTE", "1")
    if header_at[0] not in shape.delimiters:
        headers.match(contract, header_at[1])
        raise unreadable("PARSE_DELIMITER", " ".join(shape.delimiters))
    return header_at


def _records(
    shape: FileShape,
    data: bytes,
    encoding: str,
    delimiter: str,
    header: list[str],
    header_match: headers.Match,
    records_above: int,
    lines_above: int,
) -> Content:
    labels = [str(position) for position in range(len(header))]
    labels_to_read = labels if shape.total_words else [labels[position] for position in header_match.positions.values()]
    table, bad = _arrow(data, encoding, delimiter, labels, labels_to_read, lines_above)
    _refuse_cut_off(data, delimiter, table.num_rows, bad, lines_above)
    refused_at = np.array(sorted(number for number, _ in bad), dtype=np.int64) - lines_above + records_above
    total = table.num_rows + len(refused_at)
    rows = np.arange(records_above + 1, records_above + 1 + total, dtype=np.int64)
    rows = np.delete(rows, refused_at - records_above - 1)
    _refuse_open_quote(data, table, rows, bad, refused_at)
    is_broken = np.zeros(table.num_rows, dtype=bool)
    if _lines(data) != lines_above + total:
        every = (
            table
            if len(labels_to_read) == len(labels)
            else _arrow(data, encoding, delimiter, labels, labels, lines_above)[0]
        )
        is_broken = _over_several_lines(every, bad, rows, refused_at, delimiter) & (not shape.line_breaks)
    blank = _is_blank(table)
    if blank.any() and len(labels_to_read) < len(labels):
        # Blank in all we read is not blank in all there is: a note below the table is a record.
        blank = _is_blank(_arrow(data, encoding, delimiter, labels, labels, lines_above)[0])
    keep, broken_rows = ~blank & ~is_broken, rows[is_broken]
    if shape.total_words:
        keep &= ~_is_total(table, shape.total_words)
    if not keep.all():
        table, rows = table.filter(pa.array(keep)), rows[keep]
    return Content(
        cells={name: table[labels[position]] for name, position in header_match.positions.items()},
        source_part=pa.nulls(len(rows), pa.string()),
        source_row=pa.array(rows),
        unknown_headers=header_match.unknown,
        refused=sorted(
            [
                *(
                    RefusedRow(None, number - lines_above + records_above, FIELD_COUNT)
                    for number, text in bad
                    if text.strip(f' "\t\r\n{delimiter}')
                ),
                *(RefusedRow(None, int(number), LINE_BREAK) for number in broken_rows),
            ],
            key=lambda row: row.source_row,
        ),
        encoding=encoding,
    )


def _arrow(
    data: bytes, encoding: str, delimiter: str, labels: list[str], labels_to_read: list[str], lines_above: int
) -> tuple[pa.Table, list[tuple[int, str]]]:
    """All records below the header as text, and number and text of those with a wrong count of fields."""
    bad: list[tuple[int, str]] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        bad.append((row.number, row.text))
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            pyarrow.csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK,
                skip_rows=lines_above,
                column_names=labels,
                encoding="utf8" if encoding.startswith("utf") else encoding,
            ),
            pyarrow.csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=b'"' in data,
                ignore_empty_lines=False,
                invalid_row_handler=skip,
            ),
            pyarrow.csv.ConvertOptions(
                column_types={label: pa.string() for label in labels},
                include_columns=labels_to_read,
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        # What Arrow says when nothing stands below the header, with and without a line end after it.
        if "Empty CSV" in str(error) or "Could not skip" in str(error):
            return pa.table({label: pa.array([], pa.string()) for label in labels_to_read}), []
        # A record longer than a block: a quotation mark that swallows the rest.
        raise unreadable("PARSE_OPEN_QUOTE", "?") from None
    return table, bad


def _refuse_open_quote(
    data: bytes, table: pa.Table, rows: np.ndarray, bad: list[tuple[int, str]], refused_at: np.ndarray
) -> None:
    """An odd number of quotation marks and a last record of several lines: the rest of the file is in one cell."""
    if data.count(b'"') % 2 == 0:
        return
    last_refused = int(refused_at[-1]) if len(refused_at) else 0
    if last_refused > (int(rows[-1]) if len(rows) else 0):
        swallowed, number = max(bad)[1], last_refused
    elif len(rows):
        swallowed, number = "".join(column[-1].as_py() for column in table.columns), int(rows[-1])
    else:
        return
    if "\n" in swallowed.strip() or "\r" in swallowed.strip():
        raise unreadable("PARSE_OPEN_QUOTE", str(number))


def _lines(data: bytes) -> int:
    """Physical lines: what LF, CRLF or a lone CR ends, and what stands after the last of them."""
    ends = data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")
    return ends + (not data.endswith((b"\n", b"\r")))


def _refuse_cut_off(data: bytes, delimiter: str, split_at: int, bad: list[tuple[int, str]], lines_above: int) -> None:
    """A last record that is too short and has no line end: the file was cut off within it."""
    if not bad or data.endswith((b"\n", b"\r")):
        return
    number, text = max(bad)
    is_last = number == lines_above + split_at + len(bad)
    # One cell of words below the table is a note; one of digits, or more than one, is the beginning of a record.
    if is_last and (delimiter in text or not any(letter.isalpha() for letter in text)) and text.strip():
        raise unreadable("PARSE_TRUNCATED")


def _over_several_lines(
    table: pa.Table, bad: list[tuple[int, str]], rows: np.ndarray, refused_at: np.ndarray, delimiter: str
) -> np.ndarray:
    """Which records have a cell with a line break; raises PARSE_OPEN_QUOTE where records stand in a cell.

    Two stray quotation marks make one cell of all between them. Where the record still has the right number of fields,
    both stand in the same column, and the cell holds as many delimiters as a whole record or more.
    """
    swallowed = [
        int(at) for at, (_, text) in zip(refused_at, sorted(bad), strict=True) if _LINE_END.search(text.strip())
    ]
    is_over_several = np.zeros(table.num_rows, dtype=bool)
    for column in table.columns:
        has_break = pc.match_substring_regex(column, "[\r\n]").to_numpy()
        delimiters = pc.count_substring(column, delimiter).to_numpy()
        swallowed += rows[has_break & (delimiters >= max(table.num_columns - 1, 0))].tolist()
        is_over_several |= has_break
    if swallowed:
        raise unreadable("PARSE_OPEN_QUOTE", str(min(swallowed)))
    return is_over_several


def _is_blank(table: pa.Table) -> np.ndarray:
    blank = np.ones(table.num_rows, dtype=bool)
    for column in table.columns:
        if not blank.any():
            break
        lengths = pc.utf8_length(pc.utf8_trim_whitespace(column))
        blank &= lengths.to_numpy() == 0
    return blank


def _is_total(table: pa.Table, words: tuple[str, ...]) -> np.ndarray:
    total_words = {word.casefold() for word in words}
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    first = [next((cell.strip() for cell in row if cell.strip()), "") for row in rows]
    return np.array([cell.casefold() in total_words for cell in first], dtype=bool)
