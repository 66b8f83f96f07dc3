"""Heads that go make the model smaller, whoever exported it."""

import numpy as np
import onnx
import pytest
from tiny_graphs import (
    BERTS,
    HEADS,
    SIZE,
    WIDTH,
    exported_bert,
    golden,
    mlp,
    run,
    token_samples,
    tokens,
    with_weight,
)

from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.graphs.attention import find_attention
from edgewise.optimize.graphs.wiring import Wiring
from edgewise.optimize.passes.prune_heads import prune_heads


def dead_head(model: onnx.ModelProto, head: int) -> onnx.ModelProto:
    """Let one head of the first block write nothing."""
    wiring = Wiring(model)
    out = find_attention(wiring)[0].out
    value = out.weight(wiring).copy()
    value[head * SIZE : (head + 1) * SIZE] = 0
    return with_weight(model, out.node.input[1], value)


@pytest.mark.parametrize("case", BERTS)
def test_one_of_two_heads_goes_from_every_golden_bert(case: str) -> None:
    model = golden(case)

    pruned = prune_heads(model, 0.5)

    assert {block.heads for block in find_attention(Wiring(model))} == {2}
    assert {block.heads for block in find_attention(Wiring(pruned))} == {1}
    assert pruned.ByteSize() < model.ByteSize()
    onnx.shape_inference.infer_shapes(pruned, strict_mode=True)
    for length in (1, 11):
        found = run(pruned, tokens(np.full((3, length), 7)))
        assert all(np.isfinite(part).all() for part in found)


@pytest.mark.parametrize("samples", [(), token_samples(20)])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.99])
def test_an_exported_model_has_the_heads_it_says(
    share: float, samples: list[dict[str, np.ndarray]]
) -> None:
    model = exported_bert()

    pruned = prune_heads(model, share, samples)

    kept = HEADS - int(share * HEADS)
    shapes = [tuple(tensor.dims) for tensor in pruned.graph.initializer]
    assert {block.heads for block in find_attention(Wiring(pruned))} == {kept}
    assert shapes.count((kept * SIZE, WIDTH)) == 2
    for sample in token_samples(3, seed=4):
        assert run(pruned, sample)[0].shape == (*sample["input_ids"].shape, WIDTH)


@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("samples", [(), token_samples(40)])
@pytest.mark.parametrize("head", [0, 2])
def test_a_dead_head_goes_first_and_is_not_missed(
    head: int, samples: list[dict[str, np.ndarray]], correct: bool
) -> None:
    model = dead_head(exported_bert(), head)
    wiring = Wiring(model)
    value = find_attention(wiring)[0].value.weight(wiring)

    pruned = prune_heads(model, 0.25, samples, correct=correct)

    after = Wiring(pruned)
    found = find_attention(after)[0].value.weight(after)
    gone = np.arange(head * SIZE, (head + 1) * SIZE)
    np.testing.assert_array_equal(found, np.delete(value, gone, axis=1))


def test_removing_only_a_dead_head_changes_nothing() -> None:
    whole, unseen = dead_head(exported_bert(), 1), token_samples(5, seed=8)
    wiring = Wiring(whole)
    second = find_attention(wiring)[1].out
    value = second.weight(wiring).copy()
    value[2 * SIZE : 3 * SIZE] = 0
    model = with_weight(whole, second.node.input[1], value)

    for samples in ((), token_samples(40)):
        pruned = prune_heads(model, 0.25, samples)
        for sample in unseen:
            np.testing.assert_allclose(run(pruned, sample)[0], run(model, sample)[0], atol=1e-5)


def test_relative_bias_follows_the_heads_that_stay() -> None:
    model = golden("mpnet_head")
    wiring = Wiring(model)
    for block in find_attention(wiring):
        value = block.out.weight(wiring).copy()
        value[:16] = 0
        model = with_weight(model, block.out.node.input[1], value)
    inputs = tokens(np.random.default_rng(0).integers(4, 100, (2, 13)))

    pruned = prune_heads(model, 0.5)

    np.testing.assert_allclose(run(pruned, inputs)[0], run(model, inputs)[0], atol=1e-6)


def test_nothing_to_prune_changes_no_bit_and_the_input_is_untouched() -> None:
    model = exported_bert()
    before = model.SerializeToString()

    assert prune_heads(model, 0.0, token_samples(2)).SerializeToString() == before
    assert prune_heads(model, 0.2).SerializeToString() == before
    assert prune_heads(model, 0.5) == prune_heads(model, 0.5)
    assert model.SerializeToString() == before


def test_the_fit_lowers_the_error_on_unseen_text() -> None:
    model, samples, unseen = exported_bert(), token_samples(150), token_samples(30, seed=6)

    def error(pruned: onnx.ModelProto) -> float:
        pairs = [(run(pruned, sample)[0], run(model, sample)[0]) for sample in unseen]
        return float(np.mean([np.square(found - truth).mean() for found, truth in pairs]))

    assert error(prune_heads(model, 0.5, samples)) < error(
        prune_heads(model, 0.5, samples, correct=False)
    )


def test_a_model_without_attention_is_named() -> None:
    with pytest.raises(InvalidModel, match="Softmax between two MatMuls") as caught:
        prune_heads(mlp(), 0.5)

    assert caught.value.where == "prune-heads"
    assert caught.value.hint


def test_a_whole_share_is_refused() -> None:
    with pytest.raises(UsageError, match=r"share to prune is 1\.0"):
        prune_heads(exported_bert(), 1.0)
