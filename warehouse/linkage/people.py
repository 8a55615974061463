"""From edges and scores to people: connected groups, one-to-one choices, bands, and the rows of ``identity_links``.

Here: groups of profiles (``labels``), what Splink is asked about (``residual``), which scores become links, which wait
for a person, the final tables. Not here: comparing (exact, model), people's decisions (review).
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from warehouse.linkage.exact import WEIGHTS
from warehouse.linkage.profiles import REGISTRY

# Above the first a link, between them a person's look, below the second nothing. Chosen 2026-11-22 on the sandbox's
# truth so that links are right in 99.5 of 100 and what is missed lies mostly in the review band.
LINK_FROM, REVIEW_FROM = 0.95, 0.03
# A second candidate this close (in bits) leaves the choice to a person: twins, namesakes born on one day.
_MARGIN = 3.0
_CLASH_WEIGHT = 0.5

Pair = tuple[int, int]


@dataclass(frozen=True)
class Scored:
    """Two groups, how probable it is that they are one person, and whether that may become a link unseen."""

    a: int
    b: int
    probability: float
    is_firm: bool


def components(size: int, pairs: np.ndarray) -> np.ndarray:
    """The smallest member of each member's connected group."""
    matrix = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    _count, group = connected_components(matrix, directed=False)
    first = np.full(size, size)
    np.minimum.at(first, group, np.arange(size))
    return first[group]


def label(connection: duckdb.DuckDBPyConnection) -> None:
    """Create ``labels`` (id, label): the groups of profiles that ``edges`` make, none across a pair of ``apart``."""
    found = connection.execute(
        "SELECT a, b, one.dataset = other.dataset AS same FROM edges"
        " JOIN profiles AS one ON one.id = a JOIN profiles AS other ON other.id = b ORDER BY a, b"
    ).fetchnumpy()
    (size,) = connection.execute("SELECT count(*) FROM profiles").fetchone()
    edges = np.column_stack([found["a"], found["b"]]).astype(np.int64).reshape(-1, 2)
    same_dataset = np.asarray(found["same"], bool)
    labels = components(size, edges)
    for a, b in connection.execute("SELECT a, b FROM apart ORDER BY a, b").fetchall():
        if labels[a] == labels[b]:
            edges, same_dataset = _parted(size, edges, same_dataset, a, b)
            labels = components(size, edges)
    _register(connection, "labels", {"id": np.arange(size), "label": labels})


