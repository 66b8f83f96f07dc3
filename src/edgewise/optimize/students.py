"""A distilled student as a model to go on with."""

from dataclasses import replace
from typing import Any

import numpy as np

from edgewise import extras
from edgewise.errors import UsageError
from edgewise.optimize.examples import read_labels
from edgewise.optimize.opened import export, is_module, module_inputs
from edgewise.optimize.optimized import OptimizedModel
from edgewise.optimize.training import (
    LossWeights,
    StudentShape,
    TrainingData,
    TrainingRecord,
    TrainingSettings,
)

_ANY = int(np.iinfo(np.int64).max)
"""The loop itself holds labels against the teacher's classes."""


def distil_model(
    teacher: Any,
    student: Any,
    data: object,
    labels: object = None,
    *,
    weights: LossWeights | None = None,
    settings: TrainingSettings,
) -> OptimizedModel:
    """Train a student and export it.

    Parameters
    ----------
    student
        A module, a shape, or a number of layers.

    Raises
    ------
    UsageError
        When teacher or student is no module.
    InvalidData, InvalidModel
        When they and the data don't fit each other.
    """
    if isinstance(student, int):
        student = StudentShape(depth=student)
    for one, where in ((teacher, "teacher"), (student, "student")):
        if not is_module(one) and not (where == "student" and isinstance(one, StudentShape)):
            what = f"a `{type(one).__name__}` can't be trained"
            raise UsageError(what, where=where, hint="give an nn.Module")
    with extras.needed("torch"):
        from edgewise.optimize.training.distill import NAME, distill  # noqa: PLC0415 - heavy

    inputs = module_inputs(teacher, data, "data")
    truth = None if labels is None else read_labels(labels, len(inputs), _ANY, "labels")
    given = TrainingData(
        inputs=[{name: np.array(value) for name, value in one.items()} for one in inputs],
        labels=None if truth is None else [int(one) for one in truth],
    )
    made, record = distill(teacher, student, given, weights=weights, settings=settings)
    found = export(made, inputs, "data", recipe=(NAME,))
    return replace(found, notes=(_note(record),))


def _note(record: TrainingRecord) -> str:
    went = f"distilled in {record.steps} steps and {record.seconds_s:.1f} s"
    if record.before is None or record.after is None:
        return f"{went}, nothing held out to see what it learned"
    return (
        f"{went}: {record.metric} {record.before:.3f} before and {record.after:.3f} after, "
        f"on {record.held_out} examples held out"
    )
