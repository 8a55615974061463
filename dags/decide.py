"""One run per held delivery: ask a person, then admit or reject it with the reason given.

A run waits for as long as it takes without holding a worker, so no night waits for it. Not here: what a decision does
(``warehouse/night.py``).
"""

from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, AssetAlias, Param, task
from shared import OWNER, REFRESH, dataset_asset

from warehouse.settings import get_settings

DOC = """
### Keputusan atas kiriman yang ditahan / decision on a held delivery

The gate held a delivery; the last good one stays in force until somebody decides. Read its page in the report, ask the
sender, then open **Required Actions** and choose *Approve* (admit; rows that a quarantine rule rejects stay out) or
*Reject* (for good). The reason is kept with your name: write no personal data in it.

A newer delivery that is accepted closes the question by itself.

**Bila gagal / on failure:** `admit` or `reject` red: the log says why (no reason, or a delivery that cannot be read).
The question comes back after the next night; to have it at once, clear the run.
"""

BODY = """
**{{ dag_run.conf['dataset'] }}** · bagian / part `{{ dag_run.conf['part'] }}` · periode / period
{{ dag_run.conf['period_start'] }} · kiriman / delivery `{{ dag_run.conf['delivery_id'] }}`

`{{ dag_run.conf['reason_code'] }}` {{ dag_run.conf.get('message_id', '') }}

{{ dag_run.conf.get('message_en', '') }}

*Approve* = terima / admit. *Reject* = tolak / reject.
"""

REASON_CODES = ["SENDER_CONFIRMED", "KNOWN_CHANGE", "THRESHOLD_TOO_TIGHT", "WRONG_FILE", "CORRECTION_COMING", "OTHER"]

FORM = {
    "reason": Param(
        "",
        type="string",
        minLength=10,
        maxLength=1000,
        # A run of eight digits is more than a count needs and enough to name a person.
        pattern=r"^(?![\s\S]*\d{8})[\s\S]*\S[\s\S]*$",
        title="Alasan / reason",
        description="Sekurangnya sepuluh huruf, tanpa NIK / at least ten letters, no identity numbers",
    ),
    "reason_code": Param("OTHER", type="string", enum=REASON_CODES, title="Jenis alasan / kind of reason"),
    "role": Param("walidata", type="string", enum=["walidata", "data_engineer"], title="Sebagai / deciding as"),
}


@task.short_circuit(retries=2, execution_timeout=timedelta(minutes=5))
def still_held(*, dag_run) -> bool:
    """False once it has been decided elsewhere or a newer delivery was accepted: then nobody is asked."""
    from warehouse import night

    return any(row["delivery_id"] == dag_run.conf["delivery_id"] for row in night.held())


def decide(kind: str, delivery_id: str, answer: dict) -> dict:
    """Record one answer; an answer without a reason is refused."""
    from warehouse import night
    from warehouse.errors import ConfigError

    form = answer["params_input"]
    user = answer["responded_by_user"]
    if not user:
        raise ConfigError(
            "DECIDER_UNKNOWN",
            "Keputusan tanpa nama pemutus tidak diterima.",
            "A decision without a person's name is not accepted.",
            "Masuk ke Airflow dengan akun sendiri.",
            "Sign in to Airflow with an account of your own.",
        )
    night.decide(
        delivery_id, kind, form.get("reason", ""), form.get("reason_code", "OTHER"), user["name"], form.get("role", "")
    )
    return {"delivery_id": delivery_id, "decision": kind}


@task(outlets=[AssetAlias("admitted"), REFRESH], execution_timeout=timedelta(hours=1))
def admit(*, dag_run, ti, outlet_events) -> dict:
    """Admit the delivery and have the marts built again."""
    decided = decide("admit", dag_run.conf["delivery_id"], ti.xcom_pull(task_ids="approve"))
    extra = {"night": get_settings().today().isoformat(), "outcome": "admitted"}
    outlet_events[AssetAlias("admitted")].add(dataset_asset(dag_run.conf["dataset"]), extra=extra)
    outlet_events[REFRESH].extra = extra
    return decided


# The approval skips what follows it directly when the answer is Reject.
@task(trigger_rule="all_skipped", execution_timeout=timedelta(minutes=10))
def reject(*, dag_run, ti) -> dict:
    """Reject the delivery for good."""
    return decide("reject", dag_run.conf["delivery_id"], ti.xcom_pull(task_ids="approve"))


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
    approve = ApprovalOperator(
        task_id="approve",
        subject="Ditahan / held: {{ dag_run.conf['dataset'] }} {{ dag_run.conf['part'] }}",
        body=BODY,
        params=FORM,
        response_timeout=timedelta(days=90),
    )
    still_held() >> approve >> admit() >> reject()
