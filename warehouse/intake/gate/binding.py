"""Whether a contract's SQL and rules fit its own columns, found out on tables without a row.

Here: derivations, measures and rules bound by DuckDB and Great Expectations before any delivery is. Not here: what a
contract may say at all (core.contract), judging (verdict). With no value in sight DuckDB's own words can be passed on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pyarrow as pa

from warehouse.core import duck
from warehouse.core.contract import Column, Contract, Rule
from warehouse.core.errors import ConfigError
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.intake.gate import expectations, regions, staging
from warehouse.intake.gate.model import DeliveryContext
from warehouse.intake.gate.rules import all_rules, refuse_unusable, translated
from warehouse.intake.parse import Parsed

_NONE = "none"
_LARGER_PART = 0.5
_NUMBERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT", "FLOAT", "DOUBLE"}
_DATES = {"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}
# What an expression may give for a column of that type without a cast that a value can break.
_GIVES = {"integer": _NUMBERS, "number": _NUMBERS, "date": _DATES, "boolean": {"BOOLEAN"}}


@dataclass(frozen=True)
class Fault:
    """``what`` is column, measure or rule; ``name`` says which; ``detail`` is what is wrong with it.

    ``stands_with``: what the file names where it stands: a measure that a rule brings along has no line of its own.
    """

    what: str
    name: str
    detail: str
    stands_with: str

    def __str__(self) -> str:
        return f"{self.what} {self.name!r}: {self.detail}"


def faults(s: Settings, contracts: Sequence[Contract]) -> Iterator[tuple[Contract, Fault]]:
    """Every part of contracts that could not be run, each with its contract."""
    with duck.connect(s) as connection:
        regions.install(connection, s)
        for contract in contracts:
            for fault in _faults(connection, contract):
                yield contract, fault
            for table in ("rows", "profile"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")


def _faults(connection: duckdb.DuckDBPyConnection, contract: Contract) -> Iterator[Fault]:
    yield from _stage(connection, contract)
    for name, expression in contract.extras.profile.items():
        query = f"SELECT CAST(({expression}) AS DOUBLE) FROM rows GROUP BY delivery_id"
        if (detail := _refusal(connection, query)) is not None:
            bringing = (rule.code for rule in contract.rules if (rule.column or "").endswith(name))
            yield Fault("measure", name, detail, next(bringing, name))
    measures = ", ".join(f"NULL::DOUBLE AS {staging.quoted(name)}" for name in sorted(contract.profile_columns))
    connection.execute(f"CREATE TABLE profile AS SELECT 0 AS row_id, '' AS delivery_id, {measures} LIMIT 0")
    types = {asset: dict(_types(connection, asset)) for asset in ("rows", "profile")}
    is_usable = True
    for rule in contract.rules:
        if (detail := _of_rule(connection, rule, types[rule.extras.asset])) is not None:
            is_usable = False
            yield Fault("rule", rule.code, detail, rule.code)
    yield from _without_limit(contract)
    if is_usable:
        expectations.confirm(all_rules(contract), pointers=True)


def _without_limit(contract: Contract) -> Iterator[Fault]:
    """A delivery that lost much of its rows must not replace a whole one: never where the larger part is lost."""
    limits = [rule for rule in contract.rules if rule.column == "share_set_aside" and rule.severity == "stop"]
    if len(limits) != 1 or not limits[0].kwargs.get("max_value", 1) <= _LARGER_PART:
        detail = f"there must be one of this kind, whose max is at most {_LARGER_PART}"
        yield Fault("rule", "few_set_aside", detail, limits[0].code if limits else contract.dataset)


def _stage(connection: duckdb.DuckDBPyConnection, contract: Contract) -> Iterator[Fault]:
    """Create ``rows`` without a row; a column at fault is told and stands in it as NULL, that the next be bound too."""
    if _staged(connection, contract, contract.columns) is None:
        yield from _of_another_type(connection, contract)
        return
    sound: list[Column] = []
    for column in contract.columns:
        if (detail := _staged(connection, contract, [*sound, column])) is None:
            sound.append(column)
            continue
        yield Fault("column", column.name, detail, column.name)
        sound.append(_stand_in(column))
    _staged(connection, contract, sound)
    yield from _of_another_type(connection, contract.model_copy(update={"columns": tuple(sound)}))


def _of_another_type(connection: duckdb.DuckDBPyConnection, contract: Contract) -> Iterator[Fault]:
    """Derived columns whose expression gives something that a cast may not take, once there are rows."""
    for column in contract.columns:
        types = _GIVES.get(column.logical_type)
        if column.extras.derivation is None or types is None:
            continue
        ((_, sql_type, *_),) = connection.execute(f"DESCRIBE SELECT ({column.extras.derivation}) FROM rows").fetchall()
        if sql_type not in types and not sql_type.startswith("DECIMAL") and sql_type != '"NULL"':
            detail = f"its derivation gives {sql_type}, and the column is {column.logical_type}"
            yield Fault("column", column.name, detail, column.name)


def _staged(connection: duckdb.DuckDBPyConnection, contract: Contract, columns: Sequence[Column]) -> str | None:
    """Why ``rows`` cannot be made of these columns; None where it stands now."""
    part = contract.model_copy(update={"columns": tuple(columns)})
    texts = [(column.name, pa.string()) for column in part.file_columns]
    table = pa.schema([*texts, ("source_part", pa.string()), ("source_row", pa.int64())]).empty_table()
    parsed = Parsed(
        table=table,
        rows_read=0,
        refused=[],
        unknown_headers=[],
        missing_headers=[],
        shape="",
        encoding=None,
        version=contract.version,
    )
    period = Period(date(2026, 1, 1), contract.extras.period_kind)
    context = DeliveryContext(period=period, part="all", received_at=datetime(2027, 1, 1, tzinfo=UTC))
    connection.execute("DROP TABLE IF EXISTS rows")
    try:
        staging.stage_rows(connection, part, {_NONE: parsed}, {_NONE: context})
    except (ConfigError, duckdb.Error) as error:
        return _words(error.__context__ if isinstance(error, ConfigError) else error)
    return None


def _stand_in(column: Column) -> Column:
    extras = column.extras.model_copy(update={"derivation": "NULL", "codes": None})
    return column.model_copy(update={"header": None, "required": False, "extras": extras})


def _types(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    return [(name, kind) for name, kind, *_ in connection.execute(f"DESCRIBE {table}").fetchall()]


def _of_rule(connection: duckdb.DuckDBPyConnection, rule: Rule, types: dict[str, str]) -> str | None:
    """Why a rule could not be run or would judge something else than it says."""
    try:
        refuse_unusable(rule)
        expectations.as_expectation(rule, pointers=True)
    except ConfigError as error:
        return error.message_en.partition(": ")[2].rstrip(".")
    kind = types.get(rule.column or "")
    if kind is not None and (unlike := _unlike(rule.kwargs, kind)):
        return f"column {rule.column!r} is {kind}, and {unlike}"
    if "regex" in rule.kwargs and kind not in {None, "VARCHAR"}:
        return f"column {rule.column!r} is {kind}, and a pattern is for text"
    if "regex" in rule.kwargs and (detail := _refusal(connection, "SELECT regexp_full_match('', $regex)", rule.kwargs)):
        return detail
    if query := translated(rule)[1].get("unexpected_rows_query"):
        return _refusal(connection, f"SELECT DISTINCT row_id FROM ({query.format(batch=rule.extras.asset)})")
    if {"column_A", "column_B"} <= rule.kwargs.keys():
        sides = [types.get(rule.kwargs[side], "?") for side in ("column_A", "column_B")]
        if sides[0] != sides[1] and not set(sides) <= _NUMBERS:
            return f"its columns are {sides[0]} and {sides[1]}, which cannot be compared"
    return None


def _unlike(kwargs: dict[str, Any], kind: str) -> str | None:
    limits = [(name, kwargs[name]) for name in ("min_value", "max_value") if name in kwargs]
    limits += [("value_set", value) for value in kwargs.get("value_set", ())]
    return next((f"{name} holds {value!r}" for name, value in limits if not _fits(value, kind)), None)


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "BOOLEAN"
    if isinstance(value, int | float):
        return kind in _NUMBERS
    if isinstance(value, date):
        return kind in _DATES
    return value is None or kind == "VARCHAR"


def _refusal(connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any] | None = None) -> str | None:
    """Why DuckDB does not take a query; None where it does."""
    try:
        connection.execute(query, {"regex": parameters["regex"]} if parameters else None).fetchall()
    except duckdb.Error as error:
        return _words(error)
    return None


def _words(error: BaseException | None) -> str:
    """DuckDB's words on one line, without its picture of the query."""
    return " ".join(str(error).partition("\n\nLINE ")[0].split())
