"""One release: from a finished build to files that readers see, or the reason why not.

The order is what makes it safe to kill: a draft folder, its files verified and scanned, one rename, the ledger's rows,
one rename of ``current``. Not here: what the files hold (content), which are kept (state).
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
import sqlalchemy as sa

from warehouse import disclosure, scan
from warehouse.build import BuildResult
from warehouse.build.catalogue import Catalogue, manifest_path, read_catalogue
from warehouse.core import files
from warehouse.core.errors import ReleaseError
from warehouse.core.periods import JAKARTA
from warehouse.core.settings import Settings
from warehouse.intake import gate
from warehouse.ledger import Ledger, deliveries, tables
from warehouse.release import accuracy, changes, content, pseudonymised, record, register, revisions, state
from warehouse.storage import keys

Progress = Callable[[str], None]

_OF_HELD = ("dataset", "part", "period_start", "delivery_id", "reason_code")
# Places an error names; the ledger has them all.
_PLACES_NAMED = 5


@dataclass(frozen=True)
class ReleaseResult:
    """What became of a build. unchanged: the newest release says the same; pinned: made, readers keep another."""

    release_id: str
    outcome: Literal["released", "unchanged", "pinned"]
    seconds: float
    cells_published: int = 0
    cells_rounded: int = 0


def publish(s: Settings, led: Ledger, build: BuildResult, progress: Progress = lambda _text: None) -> ReleaseResult:
    """Release a build when its data, or what is held or stale, differ from the newest release.

    ``progress`` is told the name of each step as it begins. Raises ReleaseError when a mart rule stops it, the files
    cannot be verified, or the leak scan finds something; the last release stays current.
    """
    began = time.monotonic()
    with state.only_releaser(s):
        record.take_in(s, led)
        state.sweep(s, led)
        catalogue = read_catalogue(manifest_path(s.home))
        last = state.newest(led)
        older = _marts_file(s, last)
        with content.reading_build(s) as con:
            inputs = _inputs(con, led)
            fingerprint = _fingerprint(s, con, build.content_hash, catalogue, inputs)
            if last and _says(s, last["release_id"], fingerprint):
                state.point_current(s, led)
                return ReleaseResult(last["release_id"], "unchanged", round(time.monotonic() - began, 2))
            with scan.ahead(s) as ahead:
                progress("judge")
                rules = _judge_marts(s, led, build, catalogue, older)
                created_at = _created_at(s, last)
                release_id = f"{created_at:%Y%m%dT%H%M%SZ}-{fingerprint[:8]}"
                draft = s.releases_dir / f".draft-{release_id}"
                draft.mkdir(mode=0o700)
                contents = _fill(
                    s, led, con, catalogue, draft, release_id, created_at, _calendar(s, last), last, progress
                )
            progress("compare")
            if older and last:
                differences = changes.compare(s, last["release_id"], older, release_id, draft / content.MARTS_FILE)
                _write_json(draft / changes.CHANGES_FILE, differences)
            progress("scan")
            _hold_on_leak(s, led, con, release_id, ahead)
        progress("verify")
        row = _ledger_row(led, build, last, release_id, created_at)
        about = row | {"fingerprint": fingerprint, "policy": _policy(s), "mart_rules": rules} | contents | inputs
        _finish(s, draft, release_id, about)
        record.record(led, row, contents, s.disclosure_threshold)
        state.point_current(s, led)
        is_pinned = state.pin(led) is not None
    return ReleaseResult(
        release_id,
        "pinned" if is_pinned else "released",
        round(time.monotonic() - began, 2),
        sum(mart["row_count"] for mart in contents["marts"]),
        sum(mart["rounded"] for mart in contents["marts"]),
    )


def is_published(s: Settings, led: Ledger) -> bool:
    """Whether the newest release, undamaged, says what the build at hand and tonight's held and stale inputs would."""
    last = state.newest(led)
    builds = led.rows(
        sa.select(tables.builds)
        .where(tables.builds.c.outcome == "built")
        .order_by(tables.builds.c.started_at.desc())
        .limit(1)
    )
    if not last or not builds or not (s.build_file.exists() and manifest_path(s.home).exists()):
        return False
    catalogue = read_catalogue(manifest_path(s.home))
    with content.reading_build(s) as con:
        fingerprint = _fingerprint(s, con, builds[0]["content_hash"], catalogue, _inputs(con, led))
    return _says(s, last["release_id"], fingerprint)


def _says(s: Settings, release_id: str, fingerprint: str) -> bool:
    return state.manifest(s, release_id).get("fingerprint") == fingerprint and state.is_whole(s, release_id)


def _calendar(s: Settings, last: dict[str, Any] | None) -> revisions.Calendar:
    before = last["created_at"].astimezone(JAKARTA).date() if last else None
    return revisions.calendar(s.today(), before, s.disclosure_revision_dates.split())


def _policy(s: Settings) -> dict[str, Any]:
    return {
        "method": "small count rounding",
        "rounding_base": s.disclosure_threshold,
        "small_base": s.disclosure_small_base,
    }


