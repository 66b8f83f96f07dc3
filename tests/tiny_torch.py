"""The tiny project's sentences and BERT as torch has them. Needs torch: for heavy tests alone."""

import csv
from pathlib import Path
from typing import Any

import torch
import transformers
from tiny_project import HEADS, INNER, WIDTH

from edgewise.optimize.training import TrainingData
from edgewise.tasks.text import TextClassification, load_tokenizer

LABELS = ("negative", "positive")


def read_examples(project: Path, *, with_labels: bool = True) -> TrainingData:
    """Give the train sentences of a project that `write_project` wrote."""
    with (project / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    task = TextClassification(load_tokenizer(project / "model"), LABELS, 32)
    labels = [LABELS.index(row["label"]) for row in rows] if with_labels else None
    return TrainingData(
        inputs=[task.encode([{"text": row["text"]}]) for row in rows], labels=labels
    )


def make_bert(*, layers: int = 4, seed: int = 0, **changed: Any) -> Any:
    """Make a random classifier of the tiny project's width."""
    sizes = {
        "vocab_size": 24,
        "hidden_size": WIDTH,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "max_position_embeddings": 64,
        "num_labels": 2,
    }
    torch.manual_seed(seed)
    config = transformers.BertConfig(**{**sizes, **changed})
    return transformers.BertForSequenceClassification(config).eval()


def make_sharp(model: Any, *, spread: float = 0.3, seed: int = 1) -> Any:
    """Give a model large random weights, so that each of its layers changes what it says."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for one in model.parameters():
            if one.ndim > 1:
                one.normal_(0.0, spread)
    return model


def answers(model: Any, data: TrainingData) -> Any:
    """Give the logits of every example, one at a time."""
    with torch.no_grad():
        rows = [
            model(**{name: torch.from_numpy(value) for name, value in one.items()}).logits
            for one in data.inputs
        ]
    return torch.cat(rows)


def agreement(model: Any, other: Any, data: TrainingData) -> float:
    """Give the share of examples on which two models say the same."""
    same = answers(model, data).argmax(dim=1) == answers(other, data).argmax(dim=1)
    return float(same.double().mean())


def accuracy(model: Any, data: TrainingData) -> float:
    """Give the share of examples whose label a model gives."""
    right = answers(model, data).argmax(dim=1) == torch.tensor(data.labels)
    return float(right.double().mean())


def weights(model: Any) -> dict[str, Any]:
    """Give copies of all weights by name."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
