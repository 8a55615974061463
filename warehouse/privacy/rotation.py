"""Changing the keys: every file again under the next set, then one transaction that makes that set the one in use.

Here: landed files, vault, lake, tombstones and pseudonymised files of releases under new keys, and what is left of the
old. Not here: making keys and where they stand (keys), the links and marts made of the new pseudonyms (night).

New files are made beside the old ones under names that follow from what they are made of; until the ledger switches,
readers and nights go on under the old keys, and a run that was killed costs nothing but time. After the switch the old
files are nobody's; what was left of them is removed by the run that finishes.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pyrage
import sqlalchemy as sa

from warehouse import ledger, scan
from warehouse.core.contract import Contract, contract_named, load_contracts
from warehouse.core.duck import sql_path
from warehouse.core.errors import ConfigError, WarehouseError
from warehouse.core.settings import Settings
from warehouse.intake import tombstones
from warehouse.ledger import Ledger, access_log, deliveries, tables
from warehouse.release import pseudonymised, state
from warehouse.storage import keys, lake, landing, vault
from warehouse.storage.vault import PSEUDONYMS, StoredFile

Progress = Callable[[str], None]

_SHORTEST_REASON = 10
_NEXT_KEY = "next"


def rotate(
    s: Settings, led: Ledger, by: str, approver: str, reason: str, progress: Progress = lambda _text: None
) -> dict[str, Any]:
    """Write everything anew under the next set of keys, or finish a change that was begun; returns what was done.

    Raises ConfigError KEYS_NO_NEXT, KEYS_WRONG, OPENING_UNAPPROVED or ROTATION_REFUSED, and BuildError LAKE_FILE_LOST,
    before anything is written.
    """
    if len(reason.strip()) < _SHORTEST_REASON:
        raise ConfigError(
            "ROTATION_REFUSED",
            "Penggantian kunci tanpa alasan tidak diterima.",
            "A change of keys without a reason is not accepted.",
            "Tulis alasan sekurangnya sepuluh huruf.",
            "Write a reason of at least ten letters.",
        )
    scan.refuse_identities(reason)
    access_log.demand_two_people(by, approver)
    keys.confirm(s, led, *keys.USES)
    keys.landing_identity(s)
    with keys.exclusive_lock(s):
        unfinished = led.rows(sa.select(tables.key_rotations).where(tables.key_rotations.c.ended_at.is_(None)))
        if unfinished and unfinished[0]["switched_at"]:
            return _finish(s, led, unfinished[0]["rotation_id"], progress)
        if not unfinished and (last := _unreleased(s, led)):
            return {"rotation_id": last, "files_removed": 0, "keys_in_place": True}
        target = _target(s)
        lake.set_right(s, led, load_contracts(s.contracts_dir))
        rotation_id = unfinished[0]["rotation_id"] if unfinished else ledger.new_id()
        if not unfinished:
            decision = {"decided_by": by.strip(), "approver": approver.strip(), "reason": reason.strip()}
            led.insert(tables.key_rotations, decision | {"rotation_id": rotation_id, "started_at": s.utc_now()})
        landing.demand_folder(s, led)
        files = _rekey_files(s, led, target, progress)
        new_landings = _reencrypt_landing(s, led, target, progress)
        if (marks := tombstones.load(s)).chains:
            tombstones.save(s, marks.longer(), keys.of_generation(s, keys.LANDING_PUBLIC, "next"))
        _switch(s, led, rotation_id, files, new_landings)
        return _finish(s, led, rotation_id, progress)


def _unreleased(s: Settings, led: Ledger) -> str | None:
    """The last change of keys, where no next set is there and nothing has been built since: its build was killed."""
    if any(keys.usable(s, name, "next") for name in keys.FILES):
        return None
    columns = tables.key_rotations.c
    last_rotation = led.rows(
        sa.select(columns.rotation_id, columns.ended_at).order_by(columns.ended_at.desc()).limit(1)
    )
    last_build = sa.select(sa.func.max(tables.builds.c.started_at).label("at")).where(
        tables.builds.c.outcome == "built"
    )
    (last,) = led.rows(last_build)
    if not last_rotation or (last["at"] and last["at"] >= last_rotation[0]["ended_at"]):
        return None
    return str(last_rotation[0]["rotation_id"])


def _target(s: Settings) -> dict[str, str]:
    """Check values of the next keys by use; refuses a set that is missing, incomplete or not new."""
    try:
        successors = {name: keys.check_value(keys.of_generation(s, name, "next")) for name in keys.FILES}
    except ConfigError as error:
        raise ConfigError(
            "KEYS_NO_NEXT",
            f"Kunci berikutnya belum lengkap: {error.message_id}",
            f"The next keys are not complete: {error.message_en}",
            "Jalankan `warehouse keys new` lebih dahulu.",
            "Run `warehouse keys new` first.",
        ) from None
    is_pair = successors[keys.LANDING_PUBLIC] == successors[keys.LANDING_SECRET]
    if not is_pair or keys.checks_in_use(s) & set(successors.values()):
        raise ConfigError(
            "KEYS_NO_NEXT",
            "Kunci berikutnya sama dengan yang dipakai, atau landing.pub dan landing.key bukan sepasang.",
            "A next key is one in use, or landing.pub and landing.key are no pair.",
            "Buat set baru dengan `warehouse keys new`.",
            "Make a new set with `warehouse keys new`.",
        )
    return {
        "landing": successors[keys.LANDING_PUBLIC],
        "pseudonym": successors[keys.PSEUDONYM],
        "vault": successors[keys.VAULT],
    }


# --- files beside the old ones ---------------------------------------------------------------------------------------


def _rekey_files(s: Settings, led: Ledger, target: Mapping[str, str], progress: Progress) -> dict[str, StoredFile]:
    """Vault and lake files under the next keys, by the path of the old."""
    of_verdict: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    select = sa.select(tables.lake_files, tables.deliveries.c.dataset).join(
        tables.deliveries, tables.deliveries.c.delivery_id == tables.lake_files.c.delivery_id
    )
    contracts = load_contracts(s.contracts_dir)
    for row in led.rows(select):
        if (s.home / row["path"]).is_file():
            of_verdict[row["verdict_id"]][row["kind"]] = row
    pairs = [files_of for files_of in of_verdict.values() if "vault" in files_of]
    new_files: dict[str, StoredFile] = {}
    with vault.connect(s) as connection:
        vault.define_pseudonym(connection, keys.of_generation(s, keys.PSEUDONYM, "next"))
        vault.add_key(connection, _NEXT_KEY, keys.of_generation(s, keys.VAULT, "next"))
        for count, files_of in enumerate(pairs, start=1):
            progress(f"vault {count}/{len(pairs)}")
            new_files |= _rekey_pair(
                s, connection, contract_named(contracts, files_of["vault"]["dataset"]), files_of, target
            )
    return new_files


def _rekey_pair(
    s: Settings,
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    files_of: Mapping[str, Mapping[str, Any]],
    target: Mapping[str, str],
) -> dict[str, StoredFile]:
    """Identities of one verdict under new pseudonyms, and the lake's rows of the same records."""
    tag = vault.tag(*sorted(row["sha256"] for row in files_of.values()), target["pseudonym"], target["vault"])
    old = {kind: s.home / row["path"] for kind, row in files_of.items()}
    new = {kind: path.with_name(f"{path.stem.split('~')[0]}~{tag}.parquet") for kind, path in old.items()}
    if all(path.exists() for path in new.values()):
        return {files_of[kind]["path"]: vault.stored_file(s, new[kind], files_of[kind]["rows"]) for kind in files_of}
    new_files: dict[str, StoredFile] = {}
    identities = vault.relation_sql([old["vault"]])
    columns = {name for name, *_ in connection.execute(f"DESCRIBE {identities}").fetchall()}
    numbers = {kind: contract.identity(kind) for kind in PSEUDONYMS}
    keyed = ", ".join(
        vault.pseudonym_sql(kind, column if column and column.name in columns else None)
        for kind, column in numbers.items()
    )
    connection.execute(f"CREATE OR REPLACE TABLE identities AS SELECT * REPLACE ({keyed}) FROM ({identities})")
    if "lake" in files_of:
        schema = pq.read_schema(old["lake"])
        rows = connection.execute(
            "SELECT l.* REPLACE (i.nik_key AS nik_key, i.kk_key AS kk_key)"
            f" FROM read_parquet('{sql_path(old['lake'])}', file_row_number = true) AS l"
            " LEFT JOIN identities AS i USING (record_key) ORDER BY l.file_row_number"
        ).to_arrow_table()
        new_files[files_of["lake"]["path"]] = lake.put(s, new["lake"], rows.select(schema.names).cast(schema))
    new_files[files_of["vault"]["path"]] = vault.put(s, connection, "identities", new["vault"], _NEXT_KEY)
    if {path: one.rows for path, one in new_files.items()} != {row["path"]: row["rows"] for row in files_of.values()}:
        raise _not_equal(files_of["vault"]["delivery_id"])
    return new_files


