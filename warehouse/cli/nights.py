"""Nights and their steps by hand: ingest, build, replay."""

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from warehouse.cli import options, words
from warehouse.cli.options import EXIT_BUILD, EXIT_FETCH, EXIT_HELD, EXIT_RELEASE, Json
from warehouse.core.console import Watch, complain, say, show
from warehouse.core.errors import ConfigError
from warehouse.core.periods import Period

app = typer.Typer()
PANEL = options.ENGINEERS


@app.command(rich_help_panel=PANEL)
def night(
    day: Annotated[str | None, typer.Option("--date", help="Logical date, default today (Asia/Jakarta).")] = None,
    workers: Annotated[int, typer.Option(help="Datasets taken at the same time.")] = 2,
    as_json: Json = False,
) -> None:
    """Run a whole night without Airflow: every dataset (one process each), then build, release and report."""
    from warehouse import night as steps

    logical = options.day(day)
    outcomes = []
    with Watch() as watch:
        with watch.step("ingest"), ProcessPoolExecutor(max_workers=workers) as pool:
            for outcome in steps.ingest_all(logical, pool):
                outcomes.append(outcome.as_dict())
                watch(f"{outcome.dataset}: {outcome.outcome} ({outcome.seconds} s)")
                for line in outcome.errors:
                    watch(f"  {line}")
        with watch.step("marts"):
            result = steps.marts(logical, progress=watch)
    show({"datasets": outcomes, "marts": result} if as_json else [_brief(o) for o in outcomes], as_json)
    if not as_json:
        summary = {key: value for key, value in result.items() if key != "stages"} | result["stages"]
        show([{"marts": key, "": str(value)} for key, value in summary.items()], False)
    _stop_if_held(result)
    _stop_unless_taken({outcome["outcome"] for outcome in outcomes})


def _brief(outcome: dict[str, Any]) -> dict[str, Any]:
    keys = ("dataset", "outcome", "landed", "unchanged", "missing", "failed", "accepted", "held", "rows_admitted",
            "rows_quarantined", "seconds")  # fmt: skip
    return {key: outcome[key] for key in keys}


def _stop_if_held(marts: dict[str, Any]) -> None:
    if marts["outcome"] == "held":
        raise typer.Exit(EXIT_RELEASE if "release" in marts["stages"] else EXIT_BUILD)


def _stop_unless_taken(outcomes: set[str]) -> None:
    if outcomes & {"failed", "held"}:
        raise typer.Exit(EXIT_FETCH if "failed" in outcomes else EXIT_HELD)


