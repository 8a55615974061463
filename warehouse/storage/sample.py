"""Which kelurahan a home's agencies report on: all of the city, or those that the sandbox's city peoples.

Here: reading what the sandbox declared beside its city. Not here: who lives there (sandbox). With production's keys a
home reports on the whole city, whatever else lies in it.
"""

import json
from dataclasses import dataclass

from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.storage import keys


@dataclass(frozen=True)
class Sample:
    """Kemendagri codes of the peopled kelurahan, and their share of the city's people."""

    kelurahan: frozenset[str]
    share: float


def declared(s: Settings) -> Sample | None:
    """What a sandbox home peoples; None where agencies report on the whole city.

    Raises ConfigError SANDBOX_CITY_UNREADABLE for a sandbox whose city does not say so.
    """
    file = s.home / "sandbox" / "city.json"
    if not (keys.is_sandbox(s) and file.is_file()):
        return None
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        sample = Sample(frozenset(document["peopled_kelurahan"]), float(document["share"]))
    except (ValueError, TypeError, KeyError):
        raise ConfigError(
            "SANDBOX_CITY_UNREADABLE",
            f"{file} tidak menyebut kelurahan mana yang berpenduduk.",
            f"{file} does not say which kelurahan are peopled.",
            "Kota contoh itu rusak atau dari versi lama: jalankan make clean, atau pakai WAREHOUSE_HOME lain.",
            "The sample city is damaged or of a former version: run make clean, or use another WAREHOUSE_HOME.",
        ) from None
    return None if round(sample.share, 3) == 1 else sample
