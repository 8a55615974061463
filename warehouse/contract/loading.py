"""Reads ``*.odcs.yaml`` and refuses what is misspelt, with the file, the line and the key named."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import ValidationError

from warehouse.contract.model import Column, ColumnExtras, Contract, ContractExtras, Rule, RuleExtras, Server, ServerExtras
from warehouse.errors import ConfigError


def _invalid(path: Path, detail: str) -> ConfigError:
    return ConfigError(
        "CONTRACT_INVALID",
        f"Kontrak {path.name} tidak sah: {detail}",
        f"Contract {path.name} is not valid: {detail}",
        "Perbaiki berkas kontrak itu; tidak ada data yang dibaca.",
        "Correct that contract file; no data were read.",
    )


def _dropped_keys(given: Any, kept: Any, where: str = "") -> list[str]:
    """Keys of ``given`` that the ODCS models did not keep: below the root they vanish without a word."""
    if isinstance(given, dict) and isinstance(kept, dict):
        lost = [f"{where}{key}" for key in given if key not in kept]
        shared = [key for key in given if key in kept]
        return lost + [p for key in shared for p in _dropped_keys(given[key], kept[key], f"{where}{key}.")]
    if isinstance(given, list) and isinstance(kept, list):
        pairs = enumerate(zip(given, kept, strict=True))
        return [p for i, (g, k) in pairs for p in _dropped_keys(g, k, f"{where}{i}.")]
    return []


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    faults = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}" for fault in faults)


def _extras(items: list | None) -> dict[str, Any]:
    return {item.property: item.value for item in items or ()}


def load_contract(path: Path) -> Contract:
    """Read one ``*.odcs.yaml``; raises ConfigError CONTRACT_INVALID naming the file and the faulty key."""
    try:
        given = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        odcs = OpenDataContractStandard.model_validate(given)
        kept = odcs.model_dump(by_alias=True, exclude_none=True)
        if lost := _dropped_keys(given, kept):
            raise ValueError("keys ODCS does not know: " + ", ".join(lost))
        (schema,) = odcs.schema_
        (server,) = odcs.servers
        columns = tuple(
            Column(
                name=prop.name,
                header=prop.physicalName,
                logical_type=prop.logicalType,
                required=bool(prop.required),
                classification=prop.classification,
                description=prop.description,
                extras=ColumnExtras(**_extras(prop.customProperties)),
            )
            for prop in schema.properties
        )
        rules = tuple(
            Rule(
                code=rule.name,
                expectation=rule.implementation["type"],
                kwargs=rule.implementation.get("kwargs", {}),
                severity=rule.severity,
                category=rule.dimension,
                extras=RuleExtras(**_extras(rule.customProperties)),
            )
            for rule in schema.quality or ()
        )
        return Contract(
            dataset=odcs.id,
            title=odcs.name,
            version=odcs.version,
            purpose=odcs.description.purpose,
            grain=schema.dataGranularityDescription,
            server=Server(
                environment=server.environment,
                location=server.location or server.host,
                extras=ServerExtras(**_extras(server.customProperties)),
            ),
            columns=columns,
            rules=rules,
            extras=ContractExtras(**_extras(odcs.customProperties)),
        )
    except (ValidationError, yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _invalid(path, _reason(error)) from error


@lru_cache
def load_contracts(folder: Path) -> dict[str, Contract]:
    """All contracts under ``folder`` by dataset name, sorted; refuses two that share a rule code."""
    contracts = {}
    seen: dict[str, str] = {}
    for path in sorted(folder.glob("*/*.odcs.yaml")):
        contract = load_contract(path)
        if contract.dataset != f"{path.parent.name}/{path.name.removesuffix('.odcs.yaml')}":
            raise _invalid(path, f"id {contract.dataset!r} does not match its place")
        for rule in contract.rules:
            if (other := seen.setdefault(rule.code, contract.dataset)) != contract.dataset:
                raise _invalid(path, f"rule code {rule.code} is already used by {other}")
        contracts[contract.dataset] = contract
    return contracts


def get_contract(folder: Path, dataset: str) -> Contract:
    """One contract by name; an unknown name raises ConfigError that lists the known ones."""
    contracts = load_contracts(folder)
    if dataset not in contracts:
        known = ", ".join(contracts)
        raise ConfigError(
            "DATASET_UNKNOWN",
            f"Dataset {dataset!r} tidak dikenal.",
            f"Dataset {dataset!r} is not known.",
            f"Pilih salah satu: {known}.",
            f"Choose one of: {known}.",
        )
    return contracts[dataset]

