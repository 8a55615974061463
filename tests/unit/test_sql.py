"""SQL in files: declared inputs are what is read, values are never text, and nothing is left that nobody needs."""

from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from warehouse.core import sql
from warehouse.linkage import clerical_review, clusters, exact, model, profiles

STAGES = [stage for room in (profiles, clerical_review, exact, clusters, model) for stage in room.STAGES]
FOLDER = Path(profiles.__file__).parent / "sql"
STEPS = {stage.folder / f"{table}.sql": reads for stage in STAGES for table, reads in stage.tables.items()}


def read_by(file: Path) -> set[str]:
    statement = sqlglot.parse_one(file.read_text(encoding="utf-8"), dialect="duckdb")
    return {table.name for table in statement.find_all(exp.Table)} - {cte.alias for cte in statement.find_all(exp.CTE)}


@pytest.mark.parametrize("file", STEPS, ids=lambda file: file.stem)
def test_a_step_names_what_its_file_reads(file):
    assert set(STEPS[file]) == read_by(file)


def test_every_file_of_linkage_is_a_step_a_macro_or_a_query():
    macros = {FOLDER / "macros" / f"{name}.sql" for name in profiles.MACROS}
    queries = {
        FOLDER / "clusters" / "sorted_edges.sql",
        FOLDER / "clusters" / "scored_pairs.sql",
        FOLDER / "clusters" / "scored_clusters.sql",
        *(FOLDER / "clerical_review" / f"{name}.sql" for name in ("queue", "datasets_of_records", "records_of_person")),
        *(FOLDER / "clerical_review" / f"{name}.sql" for name in ("shown", "marks_of_records", "record_of_nobody")),
    }
    assert set(FOLDER.rglob("*.sql")) == set(STEPS) | macros | queries


@pytest.fixture
def stage(tmp_path) -> sql.Stage:
    (tmp_path / "half.sql").write_text("select n from given where n < getvariable('most')")
    (tmp_path / "doubled.sql").write_text("select 2 * n as n from half")
    return sql.Stage(tmp_path, {"half": ("given",), "doubled": ("half",)}, keeps=("doubled",))


@pytest.fixture
def connection():
    with duckdb.connect() as one:
        one.execute("CREATE TEMP TABLE given AS SELECT unnest([1, 2, 3]) AS n")
        yield one


def test_a_stage_leaves_what_it_keeps(stage, connection):
    assert stage.inputs == {"given"}
    sql.run(connection, stage, most=3)
    assert connection.table("doubled").fetchall() == [(2,), (4,)]
    with pytest.raises(duckdb.CatalogException):
        connection.table("half")


@pytest.mark.parametrize("values", [{}, {"most": 3, "least": 1}])
def test_values_missing_or_unasked_are_refused(stage, connection, values):
    with pytest.raises(KeyError, match="most" if not values else "least"):
        sql.run(connection, stage, **values)


def test_a_value_is_no_text_of_a_statement(tmp_path, connection):
    file = tmp_path / "named.sql"
    file.write_text("select getvariable('name') as name")
    value = "'; drop table given; --"
    assert sql.query(connection, file, name=value).fetchall() == [(value,)]
    assert len(connection.table("given")) == 3
