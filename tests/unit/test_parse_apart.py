"""What a reader does to its process ends in a reason, and never in the end of ours."""

import os
import signal
import time

import pytest

from tests.support import samples
from warehouse.core.errors import UnreadableDelivery
from warehouse.intake.parse import parse
from warehouse.intake.parse.apart import apart
from warehouse.intake.parse.model import unreadable

SECRET = "3671014102209999"


def test_a_result_and_a_reason_come_back_whole():
    assert apart(lambda: {"cells": ["a"] * 200_000})["cells"][-1] == "a"
    with pytest.raises(UnreadableDelivery, match="PARSE_HIDDEN_ROWS") as error:
        apart(lambda: _raise(unreadable("PARSE_HIDDEN_ROWS", "sheet 1: 3")))
    assert (error.value.detail, "sheet 1: 3" in error.value.message_id) == ("sheet 1: 3", True)


@pytest.mark.parametrize(
    ("work", "told"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGABRT), "signal 6"),
        (lambda: os._exit(0), "ended with 0"),
        (lambda: bytearray(4_000_000_000), "MemoryError"),
        (lambda: int(SECRET + "x"), "ValueError at test_parse_apart.py"),
        (lambda: _raise(SystemExit(SECRET)), "SystemExit"),
        (lambda: time.sleep(60), "time limit 0 s"),
    ],
)
def test_however_it_ends_the_reason_names_no_value(work, told):
    with pytest.raises(UnreadableDelivery, match="PARSE_UNFORESEEN") as error:
        apart(work, memory=500_000_000, seconds=0.4)
    assert told in error.value.message_en
    assert SECRET not in repr(error.value) + error.value.message_id


def test_what_nobody_foresaw_in_a_reader_is_a_reason_and_a_full_disk_is_not(monkeypatch):
    contract, data = samples.contracts()["kemenkes/eppgbm"], b"NIK;Nama\n"
    for raised, expected in ((KeyError(SECRET), UnreadableDelivery), (OSError(28, "No space left"), OSError)):
        readers = {"csv": lambda *_given, raised=raised: _raise(raised)}
        monkeypatch.setattr("warehouse.intake.parse.reader._READERS", readers)
        with pytest.raises(expected) as error:
            parse(contract, data, "csv")
        assert SECRET not in str(error.value)


def _raise(error: BaseException) -> None:
    raise error
