"""The objects a contract consists of, and what makes one misspelt, unclassified or useless.

ODCS carries what it has a field for. What it lacks stands in ``customProperties`` and is declared by the ``*Extras``
models below, which forbid unknown keys. Not here: YAML (loading), words that rules share (kinds).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from warehouse.core.contract.documents import nearest
from warehouse.core.periods import LONGEST_DAYS, PeriodKind

Severity = Literal["stop", "quarantine", "warn"]
Classification = Literal["direct_identifier", "quasi_identifier", "health", "public"]
# Which identity a column is. Vault, linkage, erasure and the leak scan go by it, never by the column's name.
Identity = Literal[
    "nik", "parent_nik", "kk", "nisn", "membership_number", "account_number", "meter_number", "other_number",
    "person_name", "parent_name", "birth_date", "phone", "email", "address", "row_key", "sex", "rt", "rw",
]  # fmt: skip
# What tells nobody apart by itself and is compared beside the others.
_BESIDE: tuple[Identity, ...] = ("sex", "rt", "rw")
_ONE_A_ROW: tuple[Identity, ...] = ("nik", "kk", "membership_number", "person_name", "birth_date", *_BESIDE)
LogicalType = Literal["string", "integer", "number", "date", "boolean"]
NULL_TOKENS = ("", "-")
PROFILE_BUILT_INS = (
    "rows",
    "missing_required_columns",
    "unknown_columns",
    "rows_set_aside",
    "share_set_aside",
    "rows_to_replaced",
    "set_aside_beyond_replaced",
    "same_as_another_period",
)
MISSING = "missing_"
Owner = Literal["sender", "data_engineer", "walidata"]
# Finer than the standard's dimensions, which have no word for a value that is of the type and yet cannot be.
Category = Literal[
    "completeness", "consistency", "control_total", "disclosure", "drift", "freshness", "linkage", "plausibility",
    "schema", "timeliness", "uniqueness", "validity",
]  # fmt: skip
Protocol = Literal["bps_webapi", "arcgis", "ckan", "splp", "sftp", "by_hand"]
Host = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?$")]


_NUMBERS = (int, float, date)
_KWARGS: dict[str, type | tuple[type, ...]] = {
    "min_value": _NUMBERS,
    "max_value": _NUMBERS,
    "mostly": _NUMBERS,
    "value_set": list,
    "column_list": list,
    "column": str,
    "regex": str,
    "unexpected_rows_query": str,
}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(Strict):
    """The same in Indonesian and English."""

    id: str
    en: str


class FileShape(Strict):
    """One layout a sender uses. ``media`` picks the reader; the rest are its parameters."""

    name: str
    media: Literal["csv", "xlsx", "json_pages", "bps_webapi", "bps_export", "bantenprov"]
    delimiters: tuple[str, ...] = (",",)
    encodings: tuple[str, ...] = ("utf-8-sig",)
    line_breaks: bool = Field(False, description="Cells may hold line breaks; else such a record is refused")
    sheet: str | None = None
    title_rows: int = Field(0, description="Most title rows that may stand above the header row")
    total_words: tuple[str, ...] = Field((), description="A row whose first filled cell is one of these is a total")
    records_path: str | None = Field(None, description="Dotted path to the list of records in a JSON page")
    total_path: str | None = Field(
        None, description="Dotted path to the number of records that all pages hold together"
    )
    fields_path: str | None = Field(None, description="Dotted path inside a record to its fields (ArcGIS: attributes)")


class ServerExtras(Strict):
    protocol: Protocol
    path: str | None = Field(None, description="Path template: {period} {year} {month} {part}")
    hosts: tuple[Host, ...] = Field((), description="Hosts beside the location's that files may come from: host[:port]")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Protocol's own settings")
    secrets: dict[str, str] = Field(default_factory=dict, description="Credential -> its file in the secrets folder")


class MissingLimits(Strict):
    """Shares of a delivery's rows without a value in a column: above ``warn`` it is told, above ``stop`` it is held."""

    warn: float | None = Field(0.5, ge=0, lt=1)
    stop: float | None = Field(None, gt=0, lt=1, description="None: held where not one row has a value")
    may_be_empty: bool = Field(False, description="A delivery may come without any value")
    reason: str
    reason_date: date


