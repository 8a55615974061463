"""Mistakes planted in a contract: each is told before a night, with file, line, and the nearest right word.

Those of the SQL are found on tables without a row, all of one contract at once; those of the file when it is read.
"""

import shutil
from pathlib import Path

import pytest

from warehouse.core.contract import load_contracts
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.intake.gate import binding
from warehouse.report import status

REAL = Settings()
NAME = "eppgbm.odcs.yaml"
TEXT = (REAL.contracts_dir / "kemenkes" / NAME).read_text(encoding="utf-8")


def planted(folder: Path, *changes: tuple[str, str], file: str = NAME) -> Settings:
    """A project with one contract, in which each first text stands as the second."""
    text = TEXT
    for right, wrong in changes:
        assert right in text, right
        text = text.replace(right, wrong, 1)
    path = folder / "expectations/sources/kemenkes" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if not (folder / "dbt_project").exists():
        shutil.copy(REAL.project_dir / "expectations/rules.yaml", folder / "expectations")
        (folder / "dbt_project").symlink_to(REAL.dbt_dir)
    return REAL.model_copy(update={"project_dir": folder, "home": folder / "home"})


def line_of(s: Settings, text: str) -> int:
    lines = (s.contracts_dir / "kemenkes" / NAME).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def told(s: Settings) -> str:
    with pytest.raises(ConfigError) as error:
        load_contracts(s.contracts_dir)
    return error.value.message_en


# Right text, wrong text, what it is named as, where that stands, what the message says.
SQL = [
    ("kelurahan_code(kec,", "kelurahan_kode(kec,", "column", "kemendagri_code", "kelurahan_code"),
    ("kecamatan_code(kec)", "kecamatan_code(kecamatan)", "column", "kecamatan_kemendagri_code", "kecamatan"),
    ("date_diff(''day'', tgl_lahir,", "date_diff(''day'', tgl_lahir,,", "column", "age_days", "yntax error"),
    ("CAST(date_trunc(''month'', tanggal_pengukuran) AS DATE)", "tanggal_pengukuran > DATE ''2020-01-01''", "column",
     "measured_month", "BOOLEAN"),
    ("count(DISTINCT kemendagri_code)", "count(DISTINCT kemendagri_kode)", "measure", "kelurahan_present",
     "kemendagri_code"),
    ("count(DISTINCT child_key)\n", "child_key\n", "measure", "children", "GROUP BY"),
    ("abs(zs_tb_u) > 6", "abs(zs_tb) > 6", "measure", "share_flagged", "zs_tb_u"),
    ("kind: measured_after_birth, column: age_days", "kind: measured_after_birth, column: nama", "rule", "EPPGBM-007",
     "min_value holds 0"),
    ("column: is_label_known", "column: tb_u", "rule", "EPPGBM-015", "value_set holds True"),
    ("'^([0-9]{16}|[0-9]*[*]+[0-9]*)$'", "'^([0-9]{16}|[0-9]*[*]+[0-9]*$'", "rule", "EPPGBM-001", "missing )"),
]  # fmt: skip


def test_sql_that_does_not_fit_is_told_all_at_once_with_line_and_candidates(tmp_path: Path) -> None:
    s = planted(tmp_path, *((right, wrong) for right, wrong, *_ in SQL))
    with pytest.raises(ConfigError, match="CONTRACT_UNSOUND") as error:
        status.confirm_contracts(s)
    found = {
        part.split(": ")[1]: part
        for part in error.value.message_en.removeprefix("Contracts could not be run. ").split("; " + NAME)
    }
    for _right, _wrong, what, name, expected in SQL:
        message = found[f"{what} {name!r}"]
        stands = {"share_flagged": "name: EPPGBM-101,"}.get(name, f"{name}:" if what == "measure" else f"name: {name},")
        assert f"line {line_of(s, stands)}:" in message
        assert expected in message
    assert len(found) == len(SQL)


def test_a_pattern_for_any_part_of_a_text_is_told(tmp_path: Path) -> None:
    s = planted(tmp_path, ("'^([0-9]{16}|", "'([0-9]{16}|"))
    with pytest.raises(ConfigError, match=r"EPPGBM-001.*must start with \^"):
        status.confirm_contracts(s)


def test_a_contract_without_a_fault_is_counted(tmp_path: Path) -> None:
    assert status.confirm_contracts(planted(tmp_path)).startswith("1 datasets")


