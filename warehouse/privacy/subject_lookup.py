"""Whom a request means: the rows of the vault that are the person's, and all that the person is known by in them.

Here: a request's words, the person's rows by number, description and link, what follows for tombstones. Not here: the
marks made of it (tombstones), taking anything out (erasure).

Agencies write one person differently. Rows that linkage holds to be the same person's count as theirs when they have no
number, the person's own, or another one beside the very name and birth date. A row that only bears the person's number,
as a child's row does where a mother's number was typed, tells nothing of the person.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import sqlalchemy as sa

from warehouse import linkage
from warehouse.core.contract import Contract, Identity, load_contracts
from warehouse.core.duck import one_row
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.intake import tombstones
from warehouse.ledger import Ledger, tables
from warehouse.linkage import profiles
from warehouse.scan import Held, Values, as_values, gather
from warehouse.storage import vault

_SIXTEEN = re.compile(r"[0-9]{16}")
_SPACING = re.compile(r"[\s.'`-]")
# What a family shares: found in a file, it tells of the others too.
_OTHERS_TOO = {"parent_nik", "parent_name", "kk", "address", "account_number", "meter_number"}
_DESCRIPTION_LINES = (2, 3)


@dataclass(frozen=True)
class Person:
    """Somebody as a request names them: by NIK, or by name with birth date, family card or both."""

    nik: str | None = None
    name: str | None = None
    birth_date: date | None = None
    card: str | None = None

    @classmethod
    def from_text(cls, text: str) -> "Person":
        """From one line with a NIK, or lines of name, birth date (ISO) and family card, of which one may be empty.

        Raises ConfigError PERSON_UNCLEAR.
        """
        lines = [line.strip() for line in text.strip("\n").splitlines()]
        if len(lines) == 1 and _SIXTEEN.fullmatch(number := _SPACING.sub("", lines[0])):
            return cls(nik=number)
        if len(lines) in _DESCRIPTION_LINES:
            name, day, card = (*lines, "")[:3]
            card = _SPACING.sub("", card)
            person = cls(None, name, _date(day), card or None)
            if (not card or _SIXTEEN.fullmatch(card)) and person.texts():
                return person
        raise _unclear()

    def texts(self) -> dict[tombstones.Kind, str]:
        return tombstones.texts(nik=self.nik, name=self.name, birth_date=self.birth_date, card=self.card)


@dataclass(frozen=True)
class Known:
    """What the person is known by, for tombstones; and numbers and names as the scan looks for them."""

    texts: frozenset[tuple[tombstones.Kind, str]]
    values: Values


def _date(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _unclear() from None


def _unclear() -> ConfigError:
    return ConfigError(
        "PERSON_UNCLEAR",
        "Orang disebut dengan satu baris NIK 16 angka; atau tanpa NIK dengan baris nama, tanggal lahir (2023-04-05) dan"
        " nomor kartu keluarga (salah satu dari dua yang terakhir boleh kosong).",
        "A person is named by one line with a NIK of 16 digits; or without one by lines of name, birth date"
        " (2023-04-05) and family card number (one of the last two may be empty).",
        "Periksa masukan; data itu dibaca dari masukan standar atau berkas, tidak pernah dari baris perintah.",
        "Check what was given; it is read from standard input or a file, never from the command line.",
    )


def vault_relations(s: Settings, led: Ledger) -> list[tuple[Contract, str]]:
    """Every file of the vault that is there, in force or not, by the contract of its rows about persons."""
    lake_rows = led.rows(
        sa.select(tables.lake_files.c.path, tables.deliveries.c.dataset)
        .join(tables.deliveries, tables.deliveries.c.delivery_id == tables.lake_files.c.delivery_id)
        .where(tables.lake_files.c.kind == "vault")
        .order_by(tables.lake_files.c.path)
    )
    files: dict[str, list[Path]] = defaultdict(list)
    for row in lake_rows:
        if (path := s.home / row["path"]).is_file():
            files[row["dataset"]].append(path)
    contracts = load_contracts(s.contracts_dir)
    return [
        (contracts[dataset], vault.relation_sql(paths))
        for dataset, paths in files.items()
        if dataset in contracts and tombstones.texts_sql(contracts[dataset], typed=True)
    ]


_HELD = """
CREATE TABLE held (
    record_key VARCHAR, dataset VARCHAR, name_key VARCHAR, name_line VARCHAR, birth DATE, sex VARCHAR,
    nik VARCHAR, described VARCHAR, card VARCHAR, numbered VARCHAR
);
"""

# By number: with whom the number stays where several go by it. The others only bear it.
_OWN_BY_NUMBER = f"""
CREATE TABLE own AS
SELECT b.* FROM held AS b, (
    SELECT name_key, name_line, birth, sex, max(is_nik_of(nik, birth, sex)) AS is_own FROM held
    GROUP BY ALL
    ORDER BY is_own DESC, max(coalesce(nik_birth(nik) = strftime(birth, '%y%m%d'), false)) DESC,
        max(dataset = '{profiles.REGISTRY}') DESC, count(*) DESC, name_key, birth, sex
    LIMIT 1
) AS a
WHERE is_same_bearer(a.name_key, b.name_key, a.name_line, b.name_line, a.birth, b.birth)
    AND NOT is_other_sex(a.sex, b.sex, a.is_own, is_nik_of(b.nik, b.birth, b.sex), false, false);
