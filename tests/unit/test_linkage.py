"""Linkage by exact identifiers: who becomes one person, who does not, and that only keys come out."""

from dataclasses import replace
from datetime import date, timedelta

import duckdb
import pyarrow as pa
import pytest

from tests.support.gate_helpers import RECEIVED, column, contract, delivered
from warehouse import ledger, linkage
from warehouse.ledger import deliveries, tables
from warehouse.linkage import model
from warehouse.storage import keys, lake, vault

PERSON = {"classification": "direct_identifier", "use": "linkage"}
CHILDREN = contract(
    [
        column("nik", **PERSON),
        column("nama", **PERSON),
        column("tgl_lahir", "date", **PERSON),
        column("nama_ortu", **PERSON),
        column("jk", classification="quasi_identifier"),
    ]
)
MEMBERS = contract(
    [
        column("nik", **PERSON),
        column("no_kk", **PERSON),
        column("nama", **PERSON),
        column("tanggal_lahir", "date", **PERSON),
        column("id_jenis_kelamin", classification="quasi_identifier"),
        column("id_hub_kepala_keluarga", classification="quasi_identifier"),
    ],
    dataset="bps/social_registry_individuals",
)
FAMILIES = contract([column("no_kk", **PERSON)], dataset="bps/social_registry_families")
SITI, BUDI, OTHER_SITI = "3671014102200007", "3671010102900004", "3671014102200024"
CARD, OTHER_CARD = "3671010203040005", "3671010203040006"
CHILD = {"nama": "SITI KENARI", "tgl_lahir": date(2020, 2, 1), "jk": "P", "nama_ortu": "BUDI / ANI"}


class World:
    """Deliveries judged and stored; ``links`` by dataset and source row."""

    def __init__(self, s, monkeypatch):
        keys.make_sandbox_keys(s)
        ledger.upgrade(s.ledger)
        self.s, self.led = s, ledger.Ledger(s.ledger)
        contracts = {c.dataset: c for c in (CHILDREN, MEMBERS, FAMILIES)}
        monkeypatch.setattr(linkage, "load_contracts", lambda _folder: contracts)
        self.names = {}

    def deliver(self, one, rows: list[dict], content: str = "a", part: str = "all") -> None:
        types = {"string": pa.string(), "date": pa.date32()}
        columns = {c.name: pa.array([r.get(c.name) for r in rows], types[c.logical_type]) for c in one.columns}
        self.deliver_table(one, pa.table(columns), content, part)

    def deliver_table(self, one, table: pa.Table, content: str = "a", part: str = "all") -> None:
        # What comes later is received later.
        delivery = replace(delivered(one, content, part), received_at=RECEIVED + timedelta(seconds=len(self.names)))
        table = table.append_column("source_part", pa.nulls(table.num_rows, pa.string()))
        table = table.append_column("source_row", pa.array(range(table.num_rows), pa.int64()))
        verdict_id = ledger.new_id()
        with vault.splitting(self.s, one) as connection:
            lake_rows, identities = vault.pseudonymise(connection, one, delivery, table)
            files = {
                "vault": vault.store(self.s, connection, one, delivery.delivery_id, verdict_id, identities),
                "lake": lake.write(self.s, one, delivery.delivery_id, verdict_id, lake_rows),
            }
        self.names |= {
            key: f"{one.name}:{content}{number}" for number, key in enumerate(lake_rows["record_key"].to_pylist())
        }
        deliveries.record_delivery(self.led, delivery)
        self.led.insert(
            tables.verdicts,
            {
                "verdict_id": verdict_id,
                "delivery_id": delivery.delivery_id,
                "contract_version": "1",
                "judged_at": RECEIVED,
                "verdict": "accepted",
                "checks_run": 1,
                "rows_read": 1,
                "rows_admitted": 1,
                "rows_quarantined": 0,
                "rows_refused": 0,
            },
        )
        for kind, stored in files.items():
            self.led.insert(
                tables.lake_files,
                {
                    "path": stored.path,
                    "verdict_id": verdict_id,
                    "delivery_id": delivery.delivery_id,
                    "kind": kind,
                    "rows": stored.rows,
                    "sha256": stored.sha256,
                    "written_at": RECEIVED,
                },
            )

    def links(self) -> dict[str, dict]:
        linkage.link(self.s, self.led)
        return {self.names[row["record_key"]]: row for row in self._read(linkage.LINKS)}

    def candidates(self) -> set[tuple[str, str]]:
        """Records that may be one person, by the newest linking."""
        holders = {row["person_key"]: self.names[row["record_key"]] for row in self._read(linkage.CANDIDATES)}
        return {
            (self.names[row["record_key"]], holders[row["candidate_person_key"]])
            for row in self._read(linkage.CANDIDATES)
        }

    def _read(self, name: str) -> list[dict]:
        with duckdb.connect() as connection:
            return connection.execute(linkage.relation_sql(self.s, name)).to_arrow_table().to_pylist()


@pytest.fixture
def world(settings, monkeypatch) -> World:
    return World(settings, monkeypatch)


