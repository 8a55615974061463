"""Contracts: what the loader refuses, and what must hold over all of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import yaml

from tests.support import samples
from warehouse.core.contract import get_contract, load_contract, load_contracts
from warehouse.core.contract.kinds import load_kinds
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.intake.gate import regions

SOURCES = Settings().contracts_dir
CONTRACTS = list(samples.versions().values())
KINDS = load_kinds(SOURCES.parent / "rules.yaml")
IDENTIFYING = {"nik", "no_kk", "nama", "nama_ortu", "tgl_lahir", "tanggal_lahir", "no_kpj"}


@pytest.fixture
def document() -> dict:
    return yaml.safe_load((SOURCES / "kemenkes/eppgbm.odcs.yaml").read_text(encoding="utf-8"))


def load(document: dict, folder: Path, place: str = "kemenkes/eppgbm"):
    return load_contract(written(document, folder, place), KINDS)


def written(document: dict, folder: Path, place: str = "kemenkes/eppgbm") -> Path:
    path = folder / f"{place}.odcs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def refusal(document: dict, folder: Path) -> str:
    with pytest.raises(ConfigError) as error:
        load(document, folder)
    assert error.value.code == "CONTRACT_INVALID"
    assert "eppgbm.odcs.yaml" in error.value.message_en
    return error.value.message_en


def column(document: dict, name: str) -> dict:
    return next(one for one in document["schema"][0]["properties"] if one["name"] == name)


def rule(document: dict, code: str) -> dict:
    return next(one for one in document["schema"][0]["quality"] if one["name"] == code)


def said(document: dict, code: str) -> dict:
    """What a rule says: its kind and that kind's arguments."""
    return rule(document, code)["implementation"]


def without(items: list[dict], *names: str) -> list[dict]:
    return [item for item in items if item["property"] not in names]


def test_the_exemplar_loads(document: dict, tmp_path: Path) -> None:
    contract = load(document, tmp_path)
    assert (contract.dataset, contract.table) == ("kemenkes/eppgbm", "kemenkes__eppgbm")
    assert contract.column("puskesmas").headers == ("Pukesmas", "Puskesmas")


def test_misspelt_key_below_the_root_is_refused(document: dict, tmp_path: Path) -> None:
    column(document, "berat")["logicaltype"] = "number"
    assert "logicaltype" in refusal(document, tmp_path)


def test_misspelt_property_of_ours_is_refused(document: dict, tmp_path: Path) -> None:
    column(document, "berat")["customProperties"].append({"property": "code_sistem", "value": "kemendagri_code"})
    assert "code_sistem" in refusal(document, tmp_path)


def test_unclassified_column_is_refused(document: dict, tmp_path: Path) -> None:
    del column(document, "berat")["classification"]
    assert "classification" in refusal(document, tmp_path)


def test_column_without_a_use_is_refused(document: dict, tmp_path: Path) -> None:
    berat = column(document, "berat")
    berat["customProperties"] = without(berat["customProperties"], "use")
    assert "column 'berat' has no use" in refusal(document, tmp_path)


@pytest.mark.parametrize("lost", ["reason", "reason_date"])
def test_threshold_without_a_dated_reason_is_refused(document: dict, tmp_path: Path, lost: str) -> None:
    del said(document, "EPPGBM-009")[lost]
    assert "EPPGBM-009 has a threshold without a dated reason" in refusal(document, tmp_path)


