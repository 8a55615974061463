"""The ledger's tables and views: SQLAlchemy Core definitions, and the types of their columns.

Here: what a row holds. Not here: connections (store), reading and writing deliveries (deliveries), revisions of the
schema (migrations).

Rows are inserted, not edited; what is current is derived by views. Values from deliveries never enter the ledger; a row
is known by delivery, part and source row.
"""

from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Date, Float, ForeignKey, Integer, MetaData, String, Table, Text
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """Timestamps that are aware going in and aware UTC coming out, on SQLite as on Postgres."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the ledger takes no naive timestamp")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


metadata = MetaData()
BigId = BigInteger().with_variant(Integer, "sqlite")

nights = Table(
    "nights",
    metadata,
    Column("night_id", String(36), primary_key=True),
    Column("logical_date", Date, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("outcome", String(20)),
    Column("detail", Text),
    comment="One row per run of the marts step",
)

fetches = Table(
    "fetches",
    metadata,
    Column("fetch_id", String(36), primary_key=True),
    Column("dataset", String(80), nullable=False, index=True),
    Column("part", String(80), nullable=False),
    Column("period_kind", String(12), nullable=False),
    Column("period_start", Date, nullable=False),
    Column("origin", String(12), nullable=False, comment="agency | hand"),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=False),
    Column("outcome", String(20), nullable=False, comment="landed | unchanged | not_available | failed | refused"),
    Column("error_code", String(60)),
    Column("message_id", Text),
    Column("message_en", Text),
    Column("action_id", Text),
    Column("action_en", Text),
    Column("attempts", Integer, nullable=False, default=1),
    Column("bytes", BigInteger),
    Column("delivery_id", String(32)),
    comment="One row per attempt to obtain one (dataset, part, period), success and failure alike",
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", String(32), primary_key=True),
    Column("dataset", String(80), nullable=False, index=True),
    Column("part", String(80), nullable=False),
    Column("period_kind", String(12), nullable=False),
    Column("period_start", Date, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("content_sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("media", String(12), nullable=False, comment="csv | xlsx | json | pages (tar of answers)"),
    Column("origin", String(12), nullable=False),
    Column("stored_path", Text, nullable=False, comment="below WAREHOUSE_HOME"),
    Column("stored_sha256", String(64), nullable=False),
    Column("kept_sha256", String(64), comment="hash of the clear bytes once an erasure changed them; NULL = as sent"),
    Column("destroyed_at", UtcDateTime),
    comment="One row per file or paged answer of one sender for one (dataset, part, period)",
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("verdict_id", String(36), primary_key=True),
    Column("delivery_id", ForeignKey("deliveries.delivery_id"), nullable=False, index=True),
    Column("contract_version", String(20), nullable=False),
    Column("contract_sha256", String(64), comment="hash of that version as it was then; NULL before it was kept"),
    Column("judged_at", UtcDateTime, nullable=False),
    Column("verdict", String(30), nullable=False, comment="accepted | accepted_with_quarantine | held"),
    Column("reason_code", String(120), comment="the rule or error that held it"),
    Column("message_id", Text),
    Column("message_en", Text),
    Column("checks_run", Integer, nullable=False),
    Column("rows_read", BigInteger, nullable=False),
    Column("rows_admitted", BigInteger, nullable=False),
    Column("rows_quarantined", BigInteger, nullable=False),
    Column("rows_refused", BigInteger, nullable=False),
    Column("seconds", Float),
    Column("profile", sa.JSON, comment="measures of the delivery, for drift rules of later ones"),
    comment="One row per judgement of a delivery; the newest counts",
)

rule_results = Table(
    "rule_results",
    metadata,
    Column("result_id", BigId, primary_key=True, autoincrement=True),
    Column("verdict_id", ForeignKey("verdicts.verdict_id"), nullable=False, index=True),
    Column("delivery_id", String(32), nullable=False, index=True),
    Column("rule_code", String(120), nullable=False),
    Column("column_name", String(80)),
    Column("severity", String(12), nullable=False),
    Column("category", String(40), nullable=False),
    Column("outcome", String(10), nullable=False, comment="pass | fail | not_run"),
    Column("checked", BigInteger),
    Column("failed", BigInteger),
    Column("observed", Float, comment="the measured value of a profile rule"),
    comment="One row per rule and verdict",
)

quarantined_rows = Table(
    "quarantined_rows",
    metadata,
    Column("row_id", BigId, primary_key=True, autoincrement=True),
    Column("verdict_id", ForeignKey("verdicts.verdict_id"), nullable=False, index=True),
    Column("delivery_id", String(32), nullable=False, index=True),
    Column("rule_code", String(120), nullable=False),
    Column("column_name", String(80)),
    Column("source_part", String(80)),
    Column("source_row", BigInteger, nullable=False),
    comment="One row per quarantined or refused source row and rule; pointers only",
)

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", String(36), primary_key=True),
    Column("kind", String(20), nullable=False, comment="admit | reject | superseded | withdraw | reinstate"),
    Column("delivery_id", ForeignKey("deliveries.delivery_id"), nullable=False, index=True),
    Column("verdict_id", String(36), nullable=False),
    Column("reason", Text, nullable=False),
    Column("reason_code", String(40), nullable=False),
    Column("decided_by", String(120), nullable=False),
    Column("decided_by_role", String(40), nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("approver", String(120), comment="the second person, where two are demanded"),
    comment="One row per decision of a person (or of the rule that a newer delivery closes a held one)",
)

lake_files = Table(
    "lake_files",
    metadata,
    Column("path", String(300), primary_key=True, comment="below WAREHOUSE_HOME"),
    Column("verdict_id", ForeignKey("verdicts.verdict_id"), nullable=False, index=True),
    Column("delivery_id", String(32), nullable=False, index=True),
    Column("kind", String(10), nullable=False, comment="lake | vault"),
    Column("rows", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("written_at", UtcDateTime, nullable=False),
    comment="One row per Parquet file of admitted rows (lake) or their identities (vault)",
)

builds = Table(
    "builds",
    metadata,
    Column("build_id", String(36), primary_key=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("outcome", String(20), nullable=False, comment="running | built | failed | stopped"),
    Column("as_of", Date, nullable=False),
    Column("inputs_hash", String(64)),
    Column("content_hash", String(64)),
    Column("code_version", String(64)),
    Column("detail", Text),
    comment="One row per build of the warehouse file",
)

mart_rule_results = Table(
    "mart_rule_results",
    metadata,
    Column("result_id", BigId, primary_key=True, autoincrement=True),
    Column("build_id", String(36), nullable=False, index=True),
    Column("judged_at", UtcDateTime, nullable=False, index=True),
    Column("mart", String(80), nullable=False),
    Column("rule_code", String(120), nullable=False),
    Column("column_name", String(80)),
    Column("severity", String(12), nullable=False),
    Column("category", String(40), nullable=False),
    Column("outcome", String(10), nullable=False, comment="pass | fail | not_run"),
    Column("checked", BigInteger),
    Column("failed", BigInteger),
    Column("observed", Float),
    comment="One row per rule of a mart and judgement of a build; rows of one judgement share judged_at",
)

releases = Table(
    "releases",
    metadata,
    Column("release_id", String(40), primary_key=True),
    Column("build_id", ForeignKey("builds.build_id"), nullable=False),
    Column("previous_release_id", String(40)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("code_version", String(64)),
    Column("disclosure", String(5), nullable=False),
    Column("scan_verdict", String(10), nullable=False),
    Column("removed_at", UtcDateTime),
    comment="One row per release that became current at least once",
)

release_marts = Table(
    "release_marts",
    metadata,
    Column("release_id", ForeignKey("releases.release_id"), primary_key=True),
    Column("mart", String(80), primary_key=True),
    Column("row_count", BigInteger, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("cells_published", BigInteger),
    Column("cells_hidden", BigInteger, comment="of releases made before small counts were rounded"),
    Column("cells_rounded", BigInteger),
    Column("rounding_base", BigInteger),
    Column("mean_error_kelurahan", Float, comment="points, of reliable percentages"),
    Column("mean_error_kecamatan", Float),
    Column("mean_error_kota", Float),
    comment="One row per release and mart",
)

pins = Table(
    "pins",
    metadata,
    Column("pin_id", String(36), primary_key=True),
    Column("release_id", String(40), nullable=True, comment="NULL = unpinned"),
    Column("reason", Text, nullable=False),
    Column("decided_by", String(120), nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    comment="One row per rollback or unpin; the newest counts",
)

openings = Table(
    "openings",
    metadata,
    Column("opening_id", String(36), primary_key=True),
    Column("subject", String(20), nullable=False, comment="micro | identity"),
    Column("release_id", String(40), comment="the release whose micro file was opened"),
    Column("person", String(120), nullable=False),
    Column("account", String(120), nullable=False, comment="account of the operating system it was done from"),
    Column("purpose", Text, nullable=False),
    Column("approver", String(120), comment="a second person; demanded for clear identities"),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("query", Text, comment="what was asked of the micro file"),
    Column("rows_shown", BigInteger, comment="rows of the answer; NULL where none was given"),
    Column("exact_because", Text, comment="why small counts were printed as they are; NULL where they were not"),
    comment="One row per opening of the micro file or of clear identities: the purpose log",
)

looks = Table(
    "looks",
    metadata,
    Column("look_id", BigId, primary_key=True, autoincrement=True),
    Column("opening_id", String(36), ForeignKey("openings.opening_id"), nullable=False, index=True),
    Column("record_key", String(64), nullable=False),
    Column("looked_at", UtcDateTime, nullable=False),
    comment="One row per record whose identity was shown in clear under an opening",
)

approvals = Table(
    "approvals",
    metadata,
    Column("approval_id", String(36), primary_key=True),
    Column("act", String(20), nullable=False, comment="identity | withdraw | reinstate | erase | rotate_keys"),
    Column("about", String(120), nullable=False, comment="what it is done to; identifies nobody"),
    Column("asked_by", String(120), nullable=False),
    Column("asked_account", String(120), nullable=False, comment="account it was asked for from"),
    Column("reason", Text, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("approved_by", String(120)),
    Column("approved_account", String(120), comment="another than asked_account"),
    Column("approved_at", UtcDateTime),
    Column("used_at", UtcDateTime, comment="when it was done; an approval is for once"),
    comment="One row per request for an act that takes two persons",
)

key_checks = Table(
    "key_checks",
    metadata,
    Column("key_name", String(20), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("check_value", String(64), nullable=False, comment="tells the key from any other without telling it"),
    Column("since", UtcDateTime, nullable=False),
    comment="One row per key and version that data were written under; the newest is in use",
)

key_rotations = Table(
    "key_rotations",
    metadata,
    Column("rotation_id", String(36), primary_key=True),
    Column("decided_by", String(120), nullable=False),
    Column("approver", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("switched_at", UtcDateTime, comment="when the new keys came into use"),
    Column("ended_at", UtcDateTime, comment="when the last file under the old keys was gone"),
    comment="One row per decided change of keys",
)

erasures = Table(
    "erasures",
    metadata,
    Column("erasure_id", String(36), primary_key=True),
    Column("decided_by", String(120), nullable=False),
    Column("approver", String(120), nullable=False),
    Column("ground", String(200), nullable=False, comment="article of law"),
    Column("reason", Text, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("person_keys", sa.JSON(none_as_null=True), comment="pseudonyms in kept releases; emptied when done"),
    Column("found_at", UtcDateTime, comment="when all the person's rows had been found"),
    Column("erased_at", UtcDateTime, comment="when the last of them was blanked"),
    Column("proven_at", UtcDateTime, comment="when a scan found nothing of the person any more"),
    comment="One row per decided erasure of a person; says nothing of who it is",
)

erased_rows = Table(
    "erased_rows",
    metadata,
    Column("row_id", BigId, primary_key=True, autoincrement=True),
    Column("erasure_id", String(36), nullable=False, index=True),
    Column("delivery_id", String(32), nullable=False, index=True),
    Column("source_part", String(80)),
    Column("source_row", BigInteger, nullable=False),
    Column("is_blanked", sa.Boolean, nullable=False),
    comment="One row per landed row that an erasure blanks",
)

linkage_decisions = Table(
    "linkage_decisions",
    metadata,
    Column("decision_id", String(36), primary_key=True),
    Column("left_record_key", String(64), nullable=False),
    Column("right_record_key", String(64), nullable=False),
    Column("left_profile_key", String(64), nullable=False),
    Column("right_profile_key", String(64), nullable=False),
    Column("decision", String(10), nullable=False, comment="link | not_link | unsure"),
    Column("reason", Text, nullable=False),
    Column("decided_by", String(120), nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("opening_id", String(36), nullable=False, comment="the opening under which it was seen"),
    Column("method", String(20), nullable=False, comment="what had brought the two together"),
    Column("weight", Float, nullable=False),
    Column("model_version", String(40), nullable=False),
    comment="One row per decision on whether two records are one person; the newest on a pair counts",
)

scans = Table(
    "scans",
    metadata,
    Column("scan_id", String(36), primary_key=True),
    Column("release_id", String(40), comment="the release it was made for"),
    Column("ended_at", UtcDateTime, nullable=False),
    Column("verdict", String(10), nullable=False, comment="clean | found"),
    Column("files", BigInteger, nullable=False, comment="files in the home that must hold no identity"),
    Column("files_read", BigInteger, nullable=False, comment="those changed since the scan before"),
    Column("bytes_read", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    comment="One row per leak scan of the whole home before a release",
)

scan_findings = Table(
    "scan_findings",
    metadata,
    Column("finding_id", BigId, primary_key=True, autoincrement=True),
    Column("scan_id", ForeignKey("scans.scan_id"), nullable=False, index=True),
    Column("file", Text, nullable=False, comment="below WAREHOUSE_HOME"),
    Column("place", Text, nullable=False, comment="table.column, sheet!cell, line, byte or part"),
    Column("kind", String(20), nullable=False, comment="what was found; never the value"),
    Column("found", BigInteger, nullable=False),
    comment="One row per place of a file in which a leak scan found identities",
)

schema_views = Table(
    "schema_views",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("sha256", String(64), nullable=False),
    comment="One row per view as last created: upgrade recreates them when their text changed",
)

# The newest verdict of each delivery, what a person decided on it, and whether it counts.
VIEWS = {
    "latest_verdicts": """
        select v.* from verdicts v
        where not exists (
            select 1 from verdicts newer
            where newer.delivery_id = v.delivery_id
              and (newer.judged_at, newer.verdict_id) > (v.judged_at, v.verdict_id)
        )
    """,
    "latest_decisions": """
        select d.* from decisions d
        where not exists (
            select 1 from decisions newer
            where newer.delivery_id = d.delivery_id
              and (newer.decided_at, newer.decision_id) > (d.decided_at, d.decision_id)
        )
    """,
    "admissible_deliveries": """
        select e.delivery_id, e.dataset, e.part, e.period_kind, e.period_start, e.received_at, v.verdict_id
        from deliveries e
        join latest_verdicts v on v.delivery_id = e.delivery_id
        left join latest_decisions d on d.delivery_id = v.delivery_id
        where v.verdict <> 'held' and coalesce(d.kind, '') not in ('reject', 'withdraw')
    """,
    # Held and not yet decided; one that was withdrawn and taken back, then held by a replay, is open again.
    "held_deliveries": """
        select e.delivery_id, e.dataset, e.part, e.period_kind, e.period_start, e.received_at, v.verdict_id,
               v.reason_code, v.message_id, v.message_en
        from deliveries e
        join latest_verdicts v on v.delivery_id = e.delivery_id
        left join latest_decisions d on d.delivery_id = v.delivery_id
        where v.verdict = 'held' and coalesce(d.kind, 'reinstate') = 'reinstate'
    """,
}

# The view of that name with its columns' types: SQLite gives the dates of raw SQL as text.
admissible_deliveries = sa.table(
    "admissible_deliveries",
    sa.column("delivery_id", String),
    sa.column("dataset", String),
    sa.column("part", String),
    sa.column("period_kind", String),
    sa.column("period_start", Date),
    sa.column("received_at", UtcDateTime),
    sa.column("verdict_id", String),
)

_TIMES = {c.name for t in metadata.tables.values() for c in t.columns if isinstance(c.type, UtcDateTime)}
_DATES = {c.name for t in metadata.tables.values() for c in t.columns if isinstance(c.type, Date)} - _TIMES


def typed(name: str, value: Any) -> Any:
    """A column's value as Python has it, where it was written down as text."""
    if not isinstance(value, str):
        return value
    if name in _TIMES:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return date.fromisoformat(value) if name in _DATES else value
