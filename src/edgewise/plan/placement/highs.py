"""The door to HiGHS, through SciPy: rows and columns in, a solution and its bound out."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from edgewise import extras

Terms = Mapping[int, float]


class Outcome(Enum):
    """What a solve ended in."""

    SOLVED = "solved"
    INFEASIBLE = "infeasible"
    UNDECIDED = "undecided"
    """The time ran out before a solution was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """What HiGHS found. `values` and the objective are there where it is solved."""

    outcome: Outcome
    values: NDArray[np.float64]
    objective: float = 0.0
    bound: float = 0.0


@dataclass(slots=True)
class Rows:
    """A mixed-integer programme as it is written, a column and a row at a time."""

    costs: list[float] = field(default_factory=list)
    lows: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)
    integers: list[bool] = field(default_factory=list)
    row_lows: list[float] = field(default_factory=list)
    row_highs: list[float] = field(default_factory=list)
    entries: list[tuple[int, int, float]] = field(default_factory=list)

    def column(
        self, *, cost: float = 0.0, low: float = 0.0, high: float = 1.0, integer: bool = False
    ) -> int:
        """Add a variable and give its number."""
        self.costs.append(cost)
        self.lows.append(low)
        self.highs.append(high)
        self.integers.append(integer)
        return len(self.costs) - 1

    def row(self, terms: Terms, *, low: float = -np.inf, high: float = np.inf) -> None:
        """Hold a weighted sum of variables between two bounds."""
        at = len(self.row_lows)
        self.entries.extend((at, column, weight) for column, weight in terms.items() if weight)
        self.row_lows.append(low)
        self.row_highs.append(high)


def solve(rows: Rows, *, seconds: float, gap_share: float) -> Solved:
    """Minimise the cost of a programme.

    Parameters
    ----------
    seconds
        After which the best solution so far is given with its bound.
    gap_share
        How far from the optimum the solution may be, as a share of its cost.

    Raises
    ------
    MissingExtra
        SciPy is not installed.
    """
    with extras.needed("plan"):
        from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415 - heavy
        from scipy.sparse import csc_array  # noqa: PLC0415 - heavy
    at, columns, weights = zip(*rows.entries, strict=True) if rows.entries else ((), (), ())
    shape = (len(rows.row_lows), len(rows.costs))
    matrix = csc_array((weights, (at, columns)), shape=shape)
    with _stdout_on_stderr():
        found = milp(
            np.asarray(rows.costs),
            integrality=np.asarray(rows.integers, dtype=np.uint8),
            bounds=Bounds(rows.lows, rows.highs),
            constraints=LinearConstraint(matrix, rows.row_lows, rows.row_highs),
            options={"time_limit": seconds, "mip_rel_gap": gap_share},
        )
    if found.x is None:
        infeasible = found.status == 2
        outcome = Outcome.INFEASIBLE if infeasible else Outcome.UNDECIDED
        return Solved(outcome=outcome, values=np.zeros(0))
    bound = found.mip_dual_bound
    objective = float(found.fun)
    return Solved(
        outcome=Outcome.SOLVED,
        values=np.asarray(found.x, dtype=np.float64),
        objective=objective,
        bound=objective if bound is None or not np.isfinite(bound) else float(bound),
    )


@contextmanager
def _stdout_on_stderr() -> Iterator[None]:
    """Send what C code prints to stderr: some versions of HiGHS print to stdout."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
