"""An engineer's scratch build: the build in force copied, fed from the lake as it is now, and the models one works on.

Here: the copy, its lock, the dbt run over selected models, and what moved against the build in force. Not here: the
build itself (``build``), hiding small counts in what is released (disclosure, release).

It writes ``dev/`` of the home and dbt's description of sources in the work tree; the build in force, releases and
ledger are read only. What is printed of it is rounded: the scratch holds exact counts of people.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa

from warehouse import build
from warehouse.build.catalogue import manifest_path
from warehouse.core import duck, files, sql
from warehouse.core.contract import load_contracts
from warehouse.core.errors import BuildError, ConfigError
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger
from warehouse.ledger.tables import builds

# What differs from the build in force, and what depends on it.
CHANGED = "state:modified+"
_NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")
_SQL = Path(__file__).parent / "sql"
# Columns that every area mart has beside its own keys.
_OF_AREA_MARTS = {"measure", "area_level", "area_name", "period_start", "numerator", "denominator", "percentage",
                  "statistic"}  # fmt: skip
# Said of a cell in words of its own, or the same in both.
_PLACE_AND_TIME = {"measure", "area_level", "kemendagri_code", "period_kind", "period_start"}


@dataclass(frozen=True)
class ModelDiff:
    """Rows of a model that the scratch has and the build in force has not, and so on; counts as they may be told.

    ``changed`` is None where no ``one_row_per`` test says which rows are the same: a changed row is one removed and one
    added.
    """

    model: str
    rows: str
    added: str
    removed: str
    changed: str | None
    columns: str

    @property
    def has_moved(self) -> bool:
        return bool(self.columns) or not {self.added, self.removed, self.changed} <= {"0", None}


@dataclass(frozen=True)
class Move:
    """The largest move of a measure at one level of areas, and how many cells moved."""

    mart: str
    measure: str
    level: str
    cells: int
    largest: str
    before: str
    after: str


def folder(s: Settings) -> Path:
    """Where the scratch lies; like the build, for engineers only."""
    return s.home / "dev"


def refresh(s: Settings, led: Ledger, select: Iterable[str], *, fresh: bool = False, unit_tests: bool = True) -> bool:
    """Bring the scratch up to the lake and build the selected models in it with their tests; whether all passed.

    ``select`` are dbt's own selectors; dbt prints what it does. The scratch is copied anew with ``fresh`` and whenever
    another build has come into force; else it keeps the models built in it before. It looks from the day from which
    the build in force looked, so that what moves is the engineer's doing. A model whose unit tests fail is not built,
    unless they are left out. Raises ConfigError DEV_WITHOUT_BUILD and BuildError DEV_RUNNING.
    """
    contracts = load_contracts(s.contracts_dir)
    sources, described = build.sources_file(s), build.sources_yaml(contracts)
    if sources.read_text(encoding="utf-8") != described:
        sources.write_text(described, encoding="utf-8")
    with only_engineer(s) as lock:
        if fresh or _state(s).get("build") != _mark(s):
            _copy(s)
        file = _file(s)
        fed = build.fed_hash(s, led)
        # Reading what every file of the lake looks like takes longer than most models.
        if _state(s).get("fed") != fed:
            with duck.connect(s, file) as con:
                build.fill(s, led, contracts, con)
            _note(s, _state(s) | {"fed": fed})
        return _run_dbt(s, file, _as_of(led), ["--select", *select, *([] if unit_tests else _NO_UNIT_TESTS)], lock)


def diff(s: Settings) -> tuple[list[ModelDiff], list[Move]]:
    """What moved in the models built since the copy; raises ConfigError DEV_OUTDATED when it is not of this build."""
    state = _state(s)
    if state.get("build") != _mark(s):
        raise ConfigError(
            "DEV_OUTDATED",
            "Pembangunan yang berlaku lebih baru daripada salinan kerja.",
            "The build in force is newer than the scratch.",
            "Jalankan `warehouse dev` lebih dulu.",
            "Run `warehouse dev` first.",
        )
    keys = _keys(folder(s) / "target" / "manifest.json")
    models, moves = [], []
    with duck.connect(s) as con:
        for alias, file in (("old", s.build_file), ("new", _file(s))):
            con.execute(f"ATTACH '{duck.sql_path(file)}' AS {alias} (READ_ONLY)")
        tables = con.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'new' ORDER BY ALL"
        ).fetchall()
        for schema, name in tables:
            if name not in state["models"]:
                continue
            relation = f'{schema}."{name}"'
            old, new = _columns(con, "old", schema, name), _columns(con, "new", schema, name)
            models.append(_model_diff(con, s, relation, old, new, keys.get(name, ())))
            if old.keys() & new.keys() >= _OF_AREA_MARTS and keys.get(name):
                moves += _moves(con, s, relation, keys[name])
    return models, moves


# --- the scratch ------------------------------------------------------------------------------------------------------


def _file(s: Settings) -> Path:
    # DuckDB names the catalogue after the file, and views name the catalogue.
    return folder(s) / s.build_file.name


def _mark(s: Settings) -> list[int]:
    """Which file the build in force is; raises ConfigError DEV_WITHOUT_BUILD."""
    try:
        stat = s.build_file.stat()
    except FileNotFoundError:
        raise ConfigError(
            "DEV_WITHOUT_BUILD",
            "Belum ada pembangunan yang berlaku.",
            "No build is in force yet.",
            "Jalankan `warehouse build` sekali.",
            "Run `warehouse build` once.",
        ) from None
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns]


def _state(s: Settings) -> dict[str, Any]:
    """Of which build the scratch is a copy, and the models built in it since."""
    path = folder(s) / "scratch.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"models": []}


def _note(s: Settings, state: dict[str, Any]) -> None:
    (folder(s) / "scratch.json").write_text(json.dumps(state), encoding="utf-8")


def _copy(s: Settings) -> None:
    """Copy the build in force; a file system that can shares the blocks until they are written."""
    mark = _mark(s)
    (folder(s) / "scratch.json").unlink(missing_ok=True)
    _file(s).with_suffix(".duckdb.wal").unlink(missing_ok=True)
    with s.build_file.open("rb") as source, _file(s).open("wb") as target:
        os.fchmod(target.fileno(), 0o600)
        while os.copy_file_range(source.fileno(), target.fileno(), 1 << 30):
            pass
    # As it was when that build ended: what has changed since is told by it.
    shutil.copy(manifest_path(s.home), _before(s) / "manifest.json")
    _note(s, {"build": mark, "models": []})


def _before(s: Settings) -> Path:
    """The folder of the manifest of the build in force, for dbt to compare with."""
    path = folder(s) / "before"
    path.mkdir(exist_ok=True)
    return path


@contextmanager
def only_engineer(s: Settings) -> Iterator[int]:
    """Hold the scratch, which the scan of the home passes over meanwhile; yields the lock's file descriptor."""
    try:
        handle = files.lock_for_life(files.private_folder(folder(s)), wait=False)
    except BlockingIOError:
        raise BuildError(
            "DEV_RUNNING",
            "`warehouse dev` lain sedang berjalan di folder ini.",
            "Another `warehouse dev` is running in this home.",
            "Tunggu sampai selesai, lalu ulangi.",
            "Wait until it has ended, then try again.",
        ) from None
    try:
        yield handle
    finally:
        os.close(handle)