class ColumnExtras(Strict):
    label: Words | None = Field(None, description="What texts of rules call it; else its name")
    use: Literal["identity", "linkage", "gate", "mart", "lineage"] | None = None
    identity: Identity | None = Field(None, description="Which identity it is; demanded of a direct_identifier")
    headers: tuple[str, ...] = Field((), description="Further spellings of the agency's header")
    codes: dict[str, tuple[str, ...]] | None = Field(None, description="Accepted code -> spellings that mean it")
    code_system: (
        Literal["kemendagri_code", "bps_code", "kemendagri_code_undotted", "region_code_by_name", "region_name"] | None
    ) = Field(None, description="region_code_by_name: a code of either system, and the name beside it tells of which")
    null_tokens: tuple[str, ...] = Field(NULL_TOKENS, description="Read as missing; else the dataset's")
    unit: str | None = Field(None, description="What a number counts or measures: kg, cm, m2, IDR; demanded of numbers")
    formats: tuple[str, ...] = Field(("%Y-%m-%d",), description="Date formats, tried in order")
    decimal: Literal["point", "comma", "either", "any"] = Field(
        "point", description="Decimal mark; either: of numbers below 1,000; any: where thousands may be grouped too"
    )
    earliest: str | None = Field(None, description="First plausible date: DuckDB, over the delivery's dates")
    latest: str | None = Field(None, description="Last plausible date, the same way; demanded of each date in a file")
    missing: MissingLimits | None = Field(None, description="How much may be missing, where it is not as usual")
    optional: bool = Field(False, description="A file may lack this header; else its absence holds the delivery")
    since: str | None = None
    until: str | None = None
    derivation: str | None = Field(None, description="DuckDB expression over typed columns; the column is in no file")
    lake: bool = Field(True, description="False: needed by the gate alone; in neither lake nor (identifiers) vault")


class RuleExtras(Strict):
    asset: Literal["rows", "profile"] = "rows"
    message_id: str
    message_en: str
    action_id: str
    action_en: str
    owner: Owner
    reason: str | None = Field(None, description="Why this threshold; demanded where kwargs hold a number")
    reason_date: date | None = None


class PartTerms(Strict):
    """What holds of one part alone: its name for people, and its own due day where its publisher has one."""

    label_id: str
    label_en: str
    due_day: int | None = None
    source: str | None = Field(None, description="Where the due day was read, or that it is ours; demanded with one")
    source_date: date | None = None


class ContractExtras(Strict):
    agency_name: str
    agreement_number: str
    agreement_end: date
    legal_basis: str | None = Field(None, description="Article that allows processing; where rows are about persons")
    retention_days: int
    delivery_mode: Literal["snapshot", "events", "vintage"]
    period_kind: PeriodKind
    period_meaning: str
    parts: Literal["all", "puskesmas", "polsek", "branch", "indicator"] = "all"
    due_day: int = Field(description="Days after the period's end at which a part without its own day is due")
    part_terms: dict[str, PartTerms] = Field(default_factory=dict, description="Part -> its label and own due day")
    open_days: int = Field(description="Days after the due day on which a night still asks for it")
    stale_after_days: int
    natural_key: tuple[str, ...] = ()
    may_be_empty: bool = False
    shapes: tuple[FileShape, ...]
    null_tokens: tuple[str, ...] = Field(NULL_TOKENS, description="Of each column that states none itself")
    ignored_headers: dict[str, str] = Field(
        default_factory=dict, description="Header we know and drop -> why; written as why -> headers"
    )
    refused_headers: tuple[str, ...] = Field((), description="Headers whose presence alone holds the delivery")
    profile: dict[str, str] = Field(
        default_factory=dict, description="Measure of a delivery that no rule brings along -> DuckDB aggregate"
    )

    @field_validator("ignored_headers", mode="before")
    @classmethod
    def _by_header(cls, headers_of: dict[str, list[str]]) -> dict[str, str]:
        headers = [header for group in headers_of.values() for header in group]
        if twice := sorted({header for header in headers if headers.count(header) > 1}):
            raise ValueError(f"{twice[0]!r} is dropped twice")
        return {header: why for why, group in headers_of.items() for header in group}


