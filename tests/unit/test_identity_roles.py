"""Each identity is found, linked, erased and pseudonymised by what its column says it is, whatever it is called."""

from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.support.gate_helpers import column, contract, delivered
from warehouse import ledger, scan
from warehouse.core.contract import load_contracts
from warehouse.intake import tombstones
from warehouse.intake.erased import searching
from warehouse.linkage import profiles
from warehouse.privacy import subject_lookup
from warehouse.privacy.subject_lookup import Person
from warehouse.scan import identities
from warehouse.storage import keys, vault

# Made up: column name -> identity and the canary's value. No name tells what is in it.
PLANTED = {
    "k01": ("nik", "3671016011240007"),
    "k02": ("parent_nik", "3671014305900008"),
    "k03": ("kk", "3671010203040005"),
    "k04": ("nisn", "0124567893"),
    "k05": ("membership_number", "26004417783"),
    "k06": ("account_number", "0071-4455-9012"),
    "k07": ("meter_number", "546100998877"),
    "k08": ("other_number", "A-8812004471"),
    "k09": ("person_name", "Kenanga Wulandari"),
    "k10": ("parent_name", "Bambang Suryadinata / Ratih Purnamasari"),
    "k11": ("birth_date", date(2024, 11, 20)),
    "k12": ("phone", "0812-9000-5417"),
    "k13": ("email", "kenanga.ungu@surel.id"),
    "k14": ("address", "Jl. Melati Putih No. 7, RT 03/05"),
}
# How a careless step would write each; what search calls a hit where that is another word.
WRITTEN = {
    "k06": "007144559012",
    "k08": "8812004471",
    "k09": "KENANGA  WULANDARI",
    "k10": "ratih purnamasari",
    "k11": "Kenanga Wulandari;2024-11-20",
    "k12": "+62 812 9000 5417",
    "k14": "jl melati putih no 7 rt 03 05",
}
CALLED = {"parent_nik": "nik", "membership_number": "kpj", "person_name": "name", "parent_name": "name"}
CALLED |= {"birth_date": "name"}
SCHOOL = contract(
    [
        column(name, "date" if role == "birth_date" else "string", classification="direct_identifier", identity=role)
        for name, (role, _) in PLANTED.items()
    ]
    + [column("kelas")],
    dataset="disdik/pupils",
)
OTHER = {"k01": "3671016011240023", "k09": "Melur Anggraini", "k11": date(2023, 5, 6), "k04": "0131234567"}


@pytest.fixture
def held(settings, monkeypatch):
    """A vault with the canary and another pupil; what the lake would hold of them."""
    keys.make_sandbox_keys(settings)
    ledger.upgrade(settings.ledger)
    for room in (identities, subject_lookup):
        monkeypatch.setattr(room, "load_contracts", lambda _folder: {SCHOOL.dataset: SCHOOL})
    rows = [{name: value for name, (_, value) in PLANTED.items()}, dict.fromkeys(PLANTED) | OTHER]
    delivery, led = delivered(SCHOOL, "a"), ledger.Ledger(settings.ledger)
    types = {"string": pa.string(), "date": pa.date32()}
    table = pa.table(
        {c.name: pa.array([row.get(c.name) for row in rows], types[c.logical_type]) for c in SCHOOL.columns}
    )
    table = table.append_column("source_part", pa.nulls(2, pa.string()))
    table = table.append_column("source_row", pa.array([2, 3], pa.int64()))
    with vault.splitting(settings, SCHOOL) as connection:
        lake_rows, kept = vault.pseudonymise(connection, SCHOOL, delivery, table)
        stored = vault.store(settings, connection, SCHOOL, delivery.delivery_id, "v", kept)
    relation = vault.relation_sql([settings.home / stored.path])
    monkeypatch.setattr(subject_lookup, "vault_relations", lambda _s, _led: [(SCHOOL, relation)])
    return settings, led, relation, lake_rows


def test_the_leak_scan_finds_each_identity_by_its_value(held) -> None:
    values = scan.vault_values(held[0])
    for name, (role, value) in PLANTED.items():
        text = WRITTEN.get(name, str(value))
        found = {hit.kind for hit in scan.search(f"laporan: {text};\n".encode(), values, with_shapes=False)}
        assert CALLED.get(role, role) in found, role
    # Near to it is not it.
    for text in ("0124567890", "jl melati putih no 8", "0.26004417783", "Kenanga Anggraini", "2024-11-20"):
        assert scan.search(f"laporan: {text};\n".encode(), values, with_shapes=False) == []


