"""Small count rounding of one table of cells: arrays in, arrays out.

A *root* is a count by itself. A *split* divides a count of the same row into disjoint parts and what is left of it,
the rest. Roots of 1 … b-1 become 0 or b. In a split each small part becomes 0 or b and the largest part takes what that
adds or leaves, so that the parts are still the count; a count of less than two steps goes to one part whole. So every
root, part and rest ends as 0 or at least b, and every sum of them does.

Which small counts get b is dealt so that kota and kecamatan come near the truth: how many of them by a keyed draw
between the two nearest steps, so that nobody can work back from the step to the count; within a kecamatan the largest
counts first, equal ones in the order of a keyed hash. A count that is the same as in the period before, or as in the
last release, keeps its rounding; and where a published period changes between revision dates, what would change by less
than b stands as it was published.

The method is a form of small count rounding (Heldal 2017; Langsrud and Heldal 2018), which rounds inner cells of one
cross-classification. Not here: what a column counts (cells), reading and writing (cells, release).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Split:
    """Columns that are disjoint parts of another column."""

    parent: int
    parts: tuple[int, ...]


@dataclass(frozen=True)
class Known:
    """Counts and roundings known from elsewhere, by row and column: -1 where nothing is known."""

    exact: np.ndarray
    rounded: np.ndarray


@dataclass(frozen=True)
class Sheet:
    """The counts of a table [row, column] and what the method needs to know of its rows.

    ``periods``: rows of each period, oldest first. ``group``: rows that differ in place alone share one; ``family``:
    groups that are added up share one, and have numbers beside each other. ``region``: the kecamatan of a row.
    ``before``: the row of the same keys one period earlier, or -1. ``last``: the last release. ``given``: columns
    rounded elsewhere, with their values and whether these were rounded. ``tie``: for a column, a keyed number from 0 to
    1 of each row's place. ``keep``: rows that stand as ``last`` has them, with their marks. ``slow``: rows of which
    nothing may change by less than the base.
    """

    exact: np.ndarray
    periods: Sequence[np.ndarray]
    group: np.ndarray
    family: np.ndarray
    region: np.ndarray
    before: np.ndarray
    last: Known
    given: dict[int, tuple[np.ndarray, np.ndarray]]
    tie: Callable[[int], np.ndarray]
    keep: np.ndarray
    keep_marks: np.ndarray
    slow: np.ndarray


def round_sheet(
    sheet: Sheet, roots: Sequence[int], splits: Sequence[Split], base: int
) -> tuple[np.ndarray, np.ndarray]:
    """(rounded counts, marks of those that were rounded), both [row, column]. ``splits`` come parents first."""
    rounded, marks = sheet.exact.copy(), np.zeros(sheet.exact.shape, dtype=bool)
    for column, (values, is_rounded) in sheet.given.items():
        rounded[:, column], marks[:, column] = values, is_rounded
    rounded[sheet.keep] = sheet.last.rounded[sheet.keep]
    marks[sheet.keep] = sheet.keep_marks[sheet.keep]
    for period in sheet.periods:
        rows = period[~sheet.keep[period]]
        if not len(rows):
            continue
        for column in roots:
            values, small = _rounded_alone(sheet, rounded, rows, column, base)
            last = sheet.last.rounded[rows, column]
            moved = np.abs(sheet.exact[rows, column] - sheet.last.exact[rows, column]) >= base
            stands = sheet.slow[rows] & (last >= 0) & (~moved | _is_few(values, last, base))
            rounded[rows, column] = np.where(stands, last, values)
            marks[rows, column] = small
        for split in splits:
            _round_split(sheet, rounded, marks, rows, split, base)
        told = _is_few(rounded[rows], sheet.last.rounded[rows], base).any(axis=1)
        for split in splits:
            last = _with_rest(sheet.last.rounded, rows, split)
            told |= _is_few(_with_rest(rounded, rows, split), last, base).any(axis=1)
        # Where no parts of a changed whole leave each other part as it was or a step away, the row stands.
        stands = rows[sheet.slow[rows] & told]
        rounded[stands] = sheet.last.rounded[stands]
    # A mark that came or went beside the same number would tell of a change.
    same = sheet.slow[:, None] & (rounded == sheet.last.rounded)
    return rounded, np.where(same, sheet.keep_marks, marks)


def _is_few(values: np.ndarray, last: np.ndarray, base: int) -> np.ndarray:
    """Whether readers who have ``last`` (-1: nothing) would learn of a change by less than the base."""
    return (last >= 0) & (values != last) & (np.abs(values - last) < base)


def _rounded_alone(
    sheet: Sheet, rounded: np.ndarray, rows: np.ndarray, column: int, base: int
) -> tuple[np.ndarray, np.ndarray]:
    counts = sheet.exact[rows, column]
    small = (counts > 0) & (counts < base)
    stuck = _stuck(sheet, rounded, rows, column, counts)
    return _dealt(sheet, rows, column, counts, small, stuck, base), small


def _stuck(sheet: Sheet, rounded: np.ndarray, rows: np.ndarray, column: int, counts: np.ndarray) -> np.ndarray:
    """The rounding that an equal count had in the last release, else in the period before; -1 where it had none."""
    before = sheet.before[rows]
    earlier = np.where((before >= 0) & (sheet.exact[before, column] == counts), rounded[before, column], -1)
    return np.where(sheet.last.exact[rows, column] == counts, sheet.last.rounded[rows, column], earlier)


def _dealt(
    sheet: Sheet, rows: np.ndarray, column: int, counts: np.ndarray, small: np.ndarray, stuck: np.ndarray, base: int
) -> np.ndarray:
    """The counts with the small ones made 0 or ``base``."""
    values = counts.copy()
    is_stuck = small & ((stuck == 0) | (stuck == base))
    values[is_stuck] = stuck[is_stuck]
    free = small & ~is_stuck
    if not free.any():
        return values
    regions, group = sheet.region[rows], sheet.group[rows]
    owed = np.zeros(sheet.region.max() + 1, dtype=np.int64)
    family = sheet.family[rows]
    last_family = -1
    tie = sheet.tie(column)[rows]
    order = np.lexsort((tie, -counts, group))
    touched = order[small[order]]
    for members in np.split(touched, np.flatnonzero(np.diff(group[touched])) + 1):
        if family[members[0]] != last_family:
            owed[:], last_family = 0, family[members[0]]
        settled = members[is_stuck[members]]
        np.add.at(owed, regions[settled], values[settled] - counts[settled])
        open_ = members[free[members]]
        gets = _deal(counts[open_], regions[open_], owed, base, tie[open_[0]] if len(open_) else 0.0)
        values[open_] = np.where(gets, base, 0)
        np.add.at(owed, regions[open_], values[open_] - counts[open_])
    return values


def _deal(counts: np.ndarray, regions: np.ndarray, owed: np.ndarray, base: int, draw: float) -> np.ndarray:
    """Which of the counts, given in the order they are served, get ``base``: kota and regions near the truth.

    ``owed``: by how much each region is too high already. ``draw``: decides between the two steps nearest to the sum.
    """
    size = len(owed)
    target = np.bincount(regions, weights=counts, minlength=size) - owed
    places = np.bincount(regions, minlength=size)
    dealt = np.clip(np.floor(target / base), 0, places).astype(np.int64)
    wanted = int(np.clip(np.floor(target.sum() / base + draw), 0, len(counts)))
    while (step := np.sign(wanted - dealt.sum())) != 0:
        can = dealt < places if step > 0 else dealt > 0
        left = np.where(can, (target - base * dealt) * step, -np.inf)
        dealt[np.argmax(left)] += step
    rank = np.zeros(len(counts), dtype=np.int64)
    for region in np.unique(regions):
        inside = regions == region
        rank[inside] = np.arange(inside.sum())
    return rank < dealt[regions]


def _round_split(
    sheet: Sheet, rounded: np.ndarray, marks: np.ndarray, rows: np.ndarray, split: Split, base: int
) -> None:
    total = rounded[rows, split.parent]
    counts = _with_rest(sheet.exact, rows, split)
    before = _earlier(sheet, rounded, rows, split)
    draw = sheet.tie(split.parts[0])[rows]
    line = np.arange(len(rows))
    # Of nobody, what the whole has all the same is the rest.
    largest = np.where(counts.any(axis=1), counts.argmax(axis=1), len(split.parts))
    small = (counts > 0) & (counts < base)
    values = counts.copy()
    is_dealt = small & (total >= 2 * base)[:, None]
    is_dealt[line, largest] = False
    for n, column in enumerate((*split.parts, split.parent)):
        values[:, n] = _dealt(sheet, rows, column, counts[:, n], is_dealt[:, n], before[:, n], base)
    values[line, largest] = 0
    values[line, largest] = total - values.sum(axis=1)
    for row in np.flatnonzero((total >= 2 * base) & ((values != 0) & (values < base)).any(axis=1)):
        values[row] = settle(counts[row], int(total[row]), base, draw[row])
    one = np.flatnonzero(total < 2 * base)
    order = np.lexsort((draw[one], sheet.region[rows[one]], sheet.group[rows[one]]))
    values[one] = _given_whole(counts[one], total[one], before[one], order, sheet.family[rows[one]], draw[one])
    free = is_dealt & (before != 0) & (before != base)
    for part in range(len(split.parts)):
        for scope in (sheet.family[rows] * (sheet.region.max() + 1) + sheet.region[rows], sheet.family[rows]):
            _correct(values, counts, free, largest, part, scope, base)
    last = _with_rest(sheet.last.rounded, rows, split)
    may_move = np.abs(counts - _with_rest(sheet.last.exact, rows, split)) >= base
    for row in np.flatnonzero(sheet.slow[rows] & (last >= 0).all(axis=1) & (values != last).any(axis=1)):
        values[row] = step(values[row], last[row], may_move[row], base)
    moved = small | (values != counts)
    moved[line, largest] |= (moved.any(axis=1) | marks[rows, split.parent]) & (counts[line, largest] > 0)
    rounded[rows[:, None], split.parts] = values[:, :-1]
    marks[rows[:, None], split.parts] = moved[:, :-1]


def _with_rest(counts: np.ndarray, rows: np.ndarray, split: Split) -> np.ndarray:
    """The parts of a split and its rest [row, part]; -1 where they are not known."""
    parts, whole = counts[rows[:, None], split.parts], counts[rows, split.parent]
    found = np.column_stack([parts, whole - parts.sum(axis=1)])
    found[(whole < 0) | (parts < 0).any(axis=1)] = -1
    return found


def _earlier(sheet: Sheet, rounded: np.ndarray, rows: np.ndarray, split: Split) -> np.ndarray:
    """The rounding that equal parts had in the last release, else in the period before; -1 where they had none."""
    counts, before = _with_rest(sheet.exact, rows, split), sheet.before[rows]
    is_same = (before >= 0)[:, None] & (_with_rest(sheet.exact, before, split) == counts)
    earlier = np.where(is_same, _with_rest(rounded, before, split), -1)
    last = _with_rest(sheet.last.exact, rows, split) == counts
    return np.where(last, _with_rest(sheet.last.rounded, rows, split), earlier)


def _given_whole(
    counts: np.ndarray,
    total: np.ndarray,
    before: np.ndarray,
    order: np.ndarray,
    family: np.ndarray,
    draw: np.ndarray,
) -> np.ndarray:
    """Rows of less than two steps: one part has all of the total, drawn by what parts are owed, so none is favoured."""
    values = np.zeros_like(counts)
    stands = (before >= 0).all(axis=1) & (before.sum(axis=1) == total)
    values[stands] = before[stands]
    due = {f: (counts - values).astype(float)[stands & (family == f)].sum(axis=0) for f in np.unique(family)}
    for row in order:
        if total[row] and not stands[row]:
            owing = due[family[row]]
            owing += counts[row] * (total[row] / max(counts[row].sum(), 1))
            chance = np.where(counts[row] > 0, np.maximum(owing, 0), 0).cumsum()
            part = np.searchsorted(chance, draw[row] * chance[-1], side="right") if chance[-1] else -1
            values[row, part] = total[row]
            owing[part] -= total[row]
    return values


def _correct(
    values: np.ndarray,
    counts: np.ndarray,
    free: np.ndarray,
    largest: np.ndarray,
    part: int,
    scope: np.ndarray,
    base: int,
) -> None:
    """Bring a part's sum in each scope within a step of the truth where rows too small to be dealt have moved it."""
    moved = np.bincount(scope, weights=values[:, part] - counts[:, part])
    line = np.arange(len(values))
    for of in np.flatnonzero(np.abs(moved) > base / 2):
        steps = int(np.rint(moved[of] / base))
        room = values[line, largest]
        if steps > 0:
            can = free[:, part] & (values[:, part] == base)
        else:
            can = free[:, part] & (values[:, part] == 0) & (room >= 2 * base)
        inside = np.flatnonzero(can & (scope == of))
        # Who is nearest to the other side of a step moves first.
        chosen = inside[np.argsort(counts[inside, part] * np.sign(steps), kind="stable")][: abs(steps)]
        step = base * np.sign(steps)
        values[chosen, part] -= step
        values[chosen, largest[chosen]] += step