def _as_of(led: Ledger) -> date:
    """The day from which the build in force looked."""
    newest = sa.select(builds.c.as_of).where(builds.c.outcome == "built")
    as_of: date = led.rows(newest.order_by(builds.c.started_at.desc()).limit(1))[0]["as_of"]
    return as_of


def _run_dbt(s: Settings, file: Path, as_of: date, selection: list[str], lock: int) -> bool:
    """dbt's own output goes to the terminal: the engineer reads what failed and how."""
    results = folder(s) / "target" / "run_results.json"
    results.unlink(missing_ok=True)
    # Nothing changed is no error here.
    arguments = ("build", "--warn-error-options", "{}", *selection)
    if any("state:" in word for word in selection):
        # Reading another manifest takes seconds.
        arguments += ("--state", str(_before(s)))
    paths = {"DBT_TARGET_PATH": str(folder(s) / "target"), "DBT_LOG_PATH": str(folder(s) / "logs")}
    process = subprocess.run(
        build.dbt_command(as_of, *arguments, **build.rounding(s)),
        cwd=s.dbt_dir,
        env=build.dbt_environment(s, file) | paths,
        pass_fds=(lock,),
        check=False,
    )
    if results.is_file():
        entries = json.loads(results.read_text(encoding="utf-8"))["results"]
        nodes = {entry["unique_id"].split(".")[2] for entry in entries if entry["status"] == "success"}
        state = _state(s)
        _note(s, state | {"models": sorted({*state["models"], *nodes})})
    return process.returncode == 0


# --- what moved -------------------------------------------------------------------------------------------------------


def _keys(manifest: Path) -> dict[str, list[str]]:
    """Model -> the columns of which its ``one_row_per`` test says that they name a row."""
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
    tests = [node for node in nodes if (node.get("test_metadata") or {}).get("name") == "one_row_per"]
    return {node["attached_node"].split(".")[2]: node["test_metadata"]["kwargs"]["columns"] for node in tests}


def _columns(con: duckdb.DuckDBPyConnection, database: str, schema: str, name: str) -> dict[str, str]:
    rows = con.execute(
        "SELECT column_name, data_type FROM duckdb_columns()"
        " WHERE (database_name, schema_name, table_name) = (?, ?, ?) ORDER BY column_index",
        [database, schema, name],
    )
    return dict(rows.fetchall())


