"""A data contract (ODCS v3 YAML) as typed, frozen objects; the only reader of ``expectations/sources``.

Here: loading (loading), kinds of rules (kinds), what may change without a new major version (published). Not here:
reading files (parse), judging rows (gate), talking to agencies (agencies).
"""

from warehouse.core.contract.loading import contract_named, get_contract, load_contract, load_contracts, place_of
from warehouse.core.contract.model import (
    MISSING,
    Column,
    ColumnExtras,
    Contract,
    ContractExtras,
    FileShape,
    Identity,
    MissingLimits,
    PartTerms,
    Rule,
    RuleExtras,
    Server,
    ServerExtras,
    Severity,
)

__all__ = [
    "MISSING",
    "Column",
    "ColumnExtras",
    "Contract",
    "ContractExtras",
    "FileShape",
    "Identity",
    "MissingLimits",
    "PartTerms",
    "Rule",
    "RuleExtras",
    "Server",
    "ServerExtras",
    "Severity",
    "contract_named",
    "get_contract",
    "load_contract",
    "load_contracts",
    "place_of",
]
