"""What 8 bits make of a tensor, with the gradient of the identity.

Source: Bengio, Léonard and Courville, "Estimating or Propagating Gradients Through Stochastic
Neurons", 2013 (the straight-through estimator); ONNX, operator `DynamicQuantizeLinear`.
"""

from typing import Any

from edgewise import extras

with extras.needed("torch"):
    import torch


def steps_of(*, reduce_range: bool) -> int:
    """Give the steps from 0 to the largest weight, as ONNX Runtime's quantizer has them."""
    return 64 if reduce_range else 127


def round_weights(weight: Any, axis: int, steps: int) -> Any:
    """Round a weight as signed 8 bits hold it, a scale for each slice of an axis."""
    fixed = weight.detach()
    others = [one for one in range(fixed.ndim) if one != axis % fixed.ndim]
    scale = fixed.abs().amax(dim=others, keepdim=True) / steps
    scale = scale.clamp_min(torch.finfo(fixed.dtype).tiny)
    rounded = (fixed / scale).round().clamp(-steps, steps) * scale
    return weight + (rounded - fixed)


def round_table(table: Any) -> Any:
    """Round a table of embeddings as unsigned 8 bits hold it, with one scale."""
    return round_activations(table.unsqueeze(0)).squeeze(0)


def round_activations(values: Any) -> Any:
    """Round each example's values as `DynamicQuantizeLinear` does."""
    fixed = values.detach()
    flat = fixed.reshape(len(fixed), -1)
    shape = (len(fixed),) + (1,) * (fixed.ndim - 1)
    least = flat.amin(dim=1).clamp_max(0.0).reshape(shape)
    most = flat.amax(dim=1).clamp_min(0.0).reshape(shape)
    scale = ((most - least) / 255).clamp_min(torch.finfo(fixed.dtype).tiny)
    zero = (-least / scale).round().clamp(0, 255)
    rounded = ((fixed / scale).round() + zero).clamp(0, 255) - zero
    return values + (rounded * scale - fixed)
