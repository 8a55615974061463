"""Acts that take two persons are asked for from one account and approved from another"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("approval_id", sa.String(length=36), nullable=False),
        sa.Column(
            "act", sa.String(length=20), nullable=False, comment="identity | withdraw | reinstate | erase | rotate_keys"
        ),
        sa.Column("about", sa.String(length=120), nullable=False, comment="what it is done to; identifies nobody"),
        sa.Column("asked_by", sa.String(length=120), nullable=False),
        sa.Column("asked_account", sa.String(length=120), nullable=False, comment="account it was asked for from"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(length=120), nullable=True),
        sa.Column("approved_account", sa.String(length=120), nullable=True, comment="another than asked_account"),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "used_at", sa.DateTime(timezone=True), nullable=True, comment="when it was done; an approval is for once"
        ),
        sa.PrimaryKeyConstraint("approval_id"),
        comment="One row per request for an act that takes two persons",
    )
