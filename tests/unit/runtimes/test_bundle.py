import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgewise.errors import (
    EdgewiseError,
    IntegrityError,
    InvalidData,
    InvalidModel,
    InvalidRecord,
    SchemaMismatch,
    StorageError,
)
from edgewise.records import ImageInput, Input, Task
from edgewise.runtimes import (
    LocalModel,
    bundle_sha256,
    find_runtime,
    hash_file,
    open_bundle,
    open_onnx,
    open_task_of,
    read_manifest,
    write_manifest,
)
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

E = float(np.e)
PLAIN = ImageInput(height=4, width=4, mean=(0.0,) * 3, std=(1.0,) * 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_text_bundle(tmp_path / "bundle")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tiny_image_bundle(tmp_path / "images")


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**body, **changes}), encoding="utf-8")


def plain(folder: Path, labels: str | None = '["negative", "positive"]') -> Path:
    (folder / "manifest.json").unlink()
    if labels is not None:
        (folder / "labels.json").write_text(labels, encoding="utf-8")
    return folder / "model.onnx"


def write_image_model(path: Path, *shape: str | int) -> Path:
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("ReduceMax", ["flat"], ["top"], axes=[1], keepdims=1),
        helper.make_node("Neg", ["top"], ["bottom"]),
        helper.make_node("Concat", ["bottom", "top"], ["scores"], axis=1),
    ]
    given = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, list(shape))
    made = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph(nodes, "tiny", [given], [made])
    opsets = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    (path.parent / "labels.txt").write_text("dark\nbright\n", encoding="utf-8")
    return path


def refusal(call: Callable[[], object], kind: type[EdgewiseError]) -> tuple[str, str, str]:
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    return caught.value.what, caught.value.where, caught.value.hint


@pytest.mark.parametrize(
    ("text", "negative", "positive"),
    [
        ("good", 0, 1),
        ("Great, good film", 0, 2),
        ("awful bad BAD", 3, 0),
        ("good and bad", 1, 1),
        ("", 0, 0),
    ],
)
def test_text_bundle_answers_by_its_words(
    folder: Path, text: str, negative: int, positive: int
) -> None:
    found = open_bundle(folder).predict({"text": text})

    share = E**positive / (E**positive + E**negative)
    assert found.probabilities == pytest.approx((1 - share, share))
    assert found.label == ("positive" if positive > negative else "negative")
    assert found.confidence == max(found.probabilities)


def test_image_bundle_answers_by_brightness(images: Path) -> None:
    model = open_bundle(images)

    bright = model.predict({"image": np.full((4, 4, 3), 255, dtype=np.uint8)})
    dark = model.predict({"image": np.full((4, 4, 3), 0.25)})

    assert (bright.label, dark.label) == ("bright", "dark")
    assert bright.confidence == pytest.approx(1 / (1 + E**-8))
    assert dark.confidence == pytest.approx(1 / (1 + E**-4))
    assert model.length({"image": "any.png"}) == 16


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_many_answers_keep_their_order(folder: Path, batch_size: int) -> None:
    model = open_bundle(folder)
    texts = ["good " * n + "bad " * (9 - n) for n in (7, 1, 0, 9, 3)] + ["", "word"]
    inputs: list[Input] = [{"text": text} for text in texts]

    found = model.predict_many(inputs, batch_size=batch_size)

    assert [one.label for one in found[:5]] == [
        "positive",
        "negative",
        "negative",
        "positive",
        "negative",
    ]
    for one, answer in zip(inputs, found, strict=True):
        assert answer.probabilities == pytest.approx(model.predict(one).probabilities)


@pytest.mark.parametrize("workers", [1, 3])
def test_many_answers_are_bit_for_bit_the_single_ones(folder: Path, workers: int) -> None:
    model = open_bundle(folder)
    inputs: list[Input] = [{"text": "good " * n} for n in range(5)]

    assert model.predict_many(inputs, workers=workers) == [model.predict(one) for one in inputs]


