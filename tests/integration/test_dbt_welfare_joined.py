"""The joined marts on a real dbt run: three families whose rank, child and breadwinner are known; and their rules."""

import json
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.support import build_files
from tests.support.build_files import Given
from warehouse.core.settings import Settings
from warehouse.intake import gate

HOME = "36.71.10.1001"
PLACE = {"kemendagri_code": HOME, "kecamatan_kemendagri_code": "36.71.10"}
MARTS = ("convergence_by_area_period", "data_reuse_by_dataset_pair", "rb_tematik_scorecard", "outreach_by_area_month")


def family(key: str, desil: str | None) -> dict:
    return PLACE | {
        "record_key": f"family-{key}",
        "kk_key": key,
        "ranking": "dtsen",
        "desil": desil,
        "status_dtsen": "DTSEN AKTIF",
        "jumlah_anggota_keluarga": 2,
    }


def head(key: str) -> dict:
    return {
        "record_key": f"member-{key}",
        "nik_key": f"head-{key}",
        "kk_key": key,
        "age_years": 35,
        "membantu_bekerja": "1",
        "id_hub_kepala_keluarga": "1",
        "id_status_kedudukan_pekerjaan_utama": "1",
        "id_jenis_kelamin": "1",
    }


def toddler(key: str) -> dict:
    return {
        "record_key": f"child-{key}",
        "nik_key": f"child-{key}",
        "kk_key": key,
        "age_years": 2,
        "id_jenis_kelamin": "2",
        "id_hub_kepala_keluarga": "3",
    }


def measured(key: str, height: float | None) -> dict:
    """A girl of 800 days; 76 cm is far below, 86 cm near the median."""
    return PLACE | {
        "record_key": f"measured-{key}",
        "nik_key": f"child-{key}",
        "jk": "P",
        "puskesmas": "Cikokol",
        "posyandu": "Melati",
        "lives_elsewhere": False,
        "age_days": 800,
        "measured_month": date(2026, 8, 1),
        "berat": 11.8,
        "tinggi": height,
        "cara_ukur": "Berdiri",
    }


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    """``low`` has a stunted child and an uncovered head, ``open`` an unmeasured child, ``none`` neither."""
    made = Settings(home=tmp_path_factory.mktemp("joined"))
    card = {
        "record_key": "card",
        "nik_key": "head-open",
        "segmen": "BPU",
        "program": "JKK,JKM",
        "status_aktif": "AKTIF",
    }
    listed = PLACE | {"record_key": "listed", "kk_key": "low", "pkh": "1", "bpnt": "0", "pbi_jk": "0"}
    session = {
        "record_key": "session",
        "kemendagri_code": HOME,
        "tanggal": date(2026, 8, 5),
        "session_number": 1,
        "segmen": "BPU",
        "jenis_pekerja": "ojek",
        "jumlah_hadir": 60,
        "jumlah_mendaftar": 55,
    }
    givens = [
        Given(
            "bps/social_registry_families", "2026-Q3", [family("low", "01"), family("open", "04"), family("none", None)]
        ),
        Given(
            "bps/social_registry_individuals",
            "2026-Q3",
            [head("low"), toddler("low"), head("open"), toddler("open"), head("none")],
        ),
        Given("kemenkes/eppgbm", "2026-08", [measured("low", 76.0), measured("open", None)], "cikokol"),
        *(
            Given("bpjstk/participants", f"2026-{month:02d}", [card | {"record_key": f"card-{month}"}], "cikokol")
            for month in range(7, 11)
        ),
        Given("kemensos/assistance", "2026-08", [listed]),
        Given("polri/outreach", "2026-08", [session], "neglasari"),
        Given(
            "published/official_figures",
            "2025",
            [
                {
                    "indikator": "stunting",
                    "nama_wilayah": "Kota Tangerang",
                    "bps_code": "3671",
                    "periode": "2024",
                    "nilai": 11.2,
                    "satuan": "percent",
                    "sistem_sumber": "ssgi",
                    "judul_sumber": "SSGI 2024",
                },
                {
                    "indikator": "jkn_participants",
                    "nama_wilayah": "Kota Tangerang",
                    "bps_code": "3671",
                    "periode": "2025-12-01",
                    "nilai": 1010.0,
                    "satuan": "persons",
                    "sistem_sumber": "bpjs_kesehatan",
                    "judul_sumber": "UHC",
                },
            ],
        ),
        Given("dukcapil/population", "2025-H1", [{"kemendagri_code": HOME, "jumlah_penduduk": 1000}]),
    ]
    links = [
        {
            "record_key": row["record_key"],
            "dataset": given.dataset,
            "person_key": row.get("nik_key"),
            "family_key": row.get("kk_key"),
            "method": "nik",
            "weight": 1.0,
            "model_version": "exact",
        }
        for given in givens
        for row in given.rows
        if "nik_key" in row or "kk_key" in row
    ]
    build_files.make(made, givens, links)
    build_files.dbt(
        made,
        "build",
        "--exclude-resource-type",
        "unit_test",
        "--indirect-selection",
        "cautious",
        "--select",
        *(f"+{mart}" for mart in (*MARTS, "poverty_by_area_period")),
    )
    return made


