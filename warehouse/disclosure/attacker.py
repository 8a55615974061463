"""What an attacker can say of each hidden cell, from all sums over what is shown.

A cell is safe where two tables agree with everything shown and differ widely in it. Hiding offers such tables: they
are checked here, number by number, against what is shown and against every sum, and those that fail count for nothing.
For the cells they do not settle, bounds are passed along every equation and line: what that finds is true. What it
does not find, linear programs do (HiGHS): each gives one more table. How much they may do is counted in programs and
steps, not in time: equal data are hidden alike on any machine. Not here: hiding (hiding).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from scipy.optimize import linprog
from scipy.sparse.csgraph import connected_components

from warehouse.disclosure.cells import System

_MOST = 1e9
_FAR = 10.0
# An interval is narrow when it misses its width by more than what solvers round.
_SLACK = 1e-6
# Variables of one linear program: small components are put together up to this size, larger ones are left to the
# bounds passed along.
_BATCH = 6000
_STEPS = 30_000
_SWEEPS = 100


@dataclass(frozen=True)
class Sums:
    """The equations and lines among some classes; ``classes`` gives their places in the whole system."""

    classes: np.ndarray
    totals: np.ndarray
    part_start: np.ndarray
    parts: np.ndarray
    line_holds: np.ndarray
    families: list[tuple[int, np.ndarray]]

    @property
    def equation_of_part(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.totals)), np.diff([*self.part_start, len(self.parts)]))


Table = Mapping[tuple[int, int], float]


@dataclass(frozen=True)
class Found:
    """What an attack came to: narrow cells [class, area], how many no program settled, and programs solved."""

    narrow: np.ndarray
    unproven: int
    programs: int


@dataclass
class Bounds:
    """Lowest and highest value each cell can have, [class, area]."""

    low: np.ndarray
    high: np.ndarray

    @property
    def width(self) -> np.ndarray:
        return self.high - self.low


def sums_among(s: System, chosen: np.ndarray) -> Sums:
    """All equations in which a chosen class stands, with every class in them."""
    of = s.equation_of_part
    touched = chosen[s.totals].copy()
    np.logical_or.at(touched, of, chosen[s.parts])
    is_in = chosen.copy()
    is_in[s.totals[touched]] = True
    is_in[s.parts[touched[of]]] = True
    place = np.cumsum(is_in) - 1
    sizes = np.diff([*s.part_start, len(s.parts)])[touched]
    return Sums(
        classes=np.flatnonzero(is_in),
        totals=place[s.totals[touched]],
        part_start=np.cumsum([0, *sizes], dtype=int)[:-1],
        parts=place[s.parts[touched[of]]],
        line_holds=s.line_holds[is_in],
        families=s.areas.families,
    )


def bounds(s: System, sums: Sums, shown: np.ndarray, at_most: np.ndarray | None = None) -> Bounds:
    """Bounds of the cells of ``sums`` passed along until little changes, at most ``_SWEEPS`` times.

    ``at_most`` [class, area]: hidden cells known to lie from 1 to so many; infinite where nothing is known.
    """
    value, known = s.value[sums.classes], shown[sums.classes]
    found = Bounds(np.where(known, value, 0).astype(float), np.where(known, value, _MOST).astype(float))
    if at_most is not None:
        limit = np.where(known, np.inf, at_most[sums.classes])
        found.low[limit < _MOST] = 1
        found.high = np.minimum(found.high, limit)
    before = np.inf
    for _ in range(_SWEEPS):
        _pass_equations(sums, found)
        for a, parts in sums.families:
            _pass_line(sums.line_holds[:, a], a, parts, found)
        now = found.width.clip(max=1e6).sum()
        if before - now < 0.5:
            break
        before = now
    return found


def _pass_equations(sums: Sums, b: Bounds) -> None:
    if not len(sums.totals):
        return
    low, high, of = b.low[sums.parts], b.high[sums.parts], sums.equation_of_part
    sum_low = np.add.reduceat(low, sums.part_start, axis=0)
    sum_high = np.add.reduceat(high, sums.part_start, axis=0)
    np.maximum.at(b.low, sums.totals, sum_low)
    np.minimum.at(b.high, sums.totals, sum_high)
    np.minimum.at(b.high, sums.parts, b.high[sums.totals][of] - sum_low[of] + low)
    np.maximum.at(b.low, sums.parts, b.low[sums.totals][of] - sum_high[of] + high)


def _pass_line(holds: np.ndarray, a: int, parts: np.ndarray, b: Bounds) -> None:
    rows = np.flatnonzero(holds)
    low, high = b.low[np.ix_(rows, parts)], b.high[np.ix_(rows, parts)]
    sum_low, sum_high = low.sum(axis=1), high.sum(axis=1)
    total_low = np.maximum(b.low[rows, a], sum_low)
    total_high = np.minimum(b.high[rows, a], sum_high)
    b.low[rows, a], b.high[rows, a] = total_low, total_high
    b.high[rows[:, None], parts] = np.minimum(high, (total_high - sum_low)[:, None] + low)
    b.low[rows[:, None], parts] = np.maximum(low, (total_low - sum_high)[:, None] + high)


def attack(s: System, shown: np.ndarray, room: np.ndarray, tables: Sequence[Table], programs: int) -> Found:
    """Which cells an attacker can place within less than their room.

    ``tables`` are other tables that are said to agree with everything shown; those that do settle their cells. The
    bounds of the rest are passed along all sums, then looked for with at most so many linear programs.
    """
    up, down = reached(s, shown, tables)
    wanted = np.where(up + down < room - _SLACK, room, 0.0)
    narrow = np.zeros(s.value.shape, dtype=bool)
    if not wanted.any():
        return Found(narrow, 0, 0)
    sums = sums_among(s, np.isin(s.component, np.unique(s.component[wanted.any(axis=1)])))
    found = bounds(s, sums, shown)
    open_ = wanted[sums.classes]
    narrow[sums.classes] = found.width < open_ - _SLACK
    open_ = np.where(narrow[sums.classes], 0, open_)
    unproven, given = int((open_ > 0).sum()), programs
    for problem in _problems(s, sums, found, open_):
        if programs <= 0:
            break
        programs -= problem.solve(programs)
        unproven -= problem.settled
        for c, a in problem.narrow:
            narrow[sums.classes[c], a] = True
    return Found(narrow, unproven, given - programs)


def reached(s: System, shown: np.ndarray, tables: Sequence[Table]) -> tuple[np.ndarray, np.ndarray]:
    """How far up and down each cell lies in the tables that agree with all that is shown: sums kept, none below 0."""
    up, down = np.zeros(s.value.shape), np.zeros(s.value.shape)
    if not tables:
        return up, down
    width = s.value.shape[1]
    which = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    place = np.array([c * width + a for table in tables for c, a in table])
    by = np.array([amount for table in tables for amount in table.values()])
    flat = s.value.ravel()
    wrong = shown.ravel()[place] | (flat[place] + by < -_SLACK)
    bad = np.zeros(len(tables), dtype=bool)
    bad[which[wrong]] = True
    moves = sparse.csr_matrix((by, (place, which)), shape=(flat.size, len(tables)))
    for kept in (sparse.kron(s.matrix, sparse.identity(width), format="csr"), _lines(s)):
        left = abs(kept @ moves).tocoo()
        bad[left.col[left.data > _SLACK]] = True
    good = ~bad[which]
    np.maximum.at(up.ravel(), place[good], by[good])
    np.maximum.at(down.ravel(), place[good], -by[good])
    return up, down


def _lines(s: System) -> sparse.csr_matrix:
    """The sums over areas that hold [line, cell]: 1 for the parts, -1 for the area above."""
    rows, columns, signs, count = [], [], [], 0
    width = s.value.shape[1]
    for a, parts in s.areas.families:
        classes = np.flatnonzero(s.line_holds[:, a])
        number = count + np.arange(len(classes))
        for areas, sign in ((parts, 1.0), (np.array([a]), -1.0)):
            rows.append(np.repeat(number, len(areas)))
            columns.append((classes[:, None] * width + areas).ravel())
            signs.append(np.full(len(classes) * len(areas), sign))
        count += len(classes)
    if not rows:
        return sparse.csr_matrix((0, s.value.size))
    return sparse.csr_matrix(
        (np.concatenate(signs), (np.concatenate(rows), np.concatenate(columns))), shape=(count, s.value.size)
    )


@dataclass
class _Problem:
    """Some components of the hidden cells: A x = b, low <= x <= high, and the width that is wanted of each."""

    matrix: sparse.csr_matrix
    right: np.ndarray
    low: np.ndarray
    high: np.ndarray
    truth: np.ndarray
    wanted: np.ndarray
    component: np.ndarray
    cells: list[tuple[int, int]]

    narrow: list[tuple[int, int]] = field(default_factory=list)
    settled: int = 0

    def solve(self, programs: int) -> int:
        """Fill ``narrow`` and ``settled`` with at most so many programs; returns how many it took.

        One cell of each component at a time is pushed up and down, and every table that comes out widens what is known
        of the others.
        """
        least, most = self.truth.copy(), self.truth.copy()
        waiting = (self.wanted > 0) & (most - least < self.wanted - _SLACK)
        self.settled = int((self.wanted > 0).sum() - waiting.sum())
        taken = 0
        while waiting.any() and taken + 2 <= programs:
            candidates = np.flatnonzero(waiting)
            _, first = np.unique(self.component[candidates], return_index=True)
            pushed = candidates[first]
            is_solved = True
            for sign in (-1.0, 1.0):
                goal = np.zeros(len(self.truth))
                goal[pushed] = sign
                # The others lean the same way a little, so that one table serves several cells.
                goal[candidates] += sign * 1e-3
                solved = linprog(
                    goal, A_eq=self.matrix, b_eq=self.right, bounds=np.stack([self.low, self.high], axis=1),
                    method="highs-ds", options={"maxiter": _STEPS},
                )  # fmt: skip
                taken += 1
                is_solved &= solved.status == 0
                if solved.status == 0:
                    least, most = np.minimum(least, solved.x), np.maximum(most, solved.x)
            is_wide = most - least >= self.wanted - _SLACK
            self.settled += int((waiting & is_wide).sum())
            waiting &= ~is_wide
            if is_solved:
                self.narrow += [self.cells[p] for p in pushed if waiting[p]]
                self.settled += int(waiting[pushed].sum())
            waiting[pushed] = False
        return taken


def _problems(s: System, sums: Sums, found: Bounds, wanted: np.ndarray) -> Iterator[_Problem]:
    """Linear programs over the components that hold an open cell, several small ones in each."""
    is_free = found.width > _SLACK
    number = np.full(is_free.shape, -1)
    number[is_free] = np.arange(is_free.sum())
    rows, columns, signs, right, count = [], [], [], [], 0
    of = sums.equation_of_part
    fixed = np.where(is_free, 0.0, found.low)
    for classes, sign, equation in ((sums.parts, 1.0, of), (sums.totals, -1.0, np.arange(len(sums.totals)))):
        at, area = np.nonzero(is_free[classes])
        rows.append(equation[at] * is_free.shape[1] + area)
        columns.append(number[classes[at], area])
        signs.append(np.full(len(at), sign))
    known = fixed[sums.totals].copy()
    if len(sums.totals):
        known -= np.add.reduceat(fixed[sums.parts], sums.part_start, axis=0)
    right.append(known.ravel())
    count = known.size
    for a, parts in sums.families:
        holds = np.flatnonzero(sums.line_holds[:, a])
        for areas, sign in ((parts, 1.0), (np.array([a]), -1.0)):
            at, area = np.nonzero(is_free[np.ix_(holds, areas)])
            rows.append(count + at)
            columns.append(number[holds[at], areas[area]])
            signs.append(np.full(len(at), sign))
        right.append(fixed[holds, a] - fixed[np.ix_(holds, parts)].sum(axis=1))
        count += len(holds)
    size = int(is_free.sum())
    matrix = sparse.csr_matrix(
        (np.concatenate(signs), (np.concatenate(rows), np.concatenate(columns))), shape=(count, size)
    )
    sides = np.concatenate(right)
    used = np.diff(matrix.indptr) > 0
    matrix, sides = matrix[used], sides[used]
    joined = sparse.bmat([[None, matrix.T], [matrix, None]], format="csr")
    component = connected_components(joined, directed=False)[1][:size]
    where = np.argwhere(is_free)
    is_open = wanted[is_free] > 0
    members = np.bincount(component, minlength=component.max(initial=-1) + 1)
    batch, filled = [], 0
    for c in np.unique(component[is_open]):
        if members[c] > _BATCH:
            continue
        batch.append(c)
        filled += members[c]
        if filled >= _BATCH:
            yield _cut(s.value[sums.classes], found, wanted, matrix, sides, component, where, batch)
            batch, filled = [], 0
    if batch:
        yield _cut(s.value[sums.classes], found, wanted, matrix, sides, component, where, batch)


def _cut(
    value: np.ndarray,
    found: Bounds,
    wanted: np.ndarray,
    matrix: sparse.csr_matrix,
    sides: np.ndarray,
    component: np.ndarray,
    where: np.ndarray,
    batch: list[int],
) -> _Problem:
    chosen = np.flatnonzero(np.isin(component, batch))
    cut = matrix[:, chosen]
    used = np.diff(cut.indptr) > 0
    c, a = where[chosen].T
    return _Problem(
        matrix=cut[used],
        right=sides[used],
        low=found.low[c, a],
        # Far beyond any interval that is asked for, near enough to keep the programs bounded.
        high=np.minimum(found.high[c, a], _FAR * (1 + value.max(initial=0))),
        truth=value[c, a].astype(float),
        wanted=wanted[c, a],
        component=component[chosen],
        cells=[(int(i), int(j)) for i, j in where[chosen]],
    )
