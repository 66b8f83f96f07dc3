"""A torch module becomes ONNX and then an `OnnxSource`: modules, TorchScript, exported programs.

Torch's older exporter (by tracing) is tried first: it is ten times as fast as the one by
`torch.export`, which is tried where it fails. What comes out is held against the module itself,
at another batch size and length too, before it counts as made.
"""

import contextlib
import copy
import importlib
import inspect
import io
import os
import re
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgewise import extras
from edgewise.errors import EdgewiseError, InvalidModel
from edgewise.optimize.sources.onnx_file import OnnxSource
from edgewise.runtimes import find_runtime
from edgewise.runtimes.protocol import Tensors

with extras.needed("torch"):
    import torch
    from torch import nn

OPSET = 17
TOLERANCE = 1e-4
"""Of the largest value that the module gives, or of 1."""
EXPORTER_KEY = "edgewise.exporter"
"""In the model's metadata: `older` or `torch.export`, by what it was written."""
TEXT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_GIVES = ("logits", "last_hidden_state")
_OUTPUT = "output"


def open_module(
    module: nn.Module,
    labels: tuple[str, ...],
    example: Tensors,
    *,
    folder: Path | None = None,
    max_length: int | None = None,
) -> OnnxSource:
    """Make a source of a module.

    Parameters
    ----------
    labels
        Those that the data has, which tell a classifier's output from an encoder's.
    example
        Inputs of a batch of at least one, in the order that the module takes them, or by the
        names of its parameters.
    folder
        Where the tokenizer is, for text.

    Raises
    ------
    InvalidModel
        When it can't be converted, by the operator or layer that can't; or when the ONNX form
        gives other answers than the module.
    """
    model = export_module(module, example)
    with tempfile.TemporaryDirectory(prefix="edgewise-") as name:
        path = Path(name) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        source = OnnxSource(path, labels)
    source.folder = folder or Path()
    if max_length is not None:
        source.max_length = max_length
    return source


def open_torch_file(
    path: Path, labels: tuple[str, ...], example: Tensors | None = None
) -> OnnxSource:
    """Make a source of a TorchScript file (`.pt`) or an `ExportedProgram` (`.pt2`).

    Loading a TorchScript file or an exported program means running what is in it: open only files
    from people you trust, and name the file yourself. Nothing is unpickled: a file that holds
    pickled objects is refused.

    Parameters
    ----------
    example
        An exported program's own stands before it. `None` takes ids where the inputs are called as
        a text model's.

    Raises
    ------
    InvalidModel
        When the file is neither, or can't be converted, or no example can be made up for it.
    """
    module, own = load_torch_file(path)
    found = own or example if path.suffix == ".pt2" else example or own
    if found is None:
        names = ", ".join(_taken(module)) or "unnamed inputs"
        what = f"it says nothing of the shape of its inputs: {names}"
        raise InvalidModel(what, where=str(path), hint="give an example input")
    return open_module(module, labels, found, folder=path.parent)


def load_torch_file(path: Path) -> tuple[nn.Module, Tensors | None]:
    """Load a TorchScript file or an exported program, which runs what is in it.

    Returns
    -------
    module
        Its inputs are those of the example, where there is one, in that order.
    example
        A program's own; ids where a script's inputs are called as a text model's; else `None`.

    Raises
    ------
    InvalidModel
        When the file is neither.
    """
    return _load_program(path) if path.suffix == ".pt2" else _load_script(path)


def load_factory(name: str) -> nn.Module:
    """Call `package.module:factory`, which runs its code, and give the module it makes.

    Raises
    ------
    InvalidModel
        When there is no such callable, or it makes something else.
    """
    module_name, _, attribute = name.partition(":")
    try:
        made = getattr(importlib.import_module(module_name), attribute)()
    except (ImportError, AttributeError, TypeError, ValueError) as broken:
        what = f"can't be called: {broken}"
        hint = "give `package.module:factory`, importable and without parameters"
        raise InvalidModel(what, where=name, hint=hint) from broken
    if not isinstance(made, nn.Module):
        what = f"it makes a `{type(made).__name__}`"
        raise InvalidModel(what, where=name, hint="let it give an nn.Module")
    return made


