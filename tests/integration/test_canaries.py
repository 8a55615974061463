"""Made-up people in every identifying column of every dataset, and in free text, through good nights and failing ones.

None of them is found outside landing and vault; planted outside, they hold the release. The search is the scan's own,
whose recall has tests of its own; ``test_no_identifier_leaks`` searches with other means.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.support import samples
from tests.support.sandbox_home import TONIGHT
from warehouse import ledger, night, release, scan
from warehouse.core import duck
from warehouse.core.errors import ConfigError
from warehouse.core.periods import Period
from warehouse.core.redaction import UnexpectedError
from warehouse.core.settings import Settings
from warehouse.intake import gate
from warehouse.read import record_views
from warehouse.scan import Values
from warehouse.storage import lake, vault

EPPGBM = "kemenkes/eppgbm"
PARTS = {"kemenkes/eppgbm": "cikokol", "bpjstk/participants": "cikokol"}
PHONE, EMAIL = "081290005417", "kenari.ungu@surel.id"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass
class Canaries:
    nik: set[str] = field(default_factory=set)
    kk: set[str] = field(default_factory=set)
    kpj: set[str] = field(default_factory=set)
    people: set[tuple[str, str | None]] = field(default_factory=set)

    def values(self) -> Values:
        return Values.of(
            nik=self.nik, kk=self.kk, numbers={"kpj": self.kpj}, people=self.people, phones=[PHONE], emails=[EMAIL]
        )  # fmt: skip


def identifying(dataset: str) -> list[str]:
    return [column.name for column in samples.contracts()[dataset].columns if column.is_identifier and column.header]


DATASETS = sorted(name for name in samples.contracts() if identifying(name))


def marked(dataset: str, canaries: Canaries) -> list[samples.Row]:
    """The dataset's good rows, each person with a name that nobody else has."""
    rows = samples.good_rows(dataset)
    columns = identifying(dataset)
    for number, row in enumerate(rows):
        tag = "".join(LETTERS[int(digit)] for digit in f"{DATASETS.index(dataset)}{number:03}").title()
        born = next((row[name] for name in columns if name in ("tgl_lahir", "tanggal_lahir")), None)
        for name in ("nama", "nama_ortu"):
            if name in columns:
                row[name] = f"Kenari {name.partition('_')[2].title()} Burungwarna {tag}".replace("  ", " ")
                canaries.people.add((row[name], born if name == "nama" else None))
        canaries.nik.add(row.get("nik") or "")
        canaries.kk.add(row.get("no_kk") or "")
        canaries.kpj.add(row.get("no_kpj") or "")
    return rows


def earlier(dataset: str) -> Period:
    """A period the sandbox's agencies did not send, so that the canaries displace nobody."""
    return samples.period(dataset).shift(-2)


def deliver(s: Settings, folder: Path, dataset: str, name: str, data: bytes) -> night.IngestOutcome:
    path = folder / name
    path.write_bytes(data)
    return night.ingest_file(dataset, earlier(dataset), PARTS.get(dataset, "all"), path, s=s)


