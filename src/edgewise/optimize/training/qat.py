"""Quantization-aware fine-tuning: weights learn to be rounded before they are.

Every linear layer computes, while it is trained, what ONNX Runtime's dynamic INT8 will compute:
weights signed and symmetric by output channel, activations unsigned over their own range, which
holds 0. Tables of embeddings are unsigned over their own range too. Gradients pass through the
rounding as if it were not there.

Sources: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018; Bengio, Léonard and Courville, "Estimating or Propagating
Gradients Through Stochastic Neurons", 2013 (the straight-through estimator); ONNX, operator
`DynamicQuantizeLinear`.
"""

import copy
from collections.abc import Sequence
from typing import Any

from edgewise import extras
from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.training.loop import train
from edgewise.optimize.training.objective import objective_for
from edgewise.optimize.training.records import (
    Supervision,
    TrainingData,
    TrainingRecord,
    TrainingSettings,
)
from edgewise.optimize.training.rounding import (
    round_activations,
    round_table,
    round_weights,
    steps_of,
)

with extras.needed("torch"):
    from torch import nn
    from torch.nn.utils import parametrize

NAME = "qat"


def train_quantized(
    module: nn.Module,
    data: TrainingData,
    *,
    teacher: nn.Module | None = None,
    keep_float: Sequence[str] = (),
    reduce_range: bool = False,
    settings: TrainingSettings | None = None,
    supervision: Supervision | None = None,
) -> tuple[nn.Module, TrainingRecord]:
    """Train a copy of a module so that it loses little in dynamic INT8.

    Parameters
    ----------
    teacher
        `None` with data without labels takes the module itself, in float.
    keep_float
        Names of layers that will stay in float, as `named_modules` has them.
    reduce_range
        Weights of 7 bits, as the quantizer makes them for a CPU without VNNI.

    Returns
    -------
    nn.Module, TrainingRecord
        A plain float module in evaluation mode, to be exported and quantized; the record's
        metric is that of the rounded one, before and after.

    Raises
    ------
    InvalidModel
        When there is nothing to quantize.
    UsageError
        When `keep_float` names no layer of the module.
    """
    if teacher is None and data.labels is None:
        teacher = module
    objective = objective_for(data, teacher)
    made = copy.deepcopy(module)
    hooks = _round_in_use(made, keep_float, reduce_range=reduce_range)
    record = train(
        made, data, objective, settings or TrainingSettings(), supervision or Supervision()
    )
    for hook in hooks:
        hook.remove()
    for one in made.modules():
        if parametrize.is_parametrized(one, "weight"):
            parametrize.remove_parametrizations(one, "weight", leave_parametrized=False)
    # Order and classes are those of the module given, as if nothing had been rounded.
    plain = copy.deepcopy(module).eval()
    plain.load_state_dict(made.state_dict())
    return plain, record


class _RoundedWeight(nn.Module):  # type: ignore[misc, unused-ignore]
    """Gives a linear layer's weight as 8 bits hold it, a scale for each row."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, weight: Any) -> Any:
        """Round, with the gradient of the identity."""
        return round_weights(weight, 0, self.steps)


class _RoundedTable(nn.Module):  # type: ignore[misc, unused-ignore]
    """Gives a table of embeddings as 8 bits hold it, with one scale."""

    def forward(self, weight: Any) -> Any:
        """Round, with the gradient of the identity."""
        return round_table(weight)


def _round_in_use(module: nn.Module, keep_float: Sequence[str], *, reduce_range: bool) -> list[Any]:
    layers = {
        name: one
        for name, one in module.named_modules()
        if isinstance(one, (nn.Linear, nn.Embedding))
    }
    strange = sorted(set(keep_float) - set(layers))
    if strange:
        hint = f"the layers are: {', '.join(list(layers)[:10])}"
        what = f"`{strange[0]}` is no linear layer or embedding of the module"
        raise UsageError(what, where="keep_float", hint=hint)
    steps = steps_of(reduce_range=reduce_range)
    hooks: list[Any] = []
    chosen = {name: one for name, one in layers.items() if name not in set(keep_float)}
    if not any(isinstance(one, nn.Linear) for one in chosen.values()):
        what = "it has no linear layer to quantize"
        raise InvalidModel(what, where=type(module).__name__, hint="leave this pass out")
    for one in chosen.values():
        if isinstance(one, nn.Embedding):
            parametrize.register_parametrization(one, "weight", _RoundedTable())
            continue
        parametrize.register_parametrization(one, "weight", _RoundedWeight(steps))
        hooks.append(one.register_forward_pre_hook(lambda _, given: (round_activations(given[0]),)))
    return hooks