def test_many_images_are_answered(images: Path) -> None:
    inputs: list[Input] = [
        {"image": np.full((4, 4), v)[:, :, None].repeat(3, 2)} for v in (0.9, 0.1)
    ]

    found = open_bundle(images).predict_many(inputs, batch_size=2)

    assert [one.label for one in found] == ["bright", "dark"]


def test_no_inputs_give_no_answers(folder: Path) -> None:
    assert open_bundle(folder).predict_many([]) == []


def test_one_bad_input_among_many_is_named(folder: Path) -> None:
    found = refusal(
        lambda: open_bundle(folder).predict_many([{"text": "good"}, {"text": 3}]), InvalidData
    )

    assert found == ("`text` is a int", "input", 'give {"text": "..."}')


def test_model_says_what_it_is(folder: Path) -> None:
    model = open_bundle(folder)

    assert model.labels == model.manifest.labels == ("negative", "positive")
    assert model.sha256 == bundle_sha256(read_manifest(folder))
    assert model.length({"text": "a b, c"}) == 6
    model.close()


def test_labels_in_another_order_are_kept_apart(tmp_path: Path) -> None:
    model = open_bundle(tiny_text_bundle(tmp_path / "a", ("positive", "neutral", "negative")))

    assert model.predict({"text": "good"}).label == "positive"
    assert model.predict({"text": "bad"}).label == "negative"


def test_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(b"abc")

    assert hash_file(path) == hashlib.sha256(b"abc").hexdigest()


def test_file_that_cannot_be_read_is_a_storage_error(tmp_path: Path) -> None:
    what, where, hint = refusal(lambda: hash_file(tmp_path), StorageError)

    assert what == "can't read: Is a directory"
    assert where == str(tmp_path)
    assert hint == "check that it is there, and who may read it"


def test_written_manifest_holds_every_file_and_keeps_the_rest(folder: Path) -> None:
    before = read_manifest(folder)
    (folder / "extra" / "deep").mkdir(parents=True)
    (folder / "extra" / "deep" / "manifest.json").write_bytes(b"abc")

    given = replace(before, recipe=("cut:2",), files={"gone": "0"})
    written = write_manifest(folder, given)

    assert written == read_manifest(folder)
    assert replace(written, files={}) == replace(given, files={})
    assert set(written.files) == {"model.onnx", "tokenizer.json", "extra/deep/manifest.json"}
    assert written.files["extra/deep/manifest.json"] == hashlib.sha256(b"abc").hexdigest()


def test_bundle_hash_changes_with_any_byte_and_any_field(folder: Path) -> None:
    first = read_manifest(folder)
    (folder / "tokenizer.json").write_text(
        (folder / "tokenizer.json").read_text(encoding="utf-8") + " ", encoding="utf-8"
    )

    second = write_manifest(folder, first)

    hashes = {bundle_sha256(m) for m in (first, second, replace(first, max_length=64))}
    assert len(hashes) == 3


def test_same_bundle_made_twice_has_the_same_hash(tmp_path: Path) -> None:
    one, two = (tiny_text_bundle(tmp_path / name / "same") for name in "ab")

    assert bundle_sha256(read_manifest(one)) == bundle_sha256(read_manifest(two))


