"""The purpose log covers clear identities too; check values of keys, their changes; erasures and tombstones."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erased_rows",
        sa.Column("row_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("erasure_id", sa.String(length=36), nullable=False),
        sa.Column("delivery_id", sa.String(length=32), nullable=False),
        sa.Column("source_part", sa.String(length=80), nullable=True),
        sa.Column("source_row", sa.BigInteger(), nullable=False),
        sa.Column("is_blanked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("row_id"),
        comment="One row per landed row that an erasure blanks",
    )
    with op.batch_alter_table("erased_rows", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_erased_rows_delivery_id"), ["delivery_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_erased_rows_erasure_id"), ["erasure_id"], unique=False)

    op.create_table(
        "erasures",
        sa.Column("erasure_id", sa.String(length=36), nullable=False),
        sa.Column("decided_by", sa.String(length=120), nullable=False),
        sa.Column("approver", sa.String(length=120), nullable=False),
        sa.Column("ground", sa.String(length=200), nullable=False, comment="article of law"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_keys", sa.JSON(), nullable=True, comment="pseudonyms in kept releases; emptied when done"),
        sa.Column(
            "found_at", sa.DateTime(timezone=True), nullable=True, comment="when all the person's rows had been found"
        ),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True, comment="when the last of them was blanked"),
        sa.Column(
            "proven_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when a scan found nothing of the person any more",
        ),
        sa.PrimaryKeyConstraint("erasure_id"),
        comment="One row per decided erasure of a person; says nothing of who it is",
    )
    op.create_table(
        "key_checks",
        sa.Column("key_name", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "check_value",
            sa.String(length=64),
            nullable=False,
            comment="tells the key from any other without telling it",
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_name", "version"),
        comment="One row per key and version that data were written under; the newest is in use",
    )
    op.create_table(
        "key_rotations",
        sa.Column("rotation_id", sa.String(length=36), nullable=False),
        sa.Column("decided_by", sa.String(length=120), nullable=False),
        sa.Column("approver", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("switched_at", sa.DateTime(timezone=True), nullable=True, comment="when the new keys came into use"),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the last file under the old keys was gone",
        ),
        sa.PrimaryKeyConstraint("rotation_id"),
        comment="One row per decided change of keys",
    )
    op.create_table(
        "openings",
        sa.Column("opening_id", sa.String(length=36), nullable=False),
        sa.Column("subject", sa.String(length=20), nullable=False, comment="micro | identity"),
        sa.Column("release_id", sa.String(length=40), nullable=True, comment="the release whose micro file was opened"),
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column(
            "account", sa.String(length=120), nullable=False, comment="account of the operating system it was done from"
        ),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column(
            "approver", sa.String(length=120), nullable=True, comment="a second person; demanded for clear identities"
        ),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("opening_id"),
        comment="One row per opening of the micro file or of clear identities: the purpose log",
    )
    op.execute(
        "INSERT INTO openings (opening_id, subject, release_id, person, account, purpose, opened_at, expires_at)"
        " SELECT opening_id, 'micro', release_id, person, '', purpose, opened_at, expires_at FROM micro_openings"
    )
    op.drop_table("micro_openings")
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "kept_sha256",
                sa.String(length=64),
                nullable=True,
                comment="hash of the clear bytes once an erasure changed them; NULL = as sent",
            )
        )
