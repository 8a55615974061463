"""An internal release: the marts of the build at hand with nothing rounded, for one decided purpose.

It says so in its folder's and files' names, its manifest, the ledger and on the monitors' pages; it lies apart from the
releases, readable by the owner of the process alone, is never current, never in the register of what was published, and
is removed after ``KEPT_DAYS``. Not here: releases for readers (publisher).
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from warehouse import ledger
from warehouse.build.catalogue import manifest_path, read_catalogue
from warehouse.core.errors import ReleaseError
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, tables
from warehouse.release import content, state

KEPT_DAYS = 30
MARK = "undisclosed"


def make_internal(s: Settings, led: Ledger, reason: str, by: str) -> Path:
    """Write the build's marts with exact counts; returns the file.

    Raises ReleaseError when there is no build, ConfigError REASON_MISSING.
    """
    state.demand_reason(reason)
    with state.only_releaser(s):
        builds = led.rows("select build_id, code_version from builds where outcome = 'built' order by started_at desc")
        if not builds or not s.build_file.exists():
            raise ReleaseError(
                "RELEASE_NO_BUILD",
                "Belum ada pembangunan yang selesai.",
                "No build has finished yet.",
                "Jalankan `warehouse build`.",
                "Run `warehouse build`.",
            )
        catalogue = read_catalogue(manifest_path(s.home))
        created_at = s.utc_now().replace(microsecond=0)
        release_id = f"{created_at:%Y%m%dT%H%M%SZ}-{ledger.new_id()[:4]}-{MARK}"
        folder = s.internal_dir / release_id
        folder.mkdir(mode=0o700, parents=True)
        s.internal_dir.chmod(0o700)
        file = folder / f"marts-{MARK}.duckdb"
        with content.reading_build(s) as con:
            content.write_exact(con, catalogue, file, release_id)
        about = {
            "release_id": release_id, "disclosure": "off", "reason": reason.strip(), "decided_by": by,
            "created_at": created_at, "removed_after": created_at + timedelta(days=KEPT_DAYS), "file": file.name,
            "warning_id": "Cacah kecil TIDAK dibulatkan. Jangan dibagikan.",
            "warning_en": "Small counts are NOT rounded. Do not share.",
        }  # fmt: skip
        text = json.dumps(about, ensure_ascii=False, indent=1, default=str)
        (folder / state.MANIFEST_FILE).write_text(text, encoding="utf-8")
        for path in folder.iterdir():
            path.chmod(0o400)
        folder.chmod(0o500)
        row = {
            "release_id": release_id, "build_id": builds[0]["build_id"], "previous_release_id": None,
            "created_at": created_at, "code_version": builds[0]["code_version"], "disclosure": "off",
            "scan_verdict": "not_run",
        }  # fmt: skip
        led.insert(tables.releases, row)
    return file


def kept_internal(led: Ledger) -> list[dict[str, Any]]:
    """Ledger rows of internal releases that are kept, newest first."""
    table = tables.releases
    condition = sa.and_(table.c.removed_at.is_(None), table.c.disclosure == "off")
    return led.rows(sa.select(table).where(condition).order_by(table.c.created_at.desc()))


def retain_internal(s: Settings, led: Ledger) -> int:
    """Remove internal releases whose time is over; returns how many."""
    due = s.utc_now() - timedelta(days=KEPT_DAYS)
    expired = [row["release_id"] for row in kept_internal(led) if row["created_at"] < due]
    for release_id in expired:
        if (s.internal_dir / release_id).exists():
            state.remove_folder(s.internal_dir / release_id)
        with led.write() as connection:
            connection.execute(
                tables.releases.update().where(tables.releases.c.release_id == release_id), {"removed_at": s.utc_now()}
            )
    return len(expired)
