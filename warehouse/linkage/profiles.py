"""What agencies wrote of people, each distinct description once, ready to be compared.

Here: the vault's rows and what the lake adds (kelurahan, place in the family), as tables ``records`` and ``profiles``.
Not here: who is who (exact, model).

A profile is everything linkage compares of a record. Months of deliveries repeat few profiles, so all later work is
done for profiles, not for records.
"""

from collections.abc import Iterable, Mapping

import duckdb

from warehouse import lake, vault
from warehouse.contract import Contract
from warehouse.ledger import Ledger
from warehouse.settings import Settings

# The agency whose persons are a register of everyone: others look for their people there.
REGISTRY = "bps/social_registry_individuals"
FAMILIES = "bps/social_registry_families"
# What linkage compares, under the names agencies give it.
_ROLES = {
    "nik": ("nik",),
    "card": ("no_kpj",),
    "rt": ("rt",),
    "rw": ("rw",),
    **vault.LINKAGE_COLUMNS,
}
# What the lake adds by record: no identifier, so the vault does not keep it twice.
_LAKE_ROLES = {"kelurahan": "kemendagri_code", "relation": "id_hub_kepala_keluarga"}
_COMPARED = ("nik_key", "kk_key", *_ROLES)
_HEAD, _PARTNER, _CHILD = "1", "2", "3"
# A number that so many different people go by is a stand-in of some office, not anybody's NIK.
STAND_IN_BEARERS = 8

_PROFILES = f"""
CREATE TEMP TABLE described AS
SELECT *, hash(dataset, {", ".join(_COMPARED)}) AS profile FROM identities;

CREATE TEMP TABLE records AS SELECT record_key, dataset, kk_key, profile FROM described;

CREATE TEMP TABLE cleaned AS
SELECT
    profile,
    any_value(dataset) AS dataset,
    any_value(nik_key) AS nik_key,
    any_value(CASE WHEN nik_key IS NOT NULL THEN regexp_replace(nik, '[^0-9]', '', 'g') END) AS nik,
    any_value(kk_key) AS kk_key,
    name_key(any_value(name)) AS name_key,
    name_line(any_value(name)) AS name_line,
    any_value(birth_date) AS birth,
    CASE upper(any_value(sex)) WHEN 'L' THEN 'L' WHEN '1' THEN 'L' WHEN 'P' THEN 'P' WHEN '2' THEN 'P' END AS sex,
    name_key(split_part(any_value(parent_name), '/', 1)) AS father,
    name_key(split_part(any_value(parent_name), '/', 2)) AS mother,
    CAST(TRY_CAST(any_value(rt) AS INT) AS VARCHAR) AS rt,
    CAST(TRY_CAST(any_value(rw) AS INT) AS VARCHAR) AS rw,
    any_value(card) AS card,
    max(record_key) AS record_key
FROM described
WHERE nik_key IS NOT NULL OR name IS NOT NULL
GROUP BY profile;
DROP TABLE described;

CREATE TEMP TABLE placed AS
SELECT record_key, kelurahan, relation FROM lake_facts WHERE record_key IN (SELECT record_key FROM cleaned);

-- A registry's child has the card's couple for parents.
CREATE TEMP TABLE couples AS
SELECT kk_key,
    arg_min(name_key, (relation, name_key)) FILTER (sex = 'L') AS father,
    arg_min(name_key, (relation, name_key)) FILTER (sex = 'P') AS mother
FROM cleaned JOIN placed USING (record_key)
WHERE dataset = '{REGISTRY}' AND relation IN ('{_HEAD}', '{_PARTNER}') AND kk_key IS NOT NULL
GROUP BY kk_key;

-- Numbered by content, so that neither the order of files nor of rows is seen in any tie; apart, since a window would
-- carry every column through its sort.
CREATE TEMP TABLE numbered AS
SELECT profile, CAST(row_number() OVER (ORDER BY profile) - 1 AS INTEGER) AS id FROM cleaned;

CREATE TEMP TABLE profiles AS
SELECT
    id,
    cleaned.* EXCLUDE (father, mother, nik_key, nik),
    coalesce(placed.kelurahan, card_places.kelurahan) AS kelurahan,
    CASE WHEN stand_in.nik_key IS NULL THEN cleaned.nik_key END AS nik_key,
    CASE WHEN stand_in.nik_key IS NULL THEN nik END AS nik,
    coalesce(cleaned.father, CASE WHEN relation = '{_CHILD}' THEN couples.father END) AS father,
    coalesce(cleaned.mother, CASE WHEN relation = '{_CHILD}' THEN couples.mother END) AS mother,
    -- A hint, never a reason to reject: one NIK in some hundreds was given out with a wrong date.
    is_nik_of(nik, birth, sex) AS is_nik_own
FROM cleaned
JOIN numbered USING (profile)
LEFT JOIN placed USING (record_key)
LEFT JOIN couples USING (kk_key)
LEFT JOIN card_places USING (kk_key)
LEFT JOIN (
    SELECT nik_key FROM cleaned WHERE nik_key IS NOT NULL
    GROUP BY nik_key HAVING count(DISTINCT (name_key, birth)) > {STAND_IN_BEARERS}
) AS stand_in USING (nik_key);
DROP TABLE cleaned;
DROP TABLE numbered;
"""


