"""The forms of the remote protocols: what the laws over sockets do not reach."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.runtimes import WIRES, Wire
from edgewise.runtimes.json_wire import JsonWire
from edgewise.runtimes.oip_wire import OipWire
from edgewise.runtimes.openai_wire import OpenAiWire

LABELS = ("no", "yes")
SECRET = "payload-of-another"

_KEYS = st.sampled_from(
    [
        "label",
        "prediction",
        "predictions",
        "probabilities",
        "confidence",
        "outputs",
        "name",
        "data",
        "parameters",
        "labels",
        "choices",
        "message",
        "content",
        "logprobs",
        "logprob",
        "no",
        "yes",
    ]
)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.just(10**400)
    | st.sampled_from([*LABELS, SECRET, "label", "probabilities", '["yes", "no"]', "[" * 9])
)
_BODIES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4)
)


def outputs(**tensors: Any) -> dict[str, Any]:
    return {"outputs": [{"name": name, **tensor} for name, tensor in tensors.items()]}


@settings(max_examples=300, deadline=None)
@given(_BODIES, st.sampled_from(WIRES), st.integers(1, 3), st.sampled_from([LABELS, ()]))
def test_any_body_gives_predictions_or_a_reason_without_payload(
    body: Any, wire: Wire, n: int, labels: tuple[str, ...]
) -> None:
    found, reason = [], "no answer"
    try:
        found = wire.decode(body, n, labels)
    except ValueError as wrong:
        reason = str(wrong)

    assert reason
    assert SECRET not in reason
    for one in found:
        assert one.label in labels or not labels
        assert 0.0 <= one.confidence <= 1.0
        assert all(0.0 <= share <= 1.0 for share in one.probabilities)


def test_json_shares_that_were_not_told_are_not_made_up() -> None:
    body = {"label": "yes", "confidence": 0.9, "probabilities": {"yes": 0.9}}

    (found,) = JsonWire().decode(body, 1, LABELS)

    assert (found.confidence, found.probabilities) == (0.9, ())


def test_a_json_answer_without_confidence_has_that_of_its_label() -> None:
    body = {"label": "no", "probabilities": {"yes": 0.75, "no": 0.25}}

    (found,) = JsonWire().decode(body, 1, LABELS)

    assert (found.confidence, found.probabilities) == (0.25, (0.25, 0.75))


@pytest.mark.parametrize("wire", [JsonWire(), OipWire()])
@pytest.mark.parametrize("image", ["photo.png", b"\x89PNG", [[1], [1, 2]], [[math.nan]], None])
def test_an_image_that_is_no_array_of_numbers_is_not_sent(wire: Wire, image: Any) -> None:
    with pytest.raises(ValueError, match="`image`"):
        wire.encode([{"image": image}], "", LABELS)


def test_oip_scales_images_of_integers_as_a_local_model_does() -> None:
    pixels = np.array([[[0], [51]], [[102], [255]]], dtype=np.uint8)

    body = OipWire().encode([{"image": pixels}], "", LABELS)

    assert body["inputs"][0]["shape"] == [1, 2, 2, 1]
    assert body["inputs"][0]["data"] == pytest.approx([0.0, 0.2, 0.4, 1.0])


@pytest.mark.parametrize("shares", [[0.25, 0.75], [[0.25, 0.75]]])
def test_oip_probabilities_come_flat_or_nested(shares: list[Any]) -> None:
    (found,) = OipWire().decode(outputs(probabilities={"data": shares}), 1, LABELS)

    assert (found.label, found.probabilities) == ("yes", (0.25, 0.75))


def test_oip_probabilities_are_put_in_the_callers_order_where_names_are_told() -> None:
    told = {"labels": json.dumps(["yes", "no"])}
    body = outputs(label={"data": ["yes"]}, probabilities={"data": [0.8, 0.2], "parameters": told})

    (found,) = OipWire().decode(body, 1, LABELS)

    assert (found.label, found.confidence, found.probabilities) == ("yes", 0.8, (0.2, 0.8))


def test_oip_probabilities_in_another_order_are_found_out_by_the_label() -> None:
    body = outputs(label={"data": ["yes"]}, probabilities={"data": [0.8, 0.2]})

    with pytest.raises(ValueError, match="in its order"):
        OipWire().decode(body, 1, LABELS)


def test_oip_takes_either_label_of_equal_probabilities() -> None:
    body = outputs(label={"data": ["yes"]}, probabilities={"data": [0.5, 0.5]})

    assert OipWire().decode(body, 1, LABELS)[0].label == "yes"


def test_oip_refuses_an_endpoint_with_other_labels() -> None:
    told = {"labels": json.dumps(["cat", "dog"])}
    body = outputs(probabilities={"data": [0.8, 0.2], "parameters": told})

    with pytest.raises(ValueError, match="other labels"):
        OipWire().decode(body, 1, LABELS)


def test_oip_gives_the_confidence_to_a_caller_without_labels() -> None:
    body = outputs(label={"data": ["b", "a"]}, probabilities={"data": [0.1, 0.9, 0.7, 0.3]})

    found = OipWire().decode(body, 2, ())

    assert [(one.label, one.confidence) for one in found] == [("b", 0.9), ("a", 0.7)]


def said(content: Any, logprobs: Any = None) -> dict[str, Any]:
    return {"choices": [{"message": {"content": content}, "logprobs": logprobs}]}


@pytest.mark.parametrize("content", ["yes", " Yes.\n", '"yes"', "`YES`"])
def test_a_message_may_dress_its_label(content: str) -> None:
    (found,) = OpenAiWire().decode(said(content), 1, LABELS)

    assert (found.label, found.confidence) == ("yes", 1.0)


def test_labels_that_differ_only_by_case_are_kept_apart() -> None:
    wire, labels = OpenAiWire(), ("US", "us", "it.")

    assert wire.decode(said("us"), 1, labels)[0].label == "us"
    assert wire.decode(said("US"), 1, labels)[0].label == "US"
    assert wire.decode(said("it."), 1, labels)[0].label == "it."
    with pytest.raises(ValueError, match="not in the list"):
        wire.decode(said("Us"), 1, labels)


def test_the_confidence_of_a_message_is_the_product_of_its_tokens() -> None:
    tokens = [{"token": "y", "logprob": math.log(0.5)}, {"token": "es", "logprob": math.log(0.8)}]

    (found,) = OpenAiWire().decode(said("yes", {"content": tokens}), 1, LABELS)

    assert found.confidence == pytest.approx(0.4)


def test_without_labels_the_model_is_asked_for_the_label_alone() -> None:
    asked = OpenAiWire().encode([{"text": "x"}], "m", ())["messages"][0]["content"]

    assert asked == "Classify the user's text. Answer with the label alone."
