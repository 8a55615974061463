"""One weekly DAG that removes what is past its keeping: raw bytes, orphaned files, releases, logs, Airflow's own rows.

Not here: what may be removed (``warehouse/night.py`` asks contracts and ledger).
"""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, CronTriggerTimetable, task
from shared import OWNER

KEEP_DAYS = 120

DOC = """
### Pemeliharaan / maintenance

Weekly, Sunday 13:00: raw bytes past the contract's retention are destroyed on record, files no ledger row names are
swept, old releases go, logs and Airflow's own rows older than {days} days are deleted.

**Bila gagal / on failure:** clear the red task; each may run again at any time.
"""


@task(retries=1, execution_timeout=timedelta(hours=1))
def retention() -> dict[str, Any]:
    """Raw bytes, orphaned files and old releases."""
    from warehouse import night

    return night.maintenance()


@task(retries=1, execution_timeout=timedelta(minutes=15))
def logs() -> dict[str, Any]:
    """Log files and leftovers of killed tasks."""
    from warehouse.core import retention
    from warehouse.core.settings import get_settings

    return retention.prune(get_settings(), keep_days=KEEP_DAYS)


with DAG(
    "maintenance",
    description="Retensi dan bersih-bersih / retention and sweeping",
    schedule=CronTriggerTimetable("0 13 * * 0", timezone="Asia/Jakarta", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args={"owner": OWNER},
    tags=["maintenance"],
    doc_md=DOC.format(days=KEEP_DAYS),
):
    retention()
    logs()
    BashOperator(
        task_id="airflow_rows",
        # Tasks may not open Airflow's database; the variables that bar them from it would bar this command too.
        bash_command=(
            "env -u AIRFLOW__DATABASE__SQL_ALCHEMY_CONN -u AIRFLOW__CORE__SQL_ALCHEMY_CONN airflow db clean --yes"
            " --skip-archive --clean-before-timestamp"
            f" {{{{ (dag_run.run_after - macros.timedelta(days={KEEP_DAYS})).isoformat() }}}}"
        ),
        retries=1,
        execution_timeout=timedelta(minutes=30),
        doc_md="Airflow's own rows of runs, logs and XComs.",
    )
