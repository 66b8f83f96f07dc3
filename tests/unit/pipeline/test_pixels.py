"""How images become a source's input."""

import json
from pathlib import Path

import pytest

from edgewise.errors import InvalidModel, UsageError
from edgewise.pipeline.pixels import read_image_input
from edgewise.records import ImageInput
from edgewise.spec import PixelWords
from edgewise.testing.models import tiny_image_bundle

NOTHING = PixelWords()
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def folder(at: Path, config: object = None, prepared: object = None) -> Path:
    for name, value in (("config.json", config), ("preprocessor_config.json", prepared)):
        if value is not None:
            (at / name).write_text(json.dumps(value), encoding="utf-8")
    return at


def test_an_onnx_file_says_its_size_and_imagenet_the_rest(tmp_path: Path) -> None:
    model = tiny_image_bundle(tmp_path / "bundle") / "model.onnx"

    found = read_image_input(model, NOTHING)

    assert (found.channels, found.height, found.width) == (3, 4, 4)
    assert (found.mean, found.std) == IMAGENET


def test_what_is_said_stands_before_it_and_one_number_is_for_all_channels(tmp_path: Path) -> None:
    model = tiny_image_bundle(tmp_path / "bundle") / "model.onnx"

    found = read_image_input(model, PixelWords(mean=(0.5,), std=(0.1, 0.2, 0.3)))

    assert found.mean == (0.5, 0.5, 0.5)
    assert found.std == (0.1, 0.2, 0.3)


def test_a_grey_image_takes_the_first_of_imagenets_numbers() -> None:
    found = read_image_input(Path("net.pt"), PixelWords(shape=(28, 30, 1)))

    assert found == ImageInput(
        height=28, width=30, channels=1, mean=(0.485,), std=(0.229,), channels_first=False
    )


def test_a_torch_file_needs_its_shape_said() -> None:
    with pytest.raises(InvalidModel) as caught:
        read_image_input(Path("net.pt"), NOTHING)

    assert caught.value.what == "a `.pt` file does not say the size of its images"
    assert caught.value.where == "net.pt"
    assert "--image-shape" in caught.value.hint


@pytest.mark.parametrize(
    ("config", "prepared", "size"),
    [
        ({"image_size": 160}, {"size": {"height": 9, "width": 8}}, (160, 160)),
        ({"image_size": [96, 128]}, None, (96, 128)),
        ({}, {"size": {"shortest_edge": 256}, "crop_size": {"height": 9, "width": 8}}, (9, 8)),
        ({}, {"size": {"shortest_edge": 192}}, (192, 192)),
        ({"image_size": "large"}, {"size": 64}, (64, 64)),
        ([], None, (224, 224)),
    ],
)
def test_a_folder_says_its_size(
    tmp_path: Path, config: object, prepared: object, size: tuple[int, int]
) -> None:
    found = read_image_input(folder(tmp_path, config, prepared), NOTHING)

    assert (found.height, found.width) == size
    assert (found.mean, found.std) == IMAGENET


def test_a_folder_says_its_normalization_also_where_the_shape_is_said(tmp_path: Path) -> None:
    prepared = {"image_mean": [0.5, 0.5, 0.5], "image_std": [1, 1, 1]}
    at = folder(tmp_path, {"image_size": 32}, prepared)

    plain = read_image_input(at, NOTHING)
    said = read_image_input(at, PixelWords(shape=(3, 64, 64)))

    assert (plain.height, plain.mean, plain.std) == (32, (0.5,) * 3, (1.0,) * 3)
    assert (said.height, said.mean, said.std) == (64, (0.5,) * 3, (1.0,) * 3)


def test_a_folder_that_normalizes_nothing_is_taken_at_its_word(tmp_path: Path) -> None:
    at = folder(tmp_path, {"num_channels": 1, "image_size": 8}, {"do_normalize": False})

    found = read_image_input(at, NOTHING)

    assert (found.channels, found.mean, found.std) == (1, (0.0,), (1.0,))


def test_a_broken_file_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text("{", encoding="utf-8")

    with pytest.raises(InvalidModel) as caught:
        read_image_input(tmp_path, NOTHING)

    assert "preprocessor_config.json" in caught.value.where
    assert caught.value.what.startswith("can't be read")
    assert caught.value.hint == "copy it again"


def test_as_many_numbers_as_channels_are_asked(tmp_path: Path) -> None:
    model = tiny_image_bundle(tmp_path / "bundle") / "model.onnx"

    with pytest.raises(UsageError) as caught:
        read_image_input(model, PixelWords(mean=(0.5, 0.5)))

    assert caught.value.what == "2 numbers for 3 channel(s)"
    assert caught.value.where == "--image-mean"
    assert caught.value.hint
