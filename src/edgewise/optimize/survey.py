"""Candidates asked for by cut and recipe: each made and measured once, and its figures kept."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from edgewise.optimize import recipe as recipes
from edgewise.optimize.recipe import FLOAT
from edgewise.optimize.workbench import Made, Workbench
from edgewise.records import Candidate

Keep = Callable[[str, tuple[object, ...], Callable[[], Candidate]], Candidate]
"""Gives the candidate kept under a stage and parts, or makes it and keeps it."""
Plan = tuple[int, tuple[str, ...]]
"""The layers left, and the words of the recipe."""


class Survey:
    """What is known of a source's candidates. Made by `find_best`, read by the search.

    Figures come from where `keep` has them, so an interrupted search continues; a bundle is made
    again when it is wanted, since one recipe gives one model.
    """

    def __init__(self, bench: Workbench, keep: Keep, depths: Sequence[int]) -> None:
        self.bench = bench
        self._keep, self._depths = keep, tuple(depths)
        self._ready = False
        self._made: dict[Plan, Made] = {}
        self._minutes: dict[Plan, float] = {}
        self.found: dict[Plan, Candidate] = {}

    def candidate(self, plan: Plan) -> Candidate:
        """Make, gate and measure a candidate, unless it is known."""
        depth, words = plan = normal(plan)
        if plan not in self.found:
            self._minutes[plan] = self.bench.training_minutes
            parts: tuple[object, ...] = (depth, ",".join(words) or FLOAT, self.bench.glance)
            if recipes.trains(words):
                parts = (*parts, self.bench.training_minutes)
            self.found[plan] = self._keep("candidate", parts, lambda: self._work(plan).candidate)
        return self.found[plan]

    def bundle(self, plan: Plan) -> Path:
        """Give the bundle of a candidate, made again where it is not there any more.

        What trains is trained for as long as when its figures were taken: within a search that is
        less than after it.
        """
        plan = normal(plan)
        if plan not in self._made or not self._made[plan].path.is_dir():
            self._prepare()
            before = self.bench.training_minutes
            self.bench.training_minutes = self._minutes.get(plan, before)
            try:
                self._made[plan] = self.bench.make(*plan)
            finally:
                self.bench.training_minutes = before
        return self._made[plan].path

    def forget(self, keep: Sequence[Plan]) -> None:
        """Remove the bundles of all candidates but these: a search makes many."""
        kept = {self._made[plan].path for plan in map(normal, keep) if plan in self._made}
        for plan, made in list(self._made.items()):
            if made.path not in kept:
                shutil.rmtree(made.path, ignore_errors=True)
                del self._made[plan]

    def _work(self, plan: Plan) -> Made:
        self._prepare()
        made = self.bench.measure(self.bench.make(*plan))
        threads = self.bench.spec.edge.threads
        self._made[plan] = made
        return replace(made, candidate=replace(made.candidate, threads=threads))

    def _prepare(self) -> None:
        if not self._ready:
            self.bench.train_heads(self._depths)
            self._ready = True


def normal(plan: Plan) -> Plan:
    """Give a plan's words in the order in which they are carried out, so that equals are equal."""
    depth, words = plan
    return depth, tuple(recipes.in_order([word for word in words if word != FLOAT]))
