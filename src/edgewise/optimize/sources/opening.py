"""A path becomes a source, by what lies there."""

import importlib.util
from pathlib import Path

import numpy as np

from edgewise import extras
from edgewise.errors import InvalidModel, MissingExtra
from edgewise.optimize.sources.families import FAMILIES, model_type
from edgewise.optimize.sources.protocol import Source
from edgewise.records import ImageInput
from edgewise.runtimes.protocol import Tensors

TORCH_FILES = (".pt", ".pt2")
_BATCH = 2


def open_source(path: Path, labels: tuple[str, ...], example: Tensors | None = None) -> Source:
    """Open a Hugging Face directory, an ONNX file, a TorchScript file or an exported program.

    `package.module:factory` is called for its module. Opening that, a TorchScript file (`.pt`) or
    an exported program (`.pt2`) runs the code in it.

    Parameters
    ----------
    labels
        Those that the data has, which tell a classifier's output from an encoder's.
    example
        One input as the model takes it; needed where a torch module doesn't say its own shape. Of
        an image, a directory's module is exported for its size.

    Raises
    ------
    InvalidModel
        When there is nothing, or it is none of these, or can't be converted.
    MissingExtra
        When it takes torch to read it, and torch is not installed.
    """
    with extras.needed("optimize"):
        from edgewise.optimize.sources.bert import BertSource  # noqa: PLC0415 - heavy
        from edgewise.optimize.sources.onnx_file import OnnxSource  # noqa: PLC0415 - heavy
    if path.is_dir():
        kind = model_type(path)
        return (
            BertSource(path) if not kind or kind in FAMILIES else _open_other(path, labels, example)
        )
    if not path.exists() and ":" not in path.name:
        raise InvalidModel("no such model", where=str(path), hint="check model.source")
    if path.suffix == ".onnx":
        return OnnxSource(path, labels)
    if path.exists() and path.suffix not in TORCH_FILES:
        what = f"can't import a `{path.suffix or 'nameless'}` file"
        known = f".onnx, {', '.join(TORCH_FILES)}"
        hint = f"give an ONNX file or a Hugging Face directory; known files: {known}"
        raise InvalidModel(what, where=str(path), hint=hint)
    from edgewise.optimize.sources import torch_module  # noqa: PLC0415 - heavy

    if path.exists():
        return torch_module.open_torch_file(path, labels, example)
    module = torch_module.load_factory(path.name)
    found = example or torch_module.guess_example(module)
    if found is None:
        what = "it says nothing of the shape of its inputs"
        raise InvalidModel(what, where=path.name, hint="give an example input")
    return torch_module.open_module(module, labels, found, folder=path.parent)


def source_files(path: Path) -> list[Path]:
    """Give the files that a source is read from, in a fixed order.

    Of an ONNX file those that hold its weights too; of `package.module:factory` the module's.
    What is not there or can't be read is left out: `open_source` says so.
    """
    if path.is_dir():
        return sorted(one for one in path.rglob("*") if one.is_file())
    if path.is_file():
        return [path, *(_weights_beside(path) if path.suffix == ".onnx" else ())]
    module, colon, _ = path.name.partition(":")
    try:
        found = importlib.util.find_spec(module) if colon and module else None
    except (ImportError, ValueError):
        found = None
    origin = None if found is None or found.origin is None else Path(found.origin)
    return [origin] if origin is not None and origin.is_file() else []


def hash_made(path: Path) -> str:
    """Hash what the factory of `package.module:factory` makes, which runs its code.

    Empty where the source is something else, or nothing can be made: `open_source` says so.
    """
    if path.exists() or ":" not in path.name:
        return ""
    try:
        from edgewise.optimize.sources.made import hash_factory  # noqa: PLC0415 - heavy

        return hash_factory(path.name)
    except (InvalidModel, MissingExtra):
        return ""


def _weights_beside(path: Path) -> list[Path]:
    with extras.needed("optimize"):
        import onnx  # noqa: PLC0415 - heavy
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception:  # noqa: BLE001 - protobuf's own; who opens the source says what is wrong
        return []
    entries = (entry for tensor in graph.initializer for entry in tensor.external_data)
    names = sorted({entry.value for entry in entries if entry.key == "location"})
    return [path.parent / name for name in names if (path.parent / name).is_file()]


def example_pixels(image: ImageInput | None) -> Tensors | None:
    """Give an input of an image's size, by which a torch file can be exported; `None` for text."""
    if image is None:
        return None
    sizes = (image.height, image.width)
    shape = (image.channels, *sizes) if image.channels_first else (*sizes, image.channels)
    drawn = np.random.default_rng(0).normal(size=(_BATCH, *shape))
    return {"image": drawn.astype(np.float32)}


def _open_other(folder: Path, labels: tuple[str, ...], example: Tensors | None) -> Source:
    from edgewise.optimize.sources.bert import BertSource  # noqa: PLC0415 - heavy

    try:
        from edgewise.optimize.sources.transformers_folder import (  # noqa: PLC0415 - heavy
            open_folder,
        )
    except MissingExtra:
        # Its error names the families that need no torch, and what the others need.
        return BertSource(folder)
    return open_folder(folder, labels, example)
