"""``python -m warehouse.build sources`` writes dbt's description of what it reads, from contracts and ledger."""

import sys

from warehouse.build import sources_file, sources_yaml
from warehouse.core.contract import load_contracts
from warehouse.core.errors import ConfigError
from warehouse.core.settings import get_settings

if __name__ == "__main__":
    if sys.argv[1:] != ["sources"]:
        raise ConfigError("USAGE", "Pakai: python -m warehouse.build sources", "Use: python -m warehouse.build sources")
    settings = get_settings()
    sources_file(settings).write_text(sources_yaml(load_contracts(settings.contracts_dir)), encoding="utf-8")
