"""The dbt project built by Spark instead of DuckDB; run with the Python of .venv-spark, which has no warehouse in it.

    python build_on_spark.py INPUTS OUTPUT PROJECT AS_OF

INPUTS has a folder of Parquet files per schema that dbt reads (lake, ledger, linkage). OUTPUT gets, beside Spark's own
files, ``relations/<schema>/<name>/*.parquet`` for everything in the schemas conformed, cells and marts, views included.
"""

import os
import sys
from pathlib import Path

from dbt.cli.main import dbtRunner
from pyspark.sql import SparkSession

WANTED = ("conformed", "cells", "marts")


def session(output: Path) -> SparkSession:
    """A small local Spark: plans of hundreds of branches over few rows cost more to compile than to interpret."""
    settings = {
        "spark.driver.memory": "2g",
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.warehouse.dir": str(output / "warehouse"),
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={output / 'metastore'};create=true",
    }
    builder = SparkSession.builder.master("local[2]").enableHiveSupport()
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def read_inputs(spark: SparkSession, inputs: Path) -> None:
    for folder in inputs.iterdir():
        spark.sql(f"create database {folder.name}")
        for file in folder.glob("*.parquet"):
            spark.sql(f"create table {folder.name}.{file.stem} using parquet location '{file}'")


def dbt(project: Path, as_of: str, *arguments: str):
    where = ["--target", "spark", "--project-dir", str(project), "--profiles-dir", str(project)]
    result = dbtRunner().invoke([*arguments, *where, "--vars", f"{{as_of: '{as_of}'}}"])
    if not result.success:
        sys.exit(1)
    return result.result


def read_seeds(spark: SparkSession, project: Path, manifest) -> None:
    """Seeds with the types their YAML declares. dbt's session connection would write NULL as the text None."""
    spark.sql("create database reference")
    for node in manifest.nodes.values():
        if node.resource_type == "seed":
            file = project / node.original_file_path
            header = file.read_text(encoding="utf-8").partition("\n")[0].split(",")
            schema = ", ".join(f"`{name}` {node.config.column_types[name]}" for name in header)
            rows = spark.read.csv(str(file), schema=schema, header=True, escape='"', multiLine=True, mode="FAILFAST")
            rows.coalesce(1).write.saveAsTable(f"reference.{node.name}", format="parquet")


def write_relations(spark: SparkSession, output: Path) -> None:
    for schema in WANTED:
        # The catalogue's own listTables fails on views that dbt made.
        for (name,) in spark.sql(f"show tables in {schema}").select("tableName").collect():
            rows = spark.table(f"{schema}.{name}").coalesce(1)
            rows.write.parquet(str(output / "relations" / schema / name))


def main(inputs: Path, output: Path, project: Path, as_of: str) -> None:
    os.environ |= {
        "DBT_TARGET_PATH": str(output / "target"),
        "DBT_LOG_PATH": str(output / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    # Derby writes its log where it stands.
    os.chdir(output)
    spark = session(output)
    read_inputs(spark, inputs)
    read_seeds(spark, project, dbt(project, as_of, "parse", "--quiet"))
    dbt(project, as_of, "run")
    write_relations(spark, output)


if __name__ == "__main__":
    main(*(Path(argument).resolve() for argument in sys.argv[1:4]), sys.argv[4])
