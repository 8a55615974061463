"""What people see of long work, how wide its tables are, and how much of an id they must type."""

import os
import time

import pytest

from warehouse import cli, console
from warehouse.errors import ConfigError
from warehouse.sandbox import commands


def test_a_log_gets_a_line_for_each_thing_said(capfd):
    with console.Watch() as watch:
        with watch.step("link"):
            watch("12/67 pairs")
        with watch.step("build"):
            pass
        with watch.step("link"):
            pass
    assert "link: 12/67 pairs" in capfd.readouterr().err
    assert list(watch.steps) == ["link", "build"]


def test_silence_is_broken_with_what_was_said_last(capfd, monkeypatch):
    monkeypatch.setattr(console, "SILENT_SECONDS", 0.5)
    with console.Watch() as watch, watch.step("scan"):
        watch("files")
        time.sleep(2.5)
    lines = [line for line in capfd.readouterr().err.splitlines() if "scan: files (" in line]
    assert lines


def test_a_process_forked_while_somebody_prints_can_print(capfd):
    with console.Watch() as watch, watch.step("forks"):
        watch("before")
        child = os.fork()
        if not child:
            console.say("from the child")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert "from the child" in capfd.readouterr().err


def test_the_tables_of_a_night_fit_a_hundred_columns(capfd):
    counts = {"accepted": 390, "held": 12, "missing": 39, "failed": 39, "rows_admitted": 28_000_000}
    row = {"dataset": "bps/social_registry_individuals", "outcome": "unchanged", "rows_quarantined": 12_345} | counts
    row |= {"seconds": 1234.5}
    marts = {"outcome": "held", "error_code": "MART_WITHOUT_CELLS", "message_id": "Pesan", "stages": {"link": 1.0}}
    commands._show_night([row], marts, console.Watch(), time.monotonic())
    assert max(len(line.rstrip()) for line in capfd.readouterr().out.splitlines()) <= 100


IDS = ["aa11" + "0" * 28, "aa12" + "0" * 28, "20261130T120000Z-beef0001", "20261130T130000Z-cafe0002"]


@pytest.mark.parametrize(
    ("typed", "whole"),
    [("aa11", IDS[0]), (IDS[1], IDS[1]), ("beef", IDS[2]), ("20261130T13", IDS[3]), ("ffff", "ffff")],
)
def test_an_id_may_be_cut_to_what_tells_it_apart(typed, whole):
    assert cli._whole(typed, IDS) == whole


def test_an_id_that_fits_several_names_them():
    with pytest.raises(ConfigError, match="ID_AMBIGUOUS") as caught:
        cli._whole("aa1", IDS)
    assert all(name in caught.value.message_id and name in caught.value.message_en for name in IDS[:2])


def test_people_are_shown_as_much_of_an_id_as_tells_it_apart_and_programs_all():
    close = [{"delivery_id": "aaaaaaaaaa1" + "0" * 21}, {"delivery_id": "aaaaaaaaaa2" + "0" * 21}]
    assert [row["delivery_id"] for row in cli._short(close, False)] == ["aaaaaaaaaa1", "aaaaaaaaaa2"]
    assert cli._short(close, True) == close
    assert cli._short(close[:1], False) == [{"delivery_id": "aaaaaaaa"}]
