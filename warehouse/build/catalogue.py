"""What dbt knows of the relations a release is made of, as typed objects: the only reader of dbt's manifest.

A mart column is defined once, in the YAML beside its model; names, types, descriptions and roles are read from there.
Not here: data, rounding small counts (disclosure), writing files (release).

What a model's YAML may say under ``config.meta``, all optional:

    columns:
      - name: desil
        config: {meta: {role: key}}
      - name: haz
        config: {meta: {micro: true, class_width: 0.5}}     the column may go to the pseudonymised file, in classes
      - name: age_months
        config: {meta: {micro: true, quasi_identifier: age_months}}     there it is coarsened where few share it

What is a quasi-identifier is judged in that YAML and nowhere else: what an acquaintance or another register would know
of a person (place, age, sex, size of the household, month of registration), not what analysts open the file for.

And for a whole model ``config: {meta: {restricted: true}}``: it goes to the restricted file, never to the marts' own.

A cells model says what each of its counts (``role: count``) is: a root where it says nothing, else

      - name: stunted
        config: {meta: {role: count, part_of: haz_valid}}     with ``split: name`` disjoint from others of that name
      - name: families
        config: {meta: {role: count, same_as: cells_families.families, same_as_period: registry_period}}

A model's ``sums: {name: [column, ...]}`` are columns that are added up in print: where the name is a column too, it is
their sum; the error of every sum is kept small.

Key columns whose values are never added up (two rankings of the same families) say ``apart: true``: sums over the
others are kept near the truth.

``same_as`` sums the other table over the keys this one lacks; ``same_as_period`` names the column that holds the
other's period, ``same_as_where: {desil: ["01"]}`` the rows that count, ``same_as_map: {desil_class: {"02_04": ["02",
"03", "04"]}}`` what values of the one key without a namesake mean here. A table without ``period_kind`` states its
kind under the model's ``config.meta``.

Roles: key | count | rate | bound | date | attribute. A column without one gets it from its name where the
one shape of marts fixes it, else from its type; text without a role is an attribute, so a mart's own keys state theirs.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from warehouse.core.errors import ReleaseError

Role = Literal["key", "count", "rate", "bound", "date", "attribute"]
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
    " kota; 5 rentang umur lebar; 6 tanpa kuasi-identitas dan tanpa kunci keluarga pada baris orang. How coarse the row"
    " is: 0 not at all; 1 without household size and month of registration; 2 kecamatan; 3 bands of age; 4 kota; 5 wide"
    " bands; 6 no quasi-identifier, and no family key on rows about persons."
)

CELLS_SCHEMA = "cells"
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
    "is_rounded": "attribute",
    # Worked out from the counts, so that it bounds them.
    "is_reliable": "bound",
    "is_outside": "bound",
    "as_of": "date",
    "parts_received": "count",
    "parts_expected": "count",
    "release_id": "attribute",
}
_KINDS = {"string": "varchar", "text": "varchar", "int": "bigint", "integer": "bigint", "float": "double"}
_ROLES_OF_KINDS: dict[str, Role] = {"double": "rate", "bigint": "count", "date": "date"}


@dataclass(frozen=True)
class MartColumn:
    """One column as its model's YAML declares it."""

    name: str
    kind: str
    role: Role
    description: str
    quasi_identifier: QuasiKind | None = None
    class_width: float | None = None


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
        """Whether a row is one measure."""
        return {"measure", "numerator"} <= {column.name for column in self.columns}

    def ddl(self, table: str) -> str:
        columns = ", ".join(f'"{column.name}" {column.kind}' for column in self.columns)
        return f"CREATE TABLE {table} ({columns})"

    def comments(self, table: str) -> Iterable[str]:
        """Statements that write the descriptions into the file."""
        return comments(table, self.description, {column.name: column.description for column in self.columns})


