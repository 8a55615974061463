"""Small count rounding of one table of cells: arrays in, arrays out.

A *root* is a count by itself. A *split* divides a count of the same row into disjoint parts and what is left of it,
the rest. Roots of 1 … b-1 become 0 or b. In a split each small part becomes 0 or b and the largest part takes what that
adds or leaves, so that the parts are still the count; a count of less than two steps goes to one part whole. So every
root, part and rest ends as 0 or at least b, and every sum of them does.

Which small counts get b is decided row by row, so that what is printed comes near the truth: for kota and kecamatan the
deviation of every column, and of columns that are added up, is carried from row to row (error diffusion) and pulls the
next decision the other way. A keyed draw goes into each, so that nobody can work back from the step to the count. A
count that is the same as in the period before, or as in the last release, keeps its rounding; and where a published
period changes between revision dates, what would change by less than b stands as it was published.

The method is a form of small count rounding (Heldal 2017; Langsrud and Heldal 2018), which rounds inner cells of one
cross-classification. Not here: what a column counts (cells), reading and writing (cells, release).
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import numpy as np

# How far the keyed draw moves a decision, in steps: above 0.6 none of 1 … 4 is ruled out by what was made of it.
_DRAW = 0.65
# How much of what is owed a count of less than two steps pays back at once.
_REPAID = 2
# What the deviation of each scope of ``_Owed`` weighs.
_WEIGHTS = (3.0, 4.0, 2.0, 4.0, 8.0)
# A deviation of this much beyond the base pulls twice as hard for its size; one below the base does not, or the draw
# could not send each small count either way.
_PULLS_TWICE = 10


@dataclass(frozen=True)
class Split:
    """Columns that are disjoint parts of another column."""

    parent: int
    parts: tuple[int, ...]

    def of(self, counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The parts and what they leave, the rest [row, part]; -1 where they are not known."""
        parts, whole = counts[rows[:, None], self.parts], counts[rows, self.parent]
        columns = np.column_stack([parts, whole - parts.sum(axis=1)])
        columns[(whole < 0) | (parts < 0).any(axis=1)] = -1
        return columns


@dataclass(frozen=True)
class Sum:
    """Columns that are added up in print, to the sum ``column`` of the same table if it has one."""

    column: int | None
    of: tuple[int, ...]


@dataclass(frozen=True)
class Known:
    """Counts and roundings known from elsewhere, by row and column: -1 where nothing is known."""

    exact: np.ndarray
    rounded: np.ndarray


@dataclass(frozen=True)
class Sheet:
    """The counts of a table [row, column] and what the method needs to know of its rows.

    ``periods``: rows of each period, oldest first. ``group``: rows that differ in place alone share one; ``family``:
    groups that are added up share one. ``place``, ``region``: place and kecamatan of a row. ``before``: the row of the
    same keys one period earlier, or -1. ``last``: the last release. ``given``: columns rounded elsewhere, with their
    values and whether these were rounded. ``tie``: for a column, a keyed number from 0 to 1 of each row's place.
    ``keep``: rows that stand as ``last`` has them, with their marks. ``slow``: rows of which nothing may change by less
    than the base.
    """

    exact: np.ndarray
    periods: Sequence[np.ndarray]
    group: np.ndarray
    family: np.ndarray
    place: np.ndarray
    region: np.ndarray
    before: np.ndarray
    last: Known
    given: dict[int, tuple[np.ndarray, np.ndarray]]
    sums: Sequence[Sum]
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
        if len(rows):
            _Period(sheet, rounded, marks, rows, base, len(splits)).round(roots, splits)
    # A mark that came or went beside the same number would tell of a change.
    same = sheet.slow[:, None] & (rounded == sheet.last.rounded)
    return rounded, np.where(same, sheet.keep_marks, marks)


