"""Which rows are hidden beside the small ones, so that nothing hidden can be worked out.

What needs protection are the small counts themselves: a numerator or rest below the threshold, and nobody or everybody
of a small base. An attacker's interval for each must be as wide as the threshold, or as the base where that is smaller;
a nobody that a shown nobody among more people implies needs none. Every other hidden count must be uncertain by one at
least.

Each of them gets a *witness*: another table that agrees with everything shown and differs in that count by as much as
is asked. A witness moves counts between classes of one area so that every equation still holds (a *shift*: one more
counted, one less of the rest), and moves the same the other way round in a neighbouring area, so that every sum over
areas holds. The cheapest such pair is looked for, and the cells it moves are hidden; those hidden already cost nothing.
So the pattern is protected because of how it was made; the attack (attacker) checks it again from the numbers.

Not here: the sums (cells), the proof (attacker).
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from warehouse.disclosure.attacker import bounds, sums_among
from warehouse.disclosure.cells import LEVELS, System

# Bounds and unknowns of a row are cheaper to withhold than the row.
_SIDE_SHARE = 0.05
# Moving a hidden count costs next to nothing: it keeps shifts short.
_HIDDEN_COST = 1e-3
# Linear programs that look for shifts of one class: where one is known already, and at most.
_SHIFTS_TRIED = 1
_SHIFTS_OF_CLASS = 4
_FREE_OF_COMPONENT = 20
_SHIFTS_KEPT = 4
_PLACES_ASKED = 3
# Variables of one program over the areas around; where there are more, the attack decides.
_FREE_AT_MOST = 6000
_WELCOME = 5.0
_SHIFTS_PACKED = 24
_NEIGHBOURS_TRIED = 4
_NOUGHT = 1e-7
_MOST_TIMES = 1e9
_EXACT = 1e-9
_SWEEPS = 100


@dataclass(frozen=True)
class Policy:
    """From which count on a cell is shown, and from which denominator on a share of 0% or 100% is."""

    threshold: int
    small_base: int


@dataclass(frozen=True, eq=False)
class Shift:
    """Counts moved between classes of one area with every equation kept: ``by[i]`` is added to ``classes[i]``."""

    classes: np.ndarray
    by: np.ndarray


Places = list[tuple[Shift, int, float]]
Moves = dict[tuple[int, int], float]


@dataclass(frozen=True)
class Witness:
    """Up to two other tables: which shifts are made how often in which areas, with every sum over areas kept."""

    tables: list[Places]
    cost: float

    def moves(self) -> Iterator[Moves]:
        for table in self.tables:
            moved: Moves = {}
            for shift, area, times in table:
                for c, by in zip(shift.classes.tolist(), shift.by.tolist(), strict=True):
                    moved[c, area] = moved.get((c, area), 0.0) + by * times
            yield {cell: by for cell, by in moved.items() if abs(by) > _EXACT}


class Pattern:
    """Which rows are hidden, and of which the bounds are withheld, [series, area]; and what that makes of the cells.

    ``public`` are cells that were published before with today's value: hiding them again would hide nothing.
    ``tables`` are the witnesses, as what they add to which cells; ``up`` and ``down`` how far they move each cell;
    ``waived`` counts the small counts that no hiding can keep as wide as is asked, for what is public already.
    """

    def __init__(self, s: System, policy: Policy, hidden: np.ndarray, public: np.ndarray):
        self.s, self.policy, self.public = s, policy, public
        # No hiding makes these uncertain.
        self.fixed = public | ~s.is_there
        self.small = small_rows(s, policy)
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
        self.fresh: set[tuple[int, int]] = set()
        self.finder: _Finder | None = None

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
                    self.cost[c, area] = 0.0
                    if not is_side:
                        self.fresh.add((int(c), area))

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
    return small | (is_rate & (d > 0) & (d < policy.small_base) & ((n == 0) | (rest == 0)))


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
    return bounds(s, everything, public, _SWEEPS).width


def protect(pattern: Pattern) -> None:
    """Find a witness for every count that needs one, hiding what it moves; highest areas first."""
    s = pattern.s
    finder = pattern.finder = pattern.finder or _Finder(pattern)
    for level in range(len(LEVELS)):
        at = s.areas.level == level
        cells = np.argwhere((pattern.room > 0) & at[None, :])
        # Classes with many small counts first: what protects them serves the others.
        often = (pattern.room > 0)[:, at].sum(axis=1)
        for c, a in cells[np.lexsort((cells[:, 1], cells[:, 0], -often[cells[:, 0]]))].tolist():
            _serve(pattern, finder, c, a, pattern.room[c, a])
    waiting = _hidden_by_rows(pattern)
    while waiting:
        pattern.fresh.clear()
        for c, a in waiting:
            if not _is_implied_nobody(pattern, c, a):
                _serve(pattern, finder, c, a, 1.0)
        waiting = sorted(pattern.fresh)


def _serve(pattern: Pattern, finder: "_Finder", c: int, a: int, amount: float) -> None:
    if pattern.up[c, a] + pattern.down[c, a] >= amount - _EXACT:
        return
    witness = finder.find(c, a, amount)
    tables = list(witness.moves()) if witness is not None else finder.free(c, a, amount)
    if tables is not None:
        pattern.keep(tables)


def give_up(pattern: Pattern, narrow: np.ndarray, reach: int) -> None:
    """Hide what is tied to the cells that could not be protected otherwise, ever more of it.

    ``reach`` 1 and 2: as many equations away, in the areas beside the cell; then all that is tied, in ever wider parts
    of the city. Where nothing is left to hide, what tells the count is no published number, and the cell is waived.
    """
    s = pattern.s
    for c, a in np.argwhere(narrow).tolist():
        head = a
        for _ in range(max(1, reach - 1)):
            head = int(s.areas.parent[head]) if s.areas.parent[head] >= 0 else head
        parts = [i for i in range(len(s.areas.codes)) if _lies_in(s, i, head) and (i != head or s.areas.parent[i] < 0)]
        if reach <= 2:
            parts = [i for i in parts if s.areas.level[i] == s.areas.level[a]]
            tied = np.array([c])
            for _ in range(reach):
                equations = np.unique(s.matrix[:, tied].nonzero()[0])
                tied = np.union1d(tied, s.matrix[equations].indices)
        else:
            tied = np.flatnonzero(s.component == s.component[c])
        before = int(pattern.row.sum())
        for area in parts:
            pattern.hide(tied.tolist(), area)
        if reach > len(LEVELS) + 1 and int(pattern.row.sum()) == before:
            pattern.waived += 1
            pattern.room[c, a] = 0


def _lies_in(s: System, area: int, head: int) -> bool:
    while area >= 0 and area != head:
        area = int(s.areas.parent[area])
    return area == head


def _is_implied_nobody(pattern: Pattern, c: int, a: int) -> bool:
    """Whether a shown nobody among more people, in the area above or a total over categories, implies this one."""
    s = pattern.s
    if s.value[c, a]:
        return False
    parent = s.areas.parent[a]
    if parent >= 0 and s.line_holds[c, parent] and not s.value[c, parent] and not pattern.room[c, parent]:
        return True
    totals = s.totals[s.equation_of_part[s.parts == c]]
    return bool((s.is_there[totals, a] & (s.value[totals, a] == 0) & (pattern.room[totals, a] == 0)).any())


def _hidden_by_rows(pattern: Pattern) -> list[tuple[int, int]]:
    """Cells that hidden rows alone print, and no other does."""
    s = pattern.s
    main = s.term_is_printed & ~s.term_is_side
    printed = np.zeros(s.value.shape, dtype=bool)
    np.logical_or.at(printed, s.term_class[main], pattern.row[s.term_series[main]])
    places = np.argwhere(printed & ~pattern.shown())
    order = np.lexsort((places[:, 1], places[:, 0], s.areas.level[places[:, 1]]))
    return [(int(c), int(a)) for c, a in places[order]]


class _Finder:
    """Finds witnesses at what hiding costs now."""

    def __init__(self, pattern: Pattern):
        self.pattern, self.s = pattern, pattern.s
        self.children = dict(self.s.areas.families)
        self.shifts: dict[int, list[Shift]] = {}
        # What was spent: counted, not timed, so that equal data are hidden alike anywhere.
        self.programs: dict[int, int] = {}
        self.asked_freely: dict[int, int] = {}
        self.cuts: dict[int, tuple[np.ndarray, sparse.csr_matrix]] = {}
        # What the table at hand has moved already.
        self.pending = np.zeros(self.s.value.shape)
        self.touched: list[tuple[np.ndarray, int]] = []

    def find(self, c: int, a: int, amount: float) -> Witness | None:
        """The cheapest witness found that moves class c in area a by the amount, None where there is none."""
        # What class c cannot fall has to be made up for by rising.
        held = float(self.s.value[c, a])
        by = amount - held if amount > held else -amount
        for chain in self._chains(a):
            best = self._known(c, chain, amount)
            if best is not None and (best.cost <= 0 or self.programs.get(c, 0) >= _SHIFTS_TRIED):
                return best
            if self.programs.get(c, 0) < _SHIFTS_OF_CLASS and self._solve(c, a, by):
                found = self._known(c, chain, amount)
                best = min((w for w in (best, found) if w is not None), key=lambda w: w.cost, default=None)
            if best is not None:
                return best
        return None

    def free(self, c: int, a: int, amount: float) -> list[Moves] | None:
        """Two tables from linear programs over the areas around: slow, but not bound to one shift in all of them."""
        component = int(self.s.component[c])
        self.asked_freely[component] = self.asked_freely.get(component, 0) + 1
        if self.asked_freely[component] > _FREE_OF_COMPONENT:
            return None
        held = min(float(self.s.value[c, a]), amount)
        areas = self._around(c, a)
        if len(areas) * len(self._cut(int(self.s.component[c]))[0]) > _FREE_AT_MOST:
            return None
        for wanted in ((amount - held, -held), (amount,)):
            found = [self._around_program(c, a, by, areas) for by in wanted if abs(by) > _EXACT]
            if all(moves is not None for moves in found):
                return found
        return None

    def _around(self, c: int, a: int) -> np.ndarray:
        """An area with its parts, those beside it (few of them, with few parts, where they have any), those above."""
        chain = list(self._chains(a))[-1]
        around = {*chain, *self.children.get(a, ())}
        beside = self.children.get(int(self.s.areas.parent[a]), np.array([], dtype=int))
        if a in self.children:
            beside = beside[np.argsort(-self.s.value[c, beside], kind="stable")][:_PLACES_ASKED]
        for area in beside.tolist():
            parts = self.children.get(area, np.array([], dtype=int))
            around |= {area, *parts[np.argsort(-self.s.value[c, parts], kind="stable")][:_PLACES_ASKED].tolist()}
        return np.array(sorted(map(int, around)))

    def _around_program(self, c: int, a: int, by: float, areas: np.ndarray) -> Moves | None:
        classes, equations = self._cut(int(self.s.component[c]))
        size, width = len(classes), len(areas)
        cells = np.ix_(classes, areas)
        rules = [sparse.kron(equations[:, :size], sparse.identity(width))]
        for i, area in enumerate(areas.tolist()):
            parts = np.flatnonzero(np.isin(areas, self.children.get(area, ())))
            line = sparse.lil_matrix((1, width))
            line[0, i], line[0, parts] = -1, 1
            holds = self.s.line_holds[classes, area] if area in self.children else np.zeros(size, dtype=bool)
            rules.append(sparse.kron(sparse.identity(size, format="csr")[holds], line))
        matrix = sparse.vstack(rules, format="csr")
        cost = _HIDDEN_COST + self.pattern.cost[cells].ravel()
        cost = np.concatenate([cost, cost])
        movable = ~self.pattern.fixed[cells].ravel()
        highest = np.concatenate([np.where(movable, _MOST_TIMES, 0), np.where(movable, self.s.value[cells].ravel(), 0)])
        # Other counts that wait for a witness are moved along where that is cheap.
        room = self.pattern.room[cells].ravel()
        waiting = movable & (room > (self.pattern.up + self.pattern.down)[cells].ravel() + _EXACT)
        side = np.flatnonzero(waiting) + (0 if by > 0 else size * width)
        cost[side] -= _WELCOME
        highest[side] = np.minimum(highest[side], room[waiting])
        lowest = np.zeros(2 * size * width)
        at = int(np.searchsorted(classes, c)) * width + int(np.searchsorted(areas, a))
        forward, backward = (at, size * width + at) if by > 0 else (size * width + at, at)
        lowest[forward] = highest[forward] = abs(by)
        highest[backward] = 0.0
        solved = milp(
            cost,
            constraints=LinearConstraint(sparse.hstack([matrix, -matrix], format="csr"), 0, 0),
            bounds=Bounds(lowest, highest),
        )
        if solved.status != 0:
            return None
        moves = solved.x[: size * width] - solved.x[size * width :]
        places = np.flatnonzero(np.abs(moves) > _NOUGHT)
        return {(int(classes[p // width]), int(areas[p % width])): float(moves[p]) for p in places.tolist()}

    def _known(self, c: int, chain: list[int], amount: float) -> Witness | None:
        """The cheapest of the shifts that did before, else several of them together."""
        known, best = self.shifts.setdefault(c, []), None
        for shift in known[:_SHIFTS_KEPT]:
            found = self._witness([shift], c, chain, amount)
            if found is not None and (best is None or found.cost < best.cost):
                best = found
                known.remove(shift)
                known.insert(0, shift)
                if best.cost <= 0:
                    return best
        return best or self._witness(known[:_SHIFTS_PACKED], c, chain, amount)

    def _chains(self, a: int) -> Iterator[list[int]]:
        """The area by itself; where its neighbours cannot make up for it, with those above it."""
        chain = [a]
        yield chain
        while self.s.areas.parent[chain[-1]] >= 0:
            chain = [*chain, int(self.s.areas.parent[chain[-1]])]
            yield chain

    def _witness(self, shifts: Sequence[Shift], c: int, chain: list[int], amount: float) -> Witness | None:
        """The shifts in the chain, as far down as they go and up for the rest, and the other way round beside it."""
        down, places_down, cost_down = self._table(
            shifts, c, chain, -1.0, min(amount, float(self.s.value[c, chain[0]]))
        )
        wanted = amount - down
        if wanted <= _EXACT:
            return Witness([places_down], cost_down)
        hidden = {area for _, area, _ in places_down}
        up, places_up, cost_up = self._table(shifts, c, chain, 1.0, wanted, hidden)
        if up < wanted - _EXACT:
            return None
        return Witness([table for table in (places_down, places_up) if table], cost_down + cost_up)

    def _table(
        self,
        shifts: Sequence[Shift],
        c: int,
        chain: list[int],
        sign: float,
        wanted: float,
        free: Set[int] = frozenset(),
    ) -> tuple[float, Places, float]:
        """How far class c can be moved that way in the chain, by which places, at what cost."""
        done, places, cost = 0.0, [], 0.0
        for shift in shifts:
            if wanted - done <= _EXACT:
                break
            moved = Shift(shift.classes, shift.by * (sign / float(shift.by[shift.classes == c][0])))
            found = self._move(moved, chain, wanted - done, free)
            if found is not None:
                done += found[0]
                places += found[1]
                cost += found[2]
        for classes, area in self.touched:
            self.pending[classes, area] = 0.0
        self.touched.clear()
        return done, places, cost

    def _move(
        self, moved: Shift, chain: list[int], wanted: float, free: Set[int]
    ) -> tuple[float, Places, float] | None:
        """Make the shift in the chain up to ``wanted`` times."""
        ends = np.array(chain)
        times = min(wanted, float(self._most(moved, ends, 1.0).min()))
        top = chain[-1]
        parent = int(self.s.areas.parent[top])
        has_neighbours = parent >= 0 and self.s.line_holds[moved.classes, parent].any()
        is_summed = chain[0] in self.children and self.s.line_holds[moved.classes, chain[0]].any()
        siblings = self.children[parent][self.children[parent] != top] if has_neighbours else ends[:0]
        if has_neighbours:
            times = min(times, float(self._most(moved, siblings, -1.0).sum()))
        if is_summed:
            times = min(times, float(self._most(moved, self.children[chain[0]], 1.0).sum()))
        if times <= _EXACT:
            return None
        places: Places = [(moved, area, times) for area in chain]
        cost = sum(self._costs(moved, ends, free).tolist())
        for needed, areas, sign in ((has_neighbours, siblings, -1.0), (is_summed, self.children.get(chain[0]), 1.0)):
            if needed:
                found = self._spread(moved, areas, sign * times, free)
                if found is None:
                    return None
                cost += found[0]
                places += found[1]
        for _, area, by in places:
            self.pending[moved.classes, area] += moved.by * by
            self.touched.append((moved.classes, area))
        return times, places, cost

    def _absorb(self, moved: Shift, a: int, times: float, free: Set[int]) -> tuple[float, Places] | None:
        """What parts of area a must move so that they still add up to it."""
        if a not in self.children or not self.s.line_holds[moved.classes, a].any():
            return 0.0, []
        return self._spread(moved, self.children[a], times, free)

    def _spread(self, moved: Shift, areas: np.ndarray, times: float, free: Set[int]) -> tuple[float, Places] | None:
        """Cost and places of making the shift so many times in all over some of the areas, with their parts."""
        sign, left = np.sign(times), abs(times)
        most, costs = self._most(moved, areas, sign), self._costs(moved, areas, free)
        able = np.flatnonzero(most >= left - _EXACT)
        best = None
        people = self.s.value[moved.classes[:, None], areas[able]].sum(axis=0)
        for i in able[np.lexsort((people, costs[able]))][:_NEIGHBOURS_TRIED].tolist():
            if best is not None and costs[i] >= best[0]:
                break
            below = self._absorb(moved, int(areas[i]), times, free)
            if below is not None and (best is None or costs[i] + below[0] < best[0]):
                best = (float(costs[i]) + below[0], [(moved, int(areas[i]), times), *below[1]])
        if best is not None:
            return best
        cost, places = 0.0, []
        for i in np.lexsort((-most, costs > 0)).tolist():
            if most[i] <= _EXACT:
                continue
            part = sign * min(left, most[i])
            below = self._absorb(moved, int(areas[i]), part, free)
            if below is None:
                continue
            cost += float(costs[i]) + below[0]
            places += [(moved, int(areas[i]), part), *below[1]]
            left -= abs(part)
            if left <= _EXACT:
                return cost, places
        return None

    def _most(self, moved: Shift, areas: np.ndarray, sign: float) -> np.ndarray:
        """How many times each area can take the shift in that direction before a count falls below nobody."""
        cells = (moved.classes[:, None], areas)
        falls = sign * moved.by < 0
        most = np.full(len(areas), _MOST_TIMES)
        if falls.any():
            falling = (moved.classes[falls][:, None], areas)
            left = self.s.value[falling] + self.pending[falling]
            most = (left / np.abs(moved.by[falls])[:, None]).min(axis=0).clip(0.0, _MOST_TIMES)
        return np.where(self.pattern.fixed[cells].any(axis=0), 0.0, most)

    def _costs(self, moved: Shift, areas: np.ndarray, free: Set[int]) -> np.ndarray:
        costs = self.pattern.cost[moved.classes[:, None], areas].sum(axis=0)
        if free:
            costs[[i for i, area in enumerate(areas.tolist()) if area in free]] = 0.0
        return costs

    def _solve(self, c: int, a: int, by: float) -> bool:
        """Find the cheapest shift that moves class c in area a that far: a linear program over what is tied to it."""
        self.programs[c] = self.programs.get(c, 0) + 1
        classes, matrix = self._cut(int(self.s.component[c]))
        moves = self._program(classes, matrix, c, a, by) if matrix.shape[0] else np.ones(1)
        if moves is None:
            return False
        moved = np.flatnonzero(np.abs(moves) > _NOUGHT)
        shift = Shift(classes[moved], moves[moved])
        for other in shift.classes.tolist():
            self.shifts.setdefault(other, []).insert(0, shift)
        return True

    def _program(self, classes: np.ndarray, matrix: sparse.csr_matrix, c: int, a: int, by: float) -> np.ndarray | None:
        cost = _HIDDEN_COST + self.pattern.cost[classes, a]
        partner = self._usual_partner(classes, a)
        if partner >= 0:
            cost += self.pattern.cost[classes, partner]
        size = len(classes)
        free = ~self.pattern.fixed[classes, a]
        highest = np.concatenate(
            [np.where(free, _MOST_TIMES, 0), np.where(free, self.s.value[classes, a] / abs(by), 0)]
        )
        lowest = np.zeros(2 * size)
        at = int(np.searchsorted(classes, c))
        forward, backward = (at, size + at) if by > 0 else (size + at, at)
        lowest[forward] = highest[forward] = 1.0
        highest[backward] = 0.0
        solved = milp(
            np.concatenate([cost, cost]), constraints=LinearConstraint(matrix, 0, 0), bounds=Bounds(lowest, highest)
        )
        return solved.x[:size] - solved.x[size:] if solved.status == 0 else None

    def _usual_partner(self, classes: np.ndarray, a: int) -> int:
        """The sibling with the most people in these classes, -1 for the city."""
        parent = int(self.s.areas.parent[a])
        if parent < 0:
            return -1
        siblings = self.children[parent]
        siblings = siblings[siblings != a]
        if not len(siblings):
            return -1
        return int(siblings[self.s.value[np.ix_(classes, siblings)].sum(axis=0).argmax()])

    def _cut(self, component: int) -> tuple[np.ndarray, sparse.csr_matrix]:
        """The classes of a component, and its equations over what each rises and what each falls."""
        if component not in self.cuts:
            classes = np.flatnonzero(self.s.component == component)
            cut = self.s.matrix[:, classes]
            cut = cut[np.diff(cut.indptr) > 0]
            self.cuts[component] = classes, sparse.hstack([cut, -cut], format="csr")
        return self.cuts[component]
