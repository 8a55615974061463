"""Finds identities in files of any kind, by their content rather than their names.

Here: raw bytes, text with line numbers, and the insides of Parquet, DuckDB, SQLite, Arrow, workbooks, archives,
compressed files, pictures and spills. Not here: which files of a home are looked at (home).
"""

import bz2
import gzip
import io
import lzma
import os
import shutil
import struct
import subprocess
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import python_calamine

from warehouse.core.duck import sql_path
from warehouse.core.settings import environment_without_keys
from warehouse.scan import shapes
from warehouse.scan.model import Finding
from warehouse.scan.search import Hit, search, search_words_of_memory
from warehouse.scan.tables import scan_batches, scan_catalogue, scan_database
from warehouse.scan.values import Values

UNREADABLE = "unreadable"

CHUNK = 64 * 1024 * 1024
# Longer than any identifier in any encoding, with what may label it.
_OVERLAP = 4096
_HEAD = 64 * 1024
_DEEPEST = 4
_LARGEST_MEMBER = 2 * 1024**3
_ZSTD = b"\x28\xb5\x2f\xfd"
_OF_SQLITE = (".db", ".sqlite", ".sqlite3", "-wal", "-shm", "-journal")
_ENGINES = (b"PAR1", b"PARE", b"ARROW1", b"SQLite format 3\0")


