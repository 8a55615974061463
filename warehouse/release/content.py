"""The files of a release, filled from the build file through disclosure control, and the check that they hold it.

Every file is created empty and filled table by table from the allow-list that dbt's contracts are: a copied or reused
file would carry the bytes of what was dropped. Not here: which release readers see (state), the register (register).
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse import duck, keys
from warehouse.disclosure import Policy, suppress
from warehouse.errors import ReleaseError
from warehouse.mart import Catalogue, Mart, Query, comments, literal
from warehouse.settings import Settings

BUILD = "warehouse"
MARTS_FILE = "marts.duckdb"
STORAGE = "STORAGE_VERSION 'v1.0.0'"
_COLUMNS_OF_MARTS = "Satu baris per kolom mart: tipe dan peran. One row per mart column: its type and role."
_RELEASED_CELLS = (
    "Satu baris per sel dan rilis yang mengubahnya: apa kata sel itu pada suatu hari adalah baris terakhirnya dengan"
    " released_at sampai hari itu. One row per cell and release that changed it: what a cell said on a day is its last"
    " row with released_at up to that day."
)
_MART_COLUMNS = '(mart VARCHAR, "column" VARCHAR, type VARCHAR, role VARCHAR, description VARCHAR)'

# Never in the pseudonymised file, whatever a YAML says.
_REFUSED_IN_MICRO = re.compile(
    r"(birth|tgl_|dob|measured_on|measurement_date|measured_at|age_days|weight|berat|height|length|tinggi|posyandu"
    r"|rt$|rw$|rt_|rw_|registered_on|registration_d|source_row|source_part|record_key|nik|kk_|name|nama|address|alamat"
    r"|phone|telp|latitude|longitude)"
)


@dataclass(frozen=True)
class Content:
    """One table of a release, as counted before it was written."""

    name: str
    row_count: int
    content_hash: str
    published: int = 0
    primary: int = 0
    complement: int = 0
    secondary: int = 0

    @property
    def hidden(self) -> int:
        return self.primary + self.complement + self.secondary


def suppressed(name: str) -> str:
    """The table of the working connection that holds a mart as it will be published."""
    return f'memory.main."{name}"'


def reading_build(s: Settings) -> duckdb.DuckDBPyConnection:
    """An in-memory connection with the build file attached read-only; it sees person-level facts, so spills encrypt."""
    connection = duck.connect(s, sees_identifiers=True)
    connection.execute(f"ATTACH {literal(str(s.build_file))} AS {BUILD} (READ_ONLY)")
    return connection


def content_hash(con: duckdb.DuckDBPyConnection, table: str) -> tuple[int, str]:
    """Rows and a hash over them whatever their order; md5 keeps its value between engine versions.

    The release's own id is left out: equal data have an equal hash.
    """
    chosen = "COLUMNS(name -> name <> 'release_id')"
    row = con.execute(
        "SELECT count(*), sum(md5_number_lower(text)::HUGEINT)"
        f" FROM (SELECT CAST(t AS VARCHAR) AS text FROM (SELECT {chosen} FROM {table}) AS t)"
    ).fetchone()
    return row[0], hashlib.sha256(repr(row).encode()).hexdigest()


def families(con: duckdb.DuckDBPyConnection, catalogue: Catalogue, mart: str) -> Mapping[str, str]:
    """Measures of a mart that dim_measure puts into a family: hidden together."""
    for dimension in catalogue.dimensions:
        if dimension.name == "dim_measure":
            measures = con.sql(f"FROM {BUILD}.{dimension.relation}")
            if "family" in measures.columns:
                own = measures.filter(f"mart = {literal(mart)} AND family IS NOT NULL")
                return dict(own.select("measure, family").fetchall())
    return {}


def suppress_marts(
    con: duckdb.DuckDBPyConnection, catalogue: Catalogue, release_id: str, policy: Policy
) -> dict[str, Content]:
    """Hide the small cells of every mart; the results wait in the working connection."""
    contents = {}
    for mart in catalogue.marts:
        _demand_one_row_per_key(con, mart)
        table = suppressed(mart.name)
        hidden = suppress(con, mart, f"{BUILD}.{mart.relation}", table, policy, families(con, catalogue, mart.name))
        if "release_id" in {column.name for column in mart.columns}:
            con.execute(f"UPDATE {table} SET release_id = {literal(release_id)}")
        rows, digest = content_hash(con, table)
        contents[mart.name] = Content(
            mart.name, rows, digest, hidden.shown, hidden.primary, hidden.complement, hidden.secondary
        )
    return contents


def _demand_one_row_per_key(con: duckdb.DuckDBPyConnection, mart: Mart) -> None:
    keys_ = ", ".join(f'"{key}"' for key in mart.keys)
    if not keys_:
        return
    twice = con.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {BUILD}.{mart.relation} GROUP BY {keys_} HAVING count(*) > 1)"
    ).fetchone()[0]
    if twice:
        raise ReleaseError(
            "RELEASE_KEYS",
            f"Mart {mart.name} memuat {twice} kunci lebih dari sekali.",
            f"Mart {mart.name} has {twice} keys more than once.",
            "Nyatakan semua kolom kunci (role: key) dalam YAML mart itu.",
            "State all key columns (role: key) in the mart's YAML.",
        )


def write_marts(
    con: duckdb.DuckDBPyConnection, catalogue: Catalogue, contents: Mapping[str, Content], folder: Path, register: str
) -> list[Content]:
    """Write ``marts.duckdb`` and a Parquet file of each mart, reopen both and compare. ``register`` names the working
    connection's table of published cells. Returns what the file holds beside the marts."""
    con.execute(f"ATTACH {literal(str(folder / MARTS_FILE))} AS released ({STORAGE})")
    (folder / "parquet").mkdir()
    beside = []
    for mart in catalogue.marts:
        _fill(con, mart, f'released.main."{mart.name}"', suppressed(mart.name))
        parquet = literal(str(folder / "parquet" / f"{mart.name}.parquet"))
        columns = ", ".join(f'"{column.name}"' for column in mart.columns)
        con.execute(
            f'COPY (SELECT {columns} FROM released.main."{mart.name}") TO {parquet} (FORMAT parquet, COMPRESSION zstd)'
        )
    for dimension in catalogue.dimensions:
        source, table = f"{BUILD}.{dimension.relation}", f'released.main."{dimension.name}"'
        con.execute(f"CREATE TABLE {table} AS FROM {source} ORDER BY ALL")
        for comment in comments(table, dimension.description, dimension.columns):
            con.execute(comment)
        beside.append(Content(dimension.name, *content_hash(con, source)))
    con.execute(f"CREATE TABLE released.main.mart_columns {_MART_COLUMNS}")
    con.executemany(
        "INSERT INTO released.main.mart_columns VALUES (?, ?, ?, ?, ?)",
        [(mart.name, c.name, c.kind, c.role, c.description) for mart in catalogue.marts for c in mart.columns],
    )
    con.execute(f"COMMENT ON TABLE released.main.mart_columns IS {literal(_COLUMNS_OF_MARTS)}")
    con.execute(f"CREATE TABLE released.main.released_cells AS SELECT * FROM {register} ORDER BY ALL")
    con.execute(f"COMMENT ON TABLE released.main.released_cells IS {literal(_RELEASED_CELLS)}")
    _create_wide(con, catalogue.wide, {mart.name for mart in catalogue.marts})
    con.execute("DETACH released")
    _verify(con, catalogue, contents, beside, folder)
    return beside


