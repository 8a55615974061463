"""Digits that are a BPS code and an undotted Kemendagri code of two places are never guessed at.

A kelurahan may come by name or by a code whose system its contract declares; nothing else is read as a place.
"""

import csv
from functools import cache

import pytest

from tests.support import samples
from warehouse.core.settings import Settings
from warehouse.intake import gate
from warehouse.intake.parse import parse

# The first layout of the registry; the second states a name beside each code (test_registry_versions).
FAMILIES = "bps/social_registry_families@1"
# Dataset whose kelurahan comes by name -> the column of that name, and the rule that refuses what is no name.
BY_NAME = {
    "kemenkes/eppgbm": ("desa_kel", "EPPGBM-013"),
    "kemenkes/under_five_targets": ("desa_kel", "TARGET-001"),
    "kemensos/assistance": ("desa", "ASSIST-008"),
    "polri/outreach": ("kelurahan", "OUTREACH-001"),
}


@cache
def collisions() -> list[dict[str, str]]:
    with (Settings().seeds_dir / "code_collisions.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["same_place"] == "false"]


def judged(settings: Settings, dataset: str, rows: list[dict[str, str | None]]) -> gate.Judgement:
    """Judged with the stops overridden, so that the verdict on each row is there."""
    contract = samples.versions()[dataset]
    parsed = parse(contract, *samples.as_file(dataset, rows))
    context = gate.DeliveryContext(samples.period(dataset), "all", samples.RECEIVED_AT)
    return gate.judge(settings, contract, {"d": parsed}, {"d": context}, [], frozenset({"d"}))["d"]


def refused(judgement: gate.Judgement, rule: str) -> set[int]:
    return {pointer.source_row for pointer in judgement.quarantined if pointer.rule_code == rule}


def test_the_list_holds_every_kelurahan_with_two_readings():
    assert len(collisions()) == 33
    assert {row["level"] for row in collisions()} == {"kelurahan"}


def test_no_other_dataset_takes_a_kelurahan_by_name_alone():
    by_name = {
        dataset
        for dataset, contract in samples.contracts().items()
        for column in contract.file_columns
        if column.extras.code_system == "region_name" and column.name in {"desa", "desa_kel", "kelurahan", "nama_kel"}
        and not any(c.extras.code_system in {"kemendagri_code", "kemendagri_code_undotted", "region_code_by_name"}
                    for c in contract.file_columns)
    }  # fmt: skip
    assert by_name == BY_NAME.keys()


@pytest.mark.parametrize("dataset", sorted(BY_NAME))
@pytest.mark.parametrize("kecamatan", ["given", "missing"])
def test_digits_without_a_declared_system_are_no_place(settings, dataset, kecamatan):
    column, rule = BY_NAME[dataset]
    good = samples.good_rows(dataset)
    parent = {name: None for name in good[0] if name in {"kec", "kecamatan"} and kecamatan == "missing"}
    rows = [good[number % len(good)] | parent | {column: row["digits"]} for number, row in enumerate(collisions())]
    judgement = judged(settings, dataset, rows)
    assert len(refused(judgement, rule)) == judgement.rows_read == 33
    assert judgement.rows_admitted == 0


def families(reading: str) -> list[dict[str, str | None]]:
    """A family in each colliding kelurahan, named by one of the two readings of its digits."""
    return [
        family | {
            "kode_kecamatan": row["digits"][:6], "kode_kelurahan": row["digits"],
            "kecamatan": row[f"kecamatan_if_{reading}"], "desa": row[f"place_if_read_as_{reading}"],
        }
        for family, row in zip(samples.good_rows(FAMILIES), collisions(), strict=False)
    ]  # fmt: skip


def test_a_declared_code_is_read_in_its_own_system(settings):
    judgement = judged(settings, FAMILIES, families("kemendagri"))
    assert (judgement.rows_admitted, judgement.rows_quarantined) == (33, 0)
    found = {row["kemendagri_code"].replace(".", "") for row in judgement.admitted.to_pylist()}
    assert found == {row["digits"] for row in collisions()}


def test_a_declared_code_that_the_names_read_in_the_other_system_is_refused(settings):
    judgement = judged(settings, FAMILIES, families("bps"))
    assert judgement.rows_admitted == 0
    assert len(refused(judgement, "DTSEN-FAM-008")) == 33
