"""Where the weights of each BERT-like family are, by the names that Hugging Face gives them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Names of one family's tensors; `{i}` is the layer."""

    prefix: str
    layer: str
    query: str
    key: str
    value: str
    attention_out: str
    attention_norm: str
    ffn_in: str
    ffn_out: str
    ffn_norm: str
    head_dense: str
    head_out: str
    head_activation: str
    token_types: bool = True
    offset_positions: bool = False
    relative_bias: bool = False


_BERT: dict[str, Any] = {
    "layer": "encoder.layer.{i}.",
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "ffn_in": "intermediate.dense",
    "ffn_out": "output.dense",
    "ffn_norm": "output.LayerNorm",
}

FAMILIES = {
    "bert": Family(
        prefix="bert.",
        **_BERT,
        head_dense="bert.pooler.dense",
        head_out="classifier",
        head_activation="Tanh",
    ),
    "roberta": Family(
        prefix="roberta.",
        **_BERT,
        head_dense="classifier.dense",
        head_out="classifier.out_proj",
        head_activation="Tanh",
        offset_positions=True,
    ),
    "distilbert": Family(
        prefix="distilbert.",
        layer="transformer.layer.{i}.",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attention_out="attention.out_lin",
        attention_norm="sa_layer_norm",
        ffn_in="ffn.lin1",
        ffn_out="ffn.lin2",
        ffn_norm="output_layer_norm",
        head_dense="pre_classifier",
        head_out="classifier",
        head_activation="Relu",
        token_types=False,
    ),
    "mpnet": Family(
        prefix="mpnet.",
        layer="encoder.layer.{i}.",
        query="attention.attn.q",
        key="attention.attn.k",
        value="attention.attn.v",
        attention_out="attention.attn.o",
        attention_norm="attention.LayerNorm",
        ffn_in="intermediate.dense",
        ffn_out="output.dense",
        ffn_norm="output.LayerNorm",
        head_dense="classifier.dense",
        head_out="classifier.out_proj",
        head_activation="Tanh",
        token_types=False,
        offset_positions=True,
        relative_bias=True,
    ),
}


def model_type(folder: Path) -> str:
    """Give a directory's `model_type`, or nothing where its configuration can't be read."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Not an error: the reader of the BERT family says what is wrong.
        return ""
    return str(found.get("model_type", "")) if isinstance(found, dict) else ""
