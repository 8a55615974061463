"""The notice states data, time, handling, persons, who had them open, and when it is due, in two languages."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from warehouse import ledger
from warehouse.core.contract import get_contract
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.ledger import access_log, deliveries, tables
from warehouse.privacy import breach
from warehouse.privacy.breach import Incident
from warehouse.storage import lake

FOUND = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
DATASET = "kemensos/assistance"


@pytest.fixture
def s(settings: Settings) -> Settings:
    return settings.model_copy(update={"now": FOUND + timedelta(hours=2)})


@pytest.fixture
def led(s: Settings) -> ledger.Ledger:
    """Two deliveries of assistance: three persons with a number, one of them twice, and two rows without."""
    ledger.upgrade(s.ledger)
    led = ledger.Ledger(s.ledger)
    contract = get_contract(s.contracts_dir, DATASET)
    for number, (month, people) in enumerate(((9, ["k:a", "k:b", None]), (10, ["k:a", "k:c", None]))):
        delivery_id, verdict_id = f"d{number}", f"v{number}"
        about = {"delivery_id": delivery_id, "dataset": DATASET, "part": "all", "period_kind": "month"}
        about |= {"period_start": date(2026, month, 1), "received_at": FOUND}
        stored = {"content_sha256": "x", "stored_path": "x", "stored_sha256": "x", "media": "csv", "origin": "hand"}
        led.insert(tables.deliveries, about | stored | {"bytes": 1})
        counts = {"checks_run": 1, "rows_read": 3, "rows_admitted": 3, "rows_quarantined": 0, "rows_refused": 0}
        verdict = {"verdict_id": verdict_id, "delivery_id": delivery_id, "verdict": "accepted", "judged_at": FOUND}
        led.insert(tables.verdicts, verdict | counts | {"contract_version": "1"})
        rows = {column.name: pa.nulls(3, pa.string()) for column in contract.lake_columns}
        rows |= {"nik_key": pa.array(people, pa.string()), "delivery_id": pa.array([delivery_id] * 3)}
        file = lake.write(s, contract, delivery_id, verdict_id, pa.table(rows))
        row = {"path": file.path, "verdict_id": verdict_id, "delivery_id": delivery_id, "kind": "lake", "rows": 3}
        led.insert(tables.lake_files, row | {"sha256": file.sha256, "written_at": FOUND})
    return led


def incident(**changes) -> Incident:
    known = {
        "found_at": FOUND,
        "since": FOUND - timedelta(hours=10),
        "until": FOUND,
        "places": ("vault",),
        "how": "Cadangan tersalin.",
        "handling": "Kunci diganti.",
    }
    return Incident(**(known | changes))


def test_it_is_due_three_times_24_hours_after_it_was_found(s, led):
    text = breach.draft(s, led, incident())
    assert "Diketahui 22-11-2026 14.30 WIB; paling lambat dikirim 25-11-2026 14.30 WIB" in text
    assert "to be sent by 25-11-2026 14.30 WIB" in text
    assert text.index("# DRAF:") < text.index("# DRAFT:")


def test_persons_are_counted_by_dataset_and_nobody_twice(s, led):
    (line,) = {line for line in breach.draft(s, led, incident()).splitlines() if line.startswith(f"| `{DATASET}`")
               and "pengenal langsung" in line}  # fmt: skip
    assert line.endswith("| 3 | 2 | 2 |")


def test_former_and_held_deliveries_count_where_they_are_kept(s, led):
    """A later delivery of the same month is in force; the former one lies in landing, vault and lake still."""
    former = deliveries.one(led, "d1")
    deliveries.record_delivery(led, replace(former, delivery_id="d3", content_sha256="y"))
    held = {"verdict_id": "v3", "delivery_id": "d3", "verdict": "held", "judged_at": FOUND, "contract_version": "1"}
    counts = {"checks_run": 1, "rows_read": 3, "rows_admitted": 0, "rows_quarantined": 0, "rows_refused": 0}
    led.insert(tables.verdicts, held | counts)
    with led.write() as connection:
        connection.execute(tables.deliveries.update().where(tables.deliveries.c.delivery_id == "d0").values(
            {"period_start": former.period_start}
        ))  # fmt: skip

    def row(*places: str) -> str:
        lines = breach.draft(s, led, incident(places=places)).splitlines()
        return next(line for line in lines if line.startswith(f"| `{DATASET}`"))

    assert row("build").endswith("| 2 | 1 | 1 |")
    assert row("vault").endswith("| 3 | 2 | 2 |")
    assert "1 deliveries in landing were never admitted" in breach.draft(s, led, incident(places=("landing",)))
    assert "never admitted" not in breach.draft(s, led, incident(places=("vault",)))


def test_what_was_open_decides_which_kinds_of_data_are_named(s, led):
    assert "pengenal langsung, pengenal tak langsung" in breach.draft(s, led, incident())
    lesser = breach.draft(s, led, incident(places=("micro", "lake")))
    assert f"| `{DATASET}` | Dinas Sosial Kota Tangerang (Kemensos) | pengenal tak langsung |" in lesser


def test_only_openings_in_force_at_the_time_are_named(s, led):
    for person, hour in (("Sari", -20), ("Dewi", -5), ("Budi", 1)):
        at = s.model_copy(update={"now": FOUND + timedelta(hours=hour)})
        access_log.open_for(at, led, "identity", person, "tinjauan pasangan ragu", 4, approver="Tono")
    text = breach.draft(s, led, incident())
    assert "Dewi" in text
    assert "Sari" not in text
    assert "Budi" not in text


def test_how_many_identities_were_looked_at_is_told(s, led):
    opening = access_log.open_for(s, led, "identity", "Dewi", "tinjauan pasangan ragu", 4, approver="Tono")
    access_log.record_look(s, led, opening, ["a", "b"])
    (line,) = {line for line in breach.draft(s, led, incident(until=s.utc_now())).splitlines() if "Dewi" in line}
    assert line.endswith("| Tono | 2 |")


@pytest.mark.parametrize(
    "changes",
    [{"places": ()}, {"places": ("cellar",)}, {"how": " "}, {"handling": ""}, {"since": FOUND + timedelta(days=1)}],
)
def test_nothing_is_left_open(s, led, changes):
    with pytest.raises(ConfigError, match="BREACH_REFUSED"):
        breach.draft(s, led, incident(**changes))
