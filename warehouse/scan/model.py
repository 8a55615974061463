"""What a scan tells: where, what kind, how many. Never the value."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """Identifiers of one kind in one place of a file.

    place: table.column, sheet!cell, line, byte or part, of the first of them where there are several.
    """

    file: str
    place: str
    kind: str
    count: int

    def __str__(self) -> str:
        return f"{self.file} {self.place}: {self.kind} ({self.count})"