class _Found:
    """Counts of one file by place and kind; of many places of a kind, the first is named."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, place: str, kind: str, count: int = 1) -> None:
        self.counts[place, kind] += count


def scan_file(path: Path, values: Values, *, with_shapes: bool = True) -> list[Finding]:
    """Findings of one file, named as given. A name that itself tells an identity is shown by its shape only."""
    file_hits = _Found()
    name = str(path)
    if hits := search(name.encode(), values, with_shapes=with_shapes):
        name = shapes.shape_of(name)
        for hit in hits:
            file_hits.add("file name", hit.kind)
    with _opened(path) as file:
        _content(file, path, "", file_hits, values, with_shapes, 0)
    return _findings(name, file_hits)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes; those of an SQLite database are read by another process.

    Closing such a file by hand takes away the locks that this process's own connections hold on it, and with them what
    keeps two writers apart.
    """
    if not path.name.endswith(_OF_SQLITE):
        with path.open("rb") as file:
            yield file
        return
    with tempfile.SpooledTemporaryFile(CHUNK) as copy:
        with subprocess.Popen(
            ["cat", "--", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment_without_keys()
        ) as reader:
            if reader.stdout:
                shutil.copyfileobj(reader.stdout, copy)
        if reader.returncode:
            raise FileNotFoundError(path)
        copy.seek(0)
        yield copy


def _findings(file: str, hits: _Found) -> list[Finding]:
    return sorted(Finding(file, place, kind, count) for (place, kind), count in hits.counts.items())


def _content(
    file: IO[bytes], path: Path | None, place: str, hits: _Found, values: Values, with_shapes: bool, depth: int
) -> None:
    """One stream: its raw bytes, then what is packed inside. path: where it lies on disk, if it does."""
    head = file.read(_HEAD)
    file.seek(0)
    is_text = b"\0" not in head or head[:2] in (b"\xff\xfe", b"\xfe\xff")
    is_spill = path is not None and path.name.startswith("duckdb_temp")
    raw = _Found()
    _raw(file, place, raw, values, with_shapes, is_text, is_spill)
    inside = _Found()
    file.seek(0)
    try:
        _inside(head, file, path, place, inside, values, with_shapes, depth)
    except (
        _Unreadable,
        pa.ArrowException,
        duckdb.Error,
        OSError,
        EOFError,
        ValueError,
        zipfile.BadZipFile,
        lzma.LZMAError,
        zlib.error,
    ):
        hits.add(place or "whole file", UNREADABLE)
    kinds = {kind for _place, kind in inside.counts}
    # The same value seen raw and unpacked is one: the column or cell says more than an offset.
    for (where, kind), count in raw.counts.items():
        if kind not in kinds:
            hits.add(where, kind, count)
    for (where, kind), count in inside.counts.items():
        hits.add(where, kind, count)


class _Unreadable(Exception):
    """A packed part that cannot be opened, so that nobody can say what it holds."""


def _raw(
    file: IO[bytes], place: str, hits: _Found, values: Values, with_shapes: bool, is_text: bool, is_spill: bool
) -> None:
    first: dict[str, str] = {}
    total: Counter[str] = Counter()
    offset, lines, begin = 0, 1, 0
    data = file.read(CHUNK)
    while data:
        chunk = file.read(CHUNK)
        # What begins near the end may go on in the next piece, and is left to it.
        end = len(data) - _OVERLAP // 2 if chunk else len(data)
        for hit in _hits(data, values, with_shapes, is_text, is_spill):
            if begin <= hit.start < end:
                total[hit.kind] += 1
                if hit.kind not in first:
                    line = lines + data.count(b"\n", 0, hit.start)
                    first[hit.kind] = f"{place} line {line}" if is_text else f"{place} byte {offset + hit.start}"
        limit = max(0, end - _OVERLAP // 2) if chunk else len(data)
        lines += data.count(b"\n", 0, limit)
        offset += limit
        begin = end - limit
        data = data[limit:] + chunk
    for kind, count in total.items():
        hits.add(first[kind].strip(), kind, count)


def _hits(data: bytes, values: Values, with_shapes: bool, is_text: bool, is_spill: bool) -> Iterator[Hit]:
    # In packed pages sixteen digits come together by chance too: where the vault says whose to look for, shapes do not
    # count.
    with_shapes = with_shapes and (is_text or not len(values.nik))
    yield from search(data, values, is_text=is_text, with_shapes=with_shapes, is_packed=not is_text)
    if not is_text:
        yield from search_words_of_memory(data, values, range(8) if is_spill else (0,))
    if is_spill:
        for unpacked in _zstd_frames(data):
            yield from search(unpacked, values, is_text=False, with_shapes=with_shapes)
            yield from search_words_of_memory(unpacked, values, range(8))


def _zstd_frames(data: bytes) -> Iterator[bytes]:
    """DuckDB packs what it spills: each frame it may have written."""
    start = data.find(_ZSTD)
    while start >= 0:
        with (
            suppress(OSError),
            pa.input_stream(pa.BufferReader(pa.py_buffer(data)[start:]), compression="zstd") as frame,
        ):
            # Not read(): what it sets aside for a frame that fails is never given back.
            yield frame.read_buffer(CHUNK)
        start = data.find(_ZSTD, start + 1)


# --- what is packed inside -------------------------------------------------------------------------------------------


def _inside(
    head: bytes,
    file: IO[bytes],
    path: Path | None,
    place: str,
    hits: _Found,
    values: Values,
    with_shapes: bool,
    depth: int,
) -> None:
    if depth > _DEEPEST:
        raise _Unreadable
    if head[:4] == b"PK\x03\x04":
        _zip(file, place, hits, values, with_shapes, depth)
    elif inner := _decompressor(head, file):
        with inner as stream, tempfile.SpooledTemporaryFile(CHUNK) as whole:
            _copy(stream, whole)
            _content(whole, None, place, hits, values, with_shapes, depth + 1)
    elif head[:8] == b"\x89PNG\r\n\x1a\n":
        for text in _png_texts(file.read()):
            for hit in search(text, values, with_shapes=with_shapes):
                hits.add(f"{place} picture text".strip(), hit.kind)
    elif head[:4] == b"PAR1":
        _columns(place, hits, _parquet(file), values, with_shapes)
    elif head[:6] == b"ARROW1":
        _columns(place, hits, _arrow(file), values, with_shapes)
    elif head[8:12] == b"DUCK" and not _is_encrypted(head):
        with _OnDisk(file, path) as where:
            _duckdb(where, place, hits, values, with_shapes)
    elif head[:16] == b"SQLite format 3\0":
        with _OnDisk(file, path) as where:
            _counts(
                place,
                hits,
                scan_database(f"sqlite:///file:{_uri(where)}?mode=ro&uri=true", values, with_shapes=with_shapes),
            )


def _counts(place: str, hits: _Found, counts: Counter[tuple[str, str]]) -> None:
    for (column, kind), count in counts.items():
        hits.add(f"{place} {_masked(column)}".strip(), kind, count)


def _masked(name: str) -> str:
    """A column's or sheet's name may be somebody's number."""
    return shapes.shape_of(name) if sum(character.isdigit() for character in name) > 9 else name


def _decompressor(head: bytes, file: IO[bytes]) -> io.BufferedIOBase | None:
    if head[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=file, mode="rb")
    if head[:3] == b"BZh":
        return bz2.BZ2File(file)
    if head[:6] == b"\xfd7zXZ\0":
        return lzma.LZMAFile(file)
    if head[:4] == _ZSTD:
        stream: io.BufferedIOBase = pa.input_stream(pa.PythonFile(file), compression="zstd")
        return stream
    return None


def _copy(stream: IO[bytes] | io.BufferedIOBase, target: IO[bytes]) -> None:
    size = 0
    while chunk := stream.read(1 << 20):
        size += len(chunk)
        if size > _LARGEST_MEMBER:
            raise _Unreadable
        target.write(chunk)
    target.seek(0)


def _zip(file: IO[bytes], place: str, hits: _Found, values: Values, with_shapes: bool, depth: int) -> None:
    with zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        if "xl/workbook.xml" in names:
            file.seek(0)
            _workbook(file.read(), place, hits, values, with_shapes)
        cells = {kind for _place, kind in hits.counts}
        for member in archive.infolist():
            if member.flag_bits & 1 or member.file_size > _LARGEST_MEMBER:
                raise _Unreadable
            part = _Found()
            for hit in search(member.filename.encode(), values, with_shapes=with_shapes):
                part.add(f"{place} name of a part".strip(), hit.kind)
            with archive.open(member) as stream, tempfile.SpooledTemporaryFile(CHUNK) as whole:
                _copy(stream, whole)
                _content(
                    whole, None, f"{place} {_masked(member.filename)}".strip(), part, values, with_shapes, depth + 1
                )
            is_cells = member.filename.startswith(("xl/worksheets/sheet", "xl/sharedStrings"))
            for (where, kind), count in part.counts.items():
                if not (is_cells and kind in cells):
                    hits.add(where, kind, count)


def _workbook(data: bytes, place: str, workbook_hits: _Found, values: Values, with_shapes: bool) -> None:
    """Cells by sheet and column, the first row of each named."""
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    for number, sheet in enumerate(book.sheet_names, 1):
        if hits := search(sheet.encode(), values, with_shapes=with_shapes):
            for hit in hits:
                workbook_hits.add(f"{place} name of sheet {number}".strip(), hit.kind)
        title = f"sheet {number}" if hits else sheet
        first: dict[tuple[int, str], int] = {}
        counts: Counter[tuple[int, str]] = Counter()
        for row_number, row in enumerate(book.get_sheet_by_name(sheet).to_python(skip_empty_area=False), 1):
            cells = [_cell_text(cell) for cell in row]
            ends, end = [], 0
            for cell in cells:
                end += len(cell) + 1
                ends.append(end)
            for hit in search(b"|".join(cells), values, with_shapes=with_shapes):
                column = next(i for i, end in enumerate(ends) if hit.start < end)
                counts[column, hit.kind] += 1
                first.setdefault((column, hit.kind), row_number)
        for (column, kind), count in counts.items():
            workbook_hits.add(f"{place} {title}!{_letters(column)}{first[column, kind]}".strip(), kind, count)


def _cell_text(cell: object) -> bytes:
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e18:
        cell = int(cell)
    return str(cell).replace("\n", " ").encode()


def _letters(column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _png_texts(data: bytes) -> Iterator[bytes]:
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"tEXt":
            yield body
        elif kind == b"zTXt":
            keyword, _, packed = body.partition(b"\0")
            yield keyword + b" " + zlib.decompress(packed[1:])
        elif kind == b"iTXt":
            keyword, _, rest = body.partition(b"\0")
            text = rest[2:].split(b"\0", 2)[-1]
            yield keyword + b" " + (zlib.decompress(text) if rest[:1] == b"\1" else text)


def _columns(place: str, hits: _Found, batches: Iterable[pa.RecordBatch], values: Values, with_shapes: bool) -> None:
    _counts(place, hits, scan_batches("", batches, values, with_shapes=with_shapes))


def _parquet(file: IO[bytes]) -> Iterator[pa.RecordBatch]:
    yield from pq.ParquetFile(file).iter_batches(batch_size=400_000)


def _arrow(file: IO[bytes]) -> Iterator[pa.RecordBatch]:
    reader = pyarrow.ipc.open_file(file)
    for i in range(reader.num_record_batches):
        yield reader.get_batch(i)


def _is_encrypted(head: bytes) -> bool:
    """Whether a DuckDB file's main header says that its blocks are encrypted; only its key's holder can look inside."""
    return bool(int.from_bytes(head[20:28], "little") & 1)


def _duckdb(path: Path, place: str, hits: _Found, values: Values, with_shapes: bool) -> None:
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"ATTACH '{sql_path(path)}' AS scanned (READ_ONLY)")
        _counts(place, hits, scan_catalogue(connection, "scanned", values, with_shapes=with_shapes))


def _uri(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


class _OnDisk:
    """The file's own path, or a private copy for engines that open paths only."""

    def __init__(self, file: IO[bytes], path: Path | None) -> None:
        self._file, self._path = file, path
        self._copy: Path | None = None

    def __enter__(self) -> Path:
        if self._path is not None:
            return self._path
        handle, name = tempfile.mkstemp()
        with os.fdopen(handle, "wb") as copy:
            while chunk := self._file.read(1 << 20):
                copy.write(chunk)
        self._copy = Path(name)
        return self._copy

    def __exit__(self, *_exc: object) -> None:
        if self._copy is not None:
            self._copy.unlink()
