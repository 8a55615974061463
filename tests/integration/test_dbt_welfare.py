"""The welfare marts on a real dbt run over a few invented families, workers and cards whose answers are known."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.support import build_files
from tests.support.build_files import Given
from warehouse.core.settings import Settings
from warehouse.intake import gate

NEGLASARI, BENDA = "36.71.10.1001", "36.71.04.1001"
FAMILIES, INDIVIDUALS = "bps/social_registry_families", "bps/social_registry_individuals"
ASSISTANCE, PARTICIPANTS = "kemensos/assistance", "bpjstk/participants"
MARTS = ("poverty_by_area_period", "assistance_by_area_period", "coverage_by_area_month")
# A dwelling that lacks nothing; a family is told apart by what differs from it.
SOUND = {
    "ranking": "dtsen", "status_dtsen": "DTSEN AKTIF", "id_status_keberadaan_keluarga": "1",
    "jumlah_anggota_keluarga": 2, "luas_lantai_bangunan": 60.0, "aset_bergerak_mobil": 1,
    "id_lantai_terluas": "2", "id_dinding_terluas": "1", "id_atap_terluas": "1", "id_sumber_airminum": "3",
    "id_sumberpenerangan": "1", "id_bb_utama": "4", "id_fasilitas_bab": "1", "id_jenis_kloset": "1",
    "id_pembuangan_tinja": "1",
}  # fmt: skip
# Floor, walls and roof: three of the eight indicators, one over k.
POOR_SHELL = {"id_lantai_terluas": "8", "id_dinding_terluas": "6", "id_atap_terluas": "7"}


def family(key: str, code: str | None, desil: str | None, **columns) -> dict:
    kecamatan = code[:8] if code else None
    place = {"kemendagri_code": code, "kecamatan_kemendagri_code": kecamatan}
    return SOUND | {"record_key": f"family-{key}", "kk_key": key} | place | {"desil": desil} | columns


def member(key: str, card: str, **columns) -> dict:
    """A man of 40 who is out of work unless said otherwise."""
    base = {"nik_key": key, "age_years": 40, "id_jenis_kelamin": "1", "membantu_bekerja": "2"}
    return base | {"record_key": f"member-{key}", "person": key, "kk_key": card} | columns


def working(status: str | None, sector: str | None = "8", **columns) -> dict:
    return {
        "membantu_bekerja": "1",
        "id_status_kedudukan_pekerjaan_utama": status,
        "id_lapangan_usaha_dari_usaha_utama": sector,
    } | columns


def card(number: str, holder: str | None, month: str, segment: str = "BPU", **columns) -> dict:
    base = {"program": "JKK,JKM", "status_aktif": "AKTIF", "tgl_kpj": date(2024, 1, 1), "nik_key": holder}
    return base | {"record_key": f"card-{number}-{month}", "person": holder, "segmen": segment} | columns


def families() -> list[dict]:
    return [
        family("f1", NEGLASARI, "01", **POOR_SHELL, jumlah_anggota_keluarga=3),
        family("f2", NEGLASARI, "04"),
        family("f3", NEGLASARI, "06-10"),
        family("f4", NEGLASARI, None, id_sumber_airminum="2"),
        family("f5", BENDA, "05", id_lantai_terluas=None, id_sumber_airminum="6"),
        family("f6", None, "02", jumlah_anggota_keluarga=1),
        family("gone", NEGLASARI, "01", id_status_keberadaan_keluarga="2"),
        family("struck-off", NEGLASARI, "01", status_dtsen="DTSEN NONAKTIF"),
    ]


def members() -> list[dict]:
    return [
        member("p1", "f1", **working("1", "12")),
        member("p2", "f1", **working("6", "11", age_years=64)),
        member("p3", "f1", age_years=10, id_partisipasi_sekolah="2"),
        member("p4", "f2", **working("4")),
        member("p5", "f2", **working("5", "20")),
        member("p6", "f3", **working("1", "13", age_years=65)),
        member("p7", "f3", age_years=12, id_partisipasi_sekolah=None),
        member("p8", "f4", **working(None)),
        member("p9", "f4", **working("7", "25", nik_key=None)),
        member("p10", "f5", **working("8")),
        member("p11", "f5", **working("2", "12", age_years=15)),
        member("p12", "f6", age_years=7, id_partisipasi_sekolah="3"),
        member("p13", "gone", **working("1", "12")),
        member("p14", "nowhere", **working("1", "12")),
    ]


def october_cards() -> dict[str, list[dict]]:
    return {
        "cikokol": [
            card("1", "p1", "10"),
            card("2", "p4", "10", "PU", program="JKK,JKM,JHT,JP,JKP"),
            card("3", "p4", "10", "BPU", program="JKK", tgl_kpj=date(2026, 1, 1)),
            card("4", "commuter", "10", "PU"),
        ],
        "batuceper": [
            card("5", "p4", "10", "PU", program="JHT", tgl_kpj=date(2025, 1, 1)),
            card("6", "p5", "10", "BPU"),
            card("7", "p13", "10"),
            card("8", "p2", "10", status_aktif="NON AKTIF"),
            card("9", None, "10"),
        ],
    }


def lists() -> list[dict]:
    def listed(key: str, code: str | None, pkh: str, bpnt: str) -> dict:
        place = {"kemendagri_code": code, "kecamatan_kemendagri_code": code and code[:8]}
        return {"record_key": f"list-{key}", "kk_key": key, "pkh": pkh, "bpnt": bpnt, "pbi_jk": "0"} | place

    return [listed("f1", NEGLASARI, "1", "1"), listed("f4", BENDA, "0", "1"), listed("stranger", NEGLASARI, "1", "0")]


def linked(givens: list[Given]) -> list[dict]:
    """Links as the vault would make them; takes ``person`` out of the rows on the way."""
    links = []
    for given in givens:
        for row in given.rows:
            person = row.pop("person", None)
            if person or row.get("kk_key"):
                links.append(
                    {"record_key": row["record_key"], "dataset": given.dataset, "person_key": person,
                     "family_key": row.get("kk_key"), "method": "nik", "weight": 1.0, "model_version": "exact"}
                )  # fmt: skip
    return links


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    """One dbt run over a registry quarter, a month of lists, and cards of October in two years."""
    made = Settings(home=tmp_path_factory.mktemp("welfare"))
    givens = [
        Given(FAMILIES, "2026-Q3", families()),
        Given(INDIVIDUALS, "2026-Q3", members()),
        Given(ASSISTANCE, "2026-10", lists()),
        Given(PARTICIPANTS, "2025-10", [card("1", "p1", "old"), card("8", "p2", "old")], "cikokol"),
        *(Given(PARTICIPANTS, "2026-10", rows, branch) for branch, rows in october_cards().items()),
    ]
    links = linked(givens)
    waiting = [
        {"record_key": row["record_key"], "dataset": PARTICIPANTS, "candidate_person_key": "p9", "method": "splink",
         "weight": 0.6, "model_version": "splink-x"}
        for given in givens if given.dataset == PARTICIPANTS
        for row in given.rows if row["record_key"] not in {link["record_key"] for link in links}
    ]  # fmt: skip
    build_files.make(made, givens, links, waiting)
    wanted = [f"+{mart}_wide" for mart in MARTS] + ["dim_person", "dim_family"]
    build_files.dbt(made, "build", "--exclude-resource-type", "unit_test", "--indirect-selection", "cautious",
                    "--select", *wanted)  # fmt: skip
    return made


@pytest.fixture(scope="module")
def cell(settings) -> Callable[..., dict | None]:
    """Look up one row of a mart by its keys."""

    def find(mart: str, measure: str, code: str = "36.71", **keys: str) -> dict | None:
        given = {"measure": measure, "kemendagri_code": code} | keys
        condition = " and ".join(f"{name} = ?" for name in given)
        with duckdb.connect(str(settings.build_file), read_only=True) as con:
            query = con.execute(f"select * from marts.{mart} where {condition}", list(given.values()))
            found = query.to_arrow_table().to_pylist()
        assert len(found) <= 1, f"{len(found)} rows for {given}"
        return found[0] if found else None

    return find


def numbers(row: dict, *names: str) -> tuple:
    return tuple(round(row[name], 6) if isinstance(row[name], float) else row[name] for name in names)


@pytest.mark.parametrize(
    ("desil", "count"), [("01", 1), ("02", 1), ("04", 1), ("05", 1), ("06-10", 1), ("unknown", 1), ("all", 6)]
)
def test_families_stand_under_their_rank_and_only_in_scope(cell, desil, count):
    assert cell("poverty_by_area_period", "families", desil=desil)["numerator"] == count


def test_ranks_above_five_are_not_made_up(cell):
    assert cell("poverty_by_area_period", "families", desil="07") is None


def test_a_share_of_ranks_leaves_the_unknown_open(cell):
    row = cell("poverty_by_area_period", "families_desil_1_to_4", NEGLASARI)
    shown = numbers(row, "numerator", "denominator", "percentage", "percentage_low", "percentage_high", "unknown_count")
    assert shown == (2, 3, round(200 / 3, 6), 50.0, 75.0, 1)


def test_persons_carry_their_family_rank(cell):
    assert cell("poverty_by_area_period", "persons", desil="all")["numerator"] == 12
    assert cell("poverty_by_area_period", "persons_desil_1")["numerator"] == 3
    assert cell("poverty_by_area_period", "persons_without_family", "36.71.00.0000")["numerator"] == 1


@pytest.mark.parametrize(("reason", "count"), [("", 2), ("_moved", 1), ("_inactive", 1)])
def test_excluded_families_are_counted_by_reason(cell, reason, count):
    assert cell("poverty_by_area_period", f"families_excluded{reason}", NEGLASARI)["numerator"] == count


def test_unplaced_families_keep_the_sum_whole(cell):
    assert cell("poverty_by_area_period", "families", "36.71.00.0000", desil="all")["numerator"] == 1
    assert cell("poverty_by_area_period", "families", "36.71.00", desil="all")["numerator"] == 1


def test_bottled_water_is_neither_deprived_nor_not(cell):
    row = cell("poverty_by_area_period", "deprived_water")
    assert numbers(row, "numerator", "denominator", "numerator_high", "unknown_count") == (1, 5, 2, 1)


def test_alkire_foster_by_hand(cell):
    """Three persons lack three of eight (score 0.375); two have no answer on floors; seven lack nothing."""
    h = cell("poverty_by_area_period", "living_standards_h")
    assert numbers(h, "numerator", "denominator", "percentage_low", "percentage_high", "unknown_count") == (
        3, 10, 25.0, round(500 / 12, 6), 2,
    )  # fmt: skip
    assert cell("poverty_by_area_period", "living_standards_m0")["statistic"] == pytest.approx(0.1125)
    assert cell("poverty_by_area_period", "m0_share_water") is None


def test_an_index_of_fewer_than_ten_persons_is_not_told(cell):
    """A and the shares are means over three persons; nine of the ten that M0 stands on live in one kelurahan."""
    shares = [f"m0_share_{indicator}" for indicator in ("floor", "wall", "roof", "fuel")]
    for measure in ("living_standards_a", *shares):
        row = cell("poverty_by_area_period", measure)
        assert numbers(row, "statistic", "denominator", "unknown_count") == (None, 3, 2)
    there = cell("poverty_by_area_period", "living_standards_m0", NEGLASARI)
    assert numbers(there, "statistic", "denominator") == (None, 9)


def test_school_attendance_counts_seven_to_eighteen(cell):
    row = cell("poverty_by_area_period", "school_attendance_7_18")
    assert numbers(row, "numerator", "denominator", "numerator_high", "unknown_count") == (1, 2, 3, 2)


@pytest.mark.parametrize(("programme", "receiving", "high"), [("pkh", 1, 2), ("bpnt", 2, 2), ("any", 2, 3)])
def test_families_with_and_without_assistance(cell, programme, receiving, high):
    keys = {"desil": "all", "programme": programme}
    yes = cell("assistance_by_area_period", "families_receiving", NEGLASARI, **keys)
    no = cell("assistance_by_area_period", "families_not_receiving", NEGLASARI, **keys)
    assert numbers(yes, "numerator", "denominator", "numerator_high") == (receiving, 4, high)
    assert no["numerator"] == 4 - receiving


def test_a_listed_family_outside_the_registry_is_counted_apart(cell):
    row = cell("assistance_by_area_period", "families_receiving_not_in_scope", NEGLASARI, programme="pkh")
    assert row["numerator"] == 1


def coverage(cell, measure: str, code: str = "36.71", **keys: str) -> dict | None:
    base = {"period_start": "2026-10-01", "area_basis": "residence", "segment": "all", "programme": "any"}
    return cell("coverage_by_area_month", measure, code, **base | {"worker_group": "all"} | keys)


@pytest.mark.parametrize(
    ("segment", "low", "high"),
    [("all", 5, 6), ("PU", 1, 2), ("BPU", 4, 4)],
)
def test_workers_have_a_base_without_and_with_status_five(cell, segment, low, high):
    """15 and 64 count, 65 does not; family help, unknown status and out of scope stand apart."""
    row = coverage(cell, "workers", segment=segment)
    assert numbers(row, "numerator", "numerator_low", "numerator_high", "unknown_count") == (low, low, high, 1)


@pytest.mark.parametrize(
    ("measure", "count"),
    [
        ("unpaid_family_workers", 1),
        ("workers_public_sector", 1),
        ("workers_unknown_status", 1),
        ("workers_unknown_age", 0),
    ],
)
def test_who_the_base_leaves_out_is_counted(cell, measure, count):
    assert coverage(cell, measure)["numerator"] == count


@pytest.mark.parametrize(
    ("basis", "segment", "people", "cards"),
    [
        ("residence", "all", 6, 8), ("residence", "PU", 2, 3), ("residence", "BPU", 5, 5),
        ("branch", "all", 6, 8), ("branch", "PU", 2, 3), ("branch", "BPU", 5, 5),
    ],
)  # fmt: skip
def test_people_and_cards_are_counted_apart(cell, basis, segment, people, cards):
    assert coverage(cell, "participants_active", area_basis=basis, segment=segment)["numerator"] == people
    assert coverage(cell, "participations_active", area_basis=basis, segment=segment)["numerator"] == cards


def test_branches_hold_their_cards_and_nobody_twice(cell):
    people = [
        coverage(cell, "participants_active", f"{kecamatan}.0000", area_basis="branch")["numerator"]
        for kecamatan in ("36.71.01", "36.71.03")
    ]
    assert people == [3, 3]


def test_people_the_registry_does_not_place_stand_unplaced(cell):
    assert coverage(cell, "participants_active", NEGLASARI)["numerator"] == 3
    assert coverage(cell, "participants_active", "36.71.00.0000")["numerator"] == 3


def test_coverage_is_of_linked_residents(cell):
    """Two of five workers are covered; one more could be: p9, whom a card that waits for a decision may belong to."""
    row = coverage(cell, "covered_of_workers")
    assert numbers(row, "numerator", "denominator", "percentage") == (2, 5, 40.0)
    assert numbers(row, "percentage_low", "percentage_high") == (40.0, round(400 / 6, 6))
    assert coverage(cell, "uncovered_workers", segment="BPU", worker_group="casual")["numerator"] == 1
    assert coverage(cell, "covered_of_workers", programme="JHT")["numerator"] == 1


def test_pbpu_coverage_asks_for_both_programmes_of_bpu(cell):
    """p1 and p5 hold BPU with both, p4 BPU with one: over four own-account and casual workers."""
    row = coverage(cell, "pbpu_coverage_06_02_021", segment="BPU", programme="JKK+JKM")
    assert numbers(row, "numerator", "denominator", "percentage", "numerator_high") == (2, 4, 50.0, 3)


def test_lapsed_a_year_ago_and_not_now(cell):
    assert coverage(cell, "participants_lapsed", NEGLASARI)["numerator"] == 1
    assert coverage(cell, "participants_lapsed", period_start="2025-10-01") is None


def test_every_column_reaches_the_file_with_its_description(settings):
    with duckdb.connect(str(settings.build_file), read_only=True) as con:
        bare = con.execute(
            f"""
            select table_name, column_name from duckdb_columns()
            where schema_name = 'marts' and table_name in {MARTS} and comment is null
            """
        ).fetchall()
    assert bare == []


def test_wide_views_hold_the_same_cells(settings):
    with duckdb.connect(str(settings.build_file), read_only=True) as con:
        (count,) = con.execute(
            "select families from marts.poverty_by_area_period_wide where area_level = 'kota' and desil = 'all'"
        ).fetchone()
    assert count == 6


@pytest.fixture(scope="module")
def judged(settings) -> dict[str, str]:
    outcomes = [gate.judge_mart(settings, settings.build_file, mart) for mart in MARTS]
    return {outcome.rule_code: outcome.outcome for rules in outcomes for outcome in rules}


def test_sound_marts_pass_every_stop_rule(settings, judged):
    stops = {
        rule.code
        for mart in MARTS
        for rule in gate.mart_rules(settings.mart_rules_dir / f"{mart}.yaml")
        if rule.severity == "stop"
    }
    assert {code: judged[code] for code in stops} == dict.fromkeys(stops, "pass")


LATER = (
    "insert into {{t}} by name select * replace (period_start + interval {months} month as period_start,"
    " {column} as {name}) from {{t}}"
)
# What would break each rule; each is tried alone on a copy.
FAULTS = {
    "POVERTY-001": "update {t} set desil = '11' where desil = '01'",
    "POVERTY-002": "update {t} set ranking = 'dtks'",
    "POVERTY-003": "update {t} set numerator = numerator + 1 where measure = 'families' and desil = '01'",
    "POVERTY-006": "update {t} set numerator = -1, numerator_low = -1 where measure = 'families_excluded'",
    "POVERTY-007": "update {t} set percentage_low = percentage + 1 where measure = 'deprived_water'",
    "POVERTY-008": "update {t} set unknown_count = 5 where measure = 'families'",
    "POVERTY-009": LATER.format(months=3, column="2 * numerator", name="numerator"),
    "POVERTY-010": "select 1",
    "POVERTY-011": "select 1",
    "ASSISTANCE-001": "update {t} set programme = 'blt'",
    "ASSISTANCE-002": "update {t} set numerator = numerator + 1 where measure = 'families_not_receiving'",
    "ASSISTANCE-003": "update {t} set denominator = denominator + 1 where desil = '01'",
    "ASSISTANCE-004": "update {t} set numerator = 9 where programme = 'pkh' and measure = 'families_receiving'",
    "ASSISTANCE-005": "update {t} set numerator_low = numerator + 1 where measure = 'families_receiving'",
    "ASSISTANCE-006": "select 1",
    "ASSISTANCE-007": LATER.format(months=1, column="2 * numerator", name="numerator"),
    "COVERAGE-001": "update {t} set segment = 'XX' where segment = 'PU'",
    "COVERAGE-002": "update {t} set programme = 'JKX' where programme = 'JKK'",
    "COVERAGE-003": "update {t} set denominator = 10 where area_basis = 'branch'",
    "COVERAGE-004": "update {t} set numerator = numerator + 1 where measure = 'uncovered_workers'",
    "COVERAGE-005": "update {t} set numerator = numerator + 1 where measure = 'participations_active'",
    "COVERAGE-006": "update {t} set numerator = numerator + 1 where area_basis = 'branch'",
    "COVERAGE-007": "update {t} set numerator = 99 where measure = 'participants_active' and area_basis = 'residence'",
    "COVERAGE-008": "update {t} set numerator = -1 where measure = 'workers'",
    "COVERAGE-009": "update {t} set percentage_high = percentage - 1 where measure = 'covered_of_workers'",
    "COVERAGE-010": "update {t} set is_above_100 = true where measure = 'pbpu_coverage_06_02_021'",
    "COVERAGE-011": "update {t} set denominator = 100;"
    + LATER.format(months=1, column="percentage + 11", name="percentage"),
    "COVERAGE-012": "update {t} set numerator = 99 where measure = 'participants_lapsed'",
    "COVERAGE-013": "update {t} set area_basis = 'not_stated' where measure = 'covered_of_workers'",
    "COVERAGE-014": "update {t} set denominator = 100, percentage = percentage + 4 where worker_group = 'all'",
    "COVERAGE-016": "delete from {t} where measure = 'workers' and area_level = 'kelurahan'",
    "COVERAGE-017": "update {t} set numerator = numerator + 51 where measure = 'workers'",
    "POVERTY-016": "delete from {t} where measure = 'persons'",
    "POVERTY-017": "update {t} set numerator = numerator + 51 where measure = 'families'",
    "ASSISTANCE-009": "delete from {t} where measure = 'families_not_receiving'",
    "ASSISTANCE-010": "update {t} set numerator = numerator + 51",
    "COVERAGE-015": "delete from {t} where period_start = (select max(period_start) from {t})",
}  # fmt: skip


# They need more families than these few: tests/integration/test_dbt_poverty.py trips them.
TRIPPED_ELSEWHERE = {
    "POVERTY-004", "POVERTY-005", "POVERTY-012", "POVERTY-013", "POVERTY-014", "POVERTY-015", "ASSISTANCE-008",
}  # fmt: skip


@pytest.mark.parametrize("mart", MARTS)
def test_each_rule_is_tripped_by_what_it_is_for(settings, tmp_path: Path, mart):
    """One copy per fault, all in one file; a rule that a fault cannot trip is asleep or inverted."""
    rules = {rule.code for rule in gate.mart_rules(settings.mart_rules_dir / f"{mart}.yaml")} - TRIPPED_ELSEWHERE
    assert rules <= set(FAULTS)
    released = build_files.released(settings, mart, tmp_path)
    asleep = []
    for code in sorted(rules):
        file = tmp_path / f"{code}.duckdb"
        with duckdb.connect(str(file)) as con:
            con.execute(f"attach '{settings.build_file}' as build (read_only)")
            con.execute(f"create schema marts; create table marts.{mart} as from build.marts.{mart}")
            con.execute(FAULTS[code].format(t=f"marts.{mart}"))
        found = gate.judge_mart(settings, file, mart, last_release=released)
        outcomes = {outcome.rule_code: outcome.outcome for outcome in found}
        if outcomes[code] != "fail":
            asleep.append((code, outcomes[code]))
    assert asleep == []
