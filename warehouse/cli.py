"""The `warehouse` command: one thin function per thing a person does. All work happens in the rooms it calls.

Exit codes: 0 done · 1 unexpected error · 2 settings, keys, contract or usage · 3 an agency could not be fetched ·
4 a delivery is held · 5 the build stopped · 6 the release is held or could not be switched · 7 a scan found identities.
"""

import getpass
import logging
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from warehouse.console import Watch, complain, out, say, show
from warehouse.errors import ConfigError, WarehouseError
from warehouse.periods import JAKARTA, Period
from warehouse.settings import get_settings
from warehouse.spreadsheet import write_csv

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Gudang data kesejahteraan Kota Tangerang / the welfare data warehouse of Kota Tangerang.",
    epilog="Exit codes: 0 done, 2 settings or usage, 3 agency not fetched, 4 held, 5 build stopped, 6 release held,"
    " 7 scan found identities.",
)
releases_app = typer.Typer(no_args_is_help=True, help="Releases: list, compare, roll back.")
held_app = typer.Typer(invoke_without_command=True, help="Held deliveries, and a person's decision on them.")
app.add_typer(releases_app, name="releases")
app.add_typer(held_app, name="held")
review_app = typer.Typer(no_args_is_help=True, help="Pairs of records that may be one person: look, and decide.")
app.add_typer(review_app, name="review")
linkage_app = typer.Typer(no_args_is_help=True, help="The linkage model: train a new version, list the versions.")
app.add_typer(linkage_app, name="linkage")
keys_app = typer.Typer(no_args_is_help=True, help="Keys: make a set, change to it.")
app.add_typer(keys_app, name="keys")
contracts_app = typer.Typer(no_args_is_help=True, help="Contracts: publish what they promise.")
app.add_typer(contracts_app, name="contracts")

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
EXIT_FETCH, EXIT_HELD, EXIT_BUILD, EXIT_RELEASE, EXIT_FOUND = 3, 4, 5, 6, 7


def _day(text: str | None) -> date:
    if text is None:
        return get_settings().today()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            "DATE_INVALID",
            f"Tanggal {text!r} tidak dikenal.",
            f"Date {text!r} is not understood.",
            "Tulis seperti 2026-11-22.",
            "Write it like 2026-11-22.",
        ) from None


_SHORT = 8


def _whole(typed: str, ids: list[str]) -> str:
    """The one id that begins with what a person typed; an unknown one stays as typed, for its room to refuse.

    A release may be called by the hash at its end as well.
    """
    found = sorted(name for name in ids if name.startswith(typed) or name.rpartition("-")[2].startswith(typed))
    if typed in found or not found:
        return typed
    if len(found) > 1:
        names = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        raise ConfigError(
            "ID_AMBIGUOUS",
            f"{typed!r} cocok dengan {len(found)} id: {names}",
            f"{typed!r} fits {len(found)} ids: {names}",
            "Tulis lebih banyak hurufnya.",
            "Type more of its letters.",
        )
    return found[0]


def _whole_delivery(typed: str) -> str:
    from warehouse.night import open_ledger

    return _whole(
        typed, [row["delivery_id"] for row in open_ledger(get_settings()).rows("select delivery_id from deliveries")]
    )


