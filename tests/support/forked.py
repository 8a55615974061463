"""A process forked from this one, for tests that kill it or change its user."""

import gc
import multiprocessing
from collections.abc import Callable
from multiprocessing.context import ForkProcess


def forked(target: Callable[..., object], *args: object) -> ForkProcess:
    """The running child. What tests before have left is not collected there: an engine's threads stay behind."""
    process = multiprocessing.get_context("fork").Process(target=target, args=args)
    gc.collect()
    gc.freeze()
    process.start()
    gc.unfreeze()
    return process
