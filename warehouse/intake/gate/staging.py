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

from warehouse.core.contract import MISSING, Column, Contract
from warehouse.core.errors import ConfigError
from warehouse.intake.gate.model import DeliveryContext, Replaced
from warehouse.intake.gate.rules import OUTSIDE, SENT, UNCAST, UNCODED
from warehouse.intake.parse import Parsed
from warehouse.storage import vault

RAW, MARK = "raw__", "mark__"
_FEW_SLIPS = 5
COMPARED = ("previous_", "change_")
SQL_TYPES = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "date": "DATE", "boolean": "BOOLEAN"}
_PLAIN = r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_DOT_GROUPS = r"[+-]?[0-9]{1,3}(\.[0-9]{3})+(,[0-9]+)?"
_COMMA_GROUPS = r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?"
_COMMA = r"[+-]?[0-9]+(,[0-9]+)?"
_EITHER = r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?"
# One mark before exactly three digits: 736.000 workers are no 736.
_UNSURE = r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}"
# What cannot be read with the mark as that of thousands, and groups that use the other mark for it.
_DECIMAL = (
    r"[+-]?([0-9]+M([0-9]{1,2}|[0-9]{4,})|(0|[0-9]{4,})M[0-9]{3}"
    r"|[0-9]{1,3}(O[0-9]{3}){2,}(M[0-9]+)?|[0-9]{1,3}(O[0-9]{3})+M[0-9]+)"
)
_SAYS_COMMA = _DECIMAL.replace("M", ",").replace("O", r"\.")
_SAYS_POINT = _DECIMAL.replace("M", r"\.").replace("O", ",")
# A spreadsheet writes 3 as 3.0; three zeros could be a thousand.
_WHOLE = r"([+-]?[0-9]+)([.,](0{1,2}|0{4,}))?"
# No count has more digits, no amount is larger: beyond, sums of a delivery would break the judgement of all of it.
_MOST_DIGITS, _LARGEST = 15, "1e18"
# What strptime calls a year of four digits may have two (26 is then the year 26), and it reads "infinity" as a day.
_YEARS = (1800, 2200)
# A day with its time is that day; with a zone it may be another here, unless it is midnight.
_TIME = r"[T ](([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?|00:00(:00([.]0+)?)?Z)$"


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


def _matches(text: str, pattern: str) -> str:
    return f"regexp_full_match({text}, {literal(pattern)})"


def _number_text(text: str, decimal: str, mark: str) -> str:
    """SQL for a number's text with a decimal point and no grouping; NULL where it is not one.

    ``mark``: SQL for the decimal mark that the delivery's other numbers in this column show, NULL where they show none.
    """
    without_dots = f"replace(replace({text}, '.', ''), ',', '.')"
    decimal_point = f"replace({text}, ',', '.')"
    cases = {
        "point": [(_PLAIN, text), (_COMMA_GROUPS, f"replace({text}, ',', '')")],
        "comma": [(_COMMA, decimal_point), (_DOT_GROUPS, without_dots)],
        "either": [(_EITHER, decimal_point)],
        "any": [
            (
                _UNSURE,
                f"CASE WHEN NOT contains({text}, {mark}) THEN replace(replace({text}, '.', ''), ',', '')"
                # Nobody writes three decimals that are none.
                f" WHEN NOT ends_with({text}, '000') AND contains({text}, {mark}) THEN {decimal_point} END",
            ),
            (_EITHER, decimal_point),
            (_COMMA_GROUPS, f"replace({text}, ',', '')"),
            (_DOT_GROUPS, without_dots),
        ],
    }
    return f"CASE {' '.join(f'WHEN {_matches(text, pattern)} THEN {then}' for pattern, then in cases[decimal])} END"


