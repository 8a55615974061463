"""The monitors' site after a night with a held file, a missing part and quarantined rows."""

import csv
import re
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest
from playwright.sync_api import sync_playwright

from tests import samples
from tests.sandbox_home import NEWEST
from warehouse import night, report, scan
from warehouse.contract import load_contracts
from warehouse.report import figures
from warehouse.settings import Settings

EPPGBM = "kemenkes/eppgbm"


@pytest.fixture(scope="module")
def site(home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    led = night.open_ledger(home)
    first, second = [row["part"] for row in led.in_force(EPPGBM, "snapshot")][:2]
    folder = tmp_path_factory.mktemp("files")
    rows = samples.good_rows(EPPGBM)
    rows[1]["nik"] = "3.67101E+15"
    quarantined, empty = folder / "quarantined.csv", folder / "empty.csv"
    quarantined.write_bytes(samples.as_file(EPPGBM, rows, shape="sigizi_csv")[0])
    empty.write_bytes(b"")
    night.ingest_file(EPPGBM, NEWEST, first, quarantined, s=home)
    night.ingest_file(EPPGBM, NEWEST, second, empty, s=home)
    return report.render(home, led)


def _text(path: Path) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8")))


def test_the_start_page_names_every_dataset_and_puts_the_held_one_first(site: Path, home: Settings):
    page = (site / "index.html").read_text(encoding="utf-8")
    rows = re.findall(r'class="light (\w+)".*?<a href="dataset/([a-z_]+)\.html">', page, re.DOTALL)
    assert {name for _, name in rows} == {name.replace("/", "__") for name in night.datasets(s=home)}
    lights = [light for light, _ in rows]
    assert lights == sorted(lights, key=["red", "amber", "grey", "green"].index)
    assert ("red", "kemenkes__eppgbm") in rows
    assert "1 kiriman ditahan, menunggu keputusan" in _text(site / "index.html")


def test_the_dataset_page_says_what_where_since_when_who_and_what_to_do(site: Path):
    text = _text(site / "dataset" / "kemenkes__eppgbm.html")
    for expected in ("PARSE_EMPTY", "EPPGBM-001", "1 Okt 2026", "pengirim data", "Ekspor ulang dengan kolom NIK"):
        assert expected in text


def test_row_numbers_can_be_sent_back(site: Path, home: Settings):
    in_force = night.open_ledger(home).in_force(EPPGBM, "snapshot")[0]["part"]
    path = site / "dataset" / f"kemenkes__eppgbm-{in_force}-2026-10.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        (row,) = [row for row in csv.DictReader(file) if row["aturan"] == "EPPGBM-001"]
    assert row["kolom"] == "nik"
    assert int(row["baris"]) > 1


def test_pages_are_whole_and_load_nothing_from_elsewhere(site: Path):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 15
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport={"width": 1200, "height": 900})
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        for page in pages:
            tab.goto(page.as_uri())
            assert tab.locator("h1").count() == 1
            for width in (1200, 390):
                tab.set_viewport_size({"width": width, "height": 900})
                assert tab.evaluate("document.documentElement.scrollWidth") <= width, (page.name, width)
        browser.close()
    assert all(url.startswith("file:") for url in asked)
    assert scan.scan_paths(pages) == []


def test_the_figures_page_shows_the_release_and_hides_what_it_hides(site: Path, home: Settings):
    found = figures.collect(home, load_contracts(home.contracts_dir))
    page = (site / "angka.html").read_text(encoding="utf-8")
    # In a city this small even its own figures may be hidden; those that are not have their section.
    with duckdb.connect(home.current / "marts.duckdb", read_only=True) as con:
        shown = {
            measure
            for mart in {figure.mart for figure in figures.SHOWN}
            for (measure,) in con.execute(
                f"SELECT measure FROM {mart} WHERE kemendagri_code = '36.71' AND percentage IS NOT NULL"
            ).fetchall()
        }
    assert {figure.words["measure"] for figure in found} <= shown
    assert bool(found) != ("Belum ada rilis dengan angka" in page)
    for figure in found:
        assert figure.words["label_id"] in page
        assert all(source in page for source in figure.sources)
        for row in (*figure.kecamatan, *figure.kelurahan):
            if row["suppression_reason"]:
                assert row["percentage"] is row["numerator"] is row["denominator"] is None


def test_kelurahan_outside_a_sample_are_grey_and_say_so():
    rows = [{"kemendagri_code": "36.71.01", "area_name": "Tangerang", "percentage": 12.34, "suppression_reason": None}]
    outside = {code: "Sukarasa" for code in figures.outlines()[0] if code not in ("36.71.01.1002", "36.71.01.1003")}
    drawn = ElementTree.fromstring(f"<div>{figures._map([rows[0] | {'is_reliable': True}], 'Ukuran', outside)}</div>")
    grey, kecamatan = drawn.find("svg").findall("g")
    assert grey.get("fill") == figures.NOT_IN_SAMPLE
    assert {area.findtext("title") for area in grey} == {"Sukarasa: tidak ada di kota contoh / not in the sample city"}
    assert len(grey) == 102
    assert {use.get("href") for use in kecamatan.iter("use")} == {"#w-36.71.01.1002", "#w-36.71.01.1003"}
    assert "tidak ada di kota contoh" in "".join(drawn.find("div").itertext())


def test_a_hidden_area_is_hatched_and_its_tooltip_has_no_number():
    shown = {"kemendagri_code": "36.71.01", "area_name": "Tangerang", "percentage": 12.34, "suppression_reason": None}
    hidden = {"kemendagri_code": "36.71.02", "area_name": "Jatiuwung", "percentage": None}
    rows = [shown | {"is_reliable": True}, hidden | {"suppression_reason": "primary", "is_reliable": None}]
    drawn = ElementTree.fromstring(f"<div>{figures._map(rows, 'Ukuran')}</div>")
    areas = {area.findtext("title"): area.findall("g")[1].get("fill") for area in drawn.find("svg").findall("g")}
    assert areas == {"Tangerang: 12,3%": figures.RAMP[2], "Jatiuwung: disembunyikan / hidden": "url(#tersembunyi)"}
    # Each outline that a map refers to is drawn once, by the page.
    used = {use.get("href") for use in drawn.iter("use")}
    assert used == {f"#w-{code}" for code in figures.outlines()[0] if code.startswith(("36.71.01.", "36.71.02."))}
    assert len(figures.outlines()[0]) == 104
    assert 'id="tersembunyi"' in figures.definitions()
