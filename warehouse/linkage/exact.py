"""Who is who by exact identifiers: the NIK with a guard, family card and name, an agency's card, equal descriptions.

Here: table ``edges`` between profiles, and whose a NIK is that several go by. Not here: comparing by weights (model),
who ends up as one person (clusters).

An equal NIK is proof only while name and birth date do not speak against it: a mother's NIK stands beside a child's
name, a twin's beside the other's. A clash goes to clerical review, never to a link.
"""

from pathlib import Path

import duckdb

from warehouse.core import sql
from warehouse.linkage.profiles import REGISTRY

_FOLDER = Path(__file__).parent / "sql" / "exact"
_EDGES = sql.Stage(
    _FOLDER,
    {
        "edges_by_nik": ("profiles",),
        "edges_by_family_card": ("profiles",),
        "edges_by_card": ("profiles",),
        "descriptions": ("profiles",),
        "edges_by_description": ("descriptions",),
        "edges": ("edges_by_nik", "edges_by_family_card", "edges_by_card", "edges_by_description", "decided_pairs"),
    },
    keeps=("descriptions", "edges"),
)
_CLAIMS = sql.Stage(_FOLDER, {"nik_claims": ("profiles", "clusters")}, keeps=("nik_claims",))
STAGES = (_EDGES, _CLAIMS)


def find_edges(connection: duckdb.DuckDBPyConnection) -> None:
    """Create ``edges`` (a, b, method) between profiles, and ``descriptions`` (id, nik_key, description)."""
    sql.run(connection, _EDGES)


def rank_claims(connection: duckdb.DuckDBPyConnection) -> None:
    """Create ``nik_claims`` (nik_key, cluster, claim): the clusters that go by one NIK, the strongest claim first."""
    sql.run(connection, _CLAIMS, registry=REGISTRY)
