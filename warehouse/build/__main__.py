"""Files of the dbt project that are written by program.

``python -m warehouse.build sources`` writes dbt's description of what it reads, from contracts and ledger;
``python -m warehouse.build mart MART [KEY ...]`` the YAML and the gate of a new long mart.
"""

import sys

from warehouse.build import mart_yaml, sources_file, sources_yaml
from warehouse.core.contract import load_contracts
from warehouse.core.errors import ConfigError
from warehouse.core.settings import get_settings


def main(words: list[str]) -> None:
    settings = get_settings()
    match words:
        case ["sources"]:
            text = sources_yaml(load_contracts(settings.contracts_dir))
            sources_file(settings).write_text(text, encoding="utf-8")
        case ["mart", mart, *keys]:
            for path in mart_yaml.write(settings.dbt_dir / "models", settings.mart_rules_dir, mart, keys):
                print(path.relative_to(settings.project_dir))
        case _:
            use = "python -m warehouse.build sources | mart MART [KEY ...]"
            raise ConfigError("USAGE", f"Pakai: {use}", f"Use: {use}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ConfigError as error:
        sys.exit(f"{error.code} {error.message_id} / {error.message_en} {error.action_id} / {error.action_en}")
