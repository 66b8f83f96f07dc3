"""What is exported: a torch module or an ONNX model, with what it answers on the examples."""

import contextlib
import io
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewise import extras
from edgewise.errors import InvalidData, InvalidModel, UsageError
from edgewise.optimize.mobile.compare import Outputs
from edgewise.runtimes import find_runtime, read_manifest
from edgewise.runtimes.protocol import Tensors

_OPSET = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A source ready to be exported. Made by `open_origin`, read by each format's writer."""

    where: str
    examples: tuple[dict[str, NDArray[np.generic]], ...]
    expected: tuple[Outputs, ...]
    """The source's outputs on each example."""
    write_onnx: Callable[[Path], None]
    module: Any = None
    """A torch module that takes the examples by name and gives a tuple; `None` without torch."""

    @property
    def names(self) -> tuple[str, ...]:
        """Give the inputs' names in order."""
        return tuple(self.examples[0])

    def open_sizes(self) -> dict[str, dict[int, tuple[int, ...]]]:
        """Give the axes along which examples differ, with the sizes in the examples' order."""
        found = {}
        for name in self.names:
            shapes = [one[name].shape for one in self.examples]
            axes = {axis: tuple(sizes) for axis, sizes in enumerate(zip(*shapes, strict=True))}
            found[name] = {axis: sizes for axis, sizes in axes.items() if len(set(sizes)) > 1}
        return found


def open_origin(source: Any, examples: Sequence[Tensors], aside: Path) -> Origin:
    """Open a bundle, an ONNX file, an ONNX model or a torch module, and run it on the examples.

    Parameters
    ----------
    aside
        A directory of the caller's for what is in between.

    Raises
    ------
    InvalidData
        When there is no example, or the source can't take one.
    InvalidModel
        When the source can't be loaded, or gives numbers that are not finite.
    UsageError
        When the source is something else.
    """
    plain = _plain(examples)
    if isinstance(source, Path):
        return _of_onnx(_onnx_file(source), plain)
    with extras.needed("optimize"):
        import onnx  # noqa: PLC0415 - optional

    if isinstance(source, onnx.ModelProto):
        path = aside / "source.onnx"
        path.write_bytes(source.SerializeToString())
        return _of_onnx(path, plain)
    torch = sys.modules.get("torch")  # whoever has a module of it has loaded it
    if torch is not None and isinstance(source, torch.nn.Module):
        return _of_torch(source, plain)
    what = f"a {type(source).__name__} can't be exported"
    hint = "give a bundle's or an ONNX file's path, an onnx.ModelProto or a torch.nn.Module"
    raise UsageError(what, where="source", hint=hint)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep a converter's talk from our standard output, and its warnings from our caller."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def first_line(failure: BaseException) -> str:
    """Give a foreign failure's message in one line."""
    lines = (line.strip() for line in str(failure).splitlines())
    return next((line for line in lines if line), type(failure).__name__)[:200]


def tensors_of(example: Tensors) -> "dict[str, Any]":
    """Give an example as torch tensors."""
    with extras.needed("mobile"):
        import torch  # noqa: PLC0415 - optional

    return {name: torch.from_numpy(value) for name, value in example.items()}


def _plain(examples: Sequence[Tensors]) -> tuple[dict[str, NDArray[np.generic]], ...]:
    if not examples:
        hint = "give at least one input as the model takes it"
        raise InvalidData("no example inputs", where="examples", hint=hint)
    names, found = set(examples[0]), []
    for index, example in enumerate(examples):
        if set(example) != names:
            what = (
                f"it names {', '.join(sorted(example))}, and the first {', '.join(sorted(names))}"
            )
            hint = "give each example the same inputs"
            raise InvalidData(what, where=f"examples[{index}]", hint=hint)
        copied = {}
        for name in examples[0]:
            # numpy's `a[None]` has a stride of 0, which torch keeps and ExecuTorch (1.5) refuses
            copied[name] = np.empty(np.shape(example[name]), np.asarray(example[name]).dtype)
            copied[name][...] = example[name]
        found.append(copied)
    for name in names:
        if len({one[name].ndim for one in found}) > 1:
            what = f"`{name}` has another number of axes from example to example"
            raise InvalidData(what, where="examples", hint="give all in the form the model takes")
    return tuple(found)


