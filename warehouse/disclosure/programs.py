"""Linear programs over one set of sums: which moves of the counts keep every sum, at the least cost.

A move is how much is added to a count and how much is taken from it, both 0 or more, each at the same cost. The solver
(HiGHS) keeps a program between two questions and goes on from its last answer, several times faster than from nothing.
Not here: what is asked, of which classes and areas (witnesses).
"""

import highspy
import numpy as np
from scipy import sparse


class Program:
    """Programs over the sums ``matrix`` [sum, count], whose moves times the counts' signs must come to nought."""

    def __init__(self, matrix: sparse.csr_matrix):
        both = sparse.hstack([matrix, -matrix], format="csc")
        sums, self.size = both.shape[0], matrix.shape[1]
        program = highspy.HighsLp()
        program.num_row_, program.num_col_ = both.shape
        program.row_lower_ = program.row_upper_ = np.zeros(sums)
        program.col_cost_ = program.col_lower_ = program.col_upper_ = np.zeros(2 * self.size)
        program.a_matrix_.start_, program.a_matrix_.index_ = both.indptr, both.indices
        program.a_matrix_.value_ = both.data
        self.solver = highspy.Highs()
        self.solver.silent()
        self.solver.setOptionValue("threads", 1)
        # Making such a program smaller first takes longer than solving it.
        self.solver.setOptionValue("presolve", "off")
        self.solver.passModel(program)
        self.places = np.arange(2 * self.size, dtype=np.int32)

    def solve(self, cost: np.ndarray, up: np.ndarray, down: np.ndarray, at: int, by: float) -> np.ndarray | None:
        """What is added to each count so that count ``at`` moves ``by``, at the least cost; None where nothing does.

        ``up``, ``down``: how far each may rise and fall at most.
        """
        lowest, highest = np.zeros(2 * self.size), np.concatenate([up, down]).astype(float)
        forward, backward = (at, self.size + at) if by > 0 else (self.size + at, at)
        lowest[forward] = highest[forward] = abs(by)
        highest[backward] = 0.0
        self.solver.changeColsBounds(len(self.places), self.places, lowest, highest)
        self.solver.changeColsCost(len(self.places), self.places, cost)
        self.solver.run()
        if self.solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        found = np.array(self.solver.getSolution().col_value)
        return found[: self.size] - found[self.size :]
