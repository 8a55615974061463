"""What a step raises tells where it failed, never with which value."""

import logging
import traceback

import duckdb
import pytest

from tests.support.two_accounts import by_two
from warehouse import ledger, linkage, night
from warehouse.core.errors import ConfigError
from warehouse.core.redaction import UnexpectedError, redacted
from warehouse.ledger import Ledger
from warehouse.linkage import clerical_review
from warehouse.privacy import erasure, rotation
from warehouse.privacy.subject_lookup import Person
from warehouse.storage import keys, vault

NIK = "3671011708900001"


@redacted
def converts() -> None:
    try:
        duckdb.sql(f"SELECT CAST('nik {NIK}' AS INTEGER)").fetchall()
    except duckdb.Error as error:
        raise KeyError(NIK) from error


@redacted
def refuses() -> None:
    try:
        int(f"x{NIK}")
    except ValueError as error:
        raise ConfigError("CODE", "pesan", "message") from error


@redacted
def finds_a_file() -> None:
    raise OSError(20, "Not a directory", f"/tmp/{NIK}")


@pytest.mark.parametrize("step", [converts, refuses, finds_a_file])
def test_no_log_of_an_error_shows_a_value(step, caplog):
    try:
        step()
    except Exception as error:
        logging.getLogger("x").exception("failed")
        text = "".join(traceback.format_exception(error)) + repr(error)
    assert NIK not in text + caplog.text


def test_an_unexpected_error_says_its_kind_and_place():
    with pytest.raises(UnexpectedError, match=r"builtins\.KeyError at test_redaction\.py:\d+ converts") as caught:
        converts()
    assert caught.value.code == "UNEXPECTED"


@pytest.mark.parametrize(
    ("room", "within", "step"),
    [
        (
            erasure,
            "request",
            lambda s: by_two(s, night.erase, Person(NIK), "Sari", "UU 27/2022", "permintaan no. 12", s=s),
        ),
        (erasure, "is_pending", lambda s: night.resume_erasures(s=s)),
        (rotation, "rotate", lambda s: by_two(s, night.rotate_keys, "Sari", "penggantian tahunan", s=s)),
        (vault, "connect", lambda s: linkage.train(s, Ledger(s.ledger))),
        (clerical_review, "show", lambda s: linkage.show(s, Ledger(s.ledger), "0", "Sari")),
        (clerical_review, "decide", lambda s: linkage.decide(s, Ledger(s.ledger), "0", "link", "akta sama", "Sari")),
    ],
)
def test_no_step_that_sees_identities_tells_one_when_it_breaks(settings, monkeypatch, room, within, step):
    def breaks(*_args, **_kwargs):
        raise ValueError(NIK)

    keys.make_sandbox_keys(settings)
    ledger.open_ledger(settings)
    monkeypatch.setattr(clerical_review, "find", lambda _pairs, _pair_id: {})
    monkeypatch.setattr(room, within, breaks)
    with pytest.raises(UnexpectedError) as caught:
        step(settings)
    assert NIK not in "".join(traceback.format_exception(caught.value))


def test_what_the_system_says_is_kept():
    with pytest.raises(UnexpectedError, match="Not a directory"):
        finds_a_file()


def test_an_error_raised_on_purpose_stays_itself():
    with pytest.raises(ConfigError, match="CODE: message"):
        refuses()
