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

Not here: the sums (cells), finding a witness (witnesses), the proof (attacker).
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from warehouse.disclosure.cells import LEVELS, System
from warehouse.disclosure.pattern import Moves, Pattern
from warehouse.disclosure.witnesses import EXACT, Finder


def protect(pattern: Pattern, finder: Finder) -> None:
    """Find a witness for every count that needs one, hiding what it moves; highest areas first."""
    s = pattern.s
    cells = []
    for level in range(len(LEVELS)):
        at = s.areas.level == level
        found = np.argwhere((pattern.room > 0) & at[None, :])
        # Classes with many small counts first: what protects them serves the others.
        often = (pattern.room > 0)[:, at].sum(axis=1)
        order = np.lexsort((found[:, 1], found[:, 0], -often[found[:, 0]]))
        cells += [(c, a, float(pattern.room[c, a])) for c, a in found[order].tolist()]
    _serve_all(pattern, finder, cells)
    waiting, implied = _hidden_by_rows(pattern), _implied_nobody(pattern)
    while waiting:
        pattern.fresh.clear()
        _serve_all(pattern, finder, [(c, a, 1.0) for c, a in waiting if not implied[c, a]])
        waiting = sorted(pattern.fresh)


def _serve_all(pattern: Pattern, finder: Finder, cells: Sequence[tuple[int, int, float]]) -> None:
    """Headlines move only for what nothing else serves, those of higher levels last.

    Programs over several areas come after what shifts serve, for cells of a level whose headlines may move: they are
    slow, one of their tables serves several, and where a level's headlines must stand they hardly find any.
    """
    level = pattern.s.areas.level
    for spared in range(len(LEVELS), -1, -1):
        find, free = (partial(search, spared=spared) for search in (finder.find, finder.free))
        cells = [cell for cell in cells if not _serve(pattern, find, *cell)]
        cells = [cell for cell in cells if spared > level[cell[1]] or not _serve(pattern, free, *cell)]


def _serve(
    pattern: Pattern, search: Callable[[int, int, float], list[Moves] | None], c: int, a: int, amount: float
) -> bool:
    """Whether the cell has its tables, by those there are or by those that the search finds."""
    if pattern.up[c, a] + pattern.down[c, a] >= amount - EXACT:
        return True
    tables = search(c, a, amount)
    if tables is None:
        return False
    pattern.keep(tables)
    return True


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


def _implied_nobody(pattern: Pattern) -> np.ndarray:
    """Where a shown nobody among more people, in the area above or a total of categories, implies one."""
    s = pattern.s
    nobody = (s.value == 0) & (pattern.room == 0)
    implied = np.zeros_like(nobody)
    for a, parts in s.areas.families:
        implied[:, parts] |= (nobody & s.line_holds)[:, a][:, None]
    np.logical_or.at(implied, s.parts, (nobody & s.is_there)[s.totals][s.equation_of_part])
    return implied & (s.value == 0)


def _hidden_by_rows(pattern: Pattern) -> list[tuple[int, int]]:
    """Cells that hidden rows alone print, and no other does."""
    s = pattern.s
    main = s.term_is_printed & ~s.term_is_side
    printed = np.zeros(s.value.shape, dtype=bool)
    np.logical_or.at(printed, s.term_class[main], pattern.row[s.term_series[main]])
    places = np.argwhere(printed & ~pattern.shown())
    order = np.lexsort((places[:, 1], places[:, 0], s.areas.level[places[:, 1]]))
    return [(int(c), int(a)) for c, a in places[order]]
