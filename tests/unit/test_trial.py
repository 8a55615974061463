"""What is only looked at leaves no trace: a file on trial, a replay rehearsed; and what a real replay spares."""

import hashlib
import json
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support import samples
from warehouse import cli, night
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings, get_settings
from warehouse.intake import decisions
from warehouse.intake.judge import Judged
from warehouse.intake.trial import shape
from warehouse.ledger import deliveries
from warehouse.ledger.deliveries import DecisionKind, VerdictKind
from warehouse.ledger.warehouse import Warehouse, open_warehouse
from warehouse.report import status
from warehouse.storage import keys

EPPGBM, INVESTMENT = "kemenkes/eppgbm", "portal/investment"
WHY = "the agreement is being renewed"


def trace(s: Settings) -> dict[str, str]:
    """Every file of a home with its content; SQLite's index of its readers is none."""
    files = [path for path in s.home.rglob("*") if path.is_file() and not path.name.endswith("-shm")]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def written(folder: Path, dataset: str, rows: list[samples.Row] | None = None) -> Path:
    data, _media = samples.as_file(dataset, rows or samples.good_rows(dataset))
    path = folder / "file"
    path.write_bytes(data)
    return path


def tried(s: Settings, path: Path, dataset: str, part: str = "all") -> dict:
    return asdict(night.try_file(dataset, samples.period(dataset), part, path, s=s))


def test_a_good_file_on_trial_is_judged_in_a_home_that_stays_empty(settings: Settings, tmp_path: Path):
    found = tried(settings, written(tmp_path, INVESTMENT), INVESTMENT)
    assert (found["verdict"], found["reason_code"]) == ("accepted", None)
    assert found["rows_read"] == found["rows_admitted"] == len(samples.good_rows(INVESTMENT))
    assert trace(settings) == {}


def test_a_trial_names_rules_and_rows_and_shows_no_value(settings: Settings, tmp_path: Path):
    keys.make_sandbox_keys(settings)
    open_warehouse(settings)
    rows = samples.changed(samples.good_rows(EPPGBM), nik="36710119122290")
    before = trace(settings)
    part = "cikokol"
    found = tried(settings, written(tmp_path, EPPGBM, rows), EPPGBM, part)
    assert trace(settings) == before
    assert found["rows_read"] == found["rows_admitted"] + found["rows_quarantined"] + found["rows_refused"]
    (row,) = (row for row in found["rows"] if row["rule_code"] == "EPPGBM-001")
    assert (row["column"], row["source_row"], row["shape"]) == ("nik", 3, "9×14")
    assert [rule["failed"] for rule in found["rules"] if rule["rule_code"] == "EPPGBM-001"] == [1]
    told = json.dumps(found, default=str)
    assert not [row["nik"] for row in rows if row["nik"] and row["nik"] in told]
    assert not [row["nama"] for row in rows if row["nama"] in told]


def test_a_file_that_cannot_be_read_says_why_on_trial(settings: Settings, tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"<html><body>Sign in</body></html>")
    assert tried(settings, path, INVESTMENT)["reason_code"] == "PARSE_HTML"
    assert trace(settings) == {}


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("3671012345678901", "9×16"),
        ("Tn. Budi Santoso", "A. A A"),
        ("2026-10-15", "9×4-9×2-9×2"),
        ("1.250,50", "9×1.9×3,9×2"),
        ("Ü\u00a0x", "A\u00a0A"),
        (None, None),
        ("", ""),
    ],
)
def test_a_shape_keeps_what_tells_a_slip_and_no_letter_or_digit(text, seen):
    assert shape(text) == seen


# --- replay


@pytest.fixture
def w(settings: Settings, tmp_path: Path) -> Warehouse:
    """A home with one delivery in force."""
    keys.make_sandbox_keys(settings)
    path = written(tmp_path, INVESTMENT)
    night.ingest_file(INVESTMENT, samples.period(INVESTMENT), "all", path, s=settings)
    return open_warehouse(settings)


