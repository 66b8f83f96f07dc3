"""The Open Inference Protocol, version 2, over REST.

Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

from edgewise.records import Input, Prediction
from edgewise.records import Protocol as ProtocolName
from edgewise.runtimes.answers import expect_label, from_probabilities


class OipWire:
    """Input `text` BYTES [n] or `image` FP32 [n, h, w, c]; outputs `label` and `probabilities`."""

    name = ProtocolName.OIP
    batches = True

    def path(self, model: str) -> str:
        """Give the path of the call."""
        return f"/v2/models/{quote(model or 'default', safe='')}/infer"

    def encode(self, inputs: Sequence[Input], model: str, labels: tuple[str, ...]) -> Any:
        """Give the body of a call."""
        del model, labels
        if "image" in inputs[0]:
            pixels = np.stack([np.asarray(one["image"], dtype=np.float32) for one in inputs])
            tensor = {
                "name": "image",
                "shape": list(pixels.shape),
                "datatype": "FP32",
                "data": pixels.ravel().tolist(),
            }
        else:
            texts = [one["text"] for one in inputs]
            tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
        return {"inputs": [tensor]}

    def decode(self, body: Any, n: int, labels: tuple[str, ...]) -> list[Prediction]:
        """Give `n` predictions from `probabilities`, or from `label` alone."""
        outputs = body.get("outputs") if isinstance(body, dict) else None
        if not isinstance(outputs, list) or not all(isinstance(one, dict) for one in outputs):
            raise ValueError("no `outputs`")
        found = {str(one.get("name")): one for one in outputs}
        names = _data(found, "label", n)
        if "probabilities" in found and labels:
            flat = _data(found, "probabilities", n * len(labels))
            assert flat is not None
            width = len(labels)
            return from_probabilities([flat[i * width : (i + 1) * width] for i in range(n)], labels)
        if names is None:
            raise ValueError("neither `label` nor `probabilities` among the outputs")
        return [Prediction(expect_label(name, labels), 1.0, ()) for name in names]


def _data(found: dict[str, Any], name: str, count: int) -> list[Any] | None:
    if name not in found:
        return None
    data = found[name].get("data")
    if not isinstance(data, list):
        raise ValueError(f"output `{name}` has no data")
    flat = np.asarray(data, dtype=object).ravel().tolist()
    if len(flat) != count:
        raise ValueError(f"output `{name}` has {len(flat)} values, and {count} were expected")
    return flat
