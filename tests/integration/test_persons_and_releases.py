"""Releases after a change of keys and after an erasure: the same figures, other pseudonyms, nobody who was erased."""

import pytest

from tests.support import samples
from tests.support.sandbox_home import TONIGHT
from tests.support.two_accounts import by_two
from warehouse import night, release
from warehouse.core import duck
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger
from warehouse.privacy import rotation, subject_lookup
from warehouse.release.pseudonymised import attach_micro
from warehouse.release.state import MICRO_FILE, current_id
from warehouse.storage import keys, vault


def content_hash(s: Settings) -> str:
    # The clock stands still here: the rows themselves tell the order.
    query = "select content_hash from builds where outcome = 'built' order by rowid desc limit 1"
    return Ledger(s.ledger).rows(query)[0]["content_hash"]


def persons(s: Settings, release_id: str) -> set[str]:
    """Pseudonyms in a release's file of pseudonymised facts."""
    path = s.releases_dir / release_id / MICRO_FILE
    with duck.connect(s, sees_identifiers=True) as connection:
        attach_micro(connection, s, path, release_id)
        rows = connection.execute("SELECT DISTINCT person_key FROM micro.main.fct_child_measurement").fetchall()
    return {key for (key,) in rows}


@pytest.fixture(scope="module")
def rekeyed(home: Settings) -> tuple[Settings, str, set[str]]:
    """A home after a change of keys and a night; what its build and release held before."""
    before, known = content_hash(home), persons(home, current_id(home))
    keys.make_new(home)
    rotation.rotate(home, Ledger(home.ledger), "Sari", "Budi", "penggantian tahunan")
    # Readers go on: the release at hand opens under the new key, and still knows persons by the old pseudonyms.
    assert persons(home, current_id(home)) == known
    assert night.marts(TONIGHT, s=home)["outcome"] == "released"
    return home, before, known


def test_new_keys_give_the_same_marts_and_other_pseudonyms(rekeyed):
    s, before, known = rekeyed
    assert content_hash(s) == before
    again = persons(s, current_id(s))
    assert len(again) == len(known)
    assert again.isdisjoint(known)


def test_an_erased_person_is_in_no_release_that_is_kept(rekeyed):
    s, before, _ = rekeyed
    with vault.connect(s) as connection:
        relation = next(sql for contract, sql in subject_lookup.vault_relations(s, Ledger(s.ledger))
                        if contract.dataset == "kemenkes/eppgbm")  # fmt: skip
        ((nik,),) = connection.execute(
            f"SELECT nik FROM ({relation}) WHERE nik_key IS NOT NULL AND regexp_full_match(nik, '[0-9]{{16}}')"
            " ORDER BY nik LIMIT 1"
        ).fetchall()
    led = Ledger(s.ledger)
    were = {row["release_id"]: persons(s, row["release_id"]) for row in release.listing(s, led)}
    done = by_two(
        s, night.erase, subject_lookup.Person(nik), "Sari", "UU 27/2022 pasal 8", "permintaan tertulis no. 12", s=s
    )
    assert done["outcome"] == "released"
    assert content_hash(s) != before
    (erased,) = led.rows("select * from erasures")
    assert erased["proven_at"]
    assert not erased["person_keys"]
    newest, older = max(were), min(were)
    assert persons(s, newest) < were[newest]
    assert len(were[newest]) - len(persons(s, newest)) == 1
    # Made before the keys were changed: who was whom there nobody can tell any more.
    assert not (s.releases_dir / older / MICRO_FILE).exists()
    assert (s.releases_dir / older).stat().st_mode & 0o777 == 0o555


def test_nobody_known_is_erased_and_proven_too(rekeyed):
    """A number that no agency has sent: the tombstone stands, and a build after it proves that nobody is there."""
    s, _, _ = rekeyed
    told = subject_lookup.Person(samples.nik(71, TONIGHT))
    asked = (told, "Sari", "UU 27/2022 pasal 8", "permintaan tertulis no. 13")
    assert by_two(s, night.erase, *asked, s=s)["searched"]
    assert all(row["proven_at"] for row in Ledger(s.ledger).rows("select * from erasures"))
