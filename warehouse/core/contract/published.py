"""What each contract promised when it was last published, and which changes of it break that promise.

A contract is relied on from two sides. A sender's file that was good must stay good; a reader's column must stay, with
its type and its meaning. What datacontract-cli calls an error is breaking here: a column gone, its type or
classification changed, a value newly required, a column of the key, an accepted value or spelling taken away; and what
it cannot see: another unit, another code system, a spelling that stands for another code. A change that breaks needs a
new major version; the promises of earlier ones stay in the file, and an earlier version's own contract keeps its
promise. Another derivation is a change that is told by the second number. Not here: rules and thresholds, which say how
a file is judged and change with a dated reason; what becomes of deliveries under an earlier version (gate, lake).
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from warehouse.core.contract import documents
from warehouse.core.contract.model import Column, Contract, Strict
from warehouse.core.errors import ConfigError

FILE = "published.yaml"
_HEAD = (
    "# What contracts promised when last published, by dataset and major version.\n"
    "# Written by: warehouse contracts publish\n"
)


class ColumnPromise(Strict):
    """What is promised of one column.

    ``needed``: a file without its header is held. ``kept``: it is in lake or vault, where readers find it. ``codes``:
    accepted spelling -> the code it means. ``derivation`` names the expression that computes it.
    """

    type: str
    classification: str
    required: bool = False
    needed: bool = False
    kept: bool = True
    headers: tuple[str, ...] = ()
    unit: str | None = None
    code_system: str | None = None
    formats: tuple[str, ...] = ()
    codes: dict[str, str] = Field(default_factory=dict)
    derivation: str | None = None


class Promise(Strict):
    version: str
    period_kind: str
    delivery_mode: str
    parts: str
    natural_key: tuple[str, ...] = ()
    columns: dict[str, ColumnPromise]


Promises = dict[str, dict[int, Promise]]


def promise_of(contract: Contract) -> Promise:
    """What senders and readers may rely on in this contract as it is now."""
    extras = contract.extras
    return Promise(
        version=contract.version,
        period_kind=extras.period_kind,
        delivery_mode=extras.delivery_mode,
        parts=extras.parts,
        natural_key=extras.natural_key,
        columns={
            column.name: _of_column(column)
            for column in contract.columns
            # What is computed for the gate alone is nobody's: no sender writes it, no reader finds it.
            if column.extras.lake or not column.is_derived
        },
    )


def _of_column(column: Column) -> ColumnPromise:
    extras = column.extras
    return ColumnPromise(
        type=column.logical_type,
        classification=column.classification,
        required=column.required,
        needed=column.is_header_needed,
        kept=extras.lake,
        headers=column.headers,
        unit=extras.unit,
        code_system=extras.code_system,
        formats=extras.formats if column.logical_type == "date" and not column.is_derived else (),
        codes={word: code for code, words in sorted((extras.codes or {}).items()) for word in sorted({code, *words})},
        derivation=_named(extras.derivation) if extras.derivation else None,
    )


def _named(expression: str) -> str:
    """Ten hex digits that name an expression, however its lines are broken."""
    return hashlib.sha256(" ".join(expression.split()).encode()).hexdigest()[:10]


def read(path: Path) -> Promises:
    """The promises of one file, none where there is no file; raises ConfigError PUBLISHED_INVALID."""
    if not path.is_file():
        return {}
    try:
        document, _ = documents.read(path)
        return {
            dataset: {int(major): Promise.model_validate(promise) for major, promise in majors.items()}
            for dataset, majors in (document or {}).items()
        }
    except (ValidationError, yaml.YAMLError, ValueError, AttributeError) as error:
        raise ConfigError(
            "PUBLISHED_INVALID",
            f"Berkas {path.name} tidak dapat dibaca: {documents.explained(error)}",
            f"The file {path.name} cannot be read: {documents.explained(error)}",
            "Ambil kembali berkas itu dari git; jangan disunting dengan tangan.",
            "Take that file back from git; it is not edited by hand.",
        ) from error


def breaks(contracts: Iterable[Contract], promises: Promises) -> list[str]:
    """Each way in which a contract breaks what its major version promised, as ``dataset: what``."""
    by_dataset = {contract.dataset: contract for contract in contracts}
    messages = [f"{dataset}: has no contract any more" for dataset in promises if dataset not in by_dataset]
    for dataset, contract in by_dataset.items():
        messages += [f"{dataset}: {what}" for what in _breaks_of(contract, promises.get(dataset, {}))]
    return messages


def changes(contracts: Iterable[Contract], promises: Promises) -> list[str]:
    """Each contract version whose promise is not the published one, as ``dataset version``."""
    return [
        f"{version.dataset} {version.version}"
        for contract in contracts
        for version in contract.versions
        if promises.get(version.dataset, {}).get(version.major) != promise_of(version)
    ]


def _breaks_of(contract: Contract, promises: Mapping[int, Promise]) -> list[str]:
    if promises and _numbers(contract.version) < _numbers(newest := promises[max(promises)].version):
        return [f"version {contract.version} is below the published {newest}"]
    messages = _breaks_of_version(contract, promises)
    return messages + [
        f"version {old.major}: {what}" for old in contract.earlier for what in _breaks_of_version(old, promises)
    ]


def _breaks_of_version(contract: Contract, promises: Mapping[int, Promise]) -> list[str]:
    now, before = promise_of(contract), promises.get(contract.major)
    if before is None:
        return []
    names = ("period_kind", "delivery_mode", "parts")
    messages = [f"{name} changed" for name in names if getattr(before, name) != getattr(now, name)]
    # By a longer key fewer rows are each other's doubles: no file that was good is refused.
    messages += ["natural_key changed"] if set(before.natural_key) - set(now.natural_key) else []
    for name in before.columns.keys() | now.columns.keys():
        messages += [
            f"column {name}: {what}" for what in _column_breaks(before.columns.get(name), now.columns.get(name))
        ]
    return sorted(messages)


def _column_breaks(before: ColumnPromise | None, now: ColumnPromise | None) -> list[str]:
    if now is None:
        return ["is gone"] if before and before.kept else []
    if before is None:
        return ["is new, and files without it are held: make it optional or say since when"] if now.needed else []
    same = ("type", "classification", "unit", "code_system")
    messages = [f"{name} changed" for name in same if getattr(before, name) != getattr(now, name)]
    messages += ["is now required"] if now.required and not before.required else []
    messages += ["files without its header are now held"] if now.needed and not before.needed else []
    messages += ["readers no longer find it"] if before.kept and not now.kept else []
    messages += [f"header {header!r} is no longer read" for header in before.headers if header not in now.headers]
    messages += [f"dates as {form!r} are no longer read" for form in before.formats if form not in now.formats]
    if now.codes and not before.codes:
        return [*messages, "only listed values are now accepted"]
    if before.codes and not now.codes:
        return [*messages, "its values are codes no longer"]
    for word, code in before.codes.items():
        if word not in now.codes:
            messages.append(f"value {word!r} is no longer accepted")
        elif now.codes[word] != code:
            messages.append(f"value {word!r} now means {now.codes[word]!r}")
    return messages


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def confirm(path: Path, contracts: Iterable[Contract]) -> None:
    """Raise ConfigError CONTRACT_BREAKS where a contract breaks what its major version promised."""
    if messages := breaks(contracts, read(path)):
        raise _refused("; ".join(messages))


def publish(path: Path, contracts: Iterable[Contract]) -> list[dict[str, Any]]:
    """Write what the contracts promise now; returns what became of each.

    Raises ConfigError CONTRACT_BREAKS where a promise would be broken, CONTRACT_VERSION_SAME where it changed under an
    unchanged version; then nothing is written.
    """
    promises = read(path)
    rows = []
    contracts = list(contracts)
    for contract in contracts:
        if messages := _breaks_of(contract, promises.get(contract.dataset, {})):
            raise _refused("; ".join(f"{contract.dataset}: {what}" for what in messages))
    for contract in (version for newest in contracts for version in reversed(newest.versions)):
        now, major = promise_of(contract), contract.major
        before = promises.get(contract.dataset, {}).get(major)
        if before and before != now and before.version == now.version:
            raise ConfigError(
                "CONTRACT_VERSION_SAME",
                f"Kontrak {contract.dataset} berubah sejak diterbitkan, tetapi versinya tetap {now.version}.",
                f"Contract {contract.dataset} has changed since it was published and is still version {now.version}.",
                "Naikkan angka kedua versinya, lalu terbitkan lagi.",
                "Raise the second number of its version, then publish again.",
            )
        promises.setdefault(contract.dataset, {})[major] = now
        outcome = "unchanged" if before == now else "published"
        rows.append({"dataset": contract.dataset, "version": contract.version, "outcome": outcome})
    path.write_text(_HEAD + _written(promises), encoding="utf-8")
    return rows


def _refused(detail: str) -> ConfigError:
    return ConfigError(
        "CONTRACT_BREAKS",
        f"Kontrak mengingkari yang sudah diterbitkan: {detail}.",
        f"A contract breaks what was published: {detail}.",
        "Batalkan perubahan itu, atau naikkan angka pertama versinya.",
        "Undo that change, or raise the first number of its version.",
    )


def _written(promises: Promises) -> str:
    """One line a column, so that a change reads as one line."""
    lines = []
    for dataset, majors in sorted(promises.items()):
        lines.append(f"{dataset}:")
        for major, promise in sorted(majors.items()):
            lines.append(f"  {major}:")
            said = promise.model_dump(mode="json", exclude_defaults=True)
            columns = said.pop("columns")
            lines += [f"    {key}: {_flow(value)}" for key, value in said.items()]
            lines.append("    columns:")
            lines += [f"      {name}: {_flow(column)}" for name, column in columns.items()]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    text = yaml.safe_dump([value], default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False)
    return text.strip()[1:-1]
