"""`ModelOptimizer` on ONNX files and bundles, without torch: each method, and sequences of them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_graphs import Builder, convnet, kinds, mlp, run

from edgewise import ModelOptimizer
from edgewise.errors import InvalidData, InvalidModel, StorageError, UsageError
from edgewise.optimize.optimized import OptimizedModel
from edgewise.runtimes import open_bundle, read_manifest, write_manifest
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

pytestmark = pytest.mark.integration
SEQUENCE = ("prune-ffn:0.4", "int8-static")
optimizer = ModelOptimizer()


def rows(count: int, width: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def wide(inner: int = 4000) -> onnx.ModelProto:
    """Give a net of two linear layers of 8 MB each, where what is computed costs time."""
    b = Builder(4)
    hidden = b.op("Relu", b.op("MatMul", "x", b.draw(500, inner)))
    hidden = b.op("MatMul", hidden, b.draw(inner, 500))
    b.op("MatMul", b.op("Relu", hidden), b.draw(500, 5))
    takes = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 500])
    return b.finish([takes], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    onnx.save(mlp(), tmp_path / "mlp.onnx")
    return tmp_path / "mlp.onnx"


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, np.ndarray]:
    onnx.save(convnet(), tmp_path / "convnet.onnx")
    values = np.random.default_rng(0).normal(size=(8, 3, 8, 8)).astype(np.float32)
    return tmp_path / "convnet.onnx", values


def graph(model: OptimizedModel) -> onnx.ModelProto:
    return onnx.load_from_string(model.model)


@pytest.mark.parametrize(
    ("kind", "word", "operator"),
    [
        ("dynamic", "int8-dynamic", "DynamicQuantizeLinear"),
        ("static", "int8-static", "QuantizeLinear"),
        ("int4", "int4-weights", "MatMulNBits"),
    ],
)
def test_each_quantization_is_what_its_name_says(
    tmp_path: Path, kind: str, word: str, operator: str
) -> None:
    onnx.save(wide(640), tmp_path / "m.onnx")
    data = rows(4, 500)

    made = optimizer.quantize_model(tmp_path / "m.onnx", data, kind)

    assert (made.recipe, made.notes) == ((word,), ())
    assert operator in kinds(graph(made))
    assert made.size_bytes < 0.4 * (tmp_path / "m.onnx").stat().st_size
    (expected,) = run(wide(640), {"x": data})
    found = made.run({"x": data})["y"]
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.97


@pytest.mark.slow
def test_pruning_makes_the_file_smaller_and_the_model_faster(tmp_path: Path) -> None:
    onnx.save(wide(), tmp_path / "m.onnx")

    made = optimizer.prune_model(tmp_path / "m.onnx", 0.4)
    found = optimizer.measure_optimization_impact(tmp_path / "m.onnx", made, rows(8, 500))

    # 500 to 4000 to 500 to 5: 0.6 of the first hidden layer stays, and 0.6 of the second.
    kept = 500 * 2400 + 2400 * 300 + 300 * 5
    assert sum(np.prod(one.dims) for one in graph(made).graph.initializer) == kept
    assert found.size_reduction == pytest.approx(1 - kept / (4000 * 1000 + 2500), abs=0.001)
    assert found.latency_improvement > 1
    assert found.latency_improvement_low <= found.latency_improvement
    assert found.latency_improvement <= found.latency_improvement_high
    assert found.optimized_latency_ms <= found.optimized_p95_latency_ms
    assert 0 < found.optimized_peak_memory_mb < found.original_peak_memory_mb
    assert found["size_reduction"] == found.size_reduction
    assert set(found) >= {"latency_improvement", "accuracy_delta", "original_size_mb"}
    assert len(dict(found)) == len(found)
    with pytest.raises(KeyError):
        found["speed"]


def test_what_comes_after_quantizing_is_done_before_it_and_undoes_nothing(path: Path) -> None:
    quantized = optimizer.quantize_model(path, rows(8), "static")
    pruned = optimizer.prune_model(quantized, 0.4)
    mobile = optimizer.optimize_for_mobile(pruned, rows(2), formats=["ort"])

    other = optimizer.prune_model(path, 0.4, sample_data=rows(8))
    other = optimizer.quantize_model(other, quantization_type="static")
    assert pruned.recipe == mobile.recipe == other.recipe == SEQUENCE
    assert pruned.model == other.model
    assert "can't be done after `int8-static`" in pruned.notes[0]
    assert mobile.notes == pruned.notes
    assert other.notes == ()
    assert mobile.format == "ort"
    assert {"QuantizeLinear", "DequantizeLinear"} <= set(kinds(graph(mobile)))
    assert np.allclose(mobile.run({"x": rows(3)})["y"], pruned.run({"x": rows(3)})["y"], atol=1e-5)
    assert quantized.recipe == ("int8-static",)


def test_a_step_after_the_mobile_one_makes_the_mobile_files_again(path: Path) -> None:
    mobile = optimizer.optimize_for_mobile(path, rows(2), formats=["ort"])

    made = optimizer.quantize_model(mobile, quantization_type="dynamic")

    assert made.format == "ort"
    assert made.recipe == ("int8-dynamic",)
    assert made.content != mobile.content
    assert made.notes[-1] == "the mobile files were made again after it"


def test_channels_of_a_convnet_are_pruned_and_its_answers_stay_of_their_shape(
    images: tuple[Path, np.ndarray],
) -> None:
    path, values = images

    made = optimizer.prune_model(path, 0.5, sample_data=values)

    assert made.recipe == ("prune-channels:0.5",)
    assert made.size_bytes < path.stat().st_size
    assert made.run({"image": values})["logits"].shape == (8, 4)


def test_unstructured_pruning_says_that_it_buys_compressed_size_alone(tmp_path: Path) -> None:
    onnx.save(wide(640), tmp_path / "m.onnx")

    made = optimizer.prune_model(tmp_path / "m.onnx", 0.5, structured=False)

    assert made.recipe == ("prune-unstructured:0.5",)
    weights = [onnx.numpy_helper.to_array(one) for one in graph(made).graph.initializer]
    zeros = sum(int((one == 0).sum()) for one in weights)
    assert zeros / sum(one.size for one in weights) == pytest.approx(0.5, abs=0.001)
    assert "buys compressed size alone, no smaller file and no faster run" in made.notes[0]
    assert made.size_bytes == pytest.approx((tmp_path / "m.onnx").stat().st_size, rel=0.01)


def test_accuracy_is_counted_against_the_labels_given(path: Path) -> None:
    data = rows(10)
    (logits,) = run(mlp(), {"x": data})
    labels = logits.argmax(axis=1)
    wrong = labels.copy()
    wrong[:3] = (wrong[:3] + 1) % 3

    found = optimizer.measure_optimization_impact(path, path, data, wrong, rounds=2)

    assert found.original_accuracy == found.optimized_accuracy == pytest.approx(0.7)
    assert (found.accuracy_delta, found.agreement, found.n) == (0.0, 1.0, 10)
    assert found.size_reduction == 0.0
    assert found.notes == ()


def test_without_labels_the_originals_answers_are_right_and_that_is_said(path: Path) -> None:
    found = optimizer.measure_optimization_impact(path, path, rows(4), rounds=2)

    assert found.original_accuracy == 1.0
    assert found.notes == ("no labels were given: what the original answers counts as right",)


def test_a_bundle_stays_a_bundle(tmp_path: Path) -> None:
    source = tiny_image_bundle(tmp_path / "source")
    taken = open_bundle(source)
    manifest = read_manifest(source)
    assert manifest.image is not None
    size = (manifest.image.channels, manifest.image.height, manifest.image.width)
    value = np.random.default_rng(0).normal(size=(4, *size)).astype(np.float32)

    mobile = optimizer.optimize_for_mobile(source, value, formats=["ort"])
    saved = mobile.save(tmp_path / "made")

    made = read_manifest(saved)
    assert (made.model, made.labels, made.task) == ("model.ort", taken.labels, manifest.task)
    open_bundle(saved).close()
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")]
    with pytest.raises(UsageError) as caught:
        mobile.save(saved)
    assert (caught.value.what, caught.value.where) == ("it exists", str(saved))


def test_a_text_bundle_keeps_its_tokenizer(tmp_path: Path) -> None:
    source = tiny_text_bundle(tmp_path / "source")
    ids = np.array([[2, 4, 3]], np.int64)
    data = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}

    mobile = optimizer.optimize_for_mobile(source, data, formats=["ort"])
    saved = mobile.save(tmp_path / "made")

    before, after = open_bundle(source), open_bundle(saved)
    assert after.predict({"text": "good"}) == before.predict({"text": "good"})


def test_weights_beside_a_bundle_s_model_are_in_the_one_that_is_saved(tmp_path: Path) -> None:
    source = tiny_text_bundle(tmp_path / "source")
    model = source / "model.onnx"
    whole = onnx.load(model)
    onnx.save(whole, model, save_as_external_data=True, location="beside.bin", size_threshold=0)
    write_manifest(source, read_manifest(source, verify=False))
    assert "beside.bin" in read_manifest(source).files

    saved = optimizer.quantize_model(source, quantization_type="dynamic").save(tmp_path / "made")

    assert sorted(read_manifest(saved).files) == ["model.onnx", "tokenizer.json"]
    assert open_bundle(saved).predict({"text": "good"}).label == "positive"


def test_a_model_is_saved_in_the_forms_that_were_made(path: Path, tmp_path: Path) -> None:
    mobile = optimizer.optimize_for_mobile(path, rows(2), out=tmp_path / "out", formats=["ort"])

    saved = mobile.save(tmp_path / "a.onnx")

    assert saved.read_bytes() == mobile.model
    assert mobile.save(tmp_path / "a.ort").read_bytes() == mobile.content
    assert (tmp_path / "out/model.ort").read_bytes() == mobile.content
    with pytest.raises(UsageError) as caught:
        mobile.save(tmp_path / "a.tflite")
    assert caught.value.what == "no `.tflite` was made"
    assert "there is: .onnx, .ort" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        mobile.save(tmp_path / "bundle")
    assert "which is no bundle" in caught.value.what
    with pytest.raises(StorageError) as failed:
        mobile.save(tmp_path / "absent/a.onnx")
    assert failed.value.where == str(tmp_path / "absent/a.onnx")


def test_a_mobile_file_whose_toolkit_is_absent_is_noted(path: Path) -> None:
    made = optimizer.optimize_for_mobile(path, rows(2))

    assert made.format == "ort"
    assert [note.partition(" ")[0] for note in made.notes] == ["`tflite`", "`tflite-int8`", "`pte`"]
    assert all("edgewise[mobile]" in note for note in made.notes)


def test_a_search_measures_what_fits_and_says_why_the_rest_does_not(tmp_path: Path) -> None:
    onnx.save(wide(), tmp_path / "m.onnx")

    found = optimizer.search_architecture(
        tmp_path / "m.onnx",
        rows(8, 500),
        recipes=["int8-dynamic", "prune-unstructured:0.999", "prune-channels:0.5"],
        min_agreement=0.9,
        rounds=3,
    )

    original, small, pruned, unfit = found.tried
    assert original.name == "float32"
    assert small.p50_ms < original.p50_ms
    assert small.size_bytes < 0.3 * original.size_bytes
    assert (small.is_best, small.why) == (True, "")
    assert found.chosen is not None
    assert found.chosen.recipe == ("int8-dynamic",)
    assert "and 90.0% is asked" in pruned.why
    assert "no channels to cut found" in unfit.why
    assert unfit.model is None


@pytest.mark.slow
def test_a_search_with_minutes_proposes_what_it_was_not_given(tmp_path: Path) -> None:
    onnx.save(wide(), tmp_path / "m.onnx")

    found = optimizer.search_architecture(
        tmp_path / "m.onnx",
        rows(8, 500),
        recipes=["int8-dynamic"],
        minutes=1.0,
        min_agreement=0.5,
        rounds=2,
    )

    original, given, *proposed = found.tried
    assert (original.name, given.name) == ("float32", "int8-dynamic")
    assert proposed
    assert not {one.name for one in proposed} & {"float32", "int8-dynamic"}
    for one in proposed:
        assert one.model is not None
        assert ",".join(one.model.words) == one.name
        assert one.size_bytes < original.size_bytes
    assert found.chosen is not None


def test_a_search_that_finds_nothing_chooses_nothing(path: Path) -> None:
    found = optimizer.search_architecture(path, rows(4), recipes=["prune-channels:0.5"])

    assert found.chosen is None
    assert [one.name for one in found.tried] == ["float32", "prune-channels:0.5"]


def broken(folder: Path) -> Path:
    (folder / "broken.onnx").write_bytes(b"no model")
    return folder / "broken.onnx"


def not_finite(folder: Path) -> Path:
    model = mlp()
    model.graph.node.append(helper.make_node("Log", [model.graph.output[0].name], ["logged"]))
    model.graph.output[0].name = "logged"
    onnx.save(model, folder / "nan.onnx")
    return folder / "nan.onnx"


@pytest.mark.parametrize(
    ("call", "error", "what"),
    [
        (lambda o, p: o.quantize_model(p, rows(2), "int2"), UsageError, "there is no `int2`"),
        (lambda o, p: o.quantize_model(p, None, "static"), InvalidData, "there are none"),
        (lambda o, p: o.quantize_model(p, [], "static"), InvalidData, "there are no examples"),
        (lambda o, p: o.prune_model(p, 1.0), UsageError, "the share to prune is 1.0"),
        (lambda o, p: o.prune_model(p, -0.1, False), UsageError, "the share to prune is -0.1"),
        (
            lambda o, p: o.prune_model(p, 0.4, structures=["rows"]),
            UsageError,
            "there is no `rows`",
        ),
        (lambda o, p: o.prune_model(p, "0.4"), UsageError, "the share to prune is a `str`"),
        (lambda o, p: o.optimize_for_mobile(p, None), InvalidData, "there are no examples"),
        (
            lambda o, p: o.optimize_for_mobile(p, rows(1), formats=["coreml"]),
            UsageError,
            "there is no `coreml`",
        ),
        (lambda o, p: o.search_architecture(p, None), InvalidData, "there are no examples"),
        (
            lambda o, p: o.measure_optimization_impact(p, p, rows(2), []),
            InvalidData,
            "there are 0 labels and 2 examples",
        ),
        (lambda o, p: o.prune_model(p, 0.4, structures=["heads"]), InvalidModel, "no attention"),
        (lambda o, p: o.quantize_model(p.with_name("no.onnx")), InvalidModel, "no such model"),
        (lambda o, p: o.quantize_model(broken(p.parent)), InvalidModel, "not a valid ONNX model"),
        (lambda o, p: o.quantize_model(p.parent), InvalidModel, "not a bundle"),
        (lambda o, _: o.quantize_model(Path(__file__)), InvalidModel, "can't optimize a `.py`"),
        (lambda o, _: o.quantize_model(3), UsageError, "a `int` is no model"),
        (lambda o, p: o.optimize_for_mobile(p, rows(1, 5)), InvalidData, "has shape (1, 5)"),
        (
            lambda o, p: o.measure_optimization_impact(p, p, rows(2), [0, 3]),
            InvalidData,
            "the label 3 is outside 0..2",
        ),
        (
            lambda o, p: o.measure_optimization_impact(p, not_finite(p.parent), rows(4)),
            InvalidModel,
            "NaN or infinite values on example",
        ),
        (lambda o, p: o.distill(p, 1, rows(2)), UsageError, "can't be trained"),
    ],
)
def test_bad_use_is_said(path: Path, call: Any, error: type[Exception], what: str) -> None:
    with pytest.raises(error) as caught:
        call(optimizer, path)

    assert what in getattr(caught.value, "what", "")
    assert getattr(caught.value, "hint", "")
    assert getattr(caught.value, "where", "")


def test_models_that_tell_different_classes_apart_are_not_compared(tmp_path: Path) -> None:
    onnx.save(mlp(), tmp_path / "three.onnx")
    b = Builder(5)
    b.op("MatMul", "x", b.draw(6, 4))
    takes = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])
    gives = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
    onnx.save(b.finish([takes], [gives]), tmp_path / "four.onnx")

    with pytest.raises(InvalidModel) as caught:
        optimizer.measure_optimization_impact(
            tmp_path / "three.onnx", tmp_path / "four.onnx", rows(2)
        )

    assert caught.value.what == "the original tells 3 classes apart, the optimized 4"
