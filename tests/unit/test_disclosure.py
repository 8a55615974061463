"""Small cells are hidden, and nobody can subtract a hidden number out of those shown."""

from collections.abc import Iterable

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.disclosure import Policy, suppress
from warehouse.mart import Mart, MartColumn

POLICY = Policy(threshold=5, small_base=10)
NUMBERS = ("numerator", "denominator", "percentage", "numerator_low")
CITY = "36.71"


def column(name: str, kind: str, role: str, **more) -> MartColumn:
    return MartColumn(name, kind, role, "", **more)


def mart(*keys: MartColumn) -> Mart:
    return Mart(
        "stunting_by_area_month",
        '"marts"."stunting_by_area_month"',
        "",
        (
            column("area_level", "varchar", "key"),
            column("kemendagri_code", "varchar", "key"),
            column("period_start", "date", "key"),
            column("measure", "varchar", "key"),
            *keys,
            column("numerator", "bigint", "count"),
            column("denominator", "bigint", "count"),
            column("percentage", "double", "rate"),
            column("numerator_low", "bigint", "bound"),
            column("is_reliable", "boolean", "bound"),
            column("suppression_reason", "varchar", "suppression"),
            column("is_stale", "boolean", "attribute"),
        ),
    )


DESIL = column("desil", "varchar", "key")
AREA_BASIS = column("area_basis", "varchar", "key", is_together=True)


def level(code: str) -> str:
    return {1: "kota", 2: "kecamatan", 3: "kelurahan"}[code.count(".")]


def ancestors(code: str) -> list[str]:
    parts = code.split(".")
    return [".".join(parts[:n]) for n in range(2, len(parts) + 1)]


def run(
    shape: Mart, rows: Iterable[dict], policy: Policy = POLICY, families: dict[str, str] | None = None, times: int = 1
):
    """Suppress ``times`` over; returns rows as dictionaries keyed by (code, measure, own keys...)."""
    con = duckdb.connect()
    con.execute(shape.ddl("source"))
    filled = [
        {
            "area_level": level(row["kemendagri_code"]),
            "period_start": "2026-10-01",
            "measure": "stunted",
            "percentage": 100 * row["numerator"] / row["denominator"] if row.get("denominator") else None,
            "numerator_low": row["numerator"],
            "is_reliable": True,
            "is_stale": False,
        }
        | row
        for row in rows
    ]
    names = [c.name for c in shape.columns]
    if filled:
        con.register("filled", pa.Table.from_pylist([{name: row.get(name) for name in names} for row in filled]))
        con.execute("INSERT INTO source FROM filled")
    result = None
    for n in range(times):
        result = suppress(con, shape, "source" if n == 0 else f"target{n - 1}", f"target{n}", policy, families)
    relation = con.sql(f"SELECT * FROM target{times - 1}")
    out = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    own = [k for k in shape.keys if k not in {"area_level", "period_start"}]
    return {tuple(row[k] for k in own): row for row in out}, result


def summed(leaves: dict[tuple, tuple[int, int]], total: str | None = None) -> list[dict]:
    """Rows at every level from {(kelurahan, desil): (numerator, denominator)}, with the total over desil if asked."""
    sums: dict[tuple, list[int]] = {}
    for (code, desil), counts in leaves.items():
        for area in ancestors(code):
            for category in [desil] if total is None else [desil, total]:
                cell = sums.setdefault((area, category), [0, 0])
                cell[0] += counts[0]
                cell[1] += counts[1]
    return [
        {"kemendagri_code": area, "desil": desil, "numerator": n, "denominator": d}
        for (area, desil), (n, d) in sums.items()
    ]


def plain(leaves: dict[str, tuple[int, int]]) -> list[dict]:
    return summed({(code, "x"): counts for code, counts in leaves.items()})


def hidden(found: dict) -> set:
    return {key for key, row in found.items() if row["suppression_reason"]}


LARGE = (50, 200)


@pytest.mark.parametrize(
    ("numerator", "denominator", "is_hidden"),
    [
        (0, 200, False), (1, 200, True), (4, 200, True), (5, 200, False),
        (195, 200, False), (196, 200, True), (199, 200, True), (200, 200, False),
        (0, 9, True), (9, 9, True), (0, 10, False), (10, 10, False), (5, 10, False), (5, 9, True),
        (4, None, True), (5, None, False), (0, None, False), (210, 200, False), (202, 200, False),
    ],
)  # fmt: skip
def test_a_cell_is_hidden_for_its_own_numbers(numerator, denominator, is_hidden):
    found, result = run(mart(), [{"kemendagri_code": CITY, "numerator": numerator, "denominator": denominator}])
    assert (found[CITY, "stunted"]["suppression_reason"] == "primary") == is_hidden
    assert result.hidden == is_hidden


