"""`warehouse erase` is told who by prompt, standard input or file, never by an argument that others could see."""

from datetime import date

import pytest
import typer.main
from typer.testing import CliRunner

from tests.support import samples
from warehouse import cli, night
from warehouse.core.errors import ConfigError
from warehouse.privacy.subject_lookup import Person

NIK = samples.nik(71, samples.RECEIVED_AT.date())
ASKED = [
    "erase",
    "--by",
    "Sari",
    "--ground",
    "UU 27/2022 pasal 8",
    "--reason",
    "permintaan no. 12",
]


@pytest.fixture
def told(monkeypatch) -> list[tuple]:
    calls: list[tuple] = []

    def erase(*given, progress):
        calls.append(given)
        return {"outcome": "released"}

    monkeypatch.setattr(night, "erase", erase)
    return calls


def test_standard_input_or_a_file_tells_who(told, tmp_path):
    assert CliRunner().invoke(cli.app, ASKED, input=f"{NIK}\n").exit_code == 0
    (path := tmp_path / "nik").write_text(f"{NIK}\n")
    assert CliRunner().invoke(cli.app, [*ASKED, "--file", str(path)]).exit_code == 0
    assert told == [(Person(NIK), "Sari", "UU 27/2022 pasal 8", "permintaan no. 12")] * 2


def test_who_has_no_number_is_told_by_lines(told):
    assert CliRunner().invoke(cli.app, ASKED, input="Kenanga\n2022-04-05\n\n").exit_code == 0
    assert told[0][0] == Person(name="Kenanga", birth_date=date(2022, 4, 5))


@pytest.mark.parametrize("content", [None, b"\xff\xfe3671"])
def test_a_file_that_cannot_be_read_is_refused_without_showing_it(told, tmp_path, content):
    path = tmp_path / "nik"
    if content:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="FILE_MISSING") as caught:
        CliRunner().invoke(cli.app, [*ASKED, "--file", str(path)], catch_exceptions=False)
    assert caught.value.__suppress_context__
    assert told == []


def test_no_argument_and_no_option_can_name_a_person(told):
    command = typer.main.get_command(cli.app).commands["erase"]
    assert {parameter.name for parameter in command.params} == {
        "by", "ground", "reason", "file", "as_json"
    }  # fmt: skip
    assert CliRunner().invoke(cli.app, [*ASKED, NIK]).exit_code == 2
    assert told == []
