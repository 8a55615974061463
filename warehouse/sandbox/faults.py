"""Faults an agency of the sandbox can be given, and for how many requests: what tests and demonstrations switch on.

Here: the kinds, and the file in which they stand until they wear off or are removed; servers ask it before each
request, so that a fault can be planted before they start or while they run. Not here: what each looks like on the wire.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from warehouse.core import files

Kind = Literal[
    "down",
    "error",
    "html",
    "refused",
    "throttled",
    "slow",
    "truncated",
    "short",
    "host_key",
    "growing",
    "dropped",
]
# What a kind does.
KINDS: dict[Kind, str] = {
    "down": "drops the connection without an answer",
    "error": "fails with an error of its own",
    "html": "answers with an HTML page and status 200",
    "refused": "no longer accepts our credentials",
    "throttled": "asks us to come back in a second",
    "slow": "answers after some seconds",
    "truncated": "sends only the first half of each answer or file",
    "short": "sends fewer rows than the total it states",
    "host_key": "shows another host key",
    "growing": "is still writing the file",
    "dropped": "breaks the connection in the middle of a file",
}
_OVER_HTTP: tuple[Kind, ...] = ("down", "error", "html", "refused", "throttled", "slow", "truncated")
# Which kinds an agency can have, by the protocol it speaks; by hand nothing can go wrong on the way.
KINDS_OF: dict[str, tuple[Kind, ...]] = {
    "sftp": ("down", "slow", "refused", "host_key", "truncated", "growing", "dropped"),
    "bps_webapi": _OVER_HTTP,
    "arcgis": _OVER_HTTP,
    "ckan": _OVER_HTTP,
    "splp": (*_OVER_HTTP, "short"),
}


class Fault(BaseModel):
    """``times`` None: until it is removed; ``seconds`` is how long a slow agency takes."""

    model_config = ConfigDict(extra="forbid")

    agency: str
    kind: Kind
    times: int | None = None
    seconds: float = 1.0


class Faults:
    """The faults in force, one an agency, in a file that several processes read and write."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def set(self, fault: Fault) -> None:
        with self._changed() as active:
            active[fault.agency] = fault

    def clear(self, agency: str | None = None) -> None:
        """Remove an agency's fault, or all."""
        with self._changed() as active:
            for name in [agency] if agency else list(active):
                active.pop(name, None)

    def all(self) -> list[Fault]:
        return list(self._read().values())

    def take(self, agency: str, *kinds: Kind) -> Fault | None:
        """The agency's fault if it is one of ``kinds``, counted as used once."""
        fault = self._read().get(agency)
        if fault is None or fault.kind not in kinds or fault.times is None:
            return fault if fault and fault.kind in kinds else None
        with self._changed() as active:
            fault = active.get(agency)
            if fault is None or fault.kind not in kinds or fault.times is None:
                return None
            fault.times -= 1
            if fault.times <= 0:
                del active[agency]
            return fault

    def _read(self) -> dict[str, Fault]:
        try:
            text = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        return {agency: Fault.model_validate(fault) for agency, fault in json.loads(text).items()}

    @contextmanager
    def _changed(self) -> Iterator[dict[str, Fault]]:
        """The faults to be changed, written back whole when the block ends; one change at a time."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with files.exclusive_lock(self._file.with_name(f".{self._file.name}.lock")):
            active = self._read()
            yield active
            with files.whole_file(self._file, mode=None, durable=False) as draft:
                draft.write_text(json.dumps({name: fault.model_dump() for name, fault in active.items()}), "utf-8")