@pytest.fixture(scope="module")
def query(settings):
    def rows(sql: str, *parameters) -> list[tuple]:
        with duckdb.connect(str(settings.build_file), read_only=True) as con:
            return con.execute(sql, list(parameters)).fetchall()

    return rows


@pytest.mark.parametrize(
    ("threshold", "low_desil", "stunted_child", "uncovered", "shown"),
    [
        ("01", "yes", "yes", "yes", (1, 3, 1, 1)),
        ("04", "yes", "yes", "all", (1, 3, 1, 2)),
        ("04", "yes", "all", "all", (2, 3, 2, 3)),
        ("01", "unknown", "all", "all", (1, 3, None, None)),
        ("01", "all", "unknown", "all", (1, 3, None, None)),
        ("01", "all", "not_applicable", "yes", (1, 3, None, None)),
        ("01", "all", "all", "no", (1, 3, None, None)),
    ],
)
def test_families_by_three_things_at_once(query, threshold, low_desil, stunted_child, uncovered, shown):
    found = query(
        "select numerator, denominator, numerator_low, numerator_high from marts.convergence_by_area_period"
        " where period_kind = 'quarter' and period_start = '2026-07-01' and kemendagri_code = ?"
        " and desil_threshold = ? and low_desil = ? and stunted_child = ? and uncovered_breadwinner = ?",
        HOME,
        threshold,
        low_desil,
        stunted_child,
        uncovered,
    )
    assert found == [shown]


def test_kelurahan_have_quarters_only_and_each_input_its_date(query):
    assert query(
        "select count(*) from marts.convergence_by_area_period where period_kind = 'month' and area_level = 'kelurahan'"
    ) == [(0,)]
    dates = query(
        "select distinct as_of_poverty, as_of_stunting, as_of_coverage from marts.convergence_by_area_period"
        " where period_kind = 'month' and period_start = '2026-08-01'"
    )
    assert dates == [(date(2026, 9, 30), date(2026, 8, 31), date(2026, 8, 31))]


@pytest.fixture
def again(settings, tmp_path):
    """A model's own SQL on a copy of the build, after statements have changed what it reads; ``through``: tables
    between the two, made again in that order."""
    copied = tmp_path / "warehouse.duckdb"
    copied.write_bytes(settings.build_file.read_bytes())

    def compiled(model: str) -> str:
        (file,) = (settings.home / "dbt" / "target" / "compiled").rglob(f"{model}.sql")
        return file.read_text(encoding="utf-8")

    def rows(model: str, statements: str, sql: str, through: tuple[str, ...] = ()) -> list[tuple]:
        with duckdb.connect(str(copied)) as con:
            con.execute(statements)
            for table in through:
                con.execute(f"create or replace table {table} as {compiled(table.split('.')[1])}")
            return con.execute(sql.format(model=f"({compiled(model)})")).fetchall()

    return rows


def test_a_card_that_names_nobody_may_be_one_more_match(again):
    """Five people in the registry, one of them with a card, and a second card whose holder nothing names."""
    found = again(
        "data_reuse_by_dataset_pair",
        "insert into conformed.fct_participation by name"
        " select * replace ('nobody' as record_key, 'nobody' as person_key, false as is_linked, null as link_band)"
        " from conformed.fct_participation where period_start = '2026-08-01'",
        "select records_left, records_right, matched_low, matched, matched_high from {model}"
        " where period_start = '2026-08-01' and left_dataset = 'bpjstk/participants'"
        " and right_dataset = 'bps/social_registry_individuals'",
        through=("conformed.dataset_pair", "cells.cells_dataset_records", "cells.cells_data_reuse"),
    )
    assert found == [(2, 5, 1, 1, 2)]


