"""Which rows are hidden beside the small ones, so that no small count can be worked out.

What needs protection are the small counts themselves: a numerator or rest below the threshold, and nobody or everybody
of a small base. An attacker's interval for each must be as wide as the threshold, or as the base where that is smaller;
a nobody that a shown nobody among more people implies needs none.

Greedy: where a sum leaves such a cell less room, the cheapest further member of that sum is hidden, with every row that
prints it, until bounds passed along all sums find nothing narrow. Not here: the sums (cells), the proof (attacker).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from warehouse.disclosure.attacker import Bounds, Sums, bounds, components, sums_among
from warehouse.disclosure.cells import LEVELS, System

Cell = tuple[int, int]

_ROUNDS = 60
# From this round on, or when a round left more than this of what was narrow, levels of whole tables are hidden.
_PATIENCE = 16
_PROGRESS = 0.95
# A total or base that stands in this many times the rows of the cell in need is a bad bargain.
_BARGAIN = 50
_SWEEPS = 8
# A level of a series is hidden whole where more than this of the rows that count anybody are small.
_MOST_SMALL = 0.75
_MANY = 8
_LEVEL_SCALE = np.array([400.0, 20.0, 1.0])


@dataclass(frozen=True)
class Policy:
    """From which count on a cell is shown, and from which denominator on a share of 0% or 100% is."""

    threshold: int
    small_base: int


class Pattern:
    """Which rows are hidden, and of which the bounds are withheld, [series, area]; and what that makes of the cells.

    ``public`` are cells that were published before with today's value: hiding them again would hide nothing. ``waived``
    counts the small counts that stay narrow with every row hidden that shares a sum with them.
    """

    def __init__(self, s: System, policy: Policy, hidden: np.ndarray, public: np.ndarray):
        self.s, self.policy = s, policy
        self.small = small_rows(s, policy)
        self.row = (self.small | hidden | _levels_of_small(s, self.small) | _inner_cells(s, self.small)) & s.has_row
        self.side = small_sides(s, policy)
        self.room = _room(s, policy, self.small)
        self.room[public] = 0
        self.public = public
        self.waived = 0
        self.asked = np.zeros(s.value.shape)
        order = np.argsort(s.term_class, kind="stable")
        self.terms_of = np.split(order, np.searchsorted(s.term_class[order], np.arange(1, len(s.value))))
        self.settle()

    def shown(self) -> np.ndarray:
        """Cells that a row prints, that no row has, or that are public."""
        s = self.s
        visible = s.has_row[s.term_series] & ~self.row[s.term_series]
        visible &= ~(s.term_is_side[:, None] & self.side[s.term_series])
        return shown_cells(s, visible) | self.public

    def settle(self) -> None:
        """Hide the rows of a group together, and what prints a cell in need."""
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

    def hide(self, cell: Cell) -> None:
        """Hide every row that prints the cell, or its bounds where only those do."""
        for t in self.terms_of[cell[0]]:
            series = self.s.term_series[t]
            if self.s.term_is_printed[t] and self.s.has_row[series, cell[1]]:
                (self.side if self.s.term_is_side[t] else self.row)[series, cell[1]] = True

    def cost(self) -> np.ndarray:
        """What hiding each cell would cost now."""
        s = self.s
        found = np.zeros(s.value.shape)
        rows = np.where(self.row | ~s.has_row, 0, s.cost)
        main = s.term_is_printed & ~s.term_is_side
        np.add.at(found, s.term_class[main], rows[s.term_series[main]])
        sides = np.where(self.side | ~s.has_row, 0, s.cost) / 20
        np.add.at(found, s.term_class[s.term_is_side], sides[s.term_series[s.term_is_side]])
        return found


def small_rows(s: System, policy: Policy) -> np.ndarray:
    """Rows that have to be hidden for their own numbers."""
    n, d, rest = s.numerator, s.denominator, s.denominator - s.numerator
    is_rate = (n >= 0) & (d >= 0)
    small = _few(n, policy) | (is_rate & _few(rest, policy)) | ((n < 0) & _few(d, policy))
    return small | (is_rate & (d > 0) & (d < policy.small_base) & ((n == 0) | (rest == 0)))


def _levels_of_small(s: System, small: np.ndarray) -> np.ndarray:
    """All rows of a series at a level where most are small: what is left would be hidden to protect them anyway."""
    found = np.zeros_like(small)
    for level in range(1, len(LEVELS)):
        at = s.areas.level == level
        counted = (s.has_row & ((s.numerator > 0) | small))[:, at].sum(axis=1)
        most = (counted >= _MANY) & (small[:, at].sum(axis=1) > _MOST_SMALL * counted)
        found[np.ix_(most, at)] = True
    return found


def _inner_cells(s: System, small: np.ndarray) -> np.ndarray:
    """All inner cells of a cross table in an area where one of them is small."""
    is_inner = s.table >= 0
    hit = np.zeros((int(s.table.max(initial=-1)) + 1, small.shape[1]), dtype=bool)
    np.logical_or.at(hit, s.table[is_inner], small[is_inner])
    found = np.zeros_like(small)
    found[is_inner] = hit[s.table[is_inner]]
    return found


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


def protect(pattern: Pattern) -> bool:
    """Hide more until nothing is narrow; whether that was reached."""
    s = pattern.s
    dirty = np.ones(len(s.value), dtype=bool)
    left = len(s.value) * len(s.areas.codes)
    for round_ in range(_ROUNDS):
        shown = pattern.shown()
        component = components(s, shown)
        chosen = np.isin(component, np.unique(component[dirty])) & ~shown.all(axis=1)
        if not chosen.any():
            return True
        sums = sums_among(s, chosen)
        found = bounds(s, sums, shown, _SWEEPS if round_ < 3 else 60)
        narrow = (pattern.room[sums.classes] > 0) & (found.width < pattern.room[sums.classes])
        if not narrow.any() and round_ >= 3:
            return True
        is_stuck = round_ > 3 and narrow.sum() > _PROGRESS * left
        left = int(narrow.sum())
        if round_ >= _PATIENCE or is_stuck:
            everywhere = np.zeros(s.value.shape, dtype=bool)
            everywhere[sums.classes] = narrow
            give_up_tables(pattern, everywhere)
        else:
            _Mender(pattern, sums, found, shown[sums.classes], component[sums.classes]).mend()
        before = shown
        pattern.settle()
        dirty = (pattern.shown() != before).any(axis=1)
        dirty[sums.classes[narrow.any(axis=1)]] = True
    return False


def give_up_tables(pattern: Pattern, narrow: np.ndarray) -> None:
    """Hide whole levels of the tables (mart and period) with cells that could not be protected otherwise.

    The level of the cell and those below it; where those are hidden already, the next above.
    """
    s = pattern.s
    levels: dict[tuple[str | None, ...], int] = {}
    for c, a in np.argwhere(narrow).tolist():
        for t in pattern.terms_of[c]:
            table = _table(s.keys[s.term_series[t]])
            levels[table] = min(levels.get(table, len(LEVELS)), int(s.areas.level[a]))
    of_table: dict[tuple[str | None, ...], list[int]] = {}
    for i, key in enumerate(s.keys):
        of_table.setdefault(_table(key), []).append(i)
    before = int(pattern.row.sum())
    for table, level in levels.items():
        rows = np.array(of_table[table])
        for highest in range(level, -1, -1):
            chosen = np.zeros_like(pattern.row)
            chosen[np.ix_(rows, s.areas.level >= highest)] = True
            chosen &= s.has_row
            if (chosen & ~pattern.row).any():
                pattern.row |= chosen
                break
    if int(pattern.row.sum()) == before:
        # What gives it away stands in other tables: all that share a sum with it.
        for c in sums_among(s, narrow.any(axis=1)).classes.tolist():
            for t in pattern.terms_of[c]:
                rows = np.array(of_table[_table(s.keys[s.term_series[t]])])
                pattern.row[rows] |= s.has_row[rows]
    if int(pattern.row.sum()) == before:
        # No row is left that could be hidden: what tells it was never a published number.
        pattern.waived += int((pattern.room[narrow] > 0).sum())
        pattern.room[narrow] = 0
    pattern.settle()


def _table(key: dict[str, str]) -> tuple[str | None, ...]:
    return key[""], key.get("period_kind"), key.get("period_start")


class _Mender:
    """One round: each sum with too little room gives up its cheapest further member."""

    def __init__(self, pattern: Pattern, sums: Sums, found: Bounds, shown: np.ndarray, component: np.ndarray):
        self.pattern, self.sums, self.shown = pattern, sums, shown
        self.component = component
        areas = pattern.s.areas
        self.block = np.where(areas.level == 2, areas.parent, np.arange(len(areas.codes)))
        self.t = pattern.policy.threshold
        self.width = found.width
        self.value = pattern.s.value[sums.classes]
        self.level = _LEVEL_SCALE[pattern.s.areas.level]
        self.cost = pattern.cost()[sums.classes]
        self.wanted = np.maximum(pattern.asked, pattern.room)[sums.classes]
        self.in_need = pattern.room[sums.classes] > 0
        self.narrow = ~shown & (self.wanted > 0) & (self.width < self.wanted)
        public, there = pattern.public[sums.classes], pattern.s.is_there[sums.classes]
        self.can_hide = shown & ~public & there & (self.cost > 0)
        # Hidden, but with a value that others give away: worth as much as a shown one, once protected itself.
        is_asked = pattern.asked[sums.classes] > 0
        self.can_ask = ~shown & (self.width < self.t) & ~is_asked & ~self.narrow & there & (self.value > 0)
        self.is_loose = ~shown & (self.width > 0.5)
        self.helped = np.zeros(self.value.shape)
        for _, parts in sums.families:
            self.helped[:, parts] = (~shown[:, parts]).sum(axis=1)[:, None].clip(max=3)
        self.changed: set[Cell] = set()
        ends = [*sums.part_start[1:].tolist(), len(sums.parts)]
        self.members = [
            [*sums.parts[start:end].tolist(), total]
            for start, end, total in zip(sums.part_start.tolist(), ends, sums.totals.tolist(), strict=False)
        ]
        self.equations_of: dict[int, list[int]] = {}
        for e, members in enumerate(self.members):
            for c in members:
                self.equations_of.setdefault(c, []).append(e)
        self.families_of: dict[int, list[list[int]]] = {}
        for head, parts in sums.families:
            for a in (*parts.tolist(), head):
                self.families_of.setdefault(a, []).append([*parts.tolist(), head])

    def mend(self) -> None:
        served = np.zeros_like(self.narrow)
        for members in [*self._poor_equations(), *self._poor_lines()]:
            self._widen(members, total=members[-1])
            for cell in members:
                served[cell] = True
        mended = {self._place(cell) for cell in self.changed}
        for cell in zip(*(places.tolist() for places in np.nonzero(self.narrow & self.in_need & ~served)), strict=True):
            # Not while something near it has just changed: the next round sees it better.
            if self._place(cell) not in mended:
                self._widen_around(cell)

    def _place(self, cell: Cell) -> tuple[int, int]:
        """The component and kecamatan of a cell."""
        return int(self.component[cell[0]]), int(self.block[cell[1]])

    def _poor_equations(self) -> list[list[Cell]]:
        """Members of the equations whose hidden parts are too few or too small for one of them."""
        sums, of = self.sums, self.sums.equation_of_part
        if not len(sums.totals):
            return []
        mass = np.add.reduceat(np.where(self.is_loose, self.value, 0)[sums.parts], sums.part_start, axis=0)
        # A base shown with both its sides hidden leaves them as much room as it is large, unless other sums take it.
        hidden = np.add.reduceat(np.where(self.shown, 0, self.value)[sums.parts], sums.part_start, axis=0)
        scale = self.level[None, :] * _BARGAIN
        is_dear = self.cost[sums.totals] > scale
        mass = np.where(is_dear, hidden, mass)
        mass[self.is_loose[sums.totals]] = _ENOUGH
        at, area = np.nonzero(self.narrow[sums.parts] & (mass[of] < self.wanted[sums.parts]))
        poor = set(zip(of[at].tolist(), area.tolist(), strict=True))
        has_loose = np.logical_or.reduceat(self.is_loose[sums.parts], sums.part_start, axis=0)
        at, area = np.nonzero(self.narrow[sums.totals] & ~has_loose)
        poor |= set(zip(at.tolist(), area.tolist(), strict=True))
        return [[(c, a) for c in self.members[e]] for e, a in sorted(poor)]

    def _poor_lines(self) -> list[list[Cell]]:
        free = np.where(self.is_loose, self.value, 0)
        lines = []
        for a, parts in self.sums.families:
            mass = free[:, parts].sum(axis=1)
            mass[self.is_loose[:, a]] = _ENOUGH
            poor = (self.narrow[:, parts] & (mass[:, None] < self.wanted[:, parts])).any(axis=1)
            poor |= self.narrow[:, a] & ~self.is_loose[:, parts].any(axis=1)
            for c in np.flatnonzero(poor & self.sums.line_holds[:, a]).tolist():
                lines.append([(c, int(m)) for m in (*parts, a)])
        return lines

    def _around(self, cell: Cell) -> list[Cell]:
        """All members of all sums the cell stands in."""
        c, a = cell
        members = [(m, a) for e in self.equations_of.get(c, ()) for m in self.members[e]]
        for family in self.families_of.get(a, ()):
            if self.sums.line_holds[c, family[-1]]:
                members += [(c, m) for m in family]
        return [member for member in members if member != cell]

    def _widen_around(self, cell: Cell) -> None:
        """Each sum alone has room enough, all together have not: hide a cheap neighbour, or give hidden ones room."""
        members = self._around(cell)
        if any(member in self.changed for member in members):
            return
        best = min((m for m in members if self.can_hide[m]), key=lambda m: (self.cost[m], m), default=None)
        if best is not None and self.cost[best] <= _BARGAIN * self.level[cell[1]]:
            self._take(best)
            return
        asked = self.pattern.asked
        close = [
            m
            for m in members
            if self.is_loose[m]
            and self.width[m] < 4 * self.t
            and asked[self.sums.classes[m[0]], m[1]] < self.width[m] + self.t
        ]
        if close:
            c, a = max(close, key=lambda m: (self.value[m], m))
            asked[self.sums.classes[c], a] = self.width[c, a] + self.t
            self.changed.add((c, a))
        elif best is not None:
            self._take(best)

    def _widen(self, members: Sequence[Cell], total: Cell) -> None:
        if any(member in self.changed for member in members):
            return
        best = min((m for m in members if self.can_hide[m]), key=lambda m: self._price(m, total), default=None)
        asked = min(
            (m for m in members if self.can_ask[m]), key=lambda m: (self.level[m[1]], -self.value[m]), default=None
        )
        # What it costs to protect a hidden one falls on the level below.
        if asked is not None and (best is None or self.level[asked[1]] <= 10 * self.cost[best]):
            self.pattern.asked[self.sums.classes[asked[0]], asked[1]] = self.t
            self.can_ask[asked] = False
            self.changed.add(asked)
        elif best is not None:
            self._take(best)

    def _price(self, cell: Cell, total: Cell) -> tuple[float, int, Cell]:
        """Cheap first; a part too small to make room counts for more, one that helps others in need for less."""
        value = int(self.value[cell])
        is_short = cell != total and value < self.t
        return self.cost[cell] * (5 if is_short else 1) / (1 + self.helped[cell]), value, cell

    def _take(self, cell: Cell) -> None:
        self.pattern.hide((int(self.sums.classes[cell[0]]), cell[1]))
        self.changed.add(cell)


_ENOUGH = 10**9
