"""No identifier of a person leaves landing and vault: a home's files are searched for those of the sandbox's truth.

The home has had a good night and a bad one: a held file, a file with a phone number nobody asked for, a NIK that a rule
names. Raw bytes and decompressed columns are searched; the pseudonymised file is opened with its key.
"""

import re
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from tests.support import samples
from tests.support.sandbox_home import NEWEST, TONIGHT, admit_resent
from warehouse import ledger, night
from warehouse.core import duck
from warehouse.core.settings import Settings
from warehouse.release.pseudonymised import attach_micro

EPPGBM = "kemenkes/eppgbm"
PHONE = "081290005417"
# Where identifiers may be, and the sandbox's own truth.
ALLOWED = {"landing", "vault", "keys", "sandbox", "inbox"}
_NUMBERS = re.compile(rb"(?<![0-9])[0-9]{16}(?![0-9])")
_DATES = re.compile(rb"(?<![0-9])(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9](?![0-9])")


@dataclass(frozen=True)
class Truth:
    """What must not be found: numbers, and the names of those born on a day beside that day."""

    numbers: frozenset[bytes]
    born: dict[bytes, set[bytes]]
    phone: bytes

    def found_in(self, data: bytes) -> list[str]:
        """Kinds of what the bytes hold; never the value."""
        kinds = []
        if not self.numbers.isdisjoint(_NUMBERS.findall(data)):
            kinds.append("NIK or KK")
        if self.phone in data:
            kinds.append("phone")
        if any(self._is_named(match[0], data[max(0, match.start() - 200) : match.end() + 200])
               for match in _DATES.finditer(data)):  # fmt: skip
            kinds.append("name with birth date")
        return kinds

    def _is_named(self, birth: bytes, around: bytes) -> bool:
        names = self.born.get(birth)
        return names is not None and any(name in around.upper() for name in names)


def _column(path: Path, columns: str) -> list[tuple]:
    return duckdb.sql(f"SELECT DISTINCT {columns} FROM '{path}'").fetchall()


@pytest.fixture(scope="module")
def truth(good_night: Settings) -> Truth:
    city = good_night.home / "sandbox" / "city"
    persons = _column(city / "persons.parquet", "nik, upper(name), CAST(birth_date AS VARCHAR)")
    cards = _column(city / "families.parquet", "no_kk")
    sent = [row["nik"] for row in samples.good_rows(EPPGBM)]
    born: dict[bytes, set[bytes]] = {}
    for _nik, name, birth in persons:
        born.setdefault(birth.encode(), set()).add(name.encode())
    numbers = {nik for nik, *_ in persons} | {card for (card,) in cards} | set(sent)
    return Truth(frozenset(n.encode() for n in numbers if n), born, PHONE.encode())


