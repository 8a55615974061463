"""The outreach mart on a real dbt run: windows, who is credited to a session, the permutation test by brute force."""

import itertools
import random
from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pyarrow as pa
import pytest

from tests.support import build_files
from tests.support.build_files import Given
from warehouse.core.settings import Settings

SECTORS = ("36.71.03", "36.71.04", "36.71.10")
HERE, ELSEWHERE = "36.71.10.1001", "36.71.01.1001"
FIRST_SESSION, LATEST_SESSION = date(2026, 3, 10), date(2026, 9, 20)
MONTHS = [f"2025-{month:02d}" for month in range(9, 13)] + [f"2026-{month:02d}" for month in range(1, 11)]
# Who registers for BPU, where, and on which day; "before" stands in the feed from its first month on.
PEOPLE = {
    "before": (HERE, date(2024, 5, 1)),
    "ten-days": (HERE, LATEST_SESSION + timedelta(days=10)),
    "thirty-days": (HERE, LATEST_SESSION + timedelta(days=30)),
    "thirty-one": (HERE, FIRST_SESSION + timedelta(days=31)),
    "ninety-days": (HERE, FIRST_SESSION + timedelta(days=90)),
    "too-late": (HERE, FIRST_SESSION + timedelta(days=91)),
    "elsewhere": (ELSEWHERE, FIRST_SESSION + timedelta(days=5)),
    "no-day": (HERE, None),
}


def registry() -> list[Given]:
    homes = {f"36.71.{kecamatan:02d}.1001": f"36.71.{kecamatan:02d}" for kecamatan in range(1, 14)}
    families = [
        {
            "record_key": f"family-{code}",
            "kk_key": code,
            "kemendagri_code": code,
            "kecamatan_kemendagri_code": kecamatan,
            "ranking": "dtsen",
            "status_dtsen": "DTSEN AKTIF",
            "jumlah_anggota_keluarga": 3,
        }
        for code, kecamatan in homes.items()
    ]
    residents = {f"worker-{home}": home for home in homes} | {who: home for who, (home, _) in PEOPLE.items()}
    members = [
        {
            "record_key": f"member-{who}",
            "nik_key": who,
            "kk_key": home,
            "age_years": 30,
            "membantu_bekerja": "1",
            "id_status_kedudukan_pekerjaan_utama": "1",
        }
        for who, home in residents.items()
    ]
    return [
        Given("bps/social_registry_families", "2025-Q3", families),
        Given("bps/social_registry_individuals", "2025-Q3", members),
    ]


def feed() -> Iterator[Given]:
    for month in MONTHS:
        end = date.fromisoformat(f"{month}-28")
        rows = [
            {
                "record_key": f"{who}-{month}",
                "nik_key": who,
                "segmen": "BPU",
                "program": "JKK,JKM",
                "status_aktif": "AKTIF",
                "tgl_kpj": day,
            }
            for who, (_, day) in PEOPLE.items()
            if (day or date(2026, 5, 1)) <= end
            # Who comes back after a month away is not new.
            and not (who == "before" and month == "2026-02")
        ]
        yield Given("bpjstk/participants", month, rows, "cikokol")


def sheets() -> list[Given]:
    def sheet(kecamatan: str, day: date, kind: str, reached: int, registered: int) -> dict:
        return {
            "record_key": f"sheet-{kecamatan}-{day}-{kind}",
            "tanggal": day,
            "session_number": 1,
            "segmen": "BPU",
            "jenis_pekerja": kind,
            "jumlah_hadir": reached,
            "jumlah_mendaftar": registered,
            "kemendagri_code": f"{kecamatan}.1001",
        }

    march = [sheet(code, FIRST_SESSION, kind, 10, 2) for code in SECTORS for kind in ("ojek", "pedagang")]
    return [
        Given("polri/outreach", "2026-03", march, "neglasari"),
        Given("polri/outreach", "2026-09", [sheet("36.71.10", LATEST_SESSION, "ojek", 7, 1)], "neglasari"),
    ]


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    made = Settings(home=tmp_path_factory.mktemp("outreach"))
    givens = [*registry(), *feed(), *sheets()]
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
        "+outreach_by_area_month_wide",
    )
    return made


