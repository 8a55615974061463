"""Finds identities in bytes, whatever form they are written in.

Here: numbers in runs, groups, scientific notation, binary integers and doubles, hexadecimal, Base64, UTF-16, URL and
JSON escapes; names; phones, e-mail addresses, days of birth. Not here: files and tables (files, tables), what an
identity is (shapes, values).

Python looks at candidates only: bytes are mapped to a few classes in one pass, and the candidates found by searching
the classes for fixed strings, both at the speed of memory.
"""

import base64
import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import numpy as np

from warehouse.scan import shapes
from warehouse.scan.values import Values, address_words, phone_digits

NIK, KK, NUMBER, KPJ = "nik", "kk", "number_shape", "kpj"
NAME, PHONE, EMAIL, BIRTH, ADDRESS = "name", "phone", "email", "birth_date", "address"

_LOW, _HIGH = 10**15, 10**16
_WIDTH = 16
_POWERS = 10 ** np.arange(_WIDTH - 1, -1, -1, dtype=np.int64)
# A pseudonym or hash around a run of digits: that many hexadecimal digits, letters among them.
_HEX = re.compile(rb"[0-9a-f]+")
_HASH_DIGITS, _LONGEST_HEX = 32, 128
_LONGEST_RUN = 1 << 20


def _classes(kinds: dict[str, bytes]) -> bytes:
    table = bytearray(b"#" * 256)
    for sign, members in kinds.items():
        for member in members:
            table[member] = ord(sign)
    return bytes(table)


_ALPHABET = bytes(range(ord("a"), ord("z") + 1)) + bytes(range(ord("A"), ord("Z") + 1))
# 0 a digit, a a letter, - what may stand between groups of digits or words, ~ the zero byte, # anything else.
_CLASSES = _classes({"0": b"0123456789", "a": _ALPHABET, "-": b" .-_/+'`\t", "~": b"\0"})
_WORDS = _classes({" ": b" .-_+'`\t"} | {chr(letter): bytes([letter, letter + 32]) for letter in range(65, 91)})
_DIGITS = b"0" * _WIDTH
_GROUPS = tuple(
    b"-".join(b"0" * size for size in sizes)
    for sizes in (
        (4, 4, 4, 4),
        (6, 6, 4),
        (2, 2, 2, 6, 4),
        (2,) * 6 + (4,),
        (2,) * 8,
        (8, 8),
        (4, 2, 6, 4),
        (6, 2, 2, 2, 4),
    )
)
_END_OF_RUN = re.compile(rb"[^0]")
_NUMBER_RUN = re.compile(rb"(?<![0-9])(?<![0-9][.])[0-9]{8,20}(?![0-9])")
_SCIENTIFIC = re.compile(rb"(?<![0-9.])([1-9])[.,]([0-9]{9,15})[eE]\+?15(?![0-9])")
# Base64 of digits, at any of its three phases, contains Base64 of three digits at phase 0 four times over.
_BASE64_DIGITS = re.compile(rb"(?:[MNO][DTjz][AEIMQUYcgk][0-5w-z]){4}")
_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_-]+")
_JSON_ESCAPE = re.compile(rb"\\u00([0-9a-fA-F]{2})")
# Letters among the digits of a hash, such as the name Dede in 85dede4, are nobody's name.
_HEX_LETTERS = re.compile(rb"(?<=[0-9])[a-f]+(?![A-Za-z])|(?<![A-Za-z])[a-f]+(?=[0-9])")
_TWO_WORDS = b"aaa-aaa"
_NEAR = 60
_WIDE = (b"~".join([b"0"] * _WIDTH), b"a~a~a~-~a~", b"~a~a~a~-~a")
_ADDRESS_END = re.compile(rb"[A-Za-z0-9._%+-]{2,}\Z")


class Hit(NamedTuple):
    """A kind of identifier and where it begins."""

    kind: str
    start: int


