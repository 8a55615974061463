"""Finds identities in the decompressed columns of tables, nested ones too, and in what describes them.

Here: Arrow columns, and DuckDB catalogues, Parquet, Arrow and SQL databases as sources of them. Not here: raw bytes of
files (files), how a value is recognised (search).
"""

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from warehouse.scan import shapes
from warehouse.scan.search import BIRTH, PHONE, search, search_digits, search_numbers
from warehouse.scan.values import Values, phone_digits

# (table.column, kind) -> how many values.
Counts = Counter[tuple[str, str]]
_BATCH_ROWS = 400_000
_SAMPLE = 1_000
_SHORTEST = 7
# As long as that and of these signs alone: hashes, pseudonyms and the like.
_SHORTEST_HASH, _HEX_COLUMN = 32, b"0123456789abcdef:-"
# A date that is the day of birth of its row's person in this share of rows is no coincidence.
_SAME_PERSON_ROWS, _SAME_PERSON_SHARE = 3, 0.2
_SQL_CHUNK = 2_000


class Table:
    """Counts hits in the batches of one table."""

    def __init__(self, name: str, values: Values, *, with_shapes: bool = True) -> None:
        self.name, self.values, self.with_shapes = name, values, with_shapes
        self.counts: Counts = Counter()
        self._known, self._same = Counter[str](), Counter[str]()

    def add(self, batch: pa.RecordBatch) -> None:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            self._column(name, column)
        if self.values.birth_of:
            self._join_births(batch)

    def finish(self) -> Counts:
        for column, same in self._same.items():
            if same >= _SAME_PERSON_ROWS and same >= _SAME_PERSON_SHARE * self._known[column]:
                self.counts[column, BIRTH] = max(self.counts[column, BIRTH], same)
        return self.counts

    def _count(self, column: str, kinds: Iterable[str]) -> None:
        for kind in kinds:
            self.counts[column, kind] += 1

    def _column(self, name: str, column: pa.Array) -> None:
        kind = column.type
        if pa.types.is_dictionary(kind):
            self._column(name, column.dictionary_decode())
        elif pa.types.is_struct(kind):
            for field, child in zip(kind, column.flatten(), strict=True):
                self._column(f"{name}.{field.name}", child)
        elif pa.types.is_map(kind):
            self._column(f"{name}.key", column.keys)
            self._column(f"{name}.value", column.items)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            self._column(name, column.flatten())
        elif pa.types.is_union(kind):
            for i in range(kind.num_fields):
                self._column(name, column.field(i))
        elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            if shapes.is_birth_column(name):
                self._dates(name, pc.strftime(column.drop_null(), "%Y-%m-%d"))
        elif _is_number(kind):
            self._numbers(name, column.drop_null())
        elif _is_text(kind):
            self._text(name, _binary(column.drop_null()))

    def _numbers(self, name: str, column: pa.Array) -> None:
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64() if column.type.scale else pa.decimal128(38, 0))
            if pa.types.is_decimal(column.type):
                column = pa.Array.from_buffers(pa.binary(16), len(column), column.buffers(), offset=column.offset)
                numbers = np.frombuffer(column.buffers()[1], dtype="<i8").reshape(-1, 2)[column.offset :][: len(column)]
                numbers = numbers[numbers[:, 1] == 0][:, 0]
            else:
                numbers = column.to_numpy(zero_copy_only=False)
        else:
            numbers = column.to_numpy(zero_copy_only=False)
        self._count(name, (hit.kind for hit in search_numbers(numbers, self.values, with_shapes=self.with_shapes)))

    def _dates(self, name: str, days: pa.Array) -> None:
        if not self.with_shapes:
            return
        for day, count in _counted(days):
            if not day.endswith("-01") and self.values.is_small_group(day):
                self.counts[name, BIRTH] += count

    def _text(self, name: str, column: pa.Array) -> None:
        data, ends = _buffer(column)
        lengths = np.diff(ends, prepend=0)
        if not len(lengths) or (longest := lengths.max()) < _SHORTEST:
            return
        if longest >= _SHORTEST_HASH and not data.translate(None, _HEX_COLUMN):
            hits = search_digits(data, ends, self.values, with_shapes=self.with_shapes)
            self._count(name, (hit.kind for hit in hits))
            return
        values, counts = _distinct(column)
        data = _joined(values)
        if hits := search(data, self.values, with_shapes=self.with_shapes):
            ends = np.cumsum(pc.binary_length(values).to_numpy(zero_copy_only=False) + 1)
            rows = np.searchsorted(ends, [hit.start for hit in hits], side="right")
            for hit, row in zip(hits, rows, strict=True):
                self.counts[name, hit.kind] += 1 if counts is None else int(counts[min(row, len(counts) - 1)])
        if shapes.is_birth_column(name):
            self._dates(name, pa.array(_days_in(values)))
        if shapes.is_phone_column(name) and self.with_shapes:
            phones = sum(len(phone_digits(value.decode("utf-8", "replace"))) > 8 for value in values.to_pylist())
            if phones > self.counts[name, PHONE]:
                self.counts[name, PHONE] = phones

    def _join_births(self, batch: pa.RecordBatch) -> None:
        """Rows whose pseudonym's person was born on the very date the row holds."""
        dates = [
            field.name for field in batch.schema if pa.types.is_date(field.type) or pa.types.is_timestamp(field.type)
        ]
        keys = [field.name for field in batch.schema if _is_text(field.type) and field.name.endswith("_key")]
        if not dates or not keys:
            return
        sample = batch.slice(0, _SAMPLE)
        for key in keys:
            birth_dates = [self.values.birth_of.get(value) for value in sample[key].to_pylist()]
            if not any(birth_dates):
                continue
            for name in dates:
                days = pc.strftime(sample[name], "%Y-%m-%d").to_pylist()
                self._known[name] += sum(1 for day in birth_dates if day)
                self._same[name] += sum(1 for a, b in zip(birth_dates, days, strict=True) if a and a == b)


