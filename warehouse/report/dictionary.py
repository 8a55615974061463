"""The data dictionary, generated from where each thing is defined: marts and columns from dbt's manifest, measures from
their seeds, datasets from their contracts.

``python -m warehouse.report.dictionary`` writes ``docs/data-dictionary.md``.

Here: what the page stands on. Not here: the page (templates), any definition.
"""

import csv
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

from warehouse import build
from warehouse.build.catalogue import read_catalogue
from warehouse.core.contract import load_contracts
from warehouse.core.settings import Settings, get_settings
from warehouse.release.pseudonymised.recoding import COUNTS
from warehouse.report.documents import document


def _measures(s: Settings) -> dict[str, list[dict[str, str]]]:
    rows_of: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for path in sorted(s.seeds_dir.glob("dim_measure_*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                rows_of[row["mart"]].append(row)
    return rows_of


def text(s: Settings, manifest: Path) -> str:
    """The whole page for the models of ``manifest``."""
    catalogue = read_catalogue(manifest)
    page = document(
        "data-dictionary.md",
        published=catalogue.marts,
        ops=[mart for mart, _query in catalogue.ops],
        restricted=(*catalogue.restricted, *catalogue.micro, COUNTS),
        measures=_measures(s),
        contracts=load_contracts(s.contracts_dir).values(),
    )
    return page.rstrip() + "\n"


def parsed_manifest(s: Settings) -> Path:
    """The manifest of the project as it stands, from ``dbt parse`` under the settings' home."""
    s.home.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        build.dbt_command(s.today(), "parse", "--quiet"),
        cwd=s.dbt_dir,
        env=build.dbt_environment(s, s.home / "parse.duckdb"),
        check=True,
        capture_output=True,
    )
    return build.dbt_target(s) / "manifest.json"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        own = get_settings().model_copy(update={"home": Path(folder)})
        (own.project_dir / "docs" / "data-dictionary.md").write_text(text(own, parsed_manifest(own)), encoding="utf-8")