def stricter(w: Warehouse) -> Warehouse:
    """The same under a contract by which nothing may come into force any more."""
    contract = w.contract(INVESTMENT)
    extras = contract.extras.model_copy(update={"agreement_end": date(2020, 1, 1)})
    ended = contract.model_copy(update={"extras": extras})
    return replace(w, contracts={**w.contracts, INVESTMENT: ended})


def test_a_rehearsed_replay_tells_what_would_leave_force_and_changes_nothing(w: Warehouse):
    before = trace(w.settings)
    (same,) = decisions.rehearse(w, INVESTMENT)
    assert not same.is_one
    (change,) = decisions.rehearse(stricter(w), INVESTMENT)
    assert (change.was, change.becomes, change.reason_code) == ("accepted", "held", "AGREEMENT_EXPIRED")
    assert change.leaves_force
    assert trace(w.settings) == before


def test_a_verdict_keeps_the_contract_that_gave_it(w: Warehouse):
    under = stricter(w)
    decisions.replay(under, INVESTMENT)
    decisions.decide(under, deliveries.kept(w.ledger)[0].delivery_id, DecisionKind.ADMIT, WHY, "OTHER", "Sari", "x")
    found = w.ledger.rows("select contract_sha256 from verdicts order by judged_at")
    hashes = [w.contract(INVESTMENT).sha256, *[under.contract(INVESTMENT).sha256] * 2]
    assert [row["contract_sha256"] for row in found] == hashes
    assert len(set(hashes)) == 2
    assert [row["detail"] for row in status.checks(w.settings) if row["check"] == "ledger"] == [
        f"sqlite; judged under another text of their contract, see replay --try: {INVESTMENT} 1"
    ]


@pytest.mark.parametrize("loss", ["missing", "damaged"])
def test_our_own_damaged_copy_is_no_verdict_on_good_rows(w: Warehouse, loss: str):
    (delivery,) = deliveries.kept(w.ledger)
    stored = w.settings.home / delivery.stored_path
    if loss == "missing":
        stored.unlink()
    else:
        stored.write_bytes(stored.read_bytes()[:-1])
    (change,) = decisions.rehearse(w, INVESTMENT)
    assert (change.becomes, change.leaves_force) == (None, False)
    judged = decisions.replay(w, INVESTMENT)
    assert judged.verdicts == []
    assert judged.lost[delivery.delivery_id].code in {"LANDING_MISSING", "LANDING_CORRUPT"}
    (in_force,) = deliveries.in_force(w.ledger, INVESTMENT, "snapshot")
    assert deliveries.newest_verdicts(w.ledger, INVESTMENT)[in_force.delivery_id]["verdict"] == VerdictKind.ACCEPTED


@pytest.mark.parametrize(
    ("given", "leaves", "code", "is_replayed"),
    [((), True, 2, False), ((), False, 0, True), (("--yes",), True, 0, True), (("--try",), True, 4, False)],
)
def test_a_replay_asks_before_a_delivery_leaves_force(
    w: Warehouse, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], leaves: bool, code: int, is_replayed: bool
):
    (change,) = decisions.rehearse(w, INVESTMENT)
    replayed = []
    monkeypatch.setenv("WAREHOUSE_HOME", str(w.settings.home))
    get_settings.cache_clear()
    monkeypatch.setattr(night, "rehearse", lambda *_, **__: [replace(change, leaves_force=leaves)])
    monkeypatch.setattr(night, "replay", lambda *_, **__: replayed.append(1) or Judged())
    done = CliRunner().invoke(cli.app, ["replay", INVESTMENT, *given])
    assert (done.exception.exit_code if isinstance(done.exception, ConfigError) else done.exit_code) == code
    assert bool(replayed) == is_replayed


def test_a_trial_is_of_a_file(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WAREHOUSE_HOME", str(settings.home))
    get_settings.cache_clear()
    done = CliRunner().invoke(cli.app, ["ingest", INVESTMENT, "--period", "2026-Q3", "--try"])
    assert isinstance(done.exception, ConfigError)
    assert done.exception.code == "TRY_WITHOUT_FILE"
