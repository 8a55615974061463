"""A second person, for what takes two: somebody who approves from another account of the host.

Here: the one seam that says which account a process is of. Not here: real accounts (tests/integration/test_roles.py).
"""

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, accounts, approvals

SECOND = "Budi (akun-budi)"


def approve_all(s: Settings) -> None:
    """Approve whatever waits, as Budi from an account of his own."""
    led = Ledger(s.ledger)
    with mock.patch.object(accounts, "account", return_value="akun-budi"):
        for row in approvals.waiting(s, led):
            approvals.approve(s, led, row["approval_id"], "Budi")


def by_two(s: Settings, act: Callable[..., Any], /, *args: Any, **more: Any) -> Any:
    """Ask for an act, have it approved from another account, do it."""
    with pytest.raises(ConfigError, match="APPROVAL_AWAITED"):
        act(*args, **more)
    approve_all(s)
    return act(*args, **more)
