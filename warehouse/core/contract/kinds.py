"""Kinds of rules: ``expectations/rules.yaml`` says once what a rule expects and tells, a rule names its kind.

Here: the kinds, and what becomes of a kind with a rule's column, arguments and reason. Not here: where rules stand
(loading for contracts, gate for marts), and running them.

``{name}`` in a kind is an argument that its rules must give. In a text, numbers are written as the language writes
them, ``{name:%}`` as per cent, and a value with ``id`` and ``en`` in the language of the text; ``{label}`` is what the
rule's column is called, or the column that its argument ``label`` names. A name that is a measure of the delivery's
profile is filled in when the delivery is judged.
"""

import re
from collections.abc import Collection, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from warehouse.core.contract import documents
from warehouse.core.contract.model import Category, Owner, Severity, Words
from warehouse.core.errors import ConfigError

_PLACEHOLDER = re.compile(r"\{([a-z_]\w*)(:%)?\}")
_TEXTS = ("message_id", "message_en", "action_id", "action_en")
_AT_JUDGEMENT = {"batch"}
# What a rule of a contract may say for itself; a mart's rule, which stands alone with its query, may say all.
OF_A_CONTRACT = frozenset({"severity", "owner", "action", "reason", "reason_date", "measure"})
OF_A_MART = OF_A_CONTRACT | {"category", "expectation", "kwargs", "asset", *_TEXTS}


class KindFault(ValueError):
    """A rule that its kind cannot be made of; the text says what is missing, unknown or wrong."""