def test_the_lake_keeps_pseudonyms_and_no_identity(held) -> None:
    lake_rows = held[3]
    assert lake_rows.column_names[0] == "kelas"
    assert [key is not None for key in lake_rows["nik_key"].to_pylist()] == [True, True]
    assert [key is not None for key in lake_rows["kk_key"].to_pylist()] == [True, False]
    text = str(lake_rows.to_pylist())
    assert scan.search(text.encode(), scan.vault_values(held[0]), with_shapes=False) == []


@pytest.mark.parametrize(
    "asked",
    [
        Person(nik=PLANTED["k01"][1]),
        Person(name="kenanga wulandari", birth_date=date(2024, 11, 20), card="3671010203040005"),
    ],
)
def test_a_person_is_known_erased_and_looked_for_by_their_identities(held, asked) -> None:
    s, led, relation, _ = held
    known = subject_lookup.recognise(s, led, asked)
    assert ("nik", PLANTED["k01"][1]) in known.texts
    marks = tombstones.with_person(tombstones.Tombstones(), {"erasure_id": "e"}, known.texts)
    with searching(s, marks) as connection:
        query = f"SELECT k09 FROM ({relation}) WHERE {tombstones.is_marked_sql(SCHOOL, typed=True)}"
        assert connection.execute(query).fetchall() == [("Kenanga Wulandari",)]
    for name in ("k01", "k04", "k05", "k08", "k12", "k13"):
        text = WRITTEN.get(name, str(PLANTED[name][1]))
        assert scan.search(f"x {text} x".encode(), known.values, with_shapes=False), name
    # What a family shares says nothing of this one.
    for name in ("k02", "k03", "k06", "k07", "k10", "k14"):
        text = WRITTEN.get(name, str(PLANTED[name][1]))
        assert not scan.search(f"x {text} x".encode(), known.values, with_shapes=False), name


def test_linkage_compares_what_the_contract_says(held, monkeypatch) -> None:
    s, led, relation, _ = held
    monkeypatch.setattr(profiles.lake, "files_in_force", lambda *_: [Path("x")])
    monkeypatch.setattr(profiles.vault, "relation_sql", lambda _paths: relation)
    with vault.connect(s) as connection:
        query = profiles.identities_sql(s, led, {SCHOOL.dataset: SCHOOL})
        seen = connection.execute(f"SELECT nik, name, birth_date, parent_name, card FROM ({query})").fetchall()
    assert seen[0] == tuple(PLANTED[name][1] for name in ("k01", "k09", "k11", "k10", "k05"))


def test_parents_in_two_columns_are_compared_as_father_and_mother(settings, monkeypatch) -> None:
    parents = [column(n, classification="direct_identifier", identity="parent_name") for n in ("ayah", "ibu")]
    named = contract([column("siswa", classification="direct_identifier", identity="person_name"), *parents])
    row = (
        "SELECT 'r' AS record_key, '' AS nik_key, '' AS kk_key, 'Rosa' AS siswa, CAST(NULL AS VARCHAR) AS ayah,"
        " 'Ida' AS ibu"
    )
    monkeypatch.setattr(profiles.lake, "files_in_force", lambda *_: [Path("x")])
    monkeypatch.setattr(profiles.vault, "relation_sql", lambda _paths: row)
    query = profiles.identities_sql(settings, None, {named.dataset: named})
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT name, parent_name FROM ({query})").fetchall() == [("Rosa", "/Ida")]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"classification": "direct_identifier"}, "does not say which: identity"),
        ({"classification": "direct_identifier", "identity": "sex"}, "does not say which: identity"),
        ({"classification": "quasi_identifier", "identity": "nisn"}, "its classification is direct_identifier"),
        ({"classification": "direct_identifier", "identity": "birth_date"}, "is a birth_date and no string"),
        ({"classification": "direct_identifier", "identity": "nik", "derivation": "x"}, "is derived"),
    ],
)
def test_a_direct_identifier_says_which_it_is(given, fault) -> None:
    with pytest.raises(ValueError, match=fault):
        contract([column("nama_anak", **given)])


def test_a_row_has_one_person() -> None:
    niks = [column(name, classification="direct_identifier", identity="nik") for name in ("nik_anak", "nik_ibu")]
    with pytest.raises(ValueError, match="more than one column is the nik"):
        contract(niks)


def test_every_contract_says_which_identity_each_of_its_identifiers_is(settings) -> None:
    for one in load_contracts(settings.contracts_dir).values():
        assert all(c.extras.identity for c in one.columns if c.is_identifier), one.dataset
