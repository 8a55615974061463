"""Reads ``*.odcs.yaml`` and refuses what is misspelt, with the file, the line and the key named."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from open_data_contract_standard.model import CustomProperty, DataQuality, OpenDataContractStandard, SchemaProperty
from open_data_contract_standard.model import Server as ODCSServer
from pydantic import ValidationError

from warehouse.core.contract import documents, protocols
from warehouse.core.contract.kinds import OF_A_CONTRACT, Kinds, load_kinds
from warehouse.core.contract.kinds import resolve as resolve_kind
from warehouse.core.contract.model import (
    Column,
    ColumnExtras,
    Contract,
    ContractExtras,
    Rule,
    Server,
    ServerExtras,
    Strict,
)
from warehouse.core.errors import ConfigError

# The name under which a contract's rules are ours; tools of others pass them over.
ENGINE = "gate"
T = TypeVar("T", bound=Strict)


def _invalid(path: Path, detail: str) -> ConfigError:
    return ConfigError(
        "CONTRACT_INVALID",
        f"Kontrak {path.name} tidak sah: {detail}",
        f"Contract {path.name} is not valid: {detail}",
        "Perbaiki berkas kontrak itu; tidak ada data yang dibaca.",
        "Correct that contract file; no data were read.",
    )


def _dropped_keys(document: Any, model: Any, where: str = "") -> list[str]:
    """Keys of ``document`` that the ODCS models did not keep: below the root they vanish without a word."""
    if isinstance(document, dict) and isinstance(model, dict):
        keys = [f"{where}{key}" for key in document if key not in model]
        common_keys = [key for key in document if key in model]
        return keys + [p for key in common_keys for p in _dropped_keys(document[key], model[key], f"{where}{key}.")]
    if isinstance(document, list) and isinstance(model, list):
        pairs = enumerate(zip(document, model, strict=True))
        return [p for i, (g, k) in pairs for p in _dropped_keys(g, k, f"{where}{i}.")]
    return []


def _extras(items: Sequence[CustomProperty] | None) -> dict[str, Any]:
    return {item.property or "": item.value for item in items or ()}


def _typed(kind: type[T], items: Sequence[CustomProperty] | None) -> T:
    """Our own properties of a contract or server; raises ValueError naming the property."""
    try:
        return kind(**_extras(items))
    except ValidationError as error:
        raise ValueError(documents.explained(error, kind.model_fields, "property ")) from None


def load_contract(path: Path, kinds: Kinds) -> Contract:
    """Read one ``*.odcs.yaml``; raises ConfigError CONTRACT_INVALID naming the file, the line and the fault."""
    lines: dict[str, int] = {}
    try:
        document, lines = documents.read(path)
        odcs = OpenDataContractStandard.model_validate(document)
        if dropped_keys := _dropped_keys(document, odcs.model_dump(by_alias=True, exclude_none=True)):
            raise ValueError("keys ODCS does not know: " + ", ".join(dropped_keys))
        if absent := [name for name in ("id", "name", "version") if not getattr(odcs, name)]:
            raise ValueError(f"it has no {absent[0]}")
        (schema,) = odcs.schema_ or []
        (server,) = odcs.servers or []
        extras = _typed(ContractExtras, odcs.customProperties)
        columns = tuple(_column(prop, extras) for prop in schema.properties or ())
        rules, measures = _rules(schema.quality or (), kinds, columns, extras.profile)
        rules = tuple(rule.model_copy(update={"place": documents.place(path, lines, rule.code)}) for rule in rules)
        _demand_ranges_of_dates(columns)
        return Contract(
            dataset=odcs.id,
            title=odcs.name,
            version=odcs.version,
            purpose=odcs.description.purpose if odcs.description else None,
            grain=schema.dataGranularityDescription,
            server=_server(server),
            columns=columns,
            rules=rules,
            extras=extras.model_copy(update={"profile": measures}),
        )
    except (ValidationError, yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _invalid(path, documents.located(documents.explained(error), lines)) from error


def _server(odcs_server: ODCSServer) -> Server:
    """Where and how to ask; raises ValueError for credentials or parameters that its protocol lacks or refuses."""
    extras = _typed(ServerExtras, odcs_server.customProperties)
    server = Server(
        environment=odcs_server.environment, location=odcs_server.location or odcs_server.host, extras=extras
    )
    protocols.confirm(server)
    return server


def _column(prop: SchemaProperty, of_contract: ContractExtras) -> Column:
    try:
        extras = ColumnExtras(**{"null_tokens": of_contract.null_tokens} | _extras(prop.customProperties))
        return Column(
            name=prop.name,
            header=prop.physicalName or (None if extras.derivation else prop.name),
            logical_type=prop.logicalType,
            required=bool(prop.required),
            classification=prop.classification,
            description=prop.description,
            extras=extras,
        )
    except ValidationError as error:
        detail = documents.explained(error, ColumnExtras.model_fields)
        raise ValueError(f"column {prop.name!r}: {detail}") from None


def _demand_ranges_of_dates(columns: Sequence[Column]) -> None:
    """A date that a sender writes has a plausible range both ways, or a slip of the year would pass."""
    for column in columns:
        is_ranged = column.extras.earliest is not None and column.extras.latest is not None
        if column.logical_type == "date" and not column.is_derived and not is_ranged:
            raise ValueError(f"column {column.name!r} is a date: say its earliest and latest")


def _rules(
    quality: Sequence[DataQuality], kinds: Kinds, columns: Sequence[Column], profile: Mapping[str, str]
) -> tuple[tuple[Rule, ...], dict[str, str]]:
    """The rules, and the profile's measures with those that the rules bring along."""
    labels = {column.name: column.extras.label for column in columns if column.extras.label}
    rules, measures = [], dict(profile)
    for entry in quality:
        try:
            if entry.engine != ENGINE or not isinstance(entry.implementation, dict):
                raise ValueError(f"its engine is {ENGINE!r} and its implementation names a kind and its arguments")
            if not entry.name or "kind" not in entry.implementation:
                raise ValueError("it has no name or names no kind")
            fields = resolve_kind(kinds, entry.implementation, OF_A_CONTRACT, labels, measures)
            for name, measure in fields.pop("measures").items():
                if measures.setdefault(name, measure) != measure:
                    raise ValueError(f"the measure {name!r} is already another")
            rules.append(Rule.of(entry.name, fields))
        except ValueError as error:
            raise ValueError(f"rule {entry.name}: {documents.explained(error)}") from None
    return tuple(rules), measures


