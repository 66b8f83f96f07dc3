"""Mixed precision: which nodes hurt most in few bits, measured, and so stay in float.

Sensitivity is the score lost when a part of the model is quantized and the rest is not. Neighbours
are measured together first, and only the groups that lose most are taken apart: one bad node of n
costs about `2 sqrt(n)` evaluations instead of n. Where the loss is spread evenly (MiniLM) there is
little to skip, and `most` bounds the work. Source: Dong et al. 2019, "HAWQ", ranks layers by
curvature; here the loss itself is measured, as NVIDIA's and Intel's tuners do.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewise.errors import InvalidData, InvalidModel, UsageError
from edgewise.optimize.graphs.model_checks import copy_model, weights_of
from edgewise.records import Progress, silent

if TYPE_CHECKING:
    import onnx

NAME = "mixed"
_STAGE = "optimize: sensitivity"
_PRODUCTS = ("MatMul", "Gemm", "Conv", "ConvTranspose")

Score = Callable[["onnx.ModelProto"], float]
"""How well a model does; higher is better, say its cosine with the float model."""
Quantize = Callable[["onnx.ModelProto", tuple[str, ...]], "onnx.ModelProto"]
"""Gives the quantized form of a model with the nodes of these names left in float."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What quantizing some nodes alone costs."""

    nodes: tuple[str, ...]
    lost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """Which nodes stay in float. Made by `choose_float`."""

    keep_float: tuple[str, ...]
    """In the model's order."""
    score: float
    """Of the model with exactly these in float."""
    reached: bool
    """Whether the wanted score was reached; true where none was asked for."""
    ranking: tuple[Sensitivity, ...]
    """Single nodes and groups not taken apart, the worst first."""
    evaluations: int


def quantizable(model: "onnx.ModelProto") -> tuple[str, ...]:
    """Name the nodes that read a stored weight and have a form in few bits, in order."""
    named, weights = copy_model(model), weights_of(model)
    return tuple(
        node.name
        for node in named.graph.node
        if (node.op_type in _PRODUCTS and node.input[1] in weights)
        or (node.op_type == "Gather" and node.input[0] in weights)
    )


def choose_float(
    model: "onnx.ModelProto",
    quantize: Quantize,
    score: Score,
    *,
    budget: int,
    wanted: float | None = None,
    most: int = 32,
    progress: Progress = silent,
) -> Mixed:
    """Choose at most `budget` nodes to leave in float.

    Parameters
    ----------
    quantize
        Gives the quantized form with some nodes left in float; must be deterministic.
    score
        Says how well a model does; called once for each model tried.
    budget
        How many nodes may stay in float.
    wanted
        A score to reach with as few as possible of them; without it the whole budget is used.
    most
        Evaluations to spend on the ranking, beyond one of each group.
    progress
        Told after each evaluation.

    Raises
    ------
    InvalidModel
        When the model has no quantizable node.
    InvalidData
        When a score is not finite.
    UsageError
        When the budget is below one.
    """
    if budget < 1:
        raise UsageError(f"the budget is {budget} nodes", where="budget", hint="give 1 or more")
    names = quantizable(model)
    if not names:
        what = "no quantizable node"
        raise InvalidModel(what, where="model", hint="leave this pass out for this model")
    trial = _Trial(model, names, quantize, score, progress)
    ranking = _rank(trial, names, min(budget, len(names)), most)
    ordered = [name for one in ranking for name in one.nodes][:budget]
    if wanted is None:
        return trial.finish(ordered, ranking, wanted)
    return trial.finish(_fewest(trial, ordered, wanted), ranking, wanted)


def _rank(
    trial: "_Trial", names: tuple[str, ...], budget: int, most: int
) -> tuple[Sensitivity, ...]:
    """Measure neighbours together, then take apart those that may hold the worst nodes."""
    size = max(1, math.isqrt(len(names)))
    groups = [names[at : at + size] for at in range(0, len(names), size)]
    trial.total = len(groups) + min(len(names), budget + size, most) + 2
    found = sorted((trial.alone(group) for group in groups), key=_worst)
    # a group hides no worse node than its own loss: the walk ends once enough nodes beat the rest
    while True:
        first = next((i for i, one in enumerate(found) if len(one.nodes) > 1), None)
        if first is None or first >= budget or trial.evaluations + len(found[first].nodes) > most:
            return tuple(found)
        apart = [trial.alone((name,)) for name in found.pop(first).nodes]
        found = sorted([*found, *apart], key=_worst)


def _fewest(trial: "_Trial", ordered: Sequence[str], wanted: float) -> Sequence[str]:
    """Give the shortest start of the ranking that reaches the score; all of it where none does."""
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if trial.score(ordered[:middle]) >= wanted:
            high = middle
        else:
            low = middle + 1
    return ordered[:low]


def _worst(one: Sensitivity) -> tuple[float, tuple[str, ...]]:
    return -one.lost, one.nodes


class _Trial:
    """Counts, remembers and reports evaluations."""

    def __init__(
        self,
        model: "onnx.ModelProto",
        names: tuple[str, ...],
        quantize: Quantize,
        score: Score,
        progress: Progress,
    ) -> None:
        self._model, self._names, self._quantize = copy_model(model), names, quantize
        self._score, self._progress = score, progress
        self._known: dict[frozenset[str], float] = {}
        self.total = 1

    @property
    def evaluations(self) -> int:
        """Count the models scored so far."""
        return len(self._known)

    def alone(self, nodes: tuple[str, ...]) -> Sensitivity:
        """Measure what is lost when only `nodes` are quantized."""
        rest = [name for name in self._names if name not in set(nodes)]
        return Sensitivity(nodes=nodes, lost=self.score(self._names) - self.score(rest))

    def score(self, kept: Sequence[str]) -> float:
        """Give the score with the nodes `kept` in float and all others quantized."""
        key = frozenset(kept)
        if key not in self._known:
            ordered = tuple(name for name in self._names if name in key)
            whole = len(ordered) == len(self._names)
            made = self._model if whole else self._quantize(self._model, ordered)
            value = float(self._score(made))
            if not math.isfinite(value):
                what = f"the score with {len(ordered)} nodes in float is {value}"
                raise InvalidData(what, where="score", hint="check the model and the samples")
            self._known[key] = value
            self._progress(_STAGE, self.evaluations, max(self.total, self.evaluations))
        return self._known[key]

    def finish(
        self, kept: Sequence[str], ranking: tuple[Sensitivity, ...], wanted: float | None
    ) -> Mixed:
        """Give the choice with its own score."""
        value = self.score(kept)
        return Mixed(
            keep_float=tuple(name for name in self._names if name in set(kept)),
            score=value,
            reached=wanted is None or value >= wanted,
            ranking=ranking,
            evaluations=self.evaluations,
        )
