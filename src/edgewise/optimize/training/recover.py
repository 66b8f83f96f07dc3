"""Recovery: a pruned module, or any other that lost quality, is trained for a while.

Source: Han et al., "Learning both Weights and Connections for Efficient Neural Networks", 2015,
where pruning is followed by retraining of what is left.
"""

import copy
from typing import Any

from edgewise import extras
from edgewise.optimize.training.loop import train
from edgewise.optimize.training.objective import objective_for
from edgewise.optimize.training.records import (
    Supervision,
    TrainingData,
    TrainingRecord,
    TrainingSettings,
)

with extras.needed("torch"):
    from torch import nn

NAME = "recover"


def recover(
    module: nn.Module,
    data: TrainingData,
    *,
    teacher: nn.Module | None = None,
    keep_zeros: bool = False,
    settings: TrainingSettings | None = None,
    supervision: Supervision | None = None,
) -> tuple[nn.Module, TrainingRecord]:
    """Train a copy of a module on labels, on a teacher's answers, or on both alike.

    Parameters
    ----------
    teacher
        The module before it was pruned, say; needed where the data has no labels.
    keep_zeros
        Weights of matrices and kernels that are 0 stay 0: what unstructured pruning left out
        doesn't grow back.

    Returns
    -------
    nn.Module, TrainingRecord
        The copy in evaluation mode.
    """
    made = copy.deepcopy(module)
    objective = objective_for(data, teacher)
    hooks = hold_zeros(made) if keep_zeros else []
    record = train(
        made, data, objective, settings or TrainingSettings(), supervision or Supervision()
    )
    for hook in hooks:
        hook.remove()
    return made, record


def hold_zeros(module: nn.Module) -> list[Any]:
    """Keep the gradient from what is 0; weight decay and moments of 0 are 0 too.

    Returns
    -------
    list
        Hooks to remove when training is over.
    """
    hooks = []
    for one in module.parameters():
        if one.requires_grad and one.ndim > 1:
            kept = (one.detach() != 0).to(one.dtype)
            hooks.append(one.register_hook(lambda gradient, kept=kept: gradient * kept))
    return hooks
