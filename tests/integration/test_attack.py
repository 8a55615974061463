"""A release of a whole night under attack from its files alone (tests/support/attack.py).

Nothing tells of one to four people. The build serves to mark hits and to prove that there was something to find.
"""

import csv
import random
from datetime import timedelta

import duckdb
import pytest

from tests.support import attack
from tests.support.sandbox_home import copied
from warehouse import ledger, release
from warehouse.build import BuildResult
from warehouse.build.catalogue import Catalogue, manifest_path, read_catalogue
from warehouse.core.settings import PROJECT_DIR, Settings
from warehouse.ledger import Ledger, tables

SAMPLED = 40


@pytest.fixture(scope="module")
def con(good_night: Settings):
    with attack.opened(good_night.current / "marts.duckdb") as found:
        found.execute(f"ATTACH '{good_night.build_file}' AS built (READ_ONLY)")
        yield found


@pytest.fixture(scope="module")
def catalogue(good_night: Settings) -> Catalogue:
    return read_catalogue(manifest_path(good_night.home))


@pytest.fixture(scope="module")
def puskesmas() -> dict[str, str]:
    with (PROJECT_DIR / "dbt_project" / "seeds" / "service_units.csv").open(encoding="utf-8") as file:
        return {row["part"]: row["kemendagri_code"] for row in csv.DictReader(file) if row["kind"] == "puskesmas"}


def of_build(relation: str) -> str:
    """The same arithmetic over the exact marts."""
    for mart in (*attack.LONG, "stunting_quality_by_puskesmas_month", "data_reuse_by_dataset_pair",
                 "denominators_by_area_period"):  # fmt: skip
        for word in ("FROM", "JOIN"):
            relation = relation.replace(f"{word} {mart}", f"{word} built.marts.{mart}")
    return relation


@pytest.mark.parametrize(("name", "relation"), list(attack.relations()), ids=[name for name, _ in attack.relations()])
def test_no_arithmetic_on_what_is_printed_gives_a_small_count(con, name, relation):
    assert attack.small(con, relation) == []


def test_the_same_arithmetic_on_the_exact_marts_gives_thousands(con):
    """Else the attack would prove nothing of the release."""
    found = {name: len(attack.small(con, of_build(relation))) for name, relation in attack.relations()}
    assert sum(found.values()) > 1000
    assert {name for name, hits in found.items() if hits} >= {
        "printed stunting_by_area_month", "percentages stunting_by_area_month", "printed poverty_by_area_period",
        "printed assistance_by_area_period", "printed coverage_by_area_month", "printed convergence_by_area_period",
        "height_measured - denominator of wasted", "E statistics",
    }  # fmt: skip


def test_a_persons_of_desil_6_to_10(con):
    relation = attack.persons_of_desil_6_to_10()
    assert attack.size(con, relation) > 0
    assert attack.small(con, relation) == []


@pytest.mark.parametrize(("name", "relation"), list(attack.segments()), ids=[name for name, _ in attack.segments()])
def test_b_segments_of_outreach(con, name, relation):
    assert attack.small(con, relation) == []
    assert attack.size(con, relation) == 0, "trades and segments add up to the digit"


def test_c_a_month_that_is_its_quarter(con, catalogue):
    """One count is one number in both: where both are printed, and because both are taken from one table of cells."""
    assert attack.size(con, attack.months_and_quarters()) == 0
    (quarters,) = (cells for cells in catalogue.cells if cells.name == "cells_convergence")
    whole = [column for column in quarters.counts if not column.part_of]
    assert len(whole) == 4
    assert {column.same_as[0] for column in whole} == {"cells_breadwinners"}


def test_d_shares_of_the_index_times_the_index_times_persons(con):
    relation = attack.deprived_persons()
    assert attack.size(con, relation) > 0
    assert attack.small(con, relation) == []


def test_e_statistics_of_quality_times_their_units(con):
    relation = attack.statistics()
    assert attack.size(con, relation) > 0
    assert attack.small(con, relation) == []


def test_e_puskesmas_of_a_kecamatan_beside_its_children(con, puskesmas):
    """One count, rounded by posyandu and by kelurahan: where both are not the same, neither is told as exact."""
    relation = attack.flagged_of_a_kecamatan(puskesmas)
    assert con.execute(f"SELECT count(*) FROM ({relation})").fetchone()[0] > 0
    assert con.execute(f"SELECT count(*) FROM ({of_build(relation)}) WHERE n <> 0").fetchone() == (0,)
    assert con.execute(f"SELECT * FROM ({relation}) WHERE n <> 0 AND is_known").fetchall() == []
    assert attack.small(con, relation) == []


