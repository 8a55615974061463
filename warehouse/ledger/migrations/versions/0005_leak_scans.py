"""Leak scans and what they found"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scans",
        sa.Column("scan_id", sa.String(length=36), nullable=False),
        sa.Column("release_id", sa.String(length=40), nullable=True, comment="the release it was made for"),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.String(length=10), nullable=False, comment="clean | found"),
        sa.Column("files", sa.BigInteger(), nullable=False, comment="files in the home that must hold no identity"),
        sa.Column("files_read", sa.BigInteger(), nullable=False, comment="those changed since the scan before"),
        sa.Column("bytes_read", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("scan_id"),
        comment="One row per leak scan of the whole home before a release",
    )
    op.create_table(
        "scan_findings",
        sa.Column(
            "finding_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("scan_id", sa.String(length=36), nullable=False),
        sa.Column("file", sa.Text(), nullable=False, comment="below WAREHOUSE_HOME"),
        sa.Column("place", sa.Text(), nullable=False, comment="table.column, sheet!cell, line, byte or part"),
        sa.Column("kind", sa.String(length=20), nullable=False, comment="what was found; never the value"),
        sa.Column("found", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["scan_id"], ["scans.scan_id"]),
        sa.PrimaryKeyConstraint("finding_id"),
        comment="One row per place of a file in which a leak scan found identities",
    )
    with op.batch_alter_table("scan_findings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_scan_findings_scan_id"), ["scan_id"], unique=False)
