"""Dynamic INT8: weights stored in 8 bits by channel, activations quantized as they come.

Source: ONNX Runtime, `quantize_dynamic`. Signed and per channel; the range is reduced by one bit
where the CPU has no VNNI, whose 16-bit sums would saturate.
"""

import contextlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path

from edgewise.errors import InvalidModel

NAME = "int8-dynamic"


def quantize(model: Path, out: Path, *, reduce_range: bool, keep_float: Sequence[str] = ()) -> None:
    """Write the INT8 form of an ONNX file.

    Parameters
    ----------
    keep_float
        Names of nodes that are left as they are.

    Raises
    ------
    InvalidModel
        When the model can't be quantized.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - heavy

    log = logging.getLogger()
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            quantize_dynamic(
                str(model),
                str(out),
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=reduce_range,
                nodes_to_exclude=list(keep_float),
                extra_options={"MatMulConstBOnly": True},
            )
    except OSError:
        raise
    except Exception as broken:
        what = f"can't be quantized: {(str(broken).splitlines() or ['unknown'])[0][:120]}"
        raise InvalidModel(
            what, where=str(model), hint="set optimize.precisions: [float32]"
        ) from broken
    finally:
        log.setLevel(level)
