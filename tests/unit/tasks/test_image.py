import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgewise.errors import InvalidData, InvalidModel, MissingExtra
from edgewise.records import BundleManifest, ImageInput, Task
from edgewise.tasks import open_task
from edgewise.tasks.image import ImageClassification

PLAIN = ImageInput(height=2, width=3, mean=(0.0,) * 3, std=(1.0,) * 3)
GRAY = ImageInput(height=2, width=3, channels=1, mean=(0.5,), std=(0.25,))
PIXELS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


def task_of(image: ImageInput | None) -> ImageClassification:
    return ImageClassification(image, ("a", "b"), "bundle")


def png(pixels: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def refusal(value: Any, image: ImageInput = PLAIN) -> InvalidData:
    with pytest.raises(InvalidData) as caught:
        task_of(image).encode([{"image": value}])
    return caught.value


def test_channels_come_first_and_values_from_zero_to_one() -> None:
    found = task_of(PLAIN).encode([{"image": PIXELS}, {"image": PIXELS}])["image"]

    assert found.shape == (2, 3, 2, 3)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found[1, 2], PIXELS[:, :, 2] / 255)


def test_channels_come_last_where_the_bundle_says_so() -> None:
    last = ImageInput(height=2, width=3, mean=(0.0,) * 3, std=(1.0,) * 3, channels_first=False)

    found = task_of(last).encode([{"image": PIXELS}])["image"]

    np.testing.assert_allclose(found[0], PIXELS / 255)


def test_values_are_normalized_by_channel() -> None:
    image = ImageInput(height=1, width=1, mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25))

    found = task_of(image).encode([{"image": np.full((1, 1, 3), 0.75)}])["image"]

    assert found.ravel().tolist() == [0.75, 0.5, -1.0]


@pytest.mark.parametrize(
    "value",
    [
        np.full((2, 3), 255, dtype=np.uint8),
        np.ones((2, 3, 1), dtype=np.float64),
        np.full((2, 3), 255, dtype=np.int64),
        [[255, 255, 255], [255, 255, 255]],
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]],
    ],
)
def test_integers_reach_255_and_floats_one(value: Any) -> None:
    found = task_of(GRAY).encode([{"image": value}])["image"]

    assert found.tolist() == np.full((1, 1, 2, 3), 2.0).tolist()


def test_array_file_is_read_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "one.npy", PIXELS)
    monkeypatch.setitem(sys.modules, "PIL", None)

    for path in (tmp_path / "one.npy", str(tmp_path / "one.npy")):
        found = task_of(PLAIN).encode([{"image": path}])["image"]

        np.testing.assert_allclose(found[0, 0], PIXELS[:, :, 0] / 255)


def test_image_file_without_pillow_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)

    with pytest.raises(MissingExtra) as caught:
        task_of(PLAIN).encode([{"image": tmp_path / "one.png"}])

    assert caught.value.hint == 'pip install "edgewise[image]"'


def test_path_and_bytes_of_an_image_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(png(PIXELS))
    task = task_of(PLAIN)

    found = [task.encode([{"image": v}])["image"] for v in (path, str(path), path.read_bytes())]

    for one in found:
        np.testing.assert_allclose(one[0, 1], PIXELS[:, :, 1] / 255)


def test_image_is_resized_and_converted() -> None:
    large = png(np.full((20, 30, 4), 255, dtype=np.uint8))

    assert task_of(PLAIN).encode([{"image": large}])["image"].tolist() == (
        np.ones((1, 3, 2, 3)).tolist()
    )
    assert task_of(GRAY).encode([{"image": large}])["image"].shape == (1, 1, 2, 3)


@pytest.mark.parametrize("image", [PLAIN, replace(GRAY, mean=(0.0,), std=(1.0,))])
def test_grey_in_sixteen_bits_is_as_light_as_in_eight(image: ImageInput) -> None:
    light = np.array([[0, 51, 102], [153, 204, 255]], dtype=np.uint8)

    found = task_of(image).encode([{"image": png(light.astype(np.uint16) * 257)}])["image"]

    for channel in found[0]:
        np.testing.assert_allclose(channel, light / 255)


def test_length_is_the_pixels_that_the_model_sees() -> None:
    assert task_of(PLAIN).length({"image": "any.png"}) == 6


def test_logits_become_predictions() -> None:
    (found,) = task_of(PLAIN).decode(np.array([[0.0, np.log(3.0)]]))

    assert found.label == "b"
    assert found.confidence == pytest.approx(0.75)


