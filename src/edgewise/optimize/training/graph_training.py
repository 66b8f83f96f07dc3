"""Training as a pass: a graph goes in, the same graph with other weights comes out.

What was trained is kept by all that went into it, so a recipe that is carried out again does not
train again, and one that was interrupted goes on from its checkpoint. Weights are trained as the
graph has them; tables of embeddings stay, but where the width changed.

Sources: see `recover`, `qat` and `distill`; the learning rate goes with one over the width as in
Yang et al., "Tensor Programs V", 2022.
"""

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewise import extras
from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.batch_norm import fold_batch_norms
from edgewise.optimize.graphs.model_checks import copy_model
from edgewise.optimize.graphs.output_layer import output_layer
from edgewise.optimize.passes.mixed import quantizable
from edgewise.optimize.training.batches import collate, order_epoch, split
from edgewise.optimize.training.checkpoint import put_tensors, read_weights, write_weights
from edgewise.optimize.training.graph_module import GraphModule, Rounding
from edgewise.optimize.training.loop import surroundings, train
from edgewise.optimize.training.objective import NearEmbeddings, Objective
from edgewise.optimize.training.outputs import run
from edgewise.optimize.training.records import (
    Lesson,
    LossWeights,
    Supervision,
    TrainingData,
    TrainingSettings,
)
from edgewise.optimize.training.recover import hold_zeros
from edgewise.records import write_text

with extras.needed("torch"):
    import torch

if TYPE_CHECKING:
    import onnx

_USUAL_WIDTH = 768
_LEAST_STEPS = 300
_CHECKPOINT_EVERY = 25
_PATIENCE = 6
_ENOUGH_HELD, _MOST_HELD_SHARE = 200, 0.3
_TIMED_BATCHES = 4
_STEP_COSTS = 3.0
"""Of a run forwards: there and back, and the weights changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a word of a recipe trains."""

    name: str
    learning_rate: float
    """At a width of 768."""
    epochs: int = 3
    in_8_bits: bool = False
    reduce_range: bool = False
    with_tables: bool = False


def train_graph(model: "onnx.ModelProto", lesson: Lesson, course: Course) -> "onnx.ModelProto":
    """Give a graph whose weights learned from labels, from a teacher, or from both alike.

    In 8 bits the graph is its own teacher, in float.

    Raises
    ------
    InvalidModel
        When it has an operator that can't be trained, or gives no row of numbers an example.
    """
    model = copy_model(fold_batch_norms(model))
    rounding = Rounding()
    if course.in_8_bits:
        kept = set(output_layer(model))
        nodes = tuple(name for name in quantizable(model) if name not in kept)
        if not nodes:
            what = "no product with a stored weight to round"
            raise InvalidModel(what, where="model", hint="leave it out for this model")
        rounding = Rounding(nodes=nodes, reduce_range=course.reduce_range)
    module = GraphModule(model, with_tables=course.with_tables, rounding=rounding)
    teacher = lesson.teacher
    if course.in_8_bits or (teacher is None and lesson.labels is None):
        teacher = model
    data = _data(lesson, module, learns_labels=not course.in_8_bits)
    settings = _settings(lesson, course, module, len(data.inputs))
    key = _key(model, teacher, data, (replace(settings, threads=1), course), lesson)
    kept_at = None if lesson.folder is None else lesson.folder / f"trained-{key}.safetensors"
    if kept_at is not None and kept_at.is_file():
        put_tensors(module, read_weights(kept_at))
        return module.model()
    _teach(
        module,
        None if teacher is None else GraphModule(teacher).eval(),
        data,
        lesson,
        settings,
        kept_at,
    )
    if kept_at is not None:
        write_weights(kept_at, dict(module.named_parameters()))
        # Only now: where the weights can't be written, the checkpoint has them still.
        for path in (_plan_beside(kept_at), _checkpoint_beside(kept_at)):
            path.unlink(missing_ok=True)
    return module.model()


def _teach(
    module: GraphModule,
    teacher: GraphModule | None,
    data: TrainingData,
    lesson: Lesson,
    settings: TrainingSettings,
    kept_at: Path | None,
) -> None:
    has_labels = data.labels is not None
    weights = LossWeights(labels=float(has_labels), logits=float(teacher is not None))
    objective = (
        NearEmbeddings(teacher=teacher)
        if lesson.embeds and teacher is not None
        else Objective(weights, teacher=teacher, has_labels=has_labels)
    )
    objective.ranks_by_loss = True
    plan_at = None if kept_at is None else _plan_beside(kept_at)
    checkpoint = None if kept_at is None else _checkpoint_beside(kept_at)
    settings = _plan(module, teacher, data, settings, lesson.minutes, plan_at)
    supervision = Supervision(
        checkpoint=checkpoint, checkpoint_every=_CHECKPOINT_EVERY, progress=lesson.progress
    )
    hooks = hold_zeros(module)
    train(module, data, objective, settings, supervision)
    for hook in hooks:
        hook.remove()


