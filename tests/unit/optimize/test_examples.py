"""What a caller gives as data: forms that are taken, and what is said of those that are not."""

from typing import Any

import numpy as np
import pytest
from tiny_graphs import convnet, exported_bert, mlp

from edgewise.errors import InvalidData
from edgewise.optimize.examples import read_examples, read_labels

FOUR = np.arange(24, dtype=np.float32).reshape(4, 6)
IDS = np.arange(10, dtype=np.int64).reshape(2, 5)


def test_an_array_is_cut_into_its_rows() -> None:
    found = read_examples(mlp(), FOUR, "data")

    assert [one["x"].tolist() for one in found] == [[row] for row in FOUR.tolist()]


@pytest.mark.parametrize(
    "data", [{"x": FOUR}, [FOUR[:3], FOUR[3:]], list(FOUR), tuple(FOUR), [{"x": r} for r in FOUR]]
)
def test_every_form_of_the_same_data_gives_the_same_examples(data: Any) -> None:
    found = read_examples(mlp(), data, "data")

    assert np.array_equal(np.concatenate([one["x"] for one in found]), FOUR)
    assert {one["x"].shape for one in found} == {(1, 6)}


def test_what_the_model_does_not_take_is_left_out() -> None:
    assert set(read_examples(mlp(), {"x": FOUR, "y": FOUR}, "data")[0]) == {"x"}


def test_whole_numbers_become_as_wide_as_the_model_takes_them() -> None:
    given = {"input_ids": IDS.astype(np.int32), "attention_mask": np.ones((2, 5), bool)[:]}
    given["attention_mask"] = given["attention_mask"].astype(np.uint8)

    found = read_examples(exported_bert(), given, "data")

    assert {value.dtype for one in found for value in one.values()} == {np.dtype(np.int64)}


@pytest.mark.parametrize(
    ("data", "where", "what"),
    [
        (None, "data", "there are no examples"),
        ([], "data", "there are no examples"),
        (FOUR[:0], "data", "no common number of rows above 0"),
        (FOUR.astype(np.float64), "data[0].x", "has type float64, the model takes float32"),
        (FOUR[:, :5], "data[0].x", "has shape (1, 5), the model takes (any, 6)"),
        ([FOUR, FOUR[None]], "data[4].x", "has shape (1, 4, 6)"),
        (np.where(FOUR == 8, np.nan, FOUR), "data[1].x", "has NaN or infinite values"),
        ({"z": FOUR}, "data", "it names z, the model takes x"),
        ("text", "data", "it is a `str` and no tensor"),
        ([FOUR, "text"], "data[1]", "it is a `str` and no tensor"),
        ([[1.0, 2.0]], "data[0]", "it is a `list in a list` and no tensor"),
        ({"x": object()}, "data.x", "it is a `object` and no tensor"),
    ],
)
def test_unusable_data_is_said_with_its_place(data: Any, where: str, what: str) -> None:
    with pytest.raises(InvalidData) as caught:
        read_examples(mlp(), data, "data")

    assert caught.value.where == where
    assert what in caught.value.what
    assert caught.value.hint


def test_an_input_that_lacks_is_named() -> None:
    with pytest.raises(InvalidData) as caught:
        read_examples(exported_bert(), IDS, "data")

    assert (caught.value.what, caught.value.where) == ("absent", "data[0].attention_mask")


def test_tensors_of_different_numbers_of_rows_are_refused() -> None:
    data = {"input_ids": IDS, "attention_mask": IDS[:1]}

    with pytest.raises(InvalidData) as caught:
        read_examples(exported_bert(), data, "data")

    assert "input_ids (2, 5), attention_mask (1, 5)" in caught.value.what
    assert caught.value.where == "data"


def test_a_single_image_without_its_batch_axis_is_taken() -> None:
    image = np.zeros((3, 8, 8), np.float32)

    assert read_examples(convnet(), image, "data")[0]["image"].shape == (1, 3, 8, 8)


def test_labels_are_numbers_of_classes() -> None:
    assert read_labels([0, 2, 1], 3, 3, "labels").tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        ([0, 1], "there are 2 labels and 3 examples"),
        ([0, 1, 3], "the label 3 is outside 0..2"),
        ([0, -1, 1], "the label -1 is outside 0..2"),
        ([0.0, 1.0, 1.0], "they have type float64"),
        (["a", "b", "c"], "they have type <U1"),
    ],
)
def test_labels_that_do_not_fit_are_said(labels: Any, what: str) -> None:
    with pytest.raises(InvalidData) as caught:
        read_labels(labels, 3, 3, "test_labels")

    assert caught.value.what == what
    assert caught.value.where == "test_labels"
    assert caught.value.hint
