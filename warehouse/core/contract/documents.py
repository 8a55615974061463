"""YAML documents of ``expectations/``: read without a key twice, and the line on which each named thing begins.

Not here: what the documents mean (loading, kinds, gate).
"""

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

_NAMES = ("name", "code", "property")
_NAMED = re.compile(r"\b(?:rule|column|kind|measure|property) '?([\w./-]*\w)'?")


class _Loader(yaml.CSafeLoader):
    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.lines: dict[str, int] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, (key_node, value_node) in zip(keys, node.value, strict=True):
            line = key_node.start_mark.line + 1
            if keys.count(key) > 1:
                raise ValueError(f"line {line}: {key!r} stands twice")
            if key in _NAMES and isinstance(value_node, yaml.ScalarNode):
                self.lines.setdefault(value_node.value, line)
            elif isinstance(value_node, yaml.MappingNode):
                self.lines.setdefault(key, line)
                for entry, _ in value_node.value if "property" in keys else ():
                    self.lines.setdefault(entry.value, entry.start_mark.line + 1)
        return super().construct_mapping(node, deep)


def read(path: Path) -> tuple[Any, dict[str, int]]:
    """The document and the lines of what it names; raises ValueError or yaml.YAMLError, which tell the line."""
    loader = _Loader(path.read_text(encoding="utf-8"))
    try:
        return loader.get_single_data(), loader.lines
    finally:
        loader.dispose()


def place(path: Path, lines: Mapping[str, int], name: str | None) -> str:
    """Where a named thing stands: the file, and the line if it is known."""
    return f"{path.name}, line {lines[name]}" if name and name in lines else path.name


def explained(error: Exception, names: Collection[str] = (), prefix: str = "") -> str:
    """What is wrong, key by key, without the values that pydantic would quote.

    ``names``: the keys there are, so that a misspelt one is answered with the nearest. ``prefix`` stands before a key.
    """
    if not isinstance(error, ValidationError):
        return str(error)
    sentences = []
    for fault in error.errors(include_url=False):
        where, what = ".".join(map(str, fault["loc"])), fault["msg"].replace("Value error, ", "")
        if fault["type"] == "extra_forbidden":
            what = f"is not known{nearest(where, names)}"
        elif fault["type"] == "literal_error":
            what += nearest(str(fault["input"]), re.findall(r"'([^']*)'", fault["ctx"]["expected"]))
        sentences.append(f"{prefix}{where}: {what}" if where else what)
    return "; ".join(sentences)


def nearest(name: object, names: Collection[str]) -> str:
    """A hint at the known word most like one that is not known; empty where nothing is alike."""
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"; the nearest is {near[0]!r}" if near else ""


def located(detail: str, lines: Mapping[str, int]) -> str:
    """The detail with the line before each rule, column or kind it names."""

    def with_line(match: re.Match[str]) -> str:
        line = lines.get(match[1])
        return f"line {line}: {match[0]}" if line else match[0]

    return _NAMED.sub(with_line, detail)
