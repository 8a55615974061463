"""An attack on releases from their published files alone: every count that arithmetic gives from what is printed.

It knows what a careful reader knows: which area lies in which, which categories make up which, what is a part of what,
the formulas of ``dim_measure``, and that two marts may print one count. It shares no code with the rounding it attacks,
and never sees a build. Each relation is a SELECT of ``n``, the count that it gives, beside what says where.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

BASE = 5
LONG = (
    "stunting_by_area_month",
    "poverty_by_area_period",
    "assistance_by_area_period",
    "coverage_by_area_month",
    "convergence_by_area_period",
    "outreach_by_area_month",
)
AREA = ("area_level", "kemendagri_code", "period_kind", "period_start")
# Keys of each mart besides area, period and measure.
OWN = {
    "stunting_by_area_month": ("source_system", "area_basis", "age_group"),
    "poverty_by_area_period": ("ranking", "desil"),
    "assistance_by_area_period": ("ranking", "desil", "programme"),
    "coverage_by_area_month": ("scheme", "area_basis", "segment", "programme", "worker_group"),
    "convergence_by_area_period": ("desil_threshold", "low_desil", "stunted_child", "uncovered_breadwinner"),
    "outreach_by_area_month": ("segment",),
}
# Figures that others publish, and counts of things that are no people.
NOT_PEOPLE = ("jkn_of_dukcapil", "published_ucj", "children_target", "sessions", "rows_put_aside")
# (mart, whole, part): measures of which one holds the other; "denominator of" what it is divided by.
NESTED = (
    ("stunting_by_area_month", "stunted", "severely_stunted"),
    ("stunting_by_area_month", "wasted", "severely_wasted"),
    ("stunting_by_area_month", "children_registered", "weighed_of_registered"),
    ("stunting_by_area_month", "children_registered", "height_measured"),
    ("stunting_by_area_month", "children_registered", "living_elsewhere"),
    ("stunting_by_area_month", "height_measured", "haz_valid"),
    ("stunting_by_area_month", "height_measured", "haz_flagged"),
    ("poverty_by_area_period", "families", "families_desil_1_to_4"),
    ("poverty_by_area_period", "families_desil_1_to_4", "families_desil_1"),
    ("poverty_by_area_period", "persons", "persons_desil_1_to_4"),
    ("poverty_by_area_period", "persons_desil_1_to_4", "persons_desil_1"),
    ("coverage_by_area_month", "workers", "uncovered_workers"),
    ("coverage_by_area_month", "workers", "covered_of_workers"),
    ("outreach_by_area_month", "new_bpu_90d", "new_bpu_30d"),
)
WITHIN = {
    "poverty_by_area_period": [
        ("families", f"deprived_{name}")
        for name in ("assets", "crowding", "floor", "fuel", "lighting", "roof", "sanitation", "wall", "water")
    ]
    + [("persons", "member_desil_agreement")],
    "stunting_by_area_month": [
        ("children_registered", "stunted"),
        ("children_registered", "wasted"),
        ("children_registered", "underweight"),
        ("weighed_of_registered", "underweight"),
        ("weighed_of_registered", "wasted"),
        ("height_measured", "wasted"),
        ("haz_valid", "label_agreement"),
        ("haz_valid", "zscore_agreement"),
    ],
}
TRADES = ("angkot", "asisten_rumah_tangga", "lainnya", "ojek", "pedagang", "pekerja_lepas")


def opened(marts: Path, *, newer: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A connection that sees a release's marts, and those of the next one as ``newer``."""
    con = duckdb.connect()
    con.execute(f"ATTACH '{marts}' AS release (READ_ONLY); USE release")
    if newer:
        con.execute(f"ATTACH '{newer}' AS newer (READ_ONLY)")
    return con