@pytest.fixture(scope="module")
def searched(home: Settings, truth: Truth, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The home after a bad night: files by hand with identifiers in every place a file can have them."""
    folder = tmp_path_factory.mktemp("by hand")
    rows = samples.good_rows(EPPGBM)
    with_phone = [row | {"No HP": PHONE} for row in rows]
    cut = samples.changed(rows, tgl_lahir=rows[0]["nik"], berat=rows[0]["nik"])
    files = {
        "cikokol": samples.as_file(EPPGBM, with_phone, "sigizi_csv")[0],
        "benda": samples.as_file(EPPGBM, samples.every(rows, tanggal_pengukuran="2026-09-29"), "sigizi_csv")[0],
        "batuceper": samples.as_file(EPPGBM, cut, "sigizi_csv")[0],
        "cipondoh": b"\n".join(b";".join(str(value).encode() for value in row.values()) for row in with_phone),
    }
    for part, data in files.items():
        # A name that tells of a person stays in the encrypted manifest.
        path = folder / f"{rows[0]['nik']} {part}.csv"
        path.write_bytes(data)
        night.ingest_file(EPPGBM, NEWEST, part, path, s=home)
    admit_resent(home)
    led = ledger.open_ledger(home)
    newest = {row["part"]: row["verdict"] for row in led.rows(
        "select d.part, v.verdict from deliveries d join latest_verdicts v on v.delivery_id = d.delivery_id"
        " where d.origin = 'hand'")}  # fmt: skip
    assert newest == {
        "cikokol": "accepted", "benda": "held", "batuceper": "accepted_with_quarantine", "cipondoh": "held"
    }  # fmt: skip
    assert night.marts(TONIGHT, s=home)["outcome"] == "released"
    return home


def files(s: Settings) -> Iterator[Path]:
    for path in sorted(s.home.rglob("*")):
        inside = path.relative_to(s.home)
        if path.is_file() and not path.is_symlink() and inside.parts[0] not in ALLOWED:
            yield path


def _tables(connection: duckdb.DuckDBPyConnection, catalogue: str) -> Iterator[tuple[str, bytes]]:
    """Every table's text, numbers and dates that could hold an identifier, one table at a time."""
    tables = connection.execute(
        "SELECT schema_name, table_name, string_agg('CAST(\"' || column_name || '\" AS VARCHAR)', ', ')"
        " FROM duckdb_columns() WHERE database_name = ? AND NOT internal AND data_type NOT IN ('DOUBLE', 'BOOLEAN')"
        " AND table_name IN (SELECT table_name FROM duckdb_tables() WHERE database_name = ?) GROUP BY ALL",
        [catalogue, catalogue],
    ).fetchall()
    for schema, table, columns in tables:
        query = f'SELECT DISTINCT concat_ws(\' | \', {columns}) FROM "{catalogue}"."{schema}"."{table}"'
        yield f"{schema}.{table}", "\n".join(row for (row,) in connection.execute(query).fetchall()).encode()


def contents(s: Settings, path: Path) -> Iterator[tuple[str, bytes]]:
    """A file's bytes and, where they are compressed, the text of its tables."""
    yield "bytes", path.read_bytes()
    if path.name == "micro.duckdb":
        with duck.connect(s, sees_identifiers=True) as connection:
            attach_micro(connection, s, path, path.parent.name)
            yield from _tables(connection, "micro")
    elif path.suffix == ".duckdb":
        with duck.connect(s) as connection:
            connection.execute(f"ATTACH '{path}' AS searched (READ_ONLY)")
            yield from _tables(connection, "searched")
    elif path.suffix == ".parquet":
        with duck.connect(s) as connection:
            connection.execute(f"CREATE TABLE searched AS FROM read_parquet('{path}')")
            yield from _tables(connection, "memory")
    elif path.suffix == ".db":
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            yield "dump", "\n".join(connection.iterdump()).encode()


def test_the_search_finds_what_it_looks_for(truth: Truth, tmp_path: Path, settings: Settings):
    birth, names = next(iter(truth.born.items()))
    number, name = next(iter(truth.numbers)).decode(), next(iter(names)).decode().title()
    for suffix in ("parquet", "duckdb"):
        path = tmp_path / f"planted.{suffix}"
        words = [f"{number}", f"x{PHONE}", f"{name} {birth.decode()}"] * 2000
        with duckdb.connect(str(path) if suffix == "duckdb" else ":memory:") as connection:
            connection.execute("CREATE TABLE planted AS SELECT unnest(?) AS words", [words])
            if suffix == "parquet":
                connection.execute(f"COPY planted TO '{path}' (COMPRESSION zstd)")
        found = {kind for where, data in contents(settings, path) if where != "bytes" for kind in truth.found_in(data)}
        assert found == {"NIK or KK", "phone", "name with birth date"}


def test_what_may_hold_identifiers_holds_them(truth: Truth, searched: Settings):
    assert len(truth.numbers) > 20_000
    assert any(path.is_file() for path in searched.landing_dir.rglob("*"))
    assert any(path.is_file() for path in searched.vault_dir.rglob("*"))


def test_nothing_else_in_the_home_holds_an_identifier(truth: Truth, searched: Settings):
    seen, leaks = set(), []
    for path in files(searched):
        inside = path.relative_to(searched.home)
        seen.add(inside.parts[0] if len(inside.parts) == 1 else f"{inside.parts[0]}/{path.suffix}")
        leaks += [f"{inside}: path: {kind}" for kind in truth.found_in(str(inside).encode())]
        for where, data in contents(searched, path):
            leaks += [f"{inside}: {where}: {kind}" for kind in truth.found_in(data)]
    assert leaks == []
    assert seen >= {
        "ledger.db", "ops.duckdb", "build/.duckdb", "lake/.parquet", "releases/.duckdb", "releases/.parquet",
        "releases/.json", "register/.parquet", "reports/.html", "dbt/.json", "dbt/.log", "dbt/.sql",
    }  # fmt: skip


def test_landing_and_vault_are_encrypted(truth: Truth, searched: Settings):
    for folder in (searched.landing_dir, searched.vault_dir):
        for path in folder.rglob("*"):
            if path.is_file():
                assert truth.found_in(path.read_bytes()) == []
                assert truth.found_in(str(path.relative_to(searched.home)).encode()) == []


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_who_may_read_what(searched: Settings):
    s = searched
    assert {path.name: mode(path) for path in s.keys.iterdir() if mode(path) != 0o600} == {}
    assert mode(s.keys) == mode(s.secrets) == 0o700
    assert mode(s.build_file) == 0o600
    for private in (s.landing_dir, s.vault_dir, s.lake_dir):
        wide = [path for path in (private, *private.rglob("*")) if mode(path) & 0o077]
        assert wide == []


def test_releases_are_read_only(searched: Settings):
    kept = [path for path in searched.releases_dir.iterdir() if path.is_dir()]
    assert len(kept) == 2
    for folder in kept:
        for path in (folder, *folder.rglob("*")):
            wanted = 0o400 if path.name == "micro.duckdb" else 0o444
            assert mode(path) == (0o555 if path.is_dir() else wanted), path.name
    assert mode(searched.ops_file) == 0o444