def _text(columns: Iterable[str]) -> str:
    """SQL for some columns as one text."""
    return f"concat_ws('|', {', '.join(f'coalesce(CAST({column} AS VARCHAR), chr(0))' for column in columns)})"


def _model_diff(
    con: duckdb.DuckDBPyConnection,
    s: Settings,
    relation: str,
    old: dict[str, str],
    new: dict[str, str],
    keys: Iterable[str],
) -> ModelDiff:
    same_columns = [name for name in new if old.get(name) == new[name]]
    # Threads add doubles up in any order: the last digits are not data.
    values = {name: f'round("{name}", 9)' if new[name] == "DOUBLE" else f'"{name}"' for name in same_columns}
    for view, alias in (("before", "old"), ("after", "new")):
        rows = f"FROM {alias}.{relation}" if old or alias == "new" else f"FROM new.{relation} WHERE false"
        content = _text(values.values()) if values else _text(f'"{name}"' for name in new)
        con.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS SELECT {_text(keys or ['0'])} AS key,"
                    f" md5({content}) AS content {rows}")  # fmt: skip
    file = _SQL / ("rows_by_key.sql" if keys else "rows_without_key.sql")
    rows, added, removed, changed = duck.one_row(sql.query(con, file))
    differing = [f"+{name}" for name in new if name not in old] + [f"-{name}" for name in old if name not in new]
    differing += [f"{name}: {old[name]} -> {new[name]}" for name in new if name in old and name not in same_columns]
    if changed:
        differing += _changed_columns(con, relation, values, list(keys))
    return ModelDiff(
        model=relation.replace('"', ""),
        rows=rounded(rows, s.disclosure_threshold),
        added=rounded(added, s.disclosure_threshold),
        removed=rounded(removed, s.disclosure_threshold),
        changed=None if changed is None else rounded(changed, s.disclosure_threshold),
        columns=", ".join(differing) if old else "new model",
    )


def _changed_columns(
    con: duckdb.DuckDBPyConnection, relation: str, values: dict[str, str], keys: list[str]
) -> list[str]:
    selected = ", ".join([f"{_text(keys)} AS key", *(f'{text} AS "{name}"' for name, text in values.items())])
    differs = ", ".join(f'coalesce(bool_or(a."{name}" IS DISTINCT FROM b."{name}"), false)' for name in values)
    row = duck.one_row(
        con.execute(
            f"SELECT {differs} FROM (SELECT {selected} FROM new.{relation}) AS a"
            f" INNER JOIN (SELECT {selected} FROM old.{relation}) AS b USING (key)"
        )
    )
    return [name for name, is_changed in zip(values, row, strict=True) if is_changed]


def _moves(con: duckdb.DuckDBPyConnection, s: Settings, relation: str, keys: list[str]) -> list[Move]:
    own = [key for key in keys if key not in _PLACE_AND_TIME]
    for view, alias in (("before", "old"), ("after", "new")):
        con.execute(
            f"CREATE OR REPLACE TEMP VIEW {view} AS SELECT {_text(keys)} AS key, measure, area_level, concat_ws(', ',"
            f" area_name, period_start{''.join(f', {key}' for key in own)}) AS cell,"
            f" numerator, denominator, percentage, statistic FROM {alias}.{relation}"
        )
    columns = ("numerator", "denominator", "percentage", "statistic")
    moves = []
    for measure, level, cells, cell, *figures in sql.query(con, _SQL / "largest_moves.sql").fetchall():
        before, after = (_figure(s, dict(zip(columns, part, strict=True))) for part in (figures[:4], figures[4:]))
        moves.append(Move(relation.split(".")[1].strip('"'), measure, level, cells, cell, before, after))
    return moves


def _figure(s: Settings, cell: dict[str, Any]) -> str:
    """A cell as it may be told: the share of rounded counts, else the rounded count, else what counts no people."""
    threshold = s.disclosure_threshold
    numerator, denominator = cell["numerator"], cell["denominator"]
    if numerator is None:
        value = cell["percentage"] if cell["statistic"] is None else cell["statistic"]
        return "-" if value is None else f"{value:.4g}"
    printed_numerator = rounded(numerator, threshold)
    if denominator is None:
        return printed_numerator
    base = rounded(denominator, threshold)
    if printed_numerator.startswith("<") or not base.isdecimal() or base == "0":
        return f"{printed_numerator} / {base}"
    return f"{printed_numerator} / {base} = {100 * int(printed_numerator) / int(base):.1f}%"


def rounded(count: int, threshold: int) -> str:
    """A count to the nearest multiple of the smallest count that is shown; smaller ones say only that."""
    if 0 < count < threshold:
        return f"<{threshold}"
    return str((count + threshold // 2) // threshold * threshold)
