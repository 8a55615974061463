"""Every count of a release as a cell of one additive system: what an attacker can write down beside the shown numbers.

A *series* is a mart's rows of one period, measure and category values, over all areas. Its rows give *terms*:
numerator n, denominator d, the rest r = d - n, the unknown u, the base of the bounds b = d + u, and how far the bounds
lie from n. Terms whose counts are equal in every area are one *class*: a denominator that is another measure's
numerator is the same number wherever it is printed, in whatever mart. A *cell* is a class in an area.

Equations between classes hold in every area (n + r = d, a category key's values and their total, declared sums), lines
over areas within a class (kelurahan -> kecamatan -> kota, people without a place included). A sum counts when the data
satisfy it: one that does not hold is none an attacker could use, one that nobody thought of as a sum is still one.

Not here: which cells are hidden (hiding), what can be computed from the rest (attacker).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import duckdb
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from warehouse.mart import Mart, literal

AREA_KEYS = ("area_level", "kemendagri_code")
LEVELS = ("kota", "kecamatan", "kelurahan")
# What hiding a row costs: higher levels and totals over categories say more to more readers; people without a place
# are nobody's kelurahan.
_LEVEL_COST = np.array([400.0, 20.0, 1.0])
_TOTAL_COST = 10.0
_UNPLACED_COST = 0.3
_MOST_TOTALS = 3
# With counts in fewer areas, or of fewer people, equal series may be equal by chance; of two periods all the more.
_ALIKE_AREAS = 5
_ALIKE_AREAS_OTHER_PERIOD = 8
_ALIKE_COUNT = 50
_COUNTS = {
    "n": "numerator",
    "d": "denominator",
    "u": "unknown_count",
    "low": "numerator_low",
    "high": "numerator_high",
}


@dataclass(frozen=True)
class Term:
    """One side of a declared sum: the counts of a measure where some of the mart's own keys have given values."""

    identity: str
    is_total: bool
    mart: str
    measure: str
    keys: Mapping[str, str]


@dataclass(frozen=True)
class Areas:
    """All areas: their codes, levels (place in LEVELS) and the place of the area above, -1 where there is none."""

    codes: list[str]
    level: np.ndarray
    parent: np.ndarray

    @property
    def families(self) -> list[tuple[int, np.ndarray]]:
        """Each area that has parts, with those."""
        return [(int(a), np.flatnonzero(self.parent == a)) for a in np.unique(self.parent[self.parent >= 0])]


@dataclass(frozen=True)
class System:
    """Series, the classes their terms belong to, and the equations between classes.

    Matrices of series and of classes are [.., area]. A term is printed by its series' rows, except r; ``term_is_side``:
    by the columns of bounds and unknowns, which can be withheld while the row stands. ``row`` is a row's number in its
    mart, -1 where there is none. Equation e says: class totals[e] = sum of parts[part_start[e]:part_start[e + 1]].
    """

    areas: Areas
    keys: list[dict[str, str]]
    group: np.ndarray
    cost: np.ndarray
    is_headline: np.ndarray
    row: np.ndarray
    numerator: np.ndarray
    denominator: np.ndarray
    unknown: np.ndarray
    low: np.ndarray
    high: np.ndarray
    term_series: np.ndarray
    term_class: np.ndarray
    term_is_side: np.ndarray
    term_is_printed: np.ndarray
    class_of: Mapping[str, np.ndarray]
    value: np.ndarray
    is_there: np.ndarray
    totals: np.ndarray
    part_start: np.ndarray
    parts: np.ndarray
    line_holds: np.ndarray

    @property
    def has_row(self) -> np.ndarray:
        return self.row >= 0

    @property
    def equation_of_part(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.totals)), np.diff([*self.part_start, len(self.parts)]))

    def cut(self, chosen: np.ndarray) -> tuple["System", np.ndarray]:
        """The system of some series that no equation ties to the others, and the classes it has of this one."""
        of_term = np.isin(self.term_series, chosen)
        classes = np.unique(self.term_class[of_term])
        has_equation = np.isin(self.totals, classes)
        sizes = np.diff([*self.part_start, len(self.parts)])[has_equation]
        place = np.full(len(self.value) + 1, -1)
        place[classes] = np.arange(len(classes))
        by_series = ("cost", "is_headline", "row", "numerator", "denominator", "unknown", "low", "high")
        cut = replace(
            self,
            keys=[self.keys[i] for i in chosen],
            group=np.unique(self.group[chosen], return_inverse=True)[1],
            term_series=np.searchsorted(chosen, self.term_series[of_term]),
            term_class=place[self.term_class[of_term]],
            term_is_side=self.term_is_side[of_term],
            term_is_printed=self.term_is_printed[of_term],
            class_of={kind: place[found[chosen]] for kind, found in self.class_of.items()},
            value=self.value[classes],
            is_there=self.is_there[classes],
            totals=place[self.totals[has_equation]],
            part_start=np.cumsum([0, *sizes], dtype=int)[:-1],
            parts=place[self.parts[has_equation[self.equation_of_part]]],
            line_holds=self.line_holds[classes],
            **{name: getattr(self, name)[chosen] for name in by_series},
        )
        return cut, classes

    @cached_property
    def matrix(self) -> sparse.csr_matrix:
        """The equations [equation, class]: 1 for parts, -1 for the total; each row times the counts is nought."""
        of, size = self.equation_of_part, len(self.totals)
        signs = np.concatenate([np.ones(len(of)), -np.ones(size)])
        places = np.concatenate([of, np.arange(size)]), np.concatenate([self.parts, self.totals])
        return sparse.csr_matrix((signs, places), shape=(size, len(self.value)))

    @cached_property
    def component(self) -> np.ndarray:
        """For each class the number of its component: classes that equations tie together."""
        joined = sparse.bmat([[None, self.matrix.T], [self.matrix, None]], format="csr")
        return connected_components(joined, directed=False)[1][: len(self.value)]


