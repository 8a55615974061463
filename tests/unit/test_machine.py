"""What the machine refuses is told by its code, in words of ours, and leaves other errors alone."""

import errno
import os
import sqlite3

import duckdb
import pytest
import sqlalchemy as sa
import typer

from warehouse import cli
from warehouse.core import machine
from warehouse.core.errors import WarehouseError
from warehouse.core.redaction import redacted
from warehouse.ledger import Ledger

SECRET = "3671014102209999"


def of_sqlite(name: str) -> sqlite3.Error:
    error = sqlite3.OperationalError(SECRET)
    error.sqlite_errorname = name
    return error


def of_the_ledger(error: Exception) -> sa.exc.DBAPIError:
    return sa.exc.OperationalError("SELECT", {}, error)


def of_postgres(name: str) -> Exception:
    return type(name, (Exception,), {"__module__": "psycopg2"})(SECRET)


REFUSALS = [
    (OSError(errno.ENOSPC, SECRET), "DISK_FULL"),
    (OSError(errno.EROFS, SECRET), "DISK_READ_ONLY"),
    (OSError(errno.EIO, SECRET), "DISK_FAILS"),
    (MemoryError(SECRET), "MEMORY_SHORT"),
    (duckdb.OutOfMemoryException(SECRET), "MEMORY_SHORT"),
    (duckdb.IOException(f"Could not write {SECRET}: {os.strerror(errno.ENOSPC)}"), "DISK_FULL"),
    (of_the_ledger(of_sqlite("SQLITE_FULL")), "DISK_FULL"),
    (of_the_ledger(of_sqlite("SQLITE_READONLY_DBMOVED")), "DISK_READ_ONLY"),
    (of_the_ledger(of_sqlite("SQLITE_BUSY_SNAPSHOT")), "LEDGER_LOCKED"),
    (of_the_ledger(of_sqlite("SQLITE_CANTOPEN")), "LEDGER_AWAY"),
    (of_the_ledger(of_sqlite("SQLITE_NOTADB")), "LEDGER_DAMAGED"),
    (of_the_ledger(of_postgres("OperationalError")), "LEDGER_AWAY"),
]
OTHERS = [
    OSError(errno.ENOENT, SECRET),
    PermissionError(errno.EACCES, SECRET),
    ValueError(SECRET),
    duckdb.IOException(SECRET),
    of_the_ledger(of_sqlite("SQLITE_CONSTRAINT_UNIQUE")),
    of_the_ledger(of_postgres("IntegrityError")),
]


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(("error", "code"), REFUSALS)
def test_a_refusal_of_the_machine_has_a_code_and_an_action(error, code):
    with pytest.raises(machine.MachineError, match=code) as caught:
        redacted(_raise)(error)
    told = caught.value
    assert all((told.message_id, told.message_en, told.action_id, told.action_en))
    assert SECRET not in repr(told)


@pytest.mark.parametrize("error", OTHERS)
def test_other_errors_are_not_the_machines(error):
    assert machine.told(error) is None
    with pytest.raises(WarehouseError, match="UNEXPECTED"):
        redacted(_raise)(error)


def test_a_command_tells_it_and_ends_with_one(monkeypatch, capsys):
    monkeypatch.setattr(cli, "_log_to_file", lambda: None)
    monkeypatch.setattr(cli, "app", typer.Typer())
    cli.app.command("step")(lambda: _raise(OSError(errno.EROFS, SECRET)))
    monkeypatch.setattr("sys.argv", ["warehouse", "step"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    shown = capsys.readouterr().err
    assert "DISK_READ_ONLY" in shown
    assert SECRET not in shown


def test_a_file_that_is_no_ledger_is_told(settings):
    settings.home.mkdir()
    (settings.home / "ledger.db").write_bytes(b"not a database at all, " * 200)
    with pytest.raises(machine.MachineError, match="LEDGER_DAMAGED"):
        redacted(lambda: Ledger(settings.ledger).rows("select 1 from nights"))()
