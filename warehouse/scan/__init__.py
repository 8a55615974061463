"""The leak scan: finds the vault's identities, and what is shaped like them, wherever they must not be.

A finding says where, what kind and how many; never what. Not here: what a finding leads to (release, night), identities
and their files (vault).
"""

from collections.abc import Iterable
from pathlib import Path

from warehouse.core.errors import ConfigError
from warehouse.scan.files import UNREADABLE, scan_file
from warehouse.scan.home import Ahead, Scan, ahead, look, record, scan_home, walk
from warehouse.scan.identities import Held, as_values, gather, vault_values
from warehouse.scan.model import Finding
from warehouse.scan.search import search
from warehouse.scan.values import NOTHING, Values

__all__ = [
    "NOTHING",
    "UNREADABLE",
    "Ahead",
    "Finding",
    "Held",
    "Scan",
    "Values",
    "ahead",
    "as_values",
    "gather",
    "look",
    "record",
    "refuse_identities",
    "scan_home",
    "scan_paths",
    "values_in",
    "vault_values",
    "walk",
]


def scan_paths(paths: Iterable[Path], values: Values = NOTHING) -> list[Finding]:
    """Findings in files and folders: these values, and whatever has an identifier's shape."""
    return [finding for path in walk(paths) for finding in scan_file(path, values)]


def values_in(paths: Iterable[Path], values: Values) -> list[Finding]:
    """Findings of exactly these values in files and folders: how an erasure proves itself."""
    return [finding for path in walk(paths) for finding in scan_file(path, values, with_shapes=False)]


def refuse_identities(text: str) -> None:
    """Raise ConfigError when what a person typed has the shape of an identifier: it is kept, and shown to others."""
    if kinds := sorted({hit.kind for hit in search(text.encode(), NOTHING)}):
        raise ConfigError(
            "TEXT_IDENTIFIES",
            f"Teks memuat data pribadi ({', '.join(kinds)}).",
            f"The text holds personal data ({', '.join(kinds)}).",
            "Tulis tanpa NIK, nomor KK, telepon, surel, atau tanggal lahir: sebut nomor kiriman dan barisnya.",
            "Write it without NIK, family card, phone, e-mail or birth date: name the delivery and the row.",
        )
