"""What a reader does to its process ends in a reason, and never in the end of ours."""

import os
import signal
import time

import pytest

from tests.support import samples
from warehouse.core.errors import UnreadableDelivery
from warehouse.intake.parse import parse
from warehouse.intake.parse.apart import apart, one_process
from warehouse.intake.parse.model import unreadable

SECRET = "3671014102209999"


def _raise(error: BaseException) -> None:
    raise error


def _many(cell: str) -> dict[str, list[str]]:
    return {"cells": [cell] * 200_000}


def _kill(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def _number(text: str) -> int:
    return int(text)


def test_a_result_and_a_reason_come_back_whole():
    assert apart(_many, "a")["cells"][-1] == "a"
    with pytest.raises(UnreadableDelivery, match="PARSE_HIDDEN_ROWS") as error:
        apart(_raise, unreadable("PARSE_HIDDEN_ROWS", "sheet 1: 3"))
    assert (error.value.detail, "sheet 1: 3" in error.value.message_id) == ("sheet 1: 3", True)


ENDINGS = [
    (_kill, signal.SIGABRT, "signal 6"),
    (os._exit, 0, "ended with 0"),
    (bytearray, 4_000_000_000, "MemoryError"),
    (_number, SECRET + "x", "ValueError at test_parse_apart.py"),
    (_raise, SystemExit(SECRET), "SystemExit"),
    (time.sleep, 60, "time limit 0 s"),
]


@pytest.mark.parametrize(("work", "argument", "told"), ENDINGS)
def test_however_it_ends_the_reason_names_no_value(work, argument, told):
    with pytest.raises(UnreadableDelivery, match="PARSE_UNFORESEEN") as error:
        apart(work, argument, memory=500_000_000, seconds=0.4)
    assert told in error.value.message_en
    assert SECRET not in repr(error.value) + error.value.message_id


def test_files_share_a_process_until_one_of_them_ends_it():
    with one_process():
        first = apart(os.getpid)
        assert (first != os.getpid(), apart(os.getpid)) == (True, first)
        with pytest.raises(UnreadableDelivery, match="PARSE_HIDDEN_ROWS"):
            apart(_raise, unreadable("PARSE_HIDDEN_ROWS", "sheet 1: 3"))
        assert apart(os.getpid) == first
        for work, argument, told in ENDINGS[:2] + ENDINGS[3:]:
            with pytest.raises(UnreadableDelivery, match="PARSE_UNFORESEEN") as error:
                apart(work, argument, seconds=0.4)
            assert told in error.value.message_en
            assert apart(os.getpid) not in {first, os.getpid()}
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_what_nobody_foresaw_in_a_reader_is_a_reason_and_a_full_disk_is_not(monkeypatch):
    contract, data = samples.contracts()["kemenkes/eppgbm"], b"NIK;Nama\n"
    for raised, expected in ((KeyError(SECRET), UnreadableDelivery), (OSError(28, "No space left"), OSError)):
        readers = {"csv": lambda *_given, raised=raised: _raise(raised)}
        monkeypatch.setattr("warehouse.intake.parse.reader._READERS", readers)
        with pytest.raises(expected) as error:
            parse(contract, data, "csv")
        assert SECRET not in str(error.value)
