"""How large what flows through a model is, on sample inputs."""

from collections.abc import Sequence

import numpy as np
import onnx

from edgewise.optimize.graphs.activations import observe
from edgewise.optimize.graphs.wiring import Array
from edgewise.runtimes.protocol import Tensors


def second_moments(
    model: onnx.ModelProto, axes: dict[str, int], samples: Sequence[Tensors]
) -> dict[str, Array]:
    """Give the mean square along one axis of each named tensor."""
    totals = {name: np.zeros(0) for name in axes}
    counts = dict.fromkeys(axes, 0)
    for found in observe(model, list(axes), samples):
        for name, value in found.items():
            rows = np.moveaxis(value, axes[name], -1).reshape(-1, value.shape[axes[name]])
            squares = np.square(rows, dtype=np.float64).sum(axis=0)
            totals[name] = squares if counts[name] == 0 else totals[name] + squares
            counts[name] += len(rows)
    return {name: total / max(counts[name], 1) for name, total in totals.items()}
