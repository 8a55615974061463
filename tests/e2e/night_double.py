"""Plays ``warehouse.night`` on the stage: the same names and signatures, no data. Every call is written down."""

import json
import os
from dataclasses import asdict, dataclass, field

from warehouse.core.errors import ConfigError, FetchError
from warehouse.core.settings import get_settings
from warehouse.ledger.deliveries import Held


@dataclass
class IngestOutcome:
    dataset: str
    outcome: str = "unchanged"
    accepted: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list)

    def as_dict(self):
        return asdict(self)


def _file(name):
    return get_settings().home / name


def _read(name, default):
    return json.loads(_file(name).read_text()) if _file(name).exists() else default


def _note(step, **said):
    # One write per line: tasks run side by side.
    handle = os.open(_file("calls.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, (json.dumps({"step": step, **said}) + "\n").encode())
    os.close(handle)


def extract_open(dataset, logical_date, *, backfill=False, is_last_try=True, s=None):
    _note("extract", dataset=dataset, day=str(logical_date), backfill=backfill, is_last_try=is_last_try)
    how = _read("script.json", {}).get(dataset.replace("/", "_"), "ok")
    if how == "down":
        raise FetchError("FETCH_UNREACHABLE", "Tidak terjangkau.", "Unreachable.")
    if how == "refused":
        raise FetchError("FETCH_REFUSED", "Ditolak.", "Refused.")
    if how == "crash":
        raise RuntimeError("a fault of ours")
    return IngestOutcome(dataset)


def judge_landed(result, *, s=None):
    _note("judge", dataset=result.dataset)
    return IngestOutcome(result.dataset, "failed" if result.failed else "admitted", 1)


def marts(logical_date, *, waits=False, s=None, progress=None):
    _note("marts", day=str(logical_date))
    return {"outcome": "released", "seconds": 0.1}


def held(*, s=None):
    lines = _file("calls.jsonl").read_text().splitlines() if _file("calls.jsonl").exists() else []
    decided = {call["id"] for call in map(json.loads, lines) if call["step"] == "decide"}
    return [Held(**row) for row in _read("held.json", []) if row["delivery_id"] not in decided]


def lately_decided(days=30, *, s=None):
    return _read("decided.json", [])


def decide(delivery_id, kind, reason, reason_code, decided_by, role, *, s=None):
    if len(reason.strip()) < 10:
        raise ConfigError("REASON_MISSING", "Tanpa alasan.", "No reason.")
    _note("decide", id=delivery_id, kind=kind, reason=reason, reason_code=reason_code, by=decided_by, role=role)
    return {"delivery_id": delivery_id}


def maintenance(*, s=None):
    _note("maintenance")
    return {"destroyed": 0}