def export_module(module: nn.Module, example: Tensors) -> onnx.ModelProto:
    """Write a module as ONNX, its batch and, of ids, its length left open.

    Raises
    ------
    InvalidModel
        As `open_module` does.
    """
    where = type(module).__name__
    plain = _Plain(module, example)
    tensors = [torch.from_numpy(np.array(value)) for value in example.values()]
    wanted = [_run(plain, tensors, where)]
    given = [tensors]
    changed = _changed(tensors)
    given.append(changed)
    wanted.append(_run(plain, changed, where))
    axes: dict[str, dict[int, str]] = {name: {} for name in example}
    for axis, label in ((0, "batch"), (1, "sequence")):
        other = _resized(tensors, axis)
        try:
            found = _run(plain, other, where) if other else None
        except InvalidModel:
            # Not an error: the module has this size fixed.
            continue
        if found is not None:
            given.append(other)
            wanted.append(found)
            for name, tensor in zip(example, tensors, strict=True):
                if axis == 0 or _is_ids(tensor):
                    axes[name][axis] = label
    axes[_OUTPUT] = _open_axes(wanted, {axis for one in axes.values() for axis in one})
    reasons = []
    for exporter in ("older", "torch.export"):
        try:
            model = _export(plain, tensors, list(example), axes, exporter)
            _compare(model, list(example), given, wanted)
        except InvalidModel as failure:
            reasons.append((exporter, failure))
            continue
        entry = model.metadata_props.add()
        entry.key, entry.value = EXPORTER_KEY, exporter
        return model
    first = reasons[0][1]
    what = "; ".join(f"by the exporter `{name}`: {failure.what}" for name, failure in reasons)
    if "the operator `" in first.what:
        what = first.what
    raise InvalidModel(what, where=where, hint=first.hint) from first


def guess_example(module: nn.Module) -> Tensors | None:
    """Give ids to a module whose inputs are called as a text model's; `None` to any other."""
    names = _taken(module)
    if not set(names) <= set(TEXT_INPUTS) or not names:
        return None
    return {name: np.ones((2, 5), np.int64) for name in names}


class _Plain(nn.Module):  # type: ignore[misc, unused-ignore]
    """A module that takes its inputs by position and gives one tensor."""

    def __init__(self, module: nn.Module, example: Mapping[str, Any]) -> None:
        super().__init__()
        self.is_script = isinstance(module, torch.jit.ScriptModule)
        keep = self.is_script or isinstance(module, _Program)
        self.module = module if keep else copy.deepcopy(module)
        if hasattr(self.module, "set_attn_implementation"):
            # The fused kernels' masks are made by code that tracing can't follow.
            self.module.set_attn_implementation("eager")
        taken = _taken(module)
        self.names = tuple(example) if set(example) <= set(taken) else ()
        self.eval()

    def forward(self, *values: Any) -> Any:
        """Give the logits, the last hidden state, or the first tensor."""
        named = dict(zip(self.names, values, strict=True)) if self.names else {}
        found = self.module(**named) if named else self.module(*values)
        for name in _GIVES:
            if getattr(found, name, None) is not None:
                return getattr(found, name)
        if isinstance(found, Mapping):
            found = tuple(found.values())
        return found[0] if isinstance(found, (tuple, list)) else found


class _Program(nn.Module):  # type: ignore[misc, unused-ignore]
    """An exported program that takes its inputs by position, those by name last."""

    def __init__(self, program: Any, named: tuple[str, ...]) -> None:
        super().__init__()
        self.program, self.named = program, named

    def forward(self, *values: Any) -> Any:
        """Run the program."""
        count = len(values) - len(self.named)
        named = dict(zip(self.named, values[count:], strict=True))
        return self.program(*values[:count], **named)

    def train(self, mode: bool = True) -> "_Program":  # noqa: ARG002, FBT001, FBT002 - as in torch
        """Leave the mode: a program has none, and refuses to be asked."""
        return self