def search(
    data: bytes, values: Values, *, is_text: bool = True, with_shapes: bool = True, is_packed: bool = False
) -> list[Hit]:
    """Every hit in the bytes. Those seen only through an encoding stand where the decoded text has them.

    is_text: also what people and programs write as text; else the bytes are an engine's, with values in between.
    is_packed: of shapes only the numbers', whose sixteen digits never come together by chance as a phone's or an
    address' characters do.
    """
    mask = data.translate(_CLASSES)
    hits = _plain(data, mask, values, is_text, with_shapes, is_packed)
    for decoded in _decoded(data, mask) if is_text else _wide(data, mask):
        more = _plain(decoded, decoded.translate(_CLASSES), values, is_text, with_shapes, is_packed)
        for kind in {hit.kind for hit in more}:
            kind_hits = [hit for hit in more if hit.kind == kind]
            if len(kind_hits) > sum(hit.kind == kind for hit in hits):
                hits = [hit for hit in hits if hit.kind != kind] + kind_hits
    if is_text:
        hits += _base64(data, values, with_shapes)
    return hits


def search_digits(data: bytes, ends: np.ndarray, values: Values, *, with_shapes: bool = True) -> list[Hit]:
    """Numbers alone, in unbroken digits: all there can be in pseudonyms and other hexadecimal.

    data: values end to end; ends: where each of them ends.
    """
    mask = data.translate(_CLASSES)
    candidates, hits = [], []
    for start, stop in _runs(mask):
        cuts = ends[np.searchsorted(ends, start, "right") : np.searchsorted(ends, stop, "left")]
        for begin, end in pairwise([start, *cuts.tolist(), stop]):
            if end - begin > _WIDTH:
                hits += _inside_run(data, begin, end, values)
            elif end - begin == _WIDTH and not _is_inside_hash(data, begin, end):
                candidates.append(_Candidate(begin, int(data[begin:end]), None))
    return hits + _judged(candidates, values, with_shapes)


def search_numbers(numbers: np.ndarray, values: Values, *, with_shapes: bool = True) -> list[Hit]:
    """Hits among whole numbers; ``start`` is the index."""
    (at,) = np.nonzero((numbers >= _LOW) & (numbers < _HIGH))
    if not len(at):
        return []
    candidates = numbers[at].astype(np.int64)
    return _judged([_Candidate(int(i), int(n), None) for i, n in zip(at, candidates, strict=True)], values, with_shapes)


def search_words_of_memory(data: bytes, values: Values, alignments: Iterable[int] = (0,)) -> list[Hit]:
    """The vault's numbers stored as binary integers or doubles, as engines lay them out; known values only."""
    hits = []
    for offset in alignments:
        length = (len(data) - offset) // 8
        for kind in ("<i8", "<f8"):
            numbers = np.frombuffer(data, dtype=kind, count=length, offset=offset)
            with np.errstate(invalid="ignore"):
                (at,) = np.nonzero((numbers >= _LOW) & (numbers < _HIGH))
            candidates = numbers[at].astype(np.int64)
            for name, values_of_kind in ((NIK, values.nik), (KK, values.kk)):
                hits += [Hit(name, offset + 8 * int(i)) for i in at[_is_in(candidates, values_of_kind)]]
    return hits


# --- plain text ------------------------------------------------------------------------------------------------------


def _plain(
    data: bytes, mask: bytes, values: Values, is_text: bool, with_shapes: bool, is_packed: bool = False
) -> list[Hit]:
    hits = _judged(list(_candidates(data, mask, is_text)), values, with_shapes)
    with_shapes = with_shapes and not is_packed
    hits += _inside_long_runs(data, mask, values)
    if is_text:
        hits += _further_numbers(data, values) + _addresses(data, mask, values)
    hits += _names(data, mask, values) if is_text else _names_between(data, mask, values)
    hits += _births(data, values) if with_shapes else []
    hits += _named_days(data, mask, values)
    if with_shapes or values.phones:
        hits += _phones(data, values, with_shapes)
    if with_shapes or values.emails:
        hits += _emails(data, values, with_shapes)
    if is_text and with_shapes and KPJ not in values.number_kinds:
        hits += [Hit(KPJ, start) for start in shapes.membership_numbers(data)]
    return hits


class _Candidate(NamedTuple):
    start: int
    number: int
    before: bytes | None


def _runs(mask: bytes) -> Iterator[tuple[int, int]]:
    start = mask.find(_DIGITS)
    while start >= 0:
        end = _END_OF_RUN.search(mask, start + _WIDTH)
        stop = end.start() if end else len(mask)
        yield start, stop
        start = mask.find(_DIGITS, stop)


