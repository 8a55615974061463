"""How children grow, and how WHO 2006 judges a weight and a height: LMS tables both ways, labels, exported z-scores.

Here: the standards (``Who``) and the simulation of measurements over months. The warehouse has its own z-scores in dbt;
this copy is independent on purpose, so that the two can be compared.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warehouse.sandbox.margins import SEEDS_DIR, STUNTED_OF_MEASURED, WASTED_OF_MEASURED, read_seed

LENGTH_DAYS = 731
LAST_DAY = 1826
_STANDING_SHORTER_CM = 0.7
# Of a child's lasting build; drawn until shares below -2 and above +2 came near SSGI 2024 with spreads as WHO expects.
# Frames are skewed: many children are somewhat short, some stayed behind for good; the small are thinner than others.
_FRAME_SHAPE, _FRAME_SPREAD = 5.0, 1.08
_BEHIND_SHARE, _BEHIND = 0.025, 1.6
_FLESH_SPREAD, _FLESH_OF_FRAME = 0.53, 0.37
_FAT_SHARE, _FATTER, _FAT_SPREAD = 0.075, 2.95, 0.22


@dataclass(frozen=True)
class Who:
    """LMS tables indexed ``[sex - 1, row, (l, m, s)]``; sex 1 boy, 2 girl, as WHO codes it."""

    height_for_age: np.ndarray
    weight_for_age: np.ndarray
    weight_for_length: np.ndarray
    weight_for_height: np.ndarray

    @classmethod
    def load(cls, seeds_dir: Path = SEEDS_DIR) -> "Who":
        def table(name: str) -> np.ndarray:
            rows = [
                (int(row["sex"]), float(row["l"]), float(row["m"]), float(row["s"]))
                for row in read_seed(name, seeds_dir)
            ]
            return np.array([[row[1:] for row in rows if row[0] == sex] for sex in (1, 2)])

        return cls(table("who2006_lhfa"), table("who2006_wfa"), table("who2006_wfl"), table("who2006_wfh"))

    def height_at(self, sex: np.ndarray, age_days: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Length (under 731 days) or height in cm of a z-score."""
        return _measure(self.height_for_age[sex - 1, age_days], z)

    def weight_at(self, sex: np.ndarray, age_days: np.ndarray, height_cm: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Weight in kg of a weight-for-length or -height z-score."""
        return _measure(self._weight_lms(sex, age_days, height_cm), z)

    def z_scores(
        self, sex: np.ndarray, age_days: np.ndarray, weight_kg: np.ndarray, height_cm: np.ndarray, is_lying: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """haz, waz, whz at two decimals, after the 0.7 cm correction; NaN where a measure is missing or outside."""
        young = age_days < LENGTH_DAYS
        corrected = height_cm + np.where(young & ~is_lying, 0.7, 0.0) - np.where(~young & is_lying, 0.7, 0.0)
        in_table = (age_days >= 0) & (age_days <= LAST_DAY)
        row = np.clip(age_days, 0, LAST_DAY)
        haz = _z(self.height_for_age[sex - 1, row], corrected, restricted=False)
        waz = _z(self.weight_for_age[sex - 1, row], weight_kg, restricted=True)
        low, high = np.where(young, 45.0, 65.0), np.where(young, 110.0, 120.0)
        inside = (corrected >= low) & (corrected <= high)
        whz = _z(self._weight_lms(sex, row, corrected), weight_kg, restricted=True)
        blank = np.where(in_table, 0.0, np.nan)
        return (
            np.round(haz, 2) + blank,
            np.round(waz, 2) + blank,
            np.round(whz, 2) + np.where(in_table & inside, 0.0, np.nan),
        )

    def _weight_lms(self, sex: np.ndarray, age_days: np.ndarray, height_cm: np.ndarray) -> np.ndarray:
        height = np.nan_to_num(height_cm, nan=80.0)
        lying = np.clip(np.round((height - 45) * 10).astype(int), 0, self.weight_for_length.shape[1] - 1)
        height_index = np.clip(np.round((height - 65) * 10).astype(int), 0, self.weight_for_height.shape[1] - 1)
        young = (age_days < LENGTH_DAYS)[:, None]
        lms: np.ndarray = np.where(
            young, self.weight_for_length[sex - 1, lying], self.weight_for_height[sex - 1, height_index]
        )
        return lms


def _measure(lms: np.ndarray, z: np.ndarray) -> np.ndarray:
    power, median, spread = lms[..., 0], lms[..., 1], lms[..., 2]
    measure: np.ndarray = median * np.power(np.maximum(1 + power * spread * z, 0.05), 1 / power)
    return measure


def _z(lms: np.ndarray, value: np.ndarray, *, restricted: bool) -> np.ndarray:
    power, median, spread = lms[..., 0], lms[..., 1], lms[..., 2]
    z: np.ndarray = (np.power(value / median, power) - 1) / (power * spread)
    if not restricted:
        return z
    at = {k: _measure(lms, np.full_like(median, k)) for k in (-3, -2, 2, 3)}
    z = np.where(z > 3, 3 + (value - at[3]) / (at[3] - at[2]), z)
    return np.where(z < -3, -3 + (value - at[-3]) / (at[-2] - at[-3]), z)


def labels(haz: np.ndarray, waz: np.ndarray, whz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """TB/U, BB/U and BB/TB labels of Permenkes 2/2020; ``-`` where the z-score is missing."""

    def cut(z: np.ndarray, at: list[float], words: list[str]) -> np.ndarray:
        # A value on a cut-off belongs to the class nearer to normal: -2 is normal, and so is +3.
        below = [limit for limit in at if limit < 0]
        above = [limit for limit in at if limit > 0]
        index = sum((z >= limit).astype(int) for limit in below) + sum((z > limit).astype(int) for limit in above)
        return np.where(np.isnan(z), "-", np.array(words)[index])

    return (
        cut(haz, [-3, -2, 3], ["Sangat Pendek", "Pendek", "Normal", "Tinggi"]),
        cut(waz, [-3, -2, 1], ["Sangat Kurang", "Kurang", "Berat Badan Normal", "Risiko Lebih"]),
        cut(
            whz,
            [-3, -2, 1, 2, 3],
            ["Gizi Buruk", "Gizi Kurang", "Gizi Baik", "Risiko Gizi Lebih", "Gizi Lebih", "Obesitas"],
        ),
    )


@dataclass(frozen=True)
class Measured:
    """One row per measurement: ``child`` indexes the children given, ``month`` the months."""

    child: np.ndarray
    month: np.ndarray
    age_days: np.ndarray
    day: np.ndarray
    is_lying: np.ndarray
    weight_kg: np.ndarray
    height_cm: np.ndarray


def simulate(
    who: Who,
    rng: np.random.Generator,
    sex: np.ndarray,
    born: np.ndarray,
    until: np.ndarray,
    wealth: np.ndarray,
    days: np.ndarray,
    attends: np.ndarray,
) -> Measured:
    """Follow children over months. ``days[child, month]`` is the day of measurement, ``attends`` the chance to come.

    A child keeps its own level and drifts slowly; height and weight follow from z-scores, then gain the error of the
    instrument, the habit of rounding to .0 and .5, the wrong posture and a misread board now and then. The whole group
    is shifted so that the published shares of stunted and wasted children hold over all measurements; underweight and
    overweight follow from both and come near the published ones.
    """
    children, months = days.shape
    frame = (rng.gamma(_FRAME_SHAPE, size=children) - _FRAME_SHAPE) / np.sqrt(_FRAME_SHAPE)
    frame = frame - _BEHIND * (rng.random(children) < _BEHIND_SHARE)
    level = _FRAME_SPREAD * frame + 0.22 * wealth
    drift = -0.35 + 0.15 * rng.standard_normal(size=(children,))
    is_fat = rng.random(children) < _FAT_SHARE
    flesh = _FLESH_SPREAD * rng.standard_normal(children) + _FLESH_OF_FRAME * frame + 0.15 * wealth
    flesh = flesh + is_fat * (_FATTER + _FAT_SPREAD * rng.standard_normal(children))
    slow_height, slow_weight = np.zeros(children), np.zeros(children)
    visits: list[tuple[np.ndarray, ...]] = []
    for month in range(months):
        slow_height = 0.9 * slow_height + 0.06 * rng.standard_normal(children)
        slow_weight = 0.7 * slow_weight + 0.16 * rng.standard_normal(children)
        age = days[:, month] - born
        comes = (rng.random(children) < attends[:, month]) & (age >= 1) & (age < LAST_DAY) & (days[:, month] < until)
        (child,) = np.nonzero(comes)
        days_old = age[child]
        haz = level[child] + drift[child] * np.minimum(days_old / LENGTH_DAYS, 1.0) + slow_height[child]
        visits.append(
            (child, np.full(len(child), month), days_old, days[child, month], haz, flesh[child] + slow_weight[child])
        )
    child, at, age, day, haz, whz = (np.concatenate(column) for column in zip(*visits, strict=True))
    return Measured(child, at, age, day, *_instrument(who, rng, sex[child], age, haz, whz))


def _instrument(
    who: Who, rng: np.random.Generator, sex: np.ndarray, age: np.ndarray, haz: np.ndarray, whz: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = len(age)
    error_cm = 0.2 * rng.standard_normal(n)
    spread_cm = who.height_for_age[sex - 1, age, 1] * who.height_for_age[sex - 1, age, 2]
    haz = haz + _shift(haz + error_cm / spread_cm, -2.0, STUNTED_OF_MEASURED)
    whz = whz + _shift(whz, -2.0, WASTED_OF_MEASURED)
    height = who.height_at(sex, age, haz) + error_cm
    weight = who.weight_at(sex, age, height, whz) + 0.03 * rng.standard_normal(n)
    wrong_posture = rng.random(n) < np.where(age < 270, 0.0, 0.03)
    is_lying = (age < LENGTH_DAYS) ^ wrong_posture
    # A child stands about 0.7 cm shorter than it lies; the tables are for lying before 731 days, standing after.
    height = height + wrong_posture * np.where(is_lying, _STANDING_SHORTER_CM, -_STANDING_SHORTER_CM)
    height = np.where(rng.random(n) < 0.06, np.round(height * 2) / 2, np.round(height, 1))
    no_height, no_weight = rng.random(n) < 0.04, rng.random(n) < 0.003
    # Ten centimetres too many or too few are read off the board now and then: no child grows or shrinks so.
    height = np.round(height + np.where(rng.random(n) < 0.0015, rng.choice([-10.0, 10.0], n), 0.0), 1)
    return (
        is_lying,
        np.where(no_weight & ~no_height, np.nan, np.round(np.maximum(weight, 1.2), 1)),
        np.where(no_height, np.nan, height),
    )


def _shift(z: np.ndarray, limit: float, share: float) -> float:
    return limit - float(np.quantile(z, share)) if len(z) else 0.0
