"""Weights in blocks: what is stored is near what was there, and few bits cost what they must."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numeric_models import answers, bert, bytes_share, convnet, cosines, images, model_of, sentences
from onnx import TensorProto, helper

from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.passes.weight_only import Blocks, pack, quantize_weights

MATRICES = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=70),
    elements=st.floats(-1000, 1000, width=32),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    return bert(tmp_path_factory.mktemp("bert"))


def unpack(blocks: Blocks, width: int, bits: int) -> np.ndarray:
    def whole(values: np.ndarray, count: int) -> np.ndarray:
        if bits == 8:
            return values
        return np.stack([values & 15, values >> 4], axis=-1).reshape(*values.shape[:-1], -1)[
            ..., :count
        ]

    rows, count = blocks.scales.shape
    levels = whole(blocks.packed, 2 * blocks.packed.shape[-1]).astype(np.float64)
    zeros = (
        np.full((rows, count), 2 ** (bits - 1))
        if blocks.zeros is None
        else whole(blocks.zeros, count)
    )
    values = (levels - zeros[..., None]) * blocks.scales[..., None]
    return np.asarray(values.reshape(rows, -1)[:, :width])


@given(matrix=MATRICES, bits=st.sampled_from([4, 8]), block_size=st.sampled_from([16, 32]))
def test_each_weight_moves_by_at_most_a_step_of_its_block(
    matrix: np.ndarray, bits: int, block_size: int
) -> None:
    blocks = pack(matrix, bits, block_size, symmetric=False)

    found = unpack(blocks, matrix.shape[1], bits)

    step = np.repeat(blocks.scales, block_size, axis=1)[:, : matrix.shape[1]]
    assert (np.abs(found - matrix) <= step * 1.001 + 1e-6).all()


@given(matrix=MATRICES, bits=st.sampled_from([4, 8]))
def test_symmetric_blocks_keep_zero_and_the_largest_weight_exactly(
    matrix: np.ndarray, bits: int
) -> None:
    blocks = pack(matrix, bits, 128, symmetric=True)

    found = unpack(blocks, matrix.shape[1], bits)

    assert blocks.zeros is None
    assert (found[matrix == 0] == 0).all()
    largest = np.abs(matrix).argmax(axis=1)
    rows = np.arange(len(matrix))
    np.testing.assert_allclose(found[rows, largest], matrix[rows, largest], rtol=1e-5, atol=1e-6)


@given(
    levels=arrays(np.uint8, (3, 48), elements=st.integers(0, 15)),
    power=st.integers(-6, 6),
)
def test_weights_that_lie_on_the_grid_come_back_exactly(levels: np.ndarray, power: int) -> None:
    levels[:, [0, 16, 32]], levels[:, [1, 17, 33]] = 0, 15
    matrix = ((levels.astype(np.float32) - 5) * 2.0**power).astype(np.float32)

    found = unpack(pack(matrix, 4, 16, symmetric=False), 48, 4)

    np.testing.assert_allclose(found, matrix, rtol=1e-6)


def test_the_kernel_computes_what_the_blocks_say() -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((40, 6)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["logits"], "product")]
    model = model_of(nodes, {"x": (TensorProto.FLOAT, ["n", 40])}, ["n", 6], {"w": weight})
    x = rng.standard_normal((3, 40)).astype(np.float32)

    for bits in (4, 8):
        for symmetric in (False, True):
            made = quantize_weights(model, bits=bits, block_size=16, symmetric=symmetric)
            stored = unpack(pack(weight.T, bits, 16, symmetric=symmetric), 40, bits)
            np.testing.assert_allclose(answers(made, [{"x": x}]), x @ stored.T, atol=1e-4)


def test_the_table_gives_the_rows_that_the_blocks_say() -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((9, 24)).astype(np.float32)
    nodes = [helper.make_node("Gather", ["table", "ids"], ["logits"], "lookup")]
    model = model_of(nodes, {"ids": (TensorProto.INT64, ["n"])}, ["n", 24], {"table": table})
    ids = np.asarray([8, 0, 3, 3])

    for bits in (4, 8):
        for symmetric in (False, True):
            made = quantize_weights(model, bits=bits, block_size=16, symmetric=symmetric)
            stored = unpack(pack(table, bits, 16, symmetric=symmetric), 24, bits)
            np.testing.assert_allclose(answers(made, [{"ids": ids}]), stored[ids], atol=1e-5)


def test_fewer_bits_are_smaller_and_farther_and_both_stay_near(model: onnx.ModelProto) -> None:
    samples = sentences(20, seed=1)
    wanted = answers(model, samples)

    four, eight = quantize_weights(model, bits=4), quantize_weights(model, bits=8)

    near, far = (cosines(answers(made, samples), wanted) for made in (eight, four))
    assert near.mean() > 0.9999
    assert 0.97 < far.mean() < near.mean()
    # a block of 32 needs 16 (32) bytes of weights and 4 (4) to 5 bytes of scale and zero point,
    # of 128; positions, biases and nodes are as they were
    assert 20 / 128 < bytes_share(four, model) < 0.22
    assert 36 / 128 < bytes_share(eight, model) < 0.34


def test_smaller_blocks_come_nearer_and_symmetry_saves_bytes(model: onnx.ModelProto) -> None:
    matrix = np.random.default_rng(0).standard_normal((64, 256)).astype(np.float32)
    lost = [
        np.abs(unpack(pack(matrix, 4, size, symmetric=False), 256, 4) - matrix).mean()
        for size in (16, 64, 256)
    ]

    # normal weights spread over 3.5, 4.7 and 5.6 deviations: the steps grow by as much
    assert lost[1] / lost[0] == pytest.approx(4.7 / 3.5, rel=0.05)
    assert lost[2] / lost[1] == pytest.approx(5.6 / 4.7, rel=0.05)
    sizes = [quantize_weights(model, symmetric=one).ByteSize() for one in (True, False)]
    assert sizes[0] < sizes[1]


def test_products_in_int8_stay_near(model: onnx.ModelProto) -> None:
    samples = sentences(10)

    made = quantize_weights(model, bits=8, int8_products=True)

    assert cosines(answers(made, samples), answers(model, samples)).mean() > 0.999


def test_the_last_layer_of_a_convnet_is_packed_with_its_bias() -> None:
    model, samples = convnet(), images(4)

    made = quantize_weights(model, bits=8)

    kinds = [node.op_type for node in made.graph.node]
    assert kinds.count("MatMulNBits") == 1
    assert "Gemm" not in kinds
    assert cosines(answers(made, samples), answers(model, samples)).min() > 0.9999


def test_the_input_is_left_alone_and_the_result_is_the_same_again(model: onnx.ModelProto) -> None:
    before = model.SerializeToString(deterministic=True)

    first, second = quantize_weights(model), quantize_weights(model)

    assert model.SerializeToString(deterministic=True) == before
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )
    assert list(first.graph.input) == list(model.graph.input)


def test_a_node_kept_in_float_is_as_it_was(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "MatMul")

    made = quantize_weights(model, keep_float=[node.name])

    assert node in list(made.graph.node)
    assert node.input[1] in {one.name for one in made.graph.initializer}


def test_wrong_use_is_told(model: onnx.ModelProto, tmp_path: Path) -> None:
    relu = [helper.make_node("Relu", ["x"], ["logits"])]
    empty = model_of(relu, {"x": (TensorProto.FLOAT, ["n"])}, ["n"], {})
    broken = bert(tmp_path, outliers=float("nan"))

    with pytest.raises(UsageError, match="3 bits"):
        quantize_weights(model, bits=3)
    with pytest.raises(UsageError, match="block of 24"):
        quantize_weights(model, block_size=24)
    with pytest.raises(InvalidModel, match="no node `none`"):
        quantize_weights(model, keep_float=["none"])
    with pytest.raises(InvalidModel, match="no product or table"):
        quantize_weights(empty)
    with pytest.raises(InvalidModel, match="NaN or infinite"):
        quantize_weights(broken)