@app.command(rich_help_panel=PANEL)
def ingest(
    dataset: words.Dataset,
    period: Annotated[str, typer.Option(help="2026-10, 2026-Q3, 2026-H2, 2026 or 2026-11-22.")],
    part: Annotated[list[str] | None, typer.Option(help="Part (puskesmas, polsek, branch); default all.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file that came by hand, instead of asking the agency.")] = None,
    is_trial: Annotated[bool, typer.Option("--try", help="Only say what becomes of --file; keep nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch and judge one dataset's period; with --file, take a file that came by hand down the same way."""
    from warehouse import night as steps

    open_period, dataset, part = Period.parse(period), words.dataset(dataset), words.parts(dataset, part)
    if is_trial:
        _try(dataset, open_period, part, file, as_json)
        return
    if file is None:
        outcome = steps.ingest_periods(dataset, [open_period], part, progress=say)
    else:
        _demand(file)
        outcome = steps.ingest_file(dataset, open_period, (part or ["all"])[0], file)
    show(outcome.as_dict() if as_json else _brief(outcome.as_dict()), as_json)
    for line in outcome.errors:
        say(line)
    _stop_unless_taken({outcome.outcome})


def _demand(file: Path) -> None:
    if not file.is_file():
        raise ConfigError(
            "FILE_MISSING",
            f"Berkas {file} tidak ada.",
            f"File {file} does not exist.",
            "Periksa letak dan namanya.",
            "Check its place and name.",
        )


def _try(dataset: str, period: Period, part: list[str] | None, file: Path | None, as_json: bool) -> None:
    from warehouse import night as steps

    if file is None:
        raise ConfigError(
            "TRY_WITHOUT_FILE",
            "--try menilai sebuah berkas, tetapi --file tidak diberikan.",
            "--try judges a file, and --file is not given.",
            "Tambahkan --file BERKAS.",
            "Add --file FILE.",
        )
    _demand(file)
    trial = asdict(steps.try_file(dataset, period, (part or ["all"])[0], file))
    if as_json:
        show(trial, True)
    else:
        lists = ("rules", "rows", "unknown_headers")
        summary = [{"": key, "nilai / value": value} for key, value in trial.items() if key not in lists]
        show(summary, False, "Percobaan, tidak ada yang disimpan / trial, nothing was kept")
        show(trial["rules"], False, "Aturan / rules")
        show(trial["rows"], False, "Baris / rows")
    if trial["verdict"] == "held":
        raise typer.Exit(EXIT_HELD)


@app.command(rich_help_panel=PANEL)
def build(
    day: Annotated[str | None, typer.Option("--date", help="as_of date, default today.")] = None, as_json: Json = False
) -> None:
    """Link, build the marts, check them and release them if anything changed."""
    from warehouse import night as steps

    with Watch() as watch, watch.step("marts"):
        result = steps.marts(options.day(day), progress=watch)
    show(result, as_json)
    _stop_if_held(result)


@app.command(rich_help_panel=PANEL)
def replay(
    dataset: words.Dataset,
    period: Annotated[str | None, typer.Option(help="One period; default all.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, whatever leaves force.")] = False,
    is_trial: Annotated[bool, typer.Option("--try", help="Only say what would change.")] = False,
    as_json: Json = False,
) -> None:
    """Judge landed deliveries again under today's contract; asks first where deliveries would leave force."""
    from warehouse import night as steps

    name, one_period = words.dataset(dataset), Period.parse(period) if period else None
    if is_trial or not yes:
        changes = steps.rehearse(name, one_period, progress=say)
        rows = [asdict(one) for one in changes if one.is_one]
        if is_trial or not as_json:
            show(words.shortened(rows, as_json), as_json, "Akan berubah / would change")
        leaving = sum(one.leaves_force for one in changes)
        if is_trial:
            raise typer.Exit(EXIT_HELD if leaving else 0)
        _confirm(leaving)
    outcome = steps.replay(name, one_period, progress=say)
    keys = (
        "delivery_id",
        "contract_version",
        "verdict",
        "reason_code",
        "rows_read",
        "rows_admitted",
        "rows_quarantined",
    )
    rows = [{key: getattr(verdict, key) for key in keys} for verdict in outcome.verdicts]
    show(words.shortened(rows, as_json), as_json, "verdicts")
    for error in outcome.lost.values():
        complain(error)
    ids = {verdict.delivery_id for verdict in outcome.verdicts}
    if outcome.lost or any(one.delivery_id in ids for one in steps.held()):
        raise typer.Exit(EXIT_HELD)


def _confirm(leaving: int) -> None:
    """Ask before deliveries leave force; where nobody can answer, refuse."""
    if not leaving:
        return
    if sys.stdin.isatty() and typer.confirm(f"{leaving} kiriman tidak berlaku lagi / deliveries leave force. Lanjut?"):
        return
    raise ConfigError(
        "REPLAY_UNCONFIRMED",
        f"{leaving} kiriman yang berlaku akan ditahan; tidak ada yang diubah.",
        f"{leaving} deliveries that are in force would be held; nothing was changed.",
        "Lihat dengan `warehouse replay --try`; perbaiki kontraknya, atau ulangi dengan --yes.",
        "Look with `warehouse replay --try`; correct the contract, or repeat with --yes.",
    )
