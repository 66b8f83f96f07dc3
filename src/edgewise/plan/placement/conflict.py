"""Constraints that no placement meets together, none of which can be spared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgewise.plan.placement.constraints import constraints_of, without
from edgewise.plan.placement.highs import Outcome
from edgewise.plan.placement.optimum import Effort, Found, find
from edgewise.plan.placement.separate import restricted
from edgewise.records import Constraint, PlacementProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """An irreducible set of constraints. Empty where there is no way even without constraints."""

    constraints: tuple[Constraint, ...]
    is_irreducible: bool
    """False where some answer did not come in time."""


def find_conflict(problem: PlacementProblem, found: Found, effort: Effort) -> Conflict:
    """Give constraints that conflict: dropping any one of them lets a placement be.

    That the workloads are served, and that a machine does no more than it can, is not up for
    dropping. Source: Junker, QuickXplain: preferred explanations and relaxations for
    over-constrained problems, AAAI 2004. Constraints of no workload that is in the way are dropped
    first, in halves.
    """
    seeking = _Seeking(effort)
    problem = restricted(problem, found.culprits)
    every = constraints_of(problem)
    if not seeking.can(problem, every):
        return Conflict(constraints=(), is_irreducible=seeking.is_sure)
    core = seeking.explain(problem, (), (), every)
    kept = tuple(one for one in every if one in set(core))
    return Conflict(constraints=kept, is_irreducible=seeking.is_sure)


class _Seeking:
    def __init__(self, effort: Effort) -> None:
        self._effort = replace(effort, gap_share=1.0)
        self.is_sure = True

    def can(self, problem: PlacementProblem, dropped: Sequence[Constraint]) -> bool:
        """Say whether there is a placement without some constraints; in doubt there is one."""
        outcome = find(without(problem, dropped), self._effort).outcome
        self.is_sure = self.is_sure and outcome is not Outcome.UNDECIDED
        return outcome is not Outcome.INFEASIBLE

    def explain(
        self,
        problem: PlacementProblem,
        held: Sequence[Constraint],
        added: Sequence[Constraint],
        doubtful: Sequence[Constraint],
    ) -> tuple[Constraint, ...]:
        """Give the part of `doubtful` that, with `held`, still conflicts, and no less does."""
        if added and not self.can(problem, self._all_but(problem, held)):
            return ()
        if len(doubtful) == 1:
            return (doubtful[0],)
        half = len(doubtful) // 2
        near, far = tuple(doubtful[:half]), tuple(doubtful[half:])
        second = self.explain(problem, (*held, *near), near, far)
        first = self.explain(problem, (*held, *second), second, near)
        return (*first, *second)

    def _all_but(
        self, problem: PlacementProblem, held: Sequence[Constraint]
    ) -> tuple[Constraint, ...]:
        kept = set(held)
        return tuple(one for one in constraints_of(problem) if one not in kept)
