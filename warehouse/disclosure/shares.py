"""Hiding in several processes: a release falls into parts that no sum and no row ties together.

Parts are put together to shares by what they ask, not by the machine, and each share is hidden by itself: equal data
are hidden alike on any number of processors. A process gets its share by standard input and answers by standard output.
Not here: hiding itself (hiding), the attack (attacker).
"""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from warehouse.disclosure.attacker import Found, attack
from warehouse.disclosure.cells import System
from warehouse.disclosure.hiding import give_up, protect
from warehouse.disclosure.pattern import Part, Pattern, Policy
from warehouse.disclosure.reasons import told
from warehouse.disclosure.witnesses import Finder
from warehouse.errors import WarehouseError

# So many counts in need are worth a process; two at a time, for memory's sake.
_WORTH_A_PROCESS = 2000
_PROCESSES = 2


@dataclass(frozen=True)
class _Share:
    """Series and classes cut from a system, what is hidden and public already, and programs to attack by."""

    series: np.ndarray
    classes: np.ndarray
    system: System
    policy: Policy
    hidden: np.ndarray
    public: np.ndarray
    programs: int


def protect_and_attack(
    s: System, policy: Policy, hidden: np.ndarray, public: np.ndarray, programs: int
) -> tuple[Pattern, Found]:
    """Hide until the attack finds nothing, with at most so many linear programs for each share."""
    pattern = Pattern(s, policy, hidden, public)
    shares = []
    for series in _dealt(s, (pattern.room > 0).sum(axis=1)):
        system, classes = s.cut(series)
        shares.append(_Share(series, classes, system, policy, hidden[series], public[classes], programs))
    if len(shares) == 1:
        done = [_protect(*shares)]
    else:
        with ThreadPoolExecutor(_PROCESSES) as pool:
            done = list(pool.map(_protect_elsewhere, shares))
    pattern.adopt([part for part, _ in done])
    narrow = np.zeros(s.value.shape, dtype=bool)
    for part, found in done:
        narrow[part.classes] = found.narrow
    return pattern, Found(narrow, sum(found.unproven for _, found in done), sum(found.programs for _, found in done))


def _dealt(s: System, in_need: np.ndarray) -> list[np.ndarray]:
    """The series of each share, those with most counts in need first; ``in_need`` [class]."""
    if in_need.sum() < _WORTH_A_PROCESS:
        return [np.arange(len(s.keys))]
    part_of_series = _independent(s)
    part_of_class = np.zeros(len(s.value), dtype=int)
    part_of_class[s.term_class] = part_of_series[s.term_series]
    needs = np.bincount(part_of_class, in_need, minlength=int(part_of_series.max()) + 1)
    share_of_part = np.zeros(len(needs), dtype=int)
    share, dealt = 0, 0
    for part in np.argsort(-needs, kind="stable").tolist():
        if dealt >= _WORTH_A_PROCESS:
            share, dealt = share + 1, 0
        share_of_part[part] = share
        dealt += needs[part]
    return [np.flatnonzero(share_of_part[part_of_series] == n) for n in range(share + 1)]


def _independent(s: System) -> np.ndarray:
    """For each series the number of its part: series that equations or rows hidden together tie to one another."""
    groups = sparse.csr_matrix(
        (np.ones(len(s.term_series)), (s.component[s.term_class], s.group[s.term_series])),
        shape=(int(s.component.max()) + 1, int(s.group.max()) + 1),
    )
    joined = connected_components(sparse.bmat([[None, groups], [groups.T, None]], format="csr"), directed=False)[1]
    return joined[groups.shape[0] + s.group]


def _protect(share: _Share) -> tuple[Part, Found]:
    """Hide until the attack finds nothing; what it finds costs all that is tied to it, ever wider."""
    pattern = Pattern(share.system, share.policy, share.hidden, share.public)
    finder = Finder(pattern)
    for reach in count(1):
        protect(pattern, finder)
        found = attack(pattern.s, pattern.shown(), pattern.room, pattern.tables, share.programs)
        if not found.narrow.any():
            break
        give_up(pattern, found.narrow, reach)
    number = share.classes.tolist()
    part = Part(
        series=share.series,
        classes=share.classes,
        row=pattern.row,
        side=pattern.side,
        told=told(pattern),
        room=pattern.room,
        tables=[{(number[c], a): by for (c, a), by in table.items()} for table in pattern.tables],
        waived=pattern.waived,
    )
    return part, found


def _protect_elsewhere(share: _Share) -> tuple[Part, Found]:
    """What comes of the share in a process of its own."""
    program = [sys.executable, "-c", f"from {__name__} import _answer; _answer()"]
    # A core each: threads of linear algebra would take the other's.
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(program, input=pickle.dumps(share), stdout=subprocess.PIPE, env=env, check=False)
    if done.returncode:
        raise WarehouseError(
            "HIDING_STOPPED",
            f"proses yang menyembunyikan sel kecil berhenti dengan kode {done.returncode}; tidak ada yang dirilis.",
            f"a process that hides small cells ended with code {done.returncode}; nothing was released.",
            "Pesannya ada di log. Kode -9: memori habis; kosongkan memori, lalu rilis lagi.",
            "What it said is in the log. Code -9: memory ran out; free some, then release again.",
        )
    return pickle.loads(done.stdout)


def _answer() -> None:
    pickle.dump(_protect(pickle.load(sys.stdin.buffer)), sys.stdout.buffer)
