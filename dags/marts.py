"""One DAG that builds, gates, releases and reports once all datasets have ended their night, or the deadline has come.

It also asks for a person's decision on what is held. Not here: any of those steps (``warehouse/night.py``).
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, AssetAlias, AssetAll, AssetOrTimeSchedule, task
from airflow.sdk.exceptions import AirflowFailException
from shared import DAY_PARAM, OWNER, REFRESH, dataset_asset, dataset_names, newest_night, night_of, nightly

if TYPE_CHECKING:
    from warehouse.ledger.deliveries import Held

DEADLINE = nightly(5, 30)

DOC = """
### Malam ini / the night's marts

Starts when every dataset's ingest has ended, when a person has admitted a held delivery, and at 05:30 regardless. A run
that finds nothing new ends at once. The last release stays current until a newer one has passed the mart gate.

**Bila gagal / on failure:** `build` red with a rule's code: the mart gate or the build stopped it. Analysts keep the
last release; the report says so. Read its page of the night, correct the cause, clear `build`. `ask` red: clear it.
While a build by hand runs, `build` waits for its end.
"""


@task(
    retries=1,
    execution_timeout=timedelta(hours=2),
    outlets=[AssetAlias("marts_deadline")],
)
def build(**context: Any) -> None:
    """Link, build, gate, release and report."""
    from warehouse import night

    dag_run = context["dag_run"]
    events = (event for events_of_asset in context["triggering_asset_events"].values() for event in events_of_asset)
    day = newest_night(events, night_of(dag_run, context["params"]))
    # A build that somebody has started by hand ends within the hour; what came tonight must not wait for tomorrow.
    result = night.marts(day, waits=True)
    context["ti"].xcom_push(key="night", value=result)
    if dag_run.run_type == "scheduled":
        # A run by the clock leaves the assets that had arrived in the queue, and tomorrow's marts would start as soon
        # as the missing one is there. One more run by asset empties the queue, and finds nothing new.
        context["outlet_events"][AssetAlias("marts_deadline")].add(REFRESH, extra={"night": day.isoformat()})
    if result["outcome"] == "held":
        raise AirflowFailException(f"{result['error_code']}: {result['message_en']}")


@task(retries=2, execution_timeout=timedelta(minutes=10))
def waiting(**context: Any) -> list[dict[str, Any]]:
    """The runs of ``decide`` to start: for what is held and nobody is asked about, and for what is asked in vain."""
    from warehouse import night

    def is_asked(run_id: str) -> bool:
        return bool(context["ti"].get_dr_count("decide", run_ids=[run_id], states=["queued", "running"]))

    held_confs = [conf_of(delivery) for delivery in night.held()]
    decided_confs = [{"delivery_id": key} for key in night.lately_decided()]
    starts = [conf for conf in held_confs if not is_asked(run_of(conf))] + [
        conf for conf in decided_confs if is_asked(run_of(conf))
    ]
    return [{"trigger_run_id": run_of(conf), "conf": conf} for conf in starts]


def run_of(conf: dict[str, str]) -> str:
    return f"held__{conf['delivery_id']}"


def conf_of(delivery: "Held") -> dict[str, str]:
    """What the question shows: names, codes and messages; no value of a delivery stands in any of them."""
    names = ("delivery_id", "dataset", "part", "period_start", "reason_code", "message_id", "message_en")
    return {name: str(getattr(delivery, name)) for name in names if getattr(delivery, name) is not None}


with DAG(
    "marts",
    description="Bangun, periksa, terbitkan / build, gate, release",
    schedule=AssetOrTimeSchedule(
        timetable=DEADLINE, assets=AssetAll(*(dataset_asset(name) for name in dataset_names())) | REFRESH
    ),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=5),
    params=DAY_PARAM,
    default_args={"owner": OWNER},
    tags=["marts"],
    doc_md=DOC,
):
    build()
    # Cleared and run again if it exists: a decided one then closes itself.
    TriggerDagRunOperator.partial(
        task_id="ask",
        trigger_dag_id="decide",
        logical_date=None,
        reset_dag_run=True,
        retries=1,
        execution_timeout=timedelta(minutes=5),
        doc_md="Start or close the question about one delivery.",
    ).expand_kwargs(waiting())
