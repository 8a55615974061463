"""What the long run of faults has seen, written to docs/fault-record.md."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from tests.support.faulty import KILL, REFUSALS
from warehouse.core.periods import JAKARTA
from warehouse.core.settings import PROJECT_DIR

FILE = PROJECT_DIR / "docs" / "fault-record.md"
_HEAD = """# Faults met and overcome

*Catatan uji gangguan. Untuk teknisi data.*

Written by the long run of `tests/faults` (`make test-long`): {day}, seed {seed}, {trials} trials. In each, a command
met a fault on a copy of a small home, was then plainly run again, and the home compared with one that nothing had
disturbed: deliveries in force, verdicts, decisions, rows of lake and vault, landed bytes, build, release, keys; and no
file that no row names, no draft, no open record, no mark. A trial that differs fails the run, and nothing is written.
Of the {kills} kills and {refusals} refusals that a whole run draws, {killed} and {refused} are in this record.

*Calls* are those of the command that change something: files opened to write, renamed or removed, folders, links,
permission bits, bringing to disk, commits of the ledger. A fault comes at one of them, chosen by chance; a refusal of
the machine holds from there to the command's end. `done`: what was refused could be done without.

| command | calls | fault | trials | how the command ended |
|---|--:|---|--:|---|
"""


@dataclass
class Seen:
    """Trials by command and fault; each was run again and compared with an undisturbed home before it is counted."""

    seed: int
    kills: int
    refusals: int
    calls: dict[str, int] = field(default_factory=dict)
    endings: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def count(self, command: str, fault: str, calls: int, how: str) -> None:
        self.calls[command] = calls
        self.endings.setdefault((command, fault), Counter())[how] += 1

    def write(self) -> None:
        trials = sum(found.total() for found in self.endings.values())
        lines = [
            f"| {command} | {self.calls[command]} | {fault} | {found.total()}"
            f" | {', '.join(f'{how} {count}' for how, count in sorted(found.items()))} |\n"
            for (command, fault), found in sorted(self.endings.items())
        ]
        head = _HEAD.format(
            day=datetime.now(JAKARTA).date(),
            seed=self.seed,
            trials=trials,
            kills=self.kills,
            refusals=self.refusals,
            killed=self._number({KILL}),
            refused=self._number(REFUSALS),
        )
        FILE.write_text(head + "".join(lines), encoding="utf-8")

    def _number(self, faults: Collection[str]) -> int:
        return sum(found.total() for (_command, fault), found in self.endings.items() if fault in faults)
