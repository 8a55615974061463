"""Hash of the contract that gave a verdict"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "verdicts",
        sa.Column(
            "contract_sha256",
            sa.String(length=64),
            nullable=True,
            comment="hash of that version as it was then; NULL before it was kept",
        ),
    )