# Families with all three for certain, families in which a question is open, and all others; of ten in each kelurahan.
RANKED = {"36.71.10.1001": (4, 0), "36.71.10.1002": (2, 3), "36.71.10.1003": (1, 1), "36.71.10.1004": (0, 0)}


def test_areas_are_ranked_by_share_and_bounded_by_what_is_open(again):
    """1002 may be the worst (five) and is second for certain (two at least, 1003 two at most: they may tie)."""
    families = []
    for code, (surely, maybe) in RANKED.items():
        children = ["yes"] * surely + ["unknown"] * maybe + ["no"] * (10 - surely - maybe)
        families += [f"('{code}', '{code}-{number}', '{child}')" for number, child in enumerate(children)]
    found = again(
        "convergence_by_area_period",
        f"""
        create temp table template as from conformed.family_situation
        where period_kind = 'quarter' and period_start = '2026-07-01' limit 1;
        delete from conformed.family_situation;
        insert into conformed.family_situation by name
        select template.* replace (area.code as kemendagri_code, area.family as family_key, '01' as desil,
            area.child as stunted_child, 'yes' as uncovered_breadwinner)
        from template, (values {", ".join(families)}) as area (code, family, child)
        """,
        "select kemendagri_code, area_rank, area_rank_low, area_rank_high from {model} where area_level = 'kelurahan'"
        " and desil_threshold = '01' and low_desil = 'yes' and stunted_child = 'yes' and uncovered_breadwinner = 'yes'"
        " order by kemendagri_code",
        through=("cells.cells_convergence",),
    )
    assert found == [
        ("36.71.10.1001", 1, 1, 2),
        ("36.71.10.1002", 2, 1, 2),
        ("36.71.10.1003", 3, 2, 3),
        ("36.71.10.1004", 4, 4, 4),
    ]


def test_two_datasets_that_know_the_same_people(query):
    found = query(
        "select matched, records_left, records_right, answers_reused / nullif(matched, 0), saved_idr_low"
        " from marts.data_reuse_by_dataset_pair where period_start = '2026-08-01'"
        " and left_dataset = 'bps/social_registry_individuals' and right_dataset = 'kemenkes/eppgbm'"
    )
    assert found == [(2, 5, 2, 4, None)]


@pytest.mark.parametrize(
    ("source", "valid_from", "saved"),
    [
        ("Renja Disdukcapil 2026", "2026-01-01", (16_000.0, 16_000.0)),
        ("Renja Disdukcapil 2026", "2026-09-01", (None, None)),
        (" ", "2026-01-01", (None, None)),
        (None, "2026-01-01", (None, None)),
    ],
)
def test_a_saving_is_stated_from_the_day_a_unit_cost_has_a_source(again, source, valid_from, saved):
    """Two children in both files, four questions each: eight answers at two thousand rupiah."""
    quoted = "null" if source is None else f"'{source}'"
    found = again(
        "data_reuse_by_dataset_pair",
        f"insert into reference.data_collection_costs values (2000, {quoted}, '{valid_from}')",
        "select saved_idr_low, saved_idr_high from {model} where period_start = '2026-08-01'"
        " and left_dataset = 'bps/social_registry_individuals' and right_dataset = 'kemenkes/eppgbm'",
    )
    assert found == [saved]


def test_the_scorecard_says_what_it_has_and_what_it_lacks(query):
    found = dict(
        query("select indicator, status from marts.rb_tematik_scorecard where indicator in ('stunting_survey', 'p0')")
    )
    assert found == {"stunting_survey": "draft", "p0": "no_data"}
    (row,) = query(
        "select value, target, target_source from marts.rb_tematik_scorecard where indicator = 'stunting_survey'"
    )
    assert row[:2] == (11.2, 9.06)
    assert row[2]


def test_a_target_stands_beside_the_year_it_was_set_for_only(again):
    found = again(
        "rb_tematik_scorecard",
        "insert into marts.published_by_area_period by name select * replace (date '2023-01-01' as period_start)"
        " from marts.published_by_area_period where indicator = 'stunting'",
        "select year(period_start), target, target_source is null from {model} where indicator = 'stunting_survey'"
        " order by 1",
    )
    assert found == [(2023, None, True), (2024, 9.06, False)]


