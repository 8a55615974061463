"""Backup, restore and check: a home comes back as it was, or is told why not; nothing half is ever put in place."""

import errno
import hashlib
import json
import os
import re
import shlex
import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
import sqlalchemy as sa
from pyrage.x25519 import Identity
from typer.testing import CliRunner

from tests.support import earlier_ledger, whole_home
from tests.support.release_helpers import usual_counts
from tests.support.whole_home import EPPGBM, PARTS, copied
from warehouse import cli, night, recovery
from warehouse.core.errors import ConfigError, RecoveryError
from warehouse.core.settings import PROJECT_DIR, Settings, get_settings
from warehouse.ledger import Ledger, copying, deliveries, open_ledger, tables
from warehouse.recovery import backup, inventory, restoring, store
from warehouse.release import state
from warehouse.storage import keys

LASTING = (*inventory.FOLDERS, "sandbox")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return whole_home.make(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def home(original: Settings, tmp_path: Path) -> Settings:
    """A copy to break."""
    return copied(original, tmp_path / "home")


@pytest.fixture(scope="module")
def kept(original: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One backup of the home; not to be changed."""
    folder = tmp_path_factory.mktemp("kept") / "backups"
    recovery.back_up(original, open_ledger(original), folder)
    return folder


@pytest.fixture
def empty(original: Settings, tmp_path: Path) -> Settings:
    """Settings of a new home whose keys have been put in place."""
    shutil.copytree(original.keys, tmp_path / "new" / "keys")
    return original.model_copy(update={"home": tmp_path / "new"})


def back_up(s: Settings, to: Path, *recipients: Identity, **more: object) -> dict:
    return recovery.back_up(s, open_ledger(s), to, [str(one.to_public()) for one in recipients], **more)


def contents(s: Settings) -> dict[str, bytes]:
    paths = [path for name in LASTING for path in (s.home / name).rglob("*") if path.is_file()]
    return {str(path.relative_to(s.home)): path.read_bytes() for path in paths if not path.name.startswith(".")}


def rows(s: Settings) -> dict[str, list[dict]]:
    led = Ledger(s.ledger)
    return {table.name: led.rows(sa.select(table)) for table in tables.metadata.sorted_tables}


def codes(s: Settings, severity: str = "damage") -> list[str]:
    return [one.code for one in recovery.check(s, open_ledger(s)) if one.severity == severity]


def identity_file(folder: Path, *identities: Identity) -> Path:
    file = folder / "identity.txt"
    file.write_text("# created by a test\n" + "".join(f"{one}\n" for one in identities))
    return file


# --- there and back --------------------------------------------------------------------------------------------------


def test_a_restored_home_is_the_one_that_was_backed_up(original: Settings, kept: Path, empty: Settings):
    made = recovery.restore(empty, kept)
    assert contents(empty) == contents(original)
    assert rows(empty) == rows(original)
    assert made["release_id"] == state.current_id(empty) == state.current_id(original)
    assert made["missing"] == []
    assert recovery.check(empty, open_ledger(empty)) == []
    mode = (empty.current.resolve() / "marts.duckdb").stat().st_mode & 0o777
    assert mode == 0o444
    assert not (empty.home / restoring.STAGING).exists()


def test_nothing_in_a_backup_lies_in_clear_and_its_list_is_true(kept: Path):
    sealed = [*kept.rglob("*.age")]
    assert sealed
    assert all(path.read_bytes().startswith(b"age-encryption.org/") for path in sealed)
    (backup_id,) = store.ids(kept)
    listed = dict(store.sums(kept, backup_id))
    assert {name: hashlib.sha256((kept / name).read_bytes()).hexdigest() for name in listed} == listed
    assert {path.relative_to(kept).as_posix() for path in sealed} == set(listed)


def test_the_next_backup_copies_what_is_new_and_both_come_back(home: Settings, tmp_path: Path, empty: Settings):
    to = tmp_path / "backups"
    first, before = back_up(home, to), contents(home)
    whole_home.deliver(home, tmp_path, "tajur")
    second = back_up(home, to)
    # Bytes and manifest landed, lake, vault; and the ledger.
    assert second["files"] - first["files"] == 4
    assert second["new_files"] == 5
    recovery.restore(empty, to, backup_id=first["backup_id"])
    assert contents(empty) == before
    newest = empty.model_copy(update={"home": tmp_path / "newest"})
    shutil.copytree(empty.keys, newest.keys)
    recovery.restore(newest, to)
    assert contents(newest) == contents(home)


def test_backups_beyond_those_to_keep_go_and_what_stays_is_whole(home: Settings, tmp_path: Path, empty: Settings):
    to = tmp_path / "backups"
    back_up(home, to)
    whole_home.deliver(home, tmp_path, "tajur")
    made = back_up(home, to, keep=1)
    assert made["removed_backups"] == 1
    assert store.ids(to) == [made["backup_id"]]
    assert {path.relative_to(to).as_posix() for path in to.rglob("*.age")} == {
        name for name, _ in store.sums(to, made["backup_id"])
    }
    recovery.restore(empty, to)
    assert rows(empty) == rows(home)


def test_a_recipient_of_its_own_and_keys_apart_bring_back_a_home_whose_server_is_lost(home: Settings, tmp_path: Path):
    offline = Identity.generate()
    made = back_up(home, tmp_path / "backups", offline, keys_to=tmp_path / "elsewhere" / "keys.age")
    lost = Settings(home=tmp_path / "lost", project_dir=home.project_dir, now=home.now)
    recovery.restore(
        lost,
        tmp_path / "backups",
        identity_file=identity_file(tmp_path, Identity.generate(), offline),
        keys_file=tmp_path / "elsewhere" / "keys.age",
    )
    assert made["missing"] == []
    assert keys.texts(lost) == keys.texts(home)
    assert codes(lost) == []


def test_other_recipients_get_objects_of_their_own(home: Settings, tmp_path: Path, empty: Settings):
    one, other = Identity.generate(), Identity.generate()
    first = back_up(home, tmp_path / "backups", one)
    second = back_up(home, tmp_path / "backups", other)
    assert second["new_files"] == first["new_files"] > 0
    recovery.restore(empty, tmp_path / "backups", identity_file=identity_file(tmp_path, other))
    assert contents(empty) == contents(home)


def test_an_erasure_since_comes_back_with_an_older_backup(home: Settings, tmp_path: Path, empty: Settings):
    to = tmp_path / "backups"
    first = back_up(home, to)
    (home.vault_dir / "tombstones-0123456789ab.age").write_bytes(b"marks of who was erased")
    back_up(home, to)
    recovery.restore(empty, to, backup_id=first["backup_id"])
    assert (empty.vault_dir / "tombstones-0123456789ab.age").read_bytes() == b"marks of who was erased"


# --- beside a night --------------------------------------------------------------------------------------------------


def test_what_comes_while_a_backup_runs_is_the_next_ones(home: Settings, tmp_path: Path, empty: Settings):
    came = []

    def meanwhile(text: str) -> None:
        if text.startswith("files") and not came:
            came.append(whole_home.deliver(home, tmp_path, "tajur"))

    before = contents(home)
    assert back_up(home, tmp_path / "backups", progress=meanwhile)["missing"] == []
    recovery.restore(empty, tmp_path / "backups")
    assert contents(empty) == before
    assert codes(empty) == []


def test_releases_that_come_into_force_meanwhile_are_taken_whole(home: Settings, tmp_path: Path, empty: Settings):
    came = []

    def meanwhile(text: str) -> None:
        if text.startswith("files") and not came:
            # Making the second of two takes away the cells that were the newest: a file that had been named is gone.
            came.extend(whole_home.publish(home, usual_counts(small=small)) for small in (90, 40))

    assert back_up(home, tmp_path / "backups", progress=meanwhile)["missing"] == []
    recovery.restore(empty, tmp_path / "backups")
    assert state.current_id(empty) == state.current_id(home)
    assert contents(empty) == contents(home)
    assert codes(empty) == []


# --- refused ---------------------------------------------------------------------------------------------------------


def _damage(folder: Path, how: str) -> None:
    chosen = max((folder / "objects").rglob("*.age"), key=lambda path: path.stat().st_size)
    if how == "gone":
        chosen.unlink()
    elif how == "cut":
        os.truncate(chosen, chosen.stat().st_size - 20)
    elif how == "flipped":
        data = bytearray(chosen.read_bytes())
        data[len(data) // 2] ^= 1
        chosen.write_bytes(data)
    elif how == "exchanged":
        other = min((folder / "objects").rglob("*.age"), key=lambda path: path.stat().st_size)
        shutil.copyfile(other, chosen)
    else:
        (manifest,) = (folder / "backups").glob("*.age")
        os.truncate(manifest, manifest.stat().st_size // 2)


@pytest.mark.parametrize("how", ["gone", "cut", "flipped", "exchanged", "manifest"])
def test_a_damaged_backup_is_refused_and_nothing_is_put_in_place(kept: Path, empty: Settings, tmp_path: Path, how: str):
    shutil.copytree(kept, tmp_path / "damaged")
    _damage(tmp_path / "damaged", how)
    with pytest.raises(RecoveryError, match="RESTORE_DAMAGED"):
        recovery.restore(empty, tmp_path / "damaged")
    assert contents(empty) == {}
    assert not (empty.home / "ledger.db").exists()
    recovery.restore(empty, kept)
    assert codes(empty) == []


def test_a_home_that_holds_anything_is_not_restored_into(kept: Path, empty: Settings, home: Settings):
    with pytest.raises(ConfigError, match="RESTORE_NOT_EMPTY"):
        recovery.restore(home, kept)
    (empty.home / "lake").mkdir()
    (empty.home / "lake" / "somebody's.parquet").write_bytes(b"x")
    with pytest.raises(ConfigError, match="RESTORE_NOT_EMPTY"):
        recovery.restore(empty, kept)


def test_a_home_that_was_only_looked_at_is_empty(kept: Path, empty: Settings):
    open_ledger(empty)
    (empty.home / "logs" / "warehouse.log").write_text("")
    recovery.restore(empty, kept)
    assert codes(empty) == []


def test_another_identity_does_not_open_it(kept: Path, empty: Settings, tmp_path: Path):
    other = identity_file(tmp_path, Identity.generate())
    with pytest.raises(ConfigError, match="RESTORE_IDENTITY"):
        recovery.restore(empty, kept, identity_file=other)
    other.write_text("no identity")
    with pytest.raises(ConfigError, match="RESTORE_IDENTITY"):
        recovery.restore(empty, kept, identity_file=other)
    shutil.rmtree(empty.keys)
    with pytest.raises(ConfigError, match="RESTORE_IDENTITY"):
        recovery.restore(empty, kept)


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("BACKUP_IN_HOME", lambda s, folder: back_up(s, s.home / "backups")),
        ("BACKUP_RECIPIENT", lambda s, folder: recovery.back_up(s, open_ledger(s), folder / "b", ["age1nobody"])),
        ("BACKUP_NOT_OURS", lambda s, folder: back_up(s, folder)),
        ("BACKUP_KEYS_APART", lambda s, folder: back_up(s, folder / "b", keys_to=folder / "keys.age")),
        (
            "BACKUP_KEYS_APART",
            lambda s, folder: back_up(s, folder / "b", Identity.generate(), keys_to=folder / "b" / "keys.age"),
        ),
        ("RESTORE_NOTHING", lambda s, folder: recovery.restore(s, folder)),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    home: Settings, tmp_path: Path, code: str, refused: Callable[[Settings, Path], object]
):
    with pytest.raises(ConfigError, match=code):
        refused(home, tmp_path)
    assert not [*tmp_path.rglob("*.age")][len([*home.home.rglob("*.age")]) :]


def test_an_unknown_backup_is_refused_with_those_there_are(kept: Path, empty: Settings):
    with pytest.raises(ConfigError, match="RESTORE_UNKNOWN") as raised:
        recovery.restore(empty, kept, backup_id="20200101T000000Z")
    assert store.ids(kept)[0] in raised.value.action_en


def test_two_backups_into_one_folder_do_not_meet(home: Settings, tmp_path: Path):
    to = tmp_path / "backups"
    with store.writing(to), pytest.raises(RecoveryError, match="BACKUP_RUNNING"):
        back_up(home, to)


def test_a_full_disk_is_told_and_leaves_the_backups_that_are_there(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: Settings
):
    to = tmp_path / "backups"
    first = back_up(home, to)
    whole_home.deliver(home, tmp_path, "tajur")
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _path: usage(1, 1, 0))
        with pytest.raises(RecoveryError, match="RECOVERY_NO_SPACE"):
            back_up(home, to)
    seal, written = store.seal, []

    def full(*what: object) -> object:
        written.append(what)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, "full")
        return seal(*what)

    with monkeypatch.context() as patched:
        patched.setattr(store, "seal", full)
        with pytest.raises(RecoveryError, match="RECOVERY_NO_SPACE"):
            back_up(home, to)
    assert store.ids(to) == [first["backup_id"]]
    # Of five, the ledger had been copied by the first try, two files by the second.
    assert back_up(home, to)["new_files"] == 2
    recovery.restore(empty, to)
    assert codes(empty) == []


@pytest.mark.parametrize("killed", ["seal", "object_file", "finish"])
def test_a_backup_that_is_killed_is_none_and_the_next_is_whole(
    home: Settings, tmp_path: Path, empty: Settings, monkeypatch: pytest.MonkeyPatch, killed: str
):
    to = tmp_path / "backups"
    first = back_up(home, to)
    whole_home.deliver(home, tmp_path, "tajur")
    where = store.Writer if killed == "finish" else store
    step, steps = getattr(where, killed), []

    def dies(*what: object) -> object:
        steps.append(what)
        if killed == "finish" or len(steps) == 4:
            raise KeyboardInterrupt
        return step(*what)

    with monkeypatch.context() as patched:
        patched.setattr(where, killed, dies)
        with pytest.raises(KeyboardInterrupt):
            back_up(home, to)
    assert store.ids(to) == [first["backup_id"]]
    # What SIGKILL leaves, which nothing tidies up.
    left = [to / "backups" / ".x.age.0f", to / "backups" / "x.sha256", next((to / "objects").glob("*/*")) / ".x.age.0f"]
    for path in left:
        path.write_bytes(b"half")
    back_up(home, to)
    assert not any(path.exists() for path in left)
    recovery.restore(empty, to)
    assert contents(empty) == contents(home)


@pytest.mark.parametrize("killed", ["_stage", "_put_in_place", "_put_ledger", "_finish"])
def test_a_restore_that_is_killed_goes_on_when_run_again(
    kept: Path, empty: Settings, original: Settings, monkeypatch: pytest.MonkeyPatch, killed: str
):
    step = getattr(restoring, killed)

    def dies(*what: object) -> None:
        if killed != "_stage":
            step(*what)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(restoring, killed, dies)
        with pytest.raises(KeyboardInterrupt):
            recovery.restore(empty, kept)
    recovery.restore(empty, kept)
    assert contents(empty) == contents(original)
    assert rows(empty) == rows(original)
    assert codes(empty) == []


# --- check -----------------------------------------------------------------------------------------------------------


def _one(s: Settings, pattern: str) -> Path:
    return min(s.home.glob(pattern))


def _flip(path: Path) -> None:
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "LANDING_MISSING": ("landing/kemenkes/*/*/*[0-9a-f].age", Path.unlink, "restore"),
    "LANDING_DAMAGED": ("landing/kemenkes/*/*/*[0-9a-f].age", _flip, "restore"),
    "MANIFEST_MISSING": ("landing/kemenkes/*/*/*.manifest.age", Path.unlink, "restore"),
    "LAKE_MISSING": ("lake/*/*.parquet", Path.unlink, f"replay {EPPGBM}"),
    "LAKE_DAMAGED": ("lake/*/*.parquet", _flip, f"replay {EPPGBM}"),
    "VAULT_MISSING": ("vault/*/*.parquet", Path.unlink, f"replay {EPPGBM}"),
    "VAULT_DAMAGED": ("vault/*/*.parquet", _flip, f"replay {EPPGBM}"),
    "REGISTER_MISSING": ("register/*.parquet", Path.unlink, "restore"),
    "RELEASE_MISSING": ("current/marts.duckdb", Path.unlink, "build"),
    "RELEASE_DAMAGED": ("current/marts.duckdb", _flip, "build"),
    "CURRENT_WRONG": ("current", Path.unlink, "build"),
}


@pytest.mark.parametrize("code", DAMAGES)
def test_each_damage_is_found_and_told_with_what_helps(home: Settings, code: str):
    pattern, damage, helps = DAMAGES[code]
    path = _one(home, pattern)
    if path.parent.resolve().parent == home.releases_dir:
        path.parent.resolve().chmod(0o700)
    damage(path)
    found = [one for one in recovery.check(home, open_ledger(home)) if one.severity == "damage"]
    assert [one.code for one in found] == [code]
    assert f"warehouse {helps}" in found[0].action_en
    assert f"warehouse {helps}" in found[0].action_id


def test_counts_that_do_not_add_up_are_found(home: Settings):
    led = open_ledger(home)
    with led.write() as connection:
        connection.execute(tables.verdicts.update().values(rows_read=tables.verdicts.c.rows_read + 1))
    assert codes(home) == ["COUNTS_DIFFER"] * len(PARTS)


def test_another_key_is_found(home: Settings):
    for name in keys.FILES:
        (home.keys / name).unlink()
    keys.make_sandbox_keys(home)
    found = set(codes(home))
    assert {"KEYS_WRONG", "LANDING_UNOPENED"} <= found


def test_files_that_nobody_names_are_notes(home: Settings):
    for folder in ("landing/a", "vault/b", "lake/c", "register"):
        (home.home / folder).mkdir(exist_ok=True)
        (home.home / folder / "left behind.age").write_bytes(b"x")
    assert codes(home) == []
    assert codes(home, "note") == ["UNNAMED_FILE"] * 4


def test_a_lost_file_of_a_former_verdict_is_a_note(home: Settings):
    path = _one(home, "lake/*/*.parquet")
    night.replay(EPPGBM, s=home)
    path.unlink()
    assert codes(home) == []
    assert "LAKE_MISSING" in codes(home, "note")


def test_a_backup_says_what_was_not_there_to_be_copied(home: Settings, tmp_path: Path, empty: Settings):
    lost = _one(home, "lake/*/*.parquet")
    lost.unlink()
    made = back_up(home, tmp_path / "backups")
    assert made["missing"] == [str(lost.relative_to(home.home))]
    assert recovery.restore(empty, tmp_path / "backups")["missing"] == made["missing"]
    assert codes(empty) == ["LAKE_MISSING"]


def test_a_manifest_holds_hashes_sizes_keys_and_revision(kept: Path, original: Settings):
    (backup_id,) = store.ids(kept)
    told = json.loads(
        pyrage.decrypt((kept / "backups" / f"{backup_id}.age").read_bytes(), [keys.landing_identity(original)])
    )
    files = {one["path"]: one for one in told["files"]}
    held = contents(original)
    assert files.keys() == held.keys() - {name for name in held if name.startswith("sandbox/")}
    assert all(files[name]["sha256"] == hashlib.sha256(held[name]).hexdigest() for name in files)
    assert all(files[name]["bytes"] == len(held[name]) for name in files)
    assert told["keys"].keys() == set(keys.USES)
    assert told["current"] == state.current_id(original)
    assert told["ledger_revision"]


def test_the_moment_of_a_backup_is_the_ledgers(home: Settings, tmp_path: Path):
    assert backup.back_up(home, open_ledger(home), tmp_path / "b")["backup_id"].startswith(f"{home.now:%Y%m%d}")
    again = backup.back_up(home, open_ledger(home), tmp_path / "b")["backup_id"]
    assert again == store.ids(tmp_path / "b")[-1] > store.ids(tmp_path / "b")[0]


# --- drills ----------------------------------------------------------------------------------------------------------


def in_force(s: Settings) -> set[str]:
    return {one.delivery_id for one in deliveries.in_force(Ledger(s.ledger), EPPGBM, "snapshot")}


def test_a_ledger_older_than_its_files_takes_them_in_again_and_nothing_is_destroyed(
    home: Settings, tmp_path: Path, empty: Settings
):
    back_up(home, tmp_path / "backups")
    whole_home.deliver(home, tmp_path, "tajur")
    whole_home.publish(home, usual_counts(small=90))
    recovery.restore(empty, tmp_path / "backups")
    for name in inventory.FOLDERS:
        shutil.copytree(home.home / name, empty.home / name, dirs_exist_ok=True)
    assert codes(empty) == []
    assert "UNNAMED_FILE" in codes(empty, "note")
    done = night.maintenance(s=empty)
    # A delivery and a release.
    assert done["taken_in"] == 2
    night.judge_landed(night.IngestOutcome(EPPGBM), s=empty)
    assert in_force(empty) == in_force(home)
    # But the cells of releases before the newest, which nothing needs.
    asked = {name for name in contents(home) if name.startswith(("landing", "releases", "register"))}
    assert {name for name in asked - contents(empty).keys() if ".cells/" not in name} == set()
    assert {row["release_id"] for row in state.kept(Ledger(empty.ledger))} == {
        row["release_id"] for row in state.kept(Ledger(home.ledger))
    }
    # As the next night leaves it.
    state.point_current(empty, Ledger(empty.ledger))
    assert codes(empty) == []


def test_landing_older_than_its_ledger_loses_no_row_and_is_mended_by_the_sender(home: Settings, tmp_path: Path):
    before = {path for path in (home.home / "landing").rglob("*") if path.is_file()}
    whole_home.deliver(home, tmp_path, "tajur")
    counting = in_force(home)
    for path in {path for path in (home.home / "landing").rglob("*") if path.is_file()} - before:
        path.unlink()
    assert codes(home) == ["LANDING_MISSING", "MANIFEST_MISSING"]
    assert night.replay(EPPGBM, s=home).lost
    night.maintenance(s=home)
    assert in_force(home) == counting
    whole_home.deliver(home, tmp_path, "tajur")
    assert len(in_force(home)) == len(counting)
    assert codes(home) == []


@pytest.mark.parametrize("revision", [earlier_ledger.revisions()[-2], pytest.param("0001", marks=pytest.mark.long)])
def test_a_backup_of_an_earlier_revision_is_brought_up_to_date(
    home: Settings, tmp_path: Path, empty: Settings, revision: str
):
    old = tmp_path / "old.db"
    had = earlier_ledger.make(old, revision, open_ledger(home))
    back_up(home, tmp_path / "backups")
    _with_ledger(home, tmp_path / "backups", old, revision)
    assert recovery.restore(empty, tmp_path / "backups")["ledger_revision"] == revision
    now, then = rows(empty), rows(home)
    for name, columns in had.items():
        assert [{column: row[column] for column in columns} for row in now[name]] == [
            {column: row[column] for column in columns} for row in then[name]
        ], name
    assert codes(empty) == []


def _with_ledger(s: Settings, to: Path, file: Path, revision: str) -> None:
    """Let the newest backup hold another ledger, as another version of the program would have written it."""
    told = store.manifest(to, store.ids(to)[-1], [keys.landing_identity(s)])
    writer = store.Writer(to, [keys.landing_recipient(s)])
    writer.finish(replace(told, ledger=writer.keep(file, store.LEDGER, None), ledger_revision=revision))


def test_a_backup_of_a_newer_program_is_refused(home: Settings, tmp_path: Path, empty: Settings):
    newer = tmp_path / "newer.db"
    copying.write_copy(open_ledger(home), newer)
    earlier_ledger.stamp(newer, "9999")
    back_up(home, tmp_path / "backups")
    _with_ledger(home, tmp_path / "backups", newer, "9999")
    with pytest.raises(ConfigError, match="LEDGER_NEWER"):
        recovery.restore(empty, tmp_path / "backups")
    assert contents(empty) == {}


# --- the guide's words -----------------------------------------------------------------------------------------------


def typed(*places: tuple[str, Path]) -> list[list[str]]:
    """What the engineer's guide says to type for backup and restore, at other places than it names."""
    text = (PROJECT_DIR / "docs" / "guides" / "engineer.md").read_text(encoding="utf-8")
    section = text.partition("## Backup and restore\n")[2].partition("\n## ")[0]
    for named, place in places:
        section = section.replace(named, str(place))
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def run(words: list[str], environment: dict[str, str]) -> str:
    """Run a line of the guide; ``export`` changes the environment."""
    if words[0] == "export":
        environment |= dict(word.split("=") for word in words[1:])
        return ""
    get_settings.cache_clear()
    done = CliRunner().invoke(cli.app, words[1:], env=environment, catch_exceptions=False)
    assert done.exit_code == 0, (words, done.output)
    return done.output


def test_the_guides_words_bring_a_home_back(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lines = typed(("/mnt/backup", tmp_path / "backups"), ("/srv/rehearsal", tmp_path / "rehearsal"))
    assert [" ".join(words[:2]) for words in lines] == [
        "warehouse backup", "warehouse check", "warehouse restore", f"export WAREHOUSE_HOME={tmp_path / 'rehearsal'}",
        "warehouse check-config", "warehouse build", "warehouse check",
    ]  # fmt: skip
    monkeypatch.setattr(night, "marts", lambda *_, **__: {"outcome": "unchanged", "stages": {}})
    environment = {
        "WAREHOUSE_HOME": str(home.home),
        "WAREHOUSE_KEYS_DIR": str(home.keys),
        "WAREHOUSE_PROJECT_DIR": str(home.project_dir),
        "WAREHOUSE_NOW": home.now.isoformat(),
    }
    said = [run(words, environment) for words in lines if words[1] != "check-config"]
    assert "kosong / none" in said[-1]
    assert rows(home.model_copy(update={"home": tmp_path / "rehearsal"})) == rows(home)


@pytest.mark.long
def test_a_city_comes_back_to_the_same_marts_by_the_guides_words(good_night: Settings, tmp_path: Path):
    lines = typed(("/mnt/backup", tmp_path / "backups"), ("/srv/rehearsal", tmp_path / "rehearsal"))
    environment = {
        "WAREHOUSE_HOME": str(good_night.home),
        "WAREHOUSE_KEYS_DIR": str(good_night.keys),
        "WAREHOUSE_ENDPOINTS_FILE": str(good_night.endpoints),
        "WAREHOUSE_SECRETS_DIR": str(good_night.secrets),
        "WAREHOUSE_NOW": good_night.now.isoformat(),
    }
    for words in lines:
        run(words, environment)
    builds = "select content_hash from builds where outcome = 'built' order by rowid desc limit 1"
    again = Ledger(f"sqlite:///{tmp_path / 'rehearsal' / 'ledger.db'}")
    assert again.rows(builds) == Ledger(good_night.ledger).rows(builds)
    assert len(again.rows("select 1 from builds where outcome = 'built'")) == 2


def test_a_watcher_is_told_by_the_exit_code(home: Settings, tmp_path: Path):
    _one(home, "lake/*/*.parquet").unlink()
    environment = {"WAREHOUSE_HOME": str(home.home), "WAREHOUSE_PROJECT_DIR": str(home.project_dir)}
    for words in (["check", "--json"], ["backup", "--to", str(tmp_path / "b")]):
        get_settings.cache_clear()
        done = CliRunner().invoke(cli.app, words, env=environment)
        assert done.exit_code == 8, done.output
