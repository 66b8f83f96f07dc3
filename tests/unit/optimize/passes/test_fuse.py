"""Fusion changes the operators and not the numbers."""

import numpy as np
import onnx
import pytest
from tiny_graphs import BERTS, GOLDEN, convnet, exported_bert, golden, images, kinds, run, tokens

from edgewise.optimize.passes.fuse import fuse


def padded(case: str) -> dict[str, np.ndarray]:
    expected = np.load(GOLDEN / case / "expected.npz")
    inputs = tokens(expected["input_ids"])
    return inputs | {"attention_mask": expected["attention_mask"].astype(np.int64)}


@pytest.mark.parametrize("settings", [{"for_onnxruntime": False}, {}, {"norms": True}])
@pytest.mark.parametrize("case", BERTS)
def test_outputs_of_a_padded_batch_are_equal(case: str, settings: dict[str, bool]) -> None:
    model, inputs = golden(case), padded(case)

    fused = fuse(model, **settings)

    assert len(fused.graph.node) < len(model.graph.node)
    for found, expected in zip(run(fused, inputs), run(model, inputs), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("case", BERTS)
def test_each_layers_attention_becomes_one_operator(case: str) -> None:
    model = golden(case)

    fused = kinds(fuse(model))

    layers = kinds(model).count("Softmax")
    assert fused.count("Attention") == layers
    # Only the exact form has a fused operator; some of the golden models have another activation.
    assert fused.count("BiasGelu") == kinds(model).count("Erf")
    assert "Softmax" not in fused
    assert "Erf" not in fused


def test_norms_take_in_the_sums_and_the_embeddings() -> None:
    fused = kinds(fuse(golden("bert"), norms=True))

    assert fused.count("SkipLayerNormalization") == 6
    assert fused.count("EmbedLayerNormalization") == 1
    assert "LayerNormalization" not in fused


def test_without_onnxruntimes_operators_the_projections_become_one() -> None:
    model = golden("bert")

    fused = fuse(model, for_onnxruntime=False)

    assert {node.domain for node in fused.graph.node} == {""}
    assert kinds(fused).count("Split") == 3
    assert kinds(fused).count("MatMul") == kinds(model).count("MatMul") - 2 * 3


@pytest.mark.parametrize("length", [1, 7, 33])
def test_any_batch_and_length_runs_unpadded(length: int) -> None:
    model = golden("bert")
    fused = fuse(model, norms=True)

    for batch in (1, 3):
        inputs = tokens(np.random.default_rng(0).integers(4, 100, (batch, length)))
        for found, expected in zip(run(fused, inputs), run(model, inputs), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_batch_norms_join_the_convolutions_before_them() -> None:
    model = convnet()

    fused = fuse(model)

    assert "BatchNormalization" not in kinds(fused)
    for image in images(2):
        np.testing.assert_allclose(run(fused, image)[0], run(model, image)[0], atol=1e-5)


def test_an_exported_graph_with_a_guarded_softmax_keeps_its_attention() -> None:
    model = exported_bert()
    inputs = tokens(np.random.default_rng(0).integers(0, 50, (2, 9)))
    inputs["attention_mask"][1, 5:] = 0

    fused = fuse(model)

    assert "Attention" not in kinds(fused)
    assert kinds(fused).count("Split") == 2
    np.testing.assert_allclose(run(fused, inputs)[0], run(model, inputs)[0], atol=1e-5)


def test_constants_are_worked_out_and_the_input_is_untouched() -> None:
    model = exported_bert()
    before = model.SerializeToString()

    fused = fuse(model)

    assert model.SerializeToString() == before
    assert "Constant" not in kinds(fused)
    assert fuse(model) == fused


def test_no_shape_is_noted_that_would_bring_back_the_slow_norm() -> None:
    fused = fuse(golden("bert"))

    noted = {value.name: value.type.tensor_type for value in fused.graph.value_info}
    assert noted
    assert not any(kind.HasField("shape") for kind in noted.values())
    onnx.checker.check_model(fused)
