"""What direct identifiers look like, and how to show one without telling it.

Here: NIK and family card numbers, phones, e-mail addresses, labelled days of birth. Not here: whose they are (values),
where to look for them (search).

Both 16-digit numbers are region of first issue (province, kabupaten or kota, kecamatan), a day (of birth, plus 40 for
women; of issue), a serial. There is no check digit.
"""

import re
import time
from collections.abc import Iterator
from datetime import date

# Province -> highest code of its kabupaten (from 01) and of its kota (from 71; 0 = none), past and present ones alike:
# a number keeps the code of the day it was first issued.
_REGENCIES = {
    11: (18, 75), 12: (25, 78), 13: (12, 77), 14: (10, 73), 15: (9, 72), 16: (13, 74), 17: (9, 71), 18: (13, 72),
    19: (6, 71), 21: (5, 72), 31: (1, 75), 32: (18, 79), 33: (29, 76), 34: (4, 71), 35: (29, 79), 36: (4, 74),
    51: (8, 71), 52: (8, 72), 53: (22, 71), 61: (12, 72), 62: (13, 71), 63: (11, 72), 64: (11, 74), 65: (4, 71),
    71: (11, 74), 72: (12, 71), 73: (26, 73), 74: (15, 72), 75: (5, 71), 76: (6, 0), 81: (9, 72), 82: (8, 72),
    91: (28, 71), 92: (12, 71), 93: (4, 0), 94: (8, 0), 95: (8, 0), 96: (6, 71), 97: (4, 0),
}  # fmt: skip
_PREFIXES = frozenset(
    f"{province}{regency:02}".encode()
    for province, (last, last_kota) in _REGENCIES.items()
    for regency in (*range(1, last + 1), *range(71, last_kota + 1))
)
_DAYS = frozenset(f"{day + add:02}".encode() for day in range(1, 32) for add in (0, 40))
_MONTHS = frozenset(f"{month:02}".encode() for month in range(1, 13))
_LAST_DISTRICT = b"60"

_MICROSECONDS = 1_000_000
_YEAR_SECONDS = 366 * 24 * 3600
# Any instant this warehouse could meet, counted in microseconds, has 16 digits as a NIK has.
_ANY_TIME = range(1_000_000_000 * _MICROSECONDS, 2_200_000_000 * _MICROSECONDS)

PHONE_START = re.compile(rb"08[1-9]|\+62[ .-]?8|0062[ .-]?8")
PHONE = re.compile(
    rb"(?<![0-9A-Za-z.+/-])(?:(?:\+|00)62[ .-]?|0)8[1-9][0-9](?:[ .-]?[0-9]){6,9}(?![0-9A-Za-z]|[.-][0-9])"
)
EMAIL = re.compile(rb"[A-Za-z0-9._%+-]{2,64}@((?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,12})(?![A-Za-z0-9])")
# Addresses of nobody: reserved names, and what version control and packages call their users.
_NOBODYS_DOMAINS = re.compile(
    rb"(?:^|\.)(?:example(?:\.[a-z]+)?|test|invalid|localhost|local|apache\.org)$", re.IGNORECASE
)

DATE = re.compile(
    rb"(?<![0-9])(?:((?:19|20)[0-9]{2})([-/.]?)([01][0-9])\2([0-3][0-9])"
    rb"|([0-3]?[0-9])([-/.])([01]?[0-9])\6((?:19|20)[0-9]{2}))(?![0-9])"
)
BIRTH_WORDS = (b"lahir", b"birth", b"born", b"dob")
# Between the word and the date: the rest of a field's name, quotes, a colon, blanks.
BIRTH_LABEL = re.compile(rb"(?:lahir|birth|born|dob)(?:[ _.-]?(?:date|day|on))?[^0-9A-Za-z\n]{1,12}", re.IGNORECASE)
_BIRTH_COLUMN = re.compile(r"(?:tgl|tanggal)_?lahir|birth_?da|date_?of_?birth|(?:^|_)(?:dob|ttl)(?:_|$)", re.IGNORECASE)
_PHONE_COLUMN = re.compile(r"(?:^|_)(?:no_?)?(?:hp|phone|telp|telepon|ponsel|whatsapp|wa)(?:_|$)", re.IGNORECASE)
_NUMBER_LABEL = re.compile(rb"(?:nik|kk|ktp|kependudukan)[^0-9\n]{0,12}$", re.IGNORECASE)
_LABELLED_KPJ = re.compile(rb"kpj[^0-9A-Za-z\n]{1,12}([0-9]{11})(?![0-9])", re.IGNORECASE)


def is_number(digits: bytes) -> bool:
    """Whether 16 digits have the shape of a NIK or a family card number."""
    return (
        digits[:4] in _PREFIXES
        and b"00" < digits[4:6] <= _LAST_DISTRICT
        and digits[6:8] in _DAYS
        and digits[8:10] in _MONTHS
        and digits[12:] != b"0000"
    )


def could_be_time(number: int) -> bool:
    """Whether a number of 16 digits may count microseconds since 1970."""
    return number in _ANY_TIME


def is_recent_time(number: int) -> bool:
    """Whether it would be an instant within about a year of now."""
    return abs(number - time.time() * _MICROSECONDS) < _YEAR_SECONDS * _MICROSECONDS


def has_number_label(before: bytes) -> bool:
    return _NUMBER_LABEL.search(before) is not None


def is_somebodys(address: re.Match[bytes]) -> bool:
    """Whether an e-mail address could belong to a person."""
    return not _NOBODYS_DOMAINS.search(address[1])


def membership_numbers(data: bytes) -> Iterator[int]:
    """Where labelled Jamsostek membership numbers (KPJ) begin: 11 digits say nothing by themselves."""
    lower = data.lower()
    at = lower.find(b"kpj")
    while at >= 0:
        if match := _LABELLED_KPJ.match(data, at):
            yield match.start(1)
        at = lower.find(b"kpj", at + 3)


def day_of(match: re.Match[bytes]) -> str | None:
    """The ISO date a match of ``DATE`` stands for."""
    year, month, day = (match[1], match[3], match[4]) if match[1] else (match[8], match[7], match[5])
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def is_birth_column(name: str) -> bool:
    return _BIRTH_COLUMN.search(name) is not None


def is_phone_column(name: str) -> bool:
    return _PHONE_COLUMN.search(name) is not None


_SHAPE = str.maketrans(
    {**{str(digit): "9" for digit in range(10)}}
    | {chr(letter): "a" for letter in range(ord("a"), ord("z") + 1)}
    | {chr(letter): "A" for letter in range(ord("A"), ord("Z") + 1)}
)


def shape_of(text: str) -> str:
    """A value by its shape only: digits as 9, letters as a or A."""
    return "".join(
        "a" if character.isalpha() and not character.isascii() else character for character in text
    ).translate(_SHAPE)