def settle(counts: np.ndarray, total: int, base: int, draw: float) -> np.ndarray:
    """Parts near ``counts`` that are each 0 or at least ``base`` and are ``total`` (itself 0 or at least ``base``).

    ``draw``, from 0 to 1, decides which way small parts go first.
    """
    draws = (draw + 0.618 * np.arange(len(counts))) % 1
    values = np.where(counts <= base * draws, 0, np.maximum(counts, base))
    largest = int(counts.argmax())
    for n in np.argsort(counts, kind="stable"):
        left = total - (values.sum() - values[largest])
        if left == 0 or left >= base:
            break
        if n != largest:
            values[n] = 0
    values[largest] = 0
    values[largest] = total - values.sum()
    return values


def step(values: np.ndarray, last: np.ndarray, may_move: np.ndarray, base: int) -> np.ndarray:
    """Parts of the same whole as ``values`` of which each stands as in ``last`` or differs by the base at least.

    ``may_move``: parts whose counts have changed by the base at least; the largest makes up for what the others leave.
    """
    whole, found = values.sum(), np.where(may_move & ~_is_few(values, last, base), values, last)

    def fits(largest: int) -> bool:
        found[largest] = 0
        found[largest] = whole - found.sum()
        return bool(((found == 0) | (found >= base)).all()) and not _is_few(found, last, base).any()

    if fits(int(last.argmax())):
        return found
    # What changed goes to the largest part; where it is too little for that, smaller parts go whole.
    found, largest = last.copy(), int(last.argmax())
    for part in np.argsort(last, kind="stable"):
        if fits(largest):
            return found
        if part != largest:
            found[part] = 0
    return found if fits(largest) else values
