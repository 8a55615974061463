"""The steps that write, each on a small home, and what such a home holds: what tests of faults run and compare."""

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb

from tests.support import samples, whole_home
from tests.support.release_helpers import make_build, usual_counts
from warehouse import build, night, release, report, scan
from warehouse.build.catalogue import manifest_path
from warehouse.core.contract import load_contracts
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.intake import begun, decisions
from warehouse.ledger import Ledger, deliveries, open_ledger, store
from warehouse.ledger.warehouse import open_warehouse
from warehouse.privacy import erasure, rotation
from warehouse.privacy.subject_lookup import Person
from warehouse.release import state
from warehouse.storage import keys, lake, landing, vault

EPPGBM = whole_home.EPPGBM
HELD_PART = "cikokol"
DECIDED = ("Sari", "Budi", "UU 27/2022 pasal 8", "permintaan tertulis no. 12")


@dataclass(frozen=True)
class Command:
    """``act`` is what a fault meets; ``again`` is what a person or the next night then runs, ``act`` where None."""

    name: str
    act: Callable[[Settings], Any]
    prepare: Callable[[Settings], Any] = lambda _s: None
    again: Callable[[Settings], Any] | None = None

    def run_again(self, s: Settings) -> None:
        (self.again or self.act)(s)


def make(folder: Path) -> Settings:
    """Two deliveries in force, one held, a release that readers see."""
    s = whole_home.make(folder)
    rows = samples.breaking_rows(EPPGBM)["EPPGBM-104"].rows
    (file := folder / "held.csv").write_bytes(samples.as_file(EPPGBM, rows, "sigizi_csv")[0])
    assert night.ingest_file(EPPGBM, samples.period(EPPGBM), HELD_PART, file, s=s).outcome == "held"
    return s


def _later_file(s: Settings) -> Path:
    """A newer file of the first puskesmas, with one child less."""
    file = s.home.parent / f"{s.home.name} later.csv"
    file.write_bytes(samples.as_file(EPPGBM, samples.good_rows(EPPGBM)[:-1], "sigizi_csv")[0])
    return file


def _ingest(s: Settings) -> None:
    night.ingest_file(EPPGBM, samples.period(EPPGBM), whole_home.PARTS[0], _later_file(s), s=s)


def _named(s: Settings, part: str) -> str:
    (found,) = Ledger(s.ledger).rows("select delivery_id from deliveries where part = :part", part=part)
    return str(found["delivery_id"])


def _is_decided(s: Settings, part: str, kind: str) -> bool:
    return deliveries.last_decision(Ledger(s.ledger), _named(s, part)) == kind


def _decide(s: Settings, kind: str) -> None:
    if not _is_decided(s, HELD_PART, kind):
        night.decide(_named(s, HELD_PART), kind, "angka sudah diperiksa", "CHECKED", "Sari", "walidata", s=s)


def _withdraw(s: Settings) -> None:
    part = whole_home.PARTS[1]
    if not _is_decided(s, part, "withdraw"):
        w = open_warehouse(s)
        decisions.withdraw(w, _named(s, part), "berkas bulan yang keliru", "Sari", "Budi", "engineer")


def _reinstate(s: Settings) -> None:
    part = whole_home.PARTS[1]
    if not _is_decided(s, part, "reinstate"):
        w = open_warehouse(s)
        decisions.reinstate(w, _named(s, part), "ternyata berkas itu benar", "Sari", "Budi", "engineer")


def _replay(s: Settings) -> None:
    night.replay(EPPGBM, s=s)


def _erase(s: Settings) -> None:
    nik = samples.good_rows(EPPGBM)[1]["nik"]
    led = open_ledger(s)
    erasure.prove(s, led, erasure.request(s, led, Person(nik), *DECIDED))


def _resume_erasure(s: Settings) -> None:
    led = open_ledger(s)
    if erasure.is_pending(s, led):
        erasure.complete(s, led)
    if led.rows("select 1 from erasures"):
        erasure.prove(s, led)
    else:
        # Killed before anything was decided.
        _erase(s)