"""

_MEMBERS = """
CREATE TABLE members AS
WITH described_by AS (
    SELECT described FROM (FROM own UNION ALL FROM linked) WHERE nik IS NULL OR nik IN (SELECT nik FROM numbers)
)
FROM own
UNION
FROM linked
WHERE nik IS NULL OR nik IN (SELECT nik FROM numbers) OR described IN (SELECT described FROM described_by)
"""


def recognise(s: Settings, led: Ledger, person: Person) -> Known:
    """All that the vault's rows and tonight's links tell of whom ``person`` names.

    Raises ConfigError PERSON_NOT_ONE for a number that many people go by: it is an office's stand-in, nobody's.
    """
    texts = person.texts()
    relations = vault_relations(s, led)
    with vault.connect(s) as connection:
        profiles.define_macros(connection)
        connection.execute(_HELD)
        for contract, relation in relations:
            _hold(connection, contract, relation, "held", _same_texts_sql(texts), texts)
        _refuse_stand_in(connection)
        connection.execute(_OWN_BY_NUMBER if person.nik else "CREATE TABLE own AS FROM held")
        connection.execute(f"CREATE VIEW links AS {linkage.relation_sql(s)}")
        connection.execute(
            "CREATE TABLE wanted AS SELECT record_key FROM links WHERE person_key IN"
            " (SELECT person_key FROM links SEMI JOIN own USING (record_key))"
            " AND record_key NOT IN (SELECT record_key FROM held)"
        )
        connection.execute("CREATE TABLE linked AS FROM held WHERE false")
        for contract, relation in relations:
            _hold(connection, contract, relation, "linked", "record_key IN (SELECT record_key FROM wanted)", {})
        connection.execute(
            "CREATE TABLE numbers AS SELECT DISTINCT nik FROM (FROM own UNION ALL FROM linked) WHERE nik IS NOT NULL"
        )
        if person.nik:
            connection.execute("DELETE FROM numbers WHERE nik <> $1", [person.nik])
        else:
            # Several numbers: which of them is the person's nobody can tell; each counts beside name and birth date.
            connection.execute("DELETE FROM numbers WHERE (SELECT count(*) FROM numbers) > 1")
        connection.execute(_MEMBERS)
        others: Held = defaultdict(set)
        for contract, relation in relations:
            own = f"SELECT * FROM ({relation}) SEMI JOIN members USING (record_key)"
            gather(connection, contract, own, others)
        return _known(connection, person, others)


def _same_texts_sql(texts: dict[tombstones.Kind, str]) -> str:
    """Rows that say just what was told; with a number of their own only where all that was told agrees."""
    if "nik" in texts:
        return "nik = $nik"
    likenesses = [f"{kind} = ${kind}" for kind in texts]
    both = " AND ".join(likenesses) if len(likenesses) > 1 else "false"
    return f"(nik IS NULL AND ({' OR '.join(likenesses)})) OR ({both})"


def _hold(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    relation: str,
    into: str,
    where: str,
    values: Mapping[tombstones.Kind, str],
) -> None:
    texts = tombstones.texts_sql(contract, typed=True)
    if texts is None:
        return
    name, birth, sex = _column(contract, "person_name"), _column(contract, "birth_date"), _column(contract, "sex")
    connection.execute(
        f"INSERT INTO {into} SELECT * FROM (SELECT record_key, '{contract.dataset}' AS dataset,"
        f" name_key({name}) AS name_key, name_line({name}) AS name_line, {birth} AS birth,"
        f" sex_of({sex}) AS sex,"
        f" {texts['nik']} AS nik, {texts['described']} AS described, {texts['card']} AS card,"
        f" {texts['numbered']} AS numbered FROM ({relation})) WHERE {where}",
        values,
    )


def _column(contract: Contract, identity: Identity) -> str:
    column = contract.identity(identity)
    return f'"{column.name}"' if column else "NULL"


def _refuse_stand_in(connection: duckdb.DuckDBPyConnection) -> None:
    (bearers,) = one_row(connection.execute("SELECT count(DISTINCT (name_key, birth)) FROM held WHERE nik IS NOT NULL"))
    if bearers > profiles.STAND_IN_BEARERS:
        raise ConfigError(
            "PERSON_NOT_ONE",
            f"Nomor itu dipakai {bearers} orang berbeda: nomor pengganti, bukan NIK seseorang.",
            f"{bearers} different people go by that number: it is a stand-in, nobody's NIK.",
            "Sebut orangnya dengan nama, tanggal lahir dan nomor kartu keluarga; beri tahu pengirim nomor itu.",
            "Name the person by name, birth date and family card; tell the sender about the number.",
        )


def _known(connection: duckdb.DuckDBPyConnection, person: Person, others: Held) -> Known:
    """``others`` are the person's further identities; of numbers and parents that others share, none is theirs."""
    texts = set(person.texts().items())
    texts |= {("nik", nik) for (nik,) in connection.execute("SELECT nik FROM numbers").fetchall()}
    for kind in ("described", "card"):
        rows = connection.execute(
            f"SELECT DISTINCT {kind} FROM members WHERE {kind} IS NOT NULL"
            " AND (nik IS NULL OR nik IN (SELECT nik FROM numbers))"
        ).fetchall()
        texts |= {(kind, text) for (text,) in rows}
    rows = connection.execute(
        "SELECT DISTINCT numbered FROM members WHERE numbered IS NOT NULL AND nik NOT IN (SELECT nik FROM numbers)"
    ).fetchall()
    texts |= {("numbered", text) for (text,) in rows}
    day = person.birth_date.isoformat() if person.birth_date else None
    own = {kind: texts for kind, texts in others.items() if kind not in _OTHERS_TOO}
    texts_of = defaultdict(set, own | {"nik": {text for kind, text in texts if kind == "nik"}})
    return Known(frozenset(texts), as_values(texts_of, [(person.name, day)] if person.name else []))