def _decimal_marks(columns: Iterable[Column]) -> str:
    """SQL for the decimal mark of each delivery's columns: where all numbers that show one agree, and are as many as
    not."""
    shown, counted, marks = [], [], []
    for column in columns:
        text = f"trim({quoted(RAW + column.name)})"
        for name, pattern in (("comma", _SAYS_COMMA), ("point", _SAYS_POINT), ("unsure", _UNSURE)):
            # A pattern in a window's or an aggregate's own filter is compiled anew for every row.
            shown.append(f"{_matches(text, pattern)} AS {quoted(name + '__' + column.name)}")
            counted.append(f"count_if({quoted(name + '__' + column.name)}) AS {quoted(name + '__' + column.name)}")
        comma, point, unsure = (quoted(f"{name}__{column.name}") for name in ("comma", "point", "unsure"))
        marks.append(
            f"CASE WHEN {comma} > 0 AND {point} = 0 AND {comma} >= {unsure} THEN ','"
            f" WHEN {point} > 0 AND {comma} = 0 AND {point} >= {unsure} THEN '.' END AS {quoted(MARK + column.name)}"
        )
    of_rows = f"SELECT delivery_id, {', '.join(shown)} FROM staged"
    of_deliveries = f"SELECT delivery_id, {', '.join(counted)} FROM ({of_rows}) GROUP BY delivery_id"
    return f"SELECT delivery_id, {', '.join(marks)} FROM ({of_deliveries})"


def cast_sql(text: str, column: Column) -> str:
    """SQL for a column's typed value from its text; NULL where the text is not of the type."""
    if column.logical_type == "string":
        return text
    if column.logical_type == "date":
        formats = ", ".join(literal(item) for item in column.extras.formats)
        day = f"regexp_replace({text}, {literal(_TIME)}, '')"
        parsed_day = f"CAST(try_strptime({day}, [{formats}]) AS DATE)"
        is_day = f"regexp_matches({day}, '[0-9]') AND year({parsed_day}) BETWEEN {_YEARS[0]} AND {_YEARS[1]}"
        return f"CASE WHEN {is_day} THEN {parsed_day} END"
    if column.logical_type == "boolean":
        return (
            f"CASE WHEN lower({text}) IN ('true', 'ya', 'y', 'yes', '1') THEN true"
            f" WHEN lower({text}) IN ('false', 'tidak', 'n', 'no', '0') THEN false END"
        )
    mark = quoted(MARK + column.name) if column.extras.decimal == "any" else "NULL"
    number = _number_text(text, column.extras.decimal, mark)
    if column.logical_type == "number":
        value = f"TRY_CAST({number} AS DOUBLE)"
        is_whole = f" AND {value} = floor({value})" if column.is_whole else ""
        return f"CASE WHEN isfinite({value}) AND abs({value}) < {_LARGEST}{is_whole} THEN {value} END"
    plain = f"CASE WHEN {_matches(text, _WHOLE)} THEN {text} ELSE {number} END"
    digits = f"nullif(regexp_extract({plain}, {literal('^' + _WHOLE + '$')}, 1), '')"
    return f"CASE WHEN length(ltrim({digits}, '+-0')) <= {_MOST_DIGITS} THEN TRY_CAST({digits} AS BIGINT) END"


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
    return f"CAST({codes}[{key}] AS {SQL_TYPES[column.logical_type]})"


