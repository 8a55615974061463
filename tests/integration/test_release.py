"""A release holds what it should and nothing else, and readers see one whole release at any moment."""

import json
import os
import shutil
import stat
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from tests.support.release_helpers import (
    NOON,
    PERIOD,
    STATE,
    cells,
    make_build,
    nodes,
    over,
    part,
    usual_counts,
    write_manifest,
)
from warehouse import release
from warehouse.core.errors import ConfigError, ReleaseError
from warehouse.core.settings import Settings
from warehouse.ledger import tables
from warehouse.read import marts, record_views
from warehouse.release import content, ops, pseudonymised, publisher, record, revisions, state
from warehouse.report import facts, figures
from warehouse.storage import vault

SMALL_ONE = (
    "SELECT numerator FROM stunting_by_area_month"
    " WHERE kemendagri_code = '36.71.01.1001' AND measure = 'stunted' AND age_group = '24_59'"
)


def later(s: Settings, **delta) -> Settings:
    return s.model_copy(update={"now": s.now + timedelta(**delta)})


def ask(s: Settings, sql: str, release_id: str | None = None) -> list[tuple]:
    return marts.query(s, sql, release_id)[1]


def rows_of(led, table) -> list[dict]:
    return led.rows(sa.select(table))


def test_a_release_holds_marts_micro_parquet_and_manifest_and_is_read_only(s, led):
    made = release.publish(s, led, make_build(s, led))
    folder = s.current.resolve()
    assert made.outcome == "released"
    assert folder == s.releases_dir / made.release_id
    assert stat.S_IMODE(folder.stat().st_mode) == 0o555
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "marts.duckdb", "micro.duckdb", "manifest.json",
        "parquet/stunting_by_area_month.parquet", "parquet/pairs.parquet", "parquet/scorecard.parquet",
        "parquet/quality_by_puskesmas.parquet",
    }  # fmt: skip
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in files}
    assert modes == {name: 0o400 if name == "micro.duckdb" else 0o444 for name in files}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {entry["path"] for entry in manifest["files"]} == files - {"manifest.json"}
    assert manifest["deliveries"][0]["verdict"] == "accepted"
    assert manifest["disclosure"] == "on"


def test_the_file_of_marts_has_the_allowed_tables_and_describes_them(s, led):
    release.publish(s, led, make_build(s, led, extra_sql="CREATE TABLE marts.forgotten AS SELECT 1 AS x"))
    with duckdb.connect(str(s.current / "marts.duckdb"), read_only=True) as con:
        names = {row[0] for row in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        (storage,) = con.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'marts'").fetchone()
        undescribed = con.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = 'stunting_by_area_month' AND comment IS NULL"
        ).fetchall()
    assert names == {
        "stunting_by_area_month", "pairs", "scorecard", "quality_by_puskesmas", "dim_measure", "dim_region",
        "dim_period", "mart_columns", "released_cells",
    }  # fmt: skip
    assert undescribed == []
    assert storage["storage_version"].startswith("v1.0.0")


def test_small_counts_are_rounded_in_mart_wide_view_parquet_and_register(s, led):
    # 3 of 200 older children in one place, 2 of them severely; 1 of 200 in another; 4 of 7 wasted; 1 of 197 unmeasured.
    counts = usual_counts(small=3) | {
        ("36.71.01.1001", "severely_stunted"): (2, 0),
        ("36.71.02.1002", "stunted"): (1, 200),
        ("36.71.03.1003", "wasted"): (4, 7),
        ("36.71.02.1003", "stunted"): (60, 237),
    }
    made = release.publish(s, led, make_build(s, led, counts))
    where = "kemendagri_code = '36.71.01.1001' AND age_group = '24_59'"
    shown = ask(s, f"SELECT numerator, is_rounded FROM stunting_by_area_month WHERE {where} AND measure = 'stunted'")
    assert shown in ([(0, True)], [(5, True)])
    ((numerator, _),) = shown
    assert ask(
        s, f"SELECT stunted_numerator, stunted_percentage, stunted_is_rounded FROM stunting_by_area_month_wide"
        f" WHERE {where}"
    ) == [(numerator, numerator / 2, True)]  # fmt: skip
    registered = f"SELECT numerator, is_rounded FROM released_cells WHERE {where.replace('age_group', 'further_keys')}"
    registered = registered.replace("'24_59'", """'{"age_group":"24_59"}'""")
    assert ask(s, f"{registered} AND measure = 'stunted'") == shown
    parquet = s.current / "parquet" / "stunting_by_area_month.parquet"
    assert duckdb.execute(f"SELECT numerator, is_rounded FROM '{parquet}' WHERE {where} AND measure = 'stunted'"
                          ).fetchall() == shown  # fmt: skip
    relations = [*(f"'{file}'" for file in (s.current / "parquet").glob("stunting*")), f"'{register_of(s, made)}'"]
    for table in relations:
        numbers = f"SELECT unnest([numerator, denominator, denominator - numerator]) AS n FROM {table}"
        assert duckdb.execute(f"SELECT count(*) FROM ({numbers}) WHERE n BETWEEN 1 AND 4").fetchone() == (0,), table
    bounds = "[unknown_count, numerator - numerator_low, numerator_high - numerator]"
    assert ask(
        s, f"SELECT count(*) FROM (SELECT unnest({bounds}) AS n FROM stunting_by_area_month) WHERE n BETWEEN 1 AND 4"
    ) == [(0,)]  # fmt: skip
    assert ask(s, "SELECT pair, matched IN (0, 5), is_rounded FROM pairs ORDER BY 1") == [
        ("a-b", True, True),
        ("a-c", False, False),
    ]
    # The sum over both posyandu of flagged children, 9 and 3, has the 3 rounded in it.
    assert ask(s, "SELECT n, round(n * statistic) IN (9, 14), is_rounded FROM quality_by_puskesmas") == [
        (70, True, True)
    ]
    assert made.cells_rounded == sum(
        ask(s, f"SELECT count(*) FROM {mart} WHERE is_rounded")[0][0]
        for mart in ("stunting_by_area_month", "pairs", "scorecard", "quality_by_puskesmas")
    )


