"""Tensors as JSON and as bytes."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InvalidData
from edgewise.gateway.tensors import as_bytes, read_inputs


def body(name: str, **tensor: Any) -> dict[str, Any]:
    return {"inputs": [{"name": name, **tensor}]}


def texts(*values: str) -> bytes:
    return as_bytes("BYTES", list(values))


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=5))
def test_texts_come_back_from_their_bytes(values: list[str]) -> None:
    blob = texts(*values)
    asked = body("text", shape=[len(values)], parameters={"binary_data_size": len(blob)})

    assert [one["text"] for one in read_inputs(asked, blob)] == values


@pytest.mark.parametrize("datatype", ["UINT8", "INT16", "FP16", "FP32", "FP64"])
def test_pixels_come_in_each_datatype(datatype: str) -> None:
    kind = {"UINT8": "u1", "INT16": "<i2", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}[datatype]
    pixels = np.arange(12).reshape(1, 2, 2, 3).astype(kind)
    blob = pixels.tobytes()
    asked = body("image", shape=[1, 2, 2, 3], datatype=datatype)
    asked["inputs"][0]["parameters"] = {"binary_data_size": len(blob)}

    (found,) = read_inputs(asked, blob)

    assert np.array_equal(found["image"], pixels[0])
    assert found["image"].dtype.kind == ("f" if datatype.startswith("FP") else kind.strip("<")[0])


@pytest.mark.parametrize("datatype", ["UINT8", "UINT16", "INT16", "INT32", "FP16", "FP64"])
def test_pixels_are_the_same_as_json_and_as_bytes(datatype: str) -> None:
    kinds = {"UINT8": "u1", "UINT16": "<u2", "INT16": "<i2", "INT32": "<i4", "FP16": "<f2"}
    pixels = np.arange(12).reshape(1, 2, 2, 3).astype(kinds.get(datatype, "<f8"))
    asked = body("image", shape=[1, 2, 2, 3], datatype=datatype)
    told = body("image", shape=[1, 2, 2, 3], datatype=datatype, data=pixels.tolist())
    asked["inputs"][0]["parameters"] = {"binary_data_size": pixels.nbytes}

    (found,), (said,) = read_inputs(asked, pixels.tobytes()), read_inputs(told, b"")

    assert said["image"].dtype == found["image"].dtype
    assert np.array_equal(said["image"], found["image"])


@pytest.mark.parametrize(
    ("asked", "blob", "what"),
    [
        (body("text", shape=[1], parameters={"binary_data_size": 3}), b"", "is not the 0 bytes"),
        (body("text", shape=[1], parameters={"binary_data_size": True}), b"x", "is not the 1"),
        (body("text", shape=[1], data=["a"]), b"x", "bytes that belong to no tensor"),
        (body("text", shape=[1], parameters={"binary_data_size": 2}), b"xx", "a length is cut off"),
        (body("image", shape=[1, 1], datatype="UINT8", data=[0.5]), b"", "its datatype has not"),
        (body("image", shape=[1, 1], datatype="UINT8", data=[256]), b"", "its datatype has not"),
        (body("image", shape=[1, 1], datatype="INT16", data=[1e300]), b"", "its datatype has not"),
        (body("image", shape=[2**31 - 1, 0, 1, 1], data=[]), b"", "images without pixels"),
        (
            body("text", shape=[1], parameters={"binary_data_size": 6}),
            struct.pack("<I", 9) + b"ab",
            "an element is cut off",
        ),
        (
            body("text", shape=[1], parameters={"binary_data_size": 5}),
            struct.pack("<I", 1) + b"\xff",
            "a text is not UTF-8",
        ),
        (body("text", shape=[1], parameters={"shared_memory_region": "r"}), b"", "shared memory"),
        (
            body("image", shape=[1], datatype="BOOL", parameters={"binary_data_size": 1}),
            b"x",
            "not a datatype of images",
        ),
        (
            body("image", shape=[1], datatype="FP32", parameters={"binary_data_size": 3}),
            b"xxx",
            "an element is cut off",
        ),
        (body("text", shape=[1] * 9, data=["a"]), b"", "the data does not fit the shape"),
    ],
)
def test_bytes_that_do_not_fit_are_named(asked: dict[str, Any], blob: bytes, what: str) -> None:
    with pytest.raises(InvalidData) as caught:
        read_inputs(asked, blob)

    assert what in caught.value.what
    assert caught.value.where
    assert caught.value.hint


@given(st.binary(max_size=200), st.sampled_from(["text", "image"]), st.integers(0, 4))
def test_any_bytes_are_read_or_refused(blob: bytes, name: str, n: int) -> None:
    asked = body(name, shape=[n], datatype="FP32", parameters={"binary_data_size": len(blob)})

    try:
        found = read_inputs(asked, blob)
    except InvalidData:
        return

    assert len(found) == n
