"""What a step raises tells where it failed, never with which value."""

import logging
import traceback

import duckdb
import pytest

from warehouse.discreet import UnexpectedError, discreet
from warehouse.errors import ConfigError

NIK = "3671011708900001"


@discreet
def converts() -> None:
    try:
        duckdb.sql(f"SELECT CAST('nik {NIK}' AS INTEGER)").fetchall()
    except duckdb.Error as error:
        raise KeyError(NIK) from error


@discreet
def refuses() -> None:
    try:
        int(f"x{NIK}")
    except ValueError as error:
        raise ConfigError("CODE", "pesan", "message") from error


@discreet
def has_no_room() -> None:
    raise OSError(28, "No space left on device", f"/tmp/{NIK}")


@pytest.mark.parametrize("step", [converts, refuses, has_no_room])
def test_no_log_of_an_error_shows_a_value(step, caplog):
    try:
        step()
    except Exception as error:
        logging.getLogger("x").exception("failed")
        text = "".join(traceback.format_exception(error)) + repr(error)
    assert NIK not in text + caplog.text


def test_an_unexpected_error_says_its_kind_and_place():
    with pytest.raises(UnexpectedError, match=r"builtins\.KeyError at test_discreet\.py:20 converts") as caught:
        converts()
    assert caught.value.code == "UNEXPECTED"


def test_what_the_system_says_is_kept():
    with pytest.raises(UnexpectedError, match="No space left on device"):
        has_no_room()


def test_an_error_raised_on_purpose_stays_itself():
    with pytest.raises(ConfigError, match="CODE: message"):
        refuses()