def register_of(s: Settings, made) -> Path:
    return s.register_dir / f"{made.release_id}.parquet"


def test_nowhere_in_a_file_for_readers_stands_an_exact_small_count(s, led):
    """Two builds that differ in small counts alone, and are rounded alike, are told apart by no byte of a value."""
    counts = usual_counts(small=3) | {("36.71.01.1001", "severely_stunted"): (0, 0)}
    made = release.publish(s, led, make_build(s, led, counts))
    exact = s.register_dir / f"{made.release_id}.cells" / "cells_children.parquet"
    assert duckdb.execute(f"SELECT count(*) FROM '{exact}' WHERE stunted__exact = 3").fetchone() == (1,)
    readable = [path for path in s.current.resolve().rglob("*") if path.is_file()] + [register_of(s, made)]
    for path in readable:
        assert b"__exact" not in path.read_bytes(), path
    with duckdb.connect(str(s.current / "marts.duckdb"), read_only=True) as con:
        for (table,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            columns = con.execute(f'DESCRIBE "{table}"').fetchall()
            numbers = [name for name, kind, *_ in columns if kind == "BIGINT"]
            for name in numbers:
                found = con.execute(f'SELECT count(*) FROM "{table}" WHERE "{name}" BETWEEN 1 AND 4').fetchone()
                assert found == (0,), (table, name)


def test_every_sum_of_rounded_counts_holds(s, led):
    places = [f"36.71.0{k}.100{n}" for k in (1, 2, 3) for n in (1, 2, 3)]
    counts = {(place, m): (1 + n % 4, 30 + n) for n, place in enumerate(places) for m in ("stunted", "wasted")}
    release.publish(s, led, make_build(s, led, counts))
    sums = "sum(numerator), sum(denominator), sum(unknown_count)"
    levels = {
        level: ask(s, f"SELECT measure, age_group, {sums} FROM stunting_by_area_month WHERE area_level = '{level}'"
                      " GROUP BY ALL ORDER BY ALL")
        for level in ("kelurahan", "kecamatan", "kota")
    }  # fmt: skip
    assert levels["kelurahan"] == levels["kecamatan"] == levels["kota"]
    assert len(levels["kota"]) == 9
    ages = {
        group: ask(s, f"SELECT kemendagri_code, measure, {sums} FROM stunting_by_area_month WHERE age_group {group}"
                      " GROUP BY ALL ORDER BY ALL")
        for group in ("= 'all'", "<> 'all'")
    }  # fmt: skip
    assert ages["= 'all'"] == ages["<> 'all'"]
    # The scorecard prints the city's percentage of the mart.
    assert ask(s, "SELECT percentage FROM scorecard") == ask(
        s,
        "SELECT percentage FROM stunting_by_area_month"
        " WHERE area_level = 'kota' AND age_group = 'all' AND measure = 'stunted'",
    )
    # Nine counts of 1 to 4 add up to 21: four steps of five are as near as can be.
    older = "area_level = 'kota' AND age_group = '24_59' AND measure = 'stunted'"
    assert ask(s, f"SELECT numerator FROM stunting_by_area_month WHERE {older}") == [(20,)]


def test_a_mart_with_counts_and_no_cells_is_refused(s, led):
    models = nodes()
    models["model.pairs"]["depends_on"]["nodes"] = []
    models["model.quality"]["depends_on"]["nodes"] = []
    write_manifest(s, models)
    with pytest.raises(ReleaseError, match=r"MART_WITHOUT_CELLS.*pairs, quality"):
        release.publish(s, led, make_build(s, led))
    assert not s.current.exists()


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ({"stunted": part("nobody")}, r"CELLS_UNDECLARED.*cells_children.stunted"),
        ({"stunted": part("age_group")}, r"CELLS_UNDECLARED.*cells_children.stunted"),
        ({"wasted": {"role": "count", "same_as": "cells_of_nobody.n"}}, r"CELLS_UNDECLARED.*cells_children.wasted"),
    ],
)
def test_a_count_that_refers_to_no_count_is_refused(s, led, broken, code):
    models = nodes()
    for column, meta in broken.items():
        models["model.cells_children"]["columns"][column]["config"]["meta"] = meta
    write_manifest(s, models)
    with pytest.raises(ReleaseError, match=code):
        release.publish(s, led, make_build(s, led))


def test_a_table_of_cells_without_a_period_is_refused(s, led):
    models = nodes()
    del models["model.cells_pairs"]["columns"]["period_kind"]
    write_manifest(s, models)
    with pytest.raises(ReleaseError, match=r"CELLS_WITHOUT_PERIOD.*cells_pairs"):
        release.publish(s, led, make_build(s, led))


def test_parts_that_exceed_their_whole_are_refused(s, led):
    release.publish(s, led, make_build(s, led))
    broken = "UPDATE cells.cells_children SET severely_stunted = stunted + 1 WHERE kemendagri_code = '36.71.02.1001'"
    with pytest.raises(ReleaseError, match=r"CELLS_PARTS.*severely_stunted > stunted"):
        release.publish(s, led, make_build(s, led, cells_sql=broken))
    assert len(rows_of(led, tables.releases)) == 1


