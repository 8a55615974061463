"""Whatever writes may be killed at any call that changes something: run again, the home is as if nothing had been.

The same where the machine refuses from some call on, where two run at once, where the ledger is locked. A few points
here; two hundred in the long run, which writes docs/fault-record.md.
"""

import random
import shutil
from functools import cache
from pathlib import Path

import pytest

from tests.faults import record
from tests.faults.commands import COMMANDS, Command, held_by, make
from tests.support.faulty import KILL, MEMORY, REFUSALS, Ended, begin, run
from tests.support.whole_home import copied
from warehouse.core.settings import Settings
from warehouse.ledger import store

SEED = 20261201
CODES = {
    "disk full": {"DISK_FULL", "LANDING_NOT_WRITTEN"},
    "read-only": {"DISK_READ_ONLY", "LANDING_NOT_WRITTEN"},
    "disk fails": {"DISK_FAILS", "LANDING_NOT_WRITTEN"},
    MEMORY: {"MEMORY_SHORT", "UNEXPECTED", "done"},
    "two at once": {"done", "BUILD_RUNNING", "KEYS_NO_NEXT", "ALREADY_WITHDRAWN", "NOT_HELD"},
    # Maintenance that finds nothing to do writes nothing.
    "ledger locked": {"LEDGER_LOCKED", "done"},
}


class Trials:
    """Copies of the small home to which a command is done, undisturbed or with a fault."""

    def __init__(self, folder: Path) -> None:
        self._tiny, self._folder, self._number = make(folder), folder, 0
        self.undisturbed = cache(self._undisturbed)

    def home(self, command: Command) -> Settings:
        self._number += 1
        s = copied(self._tiny, self._folder / f"{self._number}")
        command.prepare(s)
        return s

    def _undisturbed(self, name: str) -> tuple[int, dict]:
        """How many changing calls a command makes, and what the home holds afterwards."""
        s = self.home(COMMANDS[name])
        ended = run(s, lambda: COMMANDS[name].act(s))
        assert ended.how == "done", ended
        return ended.calls, self._result(s)

    def disturbed(self, name: str, fault: str, at: int | None) -> Ended:
        """Meet a fault, run again, and compare."""
        s = self.home(COMMANDS[name])
        ended = run(s, lambda: COMMANDS[name].act(s), fault, at)
        self._compare(s, name, f"{fault} at {at}, {ended.how}")
        return ended

    def two_at_once(self, name: str) -> set[str]:
        s = self.home(COMMANDS[name])
        waits = [begin(s, lambda: COMMANDS[name].act(s)) for _ in range(2)]
        ended = {wait().how for wait in waits}
        self._compare(s, name, f"two at once, {ended}")
        return ended

    def ledger_locked(self, name: str, monkeypatch: pytest.MonkeyPatch) -> Ended:
        s = self.home(COMMANDS[name])
        with monkeypatch.context() as patched, store.engine(s.ledger).connect() as other:
            patched.setattr(store, "_PATIENCE_SECONDS", 0.5)
            other.exec_driver_sql("BEGIN IMMEDIATE")
            ended = run(s, lambda: COMMANDS[name].act(s))
            other.rollback()
        self._compare(s, name, f"ledger locked, {ended.how}")
        return ended

    def _compare(self, s: Settings, name: str, what: str) -> None:
        COMMANDS[name].run_again(s)
        _calls, wanted = self.undisturbed(name)
        found = self._result(s)
        differs = {key: (found[key], wanted[key]) for key in wanted if found[key] != wanted[key]}
        assert not differs, (name, what, differs)

    def _result(self, s: Settings) -> dict:
        found = held_by(s)
        store.engine(s.ledger).dispose()
        for folder in (path for path in s.home.rglob("*") if path.is_dir() and not path.is_symlink()):
            folder.chmod(0o700)
        shutil.rmtree(s.home)
        return found


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Trials:
    return Trials(tmp_path_factory.mktemp("trials"))


