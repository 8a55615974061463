"""The ``warehouse`` command as a person runs it: its output, its exit code.

Looking is tried on a good night's home; what changes something is done once, in the order a person would, by ``story``.
Commands run in the tests' process, as starting one costs more than most do; that a process of its own says the same and
ends with the same code is a test here.
"""

import csv
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import samples
from warehouse import cli
from warehouse.core.settings import Settings, get_settings
from warehouse.ledger import Ledger
from warehouse.release.state import current_id

EPPGBM = "kemenkes/eppgbm"
COMMAND = Path(sys.executable).with_name("warehouse")
LATER = "2026-11-22T05:00:00Z"
REASON = ("--reason", "Sudah dicocokkan dengan pengirim", "--by", "Siti")


@dataclass(frozen=True)
class Ended:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def environment(s: Settings) -> dict[str, str]:
    return {
        "WAREHOUSE_HOME": str(s.home),
        "WAREHOUSE_NOW": LATER,
        "WAREHOUSE_ENDPOINTS_FILE": str(s.endpoints),
        "WAREHOUSE_SECRETS_DIR": str(s.secrets),
    }


def run(s: Settings, *arguments: str, **settings: str) -> Ended:
    """Run the command here, with its own arguments, environment and output."""
    code: Any = None
    with (
        pytest.MonkeyPatch.context() as patched,
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        patched.setattr(sys, "argv", [str(COMMAND), *arguments])
        for name, value in (environment(s) | settings).items():
            patched.setenv(name, value)
        get_settings.cache_clear()
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code
        finally:
            get_settings.cache_clear()
    return Ended(code or 0, out.getvalue(), err.getvalue())


def told(s: Settings, *arguments: str) -> Any:
    """What a command that must succeed says with --json."""
    done = run(s, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fails(s: Settings, code: int, *arguments: str, **settings: str) -> str:
    """What a command says that must fail with this exit code: a message, never a traceback."""
    done = run(s, *arguments, **settings)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


QUERY = "select kemendagri_code, area_name from stunting_by_area_month where area_level = 'kota' limit 1"


@pytest.mark.parametrize(
    "arguments",
    [("sql", QUERY, "--json"), ("sql", QUERY), ("build", "--date", "22-11-2026"), ("releases", "unpin", *REASON)],
)
def test_a_process_of_its_own_says_the_same_and_ends_with_the_same_code(home: Settings, arguments: tuple[str, ...]):
    here = run(home, *arguments)
    own = subprocess.run(
        [COMMAND, *arguments], env=os.environ | environment(home), capture_output=True, text=True, check=False
    )
    assert (own.returncode, own.stdout, own.stderr) == (here.returncode, here.stdout, here.stderr)


# --- looking ----------------------------------------------------------------------------------------------------------


def test_status_is_one_page_of_what_is_current_and_what_waits(home: Settings):
    state = told(home, "status")
    assert state["night"]["outcome"] == "released"
    assert (state["release"]["release_id"], state["release"]["is_pinned"]) == (current_id(home), False)
    assert state["held"] == []
    assert {row["parts"] for row in state["datasets"] if row["dataset"] == EPPGBM} == {39}


def test_deliveries_add_up(home: Settings):
    rows = told(home, "deliveries", "--dataset", EPPGBM)
    assert len(rows) == 39
    for row in rows:
        assert row["rows_read"] == row["rows_admitted"] + row["rows_quarantined"] + row["rows_refused"]
    assert len(told(home, "deliveries", "--limit", "3")) == 3


def test_quarantine_counts_by_rule_and_lists_row_numbers(home: Settings):
    counts = told(home, "quarantine")
    assert counts
    first = counts[0]
    rows = told(home, "quarantine", first["delivery_id"])
    assert len([row for row in rows if row["rule_code"] == first["rule_code"]]) == first["quarantined"]
    assert all(row["source_row"] > 1 for row in rows)
    assert rows[0].keys() == {"rule_code", "column_name", "source_part", "source_row"}


def test_sql_answers_in_three_formats(home: Settings):
    assert told(home, "sql", QUERY) == [{"kemendagri_code": "36.71", "area_name": "Kota Tangerang"}]
    assert json.loads(run(home, "sql", QUERY, "--format", "json").stdout)[0]["kemendagri_code"] == "36.71"
    rows = list(csv.reader(io.StringIO(run(home, "sql", QUERY, "--format", "csv").stdout)))
    assert rows == [["kemendagri_code", "area_name"], ["36.71", "Kota Tangerang"]]
    assert "Kota Tangerang" in run(home, "sql", QUERY).stdout
    assert "[bold]" in run(home, "sql", "select '[bold]' as words").stdout
    fails(home, 2, "sql", QUERY, "--format", "xml")


@pytest.mark.parametrize(
    "statement",
    [
        "copy (select 1) to '{folder}/out.csv'",
        "attach '{folder}/other.duckdb' as other",
        "select * from read_csv('{folder}/there.csv')",
        "install httpfs",
        "set enable_external_access = true",
        "select 1; select 2",
        "create table mine as select 1",
    ],
)
def test_sql_reads_the_marts_and_reaches_nothing_else(home: Settings, tmp_path: Path, statement: str):
    (tmp_path / "there.csv").write_text("a\n1\n")
    said = fails(home, 2, "sql", statement.format(folder=tmp_path))
    assert "SQL_" in said
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]


def test_micro_is_opened_for_a_purpose_and_on_record(home: Settings):
    asked = ("micro", "--person", "Budi", "select count(*) as children from fct_child_measurement")
    for purpose in ((), ("--purpose", " ")):
        fails(home, 2, *asked, *purpose)
    assert told(home, *asked, "--purpose", "Evaluasi intervensi gizi")[0]["children"] > 100
    openings = Ledger(home.ledger).rows("select * from openings")
    assert [(row["person"], row["purpose"]) for row in openings] == [("Budi", "Evaluasi intervensi gizi")]
    assert openings[0]["expires_at"] > openings[0]["opened_at"]
    assert (openings[0]["query"], openings[0]["rows_shown"]) == (asked[-1], 1)


def test_micro_counts_few_as_less_than_five_unless_the_opening_says_why(home: Settings):
    few = "select count(*) as children, min(age_months) as age_months from (from fct_child_measurement limit 3)"
    asked = ("micro", "--person", "Budi", "--purpose", "Evaluasi intervensi gizi", few)
    assert told(home, *asked)[0]["children"] == "<5"
    fails(home, 2, *asked, "--exact-because", "ingin")
    assert told(home, *asked, "--exact-because", "Audit inspektorat atas cacah kecil")[0]["children"] == 3
    why = "select exact_because from openings where exact_because is not null"
    assert Ledger(home.ledger).rows(why) == [{"exact_because": "Audit inspektorat atas cacah kecil"}]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("ingest", "kemenkes/tidak-ada", "--period", "2026-10"), "DATASET_UNKNOWN"),
        (("ingest", EPPGBM, "--period", "2026-13"), "PERIOD_INVALID"),
        (("ingest", EPPGBM, "--period", "2026-10", "--file", "tidak ada.csv"), "FILE_MISSING"),
        (("ingest", EPPGBM, "--period", "2026", "--part", "cikokol", "--file", __file__), "PERIOD_KIND_WRONG"),
        (("ingest", EPPGBM, "--period", "2026-10", "--file", __file__), "PART_UNKNOWN"),
        (("build", "--date", "22-11-2026"), "DATE_INVALID"),
        (("replay", "kemenkes/tidak-ada"), "DATASET_UNKNOWN"),
        (("held", "reject", "tidak-ada", *REASON), "DELIVERY_UNKNOWN"),
        (("deliveries", "withdraw", "tidak-ada", *REASON), "DELIVERY_UNKNOWN"),
        (("ingest", EPPGBM, "--period", "2026-10", "--try"), "TRY_WITHOUT_FILE"),
    ],
)
def test_a_mistake_is_told_in_both_languages_with_what_to_do(home: Settings, arguments, code):
    said = fails(home, 2, *arguments).splitlines()
    assert said[0].startswith(f"{code} ")
    assert len(said[1].strip()) > 10
    assert said[2].startswith("→ ")
    assert " / " in said[2]


