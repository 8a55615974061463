"""Local recoding of quasi-identifiers to k-anonymity: rare descriptions are made coarser until k persons share each.

Here: the generalisation levels of each kind of quasi-identifier, and the level at which a person is shown. Not here:
which columns are quasi-identifiers (dbt's YAML, see mart), the allow-list of columns and the file itself
(pseudonymised).

An equivalence class is what rows of one table and time show alike; a profile is what all tables and times together show
of a person or family. Both must fit k persons (families in tables by family), or stand on the last level, where every
quasi-identifier is NULL and no family key stands on rows about persons. Everyone who is joined by family keys in the
file stands on one level, in every table and period: a finer row elsewhere would give the coarse one away.

What rows reveal by being there is revealed on every level but the last, and belongs to class and profile: how many
persons go by one family key, and in tables with a month of registration since when somebody is in them.

Measures are touched nowhere but where some of them reveal another: ``in_class``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import duckdb

from warehouse.build.catalogue import STEP_COLUMN, Mart, MartColumn, QuasiKind, band_name, literal
from warehouse.core.duck import one_row
from warehouse.core.errors import ReleaseError

# What each level takes away beside those before it. Size and registration go first, being of least use; then place,
# since growth cannot be read without age and kecamatan still tell areas apart.
LEVELS = (
    "as it is",
    "no household size, no month of registration",
    "kecamatan instead of kelurahan",
    "bands of age",
    "kota instead of kecamatan",
    "wide bands of age",
    "no quasi-identifier, no family key of persons",
)
LAST = len(LEVELS) - 1
_COUNTED = {
    "table_name": ("varchar", "Tabel. Table."),
    "stage": ("varchar", "before: tanpa pengaburan; after: seperti dalam berkas. Uncoarsened, and as in this file."),
    "step": ("bigint", "Langkah pengaburan. Generalisation level."),
    "shown": ("varchar", "Yang tampak pada langkah itu. What a row shows on that level."),
    "row_count": ("bigint", "Baris. Rows."),
    "units": ("bigint", "Orang, atau keluarga dalam tabel keluarga. Persons, or families in tables by family."),
    "classes": ("bigint", "Kelas: nilai tampak yang sama pada waktu yang sama. Classes of equal values and time."),
    "classes_below_k": ("bigint", "Kelas dengan kurang dari k orang. Classes of fewer than k persons."),
    "rows_below_k": ("bigint", "Baris dalam kelas itu. Rows in such classes."),
}
COUNTS = Mart(
    "micro_coarsening",
    "",
    "Satu baris per tabel, tahap dan langkah. One row per table, stage and generalisation level: how rare descriptions"
    " were before they were made coarser, and how rare they are in this file. On the last level"
    " nothing is left to be made coarser.",
    tuple(
        MartColumn(name, kind, "key" if name in {"table_name", "stage", "step"} else "attribute", text)
        for name, (kind, text) in _COUNTED.items()
    ),
)
_AREA = {0: "{0}", 1: "{0}", 2: "left({0}, 8)", 3: "left({0}, 8)", 4: "left({0}, 5)", 5: "left({0}, 5)"}

# A birth cohort's width on levels 3 and 4, and on level 5. Bands follow the cohort, so that the month in which a person
# crosses from one band to the next says nothing.
_COHORTS: dict[QuasiKind, tuple[int, int]] = {"age_months": (6, 24), "age_years": (5, 20)}
_NOW: dict[QuasiKind, str] = {"age_months": "year({0}) * 12 + month({0})", "age_years": "year({0})"}


def in_class(value: str, width: float) -> str:
    """SQL for the middle of the class of this width that a measure lies in.

    A multiple of the width belongs to the class nearer to zero, as Permenkes 2/2020 puts a score on a cut-off (-2 is
    not stunted, +1 is normal): shares below and above whole scores stay what they are.
    """
    widths = f"round({value} / {width}, 6)"
    return f"CASE WHEN {value} > 0 THEN ceil({widths}) - 0.5 ELSE floor({widths}) + 0.5 END * {width}"


class _Quasi(NamedTuple):
    """A column of a mart that is a quasi-identifier."""

    name: str
    kind: str
    quasi_identifier: QuasiKind


@dataclass(frozen=True)
class _Fact:
    """A table of the file: its contract, its relation in the build, whose rows it holds and when."""

    mart: Mart
    relation: str

    @property
    def quasi(self) -> list[_Quasi]:
        return [_Quasi(c.name, c.kind, c.quasi_identifier) for c in self.mart.columns if c.quasi_identifier]

    @property
    def unit(self) -> str:
        """The key of whom a row is about: the person where there is one."""
        names = {column.name for column in self.mart.columns}
        key = next((name for name in ("person_key", "family_key") if name in names), None)
        if key is None:
            raise _no_key_or_time(self.mart)
        return key

    @property
    def joins_families(self) -> bool:
        return {"person_key", "family_key"} <= {column.name for column in self.mart.columns}

    @property
    def revealed_by_rows(self) -> dict[str, tuple[str, str]]:
        """What rows reveal by being there: name -> column of the key it is of, SELECT of key, times and ``value``."""
        months = "".join(f", {self.month(name)} AS time_{place}" for place, name in enumerate(self.times))
        revealed = {}
        if self.joins_families:
            revealed["members"] = (
                "family_key",
                f"SELECT f.family_key AS key{months}, count(DISTINCT f.person_key) AS value FROM {self.relation} AS f"
                " GROUP BY ALL",
            )
        if self.times and any(column.quasi_identifier == "month" for column in self.quasi):
            since = ", ".join(f"min({self.month(name)})" for name in self.times)
            revealed["first_seen"] = (
                self.unit,
                f'SELECT f."{self.unit}" AS key, row({since}) AS value FROM {self.relation} AS f GROUP BY ALL',
            )
        return revealed

    @property
    def times(self) -> list[str]:
        return [c.name for c in self.mart.columns if c.kind == "date" and not c.quasi_identifier]

    @property
    def ages(self) -> list[_Quasi]:
        return [column for column in self.quasi if column.quasi_identifier in _COHORTS]

    def month(self, column: str) -> str:
        return f"CAST(date_trunc('month', f.\"{column}\") AS DATE)"

    def now(self, column: _Quasi) -> str:
        """The month or year an age is of."""
        if len(self.times) != 1:
            raise _no_key_or_time(self.mart)
        return _NOW[column.quasi_identifier].format(self.month(self.times[0]))

    @property
    def rows(self) -> str:
        """Rows with their unit and, for ages, since when theirs counts."""
        births = "".join(
            f" LEFT JOIN micro_born AS {c.name}_born ON {c.name}_born.id = u.id AND {c.name}_born.kind ="
            f" {literal(c.quasi_identifier)}"
            for c in self.ages
        )
        of_families = str(self.unit == "family_key").lower()
        return (
            f'{self.relation} AS f LEFT JOIN micro_units AS u ON u.key = f."{self.unit}"'
            f" AND u.is_family = {of_families}{births}"
        )

    @property
    def rows_with_revealed(self) -> str:
        """``rows``, each with what it reveals by being there."""
        joined = self.rows
        for name, (key, select) in self.revealed_by_rows.items():
            times = enumerate(self.times) if name == "members" else ()
            alike = "".join(f" AND {name}.time_{place} = {self.month(time)}" for place, time in times)
            joined += f' LEFT JOIN ({select}) AS {name} ON {name}.key = f."{key}"{alike}'
        return joined

    def revealed_value(self, column: _Quasi) -> str:
        """The value that a column tells, whatever the row's time."""
        if column.quasi_identifier in _COHORTS:
            return f"{column.name}_born.born"
        return self.month(column.name) if column.kind == "date" else f'f."{column.name}"'

    def shown(self, level: int) -> dict[str, str]:
        """What a row shows of its quasi-identifiers on a level: column -> SQL."""
        columns = {}
        for column in self.quasi:
            kind, name = column.quasi_identifier, column.name
            if kind in _COHORTS:
                columns[name] = f'f."{name}"' if level < 3 else "NULL"
                columns[band_name(name)] = self._band(column, level)
            else:
                columns[name] = _at(kind, self.revealed_value(column), level)
        if self.joins_families:
            columns["family_key"] = 'f."family_key"' if level < LAST else "NULL"
        return columns

    def classed(self, level: int) -> list[str]:
        """What makes two rows of one time alike on a level: as ``shown``, with a cohort's number for its band, and what
        they reveal by being there."""
        revealed = [f"{name}.value" if level < LAST else "NULL" for name in self.revealed_by_rows]
        cohorts = [_at(column.quasi_identifier, self.revealed_value(column), max(level, 3)) for column in self.ages]
        return [
            *(f'f."{c.name}"' if level < 3 else f'f."{c.name}" IS NULL' for c in self.ages),
            *cohorts,
            *revealed,
        ] + [
            _at(column.quasi_identifier, self.revealed_value(column), level)
            for column in self.quasi
            if column not in self.ages
        ]

    def _band(self, column: _Quasi, level: int) -> str:
        if level == LAST:
            return "NULL"
        width = _cohort(column.quasi_identifier, level)
        birth_year = f"CAST(floor({self.revealed_value(column)} / {width}) AS BIGINT) * {width}"
        oldest = f"({self.now(column)} - {birth_year})"
        return (
            f'CASE WHEN f."{column.name}" IS NOT NULL THEN'
            f" greatest({oldest} - {width - 1}, 0) || '-' || greatest({oldest}, 0) END"
        )