def test_disjoint_parts_that_exceed_their_whole_together_are_refused(s, led):
    models = nodes()
    for name in ("stunted", "wasted"):
        models["model.cells_children"]["columns"][name]["config"]["meta"] = part("haz_valid", split="either")
    write_manifest(s, models)
    assert release.publish(s, led, make_build(s, led)).outcome == "released"
    both = usual_counts() | {("36.71.02.1001", "stunted"): (120, 200), ("36.71.02.1001", "wasted"): (100, 200)}
    with pytest.raises(ReleaseError, match=r"CELLS_PARTS.*stunted . wasted > haz_valid"):
        release.publish(s, led, make_build(s, led, both))


def with_babies(models: dict[str, dict], **about) -> dict[str, dict]:
    """A second table of cells by kecamatan that counts the younger registered children of the first again."""
    babies = {"role": "count", "same_as": "cells_children.registered", "same_as_where": {"age_group": ["0_23"]}}
    counts = {"babies": babies | about, "weighed": part("babies")}
    models["model.cells_babies"] = cells("cells_babies", {"kemendagri_code": "string"} | PERIOD, counts)
    mart = over(
        "babies", "cells_babies", {"kemendagri_code": "string"} | PERIOD | {"babies": "bigint"} | STATE,
        'select kemendagri_code, period_kind, period_start, babies, false as is_rounded, false as revision_pending'
        ' from "warehouse"."cells"."cells_babies"', {},
    )  # fmt: skip
    return models | {"model.babies": mart}


BABIES = """
    CREATE TABLE cells.cells_babies AS
    SELECT substring(kemendagri_code, 1, 8) AS kemendagri_code, period_kind, period_start,
        sum(registered)::BIGINT AS babies, (sum(registered) - 2)::BIGINT AS weighed
    FROM cells.cells_children WHERE age_group = '0_23' GROUP BY ALL;
    CREATE TABLE marts.babies AS
    SELECT kemendagri_code, period_kind, period_start, babies, false AS is_rounded, false AS revision_pending
    FROM cells.cells_babies
"""


def test_the_same_count_of_two_tables_is_one_number_and_must_be_the_same(s, led):
    place = "kemendagri_code = '36.71.01.1001' AND age_group = '0_23'"
    few = f"UPDATE cells.cells_children SET registered = 103 WHERE {place};"
    write_manifest(s, with_babies(nodes()))
    release.publish(s, led, make_build(s, led, cells_sql=few + BABIES))
    told = ask(s, "SELECT kemendagri_code, babies FROM babies ORDER BY 1")
    assert told == [("36.71.01", 343), ("36.71.02", 360), ("36.71.03", 360)]
    assert told == ask(
        s, "SELECT kemendagri_code, denominator + unknown_count FROM stunting_by_area_month WHERE measure = 'stunted'"
        " AND area_level = 'kecamatan' AND age_group = '0_23' ORDER BY 1"
    )  # fmt: skip


def test_a_count_that_is_not_the_same_as_declared_is_refused(s, led):
    write_manifest(s, with_babies(nodes()))
    other = BABIES + "; UPDATE cells.cells_babies SET babies = babies + 1 WHERE kemendagri_code = '36.71.02'"
    with pytest.raises(ReleaseError, match=r"CELLS_SAME.*cells_babies.babies.*1"):
        release.publish(s, led, make_build(s, led, cells_sql=other))
    assert rows_of(led, tables.releases) == []


def test_tables_that_take_counts_from_each_other_in_a_circle_are_refused(s, led):
    models = with_babies(nodes())
    back = {"role": "count", "same_as": "cells_babies.babies"}
    models["model.cells_children"]["columns"]["registered"]["config"]["meta"] = back
    write_manifest(s, models)
    with pytest.raises(ReleaseError, match=r"CELLS_CIRCLE.*cells_babies, cells_children"):
        release.publish(s, led, make_build(s, led, cells_sql=BABIES))


def test_another_base_makes_a_release_of_the_same_data_from_a_revision_date_on(s, led):
    release.publish(s, led, make_build(s, led))
    coarser = later(s, days=1).model_copy(update={"disclosure_threshold": 80})
    with pytest.raises(ReleaseError, match=r"DISCLOSURE_BASE_CHANGED.*5.*80"):
        release.publish(coarser, led, make_build(s, led))
    revision = coarser.model_copy(update={"now": datetime.fromisoformat("2027-01-15T12:00:00+07:00")})
    again = release.publish(revision, led, make_build(s, led))
    assert again.outcome == "released"
    few = "SELECT count(*) FROM (SELECT unnest([numerator, denominator - numerator]) AS n FROM stunting_by_area_month)"
    assert ask(s, f"{few} WHERE n BETWEEN 1 AND 79") == [(0,)]
    assert ask(s, f"{few} WHERE n BETWEEN 80 AND 200") != [(0,)]
    assert json.loads((s.current / "manifest.json").read_text())["policy"]["rounding_base"] == 80


def test_every_row_names_its_release(s, led):
    made = release.publish(s, led, make_build(s, led))
    assert ask(s, "SELECT DISTINCT release_id FROM stunting_by_area_month") == [(made.release_id,)]


def test_nothing_new_makes_no_release(s, led):
    first = release.publish(s, led, make_build(s, led))
    second = release.publish(later(s, days=1), led, make_build(s, led))
    assert (second.outcome, second.release_id) == ("unchanged", first.release_id)
    assert len(rows_of(led, tables.releases)) == 1


