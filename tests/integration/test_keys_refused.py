"""A missing or wrong key is refused by every command that uses it, before anything is read or written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from tests.support import samples
from warehouse import cli, night
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings, get_settings
from warehouse.ledger import Ledger, access_log
from warehouse.ledger.tables import metadata
from warehouse.release.state import MICRO_FILE
from warehouse.storage import keys

DATASET, OTHER = "bpjstk/participants", "dukcapil/population"
FILE = "{home}/../list.pages"
DECIDED = ["--by", "Sari", "--reason", "permintaan tertulis"]
# Every command that uses keys, and those it uses.
COMMANDS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "ingest": (["ingest", DATASET, "--period", "2026-10"], keys.FILES),
    "ingest of nobody": (["ingest", OTHER, "--period", "2026-H1"], (keys.LANDING_PUBLIC, keys.LANDING_SECRET)),
    "ingest of a file": (["ingest", DATASET, "--period", "2026-10", "--part", "cimone", "--file", FILE], keys.FILES),
    "replay": (["replay", DATASET], keys.FILES),
    "build": (["build"], (keys.LANDING_PUBLIC, keys.PSEUDONYM, keys.VAULT)),
    "train": (["linkage", "train"], (keys.PSEUDONYM, keys.VAULT)),
    "micro": (["micro", "--person", "Sari", "--purpose", "uji coba kunci", "SELECT 1"], (keys.VAULT,)),
    "scan": (["scan"], (keys.VAULT,)),
    "erase": (["erase", *DECIDED, "--ground", "UU 27/2022 pasal 8"], keys.FILES),
    "erase again": (["erase-resume"], (keys.LANDING_PUBLIC, keys.PSEUDONYM, keys.VAULT)),
    "rotate": (["keys", "rotate", *DECIDED], keys.FILES),
    "check": (["check-config"], keys.FILES),
}  # fmt: skip
CASES = [(command, name) for command, (_, used) in COMMANDS.items() for name in used]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with one delivery of persons, one that waits to be judged, and something that stands for a release."""
    s = Settings(home=tmp_path_factory.mktemp("keys") / "home")
    keys.make_sandbox_keys(s)
    data, media = samples.as_file(DATASET, samples.good_rows(DATASET), "participants_json")
    (path := s.home.parent / f"list.{media}").write_bytes(data)
    night.ingest_file(DATASET, samples.period(DATASET), "cikokol", path, media, s=s)
    access_log.open_for(s, Ledger(s.ledger), "identity", "Sari", "uji coba kunci", 4, approver="Budi")
    (s.releases_dir / "r1").mkdir(parents=True)
    (s.releases_dir / "r1" / MICRO_FILE).write_bytes(b"x")
    s.current.symlink_to("releases/r1")
    return s


def state(s: Settings) -> dict[str, object]:
    """Every file but locks and SQLite's own, and every row of the ledger."""
    files = {
        str(path.relative_to(s.home)): path.read_bytes()
        for path in s.home.rglob("*")
        if path.is_file() and path.name not in (".keys.lock", ".lock") and not path.name.startswith("ledger.db")
    }
    with Ledger(s.ledger).engine.connect() as connection:
        rows = {table.name: connection.execute(sa.select(table)).all() for table in metadata.sorted_tables}
    return files | rows


def missing(s: Settings, name: str) -> None:
    (s.keys / name).unlink()


def wrong(s: Settings, name: str) -> None:
    other = Settings(home=s.home.parent / "other")
    keys.make_sandbox_keys(other)
    (s.keys / name).write_bytes((other.keys / name).read_bytes())


@pytest.mark.parametrize("spoil", [missing, wrong])
@pytest.mark.parametrize(("command", "name"), CASES)
def test_it_is_refused_before_anything_is_read_or_written(
    sent: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, name: str, spoil: Callable
):
    s = sent.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(sent.home, s.home, symlinks=True)
    shutil.copy(sent.home.parent / "list.pages", tmp_path)
    keys.make_new(s)
    spoil(s, name)
    before = state(s)
    monkeypatch.setenv("WAREHOUSE_HOME", str(s.home))
    get_settings.cache_clear()
    arguments = [argument.replace("{home}", str(s.home)) for argument in COMMANDS[command][0]]
    told = CliRunner().invoke(cli.app, arguments, input=samples.nik(1, samples.RECEIVED_AT.date()))
    if command == "check":
        assert told.exit_code == 2
    else:
        assert isinstance(told.exception, ConfigError), told.output
        assert told.exception.code in ("KEYS_MISSING", "KEYS_WRONG")
    assert state(s) == before
