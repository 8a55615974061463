"""`warehouse sandbox`: make the synthetic city, run its agencies, load their history, and run a night on them.

Everything here works on a sandbox home only: a home whose keys carry no sandbox mark is refused.
"""

import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, wait
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Annotated, Any

import typer

from warehouse import ledger
from warehouse.core.console import Watch, out, say, show
from warehouse.core.errors import ConfigError
from warehouse.core.periods import JAKARTA, Period
from warehouse.core.settings import Settings, get_settings

sandbox_app = typer.Typer(no_args_is_help=True, help="The synthetic city and its agencies, for trying everything out.")

HISTORY_MONTHS = 13
# Months the city is drawn beyond the newest: agencies keep them to themselves until the clock has come there.
MONTHS_AHEAD = 12
# Series that a warehouse fetches whole when it starts: BPS has poverty from 2004, the walidata's first file is of 2023.
SERIES_SINCE = {"bps/indicators": 2004, "published/official_figures": 2023}
# Slowest first, so that the last dataset to finish is a short one.
HEAVY_FIRST = (
    "kemenkes/eppgbm",
    "bpjstk/participants",
    "bps/social_registry_individuals",
    "bps/social_registry_families",
    "polri/outreach",
    "kemensos/assistance",
    "bps/indicators",
)

Scale = Annotated[
    str,
    typer.Option(
        help="'default' (19 whole kelurahan, about 240 thousand persons) or a share of the city such as 0.02 or 1.0,"
        " met by as many whole kelurahan as come nearest to it."
    ),
]


def _city_file(s: Settings) -> Path:
    return s.home / "sandbox" / "city.json"


def prepare(s: Settings, scale: str | None, watch: Watch) -> dict[str, Any]:
    """Sandbox keys and city; made once, grown when a month has ended, made anew for another scale.

    ``scale`` None: the city at hand.
    """
    from warehouse.sandbox import city, render
    from warehouse.storage import keys, sample

    if not keys.is_sandbox(s):
        if s.keys.exists() and any(s.keys.iterdir()):
            raise ConfigError(
                "NOT_A_SANDBOX",
                f"Folder kunci {s.keys} bukan milik sandbox.",
                f"The keys in {s.keys} are not a sandbox's.",
                "Pakai WAREHOUSE_HOME lain untuk sandbox.",
                "Use another WAREHOUSE_HOME for the sandbox.",
            )
        keys.make_sandbox_keys(s)
    newest = _newest_month(s)
    # A city that does not say whom it peoples is of a former version, and its deliveries are of other people.
    sample.declared(s)
    notes = _known(s)
    scale = scale or notes.get("scale", "default")
    folder = s.home / "sandbox"
    if notes.get("scale") == scale and newest <= Period.parse(notes["last_month"]):
        if newest > Period.parse(notes["newest_month"]):
            with watch.step("city"):
                watch(f"further months until {newest.label}")
                render.extend_holdings(folder, newest, progress=watch)
            _note(s, newest_month=newest.label)
        _bring_by_hand(s)
        return _known(s)
    with watch.step("city"):
        watch(f"drawing ({scale})")
        share = scale if scale == "default" else float(scale)
        last = newest.shift(MONTHS_AHEAD)
        months = HISTORY_MONTHS + 1 + MONTHS_AHEAD
        city.build_city(folder, scale=share, tonight=last.end, months=months, progress=watch)
        render.render_holdings(folder, until=newest, progress=watch)
    _bring_by_hand(s)
    return _note(s, scale=scale, newest_month=newest.label, last_month=last.label)


def _bring_by_hand(s: Settings) -> None:
    """Play the hand that puts what comes by hand where a person would; what lies there already stays."""
    holdings = s.home / "sandbox" / "holdings" / "by_hand"
    for file in [path for path in holdings.rglob("*") if path.is_file()]:
        target = s.home / "inbox" / file.relative_to(holdings)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)


def _known(s: Settings) -> dict[str, Any]:
    """What is known of the city; empty before it is drawn."""
    file = _city_file(s)
    notes: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return notes