def _onnx_file(path: Path) -> Path:
    return path / read_manifest(path).model if path.is_dir() else path


def _of_onnx(path: Path, examples: tuple[dict[str, NDArray[np.generic]], ...]) -> Origin:
    if path.suffix != ".onnx":
        what = f"no ONNX model: {path.name}"
        hint = "give an .onnx file, a bundle that holds one, or a torch module"
        raise InvalidModel(what, where=str(path), hint=hint)
    session = find_runtime("onnxruntime").load(path)
    expected = tuple(tuple(session.run(one).values()) for one in examples)
    session.close()
    _expect_finite(expected, str(path))

    def write(out: Path) -> None:
        out.write_bytes(path.read_bytes())

    used = tuple({name: one[name] for name in session.input_names} for one in examples)
    return Origin(where=str(path), examples=used, expected=expected, write_onnx=write)


def _of_torch(module: Any, examples: tuple[dict[str, NDArray[np.generic]], ...]) -> Origin:
    import torch  # noqa: PLC0415 - optional

    where, names = type(module).__name__, tuple(examples[0])

    class Named(torch.nn.Module):  # type: ignore[misc]  # torch is untyped where it is absent
        """Takes tensors in order or by name and gives all outputs as a tuple."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, *tensors: Any, **by_name: Any) -> tuple[Any, ...]:
            by_name = {**dict(zip(names, tensors, strict=False)), **by_name}
            return tuple(_flat(self.inner(**by_name)))

    named = Named()
    try:
        with torch.no_grad(), evaluating(named), quiet():
            expected = tuple(
                tuple(value.detach().cpu().numpy() for value in named(**tensors_of(one)))
                for one in examples
            )
    except Exception as wrong:
        what = f"the module can't take the examples: {first_line(wrong)}"
        hint = "name each input as `forward` does, and give it in its type and shape"
        raise InvalidData(what, where=where, hint=hint) from wrong
    _expect_finite(expected, where)
    origin = Origin(
        where=where,
        examples=examples,
        expected=expected,
        module=named,
        write_onnx=lambda out: _export_onnx(origin, out),
    )
    return origin


@contextlib.contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Put a module and all within it into the mode of answering, and afterwards back."""
    before = [(one, one.training) for one in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for one, training in before:
            one.training = training


def _export_onnx(origin: Origin, out: Path) -> None:
    """By the tracing exporter: for a small encoder it took 6 s where the newer one took 60."""
    import torch  # noqa: PLC0415 - optional

    axes = {
        name: {axis: f"size_{'_'.join(map(str, sizes))}" for axis, sizes in of_one.items()}
        for name, of_one in origin.open_sizes().items()
    }
    try:
        with evaluating(origin.module), quiet():
            torch.onnx.export(
                origin.module,
                tuple(tensors_of(origin.examples[0]).values()),
                str(out),
                input_names=list(origin.names),
                output_names=[f"output_{i}" for i in range(len(origin.expected[0]))],
                dynamic_axes=axes,
                opset_version=_OPSET,
                dynamo=False,
            )
    except Exception as wrong:
        what = f"torch can't export it to ONNX: {first_line(wrong)}"
        hint = "write that part of the module with operators that ONNX has"
        raise InvalidModel(what, where=origin.where, hint=hint) from wrong


def _flat(output: Any) -> Iterator[Any]:
    if hasattr(output, "detach"):
        yield output
    elif isinstance(output, dict):
        yield from _flat(list(output.values()))
    elif isinstance(output, list | tuple):
        for one in output:
            yield from _flat(one)
    elif output is not None:
        raise TypeError(f"an output is a {type(output).__name__} and no tensor")


def _expect_finite(outputs: Sequence[Outputs], where: str) -> None:
    for index, one in enumerate(outputs):
        if not all(np.isfinite(np.asarray(value, dtype=np.float64)).all() for value in one):
            what = f"it gives numbers that are not finite on example {index}"
            raise InvalidModel(what, where=where, hint="check the model, and that example")