class Kind(BaseModel):
    """What rules of one kind share. What it leaves out comes from the kind it is ``like``, or from the rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    like: str | None = None
    expectation: str | None = None
    kwargs: dict[str, Any] = {}
    asset: str | None = None
    severity: Severity | None = None
    category: Category | None = None
    owner: Owner | None = None
    message_id: str | None = None
    message_en: str | None = None
    action: str | None = None
    action_id: str | None = None
    action_en: str | None = None
    measures: dict[str, str] = {}
    defaults: dict[str, Any] = {}
    reason: str | None = None
    reason_date: date | None = None

    @model_validator(mode="after")
    def _check(self) -> "Kind":
        for what in ("message", "action"):
            texts = [getattr(self, f"{what}_{language}") for language in ("id", "en")]
            if (texts[0] is None) != (texts[1] is None):
                raise ValueError(f"its {what} is in one language only")
            placeholders = [set(_PLACEHOLDER.findall(text or "")) for text in texts]
            if odd := placeholders[0] ^ placeholders[1]:
                raise ValueError(f"its {what} has {{{min(odd)[0]}}} in one language only")
        return self


class Kinds(BaseModel):
    """All kinds, and the actions that several of them ask for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    actions: dict[str, Words] = {}
    kinds: dict[str, Kind] = {}

    def fields(self, name: str) -> dict[str, Any]:
        """What a kind says, with what the kinds it is like say; raises KindFault for one that does not exist."""
        if name not in self.kinds:
            raise KindFault(f"kind {name!r} is not known{documents.nearest(name, self.kinds)}")
        own = self.kinds[name].model_dump(exclude_unset=True)
        like = own.pop("like", None)
        return _joined(self.fields(like) if like else {}, self.with_action(own))

    def with_action(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Fields with an action's name replaced by its words; raises KindFault for one that does not exist."""
        if "action" not in fields:
            return fields
        action = fields["action"]
        if action not in self.actions:
            raise KindFault(f"action {action!r} is not known{documents.nearest(action, self.actions)}")
        rest = {key: value for key, value in fields.items() if key != "action"}
        return rest | {"action_id": self.actions[action].id, "action_en": self.actions[action].en}

    @model_validator(mode="after")
    def _check(self) -> "Kinds":
        for name in self.kinds:
            path = [name]
            while (like := self.kinds[path[-1]].like) is not None:
                if like in path or like not in self.kinds:
                    raise ValueError(f"kind {name}: it is like {like!r}, which is itself or does not exist")
                path.append(like)
            try:
                self.fields(name)
            except KindFault as fault:
                raise ValueError(f"kind {name}: {fault}") from None
        return self


@lru_cache
def load_kinds(path: Path) -> Kinds:
    """The kinds of one ``rules.yaml``, none where there is no file; raises ConfigError RULE_KINDS_INVALID."""
    if not path.is_file():
        return Kinds()
    lines: dict[str, int] = {}
    try:
        document, lines = documents.read(path)
        return Kinds.model_validate(document)
    except (ValidationError, yaml.YAMLError, ValueError) as error:
        message = re.sub(r"\bkinds\.(\w+)[.:] ?", r"kind \1: ", documents.explained(error))
        detail = documents.located(message, lines)
        raise ConfigError(
            "RULE_KINDS_INVALID",
            f"Jenis aturan di {path.name} tidak sah: {detail}",
            f"The kinds of rules in {path.name} are not valid: {detail}",
            "Perbaiki berkas itu; tidak ada data yang dibaca.",
            "Correct that file; no data were read.",
        ) from error


def resolve(
    kinds: Kinds,
    arguments_given: Mapping[str, Any],
    own: frozenset[str],
    labels: Mapping[str, Words] | None = None,
    measures: Collection[str] = (),
) -> dict[str, Any]:
    """A rule as its kind, its arguments and what it says itself make it.

    ``arguments_given``: ``kind``, the kind's arguments, and any field in ``own``. ``labels``: what columns are called.
    ``measures``: names that stay in braces until a delivery is judged. Returns the fields of a rule and, under
    ``measures``, the SQL of the profile's measures that it needs; raises KindFault.
    """
    fields = kinds.fields(arguments_given["kind"]) if "kind" in arguments_given else {}
    fields = _joined(fields, kinds.with_action({key: arguments_given[key] for key in arguments_given if key in own}))
    arguments = {key: value for key, value in arguments_given.items() if key not in own and key != "kind"}
    if "kind" in arguments_given:
        fields = _filled(fields, arguments_given["kind"], arguments, labels or {}, measures)
    elif arguments:
        raise KindFault(f"{min(arguments)!r} is no part of a rule without a kind")
    fields.setdefault("measures", {})
    if "measure" in fields:
        name = re.sub(r"^(previous|change)_", "", str(fields["kwargs"].get("column")))
        fields["measures"] = fields["measures"] | {name: fields.pop("measure")}
    if absent := [name for name in ("expectation", "severity", "category", "owner", *_TEXTS) if not fields.get(name)]:
        hint = "; say action: with a name under actions of rules.yaml" if absent[0].startswith("action_") else ""
        raise KindFault(f"it has no {absent[0]}{hint}")
    return fields


def _joined(fields: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    mappings = {key: fields.get(key, {}) | over[key] for key in ("kwargs", "measures", "defaults") if key in over}
    return {**fields, **over, **mappings}


def _filled(
    fields: Mapping[str, Any],
    kind: str,
    arguments_given: Mapping[str, Any],
    labels: Mapping[str, Words],
    measures: Collection[str],
) -> dict[str, Any]:
    arguments = {**fields.get("defaults", {}), **arguments_given}
    names_used = _names([fields.get("kwargs"), fields.get("measures"), [fields.get(text) for text in _TEXTS]])
    takes = sorted(names_used - set(measures))
    if unknown := sorted(arguments_given.keys() - names_used):
        raise KindFault(
            f"kind {kind!r} takes no {unknown[0]!r}; it takes {', '.join(takes) or 'nothing'}"
            f"{documents.nearest(unknown[0], takes)}"
        )
    if absent := sorted(names_used - arguments.keys() - set(measures) - {"label"}):
        raise KindFault(f"kind {kind!r} needs {absent[0]!r}; it takes {', '.join(takes)}")
    bare = None
    if "label" in names_used:
        label = arguments.get("label", arguments.get("column"))
        if isinstance(label, str):
            bare = None if label in labels else label
            arguments["label"] = labels.get(label) or Words(id=f"isi {label}", en=label)
    texts = {
        text: _text(fields[text], text.rpartition("_")[2], arguments, bare)
        for text in _TEXTS
        if fields.get(text) is not None
    }
    values = {key: _value(fields.get(key, {}), arguments) for key in ("kwargs", "measures")}
    return {key: value for key, value in fields.items() if key != "defaults"} | values | texts


def _names(value: Any) -> set[str]:
    if isinstance(value, str):
        return {name for name, _ in _PLACEHOLDER.findall(value)} - _AT_JUDGEMENT
    if isinstance(value, dict):
        return _names([*value.keys(), *value.values()])
    return set().union(*map(_names, value)) if isinstance(value, list) else set()


def _value(value: Any, arguments: Mapping[str, Any]) -> Any:
    """A placeholder alone is replaced by the argument as it is, within a text by the argument's text."""
    if isinstance(value, dict):
        return {_value(key, arguments): _value(one, arguments) for key, one in value.items()}
    if isinstance(value, list):
        return [_value(one, arguments) for one in value]
    if not isinstance(value, str):
        return value
    if (whole := _PLACEHOLDER.fullmatch(value)) and whole[1] in arguments:
        return arguments[whole[1]]
    return _PLACEHOLDER.sub(lambda found: str(arguments.get(found[1], found[0])), value)


def _text(text: str, language: str, arguments: Mapping[str, Any], bare: str | None) -> str:
    """A text in one language; a word that begins it gets a capital, the bare name of a column does not."""

    def word(match: re.Match[str]) -> str:
        if match[1] not in arguments:
            return match[0]
        value = arguments[match[1]]
        if isinstance(value, Words | dict):
            value = Words.model_validate(value).model_dump()[language]
        if isinstance(value, int | float):
            return _number(value, language, is_share=bool(match[2]))
        text = str(value)
        is_name = match[1] == "column" or text == bare
        return text if match.start() or is_name else text[:1].upper() + text[1:]

    return _PLACEHOLDER.sub(word, text)


def _number(value: float, language: str, *, is_share: bool) -> str:
    text = f"{round(value * 100, 6) if is_share else value:,.10g}" + ("%" if is_share else "")
    return text.translate(str.maketrans(",.", ".,")) if language == "id" else text
