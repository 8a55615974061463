"""Releases: list, compare, roll back, and the build's own figures for a decided purpose."""

import typer

from warehouse.cli import words
from warehouse.cli.options import By, Json, Reason
from warehouse.core.console import out, show
from warehouse.core.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="Releases: list, compare, roll back.")


@app.command("list")
def releases_list(as_json: Json = False) -> None:
    """Kept releases, newest first; which is current, which is pinned."""
    from warehouse import release
    from warehouse.ledger import open_ledger

    s = get_settings()
    show(release.listing(s, open_ledger(s)), as_json, "releases")


@app.command("diff")
def releases_diff(older: words.Release, newer: words.Release, as_json: Json = False) -> None:
    """What changed from one release to another, in numbers and words."""
    from warehouse import release

    differences = release.diff(get_settings(), words.release(older), words.release(newer))
    if as_json:
        show(differences, True)
        return
    for line in differences["words_id"]:
        out.print(line, highlight=False, markup=False)
    show(differences["marts"], False)


@app.command("rollback")
def releases_rollback(release_id: words.Release, reason: Reason, by: By) -> None:
    """Make an older release current and pin it; nights go on building and say so."""
    from warehouse import release
    from warehouse.ledger import open_ledger

    s, release_id = get_settings(), words.release(release_id)
    release.rollback(s, open_ledger(s), release_id, reason, by)
    out.print(f"Rilis {release_id} kini berlaku dan disematkan / is current and pinned.")


@app.command("internal")
def releases_internal(reason: Reason, by: By) -> None:
    """Write the build's marts with NO small count rounded, apart from the releases and for the owner alone."""
    from warehouse import release
    from warehouse.ledger import open_ledger

    s = get_settings()
    file = release.make_internal(s, open_ledger(s), reason, by)
    warning = "Cacah kecil TIDAK dibulatkan: jangan dibagikan. / Small counts are NOT rounded: do not share."
    out.print(f"{file}\n{warning}")


@app.command("unpin")
def releases_unpin(reason: Reason, by: By) -> None:
    """Let the newest release be current again."""
    from warehouse import release
    from warehouse.ledger import open_ledger

    s = get_settings()
    release.unpin(s, open_ledger(s), reason, by)
    out.print("Sematan dilepas / unpinned.")
