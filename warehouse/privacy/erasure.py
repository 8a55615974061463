"""Erasing a person on a decided request: from landed copies, vault, lake and pseudonymised files, and for the future.

Here: finding every copy, and proving that none is left. Not here: whom a request means (subject_lookup), marks
(tombstones), taking rows out of a delivery (intake.erased), the next build and release (night).

The first thing written is the tombstone, with the decision: whatever is killed after that is completed by the next run
or night, which knows the person by the marks alone; a backup restored from before the erasure is completed in the same
way. Every later step is repeatable: what is blanked is no longer found.
"""

import hmac
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from warehouse import ledger, linkage, scan
from warehouse.core.contract import Contract, load_contracts
from warehouse.core.duck import one_row, sql_path
from warehouse.core.errors import ConfigError, UnreadableDelivery, WarehouseError
from warehouse.core.settings import Settings
from warehouse.intake import tombstones
from warehouse.intake.blanking import Place
from warehouse.intake.erased import WHOLE_FILE, marked_places, redact_rows, searching
from warehouse.intake.parse import parse
from warehouse.intake.tombstones import Tombstones
from warehouse.ledger import Ledger, access_log, deliveries, tables
from warehouse.ledger.deliveries import Delivery
from warehouse.privacy.subject_lookup import Person, recognise, vault_relations
from warehouse.release import pseudonymised, record, state
from warehouse.scan import NOTHING, Values
from warehouse.storage import keys, lake, landing, vault

Progress = Callable[[str], None]
Pointer = tuple[str, str | None, int]

_SIXTEEN = re.compile(rb"(?<![0-9])[0-9]{16}(?![0-9])")
_SHORTEST_REASON = 10
_SHORTEST_GROUND = 5
# Where a person may stand in clear; searched by their own readers.
_NOT_SEARCHED = {"landing", "vault", "keys", "sandbox"}


# --- a decision ------------------------------------------------------------------------------------------------------


def request(
    s: Settings,
    led: Ledger,
    person: Person,
    by: str,
    approver: str,
    ground: str,
    reason: str,
    progress: Progress = lambda _text: None,
) -> Values:
    """Erase a person; what is left is a new build, and the proof, for which their numbers are returned.

    Raises ConfigError ERASURE_REFUSED, PERSON_NOT_ONE, OPENING_UNAPPROVED or KEYS_*; nothing was changed then.
    """
    demand_ground(ground, reason)
    access_log.demand_two_people(by, approver)
    keys.confirm(s, led, *keys.USES)
    keys.landing_identity(s)
    decision = {
        "erasure_id": ledger.new_id(),
        "decided_by": by.strip(),
        "approver": approver.strip(),
        "ground": ground.strip(),
        "reason": reason.strip(),
        "decided_at": s.utc_now(),
    }
    with keys.exclusive_lock(s):
        record = recognise(s, led, person)
        stones = tombstones.with_person(tombstones.load(s), decision, sorted(record.texts))
        tombstones.save(s, stones, keys.landing_recipient(s))
        _complete(s, led, progress)
    return record.values


def demand_ground(ground: str, reason: str) -> None:
    """Raise ConfigError ERASURE_REFUSED without a legal ground and a reason, or where they hold somebody's number."""
    if len(reason.strip()) < _SHORTEST_REASON or len(ground.strip()) < _SHORTEST_GROUND:
        raise ConfigError(
            "ERASURE_REFUSED",
            "Penghapusan memerlukan dasar hukum, dan alasan sekurangnya sepuluh huruf.",
            "An erasure takes a legal ground, and a reason of at least ten letters.",
            "Lengkapi --ground dan --reason; jangan menulis data pribadi di dalamnya.",
            "Complete --ground and --reason; put no personal data into them.",
        )
    scan.refuse_identities(f"{ground}\n{reason}")


def told_apart(s: Settings, person: Person) -> str:
    """Tells one request's person from another's and says nothing of who it is: an approval is for one person alone."""
    texts = json.dumps(sorted(person.texts().items())).encode()
    return hmac.digest(keys.pseudonym_key(s), b"erasure:" + texts, "sha256").hex()[:32]


