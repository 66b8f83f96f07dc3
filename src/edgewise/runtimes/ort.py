"""ONNX Runtime: the default runtime, and the door to `onnxruntime`.

Its wheels for Linux carry telemetry from 1.32 on, which starts as it is imported; a product that
keeps requests home turns that off first. Every user of `onnxruntime` in here imports this package.
"""

import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewise.errors import InvalidData, InvalidModel
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - written, not read


class OnnxRuntime:
    """Runs ONNX models on the CPU, and ONNX Runtime's own form for small devices."""

    name = "onnxruntime"
    extra = ""
    formats: tuple[str, ...] = (".onnx", ".ort")

    def version(self) -> str:
        """Give the installed version."""
        return version("onnxruntime")

    def load(self, model: Path, *, threads: int = 1) -> "OnnxSession":
        """Load an `.onnx` or `.ort` file with a fixed number of threads that do not spin."""
        import onnxruntime as ort  # noqa: PLC0415 - heavy

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not model.is_file():
            raise InvalidModel("no such model file", where=str(model), hint="check the path")
        try:
            session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as broken:
            what = f"ONNX Runtime can't load it: {_first_line(broken)}"
            raise InvalidModel(what, where=str(model), hint="is it a whole ONNX file?") from broken
        return OnnxSession(session, str(model))


class OnnxSession:
    """A loaded ONNX model. Made by `OnnxRuntime.load`."""

    def __init__(self, session: Any, where: str) -> None:
        self._session = session
        self._where = where
        self.input_names = tuple(one.name for one in session.get_inputs())
        self.input_shapes = tuple(_shape(one.shape) for one in session.get_inputs())
        self.output_names = tuple(one.name for one in session.get_outputs())

    def run(self, inputs: Tensors) -> "dict[str, NDArray[np.generic]]":
        """Give all outputs by name."""
        try:
            feed = {name: inputs[name] for name in self.input_names}
        except KeyError as absent:
            what = f"the model's input {absent} is absent"
            hint = f"it takes: {', '.join(self.input_names)}"
            raise InvalidData(what, where=self._where, hint=hint) from absent
        try:
            outputs = self._session.run(None, feed)
        except Exception as wrong:
            what = f"the model can't take this input: {_first_line(wrong)}"
            raise InvalidData(what, where=self._where, hint="check shapes and types") from wrong
        return dict(zip(self.output_names, outputs, strict=True))

    def close(self) -> None:
        """Free the model."""
        self._session = None


def _shape(dimensions: list[Any]) -> tuple[int | None, ...]:
    return tuple(one if isinstance(one, int) else None for one in dimensions)


def _first_line(failure: Exception) -> str:
    return (str(failure).splitlines() or [type(failure).__name__])[0][:200]
