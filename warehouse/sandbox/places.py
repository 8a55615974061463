"""How agencies spell places: the current name, or an older one from the alias table.

Here: spellings of the 13 kecamatan and 104 kelurahan. Not here: made-up places (corruption).
"""

import numpy as np
import pyarrow as pa

from warehouse.sandbox.margins import Kelurahan, read_seed

STYLES = 3


class Spellings:
    """Names of kelurahan and their kecamatan in three styles: upper case, title case, an alias where there is one."""

    def __init__(self, area: Kelurahan):
        aliases: dict[str, str] = {}
        for row in read_seed("region_aliases"):
            if row["source"] != "current name":
                aliases.setdefault(row["kemendagri_code"], row["alias"])
        self._kelurahan = self._in_styles(area.codes, area.names, aliases)
        self._kecamatan = self._in_styles(area.kecamatan_codes, area.kecamatan_names, aliases)

    @staticmethod
    def _in_styles(codes: tuple[str, ...], names: tuple[str, ...], aliases: dict[str, str]) -> list[pa.Array]:
        upper = [name.upper() for name in names]
        other = [aliases.get(code, name) for code, name in zip(codes, upper, strict=True)]
        return [pa.array(words) for words in (upper, list(names), other)]

    def kelurahan(self, place: np.ndarray, style: int) -> pa.Array:
        return self._kelurahan[style % STYLES].take(pa.array(place))

    def kecamatan(self, place: np.ndarray, style: int) -> pa.Array:
        return self._kecamatan[style % STYLES].take(pa.array(place))
