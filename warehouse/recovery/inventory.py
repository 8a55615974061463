"""Which files make a home: those that the ledger names, and the few of the vault and the register that it need not.

What a build, the report or Airflow makes again is none of them, nor are keys and credentials. Not here: whether they
are there (check), copies of them (backup).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, deliveries, tables
from warehouse.release import register, state
from warehouse.storage import landing

Kind = Literal["landing", "manifest", "lake", "vault", "links", "register", "release", "sandbox"]
# Folders that hold such files: whatever else lies there belongs to nobody.
FOLDERS = ("landing", "vault", "lake", "register", "releases")


@dataclass(frozen=True)
class Named:
    """A file that the home must hold; ``path`` below WAREHOUSE_HOME.

    sha256: where ledger or release manifest has it. delivery_id and verdict_id: of what it holds; release_id: of the
    release that it belongs to.
    """

    path: str
    kind: Kind
    sha256: str | None = None
    delivery_id: str | None = None
    verdict_id: str | None = None
    release_id: str | None = None


def named(s: Settings, led: Ledger) -> list[Named]:
    """Every file that the home must hold as the ledger stands; whether it does is not looked at."""
    return [*_deliveries(s, led), *_links(s), *_register(s, led), *_releases(s, led), *_sandbox(s)]


def _deliveries(s: Settings, led: Ledger) -> Iterator[Named]:
    for one in deliveries.kept(led):
        yield Named(one.stored_path, "landing", one.stored_sha256, one.delivery_id)
        manifest = landing.manifest_of(s.home / one.stored_path)
        yield Named(str(manifest.relative_to(s.home)), "manifest", delivery_id=one.delivery_id)
    for row in led.rows(sa.select(tables.lake_files)):
        yield Named(row["path"], row["kind"], row["sha256"], row["delivery_id"], row["verdict_id"])


def _links(s: Settings) -> Iterator[Named]:
    """What linking and erasures keep in the vault: links, trained models, tombstones."""
    for path in (*s.vault_dir.glob("*"), *(s.vault_dir / "models").glob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield Named(str(path.relative_to(s.home)), "links")


def _register(s: Settings, led: Ledger) -> Iterator[Named]:
    for row in led.rows(sa.select(tables.releases.c.release_id).where(tables.releases.c.disclosure == "on")):
        # The cells are the newest release's; the next one takes away those before.
        cells = _files_in(register.cells_folder(s, row["release_id"]))
        for path in (register.register_file(s, row["release_id"]), *cells):
            yield Named(str(path.relative_to(s.home)), "register", release_id=row["release_id"])


def _releases(s: Settings, led: Ledger) -> Iterator[Named]:
    for release_id in (row["release_id"] for row in state.kept(led)):
        folder = s.releases_dir / release_id
        release_files = state.manifest(s, release_id).get("files", [])
        hashes: dict[str, str | None] = {row["path"]: row["sha256"] for row in release_files}
        # The pseudonymised file leaves older releases, and is written anew for erasures and under new keys.
        hashes.pop(state.MICRO_FILE, None)
        there = {str(path.relative_to(folder)) for path in _files_in(folder)}
        for name in sorted({state.MANIFEST_FILE} | hashes.keys() | there):
            path = str((folder / name).relative_to(s.home))
            yield Named(path, "release", hashes.get(name), release_id=release_id)


def _sandbox(s: Settings) -> Iterator[Named]:
    """What a build of a synthetic city reads beside the lake."""
    path = s.home / "sandbox" / "city.json"
    if path.is_file():
        yield Named(str(path.relative_to(s.home)), "sandbox")


def _files_in(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))


def unnamed(s: Settings, named_paths: set[str]) -> list[str]:
    """Files in the home's lasting folders that are none of ``named_paths``; hidden ones are drafts or locks."""
    paths = (path for name in FOLDERS for path in (s.home / name).rglob("*"))
    names = (path.relative_to(s.home) for path in paths if path.is_file() or path.is_symlink())
    visible = (str(name) for name in names if not any(part.startswith(".") for part in name.parts))
    return sorted(set(visible) - named_paths)