class Rule(Strict):
    """One expectation. ``code`` is stable and unique over all contracts and marts."""

    code: str
    expectation: str
    kwargs: dict[str, Any]
    severity: Severity
    category: Category
    extras: RuleExtras
    place: str = Field("", description="File and line; empty for one that follows from a column", exclude=True)

    @property
    def where(self) -> str:
        """Its code, and where it is to be corrected."""
        return f"{self.code} ({self.place})" if self.place else self.code

    @model_validator(mode="after")
    def _check(self) -> "Rule":
        for name, value in self.kwargs.items():
            kinds = _KWARGS.get(name, object)
            if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is _NUMBERS):
                raise ValueError(f"{name} cannot be {value!r}")
        return self

    @classmethod
    def of(cls, code: str, fields: Mapping[str, Any]) -> "Rule":
        """A rule of what its kind and itself say, all in one mapping."""
        own = {key: value for key, value in fields.items() if key in cls.model_fields}
        rest = {key: value for key, value in fields.items() if key not in own}
        return cls(code=code, **own, extras=RuleExtras(**rest))

    @property
    def column(self) -> str | None:
        return self.kwargs.get("column") or self.kwargs.get("column_A")


class Column(Strict):
    name: str
    header: str | None
    logical_type: LogicalType
    required: bool
    classification: Classification
    description: str
    extras: ColumnExtras

    @property
    def is_identifier(self) -> bool:
        return self.classification == "direct_identifier"

    @property
    def is_derived(self) -> bool:
        return self.extras.derivation is not None

    @property
    def is_whole(self) -> bool:
        """Without a fraction: counts, and rupiah, which have no smaller coin."""
        return self.logical_type == "integer" or self.extras.unit == "IDR"

    @property
    def is_header_needed(self) -> bool:
        """A file without this column is not this dataset's: no version of the layout lacks it."""
        return not (self.is_derived or self.extras.optional or self.extras.since or self.extras.until)

    @property
    def headers(self) -> tuple[str, ...]:
        return ((self.header,) if self.header else ()) + self.extras.headers


class Server(Strict):
    environment: str
    location: str | None
    extras: ServerExtras