def is_pending(s: Settings, led: Ledger) -> bool:
    """Whether a tombstone's person has not been taken out of everything yet: after a kill, or a restored backup."""
    completed_ids = {row["erasure_id"] for row in led.rows(sa.select(tables.erasures)) if row["erased_at"]}
    return not set(tombstones.load(s).decisions or ()) <= completed_ids


def complete(s: Settings, led: Ledger, progress: Progress = lambda _text: None) -> None:
    """Take out every tombstone's person who is not yet out."""
    with keys.exclusive_lock(s):
        _complete(s, led, progress)


def _complete(s: Settings, led: Ledger, progress: Progress) -> None:
    landing.demand_folder(s, led)
    lake.set_right(s, led, load_contracts(s.contracts_dir))
    _leave_only_named(s, led)
    stones = tombstones.load(s)
    erasure_rows = {row["erasure_id"]: row for row in led.rows(sa.select(tables.erasures))}
    for erasure_id, decision in (stones.decisions or {}).items():
        if erasure_id not in erasure_rows:
            led.insert(tables.erasures, {name: tables.typed(name, value) for name, value in decision.items()})
        row = erasure_rows.get(erasure_id, {})
        if not row.get("found_at"):
            progress("find")
            _find(s, led, stones.only(erasure_id), erasure_id)
        if not row.get("erased_at"):
            _take_out(s, led, erasure_id, progress)


def _leave_only_named(s: Settings, led: Ledger) -> list[Path]:
    """Files of landing and vault that no ledger row names and nobody can tell, once all others of them are gone.

    Nobody writes there meanwhile: whoever does shares the keys' lock.
    """
    unknown = [*landing.sweep(s, led).unknown, *lake.sweep(s, led, older_than=0).unknown]
    with state.only_releaser(s):
        record.take_in(s, led)
        state.sweep(s, led)
    return unknown


# --- finding ---------------------------------------------------------------------------------------------------------


def _find(s: Settings, led: Ledger, marks: Tombstones, erasure_id: str) -> None:
    """Record every landed row of the person, and the pseudonyms it has in kept releases, in one transaction."""
    pointers, person_keys = _in_vault(s, led, marks)
    with searching(s, marks) as connection:
        for contract, row in _landed(s, led):
            pointers |= {(row.delivery_id, *place) for place in _places_in_landed(s, connection, contract, row)}
    rows = [
        {"erasure_id": erasure_id, "delivery_id": one, "source_part": part, "source_row": row, "is_blanked": False}
        for one, part, row in sorted(pointers, key=str)
    ]
    with led.write() as connection:
        if rows:
            connection.execute(tables.erased_rows.insert(), rows)
        connection.execute(
            tables.erasures.update().where(tables.erasures.c.erasure_id == erasure_id),
            {"found_at": s.utc_now(), "person_keys": person_keys},
        )


def _in_vault(s: Settings, led: Ledger, marks: Tombstones) -> tuple[set[Pointer], list[str]]:
    """The marked rows, and the person's pseudonyms: not those of others whose row only bears the person's number."""
    with searching(s, marks) as connection:
        connection.execute(
            "CREATE TABLE found (record_key VARCHAR, delivery_id VARCHAR, part VARCHAR, row BIGINT, is_own BOOLEAN)"
        )
        for contract, relation in vault_relations(s, led):
            condition = tombstones.is_marked_sql(contract, typed=True)
            own = tombstones.is_described_sql(contract)
            connection.execute(
                f"INSERT INTO found SELECT record_key, delivery_id, source_part, source_row, {own}"
                f" FROM ({relation}) WHERE {condition}"
            )
        connection.execute(f"CREATE VIEW links AS {linkage.relation_sql(s)}")
        vault.define_pseudonym(connection, keys.pseudonym_key(s))
        person_keys = connection.execute(
            f"SELECT DISTINCT {vault.own_key_sql('coalesce(person_key, record_key)')} FROM found"
            " LEFT JOIN links USING (record_key) WHERE is_own ORDER BY 1"
        ).fetchall()
        pointers = connection.execute("SELECT DISTINCT delivery_id, part, row FROM found").fetchall()
    return set(pointers), [key for (key,) in person_keys]


