"""Places where a finding identifies no person: ``expectations/leak_scan.yaml``, reviewed as rules. Not here: search."""

from datetime import date
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warehouse.core.errors import ConfigError
from warehouse.scan.model import Finding


class Accepted(BaseModel):
    """Findings of one kind in some places, and who said why they identify no person."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    place: str
    kind: Literal["number_shape", "name", "phone", "email", "birth_date"]
    reason: str = Field(min_length=10)
    reason_date: date
    decided_by: str

    def covers(self, finding: Finding) -> bool:
        return (
            finding.kind == self.kind
            and fnmatchcase(finding.file, self.file)
            and fnmatchcase(finding.place, self.place)
        )


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    accepted: tuple[Accepted, ...]


@lru_cache
def load_accepted(path: Path) -> tuple[Accepted, ...]:
    """None without the file. Raises ConfigError SCAN_RULES when it cannot be read."""
    if not path.is_file():
        return ()
    try:
        return _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).accepted
    except (OSError, yaml.YAMLError, ValidationError):
        # Raised below without its cause: the file's own text may be quoted in it.
        pass
    raise ConfigError(
        "SCAN_RULES",
        f"{path} tidak dapat dibaca.",
        f"{path} cannot be read.",
        "Setiap entri memerlukan file, place, kind, reason, reason_date, dan decided_by.",
        "Each entry takes file, place, kind, reason, reason_date and decided_by.",
    )
