"""Write the cases of this folder: tiny random checkpoints with what the reference makes of them.

Run with torch 2.13 and transformers 5.23, which the project itself does not need:

    python tests/golden/bert_family/make.py

Each case holds `config.json`, `model.safetensors` and `expected.npz`: token ids of a padded batch,
and `layer_k`, the mean over the mask of every layer's output, or `logits` of the family's head.
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
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 48,
    "num_labels": 3,
}
DISTILBERT = {
    "vocab_size": 100,
    "dim": 32,
    "n_layers": 2,
    "n_heads": 2,
    "hidden_dim": 48,
    "max_position_embeddings": 48,
    "num_labels": 3,
}
CASES = {
    "bert": (transformers.BertConfig, SIZES, "BertModel"),
    "bert_head": (transformers.BertConfig, SIZES, "BertForSequenceClassification"),
    "distilbert": (transformers.DistilBertConfig, DISTILBERT, "DistilBertModel"),
    "distilbert_head": (
        transformers.DistilBertConfig,
        DISTILBERT,
        "DistilBertForSequenceClassification",
    ),
    "mpnet": (transformers.MPNetConfig, SIZES, "MPNetModel"),
    "mpnet_head": (transformers.MPNetConfig, SIZES, "MPNetForSequenceClassification"),
    "roberta": (transformers.RobertaConfig, SIZES, "RobertaModel"),
    "roberta_head": (transformers.RobertaConfig, SIZES, "RobertaForSequenceClassification"),
}


def make(case: str, seed: int) -> None:
    """Write one case."""
    config_of, sizes, name = CASES[case]
    torch.manual_seed(seed)
    model = getattr(transformers, name)(config_of(**sizes, attn_implementation="eager")).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # The usual start of 0.02 would hide a wrong norm, bias or distance behind the residual.
            parameter.copy_(torch.randn_like(parameter) * 0.25)
        ids, mask = batch(int(model.config.pad_token_id), seed)
        takes = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
        given = model(**takes, output_hidden_states=True)
    expected = {"input_ids": ids, "attention_mask": mask}
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


def batch(pad: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give token ids and mask of three inputs; the shorter ones are padded on the right."""
    draw = np.random.default_rng(seed)
    ids = np.full((len(LENGTHS), max(LENGTHS)), pad, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = draw.integers(5, 100, length)
        mask[row, :length] = 1
    return ids, mask


if __name__ == "__main__":
    for number, one in enumerate(CASES):
        make(one, number)
