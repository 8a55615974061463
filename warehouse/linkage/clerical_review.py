"""Clerical review: the pairs that wait for a person, and what people decided: is this one person, or two?

Here: the queue, one pair in clear for an authorised person, decisions on record and their effect on the next linking.
Not here: who may open identities (purpose), what is shown where (cli).

A decision names two records, and two keyed marks of what was compared of them: record keys outlive a change of keys,
the marks a delivery that was sent again. Neither tells who somebody is.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from warehouse import ledger, scan
from warehouse.core import sql
from warehouse.core.contract import Contract
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, access_log
from warehouse.ledger.tables import linkage_decisions
from warehouse.linkage import profiles
from warehouse.storage import keys, vault

Contracts = Mapping[str, Contract]
Decision = Literal["link", "not_link", "unsure"]
DECISIONS: tuple[Decision, ...] = ("link", "not_link", "unsure")
# The method of a pair that no number and no weight put into the queue, but a person.
_ASKED = "asked"
_REASON_LENGTH = 10

_FOLDER = Path(__file__).parent / "sql" / "clerical_review"
_DECISIONS = sql.Stage(
    _FOLDER,
    {
        "decided_profiles": ("decisions", "records", "profiles"),
        "decided_pairs": ("decisions", "decided_profiles"),
        "cannot_link": ("decided_pairs",),
    },
    keeps=("decided_pairs", "cannot_link"),
)
_IDENTITIES = sql.Stage(_FOLDER, {"identities": ("identities_in_force",)}, keeps=("identities",))
STAGES = (_DECISIONS, _IDENTITIES)
_KEYS = ("left_record_key", "right_record_key", "left_profile_key", "right_profile_key")


# --- decisions on record ----------------------------------------------------------------------------------------------


def decided(led: Ledger) -> list[dict[str, Any]]:
    """Every decision, oldest first: on one pair the newest counts."""
    return led.rows(
        sa.select(linkage_decisions).order_by(linkage_decisions.c.decided_at, linkage_decisions.c.decision_id)
    )


def apply(connection: duckdb.DuckDBPyConnection, decisions: Iterable[Mapping[str, Any]]) -> None:
    """Create ``decided_pairs`` (a, b, decision) of profiles, and of these the constraint ``cannot_link`` (a, b)."""
    rows = [
        {"number": number, **{name: row[name] for name in ("decision", *_KEYS)}} for number, row in enumerate(decisions)
    ]
    texts = [(name, pa.string()) for name in ("decision", *_KEYS)]
    connection.register("decisions", pa.Table.from_pylist(rows, pa.schema([("number", pa.int32()), *texts])))
    sql.run(connection, _DECISIONS)
    connection.unregister("decisions")


# --- the queue --------------------------------------------------------------------------------------------------------


def queue(led: Ledger, links_sql: str, candidates_sql: str) -> list[dict[str, Any]]:
    """Pairs that wait for a decision, the likeliest first: keys, methods and weights, nothing of a person."""
    unsure = {_sides(row): row for row in decided_pairs(led) if row["decision"] == "unsure"}
    doubted = [row for row in unsure.values() if row["method"] == _ASKED]
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW identity_candidates AS {candidates_sql}")
        connection.execute(f"CREATE VIEW identity_links AS {links_sql}")
        rows = sql.query(connection, _FOLDER / "queue.sql").to_arrow_table().to_pylist()
        record_keys = [key for row in doubted for key in _sides(row)]
        datasets = dict(sql.query(connection, _FOLDER / "datasets_of_records.sql", record_keys=record_keys).fetchall())
    sides_queued = {_sides(row) for row in rows}
    doubted = [
        row | {"datasets": sorted({datasets[key] for key in _sides(row) if key in datasets})}
        for row in doubted
        if _sides(row) not in sides_queued
    ]
    return [
        {
            "pair_id": _pair_id(row),
            **{key: row[key] for key in ("datasets", "method", "weight", "model_version")},
            "is_unsure": _sides(row) in unsure,
            **{key: row[key] for key in ("left_record_key", "right_record_key")},
        }
        for row in [*rows, *doubted]
    ]


def person(connection: duckdb.DuckDBPyConnection, person_key: str) -> list[dict[str, Any]]:
    """The records that are one person, by keys; raises ConfigError REVIEW_UNKNOWN where none is.

    ``connection`` knows ``identity_links``, ``records`` (record_key, dataset) and the macro ``pseudonym``.
    """
    rows: list[dict[str, Any]] = []
    for query in ("records_of_person.sql", "record_of_nobody.sql"):
        if not rows:
            person_records = sql.query(connection, _FOLDER / query, person_key=person_key)
            rows = person_records.to_arrow_table().to_pylist()
    if not rows:
        raise ConfigError(
            "REVIEW_UNKNOWN",
            "Penautan terakhir tidak mengenal orang dengan kunci ini.",
            "The last linking knows nobody by this key.",
            "Ambil person_key dari micro.duckdb rilis terakhir. record_key dari berkas bangun dipakai langsung pada"
            " `warehouse review ask`.",
            "Take person_key from micro.duckdb of the newest release. A record_key of the build file is used in"
            " `warehouse review ask` as it is.",
        )
    return rows


def asked(model_version: str, one: str, other: str) -> dict[str, Any]:
    """The pair of two records that somebody doubts, linked or not; raises ConfigError REVIEW_RECORDS."""
    if one == other:
        raise _unknown_records()
    first, second = sorted((one, other))
    pair = {"left_record_key": first, "right_record_key": second}
    return pair | {"pair_id": _pair_id(pair), "method": _ASKED, "weight": 0.0, "model_version": model_version}


def _unknown_records() -> ConfigError:
    return ConfigError(
        "REVIEW_RECORDS",
        "Sebut dua baris yang berbeda, masing-masing dengan record_key dari kiriman yang berlaku.",
        "Name two different records, each by its record_key, of deliveries in force.",
        "Lihat baris seseorang dengan `warehouse review person KEY`.",
        "See a person's records with `warehouse review person KEY`.",
    )


def decided_pairs(led: Ledger) -> list[dict[str, Any]]:
    """Pairs with a decision, the newest decision on each, newest first."""
    newest = {_pair_id(row): row for row in decided(led)}
    return [row | {"pair_id": pair_id} for pair_id, row in reversed(newest.items())]


def _sides(pair: Mapping[str, Any]) -> tuple[str, str]:
    return pair["left_record_key"], pair["right_record_key"]


def _pair_id(pair: Mapping[str, Any]) -> str:
    return hashlib.sha256("|".join(_sides(pair)).encode()).hexdigest()[:10]


def find(pairs: Iterable[dict[str, Any]], pair_id: str) -> dict[str, Any]:
    """The pair of that id; raises ConfigError REVIEW_UNKNOWN."""
    for pair in pairs:
        if pair["pair_id"] == pair_id:
            return pair
    raise ConfigError(
        "REVIEW_UNKNOWN",
        "Pasangan ini tidak menunggu keputusan dan belum pernah diputuskan.",
        "This pair waits for no decision and none was ever made on it.",
        "Lihat `warehouse review list`, atau dengan --decided.",
        "See `warehouse review list`, or with --decided.",
    )


def show(s: Settings, led: Ledger, contracts: Contracts, pair: Mapping[str, Any], person: str) -> list[dict[str, Any]]:
    """Both records in clear, for whoever has an opening of identities in force; raises ConfigError OPENING_NONE.

    Which records were looked at is in the access log before one is.
    """
    opening = access_log.demand_open(s, led, "identity", person)
    keys.vault_key(s)
    record_keys = list(_sides(pair))
    access_log.record_look(s, led, opening, record_keys)
    return _records(s, led, contracts, record_keys)


def _records(s: Settings, led: Ledger, contracts: Contracts, record_keys: list[str]) -> list[dict[str, Any]]:
    with vault.connect(s) as connection:
        _fetch(connection, s, led, contracts, record_keys)
        records = sql.query(connection, _FOLDER / "shown.sql").to_arrow_table().to_pylist()
    rows = {row.pop("record_key"): row for row in records}
    return [rows[key] for key in record_keys if key in rows]


def _fetch(
    connection: duckdb.DuckDBPyConnection, s: Settings, led: Ledger, contracts: Contracts, record_keys: Iterable[str]
) -> None:
    """Create ``identities`` with these records alone."""
    connection.execute(f"CREATE TEMP VIEW identities_in_force AS {profiles.identities_sql(s, led, contracts)}")
    sql.run(connection, _IDENTITIES, record_keys=list(record_keys))


def decide(
    s: Settings,
    led: Ledger,
    contracts: Contracts,
    pair: Mapping[str, Any],
    decision: str,
    reason: str,
    person: str,
) -> dict[str, Any]:
    """Record a decision on a pair; it holds from the next linking on.

    Raises ConfigError REVIEW_DECISION for an unknown decision or a missing reason, OPENING_NONE without an opening,
    REVIEW_RECORDS where a record is in no delivery in force.
    """
    if decision not in DECISIONS or len(reason.strip()) < _REASON_LENGTH:
        raise ConfigError(
            "REVIEW_DECISION",
            "Keputusan ialah link, not_link atau unsure, dengan alasan sekurangnya sepuluh huruf.",
            "A decision is link, not_link or unsure, with a reason of at least ten letters.",
            "Lengkapi keputusan dan --reason; jangan menulis data pribadi di dalamnya.",
            "Complete the decision and --reason; put no personal data into it.",
        )
    scan.refuse_identities(reason)
    opening = access_log.demand_open(s, led, "identity", person)
    sides = _sides(pair)
    left, right = _profile_keys(s, led, contracts, sides)
    row = {
        "decision_id": ledger.new_id(),
        "left_record_key": sides[0],
        "right_record_key": sides[1],
        "left_profile_key": left,
        "right_profile_key": right,
        "decision": decision,
        "reason": reason.strip(),
        "decided_by": person.strip(),
        "decided_at": s.utc_now(),
        "opening_id": opening["opening_id"],
        **{key: pair[key] for key in ("method", "weight", "model_version")},
    }
    led.insert(linkage_decisions, row)
    return row


def _profile_keys(s: Settings, led: Ledger, contracts: Contracts, record_keys: tuple[str, str]) -> list[str]:
    with vault.connect(s) as connection:
        profiles.define_macros(connection)
        vault.define_pseudonym(connection, keys.pseudonym_key(s))
        _fetch(connection, s, led, contracts, record_keys)
        profiles.alone(connection)
        marks = dict(sql.query(connection, _FOLDER / "marks_of_records.sql").fetchall())
    if len(marks) < len(record_keys):
        raise _unknown_records()
    return [marks[key] for key in record_keys]
