"""A person is erased and keys are changed, whole or killed anywhere: the rest stays equal, the erased stay away."""

import hashlib
import io
import json
import os
import shutil
import signal
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from tests.support import samples
from tests.support.forked import forked
from warehouse import ledger, linkage, night
from warehouse.core import duck
from warehouse.core.contract import load_contracts
from warehouse.core.errors import BuildError, ConfigError, WarehouseError
from warehouse.core.settings import Settings
from warehouse.intake import tombstones
from warehouse.ledger import Ledger, deliveries, tables
from warehouse.linkage import profiles
from warehouse.privacy import erasure, rotation
from warehouse.privacy.subject_lookup import Person
from warehouse.release import pseudonymised
from warehouse.release.state import MANIFEST_FILE, MICRO_FILE
from warehouse.scan import Values
from warehouse.storage import keys, lake, landing, vault

NIK = samples.nik(70, date(2022, 4, 5), female=True)
NAME = "Kenanga Wulandari"
BORN = {"tgl_lahir": "2022-04-05", "tanggal_lahir": "2022-04-05"}
DECIDED = ("Sari", "Budi", "UU 27/2022 pasal 8", "permintaan tertulis no. 12")
SENT = [
    ("kemenkes/eppgbm", "cikokol", "sigizi_xlsx"),
    ("kemenkes/eppgbm", "benda", "sigizi_csv"),
    ("bps/social_registry_individuals", "all", None),
    ("kemensos/assistance", "all", None),
    ("bpjstk/participants", "cimone", "participants_json"),
]


def rows_with_person(dataset: str, *, nik: str | None = NIK, name: str = NAME) -> list[samples.Row]:
    """Good rows of which the second is the person's."""
    rows = samples.good_rows(dataset)
    own = {"nik": nik, "nama": name} | {column: day for column, day in BORN.items() if column in rows[1]}
    return samples.changed(rows, 1, **own)


