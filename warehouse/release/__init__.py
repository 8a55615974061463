"""Releases: made beside the current one, verified, made current by one rename, kept, compared, rolled back.

Here: the files of a release, the register of published cells, which release readers see, and ``ops.duckdb``. Not here:
how small counts are rounded (disclosure), who may read what (analyst, micro).

Nothing is ever modified in place: readers keep the files they opened, and a kill at any point leaves the current
release as it was and a folder that the next run sweeps away.
"""

from warehouse.release.changes import diff
from warehouse.release.internal import kept_internal, make_internal, retain_internal
from warehouse.release.ops import refresh_ops
from warehouse.release.publisher import ReleaseResult, is_published, publish
from warehouse.release.record import take_in
from warehouse.release.state import current_state, listing, manifest, retain, rollback, unpin

__all__ = [
    "ReleaseResult",
    "current_state",
    "diff",
    "is_published",
    "kept_internal",
    "listing",
    "make_internal",
    "manifest",
    "publish",
    "refresh_ops",
    "retain",
    "retain_internal",
    "rollback",
    "take_in",
    "unpin",
]
