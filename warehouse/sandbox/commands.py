"""`warehouse sandbox`: make the synthetic city, run its agencies, load their history, and run a night on them.

Everything here works on a sandbox home only: a home whose keys carry no sandbox mark is refused.
"""

import json
import os
import shutil
import signal
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import typer

from warehouse.console import out, say, show
from warehouse.errors import ConfigError
from warehouse.periods import JAKARTA, Period
from warehouse.settings import Settings, get_settings

sandbox_app = typer.Typer(no_args_is_help=True, help="The synthetic city and its agencies, for trying everything out.")

HISTORY_MONTHS = 13
# Series that a warehouse fetches whole when it starts: BPS has poverty from 2004, the walidata's first file is of 2023.
SERIES_SINCE = {"bps/indicators": 2004, "published/official_figures": 2023}
# Slowest first, so that the last dataset to finish is a short one.
HEAVY_FIRST = ("kemenkes/eppgbm", "bps/social_registry_individuals", "bpjstk/participants", "kemensos/assistance")

Scale = Annotated[
    str,
    typer.Option(
        help="'default' (19 whole kelurahan, about 240 thousand persons) or a share of the city such as 0.02 or 1.0,"
        " met by as many whole kelurahan as come nearest to it."
    ),
]


def _city_file(s: Settings):
    return s.home / "sandbox" / "city.json"


def prepare(s: Settings, scale: str) -> dict[str, Any]:
    """Sandbox keys and city; made once, and anew when the scale or the newest complete month changes."""
    from warehouse import keys, sample
    from warehouse.sandbox import city, render

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
    newest = Period.containing("month", s.today()).shift(-1)
    wanted = {"scale": scale, "newest_month": newest.label}
    # A city that does not say whom it peoples is of a former version, and its deliveries are of other people.
    sample.peopled_kelurahan(s)
    known = json.loads(_city_file(s).read_text()) if _city_file(s).is_file() else {}
    if known.items() >= wanted.items():
        return known
    say(f"Building the city ({scale}) ...")
    started = time.monotonic()
    share = scale if scale == "default" else float(scale)
    city.build_city(s.home / "sandbox", scale=share, tonight=s.today(), months=HISTORY_MONTHS + 1, progress=say)
    render.render_holdings(s.home / "sandbox", progress=say)
    # Published figures come by hand: the sandbox plays the hand that puts them where a person would.
    shutil.copytree(s.home / "sandbox" / "holdings" / "by_hand", s.home / "inbox", dirs_exist_ok=True)
    declared = json.loads(_city_file(s).read_text())
    _city_file(s).write_text(json.dumps(declared | wanted))
    say(f"City built in {time.monotonic() - started:.0f} s")
    return declared | wanted


def history_periods(s: Settings, dataset: str) -> list[Period]:
    """Periods of the 13 months before the newest complete month; the newest period itself is left for tonight.

    Yearly data go to where their series begins, else two years further back: surveys and lines are published late.
    """
    from warehouse.contract import get_contract

    kind = get_contract(s.contracts_dir, dataset).extras.period_kind
    newest, first = _window(s)
    if kind == "year":
        since = SERIES_SINCE.get(dataset, newest.start.year - 2)
        return [Period(date(year, 1, 1), kind) for year in range(since, newest.start.year + 1)]
    periods = {Period.containing(kind, first.shift(n).start) for n in range(HISTORY_MONTHS)}
    return sorted(period for period in periods if period.end <= newest.start)


def _window(s: Settings) -> tuple[Period, Period]:
    """The newest complete month, and the first of the 13 before it: the month in which this warehouse began."""
    newest = Period.containing("month", s.today()).shift(-1)
    return newest, newest.shift(-HISTORY_MONTHS)


