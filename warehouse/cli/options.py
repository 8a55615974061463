"""What several commands share: options, panels of the help, exit codes, days and moments as people type them."""

from datetime import date, datetime
from typing import Annotated

import typer

from warehouse.core.errors import ConfigError
from warehouse.core.periods import JAKARTA
from warehouse.core.settings import get_settings

ANALYSTS = "Analis / Analysts"
MONITORS = "Monitor / Monitors"
ENGINEERS = "Insinyur data / Data engineers"
DATA_PROTECTION = "Petugas data pribadi / Data protection"
SANDBOX = "Kota contoh / Sandbox"

EXIT_FETCH, EXIT_HELD, EXIT_BUILD, EXIT_RELEASE, EXIT_FOUND, EXIT_NOT_WHOLE = 3, 4, 5, 6, 7, 8

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Reason = Annotated[str, typer.Option(help="Why; at least ten letters.")]
By = Annotated[str, typer.Option("--by", help="Who decides.")]


def day(text: str | None) -> date:
    """A date as typed, today without one; raises ConfigError DATE_INVALID."""
    if text is None:
        return get_settings().today()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            "DATE_INVALID",
            f"Tanggal {text!r} tidak dikenal.",
            f"Date {text!r} is not understood.",
            "Tulis seperti 2026-11-22.",
            "Write it like 2026-11-22.",
        ) from None


def moment(text: str) -> datetime:
    """A time as typed, in WIB unless it says otherwise; raises ConfigError TIME_INVALID."""
    try:
        local_time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            "TIME_INVALID",
            f"Waktu {text!r} tidak dikenal.",
            f"Time {text!r} is not understood.",
            "Tulis seperti 2026-11-22T14:30 (WIB).",
            "Write it like 2026-11-22T14:30 (WIB).",
        ) from None
    return local_time if local_time.tzinfo else local_time.replace(tzinfo=JAKARTA)
