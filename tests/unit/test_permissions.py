"""Preparing a home's folders again and again leaves alone what is in use; roles and modes: test_roles."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from warehouse.core import permissions
from warehouse.core.settings import Settings


def test_a_ledger_in_use_keeps_its_locks_when_the_home_is_prepared_again(tmp_path: Path):
    s = Settings(home=tmp_path / "home")
    permissions.prepare(s)
    path = s.home / "ledger.db"
    assert path.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        permissions.prepare(s)
        second = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        done = subprocess.run([sys.executable, "-c", second, path], capture_output=True, text=True, check=False)
    assert "database is locked" in done.stderr
