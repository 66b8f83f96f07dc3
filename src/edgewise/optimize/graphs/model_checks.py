"""What every pass asks of the model and of the sample inputs it is given."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgewise import extras
from edgewise.errors import InvalidData, InvalidModel
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx

_WHERE = "sample inputs"
_IR_OF_OWN_WEIGHTS = 4


def copy_model(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Give a copy whose nodes all have a name, the same at each call, and no weight is an input.

    Raises
    ------
    InvalidModel
        When a weight is not finite.
    """
    with extras.needed("optimize"):
        import onnx  # noqa: PLC0415 - optional

    found = onnx.ModelProto()
    found.CopyFrom(model)
    close_weights(found)
    for name, values in weights_of(found).items():
        if not np.isfinite(values).all():
            what = f"the weight `{name}` has NaN or infinite values"
            raise InvalidModel(what, where="model", hint="train or export the model again")
    taken = {node.name for node in found.graph.node}
    for index, node in enumerate(found.graph.node):
        if not node.name:
            node.name = f"{node.op_type}_{index}"
            while node.name in taken:
                node.name += "_"
            taken.add(node.name)
    return found


def close_weights(model: "onnx.ModelProto") -> None:
    """Take stored weights out of a model's inputs, where the form before IR version 4 lists them.

    Left there, a weight that a pass drops or replaces would become an input that nobody gives.
    """
    stored = {one.name for one in model.graph.initializer}
    kept = [one for one in model.graph.input if one.name not in stored]
    if len(kept) == len(model.graph.input):
        return
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.ir_version = max(model.ir_version, _IR_OF_OWN_WEIGHTS)


def weights_of(model: "onnx.ModelProto") -> dict[str, NDArray[np.floating]]:
    """Give the float32 weights that are stored in the graph, by name."""
    with extras.needed("optimize"):
        from onnx import TensorProto, numpy_helper  # noqa: PLC0415 - optional

    return {
        one.name: numpy_helper.to_array(one)
        for one in model.graph.initializer
        if one.data_type == TensorProto.FLOAT
    }


def float_tensors(model: "onnx.ModelProto", nodes: Iterable["onnx.NodeProto"]) -> list[str]:
    """Give the computed or given float32 tensors that `nodes` read or write, each once."""
    with extras.needed("optimize"):
        from onnx import TensorProto, shape_inference  # noqa: PLC0415 - optional

    graph = shape_inference.infer_shapes(model).graph
    stored = {one.name for one in graph.initializer}
    floats = {
        one.name
        for one in (*graph.value_info, *graph.input, *graph.output)
        if one.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    touched = dict.fromkeys(name for node in nodes for name in (*node.input, *node.output))
    return [name for name in touched if name in floats and name not in stored]


def check_names(model: "onnx.ModelProto", names: Sequence[str]) -> None:
    """Refuse a name of a node to keep in float that the model does not have.

    Raises
    ------
    InvalidModel
        With the name.
    """
    strange = sorted(set(names) - {node.name for node in model.graph.node})
    if strange:
        what = f"the model has no node `{strange[0]}` to keep in float"
        raise InvalidModel(what, where="keep_float", hint="give names of the model's nodes")


def check_samples(model: "onnx.ModelProto", samples: Sequence[Tensors]) -> None:
    """Refuse sample inputs that the model can't take.

    Raises
    ------
    InvalidData
        When there are none, or one lacks an input or has a wrong type, rank or size.
    """
    with extras.needed("optimize"):
        from onnx import helper  # noqa: PLC0415 - optional

    if not samples:
        raise InvalidData("there are none", where=_WHERE, hint="give at least one")
    stored = {one.name for one in model.graph.initializer}
    for takes in model.graph.input:
        if takes.name in stored:
            continue
        dtype = helper.tensor_dtype_to_np_dtype(takes.type.tensor_type.elem_type)
        sizes = [one.dim_value or None for one in takes.type.tensor_type.shape.dim]
        for number, sample in enumerate(samples):
            _check_one(takes.name, dtype, sizes, number, sample)


def check_loads(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Give the model back when the installed ONNX Runtime can load it.

    Raises
    ------
    InvalidModel
        With what ONNX Runtime says.
    """
    import onnxruntime as ort  # noqa: PLC0415 - heavy

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as broken:
        what = f"ONNX Runtime {ort.__version__} can't run it: {str(broken).splitlines()[0][:200]}"
        hint = "update onnxruntime, or leave this pass out"
        raise InvalidModel(what, where="model", hint=hint) from broken
    return model


def _check_one(
    name: str, dtype: "np.dtype[np.generic]", sizes: list[int | None], number: int, sample: Tensors
) -> None:
    where = f"{_WHERE}[{number}].{name}"
    if name not in sample:
        raise InvalidData("absent", where=where, hint="give every input of the model")
    value = sample[name]
    if value.dtype != dtype:
        what = f"has type {value.dtype}, the model takes {dtype}"
        raise InvalidData(what, where=where, hint="encode it as the task does")
    fits = len(value.shape) == len(sizes) and all(
        size is None or size == got for size, got in zip(sizes, value.shape, strict=True)
    )
    if not fits or 0 in value.shape:
        wanted = ", ".join("any" if size is None else str(size) for size in sizes)
        what = f"has shape {tuple(value.shape)}, the model takes ({wanted})"
        raise InvalidData(what, where=where, hint="encode it as the task does")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise InvalidData("has NaN or infinite values", where=where, hint="clean the data")
