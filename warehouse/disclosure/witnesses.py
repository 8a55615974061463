"""Tables that agree with everything shown and move one count: shifts, found by linear programs, made here and there.

A *shift* moves counts between classes of one area so that every equation still holds (one more counted, one less of the
rest). Made in one area and the other way round beside it, it keeps every sum over areas. What was found for one period
is tried in the others. Where shifts do not meet, one program over the areas around decides (``free``). What is spent is
counted, not timed, so that equal data are hidden alike anywhere. Not here: for which cells, in what order (hiding).
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from warehouse.disclosure.cells import System
from warehouse.disclosure.pattern import Moves, Pattern
from warehouse.disclosure.programs import Program

# Moving a hidden count costs next to nothing: it keeps shifts short.
_HIDDEN_COST = 1e-3
# Programs for a cheaper shift where one is known that does, for all periods of a class together; and at most for a
# class where none does, at each number of levels spared.
_SHIFTS_TRIED = 1
_SHIFTS_OF_CLASS = 8
# Shifts tried by themselves, newest first; and put together where none does by itself.
_SHIFTS_KEPT = 4
_SHIFTS_PACKED = 8
# Areas beside, those with the most people: asked for a shift of their own, taken into a program, tried as partner.
_PLACES_ASKED = 3
_PLACES_BESIDE = 4
_NEIGHBOURS_TRIED = 4
# Programs over several areas that may find nothing for the same count of all periods, while headlines are spared.
_FAILURES = 1
# What a program gains by moving another cell that waits for its table.
_WELCOME = 5.0
# Equations away whose classes a program over several areas takes in, the fewer first.
_NEAR = (2, 3)
_NOUGHT = 1e-7
_MOST_TIMES = 1e9
EXACT = 1e-9


@dataclass(frozen=True, eq=False)
class Shift:
    """Counts moved between classes of one area with every equation kept: ``by[i]`` is added to ``classes[i]``.

    ``up`` and ``down`` [area]: how many times an area can take it, that way and the other way round, before a count
    falls below nobody; ``is_summed``: where parts of the area have to move with it.
    """

    classes: np.ndarray
    by: np.ndarray
    up: np.ndarray
    down: np.ndarray
    is_summed: np.ndarray


Places = list[tuple[Shift, int, float]]


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
            yield {cell: by for cell, by in moved.items() if abs(by) > EXACT}


def _terms_without_period(s: System) -> list[list[tuple[str, int]]]:
    """For each class its terms, as what is counted and a number for the series' keys but the period."""
    seen: dict[tuple, int] = {}
    named = [seen.setdefault(tuple((k, v) for k, v in key.items() if k != "period_start"), len(seen)) for key in s.keys]
    terms: list[list[tuple[str, int]]] = [[] for _ in s.value]
    for kind, classes in s.class_of.items():
        for series in np.flatnonzero(classes >= 0).tolist():
            terms[classes[series]].append((kind, named[series]))
    return terms


def _equations_of(s: System) -> list[list[tuple[int, float]]]:
    """For each class the equations it stands in, with its sign."""
    columns = s.matrix.tocsc()
    starts = columns.indptr.tolist()
    pairs = list(zip(columns.indices.tolist(), columns.data.tolist(), strict=True))
    return [pairs[start:end] for start, end in itertools.pairwise(starts)]


def _times(value: np.ndarray, by: np.ndarray) -> np.ndarray:
    """How many times each area can take what is added to its counts [class, area] before one falls below nobody."""
    falls = by < 0
    if not falls.any():
        return np.full(value.shape[1], _MOST_TIMES)
    return np.maximum(np.minimum((value[falls] / -by[falls, None]).min(axis=0), _MOST_TIMES), 0.0)