def test_moved_bundle_is_the_same_bundle(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere")

    assert open_bundle(tmp_path / "elsewhere").sha256 == open_bundle(folder).sha256


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_changed_byte_is_named_before_the_file_is_used(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)

    what, where, hint = refusal(lambda: open_bundle(folder), IntegrityError)

    assert what == "its bytes differ from the manifest's hash"
    assert where == str(folder / name)
    assert hint == "copy the bundle again, or make it anew"
    assert read_manifest(folder, verify=False).name == "bundle"


def test_missing_file_is_named(folder: Path) -> None:
    (folder / "model.onnx").unlink()

    found = refusal(lambda: open_bundle(folder), IntegrityError)

    assert found == ("the file is missing", str(folder / "model.onnx"), "copy the bundle again")


def test_file_outside_the_bundle_is_refused(folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.write_bytes(b"abc")
    files = {**read_manifest(folder).files, "../outside": hash_file(outside)}
    edit(folder, files=files)

    what, where, hint = refusal(lambda: open_bundle(folder), IntegrityError)

    assert what == "a file outside the bundle is listed"
    assert where == str(folder / "../outside")
    assert hint == "make the bundle anew"


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("told", ["tokenizer.json", None])
def test_file_in_use_without_a_hash_is_refused(folder: Path, name: str, told: str | None) -> None:
    files = {k: v for k, v in read_manifest(folder).files.items() if k != name}
    edit(folder, files=files, tokenizer=told)

    found = refusal(lambda: open_bundle(folder), IntegrityError)

    hint = "make the bundle anew"
    assert found == ("the manifest has no hash of it", str(folder / name), hint)


def test_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent"):
        found = refusal(lambda place=place: open_bundle(place), InvalidModel)  # type: ignore[misc]

        what = "not a bundle: it holds no manifest.json"
        assert found == (what, str(place), "make one with `edgewise run`")


def test_manifest_of_a_newer_edgewise_is_a_schema_mismatch(folder: Path) -> None:
    edit(folder, schema_version=2)

    what, where, hint = refusal(lambda: open_bundle(folder), SchemaMismatch)

    assert what == "schema version 2, and this edgewise reads 1"
    assert where == str(folder / "manifest.json")
    assert hint == "use the edgewise version that wrote it, or write it anew"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 1, "name": "x"}'])
def test_manifest_that_is_none_is_an_invalid_record(folder: Path, content: str) -> None:
    (folder / "manifest.json").write_text(content, encoding="utf-8")

    what, where, hint = refusal(lambda: open_bundle(folder), InvalidRecord)

    assert what
    assert where.startswith(str(folder / "manifest.json"))
    assert hint


def test_runtime_is_found_by_its_name(folder: Path) -> None:
    assert find_runtime("onnxruntime").name == "onnxruntime"

    edit(folder, runtime="abacus")

    found = refusal(lambda: open_bundle(folder), InvalidModel)
    assert found == (
        "no such runtime: abacus",
        "runtime",
        "there is: onnxruntime, openvino, litert",
    )


def test_task_opens_without_its_model(folder: Path) -> None:
    manifest = read_manifest(folder)
    (folder / "model.onnx").unlink()

    assert open_task_of(manifest, folder).length({"text": "a"}) == 3


def test_plain_onnx_is_the_same_model_as_its_bundle(folder: Path) -> None:
    bundle = open_bundle(folder)

    model = open_onnx(plain(folder))

    assert model.labels == ("negative", "positive")
    assert set(model.manifest.files) == {"model.onnx", "tokenizer.json"}
    assert model.predict({"text": "good"}) == bundle.predict({"text": "good"})


def test_given_labels_and_tokenizer_go_before_those_beside(folder: Path, tmp_path: Path) -> None:
    path = plain(folder)
    elsewhere = tmp_path / "elsewhere.json"
    (folder / "tokenizer.json").rename(elsewhere)

    model = open_onnx(path, labels=["no", "yes"], tokenizer=elsewhere)

    assert model.predict({"text": "good"}).label == "yes"


def test_vocabulary_beside_a_plain_onnx_is_its_tokenizer(folder: Path) -> None:
    path = plain(folder)
    (folder / "tokenizer.json").unlink()
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "great", "bad", "awful")
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")

    assert open_onnx(path).predict({"text": "awful"}).label == "negative"


def test_plain_text_model_without_a_tokenizer_is_told_so(folder: Path) -> None:
    path = plain(folder)
    (folder / "tokenizer.json").unlink()

    found = refusal(lambda: open_onnx(path), InvalidModel)

    hint = "put tokenizer.json beside the model, or set model.tokenizer"
    assert found == ("there is no tokenizer", str(folder / "tokenizer.json"), hint)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (("n", 3, 2, 5), ImageInput(height=2, width=5)),
        ((1, 1, 2, 5), ImageInput(height=2, width=5, channels=1)),
        (("n", 2, 5, 3), ImageInput(height=2, width=5, channels_first=False)),
    ],
)
def test_plain_image_model_tells_its_size(
    tmp_path: Path, shape: tuple[str | int, ...], expected: ImageInput
) -> None:
    model = open_onnx(write_image_model(tmp_path / "model.onnx", *shape))
    pixels = np.ones((2, 5, expected.channels))

    assert model.manifest.task is Task.IMAGE_CLASSIFICATION
    assert model.manifest.image == expected
    assert model.predict({"image": pixels}).label == "bright"
    assert len(model.predict_many([{"image": pixels}] * 3)) == 3