def _parted(size: int, edges: np.ndarray, same: np.ndarray, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges without those that tie ``b`` to anyone but its own agency's rows, or to anyone if ``a`` is one of them."""
    within = components(size, edges[same])
    own = within == within[b] if within[a] != within[b] else np.arange(size) == b
    crossing = own[edges[:, 0]] != own[edges[:, 1]]
    return edges[~crossing], same[~crossing]


def _register(connection: duckdb.DuckDBPyConnection, name: str, columns: dict[str, np.ndarray]) -> None:
    connection.register("given", pa.table({key: pa.array(values) for key, values in columns.items()}))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM given")
    connection.unregister("given")


# --- what Splink is asked ---------------------------------------------------------------------------------------------

_NODES = f"""
CREATE TEMP TABLE agencies AS
SELECT agency, CAST(1 << (row_number() OVER (ORDER BY agency) - 1) AS BIGINT) AS bit
FROM (SELECT DISTINCT split_part(dataset, '/', 1) AS agency FROM profiles);

-- Whoever loses a clash goes on without a number.
CREATE TEMP TABLE bearers AS
SELECT profiles.*, label, bit, dataset = '{REGISTRY}' AS is_registry,
    NOT coalesce(claims.claim > 1, false) AS keeps_nik
FROM profiles
JOIN labels USING (id)
JOIN agencies ON agency = split_part(dataset, '/', 1)
LEFT JOIN claims USING (nik_key, label);

CREATE TEMP MACRO best(value, is_registry, id) AS arg_min(value, (NOT is_registry, id));
"""


def _node_sql(key: str, *extra: str) -> str:
    """One row a ``key``: what is known of it, the registry's word first."""
    best = ", ".join(
        f"best({name}, is_registry, id) AS {name}"
        for name in ("name_key", "name_line", "birth", "sex", "father", "mother", "kelurahan", "rt", "rw")
    )
    grouped = f"""
        SELECT {key}, {best},
            best(CASE WHEN keeps_nik THEN nik END, NOT is_nik_own, id) AS nik,
            CAST(bit_or(bit) AS BIGINT) AS agencies, bool_or(is_registry) AS is_registry, min(id) AS first_id
            {"".join(f", {column}" for column in extra)}
        FROM bearers GROUP BY {key}"""
    return f"""
        SELECT *, nik_birth(nik) AS nik_birth,
            year(birth) * 10000 + least(month(birth), day(birth)) * 100 + greatest(month(birth), day(birth))
                AS birth_key,
            year(birth) * 100 + month(birth) AS birth_month,
            year(birth) * 100 + day(birth) AS birth_year_day,
            month(birth) * 100 + day(birth) AS birth_day,
            name_key[1] AS first_letter, split_part(name_key, ' ', -1)[1] AS last_letter
        FROM ({grouped}) WHERE name_key IS NOT NULL"""


_RESIDUAL = """
CREATE TEMP TABLE population AS
SELECT coalesce(max(persons), 0) AS people
FROM (SELECT count(*) AS persons FROM nodes, agencies WHERE agencies.bit & nodes.agencies > 0 GROUP BY bit);

CREATE TEMP TABLE name_frequencies AS SELECT name_key, count(*) AS bearers FROM nodes GROUP BY name_key;

-- Who is compared at all: people without a number, whoever of the others they could meet, and numbers so near each
-- other that one of them may be a slip. Everybody else is known by number, and two whole numbers are two people.
CREATE TEMP TABLE unnumbered AS SELECT * FROM nodes WHERE nik IS NULL AND birth IS NOT NULL;

CREATE TEMP TABLE near AS
SELECT one.node AS one, other.node AS other
FROM nodes AS one JOIN nodes AS other
    ON one.birth_key = other.birth_key AND one.first_letter = other.first_letter AND one.is_registry
    AND NOT other.is_registry AND hamming(one.nik, other.nik) <= 2
UNION
SELECT one.node, other.node
FROM nodes AS one JOIN nodes AS other
    ON one.birth_key = other.birth_key AND one.last_letter = other.last_letter AND one.is_registry
    AND NOT other.is_registry AND hamming(one.nik, other.nik) <= 2;

CREATE TEMP TABLE residual AS
SELECT * FROM unnumbered
UNION ALL
SELECT * FROM nodes
WHERE nik IS NOT NULL AND (
    (birth_key, first_letter) IN (SELECT (birth_key, first_letter) FROM unnumbered)
    OR (birth_key, last_letter) IN (SELECT (birth_key, last_letter) FROM unnumbered)
    OR (name_key, birth_month) IN (SELECT (name_key, birth_month) FROM unnumbered)
    OR (name_key, birth_year_day) IN (SELECT (name_key, birth_year_day) FROM unnumbered)
    OR (name_key, birth_day) IN (SELECT (name_key, birth_day) FROM unnumbered)
    OR (father, mother, birth_month) IN (
        SELECT (father, mother, birth_month) FROM unnumbered WHERE father IS NOT NULL AND mother IS NOT NULL
    )
    OR node IN (SELECT one FROM near UNION ALL SELECT other FROM near)
);
"""


def ask(connection: duckdb.DuckDBPyConnection) -> None:
    """Create ``nodes`` (a row per group), ``population``, ``name_frequencies`` and ``residual``."""
    connection.execute(_NODES)
    connection.execute(
        f"CREATE TEMP TABLE nodes AS {_node_sql('label').replace('SELECT *,', 'SELECT label AS node, *,', 1)}"
    )
    connection.execute(_RESIDUAL)


def training_rows(connection: duckdb.DuckDBPyConnection, table: str, most: int) -> None:
    """Create ``table``: a row per person and agency, labelled by NIK; ``most`` rows, the same at every run."""
    connection.execute(_NODES)
    rows = _node_sql("label, dataset", "min(CASE WHEN keeps_nik THEN nik_key END) AS label_by_nik")
    connection.execute(
        f"CREATE TEMP TABLE {table} AS SELECT * EXCLUDE (label, label_by_nik), label_by_nik AS label,"
        f" row_number() OVER (ORDER BY first_id) AS node FROM ({rows})"
        f" QUALIFY dense_rank() OVER (ORDER BY hash(coalesce(label_by_nik, CAST(first_id AS VARCHAR)))) <= {most}"
    )


_APART = """
CREATE TEMP TABLE labels_apart AS
SELECT DISTINCT least(one.label, other.label) AS a, greatest(one.label, other.label) AS b
FROM apart JOIN labels AS one ON one.id = a JOIN labels AS other ON other.id = b
"""

# --- which scores become links ----------------------------------------------------------------------------------------


# What no weight outbids: another sex; another name where no number is near or parents are shared (twins); inside one
# agency, another parent.
_DOUBTS = """(
    coalesce(one.sex <> other.sex, false)
    OR one.name_key <> other.name_key AND (
        one.nik IS NULL
        OR other.nik IS NULL
        OR one.agencies & other.agencies > 0
        OR coalesce(one.father IN (other.father, other.mother), false)
        OR coalesce(one.mother IN (other.father, other.mother), false)
    )
    OR one.agencies & other.agencies > 0 AND (
        coalesce(one.father <> other.father, false) OR coalesce(one.mother <> other.mother, false)
    )
)"""


def scores(connection: duckdb.DuckDBPyConnection) -> list[Scored]:
    """The scored pairs, best first."""
    rows = connection.execute(
        f"""
        SELECT scored.a, scored.b, probability, probability >= {LINK_FROM} AND NOT {_DOUBTS}
        FROM scored JOIN nodes AS one ON one.node = scored.a JOIN nodes AS other ON other.node = scored.b
        ORDER BY probability DESC, scored.a, scored.b
        """
    ).fetchall()
    return [Scored(*row) for row in rows]


def choose(
    pairs: Iterable[Scored], agencies: dict[int, int], without_nik: frozenset[int], apart: frozenset[Pair]
) -> list[Scored]:
    """The firm pairs that become links: the best of both sides, clear of the next, one person to an agency."""
    allowed = [pair for pair in pairs if (pair.a, pair.b) not in apart]
    firm = {(pair.a, pair.b) for pair in allowed if pair.is_firm}
    rivals = defaultdict(list)
    for pair in allowed:
        rivals[pair.a].append((pair.b, pair))
        rivals[pair.b].append((pair.a, pair))

    def is_clear(own: int, other: int, probability: float) -> bool:
        # Two compete for one place when one agency knows both, or when either would do; never if they are one person.
        return not any(
            rival != other
            and (pair.is_firm or agencies[rival] & agencies[other])
            and _bits(pair.probability) > _bits(probability) - _MARGIN
            and (min(rival, other), max(rival, other)) not in firm
            for rival, pair in rivals[own]
        )

    groups = _Groups(agencies, without_nik, apart)
    return [
        pair
        for pair in allowed
        if pair.is_firm
        and is_clear(pair.a, pair.b, pair.probability)
        and is_clear(pair.b, pair.a, pair.probability)
        and groups.join(pair.a, pair.b)
    ]


def _bits(probability: float) -> float:
    return math.log2(max(probability, 1e-12) / max(1 - probability, 1e-12))


class _Groups:
    """Groups that grow while no agency's person would stand in them twice, nor two whom people told apart."""

    def __init__(self, agencies: dict[int, int], without_nik: frozenset[int], apart: frozenset[Pair]):
        self._parent: dict[int, int] = {}
        self._agencies = dict(agencies)
        self._with_nik = {node for node in agencies if node not in without_nik}
        self._apart = apart
        self._told_apart = defaultdict(set, {node: {node} for pair in apart for node in pair})

    def _root(self, node: int) -> int:
        while (above := self._parent.get(node, node)) != node:
            node = above
        return node

    def join(self, a: int, b: int) -> bool:
        one, other = sorted((self._root(a), self._root(b)))
        if one == other:
            return True
        if self._agencies[one] & self._agencies[other] and one in self._with_nik and other in self._with_nik:
            return False
        if any((min(x, y), max(x, y)) in self._apart for x in self._told_apart[one] for y in self._told_apart[other]):
            return False
        self._parent[other] = one
        self._agencies[one] |= self._agencies[other]
        self._told_apart[one] |= self._told_apart[other]
        if other in self._with_nik:
            self._with_nik.add(one)
        return True


def settle(connection: duckdb.DuckDBPyConnection) -> None:
    """Create ``chosen`` (a, b, probability) and ``persons`` (label, person): which groups are one person in the end."""
    connection.execute(_APART)
    apart = frozenset(connection.execute("SELECT a, b FROM labels_apart").fetchall())
    pairs = scores(connection)
    concerned = sorted({node for pair in pairs for node in (pair.a, pair.b)})
    _register(connection, "concerned", {"node": np.array(concerned, np.int64)})
    known = connection.execute("SELECT node, agencies, nik IS NULL FROM nodes JOIN concerned USING (node)").fetchall()
    agencies = {node: bits for node, bits, _ in known}
    chosen = choose(pairs, agencies, frozenset(node for node, _, is_without in known if is_without), apart)
    joined = np.array([(pair.a, pair.b) for pair in chosen], np.int64).reshape(-1, 2)
    probability = np.array([pair.probability for pair in chosen], float)
    _register(connection, "chosen", {"a": joined[:, 0], "b": joined[:, 1], "probability": probability})
    (size,) = connection.execute("SELECT count(*) FROM profiles").fetchone()
    _register(connection, "persons", {"label": np.arange(size), "person": components(size, joined)})


# --- what comes out ---------------------------------------------------------------------------------------------------

_BY_METHOD = " ".join(f"WHEN '{method}' THEN {weight}" for method, weight in WEIGHTS.items())
_BEST_METHOD = "arg_min(method, list_position(['nik', 'family_card', 'card', 'description', 'review'], method))"

_TABLES = f"""
-- The group that carries a person's name: the registry's, else one with a number.
CREATE TEMP TABLE grouped AS
SELECT person, label,
    min(nik_key) FILTER (keeps_nik AND is_registry) AS registered_nik,
    min(nik_key) FILTER (keeps_nik) AS any_nik,
    min(concat_ws('|', dataset, name_key, birth, sex, father, mother, kk_key, card)) AS description,
    bool_or(is_registry) AS is_registry,
    bit_or(bit) AS agencies
FROM bearers JOIN persons USING (label) GROUP BY person, label;

CREATE TEMP TABLE people AS
SELECT person,
    arg_min(label, (NOT is_registry, any_nik IS NULL, label)) AS core,
    pseudonym('person', coalesce(min(registered_nik), min(any_nik), min(description))) AS person_key,
    bit_count(bit_or(agencies)) AS agencies
FROM grouped GROUP BY person;

CREATE TEMP TABLE cards AS
SELECT person, CASE WHEN min(kk_key) = max(kk_key) THEN min(kk_key) END AS only_kk_key
FROM bearers JOIN persons USING (label) WHERE kk_key IS NOT NULL GROUP BY person;

-- A child on no card belongs to the one couple of its parents' names, of its own kelurahan if there are several.
CREATE TEMP TABLE by_parents AS
SELECT person,
    CASE WHEN count(DISTINCT couples.kk_key) = 1 THEN min(couples.kk_key)
        WHEN count(DISTINCT couples.kk_key) FILTER (near) = 1 THEN min(couples.kk_key) FILTER (near) END AS kk_key
FROM (
    SELECT DISTINCT person, couples.kk_key, coalesce(bearers.kelurahan = homes.kelurahan, false) AS near
    FROM bearers
    JOIN persons USING (label)
    JOIN couples ON couples.father = bearers.father AND couples.mother = bearers.mother
    LEFT JOIN card_places AS homes ON homes.kk_key = couples.kk_key
    WHERE person NOT IN (SELECT person FROM cards)
) AS couples
GROUP BY person;

CREATE TEMP TABLE families AS
SELECT kk_key AS family, pseudonym('family', kk_key) AS family_key
FROM (SELECT DISTINCT kk_key FROM records WHERE kk_key IS NOT NULL);

CREATE TEMP TABLE open_pairs AS
SELECT a, b, probability AS weight, 'splink' AS method FROM scored
UNION
SELECT first.label, next.label, {_CLASH_WEIGHT}, 'nik'
FROM claims AS first JOIN claims AS next USING (nik_key) WHERE first.claim = 1 AND next.claim > 1;

CREATE TEMP TABLE waiting AS
SELECT one.person AS one, other.person AS other, a, b, max(weight) AS weight, arg_max(method, weight) AS method
FROM open_pairs
JOIN persons AS one ON one.label = a
JOIN persons AS other ON other.label = b
WHERE one.person <> other.person
    AND (least(a, b), greatest(a, b)) NOT IN (SELECT (a, b) FROM labels_apart)
GROUP BY ALL;

CREATE TEMP TABLE tied AS
SELECT id, {_BEST_METHOD} AS method
FROM (SELECT a AS id, method FROM edges UNION ALL SELECT b, method FROM edges)
GROUP BY id;

CREATE TEMP TABLE tied_by_score AS
SELECT label, max(probability) AS probability
FROM (SELECT a AS label, probability FROM chosen UNION ALL SELECT b, probability FROM chosen) GROUP BY label;

CREATE TEMP TABLE placed_profiles AS
SELECT *, CASE method {_BY_METHOD} ELSE probability END AS weight,
    CASE
        WHEN is_waiting THEN 'review'
        WHEN method IN ('card', 'description') AND agencies = 1 THEN 'none'
        ELSE 'link'
    END AS band
FROM (
    SELECT
        bearers.profile,
        people.person_key,
        coalesce(cards.only_kk_key, by_parents.kk_key) AS kk_key,
        CASE
            WHEN people.core <> bearers.label THEN 'splink'
            WHEN bearers.nik_key IS NOT NULL AND keeps_nik THEN 'nik'
            WHEN tied.method IS NOT NULL THEN tied.method
            WHEN tied_by_score.label IS NOT NULL THEN 'splink'
            WHEN bearers.card IS NOT NULL THEN 'card'
            WHEN descriptions.description IS NOT NULL THEN 'description'
        END AS method,
        tied_by_score.probability,
        people.agencies,
        waiting_labels.label IS NOT NULL AS is_waiting
    FROM bearers
    JOIN descriptions USING (id)
    JOIN persons USING (label)
    JOIN people USING (person)
    LEFT JOIN cards USING (person)
    LEFT JOIN by_parents USING (person)
    LEFT JOIN tied USING (id)
    LEFT JOIN tied_by_score USING (label)
    LEFT JOIN (SELECT a AS label FROM waiting UNION SELECT b FROM waiting) AS waiting_labels USING (label)
);
"""

# Half a description that nothing else ties names nobody: such a record has no person.
LINKS = """
SELECT record_key, dataset, CASE WHEN method IS NOT NULL THEN person_key END AS person_key, family_key,
    coalesce(method, 'family_card') AS method, coalesce(weight, 1.0) AS weight, $model_version AS model_version,
    coalesce(band, 'link') AS band
FROM records
LEFT JOIN placed_profiles USING (profile)
LEFT JOIN families ON family = coalesce(records.kk_key, placed_profiles.kk_key)
WHERE method IS NOT NULL OR family_key IS NOT NULL
"""

# Each side of an open pair is a candidate for the other.
CANDIDATES = """
SELECT records.record_key, records.dataset, own.person_key, other.person_key AS candidate_person_key,
    waiting.method, waiting.weight, $model_version AS model_version
FROM (
    SELECT a AS label, other AS candidate, weight, method FROM waiting
    UNION ALL SELECT b, one, weight, method FROM waiting
) AS waiting
JOIN bearers USING (label)
JOIN records USING (profile)
JOIN persons USING (label)
JOIN people AS own USING (person)
JOIN people AS other ON other.person = candidate
"""


def finish(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what ``LINKS`` and ``CANDIDATES`` read; the macro ``pseudonym`` must stand."""
    connection.execute(_TABLES)