def _note(s: Settings, **new_notes: Any) -> dict[str, Any]:
    """Add to what is known of the city."""
    notes = _known(s) | new_notes
    _city_file(s).write_text(json.dumps(notes))
    return notes


def _newest_month(s: Settings) -> Period:
    """The newest complete month."""
    return Period.containing("month", s.today()).shift(-1)


def history_periods(s: Settings, dataset: str) -> list[Period]:
    """Periods of the 13 months before the newest complete month; the newest period itself is left for tonight.

    Yearly data go to where their series begins, else two years further back: surveys and lines are published late.
    """
    from warehouse.core.contract import get_contract

    kind = get_contract(s.contracts_dir, dataset).extras.period_kind
    newest, first = _window(s)
    if kind == "year":
        since = SERIES_SINCE.get(dataset, newest.start.year - 2)
        return [Period(date(year, 1, 1), kind) for year in range(since, newest.start.year + 1)]
    periods = {Period.containing(kind, first.shift(n).start) for n in range(HISTORY_MONTHS)}
    return sorted(period for period in periods if period.end <= newest.start)


def _window(s: Settings) -> tuple[Period, Period]:
    """The newest complete month, and the first of the 13 before it: the month in which this warehouse began."""
    return _newest_month(s), _newest_month(s).shift(-HISTORY_MONTHS)


OnBatch = Callable[[str, int, int], None]


def load_history(s: Settings, dataset: str, on_batch: OnBatch | None = None) -> dict[str, Any]:
    """Ingest what history still lacks, each part of a period as of the day it was due; runs in a process of its own.

    What was due before the warehouse began is asked for together, on its first day. A vintage that grows while its
    period runs is whole at the agencies: it comes when the period has ended, or now. A history that was complete once
    is asked only for periods of which nothing came: parts that are late are the nights' matter. ``on_batch`` is given
    the dataset, and the deliveries and rows that have come since the batch before.
    """
    from warehouse import night
    from warehouse.core.contract import get_contract
    from warehouse.intake import agencies

    contract = get_contract(s.contracts_dir, dataset)
    led = ledger.open_ledger(s)
    total: dict[str, Any] = {"dataset": dataset, "outcome": "unchanged", "seconds": 0.0, "accepted": 0, "held": 0,
                             "missing": 0, "failed": 0, "rows_admitted": 0, "rows_quarantined": 0}  # fmt: skip
    part_names = agencies.parts(s, contract)
    began = _window(s)[1].start
    is_loaded = _known(s).get("is_history_loaded")
    present = {
        (row["period_start"], row["part"])
        for row in led.rows(
            "select distinct period_start, part from deliveries where dataset = :dataset and period_kind = :kind",
            dataset=dataset,
            kind=contract.extras.period_kind,
        )
    }
    loaded_starts = {start for start, _part in present} if is_loaded else set()
    turns: dict[datetime, dict[Period, list[str]]] = {}
    for period in history_periods(s, dataset):
        for part in part_names:
            if period.start in loaded_starts or (period.start, part) in present:
                continue
            day = max(period.due_on(contract.due_day(part)), began)
            if contract.extras.delivery_mode == "vintage":
                day = max(day, period.end)
            at = datetime.combine(day, datetime.min.time(), JAKARTA).astimezone(UTC) + timedelta(hours=19)
            turns.setdefault(min(at, s.utc_now()), {}).setdefault(period, []).append(part)
    for at, questions in sorted(turns.items()):
        outcome = night.ingest_asked(dataset, sorted(questions.items()), s=s.standing_at(at)).as_dict()
        for key in total.keys() - {"dataset", "outcome"}:
            total[key] += outcome[key]
        total["outcome"] = outcome["outcome"]
        if on_batch:
            on_batch(dataset, outcome["accepted"] + outcome["held"], outcome["rows_admitted"])
    return total


