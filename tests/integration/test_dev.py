"""An engineer's scratch: what is in force stays untouched, and what moved is told without a small count."""

import os
import re
import shutil
from pathlib import Path

import pytest

from warehouse.build import dev
from warehouse.core.errors import BuildError, ConfigError
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger

MART = "assistance_by_area_period"
TOLD = re.compile(r"-|<5|\d*[05]|(<5|\d*[05]) / (<5|\d*[05])( = [\d.]+%)?")


@pytest.fixture(scope="module")
def edited(home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The home, and a checkout in which somebody counts seven families too many."""
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(home.project_dir / "dbt_project", project / "dbt_project")
    (project / "expectations").symlink_to(home.project_dir / "expectations")
    model = project / "dbt_project" / "models" / "marts" / "assistance" / f"{MART}.sql"
    text = model.read_text()
    assert "families - receiving, families," in text
    model.write_text(text.replace("families - receiving, families,", "families - receiving + 7, families,"))
    return home.model_copy(update={"project_dir": project})


def in_force(s: Settings) -> dict[Path, tuple[int, int]]:
    """Every file of the home but the scratch's, logs, spills and SQLite's notes of who reads, with size and time."""
    files = (path for path in s.home.rglob("*") if path.is_file() and path.suffix not in {".db-shm", ".db-wal"})
    ours = {dev.folder(s), s.home / "logs", s.tmp_dir}
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files if not ours & {*path.parents}}


@pytest.fixture(scope="module")
def tried(edited: Settings) -> Settings:
    before = in_force(edited)
    dev.refresh(edited, Ledger(edited.ledger), ["state:modified"], unit_tests=False)
    assert in_force(edited) == before
    return edited


def test_what_was_edited_is_built_and_no_more(tried: Settings):
    models, _moves = dev.diff(tried)
    assert [one.model for one in models] == [f"marts.{MART}"]


def test_rows_that_changed_are_told_with_their_columns(tried: Settings):
    (one,), _moves = dev.diff(tried)
    assert (one.added, one.removed) == ("0", "0")
    assert one.changed != "0"
    assert "numerator" in one.columns
    assert "denominator," not in one.columns


def test_the_largest_move_of_each_measure_and_level_is_told(tried: Settings):
    _models, moves = dev.diff(tried)
    assert {(move.measure, move.level) for move in moves} == {
        ("families_not_receiving", level) for level in ("kelurahan", "kecamatan", "kota")
    }
    assert all(move.cells > 0 and move.before != move.after for move in moves)


def test_no_small_count_is_told(tried: Settings):
    models, moves = dev.diff(tried)
    told = [text for one in models for text in (one.rows, one.added, one.removed, one.changed)]
    told += [text for move in moves for text in (move.before, move.after)]
    assert not [text for text in told if not TOLD.fullmatch(text)]


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0"), (1, "<5"), (4, "<5"), (5, "5"), (7, "5"), (8, "10"), (1232, "1230")]
)
def test_counts_are_rounded_to_the_smallest_that_is_shown(count: int, told: str):
    assert dev.rounded(count, 5) == told


def test_one_engineer_at_a_time(tried: Settings):
    with dev.only_engineer(tried), pytest.raises(BuildError, match="DEV_RUNNING"):
        dev.refresh(tried, Ledger(tried.ledger), [MART])


def test_a_build_that_came_into_force_since_is_not_compared_with(tried: Settings):
    stat = tried.build_file.stat()
    os.utime(tried.build_file, (stat.st_atime, stat.st_mtime + 1))
    with pytest.raises(ConfigError, match="DEV_OUTDATED"):
        dev.diff(tried)
    os.utime(tried.build_file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_without_a_build_there_is_no_scratch(settings: Settings):
    with pytest.raises(ConfigError, match="DEV_WITHOUT_BUILD"):
        dev.refresh(settings, Ledger(settings.ledger), [MART])
