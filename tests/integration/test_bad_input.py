"""Each bad input ends in a clear ledger row and message, the last good delivery stays in force, the night releases.

One home takes every bad input in turn; then one night is run on it.
"""

import csv
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support import samples
from tests.support.sandbox_home import NEWEST, TONIGHT, last_period
from warehouse import ledger, night
from warehouse.core.contract import load_contracts
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, deliveries
from warehouse.sandbox import control

EPPGBM = "kemenkes/eppgbm"
EARLIER = NEWEST.shift(-2)


@dataclass
class Home:
    """The battered home, what was in force before, and what each bad input left in the ledger."""

    s: Settings
    led: Ledger
    before: dict[str, set[str]]
    fetches: dict[str, dict[str, Any]]
    verdicts: dict[str, dict[str, Any]]
    marts: dict[str, Any]


def _in_force(s: Settings, led: Ledger) -> dict[str, set[str]]:
    return {
        name: {one.delivery_id for one in deliveries.in_force(led, name, contract.extras.delivery_mode)}
        for name, contract in load_contracts(s.contracts_dir).items()
    }


def _file(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def _eppgbm_csv(edit: Callable[[list[dict[str, Any]]], Any] = lambda rows: rows, period: Period = EARLIER) -> bytes:
    """A good file of an earlier month, edited."""
    rows = samples.good_rows(EPPGBM)
    for row in rows:
        assert "2026-10" in row["tanggal_pengukuran"]
        row["tanggal_pengukuran"] = row["tanggal_pengukuran"].replace("2026-10", period.label)
    edit(rows)
    data, _media = samples.as_file(EPPGBM, rows, shape="sigizi_csv")
    return data


def _eppgbm_xlsx() -> bytes:
    return samples.as_file(EPPGBM, samples.good_rows(EPPGBM), shape="sigizi_xlsx")[0]


def _without_header(data: bytes, header: str, renamed: str | None) -> bytes:
    text = data.decode("utf-8-sig")
    assert header in text
    if renamed is not None:
        return text.replace(header, renamed, 1).encode()
    rows = list(csv.reader(io.StringIO(text), delimiter=";"))
    at = next(row.index(header) for row in rows if header in row)
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows([cell for n, cell in enumerate(row) if n != at] for row in rows)
    return out.getvalue().encode()


def _extra_column(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["Kolom Baru"] = "1"


def _scientific_nik(rows: list[dict[str, Any]]) -> None:
    rows[0]["nik"] = "3.67101E+15"


def _sheet() -> bytes:
    """A polsek's month of twenty good sessions, and one each in no kelurahan, of minus five people, of no segment."""
    good = samples.good_rows("polri/outreach")[0]
    days = [f"{EARLIER.label}-{day:02d}" for day in range(1, 24)]
    rows = [good | {"tanggal": day} for day in days]
    rows[20]["kelurahan"] = "Antah Berantah"
    rows[21]["jumlah_hadir"] = "-5"
    rows[22]["segmen"] = "PETANI"
    return samples.as_file("polri/outreach", rows)[0]


def _participants_of_no_segment() -> bytes:
    rows = [row | {"blth_iuran": EARLIER.label} for row in samples.good_rows("bpjstk/participants")]
    rows[0]["segmen"] = "MAGANG"
    return samples.as_file("bpjstk/participants", rows, shape="participants_csv")[0]


# Name -> (file name, bytes): files that come by hand for a puskesmas each.
FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty": ("empty.csv", lambda: b""),
    "truncated": ("truncated.xlsx", lambda: _eppgbm_xlsx()[:1500]),
    "html": ("answer.csv", lambda: b"<!DOCTYPE html><html><body>Gangguan</body></html>"),
    "wrong_dataset": ("wrong.csv", lambda: samples.as_file(
        "kemensos/assistance", samples.good_rows("kemensos/assistance"))[0]),
    "renamed": ("renamed.csv", lambda: _without_header(_eppgbm_csv(), "Tgl Lahir", "Lahirnya")),
    "missing": ("missing.csv", lambda: _without_header(_eppgbm_csv(), "Tinggi", None)),
    "extra": ("extra.csv", lambda: _eppgbm_csv(_extra_column)),
    "encoding": ("encoding.csv", lambda: _eppgbm_csv().decode("utf-8-sig").encode("utf-16")),
    "scientific_nik": ("scientific.csv", lambda: _eppgbm_csv(_scientific_nik)),
}  # fmt: skip


def _with_expired_agreement(s: Settings, folder: Path) -> Settings:
    """The same settings with contracts whose e-PPGBM agreement ended yesterday."""
    folder.mkdir()
    shutil.copytree(s.project_dir / "expectations", folder / "expectations")
    (folder / "dbt_project").symlink_to(s.dbt_dir)
    path = folder / "expectations" / "sources" / "kemenkes" / "eppgbm.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    assert "2027-12-31" in text
    path.write_text(text.replace("2027-12-31", f"{TONIGHT - timedelta(days=1)}"), encoding="utf-8")
    return s.model_copy(update={"project_dir": folder})


@pytest.fixture(scope="module")
def battered(
    home: Settings, agencies_home: tuple[Settings, control.Running], tmp_path_factory: pytest.TempPathFactory
) -> Home:
    _, running = agencies_home
    folder = tmp_path_factory.mktemp("bad input")
    led = ledger.open_ledger(home)
    before = _in_force(home, led)
    fetches: dict[str, dict[str, Any]] = {}
    verdicts: dict[str, dict[str, Any]] = {}

    def newest(table: str, order: str) -> dict[str, Any]:
        return led.rows(f"select * from {table} order by {order} desc limit 1")[0]

    parts = [one.part for one in deliveries.in_force(led, EPPGBM, "snapshot")]
    for (name, (file, make)), part in zip(FILES.items(), parts, strict=False):
        night.ingest_file(EPPGBM, EARLIER, part, _file(folder, file, make()), s=home)
        fetches[name] = newest("fetches", "ended_at")
        verdicts[name] = newest("verdicts", "judged_at")

    expired = _with_expired_agreement(home, folder / "project")
    night.ingest_file(EPPGBM, EARLIER, parts[-1], _file(folder, "expired.csv", _eppgbm_csv()), s=expired)
    verdicts["expired"] = newest("verdicts", "judged_at")

    for name, dataset, part, file, data in (
        ("sheet", "polri/outreach", "benda", "sheet.xlsx", _sheet()),
        ("no_segment", "bpjstk/participants", "cikokol", "participants.csv", _participants_of_no_segment()),
    ):
        night.ingest_file(dataset, EARLIER, part, _file(folder, file, data), s=home)
        verdicts[name] = newest("verdicts", "judged_at")

    faults = {
        "html": ("portal", "portal/investment"),
        "refused": ("bpjstk", "bpjstk/participants"),
        "host_key": ("polres", "polri/outreach"),
        "down": ("dukcapil", "dukcapil/population"),
    }
    for kind, (agency, dataset) in faults.items():
        running.fault(agency, kind)
        night.ingest_periods(dataset, [last_period(home, dataset)], s=home)
        fetches[f"fault_{kind}"] = newest("fetches", "ended_at")
        running.clear_faults()

    running.fault("polres", "down")
    night.ingest_periods("polri/outreach", [NEWEST], s=home)
    running.clear_faults()

    night.ingest_periods(EPPGBM, [Period.parse("2027-03")], parts[:1], s=home)
    fetches["no_file"] = newest("fetches", "ended_at")
    return Home(home, led, before, fetches, verdicts, night.marts(TONIGHT, s=home))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("empty", "PARSE_EMPTY"),
        ("truncated", "PARSE_TRUNCATED"),
        ("html", "PARSE_HTML"),
        ("wrong_dataset", "PARSE_WRONG_DATASET"),
        ("renamed", "PARSE_MISSING_COLUMNS"),
        ("missing", "PARSE_MISSING_COLUMNS"),
        ("encoding", "PARSE_ENCODING"),
        ("expired", "AGREEMENT_EXPIRED"),
    ],
)
def test_an_unusable_file_is_held_with_a_reason_a_person_can_act_on(battered: Home, name: str, code: str):
    verdict = battered.verdicts[name]
    assert (verdict["verdict"], verdict["reason_code"]) == ("held", code)
    assert len(verdict["message_id"]) > 20
    assert len(verdict["message_en"]) > 20


