"""What is current, what waits and what came: status, deliveries, quarantined rows, held deliveries and decisions."""

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from warehouse.cli import options, words
from warehouse.cli.options import By, Json, Reason
from warehouse.core.console import show
from warehouse.core.settings import get_settings

app = typer.Typer()
held_app = typer.Typer(invoke_without_command=True, help="Held deliveries, and a person's decision on them.")
deliveries_app = typer.Typer(invoke_without_command=True, help="Deliveries: list them, withdraw one, take that back.")
PANEL = options.MONITORS
app.add_typer(held_app, name="held", rich_help_panel=PANEL)
app.add_typer(deliveries_app, name="deliveries", rich_help_panel=PANEL)


@app.command("status", rich_help_panel=PANEL)
def status_command(as_json: Json = False) -> None:
    """What is current, what waits, what is late: one page."""
    from warehouse.ledger import open_ledger
    from warehouse.report import status

    s = get_settings()
    state = status.page(s, open_ledger(s))
    if as_json:
        show(state, True)
        return
    show(state["night"] or [], False, "Malam terakhir / last night")
    show(state["release"] or [], False, "Rilis / release")
    show(words.shortened(state["held"], False), False, "Menunggu keputusan / held")
    show(words.shortened(state["withdrawn"], False), False, "Ditarik / withdrawn")
    show(state["awaited"], False, "Ditunggu / awaited")
    show(state["datasets"], False, "Dataset")


@deliveries_app.callback()
def deliveries(
    context: typer.Context,
    dataset: Annotated[
        str | None, typer.Option(help="Only this dataset.", autocompletion=words.complete_dataset)
    ] = None,
    limit: Annotated[int, typer.Option(help="Most rows.")] = 50,
    as_json: Json = False,
) -> None:
    """Deliveries with their newest verdict and decision, newest first; `withdraw` takes one out of force."""
    if context.invoked_subcommand is None:
        from warehouse.ledger import listings, open_ledger

        rows = listings.deliveries(open_ledger(get_settings()), words.dataset(dataset) if dataset else None, limit)
        show(words.shortened(rows, as_json), as_json, "deliveries")


@deliveries_app.command()
def withdraw(delivery_id: str, reason: Reason, by: By, as_json: Json = False) -> None:
    """Take an accepted delivery out of force; the one before it counts again from the next build on. Takes two."""
    from warehouse import night as steps

    show(asdict(steps.withdraw(words.delivery(delivery_id), reason, by, "engineer")), as_json)


@deliveries_app.command()
def reinstate(delivery_id: str, reason: Reason, by: By, as_json: Json = False) -> None:
    """Undo a withdrawal; the delivery counts again from the next build on. Takes two people."""
    from warehouse import night as steps

    show(asdict(steps.reinstate(words.delivery(delivery_id), reason, by, "engineer")), as_json)


@app.command(rich_help_panel=PANEL)
def quarantine(
    delivery_id: Annotated[str | None, typer.Argument(help="Show the row numbers of one delivery.")] = None,
    as_json: Json = False,
) -> None:
    """Quarantined rows: counts by rule, or the row numbers of one delivery. Never a value."""
    from warehouse.ledger import listings, open_ledger

    led = open_ledger(get_settings())
    if delivery_id:
        show(listings.quarantined_rows(led, words.delivery(delivery_id)), as_json, "quarantine")
    else:
        show(words.shortened(listings.quarantined_by_rule(led), as_json), as_json, "quarantine")


@held_app.callback()
def held(context: typer.Context, as_json: Json = False) -> None:
    """List held deliveries; with `admit` or `reject`, record a decision."""
    if context.invoked_subcommand is None:
        from warehouse import night as steps

        rows = steps.held()
        keys = (
            "delivery_id",
            "dataset",
            "part",
            "period_start",
            "received_at",
            "reason_code",
            "message_id",
            "message_en",
        )
        show(words.shortened([{key: getattr(row, key) for key in keys} for row in rows], as_json), as_json, "held")


def _decide(delivery_id: str, kind: Literal["admit", "reject"], reason: str, by: str, as_json: bool) -> None:
    from warehouse import night as steps

    decision = steps.decide(words.delivery(delivery_id), kind, reason, "COMMAND_LINE", by, "engineer")
    show(asdict(decision), as_json)


@held_app.command()
def admit(delivery_id: str, reason: Reason, by: By, as_json: Json = False) -> None:
    """Admit a held or rejected delivery: its stop rules are recorded but overridden; quarantined rows stay out."""
    _decide(delivery_id, "admit", reason, by, as_json)


@held_app.command()
def reject(delivery_id: str, reason: Reason, by: By, as_json: Json = False) -> None:
    """Reject a held delivery; the last good one stays in force."""
    _decide(delivery_id, "reject", reason, by, as_json)