def test_given_image_goes_before_what_the_model_tells(tmp_path: Path) -> None:
    model = open_onnx(write_image_model(tmp_path / "model.onnx", "n", 3, "h", "w"), image=PLAIN)

    found = model.predict({"image": np.full((4, 4, 3), 0.5)})

    assert found.probabilities == pytest.approx((1 / (1 + E), E / (1 + E)))


@pytest.mark.parametrize(
    "shape", [("n", 3, "h", "w"), ("n", 3), ("n", 7, 9, 9), ("n", "h", "w", 3)]
)
def test_model_that_does_not_tell_what_it_takes_is_invalid(
    tmp_path: Path, shape: tuple[str | int, ...]
) -> None:
    path = write_image_model(tmp_path / "model.onnx", *shape)

    what, where, hint = refusal(lambda: open_onnx(path), InvalidModel)

    assert what.startswith("what the model takes is not known from its inputs: pixels [None, ")
    assert where == str(path)
    assert hint == "give text models an input `input_ids`; for images of any size, give `image`"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", b"negative\npositive"),
        ("labels.txt", b"negative\npositive\n"),
        ("labels.txt", b"\xef\xbb\xbfnegative\r\npositive\r\n"),
        ("labels.json", b'["negative", "positive"]'),
    ],
)
def test_labels_beside_the_model_are_read(folder: Path, name: str, content: bytes) -> None:
    path = plain(folder, labels=None)
    (folder / name).write_bytes(content)

    assert open_onnx(path).labels == ("negative", "positive")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", b""),
        ("labels.txt", b"a\n\nb\n"),
        ("labels.txt", b"a\na\n"),
        ("labels.json", b"[]"),
        ("labels.json", b"[1, 2]"),
        ("labels.json", b'{"a": 1}'),
    ],
)
def test_labels_that_are_no_names_are_invalid(folder: Path, name: str, content: bytes) -> None:
    path = plain(folder, labels=None)
    (folder / name).write_bytes(content)

    found = refusal(lambda: open_onnx(path), InvalidModel)

    hint = 'write them like ["negative", "positive"]'
    assert found == ("not a list of different names", str(folder / name), hint)


@pytest.mark.parametrize(("name", "content"), [("labels.txt", b"\xff\xfe"), ("labels.json", b"[")])
def test_labels_that_cannot_be_read_are_invalid(folder: Path, name: str, content: bytes) -> None:
    path = plain(folder, labels=None)
    (folder / name).write_bytes(content)

    what, where, hint = refusal(lambda: open_onnx(path), InvalidModel)

    assert what.startswith("can't be read: ")
    assert where == str(folder / name)
    assert hint == "write the label names anew"


def test_plain_onnx_without_labels_is_told_so(folder: Path) -> None:
    path = plain(folder, labels=None)

    found = refusal(lambda: open_onnx(path), InvalidModel)

    assert found == ("no label names", str(path), "put labels.txt beside it, one a line")


def test_absent_onnx_is_told_before_its_labels(tmp_path: Path) -> None:
    found = refusal(lambda: open_onnx(tmp_path / "model.onnx"), InvalidModel)

    assert found == ("no such model file", str(tmp_path / "model.onnx"), "check the path")


def test_labels_of_another_number_are_an_invalid_model(folder: Path) -> None:
    model: LocalModel = open_onnx(plain(folder), labels=["a", "b", "c"])

    what, where, hint = refusal(lambda: model.predict({"text": ""}), InvalidModel)

    assert what == "logits of shape (1, 2) for 3 labels"
    assert where == "model output"
    assert hint == "the model must give (n, labels)"