def _lone_runs(data: bytes, mask: bytes) -> Iterator[tuple[int, int]]:
    for start, stop in _runs(mask):
        if stop - start == _WIDTH and not _is_fraction(data, start) and not _is_inside_hash(data, start, stop):
            yield start, stop


def _candidates(data: bytes, mask: bytes, is_text: bool) -> Iterator[_Candidate]:
    """Sixteen digits between borders: in one run and, in text, in groups with one separator or as a power of ten."""
    for start, stop in _lone_runs(data, mask):
        yield _Candidate(start, int(data[start:stop]), data[max(0, start - _NEAR) : start])
    if not is_text:
        return
    for groups in _GROUPS if b"00-00" in mask else ():
        start = mask.find(groups)
        while start >= 0:
            stop = start + len(groups)
            separators = {data[start + i] for i, sign in enumerate(groups) if sign == ord("-")}
            if len(separators) == 1 and mask[stop : stop + 1] != b"0" and mask[start - 1 : start] != b"0":
                digits = data[start:stop].replace(bytes(separators), b"")
                yield _Candidate(start, int(digits), data[max(0, start - _NEAR) : start])
            start = mask.find(groups, start + 1)
    if any(power in data for power in (b"E15", b"e15", b"E+15", b"e+15")):
        for match in _SCIENTIFIC.finditer(data):
            yield _Candidate(match.start(), int((match[1] + match[2]).ljust(_WIDTH, b"0")), b"")


def _is_fraction(data: bytes, start: int) -> bool:
    return data[start - 1 : start] == b"." and data[start - 2 : start - 1].isdigit()


def _is_inside_hash(data: bytes, start: int, stop: int) -> bool:
    offset = max(0, start - _LONGEST_HEX)
    for run in _HEX.finditer(data[offset : stop + _LONGEST_HEX]):
        if run.start() <= start - offset and run.end() >= stop - offset:
            return len(run[0]) >= _HASH_DIGITS and not run[0].isdigit()
    return False


def _judged(candidates: list[_Candidate], values: Values, with_shapes: bool) -> list[Hit]:
    """Known values, and numbers of the shape that are no clock's."""
    numbers = np.array([candidate.number for candidate in candidates], dtype=np.int64)
    is_nik, is_kk = _is_in(numbers, values.nik), _is_in(numbers, values.kk)
    hits, shaped, times = [], [], 0
    for candidate, nik, kk in zip(candidates, is_nik, is_kk, strict=True):
        if nik or kk:
            hits.append(Hit(NIK if nik else KK, candidate.start))
            continue
        is_shaped = with_shapes and shapes.is_number(b"%016d" % candidate.number)
        if is_shaped:
            shaped.append(candidate)
        times += not is_shaped and shapes.could_be_time(candidate.number)
    # Among clock readings one in a few dozen has the shape by chance: it is known by its company.
    doubtful = sum(shapes.could_be_time(candidate.number) for candidate in shaped)
    for candidate in shaped:
        is_labelled = candidate.before is not None and shapes.has_number_label(candidate.before)
        is_clock = shapes.could_be_time(candidate.number) and (
            times > doubtful or shapes.is_recent_time(candidate.number)
        )
        if is_labelled or not is_clock:
            hits.append(Hit(NUMBER, candidate.start))
    return hits


def _is_in(numbers: np.ndarray, sorted_numbers: np.ndarray) -> np.ndarray:
    """``np.isin`` for values that are sorted, which it would sort anew each time."""
    if not len(sorted_numbers) or not len(numbers):
        return np.zeros(len(numbers), dtype=bool)
    is_in: np.ndarray = (
        sorted_numbers[np.minimum(np.searchsorted(sorted_numbers, numbers), len(sorted_numbers) - 1)] == numbers
    )
    return is_in


def _inside_long_runs(data: bytes, mask: bytes, values: Values) -> list[Hit]:
    return [
        hit
        for start, stop in _runs(mask)
        if _WIDTH < stop - start <= _LONGEST_RUN
        for hit in _inside_run(data, start, stop, values)
    ]


