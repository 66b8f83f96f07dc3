"""Models in the form before IR version 4, which lists stored weights among the inputs."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from numeric_models import answers, bert, convnet, cosines, images, sentences
from onnx import helper

from edgewise.optimize.graphs.batch_norm import fold_batch_norms
from edgewise.optimize.passes.fp16 import convert_fp16
from edgewise.optimize.passes.fuse import fuse
from edgewise.optimize.passes.int8_static import quantize_static
from edgewise.optimize.passes.prune_channels import prune_channels
from edgewise.optimize.passes.prune_ffn import prune_ffn
from edgewise.optimize.passes.smooth import smooth
from edgewise.optimize.passes.weight_only import quantize_weights

Pass = Callable[[onnx.ModelProto], onnx.ModelProto]


def older(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give the model as exporters wrote it before IR version 4."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    found.ir_version = 3
    found.graph.input.extend(
        helper.make_tensor_value_info(one.name, one.data_type, list(one.dims))
        for one in found.graph.initializer
    )
    onnx.checker.check_model(found)
    return found


@pytest.mark.parametrize(
    "change",
    [
        quantize_weights,
        lambda model: convert_fp16(model, sentences(3)),
        lambda model: smooth(model, sentences(3)),
        fuse,
        lambda model: prune_ffn(model, 0.1),
    ],
    ids=["int4-weights", "fp16", "smooth", "fuse", "prune-ffn"],
)
def test_a_text_model_that_lists_its_weights_asks_for_none_of_them(
    change: Pass, tmp_path: Path
) -> None:
    model, samples = bert(tmp_path), sentences(4)

    made = change(older(model))

    assert [one.name for one in made.graph.input] == [one.name for one in model.graph.input]
    assert cosines(answers(made, samples), answers(change(model), samples)).min() > 0.9999


@pytest.mark.parametrize(
    "change",
    [
        fold_batch_norms,
        fuse,
        lambda model: quantize_static(model, images(3)),
        lambda model: convert_fp16(model, images(3)),
        lambda model: prune_channels(model, 0.1),
    ],
    ids=["fold", "fuse", "int8-static", "fp16", "prune-channels"],
)
def test_an_image_model_that_lists_its_weights_asks_for_none_of_them(change: Pass) -> None:
    model, samples = convnet(), images(4)

    made = change(older(model))

    assert [one.name for one in made.graph.input] == ["image"]
    assert cosines(answers(made, samples), answers(change(model), samples)).min() > 0.9999
