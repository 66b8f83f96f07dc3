"""The models that the optimizer and its peers are timed on, with their inputs."""

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from benchmarks import networks
from benchmarks.peers import Inputs, Subject
from benchmarks.results import ROOT
from onnx import numpy_helper
from tokenizers import Tokenizer

from edgewise.optimize.sources.bert import BertSource

EXAMPLE = ROOT / "examples/sentiment"
TOKENS = 128
PEER_LENGTHS = (16, 32, 64, TOKENS)
OUR_LENGTHS = (16, 24, 32, 48, 64, TOKENS)
HELD_OUT, SAMPLES, TIMED = 60, 30, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model with what it is timed and compared on. Made by `text_case` and `image_case`."""

    name: str
    subject: Subject
    source: onnx.ModelProto
    """The model as our own importer makes it, of the same inputs."""
    timed: Sequence[Inputs]
    """Of 128 tokens, none of them padding; or images."""
    held_out: Sequence[Inputs]
    """For the fidelity gate; other texts, or other images, than the samples."""
    shapes: Sequence[Inputs]
    """One input of each size that our artifact of fixed sizes takes."""


class Encoder(torch.nn.Module):
    """Average a Hugging Face encoder's last layer over the attention mask."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Give embeddings of shape (n, width)."""
        hidden = self.inner(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        kept = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * kept).sum(1) / kept.sum(1).clamp(min=1e-9)


def open_case(name: str, folder: Path) -> Case:
    """Make a case by its name."""
    torch.set_num_threads(1)
    if name in networks.IMAGES:
        return image_case(name, folder)
    minilm = EXAMPLE / "models/minilm"
    if name == "minilm":
        return text_case(name, minilm, folder, OUR_LENGTHS, PEER_LENGTHS)
    torch.manual_seed(networks.SEED)
    made = folder / "bert-base"
    networks.bert_base().save_pretrained(made)
    return text_case(name, made, folder, (TOKENS,), (TOKENS,))


def text_case(
    name: str, model: Path, folder: Path, ours: tuple[int, ...], theirs: tuple[int, ...]
) -> Case:
    """Open a Hugging Face encoder; MiniLM's tokenizer and the example's sentences serve all."""
    from transformers import AutoModel  # noqa: PLC0415 - slow to load

    texts = read_texts()
    tokenizer = Tokenizer.from_file(str(EXAMPLE / "models/minilm/tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS)
    natural = encode(tokenizer, texts[: HELD_OUT + SAMPLES])
    # joined sentences fill all tokens: half as many of them, so that ranges hold there too
    many = [" ".join(texts[i : i + 25]) for i in range(0, 25 * (2 * SAMPLES // 3 + TIMED), 25)]
    full = [one for one in encode(tokenizer, many) if one["input_ids"].shape[1] == TOKENS]
    timed, others = full[:TIMED], full[TIMED:]
    samples = [*natural[HELD_OUT:], *others[: len(others) // 2]]
    module = Encoder(AutoModel.from_pretrained(model)).eval()
    subject = Subject(
        module=module,
        onnx=export(module, samples[0], folder, {0: "batch", 1: "length"}),
        inputs=("input_ids", "attention_mask"),
        samples=samples,
        folder=folder,
        shapes=[ones(length) for length in theirs],
    )
    return Case(
        name=name,
        subject=subject,
        source=own_source(model),
        timed=timed,
        held_out=[*natural[:HELD_OUT], *others[len(others) // 2 :]],
        shapes=[ones(length) for length in ours],
    )


def image_case(name: str, folder: Path) -> Case:
    """Make an image network. Held-out crops are of the photographs' other halves."""
    module = networks.image_network(name, folder)
    many = [{"image": one[None].numpy()} for one in networks.images(SAMPLES + TIMED, 0.0, 0.5)]
    others = [{"image": one[None].numpy()} for one in networks.images(HELD_OUT, 0.5, 1.0)]
    path = export(module, many[0], folder, None)
    subject = Subject(
        module=module,
        onnx=path,
        inputs=("image",),
        samples=many[:SAMPLES],
        folder=folder,
        shapes=many[:1],
        is_text=False,
    )
    return Case(
        name=name,
        subject=subject,
        source=onnx.load(path),
        timed=many[SAMPLES:][:TIMED],
        held_out=others,
        shapes=many[:1],
    )


def read_texts() -> list[str]:
    with (EXAMPLE / "data/test.csv").open(encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


def encode(tokenizer: Tokenizer, texts: list[str]) -> list[Inputs]:
    found: list[Inputs] = []
    for one in tokenizer.encode_batch(texts):
        ids = np.array([one.ids], dtype=np.int64)
        found.append({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    return found


def ones(length: int) -> Inputs:
    return {name: np.ones((1, length), np.int64) for name in ("input_ids", "attention_mask")}


def export(
    module: torch.nn.Module, sample: Inputs, folder: Path, axes: dict[int, str] | None
) -> Path:
    """Export to ONNX, as a peer's user would."""
    out = folder / "model.onnx"
    names = list(sample)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(torch.from_numpy(sample[name]) for name in names),
            str(out),
            input_names=names,
            output_names=["output"],
            dynamic_axes=None if axes is None else dict.fromkeys(names, axes),
            opset_version=17,
            dynamo=False,
        )
    return out


def own_source(model: Path) -> onnx.ModelProto:
    """Import an encoder as the optimizer does; its last layer's output, one segment."""
    source = BertSource(model)
    found = source.features()
    last = [one for one in found.graph.output if one.name == f"features_{source.layers}"]
    kept = [one for one in found.graph.input if one.name != "token_type_ids"]
    segment = numpy_helper.from_array(np.zeros((1, 1), np.int64), "token_type_ids")
    for field, values in ((found.graph.output, last), (found.graph.input, kept)):
        del field[:]
        field.extend(values)
    found.graph.initializer.append(segment)
    return found