def _fill(con: duckdb.DuckDBPyConnection, mart: Mart, table: str, source: str) -> None:
    columns = ", ".join(f'"{column.name}"' for column in mart.columns)
    order = ", ".join(f'"{key}"' for key in mart.keys) or "ALL"
    con.execute(mart.ddl(table))
    con.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {source} ORDER BY {order}")
    for comment in mart.comments(table):
        con.execute(comment)


def _create_wide(con: duckdb.DuckDBPyConnection, wide: Iterable[Query], marts: set[str]) -> None:
    """dbt's wide views, over the suppressed tables of this file instead of the build's."""
    con.execute("USE released")
    for view in wide:
        if not set(view.relations.values()) & marts:
            continue
        sql = view.sql
        for relation, name in view.relations.items():
            sql = sql.replace(relation, f'"{name}"')
        con.execute(f'CREATE VIEW "{view.name}" AS {sql}')
        con.execute(f'COMMENT ON VIEW "{view.name}" IS {literal(view.description)}')
    con.execute("USE memory")


def _verify(
    con: duckdb.DuckDBPyConnection,
    catalogue: Catalogue,
    contents: Mapping[str, Content],
    beside: Iterable[Content],
    folder: Path,
) -> None:
    """Open the files again and compare tables, counts and contents with what was meant."""
    con.execute(f"ATTACH {literal(str(folder / MARTS_FILE))} AS reopened (READ_ONLY)")
    expected = {content.name: content for content in (*contents.values(), *beside)}
    tables = {
        row[0]
        for row in con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'reopened'").fetchall()
    }
    wrong = sorted(tables ^ (expected.keys() | {"mart_columns", "released_cells"}))
    for mart in (*catalogue.marts, *catalogue.dimensions):
        content = expected[mart.name]
        places = [f'reopened.main."{mart.name}"']
        if mart.name in contents:
            places.append(f"read_parquet({literal(str(folder / 'parquet' / f'{mart.name}.parquet'))})")
        for place in places:
            if content_hash(con, place) != (content.row_count, content.content_hash):
                wrong.append(mart.name)
    con.execute("DETACH reopened")
    if wrong:
        names = ", ".join(sorted(set(wrong)))
        raise ReleaseError(
            "RELEASE_NOT_VERIFIED",
            f"Berkas rilis berbeda dari yang dibangun: {names}",
            f"The release's files differ from what was built: {names}",
            "Periksa ruang dan kesehatan cakram, lalu jalankan malam lagi; rilis terakhir tetap berlaku.",
            "Check the disk's space and health, then run the night again; the last release stays current.",
        )