def test_a_held_delivery_makes_a_release_though_no_figure_changed(s, led):
    release.publish(s, led, make_build(s, led))
    built = make_build(s, led)
    assert release.is_published(s, led)
    led.insert(
        tables.deliveries,
        {
            "delivery_id": "h", "dataset": "kemenkes/eppgbm", "part": "benda", "period_kind": "month",
            "period_start": date(2026, 10, 1), "received_at": NOON, "content_sha256": "x", "bytes": 1, "media": "csv",
            "origin": "agency", "stored_path": "x", "stored_sha256": "x",
        },
    )  # fmt: skip
    led.insert(
        tables.verdicts,
        {
            "verdict_id": "v", "delivery_id": "h", "contract_version": "1", "judged_at": NOON, "verdict": "held",
            "checks_run": 1, "rows_read": 1, "rows_admitted": 0, "rows_quarantined": 0, "rows_refused": 1,
        },
    )  # fmt: skip
    assert not release.is_published(s, led)
    assert release.publish(s, led, built).outcome == "released"
    assert release.is_published(s, led)


def test_releases_sort_by_time_also_under_a_clock_that_stands_still(s, led):
    made = [release.publish(s, led, make_build(s, led, usual_counts(n))).release_id for n in (61, 62, 63)]
    assert made == sorted(made)
    assert [row["release_id"] for row in release.listing(s, led)] == made[::-1]
    assert release.current_state(s, led)["release_id"] == made[-1]


def test_a_rolled_back_release_stays_until_it_is_unpinned(s, led):
    first = release.publish(s, led, make_build(s, led, usual_counts(61))).release_id
    second = release.publish(s, led, make_build(s, led, usual_counts(62))).release_id
    release.rollback(s, led, first, "angka Benda keliru", "walidata")
    third = release.publish(s, led, make_build(s, led, usual_counts(63)))
    assert third.outcome == "pinned"
    assert release.current_state(s, led)["release_id"] == first
    assert release.current_state(s, led)["is_pinned"]
    release.refresh_ops(s, led)
    assert s.current.resolve().name == first
    release.unpin(s, led, "angka sudah benar", "walidata")
    assert release.current_state(s, led)["release_id"] == third.release_id
    assert not release.current_state(s, led)["is_pinned"]
    assert second in {row["release_id"] for row in release.listing(s, led)}


def test_rollback_needs_a_reason_and_a_kept_release(s, led):
    made = release.publish(s, led, make_build(s, led)).release_id
    with pytest.raises(ConfigError, match="REASON_MISSING"):
        release.rollback(s, led, made, "  ", "x")
    with pytest.raises(ReleaseError, match="RELEASE_UNKNOWN"):
        release.rollback(s, led, "20200101T000000Z-00000000", "angka keliru", "x")
    with pytest.raises(ReleaseError, match="NOT_PINNED"):
        release.unpin(s, led, "tidak ada sematan", "x")


def test_a_reader_keeps_its_release_while_another_becomes_current(s, led):
    release.publish(s, led, make_build(s, led, usual_counts(61)))
    with duckdb.connect(str(s.current / "marts.duckdb"), read_only=True) as reader:
        release.publish(s, led, make_build(s, led, usual_counts(70)))
        assert reader.execute(SMALL_ONE).fetchone() == (61,)
    assert ask(s, SMALL_ONE) == [(70,)]


