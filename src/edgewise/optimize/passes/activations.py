"""What flows through a model on sample inputs."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgewise.errors import InvalidData
from edgewise.optimize.passes.wiring import Array, Wiring
from edgewise.runtimes.protocol import Tensors


def watch(
    model: onnx.ModelProto,
    names: Sequence[str],
    samples: Sequence[Tensors],
    see: Callable[[dict[str, Array]], None],
) -> None:
    """Run the samples one by one and show the tensors of those names.

    Raises
    ------
    InvalidData
        When a sample does not fit the model.
    """
    import onnxruntime as ort  # noqa: PLC0415 - heavy

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    cut = Wiring(model).finish(ends)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(
        cut.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    takes = [value.name for value in session.get_inputs()]
    for index, sample in enumerate(samples):
        try:
            found = session.run(list(names), {name: sample[name] for name in takes})
        except KeyError as absent:
            what = f"the model takes {absent}, which the sample lacks"
            raise InvalidData(
                what, where=f"sample {index}", hint="encode samples as the task does"
            ) from absent
        except Exception as broken:
            reason = (str(broken).splitlines() or ["unknown"])[0][:160]
            raise InvalidData(
                f"does not fit the model: {reason}",
                where=f"sample {index}",
                hint="encode samples as the task does",
            ) from broken
        see(dict(zip(names, found, strict=True)))


def second_moments(
    model: onnx.ModelProto, axes: dict[str, int], samples: Sequence[Tensors]
) -> dict[str, Array]:
    """Give the mean square along one axis of each named tensor."""
    totals = {name: np.zeros(0) for name in axes}
    counts = dict.fromkeys(axes, 0)

    def see(found: dict[str, Array]) -> None:
        for name, value in found.items():
            rows = np.moveaxis(value, axes[name], -1).reshape(-1, value.shape[axes[name]])
            squares = np.square(rows, dtype=np.float64).sum(axis=0)
            totals[name] = squares if counts[name] == 0 else totals[name] + squares
            counts[name] += len(rows)

    watch(model, list(axes), samples, see)
    return {name: total / max(counts[name], 1) for name, total in totals.items()}