@pytest.mark.parametrize(
    ("code", "changed", "expected"),
    [
        ("EPPGBM-012", {"kind": "weight_or_hight_given"}, "not known; the nearest is 'weight_or_height_given'"),
        ("EPPGBM-012", {"kind": None}, "kind None is not known"),
        ("EPPGBM-012", {"colum": "berat"}, "kind 'weight_or_height_given' takes no 'colum'; it takes column"),
        ("EPPGBM-012", {"column": None}, "column cannot be None"),
        ("EPPGBM-010", {"max": "58 kg"}, "max_value cannot be '58 kg'"),
        ("EPPGBM-010", {"action": "weigh_agian"}, "action 'weigh_agian' is not known; the nearest is 'weigh_again'"),
        ("EPPGBM-010", {"severity": "halt"}, "severity"),
        ("EPPGBM-010", {"message_id": "Salah."}, "takes no 'message_id'"),
        ("EPPGBM-105", {"measure": "avg(2)"}, "the measure 'share_outside_period' is already another"),
    ],
)
def test_a_rule_its_kind_cannot_be_made_of_is_refused_with_its_line(
    document: dict, tmp_path: Path, code: str, changed: dict, expected: str
) -> None:
    said(document, code).update(changed)
    message = refusal(document, tmp_path)
    lines = written(document, tmp_path).read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, 1) if f"name: {code}" in text)
    assert f"line {line}: rule {code}" in message
    assert expected in message


def test_a_rule_that_lacks_what_its_kind_needs_is_refused(document: dict, tmp_path: Path) -> None:
    del said(document, "EPPGBM-010")["max"]
    assert "rule EPPGBM-010: kind 'body_measure' needs 'max'" in refusal(document, tmp_path)


def test_a_rule_of_another_engine_is_refused(document: dict, tmp_path: Path) -> None:
    rule(document, "EPPGBM-010")["engine"] = "soda"
    assert "rule EPPGBM-010: its engine is 'gate'" in refusal(document, tmp_path)


def test_a_key_twice_is_refused_with_its_line(document: dict, tmp_path: Path) -> None:
    path = written(document, tmp_path)
    path.write_text(path.read_text(encoding="utf-8") + "status: draft\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line \d+: 'status' stands twice"):
        load_contract(path, KINDS)


def test_rule_code_twice_is_refused(document: dict, tmp_path: Path) -> None:
    rule(document, "EPPGBM-011")["name"] = "EPPGBM-010"
    assert "'EPPGBM-010' twice" in refusal(document, tmp_path)


def test_rule_code_of_another_contract_is_refused(document: dict, tmp_path: Path) -> None:
    shutil.copy(SOURCES.parent / "rules.yaml", tmp_path)
    written(document, tmp_path / "sources")
    written(document | {"id": "kemenkes/other"}, tmp_path / "sources", "kemenkes/other")
    with pytest.raises(ConfigError, match="already used by"):
        load_contracts(tmp_path / "sources")


def second(document: dict, folder: Path, **changed) -> dict:
    """The dataset's newest contract, the given one at version 2; the given one itself is its first version."""
    shutil.copy(SOURCES.parent / "rules.yaml", folder)
    written(document | {"version": "1.4.0"}, folder / "sources", "kemenkes/eppgbm/v1")
    return document | {"version": "2.0.0"} | changed


def test_an_earlier_version_stands_beside_the_newest(document: dict, tmp_path: Path) -> None:
    written(second(document, tmp_path), tmp_path / "sources")
    (found,) = load_contracts(tmp_path / "sources").values()
    assert [one.version for one in found.versions] == ["2.0.0", "1.4.0"]
    assert found.of_version("1.4.0").earlier == ()
    assert len({one.sha256 for one in found.versions}) == 2


def test_the_hash_of_a_version_tells_what_was_judged_by(document: dict, tmp_path: Path) -> None:
    before = load(document, tmp_path).sha256
    assert load(document, tmp_path).sha256 == before
    said(document, "EPPGBM-010")["max"] = 59
    assert load(document, tmp_path).sha256 != before


@pytest.mark.parametrize(
    ("name", "changed", "expected"),
    [
        ("berat", {"name": "bobot"}, "column 'berat' of version 1.4.0 is no longer kept"),
        ("berat", {"classification": "public"}, "column 'berat' has another type or classification in version 1.4.0"),
        (None, {"version": "1.5.0"}, "version 1.4.0 is not earlier than 1.5.0"),
    ],
)
def test_versions_are_one_table(document: dict, tmp_path: Path, name: str, changed: dict, expected: str) -> None:
    newest = yaml.safe_load(yaml.safe_dump(second(document, tmp_path)))
    newest["schema"][0]["quality"] = []
    (column(newest, name) if name else newest).update(changed)
    written(newest, tmp_path / "sources")
    with pytest.raises(ConfigError, match="CONTRACT_INVALID") as error:
        load_contracts(tmp_path / "sources")
    assert expected in error.value.message_en


