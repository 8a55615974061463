"""What a release says about itself: marts, columns and measures have their words, and wide views say what marts say.

Here: completeness, on the marts of a good night. Not here: whether the words are true.
"""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from warehouse.build.catalogue import Mart, manifest_path, read_catalogue
from warehouse.core.settings import Settings
from warehouse.intake import gate

DIM_MEASURE = {
    "measure", "mart", "label_id", "label_en", "definition_id", "definition_en", "formula", "unit",
    "denominator_source", "bound_meaning", "is_additive", "published_counterpart",
}  # fmt: skip
NUMBERS = {"bigint", "double"}
WIDE_PARTS = {"percentage": "_percentage", "numerator": "_numerator", "denominator": "_denominator"}


@pytest.fixture(scope="module")
def marts(good_night: Settings) -> tuple[Mart, ...]:
    return read_catalogue(manifest_path(good_night.home)).marts


@pytest.fixture(scope="module")
def released(good_night: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(good_night.current / "marts.duckdb", read_only=True) as con:
        yield con


def names(con: duckdb.DuckDBPyConnection, query: str, *parameters: object) -> set[str]:
    return {row[0] for row in con.execute(query, parameters).fetchall()}


def test_every_mart_has_an_enforced_contract(good_night: Settings):
    models = Path(good_night.dbt_dir / "models" / "marts")
    described = "".join(path.read_text(encoding="utf-8") for path in models.rglob("*.yml"))
    tables = [path.stem for path in models.rglob("*.sql") if not path.stem.endswith("_wide")]
    assert len(tables) > 15
    for table in tables:
        section = described.partition(f"  - name: {table}\n")[2].partition("\n  - name: ")[0]
        assert "contract: {enforced: true}" in section, table


def test_every_mart_has_its_gate(good_night: Settings):
    """All but the table of what the gates themselves said."""
    catalogue = read_catalogue(manifest_path(good_night.home))
    ops = {mart.name for mart, _ in catalogue.ops} - {"ops_mart_rules"}
    gated = {mart.name for mart in (*catalogue.marts, *catalogue.restricted)} | ops
    assert {path.stem for path in good_night.mart_rules_dir.glob("*.yaml")} == gated
    assert not [name for name in gated if not gate.mart_rules(good_night.mart_rules_dir / f"{name}.yaml")]


def test_every_column_is_described_in_both_languages_and_every_number_has_its_unit(marts: tuple[Mart, ...]):
    for mart in marts:
        assert mart.description.startswith("Satu baris per "), mart.name
        assert "One row per " in mart.description, mart.name
        for column in mart.columns:
            place, text = f"{mart.name}.{column.name}", column.description
            assert len([sentence for sentence in text.split(". ") if sentence]) >= 2, f"{place}: one language only?"
            if column.kind in NUMBERS:
                assert "Satuan:" in text, place
                assert "Unit:" in text, place


def test_dim_measure_is_complete(released: duckdb.DuckDBPyConnection):
    assert names(released, "SELECT column_name FROM (DESCRIBE dim_measure)") >= DIM_MEASURE
    always = ("label_id", "label_en", "definition_id", "definition_en", "formula", "unit", "inputs")
    empty = " OR ".join(f"coalesce(trim({name}), '') = ''" for name in always)
    assert not names(released, f"SELECT mart || '.' || measure FROM dim_measure WHERE {empty} OR is_additive IS NULL")
    rates = "SELECT mart || '.' || measure FROM dim_measure WHERE kind = 'rate' AND denominator_source IS NULL"
    assert not names(released, rates)


def test_marts_hold_measures_of_dim_measure_only(released: duckdb.DuckDBPyConnection, marts: tuple[Mart, ...]):
    with_measures = {mart.name for mart in marts if "measure" in mart.keys}
    assert names(released, "SELECT mart FROM dim_measure") == with_measures
    for mart in with_measures:
        known = names(released, "SELECT measure FROM dim_measure WHERE mart = ?", mart)
        held = names(released, f'SELECT measure FROM "{mart}"')
        assert held
        assert held <= known, mart
        bounded = names(
            released,
            f"SELECT measure FROM dim_measure JOIN \"{mart}\" AS m USING (measure)"
            " WHERE mart = ? AND bound_meaning IS NULL AND percentage_low IS NOT NULL",
            mart,
        ) if "percentage_low" in names(released, f'SELECT column_name FROM (DESCRIBE "{mart}")') else set()  # fmt: skip
        assert not bounded, f"{mart}: bounds that nobody explains"


def test_mart_columns_lists_every_column_with_its_role(released: duckdb.DuckDBPyConnection, marts: tuple[Mart, ...]):
    listed = released.execute('SELECT mart, "column", type, role FROM mart_columns').fetchall()
    assert set(listed) == {(mart.name, c.name, c.kind, c.role) for mart in marts for c in mart.columns}


def test_everything_released_carries_its_comment(released: duckdb.DuckDBPyConnection):
    silent = names(
        released,
        "SELECT table_name FROM duckdb_tables() WHERE coalesce(comment, '') = ''"
        " UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal AND coalesce(comment, '') = ''"
        " UNION ALL SELECT table_name || '.' || column_name FROM duckdb_columns()"
        " WHERE NOT internal AND coalesce(comment, '') = ''",
    )
    assert not silent


def test_every_area_mart_has_a_wide_view_with_the_same_cells(
    released: duckdb.DuckDBPyConnection, marts: tuple[Mart, ...]
):
    views = names(released, "SELECT view_name FROM duckdb_views() WHERE NOT internal")
    area_marts = [mart for mart in marts if {"area_level", "measure"} <= set(mart.keys)]
    assert views == {f"{mart.name}_wide" for mart in area_marts}
    for mart in area_marts:
        keys = [key for key in mart.keys if key != "measure"]
        quoted = ", ".join(f'"{key}"' for key in keys)
        places = f'SELECT count(*) FROM (SELECT DISTINCT {quoted} FROM "{mart.name}")'
        wide = f'"{mart.name}_wide"'
        assert released.execute(places).fetchone() == released.execute(f"SELECT count(*) FROM {wide}").fetchone()
        kinds = released.execute("SELECT measure, kind FROM dim_measure WHERE mart = ?", [mart.name]).fetchall()
        for measure, kind in kinds:
            given = WIDE_PARTS if kind == "rate" else {"numerator" if kind == "count" else "statistic": ""}
            given = given | {"is_rounded": "_is_rounded"}
            differ = " OR ".join(f'l."{own}" IS DISTINCT FROM w."{measure}{part}"' for own, part in given.items())
            rows = released.execute(
                f'SELECT count(*) FROM "{mart.name}" AS l JOIN {wide} AS w USING ({quoted})'
                f" WHERE l.measure = ? AND ({differ})",
                [measure],
            ).fetchone()
            assert rows == (0,), f"{mart.name}.{measure}"
