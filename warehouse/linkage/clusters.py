"""From edges and scores to people: connected clusters, one-to-one choices, bands, and the rows of ``identity_links``.

Here: clusters of profiles, what Splink is asked about (``to_compare``), which scores become links, which go to clerical
review, the final tables. Not here: comparing (exact, model), people's decisions (clerical_review).
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from warehouse.core import sql
from warehouse.core.duck import one_row
from warehouse.linkage.profiles import REGISTRY

# Above the first a link, between them clerical review, below the second nothing. Chosen 2026-11-22 on the sandbox's
# truth so that links are right in 99.5 of 100 and what is missed lies mostly in the review band.
LINK_FROM, REVIEW_FROM = 0.95, 0.03
# A second candidate this close (in bits) leaves the choice to a person: twins, namesakes born on one day.
_MARGIN = 3.0
_CLASH_WEIGHT = 0.5

_SQL = Path(__file__).parent / "sql"
_RECORDS = {
    "agencies": ("profiles",),
    "members": ("profiles", "clusters", "agencies", "nik_claims"),
    "cluster_records": ("members",),
}
_COMPARISONS = sql.Stage(
    _SQL / "comparisons",
    {
        **_RECORDS,
        "population": ("cluster_records", "agencies"),
        "name_frequencies": ("cluster_records",),
        "unnumbered": ("cluster_records",),
        "near_numbers": ("cluster_records",),
        "to_compare": ("cluster_records", "unnumbered", "near_numbers"),
    },
    keeps=("members", "cluster_records", "population", "name_frequencies", "to_compare"),
)
_TRAINING = sql.Stage(_SQL / "comparisons", {**_RECORDS, "training": ("cluster_records",)}, keeps=("training",))
_CONSTRAINTS = sql.Stage(
    _SQL / "clusters", {"cannot_link_clusters": ("cannot_link", "clusters")}, keeps=("cannot_link_clusters",)
)
_LINKS = sql.Stage(
    _SQL / "links",
    {
        "grouped": ("members", "persons"),
        "people": ("grouped",),
        "cards": ("members", "persons"),
        "by_parents": ("members", "persons", "couples", "card_places", "cards"),
        "families": ("records",),
        "review_pairs": ("scored", "nik_claims", "persons", "cannot_link_clusters"),
        "exact_methods": ("edges",),
        "best_scores": ("chosen",),
        "placed_profiles": (
            "members", "descriptions", "persons", "people", "cards", "by_parents", "exact_methods", "best_scores",
            "review_pairs",
        ),
        "identity_links": ("records", "placed_profiles", "families"),
        "identity_candidates": ("review_pairs", "members", "records", "persons", "people"),
    },
    keeps=("identity_links", "identity_candidates"),
)  # fmt: skip
STAGES = (_COMPARISONS, _TRAINING, _CONSTRAINTS, _LINKS)

Pair = tuple[int, int]


@dataclass(frozen=True)
class Scored:
    """Two clusters, how probable it is that they are one person, and whether that may become a link unseen."""

    a: int
    b: int
    probability: float
    is_firm: bool


def components(size: int, pairs: np.ndarray) -> np.ndarray:
    """The smallest member of each member's connected component."""
    matrix = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    _count, component = connected_components(matrix, directed=False)
    first = np.full(size, size)
    np.minimum.at(first, component, np.arange(size))
    return first[component]


def cluster(connection: duckdb.DuckDBPyConnection) -> None:
    """Create ``clusters`` (id, cluster): the profiles that ``edges`` connect, none across a cannot-link constraint."""
    columns = sql.query(connection, _SQL / "clusters" / "sorted_edges.sql").fetchnumpy()
    size = _count(connection, "profiles")
    edges = np.column_stack([columns["a"], columns["b"]]).astype(np.int64).reshape(-1, 2)
    same_dataset = np.asarray(columns["is_same_dataset"], bool)
    clusters = components(size, edges)
    for a, b in _pairs(connection, "cannot_link"):
        if clusters[a] == clusters[b]:
            edges, same_dataset = _without_path(size, edges, same_dataset, a, b)
            clusters = components(size, edges)
    _register(connection, "clusters", {"id": np.arange(size), "cluster": clusters})


