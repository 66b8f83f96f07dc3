"""What distillation buys: a student of two layers against the encoder it learned from, on SST-2.

MiniLM is fine-tuned for an epoch on the film sentences, a truncated copy learns its answers, and
the copy goes to INT8. Claims: `sst2_size_share` at most 0.10 of the fine-tuned source's bundle,
`sst2_accuracy_lost` at most 0.05 on the dev sentences, `sst2_speedup` at least 4 at batch 1, one
thread, natural length, the two bundles interleaved in one process. The labels are those of the
films' train sentences; the dev ones are only looked at.

    python -m benchmarks.sst2_student --data FOLDER --work FOLDER

The data folder holds `sst2_train.csv` and `sst2_dev.csv` with the columns `label` and `text`.
Training goes on from the work folder where it was interrupted; it needs the extra `torch`.
"""

import argparse
import csv
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from benchmarks.optimize import EXAMPLE, size_bytes, speedup
from benchmarks.results import claim, write
from transformers import BertForSequenceClassification as Classifier

from edgewise.optimize.output_layer import output_layer
from edgewise.optimize.passes import int8_dynamic, trim_vocabulary
from edgewise.optimize.sources import open_source
from edgewise.optimize.training import (
    LossWeights,
    StudentShape,
    Supervision,
    TrainingData,
    TrainingSettings,
)
from edgewise.optimize.training.distill import distill
from edgewise.optimize.training.recover import recover
from edgewise.optimize.writing import has_vnni
from edgewise.records import BundleManifest, Input, Task
from edgewise.runtimes import open_bundle, open_task_of, write_manifest
from edgewise.tasks.metric import wilson_interval

LABELS = ("negative", "positive")
MAX_LENGTH = 128
DEPTH = 2
RUNS = 7
SENTENCES = 200
FINE_TUNING = TrainingSettings(
    epochs=1, batch_size=16, learning_rate=5e-5, held_out_share=0.05, evaluate_every=200
)
DISTILLATION = TrainingSettings(
    epochs=4, batch_size=16, learning_rate=1e-4, held_out_share=0.05, evaluate_every=200
)
LOSSES = LossWeights(labels=0.5, logits=1.0, temperature=2.0)


def read(path: Path) -> tuple[list[Input], list[int]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{"text": row["text"]} for row in rows], [LABELS.index(row["label"]) for row in rows]


def manifest(name: str, recipe: tuple[str, ...]) -> BundleManifest:
    return BundleManifest(
        name=name,
        task=Task.TEXT_CLASSIFICATION,
        labels=LABELS,
        files={},
        recipe=recipe,
        tokenizer="tokenizer.json",
        max_length=MAX_LENGTH,
    )


def encode(folder: Path, inputs: Sequence[Input], labels: Sequence[int]) -> TrainingData:
    task = open_task_of(manifest("sst2", ()), folder)
    return TrainingData(inputs=[task.encode([one]) for one in inputs], labels=labels)


def trained(work: Path, name: str, minilm: Path, train: Callable[[Supervision], Any]) -> Path:
    """Give the folder of a trained module, from the work folder where it is there already."""
    folder = work / name
    if not folder.exists():
        checkpoint = work / f"{name}.safetensors"
        module, record = train(Supervision(checkpoint=checkpoint, progress=say))
        print(f"\n{name}: {record}", file=sys.stderr)
        aside = work / f"{name}.part"
        module.save_pretrained(aside)
        shutil.copyfile(minilm / "tokenizer.json", aside / "tokenizer.json")
        aside.rename(folder)
        checkpoint.unlink(missing_ok=True)
    return folder


def say(stage: str, done: int, total: int) -> None:
    print(f"\r{stage} {done}/{total}", end="", file=sys.stderr, flush=True)


def make_models(data: Path, work: Path) -> tuple[Path, Path]:
    """Fine-tune the encoder and distil a student from it; both as Hugging Face lays them out."""
    minilm = EXAMPLE / "models/minilm"
    named = {
        "id2label": dict(enumerate(LABELS)),
        "label2id": {label: index for index, label in enumerate(LABELS)},
    }
    examples = encode(minilm, *read(data / "sst2_train.csv"))

    def fine_tune(supervision: Supervision) -> Any:
        torch.manual_seed(FINE_TUNING.seed)
        module = Classifier.from_pretrained(minilm, **named)
        return recover(module, examples, settings=FINE_TUNING, supervision=supervision)

    source = trained(work, "fine-tuned", minilm, fine_tune)

    def shrink(supervision: Supervision) -> Any:
        return distill(
            Classifier.from_pretrained(source),
            StudentShape(depth=DEPTH),
            examples,
            weights=LOSSES,
            settings=DISTILLATION,
            supervision=supervision,
        )

    return source, trained(work, "student", minilm, shrink)


