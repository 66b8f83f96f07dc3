"""The files that an ONNX model keeps its weights in, found without reading the model as one."""

import mmap
import posixpath
from collections.abc import Iterator
from pathlib import Path

_LOCATION = b"\x0a\x08location\x12"
"""An entry of a tensor's `external_data`: key 1 is `location`, key 2 a path of some length."""


def weights_beside(model: Path) -> dict[str, Path]:
    """Give the files beside a model that its weights lie in, by their paths from its folder.

    What is not there or can't be read is left out: who loads the model says so.
    """
    if model.suffix != ".onnx":
        return {}
    try:
        with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            names = sorted(set(_names(data)))
        paths = {posixpath.normpath(name): model.parent / name for name in names}
        return {name: path for name, path in paths.items() if path.is_file()}
    except (OSError, ValueError):  # an empty file can't be mapped; no name is endless
        return {}


def _names(data: mmap.mmap) -> Iterator[str]:
    at = data.find(_LOCATION)
    while at >= 0:
        at += len(_LOCATION)
        yield _text(data, at)
        at = data.find(_LOCATION, at)


def _text(data: mmap.mmap, at: int) -> str:
    """Read a text behind its length, a varint of protobuf's."""
    size = shift = 0
    for byte in data[at : at + 5]:
        size |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            break
    return data[at : at + size].decode("utf-8", "replace").replace("\0", "")