def test_the_scorecard_has_the_articles_five_themes_and_marks_the_reference_draft(query):
    """Of the reference's indicators one has verified wording; systems reused are one line."""
    themes = query("select distinct theme from marts.rb_tematik_scorecard order by theme")
    assert [theme for (theme,) in themes] == [
        "Digitalisasi administrasi pemerintahan",
        "Pengendalian inflasi",
        "Pengentasan kemiskinan",
        "Peningkatan investasi",
        "Peningkatan penggunaan produk dalam negeri",
    ]
    verified = query("select indicator from reference.rb_tematik_indicators where basis <> 'draft'")
    assert verified == [("pbpu_coverage_06_02_021",)]
    reused = query(
        "select value from marts.rb_tematik_scorecard"
        " where indicator = 'systems_reused' and period_start = '2026-08-01'"
    )
    # The registry with cards and with children, its families with assistance; no cardholder is a measured child.
    assert reused == [(3.0,)]


def test_jkn_stands_over_the_civil_registry_of_its_date_and_may_exceed_all_of_it(query):
    found = query(
        "select period_start, numerator, denominator, percentage from marts.coverage_by_area_month where scheme = 'jkn'"
    )
    assert found == [(date(2025, 12, 1), 1010, 1000, 101.0)]


@pytest.mark.parametrize(
    ("bases", "population"),
    [
        # (kind, start, population) beside the 1,000 of the first half of 2025; the participants are of December 2025.
        ("('year', date '2025-01-01', 2000), ('half_year', date '2025-07-01', 3000)", 3000),
        ("('year', date '2025-01-01', 2000)", 2000),
        ("('year', date '2026-01-01', 2000), ('half_year', date '2026-01-01', 3000)", 1000),
        ("('year', date '2024-01-01', 2000), ('half_year', date '2024-07-01', 3000)", 1000),
    ],
)
def test_jkn_takes_the_base_of_its_half_year_else_the_last_before_it(again, bases, population):
    found = again(
        "coverage_by_area_month",
        "insert into marts.denominators_by_area_period by name"
        " select base.* replace (other.kind as period_kind, other.start as period_start, other.people as population)"
        " from marts.denominators_by_area_period as base,"
        f" (values {bases}) as other (kind, start, people)"
        " where denominator_source = 'dukcapil' and population_group = 'all' and area_level = 'kota'",
        "select denominator from {model} where scheme = 'jkn'",
    )
    assert found == [(population,)]


# What would break each rule; each is tried alone on a copy.
FAULTS = {
    "CONVERGENCE-001": "update {t} set numerator = numerator + 1 where stunted_child = 'unknown'",
    "CONVERGENCE-002": "update {t} set numerator = denominator + 1 where low_desil = 'yes'",
    "CONVERGENCE-003": "update {t} set numerator_high = numerator - 1 where low_desil = 'yes'",
    "CONVERGENCE-004": "update {t} set area_rank_low = area_rank + 1",
    "CONVERGENCE-005": "update {t} set period_kind = 'month'",
    "CONVERGENCE-006": "update {t} set numerator = 99 where stunted_child = 'unknown'",
    "CONVERGENCE-007": "update {t} set as_of_stunting = '2026-12-31'",
    "CONVERGENCE-008": "update {t} set numerator = numerator + 21",
    "CONVERGENCE-009": "delete from {t} where area_level = 'kelurahan'",
    "CONVERGENCE-010": "update {t} set numerator = numerator + 51",
    "REUSE-001": "update {t} set matched_low = matched + 1",
    "REUSE-002": "update {t} set saved_idr_low = 1",
    "REUSE-003": "update {t} set duplicates_left = records_left",
    "REUSE-004": "update {t} set answers_reused = answers_reused + 1",
    "REUSE-005": "update {t} set matched = matched + 101",
    "RBTEMATIK-001": "update {t} set status = 'final'",
    "RBTEMATIK-002": "update {t} set value = null",
    "RBTEMATIK-003": "update {t} set target_source = null",
    "RBTEMATIK-004": "update {t} set is_stale = true",
    "RBTEMATIK-005": "update {t} set as_of = '2026-12-31' where value is not null",
    "RBTEMATIK-006": "delete from {t} where theme = 'Pengendalian inflasi'",
    "RBTEMATIK-007": "update {t} set value = 2 * value",
    "OUTREACH-001": "update {t} set numerator = 1 where not is_window_complete",
    "OUTREACH-002": "update {t} set numerator = case when measure = 'new_bpu_30d' then 9 else 1 end",
    "OUTREACH-003": "update {t} set numerator = -1 where measure = 'sessions'",
    "OUTREACH-004": "update {t} set measure = 'did_new_bpu_90d_per_1000', statistic = 2, ci95_low = 3",
    "OUTREACH-005": "update {t} set kemendagri_code = '36.71.10.0000' where area_level = 'kelurahan'",
    "OUTREACH-006": "update {t} set numerator = 0 where measure = 'new_bpu_90d'",
    "OUTREACH-007": "update {t} set measure = 'did_new_bpu_90d_per_1000', statistic = 1, p_pretrend = 0.05",
    "OUTREACH-008": "update {t} set numerator_high = numerator - 1 where measure = 'sessions'",
    "OUTREACH-009": "update {t} set numerator = numerator + 21",
    "OUTREACH-010": "delete from {t} where measure = 'people_reached' and area_level = 'kecamatan'",
    "OUTREACH-011": "update {t} set numerator = numerator + 51",
    "OUTREACH-012": "update {t} set sector = case when area_level = 'kelurahan' then 'Benda' end",
}


