"""Who is who across deliveries and agencies, inside the vault; gives out keys only.

Here: ``link``, rebuilt whole from the identities in force, ``refresh``, which spares it where nothing has changed, and
the two relations it leaves behind. Its steps are
modules: ``profiles`` (what is compared), ``exact`` (numbers and equal descriptions), ``model`` (Splink on who is left),
``clusters`` (from scores to persons), ``clerical_review`` (what waits for a person, and decisions). Their SQL stands in
``sql/``. Not here: identities' files
(vault), what marts make of links (dbt).

A person is a NIK that name and birth date do not speak against; whoever has none is looked for among the others, one to
one within an agency. A family is a family card; a person's record without one takes the card that the person's other
records agree on, a child without any record on a card the card of its parents. Names stay in this connection: what is
written holds keys, method, weight, model version and band.

Bands: ``link`` is firm, ``review`` may be one more person (``identity_candidates`` says who) and waits for somebody to
look, ``none`` is known to one agency alone and has nobody to be.
"""

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa

from warehouse.core import duck, files
from warehouse.core.contract import load_contracts
from warehouse.core.duck import one_row, sql_path
from warehouse.core.redaction import redacted
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, deliveries
from warehouse.ledger.tables import erasures, lake_files, linkage_decisions
from warehouse.linkage import clerical_review, clusters, exact, model, profiles
from warehouse.storage import keys, lake, vault

LINKS, CANDIDATES = "identity_links", "identity_candidates"
COLUMNS = {
    LINKS: {
        "record_key": "VARCHAR",
        "dataset": "VARCHAR",
        "person_key": "VARCHAR",
        "family_key": "VARCHAR",
        "method": "VARCHAR",
        "weight": "DOUBLE",
        "model_version": "VARCHAR",
        "band": "VARCHAR",
    },
    CANDIDATES: {
        "record_key": "VARCHAR",
        "dataset": "VARCHAR",
        "person_key": "VARCHAR",
        "candidate_person_key": "VARCHAR",
        "method": "VARCHAR",
        "weight": "DOUBLE",
        "model_version": "VARCHAR",
    },
}


def refresh(s: Settings, led: Ledger) -> None:
    """Rebuild both relations unless they stand, undamaged, and were made of exactly what is in force now."""
    made_of = _made_of(s, led)
    note = s.vault_dir / "linked.json"
    if is_there(s) and note.is_file() and note.read_text(encoding="utf-8") == _note(s, made_of):
        return
    link(s, led)
    with files.whole_file(note) as draft:
        draft.write_text(_note(s, made_of), encoding="utf-8")


def _made_of(s: Settings, led: Ledger) -> str:
    """Hash over the files, contracts, key, code and decisions that links follow from."""
    files: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in led.rows(sa.select(lake_files)):
        files[row["verdict_id"]].append((row["kind"], row["sha256"]))
    fingerprints = [
        (contract.dataset, contract.version, one.delivery_id, sorted(files[one.verdict_id]))
        for contract in load_contracts(s.contracts_dir).values()
        if contract.identity_columns or contract.dataset == profiles.FAMILIES
        for one in deliveries.in_force(led, contract.dataset, contract.extras.delivery_mode)
    ]
    code = _short_hash(Path(vault.__file__).read_bytes())
    key = vault.key_id(keys.pseudonym_key(s))
    return _short_hash(json.dumps([fingerprints, inputs(s, led), code, key]).encode())


def _note(s: Settings, made_of: str) -> str:
    return json.dumps({"made_of": made_of} | {name: _short_hash(_file(s, name).read_bytes()) for name in COLUMNS})


def _short_hash(data: bytes) -> str:
    """Fifteen digits: sixteen of a hash may look like a NIK to the leak scan."""
    return hashlib.sha256(data).hexdigest()[:15]


def link(s: Settings, led: Ledger) -> int:
    """Rebuild both relations from every identity in force; returns how many records are linked."""
    version, settings = model.load(model.newest(s))
    with vault.connect(s) as connection:
        _prepare(connection, s, led)
        clusters.build_comparisons(connection)
        model.predict(connection, settings, "to_compare", clusters.REVIEW_FROM)
        clusters.resolve_clusters(connection)
        clusters.write_links(connection, version)
        for name, columns in COLUMNS.items():
            with files.whole_file(_file(s, name)) as draft:
                connection.table(name).select(*columns).write_parquet(str(draft), compression="zstd")
        return int(one_row(connection.table(LINKS).count("*"))[0])


@redacted
def train(s: Settings, led: Ledger) -> Path:
    """Learn the model anew from the identities in force and store it as the newest version.

    Raises BuildError LINKAGE_TRAINING where too few people are known to two agencies.
    """
    with keys.shared_lock(s), vault.connect(s) as connection:
        _prepare(connection, s, led)
        clusters.build_training(connection, model.TRAINED_ON)
        return model.store(s, model.train(connection, "training"))


