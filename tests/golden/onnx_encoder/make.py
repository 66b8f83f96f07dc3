"""Write the cases of this folder: tiny random encoders as torch's exporters write them.

Run with torch 2.13, transformers 5.23, onnx and onnxscript, which the project does not all need:

    python tests/golden/onnx_encoder/make.py

Each case holds `model.onnx` and `expected.npz`: the inputs of a padded batch, and `layer_k`, what
the reference has of every layer's output: the mean over the mask, or the first position where a
head goes on from that (the ViT's norm stands behind its last layer, and is in that one).
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch  # type: ignore[import-not-found, unused-ignore]
import transformers  # type: ignore[import-not-found, unused-ignore]

HERE = Path(__file__).parent
LENGTHS = (9, 6, 3)
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "num_labels": 3,
}
BERT = {**SIZES, "vocab_size": 40, "max_position_embeddings": 16}
VIT = {**SIZES, "image_size": 8, "patch_size": 4, "num_channels": 1}
TEXT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Plain(torch.nn.Module):  # type: ignore[misc, unused-ignore]
    """A model that takes its inputs by position and gives one tensor."""

    def __init__(self, model: Any, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *values: Any) -> Any:
        return self.model(**dict(zip(self.names, values, strict=True)))[0]


def text(name: str, seed: int, **how: Any) -> None:
    """Write a case of BERT, by the class's name."""
    torch.manual_seed(seed)
    config = transformers.BertConfig(**BERT, attn_implementation=how.pop("attention", "eager"))
    model = getattr(transformers, how.pop("kind"))(config).eval()
    draw = np.random.default_rng(seed)
    ids = np.zeros((len(LENGTHS), max(LENGTHS)), np.int64)
    mask = np.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = draw.integers(5, 40, length)
        mask[row, :length] = 1
    given = dict(zip(TEXT_INPUTS, (ids, mask, draw.integers(0, 2, ids.shape)), strict=True))
    write(name, model, given, ("batch", "sequence"), how)


def image(name: str, seed: int, **how: Any) -> None:
    """Write a case of ViT with its head."""
    torch.manual_seed(seed)
    config = transformers.ViTConfig(**VIT, attn_implementation="eager")
    model = transformers.ViTForImageClassification(config).eval()
    pixels = np.random.default_rng(seed).normal(size=(3, 1, 8, 8)).astype(np.float32)
    write(name, model, {"pixel_values": pixels}, ("batch",), how)


def write(
    name: str, model: Any, given: dict[str, Any], axes: tuple[str, ...], how: dict[str, Any]
) -> None:
    """Write one case."""
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    tensors = {key: torch.tensor(value) for key, value in given.items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
        found = model(**tensors, output_hidden_states=True)
    named = {"input_names": list(given), "output_names": ["output"]}
    if how["dynamo"]:
        sizes = {i: torch.export.Dim(axis) for i, axis in enumerate(axes)}
        how = {**how, "dynamic_shapes": (tuple(sizes for _ in given),), "external_data": False}
    else:
        how = {**how, "dynamic_axes": {key: dict(enumerate(axes)) for key in given}}
    path = folder / "model.onnx"
    torch.onnx.export(
        Plain(model, tuple(given)).eval(), tuple(tensors.values()), path, **named, **how
    )
    slim(path)
    expected = {**given, "output": found[0].numpy()}
    hidden = [one.numpy() for one in found.hidden_states[1:]]
    if "pixel_values" in given:
        hidden[-1] = model.vit.layernorm(found.hidden_states[-1]).detach().numpy()
    for depth, one in enumerate(hidden, start=1):
        if found[0].ndim == 2:
            expected[f"layer_{depth}"] = one[:, 0]
        else:
            weights = given["attention_mask"][:, :, None].astype(np.float64)
            pooled = (one * weights).sum(axis=1) / weights.sum(axis=1)
            expected[f"layer_{depth}"] = pooled.astype(np.float32)
    np.savez_compressed(folder / "expected.npz", allow_pickle=False, **expected)


def slim(path: Path) -> None:
    """Drop the stack traces that the exporter keeps beside each node: most of the bytes."""
    model = onnx.load(path)
    for one in (*model.graph.node, *model.graph.value_info, *model.graph.input):
        one.ClearField("metadata_props")
        one.ClearField("doc_string")
    for one in model.graph.output:
        one.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    model.ClearField("metadata_props")
    onnx.save(model, path)


if __name__ == "__main__":
    text("bert_opset14", 1, kind="BertModel", dynamo=False, opset_version=14)
    text("bert_dynamo", 2, kind="BertModel", dynamo=True, attention="sdpa")
    text("bert_head", 3, kind="BertForSequenceClassification", dynamo=False, opset_version=17)
    image("vit_head", 4, dynamo=False, opset_version=17)
