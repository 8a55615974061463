"""What agencies wrote of people, each distinct description once, ready to be compared.

Here: the vault's rows and what the lake adds (kelurahan, place in the family), as tables ``records`` and ``profiles``;
the macros that say when two spellings are one name. Not here: who is who (exact, model).

A profile is everything linkage compares of a record. Months of deliveries repeat few profiles, so all later work is
done for profiles, not for records.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from warehouse.core import sql
from warehouse.core.contract import Column, Contract, Identity
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger
from warehouse.storage import lake, vault

# The agency whose persons are a register of everyone: others look for their people there.
REGISTRY = "bps/social_registry_individuals"
FAMILIES = "bps/social_registry_families"
# What linkage compares, and which identity it is.
_ROLES: dict[str, Identity] = {
    "nik": "nik",
    "card": "membership_number",
    "rt": "rt",
    "rw": "rw",
    "name": "person_name",
    "birth_date": "birth_date",
    "sex": "sex",
    "parent_name": "parent_name",
}
# What the lake adds by record: no identifier, so the vault does not keep it twice.
_LAKE_ROLES = {"kelurahan": "kemendagri_code", "relation": "id_hub_kepala_keluarga"}
_COMPARED = ("nik_key", "kk_key", *_ROLES)
# A number that so many different people go by is a stand-in of some office, not anybody's NIK.
STAND_IN_BEARERS = 8

_SQL = Path(__file__).parent / "sql"
_PROFILES = sql.Stage(
    _SQL / "profiles",
    {
        "described": ("identities",),
        "records": ("described",),
        "cleaned": ("described",),
        "placed": ("lake_facts", "cleaned"),
        "couples": ("cleaned", "placed"),
        "numbered": ("cleaned",),
        "stand_ins": ("cleaned",),
        "profiles": ("cleaned", "numbered", "placed", "couples", "card_places", "stand_ins"),
    },
    keeps=("records", "couples", "profiles"),
)
STAGES = (_PROFILES,)
MACROS = ("names", "births", "bearers", "methods")


def define_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the macros by which names, birth dates and numbers are compared."""
    sql.define(connection, _SQL / "macros", MACROS)


def make(connection: duckdb.DuckDBPyConnection, s: Settings, led: Ledger, contracts: Mapping[str, Contract]) -> None:
    """Create ``records`` (record_key, dataset, kk_key, profile) and ``profiles`` from every identity in force."""
    connection.execute(f"CREATE TEMP VIEW identities AS {identities_sql(s, led, contracts)}")
    connection.execute(f"CREATE TEMP VIEW lake_facts AS {_lake_facts_sql(s, led, contracts)}")
    connection.execute(f"CREATE TEMP TABLE card_places AS {_card_places_sql(s, led, contracts)}")
    from_identities(connection)


def from_identities(connection: duckdb.DuckDBPyConnection) -> None:
    """The same from relations that stand already: ``identities`` (record_key, dataset, what is compared),
    ``lake_facts`` (record_key, kelurahan, relation) and ``card_places`` (kk_key, kelurahan)."""
    sql.run(connection, _PROFILES, registry=REGISTRY, stand_in_bearers=STAND_IN_BEARERS)


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
        columns_of_role = {role: contract.identities(identity) for role, identity in _ROLES.items()}
        select_list = [f"{_joined(columns)} AS {role}" for role, columns in columns_of_role.items() if columns]
        selected = ", ".join(["record_key", "nik_key", "kk_key", *select_list, f"'{contract.dataset}' AS dataset"])
        parts.append(f"SELECT {selected} FROM ({vault.relation_sql(paths)})")
    return " UNION ALL BY NAME ".join(parts)


def _joined(columns: Sequence[Column]) -> str:
    """One column as it is; parents in columns of their own as agencies write both in one: father / mother."""
    if len(columns) == 1:
        return f'"{columns[0].name}"'
    return " || '/' || ".join(f"coalesce(\"{column.name}\", '')" for column in columns)


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
