"""The tables of the record of outcomes and decisions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "builds",
        sa.Column("build_id", sa.String(length=36), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False, comment="running | built | failed | stopped"),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("inputs_hash", sa.String(length=64), nullable=True),
        sa.Column("content_hash", sa.String(length=64), nullable=True),
        sa.Column("code_version", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("build_id"),
        comment="One row per build of the warehouse file",
    )
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.String(length=32), nullable=False),
        sa.Column("dataset", sa.String(length=80), nullable=False),
        sa.Column("part", sa.String(length=80), nullable=False),
        sa.Column("period_kind", sa.String(length=12), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("media", sa.String(length=12), nullable=False, comment="csv | xlsx | json | pages (tar of answers)"),
        sa.Column("origin", sa.String(length=12), nullable=False),
        sa.Column("stored_path", sa.Text(), nullable=False, comment="below WAREHOUSE_HOME"),
        sa.Column("stored_sha256", sa.String(length=64), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id"),
        comment="One row per file or paged answer of one sender for one (dataset, part, period)",
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deliveries_dataset"), ["dataset"], unique=False)

    op.create_table(
        "fetches",
        sa.Column("fetch_id", sa.String(length=36), nullable=False),
        sa.Column("dataset", sa.String(length=80), nullable=False),
        sa.Column("part", sa.String(length=80), nullable=False),
        sa.Column("period_kind", sa.String(length=12), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("origin", sa.String(length=12), nullable=False, comment="agency | hand"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "outcome",
            sa.String(length=20),
            nullable=False,
            comment="landed | unchanged | not_available | failed | refused",
        ),
        sa.Column("error_code", sa.String(length=60), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("message_en", sa.Text(), nullable=True),
        sa.Column("action_id", sa.Text(), nullable=True),
        sa.Column("action_en", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("delivery_id", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("fetch_id"),
        comment="One row per attempt to obtain one (dataset, part, period), success and failure alike",
    )
    with op.batch_alter_table("fetches", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fetches_dataset"), ["dataset"], unique=False)

    op.create_table(
        "micro_openings",
        sa.Column("opening_id", sa.String(length=36), nullable=False),
        sa.Column("release_id", sa.String(length=40), nullable=False),
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("opening_id"),
        comment="One row per opening of the micro file",
    )
    op.create_table(
        "nights",
        sa.Column("night_id", sa.String(length=36), nullable=False),
        sa.Column("logical_date", sa.Date(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("night_id"),
        comment="One row per run of the marts step",
    )
    op.create_table(
        "pins",
        sa.Column("pin_id", sa.String(length=36), nullable=False),
        sa.Column("release_id", sa.String(length=40), nullable=True, comment="NULL = unpinned"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(length=120), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pin_id"),
        comment="One row per rollback or unpin; the newest counts",
    )
    op.create_table(
        "schema_views",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        comment="One row per view as last created: upgrade recreates them when their text changed",
    )
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False, comment="admit | reject | superseded"),
        sa.Column("delivery_id", sa.String(length=32), nullable=False),
        sa.Column("verdict_id", sa.String(length=36), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reason_code", sa.String(length=40), nullable=False),
        sa.Column("decided_by", sa.String(length=120), nullable=False),
        sa.Column("decided_by_role", sa.String(length=40), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.delivery_id"],
        ),
        sa.PrimaryKeyConstraint("decision_id"),
        comment="One row per decision of a person (or of the rule that a newer delivery closes a held one)",
    )
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_decisions_delivery_id"), ["delivery_id"], unique=False)

    op.create_table(
        "releases",
        sa.Column("release_id", sa.String(length=40), nullable=False),
        sa.Column("build_id", sa.String(length=36), nullable=False),
        sa.Column("previous_release_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code_version", sa.String(length=64), nullable=True),
        sa.Column("disclosure", sa.String(length=5), nullable=False),
        sa.Column("scan_verdict", sa.String(length=10), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["build_id"],
            ["builds.build_id"],
        ),
        sa.PrimaryKeyConstraint("release_id"),
        comment="One row per release that became current at least once",
    )
    op.create_table(
        "verdicts",
        sa.Column("verdict_id", sa.String(length=36), nullable=False),
        sa.Column("delivery_id", sa.String(length=32), nullable=False),
        sa.Column("contract_version", sa.String(length=20), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "verdict", sa.String(length=30), nullable=False, comment="accepted | accepted_with_quarantine | held"
        ),
        sa.Column("reason_code", sa.String(length=120), nullable=True, comment="the rule or error that held it"),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("message_en", sa.Text(), nullable=True),
        sa.Column("checks_run", sa.Integer(), nullable=False),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("rows_admitted", sa.BigInteger(), nullable=False),
        sa.Column("rows_quarantined", sa.BigInteger(), nullable=False),
        sa.Column("rows_refused", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column(
            "profile", sa.JSON(), nullable=True, comment="measures of the delivery, for drift rules of later ones"
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.delivery_id"],
        ),
        sa.PrimaryKeyConstraint("verdict_id"),
        comment="One row per judgement of a delivery; the newest counts",
    )
    with op.batch_alter_table("verdicts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_verdicts_delivery_id"), ["delivery_id"], unique=False)

    op.create_table(
        "lake_files",
        sa.Column("path", sa.String(length=300), nullable=False, comment="below WAREHOUSE_HOME"),
        sa.Column("verdict_id", sa.String(length=36), nullable=False),
        sa.Column("delivery_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False, comment="lake | vault"),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["verdict_id"],
            ["verdicts.verdict_id"],
        ),
        sa.PrimaryKeyConstraint("path"),
        comment="One row per Parquet file of admitted rows (lake) or their identities (vault)",
    )
    with op.batch_alter_table("lake_files", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_lake_files_delivery_id"), ["delivery_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_lake_files_verdict_id"), ["verdict_id"], unique=False)

    op.create_table(
        "quarantined_rows",
        sa.Column("row_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("verdict_id", sa.String(length=36), nullable=False),
        sa.Column("delivery_id", sa.String(length=32), nullable=False),
        sa.Column("rule_code", sa.String(length=120), nullable=False),
        sa.Column("column_name", sa.String(length=80), nullable=True),
        sa.Column("source_part", sa.String(length=80), nullable=True),
        sa.Column("source_row", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["verdict_id"],
            ["verdicts.verdict_id"],
        ),
        sa.PrimaryKeyConstraint("row_id"),
        comment="One row per quarantined or refused source row and rule; pointers only",
    )
    with op.batch_alter_table("quarantined_rows", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quarantined_rows_delivery_id"), ["delivery_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_quarantined_rows_verdict_id"), ["verdict_id"], unique=False)

    op.create_table(
        "release_marts",
        sa.Column("release_id", sa.String(length=40), nullable=False),
        sa.Column("mart", sa.String(length=80), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("cells_published", sa.BigInteger(), nullable=True),
        sa.Column("cells_hidden", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["release_id"],
            ["releases.release_id"],
        ),
        sa.PrimaryKeyConstraint("release_id", "mart"),
        comment="One row per release and mart",
    )
    op.create_table(
        "rule_results",
        sa.Column(
            "result_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("verdict_id", sa.String(length=36), nullable=False),
        sa.Column("delivery_id", sa.String(length=32), nullable=False),
        sa.Column("rule_code", sa.String(length=120), nullable=False),
        sa.Column("column_name", sa.String(length=80), nullable=True),
        sa.Column("severity", sa.String(length=12), nullable=False),
        sa.Column("category", sa.String(length=40), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False, comment="pass | fail | not_run"),
        sa.Column("checked", sa.BigInteger(), nullable=True),
        sa.Column("failed", sa.BigInteger(), nullable=True),
        sa.Column("observed", sa.Float(), nullable=True, comment="the measured value of a profile rule"),
        sa.ForeignKeyConstraint(
            ["verdict_id"],
            ["verdicts.verdict_id"],
        ),
        sa.PrimaryKeyConstraint("result_id"),
        comment="One row per rule and verdict",
    )
    with op.batch_alter_table("rule_results", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rule_results_delivery_id"), ["delivery_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_rule_results_verdict_id"), ["verdict_id"], unique=False)
