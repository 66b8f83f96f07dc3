"""`edgewise optimize` of image models that torch reads: a script, a program, a directory."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from command_line import edgewise
from image_network import PIXELS, write_digits
from onnx import numpy_helper

from edgewise.runtimes import open_bundle, read_manifest

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore"),  # torch warns of its own affairs
    pytest.mark.timeout(600),
]

ORDER = ("--data", "data/train.csv", "--out", "best", "--passes", "float32", "--json")


def torch_network(path: Path) -> Any:
    """Give the learned network as a torch module, by the weights of its ONNX form."""
    import torch  # noqa: PLC0415 - heavy

    held = {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    first, second = held["conv.1.weight"], held["conv.2.weight"]
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, len(first), 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(len(first), len(second), 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(*held["head.weight"].shape),
    )
    names = ("conv.1.weight", "conv.1.bias", "conv.2.weight", "conv.2.bias")
    values = [*(held[name] for name in names), held["head.weight"].T, held["head.bias"]]
    for parameter, value in zip(module.parameters(), values, strict=True):
        parameter.data = torch.tensor(value)
    return module.eval()


def metric(folder: Path, *order: str) -> float:
    ended = edgewise("optimize", *order, *ORDER, folder=folder)
    assert ended.code == 0, json.loads(ended.out)["candidates"]
    found: float = json.loads(ended.out)["chosen"]["metric"]
    return found


@pytest.mark.parametrize("end", ["pt", "pt2"])
def test_a_torch_file_scores_as_the_same_network_in_onnx(end: str, tmp_path: Path) -> None:
    import torch  # noqa: PLC0415 - heavy

    pixels, _ = write_digits(tmp_path, most=300)
    module, example = torch_network(tmp_path / "convnet.onnx"), torch.zeros(2, 1, 8, 8)
    if end == "pt":
        torch.jit.save(torch.jit.trace(module, example), str(tmp_path / "net.pt"))
    else:
        sizes = ({0: torch.export.Dim("batch", min=1, max=64)},)
        program = torch.export.export(module, (example,), dynamic_shapes=sizes)
        torch.export.save(program, tmp_path / "net.pt2")

    expected = metric(tmp_path, "convnet.onnx", *PIXELS)
    found = metric(tmp_path, f"net.{end}", "--image-shape", "1x8x8", *PIXELS)

    assert found == expected > 0.85
    model = open_bundle(tmp_path / "best/bundle")
    assert model.predict({"image": pixels[0]}).label in map(str, range(10))
    model.close()


def test_a_torch_file_whose_size_nobody_says_asks_for_it(tmp_path: Path) -> None:
    write_digits(tmp_path, most=100)
    (tmp_path / "net.pt").write_bytes(b"unread")

    ended = edgewise("optimize", "net.pt", *ORDER[:-1], folder=tmp_path)

    ended.refused("a `.pt` file does not say the size of its images", "--image-shape 3x224x224")


def test_a_directory_of_hugging_face_says_size_and_normalization(tmp_path: Path) -> None:
    import torch  # noqa: PLC0415 - heavy
    import transformers  # noqa: PLC0415 - heavy

    write_digits(tmp_path, side=32, most=300)
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        num_channels=3,
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        id2label={i: str(i) for i in range(10)},
        label2id={str(i): i for i in range(10)},
    )
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "resnet")
    prepared = {
        "size": {"height": 32, "width": 32},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.25, 0.25, 0.25],
    }
    (tmp_path / "resnet/preprocessor_config.json").write_text(json.dumps(prepared))

    metric(tmp_path, "resnet")

    image = read_manifest(tmp_path / "best/bundle").image
    assert image is not None
    assert (image.height, image.width, image.channels) == (32, 32, 3)
    assert (image.mean, image.std) == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