def _prepare(connection: duckdb.DuckDBPyConnection, s: Settings, led: Ledger) -> None:
    """Profiles, decisions and exact edges, and the clusters that follow from them."""
    profiles.define_macros(connection)
    vault.define_pseudonym(connection, keys.pseudonym_key(s))
    profiles.make(connection, s, led, load_contracts(s.contracts_dir))
    clerical_review.apply(connection, clerical_review.decided(led))
    exact.find_edges(connection)
    clusters.cluster(connection)
    exact.rank_claims(connection)


def relation_sql(s: Settings, name: str = LINKS) -> str:
    """SELECT over the newest relation of that name: keys alone, so that a build may read it; empty before the first."""
    if _file(s, name).is_file():
        return f"SELECT {', '.join(COLUMNS[name])} FROM read_parquet('{sql_path(_file(s, name))}')"
    nothing = ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in COLUMNS[name].items())
    return f"SELECT {nothing} WHERE false"


def queue(s: Settings, led: Ledger) -> list[dict[str, Any]]:
    """Pairs that wait for a person's decision, the likeliest first; keys, methods and weights only."""
    return clerical_review.queue(led, relation_sql(s), relation_sql(s, CANDIDATES))


def person(s: Settings, led: Ledger, person_key: str) -> list[dict[str, Any]]:
    """The records that are one person by the last linking, or the one that is nobody's; raises REVIEW_UNKNOWN."""
    person_keys = [
        f"SELECT record_key, '{contract.dataset}' AS dataset FROM ({lake.relation_sql(s, led, contract)})"
        for contract in load_contracts(s.contracts_dir).values()
        if contract.identity_columns
    ]
    with duck.connect(s, sees_identifiers=True) as connection:
        vault.define_pseudonym(connection, keys.pseudonym_key(s))
        connection.execute(f"CREATE VIEW identity_links AS {relation_sql(s)}")
        connection.execute(f"CREATE VIEW records AS {' UNION ALL '.join(person_keys)}")
        return clerical_review.person(connection, person_key)


def decided(led: Ledger) -> list[dict[str, Any]]:
    """Pairs on which somebody has decided, newest first: keys, methods and decisions only."""
    return clerical_review.decided_pairs(led)


@redacted
def show(s: Settings, led: Ledger, pair_id: str, person: str) -> list[dict[str, Any]]:
    """Both records of a waiting or decided pair in clear; raises ConfigError REVIEW_UNKNOWN, OPENING_NONE."""
    return clerical_review.show(s, led, load_contracts(s.contracts_dir), _find(s, led, pair_id), person)


@redacted
def decide(s: Settings, led: Ledger, pair_id: str, decision: str, reason: str, person: str) -> dict[str, Any]:
    """Decide on a waiting pair, or anew on a decided one; raises REVIEW_UNKNOWN, REVIEW_DECISION, OPENING_NONE."""
    pair = _find(s, led, pair_id)
    return clerical_review.decide(s, led, load_contracts(s.contracts_dir), pair, decision, reason, person)


@redacted
def ask(s: Settings, led: Ledger, one: str, other: str, reason: str, by: str) -> str:
    """Put two records into the queue, whatever they are to each other now; returns the pair's id.

    Raises ConfigError REVIEW_RECORDS, REVIEW_DECISION, OPENING_NONE.
    """
    pair = clerical_review.asked(model.load(model.newest(s))[0], one, other)
    clerical_review.decide(s, led, load_contracts(s.contracts_dir), pair, "unsure", reason, by)
    return str(pair["pair_id"])


def _find(s: Settings, led: Ledger, pair_id: str) -> dict[str, Any]:
    return clerical_review.find([*queue(s, led), *decided(led)], pair_id)


def models(s: Settings) -> list[dict[str, str]]:
    """Versions of the model, oldest first; the last one counts."""
    return [{"model_version": model.load(path)[0], "file": path.name} for path in model.all_versions(s)]


def inputs(s: Settings, led: Ledger) -> list[str]:
    """What decides links beside deliveries: the model, this code, people's decisions, and who was erased."""
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.suffix in {".py", ".sql", ".yaml"}:
            code.update(path.read_bytes())
    decisions = led.rows(sa.select(linkage_decisions.c.decision_id).order_by(linkage_decisions.c.decision_id))
    # A build from before an erasure proves nothing, whatever it held of the person.
    erased_keys = led.rows(
        sa.select(erasures.c.erasure_id).where(erasures.c.erased_at.is_not(None)).order_by(erasures.c.erasure_id)
    )
    ids = [row["decision_id"] for row in decisions] + [row["erasure_id"] for row in erased_keys]
    return [model.load(model.newest(s))[0], code.hexdigest()[:20], *ids]


def is_there(s: Settings) -> bool:
    """Whether both relations of a linking are at hand."""
    return all(_file(s, name).is_file() for name in COLUMNS)


def _file(s: Settings, name: str) -> Path:
    return s.vault_dir / f"{name}.parquet"