def _landed(s: Settings, led: Ledger) -> Iterator[tuple[Contract, Delivery]]:
    """Deliveries with rows about persons whose bytes are kept."""
    contracts = load_contracts(s.contracts_dir)
    for delivery in deliveries.kept(led):
        contract = contracts.get(delivery.dataset)
        if contract and tombstones.texts_sql(contract, typed=False):
            yield contract, delivery


def _places_in_landed(
    s: Settings, connection: duckdb.DuckDBPyConnection, contract: Contract, delivery: Delivery
) -> set[Place]:
    """Places of marked rows in a landed delivery; one that cannot be read is searched for numbers as a whole.

    A damaged copy, which cannot be searched either, may hold anybody. One that is not there holds nobody.
    """
    if not (s.home / delivery.stored_path).is_file():
        return set()
    try:
        data = landing.read(s, delivery)
    except landing.LostCopy:
        return {WHOLE_FILE}
    try:
        parsed = parse(contract, data, delivery.media)
        return marked_places(connection, contract.of_version(parsed.version), parsed.table)
    except UnreadableDelivery:
        return {WHOLE_FILE} if _numbers_marked(connection, {data}) else set()


def _numbers_marked(connection: duckdb.DuckDBPyConnection, pieces: Iterable[bytes]) -> int:
    """How many different 16-digit numbers in the pieces are a marked person's."""
    numbers = {number.decode() for piece in pieces for number in _SIXTEEN.findall(piece)}
    if not numbers:
        return 0
    connection.register("numbers", pa.table({"number": sorted(numbers)}))
    (count,) = one_row(connection.execute("SELECT count(*) FILTER (is_marked('nik', number)) FROM numbers"))
    connection.unregister("numbers")
    return int(count)


# --- taking out ------------------------------------------------------------------------------------------------------


def _take_out(s: Settings, led: Ledger, erasure_id: str, progress: Progress) -> None:
    places_of: dict[str, set[Place]] = defaultdict(set)
    select = sa.select(tables.erased_rows).where(
        tables.erased_rows.c.erasure_id == erasure_id, tables.erased_rows.c.is_blanked.is_(False)
    )
    for row in led.rows(select):
        places_of[row["delivery_id"]].add((row["source_part"], row["source_row"]))
    for count, (delivery_id, places) in enumerate(places_of.items(), start=1):
        progress(f"deliveries {count}/{len(places_of)}")
        redact_rows(s, led, delivery_id, places)
    (erasure,) = led.rows(sa.select(tables.erasures).where(tables.erasures.c.erasure_id == erasure_id))
    with state.only_releaser(s):
        for row in state.kept(led):
            pseudonymised.take_out(s, row["release_id"], erasure["person_keys"], reason=f"erasure {erasure_id}")
    # Copies that a kill has left between the ledger's word and their removal.
    _leave_only_named(s, led)
    # Later than any build that may hold the person, whatever the clock says.
    (last_build,) = led.rows(sa.select(sa.func.max(tables.builds.c.started_at).label("at")))
    erased_at = deliveries.not_before(s.utc_now(), last_build["at"])
    with led.write() as connection:
        connection.execute(
            tables.erasures.update().where(tables.erasures.c.erasure_id == erasure_id), {"erased_at": erased_at}
        )


# --- proof -----------------------------------------------------------------------------------------------------------


