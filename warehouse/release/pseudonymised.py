"""``micro.duckdb``: pseudonymised facts on an allow-list of columns, and quality tables too fine for all analysts.

Here: the allow-list's last word, coarse values, the file's key. Not here: who opens it (micro).
"""

import hashlib
import hmac
import re
from pathlib import Path

import duckdb

from warehouse import keys
from warehouse.errors import ReleaseError
from warehouse.mart import Catalogue, Mart, literal
from warehouse.release.content import BUILD, Content, content_hash, demand_equal
from warehouse.settings import Settings

# Never in a fact of this file, whatever a YAML says.
_REFUSED = re.compile(
    r"birth|tgl_|dob|measured_on|measurement_date|measured_at|age_days|weight|berat|height|length|tinggi|posyandu"
    r"|rt$|rw$|rt_|rw_|registered_on|registration_d|source_row|source_part|record_key|nik|kk_|name|nama|address|alamat"
    r"|phone|telp|latitude|longitude"
)


def _key(vault_key: bytes, release_id: str) -> str:
    """The key of one release's file, derived from the vault's."""
    return hmac.new(vault_key, f"micro:{release_id}".encode(), hashlib.sha256).hexdigest()


def create_micro(con: duckdb.DuckDBPyConnection, path: Path, release_id: str, vault_key: bytes, name: str) -> None:
    """Attach a new pseudonymised file under ``name``, encrypted for a release."""
    con.execute(f"ATTACH {literal(str(path))} AS {name} (ENCRYPTION_KEY '{_key(vault_key, release_id)}')")


def attach_micro(con: duckdb.DuckDBPyConnection, s: Settings, path: Path, release_id: str) -> None:
    """Attach a release's pseudonymised file as ``micro``, read-only, also while its key is being changed."""
    *others, last = keys.vault_keys(s)
    for vault_key in others:
        try:
            _attach(con, path, release_id, vault_key)
        except duckdb.Error:
            continue
        return
    _attach(con, path, release_id, last)


def _attach(con: duckdb.DuckDBPyConnection, path: Path, release_id: str, vault_key: bytes) -> None:
    con.execute(f"ATTACH {literal(str(path))} AS micro (ENCRYPTION_KEY '{_key(vault_key, release_id)}', READ_ONLY)")


def write_micro(
    s: Settings, con: duckdb.DuckDBPyConnection, catalogue: Catalogue, path: Path, release_id: str
) -> list[Content]:
    """Write the file, encrypted, reopen and compare it; it stays attached read-only. Returns what it holds."""
    for mart in catalogue.micro:
        _refuse_columns(mart)
    tables = {f'micro.main."{mart.name}"': mart for mart in (*catalogue.micro, *catalogue.restricted)}
    sources = {table: f"(SELECT {_masked(mart)} FROM {BUILD}.{mart.relation})" for table, mart in tables.items()}
    create_micro(con, path, release_id, keys.vault_key(s), "micro")
    for table, mart in tables.items():
        con.execute(mart.ddl(table))
        con.execute(f"INSERT INTO {table} FROM {sources[table]} ORDER BY ALL")
        for comment in mart.comments(table):
            con.execute(comment)
    con.execute("DETACH micro")
    attach_micro(con, s, path, release_id)
    demand_equal(con, ((sources[table], table) for table in tables))
    return [Content(mart.name, *content_hash(con, table)) for table, mart in tables.items()]


def _masked(mart: Mart) -> str:
    """Dates by month and numbers at two decimals, whatever the fact holds."""
    coarse = {"date": "CAST(date_trunc('month', {0}) AS DATE)", "double": "round({0}, 2)"}
    quoted = ((f'"{column.name}"', coarse.get(column.kind, "{0}")) for column in mart.columns)
    return ", ".join(f"{expression.format(name)} AS {name}" for name, expression in quoted)


def _refuse_columns(mart: Mart) -> None:
    refused = [c.name for c in mart.columns if _REFUSED.match(c.name) or c.kind.startswith("timestamp")]
    if refused:
        names = ", ".join(refused)
        raise ReleaseError(
            "RELEASE_MICRO_COLUMN",
            f"{mart.name}: kolom ini tidak boleh masuk berkas mikro: {names}",
            f"{mart.name}: these columns may not enter the pseudonymised file: {names}",
            "Hapus `micro: true` dari kolom itu.",
            "Remove `micro: true` from those columns.",
        )
