"""The `warehouse` command: one thin function per thing a person does, a module a group. All work happens in the rooms
it calls; no SQL stands here and no row is made here.

Exit codes: 0 done · 1 unexpected error · 2 settings, keys, contract or usage · 3 an agency could not be fetched ·
4 a delivery is held · 5 the build stopped · 6 the release is held or could not be switched · 7 a scan found identities
· 8 a home or a backup is not whole.
"""

import logging
import sys

import typer

from warehouse.cli import analysts, data_protection, dev, linkage, looking, nights, recovery, releases, setup
from warehouse.cli.options import ANALYSTS, DATA_PROTECTION, ENGINEERS, SANDBOX
from warehouse.core import machine
from warehouse.core.console import complain
from warehouse.core.errors import WarehouseError
from warehouse.core.settings import get_settings

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Gudang data kesejahteraan Kota Tangerang / the welfare data warehouse of Kota Tangerang.",
    epilog="Exit codes: 0 done, 2 settings or usage, 3 agency not fetched, 4 held, 5 build stopped, 6 release held,"
    " 7 scan found identities, 8 home or backup not whole.",
)
app.add_typer(analysts.app)
app.add_typer(releases.app, name="releases", rich_help_panel=ANALYSTS)
app.add_typer(looking.app)
app.add_typer(nights.app)
app.add_typer(setup.app)
app.add_typer(recovery.app)
app.add_typer(dev.app, name="dev", rich_help_panel=ENGINEERS)
app.add_typer(linkage.linkage_app, name="linkage", rich_help_panel=ENGINEERS)
app.add_typer(linkage.review_app, name="review", rich_help_panel=DATA_PROTECTION)
app.add_typer(data_protection.app)


def _log_to_file() -> None:
    """Warnings go to ``logs/warehouse.log``; what a person must know is printed as an outcome or an error."""
    folder = get_settings().home / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = logging.FileHandler(folder / "warehouse.log", encoding="utf-8")
    except OSError:
        # A reader's account, or a disk that is full or read-only: nothing can be written here.
        handler = logging.NullHandler()
    logging.basicConfig(
        level=logging.WARNING,
        format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s",
        handlers=[handler],
    )


def main() -> None:
    """Entry point: a WarehouseError, or what the machine refuses, becomes its message, its action and its exit code."""
    from warehouse.sandbox.commands import sandbox_app

    app.add_typer(sandbox_app, name="sandbox", rich_help_panel=SANDBOX)
    try:
        _log_to_file()
        app()
    except WarehouseError as error:
        complain(error)
        sys.exit(error.exit_code)
    except Exception as error:
        refusal = machine.told(error)
        if refusal is None:
            raise
        complain(refusal)
        sys.exit(refusal.exit_code)
