"""Rare descriptions in the pseudonymised file: k persons share each, in every table and over all of them."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.build.catalogue import STEP_COLUMN, Mart, MartColumn, QuasiKind, band_name
from warehouse.core.errors import ReleaseError
from warehouse.release.pseudonymised.recoding import LAST, recode

K = 3
MONTHS = ("2026-08-01", "2026-09-01", "2026-10-01")
KELURAHAN = ("36.71.01.1001", "36.71.01.1002", "36.71.02.1001", "36.71.00.0000")
Columns = dict[str, tuple[str, QuasiKind | None]]
COLUMNS: dict[str, Columns] = {
    "children": {
        "row": ("bigint", None),
        "person_key": ("varchar", None),
        "measured_month": ("date", None),
        "kemendagri_code": ("varchar", "area"),
        "sex": ("bigint", "sex"),
        "age_months": ("bigint", "age_months"),
        "haz": ("double", None),
    },
    "members": {
        "row": ("bigint", None),
        "person_key": ("varchar", None),
        "family_key": ("varchar", None),
        "period_start": ("date", None),
        "kemendagri_code": ("varchar", "area"),
        "sex_code": ("varchar", "sex"),
        "age_years": ("bigint", "age_years"),
        "desil": ("varchar", None),
    },
    "families": {
        "row": ("bigint", None),
        "family_key": ("varchar", None),
        "period_start": ("date", None),
        "kemendagri_code": ("varchar", "area"),
        "person_count": ("bigint", "household_size"),
        "deprivation_score": ("double", None),
    },
    "cards": {
        "row": ("bigint", None),
        "person_key": ("varchar", None),
        "period_start": ("date", None),
        "segment": ("varchar", None),
        "registered_month": ("date", "month"),
    },
}
QUASI = {table: [name for name, (_, kind) in columns.items() if kind] for table, columns in COLUMNS.items()}
TIMES = {"children": "measured_month", "members": "period_start", "families": "period_start", "cards": "period_start"}
Rows = dict[str, list[tuple]]


def mart(table: str, columns: Columns) -> Mart:
    described = tuple(
        MartColumn(name, kind, "attribute", "", quasi_identifier=q) for name, (kind, q) in columns.items()
    )
    return Mart(table, f"build.{table}", "", described)


@dataclass
class Shown:
    """What the file would hold: rows by column, before and after, and the counts."""

    before: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    after: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    counts: list[dict[str, Any]] = field(default_factory=list)


def dicts(con: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    found = con.execute(sql)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def show(rows: Rows, k: int = K) -> Shown:
    shown = Shown()
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA build")
        for table, columns in COLUMNS.items():
            typed = ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items())
            con.execute(f"CREATE TABLE build.{table} ({typed})")
            if found := [[number, *row] for number, row in enumerate(rows.get(table, ()))]:
                marks = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * len(found))
                con.execute(f"INSERT INTO build.{table} VALUES {marks}", [value for row in found for value in row])
        coarse, shown.counts = recode(con, {t: (mart(t, c), f"build.{t}") for t, c in COLUMNS.items()}, k)
        for table, columns in COLUMNS.items():
            pairs = [(name, f'f."{name}"') for name in columns if name not in coarse[table].columns]
            pairs += list(coarse[table].columns.items())
            chosen = ", ".join(f'{sql} AS "{name}"' for name, sql in pairs)
            shown.after[table] = dicts(con, f"SELECT {chosen} FROM {coarse[table].source} ORDER BY f.row")
            shown.before[table] = dicts(con, f"SELECT * FROM build.{table} ORDER BY row")
    return shown


@st.composite
def cities(draw: st.DrawFn) -> Rows:
    """Families and persons who move, marry, are measured in some months and hold cards; some rows say nothing."""
    rows: Rows = {table: [] for table in COLUMNS}
    area = st.sampled_from(KELURAHAN)
    families = [(f"f{n}", draw(area), draw(st.integers(1, 3))) for n in range(draw(st.integers(1, 9)))]
    for family, home, size in families:
        for month in draw(st.sets(st.sampled_from(MONTHS), min_size=1)):
            rows["families"].append((family, month, home, size, round(draw(st.floats(0, 1)), 2)))
    for number in range(draw(st.integers(1, 24))):
        person, sex = f"p{number}", draw(st.sampled_from((1, 2)))
        family, home, _ = draw(st.sampled_from(families))
        other, new_home, _ = draw(st.sampled_from(families)) if draw(st.integers(0, 9)) == 0 else (family, home, 0)
        born = 2026 * 12 + 1 - draw(st.sampled_from((3, 4, 14, 40)))
        for place, month in enumerate(MONTHS):
            now = 2026 * 12 + int(month[5:7])
            lives = (other, new_home) if place == 2 else (family, home)
            if draw(st.booleans()):
                age = draw(st.sampled_from((now - born, now - born - 1, None)))
                rows["children"].append((person, month, lives[1], sex, age, round(draw(st.floats(-6, 6)), 2)))
            if draw(st.booleans()):
                key = draw(st.sampled_from((lives[0], lives[0], None)))
                rows["members"].append((person, key, month, lives[1], str(sex), (now - born) // 12, "01"))
            if draw(st.integers(0, 3)) == 0:
                registered = draw(st.sampled_from((*MONTHS, None)))
                rows["cards"].append((person, month, "BPU", registered))
    return rows


def unit(row: dict[str, Any]) -> str:
    return row.get("person_key") or row["family_key"]


def visible(table: str, row: dict[str, Any]) -> tuple:
    return tuple((name, value) for name, value in row.items() if name in QUASI[table] or name.endswith("_band"))


def counted(shown: Shown) -> dict[tuple, int]:
    """How many persons go by a family key in a month, as whoever holds the file counts them."""
    persons = defaultdict(set)
    for row in shown.after["members"]:
        if row["family_key"]:
            persons[row["family_key"], row["period_start"]].add(row["person_key"])
    return {key: len(found) for key, found in persons.items()}


def first_seen(shown: Shown) -> dict[str, Any]:
    """The first month in which somebody has a card, as whoever holds the file sees it."""
    found: dict[str, Any] = {}
    for row in shown.after["cards"]:
        found[row["person_key"]] = min(row["period_start"], found.get(row["person_key"], row["period_start"]))
    return found


def each_description_fits_k_or_says_nothing(shown: Shown) -> None:
    sizes, since = counted(shown), first_seen(shown)
    for table, found in shown.after.items():
        classes = defaultdict(set)
        for row in found:
            by_rows = ()
            if row[STEP_COLUMN] < LAST and table == "members":
                by_rows = (("members", sizes.get((row["family_key"], row["period_start"]))),)
            if row[STEP_COLUMN] < LAST and table == "cards":
                by_rows = (("first_seen", since[row["person_key"]]),)
            classes[row[TIMES[table]], row[STEP_COLUMN], visible(table, row) + by_rows].add(unit(row))
        for (_, step, values), units in classes.items():
            if step == LAST:
                assert all(value is None for _, value in values)
                assert table != "members" or all(row["family_key"] is None for row in found if row[STEP_COLUMN] == LAST)
            else:
                assert len(units) >= K, (table, step, values)


def joining_tables_and_periods_leaves_k_alike(shown: Shown) -> None:
    sizes, since = defaultdict(set), first_seen(shown)
    for row in shown.after["families"]:
        sizes[row["family_key"]] |= {row["kemendagri_code"], row["person_count"]}
    for (family, _), number in counted(shown).items():
        sizes[family].add(f"{number} members")
    told, steps = defaultdict(set), defaultdict(set)
    for table in ("children", "members", "cards"):
        for row in shown.after[table]:
            told[row["person_key"]] |= {
                row.get("kemendagri_code"),
                str(row.get("sex", row.get("sex_code"))),
                row.get("registered_month"),
            } - {None, "None"}
            if row.get("family_key"):
                told[row["person_key"]] |= sizes[row["family_key"]] - {None}
            if row["person_key"] in since:
                told[row["person_key"]].add(f"since {since[row['person_key']]}")
            steps[row["person_key"]].add(row[STEP_COLUMN])
    assert all(len(found) == 1 for found in steps.values()), "a person stands on one step everywhere"
    alike = defaultdict(set)
    for person, values in told.items():
        alike[min(steps[person]), frozenset(values)].add(person)
    assert all(len(persons) >= K for (step, _), persons in alike.items() if step < LAST)


def a_family_and_all_who_ever_belonged_to_it_stand_on_one_step(shown: Shown) -> None:
    steps = defaultdict(set)
    for row in shown.after["members"] + shown.after["families"]:
        if row["family_key"]:
            steps[row["family_key"]].add(row[STEP_COLUMN])
    assert all(len(found) == 1 for found in steps.values())


def measures_and_keys_are_what_they_were_and_coarse_values_are_true(shown: Shown) -> None:
    for table, columns in COLUMNS.items():
        assert len(shown.after[table]) == len(shown.before[table])
        for was, row in zip(shown.before[table], shown.after[table], strict=True):
            for name, (_, kind) in columns.items():
                if (table, name, row[STEP_COLUMN]) == ("members", "family_key", LAST):
                    assert row[name] is None
                elif kind is None:
                    assert row[name] == was[name]
                elif kind == "area":
                    assert row[name] is None or was[name].startswith(row[name])
                else:
                    assert row[name] in (None, was[name])
            for name in ("age_months", "age_years"):
                band = row.get(band_name(name))
                if band:
                    low, high = map(int, band.split("-"))
                    assert low - 1 <= was[name] <= high + 1


def the_month_in_which_a_child_crosses_into_the_next_band_says_nothing(shown: Shown) -> None:
    born = defaultdict(set)
    for row in shown.after["children"]:
        if row["age_months_band"] and row[STEP_COLUMN] >= 3:
            now = row["measured_month"].year * 12 + row["measured_month"].month
            born[row["person_key"]].add(now - int(row["age_months_band"].split("-")[1]))
    assert all(len(found) == 1 for found in born.values())


def counts_are_those_of_the_rows(shown: Shown) -> None:
    for table, found in shown.after.items():
        counts = [row for row in shown.counts if row["table_name"] == table]
        for stage in ("before", "after"):
            assert sum(row["row_count"] for row in counts if row["stage"] == stage) == len(found)
        assert not [row for row in counts if row["stage"] == "after" and row["step"] < LAST and row["classes_below_k"]]
        classes = defaultdict(set)
        for row in shown.before[table]:
            classes[row[TIMES[table]], *(row[name] for name in QUASI[table] if "age" not in name)].add(unit(row))
        rare = sum(row["classes_below_k"] for row in counts if row["stage"] == "before")
        assert rare >= sum(len(units) < K for units in classes.values())


# One release of a city is asked for everything: making it costs more than looking at it.
@given(cities())
def test_nobody_is_told_by_a_rare_description_and_nothing_else_is_lost(rows: Rows) -> None:
    shown = show(rows)
    each_description_fits_k_or_says_nothing(shown)
    joining_tables_and_periods_leaves_k_alike(shown)
    a_family_and_all_who_ever_belonged_to_it_stand_on_one_step(shown)
    measures_and_keys_are_what_they_were_and_coarse_values_are_true(shown)
    the_month_in_which_a_child_crosses_into_the_next_band_says_nothing(shown)
    counts_are_those_of_the_rows(shown)


def child(person: str, home: str, age: int = 14, month: str = MONTHS[0], haz: float = -2.5) -> tuple:
    return (person, month, home, 1, age, haz)


def test_steps_are_taken_one_after_the_other() -> None:
    rows = {"children": [child(f"p{n}", "36.71.01.1001") for n in range(3)]}
    assert {row[STEP_COLUMN] for row in show(rows).after["children"]} == {0}

    rows = {"children": [child(f"p{n}", f"36.71.01.100{n}") for n in range(3)]}
    found = show(rows).after["children"]
    assert [(r["kemendagri_code"], r["age_months"], r["haz"]) for r in found] == [("36.71.01", 14, -2.5)] * 3

    rows = {"children": [child(f"p{n}", "36.71.01.1001", age) for n, age in enumerate((12, 13, 14))]}
    found = show(rows).after["children"]
    assert [(r["kemendagri_code"], r["age_months"], r["age_months_band"]) for r in found] == [
        ("36.71.01", None, "9-14")
    ] * 3

    rows = {"children": [child(f"p{n}", f"36.71.0{n}.1001") for n in range(1, 4)]}
    assert {r["kemendagri_code"] for r in show(rows).after["children"]} == {"36.71"}

    rows = {"children": [child("p1", "36.71.01.1001")]}
    (alone,) = show(rows).after["children"]
    assert (alone["kemendagri_code"], alone["sex"], alone["age_months_band"]) == (None, None, None)
    assert (alone["haz"], alone["person_key"], alone[STEP_COLUMN]) == (-2.5, "p1", LAST)


def test_who_moves_is_shown_where_k_moved_alike() -> None:
    stay = [child(f"s{n}", home, month=m) for home in KELURAHAN[:2] for n in range(3) for m in MONTHS[:2]]
    stay = [(f"{row[0]}{row[2][-1]}", *row[1:]) for row in stay]
    move = [child("m", KELURAHAN[0], month=MONTHS[0]), child("m", KELURAHAN[1], month=MONTHS[1])]
    found = show({"children": stay + move}).after["children"]
    moved = {row["kemendagri_code"] for row in found if row["person_key"] == "m"}
    assert moved.isdisjoint(KELURAHAN), "each month's class has k, but only one child went from one to the other"


def test_a_rare_brother_is_not_told_by_his_family() -> None:
    members = [(f"p{n}", f"f{n % 3}", MONTHS[0], KELURAHAN[0], "1", 30, "01") for n in range(6)]
    families = [(f"f{n}", MONTHS[0], KELURAHAN[0], 2, 0.5) for n in range(3)]
    assert {row[STEP_COLUMN] for row in show({"members": members, "families": families}).after["families"]} == {0}
    rare = [*members, ("old", "f0", MONTHS[0], KELURAHAN[0], "1", 99, "01")]
    found = show({"members": rare, "families": families}).after
    told = {row["kemendagri_code"] for row in found["families"] if row["family_key"] == "f0"}
    told |= {row["kemendagri_code"] for row in found["members"] if row["family_key"] == "f0"}
    assert KELURAHAN[0] not in told


def test_members_counted_and_months_first_seen_are_as_rare_as_stated_ones() -> None:
    """Families of two listed persons each, one of three: their size follows from rows where no column states it."""
    members = [(f"p{n}", f"f{n // 2}", MONTHS[0], KELURAHAN[0], "1", 30, "01") for n in range(8)]
    assert {row[STEP_COLUMN] for row in show({"members": members}).after["members"]} == {0}
    found = show({"members": [*members, ("third", "f0", *members[0][2:])]}).after["members"]
    assert {row["family_key"] for row in found if row[STEP_COLUMN] == LAST} == {None}
    assert [row["family_key"] for row in found if row["person_key"] in {"p0", "p1"}] == [None] * 2

    cards = [(f"p{n}", month, "BPU", None) for n in range(3) for month in MONTHS]
    assert {row[STEP_COLUMN] for row in show({"cards": cards}).after["cards"]} == {0}
    late = [("late", month, "BPU", None) for month in MONTHS[1:]]
    found = show({"cards": cards + late}).after["cards"]
    assert {row[STEP_COLUMN] for row in found if row["person_key"] == "late"} == {LAST}


def test_an_age_without_a_time_is_refused() -> None:
    columns = {name: value for name, value in COLUMNS["children"].items() if name != "measured_month"}
    with duckdb.connect() as con, pytest.raises(ReleaseError, match="RELEASE_MICRO_CLASS"):
        recode(con, {"children": (mart("children", columns), "build.children")}, K)
