"""Text as sent, turned into one typed table of rows and one table of delivery profiles, as the contract declares.

Here: casts, codes, derived columns, aggregates, in SQL generated from the contract. Not here: whether a value is good;
what cannot be read becomes NULL beside a mark that the gate's rules look at.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from warehouse.core.contract import PROFILE_BUILT_INS, Column, Contract
from warehouse.core.errors import ConfigError
from warehouse.intake.gate.model import DeliveryContext
from warehouse.intake.gate.rules import SENT, UNCAST, UNCODED
from warehouse.intake.parse import Parsed
from warehouse.storage import vault

RAW = "raw__"
COMPARED = ("previous_", "change_")
SQL_TYPES = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "date": "DATE", "boolean": "BOOLEAN"}
_PLAIN = r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_DOT_GROUPS = r"[+-]?[0-9]{1,3}(\.[0-9]{3})+(,[0-9]+)?"
_COMMA_GROUPS = r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?"
_COMMA = r"[+-]?[0-9]+(,[0-9]+)?"
_EITHER = r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?"
_THOUSAND_OR_DECIMAL = r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}"
# What strptime calls a year of four digits may have two (26 is then the year 26), and it reads "infinity" as a day.
_YEARS = (1800, 2200)


# Who a row is about, within one file; names without case, accents, blanks and punctuation, digits kept: they tell
# babies of one mother apart.
_BEARER = r"""
CREATE OR REPLACE TEMP MACRO bearer(name, birth_date, sex) AS concat_ws(
    '|', regexp_replace(upper(strip_accents(name)), '[^\p{L}\p{N}]', '', 'g'), birth_date, sex)
"""


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _number_text(text: str, decimal: str) -> str:
    """SQL for a number's text with a decimal point and no grouping; NULL where it is not one."""

    def when(pattern: str, then: str) -> str:
        return f"WHEN regexp_full_match({text}, {literal(pattern)}) THEN {then}"

    without_dots = f"replace(replace({text}, '.', ''), ',', '.')"
    cases = {
        "point": [when(_PLAIN, text), when(_COMMA_GROUPS, f"replace({text}, ',', '')")],
        "comma": [when(_COMMA, f"replace({text}, ',', '.')"), when(_DOT_GROUPS, without_dots)],
        "either": [when(_EITHER, f"replace({text}, ',', '.')")],
        # One mark before exactly three digits may be either: 736.000 workers are no 736.
        "any": [
            when(_THOUSAND_OR_DECIMAL, "NULL"),
            when(_EITHER, f"replace({text}, ',', '.')"),
            when(_COMMA_GROUPS, f"replace({text}, ',', '')"),
            when(_DOT_GROUPS, without_dots),
        ],
    }
    return f"CASE {' '.join(cases[decimal])} END"


def cast_sql(text: str, column: Column) -> str:
    """SQL for a column's typed value from its text; NULL where the text is not of the type."""
    if column.logical_type == "string":
        return text
    if column.logical_type == "date":
        formats = ", ".join(literal(item) for item in column.extras.formats)
        day = f"regexp_replace({text}, '[T ]00:00(:00(\\.0+)?)?Z?$', '')"
        parsed = f"CAST(try_strptime({day}, [{formats}]) AS DATE)"
        is_day = f"regexp_matches({day}, '[0-9]') AND year({parsed}) BETWEEN {_YEARS[0]} AND {_YEARS[1]}"
        return f"CASE WHEN {is_day} THEN {parsed} END"
    if column.logical_type == "boolean":
        return (
            f"CASE WHEN lower({text}) IN ('true', 'ya', 'y', 'yes', '1') THEN true"
            f" WHEN lower({text}) IN ('false', 'tidak', 'n', 'no', '0') THEN false END"
        )
    number = _number_text(text, column.extras.decimal)
    if column.logical_type == "number":
        return f"CASE WHEN isfinite(TRY_CAST({number} AS DOUBLE)) THEN TRY_CAST({number} AS DOUBLE) END"
    # A spreadsheet writes 3 as 3.0; three zeros could be a thousand.
    whole = f"regexp_extract({number}, '^([+-]?[0-9]+)([.]0{{1,2}})?$', 1)"
    return f"TRY_CAST(nullif({whole}, '') AS BIGINT)"


