"""The fewest constraints that no placement meets together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgewise.plan.placement.constraints import constraints_of, without
from edgewise.plan.placement.highs import Outcome, Rows, solve
from edgewise.plan.placement.optimum import Effort, Found, find
from edgewise.plan.placement.routes import Book
from edgewise.plan.placement.separate import restricted
from edgewise.records import Constraint, PlacementProblem

_LEAST_SOLVES = 50
_WAYS_SOLVED = 50_000
"""So many ways in all are weighed in the search for the fewest, and at least as many solves."""

Parts = frozenset[int]
"""Constraints by their place among all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Constraints that conflict. Empty where there is no way even without constraints."""

    constraints: tuple[Constraint, ...]
    is_irreducible: bool
    """No part of it conflicts. False where some answer did not come in time."""
    is_smallest: bool
    """No fewer constraints conflict. False where not all that could be fewer were tried."""


def find_conflict(problem: PlacementProblem, found: Found, effort: Effort) -> Conflict:
    """Give the fewest constraints that conflict.

    That the workloads are served, and that a machine does no more than it can, is not up for
    dropping. First an irreducible set is sought among the constraints of what is in the way
    (Junker, QuickXplain: preferred explanations and relaxations for over-constrained problems,
    AAAI 2004), then a smaller one among all: a set that conflicts holds one constraint at least of
    each set without which there is a placement, so that the fewest that do bound it from below
    (Ignatiev, Previti, Liffiton and Marques-Silva, Smallest MUS extraction with minimal hitting
    set dualization, CP 2015).
    """
    near = restricted(problem, found.culprits)
    seeking = _Seeking(near, effort)
    if not seeking.can(frozenset()):
        return Conflict(constraints=(), is_irreducible=seeking.is_sure, is_smallest=True)
    first = seeking.named(seeking.explain(frozenset(), frozenset(), sorted(seeking.every)))
    is_irreducible = seeking.is_sure
    if len(first) == 1:
        return Conflict(constraints=first, is_irreducible=is_irreducible, is_smallest=True)
    whole = _Seeking(problem, effort)
    fewest, is_smallest = whole.fewest(len(first))
    if fewest is not None:
        return Conflict(
            constraints=whole.named(fewest), is_irreducible=True, is_smallest=is_smallest
        )
    return Conflict(constraints=first, is_irreducible=is_irreducible, is_smallest=is_smallest)


class _Seeking:
    """Asks whether some of a problem's constraints can be kept together."""

    def __init__(self, problem: PlacementProblem, effort: Effort) -> None:
        self._problem = problem
        self._effort = replace(effort, gap_share=1.0)
        self._constraints = constraints_of(problem)
        self.every: Parts = frozenset(range(len(self._constraints)))
        self.is_sure = True
        self.solves = 0

    def named(self, parts: Parts) -> tuple[Constraint, ...]:
        """Give constraints in the order in which the problem states them."""
        return tuple(self._constraints[at] for at in sorted(parts))

    def can(self, kept: Parts) -> bool:
        """Say whether some placement keeps to these; in doubt one does."""
        dropped = self.named(self.every - kept)
        outcome = find(without(self._problem, dropped), self._effort).outcome
        self.solves += 1
        self.is_sure = self.is_sure and outcome is not Outcome.UNDECIDED
        return outcome is not Outcome.INFEASIBLE

    def explain(self, held: Parts, added: Parts, doubtful: Sequence[int]) -> Parts:
        """Give the part of `doubtful` that, with `held`, still conflicts, and no less does."""
        if added and not self.can(held):
            return frozenset()
        if len(doubtful) == 1:
            return frozenset(doubtful)
        half = len(doubtful) // 2
        near, far = doubtful[:half], doubtful[half:]
        second = self.explain(held | frozenset(near), frozenset(near), far)
        first = self.explain(held | second, second, near)
        return first | second

    def fewest(self, known: int) -> tuple[Parts | None, bool]:
        """Give the fewest that conflict where they are fewer than `known`.

        Returns
        -------
        found, is_sure
            `None` and true where no fewer do; `None` and false where not all could be tried.
        """
        ways = max(1, len(Book(self._problem).routes))
        most_solves = max(_LEAST_SOLVES, _WAYS_SOLVED // ways)
        spared: list[Parts] = []
        while self.solves < most_solves and self.is_sure:
            least = self._least_of_each(spared)
            if len(least) >= known:
                return None, True
            if not self.can(least):
                return least, self.is_sure
            spared.append(self.every - self._as_many_as_can(least))
        return None, False

    def _as_many_as_can(self, kept: Parts) -> Parts:
        """Keep more and more, by halves, until none can be kept beside the others."""
        waiting = [sorted(self.every - kept)]
        while waiting:
            some = waiting.pop()
            if self.can(kept | frozenset(some)):
                kept |= frozenset(some)
            elif len(some) > 1:
                half = len(some) // 2
                waiting += [some[half:], some[:half]]
        return kept

    def _least_of_each(self, sets: Sequence[Parts]) -> Parts:
        """Give the fewest constraints of which each set holds one."""
        rows = Rows()
        columns = {at: rows.column(cost=1.0, integer=True) for at in sorted(self.every)}
        for one in sets:
            rows.row({columns[at]: 1.0 for at in sorted(one)}, low=1.0)
        if not sets:
            return frozenset()
        solved = solve(rows, seconds=math.inf, gap_share=0.0)
        return frozenset(at for at, column in columns.items() if solved.values[column] > 0.5)