def _plan_beside(kept_at: Path) -> Path:
    return kept_at.with_suffix(".json")


def _checkpoint_beside(kept_at: Path) -> Path:
    return kept_at.with_suffix(".checkpoint")


def _data(lesson: Lesson, module: GraphModule, *, learns_labels: bool) -> TrainingData:
    absent = [name for name in module.inputs if name not in lesson.inputs[0]]
    if absent:
        what = f"it takes `{absent[0]}`, which the examples lack"
        raise InvalidModel(what, where="model", hint="encode the examples as the task does")
    inputs = [{name: np.array(one[name]) for name in module.inputs} for one in lesson.inputs]
    return TrainingData(inputs=inputs, labels=lesson.labels if learns_labels else None)


def _settings(lesson: Lesson, course: Course, module: GraphModule, count: int) -> TrainingSettings:
    # A convolution is narrow, and many places share its weights: its rate is not scaled.
    widths = [
        min(one.shape) if one.ndim == 2 else _USUAL_WIDTH
        for one in module.parameters()
        if one.ndim >= 2 and min(one.shape[:2]) > 1
    ]
    width = float(np.median(widths)) if widths else float(_USUAL_WIDTH)
    usual = TrainingSettings()
    # On a few dozen examples two states that differ much may look the same.
    away = max(usual.held_out_share, min(_MOST_HELD_SHARE, _ENOUGH_HELD / count))
    per_epoch = math.ceil(count * (1.0 - away) / usual.batch_size)
    return TrainingSettings(
        epochs=max(course.epochs, math.ceil(_LEAST_STEPS / per_epoch)),
        learning_rate=course.learning_rate * _USUAL_WIDTH / width,
        evaluate_every=max(per_epoch, _LEAST_STEPS // 6),
        # The rate falls to 0: the best state often comes last.
        patience=_PATIENCE,
        held_out_share=away,
        seed=lesson.seed,
        threads=lesson.threads,
    )


def _key(
    model: "onnx.ModelProto",
    teacher: "onnx.ModelProto | None",
    data: TrainingData,
    how: tuple[TrainingSettings, Course],
    lesson: Lesson,
) -> str:
    # The time that there is says how many steps are made.
    told = (*how, lesson.minutes, lesson.embeds, data.labels)
    whole = hashlib.sha256(repr(told).encode())
    for one in (model, teacher):
        if one is None:
            continue
        whole.update(hashlib.sha256(one.SerializeToString(deterministic=True)).digest())
    for example in data.inputs:
        for name, value in example.items():
            whole.update(repr((name, value.shape)).encode())
            whole.update(np.ascontiguousarray(value).tobytes())
    return whole.hexdigest()[:32]


def _plan(
    module: GraphModule,
    teacher: GraphModule | None,
    data: TrainingData,
    settings: TrainingSettings,
    minutes: float,
    plan_at: Path | None,
) -> TrainingSettings:
    """Give the threads that are fastest and the steps that fit into the time, as measured once.

    An interrupted run keeps them. More threads than a small model or a busy machine has work for
    wait for each other longer than they compute.
    """
    if plan_at is not None and plan_at.is_file():
        kept = json.loads(plan_at.read_text(encoding="utf-8"))
        return replace(settings, max_steps=int(kept["steps"]), threads=int(kept["threads"]))
    chosen, held = split(len(data.inputs), settings.held_out_share, settings.seed)
    batches = order_epoch(
        data, chosen, settings.batch_size, np.random.default_rng((settings.seed, 3))
    )
    forward_s, threads = min(
        (_forward_s(module, data, batches, count), count) for count in {1, settings.threads}
    )
    asked_s = 0.0
    if teacher is not None:
        of_batch_s = _forward_s(teacher, data, batches, threads)
        asked_s = of_batch_s * len(data.inputs) / settings.batch_size
    per_look_s = forward_s * len(held) / settings.batch_size
    per_step_s = _STEP_COSTS * forward_s + per_look_s / (settings.evaluate_every or 1)
    fitting = int((60.0 * minutes - asked_s - per_look_s) / per_step_s)
    steps = max(1, min(settings.epochs * len(batches), fitting))
    if plan_at is not None:
        write_text(plan_at, json.dumps({"steps": steps, "threads": threads}))
    return replace(settings, max_steps=steps, threads=threads)


def _forward_s(
    module: GraphModule, data: TrainingData, batches: Sequence[Any], threads: int
) -> float:
    """Measure a batch's run forwards; the first warms up."""
    taken = []
    with surroundings(threads), torch.no_grad():
        for indices in [batches[0], *batches[:_TIMED_BATCHES]]:
            inputs = collate(data, indices).inputs
            begun_s = time.monotonic()
            run(module, inputs)
            taken.append(time.monotonic() - begun_s)
    return float(np.mean(taken[1:]))
