"""Who is who: clerical review of pairs, and versions of the linkage model."""

import sys
from typing import Annotated, Literal

import typer

from warehouse.cli.options import By, Json, Reason
from warehouse.core.console import show
from warehouse.core.errors import ConfigError
from warehouse.core.settings import get_settings

review_app = typer.Typer(no_args_is_help=True, help="Pairs of records that may be one person: look, and decide.")
linkage_app = typer.Typer(no_args_is_help=True, help="The linkage model: train a new version, list the versions.")


@review_app.command("list")
def review_list(
    limit: Annotated[int, typer.Option(help="Pairs to show, the likeliest or newest first.")] = 50,
    is_decided: Annotated[
        bool, typer.Option("--decided", help="Pairs with a decision instead, to decide anew.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Pairs of records that may be one person and wait for a decision: no name, no number, nothing of anybody."""
    from warehouse import linkage
    from warehouse.ledger import open_ledger

    s = get_settings()
    led = open_ledger(s)
    if is_decided:
        columns: tuple[str, ...] = (
            "pair_id",
            "decision",
            "decided_by",
            "decided_at",
            "method",
            "weight",
            "model_version",
        )
        pairs = linkage.decided(led)
    else:
        columns = ("pair_id", "datasets", "method", "weight", "is_unsure", "model_version")
        pairs = linkage.queue(s, led)
    show([{name: pair[name] for name in columns} for pair in pairs[:limit]], as_json, "review")


@review_app.command("open")
def review_open(
    by: By,
    purpose: Annotated[str, typer.Option(help="For what; at least ten letters.")],
    hours: Annotated[int, typer.Option(help="How long the opening is valid.")] = 4,
) -> None:
    """Open clear identities for review, on record in the access log, once a second person approved: run it again."""
    from warehouse import scan
    from warehouse.ledger import access_log, approvals, open_ledger

    s = get_settings()
    led = open_ledger(s)
    scan.refuse_identities(purpose)
    with approvals.approved(s, led, "identity", f"{hours} h", by, purpose) as approver:
        opening = access_log.open_for(s, led, "identity", by, purpose, hours, approver=approver)
    show({key: opening[key] for key in ("opening_id", "person", "expires_at")}, False, "opening")


@review_app.command("person")
def review_person(person_key: str, as_json: Json = False) -> None:
    """The records that are one person by the last linking: keys, methods and weights, nothing of anybody."""
    from warehouse import linkage
    from warehouse.ledger import open_ledger

    s = get_settings()
    show(linkage.person(s, open_ledger(s), person_key), as_json, "records")


@review_app.command("ask")
def review_ask(record_key: str, other_record_key: str, by: By, reason: Reason, as_json: Json = False) -> None:
    """Put two records into the queue that nothing put there, linked or not: to look, and to decide anew."""
    from warehouse import linkage
    from warehouse.ledger import open_ledger

    s = get_settings()
    show({"pair_id": linkage.ask(s, open_ledger(s), record_key, other_record_key, reason, by)}, as_json, "review")


@review_app.command("show")
def review_show(pair_id: str, by: By) -> None:
    """Both records of a pair in clear, on a terminal only: not into a file, not into a pipe."""
    from warehouse import linkage
    from warehouse.ledger import open_ledger

    if not sys.stdout.isatty():
        raise ConfigError(
            "REVIEW_TERMINAL",
            "Identitas hanya ditampilkan di terminal.",
            "Identities are shown on a terminal only.",
            "Jalankan perintah ini langsung di terminal, tanpa pengalihan.",
            "Run this command on a terminal, without redirecting it.",
        )
    s = get_settings()
    show(linkage.show(s, open_ledger(s), pair_id, by), False, pair_id)


@review_app.command("decide")
def review_decide(
    pair_id: str, decision: Literal["link", "not_link", "unsure"], by: By, reason: Reason, as_json: Json = False
) -> None:
    """Record whether the two are one person; it holds from the next night or `warehouse build` on."""
    from warehouse import linkage
    from warehouse.ledger import open_ledger

    s = get_settings()
    decision_row = linkage.decide(s, open_ledger(s), pair_id, decision, reason, by)
    show({key: decision_row[key] for key in ("decision_id", "decision", "decided_at")}, as_json, pair_id)


@linkage_app.command("train")
def linkage_train(as_json: Json = False) -> None:
    """Learn the model anew from the identities in force; the new version counts from the next linking on."""
    from warehouse import linkage
    from warehouse.ledger import open_ledger

    s = get_settings()
    linkage.train(s, open_ledger(s))
    show(linkage.models(s), as_json, "models")


@linkage_app.command("models")
def linkage_models(as_json: Json = False) -> None:
    """Versions of the linkage model, oldest first; the last one counts."""
    from warehouse import linkage

    show(linkage.models(get_settings()), as_json, "models")