def _cohort(kind: QuasiKind, level: int) -> int:
    return _COHORTS[kind][level == LAST - 1]


def _no_key_or_time(mart: Mart) -> ReleaseError:
    return ReleaseError(
        "RELEASE_MICRO_CLASS",
        f"{mart.name}: kuasi-identitas memerlukan person_key atau family_key, dan umur satu kolom tanggal.",
        f"{mart.name}: quasi-identifiers need person_key or family_key, and an age one date column.",
        "Beri `micro: true` pada kolom itu.",
        "Give those columns `micro: true`.",
    )


def _at(kind: QuasiKind, value: str, level: int) -> str:
    """As much of a value as a level tells; of ages, of the month or year since which they count."""
    if level == LAST:
        return "NULL"
    if kind == "area":
        return _AREA[level].format(value)
    if kind in _COHORTS:
        return value if level < 3 else f"floor({value} / {_cohort(kind, level)})"
    return value if kind == "sex" or level == 0 else "NULL"


@dataclass(frozen=True)
class Coarse:
    """One table as it may be shown: SQL by column, over this FROM clause. Columns not named stay as they are."""

    columns: dict[str, str]
    source: str


def recode(
    con: duckdb.DuckDBPyConnection, tables: Mapping[str, tuple[Mart, str]], k: int
) -> tuple[dict[str, Coarse], list[dict[str, Any]]]:
    """Generalisation level of each person and family, and how to read each table at it.

    tables: by a name, a table's contract and its relation. k: persons that must share a description. Returns how to
    read the tables that hold quasi-identifiers (``f`` is the relation there), and the counts before and after, as rows
    of ``COUNTS``. Leaves temporary tables ``micro_*`` in the connection, which that SQL reads. Raises
    ReleaseError RELEASE_MICRO_CLASS when a table has no person and no family, or no time, to class by.
    """
    facts = {name: _Fact(*table) for name, table in tables.items()}
    described = {name: fact for name, fact in facts.items() if fact.quasi}
    if not described:
        return {}, []
    coarse = {name: _by_level(fact) for name, fact in facts.items() if fact.quasi or fact.joins_families}
    _find_units(con, facts.values())
    _find_births(con, described.values())
    views = {name: f"micro_classes_{place}" for place, name in enumerate(described)}
    for name, view in views.items():
        _find_classes(con, described[name], view)
    _find_profiles(con, facts.values())
    _find_levels(con, [*views.values(), "micro_profiles"], k)
    counts = [
        row
        for name, view in views.items()
        for stage in ("before", "after")
        for row in _count(con, described[name].mart.name, view, stage, k)
    ]
    return coarse, counts


