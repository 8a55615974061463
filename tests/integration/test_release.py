"""A release holds what it should and nothing else, and readers see one whole release at any moment."""

import json
import stat
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from tests.release_helpers import NOON, make_build, model, nodes, usual_counts, write_manifest
from warehouse import analyst, ledger, micro, release
from warehouse.errors import ConfigError, ReleaseError
from warehouse.release import content, pseudonymised, publisher, state
from warehouse.settings import Settings


def later(s: Settings, **delta) -> Settings:
    return s.model_copy(update={"now": s.now + timedelta(**delta)})


def ask(s: Settings, sql: str, release_id: str | None = None) -> list[tuple]:
    return analyst.query(s, sql, release_id)[1]


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
        "parquet/stunting_by_area_month.parquet", "parquet/pairs.parquet",
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
        tables = {row[0] for row in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        (storage,) = con.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'marts'").fetchone()
        undescribed = con.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = 'stunting_by_area_month' AND comment IS NULL"
        ).fetchall()
    assert tables == {
        "stunting_by_area_month", "pairs", "dim_measure", "dim_region", "dim_period", "mart_columns", "released_cells",
    }  # fmt: skip
    assert undescribed == []
    assert storage["storage_version"].startswith("v1.0.0")


def test_small_cells_are_hidden_in_mart_wide_view_parquet_and_register(s, led):
    made = release.publish(s, led, make_build(s, led, usual_counts(small=3)))
    where = "kemendagri_code = '36.71.01.1001'"
    assert made.cells_hidden == 3  # a kelurahan and its partner, and the pair matched three times
    assert ask(
        s, f"SELECT numerator, suppression_reason FROM stunting_by_area_month WHERE {where} AND measure = 'stunted'"
    ) == [(None, "primary")]
    assert ask(
        s, f"SELECT stunted_percentage, stunted_suppression_reason FROM stunting_by_area_month_wide WHERE {where}"
    ) == [(None, "primary")]
    assert ask(s, f"SELECT numerator FROM released_cells WHERE {where} AND measure = 'stunted'") == [(None,)]
    parquet = s.current / "parquet" / "stunting_by_area_month.parquet"
    assert duckdb.execute(f"SELECT count(*) FROM '{parquet}' WHERE suppression_reason IS NOT NULL").fetchone() == (2,)
    assert b"3::" not in (s.current / "marts.duckdb").read_bytes()


def test_measures_of_a_family_are_hidden_together(s, led):
    family = "INSERT INTO reference.disclosure_families VALUES ('stunting_by_area_month', '{}', 'children')"
    both = ";".join(family.format(measure) for measure in ("stunted", "wasted"))
    release.publish(s, led, make_build(s, led, usual_counts(small=3), extra_sql=both))
    hidden = ask(
        s, "SELECT measure, count(*) FROM stunting_by_area_month WHERE suppression_reason IS NOT NULL GROUP BY 1"
    )
    assert sorted(hidden) == [("stunted", 2), ("wasted", 2)]


def test_another_rule_for_hiding_makes_a_release_of_the_same_data(s, led):
    release.publish(s, led, make_build(s, led))
    stricter = s.model_copy(update={"disclosure_threshold": 80})
    again = release.publish(stricter, led, make_build(s, led))
    assert (
        again.outcome,
        ask(s, "SELECT count(numerator) FROM stunting_by_area_month WHERE area_level = 'kelurahan'"),
    ) == (
        "released",
        [(0,)],
    )


def test_every_row_names_its_release(s, led):
    made = release.publish(s, led, make_build(s, led))
    assert ask(s, "SELECT DISTINCT release_id FROM stunting_by_area_month") == [(made.release_id,)]


def test_nothing_new_makes_no_release(s, led):
    first = release.publish(s, led, make_build(s, led))
    second = release.publish(later(s, days=1), led, make_build(s, led))
    assert (second.outcome, second.release_id) == ("unchanged", first.release_id)
    assert len(rows_of(led, ledger.releases)) == 1


