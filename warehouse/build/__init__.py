"""One build of the warehouse file: what is in force goes in, dbt runs once, the marts come out.

Here: the lock that makes this the only writer, the fresh file, what dbt reads in it, the dbt subprocess, hashes, and
the ``builds`` row. Not here: SQL of models (``dbt_project``), judging marts (gate), releasing them (release).

``python -m warehouse.build sources`` writes dbt's description of what it reads, from contracts and ledger.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa
import yaml

from warehouse import ledger, linkage
from warehouse.build.catalogue import manifest_path
from warehouse.core import duck, files, machine
from warehouse.core.contract import Contract, Rule, load_contracts
from warehouse.core.errors import BuildError
from warehouse.core.settings import Settings, environment_without_keys
from warehouse.intake import agencies
from warehouse.intake.gate.marts import mart_rules
from warehouse.intake.gate.rules import judged_column, rules_of_versions
from warehouse.ledger import Ledger, deliveries, tables
from warehouse.ledger.deliveries import InForce
from warehouse.storage import lake, sample

Progress = Callable[[str], None]

# Columns every lake relation has beside those of its contract.
LAKE_LINEAGE = {
    "record_key": ("varchar", "Names the row for ever: delivery, part and source row."),
    "nik_key": ("varchar", "Keyed pseudonym of the NIK; NULL where the row has no usable one."),
    "kk_key": ("varchar", "Keyed pseudonym of the family card's number; NULL where the row has no usable one."),
    "delivery_id": ("varchar", "Delivery the row came in."),
    "source_part": ("varchar", "Sheet or page within the delivery; NULL in a file of one part."),
    "source_row": ("bigint", "1-based record in the sender's file, counting title and header rows."),
    "part": ("varchar", "Part of the dataset the delivery is for."),
    "period_start": ("date", "First day of the period the delivery is for."),
    "received_at": ("timestamptz", "When the delivery arrived (UTC)."),
}
SQL_TYPES = {"string": "varchar", "integer": "bigint", "number": "double", "date": "date", "boolean": "boolean"}
# What a contract tells the models: how a dataset's completeness and age are judged.
_CONTRACT_COLUMNS = {
    "dataset": (pa.string(), "Dataset, agency/name."),
    "title": (pa.string(), "Its title."),
    "agency_name": (pa.string(), "The agency that sends it."),
    "version": (pa.string(), "Version of its contract."),
    "delivery_mode": (pa.string(), "snapshot, events or vintage."),
    "period_kind": (pa.string(), "month, quarter, half_year, year or snapshot."),
    "open_days": (pa.int64(), "Days after a part's due day on which a night still asks for it."),
    "stale_after_days": (pa.int64(), "Days after the period's end from which its absence makes a figure stale."),
}
_PART_COLUMNS = {
    "dataset": (pa.string(), "Dataset, agency/name."),
    "kind": (pa.string(), "all, puskesmas, polsek, branch or indicator."),
    "part": (pa.string(), "A part expected for each period."),
    "label_id": (pa.string(), "What it is, in Indonesian; NULL where its name says it."),
    "label_en": (pa.string(), "What it is, in English; NULL where its name says it."),
    "due_day": (pa.int64(), "Days after the period's end at which it is due."),
}
# What a rule means, for a monitor who sees that it failed.
_RULE_COLUMNS = {
    "dataset": (pa.string(), "Dataset, agency/name."),
    "rule_code": (pa.string(), "Stable code of the rule."),
    "column_name": (pa.string(), "Column it judges; NULL when it judges the whole delivery."),
    "severity": (pa.string(), "stop, quarantine or warn."),
    "category": (pa.string(), "Dimension of quality."),
    "message_id": (pa.string(), "What is wrong, in Indonesian."),
    "message_en": (pa.string(), "What is wrong, in English."),
    "action_id": (pa.string(), "What to do, in Indonesian."),
    "action_en": (pa.string(), "What to do, in English."),
    "owner": (pa.string(), "Who has to act: sender, data_engineer or walidata."),
}
_MART_RULE_COLUMNS = {"mart": (pa.string(), "Mart it judges.")} | {
    name: described for name, described in _RULE_COLUMNS.items() if name != "dataset"
}
_IN_FORCE_COLUMNS = {
    "delivery_id": (pa.string(), "Delivery that counts."),
    "dataset": (pa.string(), "Dataset, agency/name."),
    "part": (pa.string(), "Part of the dataset."),
    "period_kind": (pa.string(), "Kind of its period."),
    "period_start": (pa.date32(), "First day of its period."),
    "received_at": (pa.timestamp("us", tz="UTC"), "When it arrived."),
    "verdict_id": (pa.string(), "Verdict that admitted it."),
}
LINK_COLUMNS = {
    "record_key": ("varchar", "Row of the lake."),
    "dataset": ("varchar", "Dataset of that row."),
    "person_key": ("varchar", "Person the row is about; stable within a build only."),
    "family_key": ("varchar", "Family the row is about."),
    "method": ("varchar", "How the link was made."),
    "weight": ("double", "How sure the link is, 0 to 1."),
    "model_version": ("varchar", "Version of the linkage model."),
    "band": (
        "varchar",
        "link: firm. review: may be one more person, see identity_candidates. none: one agency's alone.",
    ),
}
CANDIDATE_COLUMNS = {
    "record_key": ("varchar", "Row of the lake."),
    "dataset": ("varchar", "Dataset of that row."),
    "person_key": ("varchar", "Person the row is about."),
    "candidate_person_key": ("varchar", "Person it may be as well; a clerk has not decided yet."),
    "method": ("varchar", "What brought the two together."),
    "weight": ("double", "How probable it is, 0 to 1."),
    "model_version": ("varchar", "Version of the linkage model."),
}


@dataclass(frozen=True)
class BuildResult:
    """A finished build. ``content_hash`` covers the marts' data; equal inputs give an equal hash."""

    build_id: str
    outcome: str
    content_hash: str
    seconds: float
    failures: list[str] = field(default_factory=list)