def _typed(column: Column) -> str:
    text = f"trim({quoted(RAW + column.name)})"
    if column.is_identifier or column.extras.code_system not in {None, "region_name"}:
        text = vault.without_float_tail(text)
    if not column.extras.codes:
        return cast_sql(text, column)
    spellings = {
        " ".join(spelling.lower().split()): code
        for code, others in column.extras.codes.items()
        for spelling in (code, *others)
    }
    codes = "MAP {" + ", ".join(f"{literal(key)}: {literal(code)}" for key, code in spellings.items()) + "}"
    key = f"lower(regexp_replace({text}, '\\s+', ' ', 'g'))"
    code = f"coalesce({codes}[{key}], {codes}[regexp_replace({key}, '[.]0+$', '')])"
    return f"CAST({code} AS {SQL_TYPES[column.logical_type]})"


def _marks(column: Column) -> list[str]:
    raw, typed = quoted(RAW + column.name), quoted(column.name)
    marks = []
    if column.required:
        marks.append(f"CASE WHEN {raw} IS NOT NULL THEN true END AS {quoted(SENT + column.name)}")
    if column.extras.codes or column.logical_type != "string":
        mark = (UNCODED if column.extras.codes else UNCAST) + column.name
        marks.append(f"CASE WHEN {raw} IS NOT NULL AND {typed} IS NULL THEN true END AS {quoted(mark)}")
    return marks


def _levels(derived: Iterable[Column]) -> list[list[Column]]:
    """Derived columns in nested SELECTs: a column that names another derived one stands a level above it."""
    levels: list[list[Column]] = [[]]
    for column in derived:
        if any(re.search(rf"\b{re.escape(other.name)}\b", column.extras.derivation or "") for other in levels[-1]):
            levels.append([])
        levels[-1].append(column)
    return [level for level in levels if level]


def _derivation(column: Column) -> str:
    return f"CAST(({column.extras.derivation}) AS {SQL_TYPES[column.logical_type]}) AS {quoted(column.name)}"


def _rows_query(contract: Contract, derived: list[Column]) -> str:
    columns = contract.file_columns
    typed = ", ".join(f"{_typed(column)} AS {quoted(column.name)}" for column in columns)
    known = "staged.*, deliveries.* EXCLUDE (delivery_id)"
    query = f"SELECT {known}, {typed} FROM staged JOIN deliveries USING (delivery_id)"
    marks = ", ".join(mark for column in columns for mark in _marks(column))
    raw = ", ".join(quoted(RAW + column.name) for column in columns)
    query = f"SELECT * EXCLUDE ({raw}){', ' + marks if marks else ''} FROM ({query})"
    for level in _levels(derived):
        query = f"SELECT *, {', '.join(_derivation(column) for column in level)} FROM ({query})"
    return query


def stage_rows(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    parsed: Mapping[str, Parsed],
    context: Mapping[str, DeliveryContext],
) -> None:
    """Create ``rows``: every row of the group, typed, with ``row_id`` and ``delivery_id``."""
    order = list(parsed)
    deliveries = pa.table(
        {
            "delivery_id": pa.array(order, pa.string()),
            "part": pa.array([context[key].part for key in order], pa.string()),
            "period_start": pa.array([context[key].period.start for key in order], pa.date32()),
            "period_end": pa.array([context[key].period.end for key in order], pa.date32()),
            "received_on": pa.array([context[key].received_on for key in order], pa.date32()),
        }
    )
    connection.register("deliveries", deliveries)
    connection.register("staged", _stacked(contract, parsed))
    connection.execute(_BEARER)
    derived = [column for column in contract.columns if column.is_derived]
    try:
        connection.execute(f"CREATE TABLE rows AS {_rows_query(contract, derived)}")
    except duckdb.Error as error:
        raise _faulty_derivation(connection, contract, derived, error) from None
    finally:
        connection.unregister("staged")


def _stacked(contract: Contract, parsed: Mapping[str, Parsed]) -> pa.Table:
    names = [column.name for column in contract.file_columns]
    texts = [(RAW + name, pa.string()) for name in names]
    schema = pa.schema([*texts, ("source_part", pa.string()), ("source_row", pa.int64())])
    tables = [one.table.select([*names, "source_part", "source_row"]) for one in parsed.values()]
    stacked = pa.concat_tables(table.rename_columns(schema.names).cast(schema) for table in tables)
    ordinals = np.repeat(np.arange(len(tables), dtype=np.int32), [table.num_rows for table in tables])
    owners = pa.DictionaryArray.from_arrays(pa.array(ordinals), pa.array(list(parsed), pa.string()))
    numbers = pa.array(np.arange(stacked.num_rows, dtype=np.int64))
    return stacked.append_column("delivery_id", owners.cast(pa.string())).append_column("row_id", numbers)