def test_a_held_delivery_makes_a_release_though_no_figure_changed(s, led):
    release.publish(s, led, make_build(s, led))
    built = make_build(s, led)
    assert release.is_published(s, led)
    led.insert(
        ledger.deliveries,
        {
            "delivery_id": "h", "dataset": "kemenkes/eppgbm", "part": "benda", "period_kind": "month",
            "period_start": date(2026, 10, 1), "received_at": NOON, "content_sha256": "x", "bytes": 1, "media": "csv",
            "origin": "agency", "stored_path": "x", "stored_sha256": "x",
        },
    )  # fmt: skip
    led.insert(
        ledger.verdicts,
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
        old = reader.execute(
            "SELECT numerator FROM stunting_by_area_month WHERE kemendagri_code='36.71.01.1001' AND measure='stunted'"
        )
        assert old.fetchone() == (61,)
    new = "SELECT numerator FROM stunting_by_area_month WHERE kemendagri_code='36.71.01.1001' AND measure='stunted'"
    assert ask(s, new) == [(70,)]


def test_what_a_cell_said_on_a_day_and_only_changed_cells_are_registered(s, led):
    release.publish(s, led, make_build(s, led, usual_counts(61)))
    march = later(s, days=100)
    second = release.publish(march, led, make_build(s, led, usual_counts(62)))
    cell = "mart='stunting_by_area_month' AND kemendagri_code='36.71.01.1001' AND measure='stunted'"
    said = f"SELECT numerator FROM released_cells WHERE {cell} AND released_at <= ? ORDER BY released_at DESC LIMIT 1"
    assert ask(s, said.replace("?", f"'{NOON:%F}T23:00:00Z'::TIMESTAMPTZ")) == [(61,)]
    assert ask(s, said.replace("?", "'2027-12-31'::TIMESTAMPTZ")) == [(62,)]
    changed = duckdb.execute(
        f"SELECT kemendagri_code FROM '{s.register_dir / (second.release_id + '.parquet')}'"
    ).fetchall()
    assert sorted(changed) == [("36.71",), ("36.71.01",), ("36.71.01.1001",)]


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
    assert (moved["changed"], moved["newly_hidden"], moved["added"]) == (3, 0, 0)
    assert "stunting_by_area_month: 3 baris berubah." in found["words_id"]
    assert "stunted, Area 36.71.01, 2026-10: 31.0% → 25.8%." in found["words_en"]
    # The small one's neighbours were shown with the same numbers before: only the sums above it can keep it.
    assert stunting(second, third)["newly_hidden"] == stunting(third, second)["newly_shown"] == 3


def test_a_leak_holds_the_release_and_leaves_nothing_behind(s, led):
    release.publish(s, led, make_build(s, led))
    leak = (
        "UPDATE marts.stunting_by_area_month SET area_name = 'NIK 3671014505900001' WHERE kemendagri_code = '36.71.02'"
    )
    with pytest.raises(ReleaseError, match="RELEASE_LEAK") as caught:
        release.publish(s, led, make_build(s, led, extra_sql=leak))
    assert "3671014505900001" not in caught.value.message_en
    assert len(rows_of(led, ledger.releases)) == 1
    release.refresh_ops(s, led)
    assert release.publish(s, led, make_build(s, led)).outcome == "unchanged"
    assert [path.name for path in s.releases_dir.iterdir() if path.is_dir()] == [s.current.resolve().name]


def test_columns_that_tell_too_much_are_refused_in_the_micro_file(s, led):
    models = nodes()
    fact = models["model.fct_child_measurement"]
    fact["columns"]["weight_kg"]["config"]["meta"] = {"micro": True}
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
    models["model.pairs"] = model("pairs", {"pair": "string", "matched": "bigint"}, meta={"matched": {"role": "key"}})
    write_manifest(s, models)
    twice = "INSERT INTO marts.pairs VALUES ('x', 3)"
    with pytest.raises(ReleaseError, match="RELEASE_KEYS"):
        release.publish(s, led, make_build(s, led, extra_sql=twice))


def test_a_file_that_differs_from_what_was_built_is_not_released(s, led, monkeypatch):
    written = content._fill

    def lossy(con, mart, table, source, release_id):
        written(con, mart, table, f"(FROM {source} LIMIT 1)", release_id)

    monkeypatch.setattr(content, "_fill", lossy)
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


@pytest.mark.parametrize("step", ["write_marts", "write_micro", "_finish", "_record", "point_current"])
def test_killed_anywhere_the_next_run_makes_the_release(s, led, monkeypatch, step):
    first = release.publish(s, led, make_build(s, led, usual_counts(61))).release_id
    built = make_build(s, led, usual_counts(62))
    room = {"write_marts": content, "write_micro": pseudonymised, "point_current": state}.get(step, publisher)
    whole = getattr(room, step)

    def killed(*args, **kwargs):
        if step in {"write_marts", "_finish"}:
            whole(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(room, step, killed)
        with pytest.raises(KeyboardInterrupt):
            release.publish(s, led, built)
    assert s.current.resolve().name == first
    again = release.publish(s, led, built)
    assert again.outcome == ("unchanged" if step == "point_current" else "released")
    assert release.current_state(s, led)["release_id"] == again.release_id != first
    assert len(release.listing(s, led)) == 2
    assert {path.name for path in s.releases_dir.iterdir() if path.is_dir()} == {first, again.release_id}
    assert {path.stem for path in s.register_dir.iterdir()} == {first, again.release_id}


def test_a_hard_kill_in_the_middle_leaves_readers_and_the_next_run_whole(s, led):
    first = release.publish(s, led, make_build(s, led, usual_counts(61))).release_id
    built = make_build(s, led, usual_counts(62))
    code = (
        "import os, sys; from pathlib import Path; from datetime import datetime\n"
        "from warehouse import ledger, release; from warehouse.build import BuildResult\n"
        "from warehouse.release import pseudonymised; from warehouse.settings import PROJECT_DIR, Settings\n"
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
    if not rows_of(led, ledger.builds):
        led.insert(
            ledger.builds,
            {"build_id": "b", "started_at": at, "outcome": "built", "as_of": at.date(), "content_hash": "x"},
        )
    led.insert(
        ledger.releases,
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
    assert sum(row["removed_at"] is not None for row in rows_of(led, ledger.releases)) == 6
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
        connection.execute(ledger.releases.update(), {"removed_at": NOON})
    release.refresh_ops(s, led)
    with duckdb.connect(str(s.ops_file), read_only=True) as con:
        assert con.execute("FROM ops_releases").fetchall() == [(made, False)]


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
    columns, rows = micro.query(s, led, "Sari", "tinjauan balita pindah", 4, "FROM fct_child_measurement")
    assert columns == ["person_key", "measured_month", "age_months", "age_months_band", "haz", "coarsening_step"]
    assert rows[0] == ("p1", date(2026, 10, 1), 14, "11-16", -2.35, 0)
    assert len(rows) == 5
    assert micro.query(s, led, "Sari", "tinjauan balita pindah", 4, "SELECT n FROM quality")[1] == [(40,)]
    data = (s.current / "micro.duckdb").read_bytes()
    assert b"melati" not in data
    assert b"fct_child" not in data
    with pytest.raises(duckdb.Error, match="key"):
        duckdb.connect(str(s.current / "micro.duckdb"), read_only=True)


def test_who_is_rare_in_micro_is_told_by_measures_alone_and_counted_in_file_and_manifest(s, led):
    release.publish(s, led, make_build(s, led, extra_sql=PLAYMATES.format(5)))
    why = ("Sari", "tinjauan balita pindah", 4)
    _, rows = micro.query(s, led, *why, "SELECT age_months, age_months_band, haz, coarsening_step"
                          " FROM fct_child_measurement ORDER BY person_key")  # fmt: skip
    assert rows == [(None, None, -2.35, 6)] + [(None, None, -1.5, 6)] * 3
    counts = "SELECT stage, step, row_count, units, classes, classes_below_k, rows_below_k FROM micro_coarsening"
    assert micro.query(s, led, *why, counts)[1] == [("before", 0, 4, 4, 1, 1, 4), ("after", 6, 4, 4, 1, 1, 4)]
    said = json.loads((s.current / "manifest.json").read_text())["micro_coarsening"]
    assert said["k"] == 5
    assert [(row["table_name"], row["stage"], row["classes_below_k"]) for row in said["tables"]] == [
        ("fct_child_measurement", "before", 1),
        ("fct_child_measurement", "after", 1),
    ]
    # Another k says something else, so it is another release.
    looser = s.model_copy(update={"micro_class_size": 4})
    assert release.publish(looser, led, make_build(looser, led, extra_sql=PLAYMATES.format(5))).outcome == "released"
    _, rows = micro.query(looser, led, *why, "SELECT DISTINCT age_months, coarsening_step FROM fct_child_measurement")
    assert rows == [(14, 0)]


def test_every_opening_of_the_micro_file_is_on_record(s, led):
    made = release.publish(s, led, make_build(s, led)).release_id
    with pytest.raises(ConfigError, match="SQL_FAILED"):
        micro.query(s, led, "Sari", "tinjauan balita pindah", 4, "SELECT missing FROM quality")
    (opening,) = rows_of(led, ledger.openings)
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
        micro.query(s, led, "Sari", "tinjauan balita pindah", 4, "FROM fct_child_measurement, quality")


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
        micro.query(s, led, person, purpose, hours, "SELECT 1")
    assert rows_of(led, ledger.openings) == []