def _reencrypt_landing(
    s: Settings, led: Ledger, target: Mapping[str, str], progress: Progress
) -> dict[str, dict[str, Any]]:
    """Landed files under the next landing key: the ledger's new columns by delivery.

    A copy that is missing or damaged is lost with the old key, whatever a backup holds: destroyed, on record.
    """
    recipient = keys.of_generation(s, keys.LANDING_PUBLIC, "next")
    identity = keys.of_generation(s, keys.LANDING_SECRET, "next")
    kept_deliveries = deliveries.kept(led)
    new_landings: dict[str, dict[str, Any]] = {}
    for count, delivery in enumerate(kept_deliveries, start=1):
        progress(f"landing {count}/{len(kept_deliveries)}")
        tag = vault.tag(delivery.stored_sha256, target["landing"])
        new = s.home / delivery.stored_path
        new = new.with_name(f"{delivery.delivery_id}-{tag}.age")
        try:
            data = None if new.exists() else landing.read(s, delivery)
        except landing.LostCopy:
            new_landings[delivery.delivery_id] = {"destroyed_at": s.utc_now()}
            continue
        columns = landing.store_replacement(s, delivery, data or b"", recipient, tag)
        if data is not None and pyrage.decrypt(new.read_bytes(), [identity]) != data:
            raise _not_equal(delivery.delivery_id)
        new_landings[delivery.delivery_id] = columns
    return new_landings