def send(s: Settings, dataset: str, part: str, shape: str | None, rows: list[samples.Row]) -> str:
    """Hand a file in; returns its delivery."""
    data, media = samples.as_file(dataset, rows, shape)
    path = s.home.parent / f"{dataset.replace('/', '_')}-{part}.{media}"
    path.write_bytes(data)
    led = ledger.open_ledger(s)
    before = {row["delivery_id"] for row in led.rows("select delivery_id from deliveries")}
    night.ingest_file(dataset, samples.period(dataset), part, path, media, s=s)
    (new,) = {row["delivery_id"] for row in led.rows("select delivery_id from deliveries")} - before
    return new


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home into which every dataset with persons was sent, the person among them; nothing is built."""
    s = Settings(home=tmp_path_factory.mktemp("sent") / "home", now=samples.RECEIVED_AT)
    keys.make_sandbox_keys(s)
    for dataset, part, shape in SENT:
        send(s, dataset, part, shape, rows_with_person(dataset))
    # Once without a number, once in a file nobody can read: it cannot be blanked row by row.
    send(s, "kemenkes/eppgbm", "batuceper", "sigizi_csv", rows_with_person("kemenkes/eppgbm", nik=None))
    (path := s.home.parent / "list.csv").write_text(f"nomor;orang\n{NIK};{NAME}\n")
    night.ingest_file("kemenkes/eppgbm", samples.period("kemenkes/eppgbm"), "cipondoh", path, s=s)
    assert [row["verdict"] for row in Ledger(s.ledger).rows("select verdict from verdicts")].count("held") == 1
    return s


def copy(s: Settings, folder: Path) -> Settings:
    shutil.copytree(s.home, folder / "home", symlinks=True)
    return s.model_copy(update={"home": folder / "home"})


# --- what a home holds -----------------------------------------------------------------------------------------------


def identities(s: Settings) -> dict[str, list[tuple]]:
    """Clear rows of the vault, by dataset, without the pseudonyms."""
    led = Ledger(s.ledger)
    found = {}
    with vault.connect(s) as connection:
        for dataset, contract in load_contracts(s.contracts_dir).items():
            if paths := lake.files_in_force(s, led, contract, "vault"):
                sql = f"SELECT * EXCLUDE (nik_key, kk_key) FROM ({vault.relation_sql(paths)}) ORDER BY ALL"
                found[dataset] = connection.execute(sql).fetchall()
    return found


def lake_rows(s: Settings) -> dict[str, list[dict]]:
    led = Ledger(s.ledger)
    with vault.connect(s) as connection:
        return {
            dataset: connection.execute(f"SELECT * FROM ({lake.relation_sql(s, led, contract)}) ORDER BY record_key")
            .to_arrow_table()
            .to_pylist()
            for dataset, contract in load_contracts(s.contracts_dir).items()
        }


def unkeyed(rows: dict[str, list[dict]]) -> dict[str, list[dict]]:
    """Rows with pseudonyms named by the order in which they come: equal before and after a change of keys."""
    names: dict[str, str] = {}

    def renamed(row: dict) -> dict:
        return row | {
            key: names.setdefault(row[key], f"{key} {len(names)}") for key in ("nik_key", "kk_key") if row[key]
        }

    return {dataset: [renamed(row) for row in found] for dataset, found in rows.items()}


def landed(s: Settings) -> dict[str, bytes]:
    return {one.delivery_id: landing.read(s, one) for one in deliveries.kept(Ledger(s.ledger))}


def everything_clear(s: Settings) -> Iterator[bytes]:
    """All that the home says, decrypted and unpacked."""
    for data in landed(s).values():
        yield data
        if data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield from (archive.read(name) for name in archive.namelist())
    yield repr(identities(s)).encode()
    for path in s.home.rglob("*"):
        if path.is_file():
            yield path.read_bytes()


def is_anywhere(s: Settings) -> bool:
    return any(NIK.encode() in piece or NAME.encode() in piece for piece in everything_clear(s))


def unnamed_files(s: Settings) -> set[str]:
    led = Ledger(s.ledger)
    named = {row["path"] for row in led.rows("select path from lake_files")}
    for row in led.rows("select stored_path from deliveries where destroyed_at is null"):
        named |= {row["stored_path"], row["stored_path"].removesuffix(".age") + ".manifest.age"}
    files = {p for folder in (s.lake_dir, s.vault_dir, s.landing_dir) for p in folder.rglob("*") if p.is_file()}
    return {str(p.relative_to(s.home)) for p in files if not p.name.startswith("tombstones-")} - named


# --- kills -----------------------------------------------------------------------------------------------------------


def killed(act: Callable[[], object], at: int | str) -> bool:
    """Run ``act`` in a process killed at its n-th replaced file, or around a step; False if it came to its end."""

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def run() -> None:
        ledger.engine.cache_clear()
        replace, count = os.replace, 0

        def counting(source, target):
            nonlocal count
            count += 1
            return die() if count == at else replace(source, target)

        os.replace = counting
        if isinstance(at, str):
            when, _, name = at.partition(" ")
            step = getattr(rotation, name)

            def around(*arguments):
                if when == "before":
                    die()
                step(*arguments)
                die()

            setattr(rotation, name, around)
        act()

    process = forked(run)
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


# Twelve files of vault and lake, fourteen of landing, four keys.
KILLED_AT = [2, 17, 28, "before _switch", "after _switch"]


@pytest.mark.parametrize("at", KILLED_AT)
def test_a_change_of_keys_killed_anywhere_goes_on_and_changes_nothing_else(sent: Settings, tmp_path: Path, at):
    s = copy(sent, tmp_path)
    before = (identities(s), unkeyed(lake_rows(s)), landed(s))
    old_keys = {row["nik_key"] for rows in lake_rows(s).values() for row in rows} - {None}
    keys.make_new(s)
    assert killed(lambda: rotation.rotate(s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan"), at)
    # Readers and nights go on, under the old keys or the new.
    assert (identities(s), unkeyed(lake_rows(s)), landed(s)) == before
    if isinstance(at, str):
        send(s, "kemenkes/eppgbm", "pinang", "sigizi_csv", samples.good_rows("kemenkes/eppgbm"))
    before = (identities(s), unkeyed(lake_rows(s)), landed(s))
    assert rotation.rotate(s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan")["keys_in_place"]
    assert (identities(s), unkeyed(lake_rows(s)), landed(s)) == before
    assert old_keys.isdisjoint(row["nik_key"] for rows in lake_rows(s).values() for row in rows)
    assert unnamed_files(s) == set()
    assert not (s.keys / keys.NEXT).exists()
    (done,) = Ledger(s.ledger).rows("select * from key_rotations")
    assert done["ended_at"]


def test_a_change_of_keys_whose_build_was_killed_goes_on_to_its_build(sent: Settings, tmp_path: Path):
    s = copy(sent, tmp_path)
    keys.make_new(s)
    decided = (s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan")
    done = rotation.rotate(*decided)["rotation_id"]
    assert rotation.rotate(*decided)["rotation_id"] == done
    build = {"build_id": "b", "started_at": s.utc_now(), "outcome": "built", "as_of": s.today()}
    Ledger(s.ledger).insert(tables.builds, build)
    with pytest.raises(ConfigError, match="KEYS_NO_NEXT"):
        rotation.rotate(*decided)


def test_old_keys_open_nothing_after_a_change(sent: Settings, tmp_path: Path):
    s = copy(sent, tmp_path)
    old = {name: (s.keys / name).read_bytes() for name in keys.FILES}
    keys.make_new(s)
    rotation.rotate(s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan")
    for name, text in old.items():
        (s.keys / name).write_bytes(text)
    with pytest.raises(ConfigError, match="KEYS_WRONG"):
        vault.connect(s)
    with pytest.raises(ConfigError, match="KEYS_WRONG"):
        landed(s)


@pytest.mark.parametrize(
    ("approver", "reason", "code"),
    [("sari", "penggantian tahunan", "OPENING_UNAPPROVED"), ("Budi", "ya", "ROTATION_REFUSED")],
)
def test_keys_are_not_changed_by_one_person_or_without_a_reason(sent, tmp_path, approver, reason, code):
    s = copy(sent, tmp_path)
    keys.make_new(s)
    with pytest.raises(ConfigError, match=code):
        rotation.rotate(s, Ledger(s.ledger), "Sari", approver, reason)


def test_without_successors_nothing_is_changed(sent: Settings, tmp_path: Path):
    s = copy(sent, tmp_path)
    with pytest.raises(ConfigError, match="KEYS_NO_NEXT"):
        rotation.rotate(s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan")
    assert Ledger(s.ledger).rows("select * from key_rotations") == []


def test_keys_in_use_are_no_successors_of_themselves(sent: Settings, tmp_path: Path, monkeypatch):
    """Where a person puts keys in place, the successors stay next to their own former place after the change."""
    s = copy(sent, tmp_path)
    keys.make_new(s)
    monkeypatch.setattr(keys, "promote", lambda _s: False)
    assert not rotation.rotate(s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan")["keys_in_place"]
    with pytest.raises(ConfigError, match="KEYS_NO_NEXT"):
        rotation.rotate(s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan")


# --- erasure ---------------------------------------------------------------------------------------------------------


def erase(s: Settings, told: str = NIK) -> Values:
    return erasure.request(s, Ledger(s.ledger), Person.from_text(told), *DECIDED)


def others(rows: dict[str, list[tuple]]) -> dict[str, list[tuple]]:
    return {dataset: [row for row in found if NIK not in row and NAME not in row] for dataset, found in rows.items()}


@pytest.fixture(scope="module")
def erased(sent: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    s = copy(sent, tmp_path_factory.mktemp("erased"))
    assert is_anywhere(s)
    erase(s, f" {NIK[:6]} {NIK[6:]}")
    return s


def test_the_person_is_nowhere_and_the_others_are_as_they_were(sent: Settings, erased: Settings):
    assert not is_anywhere(erased)
    assert identities(erased) == others(identities(sent))
    gone = {row["record_key"] for rows in lake_rows(sent).values() for row in rows}
    gone -= {row["record_key"] for rows in lake_rows(erased).values() for row in rows}
    assert len(gone) == len(SENT) + 1
    assert unnamed_files(erased) == set()


def test_the_ledger_tells_what_was_decided_and_blanked_but_not_who(sent: Settings, erased: Settings):
    led = Ledger(erased.ledger)
    (row,) = led.rows("select * from erasures")
    assert (row["decided_by"], row["approver"], row["ground"], row["reason"]) == DECIDED
    blanked = led.rows("select * from erased_rows")
    assert len(blanked) == len(SENT) + 2
    assert all(pointer["is_blanked"] for pointer in blanked)
    was = {row["delivery_id"]: row for row in Ledger(sent.ledger).rows("select * from deliveries")}
    for delivery in led.rows("select * from deliveries"):
        assert delivery["content_sha256"] == was[delivery["delivery_id"]]["content_sha256"]
        is_unreadable = delivery["part"] == "cipondoh"
        assert (delivery["destroyed_at"] is not None) is is_unreadable
        assert (delivery["kept_sha256"] is None) is is_unreadable


def test_a_scan_proves_it(erased: Settings, tmp_path: Path):
    s = copy(erased, tmp_path)
    searched = erasure.prove(s, Ledger(s.ledger))
    assert searched["landing"] == len(SENT) + 1
    assert Ledger(s.ledger).rows("select proven_at from erasures")[0]["proven_at"]
    (notes := s.home / "notes.txt").write_text(f"x {NIK} y")
    with pytest.raises(WarehouseError, match=r"ERASURE_NOT_PROVEN.*notes\.txt") as caught:
        erasure.prove(s, Ledger(s.ledger))
    assert NIK not in str(caught.value)
    # Packed away, the number itself is needed to find it; a resumed erasure no longer has it.
    with zipfile.ZipFile(s.home / "notes.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(notes, "notes.txt")
    notes.unlink()
    erasure.prove(s, Ledger(s.ledger))
    with pytest.raises(WarehouseError, match=r"ERASURE_NOT_PROVEN.*notes\.zip"):
        erasure.prove(s, Ledger(s.ledger), Values.of(nik=[NIK]))
    (s.home / "notes.zip").unlink()
    # A build from before would hold the person's facts under a pseudonym.
    s.build_file.touch()
    with pytest.raises(WarehouseError, match="build: older than the erasure"):
        erasure.prove(s, Ledger(s.ledger))


def comes_again(s: Settings, part: str) -> None:
    """Another puskesmas sends the person again, by number and by name; only the others come in."""
    rows = rows_with_person("kemenkes/eppgbm") + rows_with_person("kemenkes/eppgbm", nik=None)[1:2]
    delivery = send(s, "kemenkes/eppgbm", part, "sigizi_xlsx", rows)
    assert not is_anywhere(s)
    (verdict,) = Ledger(s.ledger).rows("select * from verdicts where delivery_id = :id", id=delivery)
    assert (verdict["verdict"], verdict["rows_read"]) == ("accepted", len(rows) - 2)


def test_a_later_delivery_comes_in_without_the_person(erased: Settings, tmp_path: Path):
    comes_again(copy(erased, tmp_path), "tajur")


def test_a_tombstone_outlives_a_change_of_keys(erased: Settings, tmp_path: Path):
    s = copy(erased, tmp_path)
    marks = {mark.value for chain in tombstones.load(s).chains for mark in chain.marks}
    for _ in range(2):
        keys.make_new(s)
        rotation.rotate(s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan")
    again = {mark.value for chain in tombstones.load(s).chains for mark in chain.marks}
    assert len(again) == len(marks)
    assert again.isdisjoint(marks)
    comes_again(s, "tajur")


def test_a_restored_backup_loses_the_person_again(sent: Settings, erased: Settings, tmp_path: Path):
    s = copy(sent, tmp_path)
    assert not erasure.is_pending(s, Ledger(s.ledger))
    for path in erased.vault_dir.glob("tombstones-*"):
        shutil.copy(path, s.vault_dir)
    assert is_anywhere(s)
    assert erasure.is_pending(s, Ledger(s.ledger))
    erasure.complete(s, Ledger(s.ledger))
    assert not is_anywhere(s)
    (row,) = Ledger(s.ledger).rows("select * from erasures")
    assert (row["decided_by"], row["ground"]) == (DECIDED[0], DECIDED[2])


@pytest.mark.parametrize("at", [1, 2, 4, 15])
def test_an_erasure_killed_anywhere_is_completed_without_the_number(sent: Settings, tmp_path: Path, at: int):
    s = copy(sent, tmp_path)
    assert killed(lambda: erase(s), at)
    if at == 1:
        # Killed before the tombstone was there: nothing was decided, nothing changed.
        assert not erasure.is_pending(s, Ledger(s.ledger))
        erase(s)
    assert at == 1 or erasure.is_pending(s, Ledger(s.ledger))
    erasure.complete(s, Ledger(s.ledger))
    night.maintenance(s=s.model_copy(update={"now": None}))
    assert not is_anywhere(s)
    assert identities(s) == others(identities(sent))
    assert not erasure.is_pending(s, Ledger(s.ledger))


def left_by_a_kill(sent: Settings, erased: Settings, folder: Path, *rooms: str) -> Settings:
    """An erasure killed when the ledger named the new files and the old ones of some rooms were still there."""
    s = copy(erased, folder)
    for path in (path for room in rooms for path in (sent.home / room).rglob("*") if path.is_file()):
        if not (s.home / path.relative_to(sent.home)).exists():
            shutil.copy(path, s.home / path.relative_to(sent.home))
    with Ledger(s.ledger).write() as connection:
        connection.execute(tables.erasures.update(), {"erased_at": None, "proven_at": None})
    return s


@pytest.mark.parametrize("rooms", [("landing",), ("landing", "vault", "lake")])
def test_files_that_no_row_names_are_gone_before_anything_is_proven(sent, erased, tmp_path, rooms):
    s = left_by_a_kill(sent, erased, tmp_path, *rooms)
    assert unnamed_files(s)
    erasure.complete(s, Ledger(s.ledger))
    assert unnamed_files(s) == set()
    # The same left by a kill after all was on record as done.
    s = left_by_a_kill(sent, erased, tmp_path / "again", *rooms)
    with Ledger(s.ledger).write() as connection:
        connection.execute(tables.erasures.update(), {"erased_at": s.utc_now()})
    erasure.prove(s, Ledger(s.ledger))
    assert unnamed_files(s) == set()


def test_a_file_that_nobody_can_tell_is_no_proof(erased: Settings, tmp_path: Path):
    s = copy(erased, tmp_path)
    (s.vault_dir / "somewhere").mkdir()
    (s.vault_dir / "somewhere" / "f00-b01.parquet").write_bytes(b"x")
    (s.landing_dir / "f00-f00.age").write_bytes(b"x")
    with pytest.raises(WarehouseError, match=r"ERASURE_NOT_PROVEN.*f00-f00\.age.*f00-b01\.parquet"):
        erasure.prove(s, Ledger(s.ledger))


def test_after_vault_and_lake_were_made_again_of_landing_erasure_and_rotation_work(sent: Settings, tmp_path: Path):
    """The ledger still names the lost files of former verdicts."""
    s = copy(sent, tmp_path)
    before = (identities(s), unkeyed(lake_rows(s)))
    for folder in (s.vault_dir, s.lake_dir):
        shutil.rmtree(folder)
    keys.make_new(s)
    with pytest.raises(BuildError, match=r"LAKE_FILE_LOST.*warehouse replay"):
        rotation.rotate(s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan")
    for dataset in {dataset for dataset, *_ in SENT}:
        night.replay(dataset, s=s)
    assert rotation.rotate(s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan")["keys_in_place"]
    assert (identities(s), unkeyed(lake_rows(s))) == before
    erase(s)
    erasure.prove(s, Ledger(s.ledger))
    assert not is_anywhere(s)


def test_a_landed_copy_that_is_lost_ends_neither_a_change_of_keys_nor_an_erasure(sent: Settings, tmp_path: Path):
    s = copy(sent, tmp_path)
    missing, damaged = deliveries.kept(Ledger(s.ledger))[:2]
    (s.home / missing.stored_path).unlink()
    (s.home / damaged.stored_path).write_bytes((s.home / damaged.stored_path).read_bytes()[:-9])
    keys.make_new(s)
    assert rotation.rotate(s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan")["keys_in_place"]
    erase(s)
    erasure.prove(s, Ledger(s.ledger))
    # Under old keys nobody will have: destroyed, on record. Its rows stay in the lake.
    assert all(deliveries.one(Ledger(s.ledger), one.delivery_id).destroyed_at for one in (missing, damaged))
    assert unnamed_files(s) == set()
    assert NIK not in repr(identities(s))


def test_a_damaged_landed_copy_may_hold_anybody_and_goes_with_an_erasure(sent: Settings, tmp_path: Path):
    s = copy(sent, tmp_path)
    damaged = deliveries.kept(Ledger(s.ledger))[0]
    (s.home / damaged.stored_path).write_bytes((s.home / damaged.stored_path).read_bytes()[:-9])
    erase(s)
    erasure.prove(s, Ledger(s.ledger))
    assert deliveries.one(Ledger(s.ledger), damaged.delivery_id).destroyed_at
    assert not (s.home / damaged.stored_path).exists()


def test_nothing_is_proven_or_written_anew_while_landing_is_elsewhere(erased: Settings, tmp_path: Path):
    s = copy(erased, tmp_path)
    s.landing_dir.rename(tmp_path / "elsewhere")
    keys.make_new(s)
    for act in (
        lambda: erasure.prove(s, Ledger(s.ledger)),
        lambda: rotation.rotate(s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan"),
    ):
        with pytest.raises(ConfigError, match="LANDING_AWAY"):
            act()


@pytest.mark.parametrize(
    ("approver", "ground", "code"),
    [("Budi", " ", "ERASURE_REFUSED"), ("sari", "UU 27/2022", "OPENING_UNAPPROVED")],
)
def test_an_erasure_takes_a_ground_and_two_people(sent, tmp_path, approver, ground, code):
    s = copy(sent, tmp_path)
    with pytest.raises(ConfigError, match=code) as caught:
        erasure.request(s, Ledger(s.ledger), Person(NIK), "Sari", approver, ground, "permintaan tertulis")
    assert NIK not in str(caught.value)
    assert tombstones.load(s).chains == ()
    assert is_anywhere(s)


# --- kept releases ---------------------------------------------------------------------------------------------------

RELEASE = "20261122T020000Z-00000000"


@pytest.fixture(scope="module")
def released(sent: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The same with links, and a release of which only the file of pseudonymised facts is there."""
    s = copy(sent, tmp_path_factory.mktemp("released"))
    led = Ledger(s.ledger)
    linkage.link(s, led)
    folder = s.releases_dir / RELEASE
    folder.mkdir(parents=True)
    with vault.connect(s) as connection:
        pseudonymised.create_micro(connection, folder / MICRO_FILE, RELEASE, keys.vault_key(s), "micro")
        connection.execute(
            f"CREATE TABLE micro.main.facts AS SELECT person_key, dataset FROM ({linkage.relation_sql(s)})"
            " WHERE person_key IS NOT NULL"
        )
        connection.execute("COMMENT ON TABLE micro.main.facts IS 'Satu baris per catatan'")
        connection.execute("COMMENT ON COLUMN micro.main.facts.dataset IS 'asal'")
    (folder / MANIFEST_FILE).write_text('{"files": []}')
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    build = {"build_id": "b1", "started_at": s.utc_now(), "outcome": "built", "as_of": s.today(), "inputs_hash": "x"}
    led.insert(tables.builds, build | {"code_version": "x"})
    row = {"release_id": RELEASE, "build_id": "b1", "created_at": s.utc_now(), "disclosure": "on"}
    led.insert(tables.releases, row | {"scan_verdict": "clean"})
    return s


