"""Bad registries, series and portals, from file to mart: put aside, held or counted as unknown, never absorbed.

One home without agencies takes a sound quarter and everything that is wrong with the next; then it builds its marts.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support import samples
from warehouse import ledger, night
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger
from warehouse.storage import keys

FAMILIES, INDIVIDUALS = "bps/social_registry_families", "bps/social_registry_individuals"
BPS, PORTAL, DUKCAPIL = "bps/indicators", "portal/poverty_indicators", "dukcapil/population"
BANTENPROV = Path(__file__).parent.parent / "data/bantenprov/bantenprov_ik-kabupaten-kota-010.json"
# DTSEN's statuses as Sakernas numbers them: casual work is 5 and 6, unpaid family work 7, public service 4.
AS_SAKERNAS = {"5": "4", "6": "5", "7": "6", "8": "7"}


def workers(rows: list[samples.Row]) -> list[samples.Row]:
    return [row | {"id_status_kedudukan_pekerjaan_utama": str(n % 8 + 1)} for n, row in enumerate(rows)]


def renumbered(rows: list[samples.Row]) -> list[samples.Row]:
    column = "id_status_kedudukan_pekerjaan_utama"
    return [row | {column: AS_SAKERNAS.get(row[column], row[column])} for row in rows]


def without_rank(rows: list[samples.Row]) -> list[samples.Row]:
    """The first has an impossible rank, the next two none, as two exports write it."""
    ranks = ("11", "", "Belum Ada Desl")
    changed = [row | {"desil_nasional": rank} for row, rank in zip(rows, ranks, strict=False)]
    return changed + rows[len(ranks) :]


def of_year(rows: list[samples.Row], year: int, factor: float = 1.0) -> list[samples.Row]:
    return [row | {"year": str(year), "tahun": str(year), "value": str(float(row["value"]) * factor)} for row in rows]


@pytest.fixture(scope="module")
def battered(tmp_path_factory) -> tuple[Settings, Ledger, dict[str, dict[str, Any]]]:
    """The home, its ledger, and the verdict of each file by name."""
    s = Settings(home=tmp_path_factory.mktemp("poverty"), now=datetime(2026, 11, 22, 3, tzinfo=UTC))
    keys.make_sandbox_keys(s)
    led = ledger.open_ledger(s)
    folder = tmp_path_factory.mktemp("files")
    verdicts: dict[str, dict[str, Any]] = {}

    def take(name: str, dataset: str, period: str, rows: list[samples.Row] | Path, part: str = "all") -> None:
        if isinstance(rows, Path):
            path, media = rows, "json"
        else:
            data, media = samples.as_file(dataset, rows)
            path = folder / name
            path.write_bytes(data)
        night.ingest_file(dataset, Period.parse(period), part, path, media, s=s)
        verdicts[name] = led.rows("select * from verdicts order by judged_at desc limit 1")[0]

    families, persons = samples.good_rows(FAMILIES), workers(samples.good_rows(INDIVIDUALS))
    poor = samples.good_rows(BPS)
    take("crowd", FAMILIES, "2026-Q1", samples.changed(families, jumlah_anggota_keluarga="900"))
    take("sound families", FAMILIES, "2026-Q2", families)
    take("sound persons", INDIVIDUALS, "2026-Q2", persons)
    take("ranks", FAMILIES, "2026-Q3", without_rank(families))
    take("scientific", INDIVIDUALS, "2026-Q3", samples.changed(persons, nik="3.67101E+15"))
    # Corrections that are none: the quarter's good files stay in force.
    take("floors", FAMILIES, "2026-Q3", samples.every(families, id_lantai_terluas="8"))
    take("sakernas", INDIVIDUALS, "2026-Q3", renumbered(persons))
    part = poor[0]["var_id"]
    take("sound series", BPS, "2024", of_year(poor, 2024), part)
    take("thousandfold", BPS, "2025", of_year(poor, 2025, 1000), part)
    take("wrong year", PORTAL, "2015", BANTENPROV)
    take("misspelt", PORTAL, "2025", samples.changed(samples.good_rows(PORTAL), nama_wilayah="Kota Tngerang"))
    take("ages", DUKCAPIL, "2025-H2", samples.changed(samples.good_rows(DUKCAPIL), u0="-1"))
    take("negative", DUKCAPIL, "2026-H1", samples.changed(samples.good_rows(DUKCAPIL), jumlah_penduduk="-5"))
    marts = night.marts(date(2026, 11, 22), s=s)
    assert marts["outcome"] == "released", marts
    return s, led, verdicts


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("floors", "DTSEN-FAM-130"), ("sakernas", "DTSEN-IND-122"), ("thousandfold", "BPS-102"),
        ("wrong year", "PORTALPOV-101"),
    ],
)  # fmt: skip
def test_what_means_something_else_is_held_and_says_why(battered, name, code):
    verdict = battered[2][name]
    assert verdict["verdict"] == "held", verdict["verdict"]
    failed = battered[1].rows(
        "select rule_code from rule_results where verdict_id = :v and outcome = 'fail' and severity = 'stop'",
        v=verdict["verdict_id"],
    )
    assert code in {row["rule_code"] for row in failed}
    assert verdict["rows_admitted"] == 0
    assert len(verdict["message_id"]) > 20


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("ranks", "desil_nasional"), ("scientific", "nik"), ("misspelt", "bps_code"), ("negative", "jumlah_penduduk"),
        ("crowd", "jumlah_anggota_keluarga"), ("ages", "is_no_group_negative"),
    ],
)  # fmt: skip
def test_one_bad_value_takes_its_row_out_and_no_other(battered, name, column):
    _, led, verdicts = battered
    verdict = verdicts[name]
    assert (verdict["verdict"], verdict["rows_quarantined"]) == ("accepted_with_quarantine", 1)
    assert verdict["rows_admitted"] == verdict["rows_read"] - 1
    pointers = led.rows("select column_name from quarantined_rows where verdict_id = :v", v=verdict["verdict_id"])
    assert column in {row["column_name"] for row in pointers}


@pytest.fixture(scope="module")
def poverty(battered) -> Callable[..., int | None]:
    def count(measure: str, desil: str = "all", quarter: str = "2026-07-01", code: str = "36.71") -> int | None:
        with duckdb.connect(str(battered[0].build_file), read_only=True) as con:
            row = con.execute(
                "select numerator from marts.poverty_by_area_period where measure = ? and desil = ?"
                " and period_start = ? and kemendagri_code = ? and ranking = 'dtsen'",
                [measure, desil, quarter, code],
            ).fetchone()
        return row and row[0]

    return count


def test_a_missing_rank_is_unknown_and_never_the_poorest(poverty):
    """Of the three families without a usable rank one was put aside; the others are in no desil."""
    given = [row["desil_nasional"] for row in samples.good_rows(FAMILIES)]
    left = given[3:]
    assert poverty("families") == len(given) - 1
    assert poverty("families", "unknown") == 2
    assert poverty("families", "01") == left.count("1")
    assert poverty("families_desil_1") == left.count("1")
    assert poverty("families", "unknown", "2026-04-01") is None


def test_what_was_put_aside_is_counted_beside(poverty):
    assert poverty("families_put_aside") == poverty("families_put_aside", code="36.71.00.0000") == 1
    assert poverty("persons_put_aside") == 1
    assert poverty("families_put_aside", quarter="2026-04-01") == 0
    assert poverty("families_put_aside", quarter="2026-01-01") == 1


def test_nobody_is_counted_by_a_size_or_an_age_that_cannot_be(battered):
    """Nine hundred in one family would be most of the city's persons here; an age group below zero makes no base."""
    with duckdb.connect(str(battered[0].build_file), read_only=True) as con:
        (persons,) = con.execute(
            "select denominator + unknown_count from marts.poverty_by_area_period where measure = 'living_standards_h'"
            " and period_start = '2026-01-01' and kemendagri_code = '36.71'"
        ).fetchone()
        bases = con.execute(
            "select count(*), min(population) from marts.denominators_by_area_period where area_level = 'kelurahan' and"
            " denominator_source = 'dukcapil' and population_group = 'under_five' and period_start = '2025-07-01'"
        ).fetchone()
    assert persons == sum(int(row["jumlah_anggota_keluarga"]) for row in samples.good_rows(FAMILIES)[1:])
    civil = samples.good_rows(DUKCAPIL)[1:]
    assert bases == (len(civil), min(int(row["u0"]) for row in civil))


def test_the_held_file_changes_nothing(battered, poverty):
    """Floors stay as the quarter's good file has them."""
    assert poverty("deprived_floor") == 0
    with duckdb.connect(str(battered[0].build_file), read_only=True) as con:
        rows = con.execute(
            "select distinct year(period_start), source_system from marts.published_by_area_period where indicator in"
            " ('poor_persons_thousand', 'p0') order by 1"
        ).fetchall()
        statuses = con.execute(
            "select count(*) from conformed.fct_registry_member"
            " where period_start = '2026-07-01' and work_status_code = '8' and ranking = 'dtsen'"
        ).fetchone()
    assert rows == [(2024, "bps"), (2025, "portal")]
    assert statuses == (3,)
