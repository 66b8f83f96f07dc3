"""What a caller gives as a model is opened: a torch module, an ONNX path, a bundle, a result."""

import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewise import extras
from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.composing import check_finite
from edgewise.optimize.examples import cut_rows, read_named
from edgewise.optimize.optimized import FloatOrigin, OptimizedModel
from edgewise.optimize.sources import TORCH_FILES
from edgewise.runtimes import read_manifest
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx

_LENGTH = 8
_NOT_INPUTS = ("labels",)


def open_model(model: Any, data: object = None, where: str = "example_input") -> OptimizedModel:
    """Open what a caller calls a model.

    Parameters
    ----------
    model
        An `nn.Module`, the path of an ONNX file, of a bundle, of a TorchScript file (`.pt`) or of
        an exported program (`.pt2`), an `onnx.ModelProto`, or an `OptimizedModel`, which is given
        back. Opening a `.pt` or `.pt2` runs the code in it.
    data
        Examples, which a module is exported by; only transformers' models and those that begin
        with a linear layer tell what they take by themselves.

    Raises
    ------
    InvalidModel
        When it can't be read or exported, or its answers are not finite.
    UsageError
        When it is something else, or a module whose inputs nobody tells.
    """
    if isinstance(model, OptimizedModel):
        return model
    if isinstance(model, str | Path):
        return _open_path(Path(model), data, where)
    with extras.needed("optimize"):
        import onnx  # noqa: PLC0415 - optional

    if isinstance(model, onnx.ModelProto):
        return _opened(model, FloatOrigin(model=model.SerializeToString(), name="the ONNX model"))
    if is_module(model):
        return export(model, data, where)
    what = f"a `{type(model).__name__}` is no model"
    hint = "give an nn.Module, the path of an ONNX file or a bundle, or an OptimizedModel"
    raise UsageError(what, where="model", hint=hint)


def is_module(value: object) -> bool:
    """Say whether it is an `nn.Module`; without torch nothing is."""
    torch = sys.modules.get("torch")  # whoever has a module of it has loaded it
    return torch is not None and isinstance(value, torch.nn.Module)


def module_inputs(module: Any, data: object, where: str) -> list[Tensors]:
    """Give examples by the names of a module's parameters, one row each.

    Raises
    ------
    InvalidData
        When there is none, or one is no tensor.
    """
    return cut_rows(read_named(data, _parameters(module), where), where)


def export(
    module: Any, data: object, where: str, *, recipe: tuple[str, ...] = ()
) -> OptimizedModel:
    """Export a module and hold it against itself.

    Raises
    ------
    InvalidModel
        When it can't be exported.
    """
    with extras.needed("torch"):
        from edgewise.optimize.sources.torch_module import export_module  # noqa: PLC0415 - heavy

    example = _made_up(module) if data is None else module_inputs(module, data, where)[0]
    found = export_module(module, example)
    origin = FloatOrigin(
        model=found.SerializeToString(), name=type(module).__name__, recipe=recipe, module=module
    )
    check_finite(found, [example], origin.name)
    return _opened(found, origin)


def _open_path(path: Path, data: object, where: str) -> OptimizedModel:
    with extras.needed("optimize"):
        import onnx  # noqa: PLC0415 - optional

    file, bundle = path, None
    recipe: tuple[str, ...] = ()
    if path.is_dir():
        manifest = read_manifest(path)
        file, recipe, bundle = path / manifest.model, manifest.recipe, path
    if not file.exists():
        raise InvalidModel("no such model", where=str(path), hint="check the path")
    if file.suffix in TORCH_FILES:
        return _export_file(file, data, where)
    if file.suffix != ".onnx":
        what = f"can't optimize a `{file.suffix or 'nameless'}` file"
        hint = "give an .onnx, .pt or .pt2 file, a bundle of an ONNX model, or a torch module"
        raise InvalidModel(what, where=str(file), hint=hint)
    try:
        found = onnx.load(str(file))
        onnx.checker.check_model(found)
        content = found.SerializeToString()
    except Exception as broken:
        reason = (str(broken).splitlines() or ["unreadable"])[0][:120]
        what = f"not a valid ONNX model: {reason}"
        raise InvalidModel(what, where=str(file), hint="export or copy it again") from broken
    origin = FloatOrigin(model=content, name=str(path), recipe=recipe, bundle=bundle)
    return _opened(found, origin)


def _export_file(file: Path, data: object, where: str) -> OptimizedModel:
    """Export what a torch file holds: by its own example, by the caller's, or by one made up."""
    from edgewise.optimize.sources.torch_module import (  # noqa: PLC0415 - heavy
        export_module,
        load_torch_file,
    )

    module, own = load_torch_file(file)
    if own is not None:
        example = own
    else:
        example = _made_up(module) if data is None else module_inputs(module, data, where)[0]
    found = export_module(module, example)
    check_finite(found, [example], str(file))
    # Mobile files are made of the graph: converters take no script and no loaded program.
    return _opened(found, FloatOrigin(model=found.SerializeToString(), name=str(file)))


def _opened(model: "onnx.ModelProto", origin: FloatOrigin) -> OptimizedModel:
    if not model.graph.output:
        raise InvalidModel("it has no output", where=origin.name, hint="export it again")
    return OptimizedModel(model=origin.model, origin=origin)


def _parameters(module: Any) -> list[str]:
    schema = getattr(module.forward, "schema", None)
    if schema is not None:  # a script's forward has no signature
        return [one.name for one in schema.arguments[1:]]
    found = inspect.signature(module.forward).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
    return [one.name for one in found if one.kind in plain and one.name not in _NOT_INPUTS] or [
        "input"
    ]


def _made_up(module: Any) -> Tensors:
    """Make an example where the module tells what it takes."""
    names = _parameters(module)
    if "input_ids" in names and hasattr(module, "config"):
        # Ids that every vocabulary has; real ones come with the data that later steps are given.
        taken = [one for one in ("input_ids", "attention_mask") if one in names]
        return {name: np.ones((1, _LENGTH), np.int64) for name in taken}
    leaves: Sequence[Any] = [one for one in module.modules() if not list(one.children())]
    first = next((one for one in leaves if list(one.parameters())), None)
    if first is not None and type(first).__name__ == "Linear":
        return {names[0]: np.zeros((1, int(first.in_features)), np.float32)}
    what = f"`{type(module).__name__}` does not tell what it takes"
    raise UsageError(what, where="example_input", hint="give an example input")
