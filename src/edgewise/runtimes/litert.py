"""LiteRT: runs `.tflite` models, and the door to `ai_edge_litert`."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
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


class LiteRt:
    """Runs LiteRT models on the CPU, through XNNPACK where it has the operator."""

    name = "litert"
    extra = "litert"
    formats: tuple[str, ...] = (".tflite",)

    def version(self) -> str:
        """Give the installed version."""
        with extras.needed(self.extra):
            return version("ai-edge-litert")

    def load(self, model: Path, *, threads: int = 1) -> "LiteRtSession":
        """Load a model with a fixed number of threads.

        Of a model with many signatures, as those converted for some lengths have, each call takes
        the first that its shapes fit.
        """
        with extras.needed(self.extra):
            from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - optional

        if not model.is_file():
            raise InvalidModel("no such model file", where=str(model), hint="check the path")
        try:
            interpreter = Interpreter(model_path=str(model), num_threads=threads)
            names = tuple(interpreter.get_signature_list())
            found = [_signature(interpreter.get_signature_runner(name)) for name in names]
        except Exception as broken:
            what = f"LiteRT can't load it: {_first_line(broken)}"
            raise InvalidModel(what, where=str(model), hint="is it a whole .tflite?") from broken
        if not found:
            hint = "convert it again: converters name the inputs in a signature"
            raise InvalidModel("it has no signature", where=str(model), hint=hint)
        for one in found[1:]:
            if one.names != found[0].names or one.outputs != found[0].outputs:
                hint = "give a model whose signatures differ in shapes only"
                what = "its signatures take different inputs or give different outputs"
                raise InvalidModel(what, where=str(model), hint=hint)
        return LiteRtSession(tuple(found), str(model))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One way to call a model. Made by `LiteRt.load`, held by its session."""

    ports: tuple[Port, ...]
    outputs: tuple[str, ...]
    call: Any
    """LiteRT's runner: it resizes what is open, and copies inputs and outputs."""

    @property
    def names(self) -> tuple[str, ...]:
        """Give the inputs' names in order."""
        return tuple(port.name for port in self.ports)


class LiteRtSession:
    """A loaded model. Made by `LiteRt.load`. The interpreter serves one call; others wait."""

    def __init__(self, signatures: tuple[Signature, ...], where: str) -> None:
        self._signatures = signatures
        self._where = where
        self._one_call = threading.Lock()
        self.input_names = signatures[0].names
        shapes = zip(*([port.shape or () for port in one.ports] for one in signatures), strict=True)
        self.input_shapes = tuple(_merged(of_one) for of_one in shapes)
        self.output_names = signatures[0].outputs

    def run(self, inputs: Tensors) -> "dict[str, NDArray[np.generic]]":
        """Give all outputs by name."""
        signature, given = self._choose(inputs)
        try:
            with self._one_call:
                found = signature.call(**given)
        except Exception as wrong:
            what = f"the model can't take this input: {_first_line(wrong)}"
            raise InvalidData(what, where=self._where, hint="check shapes and types") from wrong
        return {name: found[name] for name in self.output_names}

    def close(self) -> None:
        """Free the model."""
        self._signatures = ()

    def _choose(self, inputs: Tensors) -> "tuple[Signature, Mapping[str, NDArray[np.generic]]]":
        refused = None
        for signature in self._signatures:
            try:
                return signature, feed(inputs, signature.ports, self._where)
            except InvalidData as why:
                refused = refused or why
        assert refused is not None
        raise refused


def _signature(runner: Any) -> Signature:
    ports = tuple(
        Port(
            name=name,
            shape=tuple(None if size < 0 else int(size) for size in told["shape_signature"]),
            dtype=np.dtype(told["dtype"]),
        )
        for name, told in sorted(runner.get_input_details().items(), key=_index)
    )
    outputs = tuple(sorted(runner.get_output_details(), key=_natural))
    return Signature(ports=ports, outputs=outputs, call=runner)


def _index(item: tuple[str, Any]) -> int:
    return int(item[1]["index"])


def _natural(name: str) -> tuple[str, int]:
    """Sort `output_10` behind `output_9`: a signature's own order is the alphabet's."""
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0)


def _merged(shapes: tuple[tuple[int | None, ...], ...]) -> tuple[int | None, ...]:
    if len({len(shape) for shape in shapes}) > 1:
        return ()
    return tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True))


def _first_line(failure: Exception) -> str:
    return (str(failure).splitlines() or [type(failure).__name__])[0][:200]
