"""What the guides tell people to type works: every query on a good night's marts, every command and its options.

Also that no setting, exit code, variable of the compose file or service is left out of the guide that explains it.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
import typer.main
import yaml

from warehouse import cli
from warehouse.core import errors
from warehouse.core.settings import PROJECT_DIR, Settings
from warehouse.read import marts
from warehouse.sandbox.commands import sandbox_app

README = PROJECT_DIR / "README.md"
DOCS = PROJECT_DIR / "docs"
GUIDES = DOCS / "guides"
PAGES = [
    *sorted(PROJECT_DIR.glob("*.md")),
    *sorted(path for path in DOCS.rglob("*.md") if path.name != "data-dictionary.md"),
]
MAY_BE_EMPTY = "<!-- may be empty -->\n"
# A word in capitals stands for something the reader has: RELEASE_ID, DATASET.
PLACEHOLDER = re.compile(r"\b(?:[A-Z]+_)?(?:ID|DATASET)\b")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    text: str
    may_be_empty: bool = False

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path, language: str) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(rf"^[ ]*```{language}\n(.*?)^[ ]*```$", text, re.DOTALL | re.MULTILINE):
        before = text[: match.start()]
        yield Block(page, before.count("\n") + 1, match[1], before.endswith(MAY_BE_EMPTY))


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Each command of the page's shell blocks, with where it stands; a quoted text may span lines."""
    for block in blocks(page, "sh"):
        text = re.sub(r"(^|\s)#.*$", "", block.text, flags=re.MULTILINE).replace("\\\n", " ")
        lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;\n")
        lexer.whitespace, lexer.whitespace_split = " \t", True
        command: list[str] = []
        for token in [*lexer, "\n"]:
            if token.strip("|&;\n"):
                command.append(token)
            elif command:
                yield str(block), command
                command = []


def named(program: str) -> list[tuple[str, list[str]]]:
    """The words after a program's name, typed as it is or inside a container."""
    found = []
    for page in PAGES:
        for where, words in commands(page):
            names = [Path(word).name for word in words]
            at = names.index(program) if {"exec", "run"} & {*names} and program in names else 0
            if names[at] == program:
                found.append((where, words[at + 1 :]))
    return found


def inline(program: str) -> list[tuple[str, list[str]]]:
    """Commands named in running text; they may break off where the reader knows the rest."""
    return [
        (page.name, shlex.split(match[1].replace("\n", " ")))
        for page in PAGES
        for match in re.finditer(rf"`{program} ([^`]+)`", page.read_text(encoding="utf-8"))
    ]


def command_tree():
    root = typer.main.get_command(cli.app)
    root.commands["sandbox"] = typer.main.get_command(sandbox_app)
    return root


def walk(words: list[str]):
    """The command that words name, and the words left over for it."""
    found = command_tree()
    while words and words[0] in getattr(found, "commands", {}):
        found, words = found.commands[words[0]], words[1:]
    return found, words


def is_complete(command, rest: list[str]) -> bool:
    """Whether the words were all commands, or one of them (``admit|reject``); options may follow."""
    names = {*getattr(command, "commands", ())}
    return not names or not rest or rest[0].startswith(("-", "[")) or names >= {*rest[0].split("|")}


def options_of(command) -> set[str]:
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}


def of_guides(*pages: Path) -> list[Block]:
    return [block for page in pages for block in blocks(page, "sql")]


QUERIES = of_guides(GUIDES / "analyst.md", README)
TYPED_QUERIES = [
    Block(Path(where), 0, words[1])
    for where, words in named("warehouse")
    if words[0] == "sql" and not PLACEHOLDER.search(" ".join(words[2:]))
]


@pytest.fixture(scope="module")
def peopled(home: Settings) -> str:
    """A kecamatan that this home's sample peoples, to stand where the guides ask for Neglasari."""
    named = "area_level = 'kecamatan' and kemendagri_code <> '36.71.00'"
    return marts.query(home, f"select min(area_name) from poverty_by_area_period where {named}")[1][0][0]


@pytest.mark.parametrize("block", QUERIES + TYPED_QUERIES, ids=str)
def test_every_query_of_the_guides_runs_and_answers(home: Settings, peopled: str, block: Block):
    columns, rows = marts.query(home, block.text.replace("Neglasari", peopled))
    assert columns
    assert rows or block.may_be_empty, "no row: is the query's filter true to the marts?"