def _find_units(con: duckdb.DuckDBPyConnection, facts: Iterable[_Fact]) -> None:
    """Persons and families of the file, and which of them family keys join (``component``)."""
    keys, pairs = [], []
    for fact in facts:
        names = [name for name in ("person_key", "family_key") if name in {c.name for c in fact.mart.columns}]
        keys += [f"SELECT {name} AS key, {name == 'family_key'} AS is_family FROM {fact.relation}" for name in names]
        if len(names) > 1:
            pairs.append(f"SELECT person_key, family_key FROM {fact.relation}")
    no_pairs = "SELECT NULL AS person_key, NULL AS family_key WHERE false"
    con.execute(
        "CREATE OR REPLACE TEMP TABLE micro_units AS SELECT *, id AS component FROM ("
        "SELECT key, is_family, row_number() OVER (ORDER BY is_family, key) AS id"
        f" FROM ({' UNION '.join(keys)}) WHERE key IS NOT NULL)"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE micro_pairs AS SELECT p.id AS person, f.id AS family"
        f" FROM ({' UNION '.join(pairs) or no_pairs}) AS pair"
        " JOIN micro_units AS p ON p.key = pair.person_key AND NOT p.is_family"
        " JOIN micro_units AS f ON f.key = pair.family_key AND f.is_family"
    )
    # Each takes the lowest number among those it is joined to, until nothing changes.
    while True:
        con.execute(
            "CREATE OR REPLACE TEMP TABLE micro_lower AS WITH joined AS ("
            " SELECT person AS id, family AS other FROM micro_pairs UNION ALL SELECT family, person FROM micro_pairs)"
            " SELECT u.id, min(o.component) AS component FROM joined JOIN micro_units AS u USING (id)"
            " JOIN micro_units AS o ON o.id = joined.other GROUP BY u.id, u.component"
            " HAVING min(o.component) < u.component"
        )
        if not one_row(con.execute("SELECT count(*) FROM micro_lower"))[0]:
            return
        con.execute("UPDATE micro_units AS u SET component = l.component FROM micro_lower AS l WHERE l.id = u.id")


