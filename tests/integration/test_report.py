"""The monitors' site after a night with a held file, a missing part and quarantined rows."""

import csv
import json
import re
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest
from playwright.sync_api import sync_playwright

from tests.support import samples
from tests.support.sandbox_home import NEWEST, admit_resent, copied
from warehouse import ledger, night, report, scan
from warehouse.core.contract import load_contracts
from warehouse.core.settings import Settings
from warehouse.ledger import deliveries
from warehouse.report import figures, numbers

EPPGBM = "kemenkes/eppgbm"


@pytest.fixture(scope="module")
def site(home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    led = ledger.open_ledger(home)
    first, second = [one.part for one in deliveries.in_force(led, EPPGBM, "snapshot")][:2]
    folder = tmp_path_factory.mktemp("files")
    rows = samples.good_rows(EPPGBM)
    rows[1]["nik"] = "3.67101E+15"
    quarantined, empty = folder / "quarantined.csv", folder / "empty.csv"
    quarantined.write_bytes(samples.as_file(EPPGBM, rows, shape="sigizi_csv")[0])
    empty.write_bytes(b"")
    night.ingest_file(EPPGBM, NEWEST, first, quarantined, s=home)
    admit_resent(home)
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
    in_force = deliveries.in_force(ledger.open_ledger(home), EPPGBM, "snapshot")[0].part
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


def test_the_figures_page_shows_each_number_of_the_release_as_rounding_made_it(site: Path, home: Settings):
    found = figures.collect(home, load_contracts(home.contracts_dir))
    assert found
    base = home.disclosure_threshold
    page = (site / "angka.html").read_text(encoding="utf-8")
    sections = re.findall(r'<section class="fig" id="(\w+)">(.*?)</section>', page, re.DOTALL)
    assert [measure for measure, _ in sections] == [figure.words["measure"] for figure in found]
    for figure, (_, section) in zip(found, sections, strict=True):
        assert figure.base == base
        assert figure.words["label_id"] in section
        assert all(source in section for source in figure.sources)
        (table,) = re.findall(r'<table class="bars">(.*?)</table>', section, re.DOTALL)
        said = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in table.split("<tr>")[2:]]
        expected = [
            [
                row["area_name"],
                numbers.percent(row["percentage"], row["is_rounded"]) + ("" if row["is_reliable"] else " *"),
                numbers.count(row["numerator"], row["is_rounded"], base),
                numbers.count(row["denominator"], row["is_rounded"], base),
            ]
            for row in sorted(figure.kecamatan, key=lambda row: row["area_name"])
        ]
        assert [[cells[0], cells[1], *cells[3:]] for cells in said] == expected


def test_a_rounded_number_never_looks_exact():
    assert [numbers.count(value, True, 5) for value in (0, 5, 6, 1234)] == ["0–5", "0–5", "≈ 6", "≈ 1.234"]
    assert [numbers.count(value, False, 5) for value in (0, 5, 1234, None)] == ["0", "5", "1.234", "–"]
    assert [numbers.count(value, True, 3) for value in (3, 5)] == ["0–3", "≈ 5"]
    assert numbers.percent(0.0, True) == "≈ 0,0%"
    assert numbers.percent(12.34) == "12,3%"
    assert numbers.percent(None, True) == "–"
    assert numbers.points(0.567) == "0,57"


def test_the_release_page_says_how_far_rounding_moved_its_figures(site: Path, home: Settings):
    release_id = home.current.resolve().name
    manifest = json.loads((home.current / "manifest.json").read_text(encoding="utf-8"))
    page = (site / "rilis" / f"{release_id}.html").read_text(encoding="utf-8")
    assert "Cacah 1–4 dibulatkan menjadi 0 atau 5" in page
    rows = {
        cells[0]: cells[1:]
        for row in page.replace("<wbr>", "").split("<tr>")
        for cells in [re.findall(r"<td[^>]*>(?:<code[^>]*>)?(.*?)(?:</code>)?</td>", row)]
        if len(cells) == 5
    }
    assert rows.keys() == {row["mart"] for row in manifest["rounding"]}
    for row in manifest["rounding"]:
        column = ("kelurahan", "kecamatan", "kota").index(row["area_level"])
        assert rows[row["mart"]][column] == numbers.points(row["mean_error"])
    largest = {row["mart"]: 0 for row in manifest["rounding"]}
    for row in manifest["rounding"]:
        largest[row["mart"]] = max(largest[row["mart"]], row["largest_deviation"] or 0)
    assert {mart: int(cells[3].replace(".", "")) for mart, cells in rows.items()} == largest