def _without_build(s: Settings) -> None:
    """A build from before an erasure proves nothing; here none is made anew."""
    shutil.rmtree(s.build_file.parent, ignore_errors=True)


def _rotate(s: Settings) -> None:
    rotation.rotate(s, open_ledger(s), "Sari", "Budi", "penggantian tahunan")


def _rotate_again(s: Settings) -> None:
    try:
        _rotate(s)
    except ConfigError as error:
        # It had come to its end.
        if error.code != "KEYS_NO_NEXT":
            raise


def _one_mart(_s: Settings, file: Path, *_: object) -> list[str]:
    with duckdb.connect(str(file)) as con:
        con.execute("CREATE SCHEMA marts")
        con.execute("CREATE TABLE marts.some_mart AS SELECT delivery_id, part FROM ledger.deliveries_in_force")
    return []


def _without_manifest(s: Settings) -> None:
    """As before dbt first ran: ops are made of its manifest."""
    manifest_path(s.home).unlink()


def _link_and_build(s: Settings) -> None:
    """The marts step with a mart that dbt did not make, of which no release and no pages are made."""
    made = release.ReleaseResult("none", "unchanged", 0.0)
    with (
        patch.object(build, "run_dbt", _one_mart),
        patch.object(release, "publish", lambda *_: made),
        patch.object(report, "render", lambda *_: None),
    ):
        night.marts(s.today(), s=s)


def _new_build(s: Settings) -> None:
    make_build(s, open_ledger(s), usual_counts(70))


def _publish(s: Settings) -> None:
    led = open_ledger(s)
    (newest,) = led.rows("select build_id, content_hash from builds order by started_at desc, build_id limit 1")
    built = build.BuildResult(newest["build_id"], "built", newest["content_hash"], 0.0)
    with patch.object(scan, "ahead", lambda _s: nullcontext(scan.Ahead())):
        release.publish(s, led, built)


def _rollback(s: Settings) -> None:
    led = open_ledger(s)
    wanted = led.rows("select release_id from releases order by created_at")[0]["release_id"]
    if not (state.pin(led) or {}).get("release_id"):
        release.rollback(s, led, wanted, "angka Benda keliru", "walidata")
    release.refresh_ops(s, led)


def _leave_orphans(s: Settings) -> None:
    """What older kills have left, and a landed file whose time is over."""
    (s.lake_dir / "kemenkes__eppgbm").mkdir(parents=True, exist_ok=True)
    for path in (s.lake_dir / "kemenkes__eppgbm" / ".left.parquet.0123456789abcdef", s.home / ".left.0123456789abcdef"):
        path.write_bytes(b"x")


def _maintain(s: Settings) -> None:
    night.maintenance(s=s)


def _forget_ledger_views(s: Settings) -> None:
    """A ledger whose views an upgrade has to make anew."""
    with Ledger(s.ledger).write() as connection:
        connection.exec_driver_sql("drop view held_deliveries")
        connection.exec_driver_sql("delete from schema_views where name = 'held_deliveries'")


def _upgrade(s: Settings) -> None:
    store.upgrade(s.ledger)


COMMANDS = {
    command.name: command
    for command in (
        Command("ingest", _ingest),
        Command("held admit", lambda s: _decide(s, "admit")),
        Command("held reject", lambda s: _decide(s, "reject")),
        Command("deliveries withdraw", _withdraw),
        Command("deliveries reinstate", _reinstate, prepare=_withdraw),
        Command("replay", _replay),
        Command("erase", _erase, prepare=_without_build, again=_resume_erasure),
        Command("keys rotate", _rotate, prepare=keys.make_new, again=_rotate_again),
        Command("build", _link_and_build, prepare=_without_manifest),
        Command("release", _publish, prepare=_new_build),
        Command("releases rollback", _rollback, prepare=lambda s: (_new_build(s), _publish(s))),
        Command("maintenance", _maintain, prepare=_leave_orphans),
        Command("ledger upgrade", _upgrade, prepare=_forget_ledger_views),
    )
}


