"""The access log: nothing personal opens without a person, a purpose and an end; identities take two people."""

from datetime import timedelta

import pytest

from warehouse import ledger
from warehouse.core.errors import ConfigError
from warehouse.ledger import access_log, accounts

WHY = "tinjauan pasangan ragu"


@pytest.fixture
def led(settings) -> ledger.Ledger:
    ledger.upgrade(settings.ledger)
    return ledger.Ledger(settings.ledger)


def test_an_opening_says_who_what_why_and_until_when(settings, led):
    access_log.open_for(settings, led, "identity", " Sari ", WHY, 4, approver="Budi")
    (row,) = led.rows("select * from openings")
    assert (row["subject"], row["person"], row["purpose"], row["approver"]) == ("identity", "Sari", WHY, "Budi")
    assert row["expires_at"] - row["opened_at"] == timedelta(hours=4)


def test_the_account_is_recorded_whatever_name_is_given(settings, led, monkeypatch):
    monkeypatch.setattr(accounts, "signed_in_uid", lambda: 54321)
    assert access_log.open_for(settings, led, "micro", "Sari", WHY, 1)["account"] == "uid 54321"


@pytest.mark.parametrize(
    ("person", "why", "hours"), [("", WHY, 4), (" ", WHY, 4), ("Sari", "lihat", 4), ("Sari", WHY, 0), ("Sari", WHY, 73)]
)
def test_without_person_purpose_or_a_term_nothing_opens(settings, led, person, why, hours):
    with pytest.raises(ConfigError, match="OPENING_REFUSED"):
        access_log.open_for(settings, led, "micro", person, why, hours)
    assert led.rows("select * from openings") == []


@pytest.mark.parametrize("approver", [None, "", "sari", " Sari "])
def test_nobody_approves_their_own_look_at_identities(settings, led, approver):
    with pytest.raises(ConfigError, match="OPENING_UNAPPROVED"):
        access_log.open_for(settings, led, "identity", "Sari", WHY, 4, approver=approver)
    assert led.rows("select * from openings") == []


def test_each_record_that_is_looked_at_is_on_record(settings, led):
    opened = access_log.open_for(settings, led, "identity", "Sari", WHY, 4, approver="Budi")
    for keys in (["a", "b"], ["b", "c"]):
        access_log.record_look(settings, led, opened, keys)
    assert access_log.looks(led) == {opened["opening_id"]: 3}


def test_an_opening_holds_for_its_person_subject_account_and_time_only(settings, led, monkeypatch):
    opened = access_log.open_for(settings, led, "identity", "Sari", WHY, 4, approver="Budi")
    assert access_log.demand_open(settings, led, "identity", "Sari")["opening_id"] == opened["opening_id"]
    late = settings.model_copy(update={"now": opened["expires_at"]})
    for s, subject, person in [(settings, "micro", "Sari"), (settings, "identity", "Budi"), (late, "identity", "Sari")]:
        with pytest.raises(ConfigError, match="OPENING_NONE"):
            access_log.demand_open(s, led, subject, person)
    monkeypatch.setattr(accounts, "signed_in_uid", lambda: 54321)
    with pytest.raises(ConfigError, match="OPENING_NONE"):
        access_log.demand_open(settings, led, "identity", "Sari")
