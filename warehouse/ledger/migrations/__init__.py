"""Alembic environment of the ledger. Run by ``warehouse.ledger.upgrade``; needs no alembic.ini.

Views are not migrated: ``upgrade`` drops and recreates them from ``tables.VIEWS`` when their text changed.
After a change to a table of the ledger, ``python -m warehouse.ledger.migrations "why"`` writes the next revision.
"""
