"""Keys in the environment stay with the process that uses them: none of its children is handed one.

What a fork has in memory it shares with its parent, whatever its environment says: docs/security-answers.md.
"""

import ast
import os
from pathlib import Path

import pytest

import warehouse
from warehouse import build
from warehouse.core.settings import KEY_VARIABLES, environment_without_keys
from warehouse.intake.parse.apart import apart

ROOT = Path(warehouse.__file__).parent
# Start processes of the command itself, or of the sandbox with keys of its own.
NOT_CHILDREN = {"sandbox"}


@pytest.fixture(autouse=True)
def keys_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEY_VARIABLES:
        monkeypatch.setenv(name, "geheim")
    monkeypatch.setenv("PLAIN", "x")


def seen() -> dict[str, str]:
    return dict(os.environ)


def test_a_child_sees_everything_but_keys(settings):
    for told in (environment_without_keys(), build.dbt_environment(settings, settings.build_file), apart(seen)):
        assert told["PLAIN"] == "x"
        assert not KEY_VARIABLES & told.keys()
        assert "geheim" not in told.values()


def test_every_start_of_a_process_says_what_it_sees():
    """A subprocess without ``env`` gets all of ours."""
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in ROOT.rglob("*.py")
        if path.relative_to(ROOT).parts[0] not in NOT_CHILDREN
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"subprocess.run", "subprocess.Popen"}
        and not any(keyword.arg == "env" for keyword in node.keywords)
    ]
    assert bare == []
