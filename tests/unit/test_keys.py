"""Keys come from files, environment or secrets backend; anything doubtful about one is refused before it is used."""

import os
from concurrent.futures import ThreadPoolExecutor

import pyrage
import pytest

from warehouse import build, ledger
from warehouse.core.errors import ConfigError
from warehouse.core.settings import KEY_VARIABLES, Settings
from warehouse.ledger import tables
from warehouse.storage import keys

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


# --- where keys stand ------------------------------------------------------------------------------------------------


def texts(s: Settings) -> dict[str, str]:
    return {name.replace(".", "_"): (s.keys / name).read_text() for name in keys.FILES}


@pytest.fixture
def held_elsewhere(s, tmp_path) -> tuple[Settings, dict[str, str]]:
    """Keys made elsewhere, and a home that has no key folder."""
    keys.make_sandbox_keys(s)
    return Settings(home=tmp_path / "other"), texts(s)


def test_keys_come_from_the_environment(s, held_elsewhere, monkeypatch):
    other, values = held_elsewhere
    for name, value in values.items():
        monkeypatch.setenv(f"WAREHOUSE_{name.upper()}", value)
    found = Settings(home=other.home, keys_from="environment")
    assert [keys.check_value(read(found)) for read in READERS] == [keys.check_value(read(s)) for read in READERS]
    assert not any(value.strip() in repr(found) for value in values.values())


def test_keys_come_from_airflows_secrets_backend(s, held_elsewhere, monkeypatch):
    other, values = held_elsewhere
    for name, value in values.items():
        monkeypatch.setenv(f"AIRFLOW_VAR_WAREHOUSE_{name.upper()}", value)
    found = Settings(home=other.home, keys_from="airflow")
    assert [keys.check_value(read(found)) for read in READERS] == [keys.check_value(read(s)) for read in READERS]


@pytest.mark.parametrize("source", ["environment", "airflow"])
@pytest.mark.parametrize("read", READERS)
def test_a_key_missing_there_is_refused(s, source, read):
    with pytest.raises(ConfigError, match="KEYS_MISSING"):
        read(Settings(home=s.home, keys_from=source))
    assert not s.home.exists()


def test_a_process_that_needs_no_keys_is_given_none(s, monkeypatch):
    for name in KEY_VARIABLES:
        monkeypatch.setenv(name, "secret")
    assert KEY_VARIABLES.isdisjoint(build.dbt_environment(s, s.build_file))


# --- the right ones --------------------------------------------------------------------------------------------------


@pytest.fixture
def used(s) -> Settings:
    """A home whose data stand under its keys."""
    keys.make_sandbox_keys(s)
    ledger.upgrade(s.ledger)
    keys.confirm(s, ledger.Ledger(s.ledger), *keys.USES)
    return s


def replace(s: Settings, *names: str) -> None:
    """Put keys of another set in the place of some of these."""
    other = Settings(home=s.home / "other")
    keys.make_sandbox_keys(other)
    for name in names:
        os.replace(other.keys / name, s.keys / name)


@pytest.mark.parametrize(("name", "read"), list(zip(keys.FILES, READERS, strict=True)))
def test_a_key_that_is_not_the_one_in_use_is_refused(used, name, read):
    replace(used, name)
    with pytest.raises(ConfigError, match="KEYS_WRONG"):
        read(used)


@pytest.mark.parametrize("name", keys.FILES)
def test_nothing_is_landed_or_judged_under_a_wrong_key(used, name):
    replace(used, name)
    use = {"landing.pub": "landing", "pseudonym.key": "pseudonym", "vault.key": "vault"}.get(name)
    if use:
        with pytest.raises(ConfigError, match="KEYS_WRONG"):
            keys.confirm(used, ledger.Ledger(used.ledger), use)
    with pytest.raises(ConfigError, match="KEYS_WRONG"):
        keys.describe(used)


def test_the_ledger_tells_keys_apart_without_telling_them(used):
    said = str(ledger.Ledger(used.ledger).rows("select * from key_checks"))
    assert all(line not in said for text in texts(used).values() for line in text.splitlines())
    assert len(ledger.Ledger(used.ledger).rows("select distinct check_value from key_checks")) == 3


def test_a_host_that_only_ingests_needs_the_public_half_only(s):
    keys.make_sandbox_keys(s)
    for name in (keys.LANDING_SECRET, keys.PSEUDONYM, keys.VAULT):
        (s.keys / name).unlink()
    ledger.upgrade(s.ledger)
    keys.confirm(s, ledger.Ledger(s.ledger), "landing")
    keys.landing_recipient(s)


# --- successors ------------------------------------------------------------------------------------------------------


def production(s: Settings, tmp_path) -> Settings:
    return Settings(home=s.home, keys_dir=tmp_path / "production")


def test_new_production_keys_are_made_once_and_outside_the_home(s, tmp_path):
    made = production(s, tmp_path)
    assert keys.make_new(made) == made.keys
    assert keys.describe(made).startswith("production")
    assert {path.stat().st_mode & 0o777 for path in made.keys.iterdir()} == {0o600}
    with pytest.raises(ConfigError, match="KEYS_IN_HOME"):
        keys.make_new(s)
    with pytest.raises(ConfigError, match="KEYS_NEED_FOLDER"):
        keys.make_new(Settings(home=s.home, keys_from="environment"))


def test_new_keys_are_not_made_where_data_stand_under_lost_ones(used):
    for name in keys.FILES:
        (used.keys / name).unlink()
    with pytest.raises(ConfigError, match="KEYS_LOST"):
        keys.make_new(used)
    assert [path.name for path in used.keys.iterdir()] == [keys.SANDBOX_MARK]


def test_successors_lie_apart_and_are_not_used_until_the_ledger_says_so(used):
    before = [keys.check_value(read(used)) for read in READERS]
    folder = keys.make_new(used)
    assert folder == used.keys / keys.NEXT
    assert (folder / keys.VAULT).read_text().startswith("warehouse-key 2\n")
    assert [keys.check_value(read(used)) for read in READERS] == before
    with pytest.raises(ConfigError, match="KEYS_THERE"):
        keys.make_new(used)
    with ledger.Ledger(used.ledger).write() as connection:
        for name, use in ((keys.LANDING_PUBLIC, "landing"), (keys.PSEUDONYM, "pseudonym"), (keys.VAULT, "vault")):
            check = keys.check_value(keys.of_generation(used, name, "next"))
            row = {"key_name": use, "version": 2, "check_value": check, "since": used.utc_now()}
            connection.execute(tables.key_checks.insert(), row)
    after = [keys.check_value(read(used)) for read in READERS]
    assert set(after).isdisjoint(before)
    assert keys.promote(used)
    assert [keys.check_value(read(used)) for read in READERS] == after
    assert not folder.exists()
    assert len(list((used.keys / keys.PREVIOUS).iterdir())) == len(keys.FILES)
    assert keys.promote(used)
