"""``warehouse.night`` as it is, but for the steps that a test holds up: played on the stage in place of the module.

``faults.json`` of the home says for a dataset: ``file``, ``part`` and ``period`` to take as if the agency had sent it,
``step`` (extract or judge) that is held up then, and ``until``, a file of the home that lets it go on.
"""

import json
import time
from pathlib import Path

import warehouse
from warehouse.core.periods import Period
from warehouse.core.settings import get_settings
from warehouse.intake import ingest as ingest_of_one
from warehouse.intake.extract import take_file
from warehouse.intake.outcome import IngestOutcome
from warehouse.ledger.warehouse import open_warehouse
from warehouse.storage.media import media_of

_REAL = Path(warehouse.__file__).with_name("night.py")
exec(compile(_REAL.read_text(encoding="utf-8"), str(_REAL), "exec"))


def extract_open(dataset, logical_date, *, backfill=False, is_last_try=True, s=None):
    """Take the file that the test gives for a dataset, and nothing else: the agencies are not what is tried here."""
    w = open_warehouse(s)
    outcome = IngestOutcome(dataset)
    if plan := _plan(w.settings, dataset):
        path = Path(plan["file"])
        period = Period.parse(plan["period"])
        attempt = take_file(w, w.contract(dataset), period, plan["part"], path, media_of(path))
        outcome.count_attempts([attempt])
        _hold_up(w.settings, plan, "extract")
    return outcome


def judge_landed(outcome, *, s=None, progress=None):
    """Judge as ever, once the test lets go."""
    settings = s or get_settings()
    _hold_up(settings, _plan(settings, outcome.dataset), "judge")
    return ingest_of_one.judge_landed(outcome, s=s, progress=progress)


def _plan(s, dataset):
    file = s.home / "faults.json"
    return json.loads(file.read_text()).get(dataset, {}) if file.exists() else {}


def _hold_up(s, plan, step):
    if plan.get("step") == step:
        (s.home / "held up").touch()
        while not (s.home / plan["until"]).exists():
            time.sleep(0.2)
