"""The models' SQL stays within what Spark reads too. That Spark gives the same marts is shown by ``make spark``.

Here: the grammar and the functions, cheaply, on every test run.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import sqlglot
from sqlglot import exp

from warehouse.build.catalogue import manifest_path
from warehouse.core.settings import PROJECT_DIR, Settings

DBT = PROJECT_DIR / "dbt_project"
# Functions with one meaning on DuckDB and Spark for what the models give them. Another one: see what Spark makes of it
# (`make spark`), then add it here, or dispatch it in macros/.
FUNCTIONS = {
    "abs", "avg", "cast", "coalesce", "concat", "count", "cube", "exp", "extract", "floor", "greatest", "grouping",
    "lag", "lead", "least", "length", "ln", "lower", "max", "median", "min", "mod", "nullif", "power", "rank",
    "regexp_replace", "replace", "round", "row_number", "sqrt", "substring", "sum", "trim", "upper",
}  # fmt: skip
# Words that stand before a parenthesis without being functions.
KEYWORDS = {
    "all", "and", "any", "as", "by", "else", "exists", "from", "in", "join", "not", "on", "or", "over", "sets", "then",
    "using", "values", "when", "where",
}  # fmt: skip
DUCKDB_ONLY = {
    "a cast by colons": r"::",
    "FILTER": r"\bfilter\s*\(",
    "QUALIFY": r"\bqualify\b",
    "SELECT * EXCLUDE or REPLACE": r"\*\s*(?:exclude|replace)\b",
    "GROUP BY ALL": r"\b(?:group|order)\s+by\s+all\b",
    "whole-number division": r"//",
    "ILIKE": r"\bilike\b",
    "BY NAME": r"\bby\s+name\b",
    "ASOF or POSITIONAL JOIN": r"\b(?:asof|positional)\s+join\b",
}
JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
OWN_TO_DUCKDB = re.compile(r"\{%-?\s*macro duckdb__.*?endmacro\s*-?%\}", re.DOTALL)
OWN_TO_SPARK = re.compile(r"\{%-?\s*macro spark__.*?endmacro\s*-?%\}", re.DOTALL)
TEXT = re.compile(r"'(?:[^']|'')*'")


def plain(text: str) -> str:
    """SQL without Jinja, comments and texts."""
    for pattern in (OWN_TO_DUCKDB, OWN_TO_SPARK, JINJA, COMMENT, TEXT):
        text = pattern.sub(" ", text)
    return text.lower()


def written() -> Iterator[tuple[Path, str]]:
    for folder in ("models", "macros"):
        for path in sorted((DBT / folder).rglob("*.sql")):
            yield path, plain(path.read_text(encoding="utf-8"))


def test_models_and_macros_call_portable_functions_only():
    found = {
        (path.name, name)
        for path, text in written()
        for name in re.findall(r"\b([a-z_][a-z_0-9]*)\s*\(", text)
        if name not in FUNCTIONS | KEYWORDS and not re.search(rf"\b{name}\s+as\s*\(|\bas\s+{name}\s*\(", text)
    }
    assert not found


def test_models_and_macros_use_no_syntax_of_duckdb_alone():
    patterns = DUCKDB_ONLY.items()
    assert not [(path.name, what) for path, text in written() for what, pattern in patterns if re.search(pattern, text)]


def test_a_day_is_that_of_jakarta():
    """An instant cast to a date gives the day of the session's clock: jakarta_day says whose."""
    cut = re.compile(r"cast\(\s*(?:\w+\()?[\w.]*_at\)?\s+as\s+date", re.IGNORECASE)
    assert not [path.name for path in sorted(DBT.rglob("*.sql")) if cut.search(path.read_text(encoding="utf-8"))]


def test_what_dbt_makes_of_the_models_is_sql_that_spark_reads(good_night: Settings):
    nodes = json.loads(manifest_path(good_night.home).read_text(encoding="utf-8"))["nodes"].values()
    models = {node["name"]: node["compiled_code"] for node in nodes if node["resource_type"] == "model"}
    assert models.keys() >= {"stunting_by_area_month", "ops_freshness", "coverage_by_area_month_wide"}
    for name, code in models.items():
        read = sqlglot.parse_one(code, read="spark")
        assert isinstance(read, exp.Query), name
        assert not [call.name for call in read.find_all(exp.Anonymous)], name


def test_every_column_of_a_seed_has_its_type(good_night: Settings):
    nodes = json.loads(manifest_path(good_night.home).read_text(encoding="utf-8"))["nodes"].values()
    seeds = [node for node in nodes if node["resource_type"] == "seed"]
    assert seeds
    for node in seeds:
        header = (DBT / node["original_file_path"]).read_text(encoding="utf-8").partition("\n")[0].split(",")
        assert set(header) == node["config"]["column_types"].keys(), node["name"]
        assert "varchar" not in node["config"]["column_types"].values(), f"{node['name']}: string, as Spark wants it"