# What this small city truly is: indicators without a figure, a police sheet that claims far more than the feed shows.
WARNED = {"RBTEMATIK-004", "OUTREACH-006"}


@pytest.mark.parametrize("mart", MARTS)
def test_sound_marts_pass_and_each_rule_is_tripped_by_what_it_is_for(settings, tmp_path, mart):
    rules = gate.mart_rules(settings.mart_rules_dir / f"{mart}.yaml")
    assert {rule.code for rule in rules} <= set(FAULTS)
    released = build_files.released(settings, mart, tmp_path)
    found = gate.judge_mart(settings, settings.build_file, mart, last_release=released)
    sound = {outcome.rule_code: outcome.outcome for outcome in found}
    assert {code for code, outcome in sound.items() if outcome != "pass"} <= WARNED
    asleep = []
    for rule in rules:
        file = tmp_path / f"{rule.code}.duckdb"
        with duckdb.connect(str(file)) as con:
            con.execute(f"attach '{settings.build_file}' as build (read_only)")
            con.execute(f"create schema marts; create table marts.{mart} as from build.marts.{mart}")
            con.execute(
                "create schema ledger; create table ledger.deliveries_in_force as from build.ledger.deliveries_in_force"
            )
            con.execute(FAULTS[rule.code].format(t=f"marts.{mart}"))
        found = gate.judge_mart(settings, file, mart, last_release=released)
        outcomes = {outcome.rule_code: outcome.outcome for outcome in found}
        if outcomes[rule.code] != "fail":
            asleep.append((rule.code, outcomes[rule.code]))
    assert asleep == []


# --- a partial input does not rewrite what was known ---------------------------------------------------------------

MONTHS = [f"{year}-{month:02d}" for year in (2025, 2026) for month in range(1, 13)]
QUARTERS = ["2024-Q4", *(f"{year}-Q{quarter}" for year in (2025, 2026) for quarter in range(1, 5))]
PUSKESMAS, BRANCHES = ("neglasari", "kedaung-wetan", "karang-sari"), ("batuceper", "cikokol", "cimone")
STATUS = {
    "as_of", "is_stale", "is_final", "is_reliable", "parts_received", "parts_expected", "as_of_poverty",
    "as_of_stunting", "as_of_coverage", "release_id", "area_rank", "area_rank_low", "area_rank_high",
}  # fmt: skip
# Two years on nothing is awaited any more: what is complete is final.
LOOKED_AT = "2028-06-30"


