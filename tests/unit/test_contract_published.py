"""A contract keeps what its major version promised; what would break it is named and refused."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support import samples
from warehouse import cli
from warehouse.core.contract import Contract, published
from warehouse.core.errors import ConfigError
from warehouse.core.settings import PROJECT_DIR, Settings

CONTRACT = samples.contracts()["kemenkes/eppgbm"].model_copy(update={"version": "1.0.0"})


def with_column(contract: Contract, name: str, *, extras: dict | None = None, **fields) -> Contract:
    columns = []
    for column in contract.columns:
        if column.name == name:
            column = column.model_copy(update=fields | {"extras": column.extras.model_copy(update=extras or {})})
        columns.append(column)
    return contract.model_copy(update={"columns": tuple(columns)})


def without_column(contract: Contract, name: str) -> Contract:
    return contract.model_copy(update={"columns": tuple(one for one in contract.columns if one.name != name)})


def with_extras(contract: Contract, **fields) -> Contract:
    return contract.model_copy(update={"extras": contract.extras.model_copy(update=fields)})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    published.publish(tmp_path / published.FILE, [CONTRACT])
    return tmp_path / published.FILE


def breaks(file: Path, contract: Contract) -> list[str]:
    return published.breaks([contract], published.read(file))


def test_no_contract_breaks_what_was_published() -> None:
    promises = published.read(Settings().contracts_dir.parent / published.FILE)
    assert published.breaks(samples.contracts().values(), promises) == []
    assert published.changes(samples.contracts().values(), promises) == [], "warehouse contracts publish"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (without_column(CONTRACT, "tinggi"), "column tinggi: is gone"),
        (with_column(CONTRACT, "tinggi", logical_type="string"), "column tinggi: type changed"),
        (with_column(CONTRACT, "tinggi", classification="public"), "column tinggi: classification changed"),
        (with_column(CONTRACT, "berat", required=True), "column berat: is now required"),
        (
            with_column(CONTRACT, "nama_ortu", extras={"optional": False}),
            "column nama_ortu: files without its header are now held",
        ),
        (with_column(CONTRACT, "berat", extras={"lake": False}), "column berat: readers no longer find it"),
        (
            with_column(CONTRACT, "berat", extras={"headers": ("BB",)}),
            "column berat: header 'Berat Badan' is no longer read",
        ),
        (
            with_column(CONTRACT, "jk", extras={"codes": {"L": ("L",), "P": ("P", "PR", "Perempuan")}}),
            "column jk: value 'LK' is no longer accepted",
        ),
        (
            with_column(CONTRACT, "posyandu", extras={"codes": {"MELATI": ("MELATI",)}}),
            "column posyandu: only listed values are now accepted",
        ),
        (
            with_column(CONTRACT, "jk", extras={"codes": {"L": ("P", "Perempuan"), "P": ("L", "Laki-laki")}}),
            "column jk: value 'L' now means 'P'",
        ),
        (with_column(CONTRACT, "jk", extras={"codes": None}), "column jk: its values are codes no longer"),
        (with_column(CONTRACT, "berat", extras={"unit": "g"}), "column berat: unit changed"),
        (
            with_column(CONTRACT, "desa_kel", extras={"code_system": "bps_code"}),
            "column desa_kel: code_system changed",
        ),
        (
            with_column(CONTRACT, "tanggal_pengukuran", extras={"formats": ("%m/%d/%Y",)}),
            "column tanggal_pengukuran: dates as '%Y-%m-%d' are no longer read",
        ),
        (with_extras(CONTRACT, natural_key=("child_key",)), "natural_key changed"),
        (with_extras(CONTRACT, period_kind="quarter"), "period_kind changed"),
        (CONTRACT.model_copy(update={"version": "0.9.0"}), "version 0.9.0 is below the published 1.0.0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_breaking_change_is_named_unless_the_major_version_is_new(
    file: Path, changed: Contract, expected: str
) -> None:
    assert f"kemenkes/eppgbm: {expected}" in breaks(file, changed)
    assert breaks(file, changed.model_copy(update={"version": "2.0.0"})) == []


def test_a_new_column_that_files_must_have_breaks_and_an_optional_one_does_not(file: Path) -> None:
    new = CONTRACT.column("berat").model_copy(update={"name": "lila", "header": "LiLA"})
    wider = CONTRACT.model_copy(update={"columns": (*CONTRACT.columns, new)})
    assert "column lila: is new, and files without it are held" in breaks(file, wider)[0]
    assert breaks(file, with_column(wider, "lila", extras={"optional": True})) == []


@pytest.mark.parametrize(
    "changed",
    [
        with_column(CONTRACT, "nama", required=False),
        with_column(CONTRACT, "berat", extras={"headers": ("BB", "Berat Badan", "Berat (kg)")}),
        with_column(CONTRACT, "berat", description="Weight."),
        # Computed for the gate alone: nobody sends it and nobody finds it.
        without_column(CONTRACT, "is_age_text_equal"),
        CONTRACT.model_copy(update={"rules": ()}),
        # Fewer rows are each other's doubles.
        with_extras(CONTRACT, natural_key=(*CONTRACT.extras.natural_key, "posyandu")),
    ],
)
def test_what_asks_less_of_senders_and_takes_nothing_from_readers_breaks_nothing(file: Path, changed: Contract) -> None:
    assert breaks(file, changed) == []


def test_a_published_dataset_does_not_disappear(file: Path) -> None:
    assert published.breaks([], published.read(file)) == ["kemenkes/eppgbm: has no contract any more"]


def test_publishing_refuses_what_breaks_and_what_changed_under_the_same_version(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(ConfigError, match=r"CONTRACT_BREAKS.*column tinggi: is gone"):
        published.publish(file, [without_column(CONTRACT, "tinggi")])
    freer = with_column(CONTRACT, "nama", required=False)
    with pytest.raises(ConfigError, match="CONTRACT_VERSION_SAME"):
        published.publish(file, [freer])
    assert file.read_bytes() == before
    (row,) = published.publish(file, [freer.model_copy(update={"version": "1.1.0"})])
    assert (row["version"], row["outcome"]) == ("1.1.0", "published")


def test_a_new_major_version_stands_beside_the_old_one(file: Path) -> None:
    second = without_column(CONTRACT, "tinggi").model_copy(update={"version": "2.0.0"})
    published.publish(file, [second])
    promises = published.read(file)["kemenkes/eppgbm"]
    assert [("tinggi" in promises[major].columns) for major in (1, 2)] == [True, False]
    assert breaks(file, CONTRACT) == ["kemenkes/eppgbm: version 1.0.0 is below the published 2.0.0"]


def test_an_earlier_version_that_files_are_still_read_as_keeps_its_promise(file: Path) -> None:
    second = without_column(CONTRACT, "cara_ukur").model_copy(update={"version": "2.0.0", "earlier": (CONTRACT,)})
    assert breaks(file, second) == []
    published.publish(file, [second])
    assert published.changes([second], published.read(file)) == []
    spoiled = second.model_copy(update={"earlier": (without_column(CONTRACT, "tinggi"),)})
    assert breaks(file, spoiled) == ["kemenkes/eppgbm: version 1: column tinggi: is gone"]
    assert published.changes([spoiled], published.read(file)) == ["kemenkes/eppgbm 1.0.0"]


def test_another_derivation_is_a_change_that_the_second_number_tells(file: Path) -> None:
    derived = with_column(CONTRACT, "lives_elsewhere", extras={"derivation": "false"})
    assert breaks(file, derived) == []
    with pytest.raises(ConfigError, match="CONTRACT_VERSION_SAME"):
        published.publish(file, [derived])


def test_what_is_written_is_what_is_read(file: Path) -> None:
    assert published.read(file) == {"kemenkes/eppgbm": {1: published.promise_of(CONTRACT)}}
    assert published.publish(file, [CONTRACT])[0]["outcome"] == "unchanged"


def test_a_file_edited_by_hand_is_refused(file: Path) -> None:
    file.write_text("kemenkes/eppgbm: {1: {columns: {}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="PUBLISHED_INVALID"):
        published.read(file)


@pytest.fixture
def project(tmp_path: Path, monkeypatch) -> Path:
    """A project of its own, whose contracts a test may spoil."""
    shutil.copytree(PROJECT_DIR / "expectations", tmp_path / "expectations")
    (tmp_path / "dbt_project").symlink_to(PROJECT_DIR / "dbt_project")
    monkeypatch.setattr(cli.setup, "get_settings", lambda: Settings(home=tmp_path / "home", project_dir=tmp_path))
    return tmp_path / "expectations"


def checked() -> dict[str, str]:
    """What check-config, which must fail, says of each thing it looks at."""
    told = CliRunner().invoke(cli.app, ["check-config", "--json"])
    assert told.exit_code == 2
    return {row["check"]: row["detail"] for row in json.loads(told.stdout)}


def test_check_config_names_a_contract_that_breaks_its_promise(project: Path) -> None:
    path = project / "sources/kemenkes/under_five_targets.odcs.yaml"
    basis = "customProperties:\n  - {property: legal_basis, value: a law}\n  - {property: agency_name"
    text = path.read_text(encoding="utf-8").replace("customProperties:\n  - {property: agency_name", basis)
    path.write_text(text.replace("classification: public", "classification: health", 1), encoding="utf-8")
    said = checked()["contracts"]
    assert "CONTRACT_BREAKS" in said
    assert "kemenkes/under_five_targets: column" in said


@pytest.mark.parametrize(
    ("file", "word", "wrong", "expected"),
    [
        ("sources/polri/outreach.odcs.yaml", "kind: session_once", "kind: session_onse", "rule OUTREACH-002: kind"),
        (
            "marts/ops_releases.yaml",
            "kind: model_right",
            "kind: model_rihgt",
            "OPS-RELEASES-001 (ops_releases.yaml, line",
        ),
        ("rules.yaml", "value_set: [true]", "values_set: [true]", "participants.odcs.yaml, line"),
        ("rules.yaml", "_match_regex", "_mach_regex", "expect_column_values_to_mach_regex does not exist"),
    ],
)
def test_check_config_names_the_rule_that_cannot_be_run_and_its_line(
    project: Path, file: str, word: str, wrong: str, expected: str
) -> None:
    path = project / file
    path.write_text(path.read_text(encoding="utf-8").replace(word, wrong, 1), encoding="utf-8")
    said = checked()
    assert expected in said["contracts"] + said["rules of marts"]