@pytest.fixture(scope="module")
def cell(settings):
    con = duckdb.connect(str(settings.build_file), read_only=True)

    def find(measure: str, month: str, code: str = HERE, segment: str = "all") -> dict | None:
        found = (
            con.execute(
                "select * from marts.outreach_by_area_month"
                " where measure = ? and period_start = ?::date and kemendagri_code = ? and segment = ?",
                [measure, f"{month}-01", code, segment],
            )
            .to_arrow_table()
            .to_pylist()
        )
        assert len(found) <= 1
        return found[0] if found else None

    yield find
    con.close()


def test_a_session_counts_once_however_many_kinds_it_reached(cell):
    assert cell("sessions", "2026-03")["numerator"] == 1
    assert cell("sessions", "2026-03", segment="ojek")["numerator"] == 1
    assert cell("people_reached", "2026-03")["numerator"] == 20
    assert cell("registrations_reported", "2026-03")["numerator"] == 4


@pytest.mark.parametrize(
    ("measure", "month", "count"),
    [("new_bpu_30d", "2026-03", 0), ("new_bpu_90d", "2026-03", 2), ("new_bpu_30d", "2026-09", 2)],
)
def test_a_session_is_credited_with_who_registered_in_its_window(cell, measure, month, count):
    row = cell(measure, month)
    assert row["is_window_complete"]
    assert row["numerator"] == count


@pytest.mark.parametrize(
    ("measure", "month"), [("new_bpu_90d", "2026-09"), ("retained_6m", "2026-03"), ("new_pu_90d", "2026-09")]
)
def test_a_window_that_has_not_passed_shows_no_number(cell, measure, month):
    row = cell(measure, month)
    assert (row["numerator"], row["percentage"], row["is_window_complete"], row["is_final"]) == (
        None,
        None,
        False,
        False,
    )


def test_who_registered_on_a_day_nobody_sent_is_unknown_to_a_window(cell):
    """ "no-day" is first seen in May: two months after the session of March, too late for its 30 days."""
    month, quarter = cell("new_bpu_30d", "2026-03"), cell("new_bpu_90d", "2026-03")
    assert (month["unknown_count"], month["numerator_low"], month["numerator_high"]) == (0, 0, 0)
    assert (quarter["unknown_count"], quarter["numerator_low"], quarter["numerator_high"]) == (1, 2, 3)


@pytest.fixture
def answered(settings, tmp_path):
    """The mart once more, by its own SQL and its cells', after statements have changed what they read: ``answered``."""
    copied = tmp_path / "warehouse.duckdb"
    copied.write_bytes(settings.build_file.read_bytes())
    compiled = settings.home / "dbt" / "target" / "compiled"

    def sql_of(model: str) -> str:
        (file,) = compiled.rglob(f"{model}.sql")
        return file.read_text(encoding="utf-8")

    with duckdb.connect(str(copied)) as con:

        def after(statements: str) -> duckdb.DuckDBPyConnection:
            con.execute(statements)
            for cells in ("cells_outreach", "cells_new_participants", "cells_outreach_followed"):
                con.execute(f"create or replace table cells.{cells} as {sql_of(cells)}")
            con.execute(f"create temp table answered as {sql_of('outreach_by_area_month')}")
            return con

        yield after


@pytest.mark.parametrize(
    ("first_seen", "within_30", "within_90"),
    [("2026-03-01", 1, 1), ("2026-04-01", 0, 1), ("2026-05-01", 0, 1), ("2026-06-01", 0, 0)],
)
def test_a_window_ends_in_the_month_in_which_its_last_session_does(answered, first_seen, within_30, within_90):
    """30 days after 31 January is 2 March, 90 days 1 May: whoever is first seen then may have registered within."""
    con = answered(
        f"""
        insert into conformed.fct_outreach_session by name
        select * replace (
            date '2026-01-31' as held_on, date '2026-01-01' as held_month, '{ELSEWHERE}' as kemendagri_code
        )
        from conformed.fct_outreach_session limit 1;
        insert into conformed.first_participation by name
        select 'late' as person_key, 'BPU' as segment, date '{first_seen}' as registered_month,
            '{ELSEWHERE}' as kemendagri_code
        """
    )
    unknown = con.execute(
        "select measure, unknown_count from answered where kemendagri_code = ? and period_start = '2026-01-01'"
        " and measure in ('new_bpu_30d', 'new_bpu_90d')",
        [ELSEWHERE],
    ).fetchall()
    assert dict(unknown) == {"new_bpu_30d": within_30, "new_bpu_90d": within_90}