def _find_births(con: duckdb.DuckDBPyConnection, facts: Iterable[_Fact]) -> None:
    """Since which month or year a person's age counts; the earliest, where rows differ by the day of the month."""
    births = [
        f'SELECT u.id, {literal(age.quasi_identifier)} AS kind, {fact.now(age)} - f."{age.name}" AS born'
        f' FROM {fact.relation} AS f JOIN micro_units AS u ON u.key = f."{fact.unit}"'
        f" AND u.is_family = {fact.unit == 'family_key'}"
        for fact in facts
        for age in fact.ages
    ]
    every = " UNION ALL ".join(births) or "SELECT 0 AS id, '' AS kind, 0 AS born WHERE false"
    con.execute(
        "CREATE OR REPLACE TEMP TABLE micro_born AS SELECT id, kind, CAST(min(born) AS BIGINT) AS born"
        f" FROM ({every}) WHERE born IS NOT NULL GROUP BY id, kind"
    )


def _hashes(by_level: Iterable[str]) -> str:
    # Two classes with one 64-bit hash would count as one: at ten million classes once in a million files.
    return ", ".join(f"hash({level}, {values}) AS h{level}" for level, values in enumerate(by_level))


def _find_classes(con: duckdb.DuckDBPyConnection, fact: _Fact, view: str) -> None:
    """For each unit and class it is in, the class on every level."""
    times = [fact.month(name) for name in fact.times]
    by_level = (", ".join([*times, *fact.classed(level)]) for level in range(LAST + 1))
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {view} AS SELECT u.id, u.component, {_hashes(by_level)}, count(*) AS row_count"
        f" FROM {fact.rows_with_revealed} WHERE u.id IS NOT NULL GROUP BY ALL"
    )


def _find_profiles(con: duckdb.DuckDBPyConnection, facts: Iterable[_Fact]) -> None:
    """For each unit, what all of the file shows of it on every level: persons have their families' part too."""
    tells = []
    for fact in facts:
        for column in fact.quasi:
            kind, value = column.quasi_identifier, fact.revealed_value(column)
            hashes = ", ".join(f"hash({literal(kind)}, {_at(kind, value, level)}) AS v{level}" for level in range(LAST))
            tells.append(f"SELECT u.id, {hashes} FROM {fact.rows} WHERE u.id IS NOT NULL")
        for name, (key, select) in fact.revealed_by_rows.items():
            hashes = ", ".join(f"hash({literal(name)}, revealed.value) AS v{level}" for level in range(LAST))
            is_family = str(key == "family_key").lower()
            tells.append(
                f"SELECT u.id, {hashes} FROM ({select}) AS revealed"
                f" JOIN micro_units AS u ON u.key = revealed.key AND u.is_family = {is_family}"
            )
    con.execute(f"CREATE OR REPLACE TEMP TABLE micro_revealed AS {' UNION '.join(tells)}")
    con.execute(
        "INSERT INTO micro_revealed"
        " SELECT person AS id, t.* EXCLUDE (id) FROM micro_pairs JOIN micro_revealed AS t ON t.id = family"
    )
    # A set's hash out of its members' hashes, level by level: sets of two million people do not fit a small host.
    for level in range(LAST):
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE micro_set_{level} AS SELECT id, bit_xor(v) AS v{level}"
            f" FROM (SELECT DISTINCT id, v{level} AS v FROM micro_revealed) GROUP BY id"
        )
    sets = " ".join(f"JOIN micro_set_{level} USING (id)" for level in range(LAST))
    by_level = [f"v{level}" for level in range(LAST)]
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE micro_profiles AS SELECT id, component, {_hashes([*by_level, '0'])}"
        f" FROM micro_units {sets}"
    )
    for level in range(LAST):
        con.execute(f"DROP TABLE micro_set_{level}")
    con.execute("DROP TABLE micro_revealed")