def test_a_missing_column_is_named(battered: Home):
    assert "Tinggi" in battered.verdicts["missing"]["message_id"]
    assert "Tgl Lahir" in battered.verdicts["renamed"]["message_id"]


def test_an_unknown_column_is_admitted_without_it_and_said(battered: Home):
    verdict = battered.verdicts["extra"]
    assert verdict["verdict"] != "held"
    rule = {"verdict": verdict["verdict_id"]}
    found = battered.led.rows(
        "select outcome from rule_results where verdict_id = :verdict and rule_code = 'KEMENKES__EPPGBM-HEADERS'",
        **rule,
    )
    assert [row["outcome"] for row in found] == ["fail"]


def test_a_nik_in_scientific_notation_takes_its_row_out_and_says_which(battered: Home):
    verdict = battered.verdicts["scientific_nik"]
    assert (verdict["verdict"], verdict["rows_quarantined"]) == ("accepted_with_quarantine", 1)
    pointers = battered.led.rows(
        "select column_name, source_row from quarantined_rows where verdict_id = :v", v=verdict["verdict_id"]
    )
    assert {row["column_name"] for row in pointers} == {"nik"}


def test_a_segment_nobody_knows_holds_the_file_and_names_the_rule(battered: Home):
    verdict = battered.verdicts["no_segment"]
    failed = battered.led.rows(
        "select rule_code from rule_results where verdict_id = :v and outcome = 'fail' and severity = 'stop'",
        v=verdict["verdict_id"],
    )
    assert verdict["verdict"] == "held"
    assert "JAMSOSTEK-006" in {row["rule_code"] for row in failed}