def test_what_a_cell_said_on_a_day_and_only_changed_cells_are_registered(s, led):
    release.publish(s, led, make_build(s, led, usual_counts(61)))
    march = later(s, days=100)
    second = release.publish(march, led, make_build(s, led, usual_counts(62)))
    cell = (
        "mart='stunting_by_area_month' AND kemendagri_code='36.71.01.1001' AND measure='stunted'"
        """ AND further_keys = '{"age_group":"24_59"}'"""
    )
    said = f"SELECT numerator FROM released_cells WHERE {cell} AND released_at <= ? ORDER BY released_at DESC LIMIT 1"
    assert ask(s, said.replace("?", f"'{NOON:%F}T23:00:00Z'::TIMESTAMPTZ")) == [(61,)]
    assert ask(s, said.replace("?", "'2027-12-31'::TIMESTAMPTZ")) == [(62,)]
    changed = duckdb.execute(
        f"SELECT mart, kemendagri_code, count(*) FROM '{register_of(s, second)}' GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    area = "stunting_by_area_month"
    assert changed == [("scorecard", None, 1), *((area, code, 2) for code in ("36.71", "36.71.01", "36.71.01.1001"))]


def test_a_cell_that_is_gone_is_registered_as_withdrawn(s, led):
    release.publish(s, led, make_build(s, led))
    fewer = {key: counts for key, counts in usual_counts().items() if key[0] != "36.71.03.1003"}
    second = release.publish(s, led, make_build(s, led, fewer))
    gone = (
        f"SELECT DISTINCT kemendagri_code FROM released_cells WHERE is_withdrawn AND release_id = '{second.release_id}'"
    )
    assert ask(s, gone) == [("36.71.03.1003",)]


def test_diff_says_what_changed_in_words_and_numbers(s, led):
    first, second, third = (
        release.publish(s, led, make_build(s, led, usual_counts(n))).release_id for n in (61, 30, 3)
    )

    def stunting(older: str, newer: str) -> dict:
        marts = release.diff(s, older, newer)["marts"]
        return next(row for row in marts if row["mart"] == "stunting_by_area_month")

    found = release.diff(s, first, second)
    moved = stunting(first, second)
    assert (moved["changed"], moved["added"], moved["removed"]) == (6, 0, 0)
    assert "stunting_by_area_month: 6 baris berubah." in found["words_id"]
    assert "stunted, Area 36.71.01, 2026-10: 31.0% → 25.8%." in found["words_en"]
    # Three children, all of them severely stunted: both measures, at three levels, with and without the younger.
    assert stunting(second, third)["changed"] == stunting(third, second)["changed"] == 12


def as_of_former_method(s: Settings, led, release_id: str) -> None:
    """Make a release what it would have been when small counts were hidden: its file, manifest, register and row."""
    folder = s.releases_dir / release_id
    shutil.rmtree(s.register_dir / f"{release_id}.cells")
    hidden = "kemendagri_code = '36.71.01.1001' AND measure = 'stunted'"
    file = s.register_dir / f"{release_id}.parquet"
    duckdb.execute(
        f"COPY (SELECT * EXCLUDE (is_rounded, was_hidden) REPLACE (if({hidden}, NULL, numerator) AS numerator),"
        f" if({hidden}, 'primary', NULL) AS suppression_reason FROM '{file}') TO '{file}.new' (FORMAT parquet)"
    )
    Path(f"{file}.new").replace(file)
    with state.open_folder(folder):
        marts = folder / "marts.duckdb"
        marts.chmod(0o600)
        with duckdb.connect(str(marts)) as con:
            con.execute("DROP VIEW stunting_by_area_month_wide")
            con.execute("ALTER TABLE stunting_by_area_month ADD COLUMN suppression_reason VARCHAR")
            con.execute(
                f"UPDATE stunting_by_area_month SET numerator = NULL, suppression_reason = 'primary' WHERE {hidden}"
            )
            con.execute("ALTER TABLE stunting_by_area_month DROP COLUMN is_rounded")
            con.execute("""DELETE FROM mart_columns WHERE "column" = 'is_rounded'""")
            con.execute(
                "INSERT INTO mart_columns VALUES"
                " ('stunting_by_area_month', 'suppression_reason', 'varchar', 'suppression', '')"
            )
            con.execute("ALTER TABLE released_cells DROP COLUMN was_hidden")
        manifest = folder / "manifest.json"
        manifest.chmod(0o600)
        about = json.loads(manifest.read_text())
        about["policy"] = {"threshold": 5, "small_base": 10}
        about["fingerprint"] = "of rules for hiding"
        del about["rounding"], about["last_cells"]
        manifest.write_text(json.dumps(about))
    with led.write() as connection:
        connection.execute(
            tables.release_marts.update(),
            {"cells_hidden": 4, "cells_rounded": None, "rounding_base": None, "mean_error_kota": None},
        )


def test_after_a_release_that_hid_cells_the_next_one_rounds_and_tells_so(s, led):
    first = release.publish(s, led, make_build(s, led, usual_counts(small=3))).release_id
    as_of_former_method(s, led, first)
    second = release.publish(later(s, days=1), led, make_build(s, led, usual_counts(small=3)))
    assert second.outcome == "released", "another method is another release of the same data"
    assert ask(s, SMALL_ONE) in ([(0,)], [(5,)])
    told = (
        "SELECT release_id, was_hidden, numerator IS NULL, is_rounded FROM released_cells WHERE measure = 'stunted'"
        """ AND kemendagri_code = '36.71.01.1001' AND further_keys = '{"age_group":"24_59"}' ORDER BY 1"""
    )
    assert ask(s, told) == [(first, True, True, None), (second.release_id, False, False, True)]
    assert json.loads((s.current / "manifest.json").read_text())["last_cells"] == "absent"
    found = release.diff(s, first, second.release_id)
    assert "Column removed: stunting_by_area_month.suppression_reason." in found["words_en"]
    assert "Column new: stunting_by_area_month.is_rounded." not in found["words_en"]
    assert "New column: stunting_by_area_month.is_rounded." in found["words_en"]
    rows = {row["release_id"]: row for row in release.listing(s, led)}
    assert rows[first]["cells_rounded"] == 0
    assert rows[second.release_id]["cells_rounded"] == second.cells_rounded > 0
    release.rollback(s, led, first, "angka lama ditinjau", "walidata")
    assert ask(s, SMALL_ONE) == [(None,)]
    assert (figures.rounding_base(s), facts.rounding(release.manifest(s, first))) == (None, None)
    release.unpin(s, led, "angka lama selesai ditinjau", "walidata")
    assert figures.rounding_base(s) == 5
    assert facts.rounding(release.manifest(s, second.release_id)) is not None
    following = release.publish(later(s, days=2), led, make_build(s, led, usual_counts(small=30)))
    assert following.outcome == "released"
    assert json.loads((s.current / "manifest.json").read_text())["last_cells"] == "whole"


def test_a_leak_holds_the_release_and_leaves_nothing_behind(s, led):
    release.publish(s, led, make_build(s, led))
    leak = "UPDATE conformed.dim_region SET name = 'NIK 3671014505900001'"
    with pytest.raises(ReleaseError, match="RELEASE_LEAK") as caught:
        release.publish(s, led, make_build(s, led, usual_counts(70), extra_sql=leak))
    assert "3671014505900001" not in caught.value.message_en
    assert len(rows_of(led, tables.releases)) == 1
    release.refresh_ops(s, led)
    assert release.publish(s, led, make_build(s, led)).outcome == "unchanged"
    assert [path.name for path in s.releases_dir.iterdir() if path.is_dir()] == [s.current.resolve().name]


@pytest.mark.parametrize(
    ("name", "meta"),
    [("weight_kg", {}), ("size_cm", {}), ("waz", {"class_width": 0.5}), ("haz", {}), ("haz", {"class_width": 0.1})],
)
def test_columns_that_tell_too_much_are_refused_in_the_micro_file(s, led, name, meta):
    models = nodes()
    columns = models["model.fct_child_measurement"]["columns"]
    columns.setdefault(name, columns["weight_kg"] | {"name": name})["config"] = {"meta": {"micro": True} | meta}
    write_manifest(s, models)
    with pytest.raises(ReleaseError, match="RELEASE_MICRO_COLUMN"):
        release.publish(s, led, make_build(s, led))


def test_a_column_that_describes_a_person_states_how_it_is_coarsened(s, led):
    models = nodes()
    age = models["model.fct_child_measurement"]["columns"]["age_months"]["config"]
    age["meta"] = {"micro": True}
    write_manifest(s, models)
    with pytest.raises(ReleaseError, match="RELEASE_MICRO_QUASI"):
        release.publish(s, led, make_build(s, led))
    age["meta"] = {"micro": True, "quasi_identifier": "umur"}
    write_manifest(s, models)
    with pytest.raises(ReleaseError, match="MART_QUASI_UNKNOWN"):
        release.publish(s, led, make_build(s, led))


def test_a_mart_whose_keys_are_not_all_stated_is_refused(s, led):
    models = nodes()
    models["model.pairs"]["columns"]["pair"]["config"]["meta"] = {}
    write_manifest(s, models)
    twice = "INSERT INTO marts.pairs SELECT * FROM marts.pairs"
    with pytest.raises(ReleaseError, match="RELEASE_KEYS"):
        release.publish(s, led, make_build(s, led, extra_sql=twice))


def test_a_file_that_differs_from_what_was_built_is_not_released(s, led, monkeypatch):
    written = content.fill

    def lossy(con, mart, table, source, release_id):
        written(con, mart, table, f"(FROM {source} LIMIT 1)", release_id)

    monkeypatch.setattr(content, "fill", lossy)
    with pytest.raises(ReleaseError, match="RELEASE_NOT_VERIFIED"):
        release.publish(s, led, make_build(s, led))
    assert not s.current.exists()


def test_a_failed_stop_rule_on_a_mart_holds_the_release(s, led):
    s.mart_rules_dir.mkdir()
    (s.mart_rules_dir / "pairs.yaml").write_text(
        "rules:\n- code: PAIRS-MATCHED\n  expectation: expect_column_values_to_be_between\n"
        "  kwargs: {column: matched, max_value: 50}\n  severity: stop\n  category: validity\n"
        "  message_id: x\n  message_en: x\n  action_id: x\n  action_en: x\n  owner: walidata\n"
        "  reason: test\n  reason_date: 2026-11-22\n"
    )
    build = make_build(s, led)
    with pytest.raises(ReleaseError, match="PAIRS-MATCHED"):
        release.publish(s, led, build)
    (found,) = led.rows("select build_id, mart, rule_code, outcome from mart_rule_results")
    assert found == {"build_id": build.build_id, "mart": "pairs", "rule_code": "PAIRS-MATCHED", "outcome": "fail"}


def test_the_cells_of_the_newest_release_lie_beside_the_register_for_its_owner_alone(s, led):
    made = [release.publish(s, led, make_build(s, led, usual_counts(n))).release_id for n in (61, 70)]
    stray = s.register_dir / "20990101T000000Z-00000000.cells"
    stray.mkdir()
    (stray / "cells_children.parquet").write_bytes(b"x")
    release.refresh_ops(s, led)
    release.publish(s, led, make_build(s, led, usual_counts(70)))
    folders = list(s.register_dir.glob("*.cells"))
    assert folders == [s.register_dir / f"{made[1]}.cells"]
    assert stat.S_IMODE(folders[0].stat().st_mode) == 0o700
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folders[0].iterdir()}
    assert files == dict.fromkeys(("cells_children.parquet", "cells_pairs.parquet", "cells_quality.parquet"), 0o600)


