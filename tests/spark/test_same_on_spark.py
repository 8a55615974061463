"""The dbt project gives the same marts on Spark as on DuckDB. Run by ``make spark``, which sets Spark's own Python up.

Here: a small city with its whole history, built by both engines and compared. Not here: what the cells should be.
"""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.support.sandbox_home import NOW, TONIGHT
from warehouse import build, linkage
from warehouse.build.catalogue import literal
from warehouse.core.settings import PROJECT_DIR, Settings
from warehouse.ledger import open_ledger
from warehouse.storage import keys

pytestmark = pytest.mark.spark

PYTHON = PROJECT_DIR / ".venv-spark" / "bin" / "python"
READ = ("lake", "ledger", "linkage")
COMPARED = ("conformed", "cells", "marts")
# No release is made here; in the sandbox nobody states spending, holds two cards of a segment or lacks a listed family.
EMPTY = {
    *("ops_mart_rules", "ops_releases", "family_spending", "cells_spending"),
    *("cells_branch_cards", "cells_persons_without_family"),
}
# Two engines add doubles up in different orders.
TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[duckdb.DuckDBPyConnection, Path]:
    """DuckDB's build of four kelurahan, three with outreach, and the folder with Spark's relations of the same."""
    home, output = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("spark")
    warehouse = Path(sys.executable).with_name("warehouse")
    env = os.environ | {"WAREHOUSE_HOME": str(home), "WAREHOUSE_NOW": NOW.isoformat()}
    for step in (("build", "--scale", "0.025"), ("history",)):
        subprocess.run([warehouse, "sandbox", *step], env=env, check=True)
    # Rounding small counts, nearly all of so small a city, is no part of what is compared.
    s = Settings(home=home, now=NOW)
    led = open_ledger(s)
    with keys.shared_lock(s):
        linkage.link(s, led)
        build.run(s, led, TONIGHT)
    con = duckdb.connect(home / "build" / "warehouse.duckdb", read_only=True)
    con.execute("SET TimeZone = 'UTC'")
    for schema, name in relations(con, READ):
        folder = output / "inputs" / schema
        folder.mkdir(parents=True, exist_ok=True)
        con.execute(f'COPY (FROM {schema}."{name}") TO {literal(str(folder / name) + ".parquet")}')
    program = Path(__file__).with_name("build_on_spark.py")
    (output / "built").mkdir()
    subprocess.run(
        [PYTHON, program, output / "inputs", output / "built", PROJECT_DIR / "dbt_project", TONIGHT.isoformat()],
        env=env
        | {"PATH": f"{PYTHON.parent}:{os.environ['PATH']}", "SPARK_LOCAL_IP": "127.0.0.1", "WAREHOUSE_IS_SAMPLE": "1"},
        check=True,
    )
    return con, output / "built" / "relations"


def relations(con: duckdb.DuckDBPyConnection, schemas: tuple[str, ...]) -> list[tuple[str, str]]:
    query = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN $1 ORDER BY ALL"
    return con.execute(query, [schemas]).fetchall()


def rows_that_differ(con: duckdb.DuckDBPyConnection, ours: str, theirs: str) -> int:
    """Rows of either side without an equal in the other.

    Rows are paired by what is no double, then by the order of their doubles; a doubtful pair would differ all the more.
    """
    kinds = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE FROM {ours}").fetchall()}
    assert kinds.keys() == {name for name, *_ in con.execute(f"DESCRIBE FROM {theirs}").fetchall()}
    doubles = [f'"{name}"' for name, kind in kinds.items() if kind == "DOUBLE"]
    others = [f'"{name}"' for name in kinds if f'"{name}"' not in doubles]
    order = ", ".join(f"round({name}, 6)" for name in doubles) or "1"
    number = f"row_number() OVER (PARTITION BY {', '.join(others)} ORDER BY {order}) AS nth"
    types = {f'"{name}"': kind for name, kind in kinds.items()}
    typed = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in types.items())
    pairing = " AND ".join(f"a.{name} IS NOT DISTINCT FROM b.{name}" for name in [*others, "nth"])
    equal = "".join(
        f" AND ((a.{name} IS NULL AND b.{name} IS NULL)"
        f" OR abs(a.{name} - b.{name}) <= {TOLERANCE} * greatest(1, abs(a.{name})))"
        for name in doubles
    )
    query = f"""
        WITH a AS (SELECT *, {number} FROM {ours}), b AS (SELECT *, {number} FROM (SELECT {typed} FROM {theirs}))
        SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b) - 2 * count(*) FROM a JOIN b ON {pairing}{equal}
    """
    return con.execute(query).fetchone()[0]


def test_every_relation_is_the_same_on_both_engines(built: tuple[duckdb.DuckDBPyConnection, Path]):
    con, folder = built
    names = relations(con, COMPARED)
    assert {("marts", "stunting_by_area_month"), ("marts", "coverage_by_area_month_wide")} <= set(names)
    empty = {name for schema, name in names if is_empty(con, f'{schema}."{name}"')}
    assert empty <= EMPTY, "nothing to compare"
    differ = {
        name: rows_that_differ(con, f'{schema}."{name}"', f"read_parquet('{folder}/{schema}/{name}/*.parquet')")
        for schema, name in names
    }
    assert not {name: rows for name, rows in differ.items() if rows}


def is_empty(con: duckdb.DuckDBPyConnection, relation: str) -> bool:
    return not con.execute(f"FROM {relation} LIMIT 1").fetchall()
