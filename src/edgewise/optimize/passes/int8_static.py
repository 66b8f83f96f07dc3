"""Static INT8: weights in 8 bits by channel, activation ranges fixed from sample inputs.

Source: ONNX Runtime's QDQ quantizer. Activations are unsigned and asymmetric, weights signed and
symmetric; unsigned weights are never made, since with them a depthwise convolution net gave garbage
without a word. The ranges come from `edgewise.optimize.graphs.ranges`, since the quantizer's own
stack all samples and fail where lengths differ.

In a convolution net the operators between the convolutions are quantized too, so that integers flow
from one to the next. Elsewhere only products with stored weights and embedding tables are: softmax,
normalization and residual sums stay in float.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgewise import extras
from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.batch_norm import fold_batch_norms
from edgewise.optimize.graphs.model_checks import (
    check_names,
    check_samples,
    copy_model,
    float_tensors,
)
from edgewise.optimize.graphs.ranges import Calibrator, Range, measure_ranges
from edgewise.optimize.quiet import quiet
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx

NAME = "int8-static"
_PRODUCTS = ("MatMul", "Gemm", "Conv", "ConvTranspose", "Gather")
_BETWEEN = (
    *("Relu", "Clip", "LeakyRelu", "Sigmoid", "Add", "Mul", "MaxPool", "AveragePool"),
    *("GlobalAveragePool", "Concat", "Resize", "Flatten", "Reshape", "Transpose", "Squeeze"),
)
_FLOAT_OUTPUT = ["MatMul", "Gemm"]
_OPSET_OF_CHANNELS = 13


def quantize_static(
    model: "onnx.ModelProto",
    samples: Sequence[Tensors],
    *,
    calibrator: Calibrator = Calibrator.MINMAX,
    keep_float: Sequence[str] = (),
    reduce_range: bool = False,
) -> "onnx.ModelProto":
    """Give the INT8 form of a model with fixed ranges.

    Parameters
    ----------
    samples
        Inputs as the task encodes them; their lengths may differ.
    calibrator
        How ranges follow from the values seen.
    keep_float
        Names of nodes to leave in float; all of them may be.
    reduce_range
        Store weights in 7 bits; for CPUs without VNNI.

    Raises
    ------
    InvalidModel
        When nothing can be quantized, or the model is broken.
    InvalidData
        When the samples do not fit the model.
    """
    source = copy_model(model)
    check_names(source, keep_float)
    check_samples(source, samples)
    _check_opset(source)
    source = fold_batch_norms(source)
    kinds = _kinds(source)
    kept = {*keep_float, *(node.name for node in source.graph.node if not _fits(source, node))}
    chosen = [one for one in source.graph.node if one.op_type in kinds and one.name not in kept]
    if not any(node.op_type in _PRODUCTS for node in chosen):
        if keep_float:
            return source
        what = "no product or table with a stored weight to quantize"
        raise InvalidModel(what, where="model", hint="leave INT8 out for this model")
    inferred = _infer(source)
    names = float_tensors(source, chosen)
    ranges = measure_ranges(source, names, samples, calibrator)
    return _insert(inferred, ranges, [one.name for one in chosen], reduce_range=reduce_range)


def _insert(
    model: "onnx.ModelProto", ranges: dict[str, Range], chosen: list[str], *, reduce_range: bool
) -> "onnx.ModelProto":
    with extras.needed("optimize"):
        from onnxruntime.quantization import CalibrationMethod, QuantType  # noqa: PLC0415 - heavy
        from onnxruntime.quantization.calibrate import TensorsData  # noqa: PLC0415
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer  # noqa: PLC0415

    data = {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()}
    kinds = sorted({node.op_type for node in model.graph.node if node.name in set(chosen)})
    try:
        with quiet():
            quantizer = QDQQuantizer(
                model,
                per_channel=True,
                reduce_range=reduce_range,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range=TensorsData(CalibrationMethod.MinMax, data),
                nodes_to_quantize=chosen,
                nodes_to_exclude=[],
                op_types_to_quantize=kinds,
                extra_options={
                    "WeightSymmetric": True,
                    "MatMulConstBOnly": True,
                    "OpTypesToExcludeOutputQuantization": _FLOAT_OUTPUT,
                },
            )
            quantizer.quantize_model()
    except Exception as broken:
        what = f"can't be quantized: {(str(broken).splitlines() or ['unknown'])[0][:120]}"
        raise InvalidModel(what, where="model", hint="keep the node it names in float") from broken
    found: onnx.ModelProto = quantizer.model.model
    return found


def _kinds(model: "onnx.ModelProto") -> tuple[str, ...]:
    there = {node.op_type for node in model.graph.node}
    plain = "Conv" in there and "LayerNormalization" not in there
    return (*_PRODUCTS, *_BETWEEN) if plain else _PRODUCTS


def _fits(model: "onnx.ModelProto", node: "onnx.NodeProto") -> bool:
    """Say whether a product reads a stored weight; other operators always fit."""
    if node.op_type not in _PRODUCTS:
        return True
    weight = node.input[0] if node.op_type == "Gather" else node.input[1]
    return any(one.name == weight and one.data_type == 1 for one in model.graph.initializer)


def _infer(model: "onnx.ModelProto") -> "onnx.ModelProto":
    with extras.needed("optimize"):
        from onnx import shape_inference  # noqa: PLC0415 - optional

    return shape_inference.infer_shapes(model)


def _check_opset(model: "onnx.ModelProto") -> None:
    version = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    if version < _OPSET_OF_CHANNELS:
        what = f"opset {version} has no quantization by channel"
        hint = f"export the model with opset {_OPSET_OF_CHANNELS} or later"
        raise InvalidModel(what, where="model", hint=hint)
