"""Neurons that go make the model smaller, and the fit makes up for them."""

import json

import numpy as np
import onnx
import pytest
from onnx import helper
from tiny_graphs import (
    GOLDEN,
    INNER,
    WIDTH,
    convnet,
    exported_bert,
    golden,
    mlp,
    run,
    token_samples,
    weight,
    with_weight,
)

from edgewise.errors import InvalidData, InvalidModel, UsageError
from edgewise.optimize.passes.prune_ffn import prune_ffn

X = {"x": np.random.default_rng(5).normal(size=(64, 6)).astype(np.float32)}
ROWS = [{"x": row[None]} for row in X["x"]]


@pytest.mark.parametrize("samples", [(), ROWS])
def test_a_hundredth_of_few_neurons_is_none_and_changes_no_bit(
    samples: list[dict[str, np.ndarray]],
) -> None:
    model = mlp()

    for share in (0.0, 0.01):
        assert prune_ffn(model, share, samples).SerializeToString() == model.SerializeToString()


@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("samples", [(), ROWS])
def test_a_dead_neuron_goes_first_and_is_not_missed(
    samples: list[dict[str, np.ndarray]], correct: bool
) -> None:
    model = mlp(dead=5)

    pruned = prune_ffn(model, 1 / 16, samples, correct=correct)

    first = next(t for t in pruned.graph.initializer if t.name.startswith("w0"))
    kept = np.delete(weight(model, "w0"), 5, axis=0)
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(first), kept)
    np.testing.assert_allclose(run(pruned, X)[0], run(model, X)[0], atol=1e-6)


def test_a_neuron_that_never_changes_goes_into_the_bias() -> None:
    model = mlp()
    incoming, bias = weight(model, "w0").copy(), weight(model, "w1").copy()
    incoming[3], bias[3] = 0, 2.5

    model = with_weight(with_weight(model, "w0", incoming), "w1", bias)
    pruned = prune_ffn(model, 1 / 16, ROWS)

    np.testing.assert_allclose(run(pruned, X)[0], run(model, X)[0], atol=1e-5)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_both_exporters_berts_have_the_neurons_they_say(share: float) -> None:
    samples = token_samples(20)
    config = json.loads((GOLDEN / "bert/config.json").read_text())
    names = ("intermediate_size", "hidden_size", "num_hidden_layers")
    of_golden = tuple(int(config[name]) for name in names)
    for model, (inner, width, layers) in (
        (exported_bert(), (INNER, WIDTH, 2)),
        (golden("bert"), of_golden),
    ):
        pruned = prune_ffn(model, share, samples)

        kept = inner - int(share * inner)
        shapes = [tuple(tensor.dims) for tensor in pruned.graph.initializer]
        assert shapes.count((width, kept)) == shapes.count((kept, width)) == layers
        assert pruned.ByteSize() < model.ByteSize()
        onnx.shape_inference.infer_shapes(pruned, strict_mode=True)
        for sample in token_samples(3, seed=9):
            assert all(np.isfinite(found).all() for found in run(pruned, sample))


def test_unseen_text_changes_least_with_the_fit() -> None:
    model, samples, unseen = exported_bert(), token_samples(200), token_samples(30, seed=7)

    def error(pruned: onnx.ModelProto) -> float:
        pairs = [(run(pruned, sample)[0], run(model, sample)[0]) for sample in unseen]
        return float(np.mean([np.square(found - truth).mean() for found, truth in pairs]))

    fitted = error(prune_ffn(model, 0.5, samples))
    ranked = error(prune_ffn(model, 0.5, samples, correct=False))
    assert fitted < 0.6 * ranked
    assert fitted < 0.6 * error(prune_ffn(model, 0.5))


def test_of_two_equal_neurons_one_goes_and_the_other_does_most_of_its_work() -> None:
    model = mlp()
    incoming, bias = weight(model, "w0").copy(), weight(model, "w1").copy()
    incoming[9], bias[9] = incoming[2], bias[2]
    model = with_weight(with_weight(model, "w0", incoming), "w1", bias)

    found = {c: run(prune_ffn(model, 1 / 16, ROWS, correct=c), X)[0] for c in (True, False)}

    truth = run(model, X)[0]
    assert np.abs(found[True] - truth).max() < 0.02 * np.abs(truth).max()
    assert np.abs(found[True] - truth).max() < 0.5 * np.abs(found[False] - truth).max()


def test_the_given_model_is_untouched_and_the_result_the_same_each_time() -> None:
    model, samples = exported_bert(), token_samples(10)
    before = model.SerializeToString()

    first, second = prune_ffn(model, 0.5, samples), prune_ffn(model, 0.5, samples)

    assert model.SerializeToString() == before
    assert first.SerializeToString() == second.SerializeToString()


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="share to prune") as caught:
        prune_ffn(mlp(), share)

    assert caught.value.where == "share"
    assert "below 1" in caught.value.hint


def test_a_model_without_hidden_neurons_is_named() -> None:
    with pytest.raises(InvalidModel, match="looked for a linear layer") as caught:
        prune_ffn(convnet(), 0.5)

    assert caught.value.where == "prune-ffn"
    assert "before fusing" in caught.value.hint


def test_samples_that_do_not_fit_are_named() -> None:
    for wrong, what in (({"y": X["x"]}, "lacks"), ({"x": X["x"][:, :3]}, "does not fit")):
        with pytest.raises(InvalidData, match=what) as caught:
            prune_ffn(mlp(), 0.5, [wrong])

        assert caught.value.where == "sample 0"
        assert caught.value.hint


def test_neurons_that_an_output_shows_are_left() -> None:
    model = mlp()
    shown = next(node for node in model.graph.node if node.op_type == "Tanh").output[0]
    model.graph.output.append(helper.make_tensor_value_info(shown, 1, ["n", 12]))

    pruned = prune_ffn(model, 0.5)

    assert run(pruned, X)[1].shape == (64, 12)
    assert (12, 3) in [tuple(tensor.dims) for tensor in pruned.graph.initializer]
