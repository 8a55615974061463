"""What a person or the law may ask: erasure, the access log, a notice of a breach, a search for identities."""

import getpass
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from warehouse.cli import options, words
from warehouse.cli.options import EXIT_FOUND, By, Json, Reason
from warehouse.core.console import say, show
from warehouse.core.errors import ConfigError
from warehouse.core.settings import get_settings

app = typer.Typer()
PANEL = options.DATA_PROTECTION


def _person_given(file: Path | None) -> str:
    """Who it is, from a file, hidden prompts or standard input: a command line is seen by others and kept."""
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise ConfigError(
                "FILE_MISSING",
                f"Berkas {file} tidak ada atau bukan teks.",
                f"File {file} does not exist or is no text.",
                "Periksa letak dan namanya; isinya satu NIK, atau baris nama, tanggal lahir dan nomor KK.",
                "Check its place and name; it holds one NIK, or lines of name, birth date and family card.",
            ) from None
    if not sys.stdin.isatty():
        return sys.stdin.read()
    questions = ("Nama / name: ", "Tanggal lahir / birth date (2023-04-05): ", "Nomor KK / family card: ")
    return getpass.getpass("NIK (kosong bila tidak ada / empty if there is none): ") or "\n".join(
        map(getpass.getpass, questions)
    )


@app.command(rich_help_panel=PANEL)
def erase(
    by: By,
    ground: Annotated[str, typer.Option(help="Article of law, for example 'UU 27/2022 pasal 8'.")],
    reason: Reason,
    file: Annotated[
        Path | None,
        typer.Option(
            help="File with the NIK, or without one with lines of name, birth date (2023-04-05) and family card, one of"
            " the last two may be empty; else it is asked for or read from stdin."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Erase a person everywhere on two people's decision, release anew and prove it. Who it is is never an argument."""
    from warehouse import night as steps
    from warehouse.privacy.subject_lookup import Person

    show(steps.erase(Person.from_text(_person_given(file)), by, ground, reason, progress=say), as_json)


@app.command("erase-resume", rich_help_panel=PANEL)
def erase_resume(as_json: Json = False) -> None:
    """Complete erasures that a kill or a restored backup left open, and prove all of them."""
    from warehouse import night as steps

    show(steps.resume_erasures(progress=say), as_json)


@app.command(rich_help_panel=PANEL)
def approve(
    request: Annotated[str | None, typer.Argument(help="Beginning of its number; without it, what waits.")] = None,
    by: Annotated[str, typer.Option("--by", help="Who approves; somebody else than who asked.")] = "",
    as_json: Json = False,
) -> None:
    """Approve what somebody else asked for and takes two people, from an account of your own; then they do it."""
    from warehouse.ledger import approvals, open_ledger

    s = get_settings()
    led = open_ledger(s)
    rows = [approvals.approve(s, led, request, by)] if request else approvals.waiting(s, led)
    names = ("approval_id", "act", "about", "reason", "asked_by", "asked_account", "expires_at")
    show([{name: row[name] for name in names} for row in rows], as_json, "approve")


@app.command(rich_help_panel=PANEL)
def openings(
    days: Annotated[int, typer.Option(help="How far back.")] = 30,
    as_json: Json = False,
) -> None:
    """The access log: who opened pseudonymised facts or clear identities, for what, by whose approval, until when."""
    from warehouse.ledger import access_log, open_ledger

    s = get_settings()
    show(access_log.since(open_ledger(s), s.utc_now() - timedelta(days=days)), as_json, "openings")


@app.command("breach-notice", rich_help_panel=PANEL)
def breach_notice(
    found: Annotated[str, typer.Option(help="When it was found, WIB: 2026-11-22T14:30. The notice is due 72 h later.")],
    since: Annotated[str, typer.Option(help="When it began, WIB, as far as known.")],
    until: Annotated[str, typer.Option(help="When it ended, WIB.")],
    place: Annotated[list[str], typer.Option(help="What was open: landing, vault, lake, build or micro; repeatable.")],
    how: Annotated[str, typer.Option(help="How it happened; write what is not known as not known.")],
    handling: Annotated[str, typer.Option(help="What is being done.")],
    dataset: Annotated[list[str] | None, typer.Option(help="Only these datasets; default all with persons.")] = None,
) -> None:
    """Draft the notice of UU 27/2022 article 46, Indonesian first, from contracts, lake and access log."""
    from warehouse.ledger import open_ledger
    from warehouse.privacy import breach

    s = get_settings()
    datasets = tuple(words.dataset(name) for name in dataset or ())
    began, ended = options.moment(since), options.moment(until)
    incident = breach.Incident(options.moment(found), began, ended, tuple(place), how, handling, datasets)
    typer.echo(breach.draft(s, open_ledger(s), incident))


@app.command(rich_help_panel=PANEL)
def scan(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...", help="Files, folders or database URLs; default this home, as a night does."
        ),
    ] = None,
    shapes_only: Annotated[bool, typer.Option("--shapes-only", help="Do not open the vault for its values.")] = False,
    as_json: Json = False,
) -> None:
    """Search for identities that must not be there: the vault's values and their shapes. Never prints a value."""
    from warehouse import scan as room

    result = room.look(get_settings(), targets or [], shapes_only=shapes_only)
    findings = [asdict(finding) for finding in result.findings]
    show(findings, as_json, "Temuan / findings")
    say(f"{result.files} files, {result.files_read} read, {result.bytes_read / 1e6:.0f} MB, {result.seconds:.1f} s")
    if findings:
        raise typer.Exit(EXIT_FOUND)
