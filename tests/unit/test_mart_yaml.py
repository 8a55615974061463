"""What is written beside a new long mart: columns of the shape, keys as the cells model describes them, tests, gate."""

import shutil
from pathlib import Path

import pytest
import yaml

from warehouse.build import mart_yaml
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.intake import gate

MART = "dropouts_by_area_year"
LEVEL = {"name": "school_level", "data_type": "string", "description": "SD, SMP, SMA. Level of school."}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    exemplar = "marts/assistance/_assistance_by_area_period.yml"
    (tmp_path / "marts/assistance").mkdir(parents=True)
    shutil.copy(Settings().dbt_dir / "models" / exemplar, tmp_path / exemplar)
    (tmp_path / "marts/school").mkdir()
    (tmp_path / f"marts/school/{MART}.sql").write_text(
        "select 1 from {{ ref('cells_dropouts') }}, 'dropouts' as measure"
    )
    (tmp_path / "cells").mkdir()
    cells = {"models": [{"name": "cells_dropouts", "columns": [LEVEL]}]}
    (tmp_path / "cells/_cells_dropouts.yml").write_text(yaml.safe_dump(cells))
    return tmp_path


def write(models: Path, mart: str, keys: list[str]) -> tuple[Path, Path]:
    return mart_yaml.write(models, models, mart, keys)


def test_the_gate_has_the_rules_of_any_long_mart(models: Path) -> None:
    shutil.copy(Settings().mart_rules_dir.parent / "rules.yaml", models.parent)
    rules = gate.mart_rules(write(models, MART, ["school_level"])[1])
    assert [rule.code for rule in rules] == ["DROPOUTS-001", "DROPOUTS-002", "DROPOUTS-003"]
    assert "measure = 'dropouts'" in str(rules[1].kwargs)


def test_the_columns_are_the_shapes_with_the_keys_after_measure(models: Path) -> None:
    path, _gate = write(models, MART, ["school_level"])
    (mart,) = yaml.safe_load(path.read_text())["models"]
    (exemplar, *_) = yaml.safe_load((models / "marts/assistance/_assistance_by_area_period.yml").read_text())["models"]
    own = {"ranking", "desil", "programme"}
    shape = [column for column in exemplar["columns"] if column["name"] not in own]
    assert mart["columns"] == [*shape[:5], LEVEL | {"config": {"meta": {"role": "key"}}}, *shape[5:]]
    assert mart["config"] == exemplar["config"]
    unique, adds = (next(iter(test.values()))["arguments"] for test in mart["data_tests"])
    assert unique["columns"] == [*(column["name"] for column in shape[:5]), "school_level"]
    assert adds["keys"] == ["school_level"]


@pytest.mark.parametrize(
    ("mart", "keys", "expected"), [("elsewhere", [], "0 x models/marts/"), (MART, ["level"], "level")]
)
def test_a_mart_or_key_that_is_not_there_is_refused(models: Path, mart: str, keys: list[str], expected: str) -> None:
    with pytest.raises(ConfigError, match="MART_YAML") as error:
        write(models, mart, keys)
    assert expected in error.value.message_en


def test_what_is_written_already_stays(models: Path) -> None:
    path, _gate = write(models, MART, [])
    path.write_text("mine")
    with pytest.raises(ConfigError, match="MART_YAML"):
        write(models, MART, ["school_level"])
    assert path.read_text() == "mine"
