"""Build files for tests of the dbt project: lake relations filled from plain rows, a ledger to match, dbt run once.

Here: what stands in for gate, vault and lake, which have tests of their own. Not here: assertions.
"""

import atexit
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from warehouse import build, ledger
from warehouse.core.contract import Contract, load_contracts
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, deliveries, tables

LAKE_TYPES = {
    "varchar": pa.string(), "bigint": pa.int64(), "double": pa.float64(), "date": pa.date32(), "boolean": pa.bool_(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}  # fmt: skip
RECEIVED = datetime(2026, 11, 10, 3, tzinfo=UTC)


@dataclass
class Given:
    """Rows of one delivery, as the lake would hold them; missing columns are NULL."""

    dataset: str
    period: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    part: str = "all"
    received_at: datetime = RECEIVED


def lake_schema(contract: Contract) -> pa.Schema:
    columns = {c.name: build.SQL_TYPES[c.logical_type] for c in contract.lake_columns}
    columns |= {name: kind for name, (kind, _) in build.LAKE_LINEAGE.items()}
    return pa.schema([(name, LAKE_TYPES[kind]) for name, kind in columns.items()])


def admit(led: Ledger, given: Given) -> str:
    """Ledger rows of a delivery that was accepted."""
    period = Period.parse(given.period)
    key = deliveries.delivery_id(given.dataset, given.part, period, str(given.received_at))
    common = {"delivery_id": key}
    led.insert(
        tables.deliveries,
        common | {
            "dataset": given.dataset, "part": given.part, "period_kind": period.kind, "period_start": period.start,
            "received_at": given.received_at, "content_sha256": "0" * 64, "bytes": 1, "media": "csv",
            "origin": "agency", "stored_path": "landing/x", "stored_sha256": "0" * 64,
        },
    )  # fmt: skip
    led.insert(
        tables.verdicts,
        common | {
            "verdict_id": key, "contract_version": "1.0.0", "judged_at": given.received_at, "verdict": "accepted",
            "checks_run": 1, "rows_read": len(given.rows), "rows_admitted": len(given.rows), "rows_quarantined": 0,
            "rows_refused": 0,
        },
    )  # fmt: skip
    return key


def make(
    settings: Settings,
    givens: list[Given],
    links: list[dict[str, Any]] = (),
    candidates: list[dict[str, Any]] = (),
) -> Path:
    """A build file with everything dbt reads, before dbt has run. Links are firm where they do not say otherwise."""
    ledger.upgrade(settings.ledger)
    led = Ledger(settings.ledger)
    contracts = load_contracts(settings.contracts_dir)
    rows: dict[str, list[dict[str, Any]]] = {dataset: [] for dataset in contracts}
    for given in givens:
        delivery = admit(led, given)
        start = Period.parse(given.period).start
        for number, row in enumerate(given.rows, start=1):
            lineage = {
                "record_key": f"{delivery}-{number}", "delivery_id": delivery, "source_row": number + 1,
                "part": given.part, "period_start": start, "received_at": given.received_at,
            }  # fmt: skip
            rows[given.dataset].append(lineage | row)
    file = settings.build_file
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(file)) as con:
        con.execute("CREATE SCHEMA lake")
        for dataset, contract in contracts.items():
            incoming = pa.Table.from_pylist(rows[dataset], schema=lake_schema(contract))
            build.create_table(con, f"lake.{contract.table}", incoming)
        build.export_ledger(settings, led, contracts, con)
        con.execute("CREATE SCHEMA linkage")
        for table, columns, found in (
            ("identity_links", build.LINK_COLUMNS, [{"band": "link"} | link for link in links]),
            ("identity_candidates", build.CANDIDATE_COLUMNS, list(candidates)),
        ):
            kinds = pa.schema([(name, LAKE_TYPES[kind]) for name, (kind, _) in columns.items()])
            build.create_table(con, f"linkage.{table}", pa.Table.from_pylist(found, schema=kinds))
    return file


def dbt(settings: Settings, *arguments: str, as_of: date = date(2026, 11, 22)) -> str:
    """Run dbt on the build file; fails with its whole output, which here holds invented rows only."""
    s = settings.model_copy(update={"home": _called_the_same(settings.home)})
    s.tmp_dir.mkdir(parents=True, exist_ok=True)
    parsed, known = build.dbt_target(s) / "partial_parse.msgpack", s.home.with_name("partial_parse.msgpack")
    parsed.parent.mkdir(parents=True, exist_ok=True)
    if known.exists() and not parsed.exists():
        shutil.copy(known, parsed)
    done = subprocess.run(
        build.dbt_command(as_of, *arguments),
        cwd=s.dbt_dir, env=build.dbt_environment(s, s.build_file), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    if not known.exists():
        shutil.copy(parsed, known)
    return done.stdout


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="warehouse-dbt-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _called_the_same(home: Path) -> Path:
    """A path that leads to this home until another is given: dbt reads the whole project anew for another path."""
    link = _folder() / "home"
    link.unlink(missing_ok=True)
    link.symlink_to(home)
    return link


def released(settings: Settings, mart: str, folder: Path) -> Path:
    """A mart of the build as if readers had had it until now, all of it final."""
    file = folder / "released.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute(f"ATTACH '{settings.build_file}' AS build (READ_ONLY)")
        con.execute(f"CREATE TABLE {mart} AS FROM build.marts.{mart}")
        columns = {name for (name,) in con.execute(f"SELECT column_name FROM (DESCRIBE {mart})").fetchall()}
        if "is_final" in columns:
            con.execute(f"UPDATE {mart} SET is_final = true")
    return file


def compiled(settings: Settings, jinja: str) -> str:
    """SQL that dbt makes of a line of Jinja, to be run on the build file."""
    shown = dbt(settings, "--quiet", "compile", "--inline", jinja)
    return shown.partition("select")[1] + shown.partition("select")[2]