def _inputs(con: duckdb.DuckDBPyConnection, led: Ledger) -> dict[str, Any]:
    """What the build read and what it had to do without: the deliveries in force, the held and the stale."""
    in_force = con.execute(
        "SELECT f.dataset, f.part, CAST(f.period_start AS VARCHAR) AS period_start, f.delivery_id, v.verdict"
        f" FROM {content.BUILD}.ledger.deliveries_in_force AS f"
        f" LEFT JOIN {content.BUILD}.ledger.verdicts AS v ON v.verdict_id = f.verdict_id ORDER BY ALL"
    )
    names = [column[0] for column in in_force.description]
    rows = [dict(zip(names, row, strict=True)) for row in in_force.fetchall()]
    stale = con.execute(
        f"SELECT dataset, part FROM {content.BUILD}.marts.ops_freshness WHERE is_stale ORDER BY ALL"
        if _has_freshness(con)
        else "SELECT NULL, NULL WHERE false"
    ).fetchall()
    return {
        "deliveries": rows,
        # A change of keys is a release of its own: the pseudonymised file knows persons by other pseudonyms.
        "pseudonym_key_version": keys.version(led, "pseudonym"),
        "held": [
            {name: str(getattr(one, name)) for name in _OF_HELD}
            for one in sorted(deliveries.held(led), key=lambda one: one.delivery_id)
        ],
        "stale": [list(row) for row in stale],
    }


def _has_freshness(con: duckdb.DuckDBPyConnection) -> bool:
    return bool(
        con.execute(
            "SELECT 1 FROM duckdb_tables()"
            " WHERE database_name = ? AND schema_name = 'marts' AND table_name = 'ops_freshness'",
            [content.BUILD],
        ).fetchone()
    )


def _fingerprint(
    s: Settings, con: duckdb.DuckDBPyConnection, content_hash: str, catalogue: Catalogue, inputs: dict[str, Any]
) -> str:
    """Equal when a release would say the same: data, marts' shape and words, rounding rules, held and stale inputs."""
    code = [_sha256(path) for path in sorted(Path(disclosure.__file__).parent.glob("*.py"))]
    rounding = [_policy(s), repr(catalogue.cells), code]
    shape = [repr(catalogue.marts), repr(catalogue.micro), *pseudonymised.rules(s)]
    # Each month closes periods; on a revision date what waits may change.
    day = s.today()
    calendar = [f"{day:%Y-%m}", str(revisions.last_declared(day, s.disclosure_revision_dates.split()))]
    rounding.append(calendar)
    text = json.dumps([content_hash, shape, rounding, inputs["held"], inputs["stale"], inputs["pseudonym_key_version"]])
    return hashlib.sha256(text.encode()).hexdigest()


def _created_at(s: Settings, last: dict[str, Any] | None) -> datetime:
    """Now, but always after the release before, so that ids sort also when the clock stands still."""
    now = s.utc_now().replace(microsecond=0)
    return max(now, last["created_at"] + timedelta(seconds=1)) if last else now


def _marts_file(s: Settings, release: dict[str, Any] | None) -> Path | None:
    """A release's marts; one that is damaged or was not restored has none, though it is still the one before."""
    if release is None or not state.is_whole(s, release["release_id"]):
        return None
    return s.releases_dir / str(release["release_id"]) / content.MARTS_FILE


def _judge_marts(
    s: Settings, led: Ledger, build: BuildResult, catalogue: Catalogue, last_release: Path | None
) -> list[dict[str, Any]]:
    """Run the rules of every mart that has some, and record what they found; a failed stop rule holds the release."""
    outcomes = []
    names = [mart.name for mart in (*catalogue.marts, *catalogue.restricted)] + [mart.name for mart, _ in catalogue.ops]
    for mart in names:
        if (s.mart_rules_dir / f"{mart}.yaml").is_file():
            outcomes += [
                {"mart": mart} | asdict(outcome)
                for outcome in gate.judge_mart(s, s.build_file, mart, last_release=last_release)
            ]
    about = {"build_id": build.build_id, "judged_at": datetime.now(UTC)}
    with led.write() as connection:
        if outcomes:
            connection.execute(tables.mart_rule_results.insert(), [about | outcome for outcome in outcomes])
    stop_rules = sorted(
        outcome["rule_code"] for outcome in outcomes if outcome["severity"] == "stop" and outcome["outcome"] != "pass"
    )
    if stop_rules:
        codes = ", ".join(stop_rules)
        raise ReleaseError(
            "RELEASE_MART_RULE",
            f"Aturan mart tidak terpenuhi: {codes}",
            f"Mart rules do not hold: {codes}",
            "Baca aturan itu di expectations/marts; rilis terakhir tetap berlaku.",
            "Read those rules in expectations/marts; the last release stays current.",
        )
    return outcomes