# Where in a command the sampled kill comes, as a share of its changing calls.
SAMPLED = {
    "ingest": (0.85,), "deliveries withdraw": (0.9,), "erase": (0.75,), "keys rotate": (0.6,), "build": (0.5,),
    "release": (0.6, 0.95), "maintenance": (0.7,), "ledger upgrade": (0.5,),
}  # fmt: skip


@pytest.mark.parametrize(("name", "share"), [(name, share) for name, shares in SAMPLED.items() for share in shares])
def test_killed_and_run_again_it_is_as_if_nothing_had_been(trials: Trials, name: str, share: float):
    calls, wanted = trials.undisturbed(name)
    assert wanted["left over"] == []
    assert trials.disturbed(name, KILL, max(1, round(share * calls))).how == "killed"


@pytest.mark.parametrize(("name", "fault", "share"), [("ingest", "disk full", 0.6), ("release", "read-only", 0.4)])
def test_what_the_machine_refuses_has_a_code_and_is_done_when_run_again(trials, name, fault, share):
    calls, _wanted = trials.undisturbed(name)
    assert trials.disturbed(name, fault, round(share * calls)).how in CODES[fault]


def test_a_locked_ledger_is_told_and_nothing_is_lost(trials, monkeypatch):
    assert trials.ledger_locked("deliveries withdraw", monkeypatch).how == "LEDGER_LOCKED"


# --- the long run

KILLS, REFUSED = 200, 60
_RANDOM = random.Random(SEED)
_POINTS = [(_RANDOM.choice(list(COMMANDS)), _RANDOM.random()) for _ in range(KILLS)]
_REFUSED = [(_RANDOM.choice(list(COMMANDS)), _RANDOM.choice(list(REFUSALS)), _RANDOM.random()) for _ in range(REFUSED)]


@pytest.fixture(scope="module")
def seen() -> record.Seen:
    return record.Seen(SEED, KILLS, REFUSED)


@pytest.mark.long
class TestLong:
    """One after the other: the last of them writes down what was seen."""

    def test_every_command_killed_at_random_calls(self, trials: Trials, seen: record.Seen):
        for name, share in _POINTS:
            calls, _wanted = trials.undisturbed(name)
            at = 1 + int(share * calls)
            seen.count(name, KILL, calls, trials.disturbed(name, KILL, at).how)

    def test_every_command_refused_by_the_machine_at_random_calls(self, trials: Trials, seen: record.Seen):
        for name, fault, share in _REFUSED:
            calls, _wanted = trials.undisturbed(name)
            how = trials.disturbed(name, fault, 1 + int(share * calls)).how
            assert how in CODES[fault] | {"done"}, (name, fault, share, how)
            seen.count(name, fault, calls, how)

    @pytest.mark.parametrize("name", ["build", "release", "keys rotate"])
    def test_short_memory(self, trials: Trials, seen: record.Seen, name: str):
        how = trials.disturbed(name, MEMORY, None).how
        assert how in CODES[MEMORY]
        seen.count(name, MEMORY, trials.undisturbed(name)[0], how)

    @pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"release", "ledger upgrade"}])
    def test_two_at_once(self, trials: Trials, seen: record.Seen, name: str):
        ended = trials.two_at_once(name)
        assert ended <= CODES["two at once"]
        seen.count(name, "two at once", trials.undisturbed(name)[0], " and ".join(sorted(ended)))

    @pytest.mark.parametrize("name", list(COMMANDS))
    def test_a_locked_ledger(self, trials: Trials, seen: record.Seen, monkeypatch, name: str):
        how = trials.ledger_locked(name, monkeypatch).how
        assert how in CODES["ledger locked"]
        seen.count(name, "ledger locked", trials.undisturbed(name)[0], how)

    def test_the_record_is_written(self, seen: record.Seen):
        seen.write()
