"""Backup, restore and the check of a home."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from warehouse.cli import options
from warehouse.cli.options import EXIT_NOT_WHOLE, Json
from warehouse.core.console import Watch, out, say, show
from warehouse.core.settings import get_settings

app = typer.Typer()
PANEL = options.ENGINEERS


@app.command(rich_help_panel=PANEL)
def backup(
    to: Annotated[Path, typer.Option(help="Folder of backups, on another disk or machine; may hold earlier ones.")],
    recipient: Annotated[
        list[str] | None, typer.Option(help="age public key (age1...) to encrypt to; default the landing key.")
    ] = None,
    keep: Annotated[int | None, typer.Option(min=1, help="Backups to keep in the folder; default all.")] = None,
    keys_to: Annotated[
        Path | None, typer.Option(help="Write the keys too, to this file apart, encrypted to --recipient.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Back this home up: ledger, landing, vault, lake, register and releases, encrypted; only what is new is copied."""
    from warehouse import recovery
    from warehouse.ledger import open_ledger

    s = get_settings()
    with Watch() as watch, watch.step("backup"):
        result = recovery.back_up(
            s, open_ledger(s), to.absolute(), recipient or (), keep=keep, keys_to=keys_to, progress=watch
        )
    show(_briefly(result, as_json), as_json)
    _stop_if_missing(result)


@app.command(rich_help_panel=PANEL)
def restore(
    source: Annotated[Path, typer.Option("--from", help="Folder of backups.")],
    into: Annotated[Path, typer.Option(help="Home to restore into: empty, or new.")],
    identity: Annotated[
        Path | None, typer.Option(help="File with the age secret key of a recipient; default the landing keys at hand.")
    ] = None,
    backup_id: Annotated[str | None, typer.Option("--backup", help="Id of the backup; default the newest.")] = None,
    keys: Annotated[
        Path | None, typer.Option(help="File that `backup --keys-to` wrote; they go to the key folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Restore a backup into an empty home: every hash is compared before anything is put in place."""
    from warehouse import recovery

    s = get_settings().model_copy(update={"home": into.expanduser().absolute()})
    with Watch() as watch, watch.step("restore"):
        result = recovery.restore(
            s, source.absolute(), backup_id=backup_id, identity_file=identity, keys_file=keys, progress=watch
        )
    show(_briefly(result, as_json), as_json)
    if not as_json:
        out.print(f"WAREHOUSE_HOME={s.home}: warehouse check-config, warehouse build, warehouse check", soft_wrap=True)
    _stop_if_missing(result)


@app.command(rich_help_panel=PANEL)
def check(as_json: Json = False) -> None:
    """Check that this home is whole: files, keys, counts, the current release; says what helps. Changes nothing."""
    from warehouse import recovery
    from warehouse.ledger import open_ledger

    s = get_settings()
    with Watch() as watch, watch.step("check"):
        findings = recovery.check(s, open_ledger(s), watch)
    show([asdict(one) for one in findings], as_json, "Temuan / findings")
    if recovery.is_damaged(findings):
        raise typer.Exit(EXIT_NOT_WHOLE)


def _briefly(result: dict[str, Any], as_json: bool) -> dict[str, Any]:
    """What was done in one row; a program gets the files that were missing, a person how many."""
    return result if as_json else result | {"missing": len(result["missing"])}


def _stop_if_missing(result: dict[str, Any]) -> None:
    for path in result["missing"]:
        say(f"tidak ada / missing: {path}")
    if result["missing"]:
        raise typer.Exit(EXIT_NOT_WHOLE)
