"""The vault: splits admitted rows into pseudonymous rows and identities, and keeps the identities encrypted.

Here: keyed pseudonyms of NIK and family card numbers, record keys, the encrypted files, the one door back to them. Not
here: who is who (linkage), the pseudonymous rows' files (lake).

A pseudonym is HMAC-SHA256 under the pseudonym key, cut to 128 bits, behind the key's own id: an unkeyed hash of a
16-digit number is no pseudonym, the numbers can be counted through. NIK and family card are kept apart by a prefix.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.core import duck, files
from warehouse.core.contract import Column, Contract, Identity
from warehouse.core.duck import one_row, sql_path
from warehouse.core.settings import Settings
from warehouse.ledger.deliveries import Delivery
from warehouse.storage import keys

# The identities whose pseudonyms every row carries.
PSEUDONYMS: tuple[Identity, ...] = ("nik", "kk")
# What every row carries beside its contract's columns, in lake and vault.
LINEAGE = (
    "record_key",
    "nik_key",
    "kk_key",
    "delivery_id",
    "source_part",
    "source_row",
    "part",
    "period_start",
    "received_at",
)
_VAULT_LINEAGE = ("record_key", "nik_key", "kk_key", "delivery_id", "source_part", "source_row", "period_start")
_BLOCK = 64
KEY_NAME = "vault"
# All digits equal or a plain sequence is a stand-in number; so is a serial of 0000, which no office gives out.
_STAND_INS = "|".join([*(f"{digit}+" for digit in range(10)), "1234567890123456", "0123456789012345", "[0-9]{12}0000"])


@dataclass(frozen=True)
class StoredFile:
    """A file on disk before the ledger names it; ``path`` is below WAREHOUSE_HOME."""

    path: str
    rows: int
    sha256: str


def key_id(key: bytes) -> str:
    """Eight hex digits that name a pseudonym key without telling it: pseudonyms of two keys never look alike."""
    return hmac.digest(key, b"key id", "sha256").hex()[:8]


def pads(key: bytes) -> tuple[bytes, bytes]:
    """RFC 2104's inner and outer pad of a key of at most one block."""
    block = key.ljust(_BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


def define_pseudonym(connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """Create the macro ``pseudonym(kind, text)``; the key reaches SQL through variables, never through its text."""
    inner, outer = pads(key)
    connection.execute("SET VARIABLE inner_pad = ?", [inner])
    connection.execute("SET VARIABLE outer_pad = ?", [outer])
    connection.execute("SET VARIABLE key_id = ?", [key_id(key)])
    connection.execute(
        "CREATE OR REPLACE TEMP MACRO pseudonym(kind, message) AS getvariable('key_id') || ':' || left(sha256("
        "getvariable('outer_pad') || unhex(sha256(getvariable('inner_pad') || encode(kind || ':' || message)))), 32)"
    )


def own_key_sql(key: str) -> str:
    """SQL for the key under which a person or family leaves the build, on a connection of ``define_pseudonym``.

    What no link names goes by its record key there, an unkeyed hash of delivery and row that whoever lists deliveries
    can count through: it becomes a pseudonym, which alone has a colon.
    """
    return f"CASE WHEN contains({key}, ':') THEN {key} ELSE pseudonym('record', {key}) END"


def without_float_tail(text: str) -> str:
    """SQL for the digits of a code or number that passed through a column of numbers: 3671.0.

    Sixteen digits from 9 on are beyond what a double holds exactly (2**53): such a number may be another's, and stays
    as it came, for the rules to refuse.
    """
    return f"regexp_replace({text}, '^([0-9]{{1,15}}|[0-8][0-9]{{15}})[.]0+$', '\\1')"


def usable_sql(column: str) -> str:
    """SQL for the digits of a number that can identify, NULL for masked, made-up, cut or mangled ones."""
    number = without_float_tail(f'trim("{column}")')
    digits = f"regexp_replace({number}, '[\\s.''`-]', '', 'g')"
    return (
        f"CASE WHEN regexp_full_match({digits}, '[0-9]{{16}}')"
        f" AND NOT regexp_full_match({digits}, '{_STAND_INS}') THEN {digits} END"
    )


def record_key(delivery_id: str, source_part: str | None, source_row: int) -> str:
    """Names a row for ever: what ``pseudonymise`` computes in SQL."""
    return hashlib.sha256(f"{delivery_id}\n{source_part or ''}\n{source_row}".encode()).hexdigest()[:32]


@contextmanager
def splitting(s: Settings, contract: Contract) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection on which deliveries of one dataset are pseudonymised and stored, one after the other.

    Opening one costs more than most deliveries take; it holds the keys that the contract's columns need, no others.
    """
    with connect(s) if contract.identity_columns else duck.connect(s, sees_identifiers=True) as connection:
        if any(contract.identity(kind) for kind in PSEUDONYMS):
            define_pseudonym(connection, keys.pseudonym_key(s))
        yield connection


def pseudonymise(
    connection: duckdb.DuckDBPyConnection, contract: Contract, delivery: Delivery, admitted: pa.Table
) -> tuple[pa.Table, pa.Table | None]:
    """Split admitted rows into the lake's table and the vault's; the second is None where nobody is identified.

    ``record_key`` follows from delivery, source part and source row alone, so it stays when keys or contracts change.
    """
    keys_of_rows = ", ".join(pseudonym_sql(kind, contract.identity(kind)) for kind in PSEUDONYMS)
    connection.register("admitted", admitted)
    keyed = connection.execute(
        "SELECT *,"
        " left(sha256(concat_ws(chr(10), $delivery_id, coalesce(source_part, ''), source_row)), 32) AS record_key,"
        f" {keys_of_rows},"
        " $delivery_id AS delivery_id, $part AS part,"
        " CAST($period_start AS DATE) AS period_start, CAST($received_at AS TIMESTAMPTZ) AS received_at"
        " FROM admitted",
        {name: getattr(delivery, name) for name in ("delivery_id", "part", "period_start", "received_at")},
    ).to_arrow_table()
    connection.unregister("admitted")
    rows = keyed.select([*(column.name for column in contract.lake_columns), *LINEAGE])
    columns = [column.name for column in contract.vault_columns]
    return rows, keyed.select([*columns, *_VAULT_LINEAGE]) if contract.identity_columns else None


def pseudonym_sql(kind: Identity, column: Column | None) -> str:
    """SQL for a row's key of a kind, on a connection of ``define_pseudonym``; NULL without such a column."""
    key = f"pseudonym('{kind}', {usable_sql(column.name)})" if column else "CAST(NULL AS VARCHAR)"
    return f"{key} AS {kind}_key"


def store(
    s: Settings,
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    delivery_id: str,
    verdict_id: str,
    identities: pa.Table,
) -> StoredFile:
    """Write identities as an encrypted Parquet file, whole and on disk before its name exists."""
    path = s.vault_dir / contract.table / f"{delivery_id}-{verdict_id}.parquet"
    connection.register("identities", identities)
    try:
        return put(s, connection, "identities", path)
    finally:
        connection.unregister("identities")


def put(
    s: Settings, connection: duckdb.DuckDBPyConnection, relation: str, path: Path, key_name: str = KEY_NAME
) -> StoredFile:
    """Write a relation of the connection as an encrypted file, whole and on disk before its name exists."""
    options = f"FORMAT parquet, COMPRESSION zstd, ENCRYPTION_CONFIG {_encryption(key_name)}"
    with files.whole_file(path) as draft:
        (rows,) = one_row(connection.execute(f"COPY {relation} TO '{sql_path(draft)}' ({options})"))
    return stored_file(s, path, rows)


def connect(s: Settings) -> duckdb.DuckDBPyConnection:
    """A connection that can read and write the vault's files: in memory, spilling encrypted, holding the vault key."""
    key = keys.vault_key(s)
    connection = duck.connect(s, sees_identifiers=True)
    add_key(connection, KEY_NAME, key)
    return connection


def add_key(connection: duckdb.DuckDBPyConnection, name: str, key: bytes) -> None:
    """Let a connection use a key for encrypted files, under a name."""
    # This statement takes no parameters; the connection is ours alone and nothing logs its text.
    connection.execute(f"PRAGMA add_parquet_key('{name}', '{base64.b64encode(key).decode()}')")


def relation_sql(paths: Iterable[Path]) -> str:
    """SQL over the vault's files for a connection of ``connect``.

    Columns are matched by name through a union of single files: DuckDB 1.5 fails on encrypted files with union_by_name.
    """
    return " UNION ALL BY NAME ".join(
        f"SELECT * FROM read_parquet('{sql_path(path)}', encryption_config = {_encryption(KEY_NAME)})" for path in paths
    )


def _encryption(key_name: str) -> str:
    return f"{{footer_key: '{key_name}'}}"


# --- files: the lake's and the vault's alike --------------------------------------------------------------------------


def stored_file(s: Settings, path: Path, rows: int) -> StoredFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return StoredFile(str(path.relative_to(s.home)), rows, digest)


def tag(*parts: str) -> str:
    """Names a rewritten file after all it was made from: the same step again finds it whole."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]
