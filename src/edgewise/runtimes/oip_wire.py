"""The Open Inference Protocol, version 2, over REST.

Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md.
"""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

from edgewise.records import Input, Prediction
from edgewise.records import Protocol as ProtocolName
from edgewise.runtimes.answers import expect_label, expect_share, from_probabilities
from edgewise.runtimes.sending import pixels_of, text_of


class OipWire:
    """Input `text` BYTES [n] or `image` FP32 [n, h, w, c]; outputs `label` and `probabilities`.

    The protocol gives probabilities by place, not by name. An endpoint may say the names in their
    order, as a JSON list in the parameter `labels` of the output `probabilities`; where it does
    not, they are taken to be in the order of the caller's labels, and `label` has to agree.
    """

    name = ProtocolName.OIP
    batches = True

    def path(self, model: str) -> str:
        """Give the path of the call."""
        return f"/v2/models/{quote(model or 'default', safe='')}/infer"

    def encode(self, inputs: Sequence[Input], model: str, labels: tuple[str, ...]) -> Any:
        """Give the body of a call; images of integers are scaled from 0..255 to 0..1."""
        del model, labels
        if "image" in inputs[0]:
            pixels = np.stack([_scaled(one) for one in inputs])
            tensor = {
                "name": "image",
                "shape": list(pixels.shape),
                "datatype": "FP32",
                "data": pixels.ravel().tolist(),
            }
        else:
            texts = [text_of(one) for one in inputs]
            tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
        return {"inputs": [tensor]}

    def decode(self, body: Any, n: int, labels: tuple[str, ...]) -> list[Prediction]:
        """Give `n` predictions from `probabilities`, or from `label` alone."""
        found = _outputs(body)
        names = None
        if "label" in found:
            names = [expect_label(one, labels) for one in _data(found["label"], n)]
        if "probabilities" not in found:
            if names is None:
                raise ValueError("neither `label` nor `probabilities` among the outputs")
            return [Prediction(name, 1.0, ()) for name in names]
        output = found["probabilities"]
        places = _told_labels(output) or labels
        if labels and set(labels) != set(places):
            raise ValueError("the endpoint has other labels")
        width = len(places) or 1
        flat = _data(output, n * width if places else None)
        if not places:
            return _unnamed(names, flat, n)
        rows = [flat[i * width : (i + 1) * width] for i in range(n)]
        return [
            _in_order(answer, names[i] if names else None, places, labels)
            for i, answer in enumerate(from_probabilities(rows, places))
        ]


def _scaled(one: Input) -> Any:
    pixels = pixels_of(one)
    scale = 1.0 if pixels.dtype.kind == "f" else 255.0
    return pixels.astype(np.float32) / np.float32(scale)


def _outputs(body: Any) -> dict[str, dict[str, Any]]:
    outputs = body.get("outputs") if isinstance(body, dict) else None
    if not isinstance(outputs, list) or not all(isinstance(one, dict) for one in outputs):
        raise ValueError("no `outputs`")
    return {str(one.get("name")): one for one in outputs}


def _data(output: dict[str, Any], count: int | None) -> list[Any]:
    """Give a tensor's elements, which may come flat or nested."""
    data = output.get("data")
    if not isinstance(data, list):
        raise ValueError("an output has no data")
    flat: list[Any] = np.asarray(data, dtype=object).ravel().tolist()
    if count is not None and len(flat) != count:
        raise ValueError(f"an output has {len(flat)} values, and {count} were expected")
    return flat


def _told_labels(output: dict[str, Any]) -> tuple[str, ...]:
    parameters = output.get("parameters")
    told = parameters.get("labels") if isinstance(parameters, dict) else None
    if not isinstance(told, str):
        return ()
    try:
        names = json.loads(told)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        return ()
    return tuple(names)


def _in_order(
    answer: Prediction, name: str | None, places: tuple[str, ...], labels: tuple[str, ...]
) -> Prediction:
    """Give one answer with its probabilities in the order of the caller's labels."""
    by_name = dict(zip(places, answer.probabilities, strict=True))
    label = answer.label if name is None else name
    # Of equal probabilities either label may be told.
    if by_name.get(label) != answer.confidence:
        raise ValueError(
            "`label` is not where `probabilities` are highest: are the labels in its order?"
        )
    return Prediction(label, answer.confidence, tuple(by_name[one] for one in labels))


def _unnamed(names: list[str] | None, flat: list[Any], n: int) -> list[Prediction]:
    """Give answers where nobody said which labels the probabilities are of."""
    if names is None or not flat or len(flat) % n:
        raise ValueError("`probabilities` of unknown labels")
    width = len(flat) // n
    shares = [expect_share(value) for value in flat]
    return [
        Prediction(name, max(shares[i * width : (i + 1) * width]), ())
        for i, name in enumerate(names)
    ]