def load_history(s: Settings, dataset: str) -> dict[str, Any]:
    """Ingest what history still lacks, each part of a period as of the day it was due; runs in a process of its own.

    What was due before the warehouse began is asked for together, on its first day. A vintage that grows while its
    period runs is whole at the agencies: it comes when the period has ended, or now.
    """
    from warehouse import agencies, night
    from warehouse.contract import get_contract

    contract = get_contract(s.contracts_dir, dataset)
    led = night.open_ledger(s)
    total: dict[str, Any] = {"dataset": dataset, "outcome": "unchanged", "seconds": 0.0, "accepted": 0, "held": 0,
                             "missing": 0, "failed": 0, "rows_admitted": 0, "rows_quarantined": 0}  # fmt: skip
    expected = agencies.parts(s, contract)
    began = _window(s)[1].start
    present = {
        (row["period_start"], row["part"])
        for row in led.rows(
            "select distinct period_start, part from deliveries where dataset = :dataset and period_kind = :kind",
            dataset=dataset,
            kind=contract.extras.period_kind,
        )
    }

    turns: dict[datetime, dict[Period, list[str]]] = {}
    for period in history_periods(s, dataset):
        for part in expected:
            if (period.start, part) in present:
                continue
            day = max(period.due_on(contract.due_day(part)), began)
            if contract.extras.delivery_mode == "vintage":
                day = max(day, period.end)
            at = datetime.combine(day, datetime.min.time(), JAKARTA).astimezone(UTC) + timedelta(hours=19)
            turns.setdefault(min(at, s.utc_now()), {}).setdefault(period, []).append(part)
    for at, asked in sorted(turns.items()):
        then = s.model_copy(update={"now": at})
        outcome = night.ingest_asked(dataset, sorted(asked.items()), s=then).as_dict()
        for key in total.keys() - {"dataset", "outcome"}:
            total[key] += outcome[key]
        total["outcome"] = outcome["outcome"]
    return total


def _load_all(s: Settings) -> None:
    from warehouse import night

    names = sorted(night.datasets(s=s), key=lambda n: HEAVY_FIRST.index(n) if n in HEAVY_FIRST else len(HEAVY_FIRST))
    with ProcessPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        tasks = [pool.submit(load_history, s, name) for name in names]
        for done, task in enumerate(as_completed(tasks), 1):
            row = task.result()
            say(
                f"history {done}/{len(names)} {row['dataset']}: {row['accepted']} accepted, {row['held']} held, "
                f"{row['failed']} failed, {row['rows_admitted']:,} rows ({row['seconds']:.0f} s)"
            )


@sandbox_app.command("build")
def build_command(scale: Scale = "default") -> None:
    """Make the keys and the synthetic city."""
    prepare(get_settings(), scale)


@sandbox_app.command("history")
def history_command() -> None:
    """Load the agencies' history (the agencies are started for as long as it takes)."""
    from warehouse.sandbox import control

    s = get_settings()
    with control.start(s):
        _load_all(s)


@sandbox_app.command("start")
def start_command() -> None:
    """Run the agencies' servers until Ctrl-C."""
    from warehouse.sandbox import control

    with control.start(get_settings()) as running:
        say(f"Agencies are up: {json.dumps(running.endpoints)}")
        _wait_for_ctrl_c()


@sandbox_app.command("run")
def run_command(
    scale: Scale = "default", airflow: Annotated[bool, typer.Option(help="Through the real DAGs.")] = True
) -> None:
    """City, history, then tonight through Airflow; ends with a table and queries to try."""
    from warehouse import night, serve
    from warehouse.sandbox import control

    s = get_settings()
    begun = time.monotonic()
    prepare(s, scale)
    with control.start(s):
        _load_all(s)
        say("Tonight ...")
        if airflow:
            rows, marts = serve.run_night(s, night.datasets(s=s), s.today(), progress=say)
        else:
            rows = [night.ingest(name, s.today(), s=s).as_dict() for name in night.datasets(s=s)]
            marts = night.marts(s.today(), s=s, progress=say)
    keys = (
        "dataset",
        "outcome",
        "landed",
        "missing",
        "failed",
        "accepted",
        "held",
        "rows_admitted",
        "rows_quarantined",
        "seconds",
    )
    show([{key: row.get(key) for key in keys} for row in rows], False, "Malam ini / tonight")
    show(marts, False, "Marts")
    out.print(f"Selesai dalam {time.monotonic() - begun:.0f} s / done.")
    out.print(f"Marts   {s.current / 'marts.duckdb'}\nLaporan {s.reports_dir / 'current' / 'index.html'}")
    out.print("Coba / try:")
    for query in QUERIES:
        out.print(f'  .venv/bin/warehouse sql "{query}"', highlight=False, soft_wrap=True)


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
def up_command(scale: Scale = "default") -> None:
    """Serve Airflow, the agencies and the report site on localhost until Ctrl-C."""
    from warehouse import serve
    from warehouse.sandbox import control

    s = get_settings()
    prepare(s, scale)
    with control.start(s), serve.start(s, report=True) as running:
        for line in running.addresses():
            say(line)
        _wait_for_ctrl_c()


def _wait_for_ctrl_c() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        say("Stopping ...")