@pytest.mark.parametrize(
    "step", ["round_marts", "write_cells", "write_marts", "write_micro", "_finish", "record", "point_current"]
)
def test_killed_anywhere_the_next_run_makes_the_release(s, led, monkeypatch, step):
    first = release.publish(s, led, make_build(s, led, usual_counts(61))).release_id
    built = make_build(s, led, usual_counts(62))
    room = {
        "round_marts": content, "write_cells": revisions, "write_marts": content, "write_micro": pseudonymised,
        "point_current": state, "record": record,
    }.get(step, publisher)  # fmt: skip
    whole = getattr(room, step)

    def killed(*args, **kwargs):
        if step in {"round_marts", "write_cells", "write_marts", "_finish"}:
            whole(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(room, step, killed)
        with pytest.raises(KeyboardInterrupt):
            release.publish(s, led, built)
    assert s.current.resolve().name == first
    assert (s.register_dir / f"{first}.cells").is_dir(), "the next release still knows the last one's cells"
    again = release.publish(s, led, built)
    # From the last rename on it is whole: it is taken as it is.
    assert again.outcome == ("unchanged" if step in {"_finish", "record", "point_current"} else "released")
    assert release.current_state(s, led)["release_id"] == again.release_id != first
    assert len(release.listing(s, led)) == 2
    assert {path.name for path in s.releases_dir.iterdir() if path.is_dir()} == {first, again.release_id}
    release.retain(s, led)
    assert {path.name for path in s.register_dir.iterdir()} == {
        f"{first}.parquet", f"{again.release_id}.parquet", f"{again.release_id}.cells",
    }, "cells of the newest release alone"  # fmt: skip


def test_a_release_that_an_older_ledger_does_not_know_is_taken_in_with_its_cells(s, led):
    first, second = (release.publish(s, led, make_build(s, led, usual_counts(n))).release_id for n in (61, 62))
    before = {table: rows_of(led, table) for table in (tables.releases, tables.release_marts)}
    gone = s.register_dir / "20250101T000000Z-00000000.parquet"
    shutil.copy(s.register_dir / f"{first}.parquet", gone)
    (builds,) = led.rows(sa.select(tables.releases.c.build_id).where(tables.releases.c.release_id == second))
    with led.write() as connection:
        for table in (tables.release_marts, tables.releases):
            connection.execute(table.delete().where(table.c.release_id == second))
        connection.execute(tables.builds.delete().where(tables.builds.c.build_id == builds["build_id"]))
    assert release.take_in(s, led) == 1
    release.retain(s, led)
    assert {table: rows_of(led, table) for table in before} == before
    assert release.current_state(s, led)["release_id"] == second
    assert gone.exists(), "what it says was published, whoever forgot it"
    assert release.take_in(s, led) == 0


@pytest.mark.parametrize("harm", ["marts.duckdb", "manifest.json"])
def test_a_damaged_current_release_is_made_anew(s, led, harm):
    built = make_build(s, led)
    first = release.publish(s, led, built).release_id
    assert release.is_published(s, led)
    with state.open_folder(s.releases_dir / first):
        (s.releases_dir / first / harm).chmod(0o600)
        (s.releases_dir / first / harm).write_bytes(b"damaged")
    assert not release.is_published(s, led)
    made = release.publish(s, led, built)
    assert (made.outcome, s.current.resolve().name) == ("released", made.release_id)
    assert made.release_id != first
    assert ask(s, SMALL_ONE)


def test_a_hard_kill_in_the_middle_leaves_readers_and_the_next_run_whole(s, led):
    first = release.publish(s, led, make_build(s, led, usual_counts(61))).release_id
    built = make_build(s, led, usual_counts(62))
    code = (
        "import os, sys; from pathlib import Path; from datetime import datetime\n"
        "from warehouse import ledger, release; from warehouse.build import BuildResult\n"
        "from warehouse.release import pseudonymised; from warehouse.core.settings import PROJECT_DIR, Settings\n"
        "home, project, build_id, digest, now = sys.argv[1:]\n"
        "pseudonymised.write_micro = lambda *a: os._exit(9)\n"
        "s = Settings(home=Path(home), project_dir=Path(project), now=datetime.fromisoformat(now))\n"
        "release.publish(s, ledger.Ledger(s.ledger), BuildResult(build_id, 'built', digest, 0.1))\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, s.home, s.project_dir, built.build_id, built.content_hash, NOON.isoformat()],
        cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert killed.returncode == 9
    assert list(s.releases_dir.glob(".draft-*"))
    assert s.current.resolve().name == first
    assert release.publish(s, led, built).outcome == "released"
    assert not list(s.releases_dir.glob(".draft-*"))


def keep(s: Settings, led, at) -> str:
    """A release as its folder and ledger row alone: enough to decide what is kept."""
    release_id = f"{at:%Y%m%dT%H%M%SZ}-00000000"
    folder = s.releases_dir / release_id
    folder.mkdir(parents=True)
    (folder / "micro.duckdb").write_bytes(b"x")
    folder.chmod(0o555)
    if not rows_of(led, tables.builds):
        led.insert(
            tables.builds,
            {"build_id": "b", "started_at": at, "outcome": "built", "as_of": at.date(), "content_hash": "x"},
        )
    led.insert(
        tables.releases,
        {"release_id": release_id, "build_id": "b", "created_at": at, "disclosure": "on", "scan_verdict": "clean"},
    )
    s.register_dir.mkdir(exist_ok=True)
    (s.register_dir / f"{release_id}.parquet").write_bytes(b"x")
    return release_id


def test_the_last_fourteen_and_each_months_last_are_kept(s, led):
    made = [keep(s, led, NOON + timedelta(days=31 * month + day)) for month in range(3) for day in range(7)]
    release.refresh_ops(s, led)
    assert release.retain(s, led) == 6
    kept = {row["release_id"] for row in release.listing(s, led)}
    assert kept == set(made[-14:]) | {made[6]}
    assert {path.name for path in s.releases_dir.iterdir() if path.is_dir()} == kept
    assert [name for name in kept if (s.releases_dir / name / "micro.duckdb").exists()] == [made[-1]]
    assert sum(row["removed_at"] is not None for row in rows_of(led, tables.releases)) == 6
    assert {path.stem for path in s.register_dir.iterdir()} == set(made), "what was published stays on record"


def test_a_pinned_release_is_never_removed(s, led):
    made = [keep(s, led, NOON + timedelta(minutes=n)) for n in range(18)]
    release.rollback(s, led, made[0], "angka Benda keliru", "walidata")
    assert release.retain(s, led) == 3
    assert s.current.resolve().name == made[0]
    assert (s.current / "micro.duckdb").exists()


def test_ops_are_rewritten_from_the_ledger_though_nothing_is_released(s, led):
    made = release.publish(s, led, make_build(s, led)).release_id
    release.refresh_ops(s, led)
    assert ask(s, "SELECT * FROM ops_releases") == [(made, True)]
    with led.write() as connection:
        connection.execute(tables.releases.update(), {"removed_at": NOON})
    release.refresh_ops(s, led)
    with duckdb.connect(str(s.ops_file), read_only=True) as con:
        assert con.execute("FROM ops_releases").fetchall() == [(made, False)]


def test_nobody_reads_ops_before_it_is_whole_whatever_the_umask(s, led, monkeypatch):
    release.publish(s, led, make_build(s, led))
    ops.permissions.prepare(s)
    reached = []
    share = ops.permissions.share

    def seen(path: Path, *how: object) -> None:
        reached.append(stat.S_IMODE(path.parent.stat().st_mode))
        share(path, *how)

    monkeypatch.setattr(ops.permissions, "share", seen)
    umask = os.umask(0)
    try:
        release.refresh_ops(s, led)
    finally:
        os.umask(umask)
    assert reached == [0o700]
    assert stat.S_IMODE(s.ops_file.stat().st_mode) == 0o444


def test_before_the_first_build_there_is_nothing_to_refresh_or_query(s, led):
    assert release.refresh_ops(s, led) is None
    assert release.current_state(s, led) is None
    assert release.listing(s, led) == []
    with pytest.raises(ReleaseError, match="RELEASE_NONE"):
        ask(s, "SELECT 1")


# The pseudonymised file.


PLAYMATES = (
    "INSERT INTO conformed.fct_child_measurement"
    " SELECT 'p' || i, DATE '2026-10-17', 14, -1.5, 9.9 FROM range(2, {}) t(i)"
)


def test_micro_holds_flagged_columns_at_coarse_values_and_is_encrypted(s, led):
    release.publish(s, led, make_build(s, led, extra_sql=PLAYMATES.format(6)))
    columns, rows = record_views.query(s, led, "Sari", "tinjauan balita pindah", 4, "FROM fct_child_measurement")
    assert columns == ["person_key", "measured_month", "age_months", "age_months_band", "haz", "coarsening_step"]
    assert min(row[1:] for row in rows) == (date(2026, 10, 1), 14, "11-16", -2.25, 0)
    assert len(rows) == 5
    assert record_views.query(s, led, "Sari", "tinjauan balita pindah", 4, "SELECT n FROM quality ORDER BY 1")[1] == [
        (30,),
        (40,),
    ]
    data = (s.current / "micro.duckdb").read_bytes()
    assert b"melati" not in data
    assert b"fct_child" not in data
    with pytest.raises(duckdb.Error, match="key"):
        duckdb.connect(str(s.current / "micro.duckdb"), read_only=True)


def test_nobody_counts_through_deliveries_to_the_row_of_a_person_whom_nothing_names(s, led):
    """Whoever lists deliveries can hash each of their rows, as record keys are made."""
    of_rows = {vault.record_key("kiriman", "Sheet1", row) for row in range(2, 7)}
    rows = ", ".join(f"('{key}', DATE '2026-10-17', 14, -1.5, 9.9)" for key in of_rows)
    linked = "UPDATE conformed.fct_child_measurement SET person_key = 'k:1'"
    release.publish(
        s, led, make_build(s, led, extra_sql=f"{linked}; INSERT INTO conformed.fct_child_measurement VALUES {rows}")
    )
    _, shown = record_views.query(
        s, led, "Sari", "tinjauan balita pindah", 4, "SELECT person_key FROM fct_child_measurement"
    )
    keys_shown = {key for (key,) in shown}
    assert len(keys_shown) == 6
    assert "k:1" in keys_shown, "who is linked keeps the key of the links"
    assert not keys_shown & of_rows
    assert all(":" in key for key in keys_shown)


def test_who_is_rare_in_micro_is_told_by_measures_alone_and_counted_in_file_and_manifest(s, led):
    release.publish(s, led, make_build(s, led, extra_sql=PLAYMATES.format(5)))
    why = ("Sari", "tinjauan balita pindah", 4)
    _, rows = record_views.query(s, led, *why, "SELECT age_months, age_months_band, haz, coarsening_step"
                          " FROM fct_child_measurement ORDER BY haz")  # fmt: skip
    assert sorted(rows) == [(None, None, -2.25, 6)] + [(None, None, -1.25, 6)] * 3
    counts = "SELECT stage, step, row_count, units, classes, classes_below_k, rows_below_k FROM micro_coarsening"
    assert record_views.query(s, led, *why, counts)[1] == [("before", 0, 4, 4, 1, 1, 4), ("after", 6, 4, 4, 1, 1, 4)]
    said = json.loads((s.current / "manifest.json").read_text())["micro_coarsening"]
    assert said["k"] == 5
    assert [(row["table_name"], row["stage"], row["classes_below_k"]) for row in said["tables"]] == [
        ("fct_child_measurement", "before", 1),
        ("fct_child_measurement", "after", 1),
    ]
    # Another k says something else, so it is another release.
    looser = s.model_copy(update={"micro_class_size": 4})
    assert release.publish(looser, led, make_build(looser, led, extra_sql=PLAYMATES.format(5))).outcome == "released"
    _, rows = record_views.query(
        looser, led, *why, "SELECT DISTINCT age_months, coarsening_step FROM fct_child_measurement"
    )
    assert rows == [(14, 0)]


def test_every_opening_of_the_micro_file_is_on_record(s, led):
    made = release.publish(s, led, make_build(s, led)).release_id
    with pytest.raises(ConfigError, match="SQL_FAILED"):
        record_views.query(s, led, "Sari", "tinjauan balita pindah", 4, "SELECT missing FROM quality")
    (opening,) = rows_of(led, tables.openings)
    assert (opening["release_id"], opening["person"], opening["purpose"]) == (made, "Sari", "tinjauan balita pindah")
    assert opening["expires_at"] - opening["opened_at"] == timedelta(hours=4)


@pytest.mark.parametrize("damage", [b"no database", b"", None])
def test_a_damaged_micro_file_is_named(s, led, damage):
    release.publish(s, led, make_build(s, led))
    file = s.current.resolve() / "micro.duckdb"
    whole = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(ReleaseError, match=f"RELEASE_UNREADABLE.*{file.parent.name}/micro.duckdb"):
        record_views.query(s, led, "Sari", "tinjauan balita pindah", 4, "FROM fct_child_measurement, quality")


@pytest.mark.parametrize(
    ("person", "purpose", "hours"),
    [
        ("", "tinjauan balita pindah", 4),
        ("Sari", "lihat", 4),
        ("Sari", "tinjauan balita pindah", 0),
        ("Sari", "tinjauan balita pindah", 100),
    ],
)
def test_micro_is_not_opened_without_person_purpose_and_a_term(s, led, person, purpose, hours):
    release.publish(s, led, make_build(s, led))
    with pytest.raises(ConfigError, match="OPENING_REFUSED"):
        record_views.query(s, led, person, purpose, hours, "SELECT 1")
    assert rows_of(led, tables.openings) == []
