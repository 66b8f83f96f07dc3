"""Write the cases of this folder: tiny random checkpoints with what the reference makes of them.

Run with torch 2.13 and transformers 5.23, which the project itself does not need:

    python tests/golden/bert_family/make.py

Each case holds `config.json`, `model.safetensors` and `expected.npz`: the inputs of a padded batch,
and `layer_k`, the mean over the mask of every layer's output, and `logits` of the family's head.

The weights are far from a fresh model's, so that a fault shows: norms scale and shift, attention is
sharp, activations bend, and the epsilon of norms (which DistilBERT fixes at 1e-12) is felt.
"""

import json
from pathlib import Path

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
import transformers  # type: ignore[import-not-found, unused-ignore]

HERE = Path(__file__).parent
LENGTHS = (40, 23, 5)
SIZES = {
    "vocab_size": 100,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 40,
    "max_position_embeddings": 48,
    "num_labels": 3,
    "layer_norm_eps": 1e-2,
}
DISTILBERT = {
    "vocab_size": 100,
    "dim": 24,
    "n_layers": 2,
    "n_heads": 2,
    "hidden_dim": 40,
    "max_position_embeddings": 48,
    "num_labels": 3,
}
CASES = {
    "bert": (transformers.BertConfig, SIZES, "BertModel"),
    "bert_head": (
        transformers.BertConfig,
        {**SIZES, "hidden_act": "gelu_new"},
        "BertForSequenceClassification",
    ),
    "distilbert": (transformers.DistilBertConfig, DISTILBERT, "DistilBertModel"),
    "distilbert_head": (
        transformers.DistilBertConfig,
        {**DISTILBERT, "activation": "relu"},
        "DistilBertForSequenceClassification",
    ),
    "mpnet": (transformers.MPNetConfig, SIZES, "MPNetModel"),
    "mpnet_head": (
        transformers.MPNetConfig,
        {**SIZES, "hidden_act": "gelu_pytorch_tanh"},
        "MPNetForSequenceClassification",
    ),
    "roberta": (transformers.RobertaConfig, {**SIZES, "hidden_act": "relu"}, "RobertaModel"),
    "roberta_head": (
        transformers.RobertaConfig,
        {**SIZES, "hidden_act": "silu"},
        "RobertaForSequenceClassification",
    ),
}


def make(case: str, seed: int) -> None:
    """Write one case."""
    config_of, sizes, name = CASES[case]
    torch.manual_seed(seed)
    model = getattr(transformers, name)(config_of(**sizes, attn_implementation="eager")).eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            parameter.copy_(drawn(case, parameter_name, parameter))
        takes = batch(int(model.config.pad_token_id), seed)
        if getattr(model.config, "type_vocab_size", None) is None:
            del takes["token_type_ids"]
        tensors = {key: torch.tensor(value) for key, value in takes.items()}
        given = model(**tensors, output_hidden_states=True)
    expected, mask = dict(takes), takes["attention_mask"]
    if case.endswith("_head"):
        expected["logits"] = given.logits.numpy()
    for depth, hidden in enumerate(given.hidden_states[1:], start=1):
        weights = mask[:, :, None].astype(np.float64)
        pooled = (hidden.numpy() * weights).sum(axis=1) / weights.sum(axis=1)
        expected[f"layer_{depth}"] = pooled.astype(np.float32)
    folder = HERE / case
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    np.savez_compressed(folder / "expected.npz", allow_pickle=False, **expected)


def drawn(case: str, name: str, parameter: torch.Tensor) -> torch.Tensor:
    """Draw a parameter's values."""
    normal = torch.randn_like(parameter)
    if name.lower().endswith("norm.weight"):
        return 0.6 + 1.2 * torch.rand_like(parameter)
    if name.endswith("bias"):
        return 0.5 * normal
    if "relative_attention_bias" in name:
        return 2.0 * normal
    if "embeddings" in name:
        # Small ones leave DistilBERT's first norm a variance that an epsilon of 1e-5 would change.
        return (0.01 if case.startswith("distilbert") else 0.7) * normal
    return 0.2 * normal


def batch(pad: int, seed: int) -> dict[str, np.ndarray]:
    """Give three inputs, the shorter ones padded on the right, with token types 0 and 1."""
    draw = np.random.default_rng(seed)
    ids = np.full((len(LENGTHS), max(LENGTHS)), pad, dtype=np.int64)
    mask, types = np.zeros_like(ids), np.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = draw.integers(5, 100, length)
        mask[row, :length] = 1
        types[row, length // 3 : length] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


if __name__ == "__main__":
    for number, one in enumerate(CASES):
        make(one, number)
