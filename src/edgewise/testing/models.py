"""Bundles small enough to make in a test, whose answers are worked out by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewise import extras
from edgewise.records import BundleManifest, ImageInput, Task
from edgewise.runtimes import write_manifest

if TYPE_CHECKING:
    from onnx import NodeProto, ValueInfoProto

GOOD_WORDS = ("good", "great")
BAD_WORDS = ("bad", "awful")

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_OPSET = 17
_IR_VERSION = 10


def tiny_text_bundle(folder: Path, labels: tuple[str, ...] = ("negative", "positive")) -> Path:
    """Make a text bundle that counts words, and give its folder.

    `good` and `great` each add 1.0 to the logit of the label `positive` (where there is none: the
    last), `bad` and `awful` to that of `negative` (the first); every other word adds nothing. An
    input is as long as its words and punctuation marks, and two.

    Parameters
    ----------
    folder
        Made where it is absent.
    labels
        At least two, in the order of the logits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = (*_SPECIAL, *GOOD_WORDS, *BAD_WORDS)
    weights = np.zeros((len(words), len(labels)), dtype=np.float32)
    for names, label, otherwise in (
        (GOOD_WORDS, "positive", len(labels) - 1),
        (BAD_WORDS, "negative", 0),
    ):
        column = labels.index(label) if label in labels else otherwise
        weights[[words.index(name) for name in names], column] = 1.0
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(words)), encoding="utf-8")
    (folder / "model.onnx").write_bytes(_text_model(weights))
    manifest = BundleManifest(
        name=folder.name,
        task=Task.TEXT_CLASSIFICATION,
        labels=labels,
        files={},
        tokenizer="tokenizer.json",
    )
    write_manifest(folder, manifest)
    return folder


def tiny_image_bundle(
    folder: Path, labels: tuple[str, ...] = ("dark", "bright"), *, side: int = 4
) -> Path:
    """Make an image bundle that measures brightness, and give its folder.

    With m the mean of all values scaled to 0..1, the last label's logit is 8 m - 4, the first's
    the opposite, and any other's 0.

    Parameters
    ----------
    folder
        Made where it is absent.
    labels
        At least two, in the order of the logits.
    side
        Height and width in pixels; there are three channels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = 3 * side * side
    slope = np.zeros((size, len(labels)), dtype=np.float32)
    slope[:, 0], slope[:, -1] = -8.0 / size, 8.0 / size
    offset = np.zeros(len(labels), dtype=np.float32)
    offset[0], offset[-1] = 4.0, -4.0
    (folder / "model.onnx").write_bytes(_image_model(slope, offset, side))
    none, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    manifest = BundleManifest(
        name=folder.name,
        task=Task.IMAGE_CLASSIFICATION,
        labels=labels,
        files={},
        image=ImageInput(height=side, width=side, mean=none, std=one),
    )
    write_manifest(folder, manifest)
    return folder


def _tokenizer(words: Sequence[str]) -> dict[str, Any]:
    special = {
        name: {"id": name, "ids": [index], "tokens": [name]} for index, name in enumerate(_SPECIAL)
    }
    around: list[dict[str, Any]] = [
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
    ]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": index, "content": name, **flags, "special": True}
            for index, name in enumerate(_SPECIAL)
        ],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": around,
            "pair": [*around, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {name: special[name] for name in ("[CLS]", "[SEP]")},
        },
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {word: index for index, word in enumerate(words)},
            "unk_token": "[UNK]",
        },
    }


def _text_model(weights: NDArray[np.float32]) -> bytes:
    with extras.needed("optimize"):
        from onnx import TensorProto, helper  # noqa: PLC0415 - optional

    names = ("input_ids", "attention_mask", "token_type_ids")
    shape = ["batch", "length"]
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["by_word"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide_mask"]),
        helper.make_node("Mul", ["by_word", "wide_mask"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["logits"], keepdims=0),
    ]
    constants: dict[str, NDArray[Any]] = {
        "weights": weights,
        "last": np.asarray([2], dtype=np.int64),
        "middle": np.asarray([1], dtype=np.int64),
    }
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in names]
    return _serialize(nodes, inputs, weights.shape[1], constants)


def _image_model(slope: NDArray[np.float32], offset: NDArray[np.float32], side: int) -> bytes:
    with extras.needed("optimize"):
        from onnx import TensorProto, helper  # noqa: PLC0415 - optional

    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Gemm", ["flat", "slope", "offset"], ["logits"]),
    ]
    shape: tuple[str | int | None, ...] = ("batch", 3, side, side)
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)]
    return _serialize(nodes, inputs, len(offset), {"slope": slope, "offset": offset})


def _serialize(
    nodes: "list[NodeProto]",
    inputs: "list[ValueInfoProto]",
    classes: int,
    constants: dict[str, NDArray[Any]],
) -> bytes:
    with extras.needed("optimize"):
        from onnx import TensorProto, checker, helper, numpy_helper  # noqa: PLC0415 - optional

    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, [output], weights)
    opsets = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    checker.check_model(model)
    return bytes(model.SerializeToString())
