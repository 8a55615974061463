"""A search for what must not leave: 16-digit numbers shaped like a NIK or family card number.

Here: the shape, raw bytes of files and decompressed values of tables. Not here: what a hit leads to (release). A
finding says where, never what.

The shape: digit borders, a region prefix (province, kabupaten or kota, kecamatan) and a date of birth or issue
(day + 40 for women). Fractions of decimals and digits inside longer hexadecimal names are none.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

_PROVINCES = "1[1-9]|21|3[1-6]|5[1-3]|6[1-5]|7[1-6]|8[12]|9[1-7]"
_SHAPE = (
    rf"(?:{_PROVINCES})(?:0[1-9]|[12][0-9]|7[1-9])(?:0[1-9]|[1-5][0-9])"
    r"(?:0[1-9]|[12][0-9]|3[01]|4[1-9]|[56][0-9]|7[01])(?:0[1-9]|1[0-2])[0-9]{2}[0-9]{4}"
)
_RUN = re.compile(rf"(?<![0-9])(?<![0-9]\.){_SHAPE}(?![0-9])".encode())
_HEX = re.compile(rb"[0-9a-f]+")
_LONGEST_HEX = 128
_CHUNK = 8 * 1024 * 1024


@dataclass(frozen=True)
class Finding:
    """How many values of the shape a file's bytes or a table's column hold."""

    file: str
    column: str | None
    count: int


def scan_bytes(data: bytes) -> int:
    """How many identifiers by shape the bytes hold."""
    return sum(1 for match in _RUN.finditer(data) if not _is_inside_hex(data, match.start(), match.end()))


def _is_inside_hex(data: bytes, start: int, end: int) -> bool:
    """Whether the digits are a stretch of a hash or pseudonym: 32 or more hexadecimal digits, letters among them."""
    offset = max(0, start - _LONGEST_HEX)
    around = data[offset : end + _LONGEST_HEX]
    for run in _HEX.finditer(around):
        if run.start() <= start - offset and run.end() >= end - offset:
            return len(run[0]) >= 32 and not run[0].isdigit()
    return False


def scan_file(path: Path) -> int:
    """``scan_bytes`` over a file, a piece at a time; pieces overlap so that nothing falls between them."""
    found = 0
    with path.open("rb") as file:
        tail = b""
        while chunk := file.read(_CHUNK):
            # A number wholly in the overlap was counted with the piece before.
            found += scan_bytes(tail + chunk) - scan_bytes(tail)
            tail = (tail + chunk)[-2 * _LONGEST_HEX :]
    return found


def scan_catalogue(connection: duckdb.DuckDBPyConnection, catalogue: str) -> list[Finding]:
    """Values of all text and whole-number columns of an attached database, decompressed."""
    columns = connection.execute(
        "SELECT schema_name, table_name, column_name, data_type IN ('VARCHAR', 'JSON') FROM duckdb_columns()"
        " WHERE database_name = ? AND NOT internal AND data_type IN ('VARCHAR', 'JSON', 'BIGINT', 'HUGEINT')"
        " AND table_name IN (SELECT table_name FROM duckdb_tables() WHERE database_name = ?) ORDER BY ALL",
        [catalogue, catalogue],
    ).fetchall()
    findings = []
    for schema, table, column, is_text in columns:
        values = f'SELECT "{column}" AS value, count(*) AS times FROM "{catalogue}"."{schema}"."{table}" GROUP BY 1'
        looks = "regexp_matches(value, '[0-9]{16}')" if is_text else f"value BETWEEN {10**15} AND {10**16 - 1}"
        suspects = connection.execute(f"SELECT CAST(value AS VARCHAR), times FROM ({values}) WHERE {looks}").fetchall()
        if count := sum(times for value, times in suspects if scan_bytes(value.encode())):
            findings.append(Finding(table, column, count))
    return findings


def scan(paths: Iterable[Path]) -> list[Finding]:
    """Findings in the raw bytes of files and in the columns of those that are Parquet or open DuckDB files."""
    findings = []
    for path in paths:
        if count := scan_file(path):
            findings.append(Finding(path.name, None, count))
        with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
            quoted = str(path).replace("'", "''")
            if path.suffix == ".parquet":
                connection.execute(f"CREATE TABLE scanned AS FROM read_parquet('{quoted}')")
                inside = scan_catalogue(connection, "memory")
            elif path.suffix == ".duckdb":
                connection.execute(f"ATTACH '{quoted}' AS scanned (READ_ONLY)")
                inside = scan_catalogue(connection, "scanned")
            else:
                inside = []
        findings += [Finding(path.name, finding.column, finding.count) for finding in inside]
    return findings
