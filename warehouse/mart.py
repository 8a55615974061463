"""What dbt knows of the relations a release is made of, as typed objects: the only reader of dbt's manifest.

A mart column is defined once, in the YAML beside its model; names, types, descriptions and roles are read from there.
Not here: data, hiding small cells (disclosure), writing files (release).

What a model's YAML may say under ``config.meta``, all optional:

    columns:
      - name: desil
        config: {meta: {role: key, total: all}}        this value is the sum of the column's other values
      - name: stunted_child
        config: {meta: {role: key, asked: "yes"}}      the answer readers ask for: hidden last
      - name: area_basis
        config: {meta: {role: key, together: true}}    values count nearly the same people: hidden for one and all
      - name: haz
        config: {meta: {micro: true}}                  the column may go to the pseudonymised file
      - name: age_months
        config: {meta: {micro: true, quasi_identifier: age_months}}     there it is coarsened where few share it

What is a quasi-identifier is judged in that YAML and nowhere else: what an acquaintance or another register would know
of a person (place, age, sex, size of the household, month of registration), not what analysts open the file for.

And for a whole model ``config: {meta: {restricted: true}}``: it goes to the restricted file, never to the marts' own.

Roles: key | count | rate | bound | suppression | date | attribute. A column without one gets it from its name where the
one shape of marts fixes it, else from its type; text without a role is an attribute, so a mart's own keys state theirs.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from warehouse.errors import ReleaseError

Role = Literal["key", "count", "rate", "bound", "suppression", "date", "attribute"]
QuasiKind = Literal["area", "sex", "age_months", "age_years", "household_size", "month"]
# Kinds that have a second column in the pseudonymised file, with a band instead of the value.
BANDED: dict[str, str] = {
    "age_months": (
        "Umur bulan menurut setengah tahun kelahiran, atau dua tahun pada langkah 5; tepi dapat meleset sebulan. Age in"
        " months by half-year of birth, by two years on step 5; edges may be off by a month."
    ),
    "age_years": (
        "Umur tahun menurut lima tahun kelahiran, atau dua puluh pada langkah 5; tepi dapat meleset setahun. Age in"
        " years by five years of birth, by twenty on step 5; edges may be off by a year."
    ),
}
STEP_COLUMN = "coarsening_step"
_STEP_DESCRIPTION = (
    "Seberapa kasar baris ini: 0 tidak; 1 tanpa jumlah anggota dan bulan pendaftaran; 2 kecamatan; 3 rentang umur; 4"
    " kota; 5 rentang umur lebar; 6 tanpa kuasi-identitas. How coarse the row is: 0 not at all; 1 without household"
    " size and month of registration; 2 kecamatan; 3 bands of age; 4 kota; 5 wide bands; 6 no quasi-identifier."
)

FAMILIES = "disclosure_families"
SUMS = "disclosure_sums"
DIMENSIONS = ("dim_measure", "dim_region", "dim_period")

# The one shape of an area mart. What the YAML says wins.
_SHAPE: dict[str, Role] = {
    "area_level": "key",
    "kemendagri_code": "key",
    "period_kind": "key",
    "period_start": "key",
    "measure": "key",
    "bps_code": "attribute",
    "area_name": "attribute",
    "numerator": "count",
    "denominator": "count",
    "denominator_source": "attribute",
    "percentage": "rate",
    "statistic": "rate",
    "unit": "attribute",
    "numerator_low": "bound",
    "numerator_high": "bound",
    "percentage_low": "bound",
    "percentage_high": "bound",
    "ci95_low": "bound",
    "ci95_high": "bound",
    "unknown_count": "count",
    "suppression_reason": "suppression",
    # Worked out from the counts, so that it bounds them.
    "is_reliable": "bound",
    "is_outside": "bound",
    "as_of": "date",
    "parts_received": "count",
    "parts_expected": "count",
    "release_id": "attribute",
}
_NUMERIC = {"bigint", "double"}
_KINDS = {"string": "varchar", "text": "varchar", "int": "bigint", "integer": "bigint", "float": "double"}
_ROLES_OF_KINDS: dict[str, Role] = {"double": "rate", "bigint": "count", "date": "date"}


@dataclass(frozen=True)
class MartColumn:
    """One column as its model's YAML declares it."""

    name: str
    kind: str
    role: Role
    description: str
    total: str | None = None
    asked: tuple[str, ...] = ()
    is_together: bool = False
    quasi_identifier: QuasiKind | None = None

    @property
    def is_hidden_with_cell(self) -> bool:
        """Whether it is NULL in a hidden row: every number that is no key, and what bounds one."""
        return self.role in {"count", "rate", "bound"} or (self.role != "key" and self.kind in _NUMERIC)


