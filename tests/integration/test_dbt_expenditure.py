"""FGT rows of the poverty mart: none from the registry as it is, the hand-computed once its contract has expenditure.

A project of its own, whose families' contract has one column more: nothing else differs.
"""

import shutil
from pathlib import Path

import duckdb
import pytest

from tests.support import build_files
from tests.support.build_files import Given
from warehouse import build
from warehouse.core.contract import load_contracts
from warehouse.core.settings import PROJECT_DIR, Settings

KELURAHAN = "36.71.10.1001"
LINE = 800_000.0
COLUMN = """
      - name: pengeluaran_per_kapita
        physicalName: pengeluaran_per_kapita
        logicalType: number
        classification: quasi_identifier
        description: Monthly expenditure a head in rupiah.
        customProperties:
          - {property: use, value: mart}
          - {property: unit, value: IDR}
          - {property: since, value: '2.0.0'}
          - {property: optional, value: true}

    quality:
"""


def family(number: int, expenditure: float | None, size: int = 1, **columns) -> dict:
    return {
        "record_key": f"f{number}",
        "ranking": "dtsen",
        "status_dtsen": "DTSEN AKTIF",
        "kemendagri_code": KELURAHAN,
        "kecamatan_kemendagri_code": KELURAHAN[:8],
        "jumlah_anggota_keluarga": size,
        "pengeluaran_per_kapita": expenditure,
    } | columns


def line_of(year: int, bps_code: str = "3671") -> dict:
    return {"var_id": "624", "vervar": bps_code, "turvar": "0", "tahun": year, "turth": "0", "value": LINE}


@pytest.fixture(scope="module")
def fgt(tmp_path_factory) -> list[tuple]:
    """FGT rows of one dbt run: 2023 and 2024 have a published line, that of 2026 is another city's."""
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT_DIR / "expectations", project / "expectations")
    shutil.copytree(PROJECT_DIR / "dbt_project", project / "dbt_project")
    contract = project / "expectations" / "sources" / "bps" / "social_registry_families.odcs.yaml"
    contract.write_text(contract.read_text().replace("\n    quality:\n", COLUMN, 1))
    settings = Settings(home=tmp_path_factory.mktemp("expenditure"), project_dir=project)
    build.sources_file(settings).write_text(build.sources_yaml(load_contracts(settings.contracts_dir)))
    spending = [
        # A quarter and a half of the line short, on the line, above it.
        family(1, 600_000.0, size=9),
        family(2, 400_000.0, size=3),
        family(3, LINE, size=6),
        family(4, 2_000_000.0, size=6),
        family(5, None, size=15),
        family(6, 100_000.0, size=9, status_dtsen="DTSEN NONAKTIF"),
    ]
    givens = [
        Given("bps/social_registry_families", "2023-Q3", [row for row in spending if row["record_key"] != "f2"]),
        Given("bps/social_registry_families", "2024-Q3", spending),
        Given("bps/social_registry_families", "2025-Q3", [row | {"pengeluaran_per_kapita": None} for row in spending]),
        Given("bps/social_registry_families", "2026-Q3", spending),
        Given("bps/indicators", "2023", [line_of(2023)], "624"),
        Given("bps/indicators", "2024", [line_of(2024)], "624"),
        Given("bps/indicators", "2025", [line_of(2025)], "624"),
        Given("bps/indicators", "2026", [line_of(2026, "3674")], "624"),
    ]
    build_files.make(settings, givens)
    build_files.dbt(settings, "build", "--select", "+poverty_by_area_period", "--resource-type", "seed", "model")
    with duckdb.connect(str(settings.build_file), read_only=True) as con:
        return con.execute(
            "select area_level, period_start::varchar, measure, statistic, denominator, unknown_count"
            " from marts.poverty_by_area_period where measure like 'fgt%' order by period_start, measure"
        ).fetchall()


def test_indices_come_out_where_expenditure_and_a_line_of_area_and_year_meet(fgt):
    """Of 24 persons nine lack a quarter of the line and three lack half; 15 said nothing."""
    assert [row[:3] for row in fgt] == [
        ("kota", f"{year}-07-01", f"fgt_p{alpha}") for year in (2023, 2024) for alpha in (0, 1, 2)
    ]
    assert [row[3] for row in fgt[3:]] == pytest.approx(
        [100 * 12 / 24, 100 * (9 * 0.25 + 3 * 0.5) / 24, 100 * (9 * 0.25**2 + 3 * 0.5**2) / 24]
    )
    assert {row[4:] for row in fgt[3:]} == {(24, 15)}


def test_distances_of_few_persons_are_not_told(fgt):
    """Nine are below the line: how many they are is a count, how far below it they live is their own."""
    share, gap, severity = (row[3] for row in fgt[:3])
    assert share == pytest.approx(100 * 9 / 21)
    assert (gap, severity) == (None, None)


def test_the_contract_of_today_has_no_expenditure():
    columns = load_contracts(Settings().contracts_dir)["bps/social_registry_families"].columns
    assert "pengeluaran_per_kapita" not in {column.name for column in columns}
    assert Path(build.sources_file(Settings())).read_text().count("pengeluaran_per_kapita") == 0