def _fill(
    s: Settings,
    led: Ledger,
    con: duckdb.DuckDBPyConnection,
    catalogue: Catalogue,
    draft: Path,
    release_id: str,
    created_at: datetime,
    when: revisions.Calendar,
    last: dict[str, Any] | None,
    progress: Progress,
) -> dict[str, Any]:
    """Make and verify the draft's files; returns what they hold, by table."""
    base = s.disclosure_threshold
    # What was rounded to another base is rounded anew.
    remembered = last if _is_same_base(s, last, when) else None
    before = register.cells_folder(s, remembered["release_id"]) if remembered else None
    progress("round")
    memory = content.round_marts(con, catalogue, when, before, keys.pseudonym_key(s), base)
    contents = [content.describe(con, mart) for mart in catalogue.marts]
    register.load(s, led, con)
    cells = register.extend(s, con, catalogue.marts, release_id, created_at)
    revisions.write_cells(con, catalogue.cells, register.cells_folder(s, release_id), when.day)
    progress("write")
    content.write_marts(con, catalogue, draft, release_id, cells, base)
    progress("pseudonymise")
    micro, coarsened = pseudonymised.write_micro(s, con, catalogue, draft / state.MICRO_FILE, release_id)
    return {
        "marts": [asdict(item) for item in contents],
        # Without the last release's cells nothing waits for a revision date.
        "last_cells": memory if last else None,
        "rounding": [
            accuracy.as_published(row, base)
            for mart in catalogue.marts
            for row in accuracy.errors(con, mart, content.built(mart))
        ],
        "micro": [{"name": name, "row_count": count} for name, count in micro.items()],
        "micro_coarsening": coarsened,
    }


def _is_same_base(s: Settings, last: dict[str, Any] | None, when: revisions.Calendar) -> bool:
    """Two bases side by side narrow what was rounded: another one counts from a revision date on."""
    before = state.manifest(s, last["release_id"]).get("policy", {}).get("rounding_base") if last else None
    is_same = before in (None, s.disclosure_threshold)
    if not is_same and not when.is_revision:
        dates = s.disclosure_revision_dates
        raise ReleaseError(
            "DISCLOSURE_BASE_CHANGED",
            f"Rilis terakhir membulatkan cacah kecil dengan dasar {before}, sekarang {s.disclosure_threshold}.",
            f"The last release rounded small counts to base {before}, now it is {s.disclosure_threshold}.",
            f"Kembalikan WAREHOUSE_DISCLOSURE_THRESHOLD={before}, atau tunggu tanggal revisi ({dates}).",
            f"Set WAREHOUSE_DISCLOSURE_THRESHOLD={before} again, or wait for a revision date ({dates}).",
        )
    return is_same


def _hold_on_leak(s: Settings, led: Ledger, con: duckdb.DuckDBPyConnection, release_id: str, ahead: scan.Ahead) -> None:
    """Search the home, this draft in it, for identities; what is found is recorded, and holds the release."""
    scanning = scan.scan_home(s, attached=[(con, "micro")])
    scanning = replace(
        scanning, files_read=scanning.files_read + ahead.files, bytes_read=scanning.bytes_read + ahead.bytes
    )
    scan.record(led, scanning, release_id, datetime.now(UTC))
    if scanning.findings:
        places = "; ".join(map(str, scanning.findings[:_PLACES_NAMED]))
        more = len(scanning.findings) - _PLACES_NAMED
        places += f" … +{more}" if more > 0 else ""
        raise ReleaseError(
            "RELEASE_LEAK",
            f"Pindai kebocoran menemukan data pribadi di: {places}",
            f"The leak scan found personal data in: {places}",
            "Ikuti docs/runbooks/leak-found.md; `warehouse scan` menyebut semua tempat. Rilis terakhir tetap berlaku.",
            "Follow docs/runbooks/leak-found.md; `warehouse scan` names all places. The last release stays current.",
        )


def _ledger_row(
    led: Ledger, build: BuildResult, last: dict[str, Any] | None, release_id: str, created_at: datetime
) -> dict[str, Any]:
    (build_row,) = led.rows(sa.select(tables.builds).where(tables.builds.c.build_id == build.build_id))
    return {
        "release_id": release_id,
        "build_id": build.build_id,
        "previous_release_id": last["release_id"] if last else None,
        "created_at": created_at,
        "code_version": build_row["code_version"],
        "disclosure": "on",
        "scan_verdict": "clean",
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1, default=str), encoding="utf-8")


def _finish(s: Settings, draft: Path, release_id: str, about: dict[str, Any]) -> None:
    """Write the manifest, make everything durable and read-only, and give the folder its name."""
    paths = sorted(path for path in draft.rglob("*") if path.is_file())
    hashes = [
        {"path": str(path.relative_to(draft)), "bytes": path.stat().st_size, "sha256": _sha256(path)} for path in paths
    ]
    _write_json(draft / state.MANIFEST_FILE, about | {"files": hashes})
    for path in (*paths, draft / state.MANIFEST_FILE, draft / "parquet"):
        files.sync(path)
    state.close_folder(s, draft)
    files.put_in_place((draft, s.releases_dir / release_id))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
