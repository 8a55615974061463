"""What ``serve`` promises before any Airflow runs: one at a time, private files, a clean environment."""

import json
import os
import stat
from configparser import ConfigParser
from contextlib import closing
from importlib import import_module

import pytest
import sqlalchemy as sa

from warehouse.core.errors import WarehouseError
from warehouse.core.settings import Settings
from warehouse.sandbox import local_airflow


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def configured(settings: Settings) -> Settings:
    local_airflow.airflow_home(settings).mkdir(parents=True)
    local_airflow.write_configuration(settings, "http://127.0.0.1:4711", parallelism=2, retry_seconds=5)
    return settings


def test_secrets_are_made_once_and_readable_by_nobody_else(configured: Settings) -> None:
    home = local_airflow.airflow_home(configured)
    before = json.loads(local_airflow.passwords_file(configured).read_text())
    assert set(before) == set(local_airflow.USERS)
    assert all(len(password) >= 24 for password in before.values())
    assert {mode(path) for path in home.iterdir() if path.is_file()} == {0o600}
    local_airflow.write_configuration(configured, "http://127.0.0.1:4712", parallelism=2, retry_seconds=5)
    assert json.loads(local_airflow.passwords_file(configured).read_text()) == before


def test_no_secret_stands_in_the_environment(configured: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "SomebodyElse")
    env = local_airflow.environment(configured)
    kept = json.loads((local_airflow.airflow_home(configured) / "secrets.json").read_text())
    assert not set(kept.values()) & set(env.values())
    assert "AIRFLOW__CORE__EXECUTOR" not in env
    assert env["WAREHOUSE_HOME"] == str(configured.home)


def test_a_second_airflow_on_the_same_home_is_refused(configured: Settings) -> None:
    lock = local_airflow.claim(configured)
    try:
        with pytest.raises(WarehouseError, match="AIRFLOW_RUNNING"):
            local_airflow.start(configured)
    finally:
        os.close(lock)
    os.close(local_airflow.claim(configured))


def test_airflow_s_commands_wait_for_each_other_s_writes(configured: Settings) -> None:
    config = ConfigParser()
    config.read(local_airflow.airflow_home(configured) / "airflow.cfg")
    found = []
    for option in ("sql_alchemy_connect_args", "sql_alchemy_connect_args_async"):
        module, _, name = config["database"][option].rpartition(".")
        found.append(getattr(import_module(module), name))
    assert found[0] == found[1]
    assert found[0]["timeout"] >= 60

    url = config["database"]["sql_alchemy_conn"]
    ours = sa.create_engine(url, connect_args=found[0])
    impatient = sa.create_engine(url, connect_args={"timeout": 0})
    with ours.begin() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("CREATE TABLE runs (name TEXT)")
    with ours.connect() as command, closing(impatient.connect()) as scheduler:
        with command.begin_nested():
            assert command.exec_driver_sql("SELECT count(*) FROM runs").scalar() == 0
            with pytest.raises(sa.exc.OperationalError, match="locked"):
                scheduler.exec_driver_sql("INSERT INTO runs VALUES ('between')")
            scheduler.rollback()
            command.exec_driver_sql("INSERT INTO runs VALUES ('of a command')")
        command.commit()
        scheduler.exec_driver_sql("INSERT INTO runs VALUES ('after it')")
        scheduler.commit()
        assert command.exec_driver_sql("SELECT count(*) FROM runs").scalar() == 2
