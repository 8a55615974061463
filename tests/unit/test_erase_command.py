"""`warehouse erase` is told who by prompt, standard input or file, never by an argument that others could see."""

import pytest
import typer.main
from typer.testing import CliRunner

from tests import samples
from warehouse import cli, night

NIK = samples.nik(71, samples.RECEIVED_AT.date())
ASKED = [
    "erase",
    "--by",
    "Sari",
    "--approver",
    "Budi",
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
    assert told == [(NIK, "Sari", "Budi", "UU 27/2022 pasal 8", "permintaan no. 12")] * 2


def test_no_argument_and_no_option_can_name_a_person(told):
    command = typer.main.get_command(cli.app).commands["erase"]
    assert {parameter.name for parameter in command.params} == {
        "by", "approver", "ground", "reason", "file", "as_json"
    }  # fmt: skip
    assert CliRunner().invoke(cli.app, [*ASKED, NIK]).exit_code == 2
    assert told == []