def _marks(column: Column) -> list[str]:
    raw, column_typed = quoted(RAW + column.name), quoted(column.name)
    marks = []
    if column.required:
        marks.append(f"CASE WHEN {raw} IS NOT NULL THEN true END AS {quoted(SENT + column.name)}")
    if column.extras.codes or column.logical_type != "string":
        mark = (UNCODED if column.extras.codes else UNCAST) + column.name
        marks.append(f"CASE WHEN {raw} IS NOT NULL AND {column_typed} IS NULL THEN true END AS {quoted(mark)}")
    if column.extras.earliest and column.extras.latest:
        outside = f"NOT {column_typed} BETWEEN ({column.extras.earliest}) AND ({column.extras.latest})"
        marks.append(f"CASE WHEN {outside} THEN true END AS {quoted(OUTSIDE + column.name)}")
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
    typed_columns = ", ".join(f"{_typed(column)} AS {quoted(column.name)}" for column in columns)
    relation_columns = "staged.*, deliveries.* EXCLUDE (delivery_id)"
    unsure = [column for column in columns if column.extras.decimal == "any"]
    query = f"SELECT {relation_columns} FROM staged JOIN deliveries USING (delivery_id)"
    if unsure:
        query = f"SELECT * FROM ({query}) JOIN ({_decimal_marks(unsure)}) USING (delivery_id)"
    query = f"SELECT *, {typed_columns} FROM ({query})"
    marks = ", ".join(mark for column in columns for mark in _marks(column))
    raw = ", ".join(
        [quoted(RAW + column.name) for column in columns] + [quoted(MARK + column.name) for column in unsure]
    )
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
    quarantined: Mapping[str, int],
) -> dict[str, dict[str, float | None]]:
    """Create ``profile``: one row per delivery with its measures, the period before's, and value / previous.

    ``quarantined`` rows of each delivery are known before, as one of the measures. Returns the measures by delivery, as
    numbers: what later deliveries are compared with.
    """
    aside = {key: quarantined.get(key, 0) + len(one.refused) for key, one in parsed.items()}
    shares = {key: _share(aside[key], one.rows_read) for key, one in parsed.items()}
    built_in = pa.table(
        {
            "delivery_id": list(parsed),
            "rows": pa.array([float(one.table.num_rows) for one in parsed.values()]),
            "missing_required_columns": pa.array([float(_missing_required(contract, one)) for one in parsed.values()]),
            "unknown_columns": pa.array([float(len(one.unknown_headers)) for one in parsed.values()]),
            "rows_set_aside": pa.array([float(aside[key]) for key in parsed]),
            "share_set_aside": pa.array(list(shares.values())),
            "rows_to_replaced": pa.array(
                [_kept(one.rows_read - aside[key], context[key].replaced) for key, one in parsed.items()], pa.float64()
            ),
            "set_aside_beyond_replaced": pa.array(
                [_worse(share, context[key].replaced) for key, share in shares.items()], pa.float64()
            ),
            "same_as_another_period": pa.array(
                [float(context[key].is_repeated and one.rows_read > 0) for key, one in parsed.items()]
            ),
        }
    )
    connection.register("built_in", built_in)
    expressions = {f"{MISSING}{column.name}": _missing(column) for column in contract.mart_columns}
    expressions |= contract.extras.profile
    measures = "".join(
        f", CAST(({expression}) AS DOUBLE) AS {quoted(name)}" for name, expression in expressions.items()
    )
    names = contract.measures
    selected = ", ".join(quoted(name) for name in names)
    try:
        rows = connection.execute(
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
    profiles = {key: dict(zip(names, values, strict=True)) for key, *values in rows}
    before = {entry["part"]: entry["profile"] for entry in sorted(history, key=lambda entry: entry["period_start"])}
    for key, profile in profiles.items():
        profile |= _compared(profile, before.get(context[key].part, {}))
    columns = {name: pa.array([profile[name] for profile in profiles.values()], pa.float64()) for name in _every(names)}
    keys = {"delivery_id": pa.array(list(profiles), pa.string()), "row_id": pa.array(range(len(profiles)), pa.int64())}
    connection.register("measured", pa.table(keys | columns))
    connection.execute("CREATE TABLE profile AS SELECT * FROM measured")
    return profiles


def _share(aside: int, rows_read: int) -> float:
    """The share of rows set aside; 0 where they are a few slips of a small file, and not its larger part."""
    return aside / rows_read if aside >= _FEW_SLIPS or 2 * aside > rows_read else 0.0


def _kept(admitted: int, replaced: Replaced | None) -> float | None:
    """Rows for each row of what would be replaced; None where nothing is, or few rows are lost."""
    if replaced is None or replaced.rows_admitted - admitted < _FEW_SLIPS:
        return None
    return admitted / replaced.rows_admitted


def _worse(share: float, replaced: Replaced | None) -> float | None:
    return None if replaced is None or replaced.share_set_aside is None else share - replaced.share_set_aside


def _missing(column: Column) -> str:
    """SQL for the share of rows without a value; what could not be read is not missing."""
    marks = []
    if not column.is_derived and (column.extras.codes or column.logical_type != "string"):
        marks = [f"{quoted((UNCODED if column.extras.codes else UNCAST) + column.name)} IS NULL"]
    is_missing = " AND ".join([f"{quoted(column.name)} IS NULL", *marks])
    return f"avg(CASE WHEN {is_missing} THEN 1.0 ELSE 0.0 END)"


def _compared(profile: Mapping[str, float | None], before: Mapping[str, float | None]) -> dict[str, float | None]:
    """The period before's measures and value / previous; NULL without one."""
    values_before = {}
    for name, value in profile.items():
        previous = before.get(name)
        values_before[f"previous_{name}"] = previous
        values_before[f"change_{name}"] = value / previous if value is not None and previous else None
    return values_before


def _every(names: Iterable[str]) -> list[str]:
    return [f"{prefix}{name}" for prefix in ("", *COMPARED) for name in names]


def _missing_required(contract: Contract, parsed: Parsed) -> int:
    headers = {header for column in contract.file_columns if column.required for header in column.headers}
    return len(headers & set(parsed.missing_headers))
