"""Small counts are rounded instead of hidden: what a release rounded, and how far that moved its percentages;
what was asked of the pseudonymised file"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("release_marts", schema=None) as batch_op:
        batch_op.alter_column(
            "cells_hidden",
            existing_type=sa.BigInteger(),
            existing_nullable=True,
            comment="of releases made before small counts were rounded",
        )
        batch_op.add_column(sa.Column("cells_rounded", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("rounding_base", sa.BigInteger(), nullable=True))
        batch_op.add_column(
            sa.Column("mean_error_kelurahan", sa.Float(), nullable=True, comment="points, of reliable percentages")
        )
        batch_op.add_column(sa.Column("mean_error_kecamatan", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("mean_error_kota", sa.Float(), nullable=True))
    with op.batch_alter_table("openings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("query", sa.Text(), nullable=True, comment="what was asked of the micro file"))
        batch_op.add_column(
            sa.Column(
                "rows_shown", sa.BigInteger(), nullable=True, comment="rows of the answer; NULL where none was given"
            )
        )
        batch_op.add_column(
            sa.Column(
                "exact_because",
                sa.Text(),
                nullable=True,
                comment="why small counts were printed as they are; NULL where they were not",
            )
        )
