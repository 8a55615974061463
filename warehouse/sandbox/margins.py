"""Published totals the synthetic city is fitted to, and how many people each kelurahan holds at a scale.

Here: numbers with their source, and the split of people over kelurahan. Not here: people (people, work, growth).
Where no table was published (population by kecamatan), the numbers are ours and say so.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warehouse.settings import PROJECT_DIR

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
# Two of each outreach kecamatan, six elsewhere. The first two stay dense at the smallest scales.
DENSE_KELURAHAN = (
    "36.71.03.1001", "36.71.01.1007", "36.71.03.1003", "36.71.10.1001", "36.71.10.1004", "36.71.04.1001",
    "36.71.04.1003",
    "36.71.06.1004", "36.71.07.1003", "36.71.07.1015", "36.71.11.1005", "36.71.12.1003",
)  # fmt: skip
DEFAULT_SCALE = 240_000 / POPULATION
SMALL_DENSE_SHARE = 0.6


@dataclass(frozen=True)
class Kelurahan:
    """The 104 kelurahan as parallel columns, in the order of their codes. ``people`` is what the scale leaves there."""

    codes: tuple[str, ...]
    names: tuple[str, ...]
    kecamatan_codes: tuple[str, ...]
    kecamatan_names: tuple[str, ...]
    latitude: np.ndarray
    longitude: np.ndarray
    real_people: np.ndarray
    people: np.ndarray

    @property
    def density(self) -> np.ndarray:
        return self.people / self.real_people


def read_seed(name: str, seeds_dir: Path = SEEDS_DIR) -> list[dict[str, str]]:
    """Rows of a reference table, all values text."""
    with (seeds_dir / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def share_of(scale: str | float) -> float:
    """The share of the real city a scale means; raises ValueError outside (0, 1]."""
    share = DEFAULT_SCALE if scale == "default" else float(scale)
    if not 0 < share <= 1:
        raise ValueError("scale is 'default' or a share above 0 and at most 1")
    return share


def kelurahan(scale: str | float) -> Kelurahan:
    """Spread the people of a scale over the city: dense kelurahan first, every other one thinned by the same factor."""
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
        people=_thinned(codes, real, share_of(scale)),
    )


def _real_people(codes: tuple[str, ...], parents: tuple[str, ...]) -> np.ndarray:
    # A stream of its own: sizes of kelurahan are a fact of the sandbox, not of a city's seed.
    weights = np.random.default_rng(3671).uniform(0.75, 1.3, len(codes))
    weights[[codes.index(code) for code in DENSE_KELURAHAN]] = 0.85
    parent = np.array(parents)
    people = np.zeros(len(codes))
    total = sum(_KECAMATAN_THOUSANDS.values())
    for code, thousands in _KECAMATAN_THOUSANDS.items():
        inside = parent == code
        people[inside] = POPULATION * thousands / total * weights[inside] / weights[inside].sum()
    return people


def _thinned(codes: tuple[str, ...], real: np.ndarray, share: float) -> np.ndarray:
    budget = POPULATION * share
    dense = np.isin(codes, DENSE_KELURAHAN)
    if real[dense].sum() > 0.9 * budget:
        dense = np.isin(codes, DENSE_KELURAHAN[:2])
    kept = np.where(dense, min(1.0, SMALL_DENSE_SHARE * budget / real[dense].sum()), 0.0)
    if dense.sum() == len(DENSE_KELURAHAN):
        kept = dense.astype(float)
    rest = (budget - (real * kept).sum()) / real[~dense].sum()
    return np.maximum(np.round(real * np.where(dense, kept, min(rest, 1.0))), 20).astype(np.int64)
