"""What time it is. Here: the one clock. Not here: periods of deliveries (periods)."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from warehouse.core.periods import JAKARTA


@dataclass(frozen=True)
class Clock:
    """``fixed``: the moment at which tests and a sandbox's history stand still; ``ahead``: by how much a sandbox's
    clock was moved on. In production both are as here, and ``now`` and ``stamp`` the same."""

    fixed: datetime | None = None
    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        """Always in UTC and never naive."""
        return (self.fixed or datetime.now(UTC)).astimezone(UTC) + self.ahead

    def stamp(self) -> datetime:
        """The time that goes on also where ``now`` stands still: what is recorded later is later."""
        return datetime.now(UTC) + self.ahead

    def today(self) -> date:
        """Today's date in Asia/Jakarta."""
        return self.now().astimezone(JAKARTA).date()
