"""Tensors of the Open Inference Protocol: as JSON, and as bytes after it.

Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md, and the binary
tensor data extension of the Triton Inference Server.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidData
from edgewise.records import Input

# Elements of an image; a text is BYTES.
_NUMBERS: dict[str, str] = {
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_LENGTH = struct.Struct("<I")
_MOST_DIMENSIONS = 8


def read_inputs(body: dict[str, Any], blob: bytes) -> list[Input]:
    """Give the inputs of a request.

    Parameters
    ----------
    blob
        What follows the JSON; each byte belongs to one tensor.

    Raises
    ------
    InvalidData
        When it is not the one tensor that a model here takes.
    """
    tensors = body.get("inputs")
    if not isinstance(tensors, list) or len(tensors) != 1 or not isinstance(tensors[0], dict):
        raise InvalidData("not one input tensor", where="inputs", hint="give `text` or `image`")
    tensor = tensors[0]
    name, shape = tensor.get("name"), _shape(tensor)
    if name not in ("text", "image"):
        what, hint = "the input tensor is neither text nor image", "see the model's metadata"
        raise InvalidData(what, where="inputs", hint=hint)
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if isinstance(parameters, dict) and "shared_memory_region" in parameters:
        raise InvalidData("shared memory is not read", where=name, hint="send the data")
    if size is not None:
        if isinstance(size, bool) or not isinstance(size, int) or size != len(blob):
            what = f"`binary_data_size` is not the {len(blob)} bytes that follow"
            raise InvalidData(what, where=name, hint="say how many bytes follow the JSON")
        values = _texts(blob) if name == "text" else _pixels(tensor, blob)
    else:
        if blob:
            raise InvalidData(
                "bytes that belong to no tensor", where=name, hint="set `binary_data_size`"
            )
        values = _listed(name, tensor)
    try:
        values = values.reshape(shape)
    except (ValueError, TypeError, OverflowError) as wrong:
        hint = "give n texts" if name == "text" else "give n·h·w·c values"
        raise InvalidData("the data does not fit the shape", where=name, hint=hint) from wrong
    if name == "text":
        return [{"text": one} for one in values.ravel().tolist()]
    return _images(values)


def _images(values: NDArray[Any]) -> list[Input]:
    if values.ndim == 0:
        what, hint = "an image without dimensions", "give the shape [n, h, w, c]"
        raise InvalidData(what, where="image", hint=hint)
    if values.size == 0 and values.shape[0]:
        # A shape alone would make two thousand million images of no bytes at all.
        what, hint = "images without pixels", "give sizes above 0"
        raise InvalidData(what, where="image", hint=hint)
    return [{"image": one} for one in values]


def _shape(tensor: dict[str, Any]) -> list[int]:
    shape = tensor.get("shape")
    fits = isinstance(shape, list) and len(shape) <= _MOST_DIMENSIONS
    if not fits or not all(type(one) is int and 0 <= one < 2**31 for one in shape or ()):
        what = "the data does not fit the shape"
        raise InvalidData(what, where="shape", hint="give a list of sizes, 0 or more")
    return list(shape or ())


def _listed(name: str, tensor: dict[str, Any]) -> NDArray[Any]:
    """Read elements that came as JSON, flat or nested, in the order of the rows."""
    data = tensor.get("data")
    if not isinstance(data, list):
        what, hint = "the input tensor is neither text nor image", "see the model's metadata"
        raise InvalidData(what, where="inputs", hint=hint)
    dtype = np.dtype(np.object_)
    if name == "image":
        dtype = np.dtype(_NUMBERS.get(str(tensor.get("datatype")), "<f4"))
    try:
        if dtype.kind in "iu":
            return _whole(np.asarray(data, dtype=np.float64).ravel(), dtype)
        return np.asarray(data, dtype=np.float32 if dtype.kind == "f" else dtype).ravel()
    except (ValueError, TypeError, OverflowError) as wrong:
        hint = "give n texts" if name == "text" else "give n·h·w·c values"
        raise InvalidData("the data does not fit the shape", where=name, hint=hint) from wrong


def _whole(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Give numbers as the integers that they are said to be."""
    with np.errstate(invalid="ignore"):
        found = values.astype(dtype)
    if not np.array_equal(found, values):
        what, hint = "a value that its datatype has not", "send whole numbers, or FP32"
        raise InvalidData(what, where="image", hint=hint)
    return found


def _texts(blob: bytes) -> NDArray[Any]:
    """Read BYTES elements: each is four bytes of its length, and itself."""
    found: list[str] = []
    at = 0
    while at < len(blob):
        if at + _LENGTH.size > len(blob):
            raise InvalidData("a length is cut off", where="text", hint="send whole elements")
        (length,) = _LENGTH.unpack_from(blob, at)
        at += _LENGTH.size
        if at + length > len(blob):
            raise InvalidData("an element is cut off", where="text", hint="send whole elements")
        try:
            found.append(blob[at : at + length].decode())
        except UnicodeDecodeError as wrong:
            raise InvalidData("a text is not UTF-8", where="text", hint="send UTF-8") from wrong
        at += length
    values: NDArray[Any] = np.empty(len(found), dtype=np.object_)
    values[:] = found
    return values


def _pixels(tensor: dict[str, Any], blob: bytes) -> NDArray[Any]:
    kind = _NUMBERS.get(str(tensor.get("datatype")))
    if kind is None:
        hint = f"one of: {', '.join(_NUMBERS)}"
        raise InvalidData("not a datatype of images", where="datatype", hint=hint)
    dtype = np.dtype(kind)
    if len(blob) % dtype.itemsize:
        raise InvalidData("an element is cut off", where="image", hint="send whole elements")
    values = np.frombuffer(blob, dtype=dtype)
    if dtype.kind == "f" and dtype.itemsize != 4:
        return values.astype(np.float32)
    return values


def as_bytes(datatype: str, data: list[Any]) -> bytes:
    """Give a tensor's elements as the binary extension sends them."""
    if datatype == "BYTES":
        told = [one.encode() for one in data]
        return b"".join(_LENGTH.pack(len(one)) + one for one in told)
    return np.asarray(data, dtype="<f4").tobytes()
