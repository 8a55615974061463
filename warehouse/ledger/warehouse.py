"""What the steps of a task or command work on: opened once, and handed on.

Here: opening it. Not here: any step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from warehouse.core.clock import Clock
from warehouse.core.contract import Contract, contract_named, load_contracts
from warehouse.core.settings import Settings, get_settings
from warehouse.ledger.store import Ledger, open_ledger, upgrade

Progress = Callable[[str], None]
_IN_MEMORY = "sqlite://"


@dataclass(frozen=True)
class Warehouse:
    """Settings, the ledger at its newest schema, all contracts by dataset, the clock, and whom to tell of progress."""

    settings: Settings
    ledger: Ledger
    contracts: Mapping[str, Contract]
    clock: Clock
    progress: Progress

    def contract(self, dataset: str) -> Contract:
        """A dataset's contract; raises ConfigError DATASET_UNKNOWN."""
        return contract_named(self.contracts, dataset)


def open_warehouse(settings: Settings | None = None, progress: Progress | None = None) -> Warehouse:
    """The warehouse of ``settings``, else of this process; raises ConfigError for settings or contracts that are wrong.

    Its ledger is brought up to date and its folders are closed to whom they are not for.
    """
    s = settings or get_settings()
    return Warehouse(s, open_ledger(s), load_contracts(s.contracts_dir), s.clock, progress or _silent)


def open_for_a_look(settings: Settings | None = None, progress: Progress | None = None) -> Warehouse:
    """The same for what writes nothing: a home without a ledger gets none, and is seen as one without deliveries."""
    s = settings or get_settings()
    if s.ledger.startswith("sqlite:///") and not Path(s.ledger.removeprefix("sqlite:///")).exists():
        upgrade(_IN_MEMORY)
        return Warehouse(s, Ledger(_IN_MEMORY), load_contracts(s.contracts_dir), s.clock, progress or _silent)
    return open_warehouse(s, progress)


def _silent(_text: str) -> None:
    pass
