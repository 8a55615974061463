"""Questions to a release: its marts, and its pseudonymised facts."""

import sys
from typing import Annotated, Literal

import typer

from warehouse.cli import options, words
from warehouse.cli.options import Json
from warehouse.core.console import say, show
from warehouse.core.csv_export import write_csv
from warehouse.core.settings import get_settings

app = typer.Typer()
PANEL = options.ANALYSTS


@app.command(rich_help_panel=PANEL)
def sql(
    query: Annotated[
        str | None, typer.Argument(help="One SQL statement; without it, read from standard input.")
    ] = None,
    format_: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="What to print.")] = "table",
    release_id: Annotated[
        str | None,
        typer.Option(
            "--release", help="An older release; default the current one.", autocompletion=words.complete_release
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Query the marts: read-only, no file access, configuration locked."""
    from warehouse.read import marts

    s, text, release_id = get_settings(), query or sys.stdin.read(), release_id and words.release(release_id)
    columns, rows = marts.query(s, text, release_id)
    if as_json or format_ == "json":
        show([dict(zip(columns, row, strict=True)) for row in rows], True)
    elif format_ == "csv":
        write_csv(sys.stdout, [columns, *rows])
    else:
        show([dict(zip(columns, row, strict=True)) for row in rows], False)
    if not rows and (measures := marts.measures_asked(text)):
        all_measures = marts.measures(s, release_id)
        for measure in measures:
            if measure not in all_measures and (near := words.nearest(measure, all_measures)):
                say(f"Ukuran {measure!r} tidak dikenal; mungkin maksud Anda {near!r}. / Did you mean {near!r}?")


@app.command(rich_help_panel=PANEL)
def micro(
    person: Annotated[str, typer.Option(help="Who opens it.")],
    purpose: Annotated[str, typer.Option(help="For what; at least ten letters.")],
    query: Annotated[str, typer.Argument(help="One SQL statement.")],
    hours: Annotated[int, typer.Option(help="How long the opening is valid.")] = 8,
    exact_because: Annotated[
        str | None, typer.Option(help="Why small counts are printed as they are, not as <5; at least ten letters.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Query the pseudonymised facts of the current release; every opening is logged with person, purpose and query."""
    from warehouse.ledger import open_ledger
    from warehouse.read import record_views as opened

    s = get_settings()
    columns, rows = opened.query(s, open_ledger(s), person, purpose, hours, query, exact_because)
    show([dict(zip(columns, row, strict=True)) for row in rows], as_json)
