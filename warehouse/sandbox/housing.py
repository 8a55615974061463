"""Dwellings as the social registry codes them, better with wealth; shares are ours, near what BPS prints for the city.

Here: housing codes, floor area and assets. Not here: who lives there (people), how the registry writes it (render).
"""

import numpy as np

# Code -> share, from the best to the worst. Codes of the DTSEN code book.
_GRADED: dict[str, dict[int, float]] = {
    "id_status_penguasaan_bangunan": {1: 0.62, 4: 0.01, 3: 0.10, 2: 0.26, 5: 0.01},
    "id_lantai_terluas": {1: 0.07, 2: 0.70, 3: 0.02, 4: 0.07, 5: 0.01, 6: 0.11, 7: 0.002, 8: 0.013, 9: 0.005},
    "id_dinding_terluas": {1: 0.93, 2: 0.01, 3: 0.035, 4: 0.01, 5: 0.004, 6: 0.006, 7: 0.005},
    "id_atap_terluas": {1: 0.12, 2: 0.52, 4: 0.30, 3: 0.03, 6: 0.01, 5: 0.005, 7: 0.005, 8: 0.01},
    "id_sumber_airminum": {
        1: 0.18, 2: 0.42, 3: 0.14, 4: 0.20, 5: 0.03, 7: 0.005, 6: 0.012, 8: 0.003, 10: 0.004, 9: 0.003, 11: 0.003,
    },
    "id_sumberpenerangan": {1: 0.955, 2: 0.038, 3: 0.004, 4: 0.003},
    "id_dayapenerangan": {5: 0.04, 4: 0.16, 3: 0.38, 2: 0.33, 1: 0.09},
    "id_bb_utama": {
        1: 0.03, 5: 0.06, 3: 0.07, 2: 0.03, 4: 0.78, 6: 0.001, 0: 0.01, 7: 0.005, 8: 0.001, 9: 0.002, 10: 0.008,
        11: 0.003,
    },
    "id_fasilitas_bab": {1: 0.90, 2: 0.06, 3: 0.015, 4: 0.01, 5: 0.003, 6: 0.012},
    "id_jenis_kloset": {1: 0.95, 2: 0.015, 3: 0.01, 4: 0.025},
    "id_pembuangan_tinja": {1: 0.86, 2: 0.04, 4: 0.04, 3: 0.05, 5: 0.004, 6: 0.006},
}  # fmt: skip
# Asset -> share of families that have it, and how strongly wealth decides.
_ASSETS = {
    "aset_bergerak_tabung_gas": (0.12, 0.8),
    "aset_bergerak_lemari_es": (0.82, 1.0),
    "aset_bergerak_ac": (0.33, 1.4),
    "aset_bergerak_pemanas_air": (0.04, 1.5),
    "aset_bergerak_telepon_rumah": (0.03, 0.8),
    "aset_bergerak_tv_datar": (0.64, 1.0),
    "aset_bergerak_emas_perhiasan": (0.25, 0.9),
    "aset_bergerak_komputer_laptop_tablet": (0.36, 1.4),
    "aset_bergerak_sepeda_motor": (0.84, 0.6),
    "aset_bergerak_sepeda": (0.25, 0.2),
    "aset_bergerak_mobil": (0.22, 1.5),
    "aset_bergerak_perahu": (0.0006, 0.0),
    "aset_bergerak_kapal_perahu_motor": (0.0004, 0.0),
    "aset_bergerak_smartphone": (0.96, 0.6),
    "lahan_tempat_lain": (0.09, 1.0),
    "rumah_tempat_lain": (0.06, 1.2),
}
ANIMALS = ("jml_sapi", "jml_kerbau", "jml_kuda", "jml_babi", "jml_kambing_domba")
NULLABLE = ("id_dayapenerangan", "id_jenis_kloset", "id_pembuangan_tinja")


def furnish(rng: np.random.Generator, wealth: np.ndarray) -> dict[str, np.ndarray]:
    """Column -> codes (0 in a ``NULLABLE`` column: not asked), one value per dwelling."""
    n = len(wealth)
    columns = {}
    for name, shares in _GRADED.items():
        rank = 0.55 * _standard(wealth) + 0.84 * rng.standard_normal(n)
        columns[name] = _by_rank(-rank, np.array(list(shares)), np.array(list(shares.values())))
    columns["id_dayapenerangan"][columns["id_sumberpenerangan"] != 1] = 0
    without = np.isin(columns["id_fasilitas_bab"], (5, 6))
    columns["id_jenis_kloset"][without] = 0
    columns["id_pembuangan_tinja"][without] = 0
    columns["luas_lantai_bangunan"] = np.clip(
        np.round(48 * np.exp(0.42 * wealth + 0.35 * rng.standard_normal(n))), 6, 600
    )
    for name, (share, weight) in _ASSETS.items():
        rank = weight * _standard(wealth) + rng.standard_normal(n)
        columns[name] = (rank >= np.quantile(rank, 1 - share)).astype(np.int8) if n else np.zeros(0, np.int8)
    for name in ANIMALS:
        columns[name] = rng.integers(1, 6, n) * (rng.random(n) < (0.004 if name == "jml_kambing_domba" else 0.0003))
    return columns


def _standard(values: np.ndarray) -> np.ndarray:
    standard: np.ndarray = (values - values.mean()) / max(values.std(), 1e-9)
    return standard


def _by_rank(rank: np.ndarray, codes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    position = np.empty(len(rank))
    position[np.argsort(rank, kind="stable")] = (np.arange(len(rank)) + 0.5) / max(len(rank), 1)
    return codes[np.searchsorted(np.cumsum(shares / shares.sum())[:-1], position)]
