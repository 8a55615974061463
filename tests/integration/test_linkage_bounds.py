"""The truth lies inside what the marts give as least and most: links that are firm below, those that wait above."""

from collections.abc import Iterator

import duckdb
import pytest

from tests.support.sandbox_home import copied
from warehouse import linkage
from warehouse.core.contract import get_contract
from warehouse.core.settings import Settings
from warehouse.linkage import model, profiles
from warehouse.storage import lake, vault

MONTH, QUARTER = "2026-10-01", "2026-07-01"


@pytest.fixture(scope="module")
def con(good_night: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The build of a good night, and the truth of the city it was made from as views."""
    city = good_night.home / "sandbox" / "city"
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{good_night.build_file}' AS build (READ_ONLY)")
        for name in ("bps__social_registry_individuals", "bps__social_registry_families", "kemensos__assistance"):
            connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{city}/truth_links/{name}.parquet')")
        connection.execute(
            f"CREATE VIEW active AS SELECT DISTINCT person_id FROM read_parquet('{city}/participation_months.parquet')"
            f" WHERE month = '{MONTH}' AND is_active"
        )
        yield connection


# By kelurahan, what is true of those the registry shows; the marts' areas are sums of these.
_COVERED = f"""
SELECT member.kemendagri_code, count(active.person_id) FILTER (worker_segment IN ('PU', 'BPU')) AS least,
    count(active.person_id) FILTER (worker_segment IN ('PU', 'BPU', 'mixed')) AS most
FROM build.conformed.fct_registry_member AS member
JOIN bps__social_registry_individuals AS told ON told.source_row = member.source_row AND told.period = '2026-Q3'
LEFT JOIN active USING (person_id)
WHERE member.period_start = '{QUARTER}' AND member.ranking = 'dtsen' AND is_in_scope AND is_working
    AND age_years BETWEEN 15 AND 64
GROUP BY ALL
"""
_RECEIVING = f"""
SELECT family.kemendagri_code, count(listed.family_id) AS least, count(listed.family_id) AS most
FROM build.conformed.fct_welfare AS family
JOIN bps__social_registry_families AS told ON told.source_row = family.source_row AND told.period = '2026-Q3'
LEFT JOIN (SELECT DISTINCT family_id FROM kemensos__assistance WHERE period = '2026-10') AS listed
    ON listed.family_id = told.family_id
WHERE family.period_start = '{QUARTER}' AND family.ranking = 'dtsen' AND is_in_scope
GROUP BY ALL
"""
_SHOWN = {
    "covered": "coverage_by_area_month WHERE measure = 'covered_of_workers' AND segment = 'all' AND programme = 'any'"
    " AND worker_group = 'all' AND area_basis = 'residence'",
    "receiving": "assistance_by_area_period WHERE measure = 'families_receiving' AND desil = 'all'"
    " AND programme = 'any' AND ranking = 'dtsen'",
}


@pytest.mark.parametrize(("what", "truth"), [("covered", _COVERED), ("receiving", _RECEIVING)])
@pytest.mark.parametrize("level", ["kota", "kecamatan"])
def test_the_truth_lies_inside_the_bounds(con, what, truth, level):
    digits = {"kota": 5, "kecamatan": 8}[level]
    outside = con.execute(
        f"""
        SELECT shown.kemendagri_code, shown.numerator_low, shown.numerator_high, truth.least, truth.most
        FROM (SELECT left(kemendagri_code, {digits}) AS code, sum(least) AS least, sum(most) AS most
            FROM ({truth}) GROUP BY code) AS truth
        JOIN (SELECT * FROM build.marts.{_SHOWN[what]} AND period_start = '{MONTH}') AS shown
            ON shown.kemendagri_code = truth.code
        WHERE truth.least < shown.numerator_low OR truth.most > shown.numerator_high
        """
    ).fetchall()
    assert outside == []


def test_the_bounds_say_something(con):
    """A bound that spans everything holds any truth."""
    low, high, workers = con.execute(
        f"SELECT numerator_low, numerator_high, denominator FROM build.marts.{_SHOWN['covered']}"
        f" AND area_level = 'kota' AND period_start = '{MONTH}'"
    ).fetchone()
    assert 0 < low < high
    assert high - low < 0.15 * workers


def test_every_link_carries_method_weight_model_and_band(con):
    (total, bare) = con.execute(
        "SELECT count(*), count(*) FILTER (method IS NULL OR weight IS NULL OR weight NOT BETWEEN 0 AND 1"
        " OR model_version IS NULL OR band NOT IN ('link', 'review', 'none')) FROM build.linkage.identity_links"
    ).fetchone()
    assert total > 0
    assert bare == 0
    methods = {name for (name,) in con.execute("SELECT DISTINCT method FROM build.linkage.identity_links").fetchall()}
    assert {"nik", "splink", "family_card"} <= methods


def test_what_waits_is_in_the_queue(con, good_night):
    waiting = con.execute("SELECT count(*) FROM build.linkage.identity_candidates").fetchone()[0]
    assert (waiting > 0) == bool(linkage.queue(good_night, linkage.Ledger(good_night.ledger)))


# --- how well ---------------------------------------------------------------------------------------------------------

_PERSONS = (profiles.REGISTRY, "kemenkes/eppgbm", "bpjstk/participants")


@pytest.fixture(scope="module")
def told(good_night: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """``described``: each distinct description of somebody, whose it is in truth, and the person it was linked to."""
    s, led = good_night, linkage.Ledger(good_night.ledger)
    truth = good_night.home / "sandbox" / "city" / "truth_links"
    with vault.connect(s) as connection:
        connection.execute(f"CREATE TABLE links AS {linkage.relation_sql(s)}")
        connection.execute(f"CREATE TABLE truth AS FROM read_parquet('{truth}/*.parquet', union_by_name = true)")
        people = profiles.identities_sql(s, led, {name: get_contract(s.contracts_dir, name) for name in _PERSONS})
        connection.execute(f"CREATE TABLE identities AS {people}")
        rows = " UNION ALL ".join(
            f"SELECT record_key, part, source_row, '{name}' AS dataset, strftime(period_start, '%Y-%m') AS month,"
            " format('{}-Q{}', year(period_start), quarter(period_start)) AS quarter"
            f" FROM ({lake.relation_sql(s, led, get_contract(s.contracts_dir, name))})"
            for name in _PERSONS
        )
        connection.execute(
            f"""
            CREATE TABLE described AS
            SELECT dataset, person_id, nik_key IS NOT NULL AS has_nik, min(record_key) AS record_key,
                any_value(person_key) AS person_key
            FROM identities JOIN ({rows}) AS place USING (record_key, dataset)
            JOIN truth USING (dataset, part)
            LEFT JOIN links USING (record_key, dataset)
            WHERE truth.period IN (place.month, place.quarter) AND person_id IS NOT NULL
                AND coalesce(truth.source_row = place.source_row, truth.record_id = identities.card)
            GROUP BY dataset, person_id, nik_key, nik, kk_key, card, name, birth_date, sex, parent_name
            """
        )
        yield connection


def test_people_of_the_sandbox_are_linked_as_they_are(told):
    """Pairs of descriptions, by the truth of the files that the agencies really sent."""
    pairs, recall, without, recall_without = told.execute(
        "SELECT count(*), avg(found), count(*) FILTER (NOT has_nik), avg(found) FILTER (NOT has_nik) FROM ("
        "SELECT coalesce(a.person_key = b.person_key, false)::INT AS found, a.has_nik AND b.has_nik AS has_nik"
        " FROM described AS a JOIN described AS b ON a.person_id = b.person_id AND a.record_key < b.record_key)"
    ).fetchone()
    (precision,) = told.execute(
        "SELECT avg((a.person_id = b.person_id)::INT) FROM described AS a"
        " JOIN described AS b ON a.person_key = b.person_key AND a.record_key < b.record_key"
    ).fetchone()
    assert pairs > 5_000
    assert without > 50
    assert precision >= 0.995
    assert recall >= 0.97
    assert recall_without >= 0.90


@pytest.mark.parametrize("pair", [("bpjstk/participants", profiles.REGISTRY), (profiles.REGISTRY, "kemenkes/eppgbm")])
def test_who_truly_stands_in_two_agencies_files_lies_inside_the_bounds(con, told, pair):
    (both,) = told.execute(
        "SELECT count(*) FROM (SELECT DISTINCT person_id FROM described WHERE dataset = $1)"
        " SEMI JOIN (SELECT person_id FROM described WHERE dataset = $2) USING (person_id)",
        list(pair),
    ).fetchone()
    low, matched, high = con.execute(
        "SELECT matched_low, matched, matched_high FROM build.marts.data_reuse_by_dataset_pair"
        f" WHERE left_dataset = $1 AND right_dataset = $2 AND period_start = '{MONTH}'",
        list(pair),
    ).fetchone()
    assert 0 < low <= matched <= high
    assert low <= both <= high


def test_a_model_is_learnt_anew_and_links_as_well(told, good_night: Settings, tmp_path_factory, monkeypatch):
    # Twenty million random pairs are a city's: of these few thousand people they would be the same pairs many times.
    monkeypatch.setattr(model, "SAMPLED_PAIRS", 1e6)
    s = copied(good_night, tmp_path_factory.mktemp("trained") / "a home")
    led = linkage.Ledger(s.ledger)
    linkage.train(s, led)
    first, second = linkage.models(s)
    linkage.link(s, led)
    told.execute(f"CREATE OR REPLACE TABLE again AS {linkage.relation_sql(s)}")
    assert told.execute("SELECT DISTINCT model_version FROM again").fetchall() == [(second["model_version"],)]
    assert second["model_version"] != first["model_version"]
    total, same = told.execute(
        "SELECT count(*), avg((links.person_key = again.person_key)::INT) FROM links JOIN again USING (record_key)"
        " WHERE links.person_key IS NOT NULL"
    ).fetchone()
    assert total > 10_000
    assert same > 0.999