def small(con: duckdb.DuckDBPyConnection, relation: str, base: int = BASE) -> list[tuple]:
    """Rows of a relation whose ``n`` is a whole number of 1 … base-1 people, either way."""
    return con.execute(
        f"SELECT * FROM ({relation}) WHERE abs(round(n)) BETWEEN 1 AND {base - 1} AND abs(n - round(n)) < 1e-6"
    ).fetchall()


def size(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    """How many counts a relation gives: an attack that gives none proves nothing."""
    return con.execute(f"SELECT count(*) FROM ({relation}) WHERE n <> 0").fetchone()[0]


def _people(mart: str) -> str:
    outside = ", ".join(f"'{name}'" for name in NOT_PEOPLE)
    ours = " AND source_system = 'eppgbm'" if mart == "stunting_by_area_month" else ""
    return f"{mart} WHERE measure NOT IN ({outside}){ours}"


def _where(mart: str) -> str:
    return ", ".join((*AREA, *OWN[mart]))


def printed(mart: str) -> str:
    """Every count of a row, its rest, its unknowns and the distances of its bounds."""
    inside = "measure NOT IN ('weighed_of_target', 'pbpu_coverage_06_02_021')"
    bounds = "unknown_count, numerator - numerator_low, numerator_high - numerator, numerator_high - numerator_low"
    rests = "denominator, denominator - numerator, denominator + unknown_count - numerator_high"
    return (
        f"SELECT {_where(mart)}, measure, unnest([numerator, {bounds}] || if({inside}, [{rests}], [])) AS n"
        f" FROM {_people(mart)}"
    )


def percentages(mart: str) -> str:
    """Percentages times denominators, also where no numerator is printed; and bounds where none is in people."""
    inside = "measure NOT IN ('weighed_of_target', 'pbpu_coverage_06_02_021') AND unit NOT LIKE 'per %'"
    every = "(denominator + coalesce(unknown_count, 0)) / 100"
    return (
        f"SELECT {_where(mart)}, measure, unnest([percentage * denominator / 100,"
        f" (100 - percentage) * denominator / 100, if(numerator_low IS NULL, percentage_low * {every}, NULL),"
        f" if(numerator_high IS NULL, percentage_high * {every}, NULL)]) AS n FROM {_people(mart)} AND {inside}"
    )


def wilson(mart: str) -> str:
    """Numerator, denominator and rest from a 95% Wilson interval alone (z² = 3.8415): two equations, two unknowns."""
    z2 = 1.959963984540054**2
    inside = "AND unit NOT LIKE 'per %'"
    return f"""
        WITH bound AS (
            SELECT {_where(mart)}, measure, (ci95_low + ci95_high) / 100 AS s, ci95_low * ci95_high / 10000 AS p
            FROM {_people(mart)} {inside} AND ci95_high > ci95_low
        ), q AS (
            -- ((s-1) q + s)² / 4 = p (1 + q), with q = z²/n.
            SELECT *, (s - 1) * (s - 1) AS a, 2 * s * (s - 1) - 4 * p AS b, s * s - 4 * p AS c FROM bound
        ), solved AS (
            SELECT *, unnest([
                CASE WHEN a > 1e-12 AND b * b >= 4 * a * c THEN (-b + sqrt(b * b - 4 * a * c)) / (2 * a) END,
                CASE WHEN a > 1e-12 AND b * b >= 4 * a * c THEN (-b - sqrt(b * b - 4 * a * c)) / (2 * a) END
            ]) AS q FROM q
        ), counted AS (
            SELECT *, {z2} / q AS units, (s * (1 + q) - q) / 2 AS share FROM solved WHERE q > 1e-9
        )
        SELECT {_where(mart)}, measure, unnest([units, units * share, units * (1 - share)]) AS n
        FROM counted WHERE abs(units - round(units)) < 0.001 AND share BETWEEN -0.001 AND 1.001
    """


def areas(mart: str, level: str, upper: str) -> str:
    """What the parts of an area leave of it."""
    cut = {"kecamatan": 8, "kota": 5}[upper]
    keys = ", ".join(("measure", "period_kind", "period_start", *OWN[mart]))
    sums = ", ".join(
        f"coalesce(sum({c}) FILTER (area_level = '{level}'), 0) - any_value({c}) FILTER (area_level = '{upper}') AS {c}"
        for c in ("numerator", "denominator", "unknown_count")
    )
    additive = f"SELECT measure FROM dim_measure WHERE mart = '{mart}' AND is_additive"
    return f"""
        SELECT kemendagri_code, measure, period_start, unnest([numerator, denominator, denominator - numerator,
            unknown_count]) AS n
        FROM (
            SELECT {keys}, substring(kemendagri_code, 1, {cut}) AS kemendagri_code, {sums}
            FROM {_people(mart)} AND measure IN ({additive}) AND area_level IN ('{level}', '{upper}')
            GROUP BY {keys}, substring(kemendagri_code, 1, {cut})
            HAVING count(*) FILTER (area_level = '{level}') > 0
        )
    """


def categories(
    mart: str, key: str, whole: str, parts: Sequence[str], also: str = "true", *, of_a_share: bool = False
) -> str:
    """What disjoint categories leave of the one that holds them all; of a share, all have one denominator."""
    counts = ("numerator",) if of_a_share else ("numerator", "denominator", "unknown_count")
    others = ", ".join((*AREA, "measure", *(name for name in OWN[mart] if name != key)))
    listed = ", ".join(f"'{part}'" for part in parts)
    sums = ", ".join(
        f"any_value({c}) FILTER ({key} = '{whole}') - sum({c}) FILTER ({key} IN ({listed})) AS {c}" for c in counts
    )
    rest = "" if of_a_share else ", denominator - numerator"
    return f"""
        SELECT {others}, unnest([{", ".join(counts)}{rest}]) AS n
        FROM (SELECT {others}, {sums} FROM {_people(mart)} AND {also} GROUP BY {others}
            HAVING count(*) FILTER ({key} IN ({listed})) = {len(parts)})
    """


def between(mart: str, whole: str, part: str) -> str:
    """What lies between two measures of which one holds the other."""
    keys = ", ".join((*AREA, *OWN[mart]))
    return (
        f"SELECT {keys}, a.numerator - b.numerator AS n FROM {mart} AS a INNER JOIN {mart} AS b USING ({keys})"
        f" WHERE a.measure = '{whole}' AND b.measure = '{part}'"
    )


def left_of(mart: str, whole: str, part: str) -> str:
    """What a measure's denominator leaves of a count that holds it."""
    keys = ", ".join((*AREA, *OWN[mart]))
    return (
        f"SELECT {keys}, a.numerator - b.denominator AS n FROM {mart} AS a INNER JOIN {mart} AS b USING ({keys})"
        f" WHERE a.measure = '{whole}' AND b.measure = '{part}'"
    )


def any_programme(mart: str, measures: Sequence[str]) -> str:
    """Who has something but not this programme.

    ``any`` is on any list. The premium that the registry tells is on none: what both differ by counts nobody.
    """
    others = ", ".join((*AREA, "measure", *(name for name in OWN[mart] if name != "programme")))
    listed = ", ".join(f"'{name}'" for name in measures)
    return (
        f"SELECT {others}, b.programme, a.numerator - b.numerator AS n FROM {mart} AS a INNER JOIN {mart} AS b"
        f" USING ({others}) WHERE a.programme = 'any' AND b.programme NOT IN ('any', 'pbi_pemda')"
        f" AND measure IN ({listed})"
    )


def persons_of_desil_6_to_10() -> str:
    """A: persons with a known desil, less those of the five lowest, whose members' desil is compared."""
    keys = ", ".join((*AREA, *OWN["poverty_by_area_period"]))
    mart = "poverty_by_area_period"
    return (
        f"SELECT {keys}, a.denominator - b.denominator AS n FROM {mart} AS a INNER JOIN {mart} AS b USING ({keys})"
        " WHERE a.measure = 'persons_desil_1' AND b.measure = 'member_desil_agreement'"
    )


def segments() -> Iterator[tuple[str, str]]:
    """B: PU is factory workers, BPU six trades, all is both."""
    mart = "outreach_by_area_month"
    yield "PU", categories(mart, "segment", "PU", ["pekerja_pabrik"])
    yield "BPU", categories(mart, "segment", "BPU", TRADES)
    yield "all", categories(mart, "segment", "all", ["PU", "BPU"])
    yield "trades", categories(mart, "segment", "all", [*TRADES, "pekerja_pabrik"])


def months_and_quarters() -> str:
    """C: the last month of a quarter and the quarter, where no child's month is asked."""
    keys = "area_level, kemendagri_code, desil_threshold, low_desil, stunted_child, uncovered_breadwinner"
    mart = "convergence_by_area_period"
    return f"""
        SELECT {keys}, month.period_start, unnest([month.numerator - quarter.numerator,
            month.denominator - quarter.denominator]) AS n
        FROM {mart} AS month INNER JOIN {mart} AS quarter USING ({keys})
        WHERE month.period_kind = 'month' AND quarter.period_kind = 'quarter' AND stunted_child = 'all'
            AND month.period_start = quarter.period_start + INTERVAL 2 MONTH
    """


def deprived_persons() -> str:
    """D: an indicator's share of M0 times M0 times persons by its weight of an eighth: poor persons deprived in it."""
    mart, keys = "poverty_by_area_period", "area_level, kemendagri_code, period_kind, period_start, ranking, desil"
    return f"""
        SELECT {keys}, share.measure, unnest([1, -1]) * share.statistic / 100 * index.statistic * index.denominator
            / 0.125 + if(unnest([1, -1]) = 1, 0, poor.numerator) AS n
        FROM {mart} AS share
        INNER JOIN {mart} AS index USING ({keys})
        INNER JOIN {mart} AS poor USING ({keys})
        WHERE starts_with(share.measure, 'm0_share_') AND index.measure = 'living_standards_m0'
            AND poor.measure = 'living_standards_h'
    """


def statistics() -> str:
    """E: n times a percentage, and what it leaves of n."""
    return """
        SELECT puskesmas, period_start, measure, unnest([n, n * statistic / 100, n - n * statistic / 100]) AS n
        FROM stunting_quality_by_puskesmas_month
        WHERE measure IN (SELECT measure FROM dim_measure
            WHERE mart = 'stunting_quality_by_puskesmas_month' AND unit = 'percent')
    """


def flagged_of_a_kecamatan(puskesmas: Mapping[str, str]) -> str:
    """E: the flagged of a kecamatan's three puskesmas and those of its children by service place: one count twice.

    ``n`` is the difference, ``is_known`` whether one of both is printed as not rounded.
    """
    listed = ", ".join(f"('{name}', '{kecamatan}')" for name, kecamatan in puskesmas.items())
    return f"""
        WITH flagged AS (
            SELECT kecamatan, period_start, sum(round(n * statistic / 100)) AS n, bool_or(is_rounded) AS is_rounded
            FROM stunting_quality_by_puskesmas_month
            INNER JOIN (VALUES {listed}) AS units (puskesmas, kecamatan) USING (puskesmas)
            WHERE measure = 'flagged_haz' GROUP BY kecamatan, period_start HAVING count(statistic) = 3
        )
        SELECT kecamatan, f.period_start, m.numerator - f.n AS n, NOT (m.is_rounded AND f.is_rounded) AS is_known
        FROM stunting_by_area_month AS m
        INNER JOIN flagged AS f ON f.kecamatan = m.kemendagri_code AND f.period_start = m.period_start
        WHERE m.measure = 'haz_flagged' AND m.area_basis = 'service_place' AND m.age_group = 'all'
            AND m.period_kind = 'month'
    """


def low_desil_between_thresholds() -> str:
    """Families below the fourth decile and not the first."""
    mart, keys = "convergence_by_area_period", "stunted_child, uncovered_breadwinner"
    keys = f"area_level, kemendagri_code, period_kind, period_start, {keys}"
    return (
        f"SELECT {keys}, a.numerator - b.numerator AS n FROM {mart} AS a INNER JOIN {mart} AS b USING ({keys})"
        " WHERE a.desil_threshold = '04' AND b.desil_threshold = '01' AND a.low_desil = 'yes' AND b.low_desil = 'yes'"
    )


def reuse() -> str:
    columns = "records_left, records_right, matched, matched_low, matched_high, duplicates_left, duplicates_right"
    rests = ", ".join(
        f"{whole} - {part}"
        for whole, part in (
            ("records_left", "matched"),
            ("records_right", "matched"),
            ("matched", "matched_low"),
            ("matched_high", "matched"),
            ("records_left", "duplicates_left"),
            ("records_right", "duplicates_right"),
        )
    )
    return (
        f"SELECT left_dataset, right_dataset, period_start, unnest([{columns}, {rests}]) AS n"
        " FROM data_reuse_by_dataset_pair"
    )


def denominators() -> str:
    return (
        "SELECT area_level, kemendagri_code, period_start, denominator_source, population_group, population AS n"
        " FROM denominators_by_area_period WHERE denominator_source IN ('registry_dtsen', 'eppgbm_registered')"
    )


def in_another_mart() -> Iterator[tuple[str, str]]:
    """The same count as two marts print it: any difference tells that one of them was rounded, and by how much."""
    keys = "area_level, kemendagri_code, period_kind, period_start"
    population = "denominators_by_area_period"
    for group, measure, own, mart in (
        ("families", "families", "desil = 'all'", "poverty_by_area_period"),
        ("all", "persons", "desil = 'all'", "poverty_by_area_period"),
    ):
        yield (
            f"{measure} of the registry",
            f"SELECT {keys}, a.population - b.numerator AS n FROM {population} AS a INNER JOIN {mart} AS b"
            f" USING ({keys}) WHERE a.denominator_source = 'registry_dtsen' AND a.population_group = '{group}'"
            f" AND b.measure = '{measure}' AND b.{own}",
        )
    yield (
        "registered children",
        f"SELECT {keys}, a.population - b.numerator AS n FROM {population} AS a INNER JOIN stunting_by_area_month AS b"
        f" USING ({keys}) WHERE a.denominator_source = 'eppgbm_registered' AND b.measure = 'children_registered'"
        " AND b.age_group = 'all' AND b.area_basis = 'residence'",
    )


def in_another_ranking() -> Iterator[tuple[str, str]]:
    """The same families and persons by the nation's rank and by the city's: both add up to one number."""
    keys, mart = "area_level, kemendagri_code, period_kind, period_start, measure, desil", "poverty_by_area_period"
    for measure in ("families", "persons"):
        yield (
            f"{measure} by two rankings",
            f"SELECT {keys}, a.numerator - b.numerator AS n FROM {mart} AS a INNER JOIN {mart} AS b USING ({keys})"
            f" WHERE a.ranking = 'dtsen' AND b.ranking = 'dtsen_kota' AND measure = '{measure}' AND desil = 'all'",
        )


def relations() -> Iterator[tuple[str, str]]:
    """(name, SELECT) of everything the attack computes from one release."""
    for mart in LONG:
        yield f"printed {mart}", printed(mart)
        yield f"percentages {mart}", percentages(mart)
        yield f"wilson {mart}", wilson(mart)
        yield f"kelurahan of kecamatan {mart}", areas(mart, "kelurahan", "kecamatan")
        yield f"kecamatan of kota {mart}", areas(mart, "kecamatan", "kota")
    for mart, whole, part in NESTED:
        yield f"{whole} - {part}", between(mart, whole, part)
    for mart, pairs in WITHIN.items():
        for whole, part in pairs:
            yield f"{whole} - denominator of {part}", left_of(mart, whole, part)
    deciles = [*(f"{n:02d}" for n in range(1, 11)), "unknown"]
    yield "desil", categories("assistance_by_area_period", "desil", "all", deciles)
    yield "families by desil", categories("poverty_by_area_period", "desil", "all", deciles)
    yield "desil 6 to 10", categories("assistance_by_area_period", "desil", "06-10", deciles[5:10])
    yield "age groups", categories("stunting_by_area_month", "age_group", "all", ["0_23", "24_59"])
    for key, parts in (
        ("low_desil", ["yes", "no", "unknown"]),
        ("stunted_child", ["yes", "no", "unknown", "not_applicable"]),
        ("uncovered_breadwinner", ["yes", "no", "unknown", "not_applicable"]),
    ):
        yield key, categories("convergence_by_area_period", key, "all", parts, of_a_share=True)
    yield (
        "segments of coverage",
        categories(
            "coverage_by_area_month", "segment", "all", ["PU", "BPU"], "measure IN ('workers', 'uncovered_workers')"
        ),
    )
    yield "any programme, assistance", any_programme("assistance_by_area_period", ["families_receiving"])
    yield "any programme, covered", any_programme("coverage_by_area_month", ["covered_of_workers"])
    yield "any programme, active", any_programme("coverage_by_area_month", ["participants_active"])
    yield "A persons 06-10", persons_of_desil_6_to_10()
    yield from ((f"B {name}", relation) for name, relation in segments())
    yield "C months and quarters", months_and_quarters()
    yield "D deprived persons", deprived_persons()
    yield "E statistics", statistics()
    yield "low desil between thresholds", low_desil_between_thresholds()
    yield "reuse", reuse()
    yield "denominators", denominators()


def moves(mart: str) -> str:
    """What came or went between two releases, of every count and rest."""
    keys = ", ".join((*AREA, "measure", *OWN[mart]))
    return (
        f"SELECT {keys}, unnest([n.numerator - o.numerator, n.denominator - o.denominator, n.unknown_count -"
        f" o.unknown_count, (n.denominator - n.numerator) - (o.denominator - o.numerator)]) AS n"
        f" FROM release.main.{mart} AS o INNER JOIN newer.main.{mart} AS n USING ({keys})"
    )


def moves_of_quality() -> str:
    keys = "puskesmas, period_start, measure"
    return (
        f"SELECT {keys}, unnest([n.n - o.n, n.n * n.statistic / 100 - o.n * o.statistic / 100]) AS n"
        f" FROM release.main.stunting_quality_by_puskesmas_month AS o"
        f" INNER JOIN newer.main.stunting_quality_by_puskesmas_month AS n USING ({keys})"
    )


# The chain of children that one month's rows print: each is a part of the one before it that is named.
CHILDREN = ("registered", "height_measured", "haz_valid", "haz_flagged", "stunted", "severely_stunted")
_INSIDE = (("height_measured", "registered"), ("stunted", "haz_valid"), ("severely_stunted", "stunted"))
_ROWS = {
    "children_registered": ("registered", None),
    "height_measured": ("height_measured", "registered"),
    "haz_valid": ("haz_valid", "height_measured"),
    "haz_flagged": ("haz_flagged", "height_measured"),
    "stunted": ("stunted", "haz_valid"),
    "severely_stunted": ("severely_stunted", "haz_valid"),
}
Leaf = tuple[str, str, str]  # kelurahan, age group, count


class Intervals:
    """What the true counts of children may be in one month, by everything that is printed of them: linear programs.

    A row that is not rounded is exact. Of a rounded one a reader knows that in a cell a printed 0 of ten or more was at
    most 4 and a printed 5 at least 1, that nothing moved by more than two small counts a cell, and that the true counts
    add up and hold one another.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, month: str, base: int = BASE) -> None:
        self.base = base
        rows = con.execute(
            f"SELECT area_level, kemendagri_code, age_group, measure, numerator, denominator, is_rounded FROM {LONG[0]}"
            " WHERE period_kind = 'month' AND period_start = ?::DATE AND area_basis = 'residence'"
            f" AND measure IN ({', '.join('?' * len(_ROWS))})",
            [month, *_ROWS],
        ).fetchall()
        leaves = sorted({(code, age) for level, code, age, *_ in rows if level == "kelurahan" and age != "all"})
        self.leaves = [(code, age, name) for code, age in leaves for name in CHILDREN]
        self._at = {leaf: n for n, leaf in enumerate(self.leaves)}
        self.known: dict[Leaf, tuple[int, bool]] = {}
        self._equal: list[tuple[dict[int, float], float]] = []
        self._most: list[tuple[dict[int, float], float]] = []
        for code, age in leaves:
            for part, whole in _INSIDE:
                self._limit({self._at[code, age, part]: 1.0, self._at[code, age, whole]: -1.0}, 0)
            disjoint = {self._at[code, age, name]: 1.0 for name in ("haz_valid", "haz_flagged")}
            self._limit(disjoint | {self._at[code, age, "height_measured"]: -1.0}, 0)
        for level, code, age, measure, numerator, denominator, is_rounded in rows:
            inside = [leaf for leaf in leaves if leaf[0].startswith(code) and age in {leaf[1], "all"}]
            name, whole = _ROWS[measure]
            self._told(inside, name, numerator, is_rounded=is_rounded, is_few=whole is None or denominator >= 2 * base)
            if whole:
                self._told(inside, whole, denominator, is_rounded=is_rounded, is_few=False)
            if level == "kelurahan" and age != "all":
                self.known[code, age, _ROWS[measure][0]] = (numerator, is_rounded)

    def _limit(self, terms: dict[int, float], most: float) -> None:
        self._most.append((terms, most))

    def _told(
        self, inside: Sequence[tuple[str, str]], name: str, value: int, *, is_rounded: bool, is_few: bool
    ) -> None:
        terms = {self._at[code, age, name]: 1.0 for code, age in inside}
        if not is_rounded:
            self._equal.append((terms, value))
            return
        step = 2 * (self.base - 1) * len(inside)
        low, high = value - step, value + step
        if len(inside) == 1 and is_few and value in {0, self.base}:
            low, high = (0, self.base - 1) if value == 0 else (1, 2 * self.base - 1)
        self._limit(terms, high)
        self._limit(dict.fromkeys(terms, -1.0), -max(low, 0))

    def of(self, leaf: Leaf) -> tuple[int, int]:
        """The least and the most that a true count may be."""
        target = self._at[leaf]
        found = []
        for sign in (1.0, -1.0):
            cost = np.zeros(len(self.leaves))
            cost[target] = sign
            a_eq, b_eq = self._matrix(self._equal)
            a_ub, b_ub = self._matrix(self._most)
            solved = linprog(cost, A_ub=a_ub, b_ub=b_ub, A_eq=a_eq, b_eq=b_eq, bounds=(0, None), method="highs")
            assert solved.status == 0, solved.message
            found.append(sign * solved.fun)
        return math.ceil(found[0] - 1e-6), math.floor(found[1] + 1e-6)

    def _matrix(self, rows: Sequence[tuple[dict[int, float], float]]):
        if not rows:
            return None, None
        entries = [(row, n, value) for row, (terms, _) in enumerate(rows) for n, value in terms.items()]
        at_row, at_column, values = zip(*entries, strict=True)
        matrix = csr_matrix((values, (at_row, at_column)), shape=(len(rows), len(self.leaves)))
        return matrix, np.array([most for _, most in rows], dtype=float)