def _taken(module: nn.Module) -> tuple[str, ...]:
    if isinstance(module, torch.jit.ScriptModule):
        return tuple(one.name for one in module.forward.schema.arguments[1:])
    return tuple(inspect.signature(module.forward).parameters)


def _run(plain: _Plain, tensors: Sequence[Any], where: str) -> NDArray[Any]:
    """Run the module; the layer that fails is named."""
    running: list[str] = []
    hooks = []
    if not plain.is_script:
        for name, one in plain.module.named_modules():
            hooks += [
                one.register_forward_pre_hook(lambda *_, name=name: running.append(name)),
                one.register_forward_hook(lambda *_: _leave(running)),
            ]
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = plain(*tensors)
    except Exception as broken:
        layer = f" in the layer `{running[-1]}`" if running and running[-1] else ""
        what = f"it can't run on the example{layer}: {_first_line(broken)}"
        hint = "give an example that the module takes"
        raise InvalidModel(what, where=where, hint=hint) from broken
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(found, torch.Tensor):
        what = f"its output is a `{type(found).__name__}`"
        raise InvalidModel(what, where=where, hint="give a module whose first output is a tensor")
    values: NDArray[Any] = found.numpy()
    if not np.isfinite(values).all():
        raise InvalidModel("its output is not finite", where=where, hint="check its weights")
    return values


def _leave(running: list[str]) -> None:
    running.pop()


def _is_ids(tensor: Any) -> bool:
    return tensor.ndim == 2 and not tensor.is_floating_point()


def _changed(tensors: Sequence[Any]) -> list[Any]:
    """Give inputs of the same shape that tell one input from another, ids within their range."""
    found = [one.clone() for one in tensors]
    for place, one in enumerate(found):
        if one.is_floating_point():
            one.copy_(one.flip(-1) * 0.5)
        elif one.numel() > 1:
            one.view(-1)[-1 - place % one.numel()] = 0
    return found


def _resized(tensors: Sequence[Any], axis: int) -> list[Any]:
    """Give inputs that are one longer along an axis; none where no input has that axis open."""
    if axis == 1 and not any(_is_ids(one) for one in tensors):
        return []
    return [
        torch.cat([one, one.narrow(axis, 0, 1)], dim=axis) if axis == 0 or _is_ids(one) else one
        for one in tensors
    ]


def _open_axes(wanted: Sequence[NDArray[Any]], opened: set[int]) -> dict[int, str]:
    """Say which sizes of the output follow those of the inputs."""
    names = {0: "batch"} if 0 in opened else {}
    if 1 in opened and wanted[0].shape[1:2] != wanted[-1].shape[1:2]:
        names[1] = "sequence"
    return names


def _export(
    plain: _Plain,
    tensors: Sequence[Any],
    names: list[str],
    axes: Mapping[str, Mapping[int, str]],
    exporter: str,
) -> onnx.ModelProto:
    where = type(plain.module).__name__
    how: dict[str, Any] = {"dynamic_axes": axes, "opset_version": OPSET}
    if exporter == "torch.export":
        sizes = {label: torch.export.Dim.AUTO for one in axes.values() for label in one.values()}
        shapes = tuple({axis: sizes[label] for axis, label in axes[name].items()} for name in names)
        how = {"dynamic_shapes": (shapes,), "verbose": False, "external_data": False}
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        path, said = Path(folder) / "model.onnx", Path(folder) / "said.txt"
        try:
            with torch.no_grad(), warnings.catch_warnings(), _output_to(said):
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    # A script is no part of a trace: it is exported as it is.
                    plain.module if plain.is_script else plain,
                    tuple(tensors),
                    str(path),
                    input_names=names,
                    output_names=[_OUTPUT],
                    dynamo=exporter == "torch.export",
                    **how,
                )
            return onnx.load(str(path))
        except Exception as broken:
            what, hint = _reason(broken, said.read_text(encoding="utf-8", errors="replace"))
            raise InvalidModel(what, where=where, hint=hint) from broken


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send what is printed to a file: the exporters write to the process's own standard output."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with path.open("wb") as file:
            os.dup2(file.fileno(), 1)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _reason(broken: Exception, said: str) -> tuple[str, str]:
    """Name the operator that an exporter does not know, and the layer it stands in."""
    text = str(broken)
    found = re.search(r"['\"`]?(\w+::\w+)['\"`]?", text)
    if found is None:
        return f"can't be exported: {_first_line(broken)}", "export it to ONNX, and give that file"
    operator = found[1]
    scope = re.search(rf"{re.escape(operator)}\(.*?scope: (\S+)", said)
    place = ""
    if scope:
        parts = [one.rpartition("::")[2] for one in scope[1].rstrip(",").split("/")]
        inside = (parts[-1] if parts else "").removeprefix("module").strip(".")
        place = f" in the layer `{inside}`" if inside else ""
    what = f"the operator `{operator}`{place} has no ONNX form"
    return what, "replace it by operations that ONNX has, or leave that part out of the module"