def _is_number(kind: pa.DataType) -> bool:
    return kind in (pa.int64(), pa.uint64(), pa.float64()) or pa.types.is_decimal(kind)


def _is_text(kind: pa.DataType) -> bool:
    checks: tuple[Callable[[pa.DataType], bool], ...] = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
        pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary,
    )  # fmt: skip
    return any(check(kind) for check in checks)


def _counted(column: pa.Array) -> Iterator[tuple[str, int]]:
    for pair in column.value_counts().to_pylist():
        if pair["values"]:
            yield pair["values"], pair["counts"]


def _binary(column: pa.Array) -> pa.Array:
    """Text of any Arrow kind as bytes with offsets."""
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    return column.cast(pa.large_binary())


def _buffer(column: pa.Array) -> tuple[bytes, np.ndarray]:
    """The values end to end, and where each of them ends."""
    if not len(column):
        return b"", np.zeros(0, dtype=np.int64)
    _validity, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[column.offset : column.offset + len(column) + 1]
    return data[bounds[0] : bounds[-1]].to_pybytes() if data else b"", bounds[1:] - bounds[0]


def _distinct(column: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    """The column, each value once and how often it stands there, if a first look says that values repeat."""
    first = column.slice(0, _SAMPLE)
    if len(column) <= _SAMPLE or len(first.unique()) > 0.7 * len(first):
        return column, None
    counts = column.value_counts()
    return counts.field("values"), counts.field("counts").to_numpy()


def _joined(values: pa.Array) -> bytes:
    """All values as lines, so that neighbours cannot make up a number."""
    if not len(values):
        return b""
    rows = pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)
    lines = pc.binary_join(rows, pa.scalar(b"\n", pa.large_binary()))[0]
    return bytes(lines.as_buffer().to_pybytes())


def _days_in(values: pa.Array) -> list[str]:
    matches = (shapes.DATE.search(value) for value in values.to_pylist())
    return [day for match in matches if match and (day := shapes.day_of(match))]


