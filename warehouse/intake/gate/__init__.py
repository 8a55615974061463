"""The gate: judges deliveries against their contract, and marts against their rules, with Great Expectations on DuckDB.

Here: typing rows as the contract declares, running its rules, and the verdict. Not here: reading files (parse), keeping
rows (vault, lake), recording verdicts (intake.judge).

Great Expectations takes seconds to import, so nothing here imports it before a judgement begins.
"""

from warehouse.intake.gate.binding import faults
from warehouse.intake.gate.expectations import confirm
from warehouse.intake.gate.marts import judge_mart, mart_rules
from warehouse.intake.gate.model import DeliveryContext, Judgement, Replaced
from warehouse.intake.gate.rules import all_rules, rules_of_versions
from warehouse.intake.gate.verdict import judge, unforeseen

__all__ = [
    "DeliveryContext",
    "Judgement",
    "Replaced",
    "all_rules",
    "confirm",
    "faults",
    "judge",
    "judge_mart",
    "mart_rules",
    "rules_of_versions",
    "unforeseen",
]
