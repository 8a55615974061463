"""The YAML of a new long mart: every column of the one shape, its own keys, the two tests.

What a key is called is taken from the cells model that the mart reads. Not here: the SQL (macro ``long_mart``), what a
column means (``doc`` blocks of the project).
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
_FIRST = ("area_level", "kemendagri_code", "period_kind", "period_start", "measure")


def write(models: Path, mart: str, keys: Sequence[str]) -> Path:
    """Write ``_<mart>.yml`` beside the mart's SQL; returns it.

    ``models``: the folder of dbt's models. ``keys``: the mart's own, in the order of its SQL. Raises ConfigError
    MART_YAML where there is no such SQL, where the YAML is there already, or where its cells model has no such key.
    """
    files = sorted(models.glob(f"marts/**/{mart}.sql"))
    if len(files) != 1:
        raise _refused(f"{mart}.sql: {len(files)} x models/marts/")
    target = files[0].with_name(f"_{mart}.yml")
    if target.exists():
        raise _refused(f"{target.name} sudah ada / is there already")
    described = _described(models, _CELLS.findall(files[0].read_text(encoding="utf-8")))
    if unknown := [key for key in keys if key not in described]:
        raise _refused(f"{unknown[0]} tidak ada dalam YAML model cells / is not in its cells model's YAML")
    text = _text(mart, {key: described[key] for key in keys}, _shape(models))
    target.write_text(text, encoding="utf-8")
    return target


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


def _refused(detail: str) -> ConfigError:
    return ConfigError(
        "MART_YAML",
        f"YAML mart tidak dapat ditulis: {detail}.",
        f"The mart's YAML cannot be written: {detail}.",
        "Tulis dulu SQL mart dan YAML model cells-nya; lihat docs/guides/add-a-measure.md.",
        "Write the mart's SQL and its cells model's YAML first; see docs/guides/add-a-measure.md.",
    )
