"""Runs revisions on the connection that ``warehouse.ledger.upgrade`` passes in, inside its transaction."""

from typing import Literal

from alembic import context

from warehouse.ledger.tables import UtcDateTime, metadata


def _render(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Revisions stand alone: they name SQLAlchemy's types, never ours."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=_render,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