def prove(s: Settings, led: Ledger, values: Values = NOTHING) -> dict[str, int]:
    """Search everything for persons of all tombstones; returns how many places were searched, by kind.

    ``values`` are the person's own numbers, where they are at hand: then the scan looks inside every kind of file too.
    Raises WarehouseError ERASURE_NOT_PROVEN naming the places where one is still found; else the erasures are proven.
    """
    marks = tombstones.load(s)
    rows_of: dict[str, int] = defaultdict(int)
    hits: list[str] = []

    def look(kind: str, place: str, count: int) -> None:
        rows_of[kind] += 1
        if count:
            hits.append(f"{place} ({count})")

    landing.demand_folder(s, led)
    with keys.exclusive_lock(s):
        for path in _leave_only_named(s, led):
            look("unnamed", str(path.relative_to(s.home)), 1)
    pointers = led.rows(sa.select(tables.erased_rows))
    record_keys = [vault.record_key(row["delivery_id"], row["source_part"], row["source_row"]) for row in pointers]
    with searching(s, marks) as connection:
        for contract, row in _landed(s, led):
            look("landing", f"landing {row.delivery_id}", len(_places_in_landed(s, connection, contract, row)))
        for contract, relation in vault_relations(s, led):
            condition = tombstones.is_marked_sql(contract, typed=True)
            query = f"SELECT count(*) FROM ({relation}) WHERE {condition} OR list_contains($1, record_key)"
            (count,) = one_row(connection.execute(query, [record_keys]))
            look("vault", f"vault {contract.dataset}", count)
        for path in sorted(s.lake_dir.rglob("*.parquet")):
            query = f"SELECT count(*) FROM read_parquet('{sql_path(path)}') WHERE list_contains($1, record_key)"
            (count,) = one_row(connection.execute(query, [record_keys]))
            look("lake", str(path.relative_to(s.home)), count)
        for path in _other_files(s):
            look("files", str(path.relative_to(s.home)), _numbers_marked(connection, _pieces(path)))
    if values is not NOTHING:
        hits += [str(finding) for finding in scan.values_in(_other_files(s), values)]
    persons = [key for one in led.rows(sa.select(tables.erasures)) for key in one["person_keys"] or ()]
    for path in sorted(s.releases_dir.glob(f"*/{state.MICRO_FILE}")):
        look("micro", f"micro {path.parent.name}", pseudonymised.rows_of(s, path.parent.name, persons))
    if s.build_file.exists() and not _is_built_since(led):
        hits.append("build: older than the erasure")
    if hits:
        raise WarehouseError(
            "ERASURE_NOT_PROVEN",
            f"Orang yang dihapus masih ditemukan di: {', '.join(hits)}",
            f"An erased person is still found in: {', '.join(hits)}",
            "Jalankan `warehouse erase-resume`; bila tetap ada, hapus berkas itu dan laporkan kepada PPDP.",
            "Run `warehouse erase-resume`; if it stays, remove that file and tell the data protection officer.",
        )
    with led.write() as ledger:
        ledger.execute(
            tables.erasures.update().where(
                tables.erasures.c.erased_at.is_not(None), tables.erasures.c.proven_at.is_(None)
            ),
            {"proven_at": s.utc_now(), "person_keys": None},
        )
    return dict(rows_of)


def _is_built_since(led: Ledger) -> bool:
    """Whether the build file was made after the last erasure: it holds facts by pseudonym."""
    (last_erasure,) = led.rows(sa.select(sa.func.max(tables.erasures.c.erased_at).label("erased_at")))
    (last_build,) = led.rows(
        sa.select(sa.func.max(tables.builds.c.started_at).label("started_at")).where(tables.builds.c.outcome == "built")
    )
    if last_erasure["erased_at"] is None:
        return True
    return last_build["started_at"] is not None and last_build["started_at"] >= last_erasure["erased_at"]


def _other_files(s: Settings) -> Iterator[Path]:
    for path in sorted(s.home.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.relative_to(s.home).parts[0] not in _NOT_SEARCHED:
            yield path


def _pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes, with an overlap so that no number falls between two pieces."""
    with path.open("rb") as file:
        tail = b""
        while chunk := file.read(1 << 23):
            yield tail + chunk
            tail = chunk[-32:]
