"""What a model in memory gives for sample inputs, and how near two models' outputs are."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgewise.runtimes import find_runtime
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx


def outputs_of(
    model: "onnx.ModelProto", samples: Sequence[Tensors], output: str
) -> list[NDArray[np.float64]]:
    """Give one output for each sample, run by itself."""
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        session = find_runtime("onnxruntime").load(path)
        found = [np.asarray(session.run(one)[output], dtype=np.float64) for one in samples]
        session.close()
    return found


def mean_cosine(
    model: "onnx.ModelProto", reference: "onnx.ModelProto", samples: Sequence[Tensors]
) -> float:
    """Give the mean cosine of two models' first outputs, a row a sample's batch entry."""
    output = reference.graph.output[0].name
    pairs = zip(
        outputs_of(model, samples, output), outputs_of(reference, samples, output), strict=True
    )
    rows = [
        float((a * b).sum() / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))
        for one, other in pairs
        for a, b in zip(one.reshape(len(one), -1), other.reshape(len(other), -1), strict=True)
    ]
    return float(np.mean(rows))