@dataclass(frozen=True)
class Mart:
    """A table of the build file. ``relation`` is its quoted schema and name there."""

    name: str
    relation: str
    description: str
    columns: tuple[MartColumn, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.role == "key")

    @property
    def is_long(self) -> bool:
        """Whether a row is one measure: then numerator and denominator decide whether it is hidden."""
        return {"measure", "numerator"} <= {column.name for column in self.columns}

    def ddl(self, table: str) -> str:
        columns = ", ".join(f'"{column.name}" {column.kind}' for column in self.columns)
        return f"CREATE TABLE {table} ({columns})"

    def comments(self, table: str) -> Iterable[str]:
        """Statements that write the descriptions into the file."""
        return comments(table, self.description, {column.name: column.description for column in self.columns})


@dataclass(frozen=True)
class Dimension:
    """A reference table, released whole: it holds no count and nobody's data."""

    name: str
    relation: str
    description: str
    columns: dict[str, str]


@dataclass(frozen=True)
class Query:
    """A model as compiled SQL over ``relations`` (relation as the SQL names it -> model or source name)."""

    name: str
    description: str
    sql: str
    relations: dict[str, str]


@dataclass(frozen=True)
class Catalogue:
    """What dbt's manifest says of everything that may leave the build file.

    ``families`` is the relation that says which measures are hidden together, ``sums`` which add up to another.
    """

    marts: tuple[Mart, ...]
    wide: tuple[Query, ...]
    dimensions: tuple[Dimension, ...]
    micro: tuple[Mart, ...]
    restricted: tuple[Mart, ...]
    families: str | None
    sums: str | None
    ops: tuple[tuple[Mart, Query], ...]


def comments(table: str, description: str, columns: dict[str, str]) -> Iterable[str]:
    """Statements that describe a table and its columns."""
    yield f"COMMENT ON TABLE {table} IS {literal(description)}"
    for name, text in columns.items():
        yield f'COMMENT ON COLUMN {table}."{name}" IS {literal(text)}'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def manifest_path(home: Path) -> Path:
    """dbt's manifest of the build at hand. Its own in ``dbt/target`` is half made while dbt runs or after a kill."""
    return home / "build" / "manifest.json"


def read_catalogue(manifest: Path) -> Catalogue:
    """Read dbt's manifest; raises ReleaseError when there is none or a mart declares no columns."""
    try:
        nodes = json.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReleaseError(
            "RELEASE_NO_MANIFEST",
            "Manifes dbt tidak ada: belum ada pembangunan yang selesai.",
            "dbt's manifest is missing: no build has finished yet.",
            "Jalankan `warehouse build`.",
            "Run `warehouse build`.",
        ) from None
    known = nodes["nodes"] | nodes.get("sources", {})
    models = sorted(
        (node for node in nodes["nodes"].values() if node["resource_type"] == "model"), key=lambda node: node["name"]
    )
    marts = [node for node in models if node["schema"] == "marts"]
    tables = [node for node in marts if node["config"]["materialized"] != "view"]
    facts = [node for node in models if node["schema"] == "conformed"]
    return Catalogue(
        marts=tuple(_mart(node) for node in tables if not _is_ops(node) and not _is_restricted(node)),
        wide=tuple(_query(node, known) for node in marts if node["config"]["materialized"] == "view"),
        dimensions=tuple(_dimension(node) for node in models if node["name"] in DIMENSIONS),
        micro=tuple(_micro(node) for node in facts if any(_meta(c).get("micro") for c in node["columns"].values())),
        families=next((_relation(node) for node in nodes["nodes"].values() if node["name"] == FAMILIES), None),
        sums=next((_relation(node) for node in nodes["nodes"].values() if node["name"] == SUMS), None),
        restricted=tuple(_mart(node) for node in tables if _is_restricted(node)),
        ops=tuple((_mart(node), _query(node, known)) for node in tables if _is_ops(node)),
    )


def _is_ops(node: dict[str, Any]) -> bool:
    return node["name"].startswith("ops_")