def test_a_setting_that_cannot_be_read_is_named_without_its_value(home: Settings):
    said = fails(home, 2, "status", WAREHOUSE_DUCKDB_THREADS="rahasia")
    assert "WAREHOUSE_DUCKDB_THREADS" in said
    assert "rahasia" not in said


def test_check_config_says_whether_a_night_could_run(home: Settings, tmp_path: Path):
    assert {row["check"]: row["ok"] for row in told(home, "check-config")} == dict.fromkeys(
        ("home", "contracts", "rules of marts", "keys", "ledger", "endpoints"), True
    )
    done = run(home, "check-config", "--json", WAREHOUSE_KEYS_DIR=str(tmp_path / "none"))
    assert done.returncode == 2
    (wrong,) = [row for row in json.loads(done.stdout) if not row["ok"]]
    assert (wrong["check"], wrong["detail"].split()[0]) == ("keys", "KEYS_MISSING")
    assert "Traceback" not in done.stderr


# --- changing ---------------------------------------------------------------------------------------------------------


@dataclass
class Story:
    """A person's evening, each step with what came of it."""

    s: Settings
    first: str
    good: dict[str, Any]
    quarantined_rows: list[dict[str, Any]]
    held: dict[str, dict[str, Any]]
    second: dict[str, Any]
    diff: dict[str, Any]
    after_rollback: str
    third: dict[str, Any]
    status: dict[str, Any]
    listing: list[dict[str, Any]]
    after_unpin: str


