"""Mixed precision finds the nodes that hurt, with few evaluations, and keeps no more."""

import math
from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numeric_models import answers, model_of
from onnx import TensorProto, helper

from edgewise.errors import InvalidData, InvalidModel, UsageError
from edgewise.optimize.passes import int8_dynamic
from edgewise.optimize.passes.mixed import Quantize, Score, choose_float, quantizable
from edgewise.runtimes.protocol import Tensors


def chain(count: int, planted: int | None = None) -> onnx.ModelProto:
    """Make normalized layers in a row; the planted one reads a channel 1000 times the others."""
    rng = np.random.default_rng(2)
    nodes: list[onnx.NodeProto] = []
    weights: dict[str, np.ndarray] = {"ones": np.ones(16), "zeros": np.zeros(16)}
    x = "x"
    for index in range(count):
        scale, weight = np.ones(16), rng.standard_normal((16, 16)) / 4
        if index == planted:
            scale[3], weight[3] = 1000.0, 0.0
        weights |= {f"scale{index}": scale, f"w{index}": weight}
        out = "logits" if index == count - 1 else f"out{index}"
        nodes += [
            helper.make_node(
                "LayerNormalization", [x, f"scale{index}", "zeros"], [f"h{index}"], f"norm{index}"
            ),
            helper.make_node("MatMul", [f"h{index}", f"w{index}"], [f"p{index}"], f"layer{index}"),
            helper.make_node("Add", [f"p{index}", x], [out], f"sum{index}"),
        ]
        x = out
    return model_of(nodes, {"x": (TensorProto.FLOAT, ["n", 16])}, ["n", 16], weights)


def costs(losses: Mapping[str, float]) -> tuple[Quantize, Score]:
    """Give a quantizer that notes what stayed in float, and a score that adds up the rest."""

    def quantize(model: onnx.ModelProto, kept: tuple[str, ...]) -> onnx.ModelProto:
        made = onnx.ModelProto()
        made.CopyFrom(model)
        made.doc_string = "quantized " + " ".join(kept)
        return made

    def score(model: onnx.ModelProto) -> float:
        if not model.doc_string:
            return 1.0
        kept = model.doc_string.split()[1:]
        return 1.0 - sum(loss for name, loss in losses.items() if name not in kept)

    return quantize, score


def samples() -> list[Tensors]:
    rng = np.random.default_rng(1)
    return [{"x": rng.standard_normal((4, 16)).astype(np.float32)} for _ in range(5)]


def test_the_planted_node_alone_stays_in_float() -> None:
    model = chain(9, planted=5)
    wanted = answers(model, samples())

    def quantize(source: onnx.ModelProto, kept: tuple[str, ...]) -> onnx.ModelProto:
        return int8_dynamic.quantize(source, reduce_range=False, keep_float=kept)

    def score(made: onnx.ModelProto) -> float:
        return -float(np.abs(answers(made, samples()) - wanted).mean())

    found = choose_float(model, quantize, score, budget=1)

    assert found.keep_float == ("layer5",)
    assert found.ranking[0].nodes == ("layer5",)
    whole = score(quantize(model, ()))
    assert found.score == score(quantize(model, found.keep_float))
    assert found.score > whole / 3


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_worst_nodes_are_found_whatever_their_places(data: st.DataObject) -> None:
    names = [f"layer{i}" for i in range(12)]
    losses = data.draw(st.permutations([2.0**-i for i in range(1, 13)]))
    budget = data.draw(st.integers(1, 12))

    quantize, score = costs(dict(zip(names, losses, strict=True)))
    found = choose_float(chain(12), quantize, score, budget=budget, most=99)

    worst = sorted(names, key=lambda name: -losses[names.index(name)])[:budget]
    assert set(found.keep_float) == set(worst)
    assert list(found.keep_float) == sorted(worst, key=names.index)


def test_one_bad_node_of_many_costs_few_evaluations() -> None:
    quantize, score = costs({"layer17": 0.5} | {f"layer{i}": 0.001 for i in range(17)})
    told: list[tuple[int, int]] = []

    found = choose_float(
        chain(36),
        quantize,
        score,
        budget=1,
        progress=lambda _, done, total: told.append((done, total)),
    )

    assert found.keep_float == ("layer17",)
    # the float model, 6 groups, 6 nodes of the worst, and the choice
    assert found.evaluations == 1 + 6 + 6 + 1
    assert [done for done, _ in told] == list(range(1, 15))
    assert all(done <= total for done, total in told)


def test_an_even_loss_costs_no_more_than_allowed() -> None:
    quantize, score = costs({f"layer{i}": 0.01 for i in range(36)} | {"layer0": 0.02})

    found = choose_float(chain(36), quantize, score, budget=4, most=16)

    # the float model and 6 groups, one group of 6 taken apart, a second left whole, the choice
    assert found.evaluations == 1 + 6 + 6 + 1
    assert len(found.keep_float) == 4
    assert sum(len(one.nodes) > 1 for one in found.ranking) == 5


def test_a_wanted_score_is_reached_with_as_few_nodes_as_can_be() -> None:
    losses = {f"layer{i}": 0.01 for i in range(9)} | {"layer1": 0.3, "layer4": 0.2, "layer8": 0.1}
    quantize, score = costs(losses)

    enough = choose_float(chain(9), quantize, score, budget=5, wanted=0.8)
    never = choose_float(chain(9), quantize, score, budget=2, wanted=0.99)
    nothing = choose_float(chain(9), quantize, score, budget=5, wanted=0.1)

    assert (enough.keep_float, enough.reached) == (("layer1", "layer4"), True)
    assert enough.score == pytest.approx(0.84)
    assert (never.keep_float, never.reached) == (("layer1", "layer4"), False)
    assert (nothing.keep_float, nothing.reached) == ((), True)


def test_nodes_without_names_get_the_same_ones_each_time() -> None:
    model = chain(3)
    for node in model.graph.node:
        node.name = ""

    assert quantizable(model) == quantizable(model) == ("MatMul_1", "MatMul_4", "MatMul_7")
    made = int8_dynamic.quantize(model, reduce_range=False, keep_float=["MatMul_4"])
    left = [node.name for node in made.graph.node if node.op_type == "MatMul"]
    assert left == ["MatMul_4"]


def test_wrong_use_is_told() -> None:
    quantize, score = costs({})
    relu = [helper.make_node("Relu", ["x"], ["logits"])]
    empty = model_of(relu, {"x": (TensorProto.FLOAT, ["n"])}, ["n"], {})

    with pytest.raises(UsageError, match="budget is 0"):
        choose_float(chain(2), quantize, score, budget=0)
    with pytest.raises(InvalidModel, match="no quantizable node"):
        choose_float(empty, quantize, score, budget=1)
    with pytest.raises(InvalidData, match="the score with 2 nodes in float is nan"):
        choose_float(chain(2), quantize, lambda _: math.nan, budget=1)