def test_a_sheet_s_impossible_sessions_are_put_aside_and_the_mart_counts_them(battered: Home):
    verdict = battered.verdicts["sheet"]
    assert (verdict["rows_read"], verdict["rows_admitted"], verdict["rows_quarantined"]) == (23, 20, 3)
    pointers = battered.led.rows(
        "select rule_code, source_row from quarantined_rows where verdict_id = :v", v=verdict["verdict_id"]
    )
    assert {row["rule_code"] for row in pointers} == {"OUTREACH-001", "OUTREACH-004", "POLRI__OUTREACH-CODE-segmen"}
    with duckdb.connect(str(battered.s.build_file), read_only=True) as con:
        found = con.execute(
            "select kemendagri_code, measure, numerator from marts.outreach_by_area_month where period_start = ?"
            " and segment = 'all' and area_level = 'kelurahan' and numerator > 0"
            " and measure in ('sessions', 'people_reached', 'rows_put_aside')",
            [EARLIER.start],
        ).fetchall()
        by_segment = con.execute(
            "select distinct segment from marts.outreach_by_area_month where measure = 'sessions' and period_start = ?",
            [EARLIER.start],
        ).fetchall()
    assert set(found) == {
        ("36.71.04.1004", "sessions", 20),
        ("36.71.04.1004", "people_reached", 600),
        ("36.71.04.0000", "rows_put_aside", 3),
    }
    assert {segment for (segment,) in by_segment} == {"all", "BPU", "pedagang"}


@pytest.mark.parametrize(
    ("name", "outcome", "code"),
    [
        ("fault_html", "failed", "FETCH_NOT_DATA"),
        ("fault_refused", "refused", "FETCH_REFUSED"),
        ("fault_host_key", "failed", "FETCH_HOST_KEY"),
        ("fault_down", "failed", "FETCH_UNREACHABLE"),
        ("no_file", "not_available", "FETCH_NOT_AVAILABLE"),
    ],
)
def test_an_agency_that_does_not_deliver_leaves_one_row_with_what_to_do(battered: Home, name, outcome, code):
    fetch = battered.fetches[name]
    assert (fetch["outcome"], fetch["error_code"], fetch["delivery_id"]) == (outcome, code, None)
    assert fetch["message_id"]
    assert fetch["message_en"]


def test_an_agency_that_is_down_leaves_a_row_for_each_part_and_is_not_asked_for_all(battered: Home):
    rows = battered.led.rows(
        "select part, started_at, ended_at from fetches where dataset = 'polri/outreach'"
        " and error_code = 'FETCH_UNREACHABLE' order by started_at"
    )
    assert len({row["part"] for row in rows}) == 13
    assert all((row["ended_at"] - row["started_at"]).total_seconds() < 1 for row in rows[2:])


def test_every_row_is_accounted_for(battered: Home):
    totals = battered.led.rows("select rows_read, rows_admitted, rows_quarantined, rows_refused from verdicts")
    assert len(totals) > 60
    for row in totals:
        assert row["rows_read"] == row["rows_admitted"] + row["rows_quarantined"] + row["rows_refused"]


def test_what_was_in_force_still_is_and_the_night_released(battered: Home):
    now = _in_force(battered.s, battered.led)
    assert all(before <= now[name] for name, before in battered.before.items())
    assert battered.marts["outcome"] == "released"


def test_freshness_names_what_never_came(battered: Home):
    from warehouse.read import marts

    _, rows = marts.query(
        battered.s,
        "select last_good_delivery_id, is_stale from ops_freshness where dataset = 'published/official_figures'",
    )
    assert rows == [(None, True)]


def test_a_second_file_of_a_puskesmas_replaces_the_first_and_a_missing_one_is_counted(home: Settings, tmp_path: Path):
    led = ledger.open_ledger(home)
    period = NEWEST.shift(-3)
    parts = [one.part for one in deliveries.in_force(led, EPPGBM, "snapshot")][:2]
    first = _file(tmp_path, "first.csv", _eppgbm_csv(period=period))
    second = _file(tmp_path, "second.csv", _eppgbm_csv(lambda rows: rows.pop(), period))
    for part, path in ((parts[0], first), (parts[1], first), (parts[0], second), (parts[0], second)):
        night.ingest_file(EPPGBM, period, part, path, s=home)
    in_force = [one for one in deliveries.in_force(led, EPPGBM, "snapshot") if one.period_start == period.start]
    assert sorted(one.part for one in in_force) == sorted(parts)
    arrived = led.rows(
        "select outcome from fetches where dataset = :d and period_start = :p order by ended_at",
        d=EPPGBM, p=period.start.isoformat(),
    )  # fmt: skip
    assert [row["outcome"] for row in arrived] == ["landed", "landed", "landed", "unchanged"]