def _compare(
    model: onnx.ModelProto,
    names: Sequence[str],
    given: Sequence[Sequence[Any]],
    wanted: Sequence[NDArray[Any]],
) -> None:
    """Hold the ONNX form against what the module gave."""
    hint = "take branches on values and sizes out of `forward`, or give an ONNX file"
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        session = find_runtime("onnxruntime").load(path)
        try:
            for tensors, truth in zip(given, wanted, strict=True):
                inputs = {name: one.numpy() for name, one in zip(names, tensors, strict=True)}
                shapes = " and ".join(str(tuple(one.shape)) for one in tensors)
                try:
                    found = session.run(inputs)[session.output_names[0]]
                except EdgewiseError as broken:
                    what = f"the ONNX form can't run on {shapes}: {broken.what}"
                    raise InvalidModel(what, hint=hint) from broken
                apart = _distance(found, truth)
                if not apart <= TOLERANCE:
                    what = f"the ONNX form answers otherwise on {shapes}: {apart:.2g} apart"
                    raise InvalidModel(what, hint=hint)
        finally:
            session.close()


def _distance(found: NDArray[Any], truth: NDArray[Any]) -> float:
    if found.shape != truth.shape:
        return float("inf")
    scale = max(1.0, float(np.abs(truth).max(initial=0.0)))
    return float(np.abs(found.astype(np.float64) - truth).max(initial=0.0)) / scale


def _load_script(path: Path) -> tuple[nn.Module, Tensors | None]:
    hint = "save it with `torch.jit.save`; weights alone are no model"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as broken:
        what = f"not a TorchScript file: {_first_line(broken)}"
        raise InvalidModel(what, where=str(path), hint=hint) from broken
    return module, guess_example(module)


def _load_program(path: Path) -> tuple[nn.Module, Tensors | None]:
    _refuse_pickles(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(str(path))
            module = program.module()
    except Exception as broken:
        what = f"not an exported program: {_first_line(broken)}"
        hint = "save it with `torch.export.save`"
        raise InvalidModel(what, where=str(path), hint=hint) from broken
    arguments, named = program.example_inputs or ((), {})
    names = [*list(_taken(module))[: len(arguments)], *named]
    values = [*arguments, *named.values()]
    whole = _Program(module, tuple(named))
    if not values or not all(isinstance(one, torch.Tensor) for one in values):
        return whole, None
    return whole, {name: one.numpy() for name, one in zip(names, values, strict=True)}


def _refuse_pickles(path: Path) -> None:
    """Refuse what `torch.export.load` would unpickle: it falls back to that by itself."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".pt"):
                    torch.load(io.BytesIO(archive.read(name)), weights_only=True)
    except (zipfile.BadZipFile, OSError) as broken:
        what = f"not an exported program: {_first_line(broken)}"
        hint = "save it with `torch.export.save`"
        raise InvalidModel(what, where=str(path), hint=hint) from broken
    except Exception as broken:
        what = "it holds objects that only unpickling could read"
        hint = "export it with tensors alone as inputs and constants"
        raise InvalidModel(what, where=str(path), hint=hint) from broken


def _first_line(broken: BaseException) -> str:
    text = re.sub(r"\x1b\[\d*m", "", str(broken))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines or [type(broken).__name__])[0][:160]
