"""e-PPGBM exports from the file through every room to the columns that people read.

WHO's example survey gives z-scores to be equal to. Two small files of another puskesmas hold what goes wrong daily:
what the gate puts aside and what it lets in with a mark, both counted in the marts. Names and NIKs are made up; the
birth date is the day of measurement less the age. What e-PPGBM cannot say is not compared: it has no column for oedema.
"""

import csv
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support import build_files, samples
from warehouse import build, ledger, linkage, night
from warehouse.core import duck
from warehouse.core.contract import load_contracts
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.storage import keys

EPPGBM = "kemenkes/eppgbm"
SURVEY = Path(__file__).parents[1] / "data" / "who" / "who_igrowup_mysurvey_expected.csv"
SEPTEMBER, OCTOBER = Period(date(2026, 9, 1), "month"), Period(date(2026, 10, 1), "month")
MEASURED = date(2026, 10, 14)
NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
HEADER_ROWS = 1
# Score -> WHO's column, rows of the survey that have it, those of them the gate admits.
SCORES = {"haz": ("exp_zlen", 475, 471), "waz": ("exp_zwei", 489, 485), "whz": ("exp_zwfl", 467, 463)}
LAST_DAY = 1826
MARTS = ("stunting_quality_by_puskesmas_month", "stunting_by_area_month")


def survey() -> list[dict[str, str]]:
    with SURVEY.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def source_row(row: dict[str, str]) -> int:
    return int(row["id"]) + HEADER_ROWS


def as_eppgbm(row: dict[str, str]) -> dict[str, str | None]:
    number, birth, is_girl = int(row["id"]), MEASURED - timedelta(days=int(row["age_days"])), row["sex"] == "2"
    return {
        "nik": samples.nik(number, birth, female=is_girl),
        "nama": f"Anak Survei {number}",
        "jk": "P" if is_girl else "L",
        "tgl_lahir": birth.isoformat(),
        "nama_ortu": f"Bapak {number} / Ibu {number}",
        "kab_kota": "Kota Tangerang",
        "kec": "Tangerang",
        "puskesmas": "Cikokol",
        "desa_kel": "Cikokol",
        "posyandu": "Melati 1",
        "rt": "1",
        "rw": "2",
        "tanggal_pengukuran": MEASURED.isoformat(),
        "berat": row["weight_kg"].replace(".", ","),
        "tinggi": row["lenhei_cm"].replace(".", ","),
        "cara_ukur": {"l": "Terlentang", "h": "Berdiri", "": None}[row["measure"]],
    }


def girl(number: int, day: date = MEASURED, **entries: str | None) -> dict[str, str | None]:
    """A girl of Batuceper who was 800 days old on 14 October, close to the median unless said otherwise."""
    birth = MEASURED - timedelta(days=800)
    return {
        "nik": samples.nik(number, birth, female=True, prefix="367103"),
        "nama": f"Anak Batuceper {number}",
        "jk": "P",
        "tgl_lahir": birth.isoformat(),
        "nama_ortu": f"Ayah {number} / Bunda {number}",
        "kab_kota": "Kota Tangerang",
        "kec": "Batuceper",
        "puskesmas": "Batuceper",
        "desa_kel": "Batuceper",
        "posyandu": "Mawar 2",
        "tanggal_pengukuran": day.isoformat(),
        "berat": "11,8",
        "tinggi": "86,4",
        "cara_ukur": "Berdiri",
    } | entries