@pytest.mark.parametrize("block", of_guides(GUIDES / "engineer.md"), ids=str)
def test_every_query_of_the_engineers_guide_answers_on_the_build(home: Settings, block: Block):
    with duckdb.connect(str(home.build_file), read_only=True) as con:
        assert con.execute(block.text).fetchone() is not None


def test_a_traced_figure_has_as_many_rows_as_it_counts(home: Settings):
    """The guide's first three queries: the cell, its rows, their deliveries."""
    cell, rows, files = (block.text for block in of_guides(GUIDES / "engineer.md")[:3])
    with duckdb.connect(str(home.build_file), read_only=True) as con:
        ((numerator, _),) = con.execute(cell).fetchall()
        traced = con.execute(rows).fetchall()
        known = {delivery for delivery, *_ in con.execute(files).fetchall()}
    assert numerator == len(traced) == len({record for *_, record in traced})
    assert {delivery for delivery, *_ in traced} <= known


def test_the_analysts_guide_has_queries():
    assert len(QUERIES) >= 15
    assert TYPED_QUERIES


@pytest.mark.parametrize(
    ("where", "words"), named("warehouse"), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_of_the_guides_can_be_typed(where: str, words: list[str]):
    command, rest = walk(words)
    assert command is not command_tree(), f"{where}: no command {words[0]}"
    assert is_complete(command, rest), f"{where}: {words[0]} has no command {rest[0]}"
    # Parses, converts and demands what is required, and runs nothing.
    command.make_context(words[0], list(rest))


@pytest.mark.parametrize(
    ("where", "words"), inline("warehouse"), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_named_in_passing_exists(where: str, words: list[str]):
    command, rest = walk(words)
    assert words[0] in {*command_tree().commands, *options_of(command_tree())}, f"{where}: no command {words[0]}"
    assert is_complete(command, rest), f"{where}: {words[0]} has no command {rest[0]}"
    unknown = {word.split("=")[0].strip("[]") for word in rest if word.strip("[").startswith("--")} - options_of(
        command
    )
    assert not unknown, f"{where}: {words[0]} has no {unknown}"


def test_every_make_target_of_the_guides_exists():
    makefile = (PROJECT_DIR / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    asked = [(where, words[0]) for where, words in named("make") + inline("make") if words]
    assert asked
    assert not [(where, target) for where, target in asked if target not in targets]


def rows_of(page: Path, first_cell: str) -> list[list[str]]:
    """Cells of the table rows whose first cell matches."""
    found = []
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(first_cell, cells[0]):
            found.append(cells)
    return found


def test_the_engineers_guide_names_every_setting_with_its_default():
    said = {cells[0].strip("`"): cells[1].strip("`") for cells in rows_of(GUIDES / "engineer.md", r"`WAREHOUSE_\w+`")}
    fields = {f"WAREHOUSE_{name.upper()}": field for name, field in Settings.model_fields.items()}
    assert said.keys() == fields.keys()
    plain = {name: str(field.default) for name, field in fields.items() if isinstance(field.default, str | int)}
    assert {name: said[name] for name in plain} == plain


def test_the_engineers_guide_names_every_exit_code():
    said = {int(cells[0].strip("`")) for cells in rows_of(GUIDES / "engineer.md", r"`\d`")}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert said == {0, cli.options.EXIT_FOUND} | {kind.exit_code for kind in kinds}


def test_the_production_guide_names_every_variable_service_and_secret():
    text = (GUIDES / "production.md").read_text(encoding="utf-8")
    compose = (PROJECT_DIR / "docker-compose.yml").read_text(encoding="utf-8")
    parsed = yaml.safe_load(compose)
    variables = set(re.findall(r"\$\{(\w+)", compose)) | set(
        re.findall(r"^(\w+)=", (PROJECT_DIR / "docker" / "production.env").read_text(encoding="utf-8"), re.MULTILINE)
    )
    names = variables | set(parsed["services"]) | set(parsed["secrets"])
    assert not sorted(name for name in names if f"`{name}`" not in text)


def test_links_between_pages_lead_somewhere():
    broken = [
        f"{page.name}: {target}"
        for page in [*PAGES, DOCS / "data-dictionary.md"]
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken
