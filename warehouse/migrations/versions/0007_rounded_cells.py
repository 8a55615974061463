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
        batch_op.add_column(sa.Column("cells_rounded", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("rounding_base", sa.BigInteger(), nullable=True))
        for level in ("kelurahan", "kecamatan", "kota"):
            batch_op.add_column(sa.Column(f"mean_error_{level}", sa.Float(), nullable=True))
    with op.batch_alter_table("openings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("query", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("rows_shown", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("exact_because", sa.Text(), nullable=True))
