"""The data dictionary says what the project says."""

from warehouse.build.catalogue import read_catalogue
from warehouse.report import dictionary


def test_the_dictionary_is_not_stale_and_describes_every_mart_column(settings):
    manifest = dictionary.parsed_manifest(settings)
    written = (settings.project_dir / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
    assert written == dictionary.text(settings, manifest), "run: python -m warehouse.report.dictionary"
    marts = read_catalogue(manifest).marts
    assert marts
    assert not [f"{mart.name}.{c.name}" for mart in marts for c in mart.columns if not c.description.strip()]