@pytest.mark.parametrize(("name", "relation"), [*attack.in_another_mart(), *attack.in_another_ranking()])
def test_the_same_count_told_twice_is_the_same_number(con, name, relation):
    assert con.execute(f"SELECT count(*) FROM ({relation})").fetchone()[0] > 0
    assert attack.size(con, relation) == 0


def test_a_second_rank_divides_what_the_first_prints(con, catalogue):
    """One family has both ranks: rounded apart, an exact total by one would tell the only small count by the other."""
    ranked = [cells.name for cells in catalogue.cells if "ranking" in cells.keys]
    assert len(ranked) > 10
    for name in ranked:
        assert con.execute(
            f"SELECT count(*) FROM built.cells.{name} WHERE ranking IN ('dtsen_kota', 'p3ke')"
        ).fetchone() == (0,)
    (second,) = (cells for cells in catalogue.cells if cells.name == "cells_second_ranks")
    wholes = {column.name: column.same_as for column in second.counts if not column.part_of}
    assert wholes == {"families": ("cells_families", "families"), "persons": ("cells_persons", "persons")}
    assert {column.part_of for column in second.counts} - {None} == set(wholes)


def test_a_rank_tells_no_more_than_the_shares_beside_it(con):
    """Areas that print the same share have the same rank, and the order is that of the printed shares."""
    keys = ", ".join(("area_level", "period_kind", "period_start", *attack.OWN["convergence_by_area_period"]))
    ranked = f"SELECT {keys}, percentage, area_rank FROM convergence_by_area_period WHERE area_rank IS NOT NULL"
    apart = f"SELECT 1 FROM ({ranked}) GROUP BY {keys}, percentage HAVING count(DISTINCT area_rank) > 1"
    assert con.execute(apart).fetchall() == []
    crossed = (
        f"SELECT 1 FROM ({ranked}) AS a INNER JOIN ({ranked}) AS b USING ({keys}) WHERE a.percentage > b.percentage"
    )
    assert con.execute(f"{crossed} AND a.area_rank >= b.area_rank").fetchall() == []


def test_linear_programs_leave_every_small_count_four_values(con):
    """All that is printed of a month's children at once, by area and age: chains of parts, sums, rests."""
    month = con.execute(
        "SELECT max(period_start) FROM stunting_by_area_month WHERE period_kind = 'month' AND NOT revision_pending"
    ).fetchone()[0]
    intervals = attack.Intervals(con, month)
    rows = con.execute(
        f"SELECT kemendagri_code, age_group, {', '.join(attack.CHILDREN)} FROM built.cells.cells_children"
        " WHERE period_kind = 'month' AND period_start = ? AND area_basis = 'residence'",
        [month],
    ).fetchall()
    true = {
        (code, age, name): n for code, age, *counts in rows for name, n in zip(attack.CHILDREN, counts, strict=True)
    }
    small = [leaf for leaf in intervals.leaves if 1 <= true.get(leaf, 0) < attack.BASE]
    assert small
    for leaf in random.Random(4).sample(small, min(SAMPLED, len(small))):
        least, most = intervals.of(leaf)
        assert least <= true[leaf] <= most, (leaf, "the attack assumes what is not so")
        assert most - least + 1 >= attack.BASE - 1, leaf


# Between releases.


