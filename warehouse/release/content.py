"""The files of a release, filled from the build file with small counts rounded, and the check that they hold it.

Every file is created empty and filled table by table from the allow-list that dbt's contracts are: a copied or reused
file would carry the bytes of what was dropped. Not here: which release readers see (state), the register (register).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse import disclosure
from warehouse.build.catalogue import Catalogue, Mart, Query, comments, literal
from warehouse.core import duck
from warehouse.core.duck import one_row
from warehouse.core.errors import ReleaseError
from warehouse.core.settings import Settings
from warehouse.disclosure import audit, published
from warehouse.release import revisions

BUILD = "warehouse"
MARTS_FILE = "marts.duckdb"
STORAGE = "STORAGE_VERSION 'v1.0.0'"
_COLUMNS_OF_MARTS = "Satu baris per kolom mart: tipe dan peran. One row per mart column: its type and role."
_RELEASED_CELLS = (
    "Satu baris per sel dan rilis yang mengubahnya: apa kata sel itu pada suatu hari adalah baris terakhirnya dengan"
    " released_at sampai hari itu. One row per cell and release that changed it: what a cell said on a day is its last"
    " row with released_at up to that day."
)
_CELL_COLUMNS = {
    "release_id": "Rilis yang mengubah sel. Release that changed the cell.",
    "released_at": "Waktu rilis itu (UTC). When it was made (UTC).",
    "mart": "Mart. Mart.",
    "further_keys": "Kunci mart itu sendiri, JSON. The mart's own keys, as JSON.",
    "was_hidden": (
        "Apakah sel disembunyikan pada rilis lama itu (sebelum pembulatan). Whether that older release hid the cell"
        " (before rounding)."
    ),
    "is_withdrawn": "Apakah sel tak terbit lagi sejak rilis itu. Whether the cell is published no longer.",
}
_ABOUT_COLUMNS = {
    "mart": "Mart. Mart.",
    "column": "Kolom. Column.",
    "type": "Tipe data. Data type.",
    "role": (
        "Peran: key, count, rate, bound, date, attribute. Role: what identifies a row, counts, divides, bounds, dates"
        " or describes."
    ),
    "description": "Keterangan dwibahasa. What it means, in both languages.",
}
# What a wide view's columns of a measure end in.
_WIDE_PARTS = {
    "_percentage": ("persen", "per cent"),
    "_numerator": ("pembilang", "numerator"),
    "_denominator": ("penyebut", "denominator"),
    "_is_rounded": ("apakah memuat cacah kecil yang dibulatkan", "whether small counts in it were rounded"),
}
_CELL_ORDER = "mart, measure, kemendagri_code, period_start, further_keys, release_id"
_MART_COLUMNS = '(mart VARCHAR, "column" VARCHAR, type VARCHAR, role VARCHAR, description VARCHAR)'


@dataclass(frozen=True)
class Content:
    """One table of a release, as counted before it was written."""

    name: str
    row_count: int
    content_hash: str
    rounded: int = 0


def reading_build(s: Settings) -> duckdb.DuckDBPyConnection:
    """An in-memory connection with the build file attached read-only; it sees person-level facts, so spills encrypt."""
    connection = duck.connect(s, sees_identifiers=True)
    connection.execute(f"ATTACH {literal(str(s.build_file))} AS {BUILD} (READ_ONLY)")
    return connection


def content_hash(con: duckdb.DuckDBPyConnection, table: str) -> tuple[int, str]:
    """Rows and a hash over them whatever their order; md5 keeps its value between engine versions.

    The release's own id is left out: equal data have an equal hash.
    """
    columns = "COLUMNS(name -> name <> 'release_id')"
    row = one_row(
        con.execute(
            "SELECT count(*), sum(md5_number_lower(text)::HUGEINT)"
            f" FROM (SELECT CAST(t AS VARCHAR) AS text FROM (SELECT {columns} FROM {table}) AS t)"
        )
    )
    return row[0], hashlib.sha256(repr(row).encode()).hexdigest()


def checksum(con: duckdb.DuckDBPyConnection, table: str) -> tuple[int, int | None]:
    """Rows and a quick sum over them, comparable within one run of one engine."""
    rows, total = one_row(
        con.execute(
            "SELECT count(*), sum(hash(t)::HUGEINT)"
            f" FROM (SELECT COLUMNS(name -> name <> 'release_id') FROM {table}) AS t"
        )
    )
    return rows, total


def demand_equal(con: duckdb.DuckDBPyConnection, pairs: Iterable[tuple[str, str]]) -> None:
    """Raise ReleaseError RELEASE_NOT_VERIFIED naming the written tables that differ from their source."""
    wrong = [target for source, target in pairs if checksum(con, source) != checksum(con, target)]
    if wrong:
        names = ", ".join(wrong)
        raise ReleaseError(
            "RELEASE_NOT_VERIFIED",
            f"Berkas rilis berbeda dari yang dibangun: {names}",
            f"The release's files differ from what was built: {names}",
            "Periksa ruang dan kesehatan cakram, lalu jalankan malam lagi; rilis terakhir tetap berlaku.",
            "Check the disk's space and health, then run the night again; the last release stays current.",
        )


def built(mart: Mart) -> str:
    """A mart as the build made it, in the working connection."""
    return f"{BUILD}.{mart.relation}"


def round_marts(
    con: duckdb.DuckDBPyConnection,
    catalogue: Catalogue,
    when: revisions.Calendar,
    older: Path | None,
    key: bytes,
    base: int,
) -> revisions.Memory:
    """Round the small counts of every table of cells and make every mart from them in the working connection.

    ``older``: the folder of the last release's cells; returns how much of it there was. Raises ReleaseError when counts
    are not what is declared.
    """
    disclosure.demand_cells(catalogue)
    for mart in catalogue.marts:
        _demand_one_row_per_key(con, mart)
    tables = disclosure.in_order(catalogue.cells)
    sources = {cells.name: f"{BUILD}.{cells.relation}" for cells in tables}
    last = revisions.last_cells(older, tables)
    revisions.find_kept(con, tables, sources, last, when, base)
    targets = {cells.name: disclosure.rounded(cells.name) for cells in tables}
    for cells in tables:
        places = disclosure.Sources(sources[cells.name], targets[cells.name], last.get(cells.name))
        disclosure.round_table(con, cells, places, targets, revisions.KEPT, key, base)
    disclosure.run_again(con, catalogue, {cells.name: revisions.is_over(cells, when.day) for cells in tables})
    query_names = {query.name for query in catalogue.downstream}
    for mart in (*catalogue.marts, *catalogue.restricted):
        columns = revisions.columns()
        disclosure.mark_rounded(con, mart, built(mart), columns, is_downstream=mart.name in query_names)
    return revisions.memory(last, tables)


def describe(con: duckdb.DuckDBPyConnection, mart: Mart) -> Content:
    """A mart as it will be published, counted."""
    table = published(mart.name)
    rows, digest = content_hash(con, table)
    has_marks = any(column.name == "is_rounded" for column in mart.columns)
    n_rounded = one_row(con.execute(f"SELECT count(*) FROM {table} WHERE is_rounded"))[0] if has_marks else 0
    return Content(mart.name, rows, digest, n_rounded)


def _demand_one_row_per_key(con: duckdb.DuckDBPyConnection, mart: Mart) -> None:
    keys_ = ", ".join(f'"{key}"' for key in mart.keys)
    if not keys_:
        return
    duplicates = f"SELECT 1 FROM {BUILD}.{mart.relation} GROUP BY {keys_} HAVING count(*) > 1"
    (twice,) = one_row(con.execute(f"SELECT count(*) FROM ({duplicates})"))
    if twice:
        raise ReleaseError(
            "RELEASE_KEYS",
            f"Mart {mart.name} memuat {twice} kunci lebih dari sekali.",
            f"Mart {mart.name} has {twice} keys more than once.",
            "Nyatakan semua kolom kunci (role: key) dalam YAML mart itu.",
            "State all key columns (role: key) in the mart's YAML.",
        )


def write_marts(
    con: duckdb.DuckDBPyConnection, catalogue: Catalogue, folder: Path, release_id: str, register: str, base: int
) -> None:
    """Write ``marts.duckdb`` and a Parquet file of each mart, reopen both, compare and audit.

    ``register`` names the working connection's table of published cells. Raises ReleaseError RELEASE_NOT_VERIFIED or
    DISCLOSURE_AUDIT.
    """
    con.execute(f"ATTACH {literal(str(folder / MARTS_FILE))} AS released ({STORAGE})")
    (folder / "parquet").mkdir()
    for mart in catalogue.marts:
        table = f'released.main."{mart.name}"'
        fill(con, mart, table, published(mart.name), release_id)
        con.execute(f"COPY {table} TO {literal(_parquet(folder, mart))} (FORMAT parquet, COMPRESSION zstd)")
    _write_dimensions(con, catalogue)
    con.execute(f"CREATE TABLE released.main.mart_columns {_MART_COLUMNS}")
    con.executemany(
        "INSERT INTO released.main.mart_columns VALUES (?, ?, ?, ?, ?)",
        [(mart.name, c.name, c.kind, c.role, c.description) for mart in catalogue.marts for c in mart.columns],
    )
    con.execute(f"CREATE TABLE released.main.released_cells AS FROM {register} ORDER BY {_CELL_ORDER}")
    shape = {column.name: column.description for mart in catalogue.marts if mart.is_long for column in mart.columns}
    cells = {name: (shape | _CELL_COLUMNS).get(name, "") for name in _columns(con, "released.main.released_cells")}
    for about in (
        comments("released.main.mart_columns", _COLUMNS_OF_MARTS, _ABOUT_COLUMNS),
        comments("released.main.released_cells", _RELEASED_CELLS, cells),
    ):
        for comment in about:
            con.execute(comment)
    _create_wide(con, catalogue.wide, {mart.name: mart for mart in catalogue.marts})
    con.execute("DETACH released")
    _verify(con, catalogue, folder, base)


def write_exact(con: duckdb.DuckDBPyConnection, catalogue: Catalogue, file: Path, release_id: str) -> None:
    """Write the marts as built, with nothing rounded: for an internal release only."""
    con.execute(f"ATTACH {literal(str(file))} AS released ({STORAGE})")
    for mart in catalogue.marts:
        fill(con, mart, f'released.main."{mart.name}"', built(mart), release_id)
    _write_dimensions(con, catalogue)
    con.execute("DETACH released")


def _write_dimensions(con: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    for dimension in catalogue.dimensions:
        source, table = f"{BUILD}.{dimension.relation}", f'released.main."{dimension.name}"'
        con.execute(f"CREATE TABLE {table} AS FROM {source} ORDER BY ALL")
        for comment in comments(table, dimension.description, dimension.columns):
            con.execute(comment)


def _parquet(folder: Path, mart: Mart) -> str:
    return str(folder / "parquet" / f"{mart.name}.parquet")


def fill(con: duckdb.DuckDBPyConnection, mart: Mart, table: str, source: str, release_id: str) -> None:
    names = [f'"{column.name}"' for column in mart.columns]
    values = [literal(release_id) if name == '"release_id"' else name for name in names]
    order = ", ".join(f'"{key}"' for key in mart.keys) or "ALL"
    con.execute(mart.ddl(table))
    con.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM {source} ORDER BY {order}")
    for comment in mart.comments(table):
        con.execute(comment)


def _columns(con: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    return [name for name, *_ in con.execute(f"DESCRIBE {relation}").fetchall()]


def _create_wide(con: duckdb.DuckDBPyConnection, wide: Iterable[Query], marts: Mapping[str, Mart]) -> None:
    """dbt's wide views, over the tables of this file instead of the build's."""
    con.execute("USE released")
    for view in wide:
        mart = next((marts[name] for name in view.relations.values() if name in marts), None)
        if mart is None:
            continue
        here = {relation: f'"{name}"' for relation, name in view.relations.items()}
        con.execute(f'CREATE VIEW "{view.name}" AS {duck.reading_from(con, view.sql, here)}')
        con.execute(f'COMMENT ON VIEW "{view.name}" IS {literal(view.description)}')
        described = _wide_descriptions(con, mart)
        for name in _columns(con, f'"{view.name}"'):
            con.execute(f'COMMENT ON COLUMN "{view.name}"."{name}" IS {literal(described.get(name, ""))}')
    con.execute("USE memory")


def _wide_descriptions(con: duckdb.DuckDBPyConnection, mart: Mart) -> dict[str, str]:
    """What each column of a mart's wide view means: the long mart's own words, and those of each measure."""
    described = {column.name: column.description for column in mart.columns}
    words = con.execute(
        "SELECT measure, label_id, label_en, definition_id, definition_en, formula, unit"
        " FROM dim_measure WHERE mart = ?",
        [mart.name],
    ).fetchall()
    for measure, label_id, label_en, definition_id, definition_en, formula, unit in words:
        described[measure] = (
            f"{label_id}. {definition_id} Rumus: {formula}. Satuan: {unit}. / {label_en}. {definition_en}"
            f" Formula: {formula}. Unit: {unit}."
        )
        for suffix, (part_id, part_en) in _WIDE_PARTS.items():
            described[measure + suffix] = (
                f"{label_id}, {part_id}. {definition_id} Rumus: {formula}. / {label_en}, {part_en}. {definition_en}"
                f" Formula: {formula}."
            )
    return described


def _verify(con: duckdb.DuckDBPyConnection, catalogue: Catalogue, folder: Path, base: int) -> None:
    """Open the files again, compare every table with what was meant and look for small counts."""
    con.execute(f"ATTACH {literal(str(folder / MARTS_FILE))} AS reopened (READ_ONLY)")
    pairs = [(f"{BUILD}.{d.relation}", f'reopened.main."{d.name}"') for d in catalogue.dimensions]
    for mart in catalogue.marts:
        pairs.append((published(mart.name), f'reopened.main."{mart.name}"'))
        pairs.append((published(mart.name), f"read_parquet({literal(_parquet(folder, mart))})"))
    demand_equal(con, pairs)
    audit.audit(con, catalogue, "reopened", base)
    con.execute("DETACH reopened")