WELL = range(600, 630)
# What the gate lets in with a mark, by the measure of quality that counts it: one child each.
MARKED: dict[str, dict[str, str | None]] = {
    "implausible_gain": {},
    "shrank": {"tinggi": "84,0"},
    "flagged_haz": {"tinggi": "45,0"},
    "measured_how_missing": {"cara_ukur": None},
    "without_nik": {"nik": "36710**********"},
}
# What the gate puts aside, by the rule and the category it is counted under: one row each, the repeated child two.
PUT_ASIDE: list[tuple[str, str, dict[str, str | None]]] = [
    ("EPPGBM-007", "quarantined_consistency", {"tgl_lahir": "2026-10-20"}),
    ("EPPGBM-010", "quarantined_plausibility", {"berat": "120"}),
    ("EPPGBM-011", "quarantined_plausibility", {"tinggi": "20"}),
    ("EPPGBM-008", "quarantined_validity", {"tanggal_pengukuran": "2026-12-05"}),
    ("EPPGBM-009", "quarantined_validity", {"tgl_lahir": "2021-10-13"}),
    ("EPPGBM-013", "quarantined_validity", {"desa_kel": "Suka Maju"}),
    ("EPPGBM-001", "quarantined_validity", {"nik": "3.67103E+15"}),
    ("KEMENKES__EPPGBM-TYPE-berat", "quarantined_validity", {"berat": "sebelas"}),
    ("EPPGBM-012", "quarantined_completeness", {"berat": None, "tinggi": None}),
    ("KEMENKES__EPPGBM-REQUIRED-nama", "quarantined_completeness", {"nama": None}),
    ("EPPGBM-006", "duplicates", {}),
    ("EPPGBM-006", "duplicates", {}),
]


def september_of_batuceper() -> list[dict[str, str | None]]:
    day = date(2026, 9, 14)
    before = {"implausible_gain": {"tinggi": "75,0"}, "shrank": {}}
    seen = [girl(number, day, tinggi="85,6", berat="11,6") for number in WELL]
    return seen + [girl(700 + place, day, **before[name]) for place, name in enumerate(before)]


def october_of_batuceper() -> list[dict[str, str | None]]:
    marked = [girl(700 + place, **entries) for place, entries in enumerate(MARKED.values())]
    aside = [
        girl(799 if rule == "EPPGBM-006" else 800 + place, **entries)
        for place, (rule, _, entries) in enumerate(PUT_ASIDE)
    ]
    return [girl(number) for number in WELL] + marked + aside


@dataclass
class Built:
    """What the gate put aside and the fact's scores, by row of the survey's file; the marts' figures of Batuceper."""

    quarantined: set[tuple[str, int]]
    scores: dict[int, dict[str, float | None]]
    put_aside: Counter[str]
    quality: dict[str, tuple[int, float]]
    area: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("survey")
    s = Settings(home=folder / "a home", now=NOW)
    keys.make_sandbox_keys(s)
    for part, period, rows in (
        ("cikokol", OCTOBER, [as_eppgbm(row) for row in survey()]),
        ("batuceper", SEPTEMBER, september_of_batuceper()),
        ("batuceper", OCTOBER, october_of_batuceper()),
    ):
        sent, _media = samples.as_file(EPPGBM, rows, "sigizi_csv")
        (file := folder / f"{part}-{period.label}.csv").write_bytes(sent)
        outcome = night.ingest_file(EPPGBM, period, part, file, s=s)
        assert (outcome.outcome, outcome.errors) == ("admitted", [])
    led = ledger.open_ledger(s)
    linkage.link(s, led)
    s.build_file.parent.mkdir(parents=True, exist_ok=True)
    with duck.connect(s, s.build_file) as connection:
        build.fill(s, led, load_contracts(s.contracts_dir), connection)
    build_files.dbt(s, "build", "--exclude-resource-type", "unit_test", "--indirect-selection", "cautious",
                    "--select", *(f"+{mart}" for mart in MARTS))  # fmt: skip
    pointers = led.rows(
        "select part, rule_code, source_row from quarantined_rows inner join deliveries using (delivery_id)"
    )
    with duckdb.connect(s.build_file, read_only=True) as connection:
        found = connection.sql(
            "select source_row, haz, waz, whz from conformed.fct_child_measurement where puskesmas = 'cikokol'"
        ).fetchall()
        quality = connection.sql(
            "select measure, n, statistic from marts.stunting_quality_by_puskesmas_month"
            " where puskesmas = 'batuceper' and period_start = date '2026-10-01'"
        ).fetchall()
        area = connection.sql(
            "from marts.stunting_by_area_month where kemendagri_code = '36.71.03.1001' and period_kind = 'month'"
            " and period_start = date '2026-10-01' and area_basis = 'residence' and age_group = 'all'"
        ).to_arrow_table()
    return Built(
        {(row["rule_code"], row["source_row"]) for row in pointers if row["part"] == "cikokol"},
        {row: dict(zip(SCORES, scores, strict=True)) for row, *scores in found},
        Counter(row["rule_code"] for row in pointers if row["part"] == "batuceper"),
        {measure: (n, statistic) for measure, n, statistic in quality},
        {row["measure"]: row for row in area.to_pylist()},
    )


