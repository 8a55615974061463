"""What kind of file some bytes are, told from the bytes: agencies declare the wrong format in one case in twelve."""

import re
from pathlib import Path

_HEAD = 512
_MARKUP = re.compile(rb"<[!?]?[a-z]")


def media_of(path: Path) -> str:
    """``xlsx``, ``json``, ``pages`` (a tar of answers) or, for all else, ``csv``: the parser says what is wrong."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    if head[257:262] == b"ustar":
        return "pages"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        return "json"
    return "csv"


def looks_like_html(head: bytes) -> bool:
    """True for markup: an error or login page, or an XML document, in place of the data, often with status 200."""
    start = head[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return _MARKUP.match(start) is not None
