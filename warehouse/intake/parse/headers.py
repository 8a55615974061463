"""Which column of a file is which column of the contract, and which row of a file is its header.

Headers match after case, spaces and punctuation are taken away; the agency's misspellings stand in the contract.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from warehouse.core.contract import Column, Contract, load_contracts
from warehouse.core.errors import UnreadableDelivery
from warehouse.core.settings import get_settings
from warehouse.intake.parse.model import names, unreadable

_NOT_WORD = re.compile(r"[\W_]+")
_LONGEST_SHOWN = 40


@dataclass(frozen=True)
class Match:
    """Contract column name -> position in the file, and headers that stand for nothing we know."""

    positions: dict[str, int]
    unknown: list[str]


def key(header: str) -> str:
    """A header without case, spaces and punctuation: ``Desa/Kel`` and ``DESA  KEL`` are one."""
    return _NOT_WORD.sub("", unicodedata.normalize("NFKC", header).casefold())


@dataclass(frozen=True)
class Vocabulary:
    """Every header a contract knows, as keys."""

    columns: tuple[tuple[Column, tuple[str, ...]], ...]
    ignored: frozenset[str]
    refused: dict[str, str]

    @property
    def known(self) -> frozenset[str]:
        return frozenset(k for _, keys in self.columns for k in keys) | self.ignored


@lru_cache
def vocabulary(contract: Contract) -> Vocabulary:
    return Vocabulary(
        columns=tuple((column, tuple(key(h) for h in column.headers)) for column in contract.file_columns),
        ignored=frozenset(key(header) for header in contract.extras.ignored_headers),
        refused={key(header): header for header in contract.extras.refused_headers},
    )


def score(contract: Contract, header: Sequence[str]) -> int:
    """How much a row looks like the contract's header row: each known header counts, a needed column double."""
    words = vocabulary(contract)
    keys = {key(cell) for cell in header} - {""}
    n_needed = sum(column.is_header_needed and not keys.isdisjoint(spellings) for column, spellings in words.columns)
    return n_needed + len(keys & (words.known | words.refused.keys()))


def header_row(contract: Contract, rows: Sequence[Sequence[str]]) -> int:
    """Position of the row that looks most like the header; the first of equals."""
    return max(range(len(rows)), key=lambda position: (score(contract, rows[position]), -position))


def match(contract: Contract, header: Sequence[str]) -> Match:
    """Place the contract's columns in a file.

    Raises UnreadableDelivery PARSE_REFUSED_COLUMN, PARSE_DUPLICATE_COLUMN, PARSE_WRONG_DATASET, PARSE_MISSING_COLUMNS,
    or PARSE_NO_HEADER where not one is found.
    """
    words = vocabulary(contract)
    keys = [key(cell) for cell in header]
    if refused_headers := sorted({words.refused[k] for k in keys if k in words.refused}):
        raise unreadable("PARSE_REFUSED_COLUMN", names(refused_headers))
    positions, doubles, absent = {}, [], []
    for column, spellings in words.columns:
        # The agency's own header first: where a file has both it and an alias, the alias is another thing.
        fitting = next((spelling for spelling in spellings if spelling in keys), None)
        if fitting is None:
            absent.append(column)
        elif keys.count(fitting) > 1:
            doubles.append(column.header or column.name)
        else:
            positions[column.name] = keys.index(fitting)
    if doubles:
        raise unreadable("PARSE_DUPLICATE_COLUMN", names(doubles))
    if needed_headers := [column.header or column.name for column in absent if column.is_header_needed]:
        raise _not_ours(contract, set(keys), needed_headers)
    taken_positions = set(positions.values())
    unknown = [
        _shown(cell)
        for position, cell in enumerate(header)
        if position not in taken_positions and keys[position] and keys[position] not in words.ignored
    ]
    return Match(positions, unknown)


def missing_headers(contract: Contract, header_names: set[str]) -> list[str]:
    return [column.header or column.name for column in contract.file_columns if column.name not in header_names]


def _shown(cell: str) -> str:
    """An unknown header as it may be reported: a data row taken for a header must not show a number of a person."""
    return re.sub(r"\d", "#", " ".join(cell.split()))[:_LONGEST_SHOWN]


def _not_ours(contract: Contract, keys: set[str], needed_headers: list[str]) -> UnreadableDelivery:
    """The error for missing columns: another dataset's name, if the file has all that one needs and more of it."""
    n_known = ours = len(keys & vocabulary(contract).known)
    best = None
    for other in (one for newest in load_contracts(get_settings().contracts_dir).values() for one in newest.versions):
        words = vocabulary(other)
        is_whole = all(keys & set(spellings) for column, spellings in words.columns if column.is_header_needed)
        if is_whole and len(keys & words.known) > ours and other.dataset != contract.dataset:
            ours, best = len(keys & words.known), other.dataset
    if best:
        return unreadable("PARSE_WRONG_DATASET", best)
    return unreadable("PARSE_MISSING_COLUMNS", names(needed_headers)) if n_known else unreadable("PARSE_NO_HEADER")
