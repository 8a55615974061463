"""Which parts of a dataset came, are late, or are not yet due today, each by its own due day.

Here: the judgement that pages and prints share. The mart ``ops_freshness`` makes the same one in SQL, as of the newest
night. Not here: what a night asks for (periods, extract), nor how old a figure may be (the models).
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from warehouse.core.contract import Contract
from warehouse.core.periods import Period, owed
from warehouse.core.settings import Settings
from warehouse.intake import agencies
from warehouse.ledger import Ledger, deliveries

State = Literal["received", "not_yet_due", "late"]
WORDS = {
    "received": ("diterima", "received"),
    "not_yet_due": ("belum jatuh tempo", "not yet due"),
    "late": ("terlambat", "late"),
}


@dataclass(frozen=True)
class PartState:
    """One expected part today: ``last`` is its newest period in force, ``awaited`` the next one, due on ``due_on``.

    ``received``: it has the dataset's newest period. ``not_yet_due``: an older one or none, and it is not late.
    """

    part: str
    label: str
    last: Period | None
    awaited: Period
    due_on: date
    days_late: int
    state: State


def part_states(s: Settings, led: Ledger, contract: Contract) -> list[PartState]:
    """The state of every part the dataset consists of today, in the contract's order."""
    kind = contract.extras.period_kind
    in_force = deliveries.in_force(led, contract.dataset, contract.extras.delivery_mode)
    lasts: dict[str, date] = {one.part: one.period_start for one in in_force}
    parts = agencies.parts(s, contract)
    newest = max((lasts[part] for part in parts if part in lasts), default=None)

    def state(part: str) -> PartState:
        last = lasts.get(part)
        awaited = owed(kind, last, s.today())
        due_on = awaited.due_on(contract.due_day(part))
        late = max(0, (s.today() - due_on).days)
        came: State = "received" if last is not None and last == newest else "not_yet_due"
        period = Period(last, kind) if last else None
        return PartState(part, contract.part_label(part), period, awaited, due_on, late, "late" if late else came)

    return [state(part) for part in parts]