class Finder:
    """Finds witnesses at what hiding costs now."""

    def __init__(self, pattern: Pattern):
        self.pattern, self.s = pattern, pattern.s
        self.children = dict(self.s.areas.families)
        self.shifts: dict[int, list[Shift]] = {}
        self.spared = 0
        # What was spent: counted, not timed, so that equal data are hidden alike anywhere.
        self.programs: Counter[tuple[int, int]] = Counter()
        self.tried: Counter[tuple[str, int]] = Counter()
        self.failed: Counter[tuple[tuple[str, int], int, int]] = Counter()
        # Periods are alike: what was found for the terms of one is tried in the others.
        self.terms = _terms_without_period(self.s)
        self.found: dict[tuple[str, int], list[Shift]] = {}
        self.equations_of = _equations_of(self.s)
        self.has_learned: set[int] = set()
        self.places: dict[int, dict[tuple[str, int], int]] = {}
        self.tied: dict[int, tuple[np.ndarray, Program]] = {}
        self.beside = [self._beside(a) for a in range(len(self.s.areas.codes))]

    def _beside(self, a: int) -> np.ndarray | None:
        """The other parts of the area above."""
        parent = int(self.s.areas.parent[a])
        return self.children[parent][self.children[parent] != a] if parent >= 0 else None

    def _is_held(self, cells: tuple) -> np.ndarray:
        """Which of the cells [class, area] no table may move: no hiding makes them uncertain, or they are spared."""
        spared = self.pattern.headline[cells] & (self.s.areas.level[cells[1]] < self.spared)
        return self.pattern.fixed[cells] | spared

    def find(self, c: int, a: int, amount: float, *, spared: int) -> list[Moves] | None:
        """The tables of the cheapest witness that moves class c in area a by the amount, None where there is none.

        ``spared``: on how many levels of areas, from the city down, headlines must not move.
        """
        self.spared = spared
        witness = self._cheapest(c, a, amount)
        return list(witness.moves()) if witness is not None else None

    def _cheapest(self, c: int, a: int, amount: float) -> Witness | None:
        self._learn(c)
        kind = self.terms[c][0]
        for chain in self._chains(a):
            if not self._can_be_met(c, chain):
                continue
            best = self._known(c, chain, amount)
            if best is not None and (best.cost <= 0 or self.tried[kind] >= _SHIFTS_TRIED):
                return best
            for area, by in self._asked(c, a, amount):
                if self.programs[c, self.spared] >= _SHIFTS_OF_CLASS:
                    break
                self.programs[c, self.spared] += 1
                self.tried[kind] += 1
                shift = self._solve(c, area, by)
                if shift is None:
                    continue
                found = self._witness([shift], c, chain, amount)
                if found is None and best is None:
                    found = self._packed(c, chain, amount)
                best = min((w for w in (best, found) if w is not None), key=lambda w: w.cost, default=None)
                if best is not None:
                    break
            if best is not None:
                return best
        return None

    def _can_be_met(self, c: int, chain: list[int]) -> bool:
        """Whether areas beside the chain could make up for what the class moves in it."""
        top = chain[-1]
        parent = int(self.s.areas.parent[top])
        if self._is_held((c, chain)).any():
            return False
        return parent < 0 or not self.s.line_holds[c, parent] or not self._is_held((c, self.beside[top])).all()

    def _learn(self, c: int) -> None:
        """Take over the shifts that were found for the same terms in another period, where its sums allow them."""
        if c in self.has_learned:
            return
        self.has_learned.add(c)
        component = int(self.s.component[c])
        for term in self.terms[c]:
            for shift in self.found.get(term, ())[:_SHIFTS_KEPT]:
                moved = self._translated(shift, component)
                if moved is not None and (moved.classes == c).any():
                    self.shifts.setdefault(c, []).append(moved)

    def _translated(self, shift: Shift, component: int) -> Shift | None:
        """A shift with each class replaced by the one that has its terms in another component."""
        place = self._places(component)
        by: dict[int, float] = {}
        for other, moved in zip(shift.classes.tolist(), shift.by.tolist(), strict=True):
            c = next((place[term] for term in self.terms[other] if place.get(term, -1) >= 0), -1)
            if c < 0 or by.setdefault(c, moved) != moved:
                return None
        left: Counter[int] = Counter()
        for c, moved in by.items():
            for equation, sign in self.equations_of[c]:
                left[equation] += sign * moved
        if any(abs(amount) > _NOUGHT for amount in left.values()):
            return None
        classes = sorted(by)
        return self._shift(np.array(classes), np.array([by[c] for c in classes]))

    def _places(self, component: int) -> dict[tuple[str, int], int]:
        """The class of each term of a component; a term that it has in several periods is left out."""
        if component not in self.places:
            place: dict[tuple[str, int], int] = {}
            for c in np.flatnonzero(self.s.component == component).tolist():
                for term in self.terms[c]:
                    place[term] = c if place.get(term, c) == c else -1
            self.places[component] = place
        return self.places[component]

    def free(self, c: int, a: int, amount: float, *, spared: int) -> list[Moves] | None:
        """Two tables from linear programs over the areas around: slow, but not bound to one shift in all of them."""
        self.spared = spared
        kind = self.terms[c][0], int(self.s.areas.level[a]), spared
        if (spared and self.failed[kind] >= _FAILURES) or not any(
            self._can_be_met(c, chain) for chain in self._chains(a)
        ):
            return None
        held = min(float(self.s.value[c, a]), amount)
        areas = self._around(c, a)
        for reach in _NEAR:
            table = self._around_program(c, a, areas, reach)
            for wanted in ((amount - held, -held), (amount,)):
                tables = (table(by) for by in wanted if abs(by) > EXACT)
                found = list(itertools.takewhile(lambda moves: moves is not None, tables))
                if len(found) == sum(abs(by) > EXACT for by in wanted):
                    return found
        self.failed[kind] += 1
        return None

    def _around(self, c: int, a: int) -> np.ndarray:
        """An area with its parts, those beside it (few of them, with few parts, where they have any), those above."""
        chain = list(self._chains(a))[-1]
        around = {*chain, *self.children.get(a, ())}
        beside = self.children.get(int(self.s.areas.parent[a]), np.array([], dtype=int))
        few = _PLACES_ASKED if a in self.children else _PLACES_BESIDE
        beside = beside[np.argsort(-self.s.value[c, beside], kind="stable")][:few]
        for area in beside.tolist():
            parts = self.children.get(area, np.array([], dtype=int))
            around |= {area, *parts[np.argsort(-self.s.value[c, parts], kind="stable")][:_PLACES_ASKED].tolist()}
        return np.array(sorted(map(int, around)))

    def _around_program(self, c: int, a: int, areas: np.ndarray, reach: int) -> Callable[[float], Moves | None]:
        """The cheapest table over the areas that moves class c in area a, as far as it is asked."""
        classes, equations = self._near(c, reach)
        width = len(areas)
        cells = np.ix_(classes, areas)
        rules = [sparse.kron(equations, sparse.identity(width))]
        for i, area in enumerate(areas.tolist()):
            parts = np.flatnonzero(np.isin(areas, self.children.get(area, ())))
            line = sparse.lil_matrix((1, width))
            line[0, i], line[0, parts] = -1, 1
            holds = self.s.line_holds[classes, area] if area in self.children else np.zeros(len(classes), dtype=bool)
            rules.append(sparse.kron(sparse.identity(len(classes), format="csr")[holds], line))
        program = Program(sparse.vstack(rules, format="csr"))
        at = int(np.searchsorted(classes, c)) * width + int(np.searchsorted(areas, a))

        def table(by: float) -> Moves | None:
            may = ~self._is_held(cells).ravel()
            cost = _HIDDEN_COST + self.pattern.cost[cells].ravel()
            costs, limits = [cost, cost.copy()], [may * _MOST_TIMES, may * self.s.value[cells].ravel()]
            # Other counts that wait for a witness are moved along where that is cheap.
            room = self.pattern.room[cells].ravel()
            waiting = may & (room > (self.pattern.up + self.pattern.down)[cells].ravel() + EXACT)
            side = int(by < 0)
            costs[side][waiting] -= _WELCOME
            limits[side][waiting] = np.minimum(limits[side], room)[waiting]
            moves = program.solve(np.concatenate(costs), *limits, at, by)
            if moves is None:
                return None
            places = np.flatnonzero(np.abs(moves) > _NOUGHT)
            return {(int(classes[p // width]), int(areas[p % width])): float(moves[p]) for p in places.tolist()}

        return table

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
        return best or self._packed(c, chain, amount)

    def _packed(self, c: int, chain: list[int], amount: float) -> Witness | None:
        """Several of the newest shifts together; they hardly ever meet in a chain whose top's headlines must stand."""
        if len(chain) > 1 and self.spared > self.s.areas.level[chain[-1]]:
            return None
        return self._witness(self.shifts[c][:_SHIFTS_PACKED], c, chain, amount)

    def _chains(self, a: int) -> Iterator[list[int]]:
        """The area by itself; where its neighbours cannot make up for it, with those above it."""
        chain = [a]
        yield chain
        while self.s.areas.parent[chain[-1]] >= 0:
            chain = [*chain, int(self.s.areas.parent[chain[-1]])]
            yield chain

    def _asked(self, c: int, a: int, amount: float) -> Iterator[tuple[int, float]]:
        """Where, and how far, a new shift should be able to move the class: here first, then where that must be met."""
        held = float(self.s.value[c, a])
        up, down = max(amount - held, 0.0), min(amount, held)
        sides = [(sign, by) for sign, by in ((1.0, up), (-1.0, down)) if by > 0]
        yield from ((a, sign * by) for sign, by in sides)
        parent = int(self.s.areas.parent[a])
        for areas, turn in ((self.children.get(parent), -1.0), (self.children.get(a), 1.0)):
            if areas is None:
                continue
            largest = areas[np.argsort(-self.s.value[c, areas], kind="stable")][:_PLACES_ASKED]
            for area in largest[largest != a].tolist():
                for sign, by in sides:
                    most = by if sign * turn > 0 else min(by, float(self.s.value[c, area]))
                    if most > 0:
                        yield area, sign * turn * most

    def _witness(self, shifts: Sequence[Shift], c: int, chain: list[int], amount: float) -> Witness | None:
        """The shifts in the chain, as far down as they go and up for the rest, and the other way round beside it."""
        down, places_down, cost_down = self._table(
            shifts, c, chain, -1.0, min(amount, float(self.s.value[c, chain[0]]))
        )
        wanted = amount - down
        if wanted <= EXACT:
            return Witness([places_down], cost_down)
        hidden = {area for _, area, _ in places_down}
        up, places_up, cost_up = self._table(shifts, c, chain, 1.0, wanted, hidden)
        if up < wanted - EXACT:
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
            if wanted - done <= EXACT:
                break
            factor = sign / float(shift.by[np.searchsorted(shift.classes, c)])
            if (shift.up if factor > 0 else shift.down)[chain].min() <= EXACT:
                continue
            found = self._move(self._after(shift, places) if places else shift, factor, chain, wanted - done, free)
            if found is not None:
                done += found[0]
                places += found[1]
                cost += found[2]
        return done, places, cost

    def _after(self, shift: Shift, places: Places) -> Shift:
        """The shift as far as it can be made once others were."""
        value = self.s.value[shift.classes].astype(float)
        for other, area, times in places:
            at = np.searchsorted(other.classes, shift.classes).clip(max=len(other.classes) - 1)
            value[:, area] += np.where(other.classes[at] == shift.classes, other.by[at] * times, 0.0)
        return self._shift(shift.classes, shift.by, value)

    def _shift(self, classes: np.ndarray, by: np.ndarray, value: np.ndarray | None = None) -> Shift:
        value = self.s.value[classes] if value is None else value
        can = ~self.pattern.fixed[classes].any(axis=0)
        up, down = (np.where(can, _times(value, amounts), 0.0) for amounts in (by, -by))
        return Shift(classes, by, up, down, self.s.line_holds[classes].any(axis=0))

    def _move(
        self, shift: Shift, factor: float, chain: list[int], wanted: float, free: Set[int]
    ) -> tuple[float, Places, float] | None:
        """Make the shift, ``factor`` of it for each time, in the chain up to ``wanted`` times."""
        most, back = (shift.up, shift.down) if factor > 0 else (shift.down, shift.up)
        most, back = most / abs(factor), back / abs(factor)
        if self.spared:
            is_spared = self.pattern.headline[shift.classes].any(axis=0) & (self.s.areas.level < self.spared)
            most, back = np.where(is_spared, 0.0, most), np.where(is_spared, 0.0, back)
        bottom, top = chain[0], chain[-1]
        beside = (
            self.beside[top] if self.beside[top] is not None and shift.is_summed[self.s.areas.parent[top]] else None
        )
        below = self.children.get(bottom) if shift.is_summed[bottom] else None
        times = min(wanted, float(most[chain].min()))
        if beside is not None:
            times = min(times, float(back[beside].sum()))
        if below is not None:
            times = min(times, float(most[below].sum()))
        if times <= EXACT:
            return None
        costs = self.pattern.cost[shift.classes].sum(axis=0)
        if free:
            costs[list(free)] = 0.0
        cost = float(costs[chain].sum())
        places = [(area, times) for area in chain]
        for areas, limits, sign in ((beside, back, -1.0), (below, most, 1.0)):
            if areas is not None:
                found = self._spread(shift, areas, times, limits, costs)
                if found is None:
                    return None
                cost += found[0]
                places += [(area, sign * by) for area, by in found[1]]
        return times, [(shift, area, factor * by) for area, by in places], cost

    def _spread(
        self, shift: Shift, areas: np.ndarray, times: float, limits: np.ndarray, costs: np.ndarray
    ) -> tuple[float, list[tuple[int, float]]] | None:
        """Cost and places of making the shift so many times in all over some of the areas, with their parts."""
        most, cost_of = limits[areas], costs[areas]
        able = np.flatnonzero(most >= times - EXACT)
        if len(able):
            best = None
            people = self.s.value[shift.classes[:, None], areas[able]].sum(axis=0)
            for i in able[np.lexsort((people, cost_of[able]))][:_NEIGHBOURS_TRIED].tolist():
                if best is not None and cost_of[i] >= best[0]:
                    break
                below = self._absorb(shift, int(areas[i]), times, limits, costs)
                if below is not None and (best is None or cost_of[i] + below[0] < best[0]):
                    best = (float(cost_of[i]) + below[0], [(int(areas[i]), times), *below[1]])
            if best is not None:
                return best
        cost, places, left = 0.0, [], times
        for i in np.lexsort((-most, cost_of > 0)).tolist():
            if most[i] <= EXACT:
                continue
            part = min(left, float(most[i]))
            below = self._absorb(shift, int(areas[i]), part, limits, costs)
            if below is None:
                continue
            cost += float(cost_of[i]) + below[0]
            places += [(int(areas[i]), part), *below[1]]
            left -= part
            if left <= EXACT:
                return cost, places
        return None

    def _absorb(
        self, shift: Shift, a: int, times: float, limits: np.ndarray, costs: np.ndarray
    ) -> tuple[float, list[tuple[int, float]]] | None:
        """What parts of area a must move so that they still add up to it."""
        if a not in self.children or not shift.is_summed[a]:
            return 0.0, []
        return self._spread(shift, self.children[a], times, limits, costs)

    def _solve(self, c: int, a: int, by: float) -> Shift | None:
        """The cheapest shift that moves class c in area a that far: a linear program over the classes tied to it."""
        classes, program = self._tied(c)
        cost = _HIDDEN_COST + self.pattern.cost[classes, a]
        partner = self._usual_partner(classes, a)
        if partner >= 0:
            cost += self.pattern.cost[classes, partner]
        may = ~self._is_held((classes, a))
        moves = program.solve(
            np.concatenate([cost, cost]),
            may * _MOST_TIMES,
            may * self.s.value[classes, a] / abs(by),
            int(np.searchsorted(classes, c)),
            np.sign(by),
        )
        if moves is None:
            return None
        moved = np.flatnonzero(np.abs(moves) > _NOUGHT)
        shift = self._shift(classes[moved], moves[moved])
        for other in shift.classes.tolist():
            self.shifts.setdefault(other, []).insert(0, shift)
            for term in self.terms[other]:
                self.found.setdefault(term, []).insert(0, shift)
        return shift

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

    def _tied(self, c: int) -> tuple[np.ndarray, Program]:
        """All classes that equations tie to one, and the program over them."""
        component = int(self.s.component[c])
        if component not in self.tied:
            classes = np.flatnonzero(self.s.component == component)
            self.tied[component] = classes, Program(self._equations_among(classes))
        return self.tied[component]

    def _near(self, c: int, reach: int) -> tuple[np.ndarray, sparse.csr_matrix]:
        """The classes few equations away, and the equations they stand in."""
        near, seen, edge = {c}, set(), [c]
        starts = self.s.matrix.indptr
        for _ in range(reach):
            equations = {e for other in edge for e, _ in self.equations_of[other]} - seen
            seen |= equations
            members = (self.s.matrix.indices[starts[e] : starts[e + 1]].tolist() for e in equations)
            edge = [other for found in members for other in found if other not in near]
            near.update(edge)
        classes = np.array(sorted(near))
        return classes, self._equations_among(classes)

    def _equations_among(self, classes: np.ndarray) -> sparse.csr_matrix:
        cut = self.s.matrix[:, classes]
        return cut[np.diff(cut.indptr) > 0]