def _workers(said: "Queue[Any]", judges: bool) -> ProcessPoolExecutor:
    """A process more than cores, as each waits for agencies and disk.

    Where they will judge, what judging needs is imported once, before they fork.
    """
    if judges:
        import great_expectations  # noqa: F401

        from warehouse import night  # noqa: F401

    return ProcessPoolExecutor(max_workers=(os.cpu_count() or 2) + 1, initializer=_listen, initargs=(said,))


_said: "Queue[Any]"


def _listen(said: "Queue[Any]") -> None:
    global _said
    _said = said


def _load_one(s: Settings, dataset: str) -> dict[str, Any]:
    return load_history(s, dataset, lambda *told: _said.put(told))


def _load_all(s: Settings, watch: Watch, pool: Executor, said: "Queue[Any]") -> None:
    from warehouse import night

    names = sorted(night.datasets(s=s), key=lambda n: HEAVY_FIRST.index(n) if n in HEAVY_FIRST else len(HEAVY_FIRST))
    with watch.step("history"):
        running = {pool.submit(_load_one, s, name) for name in names}
        n_done = deliveries = rows = 0
        while running:
            with suppress(Empty):
                dataset, came, n_admitted = said.get(timeout=0.5)
                deliveries, rows = deliveries + came, rows + n_admitted
                watch(f"{n_done}/{len(names)} datasets, {deliveries:,} deliveries, {rows:,} rows ({dataset})")
            finished_futures, running = wait(running, timeout=0, return_when=FIRST_COMPLETED)
            for row in (task.result() for task in finished_futures):
                n_done += 1
                watch(f"{n_done}/{len(names)} {row['dataset']}: {row['accepted']} accepted, {row['held']} held,"
                      f" {row['failed']} failed, {row['rows_admitted']:,} rows ({row['seconds']:.0f} s)")  # fmt: skip
    _note(s, is_history_loaded=True)


@sandbox_app.command("build")
def build_command(scale: Scale = "default") -> None:
    """Make the keys and the synthetic city."""
    with Watch() as watch:
        prepare(get_settings(), scale, watch)


@sandbox_app.command("history")
def history_command() -> None:
    """Load the agencies' history (the agencies are started for as long as it takes)."""
    with Watch() as watch:
        _play_history(get_settings(), watch)


@sandbox_app.command("start")
def start_command() -> None:
    """Run the agencies' servers until Ctrl-C."""
    from warehouse.sandbox import control

    with control.start(get_settings()) as running:
        say(f"Agencies are up: {json.dumps(running.endpoints)}")
        _wait_for_ctrl_c()


Airflow = Annotated[bool, typer.Option(help="Through the real DAGs.")]


@sandbox_app.command("run")
def run_command(scale: Scale = "default", airflow: Airflow = True) -> None:
    """City, history, then tonight through Airflow; ends with tables and queries to try."""
    s = get_settings()
    start = time.monotonic()
    with Watch() as watch:
        prepare(s, scale, watch)
        rows, marts = play_night(s, airflow, watch)
    show_night(rows, marts, watch, start)
    out.print(f"Marts   {s.current / 'marts.duckdb'}\nLaporan {s.reports_dir / 'current' / 'index.html'}")
    out.print("Coba / try:")
    for query in QUERIES:
        out.print(f'  .venv/bin/warehouse sql "{query}"', highlight=False, soft_wrap=True)


@sandbox_app.command("tomorrow")
def tomorrow_command(airflow: Airflow = True) -> None:
    """Move this home's clock to the next day on which something happens, and play its night; again and again."""
    from warehouse.sandbox import tomorrow

    start = time.monotonic()
    with Watch() as watch:
        s, rows, marts = play_tomorrow(get_settings(), airflow, watch)
    show_night(rows, marts, watch, start)
    show(tomorrow.to_see(s), False, f"Yang perlu dilihat pada {s.today()} / what to look at")
    for line in tomorrow.to_do(s):
        out.print(line, highlight=False, soft_wrap=True, markup=False)