# --- what dbt reads -----------------------------------------------------------------------------------------


def sources_yaml(contracts: dict[str, Contract]) -> str:
    """dbt's sources file: lake relations from the contracts, ledger tables from their definitions, identity links."""

    def columns(described: dict[str, tuple[str, str]]) -> list[dict[str, str]]:
        return [{"name": name, "data_type": kind, "description": text} for name, (kind, text) in described.items()]

    lake_tables = [
        {
            "name": contract.table,
            "description": f"{contract.title}. {contract.grain}",
            "columns": columns(
                {c.name: (SQL_TYPES[c.logical_type], c.description) for c in contract.lake_columns} | LAKE_LINEAGE
            ),
        }
        for contract in contracts.values()
    ]
    own = {
        "contracts": _CONTRACT_COLUMNS,
        "contract_parts": _PART_COLUMNS,
        "contract_rules": _RULE_COLUMNS,
        "mart_rules": _MART_RULE_COLUMNS,
        "deliveries_in_force": _IN_FORCE_COLUMNS,
    }
    ledger_tables = [
        {
            "name": str(table.name),
            "description": table.comment or "",
            "columns": [{"name": str(c.name), "description": c.comment or ""} for c in table.columns],
        }
        for table in _exported_tables()
    ]
    ledger_tables += [{"name": name, "description": "View of the ledger"} for name in tables.VIEWS]
    ledger_tables += [
        {
            "name": name,
            "description": "Derived from contracts and the ledger at build time",
            "columns": [{"name": column, "description": text} for column, (_, text) in described.items()],
        }
        for name, described in own.items()
    ]
    document = {
        "version": 2,
        "sources": [
            {"name": "lake", "schema": "lake", "description": "Admitted rows in force", "tables": lake_tables},
            {"name": "ledger", "schema": "ledger", "description": "Record of outcomes", "tables": ledger_tables},
            {
                "name": "linkage",
                "schema": "linkage",
                "description": "Who is who",
                "tables": [
                    {
                        "name": "identity_links",
                        "description": "One row per lake row that could be linked",
                        "columns": columns(LINK_COLUMNS),
                    },
                    {
                        "name": "identity_candidates",
                        "description": "One row per lake row and other person it may be, waiting for a decision",
                        "columns": columns(CANDIDATE_COLUMNS),
                    },
                ],
            },
        ],
    }
    head = "# Generated from contracts and the ledger: python -m warehouse.build sources\n"
    return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def sources_file(s: Settings) -> Path:
    return s.dbt_dir / "models" / "staging" / "_sources.yml"