def test_a_hidden_row_has_no_number_and_keeps_what_is_none():
    found, _ = run(mart(), [{"kemendagri_code": CITY, "numerator": 3, "denominator": 90}])
    row = found[CITY, "stunted"]
    assert [row[name] for name in NUMBERS] == [None] * len(NUMBERS)
    assert row["is_reliable"] is None
    assert row["is_stale"] is False


def test_one_small_kelurahan_withholds_those_of_its_kecamatan_and_no_others():
    leaves = {f"36.71.0{k}.100{n}": LARGE for k in (1, 2) for n in (1, 2, 3)} | {"36.71.01.1002": (2, 200)}
    found, result = run(mart(), plain(leaves))
    assert {code for code, _ in hidden(found)} == {"36.71.01.1001", "36.71.01.1002", "36.71.01.1003"}
    assert found["36.71.01.1002", "stunted"]["suppression_reason"] == "primary"
    assert found["36.71.01.1001", "stunted"]["suppression_reason"] == "complement"
    assert (result.shown, result.primary, result.complement) == (6, 1, 2)


def test_a_small_kecamatan_takes_a_partner_and_both_lose_their_kelurahan():
    leaves = {f"36.71.0{k}.100{n}": (60 + k, 200) for k in (2, 3, 4) for n in (1, 2)}
    leaves |= {"36.71.01.1001": (2, 200), "36.71.01.1002": (0, 200)}
    found, _ = run(mart(), plain(leaves))
    assert {code for code, _ in hidden(found)} == {
        "36.71.01", "36.71.01.1001", "36.71.01.1002", "36.71.02", "36.71.02.1001", "36.71.02.1002",
    }  # fmt: skip


def test_people_without_a_place_cost_one_partner_not_the_whole_level():
    leaves = {f"36.71.0{k}.100{n}": (50 + n, 200) for k in (1, 2, 3) for n in (1, 2, 3)} | {"36.71.01.0000": (3, 30)}
    found, _ = run(mart(), plain(leaves))
    assert {code for code, _ in hidden(found)} == {"36.71.01.0000", "36.71.01.1001"}


def test_other_periods_measures_and_keys_are_left_alone():
    rows = [
        row | {"measure": measure}
        for measure, small in [("stunted", 2), ("wasted", 50)]
        for row in plain({"36.71.01.1001": (small, 200), "36.71.01.1002": LARGE})
    ]
    found, _ = run(mart(), rows)
    assert {measure for _, measure in hidden(found)} == {"stunted"}


def test_measures_of_one_family_are_hidden_together():
    rows = [
        row | {"measure": measure}
        for measure, small in [("receiving", 2), ("not_receiving", 50)]
        for row in plain({"36.71.01.1001": (small, 200), "36.71.01.1002": LARGE})
    ]
    found, _ = run(mart(), rows, families={"receiving": "families", "not_receiving": "families"})
    assert len(hidden(found)) == 4
    assert found["36.71.01.1001", "not_receiving"]["suppression_reason"] == "complement"


def test_a_share_and_its_complement_are_hidden_in_the_same_areas():
    leaves = {f"36.71.0{k}.100{n}": (60 + 7 * k, 200 - 9 * k) for k in (2, 3, 4) for n in (1, 2)}
    leaves |= {"36.71.01.1001": (2, 200), "36.71.01.1002": (0, 200)}
    covered, _ = run(mart(), plain(leaves))
    uncovered, _ = run(mart(), plain({code: (d - n, d) for code, (n, d) in leaves.items()}))
    assert hidden(covered) == hidden(uncovered)
    assert len(hidden(covered)) == 6


def test_values_of_a_together_key_are_hidden_together():
    rows = [
        row | {"area_basis": basis}
        for basis, small in [("residence", 4), ("service_place", 6)]
        for row in plain({"36.71.01.1001": (small, 200), "36.71.01.1002": LARGE})
    ]
    found, _ = run(mart(AREA_BASIS), rows)
    assert {basis for code, _, basis in hidden(found) if code.count(".") == 3} == {"residence", "service_place"}