def test_manifest_opens_its_task(tmp_path: Path) -> None:
    manifest = BundleManifest(
        name="tiny", task=Task.IMAGE_CLASSIFICATION, labels=("a", "b"), files={}, image=PLAIN
    )

    assert open_task(manifest, tmp_path).labels == ("a", "b")


@pytest.mark.parametrize(
    ("value", "what", "hint"),
    [
        (None, "the input has no `image`", "give a path, the file's bytes or an array (h, w, c)"),
        (7, "`image` is a int", "give a path, the file's bytes or an array (h, w, c)"),
        ([[1], [1, 2]], "`image` is a list of unequal rows", "give an array (h, w, c)"),
        (
            np.zeros((3, 2, 3), np.uint8),
            "an array of shape (3, 2, 3), and the model takes (2, 3, 3)",
            "resize it, or give an image file",
        ),
        (
            np.full((2, 3, 3), "a"),
            "an array of <U1",
            "give uint8, or floats from 0 to 1",
        ),
        (
            np.full((2, 3, 3), 128.0),
            "values outside 0 to 1, as float64 has them",
            "give uint8, or floats from 0 to 1",
        ),
        (
            np.full((2, 3, 3), np.nan, np.float32),
            "values outside 0 to 1, as float32 has them",
            "give uint8, or floats from 0 to 1",
        ),
        (
            np.full((2, 3, 3), -1),
            "values outside 0 to 255, as int64 has them",
            "give uint8, or floats from 0 to 1",
        ),
    ],
)
def test_what_is_no_image_is_invalid_data(value: Any, what: str, hint: str) -> None:
    found = refusal(value)

    assert (found.what, found.where, found.hint) == (what, "input", hint)


@pytest.mark.parametrize("content", [b"", b"<html>", np.arange(3).tobytes()])
def test_broken_array_file_is_invalid_data(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "one.npy"
    path.write_bytes(content)

    found = refusal(path)

    assert found.what.startswith("not an array: ")
    assert (found.where, found.hint) == (str(path), "save it by numpy.save")


def test_absent_array_file_is_invalid_data(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "one.npy").what


def test_array_file_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.array([{}], dtype=object))

    assert refusal(tmp_path / "one.npy").what.startswith("not an array: ")


def test_array_file_of_another_size_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros((1, 1, 3), np.uint8))

    assert refusal(tmp_path / "one.npy").where == str(tmp_path / "one.npy")


@pytest.mark.parametrize("kept", [0, 20, 45])
def test_cut_off_image_is_invalid_data(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(png(PIXELS)[:kept])

    for value, where in ((path, str(path)), (path.read_bytes(), "input")):
        found = refusal(value)

        assert found.what.startswith("not an image: ")
        assert (found.where, found.hint) == (where, "give a PNG or JPEG file")


def test_absent_image_is_invalid_data(tmp_path: Path) -> None:
    assert refusal(tmp_path / "one.png").what.startswith("not an image: ")


@pytest.mark.parametrize("side", [7_100, 10_000, 14_000])
def test_image_of_too_many_pixels_is_invalid_data(side: int) -> None:
    stream = io.BytesIO()
    Image.new("1", (side, side)).save(stream, "PNG")

    found = refusal(stream.getvalue())

    assert found.what == "the image is too large"
    assert (found.where, found.hint) == ("input", "give at most 50 megapixels")


def test_bundle_that_says_nothing_of_images_is_invalid() -> None:
    with pytest.raises(InvalidModel) as caught:
        task_of(None)

    assert caught.value.what == "the bundle does not say how images are read"
    assert caught.value.where == "bundle"
    assert caught.value.hint == "set model.image: {height: …, width: …}"


@pytest.mark.parametrize(
    "image",
    [
        ImageInput(height=2, width=2, channels=4),
        ImageInput(height=2, width=2, mean=(0.5,)),
        ImageInput(height=2, width=2, std=(1.0, 0.0, 1.0)),
    ],
)
def test_normalization_that_does_not_fit_the_channels_is_invalid(image: ImageInput) -> None:
    with pytest.raises(InvalidModel) as caught:
        task_of(image)

    assert caught.value.what.startswith("mean (")
    assert caught.value.what.endswith(f"for {image.channels} channel(s)")
    assert caught.value.where == "bundle"
    assert caught.value.hint == "give a mean and a std above 0 for each channel"