def two_years() -> list[Given]:
    """Everything that one kecamatan is told by, each month and quarter of it."""

    def card(holder: str, month: str, segment: str = "BPU", **columns) -> dict:
        base = {"program": "JKK,JKM", "status_aktif": "AKTIF", "tgl_kpj": date(2024, 5, 2)}
        return {"record_key": f"{holder}-{segment}-{month}", "nik_key": holder, "segmen": segment} | base | columns

    def cards(branch: str, month: str) -> list[dict]:
        if branch == "batuceper":
            # Away in March 2026, back in April; and a worker who came with the session of February.
            away = {"status_aktif": "NON AKTIF"} if month == "2026-03" else {}
            joined = [card("head-none", month, tgl_kpj=date(2026, 2, 20))] if month >= "2026-02" else []
            return [card("returns", month, **away), *joined]
        if branch == "cikokol":
            return [card("head-open", month)] + ([card("leaves", month, "PU")] if month <= "2026-05" else [])
        return [card("commuter", month, "PU", program="JHT")]

    def children(puskesmas: str, month: str) -> list[dict]:
        day = date.fromisoformat(f"{month}-01")
        keys = {"neglasari": ["low", "open"], "kedaung-wetan": ["none"], "karang-sari": ["unlisted"]}[puskesmas]
        return [
            measured(key, height) | {"record_key": f"{puskesmas}-{key}-{month}", "measured_month": day}
            for key, height in zip(keys, (76.0, 87.0), strict=False)
            if not (key == "open" and month[-2:] in ("03", "04"))
        ]

    session = {"kemendagri_code": HOME, "session_number": 1, "segmen": "BPU", "jenis_pekerja": "ojek"}
    families = [family("low", "01"), family("open", "04"), family("none", None)]
    members = [head("low"), toddler("low"), head("open"), toddler("open"), head("none"), toddler("none")]
    listed = PLACE | {"kk_key": "low", "pkh": "1", "bpnt": "0", "pbi_jk": "0"}
    keyed = [
        (dataset, quarter, [row | {"record_key": f"{row['record_key']}-{quarter}"} for row in rows])
        for quarter in QUARTERS
        for dataset, rows in (("bps/social_registry_families", families), ("bps/social_registry_individuals", members))
    ]
    target = {"puskesmas": "Neglasari", "kemendagri_code": HOME, "sasaran_balita": 5}
    people = {"kemendagri_code": HOME, "jumlah_penduduk": 1000}
    return [
        *(Given(dataset, quarter, rows) for dataset, quarter, rows in keyed),
        *(Given("kemenkes/eppgbm", month, children(part, month), part) for month in MONTHS for part in PUSKESMAS),
        *(Given("bpjstk/participants", month, cards(part, month), part) for month in MONTHS for part in BRANCHES),
        *(Given("kemensos/assistance", month, [listed | {"record_key": f"list-{month}"}]) for month in MONTHS),
        *(
            Given(
                "polri/outreach", month,
                [session | {"record_key": f"session-{month}", "tanggal": date.fromisoformat(f"{month}-05"),
                            "jumlah_hadir": 9, "jumlah_mendaftar": 2}],
                "neglasari",
            )
            for month in MONTHS
        ),
        *(Given("kemenkes/under_five_targets", year, [target]) for year in ("2024", "2025", "2026")),
        *(Given("dukcapil/population", half, [people]) for half in ("2024-H2", "2025-H1", "2025-H2", "2026-H1")),
    ]  # fmt: skip


