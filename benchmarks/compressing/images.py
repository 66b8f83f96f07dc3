"""The image task: a residual net trained here on Fashion-MNIST, pruned by channels and recovered.

The source has ResNet-18's blocks at half its width, with a first convolution for small images.
Channels of its ONNX form are pruned, what is left learns the labels and the source's answers for
a few epochs, and goes to static INT8.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
from benchmarks.compressing import fashion_mnist
from benchmarks.compressing.made import (
    Made,
    Rows,
    part,
    say,
    stamp,
    write_bundle,
    write_candidate,
)
from benchmarks.networks import Residual, conv
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from edgewise.optimize.mobile.from_onnx import module_of
from edgewise.optimize.passes.prune_channels import prune_channels
from edgewise.optimize.recipe import Draft
from edgewise.optimize.sources.torch_module import export_module
from edgewise.optimize.training import Supervision, TrainingData, TrainingSettings
from edgewise.optimize.training.recover import recover
from edgewise.optimize.writing import has_vnni
from edgewise.records import BundleManifest, ImageInput, Task
from edgewise.runtimes import open_task_of
from edgewise.runtimes.protocol import Tensors

WIDTHS = (32, 64, 128, 256)
SHARES = (0.4, 0.5, 0.6)
"""Of the channels of each group, pruned."""
RECIPE = "int8-static"
SAMPLES = 200
"""Train images that are sample inputs of the passes."""
TRAINING = TrainingSettings(epochs=5, batch_size=128, learning_rate=2e-3, held_out_share=0.05)
RECOVERY = TrainingSettings(epochs=3, batch_size=128, learning_rate=1e-3, held_out_share=0.05)
IMAGE = ImageInput(height=28, width=28, channels=1, mean=(0.286,), std=(0.353,))


class Net(nn.Module):
    """Four stages of two residual blocks, the mean over the image, and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = [conv(1, WIDTHS[0], 3, 2), nn.ReLU()]
        inner = WIDTHS[0]
        for outer in WIDTHS:
            parts += [Residual(inner, outer, 1 if inner == outer else 2)]
            parts += [Residual(outer, outer, 1)]
            inner = outer
        self.body = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(inner, len(fashion_mnist.LABELS))

    def forward(self, image: Tensor) -> Tensor:
        """Give logits."""
        return self.head(self.body(image))


class ImageCase:
    """The image task, with its data and the folder that keeps what was trained."""

    def __init__(self, work: Path) -> None:
        self.name, self.work = "images", work
        self.folder = fashion_mnist.find(work)
        self.train, self.choice = part(self._rows("train"))

    def make(self) -> Made:
        """Train, and write the bundles of the source and of each candidate."""
        examples = TrainingData(inputs=self._encode(self.train.inputs), labels=self.train.labels)
        samples = tuple(examples.inputs[:SAMPLES])
        made_from = stamp(TRAINING, WIDTHS)
        net = self._source(made_from, examples)
        full = self._draft(export_module(net, samples[0]), samples)
        whole = write_bundle(self.work / "source", full, self._manifest("float32"))
        made = []
        for share in SHARES:
            model = self._pruned(full.model, share, made_from, (net, examples))
            small = self._draft(model, samples)
            manifest = self._manifest(f"prune-channels:{share}", "recover")
            folder = write_bundle(self.work / f"pruned-{share}", small, manifest)
            made.append(write_candidate(folder, small, RECIPE))
        return Made(source=whole, candidates=made, choice=self.choice, test=self.read_test)

    def read_test(self) -> Rows:
        """Give the test images."""
        return self._rows("t10k")

    def _rows(self, split: str) -> Rows:
        images, labels = fashion_mnist.read(self.folder, split)
        return Rows(inputs=[{"image": one} for one in images], labels=labels.tolist())

    def _source(self, made_from: str, examples: TrainingData) -> nn.Module:
        path = self.work / f"source-{made_from}.safetensors"
        torch.manual_seed(TRAINING.seed)
        net = Net()
        if not path.exists():
            net = self._trained(
                path,
                lambda watched: recover(net, examples, settings=TRAINING, supervision=watched),
            )
            save_file(net.state_dict(), path)
        net.load_state_dict(load_file(path))
        return net.eval()

    def _pruned(
        self,
        model: onnx.ModelProto,
        share: float,
        made_from: str,
        lesson: tuple[nn.Module, TrainingData],
    ) -> onnx.ModelProto:
        """Give the model without a share of its channels, trained again."""
        teacher, examples = lesson
        samples = examples.inputs[:SAMPLES]
        path = self.work / f"pruned-{stamp(made_from, share, RECOVERY, SAMPLES)}.onnx"
        if not path.exists():
            module = module_of(prune_channels(model, share, samples))
            module.requires_grad_()
            found = self._trained(
                path,
                lambda watched: recover(
                    module, examples, teacher=teacher, settings=RECOVERY, supervision=watched
                ),
            )
            made = export_module(found, samples[0])
            path.write_bytes(made.SerializeToString())
        return onnx.load(path)

    def _trained(self, path: Path, train: Callable[[Supervision], Any]) -> Any:
        checkpoint = path.with_suffix(".part.safetensors")
        module, record = train(Supervision(checkpoint=checkpoint, progress=say))
        print(f"\n{path.stem}: {record}", file=sys.stderr, flush=True)
        checkpoint.unlink(missing_ok=True)
        return module

    def _draft(self, model: onnx.ModelProto, samples: tuple[Tensors, ...]) -> Draft:
        return Draft(model=model, samples=samples, reduce_range=not has_vnni())

    def _encode(self, inputs: list[Any]) -> list[Any]:
        task = open_task_of(self._manifest(), self.work)
        return [task.encode([one]) for one in inputs]

    def _manifest(self, *recipe: str) -> BundleManifest:
        return BundleManifest(
            name=self.name,
            task=Task.IMAGE_CLASSIFICATION,
            labels=fashion_mnist.LABELS,
            files={},
            recipe=recipe,
            image=IMAGE,
        )