@dataclass(frozen=True)
class CellColumn:
    """A count of a table of cells. ``shared``: keys of the table it is taken from -> columns of this one."""

    name: str
    part_of: str | None = None
    split: str | None = None
    same_as: tuple[str, str] | None = None
    shared: Mapping[str, str] = field(default_factory=dict)
    same_as_where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    same_as_map: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Cells:
    """A table of counts at the finest grain that is published. ``others``: its columns that are no counts."""

    name: str
    relation: str
    keys: tuple[str, ...]
    others: tuple[str, ...]
    counts: tuple[CellColumn, ...]
    apart: tuple[str, ...]
    sums: Mapping[str, Sequence[str]]
    period_kind: str | None

    @property
    def place(self) -> str | None:
        return next((name for name in ("kemendagri_code", "puskesmas", "posyandu_key") if name in self.keys), None)

    @property
    def taken_from(self) -> set[str]:
        return {column.same_as[0] for column in self.counts if column.same_as}

    def kind_of(self, alias: str = "") -> str:
        """SQL of a row's kind of period."""
        if self.period_kind:
            return literal(self.period_kind)
        return f"{alias}.period_kind" if alias else "period_kind"

    def splits(self) -> list[tuple[str, list[str]]]:
        """(count, its disjoint parts), parents before their parts' own."""
        groups: dict[tuple[str, str], list[str]] = {}
        for column in self.counts:
            if column.part_of:
                groups.setdefault((column.part_of, column.split or column.name), []).append(column.name)
        made_of = {column.name: [column.part_of] if column.part_of else [] for column in self.counts} | dict(self.sums)

        def depth(name: str) -> int:
            return max((1 + depth(other) for other in made_of[name]), default=0)

        return sorted(((parent, parts) for (parent, _), parts in groups.items()), key=lambda split: depth(split[0]))


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

    ``cells`` are the tables small counts are rounded in, ``downstream`` every model that stands on them, each after
    those it reads: a release makes them again from the rounded counts.
    """

    marts: tuple[Mart, ...]
    wide: tuple[Query, ...]
    dimensions: tuple[Dimension, ...]
    micro: tuple[Mart, ...]
    restricted: tuple[Mart, ...]
    cells: tuple[Cells, ...]
    downstream: tuple[Query, ...]
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
    all_nodes = nodes["nodes"] | nodes.get("sources", {})
    models = sorted(
        (node for node in nodes["nodes"].values() if node["resource_type"] == "model"), key=lambda node: node["name"]
    )
    marts = [node for node in models if node["schema"] == "marts"]
    tables = [node for node in marts if node["config"]["materialized"] != "view"]
    facts = [node for node in models if node["schema"] == "conformed"]
    return Catalogue(
        marts=tuple(_mart(node) for node in tables if not _is_ops(node) and not _is_restricted(node)),
        wide=tuple(_query(node, all_nodes) for node in marts if node["config"]["materialized"] == "view"),
        dimensions=tuple(_dimension(node) for node in models if node["name"] in DIMENSIONS),
        micro=tuple(_micro(node) for node in facts if any(_meta(c).get("micro") for c in node["columns"].values())),
        cells=_all_cells([node for node in models if node["schema"] == CELLS_SCHEMA]),
        downstream=tuple(_query(node, all_nodes) for node in _downstream(nodes["nodes"])),
        restricted=tuple(_mart(node) for node in tables if _is_restricted(node)),
        ops=tuple((_mart(node), _query(node, all_nodes)) for node in tables if _is_ops(node)),
    )


def _all_cells(nodes: Sequence[dict[str, Any]]) -> tuple[Cells, ...]:
    keys = {node["name"]: _cell_keys(node) for node in nodes}
    return tuple(_cells(node, keys) for node in nodes)


def _cell_keys(node: dict[str, Any]) -> tuple[str, ...]:
    """What identifies a row: its columns that are text or a date, but for periods of other tables."""
    metas = {name: _meta(column) for name, column in node["columns"].items()}
    borrowed = {meta.get("same_as_period") for meta in metas.values()}
    return tuple(
        name
        for name, column in node["columns"].items()
        if metas[name].get("role", "key") == "key" and column["data_type"] != "double" and name not in borrowed
    )


def _cells(node: dict[str, Any], keys_of: Mapping[str, tuple[str, ...]]) -> Cells:
    counts, name = [], node["name"]
    metas = {column: _meta(described) for column, described in node["columns"].items()}
    for column, meta in metas.items():
        if meta.get("role") != "count":
            continue
        parent, source = meta.get("part_of"), meta.get("same_as")
        table, _, other = (source or "").partition(".")
        is_there = metas.get(parent, {}).get("role") == "count" if parent else not source or table in keys_of
        if not is_there or (parent and source):
            raise _undeclared(name, column, f"{parent} {source}")
        shared_keys = {key: key for key in keys_of.get(table, ()) if key in node["columns"]}
        if meta.get("same_as_period"):
            shared_keys["period_start"] = meta["same_as_period"]
        key_map = {}
        for own, values in meta.get("same_as_map", {}).items():
            (key,) = set(keys_of[table]) - set(shared_keys)
            shared_keys[key], key_map[key] = own, values
        counts.append(
            CellColumn(
                column,
                part_of=parent,
                split=meta.get("split"),
                same_as=(table, other) if source else None,
                shared=shared_keys,
                same_as_where=meta.get("same_as_where", {}),
                same_as_map=key_map,
            )
        )
    others = tuple(column for column, meta in metas.items() if meta.get("role") != "count")
    if "period_start" not in others or not ("period_kind" in others or _meta(node).get("period_kind")):
        raise ReleaseError(
            "CELLS_WITHOUT_PERIOD",
            f"{name} tidak menyatakan periodenya.",
            f"{name} does not state its period.",
            f"Beri kolom period_start, dan period_kind sebagai kolom atau meta, dalam models/cells/_{name}.yml.",
            f"Give it period_start, and period_kind as a column or meta, in models/cells/_{name}.yml.",
        )
    apart, sums = tuple(column for column, meta in metas.items() if meta.get("apart")), _meta(node).get("sums", {})
    unknown = {column for columns in sums.values() for column in columns} - {column.name for column in counts}
    if unknown:
        raise _undeclared(name, "sums", ", ".join(sorted(unknown)))
    period_kind = _meta(node).get("period_kind")
    return Cells(name, _relation(node), keys_of[name], others, tuple(counts), apart, sums, period_kind)


def _undeclared(cells: str, column: str, names: str) -> ReleaseError:
    return ReleaseError(
        "CELLS_UNDECLARED",
        f"{cells}.{column} menunjuk cacah yang tidak ada, atau dua sekaligus: {names}",
        f"{cells}.{column} refers to a count that is not there, or to two at once: {names}",
        f"Perbaiki dbt_project/models/cells/_{cells}.yml.",
        f"Mend dbt_project/models/cells/_{cells}.yml.",
    )


def _downstream(nodes: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Models that stand on cells, each after those it reads; views are made again where they are written."""
    order: dict[str, bool] = {}

    def stands(node_id: str) -> bool:
        node = nodes.get(node_id)
        if node is None or node["resource_type"] != "model":
            return False
        if node_id not in order:
            upstream = [stands(other) for other in node["depends_on"]["nodes"]]
            order[node_id] = any(upstream) or node["schema"] == CELLS_SCHEMA
        return order[node_id]

    for node_id in sorted(nodes):
        stands(node_id)
    return [
        nodes[node_id]
        for node_id, stands_on_cells in order.items()
        if stands_on_cells
        and nodes[node_id]["schema"] != CELLS_SCHEMA
        and nodes[node_id]["config"]["materialized"] != "view"
    ]


def _is_ops(node: dict[str, Any]) -> bool:
    return str(node["name"]).startswith("ops_")


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
    data_type = (column.get("data_type") or "").lower()
    kind = _KINDS.get(data_type, data_type)
    return MartColumn(
        name=column["name"],
        kind=kind,
        role=_role(column, kind),
        description=(column.get("description") or "").strip(),
        quasi_identifier=_quasi_identifier(column["name"], meta),
        class_width=meta.get("class_width"),
    )


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


def _query(node: dict[str, Any], all_nodes: dict[str, Any]) -> Query:
    upstream = [all_nodes[name] for name in node["depends_on"]["nodes"]]
    return Query(
        name=node["name"],
        description=(node.get("description") or "").strip(),
        sql=(node.get("compiled_code") or "").strip(),
        relations={relation["relation_name"]: relation["name"] for relation in upstream},
    )
