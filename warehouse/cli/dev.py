"""The engineers' inner loop: a scratch build, the models one works on, and what moved."""

from dataclasses import asdict
from typing import Annotated

import typer

from warehouse.cli.options import EXIT_BUILD, Json
from warehouse.core.console import say, show
from warehouse.core.settings import get_settings

app = typer.Typer(help="Try models on a scratch copy of the build; nothing in force is touched.")


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    select: Annotated[
        list[str] | None,
        typer.Option(help="dbt selector, again and again; default all that changed since the build in force."),
    ] = None,
    fresh: Annotated[bool, typer.Option(help="Copy the build in force anew, without the models tried so far.")] = False,
    unit_tests: Annotated[bool, typer.Option(help="A model whose unit tests fail is not built.")] = True,
) -> None:
    """Refresh the scratch from the lake, and build the selected models with their tests."""
    if context.invoked_subcommand:
        return
    from warehouse.build import dev
    from warehouse.ledger import Ledger

    s = get_settings()
    is_passed = dev.refresh(s, Ledger(s.ledger), select or [dev.CHANGED], fresh=fresh, unit_tests=unit_tests)
    say("Selanjutnya / next: warehouse dev diff")
    if not is_passed:
        raise typer.Exit(EXIT_BUILD)


@app.command("diff")
def diff_command(as_json: Json = False) -> None:
    """What the models tried so far would change: rows by model, the largest move by measure and level; all rounded."""
    from warehouse.build import dev

    models, moves = dev.diff(get_settings())
    if as_json:
        show({"models": [asdict(one) for one in models], "moves": [asdict(one) for one in moves]}, True)
        return
    diffs = [one for one in models if one.has_moved]
    show([asdict(one) for one in diffs], False, "Baris / rows")
    show([asdict(one) for one in moves], False, "Perubahan terbesar / largest moves")
    say(f"{len(models) - len(diffs)} model sama / models are as they were")