@sandbox_app.command("fault")
def fault_command(
    agency: Annotated[str | None, typer.Argument(help="Who has it; none: list what each can have.")] = None,
    kind: Annotated[str | None, typer.Argument(help="Which.")] = None,
    times: Annotated[int | None, typer.Option(help="For so many requests; default until it is removed.")] = None,
    seconds: Annotated[float, typer.Option(help="How long a slow agency takes.")] = 1.0,
    clear: Annotated[bool, typer.Option("--clear", help="Remove the agency's fault, without an agency all.")] = False,
) -> None:
    """Plant a fault at an agency, or remove it; agencies that run already have it from their next request on."""
    from warehouse.core.contract import load_contracts
    from warehouse.sandbox import faults, servers

    s = get_settings()
    if clear:
        servers.planted(s).clear(agency)
    elif agency and kind:
        servers.plant(s, agency, kind, times, seconds)
    else:
        speaking = servers.speaking(load_contracts(s.contracts_dir).values())
        rows = [
            {"agency": name, "fault": one, "": faults.KINDS[one]}
            for name, protocol in speaking.items()
            if agency in (None, name)
            for one in faults.KINDS_OF[protocol]
        ]
        show(rows, False, "Gangguan yang dapat dipasang / faults to plant")
    show(_planted(s), False, "Terpasang / planted")


def _planted(s: Settings) -> list[dict[str, Any]]:
    from warehouse.sandbox import servers

    return [fault.model_dump() for fault in servers.planted(s).all()]


@sandbox_app.command("story")
def story_command(as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False) -> None:
    """Tell what `tomorrow` planted, day by day, and the faults in force. The pipeline never reads it."""
    from warehouse.sandbox import sent

    s = get_settings()
    days, planted = sent.story(s), _planted(s)
    if as_json:
        show({"days": days, "faults": planted}, True)
        return
    columns = ("day", "kind", "dataset", "period", "part", "rule", "returns_on")
    rows = [{"day": day["day"], **event} for day in days for event in day["planted"]]
    show([{name: row.get(name) for name in columns} for row in rows], False, "Cerita / story")
    show(planted, False, "Gangguan / faults")


def play_tomorrow(s: Settings, airflow: bool, watch: Watch) -> tuple[Settings, list[dict[str, Any]], dict[str, Any]]:
    """Let a home's agencies do what they do by its next day, move its clock there, and run that night."""
    from warehouse.sandbox import render, tomorrow

    notes = _known(s)
    if not notes.get("is_history_loaded"):
        raise ConfigError(
            "SANDBOX_NOT_RUN",
            f"{s.home} belum mempunyai kota contoh dengan riwayat.",
            f"{s.home} has no sample city with a history yet.",
            "Jalankan `make run` lebih dulu.",
            "Run `make run` first.",
        )
    day = tomorrow.next_day(s)
    newest = Period.containing("month", day).shift(-1)
    if newest > Period.parse(notes["last_month"]):
        raise ConfigError(
            "SANDBOX_CITY_ENDS",
            f"Kota contoh digambar hanya sampai {notes['last_month']}.",
            f"The sample city is drawn until {notes['last_month']} only.",
            "Mulai lagi dengan `make clean run`, atau pakai WAREHOUSE_HOME lain.",
            "Begin anew with `make clean run`, or use another WAREHOUSE_HOME.",
        )
    if newest > Period.parse(notes["newest_month"]):
        with watch.step("city"):
            render.extend_holdings(s.home / "sandbox", newest, progress=watch)
        _note(s, newest_month=newest.label)
    if day - timedelta(days=1) > s.today():
        # What fell due on the days between comes as it would have come on them, before anything of the day's own does.
        s = tomorrow.moved(s, day - timedelta(days=1))
        _play_history(s, watch)
    tomorrow.play(s, day)
    s = tomorrow.moved(s, day)
    get_settings.cache_clear()
    rows, marts = play_night(s, airflow, watch)
    return s, rows, marts