def _whole_release(typed: str) -> str:
    folder = get_settings().releases_dir
    names = [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
    return _whole(typed, names)


def _short(rows: list[dict[str, Any]], as_json: bool) -> list[dict[str, Any]]:
    """Rows for people name deliveries by as many letters as tell them apart; a program gets whole ids."""
    if as_json:
        return rows
    ids = {row["delivery_id"] for row in rows}
    length = next(n for n in range(_SHORT, 33) if len({name[:n] for name in ids}) == len(ids))
    return [row | {"delivery_id": row["delivery_id"][:length]} for row in rows]


# --- nights


@app.command()
def night(
    day: Annotated[str | None, typer.Option("--date", help="Logical date, default today (Asia/Jakarta).")] = None,
    workers: Annotated[int, typer.Option(help="Datasets taken at the same time.")] = 2,
    as_json: Json = False,
) -> None:
    """Run a whole night without Airflow: every dataset (one process each), then build, release and report."""
    from warehouse import night as steps

    logical = _day(day)
    outcomes = []
    with Watch() as watch:
        with watch.step("ingest"), ProcessPoolExecutor(max_workers=workers) as pool:
            for outcome in steps.ingest_all(logical, pool):
                outcomes.append(outcome.as_dict())
                watch(f"{outcome.dataset}: {outcome.outcome} ({outcome.seconds} s)")
        with watch.step("marts"):
            result = steps.marts(logical, progress=watch)
    show({"datasets": outcomes, "marts": result} if as_json else [_brief(o) for o in outcomes], as_json)
    if not as_json:
        told = {key: value for key, value in result.items() if key != "stages"} | result["stages"]
        show([{"marts": key, "": str(value)} for key, value in told.items()], False)
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


@app.command()
def ingest(
    dataset: str,
    period: Annotated[str, typer.Option(help="2026-10, 2026-Q3, 2026-H2, 2026 or 2026-11-22.")],
    part: Annotated[list[str] | None, typer.Option(help="Part (puskesmas, polsek, branch); default all.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file that came by hand, instead of asking the agency.")] = None,
    as_json: Json = False,
) -> None:
    """Fetch and judge one dataset's period; with --file, take a file that came by hand down the same way."""
    from warehouse import night as steps

    wanted = Period.parse(period)
    if file is None:
        outcome = steps.ingest_periods(dataset, [wanted], part, progress=say)
    else:
        if not file.is_file():
            raise ConfigError(
                "FILE_MISSING",
                f"Berkas {file} tidak ada.",
                f"File {file} does not exist.",
                "Periksa letak dan namanya.",
                "Check its place and name.",
            )
        outcome = steps.ingest_file(dataset, wanted, (part or ["all"])[0], file)
    show(outcome.as_dict() if as_json else _brief(outcome.as_dict()), as_json)
    for line in outcome.errors:
        say(line)
    _stop_unless_taken({outcome.outcome})


@app.command()
def build(
    day: Annotated[str | None, typer.Option("--date", help="as_of date, default today.")] = None, as_json: Json = False
) -> None:
    """Link, build the marts, check them and release them if anything changed."""
    from warehouse import night as steps

    with Watch() as watch, watch.step("marts"):
        result = steps.marts(_day(day), progress=watch)
    show(result, as_json)
    _stop_if_held(result)


@app.command()
def replay(
    dataset: str,
    period: Annotated[str | None, typer.Option(help="One period; default all.")] = None,
    as_json: Json = False,
) -> None:
    """Judge landed deliveries again under today's contract."""
    from warehouse import night as steps

    verdicts = steps.replay(dataset, Period.parse(period) if period else None, progress=say)
    keys = (
        "delivery_id",
        "contract_version",
        "verdict",
        "reason_code",
        "rows_read",
        "rows_admitted",
        "rows_quarantined",
    )
    show(_short([{key: verdict.get(key) for key in keys} for verdict in verdicts], as_json), as_json, "verdicts")


# --- looking


@app.command()
def status(as_json: Json = False) -> None:
    """What is current, what waits, what is late: one page."""
    from warehouse import release, timeliness
    from warehouse.contract import load_contracts
    from warehouse.night import open_ledger

    s = get_settings()
    led = open_ledger(s)
    contracts = load_contracts(s.contracts_dir)
    nights = led.rows(
        "select logical_date, started_at, ended_at, outcome, detail from nights order by started_at desc limit 1"
    )
    datasets = led.rows(
        "select d.dataset, count(distinct d.part) as parts, max(d.period_start) as period_start,"
        " max(d.received_at) as received_at,"
        " sum(v.rows_admitted) as rows_admitted, sum(v.rows_quarantined) as rows_quarantined"
        " from admissible_deliveries d join verdicts v on v.verdict_id = d.verdict_id"
        " group by d.dataset order by d.dataset"
    )
    held = led.rows(
        "select dataset, part, period_start, delivery_id, reason_code, message_id, message_en from held_deliveries"
        " order by received_at"
    )
    for row in held:
        if row["dataset"] in contracts:
            row["part"] = contracts[row["dataset"]].part_label(row["part"])
    awaited = [
        {
            "dataset": dataset,
            "part": one.label,
            "period": one.awaited.label,
            "due_on": one.due_on,
            "state": " / ".join(timeliness.WORDS[one.state]),
            "days_late": one.days_late,
        }
        for dataset, contract in contracts.items()
        for one in timeliness.part_states(s, led, contract)
        if one.state != "received"
    ]
    state = {
        "night": nights[0] if nights else None,
        "release": release.current_state(s, led),
        "held": held,
        "awaited": awaited,
        "datasets": datasets,
    }
    if as_json:
        show(state, True)
        return
    show(state["night"] or [], False, "Malam terakhir / last night")
    show(state["release"] or [], False, "Rilis / release")
    show(_short(held, False), False, "Menunggu keputusan / held")
    show(awaited, False, "Ditunggu / awaited")
    show(datasets, False, "Dataset")


@app.command()
def deliveries(
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    limit: Annotated[int, typer.Option(help="Most rows.")] = 50,
    as_json: Json = False,
) -> None:
    """Deliveries with their newest verdict, newest first."""
    from warehouse.night import open_ledger

    rows = open_ledger(get_settings()).rows(
        "select d.delivery_id, d.dataset, d.part, d.period_start, d.received_at, d.origin, v.verdict, v.reason_code,"
        " v.rows_read, v.rows_admitted, v.rows_quarantined, v.rows_refused from deliveries d"
        " left join latest_verdicts v on v.delivery_id = d.delivery_id"
        " where (:dataset is null or d.dataset = :dataset) order by d.received_at desc limit :limit",
        dataset=dataset,
        limit=limit,
    )
    show(_short(rows, as_json), as_json, "deliveries")


@app.command()
def quarantine(
    delivery_id: Annotated[str | None, typer.Argument(help="Show the row numbers of one delivery.")] = None,
    as_json: Json = False,
) -> None:
    """Quarantined rows: counts by rule, or the row numbers of one delivery. Never a value."""
    from warehouse.night import open_ledger

    led = open_ledger(get_settings())
    if delivery_id:
        rows = led.rows(
            "select q.rule_code, q.column_name, q.source_part, q.source_row from quarantined_rows q"
            " join latest_verdicts v on v.verdict_id = q.verdict_id where q.delivery_id = :id"
            " order by q.rule_code, q.source_row",
            id=_whole_delivery(delivery_id),
        )
    else:
        rows = led.rows(
            "select d.dataset, d.part, d.period_start, q.delivery_id, q.rule_code, count(*) as quarantined"
            " from quarantined_rows q join latest_verdicts v on v.verdict_id = q.verdict_id"
            " join deliveries d on d.delivery_id = q.delivery_id"
            " group by d.dataset, d.part, d.period_start, q.delivery_id, q.rule_code"
            " order by d.period_start desc, d.dataset, d.part"
        )
    show(rows if delivery_id else _short(rows, as_json), as_json, "quarantine")


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
        show(_short([{key: row[key] for key in keys} for row in rows], as_json), as_json, "held")


def _decide(delivery_id: str, kind: str, reason: str, by: str, as_json: bool) -> None:
    from warehouse import night as steps

    show(steps.decide(_whole_delivery(delivery_id), kind, reason, "COMMAND_LINE", by, "engineer"), as_json)


Reason = Annotated[str, typer.Option(help="Why; at least ten letters.")]
By = Annotated[str, typer.Option("--by", help="Who decides.")]


@held_app.command()
def admit(delivery_id: str, reason: Reason, by: By, as_json: Json = False) -> None:
    """Admit a held delivery: its stop rules are recorded but overridden; quarantined rows stay out."""
    _decide(delivery_id, "admit", reason, by, as_json)


@held_app.command()
def reject(delivery_id: str, reason: Reason, by: By, as_json: Json = False) -> None:
    """Reject a held delivery for good; the last good one stays in force."""
    _decide(delivery_id, "reject", reason, by, as_json)


@app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(help="One SQL statement; without it, read from standard input.")
    ] = None,
    format_: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="What to print.")] = "table",
    release_id: Annotated[
        str | None, typer.Option("--release", help="An older release; default the current one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Query the marts: read-only, no file access, configuration locked."""
    from warehouse import analyst

    columns, rows = analyst.query(get_settings(), query or sys.stdin.read(), release_id and _whole_release(release_id))
    if as_json or format_ == "json":
        show([dict(zip(columns, row, strict=True)) for row in rows], True)
    elif format_ == "csv":
        write_csv(sys.stdout, [columns, *rows])
    else:
        show([dict(zip(columns, row, strict=True)) for row in rows], False)


@app.command()
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
    from warehouse import micro as opened
    from warehouse.night import open_ledger

    s = get_settings()
    columns, rows = opened.query(s, open_ledger(s), person, purpose, hours, query, exact_because)
    show([dict(zip(columns, row, strict=True)) for row in rows], as_json)


@app.command()
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

    made = room.look(get_settings(), targets or [], shapes_only=shapes_only)
    found = [asdict(finding) for finding in made.findings]
    show(found, as_json, "Temuan / findings")
    say(f"{made.files} files, {made.files_read} read, {made.bytes_read / 1e6:.0f} MB, {made.seconds:.1f} s")
    if found:
        raise typer.Exit(EXIT_FOUND)


# --- releases


@releases_app.command("list")
def releases_list(as_json: Json = False) -> None:
    """Kept releases, newest first; which is current, which is pinned."""
    from warehouse import release
    from warehouse.night import open_ledger

    s = get_settings()
    show(release.listing(s, open_ledger(s)), as_json, "releases")


@releases_app.command("diff")
def releases_diff(older: str, newer: str, as_json: Json = False) -> None:
    """What changed from one release to another, in numbers and words."""
    from warehouse import release

    found = release.diff(get_settings(), _whole_release(older), _whole_release(newer))
    if as_json:
        show(found, True)
        return
    for line in found["words_id"]:
        out.print(line, highlight=False, markup=False)
    show(found["marts"], False)


@releases_app.command("rollback")
def releases_rollback(release_id: str, reason: Reason, by: By) -> None:
    """Make an older release current and pin it; nights go on building and say so."""
    from warehouse import release
    from warehouse.night import open_ledger

    s, release_id = get_settings(), _whole_release(release_id)
    release.rollback(s, open_ledger(s), release_id, reason, by)
    out.print(f"Rilis {release_id} kini berlaku dan disematkan / is current and pinned.")


@releases_app.command("internal")
def releases_internal(reason: Reason, by: By) -> None:
    """Write the build's marts with NO small count rounded, apart from the releases and for the owner alone."""
    from warehouse import release
    from warehouse.night import open_ledger

    s = get_settings()
    file = release.make_internal(s, open_ledger(s), reason, by)
    warning = "Cacah kecil TIDAK dibulatkan: jangan dibagikan. / Small counts are NOT rounded: do not share."
    out.print(f"{file}\n{warning}")


@releases_app.command("unpin")
def releases_unpin(reason: Reason, by: By) -> None:
    """Let the newest release be current again."""
    from warehouse import release
    from warehouse.night import open_ledger

    s = get_settings()
    release.unpin(s, open_ledger(s), reason, by)
    out.print("Sematan dilepas / unpinned.")


# --- persons and keys


Approver = Annotated[str, typer.Option("--approver", help="Who approves; somebody else.")]


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
    asked = ("Nama / name: ", "Tanggal lahir / birth date (2023-04-05): ", "Nomor KK / family card: ")
    return getpass.getpass("NIK (kosong bila tidak ada / empty if there is none): ") or "\n".join(
        map(getpass.getpass, asked)
    )


@app.command()
def erase(
    by: By,
    approver: Approver,
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
    """Erase a person everywhere on a decided request, release anew and prove it. Who it is is never an argument."""
    from warehouse import night as steps
    from warehouse.recognition import Person

    show(steps.erase(Person.told(_person_given(file)), by, approver, ground, reason, progress=say), as_json)


@app.command("erase-resume")
def erase_resume(as_json: Json = False) -> None:
    """Complete erasures that a kill or a restored backup left open, and prove all of them."""
    from warehouse import night as steps

    show(steps.resume_erasures(progress=say), as_json)


@app.command()
def openings(
    days: Annotated[int, typer.Option(help="How far back.")] = 30,
    as_json: Json = False,
) -> None:
    """The purpose log: who opened pseudonymised facts or clear identities, for what, by whose approval, until when."""
    from warehouse import purpose as purposes
    from warehouse.night import open_ledger

    s = get_settings()
    show(purposes.since(open_ledger(s), s.utc_now() - timedelta(days=days)), as_json, "openings")


@app.command("breach-notice")
def breach_notice(
    found: Annotated[str, typer.Option(help="When it was found, WIB: 2026-11-22T14:30. The notice is due 72 h later.")],
    since: Annotated[str, typer.Option(help="When it began, WIB, as far as known.")],
    until: Annotated[str, typer.Option(help="When it ended, WIB.")],
    place: Annotated[list[str], typer.Option(help="What was open: landing, vault, lake, build or micro; repeatable.")],
    how: Annotated[str, typer.Option(help="How it happened; write what is not known as not known.")],
    handling: Annotated[str, typer.Option(help="What is being done.")],
    dataset: Annotated[list[str] | None, typer.Option(help="Only these datasets; default all with persons.")] = None,
) -> None:
    """Draft the notice of UU 27/2022 article 46, Indonesian first, from contracts, lake and purpose log."""
    from warehouse import breach
    from warehouse.night import open_ledger

    s = get_settings()
    incident = breach.Incident(
        _moment(found), _moment(since), _moment(until), tuple(place), how, handling, tuple(dataset or ())
    )
    typer.echo(breach.draft(s, open_ledger(s), incident))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            "TIME_INVALID",
            f"Waktu {text!r} tidak dikenal.",
            f"Time {text!r} is not understood.",
            "Tulis seperti 2026-11-22T14:30 (WIB).",
            "Write it like 2026-11-22T14:30 (WIB).",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=JAKARTA)


@keys_app.command("new")
def keys_new(
    to: Annotated[Path | None, typer.Option(help="Folder to write to, where keys do not stand in files.")] = None,
) -> None:
    """Make a set of keys: the first one, or the successors that `rotate` changes to. Nothing is ever overwritten."""
    from warehouse import keys

    out.print(str(keys.make_new(get_settings(), to)), soft_wrap=True)


@keys_app.command("rotate")
def keys_rotate(by: By, approver: Approver, reason: Reason, as_json: Json = False) -> None:
    """Write everything anew under the next keys, switch to them, release; run again after a kill, it goes on."""
    from warehouse import night as steps

    show(steps.rotate_keys(by, approver, reason, progress=say), as_json)


# --- who is who


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
    from warehouse.night import open_ledger

    s = get_settings()
    led = open_ledger(s)
    if is_decided:
        columns = ("pair_id", "decision", "decided_by", "decided_at", "method", "weight", "model_version")
        pairs = linkage.decided(led)
    else:
        columns = ("pair_id", "datasets", "method", "weight", "is_unsure", "model_version")
        pairs = linkage.queue(s, led)
    show([{name: pair[name] for name in columns} for pair in pairs[:limit]], as_json, "review")


@review_app.command("open")
def review_open(
    by: By,
    approver: Annotated[str, typer.Option("--approver", help="Who approves; somebody else.")],
    purpose: Annotated[str, typer.Option(help="For what; at least ten letters.")],
    hours: Annotated[int, typer.Option(help="How long the opening is valid.")] = 4,
) -> None:
    """Open clear identities for review, on record in the purpose log; without it nothing is shown or decided."""
    from warehouse import purpose as purposes
    from warehouse.night import open_ledger

    s = get_settings()
    opening = purposes.open_for(s, open_ledger(s), "identity", by, purpose, hours, approver=approver)
    show({key: opening[key] for key in ("opening_id", "person", "expires_at")}, False, "opening")


@review_app.command("person")
def review_person(person_key: str, as_json: Json = False) -> None:
    """The records that are one person by the last linking: keys, methods and weights, nothing of anybody."""
    from warehouse import linkage

    show(linkage.person(get_settings(), person_key), as_json, "records")


@review_app.command("ask")
def review_ask(record_key: str, other_record_key: str, by: By, reason: Reason, as_json: Json = False) -> None:
    """Put two records into the queue that nothing put there, linked or not: to look, and to decide anew."""
    from warehouse import linkage
    from warehouse.night import open_ledger

    s = get_settings()
    show({"pair_id": linkage.ask(s, open_ledger(s), record_key, other_record_key, reason, by)}, as_json, "review")


@review_app.command("show")
def review_show(pair_id: str, by: By) -> None:
    """Both records of a pair in clear, on a terminal only: not into a file, not into a pipe."""
    from warehouse import linkage
    from warehouse.night import open_ledger

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
    from warehouse.night import open_ledger

    s = get_settings()
    made = linkage.decide(s, open_ledger(s), pair_id, decision, reason, by)
    show({key: made[key] for key in ("decision_id", "decision", "decided_at")}, as_json, pair_id)


@linkage_app.command("train")
def linkage_train(as_json: Json = False) -> None:
    """Learn the model anew from the identities in force; the new version counts from the next linking on."""
    from warehouse import linkage
    from warehouse.night import open_ledger

    s = get_settings()
    linkage.train(s, open_ledger(s))
    show(linkage.models(s), as_json, "models")


@linkage_app.command("models")
def linkage_models(as_json: Json = False) -> None:
    """Versions of the linkage model, oldest first; the last one counts."""
    from warehouse import linkage

    show(linkage.models(get_settings()), as_json, "models")


# --- settings


@contracts_app.command("publish")
def contracts_publish(datasets: Annotated[list[str] | None, typer.Argument()] = None, as_json: Json = False) -> None:
    """Keep what contracts (all, or those named) promise now; what breaks it later needs a new major version."""
    from warehouse.contract import get_contract, load_contracts, published

    s = get_settings()
    chosen = [get_contract(s.contracts_dir, name) for name in datasets or load_contracts(s.contracts_dir)]
    show(published.publish(s.contracts_dir.parent / published.FILE, chosen), as_json, "contracts")


@app.command("check-config")
def check_config(as_json: Json = False) -> None:
    """Check settings, keys, contracts, ledger and server addresses before a night does."""
    from warehouse import agencies, gate, keys
    from warehouse.contract import load_contracts, published
    from warehouse.night import open_ledger

    s = get_settings()
    checks: list[dict[str, Any]] = []

    def check(name: str, step) -> None:
        try:
            checks.append({"check": name, "ok": True, "detail": step()})
        except WarehouseError as error:
            words = (error.code, error.message_id, error.action_id, error.message_en, error.action_en)
            checks.append({"check": name, "ok": False, "detail": " ".join(filter(None, words))})

    def contracts() -> str:
        loaded = load_contracts(s.contracts_dir).values()
        parts = sum(len(agencies.parts(s, contract)) for contract in loaded)
        rules = sum(len(gate.all_rules(contract)) for contract in loaded)
        published.confirm(s.contracts_dir.parent / published.FILE, loaded)
        return f"{len(loaded)} datasets, {parts} parts, {rules} rules"

    def mart_rules() -> str:
        rules = [gate.mart_rules(path) for path in sorted(s.mart_rules_dir.glob("*.yaml"))]
        return f"{len(rules)} marts, {sum(map(len, rules))} rules"

    check("home", lambda: str(s.home))
    check("contracts", contracts)
    check("rules of marts", mart_rules)
    check("keys", lambda: keys.describe(s))
    check("ledger", lambda: open_ledger(s).engine.dialect.name)
    check("endpoints", lambda: "replaced by file" if s.endpoints.is_file() else "as in the contracts")
    show(checks, as_json, "check-config")
    if not all(row["ok"] for row in checks):
        raise typer.Exit(2)


def _log_to_file() -> None:
    """Warnings go to ``logs/warehouse.log``; what a person must know is printed as an outcome or an error."""
    folder = get_settings().home / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = logging.FileHandler(folder / "warehouse.log", encoding="utf-8")
    except PermissionError:
        # A reader's account: nothing in the home is writable.
        handler = logging.NullHandler()
    logging.basicConfig(
        level=logging.WARNING,
        format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s",
        handlers=[handler],
    )


def main() -> None:
    """Entry point: a WarehouseError becomes its message, its action and its exit code."""
    from warehouse.sandbox.commands import sandbox_app

    app.add_typer(sandbox_app, name="sandbox")
    try:
        _log_to_file()
        app()
    except WarehouseError as error:
        complain(error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
