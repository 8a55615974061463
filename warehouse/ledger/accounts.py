"""From which account something is done: not a claim, unlike the name that is given.

The account of a process is the one that signed in to the host at its root (the kernel's login uid, which ``sudo`` keeps
and nobody can set again), else the process's own user. Environment variables such as SUDO_USER are no evidence: whoever
starts a process sets them.
"""

import os
import pwd
from pathlib import Path

# What Linux says where no sign-in stands at the root of a process: a scheduler's, a container's.
_NOBODY_SIGNED_IN = 2**32 - 1


def account() -> str:
    """The account this process is done from, by name where the host knows one."""
    signed_in = signed_in_uid()
    uid = os.getuid() if signed_in is None else signed_in
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def signed_in_uid() -> int | None:
    try:
        uid = int(Path("/proc/self/loginuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if uid == _NOBODY_SIGNED_IN else uid