def _is_restricted(node: dict[str, Any]) -> bool:
    """Declared so, or by posyandu: too few people stand behind one for any analyst's file."""
    return bool(_meta(node).get("restricted")) or any(name.startswith("posyandu") for name in node["columns"])


def _meta(described: dict[str, Any]) -> dict[str, Any]:
    return (described.get("config") or {}).get("meta") or described.get("meta") or {}


def _role(column: dict[str, Any], kind: str) -> Role:
    name = column["name"]
    role = _meta(column).get("role") or _SHAPE.get(name) or _ROLES_OF_KINDS.get(kind, "attribute")
    if role not in get_args(Role):
        raise ReleaseError(
            "MART_ROLE_UNKNOWN",
            f"Kolom {name} memakai peran {role!r} yang tidak dikenal.",
            f"Column {name} has the unknown role {role!r}.",
            f"Pakai salah satu: {', '.join(get_args(Role))}.",
            f"Use one of: {', '.join(get_args(Role))}.",
        )
    return role


def _quasi_identifier(name: str, meta: dict[str, Any]) -> QuasiKind | None:
    kind = meta.get("quasi_identifier")
    if kind is not None and kind not in get_args(QuasiKind):
        raise ReleaseError(
            "MART_QUASI_UNKNOWN",
            f"Kolom {name} memakai jenis kuasi-identitas {kind!r} yang tidak dikenal.",
            f"Column {name} has the unknown kind of quasi-identifier {kind!r}.",
            f"Pakai salah satu: {', '.join(get_args(QuasiKind))}.",
            f"Use one of: {', '.join(get_args(QuasiKind))}.",
        )
    return kind


def band_name(column: str) -> str:
    """The column of the pseudonymised file that holds the bands of another."""
    return f"{column}_band"


def _column(column: dict[str, Any]) -> MartColumn:
    meta = _meta(column)
    given = (column.get("data_type") or "").lower()
    kind = _KINDS.get(given, given)
    return MartColumn(
        name=column["name"],
        kind=kind,
        role=_role(column, kind),
        description=(column.get("description") or "").strip(),
        total=meta.get("total"),
        asked=_listed(meta.get("asked", [])),
        is_together=bool(meta.get("together")),
        quasi_identifier=_quasi_identifier(column["name"], meta),
    )


def _listed(given: str | list[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _mart(node: dict[str, Any]) -> Mart:
    columns = tuple(_column(column) for column in node["columns"].values())
    if not columns or any(not column.kind for column in columns):
        raise ReleaseError(
            "MART_WITHOUT_CONTRACT",
            f"Model {node['name']} tidak menyatakan kolom dan tipenya.",
            f"Model {node['name']} does not declare its columns and their types.",
            "Tulis kontraknya dalam YAML di samping model itu.",
            "Write its contract in the YAML beside the model.",
        )
    return Mart(node["name"], _relation(node), (node.get("description") or "").strip(), columns)


def _relation(node: dict[str, Any]) -> str:
    return f'"{node["schema"]}"."{node.get("alias") or node["name"]}"'


def _dimension(node: dict[str, Any]) -> Dimension:
    described = {name: (column.get("description") or "").strip() for name, column in node["columns"].items()}
    return Dimension(node["name"], _relation(node), (node.get("description") or "").strip(), described)


def _micro(node: dict[str, Any]) -> Mart:
    """The flagged columns only, and how coarse they are shown: the rest of the fact never leaves the build file."""
    flagged = {name: column for name, column in node["columns"].items() if _meta(column).get("micro")}
    mart = _mart(node | {"columns": flagged})
    columns: list[MartColumn] = []
    for column in mart.columns:
        columns.append(column)
        if column.quasi_identifier in BANDED:
            text = BANDED[column.quasi_identifier]
            columns.append(MartColumn(band_name(column.name), "varchar", "attribute", text))
    if any(column.quasi_identifier for column in columns):
        columns.append(MartColumn(STEP_COLUMN, "bigint", "attribute", _STEP_DESCRIPTION))
    return replace(mart, columns=tuple(columns))


def _query(node: dict[str, Any], known: dict[str, Any]) -> Query:
    upstream = [known[name] for name in node["depends_on"]["nodes"]]
    return Query(
        name=node["name"],
        description=(node.get("description") or "").strip(),
        sql=(node.get("compiled_code") or "").strip(),
        relations={relation["relation_name"]: relation["name"] for relation in upstream},
    )