def test_two_polsek_that_number_their_sessions_alike_held_two(answered):
    con = answered(
        """
        insert into conformed.fct_outreach_session by name
        select session.* replace ('36.71.00.0000' as kemendagri_code, sender.name as polsek)
        from conformed.fct_outreach_session as session, (values ('benda'), ('pinang')) as sender (name)
        where kemendagri_code = '36.71.10.1001' and held_on = '2026-03-10'
        """
    )
    assert con.execute(
        "select numerator from answered where kemendagri_code = '36.71.00.0000' and period_start = '2026-03-01'"
        " and measure = 'sessions' and segment = 'all'"
    ).fetchall() == [(2,)]


def test_a_feed_without_registration_days_answers_no_window(answered):
    con = answered("update conformed.first_participation set registered_on = null")
    shown = con.execute(
        "select measure, count(numerator) + count(statistic) + count(p_permutation) + count(pretrend_gap)"
        " from answered where measure in"
        " ('new_bpu_30d', 'new_bpu_90d', 'new_pu_90d', 'retained_6m', 'did_new_bpu_90d_per_1000') group by measure"
    ).fetchall()
    (still_counted,) = con.execute("select count(numerator) from answered where measure = 'new_bpu'").fetchone()
    assert dict(shown) == dict.fromkeys(
        ["new_bpu_30d", "new_bpu_90d", "new_pu_90d", "retained_6m", "did_new_bpu_90d_per_1000"], 0
    )
    assert still_counted


def test_new_is_the_first_ever_and_coming_back_is_apart(cell):
    assert cell("new_bpu", "2026-05")["numerator"] == 1
    assert cell("new_bpu", "2025-09") is None
    assert cell("reactivated_bpu", "2026-03")["numerator"] == 1
    assert cell("new_bpu", "2026-03", ELSEWHERE)["numerator"] == 1


def test_the_three_sectors_come_out_of_the_sheets(settings):
    with duckdb.connect(str(settings.build_file), read_only=True) as con:
        found = con.execute(
            "select distinct sector from marts.outreach_by_area_month where sector is not null"
        ).fetchall()
    assert {name for (name,) in found} == {"Batuceper", "Benda", "Neglasari"}


def test_the_difference_stands_with_its_chance(cell):
    row = cell("did_new_bpu_90d_per_1000", "2026-03", "36.71")
    assert row["is_window_complete"]
    assert row["n_treated"] + row["n_control"] == 104
    assert row["ci95_low"] <= row["statistic"] <= row["ci95_high"]
    assert 1 / 286 <= row["p_permutation"] <= 1
    assert 1 / 286 <= row["p_pretrend"] <= 1


SCHEMA = pa.schema(
    [
        ("kemendagri_code", pa.string()),
        ("kecamatan_code", pa.string()),
        ("is_treated", pa.bool_()),
        ("is_neighbour", pa.bool_()),
        ("first_held_on", pa.date32()),
        ("window_ends_on", pa.date32()),
        ("pbpu", pa.int64()),
        ("new_after", pa.int64()),
        ("new_before", pa.int64()),
        ("new_late_before", pa.int64()),
        ("new_early_before", pa.int64()),
    ]
)


def difference(settings: Settings, kelurahan: list[dict]) -> dict:
    """The model's own SQL over kelurahan given by hand."""
    (file,) = (settings.home / "dbt" / "target" / "compiled").rglob("outreach_difference.sql")
    con = duckdb.connect()
    con.execute("attach ':memory:' as warehouse; create schema warehouse.conformed")
    con.register("given_kelurahan", pa.Table.from_pylist(kelurahan, schema=SCHEMA))
    con.execute("create table warehouse.conformed.outreach_change as from given_kelurahan")
    (row,) = con.execute(file.read_text(encoding="utf-8")).to_arrow_table().to_pylist()
    return row


def test_a_difference_is_not_shown_where_a_side_has_hardly_anybody(settings):
    few = [row | {"pbpu": 1 if row["is_treated"] else row["pbpu"]} for row in drawn(1, 0.0)]
    lonely = [row | {"pbpu": 4 if row["is_neighbour"] else row["pbpu"]} for row in drawn(1, 0.0)]
    hidden = ("difference", "ci95_low", "ci95_high", "p_permutation", "pretrend_gap", "p_pretrend")
    found = difference(settings, few)
    assert {found[name] for name in hidden} == {None}
    assert found["spillover"] is not None
    found = difference(settings, lonely)
    assert None not in {found[name] for name in hidden}
    assert found["spillover"] is None


