"""What is kept only for a while: logs and leftovers go by their age."""

import os
import time

from warehouse.core import retention
from warehouse.core.settings import Settings


def test_old_logs_and_leftovers_go_and_new_ones_stay(settings: Settings) -> None:
    old = time.time() - 30 * 86400
    for folder in (settings.logs_dir / "tasks" / "run", settings.tmp_dir):
        folder.mkdir(parents=True)
        for name, changed in (("old.log", old), ("new.log", None)):
            (folder / name).write_text("x")
            if changed:
                os.utime(folder / name, (changed, changed))
    assert retention.prune(settings, keep_days=20) == {"logs": 1, "spool": 1}
    left = sorted(path.name for path in settings.home.rglob("*") if path.is_file())
    assert left == ["new.log", "new.log"]
    assert retention.prune(settings, keep_days=20) == {"logs": 0, "spool": 0}


def test_an_empty_folder_goes_by_its_age_too(settings: Settings) -> None:
    for name in ("spool-under-way", "left"):
        (settings.tmp_dir / name).mkdir(parents=True)
    os.utime(settings.tmp_dir / "left", (0, 0))
    retention.prune(settings, keep_days=20)
    assert [path.name for path in settings.tmp_dir.iterdir()] == ["spool-under-way"]