@lru_cache
def load_contracts(folder: Path) -> dict[str, Contract]:
    """All contracts under ``folder`` by dataset name, sorted; refuses two that share a rule code.

    Raises ConfigError CONTRACT_INVALID, which tells of every file at fault.
    """
    kinds = load_kinds(folder.parent / "rules.yaml")
    contracts: dict[str, Contract] = {}
    path_of: dict[str, str] = {}
    errors = []
    for path in sorted(folder.glob("*/*.odcs.yaml")):
        try:
            contract = _one_of_many(path, kinds, path_of)
            contracts[contract.dataset] = contract
        except ConfigError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        message_id = " ".join(error.message_id for error in errors)
        message_en = " ".join(error.message_en for error in errors)
        raise ConfigError("CONTRACT_INVALID", message_id, message_en, errors[0].action_id, errors[0].action_en)
    return contracts


def _one_of_many(path: Path, kinds: Kinds, path_of: dict[str, str]) -> Contract:
    """A contract in its place, whose rule codes are nobody else's; ``path_of`` says whose each code is."""
    contract = with_earlier(path, load_contract(path, kinds), kinds)
    if contract.dataset != f"{path.parent.name}/{path.name.removesuffix('.odcs.yaml')}":
        raise _invalid(path, f"id {contract.dataset!r} does not match its place")
    for rule in (rule for version in contract.versions for rule in version.rules):
        if (other := path_of.setdefault(rule.code, contract.dataset)) != contract.dataset:
            raise _invalid(path, f"rule code {rule.code} is already used by {other}")
    return contract


def place_of(folder: Path, contract: Contract, *names: str) -> str:
    """File and line of the first of these that the contract's file names, for whoever has to correct it."""
    path = folder / f"{contract.dataset}.odcs.yaml"
    if contract.major != load_contracts(folder)[contract.dataset].major:
        path = folder / contract.dataset / f"v{contract.major}.odcs.yaml"
    _given, lines = documents.read(path)
    return documents.place(path, lines, next((name for name in names if name in lines), None))


def with_earlier(path: Path, contract: Contract, kinds: Kinds) -> Contract:
    """The contract with its earlier major versions, ``<dataset>/v1.odcs.yaml`` beside it; raises CONTRACT_INVALID."""
    earlier = []
    for old in sorted(path.parent.glob(f"{path.name.removesuffix('.odcs.yaml')}/*.odcs.yaml")):
        version = load_contract(old, kinds)
        if old.name != f"v{version.major}.odcs.yaml":
            raise _invalid(old, f"version {version.version} does not match its name")
        earlier.append(version)
    if not earlier:
        return contract
    newest_first = tuple(sorted(earlier, key=lambda one: one.major, reverse=True))
    try:
        return Contract.model_validate(dict(contract) | {"earlier": newest_first})
    except ValidationError as error:
        raise _invalid(path, documents.explained(error)) from error


def get_contract(folder: Path, dataset: str) -> Contract:
    """One contract by name; an unknown name raises ConfigError that lists the known ones."""
    return contract_named(load_contracts(folder), dataset)


def contract_named(contracts: Mapping[str, Contract], dataset: str) -> Contract:
    """One of loaded contracts; raises ConfigError DATASET_UNKNOWN that lists the known ones."""
    if dataset not in contracts:
        names = ", ".join(contracts)
        raise ConfigError(
            "DATASET_UNKNOWN",
            f"Dataset {dataset!r} tidak dikenal.",
            f"Dataset {dataset!r} is not known.",
            f"Pilih salah satu: {names}.",
            f"Choose one of: {names}.",
        )
    return contracts[dataset]
