"""Text tasks: MiniLM fine-tuned on the train sentences, and a student of fewer layers.

The student is a truncated copy that learns the fine-tuned encoder's answers; then its FFN neurons
are pruned, its vocabulary trimmed to the train sentences, and it goes to INT8.
"""

import csv
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from benchmarks.compressing.made import (
    Made,
    Rows,
    part,
    say,
    stamp,
    write_bundle,
    write_candidate,
)
from benchmarks.optimize import EXAMPLE
from transformers import BertForSequenceClassification as Classifier

from edgewise.optimize.recipe import Draft
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
from edgewise.runtimes import open_task_of

MINILM = EXAMPLE / "models/minilm"
TOKENIZER = "tokenizer.json"
MAX_LENGTH = 128
SAMPLES = 500
"""Train sentences that are sample inputs of the pruning."""
LOSSES = LossWeights(labels=0.5, logits=1.0, temperature=2.0)
RECIPES = (
    "trim-vocabulary,int8-dynamic",
    "prune-ffn:0.25,trim-vocabulary,int8-dynamic",
    "prune-ffn:0.4,trim-vocabulary,int8-dynamic",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a task is trained."""

    fine_tuning: TrainingSettings
    distillation: TrainingSettings
    depth: int


PLANS = {
    "sst2": Plan(
        fine_tuning=TrainingSettings(
            epochs=1, batch_size=16, learning_rate=5e-5, held_out_share=0.05, evaluate_every=200
        ),
        distillation=TrainingSettings(
            epochs=4, batch_size=16, learning_rate=1e-4, held_out_share=0.05, evaluate_every=200
        ),
        depth=2,
    ),
    "banking77": Plan(
        fine_tuning=TrainingSettings(
            epochs=4, batch_size=32, learning_rate=2e-4, held_out_share=0.05
        ),
        distillation=TrainingSettings(
            epochs=6, batch_size=32, learning_rate=4e-4, held_out_share=0.05
        ),
        depth=2,
    ),
}


class TextCase:
    """One of the text tasks, with its data and the folder that keeps what was trained."""

    def __init__(self, name: str, data: Path, work: Path) -> None:
        self.name, self.plan, self.data, self.work = name, PLANS[name], data, work
        texts, labels = _read(data / f"{name}_train.csv")
        self.labels = tuple(sorted(set(labels)))
        first = dict(zip(texts, labels, strict=True))
        self.known = frozenset(first)
        self.train, self.choice = part(self._rows(list(first.items())))
        self._tokenizer = (MINILM / TOKENIZER).read_text(encoding="utf-8")

    def make(self) -> Made:
        """Train, and write the bundles of the source and of each candidate."""
        source = self._fine_tuned()
        student = self._student(source)
        samples = tuple(self._encode(self.train.inputs[:SAMPLES]))
        full = self._draft(source, samples)
        small = self._draft(student, samples)
        whole = write_bundle(self.work / "source", full, self._manifest("float32"))
        cut = self._manifest("distill", f"cut:{self.plan.depth}")
        float_student = write_bundle(self.work / f"student-{self.plan.depth}", small, cut)
        made = [write_candidate(float_student, small, recipe) for recipe in RECIPES]
        return Made(source=whole, candidates=made, choice=self.choice, test=self.read_test)

    def read_test(self) -> Rows:
        """Give the dev sentences but those that were trained on."""
        pairs = zip(*_read(self.data / f"{self.name}_dev.csv"), strict=True)
        return self._rows([one for one in pairs if one[0] not in self.known])

    def _rows(self, pairs: list[tuple[str, str]]) -> Rows:
        return Rows(
            inputs=[{"text": text} for text, _ in pairs],
            labels=[self.labels.index(label) for _, label in pairs],
        )

    def _fine_tuned(self) -> Path:
        settings = self.plan.fine_tuning

        def train(supervision: Supervision) -> Any:
            torch.manual_seed(settings.seed)
            named = {
                "id2label": dict(enumerate(self.labels)),
                "label2id": {label: index for index, label in enumerate(self.labels)},
            }
            module = Classifier.from_pretrained(MINILM, **named)
            return recover(module, self._examples(), settings=settings, supervision=supervision)

        return self._trained("fine-tuned", stamp(settings, self.train), train)

    def _student(self, source: Path) -> Path:
        settings, depth = self.plan.distillation, self.plan.depth

        def train(supervision: Supervision) -> Any:
            return distill(
                Classifier.from_pretrained(source),
                StudentShape(depth=depth),
                self._examples(),
                weights=LOSSES,
                settings=settings,
                supervision=supervision,
            )

        return self._trained("student", stamp(settings, LOSSES, depth, source.name), train)

    def _trained(self, name: str, made_from: str, train: Callable[[Supervision], Any]) -> Path:
        """Give the folder of a trained module, from the work folder where it is there already."""
        folder = self.work / f"{name}-{made_from}"
        if not folder.exists():
            self.work.mkdir(parents=True, exist_ok=True)
            checkpoint = folder.with_suffix(".safetensors")
            module, record = train(Supervision(checkpoint=checkpoint, progress=say))
            print(f"\n{self.name} {name}: {record}", file=sys.stderr, flush=True)
            aside = folder.with_suffix(".part")
            module.save_pretrained(aside)
            shutil.copyfile(MINILM / TOKENIZER, aside / TOKENIZER)
            aside.rename(folder)
            checkpoint.unlink(missing_ok=True)
        return folder

    def _draft(self, folder: Path, samples: Any) -> Draft:
        source = open_source(folder, self.labels)
        return Draft(
            model=source.classifier(source.layers, None),
            samples=samples,
            tokenizer=self._tokenizer,
            texts=tuple(str(one["text"]) for one in self.train.inputs),
            reduce_range=not has_vnni(),
        )

    def _examples(self) -> TrainingData:
        return TrainingData(inputs=self._encode(self.train.inputs), labels=self.train.labels)

    def _encode(self, inputs: list[Input]) -> list[Any]:
        task = open_task_of(self._manifest(), MINILM)
        return [task.encode([one]) for one in inputs]

    def _manifest(self, *recipe: str) -> BundleManifest:
        return BundleManifest(
            name=self.name,
            task=Task.TEXT_CLASSIFICATION,
            labels=self.labels,
            files={},
            recipe=recipe,
            tokenizer=TOKENIZER,
            max_length=MAX_LENGTH,
        )


def _read(path: Path) -> tuple[list[str], list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]