def test_pages_of_a_release_made_before_rounding_say_so(home: Settings, tmp_path: Path):
    """Its marts have reasons for hiding and no ``is_rounded``, its manifest no rounding."""
    former = copied(home, tmp_path / "former")
    release_id = former.current.resolve().name
    folder = former.releases_dir / release_id
    for path in (folder, *folder.iterdir()):
        path.chmod(0o700)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["rounding"], manifest["policy"]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with duckdb.connect(folder / "marts.duckdb") as con:
        for view, *_ in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
            con.execute(f'DROP VIEW "{view}"')
        for mart in {shown.mart for shown in figures.SHOWN}:
            con.execute(f'ALTER TABLE "{mart}" DROP COLUMN is_rounded')
            con.execute(f'ALTER TABLE "{mart}" ADD COLUMN suppression_reason VARCHAR')
            con.execute(
                f"UPDATE \"{mart}\" SET percentage = NULL, numerator = NULL, suppression_reason = 'primary'"
                " WHERE area_level = 'kelurahan'"
            )
    made = report.render(former, ledger.open_ledger(former))
    assert "sebelum cacah kecil dibulatkan" in _text(made / "angka.html")
    text = _text(made / "rilis" / f"{release_id}.html")
    assert "sebelum cacah kecil dibulatkan" in text
    assert "rata-rata selisih" not in text.lower()
    assert "≈" not in _text(made / "angka.html")


def test_kelurahan_outside_a_sample_are_grey_and_say_so():
    rows = [{"kemendagri_code": "36.71.01", "area_name": "Tangerang", "percentage": 12.34, "is_rounded": False}]
    outside = {code: "Sukarasa" for code in figures.outlines()[0] if code not in ("36.71.01.1002", "36.71.01.1003")}
    drawn = ElementTree.fromstring(f"<div>{figures.map_of([rows[0] | {'is_reliable': True}], 'Ukuran', outside)}</div>")
    grey, kecamatan = drawn.find("svg").findall("g")
    assert grey.get("fill") == figures.NOT_IN_SAMPLE
    assert {area.findtext("title") for area in grey} == {"Sukarasa: tidak ada di kota contoh / not in the sample city"}
    assert len(grey) == 102
    assert {use.get("href") for use in kecamatan.iter("use")} == {"#w-36.71.01.1002", "#w-36.71.01.1003"}
    assert "tidak ada di kota contoh" in "".join(drawn.find("div").itertext())


def test_an_area_without_a_figure_is_grey_and_a_rounded_one_says_so():
    shown = {"kemendagri_code": "36.71.01", "area_name": "Tangerang", "percentage": 12.34, "is_rounded": True}
    empty = {"kemendagri_code": "36.71.02", "area_name": "Jatiuwung", "percentage": None, "is_rounded": True}
    rows = [shown | {"is_reliable": True}, empty | {"is_reliable": False}]
    drawn = ElementTree.fromstring(f"<div>{figures.map_of(rows, 'Ukuran')}</div>")
    areas = {area.findtext("title"): area.findall("g")[1].get("fill") for area in drawn.find("svg").findall("g")}
    assert areas == {"Tangerang: ≈ 12,3%": figures.RAMP[2], "Jatiuwung: tak ada data / no data": figures.NO_DATA}
    # Each outline that a map refers to is drawn once, by the page.
    used = {use.get("href") for use in drawn.iter("use")}
    assert used == {f"#w-{code}" for code in figures.outlines()[0] if code.startswith(("36.71.01.", "36.71.02."))}
    assert len(figures.outlines()[0]) == 104


def test_a_trend_says_its_points_as_tables_do():
    months = [
        {"period_kind": "month", "period_start": date(2026, month, 1), "percentage": 5.0 + month, "ci95_low": 4.0,
         "ci95_high": 9.0, "is_rounded": month == 2}
        for month in (1, 2)
    ]  # fmt: skip
    beside = [{"period_start": date(2025, 1, 1), "value": 11.2, "source_title": None, "source_system": "ssgi"}]
    drawn = ElementTree.fromstring(figures.trend_of(months, beside, {"label_id": "Ukuran"}))
    titles = {element.text for element in drawn.iter("{http://www.w3.org/2000/svg}title")}
    assert titles == {"Jan 2026: 6,0%", "Feb 2026: ≈ 7,0%", "ssgi 2025: 11,2%"}
