"""A whole small project: a random BERT of two layers and sentences that a head can learn."""

import csv
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

GOOD = ("good", "great", "fine", "lovely", "superb")
BAD = ("bad", "awful", "poor", "dull", "broken")
PLAIN = ("film", "phone", "day", "story", "thing", "plot", "screen", "meal", "trip", "song")
WIDTH, LAYERS, HEADS, INNER = 32, 2, 2, 64

SPEC = """name: tiny
task: text-classification
model: {source: model}
data: {train: train.csv, calibration: calibration.csv, test: test.csv}
tiers:
  edge: {kind: device, memory: 1GiB}
  cloud: {kind: cloud, answers: assume_right, usd_per_request: 0.002}
objective: {max_quality_loss: 0.05}
optimize: {min_agreement: 0.5, max_cut_loss: 0.5}
"""


def write_project(folder: Path, spec: str = SPEC) -> Path:
    """Write model, splits and `edgewise.yaml`; give the path of the last."""
    write_model(folder / "model")
    rng = np.random.default_rng(3)
    seen: set[str] = set()
    for name, count in (("train", 300), ("calibration", 250), ("test", 100)):
        rows: list[tuple[str, str]] = []
        while len(rows) < count:
            good = bool(rng.integers(2))
            mood = rng.choice(GOOD if good else BAD, size=2)
            words = [str(w) for w in (*rng.choice(PLAIN, size=4), *mood)]
            text = " ".join(rng.permutation(words))
            if text not in seen:
                seen.add(text)
                rows.append((text, "positive" if good else "negative"))
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    path = folder / "edgewise.yaml"
    path.write_text(spec, encoding="utf-8")
    return path


def write_model(folder: Path) -> None:
    """Write a random BERT encoder as Hugging Face lays it out."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *GOOD, *BAD, *PLAIN]
    vocabulary = {word: index for index, word in enumerate(words)}
    rng = np.random.default_rng(0)

    def matrix(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": matrix(len(words), WIDTH),
        "embeddings.position_embeddings.weight": matrix(64, WIDTH) * 0.1,
        "embeddings.token_type_embeddings.weight": matrix(2, WIDTH) * 0.1,
    }
    norms = ["embeddings.LayerNorm"]
    for i in range(LAYERS):
        at = f"encoder.layer.{i}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value"):
            tensors[f"{at}{name}.weight"] = matrix(WIDTH, WIDTH)
            tensors[f"{at}{name}.bias"] = matrix(WIDTH)
        shapes = {
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (INNER, WIDTH),
            "output.dense": (WIDTH, INNER),
        }
        for name, shape in shapes.items():
            tensors[f"{at}{name}.weight"] = matrix(*shape)
            tensors[f"{at}{name}.bias"] = matrix(shape[0])
        norms += [f"{at}attention.output.LayerNorm", f"{at}output.LayerNorm"]
    for name in norms:
        tensors[f"{name}.weight"] = np.ones(WIDTH, np.float32)
        tensors[f"{name}.bias"] = np.zeros(WIDTH, np.float32)
    save_file(tensors, folder / "model.safetensors")
    config = {
        "model_type": "bert",
        "num_hidden_layers": LAYERS,
        "hidden_size": WIDTH,
        "num_attention_heads": HEADS,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
