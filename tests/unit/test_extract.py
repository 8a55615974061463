"""Asking the agencies for parts: one recorded attempt each, and a failure stays the exception it was raised as."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from warehouse import night
from warehouse.core.errors import ConfigError, FetchError, WarehouseError
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.intake import agencies
from warehouse.intake.agencies import Fetched
from warehouse.intake.extract import UNREACHABLE_IN_A_ROW, extract
from warehouse.ledger import tables
from warehouse.ledger.deliveries import FetchOutcome
from warehouse.ledger.warehouse import Warehouse, open_warehouse
from warehouse.storage import keys

DATASET = "kemenkes/eppgbm"
OCTOBER = Period.parse("2026-10")
UNREACHABLE = FetchError("FETCH_UNREACHABLE", "Tidak terjangkau.", "Unreachable.", "Tunggu.", "Wait.")


@pytest.fixture
def w(settings: Settings) -> Warehouse:
    keys.make_sandbox_keys(settings)
    return open_warehouse(settings)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes | Exception]:
    """What the agency answers by part; a part that is not named is not published yet."""
    given: dict[str, bytes | Exception] = {}

    def fetch(
        _s: object, _contract: object, part: str, _period: object, spool: Path, *_rest: object, **_how: object
    ) -> Fetched:
        answer = given.get(part, FetchError("FETCH_NOT_AVAILABLE", "Belum ada.", "Not there yet."))
        if isinstance(answer, Exception):
            raise answer
        path = spool / part
        path.write_bytes(answer)
        return Fetched(path, "csv", 1, len(answer))

    monkeypatch.setattr(agencies, "fetch", fetch)
    return given


def test_each_part_is_an_attempt_on_record_with_its_words(w: Warehouse, answers: dict[str, bytes | Exception]):
    refused = FetchError("FETCH_REFUSED", "Ditolak.", "Refused.", "Periksa.", "Check.")
    answers |= {"cikokol": b"x", "benda": refused}
    parts = ["cikokol", "benda", "neglasari"]
    attempts = extract(w, w.contract(DATASET), [(OCTOBER, parts)])
    assert [(one.part, one.outcome) for one in attempts] == [
        ("cikokol", FetchOutcome.LANDED),
        ("benda", FetchOutcome.REFUSED),
        ("neglasari", FetchOutcome.NOT_AVAILABLE),
    ]
    assert attempts[1].error is refused
    rows = {row["part"]: row for row in w.ledger.rows(sa.select(tables.fetches))}
    assert rows["cikokol"]["delivery_id"] == attempts[0].delivery_id
    assert rows["cikokol"]["error_code"] is None
    assert [rows["benda"][name] for name in refused.as_dict()] == list(refused.as_dict().values())
    assert rows["neglasari"]["outcome"] == "not_available"


def test_the_same_bytes_again_are_no_new_delivery(w: Warehouse, answers: dict[str, bytes | Exception]):
    answers["cikokol"] = b"x"
    outcomes = [extract(w, w.contract(DATASET), [(OCTOBER, ["cikokol"])])[0].outcome for _ in range(2)]
    assert outcomes == [FetchOutcome.LANDED, FetchOutcome.UNCHANGED]


def test_a_delivery_whose_attempt_was_killed_before_its_row_is_told_as_landed(
    w: Warehouse, answers: dict[str, bytes | Exception]
):
    answers["cikokol"] = b"x"
    told = []
    for _ in range(3):
        (attempt,) = extract(w, w.contract(DATASET), [(OCTOBER, ["cikokol"])])
        told.append(attempt.outcome)
        if len(told) == 1:
            with w.ledger.write() as connection:
                connection.execute(tables.fetches.delete())
    assert told == [FetchOutcome.LANDED, FetchOutcome.LANDED, FetchOutcome.UNCHANGED]


def test_what_an_agency_puts_back_is_news_and_what_it_leaves_there_is_not(
    w: Warehouse, answers: dict[str, bytes | WarehouseError]
):
    outcomes = []
    for shown in (b"half", b"half", b"whole", b"half", b"half", b"whole"):
        answers["cikokol"] = shown
        outcomes.append(extract(w, w.contract(DATASET), [(OCTOBER, ["cikokol"])])[0].outcome)
    landed, unchanged = FetchOutcome.LANDED, FetchOutcome.UNCHANGED
    assert outcomes == [landed, unchanged, landed, landed, unchanged, landed]


def test_who_is_not_at_home_is_not_waited_for_part_by_part(
    w: Warehouse, answers: dict[str, bytes | Exception], monkeypatch: pytest.MonkeyPatch
):
    parts = agencies.parts(w.settings, w.contract(DATASET))
    answers |= dict.fromkeys(parts, UNREACHABLE)
    asked, fetch = [], agencies.fetch
    monkeypatch.setattr(agencies, "fetch", lambda *job, **how: (asked.append(job[2]), fetch(*job, **how))[1])
    attempts = extract(w, w.contract(DATASET), [(OCTOBER, parts)])
    assert asked == parts[:UNREACHABLE_IN_A_ROW]
    assert {one.outcome for one in attempts} == {FetchOutcome.FAILED}
    assert len(attempts) == len(parts)


@pytest.mark.parametrize(
    ("error", "is_last_try"),
    [(UNREACHABLE, False), (UNREACHABLE, True), (ConfigError("SECRET_MISSING", "Tidak ada.", "Missing."), True)],
)
def test_a_scheduler_is_given_the_error_the_agency_raised(
    w: Warehouse, answers: dict[str, bytes | Exception], error: WarehouseError, is_last_try: bool
):
    answers |= dict.fromkeys(agencies.parts(w.settings, w.contract(DATASET)), error)
    day = OCTOBER.due_on(w.contract(DATASET).extras.due_day)
    with pytest.raises(type(error)) as caught:
        night.extract_open(DATASET, day, is_last_try=is_last_try, s=w.settings)
    assert caught.value is error


def test_one_part_that_came_is_a_night_unless_what_failed_may_pass(w: Warehouse, answers: dict[str, bytes | Exception]):
    first, second, *_ = agencies.parts(w.settings, w.contract(DATASET))
    answers |= {first: b"x", second: UNREACHABLE}
    day = OCTOBER.due_on(w.contract(DATASET).extras.due_day)
    with pytest.raises(FetchError, match="FETCH_UNREACHABLE"):
        night.extract_open(DATASET, day, is_last_try=False, s=w.settings)
    outcome = night.extract_open(DATASET, day, is_last_try=True, s=w.settings)
    assert (outcome.unchanged, outcome.failed) == (1, 1)
    assert outcome.errors == [f"{second}: FETCH_UNREACHABLE: Unreachable."]


@pytest.mark.parametrize("error", [AttributeError("3671012345678901"), RecursionError(), MemoryError()])
def test_what_nobody_foresaw_is_a_row_of_its_part_and_names_no_value(
    w: Warehouse, answers: dict[str, bytes | Exception], error: Exception
):
    answers |= {"benda": error, "cikokol": b"x"}
    first, second = extract(w, w.contract(DATASET), [(OCTOBER, ["benda", "cikokol"])])
    assert (first.outcome, second.outcome) == (FetchOutcome.FAILED, FetchOutcome.LANDED)
    row = next(row for row in w.ledger.rows(sa.select(tables.fetches)) if row["part"] == "benda")
    assert row["error_code"] == "EXTRACT_UNFORESEEN"
    assert type(error).__name__ in row["message_en"]
    assert "3671012345678901" not in str(row)


def test_the_attempts_really_made_are_on_record(w: Warehouse, answers: dict[str, bytes | Exception]):
    five = FetchError("FETCH_SERVER_ERROR", "Galat.", "Error.")
    five.attempts = 5
    answers |= {"benda": five}
    assert extract(w, w.contract(DATASET), [(OCTOBER, ["benda"])])[0].attempts == 5


@pytest.mark.parametrize("code", ["FETCH_TIMEOUT", "FETCH_UNREACHABLE"])
def test_a_silent_agency_is_asked_for_two_parts_and_the_others_have_no_attempt(
    w: Warehouse, answers: dict[str, bytes | Exception], code: str
):
    parts = agencies.parts(w.settings, w.contract(DATASET))[:4]
    answers |= dict.fromkeys(parts, FetchError(code, "Diam.", "Silent."))
    asked = [(OCTOBER.shift(-1), parts[:1]), (OCTOBER, parts)]
    assert [one.attempts for one in extract(w, w.contract(DATASET), asked)] == [1, 1, 0, 0, 0]


def test_parts_for_which_a_dataset_has_no_time_left_are_named(
    w: Warehouse, answers: dict[str, bytes | Exception], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("warehouse.intake.extract.LONGEST_SECONDS", 0)
    answers |= {"benda": b"x"}
    (attempt,) = extract(w, w.contract(DATASET), [(OCTOBER, ["benda"])])
    assert (attempt.outcome, attempt.attempts, attempt.error.code) == (FetchOutcome.FAILED, 0, "FETCH_TIMEOUT")


@pytest.mark.parametrize("part", ["../../x", "all", "CIKOKOL", ""])
def test_a_part_nobody_knows_is_refused_before_it_is_asked_for(w: Warehouse, part: str):
    with pytest.raises(ConfigError, match="PART_UNKNOWN"):
        night.ingest_periods(DATASET, [OCTOBER], [part], s=w.settings)
    assert w.ledger.rows(sa.select(tables.fetches)) == []