def _play_history(s: Settings, watch: Watch) -> None:
    from warehouse.sandbox import control

    said: Queue[Any] = multiprocessing.Queue()
    with control.start(s), _workers(said, judges=True) as pool:
        _load_all(s, watch, pool, said)


def play_night(s: Settings, airflow: bool, watch: Watch) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What history lacks, and the night of today; gives the outcome of each dataset and of the marts."""
    from warehouse import night
    from warehouse.sandbox import control, local_airflow

    said: Queue[Any] = multiprocessing.Queue()
    with watch.step("agencies"):
        agencies = control.start(s)
    is_loaded = _known(s).get("is_history_loaded", False)
    with agencies, _workers(said, judges=not is_loaded) as pool:
        _load_all(s, watch, pool, said)
        if airflow:
            # Their memory is Airflow's from here on.
            pool.shutdown()
            with watch.step("tonight"):
                return local_airflow.run_night(
                    s, night.datasets(s=s), s.today(), progress=watch, doing=partial(night.doing, s)
                )
        rows = []
        with watch.step("ingest"):
            for outcome in night.ingest_all(s.today(), pool, s=s):
                rows.append(outcome.as_dict())
                watch(f"{len(rows)}/{len(night.datasets(s=s))} {outcome.dataset}: {outcome.outcome}")
        pool.shutdown()
        with watch.step("marts"):
            return rows, night.marts(s.today(), s=s, progress=watch)


def show_night(rows: list[dict[str, Any]], marts: dict[str, Any], watch: Watch, start: float) -> None:
    """Tables of at most a hundred columns: what came, how it ended, how long it took."""
    names = {"dataset": "dataset", "outcome": "outcome", "accepted": "taken", "held": "held", "missing": "missing",
             "failed": "failed", "rows_admitted": "admitted", "rows_quarantined": "put aside"}  # fmt: skip
    table = [
        {label: row.get(key) for key, label in names.items()} | {"s": f"{row.get('seconds') or 0:.0f}"}
        for row in sorted(rows, key=lambda row: row["dataset"])
    ]
    show(table, False, "Malam ini / tonight")
    summary = {key: value for key, value in marts.items() if key not in ("stages", "seconds")}
    show([{"marts": key, "": str(value)} for key, value in summary.items()], False)
    stages = {f"  {name}": seconds for name, seconds in marts.get("stages", {}).items()}
    stages = watch.steps | stages | {"semua / all": time.monotonic() - start}
    show([{"tahap / stage": name, "s": f"{spent:.1f}"} for name, spent in stages.items()], False, "Waktu / time")


QUERIES = (
    "select area_name, numerator, denominator, percentage from stunting_by_area_month where measure = 'stunted'"
    " and area_level = 'kecamatan' and period_kind = 'month' and area_basis = 'residence' and age_group = 'all'"
    " and period_start = (select max(period_start) from stunting_by_area_month where period_kind = 'month')"
    " order by percentage desc nulls last",
    "select area_name, desil, numerator from poverty_by_area_period where measure = 'families' and ranking = 'dtsen'"
    " and area_level = 'kecamatan' and desil in ('01', 'unknown', 'all') order by area_name, desil",
    "select dataset, count(*) as parts, sum(case when is_stale then 1 else 0 end) as stale, max(as_of) as as_of"
    " from ops_freshness group by dataset order by dataset",
)


@sandbox_app.command("up")
def up_command(scale: Scale | None = None) -> None:
    """Serve Airflow, the agencies and the report site on localhost until Ctrl-C."""
    from warehouse.sandbox import control, local_airflow

    s = get_settings()
    start = time.monotonic()
    with ExitStack() as stack:
        with Watch() as watch:
            prepare(s, scale, watch)
            with watch.step("start"):
                stack.enter_context(control.start(s))
                running = stack.enter_context(local_airflow.start(s, report=True, progress=watch))
        for line in running.addresses():
            say(line)
        say(f"Siap dalam {time.monotonic() - start:.0f} s / ready")
        _wait_for_ctrl_c()


def _wait_for_ctrl_c() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        say("Stopping ...")