def drawn(seed: int, effect: float) -> list[dict]:
    """Two kelurahan in each of 13 kecamatan; ``effect`` is added per 1,000 PBPU in the first three."""
    rng = random.Random(seed)
    rows = []
    for number in range(26):
        pbpu = rng.randint(500, 1500)
        treated = number // 2 < 3
        before = rng.randint(20, 40)
        after = rng.randint(20, 40) + (round(effect * pbpu / 1000) if treated else 0)
        rows.append(
            {
                "kemendagri_code": str(number),
                "kecamatan_code": f"{number // 2:02d}",
                "is_treated": treated,
                "is_neighbour": number // 2 == 3,
                "first_held_on": FIRST_SESSION,
                "window_ends_on": date(2026, 9, 9),
                "pbpu": pbpu,
                "new_after": after,
                "new_before": before,
                "new_late_before": before // 2,
                "new_early_before": before - before // 2,
            }
        )
    return rows


def by_hand(rows: list[dict], effect: float, chosen: tuple[str, ...]) -> float:
    """The difference a choice of kecamatan shows once ``effect`` is taken out of the truly treated."""

    def rate(group: list[dict]) -> float:
        gained = sum(
            row["new_after"] - row["new_before"] - effect * row["pbpu"] / 1000 * row["is_treated"] for row in group
        )
        return 1000 * gained / sum(row["pbpu"] for row in group)

    inside = [row for row in rows if row["kecamatan_code"] in chosen]
    outside = [row for row in rows if row["kecamatan_code"] not in chosen]
    return rate(inside) - rate(outside)


def p_by_hand(rows: list[dict], effect: float) -> float:
    choices = list(itertools.combinations(sorted({row["kecamatan_code"] for row in rows}), 3))
    assert len(choices) == 286
    actual = abs(by_hand(rows, effect, ("00", "01", "02")))
    return sum(abs(by_hand(rows, effect, choice)) >= actual - 1e-9 for choice in choices) / len(choices)


@pytest.mark.parametrize(("seed", "effect"), [(1, 0.0), (2, 0.0), (3, 25.0), (4, -15.0)])
def test_permutation_equals_brute_force(settings, seed, effect):
    """p at zero, and an interval just inside of which p is above 5% and just outside of which it is not."""
    rows = drawn(seed, effect)
    found = difference(settings, rows)
    assert found["choice_count"] == 286
    assert found["difference"] == pytest.approx(by_hand(rows, 0.0, ("00", "01", "02")))
    assert found["p_permutation"] == pytest.approx(p_by_hand(rows, 0.0))
    for end, outward in ((found["ci95_low"], -1), (found["ci95_high"], 1)):
        assert p_by_hand(rows, end - outward * 1e-6) > 0.05
        assert p_by_hand(rows, end + outward * 1e-6) <= 0.05


def test_the_interval_covers_a_planted_effect_and_does_not_see_one_that_is_not_there(settings):
    """Over twenty draws each; 5% may miss by chance, so two of twenty are allowed."""
    found = [(effect, difference(settings, drawn(seed, effect))) for effect in (0.0, 20.0) for seed in range(20)]
    for effect in (0.0, 20.0):
        covered = [row["ci95_low"] <= effect <= row["ci95_high"] for given, row in found if given == effect]
        assert sum(covered) >= 18
    seen = [row["ci95_low"] > 0 for given, row in found if given == 20.0]
    assert sum(seen) >= 15


def test_spillover_compares_neighbours_with_those_farther_away(settings):
    rows = drawn(5, 0.0)
    near = [row for row in rows if row["is_neighbour"]]
    far = [row for row in rows if not row["is_neighbour"] and not row["is_treated"]]
    rates = [
        1000 * sum(row["new_after"] - row["new_before"] for row in group) / sum(row["pbpu"] for row in group)
        for group in (near, far)
    ]
    found = difference(settings, rows)
    assert found["spillover"] == pytest.approx(rates[0] - rates[1])
    assert (found["n_neighbours"], found["n_far"]) == (2, 18)
