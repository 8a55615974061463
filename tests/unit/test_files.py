"""Files that are whole or not there, tried with a kill before each call to the system; and locks between processes."""

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.forked import forked
from warehouse.core import files

OLD, NEW = b"old" * 40_000, b"new" * 50_000


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def replace_whole(path: Path) -> None:
    with files.whole_file(path) as draft:
        draft.write_bytes(NEW)


def replace_pair(path: Path) -> None:
    drafts = [path.with_name(f"draft-{name}") for name in ("about", path.name)]
    for draft in drafts:
        draft.write_bytes(NEW)
    files.put_in_place((drafts[0], path.with_name("about")), (drafts[1], path))


def killed_before(act: Callable[[Path], object], path: Path, call: str, at: int) -> bool:
    """Run ``act`` in a process killed before its n-th call of the system; False if it came to its end."""

    def run() -> None:
        real, count = getattr(os, call), 0

        def dying(*arguments, **words):
            nonlocal count
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **words)

        setattr(os, call, dying)
        act(path)

    process = forked(run)
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize(
    ("call", "at", "is_new"), [("open", 1, False), ("fsync", 1, False), ("replace", 1, False), ("fsync", 2, True)]
)
@pytest.mark.parametrize("before", [OLD, None], ids=["over an old file", "where none was"])
def test_a_kill_leaves_the_old_file_or_the_new_one_whole(
    tmp_path: Path, call: str, at: int, is_new: bool, before: bytes | None
):
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    if before is not None:
        path.write_bytes(before)
    assert killed_before(replace_whole, path, call, at)
    assert (path.read_bytes() if path.exists() else None) == (NEW if is_new else before)
    replace_whole(path)
    assert path.read_bytes() == NEW


@pytest.mark.parametrize("at", [1, 2])
def test_a_kill_between_two_files_leaves_each_whole_and_the_first_first(tmp_path: Path, at: int):
    path = tmp_path / "file"
    for name in ("about", "file"):
        (tmp_path / name).write_bytes(OLD)
    assert killed_before(replace_pair, path, "replace", at)
    assert [(tmp_path / name).read_bytes() for name in ("about", "file")] == [NEW if at == 2 else OLD, OLD]


def test_a_failure_leaves_what_was_there_and_no_draft(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(OLD)

    def fail(path: Path) -> None:
        with files.whole_file(path) as draft:
            draft.write_bytes(NEW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail(path)
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_on_disk_before_it_has_its_name_and_the_name_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    order = []
    sync, replace = files.sync, os.replace
    monkeypatch.setattr(files, "sync", lambda path: (order.append(("sync", path.is_dir())), sync(path)))
    monkeypatch.setattr(os, "replace", lambda old, new: (order.append(("replace", new.name)), replace(old, new)))
    replace_whole(tmp_path / "file")
    assert order == [("sync", False), ("replace", "file"), ("sync", True)]
    order.clear()
    with files.whole_file(tmp_path / "file", durable=False) as draft:
        draft.write_bytes(NEW)
    assert order == [("replace", "file")]


def test_drafts_that_kills_have_left_are_swept_and_nothing_else(tmp_path: Path):
    drafts = [".ops.duckdb.0123456789abcdef", ".ops.duckdb.0123456789abcdef.wal", ".other.0123456789abcdef"]
    others = ["ops.duckdb", ".ops.duckdb.lock", ".lock", ".ops.duckdb.0123456789ABCDEF"]
    for name in drafts + others:
        (tmp_path / name).touch()
    assert files.sweep_drafts(tmp_path, older_than=60) == 0
    assert files.sweep_drafts(tmp_path, "ops.duckdb") == 2
    assert files.sweep_drafts(tmp_path) == 1
    assert {path.name for path in tmp_path.iterdir()} == set(others)


@pytest.mark.parametrize(("given", "drafts", "kept"), [(0o600, 0o644, 0o600), (0o440, 0o600, 0o440)])
def test_a_file_gets_the_bits_it_is_given(tmp_path: Path, given: int, drafts: int, kept: int):
    path = tmp_path / "file"
    with files.whole_file(path, mode=given) as draft:
        draft.write_bytes(NEW)
        draft.chmod(drafts)
    assert mode(path) == kept


def test_a_draft_keeps_its_own_bits_where_none_are_given(tmp_path: Path):
    path = tmp_path / "file"
    with files.whole_file(path, mode=None) as draft:
        draft.write_bytes(NEW)
        draft.chmod(0o444)
    assert mode(path) == 0o444
    folder = tmp_path / "draft"
    folder.mkdir()
    folder.chmod(0o555)
    files.put_in_place((folder, tmp_path / "release"))
    assert mode(tmp_path / "release") == 0o555


def test_folders_that_are_missing_are_the_owners_alone(tmp_path: Path):
    replace_whole(tmp_path / "a" / "b" / "file")
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b"), mode(tmp_path / "a" / "b" / "file")] == [
        0o700, 0o700, 0o600,
    ]  # fmt: skip


def test_the_first_to_write_once_wins(tmp_path: Path):
    path = tmp_path / "key"
    assert files.write_once(path, b"first")
    assert not files.write_once(path, b"second")
    assert path.read_bytes() == b"first"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_that_write_once_at_the_same_time_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "key"
    link = os.link
    monkeypatch.setattr(os, "link", lambda draft, target: (path.write_bytes(b"first"), link(draft, target)))
    assert not files.write_once(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("at", [1, 2])
def test_a_killed_write_once_leaves_nothing_or_the_whole(tmp_path: Path, at: int):
    path = tmp_path / "key"
    assert killed_before(lambda path: files.write_once(path, NEW), path, "fsync", at)
    assert (path.read_bytes() if path.exists() else None) == (None if at == 1 else NEW)


def test_a_link_leads_to_the_old_or_the_new(tmp_path: Path):
    link = tmp_path / "current"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    files.point(link, Path("one"))
    assert killed_before(lambda path: files.point(path, Path("two")), link, "replace", 1)
    assert link.readlink() == Path("one")
    files.point(link, Path("two"))
    assert link.resolve() == tmp_path / "two"


@pytest.mark.parametrize("is_folder", [False, True])
def test_sharers_hold_a_lock_together_and_nobody_beside_one_who_is_alone(tmp_path: Path, is_folder: bool):
    path = tmp_path / "lock"
    if is_folder:
        path.mkdir()
    one, another = files.shared_lock(path), files.shared_lock(path, wait=False)
    with one, another, pytest.raises(BlockingIOError), files.exclusive_lock(path, wait=False):
        pass
    with files.exclusive_lock(path), pytest.raises(BlockingIOError), files.shared_lock(path, wait=False):
        pass
    with files.exclusive_lock(path, wait=False):
        pass


def test_a_lock_ends_with_the_process_that_held_it(tmp_path: Path):
    process = forked(lambda: files.lock_for_life(tmp_path / "lock"))
    process.join(60)
    with files.exclusive_lock(tmp_path / "lock", wait=False):
        pass
    handle = files.lock_for_life(tmp_path / "lock")
    with pytest.raises(BlockingIOError), files.exclusive_lock(tmp_path / "lock", wait=False):
        pass
    os.close(handle)


def test_a_private_text_is_the_owners_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "passwords.json"
    for text in ("first", "second, ü"):
        files.write_private(path, text)
        assert path.read_text(encoding="utf-8") == text
        assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == [path.name]