def _without_path(size: int, edges: np.ndarray, same: np.ndarray, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges without those that tie ``b`` to anyone but its own agency's rows, or to anyone if ``a`` is one of them."""
    within = components(size, edges[same])
    own = within == within[b] if within[a] != within[b] else np.arange(size) == b
    crossing = own[edges[:, 0]] != own[edges[:, 1]]
    return edges[~crossing], same[~crossing]


def _count(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    return int(one_row(connection.table(name).count("*"))[0])


def _pairs(connection: duckdb.DuckDBPyConnection, name: str) -> list[Pair]:
    return connection.table(name).select("a", "b").order("a, b").fetchall()


def _register(connection: duckdb.DuckDBPyConnection, name: str, columns: dict[str, np.ndarray]) -> None:
    connection.register("given", pa.table({key: pa.array(values) for key, values in columns.items()}))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM given")
    connection.unregister("given")


# --- what Splink is asked ---------------------------------------------------------------------------------------------


def build_comparisons(connection: duckdb.DuckDBPyConnection) -> None:
    """Create ``members`` (profiles with their cluster), ``cluster_records`` (a row per cluster), ``population``,
    ``name_frequencies`` and ``to_compare`` (the cluster records that Splink compares)."""
    sql.run(connection, _COMPARISONS, registry=REGISTRY, by_dataset=False)


def build_training(connection: duckdb.DuckDBPyConnection, most: int) -> None:
    """Create ``training``: a row per person and agency, labelled by NIK; of ``most`` people, the same at every run."""
    sql.run(connection, _TRAINING, registry=REGISTRY, by_dataset=True, most_people=most)


# --- which scores become links ----------------------------------------------------------------------------------------


def scores(connection: duckdb.DuckDBPyConnection) -> list[Scored]:
    """The scored pairs, best first."""
    rows = sql.query(connection, _SQL / "clusters" / "scored_pairs.sql", link_from=LINK_FROM).fetchall()
    return [Scored(*row) for row in rows]


def choose(
    pairs: Iterable[Scored], agencies: dict[int, int], without_nik: frozenset[int], cannot_link: frozenset[Pair]
) -> list[Scored]:
    """The firm pairs that become links: the best of both sides, clear of the next, one person to an agency."""
    allowed_pairs = [pair for pair in pairs if (pair.a, pair.b) not in cannot_link]
    firm = {(pair.a, pair.b) for pair in allowed_pairs if pair.is_firm}
    rivals = defaultdict(list)
    for pair in allowed_pairs:
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

    groups = _Groups(agencies, without_nik, cannot_link)
    return [
        pair
        for pair in allowed_pairs
        if pair.is_firm
        and is_clear(pair.a, pair.b, pair.probability)
        and is_clear(pair.b, pair.a, pair.probability)
        and groups.join(pair.a, pair.b)
    ]


def _bits(probability: float) -> float:
    return math.log2(max(probability, 1e-12) / max(1 - probability, 1e-12))


class _Groups:
    """Clusters joined while no agency's person would stand in one twice, nor both sides of a cannot-link constraint."""

    def __init__(self, agencies: dict[int, int], without_nik: frozenset[int], cannot_link: frozenset[Pair]):
        self._parent: dict[int, int] = {}
        self._agencies = dict(agencies)
        self._with_nik = agencies.keys() - without_nik
        self._cannot_link = cannot_link
        self._constrained = defaultdict(set, {cluster: {cluster} for pair in cannot_link for cluster in pair})

    def _root(self, cluster: int) -> int:
        while (above := self._parent.get(cluster, cluster)) != cluster:
            cluster = above
        return cluster

    def join(self, a: int, b: int) -> bool:
        one, other = sorted((self._root(a), self._root(b)))
        if one == other:
            return True
        if self._agencies[one] & self._agencies[other] and one in self._with_nik and other in self._with_nik:
            return False
        sides = product(self._constrained[one], self._constrained[other])
        if any((min(pair), max(pair)) in self._cannot_link for pair in sides):
            return False
        self._parent[other] = one
        self._agencies[one] |= self._agencies[other]
        self._constrained[one] |= self._constrained[other]
        if other in self._with_nik:
            self._with_nik.add(one)
        return True


def resolve_clusters(connection: duckdb.DuckDBPyConnection) -> None:
    """Create ``chosen`` (a, b, probability) and ``persons`` (cluster, person): which clusters are one person."""
    sql.run(connection, _CONSTRAINTS)
    cannot_link = frozenset(_pairs(connection, "cannot_link_clusters"))
    rows = sql.query(connection, _SQL / "clusters" / "scored_clusters.sql").fetchall()
    agencies = {cluster: bits for cluster, bits, _ in rows}
    without_nik = frozenset(cluster for cluster, _, is_without in rows if is_without)
    links = choose(scores(connection), agencies, without_nik, cannot_link)
    edges = np.array([(pair.a, pair.b) for pair in links], np.int64).reshape(-1, 2)
    probability = np.array([pair.probability for pair in links], float)
    _register(connection, "chosen", {"a": edges[:, 0], "b": edges[:, 1], "probability": probability})
    size = _count(connection, "profiles")
    _register(connection, "persons", {"cluster": np.arange(size), "person": components(size, edges)})


def write_links(connection: duckdb.DuckDBPyConnection, model_version: str) -> None:
    """Create ``identity_links`` and ``identity_candidates``; the macro ``pseudonym`` must stand."""
    sql.run(connection, _LINKS, clash_weight=_CLASH_WEIGHT, model_version=model_version)
