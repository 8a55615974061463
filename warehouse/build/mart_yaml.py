"""What stands beside the SQL of a new long mart: its YAML and its gate.

The YAML has every column of the one shape, the mart's own keys, described as in the cells model it reads, and the two
tests; the gate, the rules that hold of any long mart. Not here: the SQL (macro ``long_mart``), what a column means
(``doc`` blocks of the project), rules of the mart's own.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from warehouse.core.errors import ConfigError

# The mart that others were copied from: its columns are those of the shape, and its own keys.
_EXEMPLAR = "assistance_by_area_period"
_CELLS = re.compile(r"ref\('(cells_\w+)'\)")
_MEASURE = re.compile(r"'(\w+)' as measure\b")
_FIRST = ("area_level", "kemendagri_code", "period_kind", "period_start", "measure")


def write(models: Path, rules: Path, mart: str, keys: Sequence[str]) -> tuple[Path, Path]:
    """Write ``_<mart>.yml`` beside the mart's SQL and its gate ``<mart>.yaml``; returns both.

    ``models``: the folder of dbt's models; ``rules``: of the marts' rules. ``keys``: the mart's own, in the order of
    its SQL. Raises ConfigError MART_YAML where there is no such SQL or it names no measure, where a file is there
    already, or where the cells model has no such key.
    """
    files = sorted(models.glob(f"marts/**/{mart}.sql"))
    if len(files) != 1:
        raise _refused(f"{mart}.sql: {len(files)} x models/marts/")
    target, gate = files[0].with_name(f"_{mart}.yml"), rules / f"{mart}.yaml"
    for path in (target, gate):
        if path.exists():
            raise _refused(f"{path.name} sudah ada / is there already")
    sql = files[0].read_text(encoding="utf-8")
    if not (measures := _MEASURE.findall(sql)):
        raise _refused(f"{mart}.sql: 0 x 'measure' as measure")
    described = _described(models, _CELLS.findall(sql))
    if unknown := [key for key in keys if key not in described]:
        raise _refused(f"{unknown[0]} tidak ada dalam YAML model cells / is not in its cells model's YAML")
    text = _text(mart, {key: described[key] for key in keys}, _shape(models))
    target.write_text(text, encoding="utf-8")
    gate.write_text(_gate(mart, measures[0], keys), encoding="utf-8")
    return target, gate


def _described(models: Path, cells: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The columns of cells models by name."""
    paths = [path for name in cells for path in models.glob(f"cells/**/_{name}.yml")]
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths]
    return {column["name"]: column for one in documents for model in one["models"] for column in model["columns"]}


def _shape(models: Path) -> list[str]:
    """The lines of the columns that every long mart has."""
    (exemplar,) = models.glob(f"marts/**/_{_EXEMPLAR}.yml")
    lines = exemplar.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if "{{ doc('area_mart_" in line]


def _text(mart: str, keys: dict[str, dict[str, Any]], shape: Sequence[str]) -> str:
    own = [
        f"      - name: {name}\n        data_type: {column['data_type']}\n        description: >-\n"
        f"          {column['description']}\n        config: {{meta: {{role: key}}}}"
        for name, column in keys.items()
    ]
    of_all, named = [*_FIRST, *keys], ", ".join(keys)
    return "\n".join(
        [
            "version: 2\n\nmodels:",
            f"  - name: {mart}",
            "    description: >-",
            f"      Satu baris per wilayah, periode, ukuran{f', {named}' if named else ''}.",
            f"      One row per area, period, measure{f', {named}' if named else ''}.",
            "    config: {contract: {enforced: true}}",
            "    columns:",
            *shape[: len(_FIRST)],
            *own,
            *shape[len(_FIRST) :],
            "    data_tests:",
            f"      - one_row_per:\n          arguments: {{columns: [{', '.join(of_all)}]}}",
            f"      - adds_up_over_areas:\n          arguments: {{keys: [{named}]}}\n",
        ]
    )


def _gate(mart: str, measure: str, keys: Sequence[str]) -> str:
    code = mart.partition("_by_")[0].upper().replace("_", "-")
    return (
        f"# Rules on {mart} before it may be released. Severity: stop, warn.\nrules:\n"
        f"- code: {code}-001\n  kind: bounds_enclose_value\n"
        f"- code: {code}-002\n  kind: level_kept\n  mart: {mart}\n  beside: {measure}\n"
    ) + (f"- code: {code}-003\n  kind: figure_kept\n  mart: {mart}\n  keys: {', '.join(keys)}\n" if keys else "")


def _refused(detail: str) -> ConfigError:
    return ConfigError(
        "MART_YAML",
        f"YAML mart tidak dapat ditulis: {detail}.",
        f"The mart's YAML cannot be written: {detail}.",
        "Tulis dulu SQL mart dan YAML model cells-nya; lihat docs/guides/add-a-measure.md.",
        "Write the mart's SQL and its cells model's YAML first; see docs/guides/add-a-measure.md.",
    )
