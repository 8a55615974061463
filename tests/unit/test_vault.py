"""The vault: pseudonyms equal RFC 2104, unusable numbers have none, identities leave the lake and stay encrypted."""

import hmac

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.gate_helpers import column, contract, delivered
from warehouse.core.errors import ConfigError
from warehouse.ledger.deliveries import Delivery
from warehouse.storage import keys, vault

CONTRACT = contract(
    [
        column("nik", classification="direct_identifier", use="linkage"),
        column("no_kk", classification="direct_identifier", use="linkage"),
        column("nama", classification="direct_identifier", use="linkage"),
        column("child_key", classification="direct_identifier", use="gate", lake=False, derivation="nik"),
        column("jk", classification="quasi_identifier"),
        column("rt", classification="quasi_identifier", use="linkage", lake=False),
        column("kec", classification="quasi_identifier", use="gate", lake=False),
        column("berat", "number", classification="health"),
    ]
)
DELIVERY = delivered(CONTRACT, "a")
NIK = "3671014102200007"


def admitted(**given) -> pa.Table:
    row = {column.name: pa.array([None], pa.string()) for column in CONTRACT.columns}
    row |= {"nik": [NIK], "no_kk": ["3671010203040005"], "nama": ["SITI KENARI"], "jk": ["P"], "rt": ["003"]}
    row |= {"berat": pa.array([9.5]), "source_part": pa.nulls(1, pa.string()), "source_row": pa.array([4], pa.int64())}
    return pa.table(row | {name: pa.array([value], pa.string()) for name, value in given.items()})


def pseudonymise(s, one, delivery: Delivery, table: pa.Table) -> tuple[pa.Table, pa.Table | None]:
    with vault.splitting(s, one) as connection:
        return vault.pseudonymise(connection, one, delivery, table)


def store(s, one, delivery_id: str, verdict_id: str, identities: pa.Table) -> vault.StoredFile:
    with vault.splitting(s, one) as connection:
        return vault.store(s, connection, one, delivery_id, verdict_id, identities)


@pytest.fixture
def s(settings):
    keys.make_sandbox_keys(settings)
    return settings


@hypothesis_settings(deadline=None)
@given(key=st.binary(min_size=32, max_size=32), message=st.text(st.characters(exclude_characters="\0", codec="utf-8")))
def test_pseudonyms_are_hmac_sha256(key, message):
    with duckdb.connect() as connection:
        vault.define_pseudonym(connection, key)
        (found,) = connection.execute("SELECT pseudonym('nik', $1)", [message]).fetchone()
    expected = hmac.new(key, b"nik:" + message.encode(), "sha256").hexdigest()[:32]
    assert found == f"{vault.key_id(key)}:{expected}"


def test_one_number_as_nik_and_as_family_card_has_two_pseudonyms(s):
    rows, _ = pseudonymise(s, CONTRACT, DELIVERY, admitted(no_kk=NIK))
    (row,) = rows.to_pylist()
    assert row["nik_key"] != row["kk_key"]


@pytest.mark.parametrize(
    "nik",
    [
        None,
        "",
        "-",
        "02022**********",
        "3,67E+15",
        "3671",
        "1" * 16,
        "1234567890123456",
        "3671014102200000",
        "36710141022000071",
        # A double holds sixteen digits exactly up to 2**53 only: from Papua on, the last one may be another's.
        "9171014102200007.0",
    ],
)
def test_an_unusable_nik_has_no_pseudonym(s, nik):
    rows, identities = pseudonymise(s, CONTRACT, DELIVERY, admitted(nik=nik))
    assert rows["nik_key"].to_pylist() == identities["nik_key"].to_pylist() == [None]


@pytest.mark.parametrize("nik", [f" {NIK} ", f"'{NIK}", "367101 410220 0007", "367101.410220.0007", f"{NIK}.0"])
def test_spellings_of_one_nik_have_one_pseudonym(s, nik):
    plain, _ = pseudonymise(s, CONTRACT, DELIVERY, admitted())
    spelt, _ = pseudonymise(s, CONTRACT, DELIVERY, admitted(nik=nik))
    assert plain["nik_key"] == spelt["nik_key"]


def test_identifiers_and_gate_columns_stay_out_of_the_lake(s):
    rows, identities = pseudonymise(s, CONTRACT, DELIVERY, admitted())
    assert rows.column_names == ["jk", "berat", *vault.LINEAGE]
    assert identities.column_names[:5] == ["nik", "no_kk", "nama", "jk", "rt"]
    assert NIK not in str(rows.to_pylist())
    assert "KENARI" not in str(rows.to_pylist())


def test_record_keys_follow_from_the_place_of_the_row_alone(s, tmp_path):
    first, identities = pseudonymise(s, CONTRACT, DELIVERY, admitted())
    again, _ = pseudonymise(s, CONTRACT, DELIVERY, admitted(nik=None, nama="BUDI"))
    other, _ = pseudonymise(s, CONTRACT, delivered(CONTRACT, "b"), admitted())
    assert first["record_key"] == again["record_key"] == identities["record_key"]
    assert first["record_key"] != other["record_key"]


def test_rows_about_nobody_need_no_keys_and_fill_no_vault(settings):
    public = contract([column("nilai", "number")], dataset="portal/investment")
    table = pa.table({"nilai": [1.0], "source_part": pa.nulls(1, pa.string()), "source_row": [2]})
    rows, identities = pseudonymise(settings, public, DELIVERY, table)
    assert identities is None
    assert rows.column_names == ["nilai", *vault.LINEAGE]


def test_identities_are_stored_encrypted_and_come_back(s):
    _, identities = pseudonymise(s, CONTRACT, DELIVERY, admitted())
    stored = store(s, CONTRACT, DELIVERY.delivery_id, "v1", identities)
    path = s.home / stored.path
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    assert NIK.encode() not in path.read_bytes()
    with pytest.raises((OSError, pa.ArrowInvalid)):
        pq.read_table(path)
    with vault.connect(s) as connection:
        assert connection.execute(vault.relation_sql([path])).to_arrow_table().select(["nik"]).to_pylist() == [
            {"nik": NIK}
        ]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_files_of_different_contract_versions_are_read_by_name(s):
    _, identities = pseudonymise(s, CONTRACT, DELIVERY, admitted())
    older = store(s, CONTRACT, "old", "v1", identities.drop_columns(["rt"]))
    newer = store(s, CONTRACT, "new", "v2", identities)
    with vault.connect(s) as connection:
        sql = vault.relation_sql([s.home / older.path, s.home / newer.path])
        assert [row["rt"] for row in connection.execute(sql).to_arrow_table().to_pylist()] == [None, "003"]


def test_deliveries_on_one_connection_keep_apart(s):
    with vault.splitting(s, CONTRACT) as connection:
        first, _ = vault.pseudonymise(connection, CONTRACT, DELIVERY, admitted())
        second, _ = vault.pseudonymise(connection, CONTRACT, delivered(CONTRACT, "b"), admitted(nik=None))
        left = connection.execute("SELECT count(*) FROM duckdb_views() WHERE NOT internal").fetchone()
    assert [row["nik_key"] is None for row in first.to_pylist() + second.to_pylist()] == [False, True]
    assert first["delivery_id"] != second["delivery_id"]
    assert left == (0,)


def test_without_keys_nothing_is_written(settings):
    with pytest.raises(ConfigError, match="KEYS_MISSING"):
        pseudonymise(settings, CONTRACT, DELIVERY, admitted())
    assert not settings.vault_dir.exists()