class Rebuilt:
    """The marts made once more by the compiled SQL of the module's dbt run, over other deliveries."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        nodes = json.loads((settings.home / "dbt" / "target" / "manifest.json").read_text(encoding="utf-8"))["nodes"]
        wanted = [name for name, node in nodes.items() if node["name"] in LONG]
        for name in wanted:
            parents = nodes[name]["depends_on"].get("nodes", [])
            wanted += [parent for parent in parents if parent in nodes and parent not in wanted]
        waiting = {name: nodes[name] for name in wanted if nodes[name]["resource_type"] == "model"}
        self.models: list[tuple[str, str]] = []
        while waiting:
            ready = [name for name, node in waiting.items() if not waiting.keys() & set(node["depends_on"]["nodes"])]
            for name in ready:
                node = waiting.pop(name)
                kind = "view" if node["config"]["materialized"] == "view" else "table"
                sql = node["compiled_code"].replace("2026-11-22", LOOKED_AT)
                self.models.append((f"create {kind} {node['schema']}.{node['alias']} as", sql))
        other = Settings(home=folder / "home")
        givens = two_years()
        links = [
            {"record_key": row["record_key"], "dataset": given.dataset, "person_key": row.get("nik_key"),
             "family_key": row.get("kk_key") or {"child-unlisted": "none"}.get(row.get("nik_key")),
             "method": "nik", "weight": 1.0, "model_version": "exact"}
            for given in givens for row in given.rows if "nik_key" in row or "kk_key" in row
        ]  # fmt: skip
        self.source = build_files.make(other, givens, links)
        with duckdb.connect(str(self.source)) as con:
            con.execute(f"attach '{settings.build_file}' as base (read_only); create schema reference")
            for (name,) in con.execute(
                "select table_name from duckdb_tables() where database_name = 'base' and schema_name = 'reference'"
            ).fetchall():
                con.execute(f"create table reference.{name} as from base.reference.{name}")

    def make(self, file: Path, without: tuple[str, str, str] | None = None) -> None:
        """The marts in a file of their own; ``without`` (dataset, part, first day) one delivery."""
        file.write_bytes(self.source.read_bytes())
        with duckdb.connect(str(file)) as con:
            if without:
                self._take_out(con, *without)
            for schema in ("staging", "conformed", "cells", "marts"):
                con.execute(f"create schema {schema}")
            for create, sql in self.models:
                con.execute(f"{create} {sql}")

    @staticmethod
    def _take_out(con: duckdb.DuckDBPyConnection, dataset: str, part: str, start: str) -> None:
        table = f"lake.{dataset.replace('/', '__')}"
        found = con.execute(
            "delete from ledger.deliveries_in_force where dataset = ? and part = ? and period_start = ?::date"
            " returning delivery_id",
            [dataset, part, start],
        ).fetchall()
        ((delivery,),) = found
        rows = f"dataset = ? and record_key in (select record_key from {table} where delivery_id = ?)"
        con.execute(f"delete from linkage.identity_links where {rows}", [dataset, delivery])
        con.execute(f"delete from {table} where delivery_id = ?", [delivery])


LONG = (
    "poverty_by_area_period", "assistance_by_area_period", "coverage_by_area_month", "stunting_by_area_month",
    "outreach_by_area_month", "convergence_by_area_period",
)  # fmt: skip
# A figure that says that it is complete and will not change; how many people are behind it aside.
STANDS = "is_final and parts_received >= parts_expected and area_level <> 'kelurahan'"


@pytest.fixture(scope="module")
def rebuilt(settings, tmp_path_factory) -> Rebuilt:
    return Rebuilt(settings, tmp_path_factory.mktemp("partial"))


@pytest.fixture(scope="module")
def whole(rebuilt, tmp_path_factory) -> Path:
    """The marts of two whole years."""
    file = tmp_path_factory.mktemp("whole") / "warehouse.duckdb"
    rebuilt.make(file)
    return file


def test_of_two_whole_years_figures_of_each_mart_stand(whole):
    with duckdb.connect(str(whole), read_only=True) as con:
        for mart in LONG:
            assert con.execute(f"select count(*) > 0 from marts.{mart} where {STANDS}").fetchone() == (True,), mart


@pytest.mark.parametrize(
    ("dataset", "part", "start"),
    [
        ("bps/social_registry_families", "all", "2026-04-01"),
        ("bps/social_registry_individuals", "all", "2026-04-01"),
        ("kemensos/assistance", "all", "2026-04-01"),
        ("kemenkes/under_five_targets", "all", "2026-01-01"),
        ("polri/outreach", "neglasari", "2026-02-01"),
        # March: who is away comes back; May: who leaves was last seen.
        ("bpjstk/participants", "batuceper", "2026-03-01"),
        ("bpjstk/participants", "cikokol", "2026-05-01"),
        ("kemenkes/eppgbm", "neglasari", "2026-05-01"),
        ("kemenkes/eppgbm", "karang-sari", "2026-03-01"),
    ],
)
def test_no_figure_stands_that_moved_for_want_of_an_input(rebuilt, whole, tmp_path, dataset, part, start):
    file = tmp_path / "warehouse.duckdb"
    rebuilt.make(file, (dataset, part, start))
    told = {}
    with duckdb.connect(str(file), read_only=True) as con:
        con.execute(f"attach '{whole}' as whole (read_only)")
        for mart in LONG:
            columns = [name for name, *_ in con.execute(f"describe marts.{mart}").fetchall()]
            figures = ", ".join(name for name in columns if name not in STATUS)
            moved = con.execute(
                f"select {figures} from marts.{mart} where {STANDS} except select {figures} from whole.marts.{mart}"
            )
            told[mart] = moved.fetchall()
    assert told == {mart: [] for mart in LONG}
