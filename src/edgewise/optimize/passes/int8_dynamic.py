"""Dynamic INT8: weights stored in 8 bits by channel, activations quantized as they come.

Source: ONNX Runtime, `quantize_dynamic`. Signed and per channel; the range is reduced by one bit
where the CPU has no VNNI, whose 16-bit sums would saturate. A table that a `Gather` reads (the word
embeddings) gets 8 bits for the whole table: on MiniLM a float table moves the answer by 1e-4 only.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgewise import extras
from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.model_checks import check_names, copy_model
from edgewise.optimize.quiet import quiet

if TYPE_CHECKING:
    import onnx

NAME = "int8-dynamic"
_OF_GEMM = "_MatMul"
"""The quantizer parts each Gemm first, and calls its product so (ONNX Runtime 1.32)."""


def quantize(
    model: "onnx.ModelProto", *, reduce_range: bool, keep_float: Sequence[str] = ()
) -> "onnx.ModelProto":
    """Give the INT8 form of a model.

    Parameters
    ----------
    reduce_range
        Store weights in 7 bits; for CPUs without VNNI.
    keep_float
        Names of nodes to leave as they are; all of them may be.

    Raises
    ------
    InvalidModel
        When nothing in the model can be quantized, or the model is broken.
    """
    with extras.needed("optimize"):
        import onnx  # noqa: PLC0415 - optional
        from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - heavy

    source = copy_model(model)
    check_names(source, keep_float)
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder, quiet():
        path = Path(folder) / "int8.onnx"
        try:
            quantize_dynamic(
                source,
                str(path),
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=reduce_range,
                nodes_to_exclude=[*keep_float, *(f"{name}{_OF_GEMM}" for name in keep_float)],
                extra_options={
                    "MatMulConstBOnly": True,
                    # types behind fused operators can't be inferred
                    "DefaultTensorType": onnx.TensorProto.FLOAT,
                },
            )
            found = onnx.load(path)
        except OSError:
            raise
        except Exception as broken:
            what = f"can't be quantized: {(str(broken).splitlines() or ['unknown'])[0][:120]}"
            raise InvalidModel(
                what, where="model", hint="leave INT8 out for this model"
            ) from broken
    narrow = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
    if not keep_float and not any(one.data_type in narrow for one in found.graph.initializer):
        what = "no product or table with a stored weight to quantize"
        raise InvalidModel(what, where="model", hint="leave INT8 out for this model")
    return found
