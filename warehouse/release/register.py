"""The register of published cells: what every cell said, release by release. Primary data, backed up.

One Parquet file per release with only the cells that are new, changed or gone; their union is ``released_cells``. A
cell is a mart's key; marts in the long shape give numerator, denominator, percentage and statistic, others give each of
their numbers as a measure of its own. Releases made before small counts were rounded hid cells and say why in a column
``suppression_reason``; they are read as ``was_hidden``. Beside the file lies what the next release needs to know of the
last one's cells (revisions). Not here: rounding (disclosure).
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import duckdb
import sqlalchemy as sa

from warehouse.build.catalogue import Mart, literal
from warehouse.core import files
from warehouse.core.settings import Settings
from warehouse.disclosure import published
from warehouse.ledger import Ledger, tables

_AREA_PERIOD = {
    "area_level": "VARCHAR",
    "kemendagri_code": "VARCHAR",
    "period_kind": "VARCHAR",
    "period_start": "DATE",
}
KEY = {"mart": "VARCHAR"} | _AREA_PERIOD | {"measure": "VARCHAR", "further_keys": "VARCHAR"}
_VALUE = {
    "numerator": "BIGINT",
    "denominator": "BIGINT",
    "percentage": "DOUBLE",
    "statistic": "DOUBLE",
    "is_rounded": "BOOLEAN",
}
_REGISTER = {"release_id": "VARCHAR", "released_at": "TIMESTAMPTZ"} | KEY | _VALUE | {"is_withdrawn": "BOOLEAN"}
_REGISTER |= {"was_hidden": "BOOLEAN"}


def register_file(s: Settings, release_id: str) -> Path:
    return s.register_dir / f"{release_id}.parquet"


def cells_folder(s: Settings, release_id: str) -> Path:
    """Where the cells of a release lie, exact and rounded: for the next release only, readable by the owner alone."""
    return s.register_dir / f"{release_id}.cells"


def _expressions(mart: Mart) -> dict[str, str]:
    """What gives the columns of key and value in a mart's relation."""
    columns = {column.name: f'"{column.name}"' for column in mart.columns}
    further = [
        key for key in mart.keys if key not in {*_AREA_PERIOD, "measure"} or (key == "measure" and not mart.is_long)
    ]
    packed = ", ".join(f'"{key}" := CAST("{key}" AS VARCHAR)' for key in further)
    common = columns | {"mart": literal(mart.name)}
    if further:
        common["further_keys"] = f"to_json(struct_pack({packed}))"
    return common


def _selects(mart: Mart) -> Iterator[str]:
    """SELECTs of a published mart's cells in the columns of key and value."""
    relation = published(mart.name)
    if mart.is_long:
        yield select(mart, relation)
        return
    for column in mart.columns:
        if column.role in {"count", "rate"} and not column.name.startswith("parts_"):
            value = "numerator" if column.kind == "bigint" else "statistic"
            measure = {"measure": literal(column.name), value: f'"{column.name}"'}
            yield select(mart, relation, overrides=measure)


def select(mart: Mart, relation: str, *more: str, overrides: Mapping[str, str] | None = None) -> str:
    """SELECT of a relation with a mart's columns in the columns of key and value, and ``more`` of its own."""
    expressions = {**_expressions(mart), **(overrides or {})}
    select_list = [
        f"CAST({expressions.get(name, 'NULL')} AS {kind}) AS {name}" for name, kind in (KEY | _VALUE).items()
    ]
    return f"SELECT {', '.join([*select_list, *more])} FROM {relation}"


def load(s: Settings, led: Ledger, con: duckdb.DuckDBPyConnection) -> None:
    """Make the working table ``register``: what every cell said in each release that the ledger names."""
    files = [register_file(s, row["release_id"]) for row in led.rows(sa.select(tables.releases.c.release_id))]
    columns = ", ".join(f"{name} {kind}" for name, kind in _REGISTER.items())
    con.execute(f"CREATE OR REPLACE TEMP TABLE register ({columns})")
    for file in filter(Path.exists, files):
        source = f"read_parquet({literal(str(file))})"
        names = {name for name, *_ in con.execute(f"DESCRIBE FROM {source}").fetchall()}
        was_hidden = "suppression_reason IS NOT NULL" if "suppression_reason" in names else "false"
        register_columns = ", ".join(name for name in _REGISTER if name in names and name != "was_hidden")
        con.execute(f"INSERT INTO register BY NAME SELECT {register_columns}, {was_hidden} AS was_hidden FROM {source}")


def extend(
    s: Settings, con: duckdb.DuckDBPyConnection, marts: Iterable[Mart], release_id: str, released_at: datetime
) -> str:
    """Write the register's file of this release, add it to ``register`` and return that table's name.

    The file counts once the ledger names the release; a file without one is overwritten or swept.
    """
    selects = [select for mart in marts for select in _selects(mart)]
    empty = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in (KEY | _VALUE).items())
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE cells_now AS {' UNION ALL '.join(selects) or f'SELECT {empty} WHERE false'}"
    )
    key, value = ", ".join(KEY), ", ".join(_VALUE)
    same = " AND ".join(f"now.{name} IS NOT DISTINCT FROM said.{name}" for name in KEY)
    differs = " OR ".join(f"now.{name} IS DISTINCT FROM said.{name}" for name in _VALUE)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE said_last AS
        SELECT {key}, {value} FROM register
        QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY release_id DESC) = 1 AND NOT is_withdrawn
        """
    )
    stamp = f"{literal(release_id)} AS release_id, {literal(released_at.isoformat())}::TIMESTAMPTZ AS released_at"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE changed AS
        SELECT {stamp}, now.*, false AS is_withdrawn, false AS was_hidden
        FROM cells_now AS now LEFT JOIN said_last AS said ON {same}
        WHERE said.mart IS NULL OR {differs}
        UNION ALL BY NAME
        SELECT {stamp}, {", ".join(f"said.{name}" for name in KEY)}, true AS is_withdrawn,
            false AS was_hidden
        FROM said_last AS said ANTI JOIN cells_now AS now ON {same}
        """
    )
    with files.whole_file(register_file(s, release_id)) as draft:
        con.execute(f"COPY changed TO {literal(str(draft))} (FORMAT parquet, COMPRESSION zstd)")
    con.execute("INSERT INTO register BY NAME FROM changed")
    return "register"
