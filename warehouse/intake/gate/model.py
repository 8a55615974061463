"""What goes into a judgement and what comes out. Counts, codes and row pointers only: never a value from a delivery."""

from dataclasses import dataclass, field
from datetime import date, datetime

import pyarrow as pa

from warehouse.core.periods import JAKARTA, Period
from warehouse.ledger.deliveries import Pointer, RuleOutcome, VerdictKind


@dataclass(frozen=True)
class Replaced:
    """What a delivery would replace: the one in force of its part and period."""

    rows_admitted: int
    share_set_aside: float | None


@dataclass(frozen=True)
class DeliveryContext:
    """What the gate knows of a delivery besides its bytes.

    ``replaced`` is None where it is the first of its part and period; ``is_repeated``: its bytes came for another
    period before.
    """

    period: Period
    part: str
    received_at: datetime
    replaced: Replaced | None = None
    is_repeated: bool = False

    @property
    def received_on(self) -> date:
        return self.received_at.astimezone(JAKARTA).date()


@dataclass(frozen=True)
class Judgement:
    """The verdict on one delivery. ``rows_read == rows_admitted + rows_quarantined + rows_refused``, always."""

    verdict: VerdictKind
    reason_code: str | None
    message_id: str | None
    message_en: str | None
    checks_run: int
    rows_read: int
    rows_admitted: int
    rows_quarantined: int
    rows_refused: int
    results: list[RuleOutcome] = field(default_factory=list)
    quarantined: list[Pointer] = field(default_factory=list)
    profile: dict[str, float | None] = field(default_factory=dict)
    admitted: pa.Table | None = None