def _file(folder: Path, name: str, data: bytes) -> str:
    (path := folder / name).write_bytes(data)
    return str(path)


@pytest.fixture(scope="module")
def story(home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Story:
    s, folder = home, tmp_path_factory.mktemp("by hand")
    first = current_id(s)
    rows = samples.good_rows(EPPGBM)

    def by_hand(part: str, name: str, data: bytes) -> tuple[str, ...]:
        return ("ingest", EPPGBM, "--period", "2026-10", "--part", part, "--file", _file(folder, name, data))

    def export(rows: list[samples.Row]) -> bytes:
        return samples.as_file(EPPGBM, rows, "sigizi_csv")[0]

    good = told(s, *by_hand("cikokol", "good.csv", export(samples.changed(rows, nik="3.67101E+15"))))
    (delivery,) = [row for row in told(s, "deliveries") if row["origin"] == "hand"]
    pointers = told(s, "quarantine", delivery["delivery_id"])

    html = by_hand("benda", "answer.csv", b"<!DOCTYPE html><html><body>Gangguan</body></html>")
    other_month = by_hand("batuceper", "september.csv", export(samples.every(rows, tanggal_pengukuran="2026-09-29")))
    for arguments in (html, other_month):
        fails(s, 4, *arguments)
    held = {row["reason_code"]: row for row in told(s, "held")}
    for waiting in held.values():
        for decision in ("admit", "reject"):
            assert "REASON_MISSING" in fails(
                s, 2, "held", decision, waiting["delivery_id"], "--reason", "  ", "--by", "Siti"
            )
    assert "CANNOT_ADMIT" in fails(s, 2, "held", "admit", held["PARSE_HTML"]["delivery_id"], *REASON)
    told(s, "held", "admit", held["EPPGBM-104"]["delivery_id"], *REASON)

    second = told(s, "build")
    diff = told(s, "releases", "diff", first, second["release_id"])
    assert run(s, "releases", "rollback", first, *REASON).returncode == 0
    after_rollback = current_id(s)
    told(s, "held", "reject", held["PARSE_HTML"]["delivery_id"], *REASON)
    third, status, listing = told(s, "build"), told(s, "status"), told(s, "releases", "list")
    assert run(s, "releases", "unpin", *REASON).returncode == 0
    return Story(
        s, first, good, pointers, held, second, diff, after_rollback, third, status, listing, current_id(s)
    )  # fmt: skip


def test_a_file_by_hand_is_judged_like_any_other(story: Story):
    assert (story.good["outcome"], story.good["rows_admitted"], story.good["rows_quarantined"]) == ("admitted", 7, 1)
    assert {(row["rule_code"], row["column_name"]) for row in story.quarantined_rows} == {("EPPGBM-001", "nik")}


def test_held_deliveries_wait_for_a_reasoned_decision(story: Story):
    assert story.held.keys() == {"PARSE_HTML", "EPPGBM-104"}
    assert all(row["message_id"] and row["message_en"] for row in story.held.values())
    decisions = Ledger(story.s.ledger).rows("select kind, reason, decided_by from decisions order by decided_at")
    assert [(row["kind"], row["reason"], row["decided_by"]) for row in decisions] == [
        ("admit", REASON[1], "Siti"),
        ("reject", REASON[1], "Siti"),
    ]
    assert told(story.s, "held") == []


def test_a_build_releases_and_a_diff_says_what_changed(story: Story):
    assert story.second["outcome"] == "released"
    assert story.diff["words_id"]
    assert {row["mart"] for row in story.diff["marts"] if row["changed"]} >= {"stunting_by_area_month"}


def test_a_rollback_is_not_undone_by_a_build(story: Story):
    assert story.after_rollback == story.first
    assert story.third["outcome"] == "pinned"
    assert story.status["release"]["release_id"] == story.first
    assert (story.status["release"]["is_pinned"], story.status["release"]["pinned_by"]) == (True, "Siti")
    assert story.status["release"]["newest_release_id"] == story.third["release_id"]
    assert [row["release_id"] for row in story.listing if row["is_current"] or row["is_pinned"]] == [story.first]


def test_unpinned_the_newest_release_is_current(story: Story):
    assert story.after_unpin == story.third["release_id"]
    assert "NOT_PINNED" in fails(story.s, 6, "releases", "unpin", *REASON)
    assert "RELEASE_UNKNOWN" in fails(story.s, 6, "releases", "rollback", "20200101T000000Z-00000000", *REASON)


def test_a_replay_judges_again_and_keeps_what_a_person_admitted(story: Story):
    verdicts = told(story.s, "replay", EPPGBM, "--period", "2026-10")
    judged = {row["delivery_id"]: row["verdict"] for row in verdicts}
    assert len(judged) == 42
    assert judged[story.held["EPPGBM-104"]["delivery_id"]] != "held"
    assert judged[story.held["PARSE_HTML"]["delivery_id"]] == "held"