def scan_batches(name: str, batches: Iterable[pa.RecordBatch], values: Values, *, with_shapes: bool = True) -> Counts:
    table = Table(name, values, with_shapes=with_shapes)
    for batch in batches:
        table.add(batch)
    return table.finish()


def scan_catalogue(
    connection: duckdb.DuckDBPyConnection, catalogue: str, values: Values, *, with_shapes: bool = True
) -> Counts:
    """All tables of an attached DuckDB database, its comments, and the texts of its views, macros and constraints."""
    counts: Counts = Counter()
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ? AND NOT internal ORDER BY ALL",
        [catalogue],
    ).fetchall()
    for schema, table in tables:
        reader = connection.execute(f"FROM {_quoted(catalogue)}.{_quoted(schema)}.{_quoted(table)}").to_arrow_reader(
            _BATCH_ROWS
        )
        name = table if schema == "main" else f"{schema}.{table}"
        for (column, kind), count in scan_batches(name, reader, values, with_shapes=with_shapes).items():
            counts[f"{name}.{column}", kind] += count
    counts.update(_catalogue_words(connection, catalogue, values, with_shapes))
    return counts


def _catalogue_words(
    connection: duckdb.DuckDBPyConnection, catalogue: str, values: Values, with_shapes: bool
) -> Counts:
    sources = {
        "tables": "table_name, comment, sql, tags::VARCHAR FROM duckdb_tables()",
        "columns": "table_name || '.' || column_name, comment, column_default, data_type FROM duckdb_columns()",
        "views": "view_name, comment, sql, tags::VARCHAR FROM duckdb_views()",
        "macros": "function_name, comment, macro_definition, tags::VARCHAR FROM duckdb_functions()",
    }
    counts: Counts = Counter()
    for what, source in sources.items():
        rows = connection.execute(f"SELECT {source} WHERE database_name = ? AND NOT internal", [catalogue]).fetchall()
        text = "\n".join(str(cell) for row in rows for cell in row if cell)
        for hit in search(text.encode(), values, with_shapes=with_shapes):
            counts[f"({what})", hit.kind] += 1
    return counts


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def scan_database(url: str, values: Values, *, with_shapes: bool = True) -> Counts:
    """All tables of a database by SQLAlchemy URL, read only: Airflow's with its XComs, or a ledger."""
    engine = sa.create_engine(url)
    counts: Counts = Counter()
    try:
        with engine.connect() as connection:
            inspector = sa.inspect(connection)
            for schema in _schemas(inspector):
                for table in inspector.get_table_names(schema=schema):
                    name = table if schema is None else f"{schema}.{table}"
                    quoted = ".".join(map(engine.dialect.identifier_preparer.quote, filter(None, (schema, table))))
                    rows = connection.execution_options(stream_results=True).execute(sa.text(f"SELECT * FROM {quoted}"))
                    batches = (_batch(list(rows.keys()), part) for part in rows.partitions(_SQL_CHUNK))
                    for (column, kind), count in scan_batches(name, batches, values, with_shapes=with_shapes).items():
                        counts[f"{name}.{column}", kind] += count
    finally:
        engine.dispose()
    return counts


def _schemas(inspector: sa.Inspector) -> list[str | None]:
    if inspector.dialect.name == "sqlite":
        return [None]
    return [name for name in inspector.get_schema_names() if name not in ("information_schema", "pg_catalog")]


def _batch(columns: list[str], rows: Iterable[Any]) -> pa.RecordBatch:
    cells = zip(*rows, strict=True)
    return pa.RecordBatch.from_pydict({name: _cells(values) for name, values in zip(columns, cells, strict=True)})


def _cells(values: Iterable[Any]) -> pa.Array:
    return pa.array([_cell(value) for value in values], pa.large_binary())


def inflated(data: bytes) -> bytes:
    """What zlib packed, or the bytes as they are."""
    if data[:1] == b"\x78":
        with suppress(zlib.error):
            return zlib.decompress(data)
    return data


def _cell(value: Any) -> bytes | None:
    if value is None:
        return value
    if isinstance(value, bytes | memoryview):
        return inflated(bytes(value))
    return (json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)).encode()