def _not_equal(delivery_id: str) -> WarehouseError:
    return WarehouseError(
        "ROTATION_NOT_VERIFIED",
        f"Kiriman {delivery_id} di bawah kunci baru tidak sama dengan yang lama; kunci lama tetap dipakai.",
        f"Delivery {delivery_id} under the new keys is not equal to the old one; the old keys stay in use.",
        "Periksa ruang dan kesehatan cakram, lalu ulangi.",
        "Check the disk's space and health, then repeat.",
    )


# --- the switch and what follows it ----------------------------------------------------------------------------------


def _switch(
    s: Settings,
    led: Ledger,
    rotation_id: str,
    files: Mapping[str, StoredFile],
    new_landings: Mapping[str, Mapping[str, Any]],
) -> None:
    """The one transaction by which new files and new keys come into use together."""
    now = s.utc_now()
    versions = {row["key_name"]: row["version"] for row in led.rows(
        sa.select(tables.key_checks).order_by(tables.key_checks.c.version)
    )}  # fmt: skip
    target = _target(s)
    with led.write() as connection:
        for old, new in files.items():
            connection.execute(
                tables.lake_files.update().where(tables.lake_files.c.path == old),
                {"path": new.path, "sha256": new.sha256},
            )
        for delivery_id, columns in new_landings.items():
            connection.execute(
                tables.deliveries.update().where(tables.deliveries.c.delivery_id == delivery_id), columns
            )
        connection.execute(
            tables.key_checks.insert(),
            [
                {"key_name": use, "version": versions[use] + 1, "check_value": check, "since": now}
                for use, check in target.items()
            ],
        )
        connection.execute(
            tables.key_rotations.update().where(tables.key_rotations.c.rotation_id == rotation_id),
            {"switched_at": now},
        )


def _finish(s: Settings, led: Ledger, rotation_id: str, progress: Progress) -> dict[str, Any]:
    """Releases' pseudonymised files under the key in use, the old files gone, the next set made the current one."""
    progress("releases")
    key = keys.vault_key(s)
    with state.only_releaser(s):
        for row in state.kept(led):
            path = s.releases_dir / row["release_id"] / state.MICRO_FILE
            if path.exists() and not pseudonymised.opens_with(path, row["release_id"], key, s):
                pseudonymised.rewrite(s, row["release_id"], key, reason=f"keys {rotation_id}")
    progress("sweep")
    n_removed = landing.sweep(s, led).removed + lake.sweep(s, led, older_than=0).removed
    tombstones.forget_others(s)
    is_in_place = keys.promote(s)
    with led.write() as connection:
        connection.execute(
            tables.key_rotations.update().where(tables.key_rotations.c.rotation_id == rotation_id),
            {"ended_at": s.utc_now()},
        )
    return {"rotation_id": rotation_id, "files_removed": n_removed, "keys_in_place": is_in_place}
