"""An accepted delivery can be withdrawn, by two persons"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.alter_column(
            "kind",
            existing_type=sa.String(length=20),
            existing_nullable=False,
            comment="admit | reject | superseded | withdraw | reinstate",
        )
        batch_op.add_column(
            sa.Column(
                "approver", sa.String(length=120), nullable=True, comment="the second person, where two are demanded"
            )
        )