# Who opened personal data, keys, erasures, and the ledger's own upkeep are no matter of any model.
_NOT_EXPORTED = {
    "openings", "approvals", "schema_views", "key_checks", "key_rotations", "erasures", "erased_rows",
    "linkage_decisions", "scans", "scan_findings", "looks",
}  # fmt: skip


def _exported_tables() -> list[sa.Table]:
    """Ledger tables the models may read."""
    return [table for table in tables.metadata.sorted_tables if table.name not in _NOT_EXPORTED]


def _arrow_type(kind: Any) -> pa.DataType:
    if isinstance(kind, tables.UtcDateTime):
        return pa.timestamp("us", tz="UTC")
    if isinstance(kind, sa.Date):
        return pa.date32()
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.Integer):
        return pa.int64()
    if isinstance(kind, sa.Float):
        return pa.float64()
    return pa.string()


def _ledger_table(led: Ledger, name: str, columns: dict[str, Any]) -> pa.Table:
    typed = sa.table(name, *(sa.column(column, kind) for column, kind in columns.items()))
    schema = pa.schema([(column, _arrow_type(kind)) for column, kind in columns.items()])
    rows = [
        {key: json.dumps(value, sort_keys=True) if isinstance(value, dict) else value for key, value in row.items()}
        for row in led.rows(sa.select(typed))
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def export_ledger(s: Settings, led: Ledger, contracts: dict[str, Contract], con: duckdb.DuckDBPyConnection) -> None:
    """Create schema ``ledger`` in the connection's current catalogue and fill it with what the models may read."""
    exported: dict[str, pa.Table] = {}
    kinds: dict[str, Any] = {}
    for table in _exported_tables():
        columns = {column.name: column.type for column in table.columns}
        kinds |= columns
        exported[table.name] = _ledger_table(led, table.name, columns)
    inspector = sa.inspect(led.engine)
    for view in tables.VIEWS:
        exported[view] = _ledger_table(led, view, {c["name"]: kinds[c["name"]] for c in inspector.get_columns(view)})

    def made(described: dict[str, tuple[pa.DataType, str]], rows: list[dict[str, Any]]) -> pa.Table:
        return pa.Table.from_pylist(rows, schema=pa.schema([(name, kind) for name, (kind, _) in described.items()]))

    exported["contracts"] = made(
        _CONTRACT_COLUMNS,
        [
            {name: getattr(contract, name, None) or getattr(contract.extras, name, None) for name in _CONTRACT_COLUMNS}
            for contract in contracts.values()
        ],
    )
    exported["contract_parts"] = made(
        _PART_COLUMNS,
        [_part_row(contract, part) for contract in contracts.values() for part in agencies.parts(s, contract)],
    )
    exported["contract_rules"] = made(
        _RULE_COLUMNS,
        [
            {"dataset": contract.dataset} | _rule_row(rule)
            for contract in contracts.values()
            for rule in rules_of_versions(contract)
        ],
    )
    exported["mart_rules"] = made(
        _MART_RULE_COLUMNS,
        [
            {"mart": path.stem} | _rule_row(rule)
            for path in sorted(s.mart_rules_dir.glob("*.yaml"))
            for rule in mart_rules(path)
        ],
    )
    exported["deliveries_in_force"] = made(_IN_FORCE_COLUMNS, [asdict(one) for one in _in_force(led, contracts)])
    con.execute("CREATE SCHEMA ledger")
    for name, table in exported.items():
        create_table(con, f'ledger."{name}"', table)


def _part_row(contract: Contract, part: str) -> dict[str, Any]:
    row = {"dataset": contract.dataset, "kind": contract.extras.parts, "part": part}
    if terms := contract.extras.part_terms.get(part):
        row |= {"label_id": terms.label_id, "label_en": terms.label_en}
    return row | {"due_day": contract.due_day(part)}


def _rule_row(rule: Rule) -> dict[str, Any]:
    own = {"rule_code": rule.code, "column_name": judged_column(rule), "severity": rule.severity}
    return own | {"category": rule.category} | rule.extras.model_dump(include=set(_RULE_COLUMNS))


def create_table(con: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    con.register("incoming", table)
    con.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
    con.unregister("incoming")


def _in_force(led: Ledger, contracts: dict[str, Contract]) -> list[InForce]:
    return [
        one
        for contract in contracts.values()
        for one in deliveries.in_force(led, contract.dataset, contract.extras.delivery_mode)
    ]


def fill(s: Settings, led: Ledger, contracts: dict[str, Contract], con: duckdb.DuckDBPyConnection) -> None:
    """Write all that dbt reads into a build file, in place of what was there; dbt itself adds the rest."""
    for schema in ("lake", "ledger", "linkage"):
        con.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    con.execute("CREATE SCHEMA lake")
    for contract in contracts.values():
        con.execute(f"CREATE VIEW lake.{contract.table} AS {lake.relation_sql(s, led, contract)}")
    export_ledger(s, led, contracts, con)
    con.execute("CREATE SCHEMA linkage")
    for name in (linkage.LINKS, linkage.CANDIDATES):
        con.execute(f"CREATE TABLE linkage.{name} AS {linkage.relation_sql(s, name)}")


# --- the subprocess -----------------------------------------------------------------------------------------

# What dbt's log calls the end of a node.
_NODE_DONE = frozenset({"LogModelResult", "LogSeedResult", "LogTestResult", "LogSkipBecauseError"})
_SAY_EVERY_SECONDS = 2.0


def dbt_target(s: Settings) -> Path:
    """Where dbt leaves what it compiled, and its manifest."""
    return s.home / "dbt" / "target"


def dbt_environment(s: Settings, file: Path) -> dict[str, str]:
    """What a dbt process sees: no keys, no telemetry, all it writes under WAREHOUSE_HOME."""
    return environment_without_keys() | {
        "DBT_PROJECT_DIR": str(s.dbt_dir),
        "DBT_PROFILES_DIR": str(s.dbt_dir),
        "DBT_TARGET_PATH": str(dbt_target(s)),
        "DBT_LOG_PATH": str(s.home / "dbt" / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "WAREHOUSE_BUILD_FILE": str(file),
        "WAREHOUSE_IS_SAMPLE": str(int(sample.declared(s) is not None)),
        "WAREHOUSE_SPILL_DIR": str(s.tmp_dir / "spill"),
        "WAREHOUSE_DUCKDB_THREADS": str(s.duckdb_threads),
        "WAREHOUSE_DUCKDB_MEMORY": s.duckdb_memory,
    }


def dbt_command(as_of: date, *arguments: str, **more: int) -> list[str]:
    variables = json.dumps({"as_of": as_of.isoformat(), **more})
    return [str(Path(sys.executable).with_name("dbt")), *arguments, "--vars", variables]


def rounding(s: Settings) -> dict[str, int]:
    """What models have to know of small counts, as dbt's variables."""
    return {
        "disclosure_threshold": s.disclosure_threshold,
        "small_base": s.disclosure_small_base,
        "statistic_minimum": 2 * s.disclosure_threshold,
    }


def run_dbt(s: Settings, file: Path, as_of: date, progress: Progress, lock: int) -> list[str]:
    """Build every seed, model and data test; returns the names of the nodes that failed.

    dbt holds the build's lock too: it outlives a killed parent, and the next build would share its target folder.
    """
    results = dbt_target(s) / "run_results.json"
    results.unlink(missing_ok=True)
    arguments = ("--log-format", "json", "build", "--exclude-resource-type", "unit_test")
    command = dbt_command(as_of, *arguments, **rounding(s))
    progress("dbt reads the project")
    said_at, is_disk_full = time.monotonic(), False
    with subprocess.Popen(
        command,
        cwd=s.dbt_dir,
        env=dbt_environment(s, file),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=(lock,),
    ) as process:
        for line in process.stdout or ():
            is_disk_full |= machine.says_disk_full(line)
            node = _node_done(line)
            if node and (time.monotonic() - said_at >= _SAY_EVERY_SECONDS or node[0] == node[1]):
                said_at = time.monotonic()
                progress(f"dbt {node[0]}/{node[1]} {node[2]}")
    if process.returncode == 0:
        manifest = shutil.copy(dbt_target(s) / "manifest.json", file.parent)
        files.put_in_place((Path(manifest), manifest_path(s.home)))
        return []
    if is_disk_full:
        raise machine.disk_full()
    if not results.exists():
        return ["dbt could not read the project"]
    failures = [
        result["unique_id"]
        for result in json.loads(results.read_text(encoding="utf-8"))["results"]
        if result["status"] in {"error", "fail", "runtime error"}
    ]
    return failures or ["dbt"]


def _node_done(line: str) -> tuple[int, int, str] | None:
    """Number, count of all and name of the node that a line of dbt's JSON log reports as ended."""
    try:
        entry = json.loads(line)
        if entry["info"]["name"] not in _NODE_DONE:
            return None
        return entry["data"]["index"], entry["data"]["total"], entry["data"]["node_info"]["node_name"]
    except (ValueError, KeyError, TypeError):
        return None


# --- hashes -------------------------------------------------------------------------------------------------


@cache
def code_version(project_dir: Path, folders: tuple[str, ...] = ("dbt_project", "expectations")) -> str:
    """Hash over everything that decides how data become marts: models, seeds, contracts, mart rules."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((project_dir / folder).rglob("*")):
            if path.suffix in {".sql", ".yml", ".yaml", ".csv", ".md"} and "target" not in path.parts:
                digest.update(str(path.relative_to(project_dir)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]


def inputs_hash(s: Settings, led: Ledger, as_of: date) -> str:
    """Hash over all a build depends on: deliveries and verdicts in force, code, linkage, and the day it looks from."""
    text = json.dumps([_deliveries(s, led), code_version(s.project_dir), linkage.inputs(s, led), as_of.isoformat()])
    return hashlib.sha256(text.encode()).hexdigest()


def fed_hash(s: Settings, led: Ledger) -> str:
    """Hash over what ``fill`` writes of deliveries, contracts, mart rules and linkage; models and seeds stay out."""
    text = json.dumps([_deliveries(s, led), code_version(s.project_dir, ("expectations",)), linkage.inputs(s, led)])
    return hashlib.sha256(text.encode()).hexdigest()


def _deliveries(s: Settings, led: Ledger) -> list[tuple[str, str, str]]:
    """Deliveries and verdicts in force, with their files' hashes: an erasure or a change of keys writes them anew."""
    files = {
        row["verdict_id"]: row["sha256"]
        for row in led.rows(sa.select(tables.lake_files).where(tables.lake_files.c.kind == "lake"))
    }
    return sorted(
        (one.delivery_id, one.verdict_id, files.get(one.verdict_id, ""))
        for one in _in_force(led, load_contracts(s.contracts_dir))
    )


def content_hash(con: duckdb.DuckDBPyConnection) -> str:
    """Hash over the marts' rows, whatever their order. ``ops_*`` tell of the build itself and stay out."""
    digest = hashlib.sha256()
    columns = con.execute(
        """
        SELECT table_name, list(
            -- Threads add doubles up in any order: the last digits are not data.
            CASE data_type WHEN 'DOUBLE' THEN format('round("{}", 9)', column_name) ELSE format('"{}"', column_name) END
            ORDER BY column_index
        )
        FROM duckdb_columns() JOIN duckdb_tables() USING (database_name, schema_name, table_name)
        WHERE schema_name = 'marts' AND table_name NOT LIKE 'ops@_%' ESCAPE '@'
        GROUP BY table_name ORDER BY table_name
        """
    ).fetchall()
    for table, selected in columns:
        # md5 keeps its value between engine versions; a sum of halves does not depend on the order of rows.
        halves = ", ".join(f"sum(md5_number_{half}(CAST(t AS VARCHAR))::HUGEINT)" for half in ("lower", "upper"))
        query = f'SELECT count(*), {halves} FROM (SELECT {", ".join(selected)} FROM marts."{table}") AS t'
        digest.update(f"{table} {con.execute(query).fetchone()}\n".encode())
    return digest.hexdigest()


# --- the build ----------------------------------------------------------------------------------------------


@contextmanager
def only_writer(s: Settings, *, waits: bool = False) -> Iterator[int]:
    """Hold the build lock, from linking to the report; a second build is refused at once, or ``waits`` for the first.

    Yields the lock's file descriptor: whoever inherits it holds the lock on, should this process be killed.
    """
    folder = s.build_file.parent
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(files.exclusive_lock(folder / ".lock", wait=waits))
        except BlockingIOError as error:
            raise BuildError(
                "BUILD_RUNNING",
                "Pembangunan lain sedang berjalan.",
                "Another build is running.",
                "Tunggu sampai selesai, lalu ulangi.",
                "Wait until it has ended, then try again.",
            ) from error
        yield lock


def _close_killed(s: Settings, led: Ledger) -> None:
    """Whoever holds the build lock runs alone: a build still on record as running was killed."""
    killed = {"outcome": "failed", "ended_at": s.utc_now(), "detail": "KILLED"}
    with led.write() as connection:
        connection.execute(tables.builds.update().where(tables.builds.c.outcome == "running"), killed)


def _last_start(led: Ledger) -> datetime | None:
    (row,) = led.rows(sa.select(sa.func.max(tables.builds.c.started_at).label("at")))
    last: datetime | None = row["at"]
    return last


def is_up_to_date(s: Settings, led: Ledger, as_of: date) -> bool:
    """Whether the build file at hand already holds exactly what a build would make now."""
    newest = led.rows(
        sa.select(tables.builds.c.inputs_hash)
        .where(tables.builds.c.outcome == "built")
        .order_by(tables.builds.c.started_at.desc())
        .limit(1)
    )
    return bool(newest) and s.build_file.exists() and newest[0]["inputs_hash"] == inputs_hash(s, led, as_of)


def run(
    s: Settings, led: Ledger, as_of: date, progress: Progress = lambda _text: None, lock: int | None = None
) -> BuildResult:
    """Build the warehouse file anew as seen on ``as_of``; raises BuildError naming the models or tests that failed.

    The new file replaces the old one only when every model and test passed. ``lock``: of a caller that is
    ``only_writer`` already.
    """
    contracts = load_contracts(s.contracts_dir)
    began = time.monotonic()
    build_id = ledger.new_id()
    with only_writer(s) if lock is None else nullcontext(lock) as lock:
        for leftover in s.build_file.parent.glob(".building-*"):
            shutil.rmtree(leftover)
        _close_killed(s, led)
        led.insert(
            tables.builds,
            {
                "build_id": build_id,
                # Later than the last, whatever the clock says: the newest counts.
                "started_at": deliveries.not_before(s.utc_now(), _last_start(led)),
                "outcome": "running",
                "as_of": as_of,
                "inputs_hash": inputs_hash(s, led, as_of),
                "code_version": code_version(s.project_dir),
            },
        )
        # DuckDB names the catalogue after the file, and views name the catalogue: only the folder is temporary.
        folder = s.build_file.parent / f".building-{build_id}"
        folder.mkdir(mode=0o700)
        file = folder / s.build_file.name
        outcome, content, failures = "failed", None, list[str]()
        try:
            progress("inputs")
            with duck.connect(s, file) as con:
                file.chmod(0o600)
                fill(s, led, contracts, con)
            failures = run_dbt(s, file, as_of, progress, lock)
            if not failures:
                with duck.connect(s, file) as con:
                    content = content_hash(con)
                files.put_in_place((file, s.build_file))
                outcome = "built"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            seconds = time.monotonic() - began
            with led.write() as connection:
                connection.execute(
                    tables.builds.update().where(tables.builds.c.build_id == build_id),
                    {
                        "ended_at": s.utc_now(),
                        "outcome": outcome,
                        "content_hash": content,
                        "detail": "; ".join(failures),
                    },
                )
    if failures:
        names = ", ".join(failures)
        raise BuildError(
            "BUILD_FAILED",
            f"dbt gagal pada: {names}",
            f"dbt failed at: {names}",
            f"Baca {s.home / 'dbt' / 'logs' / 'dbt.log'}; rilis terakhir tetap berlaku.",
            f"Read {s.home / 'dbt' / 'logs' / 'dbt.log'}; the last release stays current.",
        )
    return BuildResult(build_id, outcome, content or "", round(seconds, 2))
