"""Faults an agency of the sandbox can be given, and for how many requests: what tests and demonstrations switch on."""

import threading
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

Kind = Literal[
    "down",  # drops the connection without an answer
    "error",  # fails with an error of its own
    "html",  # an HTML page with status 200
    "refused",  # our credentials are no longer accepted
    "throttled",  # asks us to come back in a second
    "slow",  # answers after `seconds`
    "truncated",  # only the first half of each answer or file
    "short",  # fewer rows than the total it states
    "host_key",  # shows another host key
    "growing",  # the file is still being written
    "dropped",  # the connection breaks in the middle of a file
]
Agency = Literal["bps", "dukcapil", "bpjstk", "portal", "dinkes", "dinsos", "polres"]
AGENCIES: tuple[Agency, ...] = get_args(Agency)


class Fault(BaseModel):
    model_config = ConfigDict(extra="forbid")

    agency: Agency
    kind: Kind
    times: int | None = None
    seconds: float = 1.0


class Faults:
    """The faults in force. Servers ask before each request; a fault with ``times`` wears off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: dict[str, Fault] = {}

    def set(self, fault: Fault) -> None:
        with self._lock:
            self._active[fault.agency] = fault

    def clear(self) -> None:
        with self._lock:
            self._active.clear()

    def take(self, agency: str, *kinds: Kind) -> Fault | None:
        """The agency's fault if it is one of ``kinds``, counted as used once."""
        with self._lock:
            fault = self._active.get(agency)
            if fault is None or fault.kind not in kinds:
                return None
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    del self._active[agency]
            return fault
