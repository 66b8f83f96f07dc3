"""`edgewise optimize` of an image model by the real command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import asides, content, edgewise
from image_network import PIXELS, source_answers, write_digits
from numpy.typing import NDArray

from edgewise.runtimes import open_bundle, read_manifest

pytestmark = pytest.mark.integration

ORDER = ("optimize", "convnet.onnx", "--data", "data/train.csv", "--out", "best", *PIXELS)
KEYS = (
    *("recipe", "runtime", "size_bytes", "p50_ms", "p95_ms", "peak_memory_bytes"),
    *("cosine", "agreement", "metric", "kept", "why"),
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NDArray[Any], NDArray[Any]]:
    folder = tmp_path_factory.mktemp("digits")
    return (folder, *write_digits(folder))


@pytest.fixture
def folder(
    digits: tuple[Path, NDArray[Any], NDArray[Any]], tmp_path: Path
) -> tuple[Path, NDArray[Any], NDArray[Any]]:
    source, pixels, labels = digits
    for name in ("data", "convnet.onnx"):
        (tmp_path / name).symlink_to(source / name)
    return tmp_path, pixels, labels


Digits = tuple[Path, NDArray[Any], NDArray[Any]]


def test_an_image_model_ends_in_an_int8_bundle_that_answers_as_its_source(folder: Digits) -> None:
    at, pixels, labels = folder
    passes = ("--passes", "int8-static", "--passes", "int8-static:entropy")

    ended = edgewise(*ORDER, *passes, "--json", folder=at)

    assert ended.code == 0, ended
    found = json.loads(ended.out)
    assert found["task"] == "image-classification"
    assert [one["recipe"] for one in found["candidates"]] == [
        ["int8-static"],
        ["int8-static:entropy"],
    ]
    assert all(set(KEYS) <= one.keys() for one in found["candidates"])
    chosen = found["chosen"]
    assert chosen["kept"]
    assert chosen["metric"] > 0.9
    assert chosen["p95_ms"] >= chosen["p50_ms"] > 0
    assert chosen["size_bytes"] < 0.5 * found["source_size_bytes"]
    manifest = read_manifest(at / "best/bundle")
    assert list(manifest.recipe) == chosen["recipe"]
    assert manifest.image is not None
    assert (manifest.image.mean, manifest.image.std) == ((0.0,), (1.0,))
    model = open_bundle(at / "best/bundle")
    answers = [int(model.predict({"image": one}).label) for one in pixels]
    model.close()
    assert np.mean(answers == source_answers(at / "convnet.onnx", pixels)) >= 0.97
    assert np.mean(answers == labels) > 0.9
    assert asides(at) == []


def test_where_every_candidate_loses_too_much_the_answer_is_no(folder: Digits) -> None:
    at, _, _ = folder
    (at / "best").mkdir()
    (at / "best/mine").write_text("mine", encoding="utf-8")
    before = content(at / "best")

    ended = edgewise(*ORDER, "--passes", "prune-channels:0.9,int8-static", "--json", folder=at)

    assert ended.code == 3, ended
    found = json.loads(ended.out)
    assert found["chosen"] is None
    (only,) = found["candidates"]
    assert not only["kept"]
    assert any("2.0% is allowed" in why for why in only["why"]), only["why"]
    assert content(at / "best") == before
    assert asides(at) == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--image-shape", "8x8"), ("not the shape of an image", "--image-shape")),
        (("--image-mean", "dark"), ("not a number: `dark`", "--image-mean")),
        (("--image-std", "0"), ("it is 0", "--image-std")),
        (("--image-mean", "0,0"), ("2 numbers for 1 channel(s)", "--image-mean")),
    ],
)
def test_a_slip_in_what_is_said_of_images_is_named(
    folder: Digits, more: tuple[str, ...], words: tuple[str, ...]
) -> None:
    ended = edgewise(*ORDER, *more, folder=folder[0])

    ended.refused(*words, code=2)
