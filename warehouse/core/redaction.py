"""Keeps values out of error texts: an exception nobody expected tells its kind and place, and nothing it was given.

Libraries quote what they could not read ("Could not convert string '…'"), and whoever logs an exception logs what it
was raised from too. Not here: errors raised on purpose (errors), which carry no value by rule.
"""

import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from warehouse.core import machine
from warehouse.core.errors import WarehouseError

P = ParamSpec("P")
T = TypeVar("T")
_FRAMES = 8


class UnexpectedError(WarehouseError):
    """A fault of ours, told without its text."""


def redacted(step: Callable[P, T]) -> Callable[P, T]:
    """A step that sees deliveries: whatever it raises carries no value, nor anything it was raised from."""

    @wraps(step)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        # Raised outside the handler: there Python would link it to the original.
        try:
            return step(*args, **kwargs)
        except WarehouseError as error:
            to_raise: WarehouseError = error
            to_raise.__cause__ = to_raise.__context__ = None
        except Exception as error:
            to_raise = machine.told(error) or _unexpected(error)
        raise to_raise

    return wrapped


def described(error: BaseException) -> str:
    """An error's kind and where it was raised, for an engineer; never its text."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    # What the operating system says holds no value of a delivery; and a full disk must be told from a fault.
    system = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
    return f"{type(error).__module__}.{type(error).__qualname__}{system} at {places}"


def _unexpected(error: Exception) -> UnexpectedError:
    what, _, places = described(error).partition(" at ")
    return UnexpectedError(
        "UNEXPECTED",
        f"Kesalahan tak terduga {what} di {places}. Teksnya dapat memuat isi kiriman dan tidak ditampilkan.",
        f"An unexpected {what} at {places}. Its text may hold values of a delivery and is not shown.",
        "Perbaiki penyebabnya lalu ulangi langkah ini; tidak ada yang hilang.",
        "Correct its cause and run the step again; nothing is lost.",
    )