def _inside_run(data: bytes, start: int, stop: int, values: Values) -> list[Hit]:
    """Known numbers within a longer run of digits: values stored end to end, or written as their text's hexadecimal."""
    if not len(values.nik) and not len(values.kk):
        return []
    if stop - start < 2 * _WIDTH:
        # Hashes are full of such runs: for so few windows arrays cost more than they save.
        windows = [(i, int(data[i : i + _WIDTH])) for i in range(start, stop - _WIDTH + 1)]
        return [
            Hit(NIK if n in values.nik_set else KK, i) for i, n in windows if n in values.nik_set or n in values.kk_set
        ]
    digits = np.frombuffer(data, dtype=np.uint8, count=stop - start, offset=start).astype(np.int64) - ord("0")
    hits = _windows(digits, values, start, 1)
    for phase in (0, 1):
        pairs = digits[phase:]
        if len(pairs) >= 2 * _WIDTH and (pairs[0::2] == 3).mean() > 0.9:
            hits += _windows(pairs[1::2], values, start + phase, 2)
    return hits


def _windows(digits: np.ndarray, values: Values, start: int, step: int) -> list[Hit]:
    width = len(digits) - _WIDTH + 1
    numbers = sum(digits[i : i + width] * _POWERS[i] for i in range(_WIDTH))
    hits = []
    for kind, values_of_kind in ((NIK, values.nik), (KK, values.kk)):
        hits += [Hit(kind, start + step * int(i)) for i in np.flatnonzero(_is_in(numbers, values_of_kind))]
    return hits


def _further_numbers(data: bytes, values: Values) -> list[Hit]:
    """People's other numbers, by exact value: whole runs of digits that are no fraction."""
    if not values.numbers:
        return []
    return [
        Hit(kind, match.start())
        for match in _NUMBER_RUN.finditer(data)
        if (kind := values.numbers.get(match[0])) and not _is_inside_hash(data, match.start(), match.end())
    ]


# --- names and days of birth -----------------------------------------------------------------------------------------


def _names(data: bytes, mask: bytes, values: Values) -> list[Hit]:
    """Full names: all their words, next to each other, in any case."""
    if not values.names or (b"a-a" not in mask and b"a--a" not in mask):
        return []
    words = data.translate(_WORDS)
    tokens = words.replace(b"#", b" # ").split()
    if values.name_pairs.isdisjoint(pairwise(tokens)):
        return []
    spans = [(match[0], match.start()) for match in re.finditer(rb"[A-Z]+|#", words)]
    hits = []
    for i in range(len(spans) - 1):
        for rest in values.names.get((spans[i][0], spans[i + 1][0]), ()):
            if tuple(token for token, _start in spans[i + 2 : i + 2 + len(rest)]) == rest:
                hits.append(Hit(NAME, spans[i][1]))
                break
    return hits


def _addresses(data: bytes, mask: bytes, values: Values) -> list[Hit]:
    """Whole addresses, however their parts are set apart."""
    if not values.addresses or (b"a-a" not in mask and b"a--a" not in mask):
        return []
    spans = [(match[0], match.start()) for match in re.finditer(rb"[A-Z]+|#", data.translate(_WORDS))]
    hits = []
    for (one, start), (other, _start) in pairwise(spans):
        if values_of_pair := values.addresses.get((one, other)):
            # Longer than the longest of them, however many signs stand between its words.
            text = data[start : start + 2 * max(map(len, values_of_pair)) + _NEAR].decode("latin-1")
            words = f"{address_words(text)} ".encode()
            if any(words.startswith(address + b" ") for address in values_of_pair):
                hits.append(Hit(ADDRESS, start))
    return hits


def _names_between(data: bytes, mask: bytes, values: Values) -> list[Hit]:
    """Full names in an engine's bytes: only where words stand on both sides of a separator."""
    hits = []
    at = mask.find(_TWO_WORDS) if values.names else -1
    while at >= 0:
        start, stop = max(0, at - _NEAR), at + _NEAR
        hits += [Hit(NAME, start + hit.start) for hit in _names(data[start:stop], mask[start:stop], values)]
        at = mask.find(_TWO_WORDS, stop)
    return hits


def _births(data: bytes, values: Values) -> list[Hit]:
    """Labelled days of birth that few share."""
    hits = []
    lower = data.lower()
    for word in shapes.BIRTH_WORDS:
        at = lower.find(word)
        while at >= 0:
            after = at + len(word)
            match = shapes.DATE.search(data, after, after + _NEAR)
            if match and shapes.BIRTH_LABEL.fullmatch(data, at, match.start()):
                day = shapes.day_of(match)
                if day and values.is_small_group(day):
                    hits.append(Hit(BIRTH, match.start()))
            at = lower.find(word, after)
    return hits


