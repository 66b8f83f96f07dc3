"""The search over a model in hand: what `explore` asks for, made and timed on the caller's data."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from edgewise.errors import InvalidData, InvalidModel
from edgewise.optimize import recipe as recipes
from edgewise.optimize.explore import Space, explore, front
from edgewise.optimize.graphs.channel_groups import find_groups
from edgewise.optimize.graphs.wiring import Wiring
from edgewise.optimize.optimized import OptimizedModel
from edgewise.optimize.passes import (
    prune_channels,
    prune_ffn,
    prune_heads,
    prune_layers,
    prune_width,
)
from edgewise.optimize.recipe import FLOAT, in_order, parse, split
from edgewise.optimize.steps import take
from edgewise.optimize.survey import Plan
from edgewise.pipeline.impact import Answers, Timing, answers_of, write_file
from edgewise.pipeline.trying import Maker
from edgewise.records import Candidate, Fidelity
from edgewise.runtimes.protocol import Tensors

_NUMBERS = (FLOAT, "int8-dynamic", "int8-static", "smooth,int8-dynamic")


@dataclass(slots=True, kw_only=True)
class Limits:
    """What a candidate may cost. Changed by the search."""

    training_minutes: float
    glance: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How a model in hand is searched. Made by `ModelOptimizer`."""

    minutes: float
    seed: int
    reduce_range: bool
    training_minutes: float = 10.0
    clock: Callable[[], float] = time.monotonic


class ModelSurvey:
    """What is known of the candidates of one model. Made by `propose`, asked by the search."""

    def __init__(
        self,
        model: OptimizedModel,
        examples: Sequence[Tensors],
        *,
        search: Search,
        min_agreement: float,
        timing: Timing,
    ) -> None:
        self.bench = Limits(training_minutes=search.training_minutes)
        self._found: dict[Plan, Candidate] = {}
        self._made: dict[Plan, OptimizedModel] = {}
        self._model, self._examples, self.search = model, tuple(examples), search
        self._min_agreement, self.timing = min_agreement, timing
        self._expected = answers_of(model, examples)
        wiring = Wiring(model.source())
        self.layers = max(1, len(prune_layers.find_blocks(wiring)))
        self._convs = any(group.has_conv for group in find_groups(wiring))

    @property
    def found(self) -> Mapping[Plan, Candidate]:
        """Give the candidates that are known."""
        return self._found

    def space(self, known: Sequence[Plan], *, trains: bool) -> Space:
        """Give what may be varied; the numeric recipes of known plans are among it."""
        own = [",".join(split(words)[1]) or FLOAT for _, words in known]
        numbers = {*_NUMBERS, *(one for one in own if trains or not recipes.trains(parse(one)))}
        of_stack = (prune_ffn.NAME, prune_heads.NAME, *([prune_width.NAME] if trains else []))
        return Space(
            layers=self.layers,
            shares=(prune_channels.NAME,) if self._convs else of_stack,
            trims=False,
            numbers=tuple(sorted(numbers)),
            trains=trains,
        )

    def candidate(self, plan: Plan) -> Candidate:
        """Make, judge and time a candidate, unless it is known."""
        if plan not in self._found:
            self._found[plan] = self._work(plan)
        return self._found[plan]

    def model(self, plan: Plan) -> OptimizedModel:
        """Give a candidate's model, made again where it was let go of."""
        if plan not in self._made:
            self._made[plan] = take(
                self._model,
                self.words(plan),
                self._examples,
                reduce_range=self.search.reduce_range,
                minutes=self.bench.training_minutes or self.search.training_minutes,
            )
        return self._made[plan]

    def forget(self, keep: Sequence[Plan]) -> None:
        """Let go of the models of all candidates but these."""
        self._made = {plan: one for plan, one in self._made.items() if plan in set(keep)}

    def words(self, plan: Plan) -> tuple[str, ...]:
        """Give a plan as a recipe, its depth as the share of the layers that go."""
        depth, words = plan
        if depth == self.layers:
            return words
        # A little more than the share, which is rounded down to whole layers.
        share = (self.layers - depth) / self.layers + 1e-4
        return in_order((f"{prune_layers.NAME}:{share:.4f}", *words))

    def _work(self, plan: Plan) -> Candidate:
        out = Candidate(
            recipe=self.words(plan) or (FLOAT,), runtime="onnxruntime", size_bytes=0, kept=False
        )
        try:
            made = self.model(plan)
            answers = answers_of(made, self._examples)
        except (InvalidModel, InvalidData) as unfit:
            return replace(out, why=(unfit.what,))
        fidelity = _fidelity(answers, self._expected)
        judged = replace(out, size_bytes=made.size_bytes, fidelity=fidelity)
        if (fidelity.metric or 0.0) < self._min_agreement:
            what = f"agrees on {fidelity.metric:.1%}, and {self._min_agreement:.1%} is asked"
            return replace(judged, why=(what,))
        with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
            files = [
                write_file(one, Path(folder) / name)
                for name, one in (("original", self._model), ("made", made))
            ]
            cost = self.timing.compare(files, self._examples)[1]
        return replace(
            judged,
            p50_ms=cost.p50_ms,
            p95_ms=cost.p95_ms,
            peak_memory_bytes=cost.peak_memory_bytes,
            kept=True,
        )


def propose(survey: ModelSurvey, known: Sequence[str]) -> list[tuple[str, Maker]]:
    """Search, and give makers of what none beats in everything and is not known.

    Parameters
    ----------
    known
        Recipes to begin with.
    """
    plans = [(survey.layers, in_order(parse(one))) for one in known]
    for plan in plans:
        survey.candidate(plan)
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        explore(
            survey,
            plans,
            space_for=partial(survey.space, plans),
            journal=Path(folder) / "journal.log",
            budget_s=60.0 * survey.search.minutes,
            seed=survey.search.seed,
            clock=survey.search.clock,
            progress=survey.timing.progress,
        )
    best = [plan for plan in front(survey) if survey.words(plan) and plan not in plans]
    return [(",".join(survey.words(plan)), partial(survey.model, plan)) for plan in best]


def _fidelity(answers: Answers, expected: Answers) -> Fidelity:
    agreement = float(np.mean(answers.chosen == expected.chosen))
    return Fidelity(
        reference="original", n=len(expected.chosen), metric=agreement, agreement=agreement
    )