def test_the_gate_puts_aside_what_the_standards_do_not_cover(built: Built):
    too_old = {("EPPGBM-009", source_row(row)) for row in survey() if int(row["age_days"]) > LAST_DAY}
    unmeasured = {("EPPGBM-012", source_row(row)) for row in survey() if not row["weight_kg"] and not row["lenhei_cm"]}
    assert (len(too_old), len(unmeasured)) == (4, 2)
    assert built.quarantined == too_old | unmeasured
    assert built.scores.keys() == {source_row(row) for row in survey()} - {row for _, row in built.quarantined}


@pytest.mark.parametrize("score", SCORES)
def test_every_score_equals_whos_at_two_decimals(built: Built, score: str):
    column, in_survey, admitted = SCORES[score]
    theirs = {source_row(row): float(row[column]) for row in survey() if row[column]}
    compared = theirs.keys() & built.scores.keys()
    assert (len(theirs), len(compared)) == (in_survey, admitted)
    assert {row: built.scores[row][score] for row in compared} == {row: theirs[row] for row in compared}


def test_a_score_that_who_does_not_give_is_not_made_up(built: Built):
    # WHO gives none made of weight to the six children with oedema.
    seen = [row for row in survey() if source_row(row) in built.scores and row["oedema"] != "y"]
    for score, (column, *_counts) in SCORES.items():
        without = [row["id"] for row in seen if not row[column]]
        assert [id_ for id_ in without if built.scores[int(id_) + HEADER_ROWS][score] is not None] == []


def test_each_bad_row_is_put_aside_by_its_own_rule(built: Built):
    assert built.put_aside == Counter(rule for rule, _, _ in PUT_ASIDE)


def test_what_was_put_aside_is_counted_in_the_mart(built: Built):
    read = len(october_of_batuceper())
    expected = Counter(category for _, category, _ in PUT_ASIDE)
    repeated = expected.pop("duplicates")
    assert built.quality["duplicates"] == (
        read - len(PUT_ASIDE) + repeated,
        pytest.approx(100 * repeated / (read - len(PUT_ASIDE) + repeated)),
    )
    assert built.quality["quarantined"] == (read, pytest.approx(100 * len(PUT_ASIDE) / read))
    for category, rows in expected.items():
        assert built.quality[category] == (read, pytest.approx(100 * rows / read))


def test_what_was_let_in_with_a_mark_is_counted_in_the_mart(built: Built):
    admitted = len(WELL) + len(MARKED)
    pairs = len(september_of_batuceper())
    for measure in MARKED:
        n = pairs if measure in ("shrank", "implausible_gain") else admitted
        assert built.quality[measure] == (n, pytest.approx(100 / n)), measure


def test_no_figure_holds_a_row_that_was_put_aside(built: Built):
    admitted = len(WELL) + len(MARKED)
    figures = {
        "children_registered": (admitted, None),
        "weighed_of_registered": (admitted, admitted),
        "height_measured": (admitted, admitted),
        "haz_valid": (admitted - 1, admitted),
        "haz_flagged": (1, admitted),
        "stunted": (0, admitted - 1),
    }
    assert {name: (built.area[name]["numerator"], built.area[name]["denominator"]) for name in figures} == figures
    assert built.area["stunted"]["unknown_count"] == 1
