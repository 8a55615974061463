"""Keys are made only for the sandbox, and anything doubtful about a key is refused before it is used."""

import os
from concurrent.futures import ThreadPoolExecutor

import pyrage
import pytest

from warehouse import keys
from warehouse.errors import ConfigError
from warehouse.settings import Settings

READERS = [keys.landing_recipient, keys.landing_identity, keys.pseudonym_key, keys.vault_key]


@pytest.fixture
def s(tmp_path) -> Settings:
    return Settings(home=tmp_path / "home")


def test_sandbox_keys_are_private_complete_and_belong_together(s):
    keys.make_sandbox_keys(s)
    sealed = pyrage.encrypt(b"x", [keys.landing_recipient(s)])
    assert pyrage.decrypt(sealed, [keys.landing_identity(s)]) == b"x"
    assert len(keys.pseudonym_key(s)) == len(keys.vault_key(s)) == 32
    assert keys.pseudonym_key(s) != keys.vault_key(s)
    assert s.keys.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in s.keys.iterdir()} == {0o600}


def test_making_keys_again_changes_nothing(s):
    keys.make_sandbox_keys(s)
    before = {path.name: path.read_bytes() for path in s.keys.iterdir()}
    keys.make_sandbox_keys(s)
    assert {path.name: path.read_bytes() for path in s.keys.iterdir()} == before


def test_processes_that_make_keys_at_once_agree(s):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: keys.make_sandbox_keys(s), range(16)))
    assert str(keys.landing_identity(s).to_public()) == str(keys.landing_recipient(s))


@pytest.mark.parametrize("read", READERS)
def test_without_the_sandbox_mark_a_missing_key_is_refused(s, read):
    with pytest.raises(ConfigError, match="KEYS_MISSING"):
        read(s)
    assert not s.home.exists()


@pytest.mark.parametrize("read", READERS)
def test_keys_under_the_home_without_the_mark_are_refused(s, read):
    keys.make_sandbox_keys(s)
    (s.keys / keys.SANDBOX_MARK).unlink()
    with pytest.raises(ConfigError, match="KEYS_IN_HOME"):
        read(s)


def test_production_keys_outside_the_home_are_read(s, tmp_path):
    keys.make_sandbox_keys(s)
    outside = tmp_path / "production"
    s.keys.rename(outside)
    (outside / keys.SANDBOX_MARK).unlink()
    production = Settings(home=s.home, keys_dir=outside)
    assert len(keys.vault_key(production)) == 32


def test_a_folder_of_other_keys_is_never_written_to(s, tmp_path):
    outside = tmp_path / "production"
    outside.mkdir()
    (outside / "landing.key").write_text("theirs")
    with pytest.raises(ConfigError, match="KEYS_NOT_SANDBOX"):
        keys.make_sandbox_keys(Settings(home=s.home, keys_dir=outside))
    assert [path.name for path in outside.iterdir()] == ["landing.key"]


@pytest.mark.parametrize("name", [keys.LANDING_SECRET, keys.PSEUDONYM, keys.VAULT])
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_secret_that_others_can_read_is_refused(s, name, mode):
    keys.make_sandbox_keys(s)
    os.chmod(s.keys / name, mode)
    refused = []
    for read in READERS:
        try:
            read(s)
        except ConfigError as error:
            refused.append(error.code)
    assert refused == ["KEYS_READABLE"]


@pytest.mark.parametrize("text", ["", "warehouse-key 1\nabcd\n", "00" * 32, "warehouse-key 0\n" + "00" * 32 + "\n"])
def test_a_damaged_key_is_refused_without_showing_it(s, text):
    keys.make_sandbox_keys(s)
    for name in (keys.LANDING_PUBLIC, keys.LANDING_SECRET, keys.PSEUDONYM, keys.VAULT):
        (s.keys / name).write_text(text)
    for read in READERS:
        with pytest.raises(ConfigError, match="KEYS_INVALID") as caught:
            read(s)
        assert not text or text not in str(caught.value)
