"""The identities to look for: all that the vault knows, or those of one person.

Here: numbers, names, days of birth in the form that search compares. Not here: what is done with a hit.

The values stay in this process's memory: nothing here writes them, and nothing they hold has a readable ``repr``.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

# A name of one word, or of initials beside one, is too common to say anything by itself.
_FULL_NAME_TOKENS, _TOKEN_LETTERS = 2, 3
_LETTERS = re.compile(r"[^A-Z]+")
# A shorter number stands in any table by chance, and a shorter address is a place's name.
_SHORTEST_NUMBER, _ADDRESS_TOKENS = 8, 3
_NOT_WORDS = re.compile(r"[^A-Z0-9]+")


def name_tokens(name: str) -> tuple[bytes, ...]:
    """A name as search compares it: upper-case ASCII words, without accents, titles' dots and apostrophes."""
    ascii_text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().upper()
    return tuple(token.encode() for token in _LETTERS.split(ascii_text) if token)


def is_full_name(tokens: tuple[bytes, ...]) -> bool:
    return sum(len(token) >= _TOKEN_LETTERS for token in tokens) >= _FULL_NAME_TOKENS


def address_words(text: str) -> str:
    """An address as search compares it: upper-case ASCII words and numbers, a blank between."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().upper()
    return _NOT_WORDS.sub(" ", ascii_text).strip()


def _addresses(texts: Iterable[str]) -> dict[tuple[bytes, bytes], frozenset[bytes]]:
    """First two adjacent words of letters -> what an address says from there on."""
    ends_of: dict[tuple[bytes, bytes], set[bytes]] = defaultdict(set)
    for text in texts:
        tokens = address_words(text).encode().split()
        pairs = (at for at in range(len(tokens) - 1) if tokens[at].isalpha() and tokens[at + 1].isalpha())
        at = next(pairs, None)
        if at is not None and len(tokens) - at >= _ADDRESS_TOKENS:
            ends_of[tokens[at], tokens[at + 1]].add(b" ".join(tokens[at:]))
    return {pair: frozenset(rests) for pair, rests in ends_of.items()}


def _sorted(numbers: Iterable[str]) -> np.ndarray:
    usable = {number for number in numbers if len(number) == 16 and number.isascii() and number.isdigit()}
    return np.array(sorted(int(number) for number in usable), dtype=np.int64)


@dataclass(frozen=True, repr=False)
class Values:
    """What to find. ``names`` maps the first two words of each full name to the words that may follow.

    numbers: further numbers of people, of at least eight digits -> which identity they are. addresses: two words of
    letters -> the addresses that go on from there.

    born: ISO date -> names (as one upper-case string) of those born that day; people_born: ISO date -> how many were.
    """

    nik: np.ndarray
    kk: np.ndarray
    numbers: Mapping[bytes, str] = field(default_factory=dict)
    addresses: Mapping[tuple[bytes, bytes], frozenset[bytes]] = field(default_factory=dict)
    names: Mapping[tuple[bytes, bytes], frozenset[tuple[bytes, ...]]] = field(default_factory=dict)
    born: Mapping[str, frozenset[bytes]] = field(default_factory=dict)
    people_born: Mapping[str, int] = field(default_factory=dict)
    birth_of: Mapping[str, str] = field(default_factory=dict)
    phones: frozenset[bytes] = frozenset()
    emails: frozenset[bytes] = frozenset()
    version: str = ""
    small_group: int = 5

    @classmethod
    def of(
        cls,
        *,
        nik: Iterable[str] = (),
        kk: Iterable[str] = (),
        numbers: Mapping[str, Iterable[str]] | None = None,
        addresses: Iterable[str] = (),
        people: Iterable[tuple[str | None, str | None]] = (),
        phones: Iterable[str] = (),
        emails: Iterable[str] = (),
        birth_of: Mapping[str, str] | None = None,
        public_names: Iterable[str] = (),
        version: str = "",
    ) -> "Values":
        """Values to find.

        numbers: identity -> numbers, digits alone.
        people: (name, ISO date of birth), either may be None. birth_of: pseudonym -> ISO date of birth.
        public_names: names of places and offices; a person's name equal to one says nothing.
        """
        public = {name_tokens(name) for name in public_names}
        names: dict[tuple[bytes, bytes], set[tuple[bytes, ...]]] = defaultdict(set)
        births_of: dict[str, set[bytes]] = defaultdict(set)
        people_born: dict[str, int] = defaultdict(int)
        tokens_of: dict[str, tuple[bytes, ...]] = {}
        for name, day in people:
            if name and name not in tokens_of:
                tokens_of[name] = tokens = name_tokens(name)
                if is_full_name(tokens) and tokens not in public:
                    names[tokens[0], tokens[1]].add(tokens[2:])
            if day:
                people_born[day] += 1
                if name and (tokens := tokens_of[name]):
                    births_of[day].add(b" ".join(tokens))
        return cls(
            nik=_sorted(nik),
            kk=_sorted(kk),
            numbers={
                number.encode(): kind
                for kind, numbers_of_kind in (numbers or {}).items()
                for number in numbers_of_kind
                if len(number) >= _SHORTEST_NUMBER and len(set(number)) > 1
            },
            addresses=_addresses(addresses),
            names={pair: frozenset(rests) for pair, rests in names.items()},
            born={day: frozenset(words) for day, words in births_of.items()},
            people_born=dict(people_born),
            birth_of=birth_of or {},
            phones=frozenset(filter(None, map(phone_digits, phones))),
            emails=frozenset(address.strip().lower().encode() for address in emails),
            version=version,
        )

    @cached_property
    def name_pairs(self) -> frozenset[tuple[bytes, bytes]]:
        return frozenset(self.names)

    @cached_property
    def number_kinds(self) -> frozenset[str]:
        return frozenset(self.numbers.values())

    @cached_property
    def nik_set(self) -> frozenset[int]:
        return frozenset(self.nik.tolist())

    @cached_property
    def kk_set(self) -> frozenset[int]:
        return frozenset(self.kk.tolist())

    def is_small_group(self, day: str) -> bool:
        """Whether so few were born on a day that it points at one of them; a day nobody was born on points too."""
        return self.people_born.get(day, 0) < self.small_group


def phone_digits(text: str) -> bytes:
    """A phone number without separators and country or trunk prefix; empty when it has none of a mobile's length."""
    digits = re.sub(r"[^0-9]", "", text)
    for prefix in ("0062", "62", "0"):
        if digits.startswith(prefix):
            digits = digits.removeprefix(prefix)
            break
    return digits.encode() if 7 <= len(digits) <= 13 else b""


def version_of(parts: Iterable[str]) -> str:
    """Names a set of values without telling it."""
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:20]


NOTHING = Values.of()
