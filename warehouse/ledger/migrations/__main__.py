"""Writes the next revision from ``tables.py``: ``python -m warehouse.ledger.migrations "why"``."""

import sys
import tempfile
from pathlib import Path

from alembic import command

from warehouse import ledger

with tempfile.TemporaryDirectory() as folder:
    url = f"sqlite:///{Path(folder) / 'ledger.db'}"
    ledger.upgrade(url)
    config = ledger.alembic_config()
    number = len(list((Path(__file__).parent / "versions").glob("[0-9]*.py"))) + 1
    with ledger.engine(url).connect() as connection:
        config.attributes["connection"] = connection
        command.revision(config, message=sys.argv[1], autogenerate=True, rev_id=f"{number:04d}")
