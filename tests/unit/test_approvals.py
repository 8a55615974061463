"""Two persons are two accounts: what takes two is asked for from one, approved from another, and done once."""

import multiprocessing
import os
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.support.forked import forked
from tests.support.two_accounts import SECOND, approve_all, by_two
from warehouse import ledger
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.ledger import accounts, approvals

WHY = "permintaan tertulis no. 12"


@pytest.fixture
def led(settings: Settings) -> ledger.Ledger:
    ledger.upgrade(settings.ledger)
    return ledger.Ledger(settings.ledger)


@pytest.fixture
def withdraw(settings: Settings, led: ledger.Ledger) -> Callable[..., str]:
    """Something that takes two; returns who approved it."""

    def act(about: str = "kiriman", by: str = "Sari", why: str = WHY) -> str:
        with approvals.approved(settings, led, "withdraw", about, by, why) as approver:
            return approver

    return act


def asked(settings: Settings, led: ledger.Ledger, act: Callable[..., str], **given: str) -> str:
    """The number of the request that an act leaves behind."""
    with pytest.raises(ConfigError, match="APPROVAL_AWAITED"):
        act(**given)
    (row,) = approvals.waiting(settings, led)
    return row["approval_id"]


def test_it_is_done_once_after_another_account_approved(settings, led, withdraw):
    assert by_two(settings, withdraw) == SECOND
    assert led.rows("select used_at from approvals")[0]["used_at"]
    with pytest.raises(ConfigError, match="APPROVAL_AWAITED"):
        withdraw()


def test_asking_again_is_the_same_request(settings, led, withdraw):
    assert asked(settings, led, withdraw) == asked(settings, led, withdraw)


@pytest.mark.parametrize("by", ["sari", " Sari ", ""])
def test_nobody_approves_what_they_asked_for_by_another_name_or_their_own(settings, led, withdraw, monkeypatch, by):
    request = asked(settings, led, withdraw)
    with pytest.raises(ConfigError, match="APPROVAL_OWN"):
        approvals.approve(settings, led, request, "Budi")
    monkeypatch.setattr(accounts, "signed_in_uid", lambda: 54321)
    with pytest.raises(ConfigError, match="APPROVAL_OWN"):
        approvals.approve(settings, led, request, by)
    assert led.rows("select approved_at from approvals") == [{"approved_at": None}]


def test_one_who_is_signed_in_elsewhere_by_the_same_name_is_the_same(settings, led, withdraw):
    request = asked(settings, led, withdraw, by="rina")
    with pytest.raises(ConfigError, match="APPROVAL_OWN"):
        approvals.approve(settings, led, request, "Rina Dewi", "airflow:Rina")
    assert approvals.approve(settings, led, request, "Budi", "airflow:budi")["approved_account"] == "airflow:budi"


@pytest.mark.parametrize("change", [{"about": "lain"}, {"by": "Tono"}, {"why": "alasan yang lain"}])
def test_an_approval_is_for_the_very_act_that_was_asked_for(settings, led, withdraw, change):
    asked(settings, led, withdraw)
    approve_all(settings)
    with pytest.raises(ConfigError, match="APPROVAL_AWAITED"):
        withdraw(**change)


def test_an_approval_is_for_the_account_that_asked(settings, led, withdraw, monkeypatch):
    asked(settings, led, withdraw)
    approve_all(settings)
    monkeypatch.setattr(accounts, "signed_in_uid", lambda: 54321)
    with pytest.raises(ConfigError, match="APPROVAL_AWAITED"):
        withdraw()


def test_what_fails_has_not_used_its_approval(settings, led):
    def fails() -> None:
        with approvals.approved(settings, led, "withdraw", "kiriman", "Sari", WHY):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        by_two(settings, fails)
    with pytest.raises(RuntimeError):
        fails()


def test_a_request_and_an_approval_end(settings, led, withdraw):
    request = asked(settings, led, withdraw)
    late = settings.model_copy(update={"now": settings.utc_now() + timedelta(hours=approvals.HOURS, minutes=1)})
    assert approvals.waiting(late, led) == []
    with pytest.raises(ConfigError, match="APPROVAL_UNKNOWN"):
        approvals.approve(late, led, request, "Budi")
    approve_all(settings)
    with (
        pytest.raises(ConfigError, match="APPROVAL_AWAITED"),
        approvals.approved(late, led, "withdraw", "kiriman", "Sari", WHY),
    ):
        pytest.fail("done under an approval that has ended")


@pytest.mark.parametrize(("by", "why"), [(" ", WHY), ("Sari", "ya")])
def test_nothing_is_asked_for_without_a_name_and_a_reason(led, withdraw, by, why):
    with pytest.raises(ConfigError, match="APPROVAL_REFUSED"):
        withdraw(by=by, why=why)
    assert led.rows("select * from approvals") == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")
def test_the_account_is_the_processs_own_whatever_its_environment_says(monkeypatch):
    """A real second user: SUDO_USER, USER and LOGNAME are claims that whoever starts a process can make."""
    ours, theirs = multiprocessing.Pipe(duplex=False)

    def become() -> None:
        os.environ.update(dict.fromkeys(("SUDO_USER", "USER", "LOGNAME"), "sari") | {"SUDO_UID": "0"})
        os.setuid(54321)
        theirs.send(accounts.account())

    monkeypatch.setattr(accounts, "signed_in_uid", lambda: None)
    process = forked(become)
    assert ours.poll(60)
    assert (ours.recv(), accounts.account()) == ("uid 54321", "root")
    process.join(10)
