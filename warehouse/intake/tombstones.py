"""Tombstones: keyed marks by which an erased person is known again, in a later delivery or a restored backup.

Here: making marks, keeping them, asking which rows of a relation carry one. Not here: what then happens (erasure).

A mark is a chain of HMAC-SHA256 under random keys. A change of keys puts one more link on every mark, so that a leaked
key tests nobody; the clear number is not needed for that, and is nowhere. Keys, marks and the decisions behind them
lie together in one file in the vault, encrypted to the landing key and named after it: restored beside an older ledger
it brings the decisions back.

A row is known by its NIK. One without a usable NIK is known by name and birth date, or name and family card. One with
another number (a slip of an agency, a mother's) is known by that number together with name and birth date.
Numbers in a name count: they tell babies of one mother apart. Which column is which, the contract says.
"""

import hmac
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyrage
from pyrage.x25519 import Identity, Recipient

from warehouse.core import files
from warehouse.core.contract import Contract
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.intake.gate.staging import cast_sql, quoted
from warehouse.storage import keys, vault

Kind = Literal["nik", "described", "card", "numbered"]
_WITH_NAME: tuple[Kind, ...] = ("described", "card", "numbered")
_KEY_BYTES = 32


@dataclass(frozen=True)
class Mark:
    kind: Kind
    value: str
    erasure_id: str


@dataclass(frozen=True)
class Chain:
    """Marks made under the same keys, oldest key first."""

    keys: tuple[str, ...]
    marks: tuple[Mark, ...]

    def longer(self) -> "Chain":
        """The same persons, known under one more key."""
        key = secrets.token_hex(_KEY_BYTES)
        marks = (replace(mark, value=_linked((key,), mark.value.encode())) for mark in self.marks)
        return Chain((*self.keys, key), tuple(marks))


@dataclass(frozen=True)
class Tombstones:
    """``decisions`` are ledger rows of ``erasures`` as they were when the marks were made, by id."""

    chains: tuple[Chain, ...] = ()
    decisions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def only(self, erasure_id: str) -> "Tombstones":
        """The marks of one erasure."""
        chains = (replace(c, marks=tuple(m for m in c.marks if m.erasure_id == erasure_id)) for c in self.chains)
        return Tombstones(tuple(chain for chain in chains if chain.marks), self.decisions)

    def longer(self) -> "Tombstones":
        return Tombstones(tuple(chain.longer() for chain in self.chains), self.decisions)


# --- the file --------------------------------------------------------------------------------------------------------


def load(s: Settings) -> Tombstones:
    """All marks of the files that a landing key at hand opens; raises ConfigError TOMBSTONES_UNREADABLE."""
    files = set(s.vault_dir.glob("tombstones-*.age"))
    if not files:
        return Tombstones()
    chains: list[Chain] = []
    decisions: dict[str, Any] = {}
    at_hand = {_file(s, identity): identity for identity in _identities(s)}
    for path, identity in at_hand.items():
        if path in files:
            document = json.loads(pyrage.decrypt(path.read_bytes(), [identity]))
            decisions |= document["decisions"]
            chains += [Chain(tuple(c["keys"]), tuple(Mark(**mark) for mark in c["marks"])) for c in document["chains"]]
    if files.isdisjoint(at_hand):
        raise ConfigError(
            "TOMBSTONES_UNREADABLE",
            "Tanda penghapusan di vault disandikan untuk kunci landing lain.",
            "The tombstones in the vault were encrypted to another landing key.",
            "Pasang kunci itu sebagai kunci berikutnya (folder next) lalu ulangi; tanpa tanda itu orang yang dihapus"
            " dapat masuk lagi.",
            "Install that key as the next one (folder next) and repeat; without them erased persons could come back.",
        )
    return Tombstones(tuple(dict.fromkeys(chains)), decisions)


def save(s: Settings, stones: Tombstones, recipient: Recipient) -> Path:
    """Keep the marks, encrypted to ``recipient``, whole and on disk; the file of another key stays."""
    chains = [{"keys": chain.keys, "marks": [asdict(mark) for mark in chain.marks]} for chain in stones.chains]
    text = json.dumps({"decisions": stones.decisions, "chains": chains}, default=str, sort_keys=True)
    path = _file(s, recipient)
    with files.whole_file(path) as draft:
        draft.write_bytes(pyrage.encrypt(text.encode(), [recipient]))
    return path


def forget_others(s: Settings) -> None:
    """Remove the files of keys no longer in use."""
    for path in set(s.vault_dir.glob("tombstones-*.age")) - {_file(s, keys.landing_identity(s))}:
        path.unlink()


def _file(s: Settings, key: Identity | Recipient) -> Path:
    return s.vault_dir / f"tombstones-{keys.check_value(key)[:12]}.age"


def _identities(s: Settings) -> Iterable[Identity]:
    yield keys.landing_identity(s)
    for generation in ("current", "next"):
        if other := keys.usable(s, keys.LANDING_SECRET, generation):
            yield other


# --- marks -----------------------------------------------------------------------------------------------------------


