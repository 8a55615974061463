"""Of which small rows readers may be told that they are small.

``primary`` says that a row's own count lies below the threshold, or its rest does. Beside shown sums that can give the
count away: two small counts that add up to twice the highest are both the highest. Told is what leaves every small
count two values at least; the other small rows are told as their partners are, so that no reason but ``primary`` says
anything of a count. Not here: what is hidden (hiding), what the sums alone give away (attacker).
"""

import numpy as np
from scipy import sparse

from warehouse.disclosure.attacker import bounds, sums_among
from warehouse.disclosure.cells import System
from warehouse.disclosure.pattern import Pattern

_TWO_VALUES = 1 - 1e-6


def told(pattern: Pattern) -> np.ndarray:
    """The small rows whose reason may be told [series, area].

    The attacker is taken to know which of a row's counts is the small one. Bounds are passed along the sums; a count
    that they pin loses its own reason, or the nearest ones where its own are gone.
    """
    s, found, shown = pattern.s, pattern.small.copy(), pattern.shown()
    chosen = np.isin(s.component, np.unique(s.component[(pattern.room > 0).any(axis=1)]))
    sums = sums_among(s, chosen)
    beside = abs(s.matrix).T @ abs(s.matrix)
    while True:
        width = np.full(s.value.shape, np.inf)
        width[sums.classes] = bounds(s, sums, shown, _known(pattern, found)).width
        region = (pattern.room > 0) & ~shown & (width < _TWO_VALUES)
        if not region.any():
            return found
        while not (withdrawn := found & _printed(s, region)).any():
            region, reached = _wider(s, beside, region), int(region.sum())
            if region.sum() == reached:
                return found
        found &= ~withdrawn


def _known(pattern: Pattern, rows: np.ndarray) -> np.ndarray:
    """The highest value of each cell for whoever is told that the rows are small, from 1 on; no limit elsewhere."""
    s, most = pattern.s, pattern.policy.threshold - 1
    found = np.full(s.value.shape, np.inf)
    for kind in ("n", "r", "d"):
        has = s.class_of[kind] >= 0
        classes = s.class_of[kind][has]
        few = rows[has] & (s.value[classes] > 0) & (s.value[classes] <= most)
        if kind == "d":
            few &= s.numerator[has] < 0
        np.minimum.at(found, classes, np.where(few, float(most), np.inf))
    return found


def _printed(s: System, cells: np.ndarray) -> np.ndarray:
    """The rows [series, area] that print one of the cells, or whose rest it is."""
    found = np.zeros(s.row.shape, dtype=bool)
    np.logical_or.at(found, s.term_series, cells[s.term_class])
    return found & s.has_row


def _wider(s: System, beside: sparse.csr_matrix, cells: np.ndarray) -> np.ndarray:
    """The cells, with those in an equation or a line of areas with one of them."""
    found = cells | (beside @ cells.astype(float) > 0)
    for a, parts in s.areas.families:
        family = [a, *parts]
        found[:, family] |= cells[:, family].any(axis=1)[:, None]
    return found
