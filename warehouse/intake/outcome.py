"""What one ingest of a dataset did, counted from its attempts and verdicts; safe for logs and a scheduler's memory."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from warehouse.ledger.deliveries import Attempt, FetchOutcome, Verdict, VerdictKind

Outcome = Literal["admitted", "unchanged", "held", "failed"]


@dataclass
class IngestOutcome:
    """Counts and codes only. ``missing``: not published yet; ``failed``: parts not had, whatever the reason."""

    dataset: str
    outcome: Outcome = "unchanged"
    periods: list[str] = field(default_factory=list)
    landed: int = 0
    unchanged: int = 0
    missing: int = 0
    failed: int = 0
    accepted: int = 0
    held: int = 0
    rows_admitted: int = 0
    rows_quarantined: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def count_attempts(self, attempts: Iterable[Attempt]) -> None:
        for attempt in attempts:
            if attempt.outcome == FetchOutcome.LANDED:
                self.landed += 1
            elif attempt.outcome == FetchOutcome.UNCHANGED:
                self.unchanged += 1
            elif attempt.outcome == FetchOutcome.NOT_AVAILABLE:
                self.missing += 1
            else:
                self.failed += 1
                if attempt.error:
                    self.errors.append(f"{attempt.part}: {attempt.error.code}: {attempt.error.message_en}")

    def count_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        for verdict in verdicts:
            if verdict.verdict == VerdictKind.HELD:
                self.held += 1
                self.errors.append(f"{verdict.delivery_id[:8]}: {verdict.reason_code}: {verdict.message_en}")
            else:
                self.accepted += 1
            self.rows_admitted += verdict.rows_admitted
            self.rows_quarantined += verdict.rows_quarantined
        self.outcome = self._overall()

    def _overall(self) -> Outcome:
        if self.failed:
            return "failed"
        if self.held:
            return "held"
        return "admitted" if self.accepted else "unchanged"
