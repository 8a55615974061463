"""Who is who across deliveries and agencies, by exact identifiers, inside the vault; gives out keys only.

Here: ``identity_links``, rebuilt whole from the identities in force. Not here: identities' files (vault), what marts
make of links (dbt).

A person is a usable NIK. A record without one is, within its dataset, the person of equal name, birth date, sex and
parents (or family card): the NIK's person if exactly one NIK carries that description, else a person of its own.
Records that not even this can name are not linked. A family is a family card; a person's record without one takes the
card that the person's other records agree on.
"""

from collections.abc import Mapping
from pathlib import Path

from warehouse import keys, lake, vault
from warehouse.contract import Contract, load_contracts
from warehouse.duck import sql_path
from warehouse.ledger import Ledger
from warehouse.settings import Settings
from warehouse.vault import LINKAGE_COLUMNS

MODEL_VERSION = "exact-1"
_COLUMNS = {
    "record_key": "VARCHAR",
    "dataset": "VARCHAR",
    "person_key": "VARCHAR",
    "family_key": "VARCHAR",
    "method": "VARCHAR",
    "weight": "DOUBLE",
    "model_version": "VARCHAR",
}

# Names are compared by their letters. Weights say how far a method can be trusted, not a probability: an equal NIK is
# proof, an equal description within one dataset is as good as a clerk's, one without a NIK can merge namesakes.
# Keys are computed once for each person and family, not for each of their records: a keyed hash costs ten joins.
_LINK = f"""
CREATE TEMP TABLE described AS
SELECT record_key, dataset, nik_key, kk_key,
       -- The operator gives NULL where a part is missing: half a description describes nobody.
       CASE WHEN parents IS NOT NULL AND birth_date IS NOT NULL
            THEN dataset || '|' || nullif(regexp_replace(upper(name), '[^A-Z]', '', 'g'), '') || '|' || birth_date
                 || '|' || sex || '|' || parents
       END AS description
FROM (
    SELECT *, coalesce(nullif(regexp_replace(upper(parent_name), '[^A-Z/]', '', 'g'), ''), kk_key) AS parents
    FROM identities
);

CREATE TEMP TABLE carried AS
SELECT description, min(nik_key) AS only_nik_key
FROM described
WHERE description IN (SELECT description FROM described WHERE nik_key IS NULL AND description IS NOT NULL)
GROUP BY description HAVING count(DISTINCT nik_key) = 1;

CREATE TEMP TABLE named AS
SELECT record_key, dataset, kk_key,
       coalesce(nik_key, only_nik_key, description) AS person,
       CASE WHEN nik_key IS NOT NULL THEN 'nik' WHEN description IS NOT NULL THEN 'description' ELSE 'family_card' END
         AS method,
       CASE WHEN nik_key IS NOT NULL THEN 1.0 WHEN only_nik_key IS NOT NULL THEN 0.95
            WHEN description IS NOT NULL THEN 0.9 ELSE 1.0 END AS weight
FROM described LEFT JOIN carried USING (description)
WHERE nik_key IS NOT NULL OR kk_key IS NOT NULL OR description IS NOT NULL;

CREATE TEMP TABLE people AS
SELECT person, pseudonym('person', person) AS person_key,
       CASE WHEN min(kk_key) = max(kk_key) THEN min(kk_key) END AS only_kk_key
FROM named WHERE person IS NOT NULL GROUP BY person;

CREATE TEMP TABLE families AS
SELECT kk_key AS family, pseudonym('family', kk_key) AS family_key
FROM (SELECT DISTINCT kk_key FROM named WHERE kk_key IS NOT NULL);

CREATE TEMP VIEW links AS
SELECT record_key, dataset, person_key, family_key, method, weight, '{MODEL_VERSION}' AS model_version
FROM named
LEFT JOIN people USING (person)
LEFT JOIN families ON family = coalesce(kk_key, only_kk_key)
"""


def link(s: Settings, led: Ledger) -> int:
    """Rebuild ``identity_links`` from every identity in force; returns how many records are linked."""
    with vault.connect(s) as connection:
        vault.define_pseudonym(connection, keys.pseudonym_key(s))
        connection.execute(f"CREATE TEMP VIEW identities AS {_identities_sql(s, led, load_contracts(s.contracts_dir))}")
        connection.execute(_LINK)
        with vault.new_file(_links_file(s)) as draft:
            connection.execute(f"COPY (FROM links) TO '{sql_path(draft)}' (FORMAT parquet, COMPRESSION zstd)")
        (count,) = connection.execute("SELECT count(*) FROM named").fetchone()
    return count


def relation_sql(s: Settings) -> str:
    """SELECT over the newest ``identity_links``: keys alone, so that a build may read them; empty before the first."""
    if _links_file(s).is_file():
        return f"SELECT {', '.join(_COLUMNS)} FROM read_parquet('{sql_path(_links_file(s))}')"
    return f"SELECT {', '.join(f'CAST(NULL AS {kind}) AS {name}' for name, kind in _COLUMNS.items())} WHERE false"


def _links_file(s: Settings) -> Path:
    return s.vault_dir / "identity_links.parquet"


def _identities_sql(s: Settings, led: Ledger, contracts: Mapping[str, Contract]) -> str:
    """What linkage compares, of all datasets, under one set of names."""
    compared = ["record_key", "nik_key", "kk_key", *LINKAGE_COLUMNS]
    nothing = ", ".join(
        f"CAST(NULL AS {'DATE' if name == 'birth_date' else 'VARCHAR'}) AS {name}" for name in (*compared, "dataset")
    )
    parts = [f"SELECT {nothing} WHERE false"]
    for contract in contracts.values():
        paths = lake.files_in_force(s, led, contract, "vault")
        if not paths:
            continue
        kept = {column.name for column in vault.vault_columns(contract)}
        renamed = [f'"{name}" AS {role}' for role, names in LINKAGE_COLUMNS.items() for name in names if name in kept]
        selected = ", ".join(["record_key", "nik_key", "kk_key", *renamed, f"'{contract.dataset}' AS dataset"])
        parts.append(f"SELECT {selected} FROM ({vault.relation_sql(paths)})")
    return " UNION ALL BY NAME ".join(parts)
