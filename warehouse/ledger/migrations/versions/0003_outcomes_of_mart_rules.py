"""Outcomes of mart rules"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mart_rule_results",
        sa.Column(
            "result_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("build_id", sa.String(length=36), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mart", sa.String(length=80), nullable=False),
        sa.Column("rule_code", sa.String(length=120), nullable=False),
        sa.Column("column_name", sa.String(length=80), nullable=True),
        sa.Column("severity", sa.String(length=12), nullable=False),
        sa.Column("category", sa.String(length=40), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False, comment="pass | fail | not_run"),
        sa.Column("checked", sa.BigInteger(), nullable=True),
        sa.Column("failed", sa.BigInteger(), nullable=True),
        sa.Column("observed", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("result_id"),
        comment="One row per rule of a mart and judgement of a build; rows of one judgement share judged_at",
    )
    with op.batch_alter_table("mart_rule_results", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mart_rule_results_build_id"), ["build_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_mart_rule_results_judged_at"), ["judged_at"], unique=False)
