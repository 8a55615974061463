"""The truth lies inside what the marts give as least and most: links that are firm below, those that wait above."""

from collections.abc import Iterator

import duckdb
import pytest

from warehouse import linkage
from warehouse.settings import Settings

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