def _faulty_derivation(
    connection: duckdb.DuckDBPyConnection, contract: Contract, derived: list[Column], error: duckdb.Error
) -> ConfigError:
    """Name the column at fault. DuckDB's own text is left out: it quotes the value that it could not read."""
    name = "?"
    for count, column in enumerate(derived, start=1):
        try:
            query = _rows_query(contract, derived[:count])
            connection.execute(f"SELECT count({quoted(column.name)}) FROM ({query})").fetchone()
        except duckdb.Error:
            name = column.name
            break
    return ConfigError(
        "CONTRACT_DERIVATION_FAILED",
        f"Penurunan kolom {name} pada kontrak {contract.dataset} gagal ({type(error).__name__}).",
        f"The derivation of column {name} in contract {contract.dataset} failed ({type(error).__name__}).",
        "Perbaiki ungkapan itu di kontrak, misalnya dengan TRY_CAST; kiriman belum dinilai.",
        "Correct the expression in the contract, for example with TRY_CAST; the deliveries were not judged.",
    )


def stage_profile(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    parsed: Mapping[str, Parsed],
    context: Mapping[str, DeliveryContext],
    history: Iterable[Mapping[str, Any]],
) -> dict[str, dict[str, float | None]]:
    """Create ``profile``: one row per delivery with its measures, the period before's, and value / previous.

    Returns the measures by delivery, as numbers: what later deliveries are compared with.
    """
    built_in = pa.table(
        {
            "delivery_id": list(parsed),
            "rows": pa.array([float(one.table.num_rows) for one in parsed.values()]),
            "missing_required_columns": pa.array([float(_missing_required(contract, one)) for one in parsed.values()]),
            "unknown_columns": pa.array([float(len(one.unknown_headers)) for one in parsed.values()]),
        }
    )
    connection.register("built_in", built_in)
    measures = "".join(
        f", CAST(({expression}) AS DOUBLE) AS {quoted(name)}" for name, expression in contract.extras.profile.items()
    )
    names = [*PROFILE_BUILT_INS, *contract.extras.profile]
    selected = ", ".join(quoted(name) for name in names)
    try:
        found = connection.execute(
            f"SELECT delivery_id, {selected} FROM built_in"
            f" LEFT JOIN (SELECT delivery_id{measures} FROM rows GROUP BY delivery_id) USING (delivery_id)"
        ).fetchall()
    except duckdb.Error as error:
        raise ConfigError(
            "CONTRACT_PROFILE_FAILED",
            f"Ukuran kiriman pada kontrak {contract.dataset} tidak dapat dihitung ({type(error).__name__}).",
            f"The measures of a delivery in contract {contract.dataset} cannot be computed ({type(error).__name__}).",
            "Perbaiki ukuran itu di kontrak; hasilnya harus berupa angka.",
            "Correct the measure in the contract; it must give a number.",
        ) from None
    profiles = {key: dict(zip(names, values, strict=True)) for key, *values in found}
    before = {entry["part"]: entry["profile"] for entry in sorted(history, key=lambda entry: entry["period_start"])}
    for key, profile in profiles.items():
        profile |= _compared(profile, before.get(context[key].part, {}))
    columns = {name: pa.array([profile[name] for profile in profiles.values()], pa.float64()) for name in _every(names)}
    keys = {"delivery_id": pa.array(list(profiles), pa.string()), "row_id": pa.array(range(len(profiles)), pa.int64())}
    connection.register("measured", pa.table(keys | columns))
    connection.execute("CREATE TABLE profile AS SELECT * FROM measured")
    return profiles


def _compared(profile: Mapping[str, float | None], before: Mapping[str, float | None]) -> dict[str, float | None]:
    """The period before's measures and value / previous; NULL without one."""
    compared = {}
    for name, value in profile.items():
        previous = before.get(name)
        compared[f"previous_{name}"] = previous
        compared[f"change_{name}"] = value / previous if value is not None and previous else None
    return compared


def _every(names: Iterable[str]) -> list[str]:
    return [f"{prefix}{name}" for prefix in ("", *COMPARED) for name in names]


def _missing_required(contract: Contract, parsed: Parsed) -> int:
    required = {header for column in contract.file_columns if column.required for header in column.headers}
    return len(required & set(parsed.missing_headers))
