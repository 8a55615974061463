"""Which rows are hidden, what that makes of the cells, and how far the tables found so far move each.

Here: what has to be hidden for its own numbers, and hiding a row with all that hides with it. Not here: which further
rows are hidden and why (hiding, witnesses).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from warehouse.disclosure.attacker import bounds, sums_among
from warehouse.disclosure.cells import System

# Bounds and unknowns of a row are cheaper to withhold than the row.
_SIDE_SHARE = 0.05
# What a table adds to which cells (class, area).
Moves = dict[tuple[int, int], float]


@dataclass(frozen=True)
class Policy:
    """From which count on a cell is shown, and from which denominator on a share of 0% or 100% is."""

    threshold: int
    small_base: int


@dataclass(frozen=True)
class Part:
    """What a pattern is for some of the series, and the classes these print; tables in the numbers of the whole."""

    series: np.ndarray
    classes: np.ndarray
    row: np.ndarray
    side: np.ndarray
    told: np.ndarray
    room: np.ndarray
    tables: list[Moves]
    waived: int


class Pattern:
    """Which rows are hidden, and of which the bounds are withheld, [series, area]; and what that makes of the cells.

    ``public`` are cells that were published before with today's value: hiding them again would hide nothing.
    ``tables`` are the witnesses, as what they add to which cells; ``up`` and ``down`` how far they move each cell;
    ``told`` are the small rows of which readers may know that they are small; ``waived`` counts the small counts that
    no hiding can keep as wide as is asked, for what is public already.
    """

    def __init__(self, s: System, policy: Policy, hidden: np.ndarray, public: np.ndarray):
        self.s, self.policy, self.public = s, policy, public
        # No hiding makes these uncertain.
        self.fixed = public | ~s.is_there
        self.small = small_rows(s, policy)
        self.told = self.small.copy()
        room = _room(s, policy, self.small)
        self.room = np.minimum(room, _left_open(s, self.fixed)) if public.any() else room
        self.up, self.down = np.zeros(s.value.shape), np.zeros(s.value.shape)
        self.tables: list[Moves] = []
        self.waived = int((self.room < room).sum())
        self.row = (self.small | hidden) & s.has_row
        self.side = small_sides(s, policy) | self.row
        self.terms_of = _grouped(s.term_class, len(s.value))
        self.terms_in = _grouped(s.term_series, len(s.keys))
        self.series_of = _grouped(s.group, int(s.group.max(initial=-1)) + 1)
        self._settle()
        self.visible, self.cost = self._standing()
        self.headline = self._headlines()
        self.fresh: set[tuple[int, int]] = set()

    def _settle(self) -> None:
        """Hide what prints a small count, and the rows of a group together."""
        s = self.s
        in_need = self.room > 0
        main = s.term_is_printed & ~s.term_is_side
        needed = in_need[s.term_class] & s.has_row[s.term_series]
        np.logical_or.at(self.row, s.term_series[main], needed[main])
        np.logical_or.at(self.side, s.term_series[s.term_is_side], needed[s.term_is_side])
        groups = np.zeros((int(s.group.max(initial=-1)) + 1, self.row.shape[1]), dtype=bool)
        np.logical_or.at(groups, s.group, self.row)
        self.row |= groups[s.group] & s.has_row
        self.side |= self.row

    def _standing(self) -> tuple[np.ndarray, np.ndarray]:
        """How many rows print each cell, and what hiding them all would cost."""
        s = self.s
        visible = np.zeros(s.value.shape, dtype=np.int32)
        cost = np.zeros(s.value.shape)
        for hidden, share, is_kind in ((self.row, 1.0, ~s.term_is_side), (self.side, _SIDE_SHARE, s.term_is_side)):
            chosen = np.flatnonzero(s.term_is_printed & is_kind)
            stands = (s.has_row & ~hidden)[s.term_series[chosen]]
            np.add.at(visible, s.term_class[chosen], stands)
            np.add.at(cost, s.term_class[chosen], np.where(stands, s.cost[s.term_series[chosen]] * share, 0.0))
        return visible, cost

    def _headlines(self) -> np.ndarray:
        """Cells that a headline prints and that still stand."""
        s = self.s
        main = s.term_is_printed & ~s.term_is_side & s.is_headline[s.term_series]
        found = np.zeros(s.value.shape, dtype=bool)
        np.logical_or.at(found, s.term_class[main], (s.has_row & ~self.row)[s.term_series[main]])
        return found

    def shown(self) -> np.ndarray:
        """Cells that a row prints, that no row has, or that are public."""
        return (self.visible > 0) | ~self.s.is_there | self.public

    def hide(self, classes: Iterable[int], area: int) -> None:
        """Hide every row that prints one of the cells, or its bounds where only those do."""
        s = self.s
        for c in classes:
            if not self.visible[c, area]:
                continue
            for t in self.terms_of[c]:
                series = s.term_series[t]
                if s.term_is_printed[t] and s.row[series, area] >= 0:
                    if s.term_is_side[t]:
                        self._withhold(series, area)
                    else:
                        self._hide_row(series, area)

    def _hide_row(self, series: int, area: int) -> None:
        if self.row[series, area]:
            return
        for member in self.series_of[self.s.group[series]]:
            if self.s.row[member, area] >= 0 and not self.row[member, area]:
                self.row[member, area] = True
                self._take(member, area, is_side=False)
                self._withhold(member, area)

    def _withhold(self, series: int, area: int) -> None:
        if not self.side[series, area]:
            self.side[series, area] = True
            self._take(series, area, is_side=True)

    def _take(self, series: int, area: int, is_side: bool) -> None:
        s = self.s
        for t in self.terms_in[series]:
            if s.term_is_printed[t] and s.term_is_side[t] == is_side:
                c = s.term_class[t]
                self.visible[c, area] -= 1
                self.cost[c, area] -= s.cost[series, area] * (_SIDE_SHARE if is_side else 1.0)
                if not self.visible[c, area]:
                    self.cost[c, area], self.headline[c, area] = 0.0, False
                    if not is_side:
                        self.fresh.add((int(c), area))

    def adopt(self, parts: Sequence[Part]) -> None:
        """Take over what was hidden elsewhere, to be judged and shown: nothing more is hidden here."""
        for part in parts:
            self.row[part.series], self.side[part.series], self.told[part.series] = part.row, part.side, part.told
            self.room[part.classes] = part.room
        self.tables = [table for part in parts for table in part.tables]
        self.waived = sum(part.waived for part in parts)
        self.visible, self.cost = self._standing()

    def keep(self, tables: Iterable[Moves]) -> None:
        """Hide what the tables move and remember how far."""
        for table in tables:
            for (c, area), by in table.items():
                self.hide((c,), area)
                self.up[c, area] = max(self.up[c, area], by)
                self.down[c, area] = max(self.down[c, area], -by)
            self.tables.append(table)


def _grouped(of: np.ndarray, size: int) -> list[np.ndarray]:
    order = np.argsort(of, kind="stable")
    return np.split(order, np.searchsorted(of[order], np.arange(1, size)))


def small_rows(s: System, policy: Policy) -> np.ndarray:
    """Rows that have to be hidden for their own numbers."""
    n, d, rest = s.numerator, s.denominator, s.denominator - s.numerator
    is_rate = (n >= 0) & (d >= 0)
    small = _few(n, policy) | (is_rate & _few(rest, policy)) | ((n < 0) & _few(d, policy))
    small |= is_rate & (d > 0) & (d < policy.small_base) & ((n == 0) | (rest == 0))
    return small & s.has_row


def small_sides(s: System, policy: Policy) -> np.ndarray:
    """Rows whose bounds or unknowns show a small count though the row itself does not."""
    n = s.numerator
    small = _few(s.unknown, policy) | ((n >= 0) & (s.high >= 0) & _few(s.high - n, policy))
    return (small | ((n >= 0) & (s.low >= 0) & _few(n - s.low, policy))) & s.has_row


def shown_cells(s: System, visible: np.ndarray) -> np.ndarray:
    """Cells printed by a visible term, [term, area], or with no row at all."""
    found = np.zeros(s.value.shape, dtype=bool)
    printed = s.term_is_printed
    np.logical_or.at(found, s.term_class[printed], visible[printed])
    return found | ~s.is_there


def _few(count: np.ndarray, policy: Policy) -> np.ndarray:
    return (count > 0) & (count < policy.threshold)


def _room(s: System, policy: Policy, small: np.ndarray) -> np.ndarray:
    """How wide an attacker's interval must be for each cell, 0 where it does not matter."""
    room = np.zeros(s.value.shape)
    is_small_base = (s.denominator > 0) & (s.denominator < policy.small_base)
    for kind in ("n", "r"):
        has = s.class_of[kind] >= 0
        classes = s.class_of[kind][has]
        count, base = s.value[classes], s.denominator[has]
        needs = small[has] & (_few(count, policy) | ((count == 0) & is_small_base[has]))
        width = np.where(base > 0, np.minimum(base, policy.threshold), policy.threshold)
        np.maximum.at(room, classes, np.where(needs, width, 0))
    while True:
        nobody = (s.value == 0) & (room == 0) & s.is_there
        implied = np.zeros_like(nobody)
        for a, parts in s.areas.families:
            implied[:, parts] |= (nobody[:, a] & s.line_holds[:, a])[:, None]
        np.logical_or.at(implied, s.parts, nobody[s.totals][s.equation_of_part])
        implied &= (room > 0) & (s.value == 0)
        if not implied.any():
            return room
        room[implied] = 0


def _left_open(s: System, public: np.ndarray) -> np.ndarray:
    """How wide each cell's interval is for whoever knows the public cells alone: no hiding makes it wider."""
    everything = sums_among(s, np.ones(len(s.value), dtype=bool))
    return bounds(s, everything, public).width
