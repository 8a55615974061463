"""The record of outcomes and decisions: what arrived, how it was judged, what is in force, what was released, by whom.

``tables`` says what is kept, ``store`` opens it, ``deliveries`` reads and writes what becomes of a delivery,
``access_log`` who saw personal data. Not here: judgement.
"""

from warehouse.ledger.store import Ledger, alembic_config, engine, new_id, open_ledger, upgrade

__all__ = ["Ledger", "alembic_config", "engine", "new_id", "open_ledger", "upgrade"]
