"""Landing keeps bytes exactly, once, encrypted, and a kill between any two steps leaves nothing that counts."""

import errno
import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pyrage
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.agencies_helpers import a_contract
from tests.support.forked import forked
from warehouse import ledger
from warehouse.core.errors import ConfigError, UnreadableDelivery, WarehouseError
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, deliveries, tables
from warehouse.ledger.deliveries import Attempt, Decision, Delivery, FetchOutcome
from warehouse.storage import keys, landing

PERIOD = Period.parse("2026-10")
CONTRACT = a_contract("kemenkes/eppgbm", "sftp", retention_days=30)
NIK = b"3671010101900001"


@pytest.fixture
def s(settings: Settings) -> Settings:
    keys.make_sandbox_keys(settings)
    return settings


@pytest.fixture
def led(s: Settings) -> Ledger:
    ledger.upgrade(s.ledger)
    return Ledger(s.ledger)


def put(
    s: Settings, led: Ledger, path: Path, data: bytes, part: str = "cibodas", origin: deliveries.Origin = "agency"
) -> landing.Landed:
    path.write_bytes(data)
    return landing.land(s, led, CONTRACT, part, PERIOD, path, "csv", origin)


def landed_files(s: Settings) -> list[Path]:
    return sorted(path for path in s.landing_dir.rglob("*") if path.is_file())


@given(data=st.binary(max_size=200_000), part=st.sampled_from(["all", "cibodas"]))
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_come_back_and_come_back_once(s, led, tmp_path, data, part):
    first = put(s, led, tmp_path / "file", data, part)
    files = landed_files(s)
    again = put(s, led, tmp_path / "another name", data, part)
    assert again == landing.Landed(first.delivery_id, is_new=False)
    assert landed_files(s) == files
    delivery = deliveries.one(led, first.delivery_id)
    assert landing.read(s, delivery) == data
    assert delivery.bytes == len(data)


def test_what_is_kept_is_encrypted_and_private(s, led, tmp_path):
    landed = put(s, led, tmp_path / "Balita Siti Aminah.csv", NIK * 100)
    delivery = deliveries.one(led, landed.delivery_id)
    for path in landed_files(s):
        assert NIK not in path.read_bytes()
        assert b"Siti" not in path.read_bytes()
        assert "Siti" not in str(path)
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0
    assert "Siti" not in str(delivery)
    manifest = (s.home / delivery.stored_path).with_suffix(".manifest.age").read_bytes()
    assert json.loads(pyrage.decrypt(manifest, [keys.landing_identity(s)]))["original_name"] == "Balita Siti Aminah.csv"


def test_a_host_that_ingests_needs_the_public_key_only(s, led, tmp_path):
    (s.keys / keys.LANDING_SECRET).unlink()
    assert put(s, led, tmp_path / "file", b"x").is_new


