"""Who may enter which folder of WAREHOUSE_HOME: engineers everywhere, everybody else only what was made for them.

Engineers are the account that owns the home. Here: modes and groups, set where a folder or file is made. Not here: what
is in them, who may do what in Airflow (docker/init.py).

Without groups in the settings the three readable places are open to every account of the host; with one, to its members
only. The pseudonymised file is the owner's alone unless there is a group for it.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings

# Everything made in these is out of others' reach, whatever its own mode.
_PRIVATE = ("airflow", "build", "dbt", "inbox", "lake", "landing", "logs", "register", "tmp", "vault")
_OWNER_ONLY = 0o700


def prepare(s: Settings) -> None:
    """Make the home's folders, or bring those that are there to the modes they must have; owner only."""
    s.home.mkdir(parents=True, exist_ok=True)
    if s.home.stat().st_uid != os.geteuid():
        return
    _set_mode(s.home, 0o711)
    for name in _PRIVATE:
        folder = s.home / name
        folder.mkdir(mode=_OWNER_ONLY, exist_ok=True)
        _set_mode(folder, _OWNER_ONLY)
    for folder, group in ((s.releases_dir, s.readers_group), (s.reports_dir, s.reports_group)):
        folder.mkdir(exist_ok=True)
        share(folder, group, 0o755)
    if s.ledger.startswith("sqlite:///"):
        _keep_private(Path(s.ledger.removeprefix("sqlite:///")))


def _keep_private(path: Path) -> None:
    """Make an empty file of the owner's alone, or take it from the others.

    One that is there is not opened: closing it would take away the locks that SQLite holds on it in this process.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    _set_mode(path, 0o600)


def share(path: Path, group: str | None, mode: int) -> None:
    """Give a file or folder its mode; with a group, what was for everybody is for its members."""
    if group:
        try:
            shutil.chown(path, group=int(group) if group.isdigit() else group)
        except (LookupError, PermissionError):
            raise ConfigError(
                "GROUP_UNKNOWN",
                f"Grup {group!r} tidak ada atau pemilik WAREHOUSE_HOME bukan anggotanya.",
                f"Group {group!r} does not exist, or the owner of WAREHOUSE_HOME is not in it.",
                "Buat grup itu dan masukkan pemilik WAREHOUSE_HOME sebagai anggota.",
                "Make the group and add the owner of WAREHOUSE_HOME to it.",
            ) from None
        mode &= 0o770
    _set_mode(path, mode)


def share_tree(folder: Path, group: str | None) -> None:
    """Share a folder and all that is in it."""
    for path in (*folder.rglob("*"), folder):
        share(path, group, 0o755 if path.is_dir() else 0o644)


def _set_mode(path: Path, mode: int) -> None:
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)
