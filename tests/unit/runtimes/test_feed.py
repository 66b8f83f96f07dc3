import numpy as np
import pytest

from edgewise.errors import InvalidData
from edgewise.runtimes.feed import Port, feed

IDS = Port(name="ids", shape=(None, 4), dtype=np.dtype(np.int32))
PIXELS = Port(name="pixels", shape=None, dtype=np.dtype(np.float32))


def refusal(**inputs: object) -> tuple[str, str, str]:
    with pytest.raises(InvalidData) as caught:
        feed({k: np.asarray(v) for k, v in inputs.items()}, [IDS, PIXELS], "model.tflite")
    return caught.value.what, caught.value.where, caught.value.hint


def test_tensors_come_in_the_models_order_and_others_are_dropped() -> None:
    pixels, ids = np.zeros((2, 5), np.float32), np.ones((3, 4), np.int32)

    found = feed({"other": ids, "pixels": pixels, "ids": ids}, [IDS, PIXELS], "")

    assert list(found) == ["ids", "pixels"]
    assert found["ids"] is ids
    assert found["pixels"] is pixels


def test_integers_of_another_width_become_the_models_where_they_fit() -> None:
    ids = np.array([[0, -5, 2**31 - 1, -(2**31)]], np.int64)

    found = feed({"ids": ids}, [IDS], "")["ids"]

    assert found.dtype == np.int32
    assert found.tolist() == ids.tolist()


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
def test_an_integer_that_does_not_fit_is_refused(value: int) -> None:
    what, where, hint = refusal(ids=np.full((1, 4), value, np.int64), pixels=np.float32(0))

    assert what == "the model's input 'ids' has numbers outside int32"
    assert (where, hint) == ("model.tflite", "check shapes and types")


def test_a_type_of_another_kind_is_refused() -> None:
    what, _, _ = refusal(ids=np.zeros((1, 4), np.float32), pixels=np.float32(0))
    other, _, _ = refusal(ids=np.zeros((1, 4), np.int32), pixels=np.float64(0))

    assert what == "the model's input 'ids' is int32 and not float32"
    assert other == "the model's input 'pixels' is float32 and not float64"


@pytest.mark.parametrize(
    ("shape", "shown"), [((1, 3), "1x3"), ((4,), "4"), ((1, 1, 4), "1x1x4"), ((), "a scalar")]
)
def test_a_shape_that_does_not_fit_is_told(shape: tuple[int, ...], shown: str) -> None:
    what, _, _ = refusal(ids=np.zeros(shape, np.int32), pixels=np.float32(0))

    assert what == f"the model's input 'ids' is ?x4 and not {shown}"


def test_an_absent_input_is_named_with_all_there_are() -> None:
    what, _, hint = refusal(ids=np.zeros((1, 4), np.int32))

    assert what == "the model's input 'pixels' is absent"
    assert hint == "it takes: ids, pixels"
