"""The ledger's rows of a release: written when it is made, and again from its manifest where the ledger has lost them.

Not here: making a release (publisher), which of them are kept (state).
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from warehouse.core.periods import JAKARTA
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, tables
from warehouse.release import state

LEVELS = ("kelurahan", "kecamatan", "kota")
_ROW = (
    "release_id", "build_id", "previous_release_id", "created_at", "code_version", "disclosure", "scan_verdict",
)  # fmt: skip
# Without these a manifest is of a release from before they were kept.
_TOLD = {*_ROW, "marts", "rounding", "policy"}


def record(led: Ledger, row: dict[str, Any], content: dict[str, Any], base: int) -> None:
    """Record a release and what its marts hold, in one transaction; readers may have it from then on.

    ``made``: its ``marts`` and the ``rounding`` errors, as in its manifest; ``base``: what small counts are rounded to.
    """
    marts = content["marts"]
    errors = {mart["name"]: {f"mean_error_{level}": None for level in LEVELS} for mart in marts}
    for rounding in content["rounding"]:
        errors[rounding["mart"]][f"mean_error_{rounding['area_level']}"] = rounding["mean_error"]
    with led.write() as connection:
        connection.execute(tables.releases.insert(), row)
        if marts:
            connection.execute(
                tables.release_marts.insert(),
                [
                    {
                        "release_id": row["release_id"],
                        "mart": mart["name"],
                        "row_count": mart["row_count"],
                        "content_hash": mart["content_hash"],
                        "cells_published": mart["row_count"],
                        "cells_rounded": mart["rounded"],
                        "rounding_base": base,
                    }
                    | errors[mart["name"]]
                    for mart in marts
                ],
            )


def take_in(s: Settings, led: Ledger) -> int:
    """Record again whole releases that the ledger does not know; returns how many.

    A kill came between their last file and their row, or the ledger is an older backup's. To be called by the releaser.
    """
    ledger_ids = {row["release_id"] for row in led.rows(sa.select(tables.releases.c.release_id))}
    manifests = {path.name: state.manifest(s, path.name) for path in state.folders(s) if path.name not in ledger_ids}
    release_ids = {name for name, about in manifests.items() if about.keys() >= _TOLD and state.is_whole(s, name)}
    for release_id in sorted(release_ids):
        about = manifests[release_id]
        row = {name: tables.typed(name, about[name]) for name in _ROW}
        _demand_build(led, row["build_id"], row["created_at"], row["code_version"])
        record(led, row, about, about["policy"]["rounding_base"])
    return len(release_ids)


def _demand_build(led: Ledger, build_id: str, at: datetime, code_version: str) -> None:
    """A release stands on a build: one that the ledger has lost is on record as taken in, and equal to none."""
    if led.rows(sa.select(tables.builds.c.build_id).where(tables.builds.c.build_id == build_id)):
        return
    led.insert(
        tables.builds,
        {
            "build_id": build_id,
            "started_at": at,
            "ended_at": at,
            "outcome": "built",
            "as_of": at.astimezone(JAKARTA).date(),
            "code_version": code_version,
            "detail": "TAKEN_IN",
        },
    )