@dataclass(frozen=True)
class _About:
    """What the keys of the series say, before any count."""

    group: np.ndarray
    cost: np.ndarray
    is_headline: np.ndarray
    totals: Mapping[str, Mapping[str, str]]


def is_area_mart(mart: Mart) -> bool:
    return set(AREA_KEYS) <= set(mart.keys)


def read(
    con: duckdb.DuckDBPyConnection,
    tables: Sequence[tuple[Mart, str]],
    families: Mapping[tuple[str, str], str],
    sums: Sequence[Term],
) -> System:
    """The system of the given area marts; their tables carry ``row_id__``."""
    areas = _areas(con, [table for _, table in tables])
    place = {code: n for n, code in enumerate(areas.codes)}
    keys: list[dict[str, str]] = []
    blocks = []
    for mart, table in tables:
        for found, block in _counts(con, mart, table, place, len(keys)):
            keys += found
            blocks.append(block)
    given = {name: np.full((len(keys), len(areas.codes)), -1, dtype=np.int64) for name in (*_COUNTS, "row")}
    for block in blocks:
        for name, matrix in given.items():
            matrix[block["series"], block["area"]] = block[name]
    marts = {mart.name: mart for mart, _ in tables}
    totals = {name: totals_of(mart, [key for key in keys if key[""] == name]) for name, mart in marts.items()}
    asked = {name: {c.name: c.asked for c in mart.columns if c.asked} for name, mart in marts.items()}
    wanted = [_wanted(key, totals[key[""]], asked[key[""]]) for key in keys]
    about = _About(
        group=_groups(keys, families, marts),
        cost=_costs(areas, wanted),
        is_headline=np.array([all(answers) for answers in wanted], dtype=bool),
        totals=totals,
    )
    return _assemble(areas, keys, about, given, sums)


def totals_of(mart: Mart, keys: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Category keys and the value that is the sum of their others: as declared, else ``all`` where it occurs."""
    found = list(keys)
    totals = {}
    for column in mart.columns:
        is_category = column.role == "key" and column.kind in {"varchar", "text"} and not column.is_together
        if is_category and column.name not in {*AREA_KEYS, "measure", "period_kind"}:
            total = column.total or "all"
            if any(key.get(column.name) == total for key in found):
                totals[column.name] = total
    return totals


def _areas(con: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> Areas:
    union = " UNION ".join(f"SELECT kemendagri_code, area_level FROM {table}" for table in tables)
    known = con.execute(
        f"SELECT kemendagri_code, min(area_level) FROM ({union}) WHERE area_level IN"
        f" ({', '.join(map(literal, LEVELS))}) GROUP BY 1 ORDER BY 1"
    ).fetchall()
    place = {code: n for n, (code, _) in enumerate(known)}
    # The area above is the code without its last part.
    parent = [place.get(code.rpartition(".")[0], -1) if level != "kota" else -1 for code, level in known]
    return Areas(list(place), np.array([LEVELS.index(level) for _, level in known], dtype=int), np.array(parent, int))


def _counts(
    con: duckdb.DuckDBPyConnection, mart: Mart, table: str, place: Mapping[str, int], first: int
) -> Iterator[tuple[list[dict[str, str]], dict[str, np.ndarray]]]:
    """Keys and counts of a mart's series; a mart that is not long has a series for each column of counts."""
    own = [key for key in mart.keys if key not in AREA_KEYS]
    columns = {column.name for column in mart.columns}
    quoted = ", ".join(f'"{key}"' for key in own)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE series__ AS SELECT *, row_number() OVER (ORDER BY {quoted}) - 1 AS series__"
        f" FROM (SELECT DISTINCT {quoted} FROM {table})"
    )
    texts = ", ".join(f'CAST("{key}" AS VARCHAR)' for key in own)
    listed = con.execute(f"SELECT {texts} FROM series__ ORDER BY series__").fetchall()
    keys = [{"": mart.name} | dict(zip(own, values, strict=True)) for values in listed]
    same = " AND ".join(f'r."{key}" IS NOT DISTINCT FROM s."{key}"' for key in own)
    chosen = [({}, {name: column for name, column in _COUNTS.items() if column in columns})]
    if not mart.is_long:
        chosen = [({"measure": column.name}, {"n": column.name}) for column in mart.columns if column.role == "count"]
    for extra, counts in chosen:
        values = ", ".join(
            f'coalesce(r."{counts[name]}", -1) AS {name}' if name in counts else f"-1 AS {name}" for name in _COUNTS
        )
        found = con.execute(
            f"SELECT s.series__ AS series, r.kemendagri_code AS area, {values}, r.row_id__ AS row"
            f" FROM {table} AS r INNER JOIN series__ AS s ON {same}"
        ).fetchnumpy()
        codes, where = np.unique(np.asarray(found["area"], dtype=str), return_inverse=True)
        area = np.array([place.get(code, -1) for code in codes], dtype=int)[where]
        block = {name: np.asarray(found[name]).astype(np.int64)[area >= 0] for name in (*_COUNTS, "row", "series")}
        yield [key | extra for key in keys], block | {"series": block["series"] + first, "area": area[area >= 0]}
        first += len(keys)


