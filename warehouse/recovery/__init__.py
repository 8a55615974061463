"""A home's second copy and its wholeness: backup, restore, and the check of every file that the ledger names.

Here: which files make a home (inventory), the folder backups lie in (store), making one (backup), putting one back
(restoring), finding what is lost or damaged and what helps (check). Not here: the ledger in a file (ledger.copying),
judging again (replay), removing what nobody names (maintenance).
"""

from warehouse.recovery.backup import back_up
from warehouse.recovery.check import Finding, check, is_damaged
from warehouse.recovery.restoring import restore

__all__ = ["Finding", "back_up", "check", "is_damaged", "restore"]
