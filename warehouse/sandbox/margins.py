"""Published totals the synthetic city is fitted to, and which kelurahan a scale peoples.

Here: numbers with their source, and the split of people over kelurahan. Not here: people (people, work, growth).
Where no table was published (population by kecamatan), the numbers are ours and say so.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warehouse.core.settings import PROJECT_DIR

SEEDS_DIR = PROJECT_DIR / "dbt_project" / "seeds"

# Dukcapil 2025 (Kepmendagri 300.2.2-2138/2025).
POPULATION = 1_957_349
MALE_SHARE = 983_453 / POPULATION
# BPJS Ketenagakerjaan, August 2025, tangerangekspres 32174; PMI are not published for the city.
JAMSOSTEK = {"PU": 514_541, "BPU": 238_238, "JAKON": 15_408, "PMI": 400}
# Employers registered in 2023, republika sars7n451.
EMPLOYERS = 15_702
# Children in the registry early 2023 over Dukcapil 2023; target of November 2024 over Dukcapil 2024.
REGISTERED_CHILDREN_SHARE = 90_223 / 1_912_679
TARGET_CHILDREN_SHARE = 77_020 / 1_927_815
POSYANDU = 1_097
# e-PPGBM October 2024, of children measured; SSGI 2024 for wasting.
STUNTED_OF_MEASURED = 0.056
WASTED_OF_MEASURED = 0.040
# SSGI 2024; what growth comes near to.
UNDERWEIGHT_PUBLISHED, OVERWEIGHT_PUBLISHED = 0.093, 0.054
# PBI-APBD December 2025 (distrikbantennews); PBI of the state budget is ours.
PBI_PERSONS_SHARE = (395_187 + 190_000) / POPULATION
PKH_FAMILIES_SHARE, BPNT_FAMILIES_SHARE = 0.055, 0.095
# DTSEN deciles are national ranks: a city of low poverty has few families in the lowest. Of ranked families; ours.
DECILE_SHARES = (0.026, 0.043, 0.058, 0.073, 0.088, 0.104, 0.122, 0.143, 0.163, 0.180)
# Of residents of all ages; gives 1.05 million of 1.957, between the labour force (1.19 million) and the active members.
EMPLOYED_SHARE = 0.535

# Thousand persons. Only extremes are published (SP2020: Cipondoh 248, Benda 84); the rest is ours.
_KECAMATAN_THOUSANDS = {
    "36.71.01": 168, "36.71.02": 108, "36.71.03": 97, "36.71.04": 88, "36.71.05": 256, "36.71.06": 168, "36.71.07": 192,
    "36.71.08": 148, "36.71.09": 153, "36.71.10": 124, "36.71.11": 196, "36.71.12": 122, "36.71.13": 137,
}  # fmt: skip
OUTREACH_KECAMATAN = ("36.71.03", "36.71.04", "36.71.10")
# The order in which scales people whole kelurahan; after these come all others by code. From two on there are two
# kecamatan, an outreach one among them, from four on the three outreach kecamatan, from thirteen on all 13.
PEOPLED_FIRST = (
    "36.71.07.1003", "36.71.03.1001", "36.71.10.1004", "36.71.04.1003",
    "36.71.01.1007", "36.71.02.1005", "36.71.05.1004", "36.71.06.1004", "36.71.08.1005", "36.71.09.1002",
    "36.71.11.1004", "36.71.12.1003", "36.71.13.1008",
    "36.71.03.1003", "36.71.10.1001", "36.71.04.1001", "36.71.03.1005", "36.71.10.1002", "36.71.04.1005",
)  # fmt: skip
_FEWEST = 2


@dataclass(frozen=True)
class Kelurahan:
    """The 104 kelurahan as parallel columns, in the order of their codes. ``people``: all who live there, or 0."""

    codes: tuple[str, ...]
    names: tuple[str, ...]
    kecamatan_codes: tuple[str, ...]
    kecamatan_names: tuple[str, ...]
    latitude: np.ndarray
    longitude: np.ndarray
    real_people: np.ndarray
    people: np.ndarray

    @property
    def is_peopled(self) -> np.ndarray:
        return self.people > 0

    @property
    def share(self) -> float:
        """Of the real city's people."""
        return float(self.people.sum() / POPULATION)

    @property
    def peopled_codes(self) -> tuple[str, ...]:
        return tuple(code for code, is_peopled in zip(self.codes, self.is_peopled, strict=True) if is_peopled)


def read_seed(name: str, seeds_dir: Path = SEEDS_DIR) -> list[dict[str, str]]:
    """Rows of a reference table, all values text."""
    with (seeds_dir / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def kelurahan(scale: str | float) -> Kelurahan:
    """People as many whole kelurahan as come nearest to a scale, and 0 elsewhere.

    ``scale``: ``"default"`` (``PEOPLED_FIRST``, about 240 thousand persons) or a share of the real city; raises
    ValueError outside (0, 1].
    """
    regions = [row for row in read_seed("regions") if row["kemendagri_code"].startswith("36.71")]
    names = {row["kemendagri_code"]: row["name"] for row in regions if row["area_level"] == "kecamatan"}
    rows = sorted(
        (row for row in regions if row["area_level"] == "kelurahan" and row["is_unplaced"] == "false"),
        key=lambda row: row["kemendagri_code"],
    )
    codes = tuple(row["kemendagri_code"] for row in rows)
    parents = tuple(row["parent_kemendagri_code"] for row in rows)
    real = _real_people(codes, parents)
    return Kelurahan(
        codes=codes,
        names=tuple(row["name"] for row in rows),
        kecamatan_codes=parents,
        kecamatan_names=tuple(names[code] for code in parents),
        latitude=np.array([float(row["latitude"]) for row in rows]),
        longitude=np.array([float(row["longitude"]) for row in rows]),
        real_people=real,
        people=_peopled(codes, real, scale),
    )


def _real_people(codes: tuple[str, ...], parents: tuple[str, ...]) -> np.ndarray:
    # A stream of its own: sizes of kelurahan are a fact of the sandbox, not of a city's seed.
    weights = np.random.default_rng(3671).uniform(0.75, 1.3, len(codes))
    first = [codes.index(code) for code in PEOPLED_FIRST]
    # Smaller than their neighbours, and not alike.
    weights[first] = 0.41 + 0.19 * weights[first]
    parent = np.array(parents)
    people = np.zeros(len(codes))
    total = sum(_KECAMATAN_THOUSANDS.values())
    for code, thousands in _KECAMATAN_THOUSANDS.items():
        inside = parent == code
        people[inside] = POPULATION * thousands / total * weights[inside] / weights[inside].sum()
    return people


def _peopled(codes: tuple[str, ...], real: np.ndarray, scale: str | float) -> np.ndarray:
    first = [codes.index(code) for code in PEOPLED_FIRST]
    order = np.array([*first, *np.setdiff1d(np.arange(len(codes)), first)])
    if scale == "default":
        count = len(first)
    else:
        share = float(scale)
        if not 0 < share <= 1:
            raise ValueError("scale is 'default' or a share above 0 and at most 1")
        count = max(int(np.argmin(np.abs(np.cumsum(real[order]) - share * POPULATION))) + 1, _FEWEST)
    people = np.zeros(len(codes), np.int64)
    people[order[:count]] = np.round(real[order[:count]])
    return people
