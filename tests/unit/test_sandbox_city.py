"""The synthetic city: same arguments same bytes, margins as published, and a truth that explains every rendered row."""

import csv
import hashlib
import io
import json
from collections import Counter
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from tests.support import samples
from warehouse.core.settings import Settings
from warehouse.intake import gate
from warehouse.intake.parse import parse
from warehouse.sandbox import city, growth, margins, people, render, work
from warehouse.sandbox.corruption import misspelt, scientific
from warehouse.sandbox.draw import City, draw, puskesmas_of, puskesmas_serving
from warehouse.sandbox.render_children import header_of, layout_of

TONIGHT = date(2026, 11, 22)
SEED = 20230501


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small city over four months, with everything its agencies hold."""
    folder = tmp_path_factory.mktemp("sandbox")
    city.build_city(folder, scale=0.01, seed=SEED, tonight=TONIGHT, months=4, planted_effect=20.0)
    render.render_holdings(folder)
    return folder


@pytest.fixture(scope="module")
def default() -> City:
    """The city of default scale, in memory."""
    return draw(area=margins.kelurahan("default"), seed=SEED, tonight=TONIGHT, months=14, planted_effect=20.0)


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _built(folder: Path, seed: int) -> dict[str, str]:
    city.build_city(folder, scale=0.003, seed=seed, tonight=TONIGHT, months=2)
    render.render_holdings(folder)
    return _hashes(folder)


def _records(path: Path, title_rows: int) -> tuple[list[str], list[list[str]]]:
    """Header and data rows of a rendered file, as text."""
    if path.suffix == ".xlsx":
        rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python(skip_empty_area=False)[title_rows:]
        return rows[0], rows[1:]
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "latin-1"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    first = text.partition("\n")[0]
    lines = list(csv.reader(io.StringIO(text), delimiter=next(mark for mark in ";|," if mark in first)))
    return lines[0], lines[1:]


def _registry(quarter: Path, kind: str, names: dict[str, str]) -> list[dict[str, str]]:
    """Families or individuals of a quarter in either layout, by the names of the first; numbers without ``.0``.

    ``names``: of the first layout -> of the second.
    """
    of_2026 = {"families": "keluarga", "individuals": "anggota_keluarga"}[kind]
    (path,) = [*quarter.glob(f"{kind}.*"), *quarter.glob(f"{of_2026}_dtsen_v3_*.csv")]
    header, rows = _records(path, 0)
    at = {old: header.index(old if old in header else new) for old, new in names.items()}
    padded = ([*row, *[""] * len(header)] for row in rows)
    return [{old: str(row[place]).removesuffix(".0") for old, place in at.items()} for row in padded]


def test_same_arguments_give_the_same_bytes(tmp_path: Path):
    first = _built(tmp_path / "a", SEED)
    assert _built(tmp_path / "b", SEED) == first
    assert _built(tmp_path / "a", SEED) == first
    other = _built(tmp_path / "c", SEED + 1)
    assert other["city/persons.parquet"] != first["city/persons.parquet"]


@pytest.mark.parametrize("scale", [0, -1, 1.5])
def test_a_scale_outside_the_city_is_refused(scale: float):
    with pytest.raises(ValueError, match="scale"):
        margins.kelurahan(scale)


def _residents(city: City) -> np.ndarray:
    """Residents by kelurahan, of families that ever lived there."""
    living = city.persons.is_resident
    return np.bincount(city.families.place[city.persons.family[living]], minlength=len(city.area.codes))


def test_the_default_city_peoples_nineteen_whole_kelurahan_and_nobody_elsewhere(default: City):
    area = default.area
    assert len(area.codes) == 104
    peopled = Counter(np.array(area.kecamatan_codes)[area.is_peopled])
    assert peopled == {code: 3 if code in margins.OUTREACH_KECAMATAN else 1 for code in set(area.kecamatan_codes)}
    residents = _residents(default)
    assert (residents[~area.is_peopled] == 0).all()
    assert residents[area.is_peopled] == pytest.approx(area.real_people[area.is_peopled], rel=0.02)
    assert residents.sum() == pytest.approx(240_000, rel=0.02)
    later = default.families.later_dwelling[default.families.move_kind == "internal"]
    assert area.is_peopled[default.dwellings.place[later]].all()
    # They are among the smaller ones of their kecamatan.
    for code in peopled:
        inside = np.array(area.kecamatan_codes) == code
        assert area.real_people[inside & area.is_peopled].max() <= np.median(area.real_people[inside])


def test_scales_people_more_whole_kelurahan_in_one_order_and_never_thinner_ones():
    before: set[str] = set()
    for scale in (0.003, 0.01, 0.02, 0.05, 0.1, "default", 0.2, 0.5, 1.0):
        area = margins.kelurahan(scale)
        peopled = area.is_peopled
        assert area.people[peopled] == pytest.approx(area.real_people[peopled], rel=0.001)
        assert before < set(area.peopled_codes) or scale == 0.01
        before = set(area.peopled_codes)
        if scale not in ("default", 0.003):
            largest = area.real_people.max() / margins.POPULATION
            assert area.share == pytest.approx(scale, abs=largest)
    assert len(margins.kelurahan(0.003).peopled_codes) == 2
    assert len(before) == 104


def test_the_whole_city_holds_the_published_population():
    area = margins.kelurahan(1.0)
    assert area.people.sum() == pytest.approx(margins.POPULATION, rel=1e-4)
    assert area.is_peopled.all()


def test_every_puskesmas_has_children_every_month_in_the_default_city_without_sending_any_elsewhere(default: City):
    units, nearest = puskesmas_of(default.area)
    seen = np.zeros((len(default.calendar.months), len(units)), int)
    np.add.at(seen, (default.measured.month, default.measured_puskesmas), 1)
    assert seen.min() > 40
    where = np.array(default.area.kecamatan_codes)[default.measured_place]
    assert (where == np.array([unit["kemendagri_code"] for unit in units])[default.measured_puskesmas]).all()
    whole = puskesmas_serving(margins.kelurahan(1.0))
    assert (whole[:, 0] == nearest).all()
    assert whole.shape == (104, 1)


def test_population_margins(default: City):
    persons, calendar = default.persons, default.calendar
    resident = persons.is_resident
    share = resident.sum() / margins.POPULATION
    assert 1 - persons.is_female[resident].mean() == pytest.approx(margins.MALE_SHARE, abs=0.002)
    registered = default.children.is_registered & resident[default.children.person]
    young = persons.born[default.children.person] > calendar.last_day - growth.LAST_DAY
    assert (registered & young).sum() == pytest.approx(margins.REGISTERED_CHILDREN_SHARE * resident.sum(), rel=0.03)
    assert default.workers.is_pbpu.sum() == pytest.approx(0.146 * resident.sum(), rel=0.05)
    assert len(default.workers.person) == pytest.approx(margins.EMPLOYED_SHARE * resident.sum(), rel=0.02)
    p = default.participations
    for segment, published in margins.JAMSOSTEK.items():
        active = (p.segment == segment) & p.is_active(0) & (p.started <= calendar.ends[0])
        assert active.sum() == pytest.approx(published * share, rel=0.03, abs=8), segment


def test_growth_margins_and_plausibility(default: City):
    measured, persons = default.measured, default.persons
    person = default.children.person[measured.child]
    sex = persons.is_female[person].astype(int) + 1
    haz, waz, whz = growth.Who.load().z_scores(
        sex, measured.age_days, measured.weight_kg, measured.height_cm, measured.is_lying
    )
    assert np.mean(haz[~np.isnan(haz)] < -2) == pytest.approx(margins.STUNTED_OF_MEASURED, abs=0.004)
    assert np.mean(whz[~np.isnan(whz)] < -2) == pytest.approx(margins.WASTED_OF_MEASURED, abs=0.005)
    assert np.mean(waz[~np.isnan(waz)] < -2) == pytest.approx(margins.UNDERWEIGHT_PUBLISHED, abs=0.006)
    assert np.mean(whz[~np.isnan(whz)] > 2) == pytest.approx(margins.OVERWEIGHT_PUBLISHED, abs=0.014)
    # What WHO expects of the spread of scores, so that a puskesmas outside it is one that measures badly.
    assert 1.10 < np.nanstd(haz) < 1.30
    assert 1.00 < np.nanstd(waz) < 1.20
    assert 0.85 < np.nanstd(whz) < 1.10
    assert np.mean((np.abs(haz) > 6) | (np.abs(whz) > 5) | (waz < -6)) < 0.001
    target = margins.TARGET_CHILDREN_SHARE * persons.is_resident.sum()
    monthly = np.bincount(measured.month) / target
    assert monthly.min() > 0.75
    assert monthly.max() < 1.1


def test_children_rarely_shrink(default: City):
    measured = default.measured
    order = np.lexsort((measured.day, measured.child))
    child, height, day = measured.child[order], measured.height_cm[order], measured.day[order]
    change = np.diff(height)[(np.diff(child) == 0) & (np.diff(day) > 20) & measured.is_lying[order][1:]]
    change = change[~np.isnan(change)]
    assert np.median(change) > 0.5
    assert np.mean(change < -0.5) < 0.03


def test_deciles_and_aid_follow_their_margins(default: City):
    ranked = default.decile[default.decile > 0]
    shares = np.bincount(ranked, minlength=11)[1:] / len(ranked)
    assert shares == pytest.approx(margins.DECILE_SHARES, abs=0.004)
    assert 0.01 < np.mean(default.decile == 0) < 0.03
    pkh = default.assistance["pkh"][:, 0] < 14
    assert pkh.mean() == pytest.approx(margins.PKH_FAMILIES_SHARE, rel=0.05)
    assert default.families.wealth[pkh].mean() < default.families.wealth.mean() - 0.5


def test_every_number_is_whole_and_nobody_shares_one(default: City):
    for numbers in (default.persons.nik.to_pylist(), default.families.no_kk.to_pylist()):
        assert len(set(numbers)) == len(numbers)
        assert all(len(number) == 16 and number.isdigit() for number in numbers)
        # Real serials start at 0001 and never come near.
        assert all(number[12:] >= "9001" for number in numbers)


def test_planted_registrations_are_as_many_as_asked_and_only_where_sessions_were(default: City):
    p, persons, families = default.participations, default.persons, default.families
    planted = p.person[p.is_planted]
    assert len(set(planted)) == len(planted)
    place = families.place[persons.family[planted]]
    kecamatan = {default.area.kecamatan_codes[index] for index in place}
    assert kecamatan == set(margins.OUTREACH_KECAMATAN)
    base = default.workers.person[default.workers.is_pbpu]
    treated = np.isin(np.array(default.area.kecamatan_codes)[families.place[persons.family[base]]], list(kecamatan))
    assert p.is_planted.sum() == pytest.approx(20.0 * treated.sum() / 1000, rel=0.08)
    first = {index: default.sessions.day[default.sessions.place == index].min() for index in np.unique(place)}
    waited = p.started[p.is_planted] - np.array([first[index] for index in place])
    assert waited.min() >= 1
    assert waited.max() <= 183


def test_no_effect_asked_none_planted():
    quiet = draw(area=margins.kelurahan(0.01), seed=SEED, tonight=TONIGHT, months=4, planted_effect=0.0)
    assert not quiet.participations.is_planted.any()
    assert quiet.sessions.attended.sum() > 0


def test_each_part_sends_one_file_a_month(home: Path):
    units = margins.read_seed("service_units")
    for kind, folder in (("puskesmas", "dinkes/eppgbm"), ("polsek", "polres/outreach")):
        parts = sorted(unit["part"] for unit in units if unit["kind"] == kind)
        for month in ("2026-07", "2026-10"):
            found = sorted(path.stem for path in (home / "holdings" / "sftp" / folder / month).iterdir())
            assert found == parts
    kinds = Counter(path.suffix for path in (home / "holdings/sftp/dinkes/eppgbm/2026-10").iterdir())
    assert kinds == {".xlsx": 20, ".csv": 19}


def test_eppgbm_headers_drift(home: Path):
    sets = {tuple(header_of(layout_of(unit, month))) for unit in range(39) for month in range(14)}
    assert len(sets) >= 4
    for header in sets:
        assert "Pukesmas" in header
        assert ("Cara Ukur" in header) != ("PMT Diterima (kg)" in header)


def _eppgbm_rows(home: Path):
    for month in sorted((home / "holdings/sftp/dinkes/eppgbm").iterdir()):
        for path in sorted(month.iterdir()):
            top = 1 if path.suffix == ".xlsx" else 0
            header, rows = _records(path, top)
            for line, row in enumerate(rows, top + 2):
                yield month.name, path.stem, line, dict(zip(header, row, strict=True))


def _known(home: Path, name: str) -> tuple[dict, dict]:
    """Person by (period, part, source row), and the columns spoiled there."""
    links = pq.read_table(home / "city/truth_links" / name).to_pylist()
    spoiled = pq.read_table(home / "city/truth_corruptions" / name).to_pylist()
    found: dict = {}
    for row in spoiled:
        found.setdefault((row["period"], row["part"], row["source_row"]), set()).add((row["kind"], row["column_name"]))
    known = {(row["period"], row["part"], row["source_row"]): row["person_id"] for row in links}
    assert len(known) == len(links)
    return known, found


def test_eppgbm_rows_are_all_in_the_truth_and_differ_from_it_only_where_it_says_so(home: Path):
    persons = {row["person_id"]: row for row in pq.read_table(home / "city/persons.parquet").to_pylist()}
    known, spoiled = _known(home, "kemenkes__eppgbm.parquet")
    seen = set()
    kinds: Counter[str] = Counter()
    for month, part, line, row in _eppgbm_rows(home):
        at = (month, part, line)
        seen.add(at)
        person, wrong = persons[known[at]], spoiled.get(at, set())
        kinds.update(kind for kind, _ in wrong)
        columns = {column for _, column in wrong}
        assert (row["Nama"] != person["name"].upper()) == any(
            kind.startswith("name") for kind, _ in wrong
        ) or "Nama" in columns
        late = row["NIK"] == "-" and "nik_missing" not in {kind for kind, _ in wrong}
        if late:
            assert person["nik_issued_on"].isoformat()[:7] >= month
        else:
            assert (row["NIK"] != person["nik"]) == ("NIK" in columns)
        born = row["Tgl Lahir"]
        iso = born if born[4] == "-" else "-".join(reversed(born.split("/")))
        assert (iso != person["birth_date"].isoformat()) == ("Tgl Lahir" in columns)
        assert row["JK"] == person["sex"]
    assert seen == set(known)
    assert {"name_typo", "nik_missing", "nik_masked", "name_abbreviated"} <= set(kinds)
    assert sum(kinds.values()) < 0.15 * len(seen)


def test_registry_rows_are_all_in_the_truth(home: Path):
    persons = {row["person_id"]: row for row in pq.read_table(home / "city/persons.parquet").to_pylist()}
    known, spoiled = _known(home, "bps__social_registry_individuals.parquet")
    seen = 0
    for folder in sorted((home / "holdings/sftp/dinsos/dtsen").iterdir()):
        names = {"nik": "nomor_induk_kependudukan", "nama": "nama"}
        for line, row in enumerate(_registry(folder, "individuals", names), 2):
            at = (folder.name, "all", line)
            columns = {column for _, column in spoiled.get(at, ())}
            person = persons[known[at]]
            assert (row["nik"] != person["nik"]) == ("nik" in columns)
            assert (row["nama"] != person["name"].upper()) == ("nama" in columns)
            seen += 1
    assert seen == len(known)


def test_registry_lists_families_with_one_head_and_their_size(home: Path):
    quarter = home / "holdings/sftp/dinsos/dtsen/2026-Q3"
    names = {"no_kk": "nomor_kartu_keluarga", "jumlah_anggota_keluarga": "jumlah_anggota_keluarga"}
    size = {row["no_kk"]: int(row["jumlah_anggota_keluarga"]) for row in _registry(quarter, "families", names)}
    names = {"no_kk": "nomor_kartu_keluarga", "id_hub_kepala_keluarga": "status_hubungan_keluarga"}
    rows = _registry(quarter, "individuals", names)
    members = Counter(row["no_kk"] for row in rows)
    heads = Counter(row["no_kk"] for row in rows if row["id_hub_kepala_keluarga"] == "1")
    assert members == size
    assert set(heads) == set(size)
    assert set(heads.values()) == {1}


@pytest.mark.parametrize(("dataset", "kind", "columns"), [
    ("bps/social_registry_families", "keluarga", "v3_families.txt"),
    ("bps/social_registry_individuals", "anggota_keluarga", "v3_individuals.txt"),
])  # fmt: skip
def test_the_registry_of_2026_is_read_as_its_second_version(
    home: Path, settings: Settings, dataset: str, kind: str, columns: str
):
    (path,) = (home / "holdings/sftp/dinsos/dtsen/2026-Q3").glob(f"{kind}_dtsen_v3_2026_36.71.csv")
    header, rows = _records(path, 0)
    assert header == (Path(__file__).parent.parent / "data/dtsen" / columns).read_text().split()
    ragged = [line for line, row in enumerate(rows, 2) if len(row) != len(header)]
    contract = samples.contracts()[dataset]
    parsed = parse(contract, path.read_bytes(), "csv")
    assert (parsed.version, parsed.unknown_headers) == (contract.version, [])
    assert [row.source_row for row in parsed.refused] == ragged
    _, spoiled = _known(home, f"{dataset.replace('/', '__')}.parquet")
    assert ragged == sorted(line for (period, _, line), found in spoiled.items()
                            if period == "2026-Q3" and "ragged_line" in {kind for kind, _ in found})  # fmt: skip
    context = gate.DeliveryContext(samples.period(dataset), "all", samples.RECEIVED_AT)
    judgement = gate.judge(settings, contract, {"d": parsed}, {"d": context}, [], frozenset({"d"}))["d"]
    assert judgement.rows_admitted > 0.99 * parsed.rows_read
    failed = {
        result.rule_code for result in judgement.results if result.outcome == "fail" and result.severity != "warn"
    }
    # A city of two kelurahan, and the slips that the truth tells of.
    assert failed <= {"DTSEN-FAM-103", "DTSEN-IND-001", "DTSEN-IND-007", "DTSEN-IND-020"}


def test_participants_are_in_the_truth_and_registered_by_month_end(home: Path):
    folder = home / "holdings/http/bpjstk/participants"
    rows = duckdb.sql(
        f"""
        select count(*), count(link.person_id), count(*) filter (row.tgl_kpj > strftime(last_day(
            strptime(row.period || '-01', '%Y-%m-%d')), '%Y-%m-%d'))
        from (select *, regexp_extract(filename, '[0-9]{{4}}-[0-9]{{2}}') as period
              from read_parquet('{folder}/*/*.parquet', filename = true)) as row
        left join '{home}/city/truth_links/bpjstk__participants.parquet' as link
          on link.record_id = row.no_kpj and link.period = row.period
        """
    ).fetchone()
    assert rows[0] == rows[1] > 30_000
    assert rows[2] == 0


def test_dukcapil_counts_add_up(home: Path):
    files = {level: home / f"holdings/http/dukcapil/{level}.json" for level in ("kec", "kel")}
    kec, kel = (duckdb.sql(f"select * from '{files[level]}'").fetchall() for level in ("kec", "kel"))
    assert (len(kec), len(kel)) == (2, 2)
    totals = duckdb.sql(
        f"""select sum(jumlah_penduduk), sum(pria + wanita), (select sum(jumlah_penduduk) from '{files["kec"]}'),
        sum(u0 + u5 + u10 + u15 + u20 + u25 + u30 + u35 + u40 + u45 + u50 + u55 + u60 + u65 + u70 + u75)
        from '{files["kel"]}'"""
    ).fetchone()
    assert set(totals) == {margins.kelurahan(0.01).people.sum()}


def test_agencies_speak_of_the_same_kelurahan(home: Path):
    declared = json.loads((home / "city.json").read_text())
    summary = json.loads((home / "city/summary.json").read_text())
    peopled = set(declared["peopled_kelurahan"])
    assert peopled == set(summary["peopled_kelurahan"]) == set(margins.kelurahan(0.01).peopled_codes)
    assert declared["share"] == summary["share"] == pytest.approx(summary["residents"] / margins.POPULATION, rel=0.02)
    names = {name.upper() for code, name in zip(*_codes_and_names(), strict=True) if code in peopled}
    _, targets = _records(home / "holdings/sftp/dinkes/under_five_targets/2026.xlsx", 2)
    assert {row[3].upper() for row in targets[:-1]} == names
    bps = {row["kemendagri_code"]: row["bps_code"] for row in margins.read_seed("regions")}
    families = _registry(
        home / "holdings/sftp/dinsos/dtsen/2026-Q3", "families", {"kode_kelurahan": "kode_kelurahan_desa"}
    )
    assert {row["kode_kelurahan"] for row in families} == {bps[code] for code in peopled}
    counted = duckdb.sql(f"select nama_kel from '{home}/holdings/http/dukcapil/kel.json'").fetchall()
    assert {name for (name,) in counted} == names


def _codes_and_names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    area = margins.kelurahan(1.0)
    return area.codes, area.names


def test_what_is_entered_by_hand_stands_as_published(home: Path):
    folder = home / "holdings/by_hand/published/official_figures"
    read = f"read_csv('{folder}/*.csv', all_varchar = true)"
    figures = duckdb.sql(f"select indikator, periode, nilai from {read}").fetchall()
    assert {path.stem for path in folder.iterdir()} == {"2023", "2024", "2025"}
    assert {
        ("jkn_participants", "2025-12", "1982904"), ("extreme_poverty", "2022", "0.75"), ("stunting", "2024", "11.2"),
        ("population", "2025", str(margins.POPULATION)), ("poverty_line_idr", "2025", "838535"),
    } <= set(figures)  # fmt: skip


def test_published_poverty_adds_up_to_the_province(home: Path):
    gaps = duckdb.sql(
        """select year, abs(sum(value) filter (vervar <> 3600) - max(value) filter (vervar = 3600)) as gap
        from 'warehouse/sandbox/data/bps_banten.csv' where var_id = 619 group by year having count(*) = 9"""
    ).fetchall()
    assert gaps
    assert all(gap <= (0.15 if year <= 2014 else 0.02) for year, gap in gaps)


@hypothesis_settings(deadline=None, max_examples=60)
@given(
    sex=st.sampled_from([1, 2]),
    age=st.integers(1, growth.LAST_DAY - 1),
    z=st.floats(-5, 5),
    whz=st.floats(-4, 4),
)
def test_a_measure_made_from_a_z_score_gives_it_back(sex: int, age: int, z: float, whz: float):
    who = growth.Who.load()
    sexes, ages = np.array([sex]), np.array([age])
    height = who.height_at(sexes, ages, np.array([z]))
    weight = who.weight_at(sexes, ages, height, np.array([whz]))
    lying = ages < growth.LENGTH_DAYS
    haz, _, found = who.z_scores(sexes, ages, weight, height, lying)
    assert haz[0] == pytest.approx(z, abs=0.006)
    if not np.isnan(found[0]) and abs(whz) <= 3:
        assert found[0] == pytest.approx(whz, abs=0.006)


@given(name=st.from_regex(r"[A-Z][a-z]{1,8}( [A-Z][a-z]{1,8})?", fullmatch=True), seed=st.integers(0, 10_000))
def test_a_typo_is_never_the_name_itself(name: str, seed: int):
    wrong = misspelt(name, np.random.default_rng(seed))
    assert wrong
    assert wrong != name
    assert abs(len(wrong) - len(name)) <= 1


@given(days=st.lists(st.integers(-20_000, 20_700), min_size=1, max_size=40), female=st.booleans())
def test_numbers_carry_the_birth_date_and_differ(days: list[int], female: bool):
    prefix = people.pa.array(["367101"] * len(days))
    numbers = people.numbers(prefix, np.array(days), np.full(len(days), female)).to_pylist()
    assert len(set(numbers)) == len(numbers)
    for day, number in zip(days, numbers, strict=True):
        born = date.fromordinal(date(1970, 1, 1).toordinal() + day)
        assert number[6:12] == f"{born.day + 40 * female:02d}{born:%m%y}"


@given(st.integers(1_000_000_000_000_000, 9_999_999_999_999_999))
def test_scientific_notation_loses_the_number(number: int):
    text = scientific(str(number))
    assert "E+15" in text or "E+16" in text
    assert len(text) < 16


def test_contribution_of_self_payers_is_halved_in_2026(default: City):
    p = default.participations
    (rows,) = np.nonzero((p.segment == "BPU") & (p.program == "JKK,JKM"))
    for month, own in (("2025-12", 16_800), ("2026-01", 8_400)):
        paid = work.contribution(p, rows, np.full(len(rows), month))
        assert set(paid[p.payer[rows] == "SENDIRI"]) == {own}
        assert set(paid[p.payer[rows] == "APBD"]) == {16_800}