def _groups(
    keys: Sequence[Mapping[str, str]], families: Mapping[tuple[str, str], str], marts: Mapping[str, Mart]
) -> np.ndarray:
    """Series hidden in the same areas: values of a ``together`` key, and measures of one family."""
    together = {name: {column.name for column in mart.columns if column.is_together} for name, mart in marts.items()}
    seen: dict[tuple, int] = {}
    groups = []
    for key in keys:
        own = {name: value for name, value in key.items() if name not in together[key[""]]}
        family = families.get((key[""], key["measure"]), key["measure"])
        groups.append(seen.setdefault(tuple((own | {"measure": family}).items()), len(seen)))
    return np.array(groups, dtype=int)


def _wanted(key: Mapping[str, str], totals: Mapping[str, str], asked: Mapping[str, Sequence[str]]) -> list[bool]:
    """For each key of a series that has a total or values readers ask for: whether it has one of those."""
    axes = [axis for axis in key if axis in totals or axis in asked]
    return [key[axis] == totals.get(axis) or key[axis] in asked.get(axis, ()) for axis in axes]


def _costs(areas: Areas, wanted: Sequence[Sequence[bool]]) -> np.ndarray:
    unplaced = np.array([code.endswith((".00", ".0000")) for code in areas.codes])
    by_area = np.where(unplaced, _UNPLACED_COST, 1.0) * _LEVEL_COST[areas.level]
    by_series = np.array([_TOTAL_COST ** min(sum(answers), _MOST_TOTALS) for answers in wanted])
    return by_series[:, None] * by_area[None, :]


def _assemble(
    areas: Areas,
    keys: list[dict[str, str]],
    about: _About,
    given: Mapping[str, np.ndarray],
    sums: Sequence[Term],
) -> System:
    n, d, u, low, high = (given[name] for name in _COUNTS)
    is_rate = (n >= 0) & (d >= 0)
    # Coverage may exceed 100%: then there is no rest that could not be negative.
    has_rest = is_rate.any(axis=1) & ~(is_rate & (d < n)).any(axis=1)
    has_base = (d >= 0) & (u >= 0)
    is_bounded = {"above": (n >= 0) & (high >= n), "below": (n >= 0) & (low >= 0) & (low <= n)}
    everything = {
        "n": n,
        "d": d,
        "r": np.where(is_rate & has_rest[:, None], d - n, -1),
        "u": u,
        "b": np.where(has_base, d + u, -1),
        "above": np.where(is_bounded["above"], high - n, -1),
        "below": np.where(is_bounded["below"], n - low, -1),
    }
    series, kinds, counts = [], [], []
    for kind, matrix in everything.items():
        present = np.flatnonzero((matrix >= 0).any(axis=1))
        series.append(present)
        kinds += [kind] * len(present)
        counts.append(matrix[present])
    term_series, matrix, term_kind = np.concatenate(series), np.concatenate(counts), np.array(kinds)
    periods = [f"{key.get('period_kind')} {key.get('period_start')}" for key in keys]
    term_class = _classes(matrix, [periods[s] for s in term_series])
    shape = (int(term_class.max(initial=-1)) + 1, len(areas.codes))
    value, is_there = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    np.maximum.at(value, term_class, np.maximum(matrix, 0))
    np.logical_or.at(is_there, term_class, matrix >= 0)
    class_of = {}
    for kind in everything:
        class_of[kind] = np.full(len(keys), -1)
        class_of[kind][term_series[term_kind == kind]] = term_class[term_kind == kind]
    equations = _equations(keys, class_of, about.totals, sums)
    kept = [
        (total, parts)
        for total, parts in sorted(equations)
        if total not in parts and value[total].any() and (value[total] == value[list(parts)].sum(axis=0)).all()
    ]
    line_holds = np.zeros(shape, dtype=bool)
    for a, parts in areas.families:
        # Parts without any row say nothing of the area above.
        line_holds[:, a] = (value[:, parts].sum(axis=1) == value[:, a]) & is_there[:, parts].any(axis=1)
    return System(
        areas=areas,
        keys=keys,
        group=about.group,
        cost=about.cost,
        is_headline=about.is_headline,
        row=given["row"],
        numerator=n,
        denominator=d,
        unknown=u,
        low=low,
        high=high,
        term_series=term_series,
        term_class=term_class,
        term_is_side=np.isin(term_kind, ["u", "b", "above", "below"]),
        term_is_printed=term_kind != "r",
        class_of=class_of,
        value=value,
        is_there=is_there,
        totals=np.array([total for total, _ in kept], dtype=int),
        part_start=np.cumsum([0, *(len(parts) for _, parts in kept)], dtype=int)[:-1],
        parts=np.array([part for _, parts in kept for part in parts], dtype=int),
        line_holds=line_holds,
    )


