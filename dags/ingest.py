"""One DAG per dataset contract: ask the agency, judge what came, and tell the marts how it ended.

Every run ends the same night, and its last task says so whatever happened before it. Not here: how to fetch or judge
(``warehouse/night.py``), nor anything about a single dataset (its contract).
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Context, RetryDecision, RetryPolicy, get_parsing_context, task
from airflow.sdk.exceptions import AirflowFailException
from shared import DAY_PARAM, OWNER, Dataset, dataset_asset, dataset_names, night_of, nightly, read_dataset

# Half past midnight: agencies have closed their day, and a night keeps one date. Two minutes apart, as an agency's
# server and our two cores would rather not meet fourteen at once.
FIRST_MINUTE = 30
MINUTES_APART = 2

DOC = """
### {dataset.title}

**Tujuan / purpose:** {dataset.purpose}

**Kapan / when:** nightly; each {period} is due {due_day} days after it ends{own_days} and is asked for until
{open_days} days after that. Agency: {agency}.

**Bila gagal / on failure**
- `extract` red: the agency could not be reached, or refused us. It has been tried again where that could help; the next
  night asks again by itself. If it goes on, read the error code in the log and call the agency.
- `judge` red after a red `extract`: what had been landed until then was judged all the same, and nothing is to be done.
- `judge` red alone: a fault of ours. Correct it and clear the task; nothing is fetched twice.
- Outcome *held* is no failure: a person decides in the DAG `decide`.

**Mengulang / backfill:** `airflow backfill create --dag-id {dag_id} --from-date … --to-date … --max-active-runs 1` asks
for each period once, on the day it was due; other days end at once.
"""


class RetryWhatMayPass(RetryPolicy):
    """A refused password, a changed host key or a wrong setting stays what it is however often one asks."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        return RetryDecision.default() if getattr(exception, "may_retry", False) else RetryDecision.fail()


@task(retries=2, retry_policy=RetryWhatMayPass(), execution_timeout=timedelta(minutes=40))
def extract(dataset: str, **context: Any) -> dict[str, Any]:
    """Ask the agency for the open periods and land what it sends."""
    from warehouse import night

    dag_run, ti = context["dag_run"], context["ti"]
    return night.extract_open(
        dataset,
        night_of(dag_run, context["params"]),
        backfill=dag_run.run_type == "backfill",
        is_last_try=ti.try_number > ti.max_tries,
    ).as_dict()


@task(trigger_rule="all_done", execution_timeout=timedelta(hours=1))
def judge(dataset: str, extracted: dict[str, Any] | None, **context: Any) -> None:
    """Judge what has been landed and store what is admitted, also where the fetch failed or was ended half way."""
    from warehouse import night
    from warehouse.intake.outcome import IngestOutcome

    # A fetch that ended by itself has told what it did; one that was ended has landed what it had until then.
    outcome = IngestOutcome(**extracted) if extracted else IngestOutcome(dataset, failed=1, errors=["extract: failed"])
    context["ti"].xcom_push(key="outcome", value=night.judge_landed(outcome).as_dict())
    if not extracted:
        raise AirflowFailException("The fetch failed: see the log of extract. What had been landed is judged.")


@task(retries=2, execution_timeout=timedelta(minutes=5))
def report(dataset: str, **context: Any) -> dict[str, Any]:
    """Say how the dataset's night ended; the marts wait for this."""
    outcome: dict[str, Any] = context["ti"].xcom_pull(task_ids="judge", key="outcome") or {
        "dataset": dataset,
        "outcome": "failed",
    }
    extra = {key: value for key, value in outcome.items() if isinstance(value, int | float) or key == "outcome"}
    night = night_of(context["dag_run"], context["params"])
    context["outlet_events"][dataset_asset(dataset)].extra = {"night": night.isoformat(), **extra}
    return outcome


def own_days(dataset: Dataset) -> str:
    """The parts with a due day of their own, as the documentation says them; '' without any."""
    terms = dataset.extras.get("part_terms", {})
    days = [f"{part}: {own['due_day']}" for part, own in terms.items() if own.get("due_day") is not None]
    return f" (parts with a day of their own: {', '.join(days)})" if days else ""


def make_dag(dag_id: str, minute: int, dataset: Dataset) -> DAG:
    with DAG(
        dag_id,
        description=dataset.title,
        schedule=nightly(*divmod(minute, 60)),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=4),
        params=DAY_PARAM,
        default_args={"owner": OWNER},
        tags=["ingest", dataset.agency, dataset.extras["period_kind"]],
        doc_md=DOC.format(
            dataset=dataset,
            dag_id=dag_id,
            period=dataset.extras["period_kind"],
            due_day=dataset.extras["due_day"],
            own_days=own_days(dataset),
            open_days=dataset.extras["open_days"],
            agency=dataset.extras["agency_name"],
        ),
    ) as dag:
        # Airflow hands on the value of what is here an XComArg.
        judge_task = judge(dataset.name, extract(dataset.name))  # type: ignore[arg-type]
        report_task = report.override(outlets=[dataset_asset(dataset.name)])(dataset.name)
        # A teardown runs however the others ended, and leaves the run's colour to them.
        judge_task >> report_task.as_teardown()
    return dag


parsing_dag_id = get_parsing_context().dag_id
for position, name in enumerate(dataset_names()):
    dag_id = f"ingest__{name.replace('/', '__')}"
    if parsing_dag_id in (None, dag_id):
        make_dag(dag_id, FIRST_MINUTE + position * MINUTES_APART, read_dataset(name))
