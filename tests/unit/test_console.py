"""What people see of long work, how wide its tables are, and how much of an id they must type."""

import os
import time

import pytest

from warehouse.cli import words
from warehouse.core import console
from warehouse.core.contract import load_contracts
from warehouse.core.errors import ConfigError
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
    commands.show_night([row], marts, console.Watch(), time.monotonic())
    assert max(len(line.rstrip()) for line in capfd.readouterr().out.splitlines()) <= 100


def refused(typed, near):
    return ConfigError("ID_UNKNOWN", typed, f"near {near[0]}")


IDS = ["aa11" + "0" * 28, "aa12" + "0" * 28, "20261130T120000Z-beef0001", "20261130T130000Z-cafe0002"]


@pytest.mark.parametrize(
    ("typed", "whole"),
    [("aa11", IDS[0]), (IDS[1], IDS[1]), ("beef", IDS[2]), ("20261130T13", IDS[3]), ("ffff", "ffff")],
)
def test_an_id_may_be_cut_to_what_tells_it_apart(typed, whole):
    assert words.whole(typed, IDS, refused) == whole


def test_an_id_with_a_slip_is_told_which_it_resembles():
    with pytest.raises(ConfigError, match=IDS[2]):
        words.whole("20261130T120000Z-baef", IDS, refused)


@pytest.mark.parametrize(
    ("typed", "near"),
    [("kemenkes/epgbm", "kemenkes/eppgbm"), ("Kemenkes/EPPGBM", "kemenkes/eppgbm"), ("xyz", None)],
)
def test_the_nearest_known_word_is_found_whatever_its_case(typed, near):
    assert words.nearest(typed, ["kemenkes/eppgbm", "kemensos/assistance"]) == near


def test_an_unknown_dataset_is_answered_with_the_nearest(settings, monkeypatch):
    monkeypatch.setattr(words, "get_settings", lambda: settings)
    assert words.dataset("kemenkes/eppgbm") == "kemenkes/eppgbm"
    with pytest.raises(ConfigError, match=r"DATASET_UNKNOWN.*Did you mean 'kemenkes/eppgbm'"):
        words.dataset("kemenkes/epgbm")
    with pytest.raises(ConfigError, match=r"Choose one of: .*kemenkes/eppgbm"):
        words.dataset("xyz")
    with pytest.raises(ConfigError, match=r"PART_UNKNOWN.*Did you mean 'batuceper'"):
        words.parts("kemenkes/eppgbm", ["batu ceper"])


def test_datasets_are_completed_by_the_contracts_own_names(settings, monkeypatch):
    monkeypatch.setattr(words, "get_settings", lambda: settings)
    assert set(words.complete_dataset("")) == load_contracts(settings.contracts_dir).keys()
    assert words.complete_dataset("kemenkes/e") == ["kemenkes/eppgbm"]


def test_an_id_that_fits_several_names_them():
    with pytest.raises(ConfigError, match="ID_AMBIGUOUS") as caught:
        words.whole("aa1", IDS, refused)
    assert all(name in caught.value.message_id and name in caught.value.message_en for name in IDS[:2])


def test_people_are_shown_as_much_of_an_id_as_tells_it_apart_and_programs_all():
    close = [{"delivery_id": "aaaaaaaaaa1" + "0" * 21}, {"delivery_id": "aaaaaaaaaa2" + "0" * 21}]
    assert [row["delivery_id"] for row in words.shortened(close, False)] == ["aaaaaaaaaa1", "aaaaaaaaaa2"]
    assert words.shortened(close, True) == close
    assert words.shortened(close[:1], False) == [{"delivery_id": "aaaaaaaa"}]