def write_bundle(model: Path, folder: Path, recipe: tuple[str, ...]) -> Path:
    """Write a module's folder as a float bundle."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = open_source(model, LABELS)
    found = source.classifier(source.layers, None)
    (folder / "model.onnx").write_bytes(found.SerializeToString())
    shutil.copyfile(model / "tokenizer.json", folder / "tokenizer.json")
    write_manifest(folder, manifest("sst2", recipe))
    return folder


def trim(bundle: Path, texts: list[str], recipe: tuple[str, ...]) -> Path:
    """Drop the embedding rows that the train sentences and the tokenizer's fallbacks don't need."""
    path = copy_bundle(bundle, "trimmed")
    found = trim_vocabulary.trim_vocabulary(
        onnx.load(bundle / "model.onnx"),
        (bundle / "tokenizer.json").read_text(encoding="utf-8"),
        texts,
    )
    (path / "model.onnx").write_bytes(found.model.SerializeToString())
    (path / "tokenizer.json").write_text(found.tokenizer_json, encoding="utf-8")
    write_manifest(path, manifest("sst2", recipe))
    return path


def quantize(bundle: Path, recipe: tuple[str, ...]) -> Path:
    path = copy_bundle(bundle, "int8")
    model = onnx.load(bundle / "model.onnx")
    found = int8_dynamic.quantize(
        model, reduce_range=not has_vnni(), keep_float=output_layer(model)
    )
    (path / "model.onnx").write_bytes(found.SerializeToString())
    write_manifest(path, manifest("sst2", recipe))
    return path


def copy_bundle(bundle: Path, suffix: str) -> Path:
    path = bundle.with_name(f"{bundle.name}-{suffix}")
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(bundle, path)
    return path


def count_right(bundle: Path, inputs: list[Input], labels: list[int]) -> int:
    model = open_bundle(bundle)
    answers = model.predict_many(inputs)
    model.close()
    return sum(one.label == LABELS[truth] for one, truth in zip(answers, labels, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, str(EXAMPLE / "prepare.py")], check=True)
    started_s = time.perf_counter()
    source, student = make_models(given.data, given.work)
    print(f"training took {time.perf_counter() - started_s:.0f} s", file=sys.stderr)
    full = write_bundle(source, given.work / "bundle-full", ("float32",))
    recipe = ("distill", f"cut:{DEPTH}")
    small = write_bundle(student, given.work / "bundle-student", recipe)
    train_texts = [str(one["text"]) for one in read(given.data / "sst2_train.csv")[0]]
    recipe = (*recipe, trim_vocabulary.NAME)
    trimmed = trim(small, train_texts, recipe)
    final = quantize(trimmed, (*recipe, int8_dynamic.NAME))
    inputs, labels = read(given.data / "sst2_dev.csv")
    right = {path.name: count_right(path, inputs, labels) for path in (full, small, trimmed, final)}
    n = len(labels)
    for name, count in right.items():
        low, high = wilson_interval(count, n)
        print(f"{name:<24}{count / n:.4f} (95 % interval {low:.4f} to {high:.4f}, n {n})")
    near, far = open_bundle(full), open_bundle(final)
    speedup(near, far, inputs[:20])
    runs = [speedup(near, far, inputs[:SENTENCES]) for _ in range(RUNS)]
    ratio, full_ms, small_ms = (statistics.median(run[i] for run in runs) for i in range(3))
    lost = (right[full.name] - right[final.name]) / n
    share = size_bytes(final) / size_bytes(full)
    peers = {"source": right[full.name] / n, "float_student": right[small.name] / n}
    times = {"source_p50_ms": round(full_ms, 3), "student_p50_ms": round(small_ms, 3)}
    write(
        "sst2_student",
        [
            claim("sst2_size_share", round(share, 4), 0.10, runs=1),
            claim("sst2_accuracy_lost", round(lost, 4), 0.05, runs=1, peers=peers),
            claim("sst2_speedup", round(ratio, 2), 4.0, runs=RUNS, better="higher", peers=times),
        ],
    )


if __name__ == "__main__":
    main()
