"""The register of processing says what the contracts say, of every dataset about persons."""

from warehouse.core.contract import load_contracts
from warehouse.core.settings import Settings
from warehouse.report import processing_register


def test_the_register_is_not_stale():
    s = Settings()
    written = processing_register.register_file(s).read_text(encoding="utf-8")
    assert written == processing_register.register(s), "run: python -m warehouse.report.processing_register"


def test_every_dataset_about_persons_states_why_it_may_be_processed():
    persons = [one for one in load_contracts(Settings().contracts_dir).values() if one.is_about_persons]
    assert len(persons) >= 5
    assert [one.dataset for one in persons if not one.extras.legal_basis] == []


def test_the_register_names_every_column_about_a_person_and_each_agreement():
    s = Settings()
    text = processing_register.register(s)
    for contract in load_contracts(s.contracts_dir).values():
        assert f"`{contract.dataset}`" in text
        if contract.is_about_persons:
            assert contract.extras.agreement_number in text
            named = [column.name for column in contract.file_columns if column.classification != "public"]
            assert [name for name in named if f"`{name}` (" not in text] == []
