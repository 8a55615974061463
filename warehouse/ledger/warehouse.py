"""What the steps of a task or command work on: opened once, and handed on.

Here: opening it. Not here: any step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from warehouse.core.clock import Clock
from warehouse.core.contract import Contract, contract_named, load_contracts
from warehouse.core.settings import Settings, get_settings
from warehouse.ledger.store import Ledger, open_ledger

Progress = Callable[[str], None]


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


def _silent(_text: str) -> None:
    pass