def test_without_a_key_nothing_is_written(settings, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with pytest.raises(ConfigError, match="KEYS_MISSING"):
        landing.land(settings, Ledger(settings.ledger), CONTRACT, "all", PERIOD, path, "csv", "agency")
    assert not settings.landing_dir.exists()


@pytest.mark.parametrize("damage", [b"", b"age-encryption.org/v1\n", None])
def test_a_damaged_file_is_named_corrupt(s, led, tmp_path, damage):
    delivery = deliveries.one(led, put(s, led, tmp_path / "file", b"x" * 100_000).delivery_id)
    stored = s.home / delivery.stored_path
    stored.write_bytes(stored.read_bytes()[:70_000] if damage is None else damage)
    with pytest.raises(UnreadableDelivery, match="LANDING_CORRUPT"):
        landing.read(s, delivery)


def test_a_file_with_another_content_is_named_corrupt(s, led, tmp_path):
    delivery = deliveries.one(led, put(s, led, tmp_path / "file", b"as sent").delivery_id)
    (s.home / delivery.stored_path).write_bytes(pyrage.encrypt(b"changed", [keys.landing_recipient(s)]))
    with pytest.raises(UnreadableDelivery, match="LANDING_CORRUPT") as caught:
        landing.read(s, delivery)
    assert "changed" not in str(caught.value)


def test_a_missing_file_and_a_wrong_key_are_told_apart(s, led, tmp_path):
    delivery = deliveries.one(led, put(s, led, tmp_path / "file", b"x").delivery_id)
    right = (s.keys / keys.LANDING_SECRET).read_text()
    (s.keys / keys.LANDING_SECRET).write_text(f"{pyrage.x25519.Identity.generate()}\n")
    with pytest.raises(ConfigError, match="KEYS_WRONG"):
        landing.read(s, delivery)
    (s.keys / keys.LANDING_SECRET).write_text(right)
    (s.home / delivery.stored_path).unlink()
    with pytest.raises(UnreadableDelivery, match="LANDING_MISSING"):
        landing.read(s, delivery)


STEPS = ["os.replace.1", "os.replace.2", "insert"]


def _land_and_die(s: Settings, path: Path, step: str) -> None:
    """Land in a process that is killed just before ``step``."""
    replaced = 0
    replace = os.replace

    def dying_replace(source, target):
        nonlocal replaced
        replaced += 1
        if step == f"os.replace.{replaced}":
            os._exit(9)
        replace(source, target)

    landing.os.replace = dying_replace
    led = Ledger(s.ledger)
    if step == "insert":
        led.insert = lambda *_: os._exit(9)
    landing.land(s, led, CONTRACT, "cibodas", PERIOD, path, "csv", "agency")


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_between_steps_leaves_nothing_or_a_whole_delivery(s, led, tmp_path, step):
    kept = put(s, led, tmp_path / "kept", b"kept")
    path = tmp_path / "file"
    path.write_bytes(b"killed")
    child = forked(_land_and_die, s, path, step)
    child.join()
    assert child.exitcode == 9
    assert [row["delivery_id"] for row in led.rows(sa.select(tables.deliveries))] == [kept.delivery_id]

    is_whole = step == "insert"
    swept = landing.sweep(s, led)
    assert (swept.removed > 0, swept.taken_in, swept.unknown) == (not is_whole, int(is_whole), ())
    assert len(landed_files(s)) == 2 + 2 * is_whole
    assert landing.read(s, deliveries.one(led, kept.delivery_id)) == b"kept"
    again = landing.land(s, led, CONTRACT, "cibodas", PERIOD, path, "csv", "agency")
    assert again.is_new != is_whole
    assert landing.sweep(s, led) == landing.Swept()
    assert landing.read(s, deliveries.one(led, again.delivery_id)) == b"killed"


def test_what_an_older_ledger_does_not_know_is_recorded_again(s, led, tmp_path):
    made = put(s, led, tmp_path / "file", b"one"), put(s, led, tmp_path / "other", b"two", part="benda")
    then = led.rows("select * from deliveries order by delivery_id")
    with led.write() as connection:
        connection.execute(tables.deliveries.delete())
    assert landing.sweep(s, led) == landing.Swept(taken_in=2)
    assert led.rows("select * from deliveries order by delivery_id") == then
    assert {landing.read(s, deliveries.one(led, one.delivery_id)) for one in made} == {b"one", b"two"}
    assert landing.sweep(s, led) == landing.Swept()


def test_of_two_files_of_a_delivery_one_counts_and_the_other_goes(s, led, tmp_path):
    delivery = deliveries.one(led, put(s, led, tmp_path / "file", b"one").delivery_id)
    landing.store_replacement(s, delivery, b"blanked", keys.landing_recipient(s), "tag")
    assert landing.sweep(s, led) == landing.Swept(removed=2)
    assert landing.read(s, deliveries.one(led, delivery.delivery_id)) == b"one"


def test_a_file_written_anew_since_an_older_ledger_takes_its_place(s, led, tmp_path):
    delivery = deliveries.one(led, put(s, led, tmp_path / "file", b"one").delivery_id)
    landing.store_replacement(s, delivery, b"blanked", keys.landing_recipient(s), "tag")
    landing.delete_superseded(s, delivery.stored_path)
    assert landing.sweep(s, led) == landing.Swept(taken_in=1)
    assert landing.read(s, deliveries.one(led, delivery.delivery_id)) == b"blanked"


def test_what_nobody_can_tell_is_left_where_it_is(s, led, tmp_path):
    delivery = deliveries.one(led, put(s, led, tmp_path / "file", b"one").delivery_id)
    with led.write() as connection:
        connection.execute(tables.deliveries.delete())
    (s.keys / keys.LANDING_SECRET).unlink()
    assert {path.name for path in landing.sweep(s, led).unknown} == {path.name for path in landed_files(s)}
    assert (s.home / delivery.stored_path).exists()


def test_the_row_of_another_process_stands(s, led, tmp_path, monkeypatch):
    path = tmp_path / "file"
    first = put(s, led, path, b"same")
    blind = Ledger(s.ledger)
    monkeypatch.setattr(deliveries, "landed_for", lambda *_: [])
    assert landing.land(s, blind, CONTRACT, "cibodas", PERIOD, path, "csv", "agency") == landing.Landed(
        first.delivery_id, is_new=False
    )
    assert len(landed_files(s)) == 2
    assert landing.read(s, deliveries.one(led, first.delivery_id)) == b"same"


def test_a_file_that_changes_while_it_is_landed_is_refused(s, led, tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"first")
    hash_file = landing.hash_file

    def and_then_change(hashed):
        found = hash_file(hashed)
        path.write_bytes(b"second")
        return found

    monkeypatch.setattr(landing, "hash_file", and_then_change)
    with pytest.raises(WarehouseError, match="LANDING_CHANGED"):
        landing.land(s, led, CONTRACT, "all", PERIOD, path, "csv", "hand")
    assert landed_files(s) == []


def test_a_full_disk_is_named_and_leaves_nothing(s, led, tmp_path, monkeypatch):
    @contextmanager
    def full(_path):
        yield Mock(write=Mock(side_effect=OSError(errno.ENOSPC, "full")))

    monkeypatch.setattr(landing.files, "new_file", full)
    with pytest.raises(WarehouseError, match="LANDING_NOT_WRITTEN"):
        put(s, led, tmp_path / "file", b"x")
    assert landed_files(s) == []
    assert led.rows(sa.select(tables.deliveries)) == []


def test_parquet_with_brotli_is_refused_and_other_parquet_kept(s, led, tmp_path):
    table = pa.table({"a": ["x"] * 1000})
    for compression in ("brotli", "zstd"):
        pq.write_table(table, tmp_path / compression, compression=compression)
    with pytest.raises(WarehouseError, match="LANDING_BROTLI"):
        landing.land(s, led, CONTRACT, "all", PERIOD, tmp_path / "brotli", "csv", "hand")
    assert landed_files(s) == []
    assert landing.land(s, led, CONTRACT, "all", PERIOD, tmp_path / "zstd", "csv", "hand").is_new


def test_bytes_past_retention_are_destroyed_on_record(s, led, tmp_path):
    then = s.model_copy(update={"now": datetime(2026, 1, 1, tzinfo=UTC)})
    old = put(then, led, tmp_path / "old", b"old")
    later = then.model_copy(update={"now": then.now + timedelta(days=30)})
    new = put(later, led, tmp_path / "new", b"new")
    contracts = {CONTRACT.dataset: CONTRACT}
    assert landing.destroy_expired(later, led, contracts) == 1
    assert landing.destroy_expired(later, led, contracts) == 0
    delivery = deliveries.one(led, old.delivery_id)
    assert delivery.destroyed_at == later.now
    assert len(landed_files(s)) == 2
    with pytest.raises(UnreadableDelivery, match="LANDING_DESTROYED"):
        landing.read(s, delivery)
    assert landing.read(s, deliveries.one(led, new.delivery_id)) == b"new"
    assert not put(later, led, tmp_path / "new", b"new").is_new


def test_destruction_that_was_killed_is_completed(s, led, tmp_path):
    delivery = deliveries.one(led, put(s, led, tmp_path / "file", b"x").delivery_id)
    (s.home / delivery.stored_path).unlink()
    later = s.model_copy(update={"now": datetime.now(UTC) + timedelta(days=31)})
    assert landing.destroy_expired(later, led, {CONTRACT.dataset: CONTRACT}) == 1
    assert landed_files(s) == []


def test_a_spool_is_private_and_gone_even_after_a_failure(s):
    seen = []

    def fail() -> None:
        with landing.spool(s) as folder:
            seen.append((folder, folder.stat().st_mode & 0o777))
            (folder / "clear.csv").write_bytes(NIK)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    ((folder, mode),) = seen
    assert mode == 0o700
    assert not folder.exists()


def _die_in_a_spool(s: Settings) -> None:
    with landing.spool(s) as folder:
        (folder / "clear.csv").write_bytes(NIK)
        os._exit(9)


def test_the_spool_of_a_killed_process_is_swept_and_a_living_one_is_not(s):
    child = forked(_die_in_a_spool, s)
    child.join()
    assert len(list(s.tmp_dir.glob("spool-*/clear.csv"))) == 1
    with landing.spool(s) as first, landing.spool(s) as second:
        assert sorted(s.tmp_dir.glob("spool-*")) == sorted([first, second])


def test_shredding_overwrites_before_it_removes(tmp_path):
    path, alias = tmp_path / "clear", tmp_path / "alias"
    path.write_bytes(NIK * 1000)
    os.link(path, alias)
    landing.shred(path)
    assert not path.exists()
    assert alias.read_bytes() == bytes(16_000)


# --- what is sent last counts


def deliveries_of(led: Ledger) -> list[Delivery]:
    """What came for one part and period, in the order in which it came."""
    return deliveries.landed_for(led, CONTRACT.dataset, "cibodas", PERIOD)


def _seen(s: Settings, led: Ledger, landed: landing.Landed | Delivery) -> None:
    """The attempt on record that showed this to us, as the extract writes it."""
    now = s.clock.stamp()
    seen = FetchOutcome.LANDED
    attempt = Attempt(CONTRACT.dataset, "cibodas", PERIOD, "agency", now, now, seen, delivery_id=landed.delivery_id)
    deliveries.record_attempt(led, attempt)


def test_bytes_that_come_back_after_others_are_a_delivery_of_their_own_and_the_newest(s, led, tmp_path):
    """The clock stands still here: what came last is told by the record, not by the time."""
    first, other, back = (put(s, led, tmp_path / "file", data) for data in (b"A", b"B", b"A"))
    again = put(s, led, tmp_path / "file", b"A")
    assert back.is_new
    assert back.delivery_id != first.delivery_id
    assert again == landing.Landed(back.delivery_id, is_new=False)
    in_order = deliveries_of(led)
    assert [one.delivery_id for one in in_order] == [first.delivery_id, other.delivery_id, back.delivery_id]
    assert landing.read(s, in_order[-1]) == b"A"


def test_a_clock_set_back_puts_nothing_new_before_what_it_follows(s, led, tmp_path):
    put(s, led, tmp_path / "file", b"A")
    earlier = s.model_copy(update={"now": s.utc_now() - timedelta(days=3)})
    _seen(s, led, deliveries_of(led)[0])
    landed = put(earlier, led, tmp_path / "file", b"B")
    assert deliveries_of(led)[-1].delivery_id == landed.delivery_id
    assert put(earlier, led, tmp_path / "file", b"A").is_new


def test_what_an_agency_still_shows_is_no_answer_to_a_file_by_hand(s, led, tmp_path):
    shown = put(s, led, tmp_path / "file", b"A")
    _seen(s, led, shown)
    by_hand = put(s, led, tmp_path / "file", b"B", origin="hand")
    assert put(s, led, tmp_path / "file", b"A") == landing.Landed(shown.delivery_id, is_new=False)
    assert put(s, led, tmp_path / "file", b"B") == landing.Landed(by_hand.delivery_id, is_new=False)
    _seen(s, led, by_hand)
    assert put(s, led, tmp_path / "file", b"A").is_new


@pytest.mark.parametrize("kind", ["reject", "withdraw"])
def test_a_file_put_aside_is_news_again_when_somebody_sends_it_and_not_because_it_still_lies_there(
    s, led, tmp_path, kind
):
    landed = put(s, led, tmp_path / "file", b"A")
    words = {"verdict_id": "v", "reason": "wrong month", "reason_code": "x", "decided_by": "x", "decided_by_role": "x"}
    decision = Decision(ledger.new_id(), kind, landed.delivery_id, decided_at=s.clock.stamp(), **words)
    deliveries.record_decision(led, decision)
    assert not put(s, led, tmp_path / "file", b"A").is_new
    assert put(s, led, tmp_path / "file", b"A", origin="hand").is_new


@pytest.mark.parametrize("origin", ["agency", "hand"])
@pytest.mark.parametrize("loss", ["missing", "damaged", "destroyed"])
def test_what_was_lost_here_is_taken_when_it_is_sent_again(s, led, tmp_path, loss, origin):
    landed = put(s, led, tmp_path / "file", b"A")
    delivery = deliveries.one(led, landed.delivery_id)
    stored = s.home / delivery.stored_path
    if loss == "missing":
        stored.unlink()
    elif loss == "damaged":
        stored.write_bytes(stored.read_bytes()[:-1])
    else:
        deliveries.record_destruction(led, landed.delivery_id, s.utc_now())
    sent_again = put(s, led, tmp_path / "file", b"A", origin=origin)
    assert sent_again.is_new
    assert landing.read(s, deliveries.one(led, sent_again.delivery_id)) == b"A"
    assert not put(s, led, tmp_path / "file", b"A", origin=origin).is_new
