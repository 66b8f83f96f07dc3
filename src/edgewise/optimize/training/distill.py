"""Distillation: a small module learns what a large one answers.

Sources: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015 (logits);
Jiao et al., "TinyBERT", 2020 (hidden states); Sun et al., "MobileBERT", 2020 (attention).
"""

import copy

from edgewise import extras
from edgewise.optimize.training.loop import train
from edgewise.optimize.training.objective import Objective
from edgewise.optimize.training.records import (
    LossWeights,
    StudentShape,
    Supervision,
    TrainingData,
    TrainingRecord,
    TrainingSettings,
)
from edgewise.optimize.training.students import make_student

with extras.needed("torch"):
    from torch import nn

NAME = "distill"


def distill(
    teacher: nn.Module,
    student: nn.Module | StudentShape,
    data: TrainingData,
    *,
    weights: LossWeights | None = None,
    settings: TrainingSettings | None = None,
    supervision: Supervision | None = None,
) -> tuple[nn.Module, TrainingRecord]:
    """Train a student on what a teacher answers.

    Parameters
    ----------
    student
        A module, of which a copy is trained, or a shape to make one from the teacher.
    data
        Labels are not needed: without them the metric is the agreement with the teacher.
    weights
        `LossWeights()` learns from the teacher's answers alone.

    Returns
    -------
    nn.Module, TrainingRecord
        The student in evaluation mode. A stopped run gives it as it stands.

    Raises
    ------
    InvalidModel, InvalidData, UsageError
        When teacher, student, data and weights don't fit each other.
    """
    weights, settings = weights or LossWeights(), settings or TrainingSettings()
    made = (
        make_student(teacher, student, seed=settings.seed)
        if isinstance(student, StudentShape)
        else copy.deepcopy(student)
    )
    teacher = copy.deepcopy(teacher).eval()
    if weights.attention:
        for one in (teacher, made):
            # The fused kernels compute no attention that could be looked at.
            if hasattr(one, "set_attn_implementation"):
                one.set_attn_implementation("eager")
    objective = Objective(weights, teacher=teacher, has_labels=data.labels is not None)
    # What comes out of attention's dropout is no distribution to compare.
    dropouts = _dropouts(made) if weights.attention else {}
    for one in dropouts:
        one.p = 0.0
    record = train(made, data, objective, settings, supervision or Supervision())
    for one, share in dropouts.items():
        one.p = share
    return made, record


def _dropouts(module: nn.Module) -> dict[nn.Dropout, float]:
    return {one: one.p for one in module.modules() if isinstance(one, nn.Dropout)}
