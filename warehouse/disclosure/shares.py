"""Hiding in two processes: a release falls into parts that no sum and no row ties together.

The parts are dealt out by what they ask, not by the machine: equal data are hidden alike on any number of processors.
Each process gets its share by standard input and answers by standard output. Not here: hiding itself (hiding), the
attack (attacker).
"""

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from warehouse.disclosure.attacker import Found, attack
from warehouse.disclosure.cells import System
from warehouse.disclosure.hiding import give_up, protect
from warehouse.disclosure.pattern import Moves, Pattern, Policy
from warehouse.disclosure.witnesses import Finder
from warehouse.errors import WarehouseError

# Fewer counts in need are not worth another process.
_WORTH_SHARING = 5000


@dataclass(frozen=True)
class _Share:
    """A system with the rows of some series only, what is hidden and public already, and programs to attack by."""

    system: System
    policy: Policy
    hidden: np.ndarray
    public: np.ndarray
    programs: int


@dataclass(frozen=True)
class _Done:
    """What came of a share: rows hidden and bounds withheld, the room left, the tables, what was waived, the attack."""

    row: np.ndarray
    side: np.ndarray
    room: np.ndarray
    tables: list[Moves]
    waived: int
    found: Found


def protect_and_attack(
    s: System, policy: Policy, hidden: np.ndarray, public: np.ndarray, programs: int
) -> tuple[Pattern, Found]:
    """Hide until the attack finds nothing, with at most so many linear programs for each share."""
    pattern = Pattern(s, policy, hidden, public)
    shares = [_Share(share, policy, hidden, public, programs) for share in _dealt(s, pattern.room > 0)]
    done = [_protect_share(*shares)] if len(shares) == 1 else _protect_elsewhere(shares)
    for part in done:
        pattern.adopt(part.row, part.side, part.tables)
    pattern.room = np.maximum.reduce([part.room for part in done])
    pattern.waived = sum(part.waived for part in done)
    found = [part.found for part in done]
    narrow = np.logical_or.reduce([one.narrow for one in found])
    return pattern, Found(narrow, sum(one.unproven for one in found), sum(one.programs for one in found))


def _dealt(s: System, in_need: np.ndarray) -> list[System]:
    """The system, or two with about half the work each where many counts are in need."""
    if in_need.sum() < _WORTH_SHARING:
        return [s]
    series = _independent(s)
    part_of_class = np.zeros(len(s.value), dtype=int)
    part_of_class[s.term_class] = series[s.term_series]
    # What a part takes grows with its counts in need, and with how many different ones they are.
    counts = (in_need.sum(axis=1), in_need.any(axis=1))
    work = np.prod([np.bincount(part_of_class, count, minlength=series.max() + 1) for count in counts], axis=0)
    is_second, load = np.zeros(len(work), dtype=bool), [0, 0]
    for part in np.argsort(-work, kind="stable").tolist():
        is_second[part] = load[1] < load[0]
        load[int(is_second[part])] += work[part]
    return [replace(s, row=np.where((is_second[series] == side)[:, None], s.row, -1)) for side in (False, True)]


def _independent(s: System) -> np.ndarray:
    """For each series the number of its part: series that equations or rows hidden together tie to one another."""
    groups = sparse.csr_matrix(
        (np.ones(len(s.term_series)), (s.component[s.term_class], s.group[s.term_series])),
        shape=(int(s.component.max()) + 1, int(s.group.max()) + 1),
    )
    joined = connected_components(sparse.bmat([[None, groups], [groups.T, None]], format="csr"), directed=False)[1]
    return joined[groups.shape[0] + s.group]


def _protect_share(share: _Share) -> _Done:
    """Hide until the attack finds nothing; what it finds costs all that is tied to it, ever wider."""
    pattern = Pattern(share.system, share.policy, share.hidden, share.public)
    finder = Finder(pattern)
    for reach in count(1):
        protect(pattern, finder)
        found = attack(pattern.s, pattern.shown(), pattern.room, pattern.tables, share.programs)
        if not found.narrow.any():
            break
        give_up(pattern, found.narrow, reach)
    return _Done(pattern.row, pattern.side, pattern.room, pattern.tables, pattern.waived, found)


def _protect_elsewhere(shares: list[_Share]) -> list[_Done]:
    """What comes of the shares, each in a process of its own, which ends with this one."""
    program = [sys.executable, "-c", f"from {__name__} import _answer; _answer()"]
    # A core each: threads of linear algebra would take the other's.
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    running = [subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) for _ in shares]
    try:
        for process, share in zip(running, shares, strict=True):
            # Whoever stopped reading says why below.
            with suppress(BrokenPipeError), process.stdin:
                pickle.dump(share, process.stdin)
        return [_await(process) for process in running]
    finally:
        for process in running:
            process.kill()
            process.stdout.close()
            process.wait()


def _await(process: subprocess.Popen) -> _Done:
    try:
        return pickle.load(process.stdout)
    except (EOFError, pickle.UnpicklingError) as error:
        code = process.wait()
        raise WarehouseError(
            "HIDING_STOPPED",
            f"proses yang menyembunyikan sel kecil berhenti dengan kode {code}; tidak ada yang dirilis.",
            f"a process that hides small cells ended with code {code}; nothing was released.",
            "Pesannya ada di log. Kode -9: memori habis; kosongkan memori, lalu rilis lagi.",
            "What it said is in the log. Code -9: memory ran out; free some, then release again.",
        ) from error


def _answer() -> None:
    pickle.dump(_protect_share(pickle.load(sys.stdin.buffer)), sys.stdout.buffer)