def _named_days(data: bytes, mask: bytes, values: Values) -> list[Hit]:
    """Names, of one word too, beside the day their bearer was born."""
    hits = []
    for groups in (b"0000-00-00", b"00-00-0000") if values.born else ():
        at = mask.find(groups)
        while at >= 0:
            stop = at + len(groups)
            match = shapes.DATE.match(data, at, stop)
            names = values.born.get(shapes.day_of(match) or "") if match else None
            if names and _is_beside(data[max(0, at - _NEAR) : at], data[stop : stop + _NEAR], names):
                hits.append(Hit(NAME, at))
            at = mask.find(groups, stop)
    return hits


def _is_beside(before: bytes, after: bytes, names: frozenset[bytes]) -> bool:
    """Whether one of the names stands whole in the same line, next to the date or with one field between."""
    near = before.rpartition(b"\n")[2] + b"|" + after.partition(b"\n")[0]
    fields = _HEX_LETTERS.sub(b"#", near).translate(_WORDS).split(b"#")
    return any(b" ".join(words) in names for field in fields if (words := field.split()))


def _phones(data: bytes, values: Values, with_shapes: bool) -> list[Hit]:
    hits = []
    for start in shapes.PHONE_START.finditer(data):
        match = shapes.PHONE.match(data, start.start())
        if match and (with_shapes or phone_digits(match[0].decode()) in values.phones):
            hits.append(Hit(PHONE, match.start()))
    return hits


def _emails(data: bytes, values: Values, with_shapes: bool) -> list[Hit]:
    hits = []
    at = data.find(b"@")
    while at >= 0:
        before = _ADDRESS_END.search(data, max(0, at - _NEAR), at)
        match = shapes.EMAIL.match(data, before.start()) if before else None
        if match and (match[0].lower() in values.emails or (with_shapes and shapes.is_somebodys(match))):
            hits.append(Hit(EMAIL, match.start()))
        at = data.find(b"@", at + 1)
    return hits


# --- encodings -------------------------------------------------------------------------------------------------------


def _decoded(data: bytes, mask: bytes) -> Iterator[bytes]:
    """The text as a reader would see it: without zero bytes, escapes, entities, accents."""
    yield from _wide(data, mask)
    plain = data
    if b"%" in plain:
        plain = unquote_to_bytes(plain)
    if b"\\u00" in plain:
        plain = _JSON_ESCAPE.sub(lambda match: chr(int(match[1], 16)).encode(), plain)
    if b"&" in plain and b";" in plain:
        plain = html.unescape(plain.decode("utf-8", "replace").replace("&nbsp;", " ")).encode()
    if not plain.isascii():
        try:
            text = plain.decode("utf-8")
        except UnicodeDecodeError:
            text = plain.decode("latin-1")
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore")
    if plain is not data:
        yield plain


def _wide(data: bytes, mask: bytes) -> Iterator[bytes]:
    """UTF-16 of either order, once its zero bytes are gone."""
    if any(signs in mask for signs in _WIDE):
        yield data.replace(b"\0", b"")


def _base64(data: bytes, values: Values, with_shapes: bool) -> list[Hit]:
    hits = []
    position = 0
    for match in _BASE64_DIGITS.finditer(data):
        if match.start() < position:
            continue
        start = match.start()
        while start and _BASE64_RUN.match(data, start - 1, start):
            start -= 1
        run = _BASE64_RUN.match(data, start) or match
        position = run.end()
        # The run's own beginning is phase 0 unless something of the alphabet stands before it.
        for phase in range(4):
            encoded = run[0][phase : phase + (len(run[0]) - phase) // 4 * 4]
            tail = run[0][phase + len(encoded) :]
            decoded = base64.b64decode(encoded + (tail + b"==")[:4] if len(tail) > 1 else encoded, altchars=None)
            if decoded_hits := _plain(decoded, decoded.translate(_CLASSES), values, True, with_shapes):
                hits += [Hit(hit.kind, start) for hit in decoded_hits]
                break
    return hits
