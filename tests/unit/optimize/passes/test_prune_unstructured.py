"""Zeros buy compressed size and nothing else, and the report says so."""

import zlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_graphs import convnet, golden, mlp

from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.passes.prune_unstructured import prune_unstructured


def matrices(model: onnx.ModelProto) -> list[np.ndarray]:
    found = [t for t in model.graph.initializer if len(t.dims) > 1 and t.data_type == 1]
    return [numpy_helper.to_array(tensor) for tensor in found]


@pytest.mark.parametrize("by_tensor", [True, False])
def test_the_share_is_zero_and_the_rest_as_it_was(by_tensor: bool) -> None:
    model = mlp()

    pruned, sparsity = prune_unstructured(model, 0.5, by_tensor=by_tensor)

    before = np.concatenate([part.reshape(-1) for part in matrices(model)])
    after = np.concatenate([part.reshape(-1) for part in matrices(pruned)])
    assert sparsity.weights == 16 * 6 + 16 * 12 + 12 * 3
    assert sparsity.zeros == np.count_nonzero(after == 0) == sparsity.weights // 2
    assert sparsity.zero_share == 0.5
    np.testing.assert_array_equal(after[after != 0], before[after != 0])
    if not by_tensor:
        assert np.abs(before[after == 0]).max() <= np.abs(after[after != 0]).min()


def test_by_tensor_takes_the_same_share_of_each() -> None:
    pruned, _ = prune_unstructured(mlp(), 0.25, by_tensor=True)

    assert [np.count_nonzero(part == 0) / part.size for part in matrices(pruned)] == [0.25] * 3


def test_the_file_is_as_long_and_compresses_better() -> None:
    model = golden("bert")

    pruned, sparsity = prune_unstructured(model, 0.8)

    assert sparsity.size_bytes == sparsity.size_bytes_before == len(model.SerializeToString())
    assert sparsity.compressed_bytes == len(zlib.compress(pruned.SerializeToString()))
    assert sparsity.compressed_bytes < 0.6 * sparsity.compressed_bytes_before
    assert "the same file size and speed" in str(sparsity)
    assert "80% of the weights" in str(sparsity)


def test_nothing_to_prune_changes_no_bit_and_the_input_is_untouched() -> None:
    model = convnet()
    before = model.SerializeToString()

    assert prune_unstructured(model, 0.0)[0].SerializeToString() == before
    assert prune_unstructured(model, 0.5) == prune_unstructured(model, 0.5)
    assert model.SerializeToString() == before


def test_equal_weights_go_in_order_and_no_more_than_the_share() -> None:
    model = mlp()
    for tensor in model.graph.initializer:
        tensor.CopyFrom(
            numpy_helper.from_array(np.ones(tuple(tensor.dims), np.float32), tensor.name)
        )

    pruned, sparsity = prune_unstructured(model, 0.5)

    assert sparsity.zeros == sparsity.weights // 2
    np.testing.assert_array_equal(matrices(pruned)[0], 0)


def test_a_model_without_matrices_and_a_wrong_share_are_refused() -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    other = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "none", [value], [other])

    with pytest.raises(InvalidModel, match="two or more axes") as caught:
        prune_unstructured(helper.make_model(graph), 0.5)
    assert caught.value.hint
    with pytest.raises(UsageError, match="share to prune"):
        prune_unstructured(mlp(), 1.5)
