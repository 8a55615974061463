"""Great Expectations' datasource and execution engine for DuckDB, registered the way it registers its own.

Imported only when a judgement begins: ``import great_expectations`` takes seconds.

Great Expectations reads a result after its connection has gone back to the pool, which DuckDB's cursor does not
survive, and has no regular expressions for DuckDB. Both are mended here by subclasses.
"""

from __future__ import annotations  # the datasource has a field named `type`

import builtins
import logging
from collections.abc import Sequence
from typing import Any, Literal

import duckdb
import great_expectations
from duckdb_engine import ConnectionWrapper
from great_expectations.core import ExpectationValidationResult
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation import Expectation
from sqlalchemy.dialects import postgresql

# It logs failing statements and tracebacks, and DuckDB's error texts quote the value at fault.
logging.getLogger("great_expectations").setLevel(logging.CRITICAL + 1)


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """Buffers results before the connection returns, and speaks Postgres' regular expressions, as DuckDB does."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.dialect_module = postgresql

    def execute_query(self, query: Any) -> Any:
        with self.get_connection() as connection:
            return connection.execute(query).freeze()()


class DuckDBDatasource(SQLDatasource):
    """Defining the class registers it: contexts gain ``data_sources.add_warehouse_duckdb``."""

    # The field is how a datasource of its own is told from its parent, in Great Expectations' own subclasses too.
    type: Literal["warehouse_duckdb"] = "warehouse_duckdb"  # type: ignore[assignment]

    @property
    def execution_engine_type(self) -> builtins.type[SqlAlchemyExecutionEngine]:
        return DuckDBExecutionEngine


def validate(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    schema: str,
    expectations: Sequence[Expectation],
    result_format: dict[str, Any],
) -> Sequence[ExpectationValidationResult]:
    """Validate a table of an open DuckDB connection in a context in memory that sends nothing and shows no progress."""
    context = great_expectations.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False),
        ),
    )

    def connect() -> ConnectionWrapper:
        # A cursor of that very connection, the only door to an in-memory database; it starts in the main schema.
        # As an asset's property the schema would be lost in some of the queries.
        cursor = connection.cursor()
        cursor.execute(f"USE {schema}")
        return ConnectionWrapper(cursor)

    datasource = context.data_sources.add_warehouse_duckdb(
        name="duckdb",
        connection_string="duckdb:///:memory:",
        kwargs={"creator": connect},
    )
    asset = datasource.add_table_asset(name=table, table_name=table)
    suite = great_expectations.ExpectationSuite(name=table, expectations=list(expectations))
    batch = asset.add_batch_definition_whole_table("all").get_batch()
    results: Sequence[ExpectationValidationResult] = batch.validate(suite, result_format=result_format).results
    return results
