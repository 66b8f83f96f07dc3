"""Whole residual blocks go, and the stream flows past them."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
from tiny_graphs import (
    BERTS,
    convnet,
    exported_bert,
    golden,
    images,
    kinds,
    mlp,
    run,
    token_samples,
    tokens,
    with_weight,
)

from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.passes.prune_layers import find_blocks, prune_layers
from edgewise.optimize.passes.wiring import Wiring

PRODUCTS_OF_A_LAYER = 8  # query, key, value, scores, mixture, output; in and out of the FFN


@pytest.mark.parametrize("case", [case for case in BERTS if case.endswith("_head")])
def test_a_layer_of_each_golden_bert_goes_whole(case: str) -> None:
    model = golden(case)
    layers = kinds(model).count("Softmax")

    pruned = prune_layers(model, 1.01 / layers)

    assert len(find_blocks(Wiring(model))) == layers
    assert kinds(pruned).count("Softmax") == layers - 1
    assert kinds(pruned).count("MatMul") == kinds(model).count("MatMul") - PRODUCTS_OF_A_LAYER
    assert kinds(pruned).count("LayerNormalization") == 2 * (layers - 1) + 1
    assert pruned.ByteSize() < model.ByteSize()
    onnx.shape_inference.infer_shapes(pruned, strict_mode=True)
    for batch, length in ((1, 3), (2, 17)):
        assert run(pruned, tokens(np.full((batch, length), 9)))[0].shape == (batch, 3)


def test_dropping_the_last_layers_equals_the_shallower_cut() -> None:
    model = exported_bert()
    blocks = find_blocks(Wiring(model))
    sample = token_samples(1)[0]
    for name in (node.input[1] for node in blocks[1].nodes if node.op_type == "MatMul"):
        if name.startswith("w"):
            found = next(t for t in model.graph.initializer if t.name == name)
            model = with_weight(model, name, np.zeros(tuple(found.dims)))
    wiring = Wiring(model)
    wiring.bypass("hidden", blocks[0].y)

    pruned = prune_layers(model, 0.5)

    np.testing.assert_array_equal(run(pruned, sample)[0], run(wiring.finish(), sample)[0])


@pytest.mark.parametrize("samples", [(), images(4)])
@pytest.mark.parametrize("dead", range(3))
def test_a_dead_block_goes_first_and_is_not_missed(
    dead: int, samples: list[dict[str, np.ndarray]]
) -> None:
    model = convnet()
    block = find_blocks(Wiring(model))[dead]
    last = [node for node in block.nodes if node.op_type == "BatchNormalization"][-1]
    for name in last.input[1:3]:
        found = next(t for t in model.graph.initializer if t.name == name)
        model = with_weight(model, name, np.zeros(tuple(found.dims)))

    pruned = prune_layers(model, 0.34, samples)

    assert len(find_blocks(Wiring(pruned))) == 2
    for image in images(2, seed=2):
        np.testing.assert_allclose(run(pruned, image)[0], run(model, image)[0], atol=1e-6)


def test_an_exported_models_layers_are_found_though_the_mask_is_shared() -> None:
    wiring = Wiring(exported_bert())

    blocks = find_blocks(wiring)

    assert len(blocks) == 2
    assert wiring.maker(blocks[0].x, "Gather") is not None
    assert blocks[0].y == blocks[1].x


def test_a_block_with_a_projection_stays() -> None:
    assert len(find_blocks(Wiring(convnet()))) == 3


def test_features_of_all_layers_still_come_when_one_goes() -> None:
    model = golden("bert")

    pruned = prune_layers(model, 0.34, token_samples(5))

    found = run(pruned, token_samples(1, seed=3)[0])
    assert len(found) == 3
    assert sum(np.array_equal(a, b) for a, b in pairwise(found)) <= 1


def test_nothing_to_prune_changes_no_bit_and_the_input_is_untouched() -> None:
    model = convnet()
    before = model.SerializeToString()

    assert prune_layers(model, 0.3, images(2)).SerializeToString() == before
    assert prune_layers(model, 0.5, images(2)) == prune_layers(model, 0.5, images(2))
    assert model.SerializeToString() == before


def test_a_model_without_residual_blocks_is_named() -> None:
    with pytest.raises(InvalidModel, match="looked for a sum") as caught:
        prune_layers(mlp(), 0.5)

    assert caught.value.where == "prune-layers"
    assert caught.value.hint


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(UsageError, match="share to prune is 2"):
        prune_layers(convnet(), 2)