def facts(s: Settings) -> list[tuple]:
    """Rows of the release's file and what describes them."""
    with duck.connect(s, sees_identifiers=True) as connection:
        pseudonymised.attach_micro(connection, s, s.releases_dir / RELEASE / MICRO_FILE, RELEASE)
        rows = connection.execute("SELECT person_key, dataset FROM micro.main.facts ORDER BY ALL").fetchall()
        comments = "SELECT comment FROM duckdb_columns() WHERE database_name = 'micro' AND comment IS NOT NULL"
        return [*rows, *connection.execute(comments).fetchall()]


def is_whole(s: Settings) -> bool:
    """The release is as read-only as before, nothing half made lies about, and its manifest names its file."""
    folder = s.releases_dir / RELEASE
    digest = hashlib.sha256((folder / MICRO_FILE).read_bytes()).hexdigest()
    about = json.loads((folder / MANIFEST_FILE).read_text())
    return (
        [path.name for path in s.releases_dir.iterdir() if path.name.startswith(".draft")] == []
        and {path.name for path in folder.iterdir()} == {MICRO_FILE, MANIFEST_FILE}
        and {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}
        and folder.stat().st_mode & 0o777 == 0o555
        and [one["sha256"] for one in about["files"]] == [digest]
        and len(about["revisions"]) == 1
    )