# --- what a home holds


def held_by(s: Settings) -> dict[str, Any]:
    """What counts of a home, without names that chance gives: equal for two homes to which the same was done.

    Sweeps first, as maintenance does; nothing is spared for its youth.
    """
    for path in (path for room in (s.home, s.lake_dir, s.vault_dir) for path in room.glob("**/.*") if path.is_file()):
        os.utime(path, (0, 0))
    for path in (*s.lake_dir.rglob("*.parquet"), *s.vault_dir.rglob("*.parquet")):
        os.utime(path, (0, 0))
    night.maintenance(s=s)
    led = Ledger(s.ledger)
    contracts = load_contracts(s.contracts_dir)
    one = contracts[EPPGBM]
    in_force = deliveries.in_force(led, EPPGBM, one.extras.delivery_mode)
    with vault.connect(s) as connection:
        sources = {
            "lake": lake.relation_sql(s, led, one),
            "vault": vault.relation_sql(lake.files_in_force(s, led, one, "vault")),
        }
        # Pseudonyms change with keys, and each landing has its own time.
        kept = "COLUMNS(c -> c NOT IN ('nik_key', 'kk_key', 'received_at'))"
        rows = {
            name: connection.execute(f"SELECT {kept} FROM ({source}) ORDER BY record_key").fetchall()
            for name, source in sources.items()
        }
    return {
        "in force": sorted((found.delivery_id, found.part) for found in in_force),
        "verdicts": sorted(
            (row["delivery_id"], row["verdict"], row["rows_read"], row["rows_admitted"], row["rows_quarantined"])
            for row in led.rows("select * from latest_verdicts")
        ),
        "decisions": sorted(
            (row["delivery_id"], row["kind"]) for row in led.rows("select delivery_id, kind from latest_decisions")
        ),
        **{name: _hash(found) for name, found in rows.items()},
        "landed": sorted(_digest(landing.read(s, found)) for found in deliveries.kept(led)),
        "build": _built(s),
        "release": _released(s, led),
        # Asked for twice it stands there twice.
        "erasures": {bool(row["proven_at"]) for row in led.rows("select proven_at from erasures")},
        "keys": sorted(row["version"] for row in led.rows("select max(version) as version from key_checks")),
        "left over": left_over(s, led),
    }


def left_over(s: Settings, led: Ledger) -> list[str]:
    """Files that no row names, drafts, open records and marks: what must not be there once all has ended."""
    named = {row["path"] for row in led.rows("select path from lake_files")}
    for row in led.rows("select stored_path from deliveries where destroyed_at is null"):
        named |= {row["stored_path"], row["stored_path"].removesuffix(".age") + ".manifest.age"}
    rooms = [path for room in (s.landing_dir, s.lake_dir, s.vault_dir) for path in room.glob("**/*") if path.is_file()]
    loose = {str(path.relative_to(s.home)) for path in rooms if path.parent != s.vault_dir} - named
    loose |= {path.name for path in s.releases_dir.glob(".draft-*")}
    loose |= {path.name for path in s.build_file.parent.glob(".building-*")}
    loose |= {path.name for path in s.tmp_dir.glob("spool-*")}
    loose |= {name for name in begun.left(s) if not deliveries.is_judged(led, name)}
    for table in ("nights", "builds"):
        loose |= {f"{table} running" for _ in led.rows(f"select 1 from {table} where outcome = 'running'")}
    return sorted(loose)


def _built(s: Settings) -> str:
    if not s.build_file.exists():
        return ""
    with duckdb.connect(str(s.build_file), read_only=True) as con:
        return build.content_hash(con)


def _released(s: Settings, led: Ledger) -> list[Any]:
    current = state.current_id(s)
    marts = led.rows(
        "select mart, row_count, content_hash from release_marts where release_id = :one order by mart", one=current
    )
    return [state.is_whole(s, current or ""), bool((state.pin(led) or {}).get("release_id")), marts]


def _hash(rows: list[tuple]) -> tuple[int, str]:
    return len(rows), _digest(repr(rows).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:15]