class _Period:
    """The rows of one period while they are rounded."""

    def __init__(
        self, sheet: Sheet, rounded: np.ndarray, marks: np.ndarray, rows: np.ndarray, base: int, splits: int
    ) -> None:
        self.sheet, self.rounded, self.marks, self.rows, self.base = sheet, rounded, marks, rows, base
        self.owed = _Owed(sheet, rows, splits, base)

    def round(self, roots: Sequence[int], splits: Sequence[Split]) -> None:
        for column in roots:
            self._root(column)
        for n, split in enumerate(splits):
            self._add_up({split.parent})
            self._split(split, self.sheet.exact.shape[1] + n)
        self._add_up({added.column for added in self.sheet.sums})
        sheet, rows, last = self.sheet, self.rows, self.sheet.last.rounded
        shows_few = _is_few(self.rounded[rows], last[rows], self.base).any(axis=1)
        for split in splits:
            shows_few |= _is_few(split.of(self.rounded, rows), split.of(last, rows), self.base).any(axis=1)
        # Where no parts of a changed whole leave each other part as it was or a step away, the row stands.
        stands = rows[sheet.slow[rows] & shows_few]
        self.rounded[stands] = last[stands]

    def _add_up(self, columns: Container[int | None]) -> None:
        """Make those of the columns that are sums of others."""
        for added in self.sheet.sums:
            if added.column is not None and added.column in columns:
                parts = self.rows[:, None], added.of
                self.rounded[self.rows, added.column] = self.rounded[parts].sum(axis=1)
                self.marks[self.rows, added.column] = self.marks[parts].any(axis=1)

    def _root(self, column: int) -> None:
        sheet, rows, base = self.sheet, self.rows, self.base
        counts, last = sheet.exact[rows, column], sheet.last.rounded[rows, column]
        small = (counts > 0) & (counts < base)
        stuck = self._earlier(lambda known, of: known[of, column])
        is_stuck = small & ((stuck == 0) | (stuck == base))
        values = np.where(is_stuck, stuck, np.where(small, 0, counts))
        for row in np.flatnonzero(is_stuck).tolist():
            self.owed.add(row, column, values[row] - counts[row])
        free, draw = small & ~is_stuck, sheet.tie(column)[rows]
        for row in self.owed.order:
            if free[row]:
                self.owed.add(row, column, -counts[row])
                if self.owed.gets_base(row, column, None, draw[row]):
                    values[row] = base
                    self.owed.add(row, column, base)
        has_changed = np.abs(counts - sheet.last.exact[rows, column]) >= base
        stands = sheet.slow[rows] & (last >= 0) & (~has_changed | _is_few(values, last, base))
        self.rounded[rows, column] = np.where(stands, last, values)
        self.marks[rows, column] = small

    def _split(self, split: Split, rest: int) -> None:
        """``rest``: the column under which ``owed`` knows what the split leaves."""
        sheet, rows, base = self.sheet, self.rows, self.base
        columns = (*split.parts, rest)
        whole, counts, stuck = self.rounded[rows, split.parent], split.of(sheet.exact, rows), self._earlier(split.of)
        line = np.arange(len(rows))
        # Of parts that are all zero, what the whole has all the same is the rest.
        largest = np.where(counts.any(axis=1), counts.argmax(axis=1), len(split.parts))
        small, is_large = (counts > 0) & (counts < base), whole >= 2 * base
        is_dealt = small & is_large[:, None]
        is_dealt[line, largest] = False
        free = is_dealt & (stuck != 0) & (stuck != base)
        values = np.where(is_dealt, np.where(free, 0, stuck), counts)
        values[line, largest] += whole - values.sum(axis=1)
        stands = ~is_large & (stuck >= 0).all(axis=1) & (stuck.sum(axis=1) == whole)
        values[stands] = stuck[stands]
        is_open = free.any(axis=1) | ~is_large & ~stands
        for row in np.flatnonzero(is_large & ((values != 0) & (values < base)).any(axis=1) & ~is_open).tolist():
            fit(values[row], largest[row], base)
        for row in np.flatnonzero((values != counts).any(axis=1) & ~is_open).tolist():
            self.owed.move(row, columns, values[row] - counts[row])
        draws = np.column_stack([sheet.tie(column)[rows] for column in (*split.parts, split.parent)])
        for row in self.owed.order:
            if is_open[row] and is_large[row]:
                self.owed.move(row, columns, values[row] - counts[row])
                largest_first = sorted(np.flatnonzero(free[row]).tolist(), key=counts[row].__getitem__, reverse=True)
                self._deal(row, columns, values[row], largest_first, largest[row], draws[row])
            elif is_open[row]:
                values[row] = self._given_whole(row, columns, counts[row], whole[row], draws[row, 0])
        last = split.of(sheet.last.rounded, rows)
        may_move = np.abs(counts - split.of(sheet.last.exact, rows)) >= base
        for row in np.flatnonzero(sheet.slow[rows] & (last >= 0).all(axis=1) & (values != last).any(axis=1)).tolist():
            values[row] = step(values[row], last[row], may_move[row], base)
        is_changed = small | (values != counts)
        is_changed[line, largest] |= (is_changed.any(axis=1) | self.marks[rows, split.parent]) & (
            counts[line, largest] > 0
        )
        self.rounded[rows[:, None], split.parts] = values[:, :-1]
        self.marks[rows[:, None], split.parts] = is_changed[:, :-1]

    def _earlier(self, of: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """The rounding that an equal count had in the last release, else in the period before; -1 where it had none."""
        sheet, rows = self.sheet, self.rows
        counts, before = of(sheet.exact, rows), sheet.before[rows]
        is_same = (before >= 0).reshape(-1, *[1] * (counts.ndim - 1)) & (of(sheet.exact, before) == counts)
        earlier = np.where(is_same, of(self.rounded, before), -1)
        return np.where(of(sheet.last.exact, rows) == counts, of(sheet.last.rounded, rows), earlier)

    def _deal(
        self,
        row: int,
        columns: Sequence[int],
        values: np.ndarray,
        free: Sequence[int],
        largest: int,
        draws: np.ndarray,
    ) -> None:
        """Give the base to those of the ``free`` parts of a row (all 0 so far) that shall have it, in that order."""
        owed, base = self.owed, self.base
        for part in free:
            has_room = values[largest] >= 2 * base
            if has_room and owed.gets_base(row, columns[part], columns[largest], draws[part]):
                values[part] = base
                values[largest] -= base
                owed.add(row, columns[part], base)
                owed.add(row, columns[largest], -base)
        before_fit = values.copy()
        fit(values, largest, base)
        owed.move(row, columns, values - before_fit)

    def _given_whole(self, row: int, columns: Sequence[int], counts: np.ndarray, whole: int, draw: float) -> np.ndarray:
        """All of a count of less than two steps to one part, drawn by what each is and is owed, so none is favoured."""
        values = np.zeros_like(counts)
        owing = [max(c - _REPAID * self.owed.high(row, n), 0) if c else 0 for c, n in zip(counts, columns, strict=True)]
        chance = np.cumsum(owing)
        part = np.searchsorted(chance, draw * chance[-1], side="right") if chance[-1] else counts.argmax()
        values[part if counts.any() else -1] = whole
        self.owed.move(row, columns, values - counts)
        return values


def _is_few(values: np.ndarray, last: np.ndarray, base: int) -> np.ndarray:
    """Whether readers who have ``last`` (-1: nothing) would learn of a change by less than the base."""
    is_few: np.ndarray = (last >= 0) & (values != last) & (np.abs(values - last) < base)
    return is_few


class _Owed:
    """By how much each sum that is printed of a period is too high so far.

    Columns are those of the sheet, then the rest of each split, then the sums of columns. A row belongs to five scopes:
    its kecamatan and the kota within its group; its place, its kecamatan and the kota within its family.
    """

    def __init__(self, sheet: Sheet, rows: np.ndarray, splits: int, base: int) -> None:
        self.base = base
        first_rest = sheet.exact.shape[1]
        first_sum = first_rest + splits
        columns = range(first_sum)
        self._of = [[c, *(first_sum + n for n, s in enumerate(sheet.sums) if c in s.of)] for c in columns]
        width = first_sum + len(sheet.sums)
        group, family, place, region = (of[rows] for of in (sheet.group, sheet.family, sheet.place, sheet.region))
        places = place.max() + 1
        keys = (group * places + region, group, family * places + place, family * places + region, family)
        numbers = [np.unique(key, return_inverse=True)[1].tolist() for key in keys]
        sums = [[[0.0] * width for _ in range(max(of) + 1)] for of in numbers]
        self._high = [[sums[n][of] for n, of in enumerate(scopes)] for scopes in zip(*numbers, strict=True)]
        self.order = np.lexsort((group, region, family)).tolist()

    def add(self, row: int, column: int, change: int) -> None:
        for high in self._high[row]:
            for of in self._of[column]:
                high[of] += change

    def move(self, row: int, columns: Sequence[int], changes: np.ndarray) -> None:
        for part in np.flatnonzero(changes).tolist():
            self.add(row, columns[part], changes[part])

    def high(self, row: int, column: int) -> float:
        """The mean over the row's scopes, by their weights; large deviations pull harder."""
        of, base = self._of[column], self.base
        weighed: float = sum(
            w * sum(high[c] * (1 + max(abs(high[c]) - base, 0) / _PULLS_TWICE) for c in of)
            for w, high in zip(_WEIGHTS, self._high[row], strict=True)
        )
        return weighed / sum(_WEIGHTS)

    def gets_base(self, row: int, column: int, other: int | None, draw: float) -> bool:
        """Whether print comes nearer to the truth when ``column`` gains the base, at the cost of ``other``."""
        pays, n_columns = 0.0, len(self._of[column])
        if other is not None:
            pays = self.high(row, other)
            n_columns = len(set(self._of[column]) ^ set(self._of[other]))
        gain = pays - self.high(row, column)
        return gain > self.base * n_columns / 2 * (1 + (2 * draw - 1) * _DRAW)


def fit(values: np.ndarray, largest: int, base: int) -> None:
    """Make the ``largest`` part 0 or at least the base, at the cost of others that are; their sum stays as it is."""
    lacks = base - values[largest]
    donor = max((n for n in range(len(values)) if n != largest), key=lambda n: values[n])
    if 0 < lacks < base and values[donor] >= base + lacks:
        values[donor] -= lacks
        values[largest] = base
    for part in np.argsort(values, kind="stable"):
        if values[largest] == 0 or values[largest] >= base:
            break
        if part != largest:
            values[largest] += values[part]
            values[part] = 0


def step(values: np.ndarray, last: np.ndarray, may_move: np.ndarray, base: int) -> np.ndarray:
    """Parts of the same whole as ``values`` of which each stands as in ``last`` or differs by the base at least.

    ``may_move``: parts whose counts have changed by the base at least; the largest makes up for what the others leave.
    """
    whole, stepped = values.sum(), np.where(may_move & ~_is_few(values, last, base), values, last)

    def fits(largest: int) -> bool:
        stepped[largest] = 0
        stepped[largest] = whole - stepped.sum()
        return bool(((stepped == 0) | (stepped >= base)).all()) and not _is_few(stepped, last, base).any()

    if fits(int(last.argmax())):
        return stepped
    # What changed goes to the largest part; where it is too little for that, smaller parts go whole.
    stepped, largest = last.copy(), int(last.argmax())
    for part in np.argsort(last, kind="stable"):
        if fits(largest):
            return stepped
        if part != largest:
            stepped[part] = 0
    return stepped if fits(largest) else values