@pytest.fixture(scope="module")
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture(scope="module")
def lived(home: Settings, canaries: Canaries, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The home after canaries came by hand, steps crashed on them, dbt failed, and a night ended well."""
    s, folder = home, tmp_path_factory.mktemp("by hand")
    (s.home / "logs").mkdir(exist_ok=True)
    handler = logging.FileHandler(s.home / "logs" / "warehouse.log")
    logging.getLogger().addHandler(handler)
    accepted = 0
    for dataset in DATASETS:
        rows = marked(dataset, canaries)
        someone = rows[0].get("nik") or rows[0]["no_kk"]
        data = samples.as_file(dataset, rows)[0]
        accepted += deliver(s, folder, dataset, f"{someone} {PHONE}.{samples.as_file(dataset, rows)[1]}", data).accepted
    assert accepted == len(DATASETS) - 1, "a month's measurements cannot be of another"
    rows = marked(EPPGBM, canaries)
    moved = samples.every(rows, tanggal_pengukuran="2026-08-05")
    odd = samples.changed(moved, berat=rows[0]["nik"], tinggi=PHONE, rt=rows[0]["nama"], usia_saat_ukur=EMAIL)
    for name, edited in {
        "cells.csv": odd,
        "headers.csv": samples.every(moved, **{f"Catatan {rows[1]['nik']}": rows[1]["nama"]}),
        "cut.csv": samples.changed(moved, nama=f'"{rows[2]["nama"]}\n{rows[2]["nik"]}'),
    }.items():
        deliver(s, folder, EPPGBM, name, samples.as_file(EPPGBM, edited, "sigizi_csv")[0])
    workbook = samples.as_file(EPPGBM, moved, "sigizi_xlsx")[0]
    deliver(s, folder, EPPGBM, "workbook.xlsx", workbook)
    _crash(s, folder, samples.as_file(EPPGBM, samples.changed(moved, 3, berat="12,2"), "sigizi_csv")[0], rows[3])
    _fail_to_build(s)
    marts = night.marts(TONIGHT, s=s)
    assert marts["outcome"] == "released", marts
    logging.getLogger().removeHandler(handler)
    (path := folder / "held.csv").write_text("bukan ekspor SIGIZI\n")
    assert night.ingest_file(EPPGBM, earlier(EPPGBM), "batuceper", path, s=s).held == 1
    return s


def _crash(s: Settings, folder: Path, data: bytes, person: samples.Row) -> None:
    """Steps fail on a person's values in ways no one planned, and whoever runs them logs it."""

    def converts(*_args, **_kwargs):
        duckdb.sql(f"SELECT CAST('{person['nama']} {person['nik']}' AS INTEGER)").fetchall()

    def looks_up(*_args, **_kwargs):
        try:
            converts()
        except duckdb.Error as error:
            raise KeyError(person["nik"], person["nama"]) from error

    for room, name, fault in ((gate, "judge", converts), (vault, "pseudonymise", looks_up), (vault, "store", converts)):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(room, name, fault)
            try:
                deliver(s, folder, EPPGBM, "crash.csv", data)
                pytest.fail(f"{name} did not fail")
            except UnexpectedError:
                logging.getLogger("task").exception("task failed")


def _fail_to_build(s: Settings) -> None:
    """Damaged files of the lake, those with the canaries' rows among them: named, and where nobody names them dbt stops
    in the middle of its models."""
    for table in ("kemenkes__eppgbm", "polri__outreach"):
        with _damaged(s, table):
            marts = night.marts(TONIGHT, s=s)
        assert (marts["outcome"], marts.get("error_code")) == ("held", "LAKE_FILE_LOST"), marts
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lake, "demand_whole", lambda *_given: None)
        for table in ("kemenkes__eppgbm", "polri__outreach"):
            with _damaged(s, table):
                marts = night.marts(TONIGHT, s=s)
            assert (marts["outcome"], marts.get("error_code")) == ("held", "BUILD_FAILED"), marts


@contextmanager
def _damaged(s: Settings, table: str) -> Iterator[None]:
    path = max((s.lake_dir / table).glob("*.parquet"), key=lambda path: path.stat().st_size)
    whole = path.read_bytes()
    # The rows, not the footer: what looks at the columns alone finds nothing wrong.
    footer = 8 + int.from_bytes(whole[-8:-4], "little")
    path.write_bytes(whole[:4] + bytes(len(whole) - 4 - footer) + whole[-footer:])
    yield
    path.write_bytes(whole)


def outside(s: Settings) -> Iterator[Path]:
    for path in s.home.iterdir():
        if path.name not in ("landing", "vault", "keys", "sandbox") and not path.is_symlink():
            yield path


def test_the_canaries_reached_the_vault(lived: Settings, canaries: Canaries):
    known = scan.vault_values(lived)
    canaries.nik.discard("")
    canaries.kk.discard("")
    ours = canaries.values()
    # One file's month was refused as a whole, and its people came again.
    assert set(ours.nik.tolist()) <= set(known.nik.tolist())
    assert set(ours.kk.tolist()) <= set(known.kk.tolist())
    assert ours.numbers
    assert set(ours.numbers) <= set(known.numbers)
    assert set(ours.names) <= set(known.names)


def test_no_canary_is_outside_landing_and_vault(lived: Settings, canaries: Canaries):
    assert (lived.home / "logs" / "warehouse.log").stat().st_size > 1000
    assert [str(finding) for finding in scan.values_in(outside(lived), canaries.values())] == []


def test_nor_is_anything_else_of_the_vault_or_of_an_identifiers_shape(lived: Settings):
    made = scan.scan_home(lived, again=True)
    assert [str(finding) for finding in made.findings] == []
    assert made.files > 300


