"""Who is who by exact identifiers: the NIK with a guard, family card and name, an agency's card, equal descriptions.

Here: table ``edges`` between profiles, and whose a NIK is that several go by. Not here: comparing by weights (model),
who ends up as one person (people).

An equal NIK is proof only while name and birth date do not speak against it: a mother's NIK stands beside a child's
name, a twin's beside the other's. A clash goes to people, never to a link.
"""

import duckdb

# How far each method can be trusted, not a probability: an equal NIK is proof, an equal description within one dataset
# is as good as a clerk's.
WEIGHTS = {"nik": 1.0, "family_card": 0.98, "card": 0.97, "description": 0.95, "review": 1.0}

# Of profiles ``a`` and ``b`` with one number.
SAME_BEARER = """(
    name_agreement(a.name_key, b.name_key, a.name_line, b.name_line) >= 2
        AND coalesce(birth_agreement(a.birth, b.birth), 3) >= 2
    OR coalesce(name_agreement(a.name_key, b.name_key, a.name_line, b.name_line), 1) = 1
        AND coalesce(birth_agreement(a.birth, b.birth), 3) = 3
)"""

_PARENTS = "nullif(concat_ws('/', father, mother), '')"

# Numbers that two people could mistake for each other: a digit wrong, or two exchanged.
_NIKS_DIFFER = "(a.nik IS NOT NULL AND b.nik IS NOT NULL AND hamming(a.nik, b.nik) > 2)"

_EDGES = f"""
CREATE TEMP TABLE edges AS
SELECT a.id AS a, b.id AS b, 'nik' AS method
FROM profiles AS a JOIN profiles AS b ON a.nik_key = b.nik_key AND a.id < b.id
WHERE {SAME_BEARER};

INSERT INTO edges
SELECT a.id, b.id, 'family_card'
FROM profiles AS a
JOIN profiles AS b ON a.kk_key = b.kk_key AND a.id < b.id
        AND (a.nik_key IS NULL OR a.nik_key IS DISTINCT FROM b.nik_key)
JOIN (
    -- A father and his namesake son on one card are told apart by nothing but the birth date.
    SELECT kk_key, name_key FROM profiles WHERE kk_key IS NOT NULL
    GROUP BY kk_key, name_key HAVING count(DISTINCT birth) <= 1
) AS bearer ON bearer.kk_key = a.kk_key AND bearer.name_key = a.name_key
WHERE a.name_key = b.name_key
    AND coalesce(a.birth = b.birth, true) AND coalesce(a.sex = b.sex, true) AND NOT {_NIKS_DIFFER};

INSERT INTO edges
SELECT a.id, b.id, 'card'
FROM profiles AS a JOIN profiles AS b ON a.card = b.card AND a.dataset = b.dataset AND a.id < b.id
WHERE {SAME_BEARER} AND NOT {_NIKS_DIFFER};

-- The operator gives NULL where a part is missing: half a description describes nobody.
CREATE TEMP TABLE descriptions AS
SELECT id, nik_key, dataset || '|' || name_key || '|' || birth || '|' || sex || '|' || coalesce({_PARENTS}, kk_key)
    AS description
FROM profiles;

INSERT INTO edges
SELECT DISTINCT least(anchor, id), greatest(anchor, id), 'description'
FROM (
    SELECT id, nik_key,
        CASE WHEN count(DISTINCT nik_key) OVER same <= 1 THEN min(id) OVER same
            WHEN nik_key IS NULL THEN min(id) FILTER (nik_key IS NULL) OVER same END AS anchor
    FROM descriptions WHERE description IS NOT NULL
    WINDOW same AS (PARTITION BY description)
)
WHERE anchor <> id;
"""

# Of those who go by one NIK it stays with whom the number itself describes, else with whom the registry knows by it.
_CLASHES = """
CREATE TEMP TABLE claims AS
SELECT nik_key, label,
    row_number() OVER (
        PARTITION BY nik_key
        ORDER BY bool_or(is_nik_own) DESC, bool_or(dataset = $registry) DESC, count(*) DESC, label
    ) AS claim
FROM profiles JOIN labels USING (id)
WHERE nik_key IN (
    SELECT nik_key FROM profiles JOIN labels USING (id) GROUP BY nik_key HAVING count(DISTINCT label) > 1
)
GROUP BY nik_key, label;
"""


def make(connection: duckdb.DuckDBPyConnection) -> None:
    """Create ``edges`` (a, b, method) between profiles, and ``descriptions`` (id, nik_key, description)."""
    connection.execute(_EDGES)


def find_clashes(connection: duckdb.DuckDBPyConnection, registry: str) -> None:
    """Create ``claims``: for each clashing NIK the groups (``labels``) that go by it, the strongest claim first."""
    connection.execute(_CLASHES, {"registry": registry})
