"""The mobile formats: each one's writer, and its own runtime to load it again."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewise import extras
from edgewise.errors import EdgewiseError, InvalidModel, StorageError
from edgewise.optimize.mobile.compare import Outputs
from edgewise.optimize.mobile.origin import Origin, evaluating, first_line, quiet, tensors_of
from edgewise.runtimes import find_runtime

_MAX_SIGNATURES = 8

Runner = Callable[[Path, Origin], list[Outputs]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """How a format is made and tried."""

    file: str
    write: Callable[[Origin, Path], None]
    run: Runner
    quantized: bool = False


def write_ort(origin: Origin, out: Path) -> None:
    """Save what ONNX Runtime makes of the graph, short of what holds on this CPU alone.

    Source: ONNX Runtime, ORT format. Its last level of optimization lays convolutions out for the
    CPU that saves them.
    """
    import onnxruntime as ort  # noqa: PLC0415 - heavy

    graph = out.with_suffix(".onnx")
    origin.write_onnx(graph)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(out)
    options.add_session_config_entry("session.save_model_format", "ORT")
    with translated(origin, "ONNX Runtime"):
        ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def write_tflite(origin: Origin, out: Path) -> None:
    """Convert a torch module, or an ONNX graph as one; each shape of the examples has a signature.

    Source: litert-torch. Sizes are fixed: it converts few models with one left open.
    """
    module = _module(origin)
    with extras.needed("mobile"), quiet():
        import litert_torch  # noqa: PLC0415 - optional

    shapes = {tuple(value.shape for value in one.values()): one for one in origin.examples}
    if len(shapes) > _MAX_SIGNATURES:
        what = (
            f"the examples have {len(shapes)} shapes, and at most {_MAX_SIGNATURES} become one file"
        )
        hint = "pad the examples to a few lengths"
        raise InvalidModel(what, where=origin.where, hint=hint)
    with translated(origin, "litert-torch"), evaluating(module), quiet():
        first, *others = shapes.values()
        if others:
            made = litert_torch.signature("shape_0", module, sample_kwargs=tensors_of(first))
            for index, one in enumerate(others, 1):
                made.signature(f"shape_{index}", module, sample_kwargs=tensors_of(one))
            converted = made.convert()
        else:
            converted = litert_torch.convert(module, sample_kwargs=tensors_of(first))
        converted.export(str(out))


def write_int8_tflite(origin: Origin, out: Path) -> None:
    """Store the weights of a converted module in 8 bits, and quantize activations as they come.

    Source: ai-edge-quantizer, `dynamic_wi8_afp32`.
    """
    whole = out.with_name("model.tflite")
    if not whole.exists():
        write_tflite(origin, whole)
    with extras.needed("mobile"), quiet():
        from ai_edge_quantizer import quantizer, recipe  # noqa: PLC0415 - optional

    with translated(origin, "ai-edge-quantizer"), quiet():
        made = quantizer.Quantizer(str(whole), recipe.dynamic_wi8_afp32()).quantize()
        out.write_bytes(made.quantized_model)


def write_pte(origin: Origin, out: Path) -> None:
    """Lower a torch module for XNNPACK; sizes that differ stay open between those seen.

    An ONNX graph becomes a module first, and its sizes are fixed.

    Source: ExecuTorch, `to_edge_transform_and_lower`.
    """
    module = _module(origin)
    _check_sizes(origin)
    with extras.needed("mobile"), quiet():
        import torch  # noqa: PLC0415 - optional
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import (  # noqa: PLC0415 - optional
            XnnpackPartitioner,
        )
        from executorch.exir import to_edge_transform_and_lower  # noqa: PLC0415 - optional

    sizes = origin.open_sizes()
    open_sizes = {
        seen: torch.export.Dim(f"size_{index}", min=min(seen), max=max(seen))
        for index, seen in enumerate({s for of_one in sizes.values() for s in of_one.values()})
    }
    dynamic = tuple(
        {axis: open_sizes[seen] for axis, seen in sizes[name].items()} for name in origin.names
    )
    largest = max(origin.examples, key=lambda one: sum(value.size for value in one.values()))
    with translated(origin, "ExecuTorch"), evaluating(module), quiet():
        exported = torch.export.export(
            module,
            tuple(tensors_of(largest).values()),
            dynamic_shapes={"tensors": dynamic} if open_sizes else None,
        )
        lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
        out.write_bytes(lowered.to_executorch().buffer)


def _check_sizes(origin: Origin) -> None:
    """Refuse open sizes of an ONNX graph: its arithmetic of shapes is worked out beforehand."""
    if origin.module is not None or not any(origin.open_sizes().values()):
        return
    what = "sizes of an ONNX graph can't stay open in it, and the examples have several"
    hint = "give examples of one shape, or the torch module"
    raise InvalidModel(what, where=origin.where, hint=hint)


def run_session(runtime: str) -> Runner:
    """Give what runs an artifact through one of our runtimes."""

    def run(path: Path, origin: Origin) -> list[Outputs]:
        session = find_runtime(runtime).load(path)
        try:
            return [tuple(session.run(one).values()) for one in origin.examples]
        finally:
            session.close()

    return run


def run_pte(path: Path, origin: Origin) -> list[Outputs]:
    """Run an artifact through ExecuTorch's own runtime."""
    with extras.needed("mobile"), quiet():
        from executorch.runtime import Runtime  # noqa: PLC0415 - optional

    with translated(origin, "ExecuTorch"), quiet():
        # by its path: of bytes the program (1.5) keeps the address alone, and they may be gone
        method = Runtime.get().load_program(str(path)).load_method("forward")
        found: list[Outputs] = []
        for one in origin.examples:
            outputs = method.execute(list(tensors_of(one).values()))
            found.append(tuple(np.array(value.numpy()) for value in outputs))
        return found


@contextmanager
def translated(origin: Origin, tool: str) -> Iterator[None]:
    """Turn a tool's failure into `InvalidModel` in its name; ours pass through."""
    try:
        yield
    except EdgewiseError:
        raise
    except OSError as failure:
        what = f"can't write: {failure.strerror or failure}"
        raise StorageError(what, where=origin.where, hint="free some space") from failure
    except Exception as wrong:
        what = f"{tool} can't take it: {first_line(wrong)}"
        hint = "leave this format out, or write that part of the model in another way"
        raise InvalidModel(what, where=origin.where, hint=hint) from wrong


def _module(origin: Origin) -> Any:
    """Give the torch module that the source is, or one that carries its graph out."""
    if origin.module is not None:
        return origin.module
    with extras.needed("mobile"), quiet():
        import torch  # noqa: F401, PLC0415 - a missing extra is said before the graph is read
    import onnx  # noqa: PLC0415 - optional

    from edgewise.optimize.mobile.from_onnx import module_of  # noqa: PLC0415 - heavy

    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        path = Path(folder) / "source.onnx"
        origin.write_onnx(path)
        graph = onnx.load(path)
    return module_of(graph, takes=origin.names)