def make(connection: duckdb.DuckDBPyConnection, s: Settings, led: Ledger, contracts: Mapping[str, Contract]) -> None:
    """Create ``records`` (record_key, dataset, kk_key, profile) and ``profiles`` from every identity in force."""
    connection.execute(f"CREATE TEMP VIEW identities AS {identities_sql(s, led, contracts)}")
    connection.execute(f"CREATE TEMP VIEW lake_facts AS {_lake_facts_sql(s, led, contracts)}")
    connection.execute(f"CREATE TEMP TABLE card_places AS {_card_places_sql(s, led, contracts)}")
    from_identities(connection)


def from_identities(connection: duckdb.DuckDBPyConnection) -> None:
    """The same from relations that stand already: ``identities`` (record_key, dataset, what is compared),
    ``lake_facts`` (record_key, kelurahan, relation) and ``card_places`` (kk_key, kelurahan)."""
    connection.execute(_PROFILES)


def alone(connection: duckdb.DuckDBPyConnection) -> None:
    """The same from ``identities`` alone, without what other relations add."""
    connection.execute(f"CREATE TEMP VIEW lake_facts AS {_nothing(('record_key', *_LAKE_ROLES))}")
    connection.execute(f"CREATE TEMP VIEW card_places AS {_nothing(('kk_key', 'kelurahan'))}")
    from_identities(connection)


def _nothing(columns: Iterable[str]) -> str:
    """A typed SELECT without rows, so that a union stands whatever has been delivered."""
    types = ", ".join(f"CAST(NULL AS {'DATE' if name == 'birth_date' else 'VARCHAR'}) AS {name}" for name in columns)
    return f"SELECT {types} WHERE false"


def identities_sql(s: Settings, led: Ledger, contracts: Mapping[str, Contract]) -> str:
    """What linkage compares, of all datasets, under one set of names."""
    parts = [_nothing(("record_key", *_COMPARED, "dataset"))]
    for contract in contracts.values():
        paths = lake.files_in_force(s, led, contract, "vault")
        if not paths:
            continue
        kept = {column.name for column in vault.vault_columns(contract)}
        renamed = [f'"{name}" AS {role}' for role, names in _ROLES.items() for name in names if name in kept]
        selected = ", ".join(["record_key", "nik_key", "kk_key", *renamed, f"'{contract.dataset}' AS dataset"])
        parts.append(f"SELECT {selected} FROM ({vault.relation_sql(paths)})")
    return " UNION ALL BY NAME ".join(parts)


def _lake_facts_sql(s: Settings, led: Ledger, contracts: Mapping[str, Contract]) -> str:
    parts = [_nothing(("record_key", *_LAKE_ROLES))]
    for contract in contracts.values():
        in_lake = {column.name for column in contract.lake_columns}
        facts = [f'CAST("{name}" AS VARCHAR) AS {role}' for role, name in _LAKE_ROLES.items() if name in in_lake]
        if facts and contract.identity_columns:
            parts.append(f"SELECT record_key, {', '.join(facts)} FROM ({lake.relation_sql(s, led, contract)})")
    return " UNION ALL BY NAME ".join(parts)


def _card_places_sql(s: Settings, led: Ledger, contracts: Mapping[str, Contract]) -> str:
    families = contracts.get(FAMILIES)
    if families is None or _LAKE_ROLES["kelurahan"] not in {column.name for column in families.lake_columns}:
        return _nothing(("kk_key", "kelurahan"))
    return (
        "SELECT kk_key, arg_max(kemendagri_code, (period_start, kemendagri_code)) AS kelurahan"
        f" FROM ({lake.relation_sql(s, led, families)}) WHERE kk_key IS NOT NULL GROUP BY kk_key"
    )
