"""One run per held delivery: ask a person, then admit or reject it with the reason given.

A run waits for as long as it takes without holding a worker, so no night waits for it. Not here: what a decision does
(``warehouse/night.py``).
"""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import DAG, AssetAlias, Context, Param, task
from shared import OWNER, REFRESH, dataset_asset

from warehouse.core.settings import get_settings

DOC = """
### Keputusan atas kiriman yang ditahan / decision on a held delivery

The gate held a delivery; the last good one stays in force until somebody decides. Read its page in the report, ask the
sender, then open **Required Actions** and choose *Approve* (admit; rows that a quarantine rule rejects stay out) or
*Reject* (for good). The reason is kept with your name: write no personal data in it.

A newer delivery that is accepted closes the question by itself.

**Bila gagal / on failure:** `record` red: the log says why (no reason, or a delivery that cannot be read). The question
comes back after the next night; to have it at once, clear the run.
"""

BODY = """
**{{ dag_run.conf['dataset'] }}** · bagian / part `{{ dag_run.conf['part'] }}` · periode / period
{{ dag_run.conf['period_start'] }} · kiriman / delivery `{{ dag_run.conf['delivery_id'] }}`

`{{ dag_run.conf['reason_code'] }}` {{ dag_run.conf.get('message_id', '') }}

{{ dag_run.conf.get('message_en', '') }}

*Approve* = terima / admit. *Reject* = tolak / reject.
"""

REASON_KINDS = ["SENDER_CONFIRMED", "KNOWN_CHANGE", "THRESHOLD_TOO_TIGHT", "WRONG_FILE", "CORRECTION_COMING", "OTHER"]

FORM = {
    # Airflow validates the form before anyone has filled it in: an empty reason passes here and is refused by `record`.
    "reason": Param(
        "",
        type="string",
        maxLength=1000,
        # A run of eight digits is more than a count needs and enough to name a person.
        pattern=r"^(?![\s\S]*\d{8})",
        title="Alasan / reason",
        description="Sekurangnya sepuluh huruf, tanpa NIK / at least ten letters, no identity numbers",
    ),
    "reason_kind": Param("OTHER", type="string", enum=REASON_KINDS, title="Jenis alasan / kind of reason"),
    "role": Param("walidata", type="string", enum=["walidata", "data_engineer"], title="Sebagai / deciding as"),
}


class Question(ApprovalOperator):
    """An approval whose Reject is an answer like the other: what follows runs, and learns what was said by whom."""

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        return HITLOperator.execute_complete(self, context, event)


@task.short_circuit(retries=2, execution_timeout=timedelta(minutes=5))
def still_held(**context: Any) -> bool:
    """False once it has been decided elsewhere or a newer delivery was accepted: then nobody is asked."""
    from warehouse import night

    return any(one.delivery_id == context["dag_run"].conf["delivery_id"] for one in night.held())


@task(outlets=[AssetAlias("decided")], execution_timeout=timedelta(hours=1))
def record(**context: Any) -> dict[str, Any]:
    """Carry out the answer and keep it with reason and name; an answer without a reason is refused."""
    from warehouse import night

    question = context["dag_run"].conf
    answer = context["ti"].xcom_pull(task_ids="approve")
    form, delivery_id = answer["params_input"], question["delivery_id"]
    is_admitted = answer["chosen_options"] == [ApprovalOperator.APPROVE]
    night.decide(
        delivery_id,
        "admit" if is_admitted else "reject",
        form.get("reason", ""),
        form.get("reason_kind", "OTHER"),
        answer["responded_by_user"]["name"],
        form.get("role", "walidata"),
    )
    if is_admitted:
        extra = {"night": get_settings().today().isoformat(), "outcome": "admitted"}
        for asset in (dataset_asset(question["dataset"]), REFRESH):
            context["outlet_events"][AssetAlias("decided")].add(asset, extra=extra)
    return {"delivery_id": delivery_id, "is_admitted": is_admitted}


with DAG(
    "decide",
    description="Putuskan kiriman yang ditahan / decide on a held delivery",
    schedule=None,
    catchup=False,
    max_active_runs=1000,
    dagrun_timeout=timedelta(days=100),
    default_args={"owner": OWNER},
    tags=["decide"],
    doc_md=DOC,
):
    approve = Question(
        task_id="approve",
        subject="Ditahan / held: {{ dag_run.conf['dataset'] }} {{ dag_run.conf['part'] }}",
        body=BODY,
        params=FORM,
        response_timeout=timedelta(days=90),
        # An answer given within seconds of the question can meet the scheduler still closing the task's first half, and
        # fail it; then the question is asked again.
        retries=1,
        retry_delay=timedelta(seconds=10),
        doc_md="Wait for a person's answer under Required Actions; holds no worker meanwhile.",
    )
    still_held() >> approve >> record()