def test_the_release_was_made_after_a_clean_scan(lived: Settings):
    led = ledger.open_ledger(lived)
    (newest,) = led.rows("select * from scans order by ended_at desc limit 1")
    assert newest["verdict"] == "clean"
    assert newest["release_id"] == release.current_state(lived, led)["release_id"]
    # Whoever came since the good night may stand in files that were clean before.
    assert newest["files_read"] == newest["files"]


TYPED = ("sudah ditanyakan, NIK {nik} benar", "telepon 0812-9000-5417 membenarkan", "surel kenari.ungu@surel.id")


@pytest.mark.parametrize("text", TYPED)
def test_what_a_person_types_may_not_tell_who(lived: Settings, canaries: Canaries, text: str):
    led = ledger.open_ledger(lived)
    typed = text.format(nik=min(canaries.nik - {""}))
    held = night.held(s=lived)[0]
    for refused in (
        lambda: night.decide(held.delivery_id, "reject", typed, "OTHER", "Tester", "walidata", s=lived),
        lambda: release.rollback(lived, led, release.current_state(lived, led)["release_id"], typed, "Tester"),
        lambda: record_views.query(lived, led, "Tester", typed, 1, "SELECT 1"),
    ):
        with pytest.raises(ConfigError, match="TEXT_IDENTIFIES") as caught:
            refused()
        assert typed not in caught.value.message_id + caught.value.message_en


@pytest.mark.parametrize(
    ("place", "plant"),
    [
        ("logs/scheduler.log", "{time} INFO row {nik}\n"),
        ("dbt/target/compiled/check.sql", "select 1 where nama = '{name}'\n"),
        ("tmp/left.csv", "nik;nama\n{nik};{name}\n"),
        ("airflow/rendered.json", '{{"conf": "{name}"}}'),
    ],
)
def test_a_canary_outside_holds_the_release_and_is_told_by_place(
    lived: Settings, canaries: Canaries, place: str, plant: str
):
    name, nik = min(canaries.people)[0], min(canaries.nik - {""})
    path = lived.home / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(plant.format(nik=nik, name=name, time=date(2026, 11, 22)))
    made = scan.scan_home(lived)
    path.unlink()
    assert {finding.file for finding in made.findings} == {place}
    assert nik not in repr(made.findings)
    assert not re.search(name, repr(made.findings), re.IGNORECASE)


# --- spills ----------------------------------------------------------------------------------------------------------


def _spilled(s: Settings, *, is_encrypted: bool) -> list[scan.Finding]:
    """What a scan finds of people in the files of a query that did not fit into memory."""
    niks = [f"3671011708{i % 100:02}{i // 100 + 1:04}" for i in range(250_000)]
    tight = s.model_copy(update={"duckdb_memory": "30MB", "duckdb_threads": 1})
    with duck.connect(tight, sees_identifiers=True) as connection:
        if not is_encrypted:
            connection.execute("SET temp_file_encryption = false")
        connection.execute(
            "CREATE TEMP TABLE people AS SELECT '3671011708' || printf('%02d%04d', i % 100, i // 100 + 1) AS nik,"
            " 'Kenari Burungwarna ' || md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS nama,"
            " 3671011708000000 + (i % 100) * 10000 + i // 100 + 1 AS number FROM range(250000) t(i)"
        )
        connection.execute("CREATE TEMP TABLE by_name AS SELECT * FROM people ORDER BY nama")
        files = [path for path in (s.tmp_dir / "spill").rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) > 1_000_000, "the query fitted into memory"
        return scan.values_in([s.tmp_dir], Values.of(nik=niks[:200]))


def test_a_spill_of_identities_is_encrypted(settings: Settings):
    assert _spilled(settings, is_encrypted=True) == []


def test_a_spill_in_clear_would_be_found(settings: Settings):
    assert {finding.kind for finding in _spilled(settings, is_encrypted=False)} == {"nik"}


def test_every_connection_is_made_where_spills_are_encrypted():
    source = Path(duck.__file__).parents[1]
    direct = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if "duckdb.connect(" in path.read_text(encoding="utf-8") and "sandbox" not in path.parts
    }
    # The scan reads in pieces and keeps nothing that could spill; the queue of pairs holds keys alone.
    assert direct == {"core/duck.py", "scan/files.py", "linkage/clerical_review.py"}
