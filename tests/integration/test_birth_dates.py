"""No birth date can be worked out from what lake and build keep: no date, plus or minus days kept beside it, gives one.

An attacker with both files but not the vault adds and subtracts: every date or moment of a row, the row's whole numbers
taken one or two at a time, whatever stays the same over the rows. The vault's birth dates say how often that is right.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import combinations, product

import duckdb
import numpy as np
import pytest

from warehouse.core.contract import load_contracts
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger
from warehouse.storage import lake, vault

# A day of birth guessed from the month of measuring and the age in days is right where a posyandu meets on one day.
RIGHT_BY_CHANCE = 0.25
FEWEST = 50
_MOMENTS = {"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}
_WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}


def guesses(con: duckdb.DuckDBPyConnection, rows: str) -> Iterator[tuple[str, float]]:
    """Each sum over a relation's kept columns with the share of rows in which it is the birth date, at one distance.

    ``rows``: SELECT of the kept columns and ``born_on``.
    """
    columns = con.execute(f"DESCRIBE {rows}").fetchall()
    moments = [name for name, kind, *_ in columns if kind in _MOMENTS and name != "born_on"]
    whole = [name for name, kind, *_ in columns if kind in _WHOLE]
    in_jakarta = {"TIMESTAMP WITH TIME ZONE": " AT TIME ZONE 'Asia/Jakarta'"}
    day = "date_diff('day', DATE '1970-01-01', CAST({}{} AS DATE))"
    days = [day.format(f'"{name}"', in_jakarta.get(kind, "")) for name, kind, *_ in columns if kind in _MOMENTS]
    days += [f'CAST("{name}" AS DOUBLE)' for name in whole]
    names = [name for name, kind, *_ in columns if kind in _MOMENTS] + whole
    chosen = ", ".join(f'{value} AS "{name}"' for name, value in zip(names, days, strict=True))
    found = con.execute(f"SELECT {chosen} FROM ({rows}) WHERE born_on IS NOT NULL").fetchnumpy()
    value = {name: np.ma.filled(np.ma.asarray(column, dtype=float), np.nan) for name, column in found.items()}
    terms: list[tuple[str, np.ndarray | float]] = [("", 0.0)]
    signed = [(f"{sign:+d} * {name}", sign * value[name]) for name, sign in product(whole, (1, -1))]
    terms += signed
    terms += [(f"{a[0]} {b[0]}", a[1] + b[1]) for a, b in combinations(signed, 2) if a[0][2:] != b[0][2:]]
    for moment, (told, term) in product(moments, terms):
        off = value[moment] + term - value["born_on"]
        off = off[~np.isnan(off)]
        if len(off) >= FEWEST:
            yield f"{moment} {told}".strip(), max(Counter(off.tolist()).values()) / len(off)


def births(s: Settings, led: Ledger) -> str:
    """SELECT of record_key and birth date over the vault, on a connection of ``vault.connect``."""
    parts = []
    for contract in load_contracts(s.contracts_dir).values():
        column = contract.identity("birth_date")
        paths = lake.files_in_force(s, led, contract, "vault") if column else []
        if column and paths:
            files = vault.relation_sql(paths)
            parts.append(f'SELECT record_key, CAST("{column.name}" AS DATE) AS born_on FROM ({files})')
    return " UNION ALL ".join(parts)


@pytest.fixture
def con(good_night: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    led = Ledger(good_night.ledger)
    with vault.connect(good_night) as connection:
        connection.execute(f"CREATE TABLE births AS {births(good_night, led)}")
        yield connection


def test_no_sum_over_kept_columns_is_a_birth_date(good_night: Settings, con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"ATTACH '{good_night.build_file}' AS warehouse (READ_ONLY)")
    relations = [
        f'warehouse."{schema}"."{table}"'
        for schema, table in con.execute(
            "SELECT DISTINCT schema_name, table_name FROM duckdb_columns()"
            " WHERE database_name = 'warehouse' AND column_name = 'record_key' ORDER BY ALL"
        ).fetchall()
    ]
    led = Ledger(good_night.ledger)
    relations += [
        f"({lake.relation_sql(good_night, led, contract)})"
        for contract in load_contracts(good_night.contracts_dir).values()
        if contract.identity("birth_date")
    ]
    assert len(relations) > 5
    worst = {
        relation[:60]: max(
            guesses(con, f"SELECT r.*, b.born_on FROM {relation} AS r JOIN births AS b USING (record_key)"),
            key=lambda guess: guess[1],
            default=("nothing", 0.0),
        )
        for relation in relations
    }
    assert {relation: guess for relation, guess in worst.items() if guess[1] > RIGHT_BY_CHANCE} == {}


def test_the_search_finds_what_was_once_kept() -> None:
    """Received, entry lag in days, age in days: the three together are the birth date; the lag in weeks gives less."""
    rng = np.random.default_rng(7)
    rows = []
    for _ in range(200):
        measured, age = date(2026, 10, 1) + timedelta(days=int(rng.integers(31))), int(rng.integers(1800))
        lag = (date(2026, 11, 10) - measured).days
        rows.append((date(2026, 11, 10), lag, lag // 7, age, measured - timedelta(days=age)))
    with duckdb.connect() as con:
        con.execute("CREATE TABLE kept (received DATE, lag INTEGER, weeks INTEGER, age_days INTEGER, born_on DATE)")
        con.executemany("INSERT INTO kept VALUES (?, ?, ?, ?, ?)", rows)
        exact = max(guesses(con, "FROM kept"), key=lambda guess: guess[1])
        without = max(guesses(con, "SELECT * EXCLUDE (lag) FROM kept"), key=lambda guess: guess[1])
    assert exact == ("received -1 * lag -1 * age_days", 1.0)
    assert without[1] < RIGHT_BY_CHANCE
