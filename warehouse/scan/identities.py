"""The vault's identities as values to find. Not here: finding them (search), where (home).

They are read from every file the vault holds, not only those in force: what was admitted once may have been written
anywhere since. A contract says which identity each of its columns is, so every kept one is looked for.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import get_args

import duckdb

from warehouse.core.contract import Contract, Identity, load_contracts
from warehouse.core.settings import Settings
from warehouse.scan.search import KPJ
from warehouse.scan.values import NOTHING, Values, version_of
from warehouse.storage import keys, vault

# A field for parents may name both.
_TWO_NAMES = re.compile(r"[/&,]")
_IDENTITIES: tuple[Identity, ...] = get_args(Identity)
# Told of many people alike, or by other means (birth dates, beside names).
_NOT_SEARCHED = {"sex", "rt", "rw", "row_key", "person_name", "birth_date"}
# What a hit is called.
_FURTHER_NUMBERS: dict[Identity, str] = {
    "membership_number": KPJ, "nisn": "nisn", "account_number": "account_number", "meter_number": "meter_number",
    "other_number": "other_number",
}  # fmt: skip

Held = dict[Identity, set[str]]


def vault_values(s: Settings) -> Values:
    """All identities in the vault; without a vault, nothing, and shapes alone are looked for."""
    files = {
        contract: sorted((s.vault_dir / contract.table).glob("[!.]*.parquet"))
        for contract in load_contracts(s.contracts_dir).values()
        if contract.identity_columns
    }
    if not any(files.values()):
        return NOTHING
    identities: Held = defaultdict(set)
    people: set[tuple[str | None, str | None]] = set()
    birth_of: dict[str, str] = {}
    with vault.connect(s) as connection:
        for contract, paths in files.items():
            if not paths:
                continue
            relation = vault.relation_sql(paths)
            # A person stands in a file of every month: once is enough for what follows.
            name, birth_date = _text(contract, "person_name"), _text(contract, "birth_date")
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE held AS SELECT DISTINCT {name} AS name, {birth_date} AS born, nik_key"
                f" FROM ({relation})"
            )
            people.update(connection.execute("SELECT DISTINCT name, born FROM held").fetchall())
            birth_of |= dict(
                connection.execute(
                    "SELECT nik_key, min(born) FROM held WHERE nik_key IS NOT NULL AND born IS NOT NULL GROUP BY ALL"
                ).fetchall()
            )
            gather(connection, contract, relation, identities)
    key_id = vault.key_id(keys.pseudonym_key(s))
    names = [key_id, *(path.name for paths in files.values() for path in paths)]
    # A column that now says what it is makes values to find of what was there before.
    names += [f"{one.dataset} {column.name} {column.extras.identity}" for one in files for column in one.vault_columns]
    values = as_values(
        identities, people, birth_of=birth_of, public_names=_public_names(s), version=f"{key_id}-{version_of(names)}"
    )
    return replace(values, small_group=s.disclosure_threshold)


def gather(connection: duckdb.DuckDBPyConnection, contract: Contract, relation: str, into: Held) -> None:
    """Add the identities of a relation of the vault's rows, each by what it is."""
    columns = {name for name, *_ in connection.execute(f"DESCRIBE {relation}").fetchall()}
    for identity in _IDENTITIES:
        if identity in _NOT_SEARCHED:
            continue
        for column in (column for column in contract.identities(identity) if column.name in columns):
            query = f'SELECT DISTINCT CAST("{column.name}" AS VARCHAR) AS text FROM ({relation})'
            rows = connection.execute(f"SELECT text FROM ({query}) WHERE text IS NOT NULL").fetchall()
            into[identity].update(text for (text,) in rows)


def as_values(
    identities: Held,
    people: Iterable[tuple[str | None, str | None]],
    *,
    birth_of: dict[str, str] | None = None,
    public_names: Iterable[str] = (),
    version: str = "",
) -> Values:
    """Values to find from gathered identities, and people with their days of birth."""
    names = [*people, *((name, None) for name in identities["parent_name"])]
    return Values.of(
        nik=map(_digits, identities["nik"] | identities["parent_nik"]),
        kk=map(_digits, identities["kk"]),
        numbers={kind: map(_digits, identities[identity]) for identity, kind in _FURTHER_NUMBERS.items()},
        people=((part, day) for name, day in names for part in _TWO_NAMES.split(name or "")),
        phones=identities["phone"],
        emails=identities["email"],
        addresses=identities["address"],
        birth_of=birth_of,
        public_names=public_names,
        version=version,
    )


def _text(contract: Contract, identity: Identity) -> str:
    column = contract.identity(identity)
    return f'CAST("{column.name}" AS VARCHAR)' if column else "CAST(NULL AS VARCHAR)"


def _digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)


def _public_names(s: Settings) -> Iterator[str]:
    """Places and offices: a person's name equal to one of them says nothing."""
    for file, column in (("regions.csv", "name"), ("region_aliases.csv", "alias"), ("service_units.csv", "name")):
        with (s.seeds_dir / file).open(encoding="utf-8", newline="") as seed:
            for row in csv.DictReader(seed):
                yield row[column]
                yield row[column].partition(" ")[2]
