"""Channels of the residual stream go through the whole model."""

import numpy as np
import onnx
import pytest
from tiny_graphs import BERTS, convnet, exported_bert, golden, mlp, run, token_samples

from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.graphs.outputs import mean_cosine
from edgewise.optimize.graphs.stream import find_stream
from edgewise.optimize.graphs.wiring import Wiring
from edgewise.optimize.passes.prune_width import prune_width

WITH_HEADS = [case for case in BERTS if case.endswith("_head")]


def widths(model: onnx.ModelProto) -> list[int]:
    """Give the sizes of all normalizations."""
    wiring = Wiring(model)
    found = [wiring.value(n.input[1]) for n in wiring.nodes if n.op_type == "LayerNormalization"]
    return [len(value) for value in found if value is not None]


@pytest.mark.parametrize("case", WITH_HEADS)
@pytest.mark.parametrize("count", [0, 6])
def test_every_golden_bert_becomes_narrower_and_runs(case: str, count: int) -> None:
    model = golden(case)
    width = widths(model)[0]

    made = prune_width(model, 0.25, token_samples(count, vocabulary=20))

    assert set(widths(made)) == {width - width // 4}
    assert made.ByteSize() < model.ByteSize()
    onnx.shape_inference.infer_shapes(made, strict_mode=True)
    for sample in token_samples(2, seed=3, vocabulary=20):
        assert run(made, sample)[0].shape == run(model, sample)[0].shape


def test_nothing_pruned_changes_nothing() -> None:
    model = golden(WITH_HEADS[0])

    assert prune_width(model, 0.0).SerializeToString() == model.SerializeToString()


def test_a_channel_that_carries_nothing_goes_without_a_trace() -> None:
    model = silent_channel(golden(WITH_HEADS[0]), channel=3)
    width = widths(model)[0]
    samples = token_samples(8, vocabulary=20)

    made = prune_width(model, 1.01 / width, samples)

    assert set(widths(made)) == {width - 1}
    # The normalizations still counted it in mean and variance, so a little moves.
    assert mean_cosine(made, model, samples) > 0.98


def test_an_output_that_is_the_stream_keeps_its_width() -> None:
    model, samples = exported_bert(), token_samples(30)
    width = widths(model)[0]

    made = prune_width(model, 0.25, samples)

    assert run(made, samples[0])[0].shape[-1] == width
    assert set(widths(made)) == {width - width // 4}
    assert mean_cosine(made, model, samples) > 0.5
    with pytest.raises(InvalidModel) as caught:
        prune_width(model, 0.25)
    assert "no samples" in caught.value.what


@pytest.mark.parametrize("model", [convnet(), mlp()])
def test_a_model_without_normalizations_has_no_stream(model: onnx.ModelProto) -> None:
    with pytest.raises(InvalidModel) as caught:
        prune_width(model, 0.25)

    assert "no residual stream" in caught.value.what


def test_a_share_outside_its_range_is_refused() -> None:
    with pytest.raises(UsageError):
        prune_width(golden(WITH_HEADS[0]), 1.0)


def silent_channel(model: onnx.ModelProto, channel: int) -> onnx.ModelProto:
    """Set all that normalizations give in a channel, and all that writes to it, to zero."""
    wiring = Wiring(model)
    for node, index, axis in find_stream(wiring).cuts:
        value = np.array(wiring.value(node.input[index]))
        np.moveaxis(value, axis, 0)[channel] = 0.0
        wiring.put(node, index, value)
    return wiring.finish()
