"""Loads the DAG files as Airflow does and prints what the tests ask about, as JSON.

Run in a process of its own: Airflow reads its configuration at import, and the time and the modules that a DAG file
costs can only be told in a fresh interpreter.
"""

import json
import sys

from airflow.dag_processing.dagbag import DagBag

HEAVY = (
    "great_expectations",
    "duckdb",
    "pyarrow",
    "pandas",
    "dbt",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "splink",
)


def facts_of(task) -> dict:
    timeout = getattr(task, "response_timeout", None) or task.execution_timeout
    return {
        "task": task.task_id,
        "kind": type(task).__name__,
        "owner": task.owner,
        "doc": task.doc_md or task.partial_kwargs["doc_md"] if task.is_mapped else task.doc_md,
        "retries": task.retries,
        "timeout": timeout.total_seconds() if timeout else None,
        "trigger_rule": str(task.trigger_rule),
        "is_teardown": task.is_teardown,
        "upstream": sorted(task.upstream_task_ids),
        "outlets": sorted(asset.name for asset in task.outlets),
    }


before = set(sys.modules)
bag = DagBag(sys.argv[1])
loaded = set(sys.modules) - before
dags = {
    dag.dag_id: {
        "tags": sorted(dag.tags),
        "doc": dag.doc_md,
        "catchup": dag.catchup,
        "timeout": dag.dagrun_timeout.total_seconds() if dag.dagrun_timeout else None,
        "max_active_runs": dag.max_active_runs,
        "schedule": type(dag.timetable).__name__,
        "cron": getattr(getattr(dag.timetable, "timetable", dag.timetable), "expression", None),
        "timezone": str(getattr(getattr(dag.timetable, "timetable", dag.timetable), "timezone", None)),
        "tasks": [facts_of(task) for task in dag.tasks],
    }
    for dag in bag.dags.values()
}
print(
    json.dumps(
        {
            "dags": dags,
            "errors": bag.import_errors,
            "seconds": {stat.file: stat.duration.total_seconds() for stat in bag.dagbag_stats},
            "heavy": sorted(name for name in HEAVY if name in loaded),
        }
    )
)