@pytest.fixture(scope="module")
def without_two(good_night: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The good night and another after it, when two children of one kelurahan turned out not to be, and each posyandu
    found two more measurements of which nothing was written down."""
    s = copied(good_night, tmp_path_factory.mktemp("pair") / "a home")
    s = s.model_copy(update={"now": s.utc_now() + timedelta(days=1)})
    month = "period_start = (SELECT max(period_start) FROM cells.cells_children WHERE period_kind = 'month')"
    with duckdb.connect(str(s.build_file)) as con:
        (place,) = con.execute(
            f"SELECT kemendagri_code FROM cells.cells_children WHERE {month} AND living_elsewhere <= registered - 2"
            " ORDER BY registered DESC LIMIT 1"
        ).fetchone()
        con.execute(
            "UPDATE cells.cells_children SET registered = registered - 2, weighed = weighed - 2,"
            " weighed_measured = weighed_measured - 2, waz_valid_measured = waz_valid_measured - 2,"
            " height_measured = height_measured - 2, haz_valid = haz_valid - 2, waz_valid = waz_valid - 2,"
            " whz_valid = whz_valid - 2, labelled = labelled - 2, label_agreed = least(label_agreed, labelled - 2),"
            " scored_by_both = scored_by_both - 2, score_agreed = least(score_agreed, scored_by_both - 2)"
            f" WHERE {month} AND kemendagri_code = '{place}' AND age_group = '24_59'"
        )
        con.execute(
            "UPDATE cells.cells_quality_posyandu SET measurements = measurements + 2"
            " WHERE period_start = (SELECT max(period_start) FROM cells.cells_quality_posyandu) AND measurements > 40"
        )
    led = Ledger(s.ledger)
    (last,) = led.rows("select * from builds where outcome = 'built' order by started_at desc limit 1")
    build = dict(last) | {"build_id": ledger.new_id(), "content_hash": "two children fewer", "started_at": s.utc_now()}
    led.insert(tables.builds, build)
    made = release.publish(s, led, BuildResult(build["build_id"], "built", build["content_hash"], 0.1))
    assert made.outcome == "released"
    return s


def test_between_releases_two_children_less_are_told_by_no_mart(without_two: Settings, good_night: Settings):
    newer, older = without_two.current / "marts.duckdb", good_night.current / "marts.duckdb"
    with attack.opened(older, newer=newer) as con:
        for mart in attack.LONG:
            assert attack.size(con, attack.moves(mart)) == 0, mart
        assert attack.size(con, attack.moves_of_quality()) == 0
        marts = [name for (name,) in con.execute("SELECT DISTINCT mart FROM release.main.mart_columns").fetchall()]
        for mart in marts:
            chosen = "COLUMNS(name -> name NOT IN ('release_id', 'revision_pending'))"
            both = [f"SELECT {chosen} FROM {side}.main.{mart}" for side in ("release", "newer")]
            for one, other in (both, both[::-1]):
                assert con.execute(f"{one} EXCEPT {other}").fetchall() == [], mart
        waiting = "SELECT count(*) FROM newer.main.stunting_by_area_month WHERE revision_pending"
        assert con.execute(waiting).fetchone()[0] > 0


# What is declared.


def columns_of(catalogue: Catalogue) -> dict[str, str]:
    """Each count of a table of cells -> the count that it is the same as, at the end of the chain."""
    same = {f"{c.name}.{n.name}": ".".join(n.same_as) if n.same_as else None for c in catalogue.cells for n in c.counts}

    def end(name: str) -> str:
        return end(same[name]) if same[name] else name

    return {name: end(name) for name in same}


def test_what_a_measure_counts_is_a_column_of_cells(con, catalogue):
    known = columns_of(catalogue)
    told = con.execute("SELECT mart, measure, count_of, part_of FROM dim_measure").fetchall()
    missing = [row for row in told for name in row[2:] if name and name not in known]
    assert missing == []
    # Every share of people says of what it is a share.
    seeds = PROJECT_DIR / "dbt_project" / "seeds"
    for file in seeds.glob("dim_measure_*.csv"):
        with file.open(encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                for name in (row["count_of"], row["part_of"]):
                    assert not name or name in known, (file.name, row["measure"], name)


SPOTS = [
    ("stunting_by_area_month", "stunted", "numerator", "area_basis = 'residence' AND age_group = 'all'",
     "cells_children", "stunted", "area_basis = 'residence'"),
    ("stunting_by_area_month", "stunted", "denominator", "area_basis = 'service_place' AND age_group = '0_23'",
     "cells_children", "haz_valid", "area_basis = 'service_place' AND age_group = '0_23'"),
    ("poverty_by_area_period", "families_desil_1", "numerator", "ranking = 'dtsen'", "cells_families", "families",
     "desil = '01' AND ranking = 'dtsen'"),
    ("poverty_by_area_period", "persons", "numerator", "desil = 'all' AND ranking = 'dtsen'", "cells_persons",
     "persons", "ranking = 'dtsen'"),
    ("poverty_by_area_period", "deprived_water", "numerator", "desil = 'all'", "cells_family_conditions",
     "deprived_water", "true"),
    ("assistance_by_area_period", "families_receiving", "numerator", "desil = 'all' AND programme = 'any'",
     "cells_assistance", "receiving_any", "true"),
    ("assistance_by_area_period", "families_receiving", "denominator", "desil = '03' AND programme = 'pkh'",
     "cells_assistance", "families", "desil = '03'"),
]  # fmt: skip


@pytest.mark.parametrize(("mart", "measure", "value", "rows", "cells", "column", "summed"), SPOTS)
def test_a_numerator_is_a_sum_of_the_column_that_it_is_said_to_count(
    con, mart, measure, value, rows, cells, column, summed
):
    name = "count_of" if value == "numerator" else "part_of"
    said = con.execute(f"SELECT {name} FROM dim_measure WHERE mart = ? AND measure = ?", [mart, measure]).fetchone()
    assert said == (f"{cells}.{column}",)
    keys = "kemendagri_code, period_start"
    kind = "period_kind" if "period_kind" in {
        name for name, *_ in con.execute(f"DESCRIBE built.cells.{cells}").fetchall()
    } else "NULL"  # fmt: skip
    differing = con.execute(
        f"""
        WITH told AS (
            SELECT {keys}, period_kind, {value} AS n FROM built.marts.{mart}
            WHERE area_level = 'kelurahan' AND measure = '{measure}' AND {rows}
        ), counted AS (
            SELECT {keys}, {kind} AS period_kind, sum({column}) AS n FROM built.cells.{cells} WHERE {summed}
            GROUP BY ALL
        )
        SELECT count(*), count(*) FILTER (coalesce(told.n, 0) <> coalesce(counted.n, 0)) FROM told
        LEFT JOIN counted ON counted.kemendagri_code = told.kemendagri_code
            AND counted.period_start = told.period_start
            AND coalesce(counted.period_kind, told.period_kind) = told.period_kind
        """
    ).fetchone()
    assert differing[0] > 0
    assert differing[1] == 0


def test_two_series_that_agree_everywhere_are_declared_to_be_the_same(con, catalogue):
    """Else both are rounded by themselves, and one tells what the other hid.

    Compared on the exact marts, where equal counts are equal: areas and periods of one kind, at least eight rows that
    are not zero, of at least four values.
    """
    ends = columns_of(catalogue)
    parents = {
        f"{c.name}.{n.name}": ends[f"{c.name}.{n.part_of}"] for c in catalogue.cells for n in c.counts if n.part_of
    }
    sums = {
        f"{c.name}.{name}": {f"{c.name}.{part}" for part in parts}
        for c in catalogue.cells
        for name, parts in c.sums.items()
    }
    series: dict[tuple, list[tuple[str, str]]] = {}
    for mart in attack.LONG:
        own = ", ".join(attack.OWN[mart])
        for value, told in (("numerator", "count_of"), ("denominator", "part_of")):
            found = con.execute(
                f"""
                SELECT r.measure, period_kind, CAST(({own}) AS VARCHAR), any_value(d.{told}),
                    list((kemendagri_code, period_start, {value}) ORDER BY period_start, kemendagri_code)
                FROM built.marts.{mart} AS r
                INNER JOIN dim_measure AS d ON d.mart = '{mart}' AND d.measure = r.measure
                WHERE area_level = 'kelurahan' AND d.{told} IS NOT NULL AND {value} IS NOT NULL
                GROUP BY r.measure, period_kind, {own}
                HAVING count(DISTINCT {value}) >= 4 AND count(*) FILTER ({value} <> 0) >= 8
                """
            ).fetchall()
            for measure, kind, keys, column, rows in found:
                name = f"{mart} {measure} {value} {keys}"
                series.setdefault((kind, str(rows)), []).append((name, ends[column]))
    assert len(series) > 10
    undeclared = []
    for alike in series.values():
        columns = {column for _, column in alike}
        if len(columns) > 1 and not any(is_chain(columns, whole, parents, sums) for whole in columns):
            undeclared.append(alike)
    assert undeclared == []


def is_chain(columns: set[str], whole: str, parents: dict[str, str], sums: dict[str, set[str]]) -> bool:
    """Whether all others are parts of one, of which nothing is left: the rest is rounded too."""

    def is_part(column: str, of: str) -> bool:
        if column == of or (column in parents and is_part(parents[column], of)):
            return True
        # A sum lies in what each of its parts lies in; what lies in a part of a sum lies in it.
        inside = column in sums and all(is_part(part, of) for part in sums[column])
        return inside or (of in sums and any(is_part(column, part) for part in sums[of]))

    return all(is_part(column, whole) for column in columns)