class Contract(Strict):
    """A dataset's contract. ``dataset`` is ``agency/name``, for example ``kemenkes/eppgbm``."""

    dataset: str
    title: str
    version: str
    purpose: str
    grain: str
    server: Server
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    extras: ContractExtras
    earlier: tuple["Contract", ...] = Field(
        (), description="Versions that senders' files may still be of, newest first; none of an earlier one"
    )

    def __hash__(self) -> int:
        """Contracts are keys of caches; their dictionaries cannot be hashed."""
        return hash((self.dataset, self.version))

    @property
    def agency(self) -> str:
        return self.dataset.partition("/")[0]

    @property
    def name(self) -> str:
        return self.dataset.partition("/")[2]

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def versions(self) -> tuple["Contract", ...]:
        """Itself and the earlier ones, newest first: a delivery is of the first whose header it has."""
        return (self, *self.earlier)

    def of_version(self, version: str) -> "Contract":
        """The version that a delivery was read as."""
        return next(one for one in self.versions if one.version == version)

    @property
    def sha256(self) -> str:
        """Names what a delivery was judged by: columns, terms, rules with their kinds' words; not earlier versions."""
        said = self.model_dump(mode="json", exclude={"earlier"})
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    @property
    def table(self) -> str:
        """Name of its lake view and staging model's stem: ``kemenkes__eppgbm``."""
        return self.dataset.replace("/", "__")

    @property
    def file_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if not column.is_derived)

    @property
    def lake_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if not column.is_identifier and column.extras.lake)

    @property
    def identity_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.is_identifier and column.extras.lake)

    @property
    def vault_columns(self) -> tuple[Column, ...]:
        """What the vault keeps of a row: its identities, and what else linkage compares."""
        return tuple(
            column
            for column in self.columns
            if column in self.identity_columns
            or (not column.is_identifier and (column.extras.identity or column.extras.use == "linkage"))
        )

    def identities(self, identity: Identity) -> tuple[Column, ...]:
        """The kept columns that are this identity, in the contract's order."""
        return tuple(column for column in self.vault_columns if column.extras.identity == identity)

    def identity(self, identity: Identity) -> Column | None:
        """The kept column that is this identity of the row's person."""
        return next(iter(self.identities(identity)), None)

    @property
    def is_about_persons(self) -> bool:
        return any(column.classification != "public" for column in self.columns)

    @property
    def mart_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.lake_columns if column.extras.use == "mart")

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of a delivery's measures: those of every delivery, completeness of what marts use, the contract's."""
        return (
            *PROFILE_BUILT_INS,
            *(f"{MISSING}{column.name}" for column in self.mart_columns),
            *self.extras.profile,
        )

    @property
    def profile_columns(self) -> set[str]:
        """What a profile rule may name: the delivery's measures, the period before's, and value / previous."""
        measures = set(self.measures)
        return measures | {f"{prefix}_{name}" for prefix in ("previous", "change") for name in measures}

    @property
    def fixed_parts(self) -> tuple[str, ...] | None:
        """The parts this contract itself names; None where a register of senders does."""
        if self.extras.parts == "all":
            return ("all",)
        if self.extras.parts == "indicator":
            return tuple(str(indicator) for indicator in self.server.extras.parameters.get("indicators", ()))
        return None

    def due_day(self, part: str) -> int:
        """Days after a period's end at which ``part`` is due: its own day, else the dataset's."""
        terms = self.extras.part_terms.get(part)
        return self.extras.due_day if terms is None or terms.due_day is None else terms.due_day

    def part_label(self, part: str) -> str:
        """The part as people read it, both languages; its name alone where the contract has no other."""
        terms = self.extras.part_terms.get(part)
        return f"{part} · {terms.label_id} / {terms.label_en}" if terms else part

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @model_validator(mode="after")
    def _check(self) -> "Contract":
        problems = []
        if not re.fullmatch(r"\d+\.\d+\.\d+", self.version):
            problems.append(f"version {self.version!r} is not three numbers")
        names = [column.name for column in self.columns]
        problems += [f"column {name!r} twice" for name in {n for n in names if names.count(n) > 1}]
        for column in self.columns:
            if column.extras.use is None:
                problems.append(f"column {column.name!r} has no use: drop it or state one")
            if column.logical_type == "number" and not column.is_derived and column.extras.unit is None:
                problems.append(f"column {column.name!r} has no unit")
        problems += self._problems_of_identities()
        for key in self.extras.natural_key:
            if key not in names:
                problems.append(f"natural_key names no column: {key!r}{nearest(key, names)}")
        codes = [rule.code for rule in self.rules]
        problems += [f"rule {code!r} twice" for code in {c for c in codes if codes.count(c) > 1}]
        for rule in self.rules:
            usable_names = set(names) | {"source_part", "source_row", "delivery_id"}
            usable_names = usable_names if rule.extras.asset == "rows" else self.profile_columns
            rule_columns = {rule.kwargs.get(k) or "" for k in ("column", "column_A", "column_B")} - {""}
            rule_columns |= set(rule.kwargs.get("column_list", ()))
            asset = rule.extras.asset
            problems += [
                f"rule {rule.code} names no {asset} column {name!r}{nearest(name, usable_names)}"
                for name in sorted(rule_columns - usable_names)
            ]
            has_number = any(isinstance(v, int | float) and not isinstance(v, bool) for v in rule.kwargs.values())
            if has_number and not (rule.extras.reason and rule.extras.reason_date):
                problems.append(f"rule {rule.code} has a threshold without a dated reason")
            if rule.extras.asset == "profile" and rule.severity == "quarantine":
                problems.append(f"rule {rule.code} judges a delivery: severity is stop or warn")
        if self.is_about_persons and not (self.extras.legal_basis or "").strip():
            problems.append("legal_basis is missing, and its rows are about persons")
        problems += self._problems_of_parts()
        problems += [problem for one in self.earlier for problem in self._problems_beside(one)]
        if problems:
            raise ValueError("; ".join(sorted(problems)))
        return self

    def _problems_beside(self, earlier: "Contract") -> list[str]:
        """All versions are one table: what an earlier one keeps stands in the newest, under the same name and type."""
        problems = []
        if earlier.dataset != self.dataset:
            problems.append(f"version {earlier.version} is of {earlier.dataset}")
        if earlier.major >= self.major:
            problems.append(f"version {earlier.version} is not earlier than {self.version}")
        problems += [
            f"version {earlier.version} has another {name}"
            for name in ("delivery_mode", "period_kind", "parts", "retention_days")
            if getattr(earlier.extras, name) != getattr(self.extras, name)
        ]
        own = {column.name: column for column in self.columns}
        for column in (one for one in earlier.columns if one.extras.lake):
            same = own.get(column.name)
            if same is None or not same.extras.lake:
                problems.append(f"column {column.name!r} of version {earlier.version} is no longer kept")
            elif (same.logical_type, same.classification) != (column.logical_type, column.classification):
                problems.append(
                    f"column {column.name!r} has another type or classification in version {earlier.version}"
                )
        return problems

    def _problems_of_identities(self) -> list[str]:
        problems = []
        for column in self.columns:
            identity = column.extras.identity
            if column.is_identifier and (identity is None or identity in _BESIDE):
                problems.append(f"column {column.name!r} is a direct_identifier and does not say which: identity")
            elif identity and identity not in _BESIDE and not column.is_identifier:
                problems.append(f"column {column.name!r} is a {identity}: its classification is direct_identifier")
            elif identity and column.is_derived and identity != "row_key":
                problems.append(f"column {column.name!r} is derived: an identity is what was sent")
            elif identity and column.logical_type != ("date" if identity == "birth_date" else "string"):
                problems.append(f"column {column.name!r} is a {identity} and no {column.logical_type}")
        return problems + [
            f"more than one column is the {identity}" for identity in _ONE_A_ROW if len(self.identities(identity)) > 1
        ]

    def _problems_of_parts(self) -> list[str]:
        problems = []
        days = {"due_day": self.extras.due_day}
        for part, terms in self.extras.part_terms.items():
            if self.fixed_parts is not None and part not in self.fixed_parts:
                problems.append(f"part_terms names no part: {part!r}; parts are {', '.join(self.fixed_parts)}")
            if terms.due_day is None:
                continue
            days[f"due_day of part {part!r}"] = terms.due_day
            if not (terms.source and terms.source_date):
                problems.append(f"due_day of part {part!r} has no dated source")
        first, last = -LONGEST_DAYS[self.extras.period_kind], self.extras.stale_after_days
        for name, day in days.items():
            if not first <= day <= last:
                problems.append(f"{name} is {day}: allowed are {first} (the period's start) to {last} (stale)")
        return problems
