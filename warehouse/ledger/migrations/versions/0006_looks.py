"""Which clear identities were looked at under an opening"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "looks",
        sa.Column("look_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("opening_id", sa.String(length=36), nullable=False),
        sa.Column("record_key", sa.String(length=64), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["opening_id"], ["openings.opening_id"]),
        sa.PrimaryKeyConstraint("look_id"),
        comment="One row per record whose identity was shown in clear under an opening",
    )
    with op.batch_alter_table("looks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_looks_opening_id"), ["opening_id"], unique=False)
