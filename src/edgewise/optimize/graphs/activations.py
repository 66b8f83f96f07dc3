"""What flows inside a model: chosen tensors of each sample, one sample at a time."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewise import extras
from edgewise.errors import InvalidData, InvalidModel
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx


def observe(
    model: "onnx.ModelProto", names: Sequence[str], samples: Sequence[Tensors]
) -> Iterator[dict[str, NDArray[Any]]]:
    """Give the tensors called `names` for each sample, in order.

    Shapes may differ from sample to sample; nothing of a sample is kept for the next.

    Raises
    ------
    InvalidModel
        When ONNX Runtime can't load the model.
    InvalidData
        When a sample can't be run, or a tensor is not finite.
    """
    with extras.needed("optimize"):
        import onnx  # noqa: PLC0415 - optional
    import onnxruntime as ort  # noqa: PLC0415 - heavy

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    given = {one.name for one in watched.graph.output}
    watched.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in names if name not in given
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        session = ort.InferenceSession(
            watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as broken:
        what = f"ONNX Runtime can't load it: {str(broken).splitlines()[0][:200]}"
        raise InvalidModel(what, where="model", hint="is it a whole ONNX model?") from broken
    takes = [one.name for one in session.get_inputs()]
    for number, sample in enumerate(samples):
        where = f"sample inputs[{number}]"
        absent = [name for name in takes if name not in sample]
        if absent:
            what = f"the model takes `{absent[0]}`, which the sample lacks"
            raise InvalidData(what, where=where, hint="encode samples as the task does")
        try:
            values = session.run(list(names), {name: sample[name] for name in takes})
        except Exception as wrong:
            what = f"the model can't take it: {str(wrong).splitlines()[0][:200]}"
            raise InvalidData(what, where=where, hint="check shapes and types") from wrong
        for name, value in zip(names, values, strict=True):
            if not np.isfinite(value).all():
                what = f"the tensor `{name}` is not finite"
                raise InvalidData(what, where=where, hint="check the model and this sample")
        yield dict(zip(names, values, strict=True))
