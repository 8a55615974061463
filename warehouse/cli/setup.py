"""What stands before the first night: keys, and the check of settings."""

from pathlib import Path
from typing import Annotated

import typer

from warehouse.cli import options, words
from warehouse.cli.options import By, Json, Reason
from warehouse.core.console import out, say, show
from warehouse.core.settings import get_settings

app = typer.Typer()
keys_app = typer.Typer(no_args_is_help=True, help="Keys: make a set, change to it.")
PANEL = options.ENGINEERS
app.add_typer(keys_app, name="keys", rich_help_panel=PANEL)
contracts_app = typer.Typer(no_args_is_help=True, help="Contracts: publish what they promise.")
app.add_typer(contracts_app, name="contracts", rich_help_panel=PANEL)


@app.command("check-config", rich_help_panel=PANEL)
def check_config(as_json: Json = False) -> None:
    """Check settings, keys, contracts, ledger and server addresses before a night does."""
    from warehouse.report import status

    checks = status.checks(get_settings())
    show(checks, as_json, "check-config")
    if not all(row["ok"] for row in checks):
        raise typer.Exit(2)


@keys_app.command("new")
def keys_new(
    to: Annotated[Path | None, typer.Option(help="Folder to write to, where keys do not stand in files.")] = None,
) -> None:
    """Make a set of keys: the first one, or the successors that `rotate` changes to. Nothing is ever overwritten."""
    from warehouse.storage import keys

    out.print(str(keys.make_new(get_settings(), to)), soft_wrap=True)


@keys_app.command("rotate")
def keys_rotate(by: By, reason: Reason, as_json: Json = False) -> None:
    """Write everything anew under the next keys, switch, release; takes two people. After a kill, run it again."""
    from warehouse import night as steps

    show(steps.rotate_keys(by, reason, progress=say), as_json)


@contracts_app.command("publish")
def contracts_publish(
    datasets: Annotated[list[str] | None, typer.Argument(autocompletion=words.complete_dataset)] = None,
    as_json: Json = False,
) -> None:
    """Keep what contracts (all, or those named) promise now; what breaks it later needs a new major version."""
    from warehouse.core.contract import get_contract, load_contracts, published

    s = get_settings()
    names = [words.dataset(name) for name in datasets or load_contracts(s.contracts_dir)]
    contracts = [get_contract(s.contracts_dir, name) for name in names]
    show(published.publish(s.contracts_dir.parent / published.FILE, contracts), as_json, "contracts")