def test_one_nik_is_one_person_in_every_dataset_and_brings_the_family_along(world):
    world.deliver(CHILDREN, [CHILD | {"nik": SITI}])
    world.deliver(MEMBERS, [{"nik": SITI, "no_kk": CARD}, {"nik": BUDI, "no_kk": CARD}])
    world.deliver(FAMILIES, [{"no_kk": CARD}])
    links = world.links()
    child, registered, father = (
        links[f"{name}:a{n}"] for name, n in (("eppgbm", 0), *(("social_registry_individuals", n) for n in (0, 1)))
    )
    assert child["person_key"] == registered["person_key"] != father["person_key"]
    assert child["family_key"] == father["family_key"] == links["social_registry_families:a0"]["family_key"]
    assert links["social_registry_families:a0"]["person_key"] is None
    assert (child["method"], child["weight"], child["band"]) == ("nik", 1.0, "link")
    assert child["model_version"] == model.load(model.BUNDLED)[0]


def test_links_are_made_anew_when_what_they_follow_from_changed_or_they_are_damaged(world, monkeypatch):
    made = []
    link = linkage.link
    monkeypatch.setattr(linkage, "link", lambda s, led: (made.append(1), link(s, led)))

    def times() -> int:
        linkage.refresh(world.s, world.led)
        return len(made)

    world.deliver(CHILDREN, [CHILD | {"nik": SITI}])
    assert (times(), times()) == (1, 1)
    world.deliver(MEMBERS, [{"nik": SITI, "no_kk": CARD}])
    assert (times(), times()) == (2, 2)
    links = world.s.vault_dir / f"{linkage.LINKS}.parquet"
    links.write_bytes(links.read_bytes()[:-1])
    assert (times(), times()) == (3, 3)
    links.unlink()
    assert (times(), times()) == (4, 4)
    (row,) = world.led.rows("select path from lake_files where kind = 'vault' limit 1")
    with world.led.write() as connection:
        connection.exec_driver_sql("update lake_files set sha256 = 'other' where path = ?", (row["path"],))
    assert (times(), times()) == (5, 5)


def test_a_child_without_nik_is_followed_by_its_description(world):
    spelt = CHILD | {"nama": "siti  kenari", "nama_ortu": "Budi/Ani"}
    world.deliver(CHILDREN, [CHILD, spelt, CHILD | {"nama_ortu": "BUDI / IDA"}, CHILD | {"jk": "L"}])
    links = world.links()
    first, same, other_parent, other_sex = (links[f"eppgbm:a{n}"]["person_key"] for n in range(4))
    assert first == same
    assert len({first, other_parent, other_sex}) == 3
    assert links["eppgbm:a0"]["method"] == "description"


def test_a_description_that_carries_one_nik_is_that_person(world):
    world.deliver(CHILDREN, [CHILD, CHILD | {"nik": SITI}])
    links = world.links()
    assert links["eppgbm:a0"]["person_key"] == links["eppgbm:a1"]["person_key"]
    assert links["eppgbm:a0"]["weight"] < links["eppgbm:a1"]["weight"]


def test_a_description_that_carries_two_niks_is_neither_of_them(world):
    world.deliver(CHILDREN, [CHILD, CHILD | {"nik": SITI}, CHILD | {"nik": OTHER_SITI}])
    links = world.links()
    assert len({links[f"eppgbm:a{n}"]["person_key"] for n in range(3)}) == 3


def test_a_description_beside_its_own_nik_and_its_fathers_is_the_child(world):
    """The father's number says another generation and another sex: it is not the child's and tells nothing of it."""
    world.deliver(CHILDREN, [CHILD, CHILD | {"nik": SITI}, CHILD | {"nik": BUDI}])
    links = world.links()
    assert len({links[f"eppgbm:a{n}"]["person_key"] for n in range(3)}) == 1


@pytest.mark.parametrize("missing", ["nama", "tgl_lahir", "jk", "nama_ortu"])
def test_half_a_description_names_nobody(world, missing):
    world.deliver(CHILDREN, [CHILD | {missing: None}])
    assert world.links() == {}


def test_a_person_on_two_family_cards_lends_neither(world):
    world.deliver(CHILDREN, [CHILD | {"nik": SITI}])
    world.deliver(MEMBERS, [{"nik": SITI, "no_kk": CARD}], content="a")
    world.deliver(MEMBERS, [{"nik": SITI, "no_kk": OTHER_CARD}], content="b", part="other")
    links = world.links()
    assert links["eppgbm:a0"]["family_key"] is None
    own = {links[f"social_registry_individuals:{c}0"]["family_key"] for c in "ab"}
    assert len(own) == 2
    assert None not in own


def test_links_hold_keys_only_and_equal_inputs_give_equal_links(world):
    world.deliver(CHILDREN, [CHILD | {"nik": SITI}, CHILD])
    assert world.links() == world.links()
    file = world.s.vault_dir / "identity_links.parquet"
    assert file.stat().st_mode & 0o777 == 0o600
    for secret in (SITI, "KENARI", "2020-02-01"):
        assert secret not in str(duckdb.read_parquet(str(file)).fetchall())


def test_before_the_first_run_there_are_no_links(settings):
    with duckdb.connect() as connection:
        found = connection.execute(linkage.relation_sql(settings)).to_arrow_table()
    assert found.num_rows == 0
    assert found.schema.field("weight").type == pa.float64()
