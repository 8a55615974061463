"""WHO's example survey sent as an e-PPGBM export: from the file through every room to the z-scores of the fact.

Names and NIKs are made up; the birth date is the day of measurement less the survey's age. What e-PPGBM cannot say is
not compared: it has no column for oedema.
"""

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from tests import samples
from warehouse import build, keys, linkage, night
from warehouse.periods import Period
from warehouse.settings import Settings

EPPGBM = "kemenkes/eppgbm"
SURVEY = Path(__file__).parents[1] / "data" / "who" / "who_igrowup_mysurvey_expected.csv"
OCTOBER = Period(date(2026, 10, 1), "month")
MEASURED = date(2026, 10, 14)
HEADER_ROWS = 1
# Score -> WHO's column, rows of the survey that have it, those of them the gate admits.
SCORES = {"haz": ("exp_zlen", 475, 471), "waz": ("exp_zwei", 489, 485), "whz": ("exp_zwfl", 467, 463)}
LAST_DAY = 1826


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


@dataclass
class Built:
    """What the gate put aside, and the fact's scores by the row of the sender's file."""

    quarantined: set[tuple[str, int]]
    scores: dict[int, dict[str, float | None]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("survey")
    s = Settings(home=folder / "a home")
    keys.make_sandbox_keys(s)
    sent, _media = samples.as_file(EPPGBM, [as_eppgbm(row) for row in survey()], "sigizi_csv")
    (file := folder / "survey.csv").write_bytes(sent)
    outcome = night.ingest_file(EPPGBM, OCTOBER, "cikokol", file, s=s)
    assert (outcome.outcome, outcome.errors) == ("admitted", [])
    led = night.open_ledger(s)
    linkage.link(s, led)
    assert build.run(s, led, date(2026, 11, 22)).failures == []
    pointers = led.rows("select rule_code, source_row from quarantined_rows")
    with duckdb.connect(s.build_file, read_only=True) as connection:
        found = connection.sql("select source_row, haz, waz, whz from conformed.fct_child_measurement").fetchall()
    return Built({(row["rule_code"], row["source_row"]) for row in pointers}, {row: dict(
        zip(SCORES, scores, strict=True)) for row, *scores in found})  # fmt: skip


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