def _now_at(level: str) -> str:
    return f"CASE {level} {' '.join(f'WHEN {number} THEN h{number}' for number in range(LAST + 1))} END"


def _find_levels(con: duckdb.DuckDBPyConnection, views: Sequence[str], k: int) -> None:
    """Move everyone in a class of fewer than k, and those joined to them, a level down, until there is no such class.

    All at once: one kind of class after the other would send many further down than they need. Who moves leaves some
    classes and enters others; no other class can have become rare, so that only these are counted again.
    """
    con.execute("CREATE OR REPLACE TEMP TABLE micro_levels AS SELECT DISTINCT component, 0 AS level FROM micro_units")
    con.execute("CREATE OR REPLACE TEMP TABLE micro_moved AS FROM micro_levels")
    con.execute("CREATE OR REPLACE TEMP TABLE micro_members (class UBIGINT, id BIGINT, component BIGINT)")
    entered = " UNION ALL ".join(
        f"SELECT DISTINCT hash({place}, {_now_at('m.level')}) AS class, id, component"
        f" FROM {view} AS v JOIN micro_moved AS m USING (component) WHERE m.level < {LAST}"
        for place, view in enumerate(views)
    )
    components = "SELECT component FROM micro_moved"
    while one_row(con.execute("SELECT count(*) FROM micro_moved"))[0]:
        con.execute(f"CREATE OR REPLACE TEMP TABLE micro_entered AS {entered}")
        con.execute(
            "CREATE OR REPLACE TEMP TABLE micro_changed AS SELECT class FROM micro_entered UNION"
            f" SELECT class FROM micro_members WHERE component IN ({components})"
        )
        con.execute(f"DELETE FROM micro_members WHERE component IN ({components})")
        con.execute("INSERT INTO micro_members FROM micro_entered")
        con.execute(
            "CREATE OR REPLACE TEMP TABLE micro_rare AS SELECT class FROM micro_members SEMI JOIN micro_changed"
            f" USING (class) GROUP BY class HAVING count(*) < {k}"
        )
        con.execute(
            "CREATE OR REPLACE TEMP TABLE micro_moved AS SELECT component, level + 1 AS level FROM micro_levels"
            " WHERE component IN (SELECT component FROM micro_members SEMI JOIN micro_rare USING (class))"
        )
        con.execute(f"UPDATE micro_levels SET level = level + 1 WHERE component IN ({components})")
    for table in ("members", "entered", "changed"):
        con.execute(f"DROP TABLE micro_{table}")


def _count(con: duckdb.DuckDBPyConnection, table: str, view: str, stage: str, k: int) -> list[dict[str, Any]]:
    level = "s.level" if stage == "after" else "0"
    rows = con.execute(
        f"WITH seen AS (SELECT {level} AS level, {_now_at(level)} AS class, v.id, v.row_count FROM {view} AS v"
        "  JOIN micro_levels AS s USING (component)),"
        " classes AS (SELECT level, class, count(DISTINCT id) AS units, sum(row_count) AS row_count"
        "  FROM seen GROUP BY level, class)"
        " SELECT level, CAST(sum(row_count) AS BIGINT),"
        " (SELECT count(DISTINCT id) FROM seen WHERE seen.level = c.level), count(*), count(*) FILTER (units < $1),"
        " CAST(coalesce(sum(row_count) FILTER (units < $1), 0) AS BIGINT)"
        " FROM classes AS c GROUP BY level ORDER BY level",
        [k],
    ).fetchall()
    return [dict(zip(_COUNTED, (table, stage, row[0], LEVELS[row[0]], *row[1:]), strict=True)) for row in rows]


def _by_level(fact: _Fact) -> Coarse:
    columns_of_level = [fact.shown(level) for level in range(LAST + 1)]
    level = f"coalesce(s.level, {LAST})"
    columns = {
        name: f"CASE {level} {' '.join(f'WHEN {at} THEN {sql[name]}' for at, sql in enumerate(columns_of_level))} END"
        for name in columns_of_level[0]
    }
    source = f"{fact.rows} LEFT JOIN micro_levels AS s ON s.component = u.component"
    shown_level = {STEP_COLUMN: f"CAST({level} AS BIGINT)"} if fact.quasi else {}
    return Coarse(columns | shown_level, source)
