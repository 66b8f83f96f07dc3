"""Bundles compared in turn, each in a process of its own."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgewise.errors import InvalidData, InvalidModel, UsageError
from edgewise.profile import Entry, compare
from edgewise.records import Input, decode, encode
from edgewise.runtimes import bundle_sha256, read_manifest, write_manifest
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

pytestmark = pytest.mark.integration

INPUTS: list[Input] = [{"text": "good " * (1 + number % 30)} for number in range(20)]


def entries(*bundles: Path) -> list[Entry]:
    return [Entry(bundle=one) for one in bundles]


def test_one_bundle_is_compared_by_threads_and_runtime(tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")
    both = [Entry(bundle=bundle), Entry(bundle=bundle, runtime="onnxruntime", threads=2)]

    found = compare(both, INPUTS, rounds=2)

    assert [(one.runtime, one.threads) for one in found.contenders] == [
        ("onnxruntime", 1),
        ("onnxruntime", 2),
    ]
    assert found.target.threads == 1


def test_a_bundle_is_as_fast_as_itself(tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")

    found = compare(entries(bundle, bundle), INPUTS, rounds=40)

    first, second = found.contenders
    assert (first.ratio, first.ratio_low, first.ratio_high) == (1.0, 1.0, 1.0)
    assert second.ratio == pytest.approx(1.0, abs=0.2)
    assert second.ratio_low <= second.ratio <= second.ratio_high
    assert (found.rounds, found.inputs_per_round, found.confidence) == (40, 8, 0.95)
    assert first.bundle_sha256 == bundle_sha256(read_manifest(bundle))
    assert 0 < first.p50_ms <= first.p95_ms
    assert decode(type(found), encode(found)) == found


def test_a_slower_bundle_has_a_ratio_above_one_either_way_round(tmp_path: Path) -> None:
    small = tiny_image_bundle(tmp_path / "small", side=8)
    large = tiny_image_bundle(tmp_path / "large", side=400)
    picture = tmp_path / "picture.png"
    Image.fromarray(np.full((16, 16, 3), 200, dtype=np.uint8)).save(picture)
    told: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        told.append((stage, done, total))

    forward = compare(entries(small, large), [{"image": picture}], rounds=2, progress=progress)
    backward = compare(entries(large, small), [{"image": picture}], rounds=2)

    slower, faster = forward.contenders[1], backward.contenders[1]
    assert slower.ratio_low > 2
    assert faster.ratio_high < 0.5
    assert forward.contenders[1].bundle == str(large)
    assert forward.inputs_per_round == 1
    assert told == [("compare", done, 2) for done in range(3)]


def test_three_bundles_are_compared_with_the_first(tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")

    found = compare(entries(bundle, bundle, bundle), INPUTS, rounds=2)

    assert [one.ratio == 1.0 for one in found.contenders] == [True, False, False]


def test_one_bundle_alone_can_not_be_compared(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        compare(entries(tmp_path), INPUTS)

    assert caught.value.what == "1 bundle(s) in 120 round(s)"
    assert caught.value.where == "compare"
    assert caught.value.hint == "give at least two bundles and two rounds"


def test_a_bundle_that_can_not_be_loaded_is_named(tmp_path: Path) -> None:
    whole = tiny_text_bundle(tmp_path / "whole")
    broken = tiny_text_bundle(tmp_path / "broken")
    (broken / "model.onnx").write_bytes(b"prose")
    write_manifest(broken, read_manifest(broken, verify=False))

    with pytest.raises(InvalidModel) as caught:
        compare(entries(whole, broken), INPUTS)

    assert caught.value.where == str(broken / "model.onnx")


def test_nothing_can_not_be_compared_with(tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        compare(entries(tmp_path, tmp_path), [])

    assert caught.value.what == "no inputs to measure with"