# After landing, vault and lake: manifest, file of facts, first key.
@pytest.mark.parametrize("at", [27, 28, 29])
def test_a_change_of_keys_killed_while_it_renews_a_release_goes_on(released: Settings, tmp_path: Path, at: int):
    s = copy(released, tmp_path)
    before = facts(s)
    keys.make_new(s)
    assert killed(lambda: rotation.rotate(s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan"), at)
    assert facts(s) == before
    assert rotation.rotate(s, Ledger(s.ledger), "Sari", "Budi", "penggantian tahunan")["keys_in_place"]
    assert facts(s) == before
    assert is_whole(s)
    shutil.rmtree(s.keys / keys.PREVIOUS)
    assert facts(s) == before


def test_kept_releases_lose_the_person_in_a_further_revision(released: Settings, tmp_path: Path):
    s = copy(released, tmp_path)
    before = facts(s)
    erase(s)
    assert is_whole(s)
    ((key,),) = {(row[0],) for row in set(before) - set(facts(s))}
    assert not any(row[0] == key for row in facts(s))
    assert {row[0] for row in before} - {row[0] for row in facts(s)} == {key}


# --- one person, written in many ways --------------------------------------------------------------------------------

CHILDREN, WORKERS = "kemenkes/eppgbm", "bpjstk/participants"
SLIP = NIK[:12] + NIK[13] + NIK[12] + NIK[14:]


@pytest.fixture
def s(tmp_path: Path) -> Settings:
    """An empty home."""
    made = Settings(home=tmp_path / "home", now=samples.RECEIVED_AT)
    keys.make_sandbox_keys(made)
    return made


def names_left(s: Settings, dataset: str) -> list[str]:
    contract = load_contracts(s.contracts_dir)[dataset]
    with vault.connect(s) as connection:
        paths = lake.files_in_force(s, Ledger(s.ledger), contract, "vault")
        rows = connection.execute(f"SELECT nama FROM ({vault.relation_sql(paths)}) ORDER BY 1").fetchall()
    return [name for (name,) in rows]


def test_another_spelling_of_the_number_is_erased_and_kept_out(s: Settings):
    """One agency has two digits of the NIK exchanged; linkage knows that it is one person."""
    send(s, "bps/social_registry_individuals", "all", None, rows_with_person("bps/social_registry_individuals"))
    send(s, WORKERS, "cimone", "participants_json", rows_with_person(WORKERS, nik=SLIP))
    linkage.link(s, Ledger(s.ledger))
    erase(s)
    assert NAME not in names_left(s, WORKERS)
    assert not is_anywhere(s)
    send(s, WORKERS, "batuceper", "participants_json", rows_with_person(WORKERS, nik=SLIP))
    assert NAME not in names_left(s, WORKERS)
    assert not is_anywhere(s)


def test_each_row_kept_out_is_on_record_under_its_own_erasure(s: Settings):
    rows = rows_with_person(CHILDREN)
    send(s, CHILDREN, "cikokol", "sigizi_csv", rows)
    erase(s)
    erase(s, rows[2]["nik"])
    later = send(s, CHILDREN, "benda", "sigizi_csv", rows)
    kept_out = Ledger(s.ledger).rows("select erasure_id, source_row from erased_rows where delivery_id = :id", id=later)
    assert (
        len(kept_out)
        == len({row["erasure_id"] for row in kept_out})
        == len({row["source_row"] for row in kept_out})
        == 2
    )
    assert len(names_left(s, CHILDREN)) == 2 * (len(rows) - 2)


def test_another_spelling_of_the_name_without_a_number_is_kept_out_too(s: Settings):
    send(s, "bps/social_registry_individuals", "all", None, rows_with_person("bps/social_registry_individuals"))
    misspelt = rows_with_person(CHILDREN, nik=None, name="Wulandari Kenanga")
    send(s, CHILDREN, "cikokol", "sigizi_csv", misspelt)
    linkage.link(s, Ledger(s.ledger))
    erase(s)
    assert "Wulandari Kenanga" not in names_left(s, CHILDREN)
    send(s, CHILDREN, "benda", "sigizi_csv", misspelt)
    assert "Wulandari Kenanga" not in names_left(s, CHILDREN)


def test_a_child_that_bore_its_mothers_number_stays_when_the_mother_is_erased(s: Settings):
    registry = samples.good_rows("bps/social_registry_individuals")
    mother = registry[1]["nik"]
    send(s, "bps/social_registry_individuals", "all", None, registry)
    send(s, CHILDREN, "cikokol", "sigizi_csv", rows_with_person(CHILDREN, nik=mother))
    send(s, CHILDREN, "benda", "sigizi_csv", rows_with_person(CHILDREN, nik=None))
    linkage.link(s, Ledger(s.ledger))
    erase(s, mother)
    # The row with her number goes, the child's others do not, and it may come again.
    assert names_left(s, CHILDREN).count(NAME) == 1
    send(s, CHILDREN, "tajur", "sigizi_csv", rows_with_person(CHILDREN, nik=None))
    assert names_left(s, CHILDREN).count(NAME) == 2


CARD = samples.kk(70)


@pytest.mark.parametrize(
    "told", [f"{NAME}\n2022-04-05\n", f"kenanga  wulandari\n\n{CARD}\n", f"{NAME}\n2022-04-05\n{CARD}"]
)
def test_a_person_without_any_number_is_named_by_description(s: Settings, told):
    """A child is known by its name and birth date, or through the family card of its parents."""
    registry = samples.changed(rows_with_person("bps/social_registry_individuals", nik=None), 1, no_kk=CARD)
    send(s, "bps/social_registry_individuals", "all", None, registry)
    send(s, CHILDREN, "cikokol", "sigizi_csv", rows_with_person(CHILDREN, nik=None))
    linkage.link(s, Ledger(s.ledger))
    erase(s, told)
    assert NAME not in names_left(s, CHILDREN)
    assert not is_anywhere(s)
    send(s, CHILDREN, "benda", "sigizi_csv", rows_with_person(CHILDREN, nik=None))
    assert not is_anywhere(s)


def test_a_namesake_with_a_number_stays_when_one_without_is_erased(s: Settings):
    send(s, CHILDREN, "cikokol", "sigizi_csv", rows_with_person(CHILDREN))
    send(
        s, CHILDREN, "benda", "sigizi_csv", samples.changed(rows_with_person(CHILDREN, nik=None), 1, nama_ortu="A / B")
    )
    erase(s, f"{NAME}\n2022-04-05")
    assert names_left(s, CHILDREN).count(NAME) == 1


def test_the_number_of_an_office_is_nobodys(s: Settings, monkeypatch):
    monkeypatch.setattr(profiles, "STAND_IN_BEARERS", 1)
    send(s, CHILDREN, "cikokol", "sigizi_csv", rows_with_person(CHILDREN))
    send(s, CHILDREN, "benda", "sigizi_csv", rows_with_person(CHILDREN, name="Anggrek Lestari"))
    with pytest.raises(ConfigError, match="PERSON_NOT_ONE"):
        erase(s)
    assert is_anywhere(s)


@pytest.mark.parametrize(
    "told",
    ["", "3671", f"{NIK}\n{NIK}", NAME, f"{NAME}\n", f"{NAME}\n5 April 2022", f"{NAME}\n\n12", "\n2022-04-05\n"],
)
def test_a_request_that_names_nobody_is_refused_without_repeating_it(told):
    with pytest.raises(ConfigError, match="PERSON_UNCLEAR") as caught:
        Person.from_text(told)
    assert not any(line and line in str(caught.value) for line in told.splitlines())