def test_a_single_hidden_category_takes_the_others_but_not_their_total():
    leaves = {("36.71.01.1001", d): LARGE for d in ("01", "02", "03")} | {
        ("36.71.01.1002", d): LARGE for d in ("01", "02", "03")
    }
    leaves["36.71.01.1001", "01"] = (2, 200)
    found, _ = run(mart(DESIL), summed(leaves, "all"))
    assert hidden(found) == {(f"36.71.01.100{n}", "stunted", d) for n in (1, 2) for d in ("01", "02", "03")}
    assert found["36.71.01.1001", "stunted", "02"]["suppression_reason"] == "secondary"


def test_a_mart_without_numerators_is_judged_by_its_counts():
    shape = Mart(
        "pairs", "", "",
        (column("pair", "varchar", "key"), column("matched", "bigint", "count"), column("share", "double", "rate")),
    )  # fmt: skip
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE source AS FROM (VALUES ('a', 3::BIGINT, 0.5::DOUBLE), ('b', 9, 0.1)) AS t(pair, matched, share)"
    )
    assert suppress(con, shape, "source", "target", POLICY).primary == 1
    assert con.execute("FROM target ORDER BY 1").fetchall() == [("a", None, None), ("b", 9, 0.1)]


# An attacker who knows every shown number and how the tables add up.

counts = st.one_of(st.integers(0, 6), st.integers(0, 6), st.integers(5, 60))


@st.composite
def trees(draw, most_categories: int = 1):
    leaves = {}
    categories = [f"{n:02d}" for n in range(1, draw(st.integers(1, most_categories)) + 1)]
    for k in range(draw(st.integers(0, 1)), draw(st.integers(2, 4))):
        kelurahan = [f"36.71.{k:02d}.0000"] if k == 0 or draw(st.booleans()) else []
        kelurahan += [f"36.71.{k:02d}.{1001 + n}" for n in range(draw(st.integers(1, 3)) if k else 0)]
        for code in kelurahan:
            for category in categories:
                n, rest = draw(counts), draw(counts)
                if n or rest or draw(st.booleans()):
                    leaves[code, category] = (n, n + rest)
    return leaves


def determined(found: dict, total: str | None) -> set:
    """Hidden cells whose value follows from the shown ones: those with no freedom left in the sums."""
    cells = {(code, category) for code, _, *rest in found for category in rest or ["x"]}
    unknown = sorted(
        cell for cell in cells if found[(cell[0], "stunted", *([cell[1]] if total else []))]["suppression_reason"]
    )
    place = {cell: n for n, cell in enumerate(unknown)}
    lines = []
    for code, category in cells:
        lines.append([(code, category), *(c for c in cells if c[1] == category and c[0].rpartition(".")[0] == code)])
        if total and category == total:
            lines.append([(code, total), *(c for c in cells if c[0] == code and c[1] != total)])
    matrix = np.zeros((len(lines), len(unknown)))
    for n, (head, *parts) in enumerate(lines):
        if not parts:
            continue
        for cell, sign in [(head, -1), *((part, 1) for part in parts)]:
            if cell in place:
                matrix[n, place[cell]] = sign
    if not unknown:
        return set()
    _, values, vectors = np.linalg.svd(matrix)
    free = vectors[np.sum(values > 1e-9) :]
    return {cell for cell, n in place.items() if not np.any(np.abs(free[:, n]) > 1e-9)}


@settings(max_examples=50, deadline=None)
@given(trees())
def test_no_hidden_area_can_be_subtracted_out(leaves):
    found, _ = run(mart(), summed(leaves))
    assert determined(found, None) == set()


@settings(max_examples=50, deadline=None)
@given(trees(most_categories=4))
def test_no_hidden_area_or_category_can_be_subtracted_out(leaves):
    found, _ = run(mart(DESIL), summed(leaves, "all"))
    assert determined(found, "all") == set()


@settings(max_examples=50, deadline=None)
@given(trees(most_categories=3))
def test_hiding_twice_is_hiding_once_and_hidden_rows_hold_no_number(leaves):
    once, _ = run(mart(DESIL), summed(leaves, "all"))
    twice, _ = run(mart(DESIL), summed(leaves, "all"), times=2)
    assert once == twice
    assert all(row[name] is None for row in once.values() if row["suppression_reason"] for name in NUMBERS)
    for row in once.values():
        if not row["suppression_reason"]:
            assert row["numerator"] not in range(1, 5)
            assert row["denominator"] - row["numerator"] not in range(1, 5)


@settings(max_examples=15, deadline=None)
@given(trees(most_categories=3))
def test_nothing_is_hidden_when_all_cells_are_large(leaves):
    large = {key: (n + 10, d + 30) for key, (n, d) in leaves.items()}
    _, result = run(mart(DESIL), summed(large, "all"))
    assert result.hidden == 0
