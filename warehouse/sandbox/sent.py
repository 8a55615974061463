"""What a sender of the sandbox has sent by the clock's day: nothing before it is due, and what the story says instead.

Here: the one question the servers ask of a file or feed before they hand it out, and where the story lies. Not here:
what is told (tomorrow), nor publishers (BPS, Dukcapil, portals), who show what they have and may be early.
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from warehouse.core.contract import Contract
from warehouse.core.periods import Period
from warehouse.core.settings import Settings

# Who sends an agency's files where that is another; the registry of BPS is handed on by the social service.
_SENDER_OF = {"kemenkes": "dinkes", "kemensos": "dinsos", "polri": "polres", "bps": "dinsos"}

AsSent = Callable[[Path], Path | None]


def story_file(s: Settings) -> Path:
    return s.home / "sandbox" / "story.json"


def story(s: Settings) -> list[dict[str, Any]]:
    """The days played so far, and on each what was planted."""
    file = story_file(s)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []


def sender_of(contract: Contract) -> str:
    """Which SFTP server holds a dataset's files: that of whoever hands them on, else the agency's own."""
    return _SENDER_OF.get(contract.agency, contract.agency)


def corrected(s: Settings, holding: Path) -> Path:
    """Where the corrected version of a holding lies."""
    return s.home / "sandbox" / "corrected" / holding.relative_to(s.home / "sandbox" / "holdings")


def as_sent(s: Settings, contracts: Iterable[Contract]) -> AsSent:
    """A function from a holding to the file that is handed out for it today; None while nothing has been sent.

    What no contract speaks of is handed out as it lies there.
    """
    patterns = [(contract, pattern) for contract in contracts for pattern in _patterns(contract)]
    holdings = (s.home / "sandbox" / "holdings").resolve()

    def file(holding: Path) -> Path | None:
        name = holding.relative_to(holdings).as_posix()
        for contract, pattern in patterns if holding.is_file() else ():
            if match := pattern.fullmatch(name):
                groups = match.groupdict()
                return _on(s, contract, Period.parse(groups["period"]), groups.get("part", "all"), holdings / name)
        return holding

    return file


def _patterns(contract: Contract) -> list[re.Pattern[str]]:
    """Names of a dataset's holdings that say their period."""
    server = contract.server.extras
    templates = []
    if server.protocol == "splp":
        resource = (server.path or "").rpartition("/")[2]
        templates = [f"http/{contract.agency}/{resource}/{{period}}/{{part}}.parquet"]
    elif server.protocol == "sftp":
        folder = f"sftp/{sender_of(contract)}"
        templates = [f"{folder}{path}" for path in (server.path, *server.parameters.get("alternatives", ()))]
    fields = {
        r"\{period\}": r"(?P<period>\d{4}[-QH\d]*)", r"\{part\}": r"(?P<part>[^/]+)", r"\{year\}": r"\d{4}",
    }  # fmt: skip
    patterns = []
    for template in templates:
        pattern = re.escape(template)
        for field, group in fields.items():
            pattern = pattern.replace(field, group, 1)
        patterns.append(re.compile(pattern))
    return [pattern for pattern in patterns if "period" in pattern.groupindex]


def _on(s: Settings, contract: Contract, period: Period, part: str, holding: Path) -> Path | None:
    today = s.today()
    if today < period.due_on(contract.due_day(part)):
        return None
    lines = [
        event["kind"]
        for day in story(s)
        for event in day["planted"]
        if (event["dataset"], event["period"], event["part"]) == (contract.dataset, period.label, part)
        and day["day"] <= today.isoformat() < event.get("returns_on", "9999")
    ]
    match lines[-1:]:
        case ["late"]:
            return None
        case ["held"]:
            return holding.parent.with_name(period.shift(-1).label) / holding.name
        case ["corrected"]:
            return corrected(s, holding)
    return holding
