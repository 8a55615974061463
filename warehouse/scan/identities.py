"""The vault's identities as values to find. Not here: finding them (search), where (home).

They are read from every file the vault holds, not only those in force: what was admitted once may have been written
anywhere since.
"""

import csv
import re
from collections.abc import Iterator

from warehouse.core.contract import Contract, load_contracts
from warehouse.core.settings import Settings
from warehouse.scan.values import NOTHING, Values, version_of
from warehouse.storage import keys, vault
from warehouse.storage.vault import KK, LINKAGE_COLUMNS, NIK

_KPJ = "no_kpj"
# A field for parents may name both.
_TWO_NAMES = re.compile(r"[/&,]")


def vault_values(s: Settings) -> Values:
    """All numbers, names and days of birth in the vault; without a vault, nothing, and shapes alone are looked for."""
    files = {
        contract: sorted((s.vault_dir / contract.table).glob("[!.]*.parquet"))
        for contract in load_contracts(s.contracts_dir).values()
        if contract.identity_columns
    }
    if not any(files.values()):
        return NOTHING
    numbers: dict[str, set[str]] = {NIK: set(), KK: set(), _KPJ: set()}
    people: set[tuple[str | None, str | None]] = set()
    birth_of: dict[str, str] = {}
    with vault.connect(s) as connection:
        for contract, paths in files.items():
            if not paths:
                continue
            connection.execute(f"CREATE OR REPLACE TEMP TABLE held AS {_held_sql(contract, vault.relation_sql(paths))}")
            for kind, known in numbers.items():
                known.update(number for (number,) in connection.execute(f"SELECT DISTINCT {kind} FROM held").fetchall())
            people.update(connection.execute("SELECT DISTINCT name, born FROM held").fetchall())
            people.update((name, None) for (name,) in connection.execute("SELECT DISTINCT parent FROM held").fetchall())
            birth_of |= dict(
                connection.execute(
                    "SELECT nik_key, min(born) FROM held WHERE nik_key IS NOT NULL AND born IS NOT NULL GROUP BY ALL"
                ).fetchall()
            )
    names = [key_id := vault.key_id(keys.pseudonym_key(s)), *(path.name for paths in files.values() for path in paths)]
    return Values.of(
        nik=filter(None, numbers[NIK]),
        kk=filter(None, numbers[KK]),
        kpj=filter(None, numbers[_KPJ]),
        people=((part, day) for name, day in people for part in _TWO_NAMES.split(name or "")),
        birth_of=birth_of,
        public_names=_public_names(s),
        small_group=s.disclosure_threshold,
        version=f"{key_id}-{version_of(names)}",
    )


def _held_sql(contract: Contract, relation: str) -> str:
    """A contract's identities under one set of names; NULL for what it does not have."""
    kept = {column.name for column in vault.vault_columns(contract)}

    def column(*names: str) -> str:
        return next((f'CAST("{name}" AS VARCHAR)' for name in names if name in kept), "CAST(NULL AS VARCHAR)")

    named = {NIK: (NIK,), KK: (KK,), _KPJ: (_KPJ,), "name": LINKAGE_COLUMNS["name"]}
    named |= {"parent": LINKAGE_COLUMNS["parent_name"], "born": LINKAGE_COLUMNS["birth_date"]}
    # A person stands in a file of every month: once is enough for what follows.
    distinct = ", ".join(f"{column(*names)} AS {role}" for role, names in named.items())
    digits = ", ".join(f"regexp_replace({name}, '[^0-9]', '', 'g') AS {name}" for name in (NIK, KK, _KPJ))
    return f"SELECT * REPLACE ({digits}) FROM (SELECT DISTINCT {distinct}, nik_key FROM ({relation}))"


def _public_names(s: Settings) -> Iterator[str]:
    """Places and offices: a person's name equal to one of them says nothing."""
    for file, column in (("regions.csv", "name"), ("region_aliases.csv", "alias"), ("service_units.csv", "name")):
        with (s.seeds_dir / file).open(encoding="utf-8", newline="") as seed:
            for row in csv.DictReader(seed):
                yield row[column]
                yield row[column].partition(" ")[2]
