"""Small cells are hidden, and nobody can work a small count out of the numbers that are left."""

from collections.abc import Iterable, Set

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from warehouse import disclosure
from warehouse.disclosure import Policy, Rules, Table, Term, shares
from warehouse.disclosure.pattern import Pattern
from warehouse.disclosure.witnesses import Finder
from warehouse.errors import WarehouseError
from warehouse.mart import Mart, MartColumn

POLICY = Policy(threshold=5, small_base=10)
NUMBERS = ("numerator", "denominator", "percentage", "statistic", "unknown_count", "numerator_low", "numerator_high")
CITY = "36.71"
LARGE = (50, 200)


def column(name: str, kind: str, role: str, **more) -> MartColumn:
    return MartColumn(name, kind, role, "", **more)


def mart(*keys: MartColumn, name: str = "stunting_by_area_month") -> Mart:
    return Mart(
        name,
        f'"marts"."{name}"',
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
            column("statistic", "double", "rate"),
            column("unknown_count", "bigint", "count"),
            column("numerator_low", "bigint", "bound"),
            column("numerator_high", "bigint", "bound"),
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


class Published:
    """Marts as suppression leaves them: rows by (mart, code, measure, own keys...), and the attack on them."""

    def __init__(
        self,
        given: dict[Mart, Iterable[dict]],
        policy: Policy = POLICY,
        rules: Rules | None = None,
        known: Iterable[str] = (),
    ):
        self.con = duckdb.connect()
        self.tables = []
        for shape, rows in given.items():
            source, target = f'"source_{shape.name}"', f'"{shape.name}"'
            self.con.execute(shape.ddl(source))
            names = [c.name for c in shape.columns]
            filled = [{name: self._filled(row).get(name) for name in names} for row in rows]
            if filled:
                schema = self.con.execute(f"FROM {source} LIMIT 0").to_arrow_table().schema
                self.con.register("filled", pa.Table.from_pylist(filled))
                self.con.execute(f"INSERT INTO {source} FROM filled")
                assert schema.names == names
            if known:
                self.con.execute(f"ALTER TABLE {source} ADD COLUMN was_shown__ BOOLEAN")
                self.con.execute(f"UPDATE {source} SET was_shown__ = list_contains(?, kemendagri_code)", [list(known)])
            self.tables.append(Table(shape, source, target))
        self.made = disclosure.suppress(self.con, self.tables, policy, rules or Rules(), 60)

    @staticmethod
    def _filled(row: dict) -> dict:
        return {
            "area_level": level(row["kemendagri_code"]),
            "period_start": "2026-10-01",
            "measure": "stunted",
            "percentage": 100 * row["numerator"] / row["denominator"]
            if row.get("denominator") and row["numerator"] is not None
            else None,
            "is_reliable": True,
            "is_stale": False,
        } | row

    def rows(self) -> dict[tuple, dict]:
        found = {}
        for table in self.tables:
            relation = self.con.sql(f"SELECT * FROM {table.target}")
            own = [k for k in table.mart.keys if k not in {"area_level", "period_start"}]
            for values in relation.fetchall():
                row = dict(zip(relation.columns, values, strict=True))
                found[(table.mart.name, *(row[k] for k in own))] = row
        return found

    def hidden(self) -> set[tuple]:
        return {key[1:] for key, row in self.rows().items() if row["suppression_reason"]}

    def narrow(self) -> int:
        found, unproven = disclosure.attack_released(self.con, self.tables, self.made, 60)
        assert unproven == 0
        return sum(found.values())


def run(shape: Mart, rows: Iterable[dict], rules: Rules | None = None, policy: Policy = POLICY) -> Published:
    return Published({shape: rows}, policy, rules)


def summed(leaves: dict[tuple, tuple[int, int]], total: str | None = None, **more) -> list[dict]:
    """Rows at every level from {(kelurahan, desil): (numerator, denominator)}, with the total over desil if asked."""
    sums: dict[tuple, list[int]] = {}
    for (code, desil), counts in leaves.items():
        for area in ancestors(code):
            for category in [desil] if total is None else [desil, total]:
                cell = sums.setdefault((area, category), [0, 0])
                cell[0] += counts[0]
                cell[1] += counts[1]
    return [
        {"kemendagri_code": area, "desil": desil, "numerator": n, "denominator": d} | more
        for (area, desil), (n, d) in sums.items()
    ]


def plain(leaves: dict[str, tuple[int, int]], **more) -> list[dict]:
    return summed({(code, "x"): counts for code, counts in leaves.items()}, **more)


def town(small: tuple[int, int] | None = None, size: tuple[int, int] = LARGE) -> dict[str, tuple[int, int]]:
    """Three kecamatan of three kelurahan; ``small`` goes to one of them."""
    leaves = {f"36.71.0{k}.100{n}": (size[0] + n, size[1] + n) for k in (1, 2, 3) for n in (1, 2, 3)}
    return leaves | ({"36.71.01.1001": small} if small else {})


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
    found = run(mart(), [{"kemendagri_code": CITY, "numerator": numerator, "denominator": denominator}])
    reasons = [row["suppression_reason"] for row in found.rows().values()]
    assert reasons == (["primary"] if is_hidden else [None])
    assert found.made.marts["stunting_by_area_month"].hidden == is_hidden


def test_a_hidden_row_has_no_number_and_keeps_what_is_none():
    row = {"kemendagri_code": CITY, "numerator": 3, "denominator": 90, "statistic": 1.5, "numerator_high": 9}
    (found,) = run(mart(), [row]).rows().values()
    assert [found[name] for name in NUMBERS] == [None] * len(NUMBERS)
    assert found["is_reliable"] is None
    assert found["is_stale"] is False


def test_one_small_kelurahan_takes_one_partner_of_its_kecamatan_and_no_more():
    found = run(mart(), plain(town((2, 200))))
    hidden = found.hidden()
    assert len(hidden) == 2
    assert {code.rpartition(".")[0] for code, _ in hidden} == {"36.71.01"}
    rows = found.rows()
    assert rows["stunting_by_area_month", "36.71.01.1001", "stunted"]["suppression_reason"] == "primary"
    assert sorted(row["suppression_reason"] or "" for row in rows.values())[-2:] == ["complement", "primary"]
    assert found.narrow() == 0


def test_what_readers_have_is_no_partner():
    beside = {"36.71.01.1002", "36.71.01.1003"}
    found = Published({mart(): plain(town((2, 200)))}, known=beside)
    assert {code for code, _ in found.hidden()} & beside == set()
    assert "36.71.01" in {code for code, _ in found.hidden()}
    assert (found.narrow(), found.made.waived) == (0, 0)


def test_what_readers_can_compute_is_waived_and_costs_no_other_number():
    """With the kecamatan and all other kelurahan known, no hiding makes the last one uncertain."""
    known = {"36.71.01", "36.71.01.1002", "36.71.01.1003"}
    found = Published({mart(): plain(town((2, 200)))}, known=known)
    assert found.hidden() == {("36.71.01.1001", "stunted")}
    assert (found.narrow(), found.made.waived) == (0, 1)


def test_a_small_kecamatan_takes_partners_but_never_the_city():
    leaves = {f"36.71.0{k}.100{n}": (60 + k, 200) for k in (2, 3, 4) for n in (1, 2)}
    leaves |= {"36.71.01.1001": (2, 200), "36.71.01.1002": (0, 200)}
    found = run(mart(), plain(leaves))
    kecamatan = {code for code, _ in found.hidden() if code.count(".") == 2}
    assert "36.71.01" in kecamatan
    assert "36.71.04" not in kecamatan
    assert (CITY, "stunted") not in found.hidden()
    assert found.narrow() == 0


def test_other_periods_measures_and_keys_are_left_alone():
    rows = plain(town((2, 200))) + plain(town(size=(70, 300)), measure="wasted")
    assert {measure for _, measure in run(mart(), rows).hidden()} == {"stunted"}


def test_nothing_is_hidden_when_all_cells_are_large():
    leaves = {(code, desil): counts for code, counts in town().items() for desil in ("01", "02")}
    assert run(mart(DESIL), summed(leaves, "all")).hidden() == set()


# What one number gives away of another: each channel by which a hidden count was once readable.


def test_an_unknown_count_does_not_show_a_hidden_cell():
    leaves = {(c, d): (n + k, n + k) for c, (n, _) in town().items() for k, d in enumerate(("01", "02", "unknown"))}
    leaves["36.71.01.1001", "unknown"] = (3, 3)
    rows = [row | {"denominator": None, "measure": "families"} for row in summed(leaves, "all")]
    unknown = {row["kemendagri_code"]: row["numerator"] for row in rows if row["desil"] == "unknown"}
    low = [row | {"denominator": row["numerator"] + 77} for row in rows if row["desil"] == "all"]
    low = [row | {"measure": "low", "unknown_count": unknown[row["kemendagri_code"]]} for row in low]
    found = run(mart(DESIL), [*rows, *low])
    row = found.rows()["stunting_by_area_month", "36.71.01.1001", "low", "all"]
    assert row["unknown_count"] is None
    assert found.narrow() == 0


def test_small_bounds_are_withheld_while_the_row_stands():
    rows = [row | {"numerator_low": row["numerator"], "numerator_high": row["numerator"] + 2} for row in plain(town())]
    found = run(mart(), rows)
    assert found.hidden() == set()
    assert all(row["numerator_high"] is None and row["numerator"] for row in found.rows().values())


def test_a_denominator_is_hidden_where_it_is_a_small_numerator_elsewhere_in_any_mart():
    families = plain(town((3, 3)), measure="families_desil_1")
    counts = [row | {"denominator": None} for row in families]
    shares = [row | {"denominator": row["numerator"], "numerator": row["numerator"] // 3} for row in families]
    found = Published({mart(): counts, mart(name="assistance"): shares})
    row = found.rows()["assistance", "36.71.01.1001", "families_desil_1"]
    assert row["denominator"] is None
    assert found.narrow() == 0


def test_an_answer_and_its_complement_are_hidden_in_the_same_areas():
    leaves = town((2, 200))
    yes = plain(leaves, measure="covered")
    no = [row | {"numerator": row["denominator"] - row["numerator"], "denominator": None} for row in yes]
    found = run(mart(), yes + [row | {"measure": "uncovered"} for row in no])
    assert ("36.71.01.1001", "covered") in found.hidden()
    assert found.narrow() == 0


def test_measures_of_one_family_are_hidden_together():
    h = plain(town((2, 200)), measure="h")
    m0 = [
        {"kemendagri_code": row["kemendagri_code"], "measure": "m0", "statistic": 0.1, "denominator": 900} for row in h
    ]
    m0 = [row | {"numerator": None} for row in m0]
    rules = Rules(families={("stunting_by_area_month", m): "living_standards" for m in ("h", "m0")})
    found = run(mart(), h + [row | {"percentage": None} for row in m0], rules)
    areas = {m: {code for code, measure in found.hidden() if measure == m} for m in ("h", "m0")}
    assert areas["h"] == areas["m0"]


def test_values_of_a_together_key_are_hidden_together():
    rows = [
        row | {"area_basis": basis}
        for basis, small in [("residence", 4), ("service_place", 6)]
        for row in plain(town((small, 200)))
    ]
    found = run(mart(AREA_BASIS), rows)
    small = {basis for code, _, basis in found.hidden() if code == "36.71.01.1001"}
    assert small == {"residence", "service_place"}


def test_a_declared_sum_between_measures_gives_nothing_away():
    def of(counts: dict[str, int], measure: str) -> list[dict]:
        return [row | {"denominator": None} for row in plain({c: (n, n) for c, n in counts.items()}, measure=measure)]

    parts = {"inactive": dict.fromkeys(town(), 40), "moved": dict.fromkeys(town(), 30) | {"36.71.01.1001": 2}}
    total = {code: parts["inactive"][code] + parts["moved"][code] for code in town()}
    rows = [*of(total, "excluded"), *(row for name, counts in parts.items() for row in of(counts, name))]
    name = "stunting_by_area_month"
    sums = [Term("x", True, name, "excluded", {}), *(Term("x", False, name, part, {}) for part in parts)]
    found = run(mart(), rows, Rules(sums=sums))
    assert ("36.71.01.1001", "inactive") in found.hidden() or ("36.71.01.1001", "excluded") in found.hidden()
    assert found.narrow() == 0
    assert run(mart(), rows).hidden() != found.hidden(), "without the sum nobody would hide the other part"


def test_a_shown_nobody_among_many_lets_a_nobody_among_few_be_known_but_hides_its_row():
    leaves = town(size=(0, 200)) | {"36.71.01.1001": (0, 7)}
    leaves = {code: (0, d) for code, (_, d) in leaves.items()}
    found = run(mart(), plain(leaves))
    assert {code for code, _ in found.hidden()} == {"36.71.01.1001", "36.71.01.1002"}, "a partner for its denominator"
    assert found.narrow() == 0


def test_a_mart_without_numerators_is_judged_by_its_counts():
    shape = Mart(
        "pairs", "", "",
        (column("pair", "varchar", "key"), column("matched", "bigint", "count"), column("share", "double", "rate")),
    )  # fmt: skip
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE source AS FROM (VALUES ('a', 3::BIGINT, 0.5::DOUBLE), ('b', 9, 0.1)) AS t(pair, matched, share)"
    )
    tables = [Table(shape, "source", "target")]
    assert disclosure.suppress(con, tables, POLICY, Rules(), 60).marts["pairs"].primary == 1
    disclosure.drop_row_ids(con, tables)
    assert con.execute("FROM target ORDER BY 1").fetchall() == [("a", None, None), ("b", 9, 0.1)]


def two_months() -> tuple[Mart, list[dict]]:
    """Desil 05 small in some kelurahan of two months that no sum ties together; desil 05 is asked for."""
    asked = column("desil", "varchar", "key", asked=("05",))
    rows = []
    for month, seed in (("2026-09-01", 1), ("2026-10-01", 2)):
        draw = np.random.default_rng(seed)
        leaves = {}
        for k in range(9):
            code = f"36.71.0{1 + k // 3}.100{k % 3}"
            for desil, highest in (("01", 90), ("05", 8), ("06", 60), ("07", 80)):
                base = int(draw.integers(highest, 3 * highest))
                leaves[code, desil] = int(draw.integers(1, highest)), base
        rows += summed(leaves, "all", period_start=month)
    return mart(asked), rows


def test_a_witness_spares_the_headlines_it_is_told_to():
    made = run(*two_months()).made
    s = made.system
    pattern = Pattern(s, POLICY, np.zeros(s.row.shape, dtype=bool), np.zeros(s.value.shape, dtype=bool))
    finder = Finder(pattern)
    found = {0: 0, 3: 0}
    for spared in found:
        for c, a in np.argwhere(pattern.room > 0).tolist():
            tables = finder.find(c, a, float(pattern.room[c, a]), spared=spared)
            found[spared] += tables is not None
            moved = {cell for table in tables or () for cell in table}
            assert not any(pattern.headline[cell] and s.areas.level[cell[1]] < spared for cell in moved)
    assert 0 < found[3] < found[0]


def test_two_processes_hide_what_each_would_of_its_part_alone(monkeypatch):
    def hidden(made) -> set[tuple]:
        s = made.system
        places = np.argwhere(made.pattern.row).tolist()
        return {(s.keys[i]["period_start"], s.keys[i]["desil"], s.areas.codes[a]) for i, a in places}

    shape, rows = two_months()
    # A part without any number.
    rows.append(rows[0] | {"measure": "zz_not_counted", "numerator": None, "denominator": None})
    months = {row["period_start"] for row in rows}
    alone = [hidden(run(shape, [row for row in rows if row["period_start"] == month]).made) for month in months]
    monkeypatch.setattr(shares, "_WORTH_A_PROCESS", 1)
    both = run(shape, rows)
    assert all(alone)
    assert hidden(both.made) == set.union(*alone)
    assert both.narrow() == 0


def test_a_process_that_dies_says_so_and_nothing_is_published(monkeypatch):
    monkeypatch.setattr(shares, "_WORTH_A_PROCESS", 1)
    monkeypatch.setattr(shares.sys, "executable", "false")
    with pytest.raises(WarehouseError, match=r"HIDING_STOPPED.*code 1"):
        run(*two_months())


def test_the_attack_finds_a_number_that_was_left_standing():
    found = run(mart(), plain(town((2, 200))))
    assert found.narrow() == 0
    (partner,) = (code for code, _ in found.hidden() if code != "36.71.01.1001")
    found.con.execute(
        "UPDATE stunting_by_area_month SET numerator = 51, denominator = 201 WHERE kemendagri_code = ?", [partner]
    )
    assert found.narrow() == 1, "the partner's count gives the small one away"


# An attacker of our own, who shares no code with the room: sums over areas and categories, those counted and the rest.

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


def intervals(rows: list[dict], shown: set[tuple], primary: Set[tuple] = frozenset()) -> dict[tuple, tuple]:
    """Lowest and highest numerator and rest of each hidden small row, by one linear program for each.

    Of ``primary`` rows it is known that the small one of both lies from 1 to below the threshold.
    """
    place = {}
    for row in rows:
        for kind in ("n", "d"):
            place[row["kemendagri_code"], row["desil"], kind] = len(place)
    truth = {}
    for row in rows:
        key = row["kemendagri_code"], row["desil"]
        truth[(*key, "n")], truth[(*key, "d")] = row["numerator"], row["denominator"]
    equations = []
    for code, desil, kind in place:
        below = [c for c in place if c[1:] == (desil, kind) and c[0].rpartition(".")[0] == code]
        equations += [((code, desil, kind), below)] if below else []
        others = [c for c in place if c[0] == code and c[2] == kind and c[1] != "all"]
        equations += [((code, desil, kind), others)] if desil == "all" else []
    matrix = np.zeros((len(equations), len(place)))
    for n, (head, parts) in enumerate(equations):
        matrix[n, place[head]] = -1
        matrix[n, [place[part] for part in parts]] += 1
    above = np.zeros((len(rows), len(place)))
    for n, row in enumerate(rows):
        above[n, place[row["kemendagri_code"], row["desil"], "n"]] = 1
        above[n, place[row["kemendagri_code"], row["desil"], "d"]] = -1
    limits = [(truth[c], truth[c]) if c[:2] in shown else (0, None) for c in place]
    most = np.zeros(len(rows))
    for n, row in enumerate(rows):
        key = row["kemendagri_code"], row["desil"]
        if key in primary and 0 < row["numerator"] < POLICY.threshold:
            limits[place[(*key, "n")]] = (1, POLICY.threshold - 1)
        if key in primary and 0 < row["denominator"] - row["numerator"] < POLICY.threshold:
            most[n] = -1
            above = np.vstack([above, -above[n]])
            most = np.append(most, POLICY.threshold - 1)
    found = {}
    for row in rows:
        key = row["kemendagri_code"], row["desil"]
        for kind in ("n", "r"):
            count = row["numerator"] if kind == "n" else row["denominator"] - row["numerator"]
            if key in shown or not 0 < count < POLICY.threshold:
                continue
            goal = np.zeros(len(place))
            goal[place[(*key, "n")]] = 1 if kind == "n" else -1
            goal[place[(*key, "d")]] = 0 if kind == "n" else 1
            ends = [
                linprog(sign * goal, A_eq=matrix, b_eq=np.zeros(len(equations)), A_ub=above, b_ub=most,
                        bounds=limits)
                for sign in (1, -1)
            ]  # fmt: skip
            high = -ends[1].fun if ends[1].status == 0 else np.inf
            found[(*key, kind)] = (ends[0].fun, high, min(row["denominator"], POLICY.threshold))
    return found


@settings(max_examples=30, deadline=None)
@given(trees(most_categories=4))
def test_no_small_count_can_be_placed_more_closely_than_the_protection_interval(leaves):
    rows = summed(leaves, "all")
    published = run(mart(DESIL), rows)
    shown = {(key[1], key[3]) for key, row in published.rows().items() if not row["suppression_reason"]}
    for low, high, room in intervals(rows, shown).values():
        assert high - low >= room - 1e-6
    assert published.narrow() == 0


@settings(max_examples=60, deadline=None)
@given(trees(most_categories=4))
def test_no_reason_gives_a_small_count_away(leaves):
    rows = summed(leaves, "all")
    reasons = {(key[1], key[3]): row["suppression_reason"] for key, row in run(mart(DESIL), rows).rows().items()}
    shown = {key for key, reason in reasons.items() if not reason}
    primary = {key for key, reason in reasons.items() if reason == "primary"}
    for low, high, _ in intervals(rows, shown, primary).values():
        assert high - low >= 1 - 1e-6


@pytest.mark.parametrize(("small", "is_told"), [((2, 3), True), ((4, 4), False)])
def test_small_counts_are_called_so_where_their_sum_leaves_them_open(small, is_told):
    both = ("36.71.01.1001", "36.71.01.1002")
    found = run(mart(), plain(town() | {code: (n, 200) for code, n in zip(both, small, strict=True)}))
    assert {code for code, _ in found.hidden()} == set(both)
    told = [row["suppression_reason"] for key, row in found.rows().items() if key[1] in both]
    assert (told == ["primary"] * 2) == is_told
    assert all(told)


@settings(max_examples=30, deadline=None)
@given(trees(most_categories=3))
def test_hidden_rows_hold_no_number_and_shown_rows_no_small_one(leaves):
    for row in run(mart(DESIL), summed(leaves, "all")).rows().values():
        if row["suppression_reason"]:
            assert [row[name] for name in NUMBERS] == [None] * len(NUMBERS)
        else:
            assert row["numerator"] not in range(1, 5)
            assert row["denominator"] - row["numerator"] not in range(1, 5)