def test_an_earlier_version_stands_under_its_own_number(document: dict, tmp_path: Path) -> None:
    written(second(document, tmp_path), tmp_path / "sources")
    written(document | {"version": "1.4.0"}, tmp_path / "sources", "kemenkes/eppgbm/v3")
    with pytest.raises(ConfigError, match=r"version 1\.4\.0 does not match its name"):
        load_contracts(tmp_path / "sources")


def test_a_number_without_a_unit_is_refused(document: dict, tmp_path: Path) -> None:
    berat = column(document, "berat")
    berat["customProperties"] = without(berat["customProperties"], "unit")
    assert "column 'berat' has no unit" in refusal(document, tmp_path)


def test_rule_on_a_column_that_is_not_there_is_refused(document: dict, tmp_path: Path) -> None:
    said(document, "EPPGBM-010")["column"] = "bobot"
    assert "names no rows column 'bobot'" in refusal(document, tmp_path)


def test_profile_rule_may_name_the_period_before(document: dict, tmp_path: Path) -> None:
    says = said(document, "EPPGBM-106")
    for name in ("change_rows", "previous_children", "unknown_columns"):
        says["column"] = name
        load(document, tmp_path)
    says["column"] = "change_weather"
    assert "change_weather" in refusal(document, tmp_path)


def test_profile_rule_cannot_quarantine(document: dict, tmp_path: Path) -> None:
    said(document, "EPPGBM-106")["severity"] = "quarantine"
    assert "severity is stop or warn" in refusal(document, tmp_path)


@pytest.mark.parametrize(
    ("dataset", "change", "expected"),
    [
        ("dukcapil/population", {"parameters": {"page_sise": 5}}, "parameters of arcgis: page_sise"),
        ("dukcapil/population", {"parameters": {"page_size": 0}}, "page_size"),
        ("dukcapil/population", {"parameters": {"services": []}}, "services"),
        ("bpjstk/participants", {"parameters": {"page_size": 10**9}}, "page_size"),
        ("kemenkes/eppgbm", {"parameters": {"username": None}}, "username"),
        ("kemenkes/eppgbm", {"parameters": {"quiet_seconds": "soon"}}, "quiet_seconds"),
        ("bps/indicators", {"location": "http://webapi.bps.go.id"}, "credentials are not sent to an http address"),
        ("portal/investment", {"hosts": ["https://data.example"]}, "hosts"),
        ("portal/investment", {"hosts": ["*"]}, "hosts"),
        ("portal/investment", {"hosts": ["files.example.go.id", "files.example.go.id:8443"]}, None),
    ],
)
def test_a_server_that_could_not_be_asked_is_refused(
    tmp_path, dataset: str, change: dict, expected: str | None
) -> None:
    given = yaml.safe_load((SOURCES / f"{dataset}.odcs.yaml").read_text(encoding="utf-8"))
    server = given["servers"][0]
    said = {item["property"]: item for item in server["customProperties"]}
    said["parameters"]["value"] |= change.get("parameters", {})
    server |= {"location": change["location"]} if "location" in change else {}
    server["customProperties"] += [{"property": "hosts", "value": change["hosts"]}] if "hosts" in change else []
    if expected is None:
        assert load(given, tmp_path, dataset).server.extras.hosts == tuple(change["hosts"])
        return
    with pytest.raises(ConfigError) as error:
        load(given, tmp_path, dataset)
    assert error.value.code == "CONTRACT_INVALID"
    assert expected in error.value.message_en


TERMS = {"label_id": "inflasi", "label_en": "inflation", "due_day": 5, "source": "ours", "source_date": "2026-11-30"}


