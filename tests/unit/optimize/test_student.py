"""A student by its shape, cut out of its teacher."""

import numpy as np
import pytest
from tiny_graphs import exported_bert, kinds, run, token_samples, weight

from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.attention import find_attention
from edgewise.optimize.graphs.wiring import Wiring
from edgewise.optimize.passes.prune_layers import find_blocks, keep_layers, prune_layers
from edgewise.optimize.student import Shape, make_student, parse_student


def test_a_shape_is_read() -> None:
    assert parse_student("2") == Shape(depth=2)
    assert parse_student("3:heads=6:ffn=512:epochs=9") == Shape(depth=3, heads=6, ffn=512, epochs=9)


def test_a_student_of_the_whole_depth_is_its_teacher() -> None:
    model, sample = exported_bert(), token_samples(1)[0]
    depth = len(find_blocks(Wiring(model)))

    made = make_student(model, Shape(depth=depth), token_samples(4))

    np.testing.assert_array_equal(run(made, sample)[0], run(model, sample)[0])


def test_the_last_layer_is_always_kept() -> None:
    model = exported_bert()
    blocks = find_blocks(Wiring(model))
    last = next(node.input[1] for node in blocks[-1].nodes if node.op_type == "MatMul")

    made = keep_layers(model, 1)

    assert kinds(made).count("Softmax") == 1
    np.testing.assert_array_equal(weight(made, last), weight(model, last))


def test_heads_and_neurons_are_as_many_as_the_shape_says() -> None:
    model = exported_bert()
    before = find_attention(Wiring(model))[0]

    made = make_student(model, Shape(depth=1, heads=1, ffn=8), token_samples(8))

    after = find_attention(Wiring(made))
    assert len(after) == 1
    assert before.heads > after[0].heads == 1
    assert made.ByteSize() < prune_layers(model, 0.5).ByteSize()


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        (Shape(depth=99), "99 layers are wanted"),
        (Shape(depth=1, heads=99), "99 heads are wanted"),
        (Shape(depth=1, ffn=9999), "9999 neurons are wanted"),
    ],
)
def test_more_than_the_teacher_has_is_refused(shape: Shape, what: str) -> None:
    with pytest.raises(InvalidModel) as caught:
        make_student(exported_bert(), shape, token_samples(4))

    assert what in caught.value.what