# --- the pseudonymised file


def micro_key(s: Settings, release_id: str) -> str:
    """The key of a release's pseudonymised file, derived from the vault's."""
    return hmac.new(keys.vault_key(s), f"micro:{release_id}".encode(), hashlib.sha256).hexdigest()


def attach_micro(con: duckdb.DuckDBPyConnection, s: Settings, path: Path, release_id: str, *, read_only: bool) -> None:
    options = f"ENCRYPTION_KEY '{micro_key(s, release_id)}'" + (", READ_ONLY" if read_only else "")
    con.execute(f"ATTACH {literal(str(path))} AS micro ({options})")


def write_micro(
    s: Settings, con: duckdb.DuckDBPyConnection, catalogue: Catalogue, path: Path, release_id: str
) -> list[Content]:
    """Write the facts' flagged columns and the restricted quality tables, encrypted; returns what the file holds."""
    for mart in catalogue.micro:
        _refuse_columns(mart)
    attach_micro(con, s, path, release_id, read_only=False)
    contents = []
    for mart in (*catalogue.micro, *catalogue.restricted):
        table = f'micro.main."{mart.name}"'
        con.execute(mart.ddl(table))
        masked = ", ".join(_masked(column.name, column.kind) for column in mart.columns)
        con.execute(f"INSERT INTO {table} SELECT {masked} FROM {BUILD}.{mart.relation} ORDER BY ALL")
        for comment in mart.comments(table):
            con.execute(comment)
        contents.append(Content(mart.name, *content_hash(con, table)))
    con.execute("DETACH micro")
    attach_micro(con, s, path, release_id, read_only=True)
    for content, mart in zip(contents, (*catalogue.micro, *catalogue.restricted), strict=True):
        if content_hash(con, f'micro.main."{mart.name}"') != (
            content.row_count,
            content.content_hash,
        ):
            raise ReleaseError(
                "RELEASE_NOT_VERIFIED",
                "Berkas mikro berbeda dari yang dibangun.",
                "The pseudonymised file differs from what was built.",
                "Periksa ruang dan kesehatan cakram, lalu jalankan malam lagi; rilis terakhir tetap berlaku.",
                "Check the disk's space and health, then run the night again; the last release stays current.",
            )
    return contents


def _masked(name: str, kind: str) -> str:
    """Dates by month and numbers at two decimals, whatever the fact holds."""
    if kind in {"date", "timestamp", "timestamptz"}:
        return f"CAST(date_trunc('month', \"{name}\") AS DATE)"
    return f'round("{name}", 2)' if kind == "double" else f'"{name}"'


def _refuse_columns(mart: Mart) -> None:
    if refused := [column.name for column in mart.columns if _REFUSED_IN_MICRO.match(column.name)]:
        names = ", ".join(refused)
        raise ReleaseError(
            "RELEASE_MICRO_COLUMN",
            f"{mart.name}: kolom ini tidak boleh masuk berkas mikro: {names}",
            f"{mart.name}: these columns may not enter the pseudonymised file: {names}",
            "Hapus `micro: true` dari kolom itu.",
            "Remove `micro: true` from those columns.",
        )