@pytest.mark.parametrize(
    ("part", "changed", "expected"),
    [
        ("620", {}, "part_terms names no part: '620'; parts are 619, 621"),
        ("1", {"due_day": "soon"}, "part_terms.1.due_day"),
        ("1", {"due_day": 581}, "due_day of part '1' is 581: allowed are -366 (the period's start) to 580 (stale)"),
        ("1", {"due_day": -367}, "due_day of part '1' is -367"),
        ("1", {"source": None}, "due_day of part '1' has no dated source"),
        ("1", {"source_date": None}, "due_day of part '1' has no dated source"),
        ("1", {"label_en": None}, "part_terms.1.label_en"),
        ("1", {"due_dya": 5}, "due_dya"),
    ],
)
def test_faulty_terms_of_a_part_are_refused(tmp_path: Path, part: str, changed: dict, expected: str) -> None:
    given = yaml.safe_load((SOURCES / "bps/indicators.odcs.yaml").read_text(encoding="utf-8"))
    next(item for item in given["customProperties"] if item["property"] == "part_terms")["value"] = {
        part: TERMS | changed
    }
    with pytest.raises(ConfigError) as error:
        load(given, tmp_path, "bps/indicators")
    assert error.value.code == "CONTRACT_INVALID"
    assert expected in error.value.message_en


def test_a_part_has_its_own_due_day_and_label_or_the_datasets_day_and_its_name() -> None:
    found = get_contract(SOURCES, "bps/indicators")
    assert found.due_day("1") < 0 < found.due_day("621")
    assert found.part_label("621") == "621 · P0, persentase penduduk miskin / P0, share of poor persons"
    registry = get_contract(SOURCES, "kemenkes/eppgbm")
    assert (registry.due_day("batuceper"), registry.part_label("batuceper")) == (10, "batuceper")


def test_unknown_dataset_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="kemenkes/eppgbm"):
        get_contract(SOURCES, "kemenkes/epgbm")


def test_every_file_of_the_folder_is_a_contract_and_has_samples() -> None:
    found = {f"{path.parent.name}/{path.name.removesuffix('.odcs.yaml')}" for path in SOURCES.glob("*/*.odcs.yaml")}
    assert {contract.dataset for contract in CONTRACTS} == found
    assert [name for name in samples.versions() if not samples.good_rows(name)] == []


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: f"{contract.dataset}@{contract.major}")
class TestEveryContract:
    def test_identifying_columns_stay_out_of_the_lake(self, contract) -> None:
        assert IDENTIFYING.isdisjoint(column.name for column in contract.lake_columns)

    def test_days_that_give_a_birth_date_back_stay_out_of_the_lake(self, contract) -> None:
        names = {column.name for column in contract.lake_columns}
        assert not {"age_days", "tanggal_pengukuran"} <= names

    def test_columns_of_regions_name_their_code_system(self, contract) -> None:
        regions = (
            "kemendagri_code",
            "bps_code",
            "kode_",
            "kec",
            "kecamatan",
            "desa",
            "kelurahan",
            "kab_kota",
            "vervar",
        )
        loose = [
            column.name
            for column in contract.columns
            if column.name.startswith(regions) and not column.name.endswith("label") and not column.extras.code_system
        ]
        assert loose == []

    def test_dropped_and_refused_headers_say_nothing_twice(self, contract) -> None:
        from warehouse.intake.parse.headers import vocabulary

        words = vocabulary(contract)
        ours = {spelling for _, spellings in words.columns for spelling in spellings}
        twice = ours & words.ignored | ours & words.refused.keys() | words.ignored & words.refused.keys()
        assert twice == set()

    def test_spellings_are_of_one_column_each(self, contract) -> None:
        from warehouse.intake.parse.headers import vocabulary

        spellings = [s for _, found in vocabulary(contract).columns for s in set(found)]
        assert sorted(spellings) == sorted(set(spellings))

    def test_words_are_in_both_languages_and_name_no_person(self, contract) -> None:
        for one in contract.rules:
            words = one.extras
            assert all((words.message_id, words.message_en, words.action_id, words.action_en)), one.code
            assert words.message_id != words.message_en
            if one.extras.asset == "rows":
                assert "{" not in words.message_id + words.message_en, one.code

    def test_no_rule_caps_coverage_or_makes_the_nik_decide(self, contract) -> None:
        for one in contract.rules:
            if one.column == "is_nik_like_record":
                assert one.severity == "warn"
            assert not ("coverage" in (one.column or "") and one.kwargs.get("max_value") == 100)

    def test_agreement_is_a_marked_placeholder_or_not_needed(self, contract) -> None:
        text = (SOURCES / f"{contract.dataset}.odcs.yaml").read_text(encoding="utf-8")
        assert ("placeholder of the sandbox" in text) == contract.extras.agreement_number.startswith("PKS/")


