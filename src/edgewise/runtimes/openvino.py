"""OpenVINO: runs the ONNX model of the same bundle, and the door to `openvino`."""

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewise import extras
from edgewise.errors import InvalidData, InvalidModel
from edgewise.runtimes.feed import Port, feed
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray


class OpenVino:
    """Runs ONNX models and OpenVINO's own form on the CPU."""

    name = "openvino"
    extra = "openvino"
    formats: tuple[str, ...] = (".onnx", ".xml")

    def version(self) -> str:
        """Give the installed version."""
        with extras.needed(self.extra):
            return version("openvino")

    def load(self, model: Path, *, threads: int = 1) -> "OpenVinoSession":
        """Load a model, set to answer one call soon rather than many in the end.

        Sizes that the model leaves open stay open: a call of another length compiles nothing.
        Arithmetic is in 32 bits everywhere, so that a CPU with bfloat16 gives the answers that the
        fidelity gate saw. Nothing is sent anywhere.
        """
        with extras.needed(self.extra), _no_telemetry():
            import openvino as ov  # noqa: PLC0415 - optional
            from openvino.frontend import FrontEndManager  # noqa: PLC0415 - optional

        if not model.is_file():
            raise InvalidModel("no such model file", where=str(model), hint="check the path")
        core = ov.Core()
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            if model.suffix == ".xml":
                graph = core.read_model(str(model))
            else:  # `read_model` tries every front end on a broken file, and each complains
                reader = FrontEndManager().load_by_framework("onnx")
                graph = reader.convert(reader.load(str(model)))
            if not graph.outputs:  # what an empty file becomes
                raise InvalidModel("it has no outputs", where=str(model), hint=_WHOLE)
            compiled = core.compile_model(graph, "CPU", settings)
        except InvalidModel:
            raise
        except Exception as broken:
            what = f"OpenVINO can't load it: {_reason(broken)}"
            raise InvalidModel(what, where=str(model), hint=_WHOLE) from broken
        return OpenVinoSession(compiled, str(model))


class OpenVinoSession:
    """A compiled model. Made by `OpenVino.load`.

    A request of OpenVINO serves one call at a time and remembers its inputs: each call takes an
    idle one or makes one, and gives all inputs.
    """

    def __init__(self, compiled: Any, where: str) -> None:
        self._compiled = compiled
        self._where = where
        self._idle: deque[Any] = deque()
        self._ports = [_port(one) for one in compiled.inputs]
        self.input_names = tuple(port.name for port in self._ports)
        self.input_shapes = tuple(port.shape or () for port in self._ports)
        self.output_names = tuple(one.any_name for one in compiled.outputs)

    def run(self, inputs: Tensors) -> "dict[str, NDArray[np.generic]]":
        """Give all outputs by name."""
        given = feed(inputs, self._ports, self._where)
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            found = request.infer(list(given.values()))
        except Exception as wrong:
            what = f"the model can't take this input: {_reason(wrong)}"
            raise InvalidData(what, where=self._where, hint="check shapes and types") from wrong
        outputs = [np.array(found[index]) for index in range(len(self.output_names))]
        self._idle.append(request)
        return dict(zip(self.output_names, outputs, strict=True))

    def close(self) -> None:
        """Free the model."""
        self._idle.clear()
        self._compiled = None


_WHOLE = "is it a whole model, of operators that OpenVINO knows?"


@contextmanager
def _no_telemetry() -> Iterator[None]:
    """Hide OpenVINO's telemetry from its import, which sends an event (2026.4); it has a stub."""
    name = "openvino_telemetry"
    modules: dict[str, Any] = sys.modules
    before = modules.get(name)
    modules[name] = None
    try:
        yield
    finally:
        if before is None:
            del modules[name]
        else:
            modules[name] = before


def _port(one: Any) -> Port:
    partial = one.get_partial_shape()
    shape = None
    if partial.rank.is_static:
        shape = tuple(None if size.is_dynamic else size.get_length() for size in partial)
    return Port(name=one.any_name, shape=shape, dtype=one.get_element_type().to_dtype())


def _reason(failure: Exception) -> str:
    """OpenVINO says first where in its source it failed, and the reason last."""
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    told = [line for line in lines if " failed at " not in line and "Exception from" not in line]
    return ((told or lines)[-1:] or [type(failure).__name__])[0][:200]