# Right text, wrong text, what stands on the line told (None: no line), what the message says.
READ = {
    "a key that the standard lacks": ("logicalType: number", "logicaltype: number", None, ("logicaltype",)),
    "a property misspelt": (
        "{property: code_system, value: region_name}", "{property: code_sistem, value: region_name}", "name: kab_kota",
        ("column 'kab_kota'", "code_sistem", "nearest is 'code_system'"),
    ),
    "a word that is none of the listed": (
        "value: snapshot", "value: snapshoot", "property: delivery_mode", ("delivery_mode", "nearest is 'snapshot'"),
    ),
    "a column without a class": (
        "physicalName: Posyandu, logicalType: string, classification: quasi_identifier,",
        "physicalName: Posyandu, logicalType: string,", "name: posyandu", ("column 'posyandu'", "classification"),
    ),
    "an identifier that does not say which": (
        ", {property: identity, value: person_name}", "", "name: nama,", ("column 'nama'", "does not say which"),
    ),
    "an identity that is none": (
        "value: parent_name", "value: parents_name", "name: nama_ortu",
        ("column 'nama_ortu'", "nearest is 'parent_name'"),
    ),
    "a column without a use": (
        "measured. Names repeat across kelurahan.,\n         customProperties: [{property: use, value: mart}]}",
        "measured. Names repeat across kelurahan.}", "name: posyandu", ("column 'posyandu' has no use",),
    ),
    "a kind of rule that is none": (
        "kind: nik_digits", "kind: nik_digit", "name: EPPGBM-001", ("rule EPPGBM-001", "nearest is 'nik_digits'"),
    ),
    "an argument too many": (
        "label: nik, action: export", "lable: nik, action: export", "name: EPPGBM-001",
        ("rule EPPGBM-001", "takes no 'lable'", "nearest is 'label'"),
    ),
    "an argument too few": (
        "number: nik,\n         bearer: child_key", "number: nik", "name: EPPGBM-020",
        ("rule EPPGBM-020", "needs 'bearer'"),
    ),
    "an action that is none": (
        "action: no_stand_in_nik", "action: no_stand_in_nick", "name: EPPGBM-003",
        ("action 'no_stand_in_nick'", "nearest is 'no_stand_in_nik'"),
    ),
    "a rule on no column": (
        "column: is_region_known}", "column: is_regoin_known}", "name: EPPGBM-013",
        ("rule EPPGBM-013", "nearest is 'is_region_known'"),
    ),
    "a threshold without a dated reason": (
        ", reason: A child cannot be measured before birth., reason_date: 2026-11-22", "",
        "name: EPPGBM-007", ("rule EPPGBM-007", "without a dated reason"),
    ),
    "a code twice": ("name: EPPGBM-002,", "name: EPPGBM-001,", "name: EPPGBM-001", ("rule 'EPPGBM-001' twice",)),
    "a column twice": ("name: rw,", "name: rt,", "name: rt,", ("column 'rt' twice",)),
    "a key twice": ("status: active", "status: active\nstatus: active", None, ("'status' stands twice", "line 8")),
    "a key of no column": ("[child_key, tanggal_pengukuran]}\n", "[child_kee, tanggal_pengukuran]}\n", None,
                           ("natural_key", "nearest is 'child_key'")),
    "a version of two numbers": ("version: 1.2.0", "version: '1.0'", None, ("version '1.0'",)),
    "no legal basis for children's data": (
        TEXT[TEXT.index("  - property: legal_basis") : TEXT.index("  - {property: retention_days")], "", None,
        ("legal_basis is missing",),
    ),
    "an SFTP server without a user": (
        ", username: gudang}", "}", "property: parameters", ("parameters", "username"),
    ),
    "a credential misspelt": (
        "private_key: dinkes", "privat_key: dinkes", "property: secrets", ("'privat_key'", "nearest is 'private_key'"),
    ),
    "a credential too few": (
        ", known_hosts: dinkes_known_hosts", "", "property: secrets", ("needs 'known_hosts'",),
    ),
    "a due day before the period": ("due_day, value: 10", "due_day, value: -99", None, ("due_day is -99",)),
    "a day that is text": ("property: due_day, value: 10", "property: due_day, value: ten", "property: due_day",
                           ("property due_day", "integer")),
    "YAML that cannot be read": ("status: active", "status: [active", None, ("line",)),
}  # fmt: skip


@pytest.mark.parametrize("mistake", READ)
def test_a_mistake_in_the_file_is_told_with_its_line_and_the_nearest_word(tmp_path: Path, mistake: str) -> None:
    right, wrong, stands, expected = READ[mistake]
    s = planted(tmp_path, (right, wrong))
    message = told(s)
    assert NAME in message
    for words in expected:
        assert words in message
    if stands:
        assert f"line {line_of(s, stands)}" in message


def test_every_broken_file_is_told(tmp_path: Path) -> None:
    planted(tmp_path, ("status: active", "statis: active"))
    s = planted(tmp_path, ("version: 1.2.0", "version: x"), file="other.odcs.yaml")
    message = told(s)
    assert NAME in message
    assert "other.odcs.yaml" in message


@pytest.mark.parametrize(
    "changed",
    [
        ("kind: few_set_aside, max: 0.4", "kind: few_set_aside, max: 0.6"),
        ("kind: few_set_aside, max: 0.4", "kind: rows_as_before, min: 0, max: 9"),
    ],
)
def test_a_contract_says_how_many_rows_may_be_set_aside_and_never_the_larger_part(tmp_path: Path, changed):
    s = planted(tmp_path, changed)
    (contract,) = load_contracts(s.contracts_dir).values()
    found = [str(fault) for _, fault in binding.faults(s, [contract])]
    assert found == ["rule 'few_set_aside': there must be one of this kind, whose max is at most 0.5"]


def test_a_date_without_a_range_is_told(tmp_path: Path):
    one_way = ("{property: earliest, value: period_start - INTERVAL 2 YEARS}, ", "")
    assert "column 'tanggal_pengukuran' is a date: say its earliest and latest" in told(planted(tmp_path, one_way))
