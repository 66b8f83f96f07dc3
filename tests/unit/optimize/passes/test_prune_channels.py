"""Channels that are tied go together, and the net still runs at any size."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_graphs import Builder, convnet, images, mlp, run, weight, with_weight

from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.graphs.channel_groups import find_groups
from edgewise.optimize.graphs.wiring import Wiring, attribute
from edgewise.optimize.passes.prune_channels import prune_channels


def conv_shapes(model: onnx.ModelProto) -> list[tuple[int, ...]]:
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    return [shapes[node.input[1]] for node in model.graph.node if node.op_type == "Conv"]


@pytest.mark.parametrize("samples", [(), images(6)])
def test_half_of_every_group_goes_with_its_norms_sums_and_depthwise_kernels(
    samples: list[dict[str, np.ndarray]],
) -> None:
    model = convnet()

    pruned = prune_channels(model, 0.5, samples)

    assert conv_shapes(pruned) == [
        (4, 3, 3, 3),
        *[(5, 4, 3, 3), (4, 5, 3, 3)] * 2,
        (6, 4, 1, 1),
        (6, 4, 3, 3),
        (12, 6, 1, 1),
        (12, 1, 3, 3),
        (6, 12, 1, 1),
    ]
    (depthwise,) = (n for n in pruned.graph.node if attribute(n, "group", 1) != 1)
    assert attribute(depthwise, "group") == 12
    assert pruned.ByteSize() < model.ByteSize()
    onnx.shape_inference.infer_shapes(pruned, strict_mode=True)
    for image in images(2, seed=3):
        assert run(pruned, image)[0].shape == (1, 4)


def test_every_group_of_the_net_is_found() -> None:
    groups = find_groups(Wiring(convnet()))

    assert [group.width for group in groups] == [8, 10, 10, 12, 24]
    assert [len(group.makers) for group in groups] == [3, 1, 1, 3, 1]


@pytest.mark.parametrize("samples", [(), images(6)])
@pytest.mark.parametrize("group", range(5))
def test_a_dead_channel_goes_first_and_is_not_missed(
    group: int, samples: list[dict[str, np.ndarray]]
) -> None:
    model = convnet()
    found = find_groups(Wiring(model))[group]
    for reader in found.readers:
        name = reader.cut.node.input[reader.cut.index]
        value = weight(model, name).copy()
        np.moveaxis(value, reader.cut.axis, 0)[3] = 0
        model = with_weight(model, name, value)
    wiring = Wiring(model)
    alone = find_groups(wiring)[group]
    alone.narrow(wiring, np.delete(np.arange(alone.width), 3))
    by_hand = wiring.finish()

    pruned = prune_channels(model, 1.01 / alone.width, samples)

    for image in images(2, seed=5):
        np.testing.assert_allclose(run(by_hand, image)[0], run(model, image)[0], atol=1e-5)
    norm = next(c.node for c in alone.carried if c.node.op_type == "BatchNormalization")
    made = [tensor.name for tensor in pruned.graph.initializer]
    for name in _sources(norm.input[1:3]):
        (cut,) = (found for found in made if found.startswith(f"{name}//"))
        np.testing.assert_array_equal(weight(pruned, cut), np.delete(weight(model, name), 3))


def _sources(names: Sequence[str]) -> list[str]:
    return [name.split("//", maxsplit=1)[0] for name in names]


def test_squeeze_and_excite_is_cut_with_its_channels() -> None:
    b = Builder(4)
    x = b.op("Relu", b.conv("image", 3, 8, 3))
    gate = b.op("Relu", b.conv(b.op("GlobalAveragePool", x), 8, 4, 1))
    gate = b.op("Sigmoid", b.conv(gate, 4, 8, 1))
    b.conv(b.op("Mul", x, gate), 8, 2, 1)
    takes = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    gives = helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", 2, "h", "w"])
    model = b.finish([takes], [gives])

    pruned = prune_channels(model, 0.25)

    assert conv_shapes(pruned) == [(6, 3, 3, 3), (3, 6, 1, 1), (6, 3, 1, 1), (2, 6, 1, 1)]
    assert run(pruned, images(1)[0])[0].shape == (1, 2, 8, 8)


def test_channels_that_meet_a_concat_are_left() -> None:
    b = Builder(5)
    first, second = b.conv("image", 3, 8, 3), b.conv("image", 3, 8, 1)
    x = b.op("Relu", b.conv(b.op("Concat", first, second, axis=1), 16, 8, 1))
    b.conv(x, 8, 2, 1)
    takes = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    gives = helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", 2, "h", "w"])

    pruned = prune_channels(b.finish([takes], [gives]), 0.5)

    assert conv_shapes(pruned) == [(8, 3, 3, 3), (8, 3, 1, 1), (4, 16, 1, 1), (2, 4, 1, 1)]


def test_nothing_to_prune_changes_no_bit_and_the_input_is_untouched() -> None:
    model = convnet()
    before = model.SerializeToString()

    assert prune_channels(model, 0.0, images(2)).SerializeToString() == before
    assert prune_channels(model, 0.5, images(2)) == prune_channels(model, 0.5, images(2))
    assert model.SerializeToString() == before


def test_a_model_without_convolutions_is_named() -> None:
    with pytest.raises(InvalidModel, match="looked for a convolution") as caught:
        prune_channels(mlp(), 0.5)

    assert caught.value.where == "prune-channels"
    assert caught.value.hint


def test_a_negative_share_is_refused() -> None:
    with pytest.raises(UsageError, match=r"share to prune is -0\.5"):
        prune_channels(convnet(), -0.5)