def with_person(stones: Tombstones, decision: Mapping[str, Any], texts: Iterable[tuple[Kind, str]]) -> Tombstones:
    """The marks with those of one more person, known by ``texts``."""
    first, *others = stones.chains or (Chain((secrets.token_hex(_KEY_BYTES),), ()),)
    erasure_id = decision["erasure_id"]
    marks = (Mark(kind, _linked(first.keys, f"{kind}:{text}".encode()), erasure_id) for kind, text in texts)
    chain = replace(first, marks=tuple(dict.fromkeys((*first.marks, *marks))))
    return Tombstones((chain, *others), {**stones.decisions, erasure_id: dict(decision)})


def _linked(chain: Iterable[str], message: bytes) -> str:
    """The message's HMAC under the first key, that one's text under the next, and so on."""
    for key in chain:
        message = hmac.digest(bytes.fromhex(key), message, "sha256").hex().encode()
    return message.decode()


def define(connection: duckdb.DuckDBPyConnection, stones: Tombstones) -> None:
    """Create the macro ``is_marked(kind, text)``; keys and marks reach SQL through variables, not through its text."""
    tests = ["false"]
    for number, chain in enumerate(stones.chains):
        _define(connection, f"link_{number}", chain.keys)
        connection.execute(f"SET VARIABLE marks_{number} = ?", [[mark.value for mark in chain.marks]])
        tests.append(f"list_contains(getvariable('marks_{number}'), link_{number}(encode(kind || ':' || message)))")
    connection.execute(
        f"CREATE OR REPLACE TEMP MACRO is_marked(kind, message) AS coalesce({' OR '.join(tests)}, false)"
    )


def _define(connection: duckdb.DuckDBPyConnection, name: str, chain: Iterable[str]) -> None:
    """Create a macro that does to a message what ``_linked`` does."""
    expression = "message"
    for number, key in enumerate(chain):
        inner, outer = vault.pads(bytes.fromhex(key))
        connection.execute(f"SET VARIABLE {name}_{number}_inner = ?", [inner])
        connection.execute(f"SET VARIABLE {name}_{number}_outer = ?", [outer])
        within = expression if number == 0 else f"encode({expression})"
        hashed = f"sha256(getvariable('{name}_{number}_inner') || {within})"
        expression = f"sha256(getvariable('{name}_{number}_outer') || unhex({hashed}))"
    connection.execute(f"CREATE OR REPLACE TEMP MACRO {name}(message) AS {expression}")


def texts_sql(contract: Contract, *, typed: bool) -> dict[Kind, str] | None:
    """SQL for what a row of a contract's relation is known by; None where its rows are about no person.

    ``typed`` says whether the birth date is a date already, or a cell as sent.
    """
    number, card = contract.identity("nik"), contract.identity("kk")
    name, birth = contract.identity("person_name"), contract.identity("birth_date")
    if number is None and (name is None or (birth or card) is None):
        return None
    letters = f"nullif(regexp_replace(upper({quoted(name.name)}), '[^A-Z0-9]', '', 'g'), '')" if name else "NULL"
    day = "NULL"
    if birth:
        date = quoted(birth.name) if typed else cast_sql(quoted(birth.name), birth)
        day = f"strftime({date}, '%Y-%m-%d')"
    nik, kk = (vault.usable_sql(column.name) if column else "CAST(NULL AS VARCHAR)" for column in (number, card))
    return {
        "nik": nik,
        "described": f"{letters} || '|' || {day}",
        "card": f"{letters} || '|' || {kk}",
        "numbered": f"{nik} || '|' || {letters} || '|' || {day}",
    }


def texts(*, nik: str | None, name: str | None, birth_date: date | None, card: str | None) -> dict[Kind, str]:
    """The same of a person that somebody tells of: what can be said of the four."""
    letters = re.sub("[^A-Z0-9]", "", (name or "").upper())
    said: dict[Kind, str] = {"nik": nik} if nik else {}
    if letters and birth_date:
        said["described"] = f"{letters}|{birth_date.isoformat()}"
    if letters and card:
        said["card"] = f"{letters}|{card}"
    return said


def is_marked_sql(contract: Contract, *, typed: bool) -> str | None:
    """SQL that tells, on a connection of ``define``, whether a row is an erased person's."""
    texts = texts_sql(contract, typed=typed)
    if texts is None:
        return None
    others = f"is_marked('described', {texts['described']}) OR is_marked('card', {texts['card']})"
    return (
        f"(is_marked('nik', {texts['nik']}) OR is_marked('numbered', {texts['numbered']})"
        f" OR ({texts['nik']} IS NULL AND ({others})))"
    )


def is_described_sql(contract: Contract) -> str | None:
    """SQL that tells of a marked row of the vault whether it is about the person, or only bears their number."""
    texts = texts_sql(contract, typed=True)
    if texts is None:
        return None
    others = " OR ".join(f"is_marked('{kind}', {texts[kind]})" for kind in _WITH_NAME)
    return f"({texts['described']} IS NULL OR {others})"