def test_health_of_named_persons_is_dropped_while_reading() -> None:
    newest = samples.contracts()["bps/social_registry_individuals"].extras.ignored_headers
    assert {"kondisi_gizi", "penyakit_kronis", "kesedihan_depresi"} <= newest.keys()
    first = samples.versions()["bps/social_registry_individuals@1"].extras.ignored_headers
    assert {"id_kondisi_gizi", "id_penyakit_menahun", "id_disabilitas"} <= first.keys()


def test_registry_columns_are_all_read_or_dropped_with_a_reason() -> None:
    """Columns as typed in a public regional app, `sesuai LIST VARIABEL resmi` (tests/data/dtsen)."""
    lines = (Path(__file__).parent.parent / "data/dtsen/columns.txt").read_text(encoding="utf-8").splitlines()
    for level, dataset in (("family", "families"), ("individual", "individuals")):
        contract = samples.versions()[f"bps/social_registry_{dataset}@1"]
        known = {
            header for one in contract.file_columns for header in one.headers
        } | contract.extras.ignored_headers.keys()
        names = {line.split()[1] for line in lines if line.startswith(f"{level} ")}
        assert len(names) > 30
        assert names - known == set()


@pytest.fixture(scope="module")
def regions_known() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        regions.install(connection, Settings())
        yield connection


@pytest.mark.parametrize(
    ("named", "here"),
    [
        *[(text, True) for text in (
            "Kota Tangerang", "KOTA T A N G E R A N G", "Kota Tangerang, Banten", "Kota Tanggerang", "TANGERANG KOTA",
            "kota\u00a0tangerang", "K\u200bota\u2009Tangerang", "Kota T\u00e1ngerang", "KOTA TANGERANG PROV. BANTEN",
            "Kab/Kota Tangerang", "Banten, Kota Tangerang", "Kota Tangerang, Kec. Benda",
        )],
        *[(text, False) for text in (
            "Kab. Tangerang", "KABUPATEN TANGERANG", "Kota Tangerang Selatan", "Tangsel", "KOTA B A T A M", "BATAM",
            "Batam, Kepulauan Riau", "Jakarta Barat", "Kota Adm. Jakarta Barat", "Bogor", "Kab. Kotawaringin Barat",
        )],
        # What says neither: kecamatan and kelurahan decide, or the residence is not known.
        *[(text, None) for text in (
            "", "xyz", "Tangerang", "-", None, "Kota Tngerang", "Kota Lain", "KOTA BATUCEPER", "Banten",
        )],
    ],
)  # fmt: skip
def test_a_city_is_here_or_elsewhere_only_where_its_name_says_so(
    regions_known: duckdb.DuckDBPyConnection, named: str | None, here: bool | None
) -> None:
    columns = {column.name: column for column in samples.contracts()["kemenkes/eppgbm"].columns}
    given = "(SELECT ?::VARCHAR AS kab_kota)"
    assert regions_known.execute(f"SELECT lives_here(kab_kota) FROM {given}", [named]).fetchone() == (here,)
    query = f"SELECT {columns['lives_elsewhere'].extras.derivation} FROM {given}"
    assert regions_known.execute(query, [named]).fetchone() == (here is False,)
