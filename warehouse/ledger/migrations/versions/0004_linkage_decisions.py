"""People's decisions on who is who"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "linkage_decisions",
        sa.Column("decision_id", sa.String(length=36), nullable=False),
        sa.Column("left_record_key", sa.String(length=64), nullable=False),
        sa.Column("right_record_key", sa.String(length=64), nullable=False),
        sa.Column("left_profile_key", sa.String(length=64), nullable=False),
        sa.Column("right_profile_key", sa.String(length=64), nullable=False),
        sa.Column("decision", sa.String(length=10), nullable=False, comment="link | not_link | unsure"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(length=120), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opening_id", sa.String(length=36), nullable=False, comment="the opening under which it was seen"),
        sa.Column("method", sa.String(length=20), nullable=False, comment="what had brought the two together"),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("model_version", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("decision_id"),
        comment="One row per decision on whether two records are one person; the newest on a pair counts",
    )
