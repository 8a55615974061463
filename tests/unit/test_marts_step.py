"""The marts step around its stages: one ledger for one build, one run at a time, and a row whatever becomes of it."""

import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from tests.support import build_files
from tests.support.forked import forked
from warehouse import build, linkage, night, release, report
from warehouse.core.errors import BuildError, ConfigError
from warehouse.core.machine import MachineError
from warehouse.core.redaction import UnexpectedError
from warehouse.core.settings import Settings
from warehouse.intake import decisions
from warehouse.intake.outcome import IngestOutcome
from warehouse.ledger import Ledger, deliveries, nights, open_ledger
from warehouse.ledger.warehouse import Warehouse, open_warehouse
from warehouse.storage import keys

AS_OF = date(2026, 11, 22)
POPULATION = "dukcapil/population"
EARLY, LATE = build_files.Given(POPULATION, "2026-H1"), build_files.Given(POPULATION, "2025-H2")


@pytest.fixture
def led(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A home with one delivery in force, and stages that do nothing but the build's own filling."""
    keys.make_sandbox_keys(settings)
    led = open_ledger(settings)
    build_files.admit(led, EARLY)
    monkeypatch.setattr(build, "run_dbt", _one_mart)
    monkeypatch.setattr(linkage, "refresh", lambda *_: None)
    monkeypatch.setattr(release, "publish", lambda *_: SimpleNamespace(outcome="released", release_id="r"))
    monkeypatch.setattr(release, "refresh_ops", lambda *_: None)
    monkeypatch.setattr(report, "render", lambda *_: None)
    return led


def _one_mart(_s: Settings, file: Path, *_: object) -> list[str]:
    with duckdb.connect(str(file)) as con:
        con.execute("CREATE SCHEMA marts")
        con.execute("CREATE TABLE marts.some_mart AS FROM ledger.deliveries_in_force")
    return []


def built(s: Settings) -> set[str]:
    with duckdb.connect(str(s.build_file), read_only=True) as con:
        return {start.isoformat() for (start,) in con.execute("SELECT period_start FROM marts.some_mart").fetchall()}


def test_what_is_admitted_between_link_and_fill_is_the_next_nights_and_linked_there(
    settings: Settings, led: Ledger, monkeypatch: pytest.MonkeyPatch
):
    linked: list[set[str]] = []

    def link(_s: Settings, seen: Ledger) -> None:
        found = deliveries.in_force(seen, POPULATION, "snapshot")
        linked.append({one.period_start.isoformat() for one in found})
        if len(linked) == 1:
            build_files.admit(led, LATE)

    monkeypatch.setattr(linkage, "refresh", link)
    night.marts(AS_OF, s=settings)
    assert built(settings) == linked[0] == {"2026-01-01"}
    assert not build.is_up_to_date(settings, led, AS_OF)
    night.marts(AS_OF, s=settings)
    assert built(settings) == linked[1] == {"2025-07-01", "2026-01-01"}
    assert build.is_up_to_date(settings, led, AS_OF)


@pytest.mark.parametrize(
    ("room", "step"),
    [(linkage, "is_there"), (linkage, "refresh"), (build, "fill"), (build, "run_dbt"), (release, "publish")],
)
def test_what_is_admitted_at_any_step_of_a_build_is_the_next_nights(
    settings: Settings, led: Ledger, monkeypatch: pytest.MonkeyPatch, room: object, step: str
):
    whole = getattr(room, step)
    late: list[str] = []

    def and_admit(*given: object, **more: object) -> object:
        if not late:
            late.append(build_files.admit(led, LATE))
        return whole(*given, **more)

    monkeypatch.setattr(room, step, and_admit)
    night.marts(AS_OF, s=settings)
    assert late
    assert built(settings) == {"2026-01-01"}
    night.marts(AS_OF, s=settings)
    assert built(settings) == {"2025-07-01", "2026-01-01"}


def test_a_withdrawal_is_redone_by_the_next_night(settings: Settings, led: Ledger):
    wrong = build_files.admit(led, replace(EARLY, received_at=EARLY.received_at + timedelta(days=1)))
    in_marts = []
    for decide in (None, decisions.withdraw, decisions.reinstate):
        if decide:
            decide(open_warehouse(settings), wrong, "the wrong half-year was sent", "Sari", "Budi", "engineer")
        assert night.marts(AS_OF, s=settings)["outcome"] == "released"
        with duckdb.connect(str(settings.build_file), read_only=True) as con:
            in_marts.append(con.execute("SELECT delivery_id = ? FROM marts.some_mart", [wrong]).fetchall())
    assert in_marts == [[(True,)], [(False,)], [(True,)]]


def test_a_frozen_ledger_shows_one_moment_and_writes_to_the_ledger(settings: Settings, led: Ledger):
    with led.frozen() as seen:
        build_files.admit(led, LATE)
        build_files.admit(seen, build_files.Given(POPULATION, "2025-H1"))
        assert len(deliveries.in_force(seen, POPULATION, "snapshot")) == 1
    assert len(deliveries.in_force(led, POPULATION, "snapshot")) == 3


def test_a_build_is_newer_than_the_last_whatever_the_clock_says(settings: Settings, led: Ledger):
    night.marts(AS_OF, s=settings)
    build_files.admit(led, LATE)
    back = settings.model_copy(update={"now": settings.utc_now() - timedelta(days=400)})
    night.marts(AS_OF, s=back)
    assert build.is_up_to_date(back, led, AS_OF)
    assert night.marts(AS_OF, s=back)["outcome"] == "released"
    newest = led.rows("select inputs_hash from builds order by started_at desc")[0]["inputs_hash"]
    assert newest == build.inputs_hash(back, led, AS_OF)


def test_a_second_run_is_refused_and_leaves_the_record_of_the_first(settings: Settings, led: Ledger):
    night.marts(AS_OF, s=settings)
    with build.only_writer(settings), pytest.raises(BuildError, match="BUILD_RUNNING"):
        night.marts(AS_OF, s=settings)
    assert nights.last(settings, led)["outcome"] == "released"


def test_a_scheduled_run_waits_for_a_build_by_hand_and_takes_what_came(settings: Settings, led: Ledger):
    with ThreadPoolExecutor(1) as pool:
        with build.only_writer(settings):
            waiting = pool.submit(night.marts, AS_OF, waits=True, s=settings)
            assert not wait([waiting], timeout=0.3).done
        assert waiting.result()["outcome"] == "released"
    assert built(settings) == {"2026-01-01"}


def _ingest(dataset: str, *_: object, **__: object) -> IngestOutcome:
    if dataset == POPULATION:
        os._exit(9)
    if dataset == "kemenkes/eppgbm":
        raise ConfigError("CONTRACT_DERIVATION_FAILED", "Gagal.", "It failed.")
    return IngestOutcome(dataset)


def test_what_befalls_one_dataset_ends_no_other_night(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(night, "ingest", _ingest)
    with ProcessPoolExecutor(2) as pool:
        outcomes = {one.dataset: one for one in night.ingest_all(AS_OF, pool, s=settings)}
    assert sorted(outcomes) == night.datasets(s=settings)
    failed = {name: one.errors[0].partition(":")[0] for name, one in outcomes.items() if one.outcome == "failed"}
    assert failed == {POPULATION: "PROCESS_DIED", "kemenkes/eppgbm": "CONTRACT_DERIVATION_FAILED"}


@pytest.mark.parametrize(
    ("stage", "room", "error", "told", "detail"),
    [
        ("refresh", linkage, ZeroDivisionError(), UnexpectedError, "ZeroDivisionError"),
        ("publish", release, ZeroDivisionError(), UnexpectedError, "ZeroDivisionError"),
        ("publish", release, MemoryError(), MachineError, "MEMORY_SHORT"),
    ],
)
def test_an_unexpected_failure_is_on_record_and_on_the_pages(
    settings: Settings, led: Ledger, monkeypatch: pytest.MonkeyPatch, stage, room, error, told, detail
):
    shown: list[str] = []

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(room, stage, fail)
    # One that fails in its turn ends neither the other nor the first one's words.
    monkeypatch.setattr(release, "refresh_ops", lambda *_: 1 / 0)
    monkeypatch.setattr(report, "render", lambda *_: shown.append(nights.last(settings, led)["detail"]))
    with pytest.raises(told, match=detail):
        night.marts(AS_OF, s=settings)
    assert shown == [detail]
    assert nights.last(settings, led)["outcome"] == "failed"


def _die_in_a_night(w: Warehouse) -> None:
    with nights.recorded(w, AS_OF):
        os._exit(9)


def test_a_killed_night_is_told_before_the_next_begins(settings: Settings, led: Ledger):
    w = open_warehouse(settings)
    with nights.recorded(w, AS_OF):
        assert nights.last(settings, led)["outcome"] == "running"
    forked(_die_in_a_night, w).join()
    assert nights.last(settings, led)["outcome"] == "killed"
    with nights.recorded(w, AS_OF):
        pass
    assert led.rows("select outcome from nights where detail = 'KILLED'") == [{"outcome": "failed"}]