def _classes(matrix: np.ndarray, periods: Sequence[str]) -> np.ndarray:
    """The class of each term: equal counts in every area are one class, where that can hardly be chance."""
    counts = np.maximum(matrix, 0)
    areas = (counts > 0).sum(axis=1)
    seen: dict[tuple, int] = {}
    found = []
    for t, row in enumerate(counts):
        is_telling = areas[t] >= _ALIKE_AREAS and row.max() >= _ALIKE_COUNT
        period = "" if areas[t] >= _ALIKE_AREAS_OTHER_PERIOD else periods[t]
        name = (period, row.tobytes()) if is_telling else (t,)
        found.append(seen.setdefault(name, len(seen)))
    return np.array(found, dtype=int)


def _equations(
    keys: Sequence[Mapping[str, str]],
    class_of: Mapping[str, np.ndarray],
    totals: Mapping[str, Mapping[str, str]],
    sums: Sequence[Term],
) -> set[tuple[int, tuple[int, ...]]]:
    """(total, parts) in classes, whether the data satisfy them or not."""
    equations = set()
    for total, parts in (("d", ("n", "r")), ("b", ("d", "u"))):
        members = np.stack([class_of[kind] for kind in (total, *parts)])
        equations |= {(int(c[0]), tuple(sorted(map(int, c[1:])))) for c in members.T if c.min() >= 0}
    for kinds, lines in (("ndru", _lines_of_categories(keys, totals)), ("n", _declared(keys, sums))):
        for total, parts in lines:
            for kind in kinds:
                members = [int(class_of[kind][s]) for s in (total, *parts)]
                if min(members) >= 0:
                    equations.add((members[0], tuple(sorted(members[1:]))))
    return equations


def _lines_of_categories(
    keys: Sequence[Mapping[str, str]], totals: Mapping[str, Mapping[str, str]]
) -> list[tuple[int, list[int]]]:
    """(total, parts) in series, for each category key and each combination of the others."""
    lines: dict[tuple, tuple[list[int], list[int]]] = {}
    for s, key in enumerate(keys):
        for axis, total in totals[key[""]].items():
            others = (axis, *(value for name, value in key.items() if name != axis))
            lines.setdefault(others, ([], []))[key[axis] != total].append(s)
    return [(heads[0], parts) for heads, parts in lines.values() if len(heads) == 1 and parts]


def _declared(keys: Sequence[Mapping[str, str]], sums: Sequence[Term]) -> list[tuple[int, list[int]]]:
    """(total, parts) in series of each declared sum, for each combination of the keys it leaves open."""
    by_measure: dict[tuple, list[int]] = {}
    for s, key in enumerate(keys):
        by_measure.setdefault((key[""], key["measure"]), []).append(s)
    lines: dict[tuple, tuple[list[int], list[int]]] = {}
    for term in sums:
        for s in by_measure.get((term.mart, term.measure), []):
            if all(keys[s].get(name) == value for name, value in term.keys.items()):
                given = {"", "measure", *term.keys}
                others = tuple(pair for pair in keys[s].items() if pair[0] not in given)
                lines.setdefault((term.identity, others), ([], []))[not term.is_total].append(s)
    return [(heads[0], parts) for heads, parts in lines.values() if len(heads) == 1 and parts]
