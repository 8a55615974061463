"""Identities of a drawn city as linkage meets them, with the truth beside: agencies' versions, without their files.

Here: relations ``identities``, ``lake_facts``, ``card_places``, ``truth`` and ``kinds`` on a connection, cheap enough
for two million people, and the measures taken on them. Not here: assertions.
"""

from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.linkage import clerical_review, clusters, exact, model, profiles
from warehouse.sandbox import margins
from warehouse.sandbox.corruption import Persona, personas, scientific
from warehouse.sandbox.people import Calendar, Dwellings, Families, Persons, add_outsiders, make_families, stream

TONIGHT = date(2026, 11, 22)
REGISTRY, CHILDREN, CARDS = "bps/social_registry_individuals", "kemenkes/eppgbm", "bpjstk/participants"
# As in the sandbox's files: who works for a wage, crews registered by head count, addresses known late.
_PARTICIPANTS, _CREW_WITHOUT_NIK, _MOVED, _SCIENTIFIC = 0.5, 0.012, 0.02, 0.001
_PLAIN_NUMBER = "[0-9]{16}"


@dataclass(frozen=True)
class Population:
    families: Families
    dwellings: Dwellings
    persons: Persons
    calendar: Calendar
    codes: pa.Array


def draw(scale: float, seed: int = 20230501) -> Population:
    """Residents, commuters and children from elsewhere; work, growth and housing are left out."""
    area, calendar = margins.kelurahan(scale), Calendar.until(TONIGHT, 14)
    families, dwellings, persons = make_families(area, calendar, seed)
    residents = len(persons)
    persons = add_outsiders(persons, calendar, seed, residents // 8, residents // 300)
    return Population(families, dwellings, persons, calendar, pa.array(area.codes))


def tell(connection: duckdb.DuckDBPyConnection, city: Population, seed: int = 20230501) -> None:
    """Create the relations linkage starts from, and what is true of them."""
    persons = city.persons
    rng = stream(seed, "linkage benchmark")
    age = persons.age_years(city.calendar.last_day)
    issued = persons.nik_issued <= city.calendar.last_day
    resident = persons.is_resident
    chosen = {
        REGISTRY: np.nonzero(resident & issued & (persons.born <= city.calendar.last_day - 90))[0],
        CHILDREN: np.nonzero((age < 5) & (age > 0) & (rng.random(len(persons)) < 0.85))[0],
        CARDS: np.nonzero((age >= 18) & (age < 60) & ((rng.random(len(persons)) < _PARTICIPANTS) | ~resident))[0],
    }
    registry_moved = rng.random(len(city.families.place)) < _MOVED
    tables, kinds = [], []
    for agency, dataset in (("dinsos", REGISTRY), ("dinkes", CHILDREN), ("bpjstk", CARDS)):
        persona = personas(persons, agency, seed)
        who = chosen[dataset]
        keys = pa.array([f"{dataset[:6]}{number}" for number in who])
        nik, more = _numbers(rng, persona, who, issued, dataset)
        tables.append(_rows(city, persona, dataset, who, keys, nik))
        wrong = {kind: befell[who] for kind, befell in persona.wrong.items()} | more
        if dataset == REGISTRY:
            wrong["moved_house"] = registry_moved[persons.family[who]]
        kinds += [_kind(keys, kind, hit) for kind, hit in wrong.items()]
    _create(connection, "identities", pa.concat_tables(tables).drop_columns(["person_id", "kelurahan", "relation"]))
    _create(connection, "truth", pa.concat_tables(tables).select(["record_key", "person_id"]))
    _create(connection, "lake_facts", pa.concat_tables(tables).select(["record_key", "kelurahan", "relation"]))
    _create(connection, "kinds", pa.concat_tables(kinds))
    where = np.where(registry_moved, rng.permutation(city.families.place), city.families.place)
    _create(
        connection,
        "card_places",
        pa.table({"kk_key": city.families.no_kk, "kelurahan": city.codes.take(pa.array(where))}),
    )


def _numbers(
    rng: np.random.Generator, persona: Persona, who: np.ndarray, issued: np.ndarray, dataset: str
) -> tuple[pa.Array, dict[str, np.ndarray]]:
    """NIK as the agency has it, and what else went wrong with it."""
    nik = persona.nik.take(pa.array(who))
    blank = ~issued[who]
    if dataset == CARDS:
        blank |= rng.random(len(who)) < _CREW_WITHOUT_NIK
    nik = pc.if_else(pa.array(blank), None, nik)
    whole = pc.match_substring_regex(nik, f"^{_PLAIN_NUMBER}$").fill_null(False).to_numpy(zero_copy_only=False)
    cut = whole & (rng.random(len(who)) < _SCIENTIFIC)
    spoiled = pa.array([scientific(value) for value in nik.filter(pa.array(cut)).to_pylist()], pa.string())
    return pc.replace_with_mask(nik, pa.array(cut), spoiled), {"nik_not_issued_or_blank": blank, "nik_scientific": cut}


def _rows(city: Population, persona: Persona, dataset: str, who: np.ndarray, keys: pa.Array, nik: pa.Array) -> pa.Table:
    persons, rows = city.persons, pa.array(who)
    family = np.maximum(persons.family[who], 0)
    empty = pa.nulls(len(who), pa.string())
    usable = pc.match_substring_regex(nik, f"^{_PLAIN_NUMBER}$")
    father, mother = (
        pc.if_else(pa.array(parent[who] >= 0), persona.name.take(pa.array(np.maximum(parent[who], 0))), "-")
        for parent in (persons.father, persons.mother)
    )
    dwelling = city.families.dwelling[family]
    is_child = dataset == CHILDREN
    return pa.table(
        {
            "record_key": keys,
            "dataset": pa.array([dataset] * len(who)),
            "nik": nik,
            "nik_key": pc.if_else(usable.fill_null(False), nik, None),
            "kk_key": city.families.no_kk.take(pa.array(family)) if dataset == REGISTRY else empty,
            "card": keys if dataset == CARDS else empty,
            "name": pc.utf8_upper(persona.name.take(rows)),
            "birth_date": pa.array(persona.born[who].astype(np.int32)).cast(pa.date32()),
            "sex": pa.array(np.where(persons.is_female[who], "P", "L")),
            "parent_name": pc.binary_join_element_wise(father, mother, " / ") if is_child else empty,
            "rt": pa.array(city.dwellings.rt[dwelling].astype(str)) if is_child else empty,
            "rw": pa.array(city.dwellings.rw[dwelling].astype(str)) if is_child else empty,
            "person_id": pa.array(who),
            "kelurahan": city.codes.take(pa.array(city.dwellings.place[dwelling])) if is_child else empty,
            "relation": pa.array(persons.relation[who].astype(str)) if dataset == REGISTRY else empty,
        }
    )


def _kind(keys: pa.Array, kind: str, hit: np.ndarray) -> pa.Table:
    return pa.table({"record_key": keys.filter(pa.array(hit)), "kind": pa.array([kind] * int(hit.sum()), pa.string())})


def _create(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    connection.register("given", table)
    connection.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM given")
    connection.unregister("given")


def link_exactly(connection: duckdb.DuckDBPyConnection) -> None:
    """Everything before Splink."""
    profiles.from_identities(connection)
    clerical_review.apply(connection, [])
    exact.find_edges(connection)
    clusters.cluster(connection)
    exact.rank_claims(connection)


def link_the_rest(connection: duckdb.DuckDBPyConnection) -> None:
    """Splink on who is left, and who becomes one person."""
    clusters.build_comparisons(connection)
    model.predict(connection, model.load(model.BUNDLED)[1], "to_compare", clusters.REVIEW_FROM)
    clusters.resolve_clusters(connection)


_PAIRS = """
CREATE OR REPLACE TEMP TABLE found AS
SELECT profiles.id, profiles.record_key, person_id, cluster, person, nik_key IS NOT NULL AS has_nik
FROM profiles JOIN truth USING (record_key) JOIN clusters USING (id) JOIN persons USING (cluster);
CREATE OR REPLACE TEMP TABLE true_pairs AS
SELECT a.record_key AS a, b.record_key AS b, a.cluster = b.cluster AS is_exact, a.person = b.person AS is_linked,
    a.has_nik AND b.has_nik AS has_nik
FROM found AS a JOIN found AS b ON a.person_id = b.person_id AND a.id < b.id;
CREATE OR REPLACE TEMP TABLE made_pairs AS
SELECT a.person_id = b.person_id AS is_right, a.cluster = b.cluster AS is_exact
FROM found AS a JOIN found AS b ON a.person = b.person AND a.id < b.id
"""
_QUALITY = """
WITH cases AS (
    SELECT 'all true pairs' AS kind, 0 AS place, * FROM true_pairs
    UNION ALL SELECT 'without a usable NIK', 1, * FROM true_pairs WHERE NOT has_nik
    UNION ALL SELECT kind, 2, true_pairs.* FROM true_pairs
    JOIN (SELECT DISTINCT record_key, kind FROM kinds) AS kinds ON record_key = a OR record_key = b
)
SELECT kind, count(*) AS pairs, avg(is_exact::INT) AS recall_exact, avg(is_linked::INT) AS recall
FROM cases GROUP BY kind, place ORDER BY place, kind
"""


def quality(connection: duckdb.DuckDBPyConnection) -> tuple[list[tuple], float, float]:
    """Rows (kind, pairs, recall of exact methods, recall), and precision of exact methods and of all."""
    connection.execute(_PAIRS)
    rows = connection.execute(_QUALITY).fetchall()
    precision = connection.execute(
        "SELECT avg(is_right::INT) FILTER (is_exact), avg(is_right::INT) FROM made_pairs"
    ).fetchone()
    return rows, *precision
